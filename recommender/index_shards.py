"""The nearest rows of a matrix that is searched in shards: one index file each, mapped by whoever searches.

A matrix that is searched exactly has one shard and no file: it is the matrix itself. What comes is then, to the last
bit, what recommender.index.all_pairs() gives.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embeddings.encoder import Matrix
from recommender.index import Kind, Rows, RowSearch, Similarities, kind_for, without_own

SHARD = 1_000_000
"""Rows of one index: as many as a machine indexes within some minutes and gigabytes."""


def shards_of(count: int, setting: str) -> tuple[Kind, list[range]]:
    """What kind of index so many rows get, and which rows stand in each shard. setting: see kind_for()."""
    kind = kind_for(count, setting)
    size = max(count, 1) if kind == "exact" else SHARD
    return kind, [range(first, min(first + size, count)) for first in range(0, count, size)]


def build_shard(matrix: Matrix, shard: range, kind: Kind) -> bytes:
    """The index file of one shard. Raises IndexRefused when it finds too few neighbours within the shard."""
    return RowSearch(matrix[shard.start : shard.stop], kind).to_bytes()


class ShardSearch:
    """Searches all shards. files: the index file of each; none where the kind is exact."""

    def __init__(self, matrix: Matrix, kind: Kind, shards: Sequence[range], files: Sequence[Path]) -> None:
        self._matrix, self._shards = matrix, shards
        parts = [matrix[shard.start : shard.stop] for shard in shards]
        if kind == "exact":
            self._searches = [RowSearch(part, kind) for part in parts]
        else:
            self._searches = [RowSearch.mapped(file, part, kind) for file, part in zip(files, parts, strict=True)]

    def others(self, own: Rows, k: int) -> tuple[Rows, Similarities]:
        """The k nearest rows of each of these rows, itself left out, by (-similarity, row)."""
        queries = np.ascontiguousarray(self._matrix[own])
        found = [search(queries, k + 1, None) for search in self._searches]
        rows = np.hstack([near + shard.start for (near, _), shard in zip(found, self._shards, strict=True)])
        similarities = np.hstack([values for _, values in found])
        order = np.lexsort((rows, -similarities))[:, : k + 1]
        return without_own(
            own, np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarities, order, axis=1)
        )
