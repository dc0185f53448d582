"""Vectors searched in PostgreSQL: the contract of an index, as far as half precision can keep it, and filters.

What tests/contracts/test_index.py says of every index is said again here where it compares similarities to the last
digit.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.postgres_server import Server
from corpus.errors import EditionError, ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors
from recommender.index import ExactIndex, Neighbour
from recommender.live_vectors import NO_FILTER, Filter
from tests.contracts.test_index import COMPASS, EAST, NORTH, a_site, rows, sites

psycopg = pytest.importorskip("psycopg", reason="the extra is absent: pip install 'related-articles[postgres]'")

from recommender import postgres_search  # noqa: E402
from recommender.postgres import open_database  # noqa: E402
from recommender.postgres_search import PostgresSearch  # noqa: E402
from recommender.postgres_vectors import VectorRow, fill  # noqa: E402

HALF = 1e-3
"""What half precision takes from a similarity."""
CATEGORIES = ("half", "tenth", "fiftieth")
FIRST_DAY = date(2020, 1, 1)
_schemas = count()

MakeSearch = Callable[[Vectors], PostgresSearch]


@pytest.fixture(scope="module")
def url(postgres: Server) -> str:
    """Of a database with pgvector."""
    url = postgres.fresh_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE EXTENSION vector")
    return url


@pytest.fixture(params=["exact", "by index"])
def make(request: pytest.FixtureRequest, url: str, monkeypatch: pytest.MonkeyPatch) -> MakeSearch:
    if request.param == "by index":
        always_by_index(monkeypatch)
    return lambda vectors: search_over(url, vectors)


def always_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_search, "EXACT_UP_TO", -1)
    monkeypatch.setattr(postgres_search, "LEAST_SHARE", -1.0)


def search_over(
    url: str, vectors: Vectors, items: Iterable[tuple[str, str | None, date | None]] = ()
) -> PostgresSearch:
    """items: kind, category and date of each; by default essays without either."""
    schema = f"search{next(_schemas)}"
    known = list(items) or [("essay", None, None)] * len(vectors)
    numbers = {name: number for number, name in enumerate(CATEGORIES, start=1)}
    entries = zip(count(1), vectors.ids, known, vectors.matrix, strict=False)
    found = (VectorRow(n, i, kind, numbers.get(c or ""), day, 0, row) for n, i, (kind, c, day), row in entries)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.categories (number int, name text)".encode())
        for name, number in numbers.items():
            db.execute(f"INSERT INTO {schema}.categories VALUES ({number}, '{name}')".encode())  # noqa: S608
        fill(db, schema, vectors.dim, found)
    return PostgresSearch(open_database(url), schema, vectors.fingerprint)


def near(*expected: tuple[str, float]) -> list[tuple[str, object]]:
    return [(ident, pytest.approx(similarity, abs=HALF)) for ident, similarity in expected]


def pairs(found: Iterable[Neighbour]) -> list[tuple[str, float]]:
    return [(neighbour.id, neighbour.similarity) for neighbour in found]


# --- The contract of an index -------------------------------------------------------------------------------------


def test_neighbours_come_nearest_first_with_their_cosine(make: MakeSearch) -> None:
    first, second = make(COMPASS).search(rows(EAST, NORTH), 3)

    assert pairs(first) == near(("east", 1.0), ("northeast", 0.6), ("north", 0.0))
    assert pairs(second) == near(("north", 1.0), ("northeast", 0.8), ("east", 0.0))


def test_every_item_finds_itself_first_and_nothing_is_nearer_than_1(make: MakeSearch) -> None:
    vectors = a_site(200, dim=384)

    found = make(vectors).search(vectors.matrix[:20], 1)

    assert [[n.id for n in row] for row in found] == [[ident] for ident in vectors.ids[:20]]
    assert all(1 - HALF < row[0].similarity <= 1 for row in found)


@pytest.mark.parametrize("k", [1, 3, 11, 39, 40])
def test_of_more_equal_rows_than_are_asked_for_the_first_ids_come(url: str, k: int) -> None:
    ids = [f"{number:02}" for number in range(40)]
    vectors = Vectors(tuple(ids[number * 7 % 40] for number in range(40)), rows(*[EAST] * 40), "f")

    assert search_over(url, vectors).search(rows(EAST), k) == [[Neighbour(ident, 1.0) for ident in ids[:k]]]


def test_asking_for_more_than_there_is_gives_all_there_is(make: MakeSearch) -> None:
    assert [n.id for n in make(COMPASS).search(rows(EAST), 500)[0]] == ["east", "northeast", "north", "west"]


def test_an_empty_table_and_no_queries_find_nothing(make: MakeSearch) -> None:
    empty = Vectors((), np.zeros((0, 2), dtype=np.float32), "f")

    assert make(empty).search(rows(EAST, NORTH), 5) == [[], []]
    assert make(COMPASS).search(np.zeros((0, 2), dtype=np.float32), 5) == []


def test_what_is_no_query_is_refused_before_the_database_is_asked(url: str) -> None:
    search = search_over(url, COMPASS)

    with pytest.raises(ValueError, match="k must be 1 or more, got 0"):
        search.search(rows(EAST), 0)
    for queries, message in (
        (rows((1.0, 0.0, 0.0)), "expected vectors of shape (n, 2), got (1, 3)"),
        (np.array([EAST]), "expected float32 vectors, got float64"),
        (rows(EAST, (float("nan"), 1.0)), "expected unit rows, but row 1 has length nan"),
    ):
        with pytest.raises(ShapeMismatch, match=re.escape(message)):
            search.search(queries, 2)
    with pytest.raises(ShapeMismatch, match=re.escape("expected vectors of shape (n, 2), got (1, 3)")):
        search.nearest(np.float32([1, 0, 0]), 2)


def test_it_tells_which_encoder_its_vectors_are_of(url: str) -> None:
    assert search_over(url, COMPASS).fingerprint == "compass@1"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(site=sites())
def test_as_many_come_in_order_each_once_and_with_its_cosine(
    make: MakeSearch, site: tuple[Vectors, Matrix, int]
) -> None:
    vectors, queries, k = site
    cosines = [{n.id: n.similarity for n in row} for row in ExactIndex(vectors).search(queries, len(vectors) + 1)]

    found = make(vectors).search(queries, k)

    for row, cosine in zip(found, cosines, strict=True):
        assert len(row) == len({n.id for n in row}) == min(k, len(vectors))
        assert row == sorted(row, key=lambda n: (-n.similarity, n.id))
        assert all(n.similarity == pytest.approx(cosine[n.id], abs=HALF) for n in row)


# --- Filters ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Vectors:
    """Items of categories that leave a half, a tenth and a fiftieth, a day each; every fifth is a blurb."""
    return a_site(4000)


def category(row: int) -> str:
    return "fiftieth" if row % 50 == 0 else "tenth" if row % 10 == 1 else "half" if row % 2 else "none"


def items(site: Vectors) -> list[tuple[str, str, date]]:
    return [
        ("blurb" if row % 5 == 4 else "essay", category(row), FIRST_DAY + timedelta(row)) for row in range(len(site))
    ]


@pytest.fixture(scope="module")
def searched(url: str, site: Vectors) -> PostgresSearch:
    return search_over(url, site, items(site))


@pytest.fixture
def search(searched: PostgresSearch) -> PostgresSearch:
    """Without what it remembers of filters."""
    searched._leaves_few.cache_clear()
    return searched


def left_by(site: Vectors, only: Filter, exclude: Sequence[str] = ()) -> list[int]:
    def passes(row: int, kind: str, name: str, day: date) -> bool:
        return (
            only.kind in (None, kind)
            and only.category in (None, name)
            and (only.published_after or date.min) <= day <= (only.published_before or date.max)
            and site.ids[row] not in exclude
        )

    return [row for row, item in enumerate(items(site)) if passes(row, *item)]


def exactly(site: Vectors, query: Matrix, k: int, only: Filter, exclude: Sequence[str] = ()) -> list[str]:
    left = left_by(site, only, exclude)
    part = Vectors(tuple(site.ids[row] for row in left), site.matrix[left], site.fingerprint)
    return [neighbour.id for neighbour in ExactIndex(part).search(query[None], k)[0]]


def refuse(*_: object) -> list[object]:
    raise AssertionError("this way was not to be gone")


@pytest.mark.parametrize(
    "only",
    [
        NO_FILTER,
        Filter("blurb"),
        Filter("essay", "tenth"),
        Filter(published_after=FIRST_DAY + timedelta(100)),
        Filter(published_before=FIRST_DAY + timedelta(100)),
        Filter("essay", "half", FIRST_DAY + timedelta(300), FIRST_DAY + timedelta(330)),
        Filter(category="no such category"),
    ],
    ids=str,
)
def test_only_what_the_filters_leave_comes(search: PostgresSearch, site: Vectors, only: Filter) -> None:
    query = site.matrix[7]
    exclude = exactly(site, query, 3, only)

    for left_out in ((), exclude):
        found = [n.id for n in search.nearest(query, 10, only, left_out)]
        true = exactly(site, query, 10, only, left_out)
        assert len(found) == len(true)
        assert len(set(found) & set(true)) >= len(true) - 1  # half precision may change the last place
        assert not set(found) & set(left_out)


@pytest.mark.parametrize("odd", ["a\0b", "\ud800"])
def test_what_is_no_text_for_postgresql_is_no_category_and_excludes_nothing(
    search: PostgresSearch, site: Vectors, odd: str
) -> None:
    assert search.nearest(site.matrix[0], 3, Filter(category=odd)) == []
    assert search.nearest(site.matrix[0], 3, exclude=[odd]) == search.nearest(site.matrix[0], 3)


def test_items_without_date_or_category_fail_a_filter_about_them(url: str) -> None:
    search = search_over(url, COMPASS, [("essay", None, None)] * 3 + [("essay", "half", FIRST_DAY)])

    for only in (Filter(category="half"), Filter(published_after=date.min), Filter(published_before=date.max)):
        assert [n.id for n in search.nearest(COMPASS.matrix[0], 4, only)] == ["west"]


def test_the_index_goes_on_until_it_has_enough(
    search: PostgresSearch, site: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hnsw.iterative_scan off, a filter that leaves a fiftieth gives few of ten, or none."""
    always_by_index(monkeypatch)
    monkeypatch.setattr(postgres_search, "EF_SEARCH", 40)
    monkeypatch.setattr(search, "_exactly", refuse)

    for query in site.matrix[:20]:
        assert len(search.nearest(query, 10, Filter(category="fiftieth"))) == 10


def test_what_the_index_finds_under_a_filter_is_nearly_what_there_is(
    search: PostgresSearch, site: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_by_index(monkeypatch)
    monkeypatch.setattr(search, "_exactly", refuse)
    only = Filter("essay", "half")

    found = [
        len({n.id for n in search.nearest(query, 10, only)} & set(exactly(site, query, 10, only))) / 10
        for query in site.matrix[:50]
    ]

    assert np.mean(found) > 0.98


def test_a_small_share_is_searched_exactly_and_a_large_one_by_the_index(
    search: PostgresSearch, site: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_search, "EXACT_UP_TO", 0)
    exact, by_index = search._exactly, search._by_index

    monkeypatch.setattr(search, "_by_index", refuse)
    found = [n.id for n in search.nearest(site.matrix[3], 10, Filter(category="fiftieth"))]
    assert found == exactly(site, site.matrix[3], 10, Filter(category="fiftieth"))

    monkeypatch.setattr(search, "_by_index", by_index)
    monkeypatch.setattr(search, "_exactly", refuse)
    assert len(search.nearest(site.matrix[3], 10, Filter(category="half"))) == 10
    monkeypatch.setattr(search, "_exactly", exact)


def test_few_items_are_searched_exactly_whatever_share_they_are(
    search: PostgresSearch, site: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_by_index", refuse)

    assert [n.id for n in search.nearest(site.matrix[3], 10)] == exactly(site, site.matrix[3], 10, NO_FILTER)


def test_never_fewer_come_than_are_left_where_the_index_gives_up(
    search: PostgresSearch, site: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_by_index(monkeypatch)
    monkeypatch.setattr(postgres_search, "EF_SEARCH", 1)
    monkeypatch.setattr(postgres_search, "MAX_SCAN_TUPLES", 1)
    only = Filter("essay", "fiftieth")
    by_index = search._by_index(site.matrix[0], 60, only, ())
    assert len(by_index) < 60  # or the planner went another way

    for query in site.matrix[:5]:
        found = [n.id for n in search.nearest(query, 60, only)]
        assert found == exactly(site, query, 60, only)
    assert len(search.nearest(site.matrix[0], 500, only)) == len(left_by(site, only)) == 80


def test_a_filter_is_counted_once(search: PostgresSearch, site: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = search._ask
    monkeypatch.setattr(search, "_ask", lambda query, *v, **more: asked.append(query) or ask(query, *v, **more))

    for query in site.matrix[:3]:
        search.nearest(query, 3, Filter(category="tenth"), [site.ids[0]])

    assert sum("count(*)" in query for query in asked) == 1


def test_settings_hold_for_one_query_alone(search: PostgresSearch, site: Vectors) -> None:
    search._by_index(site.matrix[0], 10, NO_FILTER, ())

    [(value,)] = search._database.rows(b"SELECT current_setting('enable_sort')")
    assert value == "on"


def test_an_edition_that_is_gone_is_told_in_a_sentence(url: str) -> None:
    search = search_over(url, COMPASS)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"DROP SCHEMA {search._schema} CASCADE".encode())

    with pytest.raises(EditionError, match=r"is gone, or has no vectors: ask again for the current one, or run"):
        search.nearest(COMPASS.matrix[0], 2)
    with pytest.raises(EditionError, match="is gone, or has no vectors"):
        PostgresSearch(open_database(url), search._schema, "f")
