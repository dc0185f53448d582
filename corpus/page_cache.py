"""Pages already parsed, on disk, so that an unchanged file is neither decoded nor parsed again.

One SQLite file. A page's key is a digest of all that its parse depends on: the file's bytes, its kind and id, the
options, this package's code, Python and the libraries. Each row carries a checksum: one that has changed since it was
written is as good as missing. What is lost by deleting the file is time only.
"""

import hashlib
import importlib.metadata
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from corpus.errors import CacheError
from corpus.essay import Block, Blurb, Essay, PageProblem

PLACE = Path("cache", "pages.sqlite3")
"""Where it lies in a site's home."""

KEPT_RUNS = 3
"""A page that so many builds in a row did not read is dropped."""

_VERSION = 1
"""Of the file's layout, kept in its user_version."""
_LIBRARIES = (
    *("charset-normalizer", "courlan", "cssselect", "htmldate", "justext", "lxml", "lxml-html-clean"),
    *("markdown-it-py", "python-frontmatter", "pyyaml", "trafilatura"),
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS pages (key BLOB PRIMARY KEY, page BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS used (key BLOB PRIMARY KEY, run INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""
_WRITTEN_AT_ONCE = 64  # pages: what a killed build parses again at most
_CHECKSUM_BYTES = 8
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The last one, of statements that are right, says that the tables are not those that were made."""
_WAYS_OUT = {
    sqlite3.SQLITE_BUSY: "another process holds it: wait for that to end, then run this again",
    sqlite3.SQLITE_READONLY: "it may not be written: make it writable, or choose another --home",
    sqlite3.SQLITE_CANTOPEN: "it may not be written: make its folder writable, or choose another --home",
    sqlite3.SQLITE_FULL: "the disk is full: free some space, then run this again",
}

_T = TypeVar("_T")


class PageCache:
    """Essays and problems by key. Open it with open_page_cache().

    A file that is no intact database of this version is set aside as `<name>.damaged` and begun anew.

    reused: how many pages came from here. parsed: how many did not, and were put here.
    """

    def __init__(self, path: Path) -> None:
        self.reused = 0
        self.parsed = 0
        self._path = path
        self._policy = parse_policy()
        self._used: set[bytes] = set()
        self._unwritten: dict[bytes, bytes] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def key(self, data: bytes, *parts: str | None) -> bytes:
        """The key of a file's bytes. parts: whatever else its parse depends on."""
        sha = hashlib.sha256(self._policy)
        sha.update(json.dumps(parts).encode())
        sha.update(data)
        return sha.digest()

    def knows(self, key: bytes) -> bool:
        """Whether a page is here, damaged or not."""
        return bool(self._ask("SELECT 1 FROM pages WHERE key = ?", key))

    def get(self, key: bytes, source: str) -> Essay | PageProblem | None:
        """The page, as if it had been read from `source`; None when it is not here, or damaged."""
        # The cast: a bit that flips may make a text of it that cannot be decoded.
        found = self._ask("SELECT CAST(page AS BLOB) FROM pages WHERE key = ?", key)
        page = found[0][0] if found else b""
        if page[:_CHECKSUM_BYTES] != _checksum(key, page[_CHECKSUM_BYTES:]):
            return None
        self._used.add(key)
        self.reused += 1
        return unpack(page[_CHECKSUM_BYTES:], source)

    def put(self, key: bytes, page: Essay | PageProblem) -> None:
        """Keep a page. Where it was read is not kept."""
        packed = pack(page)
        self._unwritten[key] = _checksum(key, packed) + packed
        self.parsed += 1
        if len(self._unwritten) >= _WRITTEN_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Have all that was put in the file."""
        pages, self._unwritten = self._unwritten, {}
        self._used |= pages.keys()
        run = self._run()

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?)", pages.items())
            db.executemany("INSERT OR REPLACE INTO used VALUES (?, ?)", ((key, run) for key in pages))

        if pages:
            self._change(write)

    def end_run(self) -> None:
        """All pages of a site have been read: drop what neither this nor the last runs read."""
        self.flush()
        run = self._run() + 1

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO used VALUES (?, ?)", ((key, run) for key in self._used))
            db.execute("DELETE FROM used WHERE run <= ?", (run - KEPT_RUNS,))
            db.execute("DELETE FROM pages WHERE key NOT IN (SELECT key FROM used)")

        self._change(write)

    def close(self) -> None:
        """Write what has not been written, and release the file."""
        try:
            self.flush()
        finally:
            self._db.close()

    def _run(self) -> int:
        """The number of the last run; 0 when there was none."""
        found = self._ask("SELECT CAST(max(run) AS INTEGER) FROM used")
        return found[0][0] or 0 if found else 0

    def _ask(self, query: str, *values: object) -> list[Any]:
        return self._guarded(lambda db: db.execute(query, values).fetchall(), [])

    def _change(self, write: Callable[[sqlite3.Connection], None]) -> None:
        def in_one_transaction(db: sqlite3.Connection) -> None:
            with db:
                write(db)

        self._guarded(in_one_transaction, None)

    def _guarded(self, act: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        try:
            return act(self._db)
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            return otherwise

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Begin anew when the error tells of damage; of anything else, such as a lock, it is raised again."""
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_NOTADB) & 0xFF not in _DAMAGE:
            raise error
        if hasattr(self, "_db"):
            self._db.close()
        self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
        for suffix in ("-wal", "-shm"):  # a log that is left would be played into the new file
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._db = _open(self._path)


@contextmanager
def open_page_cache(path: Path) -> Iterator[PageCache]:
    """A cache that is closed at the end of the block. Raises CacheError when it cannot be read or written."""
    try:
        cache = PageCache(path)
        try:
            yield cache
        finally:
            cache.close()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        way_out = _WAYS_OUT.get(code, "delete the file; only time is lost")
        raise CacheError(f"the page cache {path} cannot be used ({error}); {way_out}") from error


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def parse_policy() -> bytes:
    """A digest of what the parse of every page depends on: code, Python, libraries."""
    code = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(__file__).parent.glob("*.py"))]
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    return hashlib.sha256(json.dumps([sys.version, *code, *libraries]).encode()).digest()


def _checksum(key: bytes, packed: bytes) -> bytes:
    return hashlib.blake2b(packed, key=key, digest_size=_CHECKSUM_BYTES).digest()


def pack(page: Essay | PageProblem) -> bytes:
    """A page as a line of JSON, without where it was read; the way back is unpack()."""
    fields = asdict(page)
    del fields["source"]
    return json.dumps(fields, default=date.isoformat, separators=(",", ":")).encode("ascii")


def unpack(packed: bytes, source: str) -> Essay | PageProblem:
    """The page that was packed, as if it had been read from `source`."""
    fields = json.loads(packed)
    if "reason" in fields:
        return PageProblem(source, fields["reason"])
    fields["published"] = _day(fields["published"])
    fields["blocks"] = tuple(Block(**block) for block in fields["blocks"])
    fields["blurbs"] = tuple(Blurb(**blurb | {"published": _day(blurb["published"])}) for blurb in fields["blurbs"])
    for name in ("related", "links", "remarks"):
        fields[name] = tuple(fields[name])
    return Essay(source=source, **fields)


def _day(iso: str | None) -> date | None:
    return date.fromisoformat(iso) if iso else None
