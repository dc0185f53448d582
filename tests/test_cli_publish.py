"""The publish gate on the command line: a build that is held back, what it would change, and the signature."""

import getpass
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import embeddings.loading
from corpus.errors import EditionError, RelatedArticlesError
from recommender.edition import current_id
from recommender.publish_gate import read_marker
from service.cli import app
from service.ready import FOLDER
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def printed(*arguments: object) -> str:
    """The standard output of a command that goes well, in single spaces."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose gate is strict, and its one edition of twelve pages."""
    monkeypatch.setattr(embeddings.loading, "load_encoder", lambda *_: CountingEncoder())
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "related.toml").write_text("publish_overlap = 1.0\n", encoding="utf-8")
    printed("build", write_site(tmp_path / "site"), "--home", tmp_path / "home", "--quiet")
    return tmp_path / "home"


@pytest.fixture
def held_build(home: Path) -> Result:
    """What a second build of eleven of the pages says."""
    (home.parent / "site" / "page-004.txt").unlink()
    return run("build", home.parent / "site", "--home", home, "--quiet", "--json")


def test_a_build_that_is_held_back_reports_and_then_fails_with_one_sentence(home: Path, held_build: Result) -> None:
    first, report = current_id(home), json.loads(held_build.stdout)
    assert held_build.exit_code == 1
    assert isinstance(held_build.exception, RelatedArticlesError)
    assert str(held_build.exception) == report["held"]
    assert report["held"].startswith(f"edition {report['edition']} is held back: its lists overlap by 0.")
    assert f"sign it off with `related publish {report['edition']}` or on the desk" in report["held"]
    assert report["held"].endswith(f"; until then edition {first} stays live")
    assert "essays' lists changed since the last edition; overlap 0." in held_build.stderr


def test_a_build_that_is_published_says_so_with_null(home: Path) -> None:
    report = json.loads(printed("build", home.parent / "site", "--home", home, "--quiet", "--json"))
    assert (report["held"], report["edition"]) == (None, current_id(home))


def test_publish_signs_off_the_newest_edition_under_the_users_name(home: Path, held_build: Result) -> None:
    held = json.loads(held_build.stdout)["edition"]
    assert not list((home / FOLDER).glob(f"{held}-*"))
    assert printed("publish", "--home", home) == f"{held} is current"
    assert current_id(home) == held
    assert read_marker(home, held).signed_by == "ada"  # type: ignore[union-attr]
    assert list((home / FOLDER).glob(f"{held}-*.sqlite3"))
    assert "page-004" in printed("editions", "--home", home, "--changed").split()
    assert printed("publish", held, "--home", home) == f"{held} is current"
    assert isinstance(run("publish", "--home", home).exception, EditionError), "nothing is held back any more"


def test_a_user_without_a_name_signs_with_a_number(
    home: Path, held_build: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: {}["LOGNAME"])
    held = json.loads(held_build.stdout)["edition"]
    printed("publish", "--home", home)
    assert read_marker(home, held).signed_by.startswith("user ")  # type: ignore[union-attr]


def test_editions_tell_which_one_is_held_back(home: Path, held_build: Result) -> None:
    held = json.loads(held_build.stdout)["edition"]
    second, first = json.loads(printed("editions", "--home", home, "--json"))
    assert (second["id"], second["current"], first["current"], first["held"]) == (held, False, True, None)
    assert second["held"].startswith(f"edition {held} is held back: ")
    assert f"{held} is held back" in printed("editions", "--home", home)
    refused = run("rollback", held, "--home", home)
    assert str(refused.exception) == second["held"]


def test_a_comparison_tells_what_would_change_if_that_edition_became_current(home: Path, held_build: Result) -> None:
    first, held = current_id(home), json.loads(held_build.stdout)["edition"]
    found = json.loads(printed("editions", "--home", home, "--compare", held, "--json"))
    assert (found["before"], found["after"], found["gone"], found["new"]) == (first, held, ["page-004"], [])
    assert found["pages"] == sum(found["overlaps"]) == 11
    assert found["changed"] == json.loads(held_build.stdout)["changed"] - 1, "without the page that is gone"
    assert found["mean_overlap"] == read_marker(home, held).overlap  # type: ignore[union-attr]
    assert "links_in" not in found
    worst = found["most_changed"][0]
    assert set(worst) == {"id", "title", "overlap", "entered", "left", "moved"}
    assert set(worst["left"][0]) == {"id", "title", "before", "after"}
    assert found["lost"][0]["id"] == "page-004"
    assert found["lost"][0]["title"]
    assert found["lost"][0]["after"] == 0

    tables = printed("editions", "--home", home, "--compare", held)
    assert f"From edition {first} to edition {held} essays: 0 new, 1 gone, 11 in both" in tables
    assert f"the lists overlap by {found['mean_overlap']:.3f} on average Pages by overlap 0.0-0.1" in tables
    assert "In fewer lists article before after change" in tables
    assert "The most changed lists overlap page enters leaves" in tables
    backwards = json.loads(printed("editions", "--home", home, "--compare", first, "--json"))
    assert (backwards["changed"], backwards["gained"], backwards["most_changed"]) == (0, [], [])


def test_changed_pages_and_a_comparison_are_asked_for_one_at_a_time(home: Path) -> None:
    refused = run("editions", "--home", home, "--changed", "--compare", "x")
    assert refused.exit_code == 2
    assert "give it or --changed, not both" in refused.stderr
