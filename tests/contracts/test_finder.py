"""The contract of recommender.finding.Finder, run on every implementation, and what the two must agree in."""

from dataclasses import replace

import numpy as np
import pytest

from recommender import pair_lists, wide_candidates, wide_landscape
from recommender.candidates import CandidateFinder, Pairs
from recommender.finding import Finder, candidate_finder, survey_site
from recommender.landscape import WIDE_SITE, Landscape
from recommender.list_graph import ListGraph
from recommender.model import DEFAULT
from recommender.signals import LIST_SIGNALS, SIGNALS
from recommender.wide_candidates import WideFinder
from recommender.wide_landscape import survey_wide
from tests.recommender.sites import Site, random_lists, random_site, small_pools

ESSAYS = 70
OWN_BASIS = ("predicted", "like_lists")
"""Read from components, of which a large site has other ones."""


@pytest.fixture(scope="module")
def site() -> Site:
    return random_site(ESSAYS, 3, dim=8)


@pytest.fixture(scope="module")
def graph(site: Site) -> ListGraph:
    return site.graph(random_lists(site, np.random.default_rng(4), 3))


@pytest.fixture(scope="module")
def wide(site: Site) -> Landscape:
    """Surveyed as a large site, where everything is near enough to be drawn."""
    return survey_wide(site.texts)


@pytest.fixture
def runs_of_twelve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_candidates, "CHUNK", 12)
    monkeypatch.setattr(wide_landscape, "CHUNK", 12)


@pytest.fixture(params=["dense", "wide"])
def finder(request: pytest.FixtureRequest, site: Site, graph: ListGraph, wide: Landscape) -> Finder:
    return candidate_finder(site.landscape if request.param == "dense" else wide, graph)


def same(left: Pairs, right: Pairs) -> bool:
    """To the last bit."""
    return all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in ("rows", "starts", "columns", "values", "from_links", "listed")
    )


def test_which_finder_it_is_follows_from_the_landscape(site: Site, graph: ListGraph, wide: Landscape) -> None:
    assert isinstance(candidate_finder(site.landscape, graph), CandidateFinder)
    assert isinstance(candidate_finder(wide, graph), WideFinder)


def test_a_site_of_more_essays_is_surveyed_as_a_large_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WIDE_SITE == 5000
    assert survey_site(site.texts).pool is None
    monkeypatch.setattr("recommender.finding.WIDE_SITE", ESSAYS)
    assert survey_site(site.texts).pool is None
    monkeypatch.setattr("recommender.finding.WIDE_SITE", ESSAYS - 1)
    assert survey_site(site.texts).pool is not None


def test_every_essay_has_candidates_in_row_order_and_never_itself(finder: Finder) -> None:
    pairs = finder.of_site()

    assert pairs.rows.tolist() == list(range(ESSAYS))
    for place, row in enumerate(pairs.rows.tolist()):
        columns = pairs.columns[pairs.of(place)].tolist()
        assert columns == sorted(set(columns) - {row})
        assert columns
    assert np.isfinite(pairs.values).all()


def test_some_essays_have_the_candidates_that_they_have_among_all(finder: Finder) -> None:
    rows = np.array([0, 7, 8, 40, ESSAYS - 1])

    assert same(finder.of_rows(rows), finder.of_site().select(rows))


def test_what_is_wanted_exactly_comes_with_the_values_of_the_site(finder: Finder) -> None:
    pairs = finder.of_site()
    wanted = [pairs.columns[pairs.of(place)][::3] for place in range(ESSAYS)]

    found = finder.exactly(wanted)

    for place in range(ESSAYS):
        assert found.columns[found.of(place)].tolist() == wanted[place].tolist()
        np.testing.assert_allclose(found.values[found.of(place)], pairs.values[pairs.of(place)][::3], atol=1e-5)


def test_a_single_pair_has_the_values_of_the_site_to_the_last_bit(finder: Finder) -> None:
    pairs = finder.of_site()

    for row in (0, 33, ESSAYS - 1):
        part = pairs.of(row)
        for at in (part.start, part.stop - 1):
            found = finder.of_essay(row, pairs.columns[at : at + 1])
            assert found.values.tolist() == pairs.values[at : at + 1].tolist()


def test_a_draft_that_is_an_essay_of_the_site_is_read_as_that_essay(
    site: Site, finder: Finder, wide: Landscape
) -> None:
    drafts = site.read(site.essays[5:6], site.texts.vectors.matrix[5:6], site.texts.summaries[5:6])
    landscape = wide if isinstance(finder, WideFinder) else site.landscape

    found = finder.of_places(landscape.place(drafts))

    pairs = finder.of_site()
    assert found.rows.tolist() == [5]
    assert 5 not in found.columns
    of_five = pairs.values[pairs.of(5)][np.isin(pairs.columns[pairs.of(5)], found.columns)]
    np.testing.assert_allclose(found.values[np.isin(found.columns, pairs.columns[pairs.of(5)])], of_five, atol=2e-2)


# --- A large site's finder beside the other -----------------------------------------------------------------------


@pytest.mark.usefixtures("runs_of_twelve")
@pytest.mark.parametrize("signal", SIGNALS)
def test_where_all_are_drawn_both_read_the_same(signal: str, site: Site, graph: ListGraph) -> None:
    dense = CandidateFinder(site.landscape, graph).of_site()
    landscape = survey_wide(site.texts)
    own_basis = replace(landscape, basis=site.landscape.basis, strengths=site.landscape.strengths)
    found = candidate_finder(own_basis if signal in OWN_BASIS else landscape, graph).of_site()

    assert found.columns.tolist() == dense.columns.tolist(), "everybody else is a candidate on so small a site"
    assert found.listed.tolist() == dense.listed.tolist()
    at = SIGNALS.index(signal)
    assert dense.values[:, at].any() or signal in ("links", "linked")
    np.testing.assert_allclose(found.values[:, at], dense.values[:, at], atol=2e-4)


def test_the_nearest_and_the_best_scores_are_those_of_all_pairs(site: Site, wide: Landscape) -> None:
    np.testing.assert_allclose(wide.near.toarray(), site.landscape.near.toarray(), atol=1e-5)
    width = site.landscape.nearest_scores.shape[1]
    np.testing.assert_allclose(
        wide.nearest_scores[:, -(ESSAYS - 1) :], site.landscape.nearest_scores[:, width - (ESSAYS - 1) :], atol=1e-3
    )


def test_the_pool_keeps_the_best_of_what_was_drawn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_landscape, "POOL", 5)

    landscape = survey_wide(site.texts)

    assert landscape.pool is not None
    assert np.diff(landscape.pool.starts).tolist() == [5] * ESSAYS
    dense = CandidateFinder(site.landscape, site.graph({})).of_site()
    for row in range(ESSAYS):
        values = dense.values[dense.of(row)].copy()
        values[:, SIGNALS.index("mutual_rank")] = 0.0
        best = dense.columns[dense.of(row)][np.argsort(-DEFAULT.logits(values), kind="stable")[:5]]
        assert landscape.pool.columns[landscape.pool.of(row)].tolist() == sorted(best.tolist())


def test_lists_draw_what_they_draw_on_a_small_site(
    site: Site, graph: ListGraph, wide: Landscape, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("BY_LISTS", 2), ("MOST_LISTED", 1), ("BY_LINKS_HERE", 2)):
        monkeypatch.setattr(pair_lists, name, number)
    alike = replace(site.landscape, pool=wide.pool)
    lists = pair_lists.PairLists(alike, graph)
    with small_pools(by_text=0):
        dense = CandidateFinder(site.landscape, graph).of_site()

    by_lists, linked = (drawn.keys(np.arange(ESSAYS), ESSAYS) for drawn in lists.draw(np.arange(ESSAYS)))

    others = by_lists[by_lists % ESSAYS != by_lists // ESSAYS]
    keys = dense.rows[dense.owner] * ESSAYS + dense.columns
    equals = 2  # votes of equal lists may differ in their last bit
    assert len(np.setxor1d(np.union1d(others, linked), keys)) <= equals
    assert len(np.setxor1d(np.setdiff1d(linked, others), keys[dense.from_links])) <= equals


def test_without_lists_nothing_is_drawn_and_their_signals_are_silent(site: Site, wide: Landscape) -> None:
    lists = pair_lists.PairLists(wide, site.graph({}))

    assert [len(drawn.place) for drawn in lists.draw(np.arange(ESSAYS))] == [0, 0]
    values = lists.read(np.array([3]), np.array([0, 2]), np.array([1, 2]))
    assert set(values) == set(LIST_SIGNALS)
    assert not any(row.any() for row in values.values())
