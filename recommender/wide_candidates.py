"""The candidates of a large site's essays: the pool of its landscape, and what the lists give besides."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from embeddings.encoder import Matrix, Progress
from recommender.candidates import CandidateFinder, Columns, Mask, Pairs
from recommender.landscape import Landscape, Places, Pool
from recommender.list_graph import ListGraph
from recommender.model import DEFAULT
from recommender.pair_lists import PairLists
from recommender.pair_signals import PairSignals, set_against
from recommender.signals import SIGNALS
from recommender.wide_landscape import CHUNK


class WideFinder:
    """Finds candidates over a landscape that has a pool, by one graph of lists; see candidates.CandidateFinder."""

    def __init__(self, landscape: Landscape, graph: ListGraph, pool: Pool) -> None:
        self._landscape, self._graph, self._pool = landscape, graph, pool
        self._texts = PairSignals(landscape.texts)
        self._lists = PairLists(landscape, graph)
        self._width = len(landscape.texts)

    def of_site(self, progress: Progress = lambda done: None) -> Pairs:
        """The candidates of every essay of the site."""
        return self.of_rows(np.arange(len(self._landscape.texts)), progress)

    def of_rows(self, rows: Columns, progress: Progress = lambda done: None) -> Pairs:
        """The candidates of these essays, in order."""
        drawn = [self._draw(run) for run in _runs(rows)]
        return self._read(rows, [part[0] for part in drawn], [part[1] for part in drawn], progress)

    def exactly(self, wanted: Sequence[Columns]) -> Pairs:
        """These and no others: for every essay of the site, the rows of its candidates in ascending order."""
        runs = _runs(np.arange(len(self._landscape.texts)))
        drawn = [np.concatenate([row * self._width + wanted[row] for row in run.tolist()]) for run in runs]
        return self._read(np.arange(self._width), drawn, [np.zeros(len(keys), dtype=np.bool_) for keys in drawn])

    def of_essay(self, row: int, columns: Columns) -> Pairs:
        """One essay of the site with these candidates and no others, rows of the site in ascending order.

        The values are to the last bit those of of_site().
        """
        return self._read(np.array([row]), [row * self._width + columns], [np.zeros(len(columns), dtype=np.bool_)])

    def of_places(self, places: Places) -> Pairs:
        """The candidates of drafts, which are held against every essay: there are few of them."""
        return self._of_all.of_places(places)

    @cached_property
    def _of_all(self) -> CandidateFinder:
        return CandidateFinder(self._landscape, self._graph)

    def _draw(self, rows: Columns) -> tuple[Columns, Mask]:
        """The pairs of a run of essays, row * width + column, ascending, and which are from lists that name them."""
        pooled = [self._pool.columns[self._pool.of(row)].astype(np.int64) for row in rows.tolist()]
        by_text = np.concatenate([row * self._width + columns for row, columns in zip(rows, pooled, strict=True)])
        by_lists, linked = (drawn.keys(rows, self._width) for drawn in self._lists.draw(rows))
        free = np.union1d(by_text, by_lists)
        free = free[free % self._width != free // self._width]
        keys = np.union1d(free, linked)
        return keys, ~np.isin(keys, free, assume_unique=True)

    def _read(
        self, rows: Columns, drawn: Sequence[Columns], linked: Sequence[Mask], progress: Progress = lambda done: None
    ) -> Pairs:
        """The signals of all pairs, run by run, into one array: two of that size would be too many.

        drawn: a run's pairs, see _draw().
        """
        lengths = [
            np.bincount(np.searchsorted(run, keys // self._width), minlength=len(run))
            for run, keys in zip(_runs(rows), drawn, strict=True)
        ]
        starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        columns = np.concatenate([keys % self._width for keys in drawn])
        values = np.empty((len(columns), len(SIGNALS)), dtype=np.float32)
        done = 0
        for run in _runs(rows):
            part = slice(starts[done], starts[done + len(run)])
            values[part] = self._values(run, starts[done : done + len(run) + 1] - starts[done], columns[part])
            done += len(run)
            progress(len(run))
        return Pairs(
            rows=rows,
            starts=starts,
            columns=columns,
            values=values,
            spread=self._pool.spread_at(rows),
            from_links=np.concatenate(linked),
            listed=self._graph.listed_by[rows] > 0,
        )

    def _values(self, rows: Columns, starts: Columns, columns: Columns) -> Matrix:
        """The signals of a run's pairs, in the order of SIGNALS."""
        spread = self._pool.spread_at(rows)
        values = set_against(self._texts.read(self._landscape.texts.at(rows), starts, columns), spread, starts)
        values["mutual_rank"] = self._landscape.mutual_ranks(columns, DEFAULT.block_logits(values))
        values |= self._lists.read(rows, starts, columns)
        return np.stack([values[signal] for signal in SIGNALS], axis=1)


def _runs(rows: Columns) -> list[Columns]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
