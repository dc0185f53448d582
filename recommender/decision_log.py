"""The log of editors' decisions in a database: append-only, each entry once. The only importer of SQLAlchemy.

    <home>/decisions.sqlite3    by default: write-ahead log, every commit flushed to the disk before it is acknowledged

The tables are made and changed by the migrations in recommender/migrations. The SQL is plain, so that another database
may take SQLite's place.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from corpus.errors import DecisionLogError, DecisionRefused
from recommender.decision_signal import give
from recommender.decisions import LOG_FILE, MAX_KEY, Decision, check

REVISION = "0001"
"""The newest migration."""
BUSY_SECONDS = 20
_MIGRATIONS = Path(__file__).parent / "migrations"


class Moment(sa.TypeDecorator[datetime]):
    """A time in UTC; databases keep it without a zone."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To the database."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(MAX_KEY), nullable=False, unique=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("position", sa.Integer),
    sa.Column("weight", sa.Float),
    sa.Column("state", sa.String(16)),
    sa.Column("editor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("expires", Moment),
    sa.Column("undoes", sa.Integer, sa.ForeignKey("decisions.id")),
    sa.Column("edition", sa.Text),
    sa.Column("source_title", sa.Text),
    sa.Column("source_url", sa.Text),
    sa.Column("target_title", sa.Text),
    sa.Column("target_url", sa.Text),
)
head = sa.Table(
    "head",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.Integer, nullable=False),
)
"""One row: the id of the last entry. Whoever appends changes it first, and so waits for whoever is appending: entries
are seen in the order of their ids, and a reader who asks for those after the last it knows misses none."""


class DecisionLog:
    """The log of one home, for many threads and processes. All of it raises DecisionLogError.

    A log that does not exist yet is empty, and made by the first append.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / LOG_FILE
        self._engine: sa.Engine | None = None
        self._opened: tuple[int, int] | None = None

    def append(self, entries: Sequence[Decision], undoing: Mapping[str, str] | None = None) -> list[Decision]:
        """Write entries, all or none, and return them with their ids once they are on the disk.

        An entry whose key is in the log already is not written again; what stands there is returned.
        undoing: of entries from elsewhere, which know no ids of this log: their keys -> the keys of what they undo.
        Raises DecisionRefused when an entry makes no sense, undoes what is not there, or has another's key.
        """
        checked = [check(entry) for entry in entries]
        with self._writing() as db:
            db.execute(sa.update(head).values(last=head.c.last + 0))  # the lock, before anything is read
            undoing = undoing or {}
            keys = [entry.key for entry in checked] + sorted(undoing.values())
            written = {entry.key: entry for entry in self._with_keys(db, keys)}
            last = int(db.execute(sa.select(head.c.last)).scalar_one())
            found, rows = list[Decision](), list[dict[str, Any]]()
            for entry in checked:
                if entry.key in undoing:
                    entry = _undoing(entry, written.get(undoing[entry.key]))
                if entry.key not in written:
                    last += 1
                    written[entry.key] = replace(entry, id=last)
                    rows.append(asdict(written[entry.key]))
                elif _said(written[entry.key]) != _said(entry):
                    raise DecisionRefused(f"the key {entry.key} is another decision's: send a new one")
                found.append(written[entry.key])
            self._check_undone(rows)
            if rows:
                db.execute(sa.insert(decisions), rows)
                db.execute(sa.update(head).values(last=last))
        give(self._path.parent)
        return found

    def since(self, last: int = 0) -> list[Decision]:
        """The entries after this id, in order."""
        with self._reading() as db:
            return self._select(db, decisions.c.id > last) if db is not None else []

    def watch(self) -> "LogWatch":
        """What tells, at hardly any cost, whether something was written."""
        return LogWatch(self._path)

    def close(self) -> None:
        """Close what is open."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _with_keys(self, db: sa.Connection, keys: Sequence[str]) -> list[Decision]:
        found: list[Decision] = []
        for start in range(0, len(keys), _MANY):
            found += self._select(db, decisions.c.key.in_(keys[start : start + _MANY]))
        return found

    @staticmethod
    def _check_undone(rows: Sequence[dict[str, Any]]) -> None:
        """An undo names an entry before it: ids have no gaps."""
        for row in rows:
            if row["undoes"] is not None and not 0 < row["undoes"] < row["id"]:
                raise DecisionRefused(f"there is no decision {row['undoes']} to undo")

    @staticmethod
    def _select(db: sa.Connection, where: sa.ColumnElement[bool]) -> list[Decision]:
        rows = db.execute(sa.select(decisions).where(where).order_by(decisions.c.id))
        return [Decision(**row) for row in rows.mappings()]

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        if self._engine is None and not self._path.exists():
            yield None
            return
        with self._told(), self._open().connect() as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._told(), self._open().begin() as db:
            yield db

    def _open(self) -> sa.Engine:
        """The engine, a new one when another file has taken the log's place: a copy that was put back."""
        if self._engine is not None and _inode(self._path) != self._opened:
            self.close()
        if self._engine is None:
            engine = _engine(self._path)
            _upgrade(engine, self._path)
            self._engine, self._opened = engine, _inode(self._path)
        return self._engine

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong in the database, as a sentence."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
            cause = getattr(error, "orig", None) or error
            raise DecisionLogError(
                f"the log of decisions {self._path} cannot be used ({cause}): free the disk, mend its permissions, or "
                "put a copy of it back"
            ) from error


class LogWatch:
    """Tells whether a log has changed: `seen()` gives another value after each commit of any process."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._db: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None

    def seen(self) -> object:
        """What to compare with what it was before. None while there is no log."""
        if self._db is None and not self._connect():
            return None
        assert self._db is not None  # noqa: S101 (for mypy)
        try:
            return self._db.execute("PRAGMA data_version").fetchone(), self._opened
        except sqlite3.Error:  # the log's reader will say what is wrong
            return None, self._opened

    def is_replaced(self) -> bool:
        """Whether another file has taken the log's place, or none."""
        return self._db is not None and _inode(self._path) != self._opened

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connect(self) -> bool:
        inode = _inode(self._path)
        if inode is None:
            return False
        try:
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        except sqlite3.Error:
            return False
        self._opened = inode
        return True


def _inode(path: str | Path) -> tuple[int, int] | None:
    """Which file stands there; None when none does."""
    try:
        found = os.stat(path)  # noqa: PTH116 (a quarter of the time)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _undoing(entry: Decision, undone: Decision | None) -> Decision:
    if undone is None:
        raise DecisionRefused(f"decision {entry.key} undoes one that stands neither in the log nor before it")
    return replace(entry, undoes=undone.id)


_MANY = 500
_UNSAID = {"id", "at", "edition", "source_title", "source_url", "target_title", "target_url"}
_SAID = [entry.name for entry in fields(Decision) if entry.name not in _UNSAID]


def _said(decision: Decision) -> list[Any]:
    """What is the same when a decision is sent twice."""
    return [getattr(decision, name) for name in _SAID]


def _engine(path: Path) -> sa.Engine:
    """An engine for SQLite whose transactions begin with the lock for writing where they may write."""
    engine = sa.create_engine(f"sqlite:///{path.absolute()}", connect_args={"timeout": BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _connected(db: sqlite3.Connection, record: object) -> None:
        db.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begun(db: sa.Connection) -> None:
        db.exec_driver_sql("BEGIN")

    return engine


def _upgrade(engine: sa.Engine, path: Path) -> None:
    """Bring the tables to the newest migration; one process at a time does this."""
    if path.exists() and _revision(engine) == REVISION:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _revision(engine)
        if found == REVISION:
            return
        if found is not None and found > REVISION:
            raise ValueError(f"it was written by a newer version, revision {found}: install that version")
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        with engine.begin() as db:
            config.attributes["connection"] = db
            command.upgrade(config, "head")


def _revision(engine: sa.Engine) -> str | None:
    """The migration that the tables are at; None when there are none."""
    with engine.connect() as db:
        if not sa.inspect(db).has_table("alembic_version"):
            return None
        found = db.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)
