"""Vectors already computed, on disk, by the text's digest and the encoder's fingerprint.

One SQLite file, written in transactions: a build that is killed keeps every batch it had finished. Each row carries a
checksum: one that has changed since it was written is as good as missing, and is encoded again. What is lost by
deleting the file is time only.
"""

import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from corpus.errors import CacheError, EncoderError
from embeddings.encoder import Matrix

PLACE = Path("cache", "vectors.sqlite3")
"""Where it lies in a site's home."""

VERSION = 2
"""Of the file's layout, kept in its user_version. A file of another one is set aside."""

_TABLES = ("vectors", "passages")
_SCHEMA = "".join(
    f"""
CREATE TABLE IF NOT EXISTS {table} (
    id INTEGER PRIMARY KEY, encoder INTEGER NOT NULL, digest BLOB NOT NULL, checksum INTEGER NOT NULL,
    value BLOB NOT NULL, UNIQUE (encoder, digest)
);
"""
    for table in _TABLES
)
_PAGE_BYTES = 16384
"""With SQLite's 4,096 a row of 384 numbers wastes a quarter of its page; rows in the order of digests, which the file
had before, cost 2.8 times the space and 4.7 times the writing (100,000 rows)."""
_LOOKUP = 5000  # keys a query, under SQLite's limit of 32,766 bound values; 500 take 1.2 times as long
_SCAN = 4096  # rows that are rescued at once
_ROW_BYTES = 32  # no row takes less
_NOT_UNIT = 1e-3
_TYPED = "typeof(digest) = 'blob' AND typeof(checksum) = 'integer' AND typeof(value) = 'blob'"
"""Of every row that was written; a bit that flips may make a text of it that cannot be decoded."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""The last one, of statements that are right, says that the tables are not those that were made."""
_WAYS_OUT = {
    sqlite3.SQLITE_BUSY: "another process holds it: wait for that to end, then run this again",
    sqlite3.SQLITE_LOCKED: "another process holds it: wait for that to end, then run this again",
    sqlite3.SQLITE_READONLY: "it may not be written: make it writable, or choose another --home",
    sqlite3.SQLITE_CANTOPEN: "it may not be written: make its folder writable, or choose another --home",
    sqlite3.SQLITE_FULL: "the disk is full: free some space and run this again; what was encoded until now is kept",
}

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class VectorCache:
    """Vectors by text, and the passages of a body by the body; both belong to one encoder fingerprint.

    A file that is no intact database any more is set aside as `<name>.damaged`, and what can be read of it is kept. One
    of another version is set aside as `<name>.version-<number>`. All of it raises CacheError.

    damaged: how many rows were asked for and are not what was written; they count as missing.
    rescued: how many rows were saved out of a damaged file; None when it was not damaged.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.damaged = 0
        self.rescued: int | None = None
        self._path = path
        # What belongs to another encoder never passes for this one's, not even when a bit of its key flips.
        self._encoder = zlib.crc32(fingerprint.encode())
        self._seed = zlib.crc32(hashlib.sha256(fingerprint.encode()).digest())
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open()

    def close(self) -> None:
        """Release the file; what of it was damaged is told as a warning."""
        self._db.close()
        if self.remark:
            _log.warning(self.remark)

    @property
    def remark(self) -> str | None:
        """A sentence on what was damaged; None when nothing was."""
        if self.rescued is not None:
            return (
                f"the vector cache {self._path} was damaged: {self.rescued:,} rows of it are kept, all others are made "
                f"anew; the damaged file is set aside as {self._aside('damaged').name}, and may be deleted"
            )
        if self.damaged:
            return f"rows of the vector cache {self._path} that were damaged, and are made anew: {self.damaged:,}"
        return None

    def get(self, texts: Iterable[str]) -> dict[str, Matrix]:
        """The vectors, shape (dim,), of those texts that are known."""
        by_digest = {_digest(text): text for text in texts}
        found: dict[str, Matrix] = {}
        for rows in self._intact("vectors", list(by_digest)):
            matrix = np.frombuffer(b"".join(rows.values()), dtype="<f4").reshape(len(rows), -1)
            unit = _are_unit(matrix)
            self.damaged += len(rows) - int(unit.sum())
            found |= {by_digest[digest]: matrix[i] for i, digest in enumerate(rows) if unit[i]}
        return found

    def put(self, texts: Sequence[str], matrix: Matrix) -> None:
        """Keep the vectors of texts, row by row, in one transaction. Raises EncoderError unless each has length 1."""
        values = {text: row.tobytes() for text, row in zip(texts, matrix.astype("<f4"), strict=True)}
        unit = _are_unit(matrix)
        if not unit.all():
            row = int(np.argmin(unit))
            raise EncoderError(
                f"the model gave {texts[row][:40]!r} a vector of length {np.linalg.norm(matrix[row]):.3g}, where 1 is "
                "expected: choose another --model"
            )
        self._write("vectors", values)

    def get_passages(self, bodies: Iterable[str]) -> dict[str, list[str]]:
        """The passages of those bodies that were cut before."""
        by_digest = {_digest(body): body for body in bodies}
        found = self._intact("passages", list(by_digest))
        return {by_digest[digest]: json.loads(texts) for rows in found for digest, texts in rows.items()}

    def put_passages(self, passages: Mapping[str, list[str]]) -> None:
        """Keep the passages of bodies, in one transaction."""
        self._write("passages", {body: json.dumps(texts).encode() for body, texts in passages.items()})

    def _intact(self, table: str, digests: list[bytes]) -> Iterator[dict[bytes, bytes]]:
        """The values of those digests that are known and unchanged, some thousand at a time, never none."""
        for start in range(0, len(digests), _LOOKUP):
            rows = self._healing(partial(self._select, table, digests[start : start + _LOOKUP]))
            good = {digest: value for digest, checksum, value in rows if checksum == self._checksum(digest, value)}
            self.damaged += len(rows) - len(good)
            if good:
                yield good

    def _select(self, table: str, digests: list[bytes]) -> list[tuple[bytes, int, bytes]]:
        marks = ",".join("?" * len(digests))
        query = f"SELECT digest, checksum, value FROM {table} WHERE {_TYPED} AND encoder = ? AND digest IN ({marks})"  # noqa: S608
        return self._db.execute(query, (self._encoder, *digests)).fetchall()

    def _write(self, table: str, values: Mapping[str, bytes]) -> None:
        digests = {text: _digest(text) for text in values}
        rows = [(self._encoder, digests[text], self._checksum(digests[text], v), v) for text, v in values.items()]
        self._healing(partial(self._upsert, table, rows))

    def _upsert(self, table: str, rows: list[tuple[int, bytes, int, bytes]]) -> None:
        command = (
            f"INSERT INTO {table} (encoder, digest, checksum, value) VALUES (?, ?, ?, ?) "  # noqa: S608
            "ON CONFLICT (encoder, digest) DO UPDATE SET checksum = excluded.checksum, value = excluded.value"
        )
        with self._db:
            self._db.executemany(command, rows)

    def _checksum(self, digest: bytes, value: bytes) -> int:
        return zlib.crc32(value, zlib.crc32(digest, self._seed))

    def _healing(self, action: Callable[[], _T]) -> _T:
        """The action's result. A file that turns out damaged is begun anew first, with what can be read of it."""
        with self._explained():
            try:
                return action()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise
                self._db.close()
                self._db = self._rescue()
            return action()

    def _open(self) -> sqlite3.Connection:
        try:
            self._set_aside_other_version()
            return _connect(self._path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not _is_damage(error):
                raise
            return self._rescue()

    def _set_aside_other_version(self) -> None:
        with closing(sqlite3.connect(self._path)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == VERSION or not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return
            db.execute("PRAGMA journal_mode = DELETE")  # refused while somebody else has the file open
        self._path.replace(self._aside(f"version-{version}"))

    def _rescue(self) -> sqlite3.Connection:
        """Begin the file anew, with the rows of the damaged one that can be read."""
        damaged = self._aside("damaged")
        self._path.replace(damaged)
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        db, self.rescued = _connect(self._path), 0
        with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?immutable=1", uri=True)) as old:
            for table in _TABLES:
                command = f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?, ?, ?)"  # noqa: S608
                for rows in _readable(old, table, 1, damaged.stat().st_size // _ROW_BYTES):
                    with db:
                        self.rescued += db.executemany(command, rows).rowcount
        return db

    def _aside(self, ending: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{ending}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of the database and of the disk as a CacheError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            code = getattr(error, "sqlite_errorcode", None)
            way_out = _WAYS_OUT.get(
                code & 0xFF if code is not None else -1, "free the disk or delete the file; only time is lost"
            )
            raise CacheError(f"the vector cache {self._path} cannot be used ({error}): {way_out}") from error


@contextmanager
def open_cache(path: Path, fingerprint: str) -> Iterator[VectorCache]:
    """A cache that is closed at the end of the block. Raises CacheError when it cannot be read or written."""
    with closing(VectorCache(path, fingerprint)) as cache:
        yield cache


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    try:
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(f"{_SCHEMA} PRAGMA user_version = {VERSION};")
    except BaseException:
        db.close()
        raise
    return db


def _readable(db: sqlite3.Connection, table: str, low: int, high: int) -> Iterator[list[tuple[object, ...]]]:
    """The rows with ids from low to high, as far as they can be read, at most _SCAN at a time."""
    if high - low >= _SCAN:
        for start in range(low, high + 1, _SCAN):
            yield from _readable(db, table, start, min(start + _SCAN - 1, high))
        return
    query = (
        f"SELECT id, encoder, digest, checksum, value FROM {table} NOT INDEXED WHERE id BETWEEN ? AND ? AND {_TYPED}"  # noqa: S608
    )
    try:
        yield db.execute(query, (low, high)).fetchall()
    except sqlite3.DatabaseError:
        if low < high:
            middle = (low + high) // 2
            yield from _readable(db, table, low, middle)
            yield from _readable(db, table, middle + 1, high)


def _is_damage(error: sqlite3.DatabaseError | UnicodeDecodeError) -> bool:
    """The other error is of a message that quotes what it stumbled over."""
    return isinstance(error, UnicodeDecodeError) or error.sqlite_errorcode & 0xFF in _DAMAGE


def _are_unit(matrix: Matrix) -> NDArray[np.bool_]:
    """Which rows have length 1; none with a NaN does."""
    lengths = np.linalg.norm(matrix, axis=1)
    return np.asarray(np.abs(lengths - 1) < _NOT_UNIT)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
