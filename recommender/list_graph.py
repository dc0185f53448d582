"""Who lists whom: the curated lists of a site as a matrix over its essays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embeddings.encoder import Matrix

MOST_JUDGED = 5000
"""Lists that teach and are judged: recall is then known to a point, and weights change no more."""
_SEED = 11


@dataclass(frozen=True, eq=False)
class ListGraph:
    """matrix: float32, shape (n, n), 1 where the row's essay lists the column's; nobody lists itself."""

    matrix: sparse.csr_matrix

    @classmethod
    def of(cls, ids: Sequence[str], curated: Mapping[str, Sequence[str]]) -> "ListGraph":
        """The graph of these lists; entries that are no essay of ids are left out."""
        row_of = {ident: row for row, ident in enumerate(ids)}
        pairs = sorted(
            {
                (row_of[source], row_of[target])
                for source, listed in curated.items()
                for target in listed
                if source in row_of and target in row_of and source != target
            }
        )
        rows, columns = [row for row, _ in pairs], [column for _, column in pairs]
        ones = np.ones(len(pairs), dtype=np.float32)
        return cls(sparse.csr_matrix((ones, (rows, columns)), shape=(len(ids), len(ids)), dtype=np.float32))

    def without(self, rows: Iterable[int]) -> "ListGraph":
        """The same with the lists of these essays hidden."""
        seen = np.ones(self.matrix.shape[0], dtype=np.float32)
        seen[list(rows)] = 0.0
        kept = sparse.csr_matrix(sparse.diags(seen) @ self.matrix, dtype=np.float32)
        kept.eliminate_zeros()
        return ListGraph(kept)

    @cached_property
    def turned(self) -> sparse.csr_matrix:
        """The matrix turned round: the row of an essay says who lists it."""
        return self.matrix.T.tocsr()

    @cached_property
    def listed_by(self) -> Matrix:
        """How many lists name each essay, float32, shape (n,)."""
        return np.asarray(self.matrix.sum(axis=0), dtype=np.float32).ravel()

    @cached_property
    def lengths(self) -> Matrix:
        """How many essays each list names, float32, shape (n,); 0 where there is no list."""
        return np.asarray(self.matrix.sum(axis=1), dtype=np.float32).ravel()

    @cached_property
    def listing(self) -> NDArray[np.int64]:
        """The rows of the essays that have a list, in order."""
        return np.flatnonzero(self.lengths > 0)

    @cached_property
    def judged(self) -> NDArray[np.int64]:
        """The rows of the essays whose lists teach and are judged, in order: all that have one, of very many some that
        stay the same when others are hidden."""
        if len(self.listing) <= MOST_JUDGED:
            return self.listing
        turns = np.random.default_rng(_SEED).permutation(self.matrix.shape[0])
        return np.sort(self.listing[np.argsort(turns[self.listing])[:MOST_JUDGED]])

    def targets(self, row: int) -> NDArray[np.int64]:
        """The columns that a list names."""
        return np.asarray(self.matrix.indices[self.matrix.indptr[row] : self.matrix.indptr[row + 1]], dtype=np.int64)
