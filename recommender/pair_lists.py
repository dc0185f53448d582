"""The signals of the lists for chosen pairs only, and the candidates that lists give: for large sites.

Values are those of list_signals.py but for the last digits of float32, and as there no essay's own list is read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embeddings.encoder import Matrix
from recommender.candidates import BACK_FIRST, BY_LINKS_HERE, BY_LISTS, MOST_LISTED, NOTHING
from recommender.landscape import Landscape
from recommender.list_graph import ListGraph
from recommender.list_signals import Ridge
from recommender.pair_signals import Pairwise, Rows, best_of_each, held_at, owners, pair_products, values_at


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pairs of a run of essays: place int64 (pairs,), its place in the run; column int64 (pairs,), the candidate."""

    place: Rows
    column: Rows

    @classmethod
    def best(cls, matrix: sparse.csr_matrix, most: int, least: float) -> "Drawn":
        """The greatest values over `least` of each row of a sparse matrix, of equals those of the first columns."""
        matrix = matrix.sorted_indices()
        kept = best_of_each(matrix.data, matrix.indptr, most)
        kept = kept[matrix.data[kept] > least]
        return cls(owners(matrix.indptr)[kept], matrix.indices[kept].astype(np.int64))

    @classmethod
    def joined(cls, *parts: "Drawn") -> "Drawn":
        """All of them."""
        return cls(np.concatenate([p.place for p in parts]), np.concatenate([p.column for p in parts]))

    def keys(self, rows: Rows, width: int) -> Rows:
        """Each pair once, as row * width + column, ascending. rows: of the run, ascending."""
        return np.unique(rows[self.place] * width + self.column)


class PairLists:
    """One graph of lists over a large site's landscape."""

    def __init__(self, landscape: Landscape, graph: ListGraph) -> None:
        self._landscape, self._graph = landscape, graph
        self._any = bool(len(graph.listing))
        if self._any:
            self._ridge = _PairRidge(landscape.basis, graph)

    def draw(self, rows: Rows) -> tuple[Drawn, Drawn]:
        """Candidates of these essays of the site: by lists that do not name them, and by lists that do."""
        if not self._any:
            nothing = np.zeros(0, dtype=np.int64)
            return Drawn(nothing, nothing), Drawn(nothing, nothing)
        back, both = self._here(rows)
        here = (both + back * BACK_FIRST).tocsr()
        return (
            Drawn.joined(
                self._ridge.draw(rows),
                Drawn.best(self._votes(rows), BY_LISTS, NOTHING),
                self._most_listed(rows),
            ),
            Drawn.best(here, BY_LINKS_HERE, 0.0),
        )

    def read(self, rows: Rows, starts: Rows, columns: Rows) -> Pairwise:
        """All signals of the lists. starts, columns: as in PairSignals.read()."""
        if not self._any:
            nothing = np.zeros(len(columns), dtype=np.float32)
            return dict.fromkeys(("popularity", "votes", "predicted", "like_lists", "lists_back", "co_listed"), nothing)
        graph, owner = self._graph, owners(starts)
        own = rows[owner]
        listed = held_at(graph.matrix, own, columns).astype(np.float32)
        back = held_at(graph.matrix, columns, own).astype(np.float32)
        predicted, shared = self._ridge.read(rows, starts, columns, listed)
        # What is foretold of the essay itself says nothing of the list that names it.
        itself, _ = self._ridge.read(rows, np.arange(len(rows) + 1), rows, np.zeros(len(rows), np.float32))
        others = np.maximum(graph.lengths[columns] - back, 1.0)
        return {
            "popularity": np.log1p(graph.listed_by[columns] - listed),
            "votes": values_at(self._votes(rows), owner, columns),
            "predicted": predicted,
            "like_lists": (shared - back * itself[owner]) / np.sqrt(others),
            "lists_back": back,
            "co_listed": np.log1p(values_at(self._here(rows)[1], owner, columns)),
        }

    def _votes(self, rows: Rows) -> sparse.csr_matrix:
        """See list_signals.votes."""
        near, graph = self._landscape.near[rows], self._graph
        weights = np.asarray(near @ (graph.lengths > 0).astype(np.float32)).ravel()
        shares = sparse.diags(1.0 / np.where(weights > 0, weights, 1.0))
        return sparse.csr_matrix(shares @ (near @ graph.matrix), dtype=np.float32)

    def _here(self, rows: Rows) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Who lists each essay, and how many lists name both it and another, itself left out."""
        back = self._graph.turned[rows]
        both = sparse.csr_matrix(back @ self._graph.matrix, dtype=np.float32)
        both.data[both.indices == rows[owners(both.indptr)]] = 0.0
        both.eliminate_zeros()
        return back, both

    def _most_listed(self, rows: Rows) -> Drawn:
        """The most listed by others than the essay; enough are looked at for its own list to make no difference."""
        graph = self._graph
        most = MOST_LISTED + int(graph.lengths[rows].max(initial=0)) + 1
        first = np.sort(np.lexsort((np.arange(len(graph.listed_by)), -graph.listed_by))[:most])
        counts = graph.listed_by[first][None, :] - graph.matrix[rows][:, first].toarray()
        counts[rows[:, None] == first[None, :]] = 0.0
        order = np.argsort(-counts, axis=1, kind="stable")[:, :MOST_LISTED]
        place, at = np.nonzero(np.take_along_axis(counts, order, axis=1) > NOTHING)
        return Drawn(place, first[order[place, at]])


class _PairRidge:
    """The foretold lists (see list_signals.Ridge) of pairs.

    weights: float32 (listed, d), a row for each essay that any list names. lists: float32 (listing, d), the sum of the
    weights of what each list names. pull: float32 (n,), how far an essay's own list pulls its prediction.
    """

    def __init__(self, basis: Matrix, graph: ListGraph) -> None:
        ridge = Ridge(basis, graph)
        listed = np.flatnonzero(graph.listed_by > 0)
        self._basis, self._graph, self._listed = basis, graph, listed
        self._weights = np.ascontiguousarray(ridge.weights[:, listed].T)
        self._place = _places(listed, len(basis))
        self._lists = np.asarray(graph.matrix[graph.listing][:, listed] @ self._weights, dtype=np.float32)
        self._list_place = _places(graph.listing, len(basis))
        self._pull = ridge.pulls()

    def draw(self, rows: Rows) -> Drawn:
        """The BY_LISTS best foretold of each essay."""
        pull = self._pull[rows][:, None]
        own = self._graph.matrix[rows][:, self._listed].toarray()
        foretold = (1.0 + pull) * (self._basis[rows] @ self._weights.T) - pull * own
        foretold[rows[:, None] == self._listed[None, :]] = -np.inf
        most = min(BY_LISTS, foretold.shape[1])
        order = np.argpartition(-foretold, most - 1, axis=1)[:, :most]
        place, at = np.nonzero(np.take_along_axis(foretold, order, axis=1) > NOTHING)
        return Drawn(place, self._listed[order[place, at]])

    def read(self, rows: Rows, starts: Rows, columns: Rows, listed: Matrix) -> tuple[Matrix, Matrix]:
        """What is foretold at each candidate, and summed over the candidate's list. listed: 1 where the essay lists
        it."""
        owner = owners(starts)
        pull = self._pull[rows][owner]
        own_lists, graph = self._graph.matrix[rows], self._graph
        shared = values_at(sparse.csr_matrix(own_lists @ graph.turned), owner, columns)
        at_candidate = self._products(rows, starts, self._place[columns], self._weights)
        over_list = self._products(rows, starts, self._list_place[columns], self._lists)
        return (1.0 + pull) * at_candidate - pull * listed, (1.0 + pull) * over_list - pull * shared

    def _products(self, rows: Rows, starts: Rows, places: Rows, matrix: Matrix) -> Matrix:
        """Of the essays' basis and the matrix at these places; 0 where the place is -1."""
        known = places >= 0
        found = np.zeros(len(places), dtype=np.float32)
        counts = np.concatenate([[0], np.cumsum(known)])
        found[known] = pair_products(self._basis[rows], matrix, counts[starts], places[known])
        return found


def _places(rows: NDArray[np.int64], width: int) -> Rows:
    """Where each of `width` rows stands among these, -1 for nowhere."""
    places = np.full(width, -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    return places
