"""The contract of recommender.index.Index, run on every implementation; the exact one is the twin of the others."""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from corpus.errors import SettingsError, ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, unit_rows
from recommender.index import ExactIndex, FaissIndex, Index, Kind, Neighbour, RowIndex, WithChanges

MakeIndex = Callable[[Vectors], Index]
MakeRowIndex = Callable[[Vectors], RowIndex]


def with_changes(vectors: Vectors) -> WithChanges:
    """Half of the items came later, one of them by a new vector; one of the index has gone."""
    half = len(vectors) // 2
    replaced, gone = vectors.ids[half : half + 1], ("gone",)
    ids = (*gone, *replaced, *vectors.ids[:half])
    stale = np.repeat(np.eye(1, vectors.dim, dtype=np.float32), len(ids) - half, axis=0)
    index = FaissIndex(Vectors(ids, np.vstack([stale, vectors.matrix[:half]]), vectors.fingerprint))
    return WithChanges(index, Vectors(vectors.ids[half:], vectors.matrix[half:], vectors.fingerprint), gone)


TWIN: dict[str, MakeRowIndex] = {"twin": ExactIndex}
EXACT: dict[str, MakeRowIndex] = {"exact": partial(FaissIndex, setting="exact")}
APPROXIMATE: dict[str, MakeRowIndex] = {kind: partial(FaissIndex, setting=kind) for kind in ("hnsw", "ivf", "ivf8")}
ROW_INDEXES: dict[str, MakeRowIndex] = TWIN | EXACT | APPROXIMATE
CLAIMED_EXACT: dict[str, MakeIndex] = {**TWIN, **EXACT, "with changes": with_changes}
IMPLEMENTATIONS: dict[str, MakeIndex] = {**CLAIMED_EXACT, **APPROXIMATE}


@pytest.fixture(params=list(IMPLEMENTATIONS))
def index_of(request: pytest.FixtureRequest) -> MakeIndex:
    return IMPLEMENTATIONS[request.param]


@pytest.fixture(params=list(CLAIMED_EXACT))
def exact_index_of(request: pytest.FixtureRequest) -> MakeIndex:
    return CLAIMED_EXACT[request.param]


@pytest.fixture(params=list(ROW_INDEXES))
def row_index_of(request: pytest.FixtureRequest) -> MakeRowIndex:
    return ROW_INDEXES[request.param]


@pytest.fixture(params=list(APPROXIMATE))
def approximate_kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


def rows(*values: Sequence[float]) -> Matrix:
    return np.array(values, dtype=np.float32)


EAST, NORTH, WEST = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)
COMPASS = Vectors(("east", "north", "northeast", "west"), rows(EAST, NORTH, (0.6, 0.8), WEST), "compass@1")


def test_neighbours_come_nearest_first_with_their_cosine(index_of: MakeIndex) -> None:
    assert index_of(COMPASS).search(rows(EAST, NORTH), 3) == [
        [Neighbour("east", 1.0), Neighbour("northeast", 0.6), Neighbour("north", 0.0)],
        [Neighbour("north", 1.0), Neighbour("northeast", 0.8), Neighbour("east", 0.0)],
    ]


def test_the_opposite_of_a_query_comes_last_with_minus_one(index_of: MakeIndex) -> None:
    assert index_of(COMPASS).search(rows(EAST), 4)[0][-1] == Neighbour("west", -1.0)


def test_every_item_finds_itself_first(index_of: MakeIndex) -> None:
    found = index_of(COMPASS).search(COMPASS.matrix, 1)

    assert [near[0].id for near in found] == list(COMPASS.ids)


def test_an_item_that_stands_twice_is_found_twice_in_id_order(exact_index_of: MakeIndex) -> None:
    vectors = Vectors(("z", "m", "a"), rows(EAST, NORTH, EAST), "f")

    assert exact_index_of(vectors).search(rows(EAST), 2) == [[Neighbour("a", 1.0), Neighbour("z", 1.0)]]


@pytest.mark.parametrize("k", [1, 3, 11, 39, 40])
def test_of_more_equal_rows_than_are_asked_for_the_first_ids_come(exact_index_of: MakeIndex, k: int) -> None:
    ids = [f"{number:02}" for number in range(40)]
    shuffled = tuple(ids[number * 7 % 40] for number in range(40))
    vectors = Vectors(shuffled, rows(*[EAST] * 40), "f")

    assert exact_index_of(vectors).search(rows(EAST), k) == [[Neighbour(ident, 1.0) for ident in ids[:k]]]


def test_ties_at_the_last_place_are_ordered_by_id_behind_what_is_nearer(exact_index_of: MakeIndex) -> None:
    tied = tuple(f"tied-{number:02}" for number in reversed(range(30)))
    vectors = Vectors((*tied, "nearest", "far"), rows(*[(0.6, 0.8)] * 30, EAST, WEST), "f")

    found = exact_index_of(vectors).search(rows(EAST, NORTH), 3)

    assert found == [
        [Neighbour("nearest", 1.0), Neighbour("tied-00", 0.6), Neighbour("tied-01", 0.6)],
        [Neighbour("tied-00", 0.8), Neighbour("tied-01", 0.8), Neighbour("tied-02", 0.8)],
    ]


def test_asking_for_more_than_there_is_gives_all_there_is(index_of: MakeIndex) -> None:
    assert [n.id for n in index_of(COMPASS).search(rows(EAST), 500)[0]] == ["east", "northeast", "north", "west"]


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_less_than_one_is_refused(index_of: MakeIndex, k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be 1 or more, got {k}"):
        index_of(COMPASS).search(rows(EAST), k)


def test_an_empty_index_finds_nothing_for_each_query(index_of: MakeIndex) -> None:
    empty = Vectors((), np.zeros((0, 2), dtype=np.float32), "f")

    assert index_of(empty).search(rows(EAST, NORTH), 5) == [[], []]


def test_no_queries_find_nothing(index_of: MakeIndex) -> None:
    assert index_of(COMPASS).search(np.zeros((0, 2), dtype=np.float32), 5) == []


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (rows((1.0, 0.0, 0.0)), "expected vectors of shape (n, 2), got (1, 3)"),
        (np.array(EAST, dtype=np.float32), "expected vectors of shape (n, 2), got (2,)"),
        (np.array([EAST]), "expected float32 vectors, got float64"),
        (rows(EAST, (2.0, 0.0)), "expected unit rows, but row 1 has length 2.0000"),
        (rows((0.0, 0.0)), "expected unit rows, but row 0 has length 0.0000"),
        (rows(EAST, (float("nan"), 1.0)), "expected unit rows, but row 1 has length nan"),
        (rows((float("inf"), 1.0)), "expected unit rows, but row 0 has length inf"),
    ],
    ids=["wide", "flat", "float64", "long", "zero", "nan", "inf"],
)
def test_a_query_of_another_kind_is_refused_with_both_sides(index_of: MakeIndex, queries: Matrix, message: str) -> None:
    with pytest.raises(ShapeMismatch, match=re.escape(message)):
        index_of(COMPASS).search(queries, 2)


def test_it_tells_which_encoder_its_vectors_are_of(index_of: MakeIndex) -> None:
    assert index_of(COMPASS).fingerprint == "compass@1"


def test_a_search_leaves_the_vectors_as_they_were(index_of: MakeIndex) -> None:
    before = COMPASS.matrix.copy()
    queries = COMPASS.matrix.copy()

    index_of(COMPASS).search(queries, 2)

    assert (COMPASS.matrix == before).all()
    assert (queries == before).all()


def test_queries_need_not_lie_in_one_piece_of_memory(index_of: MakeIndex) -> None:
    every_other_row = np.repeat(COMPASS.matrix, 2, axis=0)[::2]
    column_by_column = np.asfortranarray(COMPASS.matrix)
    expected = index_of(COMPASS).search(COMPASS.matrix, 4)

    assert index_of(COMPASS).search(every_other_row, 4) == expected
    assert index_of(COMPASS).search(column_by_column, 4) == expected


@st.composite
def sites(draw: st.DrawFn) -> tuple[Vectors, Matrix, int]:
    """Items, queries and k. Coordinates are often small whole numbers, so that many rows are equal or tie."""
    width = draw(st.integers(1, 6))
    whole = st.integers(-2, 2).map(float)
    coordinate = draw(st.sampled_from([whole, st.floats(-1, 1, width=32)]))
    row = st.lists(coordinate, min_size=width, max_size=width)
    items = draw(st.lists(row, max_size=40))
    queries = draw(st.lists(row, min_size=1, max_size=4))
    ids = draw(st.permutations([f"{number:02}" for number in range(len(items))]))
    matrix = unit_rows(np.array(items, dtype=np.float32).reshape(-1, width))
    return Vectors(tuple(ids), matrix, "f"), unit_rows(np.array(queries, dtype=np.float32)), draw(st.integers(1, 45))


@pytest.mark.parametrize("exact", EXACT.values(), ids=EXACT)
@given(site=sites())
def test_what_claims_to_be_exact_equals_its_twin(exact: MakeRowIndex, site: tuple[Vectors, Matrix, int]) -> None:
    vectors, queries, k = site

    assert exact(vectors).search(queries, k) == ExactIndex(vectors).search(queries, k)
    assert with_changes(vectors).search(queries, k) == ExactIndex(vectors).search(queries, k)


@given(sites(), st.data())
def test_so_do_the_rows_of_any_part_of_it(site: tuple[Vectors, Matrix, int], data: st.DataObject) -> None:
    vectors, queries, k = site
    among = np.array(data.draw(st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors))), dtype=np.bool_)

    for part in (None, among):
        rows, similarities = EXACT["exact"](vectors).search_rows(queries, k, part)
        expected_rows, expected_similarities = ExactIndex(vectors).search_rows(queries, k, part)
        assert rows.tolist() == expected_rows.tolist()
        assert similarities.tolist() == expected_similarities.tolist()


@pytest.mark.parametrize("approximate", APPROXIMATE.values(), ids=APPROXIMATE)
@settings(max_examples=25)
@given(site=sites())
def test_what_is_not_exact_gives_as_many_in_order_each_once_and_with_its_cosine(
    approximate: MakeIndex, site: tuple[Vectors, Matrix, int]
) -> None:
    vectors, queries, k = site
    cosines = [{n.id: n.similarity for n in near} for near in ExactIndex(vectors).search(queries, len(vectors) + 1)]

    found = approximate(vectors).search(queries, k)

    for near, cosine in zip(found, cosines, strict=True):
        assert len(near) == len({n.id for n in near}) == min(k, len(vectors))
        assert near == sorted(near, key=lambda n: (-n.similarity, n.id))
        assert all(n.similarity == cosine[n.id] for n in near)


def a_site(count: int, dim: int = 32, seed: int = 5) -> Vectors:
    """Items around centres, a few dozen to each, ids in no order of rows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count // 40, dim))
    matrix = centres[rng.integers(len(centres), size=count)] + 0.6 * rng.normal(size=(count, dim))
    return Vectors(tuple(f"{i * 7 % count:05}" for i in range(count)), unit_rows(matrix.astype(np.float32)), "f")


@cache
def index_of_a_site(kind: Kind) -> FaissIndex:
    return FaissIndex(a_site(4000), kind)


@pytest.mark.parametrize("exact", [*EXACT.values(), with_changes], ids=[*EXACT, "with changes"])
def test_it_does_at_the_width_and_size_of_a_site_too(exact: MakeIndex) -> None:
    vectors = a_site(2000, dim=384)

    assert exact(vectors).search(vectors.matrix[:200], 50) == ExactIndex(vectors).search(vectors.matrix[:200], 50)


def test_rows_are_numbers_of_the_vectors_nearest_first(row_index_of: MakeRowIndex) -> None:
    found, similarities = row_index_of(COMPASS).search_rows(rows(EAST, NORTH), 3)

    assert (found.dtype, similarities.dtype) == (np.int64, np.float32)
    assert found.tolist() == [[0, 2, 1], [1, 2, 0]]
    assert similarities == pytest.approx(np.array([[1, 0.6, 0], [1, 0.8, 0]]))


def test_rows_of_equal_vectors_come_in_order() -> None:
    vectors = Vectors(("z", "m", "a"), rows(EAST, NORTH, EAST), "f")

    for make in (*TWIN.values(), *EXACT.values()):
        assert make(vectors).search_rows(rows(EAST), 2)[0].tolist() == [[0, 2]]


def test_rows_are_cut_to_as_many_as_there_are(row_index_of: MakeRowIndex) -> None:
    index = row_index_of(COMPASS)

    assert index.search_rows(rows(EAST), 9)[0].tolist() == [[0, 2, 1, 3]]
    assert index.search_rows(rows(EAST), 9, np.array([False, True, False, True]))[0].tolist() == [[1, 3]]
    assert index.search_rows(rows(EAST), 9, np.zeros(4, np.bool_))[0].shape == (1, 0)
    assert index.search_rows(np.zeros((0, 2), np.float32), 9)[0].shape[0] == 0


@pytest.mark.parametrize("among", [np.ones(3, np.bool_), np.ones((4, 1), np.bool_), np.array([0, 2, 1, 3])])
def test_a_mask_of_another_kind_is_refused(row_index_of: MakeRowIndex, among: NDArray[np.bool_]) -> None:
    with pytest.raises(ValueError, match=re.escape("expected a mask of bool, shape (4,), got")):
        row_index_of(COMPASS).search_rows(rows(EAST), 2, among)


@pytest.mark.parametrize("left", [0.003, 0.05, 0.2, 0.9])
def test_a_filter_takes_nothing_from_the_number_that_comes_back(approximate_kind: Kind, left: float) -> None:
    """HNSW whose filter left 0.3% of the rows gave 3 of 10, without an error."""
    index = index_of_a_site(approximate_kind)
    vectors = index.vectors
    among = np.random.default_rng(1).random(len(vectors)) < left
    queries = vectors.matrix[:100]

    found, similarities = index.search_rows(queries, 10, among)

    expected, nearest = ExactIndex(vectors).search_rows(queries, 10, among)
    assert found.shape == (100, min(10, among.sum()))
    assert among[found].all()
    assert np.mean(similarities >= nearest[:, -1:]) > 0.98
    if left < 0.1:
        assert found.tolist() == expected.tolist()


def test_a_query_for_which_too_few_are_found_is_answered_exactly(
    approximate_kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left lies where a hasty search does not look: FAISS fills the list with -1."""
    index = index_of_a_site(approximate_kind)
    monkeypatch.setattr(index._search, "_effort", 1)
    query = index.vectors.matrix[:1]
    cosines = index.vectors.matrix @ query[0]
    among = cosines < np.quantile(cosines, 0.15)

    found = index.search_rows(query, 200, among)[0]

    assert found.shape == (1, 200)
    assert (found >= 0).all()
    assert among[found].all()
    if approximate_kind != "hnsw":
        assert found.tolist() == ExactIndex(index.vectors).search_rows(query, 200, among)[0].tolist()


def test_a_filter_that_leaves_under_a_tenth_does_not_ask_the_index(
    approximate_kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of_a_site(approximate_kind)
    monkeypatch.setattr(index._search, "_index", "not to be asked")
    among = np.arange(len(index.vectors)) % 11 == 0

    found = index.search_rows(index.vectors.matrix[:20], 10, among)[0]

    assert found.tolist() == ExactIndex(index.vectors).search_rows(index.vectors.matrix[:20], 10, among)[0].tolist()


def test_removed_items_are_found_no_more_and_every_other_one_keeps_its_id(approximate_kind: Kind) -> None:
    """An id map over IVF gave the wrong id for every row after one removal; HNSW cannot remove."""
    index = index_of_a_site(approximate_kind)
    vectors = index.vectors
    nothing = Vectors((), np.zeros((0, vectors.dim), np.float32), "f")

    found = WithChanges(index, nothing, vectors.ids[:3]).search(vectors.matrix, 1)

    assert [near[0].id for near in found[3:]] == list(vectors.ids[3:])
    assert not {near[0].id for near in found} & set(vectors.ids[:3])


@pytest.mark.parametrize("setting", ["IDMap2,IVF16,Flat", "IVF16,Flat", "Flat", "HNSW32", ""])
def test_what_faiss_could_build_besides_cannot_be_built(setting: str) -> None:
    with pytest.raises(
        SettingsError, match=f"index = '{setting}' is not known: use one of auto, exact, hnsw, ivf, ivf8"
    ):
        FaissIndex(COMPASS, setting)


def test_the_exact_twin_agrees_with_cosines_computed_one_by_one() -> None:
    rng = np.random.default_rng(6)
    matrix = unit_rows(rng.normal(size=(30, 12)).astype(np.float32))
    vectors = Vectors(tuple(f"{number:02}" for number in range(30)), matrix, "f")

    [found] = ExactIndex(vectors).search(matrix[:1], 30)

    by_hand = {
        vectors.ids[i]: sum(float(a) * float(b) for a, b in zip(matrix[0], matrix[i], strict=True)) for i in range(30)
    }
    assert [n.id for n in found] == sorted(by_hand, key=lambda ident: -by_hand[ident])
    assert [n.similarity for n in found] == pytest.approx([by_hand[n.id] for n in found], abs=1e-6)
