"""Which essays are looked at closely for an essay, with all their signals.

Candidates matter as much as their order: drawn by the texts alone they would miss a tenth of what editors list. They
are the best by the default model, and the best by what the lists foretell, by votes, by lists that name both, and the
most listed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Matrix, Progress
from recommender.landscape import CHUNK, Landscape, Places, Run, read_run
from recommender.list_graph import ListGraph
from recommender.list_signals import ListSignals
from recommender.signals import (
    COUNTS,
    FROM_LINKS_HERE,
    RELATIVE,
    SIGNALS,
    Block,
    Spread,
    text_block,
    vector_block,
)

BY_TEXT = 150
BY_LISTS = 60
"""By each of predicted and votes."""
BY_LINKS_HERE = 30
MOST_LISTED = 20
BACK_FIRST = 100.0
"""Lists that answer come before any number of lists that name both."""
NOTHING = 1e-4
"""What is left when a list is taken out again: rounding."""
KEPT = 128 * 2**20
"""Bytes of products that are kept for further questions about single essays: all of them on a site of 3,000."""

Columns = NDArray[np.int64]
Mask = NDArray[np.bool_]

_HERE = [SIGNALS.index(signal) for signal in FROM_LINKS_HERE]
_COUNTS = [SIGNALS.index(signal) for signal in COUNTS]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Essays with their candidates, one essay after the other, candidates in row order of the site.

    rows       int64 (q,): the essays, as rows of the site; -1 is a draft
    starts     int64 (q + 1,): the pairs of essay i are starts[i] to starts[i + 1]
    columns    int64 (p,): the candidates, as rows of the site
    values     float32 (p, signals): in the order of SIGNALS, relative ones set against the site
    spread     signal -> float64 (q, 2): what relative values were set against
    from_links bool (p,): candidates only because lists that name the essay name them too
    listed     bool (q,): whether any list names the essay
    """

    rows: Columns
    starts: Columns
    columns: Columns
    values: Matrix
    spread: Spread
    from_links: Mask
    listed: Mask

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def owner(self) -> Columns:
        """Which essay (its place in rows) each pair belongs to."""
        return np.repeat(np.arange(len(self.rows)), np.diff(self.starts))

    def of(self, place: int) -> slice:
        """The pairs of one essay."""
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def as_new(self) -> "Pairs":
        """The same as if no list named the essays."""
        values = self.values.copy()
        values[:, _HERE] = 0.0
        kept = ~self.from_links
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.owner[kept], minlength=len(self)))])
        nothing = np.zeros(int(kept.sum()), dtype=np.bool_)
        unlisted = np.zeros(len(self), dtype=np.bool_)
        return Pairs(self.rows, starts, self.columns[kept], values[kept], self.spread, nothing, unlisted)

    def select(self, rows: Columns) -> "Pairs":
        """Only these essays of the site, which are among `rows`, in the order given."""
        if np.array_equal(rows, self.rows):
            return self
        order = np.argsort(self.rows)
        places = order[np.searchsorted(self.rows, rows, sorter=order)]
        chosen = [np.arange(self.starts[p], self.starts[p + 1]) for p in places]
        at = np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)
        starts = np.cumsum([0, *(len(c) for c in chosen)])
        spread = {name: self.spread[name][places] for name in self.spread}
        return Pairs(
            rows,
            starts,
            self.columns[at],
            self.values[at],
            spread,
            self.from_links[at],
            self.listed[places],
        )

    def plain_values(self, place: int) -> Matrix:
        """The values of one essay's pairs as people read them: relative signals as they were before they were set
        against the site, counts as counts."""
        values = self.values[self.of(place)].copy()
        for name in RELATIVE:
            mean, deviation = self.spread[name][place]
            column = SIGNALS.index(name)
            values[:, column] = values[:, column] * deviation + mean
        values[:, _COUNTS] = np.expm1(values[:, _COUNTS])
        return values


class CandidateFinder:
    """Finds candidates over a landscape, by one graph of lists."""

    def __init__(self, landscape: Landscape, graph: ListGraph) -> None:
        self._landscape = landscape
        self._graph = graph
        self._lists = ListSignals(landscape, graph)
        self._products: dict[tuple[int, int], Block] = {}

    def of_site(self, progress: Progress = lambda done: None) -> Pairs:
        """The candidates of every essay of the site."""
        return joined(list(self._chunks(None, progress)))

    def of_rows(self, rows: Columns) -> Pairs:
        """The candidates of these essays of the site, rows in ascending order."""
        return self.of_site().select(rows)

    def exactly(self, wanted: Sequence[Columns]) -> Pairs:
        """These and no others: for every essay of the site, the rows of its candidates in ascending order."""
        return joined(list(self._chunks(wanted, lambda done: None)))

    def of_essay(self, row: int, columns: Columns) -> Pairs:
        """One essay of the site with these candidates and no others, rows of the site in ascending order.

        The values are to the last bit those of of_site().
        """
        start = row // CHUNK * CHUNK
        products = self._products_of(start, start + CHUNK)
        own = {signal: values[row - start : row - start + 1] for signal, values in products.items()}
        predicted, places = own.pop("predicted"), self._landscape.rows(row, row + 1)
        return self._find(read_run(places, text_block(places.texts, self._landscape.texts, own)), [columns], predicted)

    def of_places(self, places: Places) -> Pairs:
        """The candidates of drafts."""
        return self._find(read_run(places, text_block(places.texts, self._landscape.texts)), None)

    def _chunks(self, wanted: Sequence[Columns] | None, progress: Progress) -> Iterator[Pairs]:
        for start in range(0, len(self._landscape.texts), CHUNK):
            run = self._landscape.run(start)
            own = run.places.own
            yield self._find(run, None if wanted is None else [wanted[row] for row in own])
            progress(len(own))

    def _products_of(self, start: int, stop: int) -> Block:
        """The dense products of a run of essays, in one piece, since a product of another shape may round otherwise.

        Those asked for last are kept: for a single pair they are nearly all of the work.
        """
        found = self._products.pop((start, stop), None)
        if found is None:
            places = self._landscape.rows(start, stop)
            found = {"predicted": self._lists.predicted(places)}
            found |= vector_block(places.texts, self._landscape.texts)
        self._products[start, stop] = found
        size = sum(matrix.nbytes for matrix in found.values())
        while len(self._products) > max(1, KEPT // size):
            self._products.pop(next(iter(self._products)))
        return found

    def _find(self, run: Run, wanted: Sequence[Columns] | None, predicted: Matrix | None = None) -> Pairs:
        """wanted: the candidates of each essay, where they are known. predicted: that signal, where it is known."""
        places, scores = run.places, run.scores
        block = run.block | self._lists.block(places, predicted)
        pool, from_links = pool_of(block, scores, places.own) if wanted is None else _only(wanted, scores.shape)
        pool[places.own >= 0, places.own[places.own >= 0]] = False
        owner, columns = np.nonzero(pool)
        block["mutual_rank"] = np.zeros_like(scores)
        block["mutual_rank"][owner, columns] = self._landscape.mutual_ranks(columns, scores[owner, columns])
        return Pairs(
            rows=places.own,
            starts=np.concatenate([[0], np.cumsum(pool.sum(axis=1))]),
            columns=columns,
            values=np.stack([block[signal][owner, columns] for signal in SIGNALS], axis=1),
            spread=run.spread,
            from_links=from_links[owner, columns],
            listed=np.array([own >= 0 and self._graph.listed_by[own] > 0 for own in places.own], dtype=np.bool_),
        )


def pool_of(block: Mapping[str, Matrix], scores: Matrix, own: Columns) -> tuple[Mask, Mask]:
    """Which pairs are looked at, and which of them only because of lists that name the essay. block: of the lists.
    scores: the default logits. own: the column of the essay itself, -1 for none."""
    others = np.ones(scores.shape, dtype=np.bool_)
    others[own >= 0, own[own >= 0]] = False
    pool = np.zeros(scores.shape, dtype=np.bool_)
    _add(pool, np.where(others, scores, -np.inf), BY_TEXT)
    for signal, most in (("predicted", BY_LISTS), ("votes", BY_LISTS), ("popularity", MOST_LISTED)):
        _add(pool, np.where(others & (block[signal] > NOTHING), block[signal], -np.inf), most)
    linked = np.zeros(scores.shape, dtype=np.bool_)
    here = block["co_listed"] + block["lists_back"] * BACK_FIRST
    _add(linked, np.where(others & (here > 0), here, -np.inf), BY_LINKS_HERE)
    from_links = linked & ~pool
    return pool | linked, from_links


def _only(wanted: Sequence[Columns], shape: tuple[int, ...]) -> tuple[Mask, Mask]:
    """The pairs wanted."""
    pool = np.zeros(shape, dtype=np.bool_)
    for place, columns in enumerate(wanted):
        pool[place, columns] = True
    return pool, np.zeros(shape, dtype=np.bool_)


def _add(pool: Mask, scores: Matrix, most: int) -> None:
    """Take the best of each row into the pool, ties by row order of the site; -inf is never taken."""
    if not most:
        return
    last = max(scores.shape[1] - most, 0)
    least = np.partition(scores, last, axis=1)[:, last, None]  # several times faster than sorting
    above, equal = scores > least, scores == least
    wanted = most - above.sum(axis=1, keepdims=True)
    pool |= (above | (equal & (np.cumsum(equal, axis=1) <= wanted))) & np.isfinite(scores)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """The essays of all parts, one part after the other."""
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    return Pairs(
        rows=np.concatenate([part.rows for part in parts]),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        columns=np.concatenate([part.columns for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        spread={name: np.concatenate([part.spread[name] for part in parts]) for name in RELATIVE},
        from_links=np.concatenate([part.from_links for part in parts]),
        listed=np.concatenate([part.listed for part in parts]),
    )
