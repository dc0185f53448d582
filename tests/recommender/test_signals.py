"""The signals of the texts, each by hand, and how they are set against the site."""

from math import log, sqrt

import numpy as np
import pytest

from corpus.essay import Essay
from embeddings.encoder import Matrix
from recommender.signals import (
    _TYPICAL,
    COUNTS,
    FROM_LINKS_HERE,
    LIST_SIGNALS,
    RELATIVE,
    SIGNALS,
    TEXT_SIGNALS,
    relative,
    spread_of,
    text_block,
)
from tests.fakes import essay
from tests.recommender.sites import Site, random_site, site_of

ESSAYS = (
    essay(
        "a",
        "Rye bread is no wheat. See the water clock.",
        title="Rye Bread",
        url="https://site.test/a",
        links=("https://site.test/b", "https://site.test/c#part", "https://elsewhere.test/"),
        category="Food",
        author="Ann",
    ),
    essay("b", "Noon.", title="Water Clock", url="https://site.test/b", category="Clocks", author="Ann"),
    essay("c", "Rye", title="Noon", url="https://site.test/c/", links=("https://site.test/a",), category="Food"),
)
VECTORS = np.float32([[1, 0], [0.6, 0.8], [0, 1]])
SUMMARIES = np.float32([[0, 1], [0, 1], [0, 0]])


@pytest.fixture(scope="module")
def site() -> Site:
    return site_of(ESSAYS, VECTORS, SUMMARIES)


def block_of(site: Site, signal: str) -> list[list[float]]:
    return text_block(site.texts, site.texts)[signal].astype(np.float64).round(6).tolist()


def test_the_names_of_all_signals_are_those_of_the_texts_and_of_the_lists(site: Site) -> None:
    assert (*TEXT_SIGNALS, *LIST_SIGNALS) == SIGNALS
    assert len(set(SIGNALS)) == len(SIGNALS)
    assert {*text_block(site.texts, site.texts), "mutual_rank"} == set(TEXT_SIGNALS)
    assert set(RELATIVE) < set(TEXT_SIGNALS)
    assert set(FROM_LINKS_HERE) < set(LIST_SIGNALS)
    assert set(COUNTS) < set(SIGNALS) - set(RELATIVE)


def test_every_signal_is_a_float32_row_for_each_essay_over_all_items(site: Site) -> None:
    block = text_block(site.texts.rows(1, 3), site.texts)

    assert {(values.dtype.name, values.shape) for values in block.values()} == {("float32", (2, 3))}


def test_meaning_is_the_cosine_of_the_vectors(site: Site) -> None:
    assert block_of(site, "meaning") == [[1.0, 0.6, 0.0], [0.6, 1.0, 0.8], [0.0, 0.8, 1.0]]


def test_summary_is_the_cosine_of_the_summaries_and_nothing_where_there_is_none(site: Site) -> None:
    assert block_of(site, "summary") == [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_wording_is_the_tf_idf_cosine_of_the_whole_texts() -> None:
    pair = site_of([essay("a", "rye rye wheat"), essay("b", "rye oats")])

    # terms: rye in both; "rye rye", "rye wheat", wheat | oats, "rye oats" in one. A word that comes twice counts
    # 1 + ln 2; smoothed idf is 1 in both of two texts, 1 + ln(3/2) in one.
    rare = 1 + log(3 / 2)
    lengths = sqrt((1 + log(2)) ** 2 + 3 * rare**2) * sqrt(1 + 2 * rare**2)
    expected = (1 + log(2)) / lengths
    found = text_block(pair.texts, pair.texts)["wording"]
    np.testing.assert_allclose(found, [[1, expected], [expected, 1]], atol=1e-6)


def test_names_is_the_share_of_the_candidates_title_that_the_essay_has(site: Site) -> None:
    # rye stands in two of three texts; bread and "rye bread" in one.
    rye, bread = 1 + log(4 / 3), 1 + log(4 / 2)
    part = rye / (rye + 2 * bread)

    found = text_block(site.texts, site.texts)["names"]

    np.testing.assert_allclose(found, [[1, 1, 0], [0, 1, 1], [part, 0, 1]], atol=1e-6)


def test_named_is_names_seen_from_the_candidate(site: Site) -> None:
    block = text_block(site.texts, site.texts)
    assert (block["named"] == block["names"].T).all()

    draft = Essay("draft", title="Noon in the water")
    other = text_block(site.read([draft], VECTORS[:1]), site.texts)
    noon, water = 1 + log(4 / 3), 1 + log(4 / 3)  # each in two of three texts
    share = noon / (noon + water)  # "noon water" is no term of the site
    np.testing.assert_allclose(other["named"], [[1 - share, 1, share]], atol=1e-6)
    np.testing.assert_allclose(other["names"][0, 2], 1.0, atol=1e-6)


def test_mentions_is_one_over_the_root_of_the_texts_that_hold_the_title(site: Site) -> None:
    half = round(sqrt(0.5), 6)

    # "Rye Bread" stands in its own text alone, "Water Clock" in two texts, "Noon" in two.
    assert block_of(site, "mentions") == [[1.0, half, 0.0], [0.0, half, half], [0.0, 0.0, half]]


def test_category_is_one_where_both_have_the_same(site: Site) -> None:
    assert block_of(site, "category") == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]


def test_author_is_one_where_both_have_the_same_and_nothing_where_none_is_known(site: Site) -> None:
    assert block_of(site, "author") == [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_links_go_from_the_essay_and_linked_comes_from_the_candidate(site: Site) -> None:
    assert block_of(site, "links") == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert block_of(site, "linked") == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


# --- Against the site ---------------------------------------------------------------------------------------------


def rows_of(*rows: list[float]) -> dict[str, Matrix]:
    return {name: np.float32(rows) for name in (*RELATIVE, "category")}


def test_a_relative_signal_is_told_in_deviations_off_the_mean_of_all_others() -> None:
    # Ten others: five of 1 and five of 3, mean 2, deviation 1. The essay's own 100 does not count.
    block = rows_of([1, 3, 1, 3, 100, 1, 3, 1, 3, 1, 3])

    spread = spread_of(block, [4])
    found = relative(block, spread)

    assert set(spread) == set(RELATIVE)
    for name in RELATIVE:
        assert spread[name].tolist() == [[2.0, 1.0]]
        assert found[name].tolist() == [[-1, 1, -1, 1, 98, -1, 1, -1, 1, -1, 1]]
        assert found[name].dtype == np.float32


def test_other_signals_stay_as_they_are_and_the_block_given_is_not_changed() -> None:
    block = rows_of([1, 3, 1, 3, 1, 3, 1, 3, 1, 3])

    found = relative(block, spread_of(block, [-1]))

    assert (found["category"] == block["category"]).all()
    assert (block["meaning"] == np.float32([1, 3] * 5)).all()
    assert (found["meaning"] == np.float32([-1, 1] * 5)).all()


def test_each_row_is_set_against_itself() -> None:
    block = rows_of([9, *[1, 3] * 5], [*[10, 30] * 5, 9])

    spread = spread_of(block, [0, 10])

    assert spread["wording"].tolist() == [[2, 1], [20, 10]]


def test_where_all_others_are_alike_a_signal_tells_none_apart() -> None:
    block = rows_of([0.3] * 10 + [0.9])

    found = relative(block, spread_of(block, [10]))

    assert found["meaning"].tolist() == [[0.0] * 11]


@pytest.mark.parametrize(("others", "typical"), [(9, True), (10, False)])
def test_a_site_of_few_other_essays_is_set_against_typical_figures(others: int, typical: bool) -> None:
    block = rows_of([float(n) for n in range(others)] + [50.0])

    mean, deviation = spread_of(block, [others])["meaning"][0]

    own = (np.arange(others).mean(), np.arange(others).std())
    assert (mean, deviation) == pytest.approx(_TYPICAL["meaning"] if typical else own)


def test_a_draft_has_no_column_of_its_own() -> None:
    block = rows_of([float(n) for n in range(10)])

    mean, deviation = spread_of(block, [-1])["names"][0]

    assert (mean, deviation) == pytest.approx((4.5, np.arange(10).std()))


def test_every_relative_signal_has_typical_figures_of_its_own() -> None:
    spread = spread_of(rows_of([0.0]), [0])

    assert {name: values.tolist() for name, values in spread.items()} == {n: [[*_TYPICAL[n]]] for n in RELATIVE}
    assert set(_TYPICAL) == set(RELATIVE)
    assert len(set(_TYPICAL.values())) == len(RELATIVE)


def test_over_a_site_relative_signals_have_mean_0_and_deviation_1_without_the_own_column() -> None:
    site = random_site(20, seed=1)
    block = text_block(site.texts, site.texts)

    found = relative(block, spread_of(block, list(range(20))))

    for name in RELATIVE:
        others = found[name][~np.eye(20, dtype=bool)].reshape(20, 19)
        np.testing.assert_allclose(others.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose(others.std(axis=1), 1, atol=1e-5)
