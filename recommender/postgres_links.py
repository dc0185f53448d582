"""The curated links of an edition and what was learned of them, as tables: for drafts on sites that nobody holds whole.

    links       source, target: numbers of essays (see the table `essays`), who lists and who is listed
    facts       number: of an essay; listed_by: how many lists name it; nearest_scores: see landscape.Landscape, as
                little-endian halves; components: halfvec, of its wording, the last columns of Landscape.basis
    ridge       inverse: A of list_signals.Ridge, one row: little-endian float32

Only an edition whose lesson is of its lists has them.
"""

import json
from array import array
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from embeddings.encoder import Matrix
from recommender.arrays import runs_of
from recommender.disk import open_unchanging
from recommender.edition import LISTS, VECTORS, Edition
from recommender.list_signals import ridge_inverse
from recommender.live_vectors import MOST_LISTS, Facts, Numbers
from recommender.postgres import Halfvec, Row, in_schema
from recommender.postgres_vectors import from_halfvecs, to_halfvec

_TABLES = """
CREATE TABLE {0}.links (source int, target int, PRIMARY KEY (source, target));
CREATE TABLE {0}.facts (
    number int PRIMARY KEY, listed_by int NOT NULL, nearest_scores bytea NOT NULL, components halfvec({1}) NOT NULL
);
CREATE TABLE {0}.ridge (inverse bytea NOT NULL);
"""
_CURATED = "SELECT number, curated, targets FROM lists WHERE curated > 0 ORDER BY number"
_INDEX = "CREATE INDEX ON {}.links (target, source)"
_FORETOLD = """
WITH naming AS MATERIALIZED (
    SELECT wanted.target, source FROM unnest(%s::int[]) AS wanted (target) CROSS JOIN LATERAL (
        SELECT source FROM {0}.links WHERE links.target = wanted.target ORDER BY source LIMIT %s
    ) AS first
), products AS MATERIALIZED (
    SELECT number, -(embedding <#> %s::halfvec) - (components <#> %s::halfvec) AS product
    FROM {0}.vectors JOIN {0}.facts USING (number) WHERE number = ANY(ARRAY(SELECT DISTINCT source FROM naming))
)
SELECT target, sum(product) * max(listed_by) / count(*)
FROM naming JOIN products ON products.number = source JOIN {0}.facts ON facts.number = target GROUP BY target
"""
Ask = Callable[..., list[Row]]
"""Asks a query of the edition's schema, its values after it."""


def copy_links(db: psycopg.Connection, edition: Edition, schema: str) -> None:
    """Make the tables of an edition in this schema. The edition's files must be in its folder."""
    links = read_links(edition.folder / LISTS)
    essays, vectors = edition.manifest["counts"]["essays"], edition.folder / VECTORS
    listed_by = np.bincount(links[:, 1], minlength=essays + 1)[1:]
    listing = np.bincount(links[:, 0], minlength=essays + 1)[1:] > 0
    products, dim = _products(vectors, listing)
    width = len(products) - dim
    db.execute(sql.SQL(_TABLES).format(sql.Identifier(schema), sql.Literal(width)))
    with db.cursor().copy(in_schema("COPY {}.links FROM STDIN (FORMAT binary)", schema)) as copy:
        copy.set_types(("int4", "int4"))
        for link in links:
            copy.write_row(link.tolist())
    with db.cursor().copy(in_schema("COPY {}.facts FROM STDIN (FORMAT binary)", schema)) as copy:
        copy.set_types(("int4", "int4", "bytea", "bytea"))
        number = 0
        for scores, basis in zip(runs_of(vectors, "nearest_scores"), runs_of(vectors, "basis"), strict=True):
            for row, components in zip(scores.astype("<f2"), _padded(basis, dim)[:, dim:], strict=True):
                copy.write_row((number + 1, int(listed_by[number]), row.tobytes(), to_halfvec(components)))
                number += 1
    inverse = ridge_inverse(products).astype("<f4").tobytes()
    db.execute(in_schema("INSERT INTO {}.ridge VALUES (%s)", schema), (inverse,))
    db.execute(in_schema(_INDEX, schema))
    for table in ("links", "facts", "ridge"):
        db.execute(in_schema(f"VACUUM (ANALYZE) {{}}.{table}", schema))  # for reading links by an index alone


def read_links(path: Path) -> NDArray[np.int32]:
    """The curated links among the essays of a lists.sqlite3: shape (links, 2), numbers of who lists and who is listed,
    each once, ascending; nobody lists itself."""
    found = array("i")
    with closing(open_unchanging(path)) as lists:
        number_of = {ident: number for number, ident in lists.execute("SELECT number, id FROM lists")}
        for number, curated, targets in lists.execute(_CURATED):
            named = {number_of[target] for target in json.loads(targets)[:curated] if target in number_of}
            for target in sorted(named - {number}):
                found.extend((number, target))
    return np.array(found, dtype=np.int32).reshape(-1, 2)


def _products(vectors: Path, listing: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """X'X of list_signals.Ridge, float64, shape (d, d), and how many of its columns are those of vectors."""
    dim = next(runs_of(vectors, "vectors")).shape[1]
    products, start = np.zeros((0, 0)), 0
    for run in runs_of(vectors, "basis"):
        rows = _padded(run, dim)[listing[start : start + len(run)]].astype(np.float64)
        products = rows.T @ rows + (products if start else 0.0)
        start += len(run)
    return products, dim


def _padded(basis: Matrix, dim: int) -> Matrix:
    """The basis with one column of zeros for the wording where that has none: a halfvec has one number at least."""
    return basis if basis.shape[1] > dim else np.pad(basis, ((0, 0), (0, 1)))


class PostgresLinks:
    """LiveLists over these tables. dim: of the vectors, the first columns of the basis."""

    def __init__(self, ask: Ask, dim: int) -> None:
        self._ask, self._dim = ask, dim

    def lists(self, numbers: Sequence[int]) -> Numbers:
        """See LiveLists."""
        found = self._ask(
            "SELECT source, target FROM {}.links WHERE source = ANY(%s::int[]) ORDER BY source, target", list(numbers)
        )
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def lists_naming(self, number: int) -> Numbers:
        """See LiveLists."""
        query = "SELECT source FROM {}.links WHERE target = %s ORDER BY source LIMIT %s"
        return np.array(self._ask(query, number, MOST_LISTS), dtype=np.int64).ravel()

    def facts(self, numbers: Sequence[int]) -> Facts:
        """See LiveLists."""
        found = self._rows("listed_by, nearest_scores", numbers)
        scores = np.frombuffer(b"".join(scores for _, scores in found), dtype="<f2").astype(np.float32)
        return Facts(np.array([count for count, _ in found], np.float32), scores.reshape(len(found), -1))

    def components(self, numbers: Sequence[int]) -> Matrix:
        """See LiveLists."""
        stored = [row for (row,) in self._rows("components", numbers)]
        return from_halfvecs(stored, int.from_bytes(stored[0][:2], "big"))

    def foretold(self, query: Matrix, numbers: Sequence[int]) -> Matrix:
        """See LiveLists."""
        scale = float(np.abs(query).max()) or 1.0  # halves know no very small numbers
        halves = (Halfvec(to_halfvec(part / scale)) for part in (query[: self._dim], query[self._dim :]))
        rows = np.array(self._ask(_FORETOLD, list(numbers), MOST_LISTS, *halves), np.float64).reshape(-1, 2)
        found = np.zeros(len(numbers), dtype=np.float32)
        found[np.searchsorted(numbers, rows[:, 0])] = rows[:, 1] * scale
        return found

    def inverse(self) -> Matrix:
        """See LiveLists."""
        [(stored,)] = self._ask("SELECT inverse FROM {}.ridge")
        numbers = np.frombuffer(stored, dtype="<f4").astype(np.float32)
        return numbers.reshape(round(len(numbers) ** 0.5), -1)

    def _rows(self, columns: str, numbers: Sequence[int]) -> list[Row]:
        return self._ask(
            f"SELECT {columns} FROM {{}}.facts WHERE number = ANY(%s::int[]) ORDER BY number",  # noqa: S608
            list(numbers),
        )
