"""What of the log of decisions is PostgreSQL's alone: lost connections, hosts that go, who hears of what is written."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import enumerate as running_threads
from typing import Any

import pytest

from benchmarks.postgres_server import Server
from corpus.errors import DecisionLogError
from recommender.decision_log import DecisionLog
from recommender.decisions import Decision
from tests.contracts.logs import open_log
from tests.postgres import new_server
from tests.recommender.decided import decide

psycopg = pytest.importorskip("psycopg")
PATIENCE = 60.0
"""Seconds for what takes milliseconds on an idle machine."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, to be stopped and killed."""
    server = new_server()
    yield server
    server.remove()


@pytest.fixture
def standby(server: Server) -> Iterator[Server]:
    standby = server.standby()
    yield standby
    standby.remove()


@pytest.fixture
def open_at(tmp_path: Path) -> Iterator[Callable[[str], DecisionLog]]:
    """Opens the log at a URL, as another replica with a home of its own would."""
    opened: list[DecisionLog] = []

    def again(url: str) -> DecisionLog:
        opened.append(open_log(f"{tmp_path / str(len(opened))} {url}"))
        return opened[-1]

    yield again
    for log in opened:
        log.close()


def both(primary: Server, standby: Server) -> str:
    return f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"


def wait_for(is_so: Callable[[], object]) -> None:
    """Until it is so; fails when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def setting_of(log: DecisionLog, name: str) -> Any:
    """What the server says of a session of the log."""
    return log._place.read(lambda db: [db.exec_driver_sql(f"SHOW {name}").scalar()])[0]  # type: ignore[list-item]


def is_empty(log: DecisionLog) -> bool:
    """Whether the log can be read, and nothing stands there."""
    try:
        return log.since() == []
    except DecisionLogError:
        return False


def review(key: str) -> Decision:
    return decide("review", "p", key=key)


# --- Nothing acknowledged is lost ---------------------------------------------------------------------------------


def test_what_was_acknowledged_is_there_after_the_server_was_killed(
    server: Server, open_at: Callable[[str], DecisionLog]
) -> None:
    log = open_at(server.url())
    for turn in range(3):
        log.append([review(f"{turn}-{number}") for number in range(50)])
        (last,) = log.append([review(f"{turn}-last")])
        server.kill()
        server.start()

        assert log.since()[-1] == last
        assert [entry.id for entry in log.since()] == list(range(1, last.id + 1))
        assert last.id == 51 * (turn + 1)


def test_a_commit_whose_end_nobody_heard_is_written_once(
    database: str, open_at: Callable[[str], DecisionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, lost = open_at(database), list[object]()
    log.append([review("before")])
    commit = psycopg.Connection.commit

    def commit_and_break(self: Any) -> None:
        commit(self)
        if not lost:
            lost.append(self)
            raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_break)
    (written,) = log.append([review("once")])

    assert lost
    assert written.id == 2
    assert [entry.key for entry in log.since()] == ["before", "once"]


def test_a_writer_waits_until_a_standby_has_taken_over_and_meanwhile_everybody_reads(
    server: Server, standby: Server, open_at: Callable[[str], DecisionLog]
) -> None:
    server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    server.execute("SELECT pg_reload_conf()")
    log, other = open_at(both(server, standby)), open_at(both(server, standby))
    wait_for(lambda: setting_of(log, "synchronous_standby_names") == "*" if log.append([review("first")]) else None)
    log.append([review("second")])
    server.kill()
    assert [entry.key for entry in other.since()] == ["first", "second"], "a standby has it"

    with ThreadPoolExecutor() as pool:
        later = pool.submit(log.append, [review("third")])
        time.sleep(0.3)
        assert not later.done()
        standby.promote()
        (written,) = later.result()

    assert written.id == 3
    assert other.since() == log.since()
    assert [entry.key for entry in log.since()] == ["first", "second", "third"]


def test_a_standby_that_is_behind_takes_nothing_back(
    server: Server, standby: Server, open_at: Callable[[str], DecisionLog]
) -> None:
    log = open_at(both(server, standby))
    log.append([review("first")])
    wait_for(lambda: open_at(standby.url()).since())
    standby.execute("SELECT pg_wal_replay_pause()")
    log.append([review("second")])
    assert len(log.since()) == 2
    server.kill()

    with pytest.raises(
        DecisionLogError, match=r"on a standby only, which does not have all of it yet: see to the primary$"
    ):
        log.since()
    assert [entry.key for entry in open_at(both(server, standby)).since()] == ["first"], "who knew nothing takes it"


def test_of_several_standbys_the_one_that_has_most_is_read(
    server: Server, standby: Server, open_at: Callable[[str], DecisionLog]
) -> None:
    other = server.standby()
    try:
        url = f"{both(server, standby).removesuffix('/postgres')},127.0.0.1:{other.port}/postgres"
        log = open_at(url)
        log.append([review("first")])
        wait_for(lambda: open_at(standby.url()).since())
        standby.execute("SELECT pg_wal_replay_pause()")
        log.append([review("second")])
        wait_for(lambda: len(open_at(other.url()).since()) == 2)
        server.kill()

        assert [entry.key for entry in open_at(url).since()] == ["first", "second"], "by whoever begins now"
        assert [entry.key for entry in log.since()] == ["first", "second"]
    finally:
        other.remove()


def test_a_primary_that_hangs_keeps_no_writer_from_the_one_that_was_promoted(
    server: Server, standby: Server, open_at: Callable[[str], DecisionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.postgres_log._STATEMENT_SECONDS", 1)
    monkeypatch.setattr("recommender.postgres_log.WRITE_SECONDS", PATIENCE)
    log = open_at(both(server, standby))
    log.append([review("first")])
    wait_for(lambda: open_at(standby.url()).since())
    server.freeze()
    try:
        standby.promote()
        with ThreadPoolExecutor() as pool:
            try:
                pool.submit(log.append, [review("second")]).result(PATIENCE)
            finally:
                server.thaw()
    finally:
        server.kill()
    assert [entry.key for entry in open_at(standby.url()).since()] == ["first", "second"]


def test_a_commit_that_no_standby_confirms_is_not_acknowledged_until_one_does(
    server: Server, open_at: Callable[[str], DecisionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.postgres_log.WRITE_SECONDS", 1.0)
    log = open_at(server.url())
    log.append([review("first")])
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    server.execute("SELECT pg_reload_conf()")
    wait_for(lambda: setting_of(log, "synchronous_standby_names") == "nobody")

    with pytest.raises(DecisionLogError, match="it may stand there, but no other host has it for sure"):
        log.append([review("second")])
    server.execute("ALTER SYSTEM RESET synchronous_standby_names")
    server.execute("SELECT pg_reload_conf()")
    wait_for(lambda: setting_of(log, "synchronous_standby_names") == "")

    assert [entry.id for entry in log.append([review("second"), review("third")])] == [2, 3]


@pytest.mark.parametrize(("is_set", "expected"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_outlasts_a_crash_whatever_the_server_is_set_to(
    postgres: Server, database: str, open_at: Callable[[str], DecisionLog], is_set: str, expected: str
) -> None:
    name = database.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = {is_set}")
    log = open_at(database)
    log.append([review("first")])

    assert setting_of(log, "synchronous_commit") == expected


# --- The database away --------------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_refused_with_a_sentence_that_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.postgres_log.WRITE_SECONDS", 0.2)
    log = open_log(f"{tmp_path} postgresql://ann:secret@127.0.0.1:1/site")

    for use in (log.since, lambda: log.append([review("first")])):
        with pytest.raises(DecisionLogError) as refused:
            use()
        said = str(refused.value)
        assert said.startswith("the log of decisions in postgresql://127.0.0.1:1/site cannot be used (")
        assert said.endswith("): see to the database and try again; what was acknowledged before is kept")
        assert "secret" not in said


def test_a_host_that_is_away_is_not_tried_by_every_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender.postgres import Connection

    log, tried = open_log(f"{tmp_path} postgresql://127.0.0.1:1/site"), list[object]()
    connect = Connection.connect

    def count(**more: Any) -> Any:
        tried.append(more)
        return connect(**more)

    monkeypatch.setattr(Connection, "connect", count)
    for _ in range(20):
        with pytest.raises(DecisionLogError):
            log.since()

    assert len(tried) == 2, "the primary, and any host"


def test_tables_that_are_dropped_and_made_again_are_a_new_log(
    postgres: Server, database: str, open_at: Callable[[str], DecisionLog]
) -> None:
    log = open_at(database)
    log.append([review("first")])
    postgres.execute("DROP SCHEMA related_decisions CASCADE", database.rpartition("/")[2])

    with pytest.raises(DecisionLogError, match='relation "head" does not exist'):
        log.since()
    wait_for(lambda: is_empty(log))
    assert [entry.id for entry in log.append([review("second")])] == [1]


def test_the_tables_stand_in_a_schema_of_their_own(
    postgres: Server, database: str, open_at: Callable[[str], DecisionLog]
) -> None:
    """Another program's migrations, in the same database, are none of ours."""
    name = database.rpartition("/")[2]
    postgres.execute("CREATE TABLE alembic_version (version_num text)", name)
    postgres.execute("INSERT INTO alembic_version VALUES ('9999')", name)

    open_at(database).append([review("first")])

    with psycopg.connect(database) as db:
        found = db.execute(
            b"SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|inf)' ORDER BY 1, 2"
        )
        assert found.fetchall() == [
            ("public", "alembic_version"),
            *(("related_decisions", table) for table in ("alembic_version", "decisions", "head")),
        ]


# --- Who hears of it ----------------------------------------------------------------------------------------------


def test_another_replica_hears_what_is_written(database: str, open_at: Callable[[str], DecisionLog]) -> None:
    writer, watch = open_at(database), open_at(database).watch(make_signal=True)
    wait_for(lambda: watch.hint()[1] is not None)  # type: ignore[index]
    for number in range(3):
        before = watch.hint()
        writer.append([review(f"{number}")])
        wait_for(lambda before=before: watch.hint() != before)
        assert watch.seen() == (number + 1, f"{number}")
    before = watch.hint()
    assert [watch.hint() for _ in range(100)] == [before] * 100


def test_a_listener_that_lost_its_host_says_so_and_hears_the_next_one(server: Server, standby: Server) -> None:
    from recommender.postgres import open_database
    from recommender.postgres_listen import DECISIONS, EDITIONS, Listener

    listener = Listener(open_database(both(server, standby)))
    wait_for(lambda: listener.heard(DECISIONS) is not None)
    before = listener.heard(DECISIONS), listener.heard(EDITIONS)
    server.execute("NOTIFY related_edition")
    wait_for(lambda: listener.heard(EDITIONS) != before[1])
    assert listener.heard(DECISIONS) == before[0], "each channel is its own"

    server.kill()
    wait_for(lambda: listener.heard(DECISIONS) is None)
    standby.promote()
    wait_for(lambda: listener.heard(DECISIONS) is not None)
    after = listener.heard(DECISIONS)
    assert after != before[0], "something may have been missed"
    standby.execute("NOTIFY related_decisions")
    wait_for(lambda: listener.heard(DECISIONS) != after)
    listener.close()


def test_a_listener_ends_when_it_is_closed_and_when_nobody_holds_it(database: str) -> None:
    from recommender.postgres import open_database
    from recommender.postgres_listen import DECISIONS, Listener

    before = set(running_threads())

    def listening() -> int:
        begun = set(running_threads()) - before
        return sum(thread.name == "listening to the database" for thread in begun)

    closed, dropped = Listener(open_database(database)), Listener(open_database(database))
    for listener in (closed, dropped):
        wait_for(lambda listener=listener: listener.heard(DECISIONS) is not None)
    assert listening() == 2
    closed.close()
    assert closed.heard(DECISIONS) is None
    del listener, dropped
    assert listening() == 0
    with suppress(AttributeError):
        closed.close()
