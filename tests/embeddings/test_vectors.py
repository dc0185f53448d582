"""Ids and their unit vectors."""

import re

import numpy as np
import pytest

from corpus.errors import ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, check_unit_rows, stack, unit_rows


def rows(*values: tuple[float, ...]) -> Matrix:
    return np.array(values, dtype=np.float32)


def test_vectors_know_their_number_and_width() -> None:
    vectors = Vectors(("a", "b"), rows((1, 0, 0), (0, 1, 0)), "f")

    assert (len(vectors), vectors.dim) == (2, 3)


def test_no_vectors_are_vectors_too() -> None:
    vectors = Vectors((), np.zeros((0, 5), dtype=np.float32), "f")

    assert (len(vectors), vectors.dim) == (0, 5)


@pytest.mark.parametrize(
    ("ids", "matrix", "message"),
    [
        (("a",), rows((1, 0), (0, 1)), "1 ids for 2 vectors: each id needs one"),
        (("a", "a"), rows((1, 0), (0, 1)), "two vectors have one id: ids must differ"),
        (("a", "b"), rows((1, 0), (0, 2)), "expected unit rows, but row 1 has length 2.0000"),
        (("a",), rows((float("nan"), 1)), "expected unit rows, but row 0 has length nan"),
        (("a",), np.array([[1.0, 0.0]]), "expected float32 vectors, got float64"),
        (("a",), np.array([1, 0], dtype=np.float32), "expected vectors of shape (n, dim), got (2,)"),
    ],
    ids=["too few ids", "one id twice", "long", "nan", "float64", "flat"],
)
def test_ids_and_rows_that_do_not_fit_are_refused(ids: tuple[str, ...], matrix: Matrix, message: str) -> None:
    with pytest.raises(ShapeMismatch, match=re.escape(message)):
        Vectors(ids, matrix, "f")


def test_a_width_that_was_asked_for_is_checked() -> None:
    check_unit_rows(rows((1, 0)), dim=2)

    with pytest.raises(ShapeMismatch, match=re.escape("expected vectors of shape (n, 3), got (1, 2)")):
        check_unit_rows(rows((1, 0)), dim=3)


def test_rows_are_scaled_to_length_one() -> None:
    assert unit_rows(rows((3, 4), (0, -2))).tolist() == rows((0.6, 0.8), (0, -1)).tolist()


def test_a_row_of_zeros_becomes_the_first_axis() -> None:
    assert unit_rows(rows((0, 0, 0), (0, 5, 0))).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_tiny_and_huge_rows_are_scaled_too() -> None:
    assert unit_rows(rows((1e-6, 0), (0, 1e6))).tolist() == [[1, 0], [0, 1]]


def test_scaling_keeps_the_type_and_leaves_its_argument_alone() -> None:
    matrix = rows((0, 0), (2, 0))

    assert unit_rows(matrix).dtype == np.float32
    assert matrix.tolist() == [[0, 0], [2, 0]]
    assert unit_rows(np.zeros((0, 4), dtype=np.float32)).shape == (0, 4)


def test_matrices_are_stacked_and_none_have_the_width_that_is_asked_for() -> None:
    assert stack([rows((1, 0)), rows((0, 1), (1, 0))], 2).tolist() == [[1, 0], [0, 1], [1, 0]]
    assert stack([], 7).shape == (0, 7)
    assert stack([], 7).dtype == np.float32
