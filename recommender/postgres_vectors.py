"""An edition's vectors as a table that postgres_search.py searches.

    vectors    number: an essay's in the table `essays`; id, kind, published: of the item; category: its number; titled:
               see live_vectors.StoredEssay; embedding: halfvec, of unit length, found by its inner product

The rows lie in the order of kind, category and date: what a filter leaves then lies side by side, and is read several
times faster.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from embeddings.encoder import Matrix
from recommender.arrays import from_dense
from recommender.disk import open_unchanging
from recommender.edition import ESSAYS, LISTS, VECTORS, Edition, read_lines
from recommender.postgres import in_schema
from recommender.texts import TitleFinder

_TABLE = """
CREATE TABLE {0}.vectors (
    number int PRIMARY KEY, id text NOT NULL, kind text NOT NULL, category int, published date, titled int NOT NULL,
    embedding halfvec({1}) NOT NULL
)
"""
_TYPES = ("int4", "text", "text", "int4", "date", "int4", "bytea")
_INDICES = (
    "CREATE INDEX ON {}.vectors (category, published) INCLUDE (kind)",
    "CREATE INDEX ON {}.vectors (published) INCLUDE (kind)",
    "CREATE INDEX ON {}.vectors USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 128)",
)
"""With an ef_construction of 64 the last takes two thirds of the time to build, and finds a hundredth less."""
_MEMORY = "1GB"
"""For building an index, at least: HNSW that does not fit into it takes many times as long."""
_ITEMS = """
SELECT id, kind, categories.number, published
FROM items LEFT JOIN categories ON name = category ORDER BY kind, categories.number, published, items.number
"""
_HEADER = 4  # bytes of a halfvec before its numbers
_BLURBS = "SELECT id FROM items WHERE kind = 'blurb' ORDER BY number"


class VectorRow(NamedTuple):
    """A row of the table; vector: float32, shape (dim,), of unit length."""

    number: int
    id: str
    kind: str
    category: int | None
    published: date | None
    titled: int
    vector: Matrix


def copy_vectors(db: psycopg.Connection, edition: Edition, schema: str) -> None:
    """Make the table of an edition in this schema. The edition's files must be in its folder."""
    with np.load(edition.folder / VECTORS, allow_pickle=False) as stored:
        essays, blurbs = stored["vectors"], stored["blurb_vectors"]
        named = np.asarray(from_dense("titles_named", stored).sum(axis=0)).ravel()
    ids, titles = zip(*((record["id"], record["title"]) for record in read_lines(edition.folder / ESSAYS)), strict=True)
    titled = dict(zip(ids, (TitleFinder(titles).own(titles) @ named).astype(int).tolist(), strict=True))
    row_of = {ident: row for row, ident in enumerate(ids)}
    with closing(open_unchanging(edition.folder / LISTS)) as lists:
        row_of |= {ident: len(essays) + row for row, (ident,) in enumerate(lists.execute(_BLURBS))}
        rows = (
            VectorRow(
                *(row + 1, ident, kind, category, date.fromisoformat(day) if day else None, titled.get(ident, 0)),
                essays[row] if row < len(essays) else blurbs[row - len(essays)],
            )
            for ident, kind, category, day in lists.execute(_ITEMS)
            for row in (row_of[ident],)
        )
        fill(db, schema, essays.shape[1], rows)


def fill(db: psycopg.Connection, schema: str, dim: int, rows: Iterable[VectorRow]) -> None:
    """Make the table of these rows, in this order, and build its indices."""
    db.execute(sql.SQL(_TABLE).format(sql.Identifier(schema), sql.Literal(dim)))
    with db.cursor().copy(in_schema("COPY {}.vectors FROM STDIN (FORMAT binary)", schema)) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row((*row[:-1], to_halfvec(row.vector)))
    _build_indices(db, schema)


def _build_indices(db: psycopg.Connection, schema: str) -> None:
    with db.transaction():
        db.execute(
            "SELECT set_config('maintenance_work_mem', %s, true) "
            "WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes(%s)",
            (_MEMORY, _MEMORY),
        )
        for index in _INDICES:
            db.execute(in_schema(index, schema))
    db.execute(in_schema("VACUUM (ANALYZE) {}.vectors", schema))  # for counting by an index alone


def to_halfvec(vector: Matrix) -> bytes:
    """As PostgreSQL sends and takes it: the width, two bytes without meaning, big-endian halves."""
    return len(vector).to_bytes(2, "big") + b"\0\0" + bytes(vector.astype(">f2"))


def from_halfvecs(stored: Sequence[bytes], dim: int) -> Matrix:
    """The rows of this width that to_halfvec() was given, at half precision: float32, shape (n, dim)."""
    halves = np.frombuffer(b"".join(data[_HEADER:] for data in stored), dtype=">f2")
    return halves.astype(np.float32).reshape(len(stored), dim)
