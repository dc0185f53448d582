"""The candidates of a large site's essays: the pool of its landscape, and what the lists give besides."""

from collections.abc import Iterator, Sequence

import numpy as np

from embeddings.encoder import Progress
from recommender.candidates import CandidateFinder, Columns, Pairs, joined
from recommender.landscape import Landscape, Places, Pool
from recommender.list_graph import ListGraph
from recommender.model import DEFAULT
from recommender.pair_lists import PairLists
from recommender.pair_signals import PairSignals, Rows, set_against
from recommender.signals import SIGNALS
from recommender.wide_landscape import CHUNK


class WideFinder:
    """Finds candidates over a landscape that has a pool, by one graph of lists; see candidates.CandidateFinder."""

    def __init__(self, landscape: Landscape, graph: ListGraph, pool: Pool) -> None:
        self._landscape, self._graph, self._pool = landscape, graph, pool
        self._texts = PairSignals(landscape.texts)
        self._lists = PairLists(landscape, graph)

    def of_site(self, progress: Progress = lambda done: None) -> Pairs:
        """The candidates of every essay of the site."""
        return self.of_rows(np.arange(len(self._landscape.texts)), progress)

    def of_rows(self, rows: Columns, progress: Progress = lambda done: None) -> Pairs:
        """The candidates of these essays, in order."""
        return joined(list(self._runs(rows, progress)))

    def exactly(self, wanted: Sequence[Columns]) -> Pairs:
        """These and no others: for every essay of the site, the rows of its candidates in ascending order."""
        site = np.arange(len(self._landscape.texts))
        runs = (site[start : start + CHUNK] for start in range(0, len(site), CHUNK))
        return joined([self._only(rows, [wanted[row] for row in rows]) for rows in runs])

    def of_essay(self, row: int, columns: Columns) -> Pairs:
        """One essay of the site with these candidates and no others, rows of the site in ascending order.

        The values are to the last bit those of of_site().
        """
        return self._only(np.array([row]), [columns])

    def of_places(self, places: Places) -> Pairs:
        """The candidates of drafts, which are held against every essay: there are few of them."""
        return CandidateFinder(self._landscape, self._graph).of_places(places)

    def _runs(self, rows: Columns, progress: Progress) -> Iterator[Pairs]:
        for start in range(0, len(rows), CHUNK):
            yield self._find(rows[start : start + CHUNK])
            progress(len(rows[start : start + CHUNK]))

    def _find(self, rows: Columns) -> Pairs:
        width = len(self._landscape.texts)
        pooled = [self._pool.columns[self._pool.of(row)] for row in rows.tolist()]
        by_text = np.concatenate([place * width + columns.astype(np.int64) for place, columns in enumerate(pooled)])
        by_lists, linked = (drawn.keys(width) for drawn in self._lists.draw(rows))
        free = np.union1d(by_text, by_lists)
        free = free[free % width != rows[free // width]]
        keys = np.union1d(free, linked)
        starts = np.searchsorted(keys, np.arange(len(rows) + 1) * width)
        return self._read(rows, starts, keys % width, ~np.isin(keys, free, assume_unique=True))

    def _only(self, rows: Columns, wanted: Sequence[Columns]) -> Pairs:
        starts = np.concatenate([[0], np.cumsum([len(columns) for columns in wanted])]).astype(np.int64)
        columns = np.concatenate([np.asarray(columns, dtype=np.int64) for columns in wanted])
        return self._read(rows, starts, columns, np.zeros(len(columns), dtype=np.bool_))

    def _read(self, rows: Columns, starts: Rows, columns: Rows, from_links: np.typing.NDArray[np.bool_]) -> Pairs:
        spread = self._pool.spread_at(rows)
        values = set_against(self._texts.read(self._landscape.texts.at(rows), starts, columns), spread, starts)
        values["mutual_rank"] = self._landscape.mutual_ranks(columns, DEFAULT.block_logits(values))
        values |= self._lists.read(rows, starts, columns)
        return Pairs(
            rows=rows,
            starts=starts,
            columns=columns,
            values=np.stack([values[signal] for signal in SIGNALS], axis=1),
            spread=spread,
            from_links=from_links,
            listed=self._graph.listed_by[rows] > 0,
        )
