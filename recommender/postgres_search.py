"""The nearest items of a vector among those that filters leave, in PostgreSQL: nothing of the site is held in memory.

Two ways, chosen by how many items the filters leave; benchmarks/results/pgvector.md has what each finds and costs:

    exact     every vector that is left, where they are few or a small share of all (EXACT_UP_TO, LEAST_SHARE)
    by index  pgvector's HNSW, which goes on until it has enough of what the filters leave

Left alone, pgvector filters after the search: with hnsw.iterative_scan off it takes the ef_search nearest of all items
and gives those of them that pass, be they none, without an error. Switched on it stops after max_scan_tuples: where it
finds too few, the exact way answers. And the planner goes one way or the other as its estimates change: here each query
can be run in one way only.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import numpy as np
from psycopg.errors import UndefinedTable

from corpus.errors import EditionError
from embeddings.encoder import Matrix
from embeddings.vectors import unit_rows
from recommender.index import Neighbour, check_queries, nearest_of, rounded
from recommender.live_vectors import NO_FILTER, Filter, StoredEssay
from recommender.postgres import Database, Halfvec, Row, in_schema
from recommender.postgres_links import PostgresLinks
from recommender.postgres_vectors import from_halfvecs, to_halfvec

EXACT_UP_TO = 50_000
LEAST_SHARE = 0.1
"""So many items that are left, or under this share of all, are searched exactly. A filter that leaves what lies far
from the query is where HNSW fails: of a category of 4% it found 0.56 of the nearest ten, and took ten times as long."""
EF_SEARCH = 200
"""At 100 a filter that leaves a fifth has a recall@10 of 0.979 where this has 0.987, in two thirds of the time; without
one both find as much (benchmarks/results/pgvector-tried.md, as for all that is set here)."""
_MOST_EF = 1_000  # pgvector allows no more
MAX_SCAN_TUPLES = 20_000
"""pgvector's default. To go on for longer costs more than to search exactly what is left."""
_SPARE = 8  # fetched beyond k, and put in order by similarities summed in float64
_COUNTS = 1_024  # filters whose counts are remembered
_AT_ONCE = 250

# What is found too late to stand in its place strict_order throws away; here all that is found is put in order anyway.
_BY_INDEX: dict[str, object] = {
    "jit": "off",
    "hnsw.iterative_scan": "relaxed_order",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}
_TESTS = {
    "kind": "kind = %s",
    "category": "category = (SELECT number FROM {0}.categories WHERE name = %s)",
    "published_after": "published >= %s",
    "published_before": "published <= %s",
}


class PostgresSearch:
    """LiveVectors and, approximately, an Index, over the tables `vectors` and `essays` of an edition's schema.

    fingerprint: of the encoder that made the vectors. They are kept in half precision: similarities are off by some
    hundred-thousandths. Raises EditionError when the edition is gone or has no vectors, StoreAway.
    """

    def __init__(self, database: Database, schema: str, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._database, self._schema = database, schema
        [(self._dim, self._items)] = self._ask(
            "SELECT atttypmod, reltuples::bigint FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.oid = '{}.vectors'::regclass AND attname = 'embedding'"
        )  # counted by VACUUM: an edition never changes
        self.lists = PostgresLinks(self._ask, self._dim)
        self._leaves_few = lru_cache(_COUNTS)(self._are_few)

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """See Index.search."""
        check_queries(queries, k, self._dim)
        return [self.nearest(query, k) for query in queries]

    def nearest(
        self, query: Matrix, k: int, only: Filter = NO_FILTER, exclude: Collection[str] = ()
    ) -> list[Neighbour]:
        """See LiveVectors."""
        check_queries(query[None], k, self._dim)
        rows = [] if self._leaves_few(only) else self._by_index(query, k, only, exclude)
        if len(rows) < k:
            rows = self._exactly(query, k, only, exclude)
        ids, vectors = [row[0] for row in rows], self._vectors([row[1] for row in rows])
        return nearest_of(ids, rounded(vectors.astype(np.float64) @ query.astype(np.float64)), k)

    def essays(self, idents: Sequence[str]) -> list[StoredEssay]:
        """See LiveVectors."""
        return self._stored("e.id = ANY(%s::text[])", list(filter(_is_text, idents)))

    def numbered(self, numbers: Sequence[int], only: Filter) -> list[StoredEssay]:
        """See LiveVectors."""
        where, values = _tests(only)
        return self._stored(" AND ".join(["number = ANY(%s::int[])", *where]), list(numbers), *values)

    def sample(self, count: int) -> list[StoredEssay]:
        """See LiveVectors."""
        [(last,)] = self._ask("SELECT max(number) FROM {}.essays")
        numbers = np.unique(np.linspace(1, last, min(count, last)).round().astype(int)).tolist()
        parts = [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
        return [essay for part in parts for essay in self._stored("number = ANY(%s::int[])", part)]

    def _are_few(self, only: Filter) -> bool:
        """Whether so few are left that all are looked at; asked once a filter."""
        most = max(EXACT_UP_TO, int(LEAST_SHARE * self._items))
        where, values = _where(only, ())
        [(left,)] = self._ask(
            f"SELECT count(*) FROM (SELECT FROM {{0}}.vectors {where} LIMIT {most + 1}) AS passing",  # noqa: S608
            *values,
        )
        return bool(left <= most)

    def _exactly(self, query: Matrix, k: int, only: Filter, exclude: Collection[str]) -> list[Row]:
        """Id and vector of the nearest by half precision, of equals the first ids, some more than k. OFFSET 0 is what
        keeps the index out; MATERIALIZED would as well, but writes to the disk what is left."""
        where, values = _where(only, exclude)
        return self._ask(
            "SELECT id, embedding FROM (SELECT id, embedding, embedding <#> %s::halfvec AS distance "  # noqa: S608
            f"FROM {{0}}.vectors {where} OFFSET 0) AS passing ORDER BY distance, id LIMIT %s",
            *(Halfvec(to_halfvec(query)), *values, k + _SPARE),
            prepared=False,  # a plan for any values would be one for a third of all items
        )

    def _by_index(self, query: Matrix, k: int, only: Filter, exclude: Collection[str]) -> list[Row]:
        """Id and vector of what HNSW finds, some more than k, or too few."""
        where, values = _where(only, exclude)
        effort: dict[str, object] = {
            "hnsw.ef_search": min(max(EF_SEARCH, k + _SPARE), _MOST_EF),
            "hnsw.max_scan_tuples": MAX_SCAN_TUPLES,
        }
        return self._ask(
            f"SELECT id, embedding FROM {{0}}.vectors {where} ORDER BY embedding <#> %s::halfvec LIMIT %s",  # noqa: S608
            *(*values, Halfvec(to_halfvec(query)), k + _SPARE),
            settings=_BY_INDEX | effort,
        )

    def _stored(self, which: str, *values: object) -> list[StoredEssay]:
        found = self._ask(
            "SELECT e.id, record, embedding, titled, number "  # noqa: S608
            f"FROM {{0}}.essays e JOIN {{0}}.vectors USING (number) WHERE {which} ORDER BY number",
            *values,
        )
        matrix = self._vectors([row[2] for row in found])
        return [
            StoredEssay(ident, json.loads(record), vector, titled, number)
            for (ident, record, _, titled, number), vector in zip(found, matrix, strict=True)
        ]

    def _vectors(self, stored: Sequence[bytes]) -> Matrix:
        """Unit rows, float32, shape (n, dim)."""
        return unit_rows(from_halfvecs(stored, self._dim))

    def _ask(
        self, query: str, *values: object, settings: Mapping[str, object] | None = None, prepared: bool = True
    ) -> list[Row]:
        try:
            return self._database.rows(in_schema(query, self._schema), values, settings, prepared)
        except UndefinedTable:
            raise EditionError(
                f"the edition in {self._schema} of {self._database.name} is gone, or has no vectors: ask again for the "
                "current one, or run `related build`"
            ) from None


def _tests(only: Filter) -> tuple[list[str], list[object]]:
    if only.category is not None and not _is_text(only.category):
        return ["false"], []
    given = [(test, getattr(only, name)) for name, test in _TESTS.items() if getattr(only, name) is not None]
    return [test for test, _ in given], [value for _, value in given]


def _where(only: Filter, exclude: Collection[str]) -> tuple[str, list[object]]:
    tests, values = _tests(only)
    if exclude:
        tests, values = [*tests, "id <> ALL(%s::text[])"], [*values, list(filter(_is_text, exclude))]
    return f"WHERE {' AND '.join(tests)}" if tests else "", values


def _is_text(given: str) -> bool:
    """Whether PostgreSQL knows such a text: no NUL, no half of a surrogate pair."""
    return "\0" not in given and not any("\ud800" <= char <= "\udfff" for char in given)
