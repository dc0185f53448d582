"""Ids and their unit vectors, bound to the encoder that made them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.errors import ShapeMismatch
from embeddings.encoder import Matrix


@dataclass(frozen=True, eq=False)
class Vectors:
    """matrix: float32, shape (n, dim), unit rows, row i belonging to ids[i]. fingerprint: see Encoder.

    Raises ShapeMismatch when matrix and ids disagree, or the matrix is not float32, finite and of unit rows.
    """

    ids: tuple[str, ...]
    matrix: Matrix
    fingerprint: str

    def __post_init__(self) -> None:
        check_unit_rows(self.matrix)
        if len(self.ids) != len(self.matrix):
            raise ShapeMismatch(f"{len(self.ids)} ids for {len(self.matrix)} vectors: each id needs one")
        if len(set(self.ids)) != len(self.ids):
            raise ShapeMismatch("two vectors have one id: ids must differ")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.matrix.shape[1])


def check_unit_rows(matrix: Matrix, dim: int | None = None) -> None:
    """Raises ShapeMismatch unless the matrix is float32, two-dimensional, of width dim, finite, of unit rows."""
    if matrix.ndim != 2 or (dim is not None and matrix.shape[1] != dim):
        raise ShapeMismatch(f"expected vectors of shape (n, {dim or 'dim'}), got {matrix.shape}")
    if matrix.dtype != np.float32:
        raise ShapeMismatch(f"expected float32 vectors, got {matrix.dtype}")
    lengths = np.linalg.norm(matrix, axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1.0) < 1e-3))  # written so that a NaN is bad too
    if bad.size:
        raise ShapeMismatch(f"expected unit rows, but row {bad[0]} has length {lengths[bad[0]]:.4f}")


def unit_rows(matrix: Matrix) -> Matrix:
    """The rows scaled to length 1; a row of zeros becomes the first axis, so that every row stays usable."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    empty = lengths[:, 0] < 1e-12
    scaled = (matrix / np.where(lengths < 1e-12, 1.0, lengths)).astype(np.float32)
    if empty.any() and matrix.shape[1]:
        scaled[empty] = 0.0
        scaled[empty, 0] = 1.0
    return scaled


def stack(rows: Sequence[Matrix], dim: int) -> Matrix:
    """The matrices one under the other; shape (0, dim) for none."""
    return np.vstack(rows) if rows else np.zeros((0, dim), dtype=np.float32)
