"""The signals of the lists. Each reads every list but the essay's own: what an essay lists may not speak for itself.

Values come for some essays (rows, as Places) and all essays of the site (columns): float32, shape (q, n).
tests/recommender/test_no_signal_sees_the_own_list.py changes an essay's own list at will and sees that nothing moves.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embeddings.encoder import Matrix
from recommender.landscape import Landscape, Places
from recommender.list_graph import ListGraph
from recommender.signals import Block

RIDGE = 1.0
"""Tried from 0.1 to 3 on three corpora: flat between 0.3 and 3."""


class ListSignals:
    """The signals of one graph of lists over a site's landscape."""

    def __init__(self, landscape: Landscape, graph: ListGraph) -> None:
        self._graph = graph
        self._ridge = Ridge(landscape.basis, graph)

    def predicted(self, places: Places) -> Matrix:
        """One of them. The last bits of an essay's row depend on how many are foretold at once."""
        return self._ridge.predict(places, own_lists_of(self._graph, places))

    def block(self, places: Places, predicted: Matrix | None = None) -> Block:
        """All signals of the lists, named as in signals.LIST_SIGNALS. predicted: the one of that name, where known."""
        own_lists = own_lists_of(self._graph, places)
        predicted = self._ridge.predict(places, own_lists) if predicted is None else predicted
        return list_block(self._graph, places, own_lists, self._graph.listed_by, predicted)


def list_block(graph: ListGraph, places: Places, own_lists: Matrix, listed_by: Matrix, predicted: Matrix) -> Block:
    """All signals of the lists, named as in signals.LIST_SIGNALS. own_lists: see own_lists_of(). listed_by: how many
    lists of the whole site name each essay, float32, shape (n,). predicted: the signal of that name."""
    return {
        "popularity": popularity(listed_by, own_lists),
        "votes": votes(graph, places),
        "predicted": predicted,
        "like_lists": like_lists(graph, places, predicted),
        "lists_back": lists_back(graph, places),
        "co_listed": co_listed(graph, places),
    }


def own_lists_of(graph: ListGraph, places: Places) -> Matrix:
    """What each essay lists itself, to be taken out again: 1 where it does."""
    own = np.zeros((len(places.own), graph.matrix.shape[0]), dtype=np.float32)
    known = places.own >= 0
    own[known] = graph.matrix[places.own[known]].toarray()
    return own


def popularity(listed_by: Matrix, own_lists: Matrix) -> Matrix:
    """How many other essays list it: log(1 + count). listed_by: see list_block()."""
    return np.asarray(np.log1p(listed_by[None, :] - own_lists), dtype=np.float32)


def votes(graph: ListGraph, places: Places) -> Matrix:
    """What the lists of the nearest essays name, each list with the weight of its nearness: 0 to 1.

    The essay is never among its own nearest.
    """
    weights = np.asarray(places.near @ (graph.lengths > 0).astype(np.float32)).ravel()
    named = (places.near @ graph.matrix).toarray()
    return np.asarray(named / np.where(weights > 0, weights, 1.0)[:, None], dtype=np.float32)


def like_lists(graph: ListGraph, places: Places, predicted: Matrix) -> Matrix:
    """How much of the candidate's own list is what is foretold for the essay, over the root of its length.

    That a list names the essay itself counts neither way: that is lists_back.
    """
    foretold = predicted.copy()
    known = places.own >= 0
    foretold[known, places.own[known]] = 0.0
    shared = (graph.matrix @ foretold.T).T
    others = graph.lengths[None, :] - lists_back(graph, places)
    return np.asarray(shared / np.sqrt(np.maximum(others, 1.0)), dtype=np.float32)


def lists_back(graph: ListGraph, places: Places) -> Matrix:
    """1 where the candidate's list names the essay."""
    return np.asarray(_here(graph, places).toarray(), dtype=np.float32)


def co_listed(graph: ListGraph, places: Places) -> Matrix:
    """How many lists name both: log(1 + count). The own list does not name the essay itself, so it counts for none."""
    return np.asarray(np.log1p((_here(graph, places) @ graph.matrix).toarray()), dtype=np.float32)


def _here(graph: ListGraph, places: Places) -> sparse.csr_matrix:
    """Who lists each essay: (q, n)."""
    found = sparse.csr_matrix((len(places.own), graph.matrix.shape[0]), dtype=np.float32)
    known = np.flatnonzero(places.own >= 0)
    if not len(known):
        return found
    picks = sparse.csr_matrix((np.ones(len(known), np.float32), (known, places.own[known])), shape=found.shape)
    return sparse.csr_matrix(picks @ graph.turned, dtype=np.float32)


class Ridge:
    """Foretells a list from the text: ridge regression of the lists on the basis, over the essays that have one.

    With basis rows x, lists as rows y and A = (X'X + RIDGE I)^-1, the prediction for x is x A X'Y. For an essay that
    took part itself, as row p with the list y and the prediction z, it is the one that leaves it out:
    x A X'Y - (x A p') (y - z) / (1 - p A p'), which is exactly the prediction of the others (Allen, 1974).

    weights: A X'Y, float32, shape (d, n).
    """

    def __init__(self, basis: Matrix, graph: ListGraph) -> None:
        rows = graph.listing
        x = basis[rows].astype(np.float64)
        self._basis = basis
        self._inverse = ridge_inverse(x.T @ x)
        lists = graph.matrix[rows]
        self.weights = np.asarray((lists.T @ (x @ self._inverse)).T, dtype=np.float32)
        self._takes_part = graph.lengths > 0

    def predict(self, places: Places, own_lists: Matrix) -> Matrix:
        """The foretold list of each essay, its own list left out; about 0 to 1."""
        predicted = places.basis @ self.weights
        took_part = np.array([own >= 0 and bool(self._takes_part[own]) for own in places.own], dtype=np.bool_)
        part = self._basis[places.own[took_part]]
        surplus = own_lists[took_part] - part @ self.weights
        influence = _products(places.basis[took_part], self._inverse, part)
        leverage = _products(part, self._inverse, part)
        predicted[took_part] -= (influence / (1.0 - leverage))[:, None] * surplus
        return np.asarray(predicted, dtype=np.float32)

    def pulls(self) -> Matrix:
        """Of each essay of the site, p A p' / (1 - p A p'): its prediction without itself is z - pull (y - z). 0 where
        it took no part. float32, shape (n,)."""
        found = np.zeros(len(self._basis), dtype=np.float32)
        rows = np.flatnonzero(self._takes_part)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            leverage = _products(self._basis[some], self._inverse, self._basis[some])
            found[some] = leverage / (1.0 - leverage)
        return found


_AT_ONCE = 4096


def ridge_inverse(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """A of Ridge from X'X, both float64, shape (d, d)."""
    return np.asarray(np.linalg.inv(products + RIDGE * np.eye(len(products))), dtype=np.float64)


def _products(left: Matrix, between: NDArray[Any], right: Matrix) -> Matrix:
    """left between right', row by row."""
    products = np.einsum("ij,jk,ik->i", left.astype(np.float64), between, right.astype(np.float64), optimize=True)
    return np.asarray(products, dtype=np.float32)
