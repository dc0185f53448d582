"""Vectors in 256 bits."""

import numpy as np
import pytest

from corpus.errors import ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import unit_rows
from recommender.ranking import SKETCH_BITS, similarity
from recommender.sketch import sketches


def random_rows(count: int, dim: int, seed: int = 1) -> Matrix:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, dim), dtype=np.float32))


def pairs_of_all_angles(count: int, dim: int) -> tuple[Matrix, Matrix]:
    """Pairs of unit rows whose cosines lie evenly between -1 and 1."""
    left, other = random_rows(count, dim, 1), random_rows(count, dim, 2)
    across = unit_rows(other - (left * other).sum(axis=1, keepdims=True) * left)
    cosines = np.linspace(-1, 1, count, dtype=np.float32)[:, None]
    return left, cosines * left + np.sqrt(1 - cosines**2) * across


@pytest.mark.parametrize("dim", [16, 384])
def test_sketches_tell_the_cosine_of_their_vectors(dim: int) -> None:
    left, right = pairs_of_all_angles(200, dim)

    estimates = [similarity(a, b) for a, b in zip(sketches(left), sketches(right), strict=True)]

    errors = np.abs(np.array(estimates) - (left * right).sum(axis=1))
    assert np.quantile(errors, 0.9) < 0.15
    assert errors.max() < 0.3, "some three standard errors"
    assert errors.mean() < 0.07


def test_random_pairs_are_told_within_a_few_hundredths_on_average() -> None:
    rows = random_rows(40, 384)
    made = sketches(rows)

    errors = [abs(similarity(made[i], made[j]) - float(rows[i] @ rows[j])) for i in range(40) for j in range(i)]

    assert float(np.mean(errors)) < 0.09
    assert float(np.quantile(errors, 0.86)) < 0.15


def test_a_sketch_is_its_vectors_alone() -> None:
    rows = random_rows(5, 384)

    made = sketches(rows)

    assert sketches(rows) == made
    assert sketches(rows[::-1].copy()) == made[::-1]
    assert [sketches(rows[i : i + 1])[0] for i in range(5)] == made
    assert len(set(made)) == 5
    assert all(0 < sketch < 1 << SKETCH_BITS for sketch in made)


def test_opposite_vectors_differ_in_every_bit_and_equal_ones_in_none() -> None:
    rows = random_rows(3, 8)

    for one, other in zip(sketches(rows), sketches(-rows), strict=True):
        assert (similarity(one, one), similarity(one, other)) == (1.0, -1.0)


def test_no_vectors_give_no_sketches() -> None:
    assert sketches(np.zeros((0, 384), dtype=np.float32)) == []


@pytest.mark.parametrize(
    "matrix", [np.ones(3, dtype=np.float32), np.eye(3, dtype=np.float64), np.full((1, 2), np.nan, dtype=np.float32)]
)
def test_what_are_no_unit_vectors_is_refused(matrix: Matrix) -> None:
    with pytest.raises(ShapeMismatch, match=r"^expected "):
        sketches(matrix)
