"""Builds that are killed at any moment: the old edition stays live, the next build goes on from there."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.killing import crash, made_up
from recommender.edition import check_edition, current_id, open_current

ROOT = Path(__file__).parent.parent
RELATED = [sys.executable, "-c", "from service.cli import main; main()"]
KILLS = 12


def test_builds_that_are_killed_hurt_nothing_and_cost_nothing_twice(tmp_path: Path) -> None:
    outcome = crash(tmp_path, made_up(30), KILLS, seed=3)

    assert outcome.faults == []
    assert outcome.kills > KILLS // 2
    assert outcome.published >= 2
    assert outcome.looks > 0
    assert len(outcome.fell_in) > 3


# --- The command, with the packaged model -------------------------------------------------------------------------


def pages(folder: Path) -> Path:
    """Five pages of the examples."""
    folder.mkdir()
    for page in sorted((ROOT / "examples" / "markdown").glob("*.md"))[:5]:
        (folder / page.name).write_bytes(page.read_bytes())
    return folder


def command(site: Path, home: Path) -> list[str]:
    return [*RELATED, "build", str(site), "--home", str(home), "--json"]


def built(site: Path, home: Path) -> dict[str, Any]:
    """The closing line of a build."""
    done = subprocess.run(command(site, home), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def kill_in(stage: str, site: Path, home: Path) -> None:
    """Build, and kill the command as soon as it says that this stage begins."""
    process = subprocess.Popen(
        command(site, home), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    with process.stderr:
        assert any(line.startswith(stage) for line in process.stderr), f"no stage {stage!r}"
        process.send_signal(signal.SIGKILL)
        process.wait()


def kill_while_it_converts_the_model(site: Path, home: Path) -> None:
    """Build, and kill the command when the first file of a converted model is there; without OpenVINO it ends well."""
    process = subprocess.Popen(command(site, home), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any((home / "cache" / "models").glob("*/*")):
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            return
    process.kill()
    process.wait()


def test_a_command_that_is_killed_leaves_the_old_edition_and_its_next_run_goes_on(tmp_path: Path) -> None:
    site, home = pages(tmp_path / "site"), tmp_path / "home"
    kill_while_it_converts_the_model(site, home)
    first = built(site, home)
    page = site / sorted(path.name for path in site.iterdir())[0]
    page.write_text(page.read_text(encoding="utf-8") + "\n\nA last paragraph.\n", encoding="utf-8")

    for stage in ("encoding texts", "writing answers"):
        kill_in(stage, site, home)
        edition = open_current(home)
        assert edition.id == first["edition"]
        check_edition(edition.folder)
        assert edition.related(next(edition.essay_ids())).recommendations

    last = built(site, home)
    assert current_id(home) == last["edition"]
    assert last["encoded"] == 0, "they were encoded before the second kill"
    assert not list((home / "editions").glob(".*")), "what the killed builds had begun is gone"
