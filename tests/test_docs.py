"""What the documents say is what the program does."""

import re
from pathlib import Path

import pytest
import typer.main

from benchmarks import readme
from service.cli import app
from service.settings import documentation

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("[!.]*/README.md")]


def test_the_readme_lists_every_command() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `related (\w+)", README, re.MULTILINE)) == commands


def test_the_readme_gives_every_setting_with_its_default() -> None:
    assert readme.settings_table() in README
    assert next(name for name, _, _ in documentation()) == "home"


def test_the_readmes_quality_table_is_made_from_the_stored_results() -> None:
    assert readme.quality_table() in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (document.parent / target).exists()]


def test_every_installed_package_is_pinned_and_every_direct_one_explained() -> None:
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    wanted = re.findall(r'^    "([\w-]+)[>=]', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(wanted) > 20
    assert not [name for name in wanted if name.lower() not in {p.replace("_", "-") for p in pinned}]
    assert not [name for name in wanted if name not in README]


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {word for line in re.findall(r"`make ([^`]+)`", README) for word in line.split()} | {"demo", "test"}
    assert not [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
