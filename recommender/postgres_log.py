"""The log of decisions in a PostgreSQL database, for many services: the schema related_decisions.

Entries are written on the primary, and acknowledged when it says that they are committed: with synchronous standbys
when these have them. While another host is being made the primary whoever writes waits for it, and sends the same
entries again: their keys keep them from standing there twice. They are read on the primary, so that an editor sees what
was just written; while there is none, on the host that has most of them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import TypeVar
from weakref import finalize

import psycopg
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from corpus.errors import DecisionLogError
from recommender.decision_signal import Signal, give
from recommender.decision_tables import REVISION, head, last_of, migrate, revision_of
from recommender.decisions import Decision
from recommender.postgres import VANISHED, Connection, Database
from recommender.postgres_listen import DECISIONS, Listener

T = TypeVar("T")
SCHEMA = "related_decisions"
WRITE_SECONDS = 8.0
"""So long an append waits for a primary: failing over takes Patroni, or a cloud, some seconds once it has noticed."""
LOOK_SECONDS = 3.0
"""Though nothing was heard the log is looked at this often."""
_STATEMENT_SECONDS = 5
_GIVEN_UP_AFTER = 1.0
"""Seconds after which a server that should have given up is taken for one that hangs."""
_PAUSE_SECONDS = 0.1
_REST = 1.0
"""Seconds after a read that failed in which none is tried."""
_MIGRATING = 0x52454C41_03
_DURABLE = b"""
SELECT set_config('synchronous_commit', CASE WHEN is_set IN ('off', 'local') THEN 'on' ELSE is_set END, false)
FROM current_setting('synchronous_commit') AS is_set
"""
"""A commit that a crash may take away, or a failover, is none: a server that does not wait is told to."""


class PostgresLog:
    """See LogPlace. folder: where the processes of this machine tell each other that one has written, see Signal."""

    def __init__(self, database: Database, folder: Path, listener: Listener) -> None:
        self.name = database.name
        self._folder, self._listener = folder, listener
        self._primary = _engine(database)
        self._each = [_engine(database, host) for host in database.hosts]
        self._is_made = False
        self._least = 0
        self._away: tuple[float, str] | None = None
        finalize(self, self._primary.dispose)

    def read(self, work: Callable[[sa.Connection], list[Decision]]) -> list[Decision]:
        """See LogPlace."""
        return self._read(work) or []

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """See LogPlace."""
        until = time.monotonic() + WRITE_SECONDS
        with self._telling():
            while True:
                try:
                    done = self._write(work, until)
                    break
                except (DBAPIError, _Unconfirmed) as error:
                    if not _may_pass(error) or time.monotonic() + _PAUSE_SECONDS >= until:
                        raise
                    time.sleep(_PAUSE_SECONDS)
        self._away = None
        give(self._folder)
        return done

    def watch(self, make_signal: bool) -> "PostgresWatch":
        """See LogPlace."""
        return PostgresWatch(self, Signal(self._folder, make_signal), self._listener)

    def last(self) -> object:
        """What is last in the log: another value once something was written, or another log took its place. None where
        there is no log. Raises DecisionLogError."""
        return self._read(last_of)

    def close(self) -> None:
        """See LogPlace."""
        self._primary.dispose()

    def _read(self, work: Callable[[sa.Connection], T]) -> T | None:
        """What the work finds; None where there is no log."""
        if self._away and time.monotonic() < self._away[0]:
            raise DecisionLogError(self._away[1])
        try:
            with self._telling():
                try:
                    return self._find(self._primary, work)
                except DBAPIError as error:
                    if not _may_pass(error):
                        raise
                return self._find_most(work)
        except DecisionLogError as error:
            self._away = time.monotonic() + _REST, str(error)
            raise

    def _find(self, engine: sa.Engine, work: Callable[[sa.Connection], T], least: int = 0) -> T | None:
        """What the work finds on a host. least: the last entry that it must have; None is returned where it has not."""
        with engine.connect() as db:
            if not self._has_tables(db):
                return None
            last = int(db.execute(sa.select(head.c.last)).scalar_one())
            if last < least:
                return None
            self._least = last
            return work(db)

    def _find_most(self, work: Callable[[sa.Connection], T]) -> T | None:
        """What the work finds on the host that has most of the log: of several standbys one may be behind."""
        found: dict[sa.Engine, int] = {}
        fault: DBAPIError | None = None
        for engine in self._each:
            try:
                with engine.connect() as db:
                    found[engine] = int(db.execute(sa.select(head.c.last)).scalar_one()) if self._has_tables(db) else 0
            except DBAPIError as error:
                if not _may_pass(error):
                    raise
                fault = error
        if not found:
            raise fault or AssertionError
        most = max(found, key=found.__getitem__)
        if found[most] < self._least:
            raise DecisionLogError(
                f"the log of decisions in {self.name} can be read on a standby only, which does not have all of it "
                "yet: see to the primary"
            )
        return self._find(most, work)

    def _has_tables(self, db: sa.Connection) -> bool:
        """Whether there is a log; one of an older version becomes one of this."""
        if not self._is_made:
            found = revision_of(db)
            if found is None:
                return False
            if found != REVISION:
                self._make()
            self._is_made = True
        return True

    def _make(self) -> None:
        with self._primary.begin() as db:
            db.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))  # one process at a time does this
            db.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            if revision_of(db) != REVISION:
                migrate(db)
        self._is_made = True

    def _write(self, work: Callable[[sa.Connection], T], until: float) -> T:
        if not self._is_made:
            with self._primary.connect() as db:
                is_there = self._has_tables(db)
            if not is_there:
                self._make()
        with self._primary.connect() as db, _confirmed(db, until), db.begin():
            done = work(db)
            db.execute(sa.select(sa.func.pg_notify(DECISIONS, "")))
        return done

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What goes wrong in the database, as a sentence."""
        try:
            yield
        except (SQLAlchemyError, _Unconfirmed, ValueError) as error:
            if isinstance(getattr(error, "orig", None), errors.UndefinedTable):
                self._is_made = False
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            raise DecisionLogError(
                f"the log of decisions in {self.name} cannot be used ({cause[:300]}): see to the database and try "
                "again; what was acknowledged before is kept"
            ) from error


class PostgresWatch:
    """See LogWatch."""

    def __init__(self, log: PostgresLog, signal: Signal, listener: Listener) -> None:
        self._log, self._signal, self._listener = log, signal, listener
        self._heard: int | None = None
        self._seen: object = None
        self._told: object = None
        self._due = 0.0

    def hint(self) -> object:
        """See LogWatch. That nothing can be heard any more is no hint: requests must not wait for what is away."""
        heard = self._listener.heard(DECISIONS)
        if heard is not None:
            self._heard = heard
        return self._signal.seen(), self._heard

    def seen(self) -> object:
        """See LogWatch. The database is asked when there is a hint, or it was not for a while."""
        told, now = (self._signal.seen(), self._listener.heard(DECISIONS)), time.monotonic()
        if told != self._told or None in told or now >= self._due:
            try:
                self._seen = self._log.last()
            except DecisionLogError:  # the log's reader will say what is wrong
                self._seen = _AWAY
            self._told, self._due = told, now + LOOK_SECONDS
        return self._seen

    def is_replaced(self) -> bool:
        """See LogWatch: the connections stay right, whatever happens to the tables."""
        return False

    def close(self) -> None:
        """See LogWatch."""
        self._told = None


_AWAY = "away"


class _Unconfirmed(Exception):
    """A commit of which the server does not say that it outlasts a failover."""


def _engine(database: Database, host: Mapping[str, str] | None = None) -> sa.Engine:
    """For the primary, or for one of its hosts, whatever that is."""
    settings = {
        "search_path": SCHEMA,
        "statement_timeout": f"{_STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{_STATEMENT_SECONDS}s",
        **VANISHED,
    }

    def connect() -> Connection:
        db = database.connect(_STATEMENT_SECONDS + _GIVEN_UP_AFTER, host)
        try:
            for name, value in settings.items():
                db.execute("SELECT set_config(%s, %s, false)", (name, value))
            db.execute(_DURABLE)
            db.commit()
        except psycopg.Error:
            db.close()
            raise
        return db

    url = "postgresql+psycopg://"
    if host is not None:  # it is used while there is no primary only
        return sa.create_engine(url, creator=connect, poolclass=NullPool)
    return sa.create_engine(url, creator=connect, pool_pre_ping=True, pool_recycle=300, pool_timeout=WRITE_SECONDS)


def _may_pass(error: Exception) -> bool:
    """Whether it may go well a moment later, or on another host."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(
        cause,
        _Unconfirmed
        | psycopg.OperationalError
        | psycopg.InterfaceError
        | errors.ReadOnlySqlTransaction
        | errors.IdleInTransactionSessionTimeout,
    )


@contextmanager
def _confirmed(db: sa.Connection, until: float) -> Iterator[None]:
    """Holds a transaction up to the end of its commit. Raises _Unconfirmed when the server warned about that.

    A commit that waits for a standby that is away would wait for ever. It is given up, and then has happened here
    alone; PostgreSQL calls that a warning.
    """
    driver = db.connection.driver_connection
    assert isinstance(driver, Connection)  # noqa: S101 (for mypy)
    warnings: list[str] = []

    def note(told: errors.Diagnostic) -> None:
        if told.severity_nonlocalized == "WARNING":
            warnings.append(told.message_primary or "a warning")

    driver.add_notice_handler(note)
    left = max(until - time.monotonic(), _PAUSE_SECONDS)
    timer = Timer(left, _cancel, (driver,))
    timer.daemon = True
    timer.start()
    usual, driver.limit = driver.limit, left + 2 * _GIVEN_UP_AFTER
    try:
        yield
    finally:
        driver.limit = usual
        timer.cancel()
        timer.join()
        driver.remove_notice_handler(note)
    if warnings:
        raise _Unconfirmed(f"it may stand there, but no other host has it for sure: {warnings[0]}")


def _cancel(driver: psycopg.Connection) -> None:
    with suppress(psycopg.Error):  # it is lost already, as the one who waits will hear
        driver.cancel_safe(timeout=_GIVEN_UP_AFTER)
