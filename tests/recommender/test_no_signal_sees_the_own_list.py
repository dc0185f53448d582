"""What an essay lists may not speak for itself: no signal moves when its own list changes, whatever it becomes.

And a new page, which no list names yet, is scored as if none did. Every signal is put to it by name, so a new one is
too; and signals that do cheat are caught by the very same checks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import Phase, assume, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from embeddings.encoder import Matrix
from recommender import candidates
from recommender.candidates import CandidateFinder, Pairs
from recommender.landscape import Landscape, Places
from recommender.learning import cross_validate, recalls
from recommender.list_graph import ListGraph
from recommender.list_signals import ListSignals, co_listed, like_lists, popularity, votes
from recommender.metrics import bootstrap
from recommender.signals import LIST_SIGNALS, SIGNALS, TEXT_SIGNALS, Block
from tests.recommender.sites import Site, random_lists, random_site, site_of, small_pools

TOLERANCE = 1e-4
Signals = Callable[[Landscape, ListGraph, Places], Mapping[str, Matrix]]
"""The signals of the lists for some essays, from all lists of the site."""


@dataclass(frozen=True)
class Change:
    """Two states of a site's lists. row: the essay that is looked at."""

    site: Site
    row: int
    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]

    @property
    def place(self) -> Places:
        """Where the essay stands."""
        return self.site.landscape.rows(self.row, self.row + 1)

    def graphs(self) -> list[ListGraph]:
        """The lists before and after."""
        return [self.site.graph(lists) for lists in (self.before, self.after)]


def honest(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
    """The signals as they are."""
    return ListSignals(landscape, graph).block(places)


def moves(change: Change, signal: str, signals: Signals = honest) -> bool:
    """Whether a signal of the essay, at any other essay, is another after the change."""
    before, after = (signals(change.site.landscape, graph, change.place)[signal] for graph in change.graphs())
    return bool((np.abs(np.delete(before[0] - after[0], change.row)) > TOLERANCE).any())


def candidates_of(change: Change) -> list[Pairs]:
    """The essay's candidates with all their signals, before and after."""
    return [CandidateFinder(change.site.landscape, graph).of_places(change.place) for graph in change.graphs()]


def same_pairs(first: Pairs, second: Pairs) -> bool:
    """Whether all that is known of the pairs is the same."""
    return (
        first.columns.tolist() == second.columns.tolist()
        and bool(np.allclose(first.values, second.values, rtol=0, atol=TOLERANCE))
        and all((first.spread[name] == second.spread[name]).all() for name in first.spread)
        and (first.from_links == second.from_links).all()
        and (first.listed == second.listed).all()
    )


def copies(number: int, seed: int) -> Site:
    """A site on which each text stands twice."""
    some = random_site(number, seed)
    matrix = np.vstack([some.texts.vectors.matrix] * 2)
    return site_of([replace(one, id=f"{n}{one.id}") for n in "ab" for one in some.essays], matrix, matrix)


def found(changes: st.SearchStrategy[Change], condition: Callable[[Change], bool], tries: int = 200) -> bool:
    """Whether some change meets the condition, the same ones being tried each time."""
    tried = settings(max_examples=tries, phases=(Phase.generate,), derandomize=True, database=None)
    try:
        find(changes, condition, settings=tried)
    except NoSuchExample:
        return False
    return True


SITES = [*(random_site(number, seed) for number, seed in ((2, 0), (5, 1), (9, 2), (14, 3))), copies(4, 4)]


@st.composite
def own_lists_changed(draw: st.DrawFn) -> Change:
    """Any lists on any of the sites; one essay's own list becomes any other, or none, or was none."""
    site = draw(st.sampled_from(SITES))
    ids = site.texts.ids
    some = st.sets(st.sampled_from(ids), max_size=5).map(lambda found: tuple(sorted(found)))
    lists = dict(zip(ids, draw(st.lists(some, min_size=len(ids), max_size=len(ids))), strict=True))
    own = draw(st.sampled_from(ids))
    return Change(site, ids.index(own), lists, lists | {own: draw(some)})


@st.composite
def links_changed(draw: st.DrawFn) -> Change:
    """Any lists of at least one other essay each; which of them name one essay besides becomes anything else."""
    site = draw(st.sampled_from([site for site in SITES if len(site.essays) > 2]))
    ids = site.texts.ids
    own = draw(st.sampled_from(ids))
    some = st.sets(st.sampled_from([ident for ident in ids if ident != own]), max_size=5)
    lists = {ident: draw(some) - {ident} for ident in ids}
    listing = sorted(ident for ident in ids if lists[ident] and ident != own)
    first, second = (draw(st.sets(st.sampled_from(listing) if listing else st.nothing())) for _ in range(2))
    before, after = (
        {ident: (*sorted(listed), own) if ident in naming else tuple(sorted(listed)) for ident, listed in lists.items()}
        for naming in (first, second)
    )
    return Change(site, ids.index(own), before, after)


@st.composite
def dense(draw: st.DrawFn) -> tuple[Site, dict[str, tuple[str, ...]], int, np.random.Generator]:
    """A site of which every essay lists about a third, so that hardly two are foretold alike."""
    site = random_site(16, draw(st.integers(0, 7)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return site, some_lists(site, rng), draw(st.integers(0, 15)), rng


def some_lists(site: Site, rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    """Lists of at least one other essay, of about a third of the site."""
    ids = site.texts.ids
    return {
        i: tuple(j for j in ids if j != i and rng.random() < 0.35) or ((ids[1],) if i == ids[0] else (ids[0],))
        for i in ids
    }


@st.composite
def dense_own_lists_changed(draw: st.DrawFn) -> Change:
    """One of many lists becomes any other."""
    site, lists, row, rng = draw(dense())
    own = site.texts.ids[row]
    return Change(site, row, lists, lists | {own: tuple(rng.choice(site.texts.ids, 5).tolist())})


@st.composite
def dense_links_changed(draw: st.DrawFn) -> Change:
    """Which of many lists name one essay becomes anything else."""
    site, lists, row, rng = draw(dense())
    own = site.texts.ids[row]
    kept = {i: tuple(j for j in listed if j != own) for i, listed in lists.items()}
    assume(all(kept[i] for i in kept if i != own))
    before, after = (
        {i: (*listed, own) if i != own and rng.random() < share else listed for i, listed in kept.items()}
        for share in (0.7, 0.2)
    )
    return Change(site, row, before, after)


# --- The own list -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", LIST_SIGNALS)
@given(change=own_lists_changed())
def test_no_signal_of_the_lists_sees_the_own_list(signal: str, change: Change) -> None:
    assert not moves(change, signal)


@pytest.mark.parametrize("signal", LIST_SIGNALS)
def test_a_signal_that_sees_the_own_list_is_caught(signal: str) -> None:
    def leaky(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
        block = honest(landscape, graph, places)
        return block | {signal: block[signal] + 0.01 * graph.matrix[places.own].toarray()}

    assert found(own_lists_changed(), lambda change: moves(change, signal, leaky))


def _as_a_draft(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
    """Nothing taken out: what is known of an essay that has taken part, as if it had not."""
    return honest(landscape, graph, replace(places, own=np.full_like(places.own, -1)))


def _near_itself(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
    near = places.near.tolil()
    near[np.arange(len(places.own)), places.own] = 1.0
    return {"votes": votes(graph, replace(places, near=near.tocsr()))}


def _all_that_stands_beside(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
    both = graph.matrix + graph.turned
    return {
        "co_listed": co_listed(ListGraph(both.tocsr()), places),
        "lists_back": (both[places.own] > 0).toarray().astype(np.float32),
    }


def _counted_once_too_often(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
    return {"popularity": popularity(graph.listed_by, np.zeros((1, graph.matrix.shape[0]), np.float32))}


def _alike_to_the_own_list(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
    return {"like_lists": like_lists(graph, places, graph.matrix[places.own].toarray())}


@pytest.mark.parametrize(
    ("signal", "leaky"),
    [
        ("popularity", _counted_once_too_often),
        ("votes", _near_itself),
        ("predicted", _as_a_draft),
        ("like_lists", _as_a_draft),
        ("like_lists", _alike_to_the_own_list),
        ("lists_back", _all_that_stands_beside),
        ("co_listed", _all_that_stands_beside),
    ],
)
def test_the_mistakes_by_which_a_list_would_speak_for_itself_are_caught(signal: str, leaky: Signals) -> None:
    assert found(own_lists_changed(), lambda change: moves(change, signal, leaky))


def test_the_check_is_silent_where_nothing_leaks() -> None:
    def blind(landscape: Landscape, graph: ListGraph, places: Places) -> Block:
        return {"votes": np.ones((len(places.own), graph.matrix.shape[0]), np.float32)}

    assert not found(own_lists_changed(), lambda change: moves(change, "votes", blind), tries=20)


@given(own_lists_changed())
def test_no_value_of_any_pair_sees_the_own_list(change: Change) -> None:
    before, after = candidates_of(change)

    assert same_pairs(before, after)
    assert len(before.columns) == len(change.site.essays) - 1, "on so small a site all others are candidates"


def clear_cut(change: Change) -> bool:
    """Whether no two essays are foretold alike, and none hardly: where rounding decides, a candidate may change."""
    foretold = [
        np.delete(honest(change.site.landscape, graph, change.place)["predicted"][0], change.row)
        for graph in change.graphs()
    ]
    return all(np.diff(np.sort([*row, candidates.NOTHING])).min() > 1e-5 for row in foretold)


@given(dense_own_lists_changed())
def test_the_candidates_are_the_same_whatever_the_own_list_is(change: Change) -> None:
    assume(clear_cut(change))

    with small_pools():
        before, after = candidates_of(change)

    assert same_pairs(before, after)
    assert 2 <= len(before.columns) <= 9  # two by text, by each of two signals and by links, and the most listed


def test_candidates_drawn_from_the_own_list_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaky(ListSignals):
        def block(self, places: Places, predicted: Matrix | None = None) -> Block:
            block = super().block(places, predicted)
            return block | {"votes": block["votes"] + self._graph.matrix[places.own].toarray()}

    monkeypatch.setattr(candidates, "ListSignals", Leaky)

    def caught(change: Change) -> bool:
        with small_pools():
            before, after = candidates_of(change)
        return before.columns.tolist() != after.columns.tolist()

    assert found(dense_own_lists_changed(), caught)


# --- A new page ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", LIST_SIGNALS)
@settings(max_examples=40)
@given(change=links_changed())
def test_no_signal_of_a_new_page_sees_what_lists_name_it(signal: str, change: Change) -> None:
    before, after = (pairs.as_new() for pairs in candidates_of(change))

    column = SIGNALS.index(signal)
    assert before.columns.tolist() == after.columns.tolist()
    np.testing.assert_allclose(before.values[:, column], after.values[:, column], atol=TOLERANCE)


@given(links_changed())
def test_nothing_else_of_a_new_page_sees_what_lists_name_it(change: Change) -> None:
    before, after = (pairs.as_new() for pairs in candidates_of(change))

    of_texts = [SIGNALS.index(signal) for signal in TEXT_SIGNALS]
    assert (before.values[:, of_texts] == after.values[:, of_texts]).all()
    assert all((before.spread[name] == after.spread[name]).all() for name in before.spread)
    for pairs in (before, after):
        assert not pairs.listed.any()
        assert not pairs.from_links.any()


def test_that_a_page_is_named_does_show_while_it_is_not_new() -> None:
    """So that the test above could fail."""

    def caught(change: Change) -> bool:
        before, after = candidates_of(change)
        return not np.allclose(before.values, after.values, atol=0.1)

    assert found(links_changed(), caught)


@given(dense_links_changed())
def test_the_candidates_of_a_new_page_are_the_same_whatever_lists_name_it(change: Change) -> None:
    with small_pools(by_lists=16, most_listed=16):
        before, after = (pairs.as_new() for pairs in candidates_of(change))

    assert before.columns.tolist() == after.columns.tolist()


@given(dense_links_changed())
def test_candidates_by_text_and_links_alone_are_the_same_for_a_new_page(change: Change) -> None:
    with small_pools(by_lists=0, most_listed=0):
        before, after = (pairs.as_new() for pairs in candidates_of(change))

    assert before.columns.tolist() == after.columns.tolist()
    assert len(before.columns) == 2


def test_candidates_that_only_links_bring_are_caught_unless_the_page_is_taken_for_new() -> None:
    def caught(change: Change) -> bool:
        with small_pools(by_lists=0, most_listed=0):
            before, after = candidates_of(change)
        return before.columns.tolist() != after.columns.tolist()

    assert found(dense_links_changed(), caught)


@given(dense_links_changed())
def test_the_essay_itself_takes_no_place_among_its_candidates(change: Change) -> None:
    with small_pools():
        before, after = (pairs.as_new() for pairs in candidates_of(change))

    assert before.columns.tolist() == after.columns.tolist()


def test_what_only_the_own_list_names_is_no_candidate_for_it() -> None:
    for seed in range(5):
        site = random_site(40, seed)
        ids, rng = site.texts.ids, np.random.default_rng(seed)
        lists = {ident: tuple(rng.choice(ids[:30], 3)) for ident in ids[:12]}
        with small_pools(by_lists=60):
            before, after = candidates_of(Change(site, 0, lists, lists | {ids[0]: ids[35:38]}))
        assert before.columns.tolist() == after.columns.tolist()


# --- From end to end ----------------------------------------------------------------------------------------------

PAGES, LENGTH = 60, 4
CHANCE = 10 / (PAGES - 1)
ABOVE_CHANCE = CHANCE + 4 * np.sqrt(CHANCE * (1 - CHANCE) / (PAGES * LENGTH))
"""Four standard errors over what ten at random would find."""


class SeesTheOwnList(ListSignals):
    """A cheat."""

    def block(self, places: Places, predicted: Matrix | None = None) -> Block:
        block = super().block(places, predicted)
        return block | {"votes": block["votes"] + self._graph.matrix[places.own].toarray()}


def recall_on_shuffled_lists(seed: int) -> tuple[float, float, float]:
    """Cross-validated recall@10 where lists have nothing to do with texts or with one another."""
    site = random_site(PAGES, seed)
    graph = site.graph(random_lists(site, np.random.default_rng(seed), LENGTH))
    validation = cross_validate(site.landscape, graph)
    assert validation is not None
    return bootstrap(recalls(validation, graph))


@pytest.mark.parametrize("seed", [0, 1])
def test_lists_at_random_are_found_again_by_chance_only(seed: int) -> None:
    mean, _low, _high = recall_on_shuffled_lists(seed)

    assert mean < ABOVE_CHANCE


def test_no_more_is_found_when_the_judged_lists_are_not_even_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal shows an own list, so that nothing hangs on the folds' hiding it."""
    monkeypatch.setattr(ListGraph, "without", lambda graph, rows: graph)

    assert recall_on_shuffled_lists(0)[0] < ABOVE_CHANCE + 0.05  # it may have learned the pages by heart, a little


def test_a_signal_that_cheats_gains_nothing_where_the_judged_lists_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "ListSignals", SeesTheOwnList)

    assert recall_on_shuffled_lists(0)[0] < ABOVE_CHANCE


def test_a_leak_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "ListSignals", SeesTheOwnList)
    monkeypatch.setattr(ListGraph, "without", lambda graph, rows: graph)

    assert recall_on_shuffled_lists(0)[0] > 0.99


def test_of_lists_that_favour_some_essays_no_more_is_found_than_by_naming_the_most_listed() -> None:
    site = random_site(PAGES, 2)
    ids, rng = site.texts.ids, np.random.default_rng(2)
    liking = np.arange(1, PAGES + 1) ** -1.0
    lists = {}
    for row, ident in enumerate(ids):
        others = np.delete(liking, row) / np.delete(liking, row).sum()
        lists[ident] = rng.choice(np.delete(ids, row), LENGTH, replace=False, p=others).tolist()
    graph = site.graph(lists)
    validation = cross_validate(site.landscape, graph)
    assert validation is not None

    counts = graph.listed_by[None, :] - graph.matrix.toarray()
    np.fill_diagonal(counts, -1)
    best = np.argsort(-counts, axis=1, kind="stable")[:, :10]
    most_listed = np.array([np.isin(graph.targets(row), best[row]).mean() for row in range(PAGES)])
    _mean, low, _high = bootstrap(recalls(validation, graph) - most_listed)

    assert most_listed.mean() > 2 * CHANCE, "there is something to be found"
    assert low <= 0
