"""Connections to a PostgreSQL database: its primary for writing, its standbys, where there are any, for reading.

A URL with several hosts (postgresql://USER@HOST:PORT,HOST:PORT/DATABASE) is that of a primary and its standbys, in any
order. Whatever the URL says of a connection (`?connect_timeout=5`) goes before what is said here.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakValueDictionary, finalize

import psycopg
from psycopg import adapters, errors, sql
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from corpus.errors import EditionError, StoreAway

_CONNECTING: dict[str, Any] = {
    "application_name": "related-articles",
    "connect_timeout": 2,  # seconds, for each host
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 3_000,
}
"""So a host that has vanished without a word is given up after some three seconds."""
_READING = {"target_session_attrs": "prefer-standby", "load_balance_hosts": "random"}
_READING_ONE_HOST = {"target_session_attrs": "any"}
_READ_SECONDS = 5
"""A look-up that takes longer is given up: by the server, or a second later here, for one that hangs keeps no time."""
_STALLED_MS = 60_000
"""So long a server may leave what it is sent unread while an edition is uploaded."""
VANISHED = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""Settings of a session that holds locks: the server notices within half a minute that we have vanished, not after two
hours."""
_ATTEMPTS = 3
"""Standby, another one, primary."""
_IDLE = 8
"""So many connections are kept for the next look-ups."""
_LIFE = 300.0
"""Seconds that a connection is used: then a host that was away gets its share again."""
_REST = 1.0
"""Seconds after a failed connection in which none is tried: requests must not queue for hosts that are away."""

_SET = b"SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS given (name, value)"

Row = tuple[Any, ...]


class Halfvec(NamedTuple):
    """A vector as a value of a query, in the bytes of pgvector. As numbers in a text it would take a quarter of
    the time of a quick search."""

    data: bytes


class _HalfvecDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Halfvec) -> bytes:
        return obj.data


adapters.register_dumper(Halfvec, _HalfvecDumper)  # a connection knows what was registered before it was opened


class Connection(psycopg.Connection[Row]):
    """A connection that ends when the server does not answer in time. limit: in seconds; None waits for ever."""

    limit: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's, for at most so many seconds, or the limit. Raises OperationalError when they are over."""
        if timeout is not None or self.limit is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.limit)
        except errors._WaitTimeout:  # as its own callers catch it
            self.close()
            raise psycopg.OperationalError(f"no answer within {self.limit:g} seconds") from None


class Database:
    """A database, for many threads. name: its URL without user and password. All of it raises StoreAway where no host
    answers; open one with open_database()."""

    def __init__(self, url: str) -> None:
        given = _parts(url)
        self.name = _name(given)
        known = _CONNECTING | given
        self._writing = {**known, "target_session_attrs": "read-write"}
        self._uploading = (
            _CONNECTING | {"tcp_user_timeout": _STALLED_MS} | given | {"target_session_attrs": "read-write"}
        )
        self.hosts = _each_host(self._writing)
        self._primary = _Connections(self.name, self._writing)
        self._has_standbys = len(self.hosts) > 1
        self._readers = _Connections(self.name, (_READING if self._has_standbys else _READING_ONE_HOST) | known)

    def rows(
        self,
        query: bytes,
        values: Sequence[object] = (),
        settings: Mapping[str, object] | None = None,
        prepared: bool = True,
    ) -> list[Row]:
        """What a query finds on a standby; on the primary where the standby has not heard of the table yet, or there is
        no standby. Raises UndefinedTable where nobody has.

        settings: of the server, for this query alone. prepared: whether one plan may do for any values.
        """
        with telling(self.name):
            try:
                return self._readers.rows(query, values, settings, prepared)
            except errors.UndefinedTable:
                if not self._has_standbys:
                    raise
                return self._primary.rows(query, values, settings, prepared)

    def rows_of_primary(self, query: bytes, values: Sequence[object] = ()) -> list[Row]:
        """What a query finds on the primary. Raises UndefinedTable."""
        with telling(self.name):
            return self._primary.rows(query, values)

    def newest_rows(self, query: bytes, values: Sequence[object] = ()) -> list[Row]:
        """What a query finds on the primary; on a standby, which may be behind, while no primary answers. Raises
        UndefinedTable."""
        try:
            return self.rows_of_primary(query, values)
        except StoreAway:
            return self.rows(query, values)

    def connect(self, limit: float, host: Mapping[str, str] | None = None) -> Connection:
        """A new connection to the primary, or to one of `hosts`, whichever it is; without the sentences of telling().
        limit: see Connection."""
        one = {} if host is None else {**host, "target_session_attrs": "any"}
        db = Connection.connect(**self._writing | one)
        db.limit = limit
        return db

    @contextmanager
    def primary(self, limit: float | None = None) -> Iterator[Connection]:
        """A connection of its own to the primary; each statement is a transaction, and may take as long as it wants, or
        the limit: see Connection."""
        with telling(self.name), Connection.connect(**self._uploading, autocommit=True) as db:
            db.limit = limit
            for name, value in {**VANISHED, "statement_timeout": "0"}.items():
                db.execute("SELECT set_config(%s, %s, false)", (name, value))
            yield db


class _Connections:
    """Connections to one kind of host, kept for reading.

    They are opened by whoever needs one: the next look-up leaves a host that went away, and none waits for others.
    """

    def __init__(self, name: str, conninfo: dict[str, Any]) -> None:
        self._name, self._conninfo = name, conninfo
        self._lock = Lock()
        self._idle: list[tuple[float, Connection]] = []
        self._away: tuple[float, str] | None = None
        finalize(self, _close_all, self._idle)

    def rows(
        self,
        query: bytes,
        values: Sequence[object],
        settings: Mapping[str, object] | None = None,
        prepared: bool = True,
    ) -> list[Row]:
        """What a query finds; it is asked again on another connection where one breaks."""
        for attempt in range(1, _ATTEMPTS + 1):
            opened, db = self._take()
            try:
                found = _run(db, query, values, settings, prepared)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if attempt == _ATTEMPTS or not (
                    db.broken or db.closed or isinstance(error, errors.SerializationFailure)
                ):
                    raise
                self._drop_idle()  # they have most likely lost the same host
            else:
                return found
            finally:
                self._give(opened, db)
        raise AssertionError  # for mypy

    def _take(self) -> tuple[float, Connection]:
        with self._lock:
            while self._idle:
                opened, db = self._idle.pop()
                if time.monotonic() - opened < _LIFE:
                    return opened, db
                db.close()
            if self._away and time.monotonic() < self._away[0]:
                raise StoreAway(self._away[1])
        return time.monotonic(), self._connect()

    def _give(self, opened: float, db: Connection) -> None:
        with self._lock:
            if not db.closed and len(self._idle) < _IDLE:
                self._idle.append((opened, db))
                return
        db.close()

    def _drop_idle(self) -> None:
        with self._lock:
            _close_all(self._idle)

    def _connect(self) -> Connection:
        try:
            with telling(self._name):
                db = Connection.connect(**self._conninfo, autocommit=True)
                db.limit = _READ_SECONDS + 1
                db.execute(f"SET statement_timeout = {_READ_SECONDS * 1000}".encode())
        except StoreAway as error:
            self._away = time.monotonic() + _REST, str(error)
            raise
        self._away = None
        return db


def _run(
    db: Connection,
    query: bytes,
    values: Sequence[object],
    settings: Mapping[str, object] | None,
    prepared: bool,
) -> list[Row]:
    if not settings:
        return db.execute(query, values, prepare=prepared, binary=True).fetchall()
    with db.pipeline(), db.transaction():  # one round trip
        db.execute(_SET, (list(settings), [str(value) for value in settings.values()]), prepare=True)
        return db.execute(query, values, prepare=prepared, binary=True).fetchall()


def _close_all(idle: list[tuple[float, Connection]]) -> None:
    while idle:
        idle.pop()[1].close()


_open: WeakValueDictionary[str, Database] = WeakValueDictionary()
_opening = Lock()


def open_database(url: str) -> Database:
    """The database at this URL, one for all of the process. Raises StoreAway when the URL makes no sense."""
    with _opening:
        database = _open.get(url)
        if database is None:
            database = _open[url] = Database(url)
        return database


@contextmanager
def telling(name: str) -> Iterator[None]:
    """What goes wrong in the database of this name, as a sentence. A table that is missing, and a value that PostgreSQL
    does not take, are left to those who know what that means."""
    try:
        yield
    except (errors.UndefinedTable, psycopg.DataError):
        raise
    except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction) as error:
        raise StoreAway(
            f"{name} does not answer ({in_one_line(error)}): see to the database and try again; what was published "
            "before stays as it was"
        ) from error
    except psycopg.Error as error:
        raise EditionError(
            f"{name} cannot be used ({in_one_line(error)}): see to the database and its permissions and try again"
        ) from error


def _each_host(given: Mapping[str, Any]) -> list[dict[str, str]]:
    """The hosts of a connection's parts, each with its address and port where these are given."""
    named = {part: str(given[part]).split(",") for part in ("host", "hostaddr", "port") if given.get(part)}
    count = max((len(values) for values in named.values()), default=1)
    return [
        {part: values[place] if len(values) == count else values[0] for part, values in named.items()}
        for place in range(count)
    ]


def _name(given: dict[str, Any]) -> str:
    """Its hosts, as in a URL, and the database."""
    hosts = (f"{host.get('host', '')}:{host.get('port', '')}".rstrip(":") for host in _each_host(given))
    return f"postgresql://{','.join(hosts)}/{given.get('dbname') or given.get('user') or ''}"


def _parts(url: str) -> dict[str, Any]:
    """The URL's parts, as libpq calls them. Nothing is said of a wrong one, or one whose password has an @, / or : that
    is not written as %40, %2F or %3A: it might show the password."""
    with suppress(psycopg.ProgrammingError):
        given = {part: value for part, value in conninfo_to_dict(url).items() if value is not None}
        if "@" not in str(given.get("host", "")) and str(given.get("port", "0")).replace(",", "0").isdigit():
            return given
    raise StoreAway(
        "the database's URL makes no sense: it should be postgresql://USER@HOST:PORT/DATABASE, in a password %40 for "
        "@, %3A for : and %2F for / (setting `store`)"
    )


def in_one_line(error: Exception) -> str:
    """What PostgreSQL says, as a part of a sentence."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 300 else f"{said[:300]}..."


def in_schema(query: str, *schemas: str) -> bytes:
    """A query in which {} stands for a schema, or {0}, {1} for several."""
    return sql.SQL(query).format(*map(sql.Identifier, schemas)).as_bytes(None)
