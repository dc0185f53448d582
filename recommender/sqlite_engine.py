"""What SQLAlchemy must know of SQLite to keep a log of decisions there."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from corpus.errors import DecisionLogError
from recommender.decision_tables import REVISION, migrate, revision_of

BUSY_SECONDS = 20


def open_engine(path: Path) -> sa.Engine:
    """An engine for the log in this file, which is made where there is none; its tables are those of this version.

    Raises ValueError when they are of a newer one.
    """
    engine = _engine(path)
    if not (path.exists() and _revision(engine) == REVISION):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:  # one process at a time does this
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _revision(engine) != REVISION:
                with engine.begin() as db:
                    migrate(db)
    return engine


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """What goes wrong in the database, as a sentence."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
        cause = getattr(error, "orig", None) or error
        raise DecisionLogError(
            f"the log of decisions {path} cannot be used ({cause}): free the disk, mend its permissions, or "
            "put a copy of it back"
        ) from error


def _engine(path: Path) -> sa.Engine:
    """An engine for the file."""
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


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as db:
        return revision_of(db)
