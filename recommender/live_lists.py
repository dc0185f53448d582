"""The signals of the lists for a draft on a large site, of which a process knows only what it asks for.

A draft needs few lists: those of the essays near to it, those that name its earlier version, and those of its
candidates. They are a small graph, on which list_signals.py reads what it reads on the whole one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from embeddings.encoder import Matrix
from recommender.candidates import pool_of
from recommender.landscape import Places, components_from, mutual_ranks
from recommender.list_graph import ListGraph
from recommender.list_signals import co_listed, list_block, lists_back, own_lists_of, votes
from recommender.live_vectors import LiveLists, Numbers
from recommender.pair_signals import Pairwise
from recommender.texts import Texts


@dataclass(frozen=True, eq=False)
class Heard:
    """A draft among the essays of a site, which are told by number.

    texts: the draft. basis: float32 (1, d), see landscape.Landscape. near: int64 (k,), its nearest essays, ascending,
    the earlier version of the draft not among them; weights: float32 (k,), theirs. own: that version, None for none;
    own_basis: float32 (1, d), its row of the basis. naming: int64, the essays whose lists name it.
    """

    texts: Texts
    basis: Matrix
    near: Numbers
    weights: Matrix
    own: int | None
    own_basis: Matrix
    naming: Numbers


class DraftLists:
    """Hears the lists of a site for drafts. sample: essays of the site, from whose wording that of a draft is told."""

    def __init__(self, lists: LiveLists, sample: Sequence[int]) -> None:
        self._lists = lists
        self._inverse = lists.inverse().astype(np.float64)
        self._components = lists.components(sample)
        self._strengths = np.square(self._components).sum(axis=0)

    def hear(
        self, texts: Texts, wording: Matrix, near: Numbers, weights: Matrix, own: tuple[int, Matrix] | None
    ) -> Heard:
        """A draft on the site. wording: float32 (1, sample), the signal with the sample. near, weights: see Heard. own:
        number and vector of the earlier version."""
        components = components_from(wording, self._components, self._strengths)
        basis = np.hstack([texts.vectors.matrix, components]).astype(np.float32)
        if own is None:
            return Heard(texts, basis, near, weights, None, np.zeros_like(basis), np.zeros(0, np.int64))
        number, vector = own
        own_basis = np.hstack([vector[None], self._lists.components([number])])
        return Heard(texts, basis, near, weights, number, own_basis, self._lists.lists_naming(number))

    def candidates(self, heard: Heard) -> Numbers:
        """The essays that come in by lists: by votes, and by lists that name the earlier version, which
        itself is none of them; ascending."""
        numbers, graph, places = self._around(heard, np.zeros(0, np.int64))
        if not len(numbers):
            return numbers
        nothing = np.zeros((1, len(numbers)), np.float32)
        block = {"votes": votes(graph, places), "co_listed": co_listed(graph, places)}
        block |= {"lists_back": lists_back(graph, places), "predicted": nothing, "popularity": nothing}
        chosen, _from_links = pool_of(block, np.full_like(nothing, -np.inf), places.own)
        return np.asarray(numbers[chosen[0]], dtype=np.int64)

    def read(self, heard: Heard, candidates: Numbers, logits: Matrix) -> Pairwise:
        """The mutual ranks of these essays, ascending, and all signals of the lists. logits: theirs by the default
        model."""
        numbers, graph, places = self._around(heard, candidates)
        columns = np.searchsorted(numbers, candidates)
        own_lists = own_lists_of(graph, places)
        counts = graph.listed_by.copy()
        facts = self._lists.facts(candidates.tolist())
        counts[columns] = facts.listed_by
        predicted = self._predicted(heard, own_lists, numbers, np.union1d(columns, graph.matrix[columns].indices))
        block = list_block(graph, places, own_lists, counts, predicted)
        values = {name: values[0, columns] for name, values in block.items()}
        return values | {"mutual_rank": mutual_ranks(facts.nearest_scores, logits)}

    def _predicted(self, heard: Heard, own_lists: Matrix, numbers: Numbers, wanted: Numbers) -> Matrix:
        """See list_signals.Ridge, whose weights are not held: A X'Y at an essay is the sum of A x over those who list
        it. wanted: places in numbers; the others are 0."""
        pull = 0.0
        if own_lists.any():
            influence, leverage = (
                float((row @ self._inverse @ heard.own_basis.T).item()) for row in (heard.basis, heard.own_basis)
            )
            pull = influence / (1.0 - leverage)
        query = (heard.basis[0] + pull * heard.own_basis[0]) @ self._inverse
        predicted = np.zeros_like(own_lists)
        predicted[0, wanted] = self._lists.foretold(query.astype(np.float32), numbers[wanted].tolist())
        predicted[0, wanted] -= pull * own_lists[0, wanted]
        return predicted

    def _around(self, heard: Heard, candidates: Numbers) -> tuple[Numbers, ListGraph, Places]:
        """The lists of all essays that speak for the draft or its candidates, over the essays that take part."""
        own = [] if heard.own is None else [heard.own]
        listing = np.unique(np.concatenate([heard.near, heard.naming, candidates, own]).astype(np.int64))
        links = self._lists.lists(listing.tolist())
        numbers = np.union1d(listing, links.ravel())
        at = np.searchsorted(numbers, links)
        shape = (len(numbers), len(numbers))
        matrix = sparse.csr_matrix((np.ones(len(links), np.float32), (at[:, 0], at[:, 1])), shape=shape)
        near = sparse.csr_matrix(
            (heard.weights, np.searchsorted(numbers, heard.near), [0, len(heard.near)]), shape=(1, len(numbers))
        )
        place = -1 if heard.own is None else int(np.searchsorted(numbers, heard.own))
        return numbers, ListGraph(matrix), Places(heard.texts, np.array([place]), near, heard.basis)
