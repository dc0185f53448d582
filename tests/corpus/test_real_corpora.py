"""Real essays as site pages: read as written, joined rightly. The corpora and the tool that renders them as pages are
no part of the project; where they are not at hand, these tests are skipped."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.datasets import FOLDERS, is_corpus

ROOT = Path(__file__).parents[2]
AS_PAGES = ROOT.parent / "shared" / "tools" / "as_pages.py"


@pytest.mark.parametrize("name", ["business_central", "linux_man_pages"])
def test_every_page_is_read_as_written_and_no_blurb_is_joined_wrongly(name: str, tmp_path: Path) -> None:
    folder = next((folder / name for folder in FOLDERS if is_corpus(folder / name)), None)
    if folder is None or not AS_PAGES.is_file():
        pytest.skip(f"the corpus {name} or the tool as_pages.py is not at hand")
    subprocess.run([sys.executable, AS_PAGES, folder, tmp_path], check=True, capture_output=True)
    joining = [sys.executable, "-m", "benchmarks.joining", folder, tmp_path]
    done = subprocess.run(joining, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("as asked\n")
