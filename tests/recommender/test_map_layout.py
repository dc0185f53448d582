"""The map: what is alike stands together, and any site has one."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from corpus.errors import ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import unit_rows
from recommender import map_layout
from recommender.map_layout import lay_out

NEAREST = 5


@cache
def clusters(number: int, groups: int, dim: int = 32) -> Matrix:
    """Unit vectors of so many groups in turn: row i belongs to group i % groups."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(groups, dim))
    return unit_rows((centres[np.arange(number) % groups] + 0.6 * rng.normal(size=(number, dim))).astype(np.float32))


def share_of_own_group(places: NDArray[np.float64], groups: int) -> float:
    """Of each row's nearest on the map, the share that is of its group."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :NEAREST]
    return float((nearest % groups == (np.arange(len(places)) % groups)[:, None]).mean())


def test_on_the_map_an_essays_neighbours_are_of_its_subject() -> None:
    places = lay_out(clusters(240, 8))
    assert share_of_own_group(places, 8) > 0.95


def test_essays_that_are_not_drawn_stand_among_their_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_layout, "SAMPLE", 120)
    monkeypatch.setattr(map_layout, "_CHUNK", 50)
    told: list[int] = []
    places = lay_out(clusters(600, 7), told.append)
    assert share_of_own_group(places, 7) > 0.9
    assert len(np.unique(places, axis=0)) == 600
    assert told == [120, *[50] * 9, 30]


def test_essays_of_one_vector_stand_together_drawn_or_not_but_not_on_one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_layout, "SAMPLE", 60)
    places = lay_out(np.repeat(clusters(60, 6), 4, axis=0))
    of_one = places.reshape(60, 4, 2)
    assert np.linalg.norm(of_one - of_one[:, :1], axis=2).max() < 0.12
    assert len(np.unique(places, axis=0)) == 240


@pytest.mark.parametrize("number", [1, 2, 3, 4, 9, 10, 11, 40])
@pytest.mark.parametrize("alike", [True, False])
def test_every_essay_of_a_small_site_has_a_place_of_its_own(number: int, alike: bool) -> None:
    matrix = np.tile(clusters(1, 1), (number, 1)) if alike else clusters(number, 3)
    places = lay_out(matrix)
    assert places.shape == (number, 2)
    assert (places.min() >= 0.0, places.max() <= 1.0) == (True, True)
    assert len(np.unique(places, axis=0)) == number


def test_the_only_essay_stands_in_the_middle_and_no_essay_nowhere() -> None:
    assert lay_out(clusters(1, 1)).tolist() == [[0.5, 0.5]]
    assert lay_out(np.zeros((0, 4), np.float32)).shape == (0, 2)


def test_two_essays_stand_at_opposite_edges() -> None:
    (x, _), (other, _) = lay_out(np.eye(2, dtype=np.float32)).tolist()
    assert sorted([x, other]) == [0.0, 1.0]


def test_few_essays_of_two_subjects_stand_in_two_places() -> None:
    bread, clock, *_ = np.eye(5, dtype=np.float32)
    places = lay_out(np.stack([bread, clock, bread, clock]))
    assert np.linalg.norm(places[0] - places[2]) < 0.1
    assert np.linalg.norm(places[0] - places[1]) > 0.8


def test_vectors_of_one_number_are_placed_too() -> None:
    assert lay_out(np.array([[1.0], [-1.0], [1.0]], np.float32)).shape == (3, 2)


def test_the_map_fills_its_square_in_one_direction_at_least() -> None:
    places = lay_out(clusters(60, 3))
    width = places.max(axis=0) - places.min(axis=0)
    assert width.max() == 1.0
    assert (places.max(axis=0) + places.min(axis=0)).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_the_same_vectors_give_the_same_map(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.array_equal(lay_out(clusters(240, 8)), lay_out(clusters(240, 8)))
    monkeypatch.setattr(map_layout, "SAMPLE", 60)
    assert np.array_equal(lay_out(clusters(240, 8)), lay_out(clusters(240, 8)))


def test_vectors_that_are_not_unit_rows_are_refused() -> None:
    with pytest.raises(ShapeMismatch, match="unit rows"):
        lay_out(np.zeros((3, 4), np.float32))
