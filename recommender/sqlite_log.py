"""A home's log of decisions, in a file of SQLite: write-ahead log, every commit on the disk before it is acknowledged.

<home>/decisions.sqlite3
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recommender.decision_signal import Signal, give
from recommender.decisions import LOG_FILE, Decision

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


class SqliteLog:
    """See LogPlace. SQLAlchemy is loaded when there is a file, or one is made."""

    def __init__(self, home: Path) -> None:
        self._home, self._path = home, home / LOG_FILE
        self.name = str(self._path)
        self._engine: sa.Engine | None = None
        self._opened: tuple[int, int] | None = None

    def read(self, work: "Callable[[sa.Connection], list[Decision]]") -> list[Decision]:
        """See LogPlace."""
        if self._engine is None and not self._path.exists():
            return []
        from recommender.sqlite_engine import telling

        with telling(self._path), self._open().connect() as db:
            return work(db)

    def write(self, work: "Callable[[sa.Connection], T]") -> T:
        """See LogPlace."""
        from recommender.sqlite_engine import telling

        with telling(self._path), self._open().begin() as db:
            done = work(db)
        give(self._home)
        return done

    def watch(self, make_signal: bool) -> "SqliteWatch":
        """See LogPlace."""
        return SqliteWatch(self._home, make_signal)

    def close(self) -> None:
        """See LogPlace."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _open(self) -> "sa.Engine":
        """The engine, a new one when another file has taken the log's place: a copy that was put back."""
        from recommender.sqlite_engine import open_engine

        if self._engine is not None and _inode(self._path) != self._opened:
            self.close()
        if self._engine is None:
            self._engine = open_engine(self._path)
            self._opened = _inode(self._path)
        return self._engine


class SqliteWatch:
    """See LogWatch."""

    def __init__(self, home: Path, make_signal: bool) -> None:
        self._path = str(home / LOG_FILE)
        self._signal = Signal(home, make_signal)
        self._db: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None

    def hint(self) -> object:
        """See LogWatch."""
        return self._signal.seen()

    def seen(self) -> object:
        """See LogWatch."""
        if self._db is None and not self._connect():
            return None
        assert self._db is not None  # noqa: S101 (for mypy)
        try:
            return self._db.execute("PRAGMA data_version").fetchone(), self._opened
        except sqlite3.Error:  # the log's reader will say what is wrong
            return None, self._opened

    def is_replaced(self) -> bool:
        """See LogWatch."""
        return self._db is not None and _inode(self._path) != self._opened

    def close(self) -> None:
        """See LogWatch. The signal stays where it is: nothing is ever put in its place."""
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
