"""The signals of the lists, on a graph of five essays, each value by hand."""

from collections.abc import Mapping
from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from scipy import sparse

from embeddings.encoder import Matrix
from recommender.landscape import Landscape, Places
from recommender.list_signals import RIDGE, ListSignals
from recommender.signals import LIST_SIGNALS
from tests.fakes import essay
from tests.recommender.sites import Site, random_lists, random_site, site_of

LISTS = {"a": "bc", "b": "c", "c": "ab", "d": "abc"}
"""e has no list, and none names d or e."""
NEAR = [
    [0.0, 1.0, 0.0, 0.5, 0.5],  # a: b, d and e, which has no list
    [0.0, 0.0, 2.0, 0.0, 0.0],  # b: c
    [0.0, 0.0, 0.0, 0.0, 1.0],  # c: e
    [0.4, 0.6, 0.0, 0.0, 0.0],  # d: a and b
    [0.0, 0.0, 0.0, 0.0, 0.0],  # e: nobody
]
BASIS = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8], [1.0, 1.0]]


@pytest.fixture(scope="module")
def site() -> Site:
    """Five essays whose places are given by hand."""
    read = site_of([essay(ident) for ident in "abcde"])
    return replace(
        read, landscape=replace(read.landscape, near=sparse.csr_matrix(np.float32(NEAR)), basis=np.float32(BASIS))
    )


def all_of(site: Site, lists: Mapping[str, str] = LISTS) -> dict[str, Matrix]:
    return ListSignals(site.landscape, site.graph(lists)).block(site.landscape.rows(0, 5))


def refitted(landscape: Landscape, lists: Matrix, row: int, version: Matrix | None = None) -> Matrix:
    """The list foretold for an essay, or a version of it, by a ridge over all other essays that have a list."""
    taking_part = [r for r in np.flatnonzero(lists.any(axis=1)) if r != row]
    x, y = landscape.basis[taking_part].astype(np.float64), lists[taking_part]
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    return (landscape.basis[row] if version is None else version) @ weights


def test_there_is_a_row_for_each_essay_over_the_whole_site_for_every_signal_of_the_lists(site: Site) -> None:
    block = ListSignals(site.landscape, site.graph(LISTS)).block(site.landscape.rows(1, 4))

    assert tuple(block) == LIST_SIGNALS
    assert {(values.dtype.name, values.shape) for values in block.values()} == {("float32", (3, 5))}


def test_popularity_counts_all_lists_but_the_own() -> None:
    read = site_of([essay(ident) for ident in "abcde"])

    found = np.expm1(all_of(read)["popularity"])

    # a is named by c and d, b by a, c and d, c by a, b and d; the row's own list is left out of each count.
    expected = [[2, 2, 2, 0, 0], [2, 3, 2, 0, 0], [1, 2, 3, 0, 0], [1, 2, 2, 0, 0], [2, 3, 3, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert all_of(read)["popularity"][4, 1] == pytest.approx(log(1 + 3))


def test_votes_are_the_share_of_near_lists_that_name_the_candidate_by_nearness(site: Site) -> None:
    # a is near b (1.0), which lists c, and d (0.5), which lists a, b, c; e has no list and so no vote.
    third = 0.5 / 1.5
    expected = [[third, third, 1, 0, 0], [1, 1, 0, 0, 0], [0] * 5, [0, 0.4, 1, 0, 0], [0] * 5]

    np.testing.assert_allclose(all_of(site)["votes"], expected, atol=1e-6)


def test_predicted_is_what_a_ridge_over_the_other_lists_foretells(site: Site) -> None:
    lists = site.graph(LISTS).matrix.toarray().astype(np.float64)
    expected = [refitted(site.landscape, lists, row) for row in range(5)]

    found = all_of(site)["predicted"]

    np.testing.assert_allclose(found, expected, atol=1e-6)
    # By hand, for b and one list alone: with x of a = (1, 0), (x'x + I)^-1 = diag(1/2, 1); 0.8 * 1/2 = 0.4.
    np.testing.assert_allclose(all_of(site, {"a": "bc"})["predicted"][1], [0, 0.4, 0.4, 0, 0], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_predicted_is_the_refit_without_the_essay_on_any_site(seed: int) -> None:
    site = random_site(30, seed)
    rng = np.random.default_rng(seed)
    lists = {ident: listed for ident, listed in random_lists(site, rng, 4).items() if rng.random() < 0.7}
    graph = site.graph(lists)
    matrix = graph.matrix.toarray().astype(np.float64)

    found = ListSignals(site.landscape, graph).block(site.landscape.rows(0, 30))["predicted"]

    assert 5 < len(lists) < 30, "some essays have a list and take part, some have none"
    np.testing.assert_allclose(found, [refitted(site.landscape, matrix, row) for row in range(30)], atol=1e-4)


def test_a_new_version_of_an_essay_is_foretold_by_the_lists_of_the_others() -> None:
    """Not by its own, though the ridge has learned from the published text beside it."""
    site = random_site(30, seed=1)
    graph = site.graph(random_lists(site, np.random.default_rng(1), 4))
    version = np.float32([site.landscape.basis[3] + 0.1, -2.0 * site.landscape.basis[7]])
    place = Places(site.texts.rows(3, 5), np.array([3, 7]), site.landscape.near[[3, 7]], version)
    matrix = graph.matrix.toarray().astype(np.float64)

    found = ListSignals(site.landscape, graph).block(place)["predicted"]

    np.testing.assert_allclose(found[0], refitted(site.landscape, matrix, 3, version[0]), atol=1e-4)
    np.testing.assert_allclose(found[1], refitted(site.landscape, matrix, 7, version[1]), atol=1e-4)


def test_like_lists_is_how_much_of_the_candidates_list_is_foretold_over_the_root_of_its_length(site: Site) -> None:
    block = all_of(site)
    foretold = block["predicted"].astype(np.float64)

    found = block["like_lists"]

    assert found[0, 1] == pytest.approx(foretold[0, 2], abs=1e-6)  # b lists c
    assert found[0, 2] == pytest.approx(foretold[0, 1], abs=1e-6)  # c lists a and b: a is the essay itself
    assert found[1, 0] == pytest.approx(foretold[1, 2], abs=1e-6)  # a lists b and c: b is the essay itself
    assert found[4, 3] == pytest.approx(foretold[4, :3].sum() / sqrt(3), abs=1e-6)
    assert found[:, 4].tolist() == [0.0] * 5  # e has no list
    assert found[0, 1] > 0.1


def test_lists_back_is_1_where_the_candidates_list_names_the_essay(site: Site) -> None:
    assert all_of(site)["lists_back"].tolist() == [
        [0, 0, 1, 1, 0],
        [1, 0, 1, 1, 0],
        [1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_co_listed_counts_the_lists_that_name_both(site: Site) -> None:
    found = np.expm1(all_of(site)["co_listed"])

    # b and c stand together in the lists of a and d, a and b in those of c and d, a and c in that of d.
    expected = [[2, 2, 1, 0, 0], [2, 3, 2, 0, 0], [1, 2, 3, 0, 0], [0] * 5, [0] * 5]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert all_of(site)["co_listed"][0, 1] == pytest.approx(log(3))


def test_of_no_lists_every_signal_is_0(site: Site) -> None:
    assert not any(values.any() for values in all_of(site, {}).values())


def test_a_draft_is_foretold_and_voted_for_but_no_list_names_it(site: Site) -> None:
    place = Places(
        site.texts.rows(0, 1),
        np.array([-1]),
        sparse.csr_matrix(np.float32([[1, 0, 0, 1, 0]])),
        np.float32([[0.5, 0.5]]),
    )
    lists = site.graph(LISTS).matrix.toarray().astype(np.float64)
    x = np.array(BASIS[:4])
    foretold = np.array([0.5, 0.5]) @ np.linalg.inv(x.T @ x + np.eye(2)) @ x.T @ lists[:4]

    found = ListSignals(site.landscape, site.graph(LISTS)).block(place)

    np.testing.assert_allclose(np.expm1(found["popularity"]), [[2, 3, 3, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(found["votes"], [[0.5, 1, 1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(found["predicted"], [foretold], atol=1e-6)
    like = [(foretold[1] + foretold[2]) / sqrt(2), foretold[2], (foretold[0] + foretold[1]) / sqrt(2)]
    np.testing.assert_allclose(found["like_lists"][0, :3], like, atol=1e-6)
    assert not found["lists_back"].any()
    assert not found["co_listed"].any()


def test_drafts_and_essays_side_by_side_have_their_own_rows(site: Site) -> None:
    """A draft in the first row must not shift what is known of the essay in the second."""
    lists = ListSignals(site.landscape, site.graph(LISTS))
    near = sparse.csr_matrix(np.float32([[1, 0, 0, 1, 0], NEAR[2], [0] * 5]))
    basis = np.float32([[0.5, 0.5], BASIS[2], [0.0, 0.0]])
    mixed = lists.block(Places(site.texts.rows(0, 3), np.array([-1, 2, -1]), near, basis))

    alone = lists.block(site.landscape.rows(2, 3))

    for signal in LIST_SIGNALS:
        np.testing.assert_allclose(mixed[signal][1:2], alone[signal], atol=1e-6)
    assert not mixed["lists_back"][[0, 2]].any()
    assert not mixed["co_listed"][[0, 2]].any()
