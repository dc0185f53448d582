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


def open_shard(matrix: Matrix, shard: range, kind: Kind, file: Path | None) -> RowSearch:
    """The search of one shard. file: its index file, None where the kind is exact. Raises ValueError when that is
    damaged."""
    rows = matrix[shard.start : shard.stop]
    try:
        return RowSearch.mapped(file, rows, kind) if file else RowSearch(rows, kind)
    except RuntimeError as error:  # of FAISS
        raise ValueError(f"{file} is no index file: {error}") from error


class ShardSearch:
    """Searches all shards. searches: the one of each, see open_shard()."""

    def __init__(self, matrix: Matrix, shards: Sequence[range], searches: Sequence[RowSearch]) -> None:
        self._matrix, self._shards, self._searches = matrix, shards, searches

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
