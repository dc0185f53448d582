"""The desk on the command line: the worklist, and the log of decisions as a file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from corpus.errors import DecisionRefused, RelatedArticlesError
from recommender.decision_log import DecisionLog
from service.cli import app
from service.decision_files import write_csv, write_jsonl
from tests.recommender.decided import decide, undo
from tests.service.desk.site import DeskSite
from tests.service.desk.test_worklist import WORTH


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def printed(*arguments: object) -> str:
    """The standard output of a command that goes well."""
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def pages(*arguments: object) -> list[str]:
    return [page["id"] for page in json.loads(printed("review", "--json", *arguments))["pages"]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DeskSite]:
    site = DeskSite(tmp_path / "home")
    yield site
    site.log.close()


# --- related review -------------------------------------------------------------------------------------------------


def test_review_prints_the_worklist_of_the_desk(site: DeskSite) -> None:
    record = json.loads(printed("review", "--home", site.home, "--json", "--k", 50))

    assert [page["id"] for page in record["pages"]] == list(WORTH)
    assert {key: record[key] for key in ("total", "reviewed", "found", "vanished")} == {
        "total": 21,
        "reviewed": 0,
        "found": 21,
        "vanished": 0,
    }
    assert record["reasons"]["few"] == 3
    assert record["pages"][9 + 11 - 1] == {
        "id": "oven",
        "title": "Oven",
        "url": "https://example.org/oven",
        "category": "Food",
        "state": "standard",
        "worth": 0.333,
        "reasons": ["lost"],
        "kept": 1,
        "new": 2,
        "lost": 2,
    }


def test_review_is_filtered_and_cut(site: DeskSite) -> None:
    home = ("--home", site.home)
    assert len(pages(*home)) == 20
    assert pages(*home, "--k", 2) == ["river", "rye"]
    assert pages(*home, "--reason", "lost") == ["loaf", "oven"]
    assert pages(*home, "--category", "Time") == ["hour", "sundial"]
    site.log.append([decide("review", "river"), decide("pin", "salt", "gone", position=1)])
    assert pages(*home, "--k", 2) == ["salt", "rye"], "what is decided about an essay that is gone comes first"
    assert pages(*home, "--k", 2, "--all") == ["salt", "river"]
    assert json.loads(printed("review", *home, "--json"))["reviewed"] == 1


def test_review_is_a_table_for_people(site: DeskSite) -> None:
    site.log.append([decide("review", "rye"), decide("state", "river", state="shadow")])
    told = " ".join(printed("review", "--home", site.home, "--k", 3).split())
    assert "100% of_rivers few, weak, orphan 0 0 0 shadow" in told
    assert "1 of 21 pages reviewed; 20 want an eye: `related serve`, then /desk" in told


def test_review_for_no_such_reason_is_refused(site: DeskSite) -> None:
    result = run("review", "--home", site.home, "--reason", "boredom")
    assert result.exit_code == 1
    assert isinstance(result.exception, RelatedArticlesError)
    assert str(result.exception).startswith("no reason 'boredom': one of vanished, few, weak")


# --- related decisions ----------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    log = DecisionLog(tmp_path / "one")
    log.append([decide("exclude", "a", "b", note="=1+1\nzwölf"), decide("stop"), undo(2)])
    yield log
    log.close()


def test_decisions_prints_the_log_the_oldest_first(tmp_path: Path, log: DecisionLog) -> None:
    result = CliRunner().invoke(app, ["decisions", "--home", str(tmp_path / "one"), "--format", "csv"])
    assert result.stdout_bytes.decode() == "".join(write_csv(log.since()))
    assert printed("decisions", "--home", tmp_path / "one") == "".join(write_jsonl(log.since()))


def test_decisions_of_a_home_without_any_are_none(tmp_path: Path) -> None:
    assert printed("decisions", "--home", tmp_path) == ""
    assert printed("decisions", "--home", tmp_path, "--format", "csv").startswith("key,action,source,target,")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_printed_log_is_taken_in_once(tmp_path: Path, log: DecisionLog, form: str) -> None:
    file, home = tmp_path / f"log.{form}", tmp_path / "two"
    printing = CliRunner().invoke(app, ["decisions", "--home", str(tmp_path / "one"), "--format", form])
    file.write_bytes(printing.stdout_bytes)

    first, second = (run("decisions", "--home", home, "--import", file) for _ in range(2))

    assert first.stderr == f"3 decisions taken in from {file}\n"
    assert second.stderr == f"0 decisions taken in from {file}\n"
    other = DecisionLog(home)
    assert other.since() == log.since()
    other.close()


def test_a_bad_file_is_refused_and_nothing_of_it_taken_in(tmp_path: Path, log: DecisionLog) -> None:
    file = tmp_path / "bad.jsonl"
    lines = "".join(write_jsonl(log.since())).splitlines()
    file.write_text("\n".join([lines[0], lines[1].replace('"stop"', '"halt"')]), encoding="utf-8")

    result = run("decisions", "--home", tmp_path / "two", "--import", file)

    assert isinstance(result.exception, DecisionRefused)
    assert str(result.exception).startswith("line 2 cannot be put in: there is no decision 'halt'")
    other = DecisionLog(tmp_path / "two")
    assert other.since() == []
    other.close()
