"""What editors decide is heard by every replica that reads a PostgreSQL database, and holds on while that is away."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.postgres_server import Server
from corpus.catalogue import build_catalogue
from corpus.errors import DecisionLogError, EditionError
from corpus.records import essay_from_record
from recommender.decision_log import DecisionLog
from recommender.edition import Edition, open_current
from recommender.editor_labels import EditorLabels
from recommender.store import open_store
from service.cli import app
from service.live_decisions import LiveDecisions
from tests.postgres import new_server
from tests.recommender.decided import decide
from tests.service.editions import Clock, publish_edition

PATIENCE = 60.0
"""Seconds for what takes milliseconds on an idle machine."""


class Replica:
    """A replica of the service with a home of its own, as far as decisions go."""

    def __init__(self, home: Path, url: str) -> None:
        self.log: DecisionLog = open_store(home, url).log()
        self.clock = Clock()
        self.store = open_store(home, url)
        self.live = LiveDecisions(self.store.log(), self.clock, make_signal=True)

    def excluded(self, edition: Edition) -> set[str]:
        return set(self.live.standing(edition).of("bread").excluded)

    def close(self) -> None:
        self.live.close()
        self.log.close()


@pytest.fixture
def edition(tmp_path: Path) -> Edition:
    publish_edition(tmp_path / "built")
    return open_current(tmp_path / "built")


@pytest.fixture
def open_replica(tmp_path: Path) -> Iterator[Callable[[str], Replica]]:
    opened: list[Replica] = []

    def again(url: str) -> Replica:
        home = tmp_path / f"replica {len(opened)}"
        home.mkdir()
        opened.append(Replica(home, url))
        return opened[-1]

    yield again
    for replica in opened:
        replica.close()


def wait_for(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_writers_replica_hears_at_once_and_others_soon_without_being_asked_to_look(
    database: str, edition: Edition, open_replica: Callable[[str], Replica]
) -> None:
    writer, other = open_replica(database), open_replica(database)
    assert (writer.excluded(edition), other.excluded(edition)) == (set(), set())

    for number, target in enumerate(("rye", "salt", "sundial"), start=1):
        writer.log.append([decide("exclude", "bread", target)])
        assert len(writer.excluded(edition)) == number
        wait_for(lambda number=number: len(other.excluded(edition)) == number)


def test_nothing_is_asked_while_nothing_has_changed(
    database: str, edition: Edition, open_replica: Callable[[str], Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = open_replica(database)
    replica.log.append([decide("exclude", "bread", "rye")])
    wait_for(lambda: replica.live.holds(replica.live.standing(edition)) and heard(replica) is not None)
    first, asked = replica.live.standing(edition), list[object]()
    monkeypatch.setattr("recommender.postgres_log.PostgresLog._find", lambda *told: asked.append(told))

    assert all(replica.live.standing(edition) is first and replica.live.holds(first) for _ in range(100))
    assert asked == []
    first = replica.live.standing(edition)
    publish_edition(edition.folder.parent.parent)
    assert replica.live.standing(open_current(edition.folder.parent.parent)) is not first
    assert asked == [], "another edition is no reason either"


def heard(replica: Replica) -> object:
    """What the replica's listener has heard; None before it listens."""
    return replica.live._watch.hint()[1]  # type: ignore[index]


def test_while_the_database_is_away_what_was_read_holds_and_then_what_is_new(
    edition: Edition, open_replica: Callable[[str], Replica]
) -> None:
    server = new_server()
    try:
        replica, other = open_replica(server.url()), open_replica(server.url())
        replica.log.append([decide("exclude", "bread", "rye")])
        assert replica.excluded(edition) == {"rye"}
        assert replica.live.fault is None

        server.kill()
        wait_for(lambda: replica.live.follow() or replica.live.fault)
        assert replica.live.fault is not None
        assert replica.live.fault.endswith("; what was read before is in force")
        assert replica.excluded(edition) == {"rye"}
        other.live.follow()
        with pytest.raises(DecisionLogError):
            other.live.standing(edition)
        assert (replica.live.are_known, other.live.are_known) == (True, False)

        server.start()
        other.log.append([decide("exclude", "bread", "salt")])
        for each in (replica, other):
            wait_for(lambda each=each: each.live.follow() or each.live.fault is None)
            assert each.excluded(edition) == {"rye", "salt"}
    finally:
        server.remove()


def test_a_log_that_lost_its_last_entries_is_what_holds(
    postgres: Server, database: str, edition: Edition, open_replica: Callable[[str], Replica]
) -> None:
    """As after a standby took over that had not heard of them; the next entry has an id that another one had."""
    replica = open_replica(database)
    replica.log.append([decide("exclude", "bread", "rye"), decide("exclude", "bread", "salt")])
    assert replica.excluded(edition) == {"rye", "salt"}
    name = database.rpartition("/")[2]
    postgres.execute("DELETE FROM related_decisions.decisions WHERE id = 2", name)
    postgres.execute("UPDATE related_decisions.head SET last = 1", name)

    replica.log.append([decide("exclude", "bread", "sundial")])

    assert replica.excluded(edition) == {"rye", "sundial"}


def test_a_build_for_the_database_learns_from_what_was_decided_there(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(tmp_path, database).log()) as log:
        log.append([decide("exclude", "bread", "rye")])
    essays = [essay_from_record({"id": name, "title": name, "body": name}, name) for name in ("bread", "rye")]
    heard: list[EditorLabels] = []

    def hear(*arguments: object, labels_of: Callable[..., EditorLabels], **more: object) -> None:
        heard.append(labels_of(build_catalogue(essays), None))
        raise EditionError("heard enough")

    monkeypatch.setattr("recommender.job.build", hear)
    result = CliRunner().invoke(app, ["build", str(tmp_path), "--home", str(tmp_path / "home"), "--store", database])

    assert str(result.exception) == "heard enough"
    assert [labels.excluded for labels in heard] == [{("bread", "rye")}]
