"""`related migrate`: decisions and the current edition, from a home to another, to PostgreSQL, and back."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from corpus.errors import RelatedArticlesError
from recommender.decision_log import DecisionLog
from recommender.decisions import LOG_FILE, Decision
from recommender.edition import current_id, file_digest
from recommender.migrating import digest_of
from recommender.publishing import roll_back
from recommender.store import open_store
from service.cli import app
from tests.recommender.decided import decide, undo
from tests.service.editions import NOON, publish_edition, publish_other_edition

ROOT = Path(__file__).parent.parent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an edition, and with more decisions than are copied at once."""
    home = tmp_path / "home"
    publish_edition(home)
    write(
        home,
        [decide("exclude", "bread", "rye", note="naïve “note”\n"), undo(1), decide("boost", None, "a", weight=0.1)],
    )
    write(home, [decide("review", str(number)) for number in range(2_100)])
    return home


def write(home: Path, entries: list[Decision]) -> None:
    with closing(DecisionLog(home)) as log:
        log.append(entries)


def held(where: Path | str, aside: Path) -> list[Decision]:
    """The log of a home, or of a database."""
    store = open_store(aside, where) if isinstance(where, str) else open_store(where)
    with closing(store.log()) as log:
        return log.since()


def address(home: Path) -> str:
    return f"sqlite:///{home}"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["migrate", *(str(argument) for argument in arguments)])


def migrated(*arguments: object) -> dict[str, Any]:
    """What the command prints as JSON."""
    result = run(*arguments, "--json", "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(*arguments: object) -> str:
    result = run(*arguments, "--quiet")
    assert isinstance(result.exception, RelatedArticlesError), result.output
    return str(result.exception)


def files_of(home: Path) -> dict[str, str]:
    """The digest of every file of the current edition."""
    folder = home / "editions" / current_id(home)
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def test_there_and_back_gives_the_same_log_and_the_same_edition(home: Path, database: str, tmp_path: Path) -> None:
    entries, files = held(home, tmp_path), files_of(home)
    there, back = tmp_path / "there", tmp_path / "back"

    found = migrated(address(home), database)
    again = migrated(database, address(back))

    assert found["decisions"] == {"decisions": 2_103, "new": 2_103, "digest": digest_of(entries), "ahead": 0}
    assert again["decisions"] == found["decisions"]
    assert found["edition"] == {"id": current_id(home), "essays": 12, "is_new": True, "shown": current_id(home)}
    assert held(database, there) == held(back, there) == held(home, there) == entries
    assert (current_id(back), files_of(back)) == (current_id(home), files)
    assert not [path.name for path in back.iterdir() if path.name == "cache" or path.name.startswith(".migrate")]


def test_nothing_changes_where_it_comes_from(home: Path, database: str, tmp_path: Path) -> None:
    def all_files() -> dict[str, bytes]:
        found = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
        return {str(path): content for path, content in found.items() if not path.name.startswith(f"{LOG_FILE}-")}

    before = all_files()
    migrated(address(home), database)

    assert all_files() == before


def test_a_second_run_copies_what_is_new_only(home: Path, database: str, tmp_path: Path) -> None:
    migrated(address(home / LOG_FILE), database)
    write(home, [decide("stop")])

    first, second = migrated(address(home), database), migrated(address(home), database)

    assert [run["decisions"]["new"] for run in (first, second)] == [1, 0]
    assert [run["edition"]["is_new"] for run in (first, second)] == [False, False]
    assert held(database, tmp_path) == held(home, tmp_path)


def test_what_was_decided_there_since_stays_and_a_newer_edition_too(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    migrated(address(home), address(other))
    write(other, [decide("stop", key="later")])
    newer = publish_other_edition(other)

    found = migrated(address(home), address(other))

    assert (found["decisions"]["new"], found["decisions"]["ahead"]) == (0, 1)
    assert held(other, tmp_path)[-1].key == "later"
    assert (found["edition"]["shown"], current_id(other)) == (newer, newer)
    assert "holds 1 more, decided there since" in run(address(home), address(other)).output


def test_an_edition_that_was_stepped_back_from_there_stays_so(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    migrated(address(home), address(other))
    first = current_id(home)
    second = publish_other_edition(home)
    migrated(address(home), address(other))
    roll_back(other)

    found = migrated(address(home), address(other))

    assert found["edition"] == {"id": second, "essays": 12, "is_new": False, "shown": first}
    assert current_id(other) == first
    assert f"goes on with edition {first}" in run(address(home), address(other)).output


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
def test_another_log_is_not_mixed_with(home: Path, tmp_path: Path, to: str, request: pytest.FixtureRequest) -> None:
    other = tmp_path / "other"
    target = address(other) if to == "sqlite" else request.getfixturevalue("database")
    write(other, [decide("exclude", "bread", "salt")])
    if to == "postgres":
        migrated(address(other), target)
    publish_edition(other, NOON - timedelta(days=1))

    said = refused(address(home), target)

    name = str(other / LOG_FILE) if to == "sqlite" else f"postgresql://{target.partition('@')[2]}"
    assert said.startswith(
        f"{name} holds other decisions than {home / LOG_FILE} (decision 1 is another one there), and"
    )
    assert "related decisions --import FILE" in said
    assert len(held(other if to == "sqlite" else target, tmp_path)) == 1


def test_an_empty_log_does_not_go_before_a_full_one(home: Path, tmp_path: Path) -> None:
    publish_edition(tmp_path / "empty")

    assert refused(address(tmp_path / "empty"), address(home)).endswith("copy them the other way round")


def test_decisions_are_copied_where_nothing_is_published(home: Path, tmp_path: Path) -> None:
    write(tmp_path / "bare", [decide("stop")])

    found = migrated(address(tmp_path / "bare"), address(tmp_path / "other"))

    assert (found["decisions"]["decisions"], found["edition"]) == (1, None)


def test_a_run_that_is_killed_is_completed_by_another(home: Path, database: str, tmp_path: Path) -> None:
    write(home, [decide("review", f"more {number}") for number in range(6_000)])
    command = [sys.executable, "-c", "from service.cli import main; main()", "migrate", address(home), database]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with closing(open_store(tmp_path, database).log()) as log:
        while process.poll() is None and not log.since():
            pass
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        there = log.since()
    assert 0 < len(there) < 8_103, "it was killed on the way"
    assert there == held(home, tmp_path)[: len(there)]

    found = migrated(address(home), database)

    assert found["decisions"]["new"] == 8_103 - len(there)
    assert held(database, tmp_path) == held(home, tmp_path)


def test_what_is_printed_for_people_names_counts_and_no_secret(home: Path, database: str, tmp_path: Path) -> None:
    secret = database.replace("postgres@", "postgres:hidden@")

    result = run(address(home), secret)

    assert result.exit_code == 0, (result.output, result.exception)
    assert "2,103, 2,103 of them new in postgresql://127.0.0.1:" in result.stdout
    assert f"edition    {current_id(home)}, 12 essays: copied" in result.stdout
    assert "copying decisions (2,103)" in result.stderr
    assert "hidden" not in result.output


def test_a_log_that_came_out_otherwise_is_said_so(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DecisionLog, "take_over", lambda self, entries: len(entries))

    assert "does not hold what" in refused(address(home), address(tmp_path / "other"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("data", "postgresql://h/d"), "it should be sqlite:///HOME or postgresql://USER@HOST/DATABASE"),
        (("sqlite:///", "postgresql://h/d"), "it should be sqlite:///HOME"),
        (("postgresql://h/d", "mysql://h/d"), "it should be sqlite:///HOME"),
        (("sqlite:///data", "sqlite:///data"), "it is the store that is copied from"),
    ],
)
def test_what_is_no_store_is_a_wrong_call(arguments: tuple[str, str], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_home_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(address(tmp_path / "none"), address(tmp_path)).startswith(f"there is no home {tmp_path / 'none'}")
