"""Nearest neighbours by id. The only importer of faiss.

`ExactIndex` is the plain twin that every other index is compared with; `FaissIndex` does the same, faster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, check_unit_rows

DECIMALS = 6
"""Similarities are summed in float64 and rounded to this before they are ordered: float32 sums differ in the seventh
digit from one matrix product to another, and neither ties nor the last digit must depend on it."""

_FLOAT32_ERROR = 2e-6  # how much nearer an item may be than FAISS, which sums in float32, believes


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item of the index and its cosine similarity to the query, -1 to 1, larger is nearer."""

    id: str
    similarity: float


class Index(Protocol):
    """tests/contracts/test_index.py runs on every implementation."""

    @property
    def fingerprint(self) -> str: ...

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """The k nearest items of each query, nearest first, ties by id.

        queries: float32, shape (q, dim), unit rows. Fewer than k come back when the index is smaller.
        Raises ShapeMismatch for another width, dtype or length of rows, ValueError for a k under 1.
        """
        ...


class ExactIndex:
    """Every similarity computed and sorted in numpy: slow, and right by construction."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self.fingerprint = vectors.fingerprint

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """See Index.search."""
        _check(queries, k, self._vectors.dim)
        similarities = queries.astype(np.float64) @ self._vectors.matrix.astype(np.float64).T
        return [_nearest(self._vectors.ids, row, k) for row in similarities]


class FaissIndex:
    """FAISS, exact (IndexFlatIP)."""

    def __init__(self, vectors: Vectors) -> None:
        self._ids = vectors.ids
        self._matrix = vectors.matrix
        self.fingerprint = vectors.fingerprint
        self._index = faiss.IndexFlatIP(vectors.dim)
        self._index.add(np.ascontiguousarray(vectors.matrix))

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """See Index.search."""
        _check(queries, k, self._matrix.shape[1])
        if not self._ids or not len(queries):
            return [[] for _ in queries]
        return self._search(np.ascontiguousarray(queries), k, fetch=k + 8)

    def _search(self, queries: Matrix, k: int, fetch: int) -> list[list[Neighbour]]:
        """Fetch more than k; a query whose k-th similarity may tie with one not fetched asks for twice more."""
        fetch = min(fetch, len(self._ids))
        similarities, rows = self._index.search(queries, fetch)
        found = [self._nearest(query, near, k) for query, near in zip(queries, rows, strict=True)]
        if fetch < len(self._ids):
            last = similarities[:, -1].astype(np.float64) + _FLOAT32_ERROR
            cut = [q for q, near in enumerate(found) if near[-1].similarity <= last[q]]
            if cut:
                for q, near in zip(cut, self._search(queries[cut], k, fetch * 2), strict=True):
                    found[q] = near
        return found

    def _nearest(self, query: Matrix, rows: NDArray[np.int64], k: int) -> list[Neighbour]:
        similarities = self._matrix[rows].astype(np.float64) @ query.astype(np.float64)
        return _nearest([self._ids[i] for i in rows], similarities, k)


def _check(queries: Matrix, k: int, dim: int) -> None:
    check_unit_rows(queries, dim)
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")


def _nearest(ids: Sequence[str], similarities: NDArray[np.float64], k: int) -> list[Neighbour]:
    rounded = np.round(similarities, DECIMALS) + 0.0  # + 0.0: no -0.0
    kth = np.partition(rounded, -k)[-k] if k < len(rounded) else -np.inf
    kept = np.flatnonzero(rounded >= kth).tolist()
    ordered = sorted(kept, key=lambda i: (-rounded[i], ids[i]))[:k]
    return [Neighbour(ids[i], float(rounded[i])) for i in ordered]
