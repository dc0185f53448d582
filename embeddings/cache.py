"""Vectors already computed, on disk, by the text's digest and the encoder's fingerprint.

One SQLite file, written in transactions: a build that is killed keeps every batch it had finished. What is lost by
deleting the file is time only.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from corpus.errors import CacheError
from embeddings.encoder import Matrix

PLACE = Path("cache", "vectors.sqlite3")
"""Where it lies in a site's home."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    fingerprint TEXT NOT NULL, digest BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (fingerprint, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passages (
    fingerprint TEXT NOT NULL, digest BLOB NOT NULL, texts TEXT NOT NULL, PRIMARY KEY (fingerprint, digest)
) WITHOUT ROWID;
"""
_LOOKUP = 500  # keys a query, under SQLite's limit of bound values


class VectorCache:
    """Vectors by text, and the passages of a body by the body; both belong to one encoder fingerprint.

    A file that is no database any more is set aside as `<name>.damaged` and begun anew.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(path)
        except sqlite3.OperationalError:  # locked, read-only, no space: the file itself is good
            raise
        except sqlite3.DatabaseError:
            path.replace(path.with_name(path.name + ".damaged"))
            self._db = _open(path)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def get(self, texts: Iterable[str]) -> dict[str, Matrix]:
        """The vectors, shape (dim,), of those texts that are known."""
        by_digest = {_digest(text): text for text in texts}
        rows = self._rows("vectors", "vector", list(by_digest))
        return {by_digest[digest]: np.frombuffer(blob, dtype=np.float32) for digest, blob in rows}

    def put(self, texts: Sequence[str], matrix: Matrix) -> None:
        """Keep the vectors of texts, row by row, in one transaction."""
        rows = [
            (self._fingerprint, _digest(text), row.astype("<f4").tobytes())
            for text, row in zip(texts, matrix, strict=True)
        ]
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def get_passages(self, bodies: Iterable[str]) -> dict[str, list[str]]:
        """The passages of those bodies that were cut before."""
        by_digest = {_digest(body): body for body in bodies}
        rows = self._rows("passages", "texts", list(by_digest))
        return {by_digest[digest]: json.loads(texts) for digest, texts in rows}

    def put_passages(self, passages: Mapping[str, list[str]]) -> None:
        """Keep the passages of bodies, in one transaction."""
        rows = [(self._fingerprint, _digest(body), json.dumps(texts)) for body, texts in passages.items()]
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO passages VALUES (?, ?, ?)", rows)

    def _rows(self, table: str, column: str, digests: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for start in range(0, len(digests), _LOOKUP):
            some = digests[start : start + _LOOKUP]
            marks = ",".join("?" * len(some))
            query = f"SELECT digest, {column} FROM {table} WHERE fingerprint = ? AND digest IN ({marks})"  # noqa: S608
            yield from self._db.execute(query, (self._fingerprint, *some))


@contextmanager
def open_cache(path: Path, fingerprint: str) -> Iterator[VectorCache]:
    """A cache that is closed at the end of the block. Raises CacheError when it cannot be read or written."""
    try:
        cache = VectorCache(path, fingerprint)
        try:
            yield cache
        finally:
            cache.close()
    except sqlite3.Error as error:
        raise CacheError(
            f"the vector cache {path} cannot be used ({error}): free the disk or delete the file; only time is lost"
        ) from error


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(_SCHEMA)
    return db


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
