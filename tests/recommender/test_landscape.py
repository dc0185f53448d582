"""How essays lie to one another by their texts: who is near, who is nearer, and where a draft stands."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from corpus.essay import Essay
from embeddings.encoder import Matrix
from recommender import landscape as landscape_module
from recommender.candidates import CandidateFinder
from recommender.landscape import NEAR, RANKS, Landscape
from recommender.list_signals import ListSignals
from recommender.model import DEFAULT
from recommender.signals import relative, spread_of, text_block
from tests.fakes import essay
from tests.recommender.sites import Site, random_lists, random_site, site_of

LEAN = np.float32([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]])


def nearness(site: Site) -> Matrix:
    block = text_block(site.texts, site.texts)
    return block["meaning"] + block["wording"]


def default_scores(site: Site) -> Matrix:
    """Row by row what essays give each other, -inf on the diagonal."""
    block = text_block(site.texts, site.texts)
    scores = DEFAULT.block_logits(relative(block, spread_of(block, list(range(len(site.essays))))))
    np.fill_diagonal(scores, -np.inf)
    return scores


def surveyed(site: Site) -> Landscape:
    return Landscape.survey(site.texts)


# --- Near ---------------------------------------------------------------------------------------------------------


def test_the_nearest_others_are_weighted_by_cosine_of_meaning_plus_of_wording() -> None:
    site = site_of([essay("a", "rye"), essay("b", "noon"), essay("c", "rye"), essay("d", "gun")], LEAN, LEAN)

    # a and c share their one word; d points away from a, and what is below nothing is nothing.
    expected = [[0, 0.8, 1, 0], [0.8, 0, 0.6, 0], [1, 0.6, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(site.landscape.near.toarray(), expected, atol=1e-6)
    assert site.landscape.near.nnz == 6


def test_of_essays_alike_to_the_last_word_none_is_near_itself_and_each_is_near_the_others() -> None:
    site = site_of([essay(i, "rye and wheat") for i in "abc"])

    np.testing.assert_allclose(site.landscape.near.toarray(), 2 * (1 - np.eye(3)), atol=1e-6)


def test_only_the_nearest_ten_are_near() -> None:
    site = random_site(15, seed=1)
    expected = np.zeros((15, 15))
    for row, values in enumerate(nearness(site)):
        others = sorted((c for c in range(15) if c != row), key=lambda c: -values[c])[:NEAR]
        expected[row, others] = np.maximum(values[others], 0)

    found = site.landscape.near.toarray()

    assert NEAR == 10
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found > 0).sum(axis=1).max() == 10


# --- Mutual ranks -------------------------------------------------------------------------------------------------


def by_hand(nearest_scores: list[list[float]]) -> Landscape:
    return replace(random_site(3, seed=0).landscape, nearest_scores=np.float32(nearest_scores))


def ranks(landscape: Landscape, columns: list[int], logits: list[float]) -> NDArray[np.float32]:
    return landscape.mutual_ranks(np.array(columns, dtype=np.int64), np.float32(logits))


def test_a_mutual_rank_falls_with_the_number_of_essays_that_are_nearer_to_the_candidate() -> None:
    landscape = by_hand([[1, 2, 3], [-np.inf, 5, 6]])

    found = ranks(landscape, [0, 0, 0, 0, 1, 1], [3, 2.5, 1, 0, 5.5, 0])

    assert RANKS == 100
    fall = [1 - log(1 + closer) / log(101) for closer in (0, 1, 2, 3, 1, 2)]
    np.testing.assert_allclose(found, fall, atol=1e-6)
    assert found.dtype == np.float32


def test_from_the_hundredth_on_a_mutual_rank_is_0() -> None:
    landscape = by_hand([list(range(100)), list(range(-50, 50))])

    np.testing.assert_allclose(
        ranks(landscape, [0, 0, 1], [-1, 0, 0]), [0, 1 - log(100) / log(101), 1 - log(50) / log(101)], atol=1e-6
    )


def test_pairs_are_compared_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(12, seed=2)
    columns = np.arange(144) % 12
    logits = default_scores(site).ravel()
    whole = site.landscape.mutual_ranks(columns, logits)

    monkeypatch.setattr(landscape_module, "_PAIRS", 5)

    assert (site.landscape.mutual_ranks(columns, logits) == whole).all()


def test_the_scores_kept_of_each_essay_are_the_best_that_others_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(13, seed=3)
    given = default_scores(site)
    expected = np.sort(given, axis=0)[-4:].T  # of each column, ascending

    monkeypatch.setattr(landscape_module, "RANKS", 4)
    monkeypatch.setattr(landscape_module, "CHUNK", 3)

    np.testing.assert_allclose(surveyed(site).nearest_scores, expected, atol=1e-5)


def test_where_the_site_is_smaller_than_the_ranks_all_scores_are_kept() -> None:
    site = random_site(13, seed=3)

    expected = np.sort(default_scores(site), axis=0).T

    np.testing.assert_allclose(site.landscape.nearest_scores, expected, atol=1e-5)


# --- The basis ----------------------------------------------------------------------------------------------------


def test_the_basis_is_the_vectors_and_the_components_of_the_wording() -> None:
    site = random_site(9, seed=4)
    dim = site.texts.vectors.dim
    wording = (site.texts.terms @ site.texts.terms.T).toarray()

    vectors, components = site.landscape.basis[:, :dim], site.landscape.basis[:, dim:]

    assert (vectors == site.texts.vectors.matrix).all()
    assert components.shape == (9, 8)
    # The best approximation of the products by one rank less: what is missing is the least eigenvalue.
    least = np.linalg.eigvalsh(wording)[0]
    assert np.linalg.norm(components @ components.T - wording, 2) == pytest.approx(least, abs=1e-4)
    np.testing.assert_allclose(site.landscape.strengths, np.linalg.eigvalsh(wording)[:0:-1], atol=1e-4)
    np.testing.assert_allclose((components**2).sum(axis=0), site.landscape.strengths, atol=1e-4)


def test_no_more_components_are_kept_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(9, seed=4)
    monkeypatch.setattr(landscape_module, "COMPONENTS", 3)

    found = surveyed(site)

    np.testing.assert_allclose(found.strengths, site.landscape.strengths[:3], atol=1e-4)
    assert found.basis.shape == (9, site.texts.vectors.dim + 3)


def test_a_large_site_has_the_same_basis_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(30, seed=5)
    monkeypatch.setattr(landscape_module, "COMPONENTS", 10)
    small = surveyed(site)

    monkeypatch.setattr(landscape_module, "_LARGE_SITE", 29)
    large = surveyed(site)

    assert large.basis.shape == small.basis.shape == (30, 14)
    np.testing.assert_allclose(large.strengths, small.strengths, rtol=0.05)
    # Components are told up to their sign, so the essays' products are compared.
    np.testing.assert_allclose(large.basis @ large.basis.T, small.basis @ small.basis.T, atol=0.2)
    draft = site.texts.rows(0, 1)
    np.testing.assert_allclose(large.place(draft).basis, large.basis[:1], atol=0.05)


# --- Drafts -------------------------------------------------------------------------------------------------------


def test_the_text_of_an_essay_as_a_draft_of_another_id_stands_where_the_essay_stands() -> None:
    site = random_site(14, seed=6)
    drafts = [replace(one, id=f"draft of {one.id}") for one in site.essays]

    places = site.landscape.place(site.read(drafts, site.texts.vectors.matrix, site.texts.summaries))

    assert places.own.tolist() == [-1] * 14
    np.testing.assert_allclose(places.basis, site.landscape.basis, atol=1e-4)
    near, before = places.near.toarray(), site.landscape.near.toarray()
    for row in range(14):
        assert near[row].argmax() == row, "the essay itself is another essay now, and the nearest"
        assert near[row, row] == pytest.approx(2.0, abs=1e-5)
        others = np.delete(near[row], row)
        dropped = np.flatnonzero(np.delete(before[row], row) - others > 1e-5)
        assert len(dropped) <= 1, "it takes the place of the farthest of the near ones"
        np.testing.assert_allclose(
            np.delete(others, dropped), np.delete(np.delete(before[row], row), dropped), atol=1e-5
        )


def test_an_essay_as_a_draft_of_its_own_id_is_that_essay() -> None:
    site = random_site(14, seed=6)

    places = site.landscape.place(site.read(site.essays, site.texts.vectors.matrix, site.texts.summaries))
    own = site.landscape.rows(0, 14)

    assert places.own.tolist() == own.own.tolist() == list(range(14))
    np.testing.assert_allclose(places.basis, own.basis, atol=1e-4)
    np.testing.assert_allclose(places.near.toarray(), own.near.toarray(), atol=1e-5)


@pytest.mark.parametrize(("ident", "own"), [("000", 0), ("006", 6), ("", -1), ("0055", -1), ("x", -1)])
def test_a_draft_is_known_by_its_id_alone(ident: str, own: int) -> None:
    site = random_site(7, seed=0)

    places = site.landscape.place(site.read([replace(site.essays[5], id=ident)], site.texts.vectors.matrix[5:6]))

    assert places.own.tolist() == [own]
    assert places.near[0, 5] > 0, "whatever its id, its text is that of essay 5"
    if own >= 0:
        assert places.near[0, own] == 0.0


def test_a_run_of_rows_stands_where_the_survey_found_it() -> None:
    site = random_site(9, seed=8)

    places = site.landscape.rows(4, 7)

    assert places.own.tolist() == [4, 5, 6]
    assert places.texts.ids == ("004", "005", "006")
    assert (places.near.toarray() == site.landscape.near.toarray()[4:7]).all()
    assert (places.basis == site.landscape.basis[4:7]).all()
    assert site.landscape.rows(7, 100).own.tolist() == [7, 8]


# --- Small, large and odd sites -----------------------------------------------------------------------------------


def test_the_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(11, seed=9)
    done: list[int] = []

    monkeypatch.setattr(landscape_module, "CHUNK", 4)
    found = Landscape.survey(site.texts, done.append)

    assert done == [4, 4, 3]
    np.testing.assert_allclose(found.near.toarray(), site.landscape.near.toarray(), atol=1e-6)
    np.testing.assert_allclose(found.nearest_scores, site.landscape.nearest_scores, atol=1e-5)


def test_a_survey_is_the_same_each_time() -> None:
    site = random_site(25, seed=10)

    again = surveyed(site)

    assert (again.basis == site.landscape.basis).all()
    assert (again.strengths == site.landscape.strengths).all()
    assert (again.nearest_scores == site.landscape.nearest_scores).all()
    assert (again.near != site.landscape.near).nnz == 0


def test_a_site_of_one_essay_has_nobody_near() -> None:
    landscape = random_site(1, seed=0).landscape

    assert landscape.near.shape == (1, 1)
    assert landscape.near.nnz == 0
    assert landscape.nearest_scores.tolist() == [[-np.inf]]
    assert (landscape.basis == landscape.texts.vectors.matrix).all()
    assert landscape.strengths.shape == (0,)


def test_two_essays_are_near_each_other() -> None:
    site = site_of([essay("a", "rye"), essay("b", "rye oats")], LEAN[:2], LEAN[:2])
    wording = 1 / np.sqrt(1 + 2 * (1 + log(3 / 2)) ** 2)  # rye in both; oats and "rye oats" in one

    np.testing.assert_allclose(site.landscape.near.toarray(), (0.8 + wording) * (1 - np.eye(2)), atol=1e-6)
    assert site.landscape.basis.shape == (2, 3)
    assert ranks(site.landscape, [1], [default_scores(site)[0, 1]]).tolist() == [1.0]


@pytest.mark.parametrize("body", ["", "the of and"])
def test_a_site_without_any_term_is_surveyed_by_meaning_alone(body: str) -> None:
    site = site_of([essay(i, body) for i in "abc"], LEAN[:3], LEAN[:3])

    np.testing.assert_allclose(site.landscape.near.toarray(), [[0, 0.8, 0], [0.8, 0, 0.6], [0, 0.6, 0]], atol=1e-6)
    assert site.landscape.basis.shape == (3, 2)
    place = site.landscape.place(site.read([Essay("x", title="Rye")], LEAN[:1]))
    assert place.basis.tolist() == [[1.0, 0.0]]


# --- Drafts of what is published ----------------------------------------------------------------------------------


def test_a_draft_of_a_published_essay_with_its_very_text_has_its_mutual_ranks() -> None:
    site = random_site(40, seed=1)
    finder = CandidateFinder(site.landscape, site.graph({}))
    whole = finder.of_site()
    for row, one in enumerate(site.essays):
        draft = site.read([one], site.texts.vectors.matrix[row : row + 1], site.texts.summaries[row : row + 1])
        alone = finder.of_places(site.landscape.place(draft))
        np.testing.assert_allclose(alone.values, whole.values[whole.of(row)], atol=1e-4)


def test_the_list_of_a_published_essay_is_not_seen_by_a_new_version_of_it() -> None:
    site = random_site(40, seed=1)
    lists = random_lists(site, np.random.default_rng(0), 3)
    version = replace(site.essays[0], title="Otherwise", blocks=site.essays[5].blocks)
    place = site.landscape.place(site.read([version], -site.texts.vectors.matrix[:1], site.texts.summaries[:1]))

    first, second = (
        ListSignals(site.landscape, site.graph(lists | {"000": own})).block(place)["predicted"][0, 1:]
        for own in (lists["000"], ["030", "031"])
    )

    np.testing.assert_allclose(first, second, atol=1e-4)


def test_on_a_site_of_copies_a_draft_stands_where_its_text_stands() -> None:
    some = random_site(8, seed=7)
    matrix = np.vstack([some.texts.vectors.matrix] * 2)
    copied = site_of([replace(one, id=f"{n}{one.id}") for n in "ab" for one in some.essays], matrix, matrix)
    lists = ListSignals(copied.landscape, copied.graph(random_lists(copied, np.random.default_rng(0), 3)))

    places = copied.landscape.place(copied.read(copied.essays, matrix, matrix))

    expected = lists.block(copied.landscape.rows(0, 16))["predicted"]
    np.testing.assert_allclose(lists.block(places)["predicted"], expected, atol=1e-3)
    np.testing.assert_allclose(places.basis, copied.landscape.basis, atol=1e-3)
