"""Editions in a PostgreSQL database, for many services: each in a schema of its own (postgres_upload.py).

    related.editions    a row an edition: id, manifest.json, layout, the marker of one held back, when it was dropped
    related.current     one row: the edition that is shown, and its turn, a number that grows with each switch

They are made by the first publish. Which edition is shown changes in one transaction, which tells everyone who listens
to `related_edition`. An edition that is dropped goes from the tables at once, and from the disk with a later publish:
services may be reading it still.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from threading import get_native_id
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg.errors import UndefinedTable

from corpus.errors import EditionError, NoEdition, StoreAway
from recommender.disk import write_whole
from recommender.edition import (
    ESSAYS,
    MANIFEST,
    VECTORS,
    WAY_OUT,
    Edition,
    check_edition,
    is_edition_id,
    read_manifest,
)
from recommender.list_store import EssayLists, Items
from recommender.postgres import Database, Row, in_one_line, in_schema, open_database
from recommender.postgres_listen import EDITIONS, Listener
from recommender.postgres_lists import PostgresLists
from recommender.postgres_upload import TABLES, UPLOAD, schema_of, upload, wait_for_upload
from recommender.publish_gate import Held, marker_from, signed, to_text
from recommender.publishing import EditionSummary, Prepare, earlier, newest_held, superseded, writing_to

if TYPE_CHECKING:
    from recommender.decision_log import DecisionLog
    from recommender.live_vectors import LiveVectors

LAYOUT = 2
"""Of an edition's schema; goes up with each change to it."""
OLDEST_SERVER = 160_000
"""PostgreSQL 16; the number is libpq's."""
OLDEST_PGVECTOR = (0, 8)
"""The first that goes on searching where a filter leaves too few."""
_GRACE = "1 minute"
"""So long the schema of a dropped edition stays at least."""
_LOOK_SECONDS = 2.0
"""Though nothing was heard of another current edition the database is asked this often."""
_TURN_SECONDS = 30.0
"""So long a rollback waits for an answer: a switch takes milliseconds."""
_NOTHING = (0, "")
_TURNING = 0x52454C41_02
_MAKE = """
CREATE SCHEMA IF NOT EXISTS related;
CREATE TABLE IF NOT EXISTS related.editions (
    id text PRIMARY KEY, manifest text NOT NULL, layout int NOT NULL, held text, dropped timestamptz
);
CREATE TABLE IF NOT EXISTS related.current (
    one int PRIMARY KEY CHECK (one = 1), id text NOT NULL REFERENCES related.editions, turn bigint NOT NULL
);
"""
_ENTRY = """
SELECT id, manifest, layout, held, ARRAY(
    SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'related_' || id
) FROM related.editions WHERE dropped IS NULL
"""
_ENTRIES = _ENTRY.encode()
_ONE = f"{_ENTRY} AND id = %s".encode()
_IDS = b"SELECT id FROM related.editions WHERE dropped IS NULL"
_PGVECTOR = b"SELECT extversion FROM pg_extension WHERE extname = 'vector'"
_CURRENT = b"SELECT turn, id FROM related.current"
_SWITCH = """
INSERT INTO related.current AS now VALUES (1, %s, 1)
ON CONFLICT (one) DO UPDATE SET id = excluded.id, turn = now.turn + 1
"""
_Progress = Callable[[int], object]
_Ask = Callable[[bytes, Sequence[object]], list[Row]]


class _Entry(NamedTuple):
    """An edition as the database lists it. marker: of one that was held back. tables: and indices, of its schema."""

    id: str
    manifest: str
    layout: int
    marker: str | None
    tables: list[str]

    @property
    def held(self) -> Held | None:
        """The marker of an edition that is held back now."""
        marker = marker_from(self.id, self.marker) if self.marker else None
        return None if marker is None or marker.signed_by is not None else marker

    def checked(self) -> dict[str, Any]:
        """The manifest. Raises EditionError when the edition cannot be read."""
        manifest = read_manifest(self.id, self.manifest)
        if self.layout != LAYOUT:
            raise EditionError(
                f"edition {self.id} is stored in layout {self.layout}, this version reads {LAYOUT}: run `related build`"
            )
        for table in TABLES:
            if table not in self.tables:
                raise EditionError(f"edition {self.id} is half there: table {table} is missing; {WAY_OUT}")
        return manifest


class PostgresEdition(Edition):
    """An edition in a database. folder: where its files are put when they are asked for."""

    def __init__(self, folder: Path, manifest: dict[str, Any], text: str, database: Database) -> None:
        super().__init__(folder, manifest, PostgresLists(database, schema_of(folder.name)))
        self._text, self._database = text, database

    def check(self, files: Iterable[str] | None = None) -> None:
        """Have these files (by default all) in the folder, as they were written. Raises EditionError."""
        for name in self.manifest["files"] if files is None else files:
            try:
                check_edition(self.folder, (name,))
            except EditionError:
                with writing_to(self.folder):
                    self._fetch(name)
                check_edition(self.folder, (name,))

    def essay_record(self, ident: str) -> dict[str, Any]:
        """The essay in full, as `related parse` prints it."""
        self.find(ident)
        for (record,) in self._rows("SELECT record FROM {}.essays WHERE id = %s", ident):
            return dict(json.loads(record))
        return super().essay_record(ident)  # which says what is missing

    def _items_of(self, lists: EssayLists) -> Items:
        """All items, those of the lists read in one go."""
        entries = (*lists.curated, *lists.candidates, *lists.unlinked)
        return Items(self._store, self._store.named([lists.id, *(entry.id for entry in entries)]))

    def check_sizes(self) -> None:
        """Raises EditionError unless the database has all of every file; essays are rows there, and not counted."""
        found: dict[str, int] = dict(self._rows("SELECT name, sum(length(data))::bigint FROM {}.files GROUP BY name"))
        for name, (size, _) in self.manifest["files"].items():
            if name != ESSAYS and size != found.get(name, 0):
                raise EditionError(f"edition {self.id} is damaged: {name} is not what was written; {WAY_OUT}")

    def live_vectors(self) -> "LiveVectors | None":
        """See Edition.live_vectors."""
        if VECTORS not in self.manifest["files"]:
            return None
        from recommender.postgres_search import PostgresSearch  # which needs numpy

        return PostgresSearch(self._database, schema_of(self.id), self.manifest["encoder"])

    def _fetch(self, name: str) -> None:
        if not self.folder.is_dir():
            self._clear_others()
            self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / MANIFEST, self._text)
        aside = self.folder / f".{name}-{get_native_id()}"
        try:
            with aside.open("wb") as file:
                file.writelines(self._lines() if name == ESSAYS else self._parts(name))
            aside.replace(self.folder / name)
        finally:
            aside.unlink(missing_ok=True)

    def _clear_others(self) -> None:
        """Remove the files of editions that the database has no longer."""
        there = {ident for (ident,) in self._database.newest_rows(_IDS)}
        for folder in self.folder.parent.glob("*"):
            if folder.name not in there:
                shutil.rmtree(folder, ignore_errors=True)

    def _lines(self) -> Iterator[bytes]:
        last = 0
        while rows := self._rows("SELECT number, record FROM {}.essays WHERE number > %s ORDER BY 1 LIMIT 500", last):
            last = rows[-1][0]
            yield from (f"{record}\n".encode() for _, record in rows)

    def _parts(self, name: str) -> Iterator[bytes]:
        for part in count():
            rows = self._rows("SELECT data FROM {}.files WHERE name = %s AND part = %s", name, part)
            if not rows:
                return
            yield rows[0][0]

    def _rows(self, query: str, *values: object) -> list[Row]:
        try:
            return self._database.rows(in_schema(query, schema_of(self.id)), values)
        except UndefinedTable:
            raise EditionError(
                f"edition {self.id} is gone from {self._database.name}: see `related editions`"
            ) from None


class PostgresStore:
    """See Store. Files of editions are put into the home's cache when they are asked for."""

    def __init__(self, url: str, home: Path) -> None:
        self._database = open_database(url)
        self._listener = Listener(self._database)
        self._home, self._folder = home, home / "cache" / "editions"
        self._known = _NOTHING
        self._heard: int | None = None
        self._due = 0.0
        self.name = self._database.name

    def current_id(self) -> str:
        """See Store."""
        self._look()
        _, ident = self._known
        if not ident:
            raise NoEdition(f"no edition in {self.name} yet: run `related build SOURCE...` with this store")
        return ident

    def open(self, ident: str, quickly: bool = False) -> Edition:
        """See Store."""
        if not is_edition_id(ident):
            raise EditionError(f"{ident!r} is no edition id: see `related editions`")
        found = _listed(self._database.newest_rows, _ONE, ident)
        if not found:
            raise EditionError(f"there is no edition {ident}: see `related editions`")
        return self._open(found[0], quickly)

    def ids(self) -> list[str]:
        """See Store."""
        return [entry.id for entry in _listed(self._database.newest_rows)]

    def newest_intact(self, before: str) -> Edition | None:
        """See Store."""
        for entry in reversed(_listed(self._database.newest_rows)):
            if entry.id < before and not entry.held:
                try:
                    return self._open(entry)
                except StoreAway:
                    raise
                except EditionError:
                    continue
        return None

    def summaries(self, quickly: bool = False) -> list[EditionSummary]:
        """See Store."""
        self._look()
        return self._summaries(_listed(self._database.newest_rows), self._known[1], quickly)

    def publish(self, edition: Edition, held: Held | None, keep: int, progress: _Progress = lambda done: None) -> None:
        """See Store."""
        with self._database.primary() as db:
            wait_for_upload(db)
            _check_server(db, self.name)
            _make_tables(db)
            _drop_old(db)
            is_new = not db.execute("SELECT FROM related.editions WHERE id = %s", (edition.id,)).fetchall()
            if is_new:
                upload(db, edition, progress)
            self._show(db, edition, held, keep, is_new)

    def roll_back(self, ident: str | None = None, prepare: Prepare | None = None) -> str:
        """See Store."""
        with self._turning() as (db, entries, current):
            ident = ident or earlier(self.name, self._summaries(entries, current or "~"), current or "~")
            entry = self._entry(entries, ident)
            edition = self._open(entry)
            if entry.held:
                raise EditionError(entry.held.sentence)
            if prepare:
                prepare(edition)
            _switch(db, ident)
            return ident

    def sign_off(self, ident: str | None, by: str, prepare: Prepare | None = None) -> str:
        """See Store."""
        with self._turning() as (db, entries, current):
            ident = ident or newest_held(self.name, [e.held for e in reversed(entries) if e.held], current)
            entry = self._entry(entries, ident)
            edition = self._open(entry)
            if entry.marker is None:
                raise EditionError(f"edition {ident} is not held back: make it current with `related rollback {ident}`")
            if entry.held is None and current == ident:
                return ident
            if prepare:
                prepare(edition)
            marker = to_text(signed(marker_from(ident, entry.marker), by, datetime.now(UTC)))
            with db.transaction():
                db.execute("UPDATE related.editions SET held = %s WHERE id = %s", (marker, ident))
                _switch(db, ident)
            return ident

    def mark(self) -> object:
        """See Store."""
        heard = self._listener.heard(EDITIONS)
        if heard is None or heard != self._heard or time.monotonic() > self._due:
            with suppress(EditionError):
                self._look()
            self._heard, self._due = heard, time.monotonic() + _LOOK_SECONDS
        return self._known

    def served_bytes(self, ident: str) -> int:
        """See Store. Nothing: to check an edition takes the same time for any site."""
        return 0

    def log(self) -> "DecisionLog":
        """See Store."""
        from recommender.decision_log import DecisionLog
        from recommender.postgres_log import PostgresLog

        return DecisionLog(PostgresLog(self._database, self._home, self._listener))

    def _look(self) -> None:
        """Learn which edition is shown. A standby that is behind tells nothing new."""
        with suppress(UndefinedTable):
            try:
                known = self._database.rows_of_primary(_CURRENT)
            except StoreAway:
                known = [max([self._known, *map(tuple, self._database.rows(_CURRENT))])]
            self._known = known[0] if known else _NOTHING

    def _open(self, entry: _Entry, quickly: bool = False) -> Edition:
        manifest = entry.checked()
        edition = PostgresEdition(self._folder / entry.id, manifest, entry.manifest, self._database)
        if not quickly:
            edition.check_sizes()
        return edition

    def _summaries(self, entries: Sequence[_Entry], current: str, quickly: bool = False) -> list[EditionSummary]:
        return [self._summary(entry, entry.id == current, quickly) for entry in reversed(entries)]

    def _summary(self, entry: _Entry, current: bool, quickly: bool) -> EditionSummary:
        held = entry.held.sentence if entry.held else None
        try:
            manifest = entry.checked() if quickly else self._open(entry).manifest
        except StoreAway:
            raise
        except EditionError as error:
            return EditionSummary(entry.id, "", 0, current, str(error), held)
        return EditionSummary(entry.id, manifest["built_at"], manifest["counts"]["essays"], current, None, held)

    def _entry(self, entries: Sequence[_Entry], ident: str) -> _Entry:
        for entry in entries:
            if entry.id == ident:
                return entry
        raise EditionError(f"there is no edition {ident}: see `related editions`")

    @contextmanager
    def _turning(self) -> Iterator[tuple[psycopg.Connection, list[_Entry], str]]:
        """Holds the database while another edition becomes the current one, with all editions and the current one's id,
        or an empty text; whoever comes meanwhile waits."""
        with self._database.primary(limit=_TURN_SECONDS) as db:
            db.execute("SELECT pg_advisory_lock(%s)", (_TURNING,))
            yield db, _listed(partial(_ask, db)), _current(db)

    def _show(self, db: psycopg.Connection, edition: Edition, held: Held | None, keep: int, is_new: bool) -> None:
        """In one transaction: an edition stands among the others, is the current one, and the oldest are dropped."""
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_TURNING,))
            if is_new:
                manifest = (edition.folder / MANIFEST).read_text(encoding="utf-8")
                marker = to_text(held) if held else None
                db.execute(in_schema("ALTER SCHEMA {0} RENAME TO {1}", UPLOAD, schema_of(edition.id)))
                row = (edition.id, manifest, LAYOUT, marker)
                db.execute("INSERT INTO related.editions (id, manifest, layout, held) VALUES (%s, %s, %s, %s)", row)
            db.execute("UPDATE related.editions SET dropped = NULL WHERE id = %s", (edition.id,))
            if not held:
                _switch(db, edition.id)
            entries = _listed(partial(_ask, db))
            waiting = {entry.id for entry in entries if entry.held}
            gone = superseded([entry.id for entry in entries], edition.id, _current(db), waiting, keep)
            db.execute("UPDATE related.editions SET dropped = now() WHERE id = ANY(%s)", (gone,))


def _check_server(db: psycopg.Connection, name: str) -> None:
    """Raises EditionError where the server is too old, or has no pgvector or an old one."""
    if not db.execute(_PGVECTOR).fetchall():
        try:
            db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.Error as error:
            raise EditionError(
                f"{name} lacks pgvector ({in_one_line(error)}): install it, and have an administrator run CREATE "
                "EXTENSION vector"
            ) from error
    for (version,) in db.execute(_PGVECTOR):
        if tuple(map(int, version.split(".")[:2])) < OLDEST_PGVECTOR:
            raise EditionError(
                f"{name} has pgvector {version}, and {OLDEST_PGVECTOR[0]}.{OLDEST_PGVECTOR[1]} is needed: have an "
                "administrator install it and run ALTER EXTENSION vector UPDATE"
            )
    if db.info.server_version < OLDEST_SERVER:
        raise EditionError(f"{name} runs PostgreSQL {db.info.server_version // 10_000}: 16 or newer is needed")


def _make_tables(db: psycopg.Connection) -> None:
    """Call under wait_for_upload(): two who make the same table at once get in each other's way."""
    db.execute(_MAKE)


def _drop_old(db: psycopg.Connection) -> None:
    """Have the disk back of what was dropped some time ago. Call under wait_for_upload()."""
    old = db.execute("SELECT id FROM related.editions WHERE dropped < now() - %s::interval", (_GRACE,)).fetchall()
    for (ident,) in old:
        with db.transaction():
            db.execute(in_schema("DROP SCHEMA IF EXISTS {} CASCADE", schema_of(ident)))
            db.execute("DELETE FROM related.editions WHERE id = %s", (ident,))


def _switch(db: psycopg.Connection, ident: str) -> None:
    with db.transaction():
        db.execute(_SWITCH, (ident,))
        db.execute("SELECT pg_notify(%s, %s)", (EDITIONS, ident))


def _current(db: psycopg.Connection) -> str:
    """The current edition's id, or an empty text."""
    with suppress(UndefinedTable):
        for (ident,) in db.execute("SELECT id FROM related.current"):
            return str(ident)
    return ""


def _listed(ask: _Ask, query: bytes = _ENTRIES, *values: object) -> list[_Entry]:
    """The editions that a query for them finds, oldest first; none where nothing has been published yet."""
    try:
        return sorted(_Entry(*row) for row in ask(query, values))
    except UndefinedTable:
        return []


def _ask(db: psycopg.Connection, query: bytes, values: Sequence[object]) -> list[Row]:
    return db.execute(query, values).fetchall()
