"""Sketches: a vector in 256 bits, so that the service can tell how alike two items are without numpy or the vectors."""

import numpy as np

from embeddings.encoder import Matrix
from embeddings.vectors import check_unit_rows
from recommender.ranking import SKETCH_BITS

_SEED = 256


def sketches(matrix: Matrix) -> list[int]:
    """The sketch of each row; recommender.ranking.similarity() reads two of them.

    matrix: float32, shape (n, dim), unit rows. A bit says on which side of a random hyperplane the vector lies
    (SimHash: Charikar 2002). The hyperplanes depend on dim alone. Raises ShapeMismatch for any other matrix.
    """
    check_unit_rows(matrix)
    planes = np.random.default_rng(_SEED).standard_normal((matrix.shape[1], SKETCH_BITS), dtype=np.float32)
    return [int.from_bytes(row.tobytes()) for row in np.packbits(matrix @ planes > 0, axis=1)]
