"""The contract of recommender.decision_log.DecisionLog, on each kind of place, and what is SQLite's alone.

What is PostgreSQL's alone is in tests/recommender/test_postgres_log.py.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from benchmarks.postgres_server import Server
from corpus.errors import DecisionLogError, DecisionRefused
from recommender import decision_tables
from recommender.decision_log import DecisionLog
from recommender.decision_tables import REVISION, metadata
from recommender.decisions import LOG_FILE, Decision
from recommender.sqlite_engine import open_engine
from tests.contracts import logs
from tests.contracts.logs import PostgresLogs, SqliteLogs
from tests.recommender.decided import MORNING, decide, undo

ROOT = Path(__file__).parents[2]
OpenLog = Callable[[Path], DecisionLog]
Logs = SqliteLogs | PostgresLogs


@pytest.fixture(scope="module")
def shared_database(postgres: Server) -> str:
    """A database for all tests of the contract: to make one takes longer than most of them."""
    return postgres.fresh_database()


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> Logs:
    if request.param == "sqlite":
        return SqliteLogs()
    url, server = request.getfixturevalue("shared_database"), request.getfixturevalue("postgres")
    server.execute("DROP SCHEMA IF EXISTS related_decisions CASCADE", url.rpartition("/")[2])
    return PostgresLogs(url)


@pytest.fixture
def open_log(kind: Logs) -> Iterator[OpenLog]:
    """Opens a home's log as often as is asked, as other processes would; all are closed in the end."""
    opened: list[DecisionLog] = []

    def again(home: Path) -> DecisionLog:
        opened.append(logs.open_log(kind.address(home)))
        return opened[-1]

    yield again
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log: OpenLog, tmp_path: Path) -> DecisionLog:
    return open_log(tmp_path)


@pytest.fixture
def engine(kind: Logs, log: DecisionLog, tmp_path: Path) -> Iterator[sa.Engine]:
    """The tables of a new log."""
    log.append([])
    if isinstance(kind, SqliteLogs):
        engine = sa.create_engine(f"sqlite:///{tmp_path / LOG_FILE}")
    else:
        url = kind.url.replace("postgresql://", "postgresql+psycopg://")
        engine = sa.create_engine(url, connect_args={"options": "-c search_path=related_decisions"})
    yield engine
    engine.dispose()


of_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def keys(entries: list[Decision]) -> list[str]:
    return [entry.key for entry in entries]


# --- The contract -------------------------------------------------------------------------------------------------

FULL = decide(
    "pin",
    "2024/naïve café",
    "麦/麵包 '; --",
    position=50,
    note="two\nlines, “quoted”",
    at=datetime(2026, 3, 2, 10, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2))),
    expires=datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
    edition="20260301T000000Z-0",
    source_title="Café",
    source_url="https://example.org/café",
    target_title="麵包",
    target_url="https://example.org/麵包",
)


def test_a_log_that_does_not_exist_is_empty_and_reading_makes_none(log: DecisionLog, tmp_path: Path) -> None:
    assert log.since() == []
    assert list(tmp_path.iterdir()) == []


def test_an_entry_comes_back_as_it_was_written_with_its_id(log: DecisionLog, open_log: OpenLog, tmp_path: Path) -> None:
    entries = [FULL, decide("boost", None, "a", weight=0.1), decide("state", "p", state="shadow"), decide("stop")]

    written = log.append([*entries, undo(2)])

    assert [replace(entry, id=0) for entry in written[:-1]] == entries
    assert [entry.id for entry in written] == [1, 2, 3, 4, 5]
    assert log.since() == open_log(tmp_path).since() == written
    assert log.since()[0].at.utcoffset() == timedelta(0)


def test_only_what_is_after_an_id_is_read(log: DecisionLog) -> None:
    log.append([decide("review", str(number), key=str(number)) for number in range(1, 6)])

    assert {last: keys(log.since(last)) for last in (0, 3, 5, 99)} == {
        0: list("12345"),
        3: list("45"),
        5: [],
        99: [],
    }


def test_a_key_is_written_once_however_often_it_is_sent(log: DecisionLog) -> None:
    """Sent again, later, when another edition was looked at."""
    first = decide("exclude", "p", "a", key="once")
    again = replace(first, at=MORNING + timedelta(minutes=5), edition="another", target_title="A")

    (written,) = log.append([first])
    found = log.append([again, decide("review", "p", key="new"), again])

    assert found == [written, log.since()[1], written]
    assert keys(log.since()) == ["once", "new"]


def test_a_key_twice_in_one_batch_is_written_once(log: DecisionLog) -> None:
    first = decide("exclude", "p", "a")

    assert [entry.id for entry in log.append([first, first])] == [1, 1]
    assert len(log.since()) == 1


@pytest.mark.parametrize(
    "changed",
    [{"target": "b"}, {"note": "why"}, {"editor": "Berta"}, {"action": "approve"}, {"expires": MORNING + timedelta(9)}],
    ids=str,
)
def test_a_key_with_another_decision_is_refused(log: DecisionLog, changed: dict[str, object]) -> None:
    first = decide("exclude", "p", "a", key="once")
    log.append([first])

    with pytest.raises(DecisionRefused, match=r"^the key once is another decision's: send a new one$"):
        log.append([decide("review", "p"), replace(first, **changed)])  # type: ignore[arg-type]
    assert len(log.since()) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (decide("pin", "p", "a"), "to pin needs a position"),
        (undo(9), "there is no decision 9 to undo"),
        (undo(0), "there is no decision 0 to undo"),
        (undo(-1), "there is no decision -1 to undo"),
        (undo(10**30), f"there is no decision {10**30} to undo"),
    ],
)
def test_of_a_batch_all_is_written_or_nothing(log: DecisionLog, bad: Decision, reason: str) -> None:
    log.append([decide("review", "p")])

    with pytest.raises(DecisionRefused) as refused:
        log.append([decide("review", "q"), bad, decide("review", "r")])
    assert str(refused.value) == reason
    assert [entry.source for entry in log.since()] == ["p"]
    assert [entry.id for entry in log.append([decide("review", "s")])] == [2], "no id is lost"


def test_an_undo_names_an_entry_before_it(log: DecisionLog) -> None:
    """Itself, and what comes later in its batch, are not."""
    assert [entry.undoes for entry in log.append([decide("review", "p"), undo(1), undo(2)])] == [None, 1, 2]
    for named in (4, 5):
        with pytest.raises(DecisionRefused, match=f"there is no decision {named} to undo"):
            log.append([undo(named), decide("review", "q")])
    assert len(log.since()) == 3


def test_nothing_may_be_appended(log: DecisionLog) -> None:
    assert log.append([]) == []
    assert log.since() == []


def test_many_are_written_at_once(log: DecisionLog) -> None:
    entries = [decide("exclude", "p", f"a{number}") for number in range(1_201)]

    assert keys(log.append(entries)) == keys(log.append(entries)) == keys(log.since()) == keys(entries)


def test_entries_of_another_log_are_taken_over_under_their_ids_and_only_once(log: DecisionLog, tmp_path: Path) -> None:
    there = DecisionLog(tmp_path / "there").append([FULL, decide("review", "p"), undo(2), decide("stop")])

    assert [log.take_over(there[:2]), log.take_over(there), log.take_over(there), log.take_over(there[1:])] == [
        2,
        2,
        0,
        0,
    ]
    assert log.since() == there
    (own,) = log.append([decide("review", "q")])
    assert (own.id, log.take_over(there)) == (5, 0)


def test_of_another_log_that_differs_nothing_is_taken_over(log: DecisionLog) -> None:
    written = log.append([decide("review", "p"), decide("review", "q")])
    (after,) = (replace(decide("stop"), id=3),)

    for entries, reason in (
        ([replace(written[0], key="other"), written[1], after], "decision 1 is another one there"),
        ([written[0], replace(written[1], target_title="T"), after], "decision 2 is another one there"),
        ([replace(after, id=4)], "decision 4 would be decision 3 there"),
    ):
        with pytest.raises(DecisionRefused) as refused:
            log.take_over(entries)
        assert str(refused.value) == reason
    assert log.since() == written


def test_a_reader_sees_at_once_what_another_has_written(open_log: OpenLog, tmp_path: Path) -> None:
    reader, writer = open_log(tmp_path), open_log(tmp_path)
    seen = [reader.since()]
    for number in range(3):
        writer.append([decide("review", "p", key=f"{number}")])
        seen.append(reader.since())

    assert [keys(entries) for entries in seen] == [[], ["0"], ["0", "1"], ["0", "1", "2"]]


WRITER = """
import sys
from tests.contracts.logs import open_log
from tests.recommender.decided import decide
name, count = sys.argv[2], int(sys.argv[3])
log = open_log(sys.argv[1])
for number in range(count):
    (written,) = log.append([decide("exclude", "p", f"{name}{number}", key=f"{name}-{number}")])
    print(written.id, written.key, flush=True)
"""


def write_elsewhere(address: str, name: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, address, name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_that_append_at_once_lose_nothing_and_take_turns(
    kind: Logs, open_log: OpenLog, tmp_path: Path
) -> None:
    """The log is made by whoever comes first."""
    home = tmp_path / "home"
    writers = {name: write_elsewhere(kind.address(home), name, 300) for name in ("ann", "berta")}
    reader, seen = open_log(home), list[Decision]()
    while any(writer.poll() is None for writer in writers.values()):
        seen += reader.since(seen[-1].id if seen else 0)
    seen += reader.since(seen[-1].id if seen else 0)

    told = {name: writer.communicate()[0].split() for name, writer in writers.items()}
    assert [writer.returncode for writer in writers.values()] == [0, 0]
    assert [entry.id for entry in seen] == list(range(1, 601)), "who reads on misses none"
    assert seen == reader.since()
    for name, said in told.items():
        assert said == [word for d in seen if d.key.startswith(name) for word in (str(d.id), d.key)]
        assert len(said) == 600


def test_what_was_acknowledged_is_there_after_a_kill(kind: Logs, open_log: OpenLog, tmp_path: Path) -> None:
    for turn in range(3):
        writer = write_elsewhere(kind.address(tmp_path), f"turn{turn}", 10_000)
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(5 + 20 * turn)]
        writer.send_signal(signal.SIGKILL)
        lines += [line for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]

        written = {entry.id: entry.key for entry in open_log(tmp_path).since()}
        assert writer.returncode == -signal.SIGKILL
        assert list(written) == list(range(1, len(written) + 1))
        assert {int(ident): key for ident, key in map(str.split, lines)}.items() <= written.items()


# --- Whether anything was written ---------------------------------------------------------------------------------


def test_what_is_seen_changes_with_every_commit_and_else_never(open_log: OpenLog, tmp_path: Path) -> None:
    log, other = open_log(tmp_path), open_log(tmp_path)
    watch = log.watch()
    seen = [watch.seen()]
    assert seen == [None]
    for writer in (log, other, log):
        writer.append([decide("review", "p")])
        assert watch.seen() not in seen
        seen.append(watch.seen())
        writer.since()
        watch.is_replaced()
        assert [watch.seen() for _ in range(3)] == [seen[-1]] * 3
    other.close()
    assert watch.seen() == seen[-1]
    with pytest.raises(DecisionRefused):
        log.append([undo(99)])
    assert watch.seen() == seen[-1], "what was refused is no change"
    watch.close()


@of_sqlite
def test_a_file_that_takes_the_logs_place_is_noticed(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(tmp_path / "home")
    log.append([decide("review", "p", key="before")])
    watch = log.watch()
    seen = watch.seen()
    assert not watch.is_replaced()

    open_log(tmp_path / "other").append([decide("review", "p", key="after")])
    replace_log(tmp_path / "other", tmp_path / "home")

    assert watch.is_replaced()
    watch.close()
    assert watch.seen() not in (None, seen)
    assert not watch.is_replaced()
    assert keys(open_log(tmp_path / "home").since()) == ["after"]
    (tmp_path / "home" / LOG_FILE).unlink()
    assert watch.is_replaced()
    watch.close()
    assert watch.seen() is None


def replace_log(source: Path, home: Path) -> None:
    """Put a copy of another home's log in the place of one, as an operator would."""
    copy = home / "copy"
    with closing(sqlite3.connect(source / LOG_FILE)) as db, closing(sqlite3.connect(copy)) as to:
        db.backup(to)
    for rest in ("-wal", "-shm"):
        (home / f"{LOG_FILE}{rest}").unlink(missing_ok=True)
    copy.replace(home / LOG_FILE)


# --- Damage, and other versions -----------------------------------------------------------------------------------


def spoil_header(path: Path) -> None:
    path.write_bytes(b"no database at all, whatever" * 200)


def spoil_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def lose_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE decisions")


@of_sqlite
@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, lose_a_table])
@pytest.mark.parametrize("use", [DecisionLog.since, lambda log: log.append([decide("stop")])], ids=["read", "write"])
def test_a_damaged_log_is_refused_with_a_sentence(
    open_log: OpenLog, tmp_path: Path, spoil: Callable[[Path], None], use: Callable[[DecisionLog], object]
) -> None:
    log = open_log(tmp_path)
    log.append([decide("exclude", "p", f"{number}" * 1_000) for number in range(20)])
    log.close()
    spoil(tmp_path / LOG_FILE)

    with pytest.raises(DecisionLogError) as refused:
        use(open_log(tmp_path))
    assert str(refused.value).startswith(f"the log of decisions {tmp_path / LOG_FILE} cannot be used (")
    assert str(refused.value).endswith("): free the disk, mend its permissions, or put a copy of it back")


@of_sqlite
def test_a_folder_in_the_logs_place_is_refused(log: DecisionLog, tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).mkdir()

    with pytest.raises(DecisionLogError, match=r"unable to open database file"):
        log.append([decide("stop")])


def test_a_log_of_a_newer_version_is_refused_and_left_as_it_is(
    open_log: OpenLog, engine: sa.Engine, tmp_path: Path
) -> None:
    open_log(tmp_path).append([decide("stop")])
    with engine.begin() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    for use in (DecisionLog.since, lambda log: log.append([decide("stop")])):
        with pytest.raises(DecisionLogError, match="written by a newer version, revision 9999: install that version"):
            use(open_log(tmp_path))
    with engine.connect() as db:
        assert db.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == ["9999"]
        assert db.execute(sa.text("SELECT count(*) FROM decisions")).scalar() == 1


def test_the_migrations_end_where_this_version_says() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(decision_tables.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_the_migrations_make_the_tables_that_are_read(engine: sa.Engine) -> None:
    with engine.connect() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISION
        inspector = sa.inspect(db)
        for table in metadata.sorted_tables:
            found = {column["name"]: bool(column["nullable"]) for column in inspector.get_columns(table.name)}
            assert found == {column.name: bool(column.nullable) for column in table.columns}
        assert inspector.get_unique_constraints("decisions")[0]["column_names"] == ["key"]


def test_every_commit_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / LOG_FILE)
    with engine.connect() as db:
        said = [db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    engine.dispose()

    assert said == ["wal", 2]


@of_sqlite
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_refused(log: DecisionLog, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DecisionLogError):
        log.append([decide("stop")])
    tmp_path.chmod(0o700)


@of_sqlite
def test_a_copy_of_a_log_is_a_log(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(tmp_path / "home")
    written = log.append([decide("stop"), undo(1)])
    log.close()
    shutil.copytree(tmp_path / "home", tmp_path / "copy")

    assert open_log(tmp_path / "copy").since() == written
