"""The contract of recommender.index.Index, run on every implementation; the exact one is the twin of the others."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, unit_rows
from recommender.index import ExactIndex, FaissIndex, Index, Neighbour

IMPLEMENTATIONS: dict[str, type[Index]] = {"exact": ExactIndex, "faiss": FaissIndex}


@pytest.fixture(params=list(IMPLEMENTATIONS))
def index_of(request: pytest.FixtureRequest) -> type[Index]:
    return IMPLEMENTATIONS[request.param]


def rows(*values: Sequence[float]) -> Matrix:
    return np.array(values, dtype=np.float32)


EAST, NORTH, WEST = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)
COMPASS = Vectors(("east", "north", "northeast", "west"), rows(EAST, NORTH, (0.6, 0.8), WEST), "compass@1")


def test_neighbours_come_nearest_first_with_their_cosine(index_of: type[Index]) -> None:
    assert index_of(COMPASS).search(rows(EAST, NORTH), 3) == [
        [Neighbour("east", 1.0), Neighbour("northeast", 0.6), Neighbour("north", 0.0)],
        [Neighbour("north", 1.0), Neighbour("northeast", 0.8), Neighbour("east", 0.0)],
    ]


def test_the_opposite_of_a_query_comes_last_with_minus_one(index_of: type[Index]) -> None:
    assert index_of(COMPASS).search(rows(EAST), 4)[0][-1] == Neighbour("west", -1.0)


def test_every_item_finds_itself_first(index_of: type[Index]) -> None:
    found = index_of(COMPASS).search(COMPASS.matrix, 1)

    assert [near[0].id for near in found] == list(COMPASS.ids)


def test_an_item_that_stands_twice_is_found_twice_in_id_order(index_of: type[Index]) -> None:
    vectors = Vectors(("z", "m", "a"), rows(EAST, NORTH, EAST), "f")

    assert index_of(vectors).search(rows(EAST), 2) == [[Neighbour("a", 1.0), Neighbour("z", 1.0)]]


@pytest.mark.parametrize("k", [1, 3, 11, 39, 40])
def test_of_more_equal_rows_than_are_asked_for_the_first_ids_come(index_of: type[Index], k: int) -> None:
    ids = [f"{number:02}" for number in range(40)]
    shuffled = tuple(ids[number * 7 % 40] for number in range(40))
    vectors = Vectors(shuffled, rows(*[EAST] * 40), "f")

    assert index_of(vectors).search(rows(EAST), k) == [[Neighbour(ident, 1.0) for ident in ids[:k]]]


def test_ties_at_the_last_place_are_ordered_by_id_behind_what_is_nearer(index_of: type[Index]) -> None:
    tied = tuple(f"tied-{number:02}" for number in reversed(range(30)))
    vectors = Vectors((*tied, "nearest", "far"), rows(*[(0.6, 0.8)] * 30, EAST, WEST), "f")

    found = index_of(vectors).search(rows(EAST, NORTH), 3)

    assert found == [
        [Neighbour("nearest", 1.0), Neighbour("tied-00", 0.6), Neighbour("tied-01", 0.6)],
        [Neighbour("tied-00", 0.8), Neighbour("tied-01", 0.8), Neighbour("tied-02", 0.8)],
    ]


def test_asking_for_more_than_there_is_gives_all_there_is(index_of: type[Index]) -> None:
    assert [n.id for n in index_of(COMPASS).search(rows(EAST), 500)[0]] == ["east", "northeast", "north", "west"]


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_less_than_one_is_refused(index_of: type[Index], k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be 1 or more, got {k}"):
        index_of(COMPASS).search(rows(EAST), k)


def test_an_empty_index_finds_nothing_for_each_query(index_of: type[Index]) -> None:
    empty = Vectors((), np.zeros((0, 2), dtype=np.float32), "f")

    assert index_of(empty).search(rows(EAST, NORTH), 5) == [[], []]


def test_no_queries_find_nothing(index_of: type[Index]) -> None:
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
def test_a_query_of_another_kind_is_refused_with_both_sides(
    index_of: type[Index], queries: Matrix, message: str
) -> None:
    with pytest.raises(ShapeMismatch, match=re.escape(message)):
        index_of(COMPASS).search(queries, 2)


def test_it_tells_which_encoder_its_vectors_are_of(index_of: type[Index]) -> None:
    assert index_of(COMPASS).fingerprint == "compass@1"


def test_a_search_leaves_the_vectors_as_they_were(index_of: type[Index]) -> None:
    before = COMPASS.matrix.copy()
    queries = COMPASS.matrix.copy()

    index_of(COMPASS).search(queries, 2)

    assert (COMPASS.matrix == before).all()
    assert (queries == before).all()


def test_queries_need_not_lie_in_one_piece_of_memory(index_of: type[Index]) -> None:
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


@given(sites())
def test_faiss_equals_its_exact_twin(site: tuple[Vectors, Matrix, int]) -> None:
    vectors, queries, k = site

    assert FaissIndex(vectors).search(queries, k) == ExactIndex(vectors).search(queries, k)


def test_faiss_equals_its_exact_twin_at_the_width_and_size_of_a_site() -> None:
    rng = np.random.default_rng(5)
    matrix = unit_rows(rng.normal(size=(2000, 384)).astype(np.float32))
    vectors = Vectors(tuple(f"{number:04}" for number in range(2000)), matrix, "f")

    assert FaissIndex(vectors).search(matrix[:200], 50) == ExactIndex(vectors).search(matrix[:200], 50)


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
