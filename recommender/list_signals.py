"""The signals of the lists. Each reads every list but the essay's own: what an essay lists may not speak for itself.

Values come for some essays (rows, as Places) and all essays of the site (columns): float32, shape (q, n).
tests/recommender/test_leaks.py changes an essay's own list at will and sees that nothing here moves.
"""

import numpy as np
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
        self._ridge = _Ridge(landscape.basis, graph)

    def block(self, places: Places) -> Block:
        """All signals of the lists, named as in signals.LIST_SIGNALS."""
        own_lists = self._own_lists(places)
        predicted = self._ridge.predict(places, own_lists)
        return {
            "popularity": popularity(self._graph, own_lists),
            "votes": votes(self._graph, places),
            "predicted": predicted,
            "like_lists": like_lists(self._graph, places, predicted),
            "lists_back": lists_back(self._graph, places),
            "co_listed": co_listed(self._graph, places),
        }

    def _own_lists(self, places: Places) -> Matrix:
        """What each essay lists itself, to be taken out again."""
        own = np.zeros((len(places.own), self._graph.matrix.shape[0]), dtype=np.float32)
        known = places.own >= 0
        own[known] = self._graph.matrix[places.own[known]].toarray()
        return own


def popularity(graph: ListGraph, own_lists: Matrix) -> Matrix:
    """How many other essays list it: log(1 + count)."""
    return np.asarray(np.log1p(graph.listed_by[None, :] - own_lists), dtype=np.float32)


def votes(graph: ListGraph, places: Places) -> Matrix:
    """What the lists of the nearest essays name, each list with the weight of its nearness: 0 to 1.

    The essay is never among its own nearest.
    """
    weights = np.asarray(places.near @ (graph.lengths > 0).astype(np.float32)).ravel()
    named = (places.near @ graph.matrix).toarray()
    return np.asarray(named / np.where(weights > 0, weights, 1.0)[:, None], dtype=np.float32)


def like_lists(graph: ListGraph, places: Places, predicted: Matrix) -> Matrix:
    """How much of the candidate's own list is what is foretold for the essay, over the root of its length.

    A list that names the essay itself does not gain by it: that is lists_back.
    """
    foretold = predicted.copy()
    known = places.own >= 0
    foretold[known, places.own[known]] = 0.0
    shared = (graph.matrix @ foretold.T).T
    return np.asarray(shared / np.sqrt(np.maximum(graph.lengths, 1.0))[None, :], dtype=np.float32)


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


class _Ridge:
    """Foretells a list from the text: ridge regression of the lists on the basis, over the essays that have one.

    With basis rows x, lists as rows y and A = (X'X + RIDGE I)^-1, the prediction for x is x A X'Y. For an essay that
    took part itself it is the one that leaves it out: (prediction - h y) / (1 - h) with the leverage h = x A x', which
    is exactly the prediction of the others (Allen, 1974).
    """

    def __init__(self, basis: Matrix, graph: ListGraph) -> None:
        rows = graph.listing
        x = basis[rows].astype(np.float64)
        self._inverse = np.linalg.inv(x.T @ x + RIDGE * np.eye(basis.shape[1]))
        lists = graph.matrix[rows]
        self._weights = np.asarray((lists.T @ (x @ self._inverse)).T, dtype=np.float32)
        self._takes_part = graph.lengths > 0

    def predict(self, places: Places, own_lists: Matrix) -> Matrix:
        """The foretold list of each essay, its own list left out; about 0 to 1."""
        predicted = places.basis @ self._weights
        took_part = np.array([own >= 0 and bool(self._takes_part[own]) for own in places.own], dtype=np.bool_)
        x = places.basis.astype(np.float64)
        leverage = np.where(took_part, np.einsum("ij,jk,ik->i", x, self._inverse, x, optimize=True), 0.0)[:, None]
        return np.asarray((predicted - leverage * own_lists) / (1.0 - leverage), dtype=np.float32)
