"""The signals of the texts for chosen pairs only: on a large site nobody can look at all of them.

Values are those of signals.text_block() but for the last digits of float32. Here they do not depend on which other
pairs are read beside: every sum runs over one pair alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embeddings.encoder import Matrix
from recommender.signals import FLAT, RELATIVE, Spread, spread_of, text_block
from recommender.texts import Texts

SAMPLE = 2048
"""Essays of a large site that stand for all others where a row's mean and deviation are asked for: the deviation is
then known to 1.6%."""

Rows = NDArray[np.int64]
Pairwise = dict[str, Matrix]
"""Signal -> its values, float32, shape (pairs,)."""


class PairSignals:
    """Reads pairs of any essays or drafts with a site's essays, the items."""

    def __init__(self, items: Texts) -> None:
        self._items = items
        self._title, self._title_weight = _single(items.own_title)
        self._category, _ = _single(items.category)
        self._author, _ = _single(items.author)
        self._url, _ = _single(items.own_url)

    def read(self, essays: Texts, starts: Rows, columns: Rows) -> Pairwise:
        """All signals of the texts but mutual_rank.

        starts: int64 (essays + 1,): the pairs of essay i are starts[i] to starts[i + 1]. columns: int64 (pairs,), rows
        of the items, ascending within an essay.
        """
        items = self._items
        found = {
            "meaning": pair_products(essays.vectors.matrix, items.vectors.matrix, starts, columns),
            "summary": pair_products(essays.summaries, items.summaries, starts, columns),
        }
        found |= self._words(essays, starts, columns)
        found |= self._labels(essays, starts, columns)
        return found

    def _words(self, essays: Texts, starts: Rows, columns: Rows) -> Pairwise:
        texts, titles = self._items.terms[columns], self._items.title_shares[columns]
        weight, share, present = (np.zeros(texts.shape[1], dtype=np.float32) for _ in range(3))
        wording, named = np.zeros(texts.nnz, np.float32), np.zeros(texts.nnz, np.float32)
        names = np.zeros(titles.nnz, np.float32)
        for place in range(len(essays)):
            first, last = starts[place], starts[place + 1]
            terms, values = _row(essays.terms, place)
            words, shares = _row(essays.title_shares, place)
            weight[terms], present[terms], share[words] = values, 1.0, shares
            in_texts = slice(texts.indptr[first], texts.indptr[last])
            in_titles = slice(titles.indptr[first], titles.indptr[last])
            np.take(weight, texts.indices[in_texts], out=wording[in_texts], mode="clip")
            np.take(share, texts.indices[in_texts], out=named[in_texts], mode="clip")
            np.take(present, titles.indices[in_titles], out=names[in_titles], mode="clip")
            weight[terms], present[terms], share[words] = 0.0, 0.0, 0.0
        return {
            "wording": _sums(wording * texts.data, texts.indptr),
            "named": _sums(named, texts.indptr),
            "names": _sums(names * titles.data, titles.indptr),
        }

    def _labels(self, essays: Texts, starts: Rows, columns: Rows) -> Pairwise:
        owner = owners(starts)
        titles, weights = self._title[columns], self._title_weight[columns]
        mentions = np.where(held_at(essays.titles_named, owner, titles), weights, 0.0)
        same = {
            name: _equal(_single(labels)[0][owner], own[columns])
            for name, labels, own in (
                ("category", essays.category, self._category),
                ("author", essays.author, self._author),
            )
        }
        links = held_at(essays.links, owner, self._url[columns])
        linked = held_at(self._items.links, columns, _single(essays.own_url)[0][owner])
        return {
            "mentions": np.asarray(mentions, dtype=np.float32),
            **same,
            "links": links.astype(np.float32),
            "linked": linked.astype(np.float32),
        }


class SiteSpread:
    """Mean and deviation of the relative signals over the row of any essay of the site, without the essay itself: of
    the vectors' cosines from sums over the whole site, of the others from an even sample of its essays."""

    def __init__(self, items: Texts) -> None:
        self._items = items
        self._vectors = {"meaning": cosine_spread(items.vectors.matrix), "summary": cosine_spread(items.summaries)}
        self._rows = np.linspace(0, len(items) - 1, min(SAMPLE, len(items))).round().astype(np.int64)
        self._sample = items.at(self._rows)

    def of(self, start: int, stop: int) -> Spread:
        """Of a run of essays; see signals.spread_of."""
        own = np.arange(start, stop)
        places = np.searchsorted(self._rows, own).clip(max=len(self._rows) - 1)
        sampled = np.where(self._rows[places] == own, places, -1)
        block = text_block(self._items.rows(start, stop), self._sample, vectors={})
        return {name: spread[start:stop] for name, spread in self._vectors.items()} | spread_of(block, sampled.tolist())


def cosine_spread(matrix: Matrix) -> NDArray[np.float64]:
    """Of each row, the mean and deviation of its products with all other rows: float64, shape (n, 2)."""
    runs = [slice(start, start + _AT_ONCE) for start in range(0, len(matrix), _AT_ONCE)]
    total = matrix.sum(axis=0, dtype=np.float64)
    products = np.zeros((matrix.shape[1], matrix.shape[1]))
    for run in runs:
        rows = matrix[run].astype(np.float64)
        products += rows.T @ rows
    found = np.empty((len(matrix), 2))
    for run in runs:
        rows = matrix[run].astype(np.float64)
        itself = np.einsum("ij,ij->i", rows, rows)
        mean = (rows @ total - itself) / (len(matrix) - 1)
        square = (np.einsum("ij,ij->i", rows @ products, rows) - itself**2) / (len(matrix) - 1)
        found[run] = np.column_stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))])
    return found


def set_against(values: Mapping[str, Matrix], spread: Spread, starts: Rows) -> Pairwise:
    """The values with the relative ones set against their essay's mean and deviation; see signals.relative."""
    owner = owners(starts)
    found = dict(values)
    for name in RELATIVE:
        mean, deviation = spread[name][owner].T
        flat = deviation <= FLAT
        shifted = np.where(flat, 0.0, (values[name] - mean) / np.where(flat, 1.0, deviation))
        found[name] = np.asarray(shifted, dtype=np.float32)
    return found


_AT_ONCE = 4096


def pair_products(left: Matrix, right: Matrix, starts: Rows, columns: Rows) -> Matrix:
    """Products of the left rows with the right ones of their pairs, each summed alone: float32, shape (pairs,)."""
    found = np.empty(len(columns), dtype=np.float32)
    for place, row in enumerate(left):
        part = slice(starts[place], starts[place + 1])
        np.einsum("ij,j->i", right[columns[part]], row, out=found[part])
    return found


def _row(matrix: sparse.csr_matrix, row: int) -> tuple[NDArray[np.int32], Matrix]:
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[part], matrix.data[part]


def _single(matrix: sparse.csr_matrix) -> tuple[Rows, Matrix]:
    """Of rows that hold one value at most: its column, -1 for none, and the value."""
    filled = np.flatnonzero(np.diff(matrix.indptr))
    columns = np.full(matrix.shape[0], -1, dtype=np.int64)
    values = np.zeros(matrix.shape[0], dtype=np.float32)
    columns[filled], values[filled] = matrix.indices[matrix.indptr[filled]], matrix.data[matrix.indptr[filled]]
    return columns, values


def _equal(left: Rows, right: Rows) -> Matrix:
    """1 where both have the same label."""
    return np.asarray((left == right) & (left >= 0), dtype=np.float32)


def held_at(matrix: sparse.csr_matrix, rows: Rows, columns: Rows) -> NDArray[np.bool_]:
    """Whether the matrix has a value at each row and column; not where either is -1."""
    there = (rows >= 0) & (columns >= 0)
    return np.asarray((values_at(matrix, np.maximum(rows, 0), np.maximum(columns, 0)) != 0) & there)


def values_at(matrix: sparse.csr_matrix, rows: Rows, columns: Rows) -> Matrix:
    """The values at each row and column: float32, shape (pairs,)."""
    if not len(rows) or not matrix.nnz:
        return np.zeros(len(rows), dtype=np.float32)
    return np.asarray(matrix[rows, columns], dtype=np.float32).ravel()


def owners(starts: NDArray[np.integer[Any]]) -> Rows:
    """Of runs that begin at `starts`, the last one's end beside: the run that each place belongs to."""
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def best_of_each(scores: NDArray[np.floating[Any]], starts: NDArray[np.integer[Any]], most: int) -> Rows:
    """The places of each run's best scores, of equals the first; ascending."""
    owner = owners(starts)
    order = np.lexsort((-scores, owner))  # stable: of equals the first
    rank = np.arange(len(scores)) - starts[owner]
    return np.sort(order[rank < most])


def _sums(values: Matrix, starts: NDArray[np.int32]) -> Matrix:
    """The sum of each run of values; 0 for an empty run."""
    filled = np.flatnonzero(np.diff(starts))
    found = np.zeros(len(starts) - 1, dtype=np.float32)
    if len(filled):
        found[filled] = np.add.reduceat(values, starts[filled])
    return found
