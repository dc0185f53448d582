"""Which essays are looked at for an essay, and with what values."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import candidates as candidates_module
from recommender import landscape as landscape_module
from recommender.candidates import BY_LINKS_HERE, BY_LISTS, BY_TEXT, MOST_LISTED, CandidateFinder, Pairs
from recommender.list_signals import ListSignals
from recommender.model import DEFAULT
from recommender.signals import (
    COUNTS,
    FROM_LINKS_HERE,
    LIST_SIGNALS,
    RELATIVE,
    SIGNALS,
    relative,
    spread_of,
    text_block,
)
from tests.fakes import essay
from tests.recommender.sites import Site, random_lists, random_site, random_vectors, site_of, small_pools


def circle(number: int) -> Site:
    """Essays a, b, c, ... on half a circle: the nearer two letters, the nearer their meaning. No two share a word."""
    angles = np.linspace(0, np.pi, number)
    matrix = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return site_of([essay(chr(ord("a") + n), f"word{n}") for n in range(number)], matrix, matrix)


def found(site: Site, lists: Mapping[str, Sequence[str]], ident: str) -> str:
    """The candidates of an essay, where ids are letters."""
    pairs = CandidateFinder(site.landscape, site.graph(lists)).of_site()
    return "".join(site.texts.ids[column] for column in pairs.columns[pairs.of(site.row(ident))])


def only(**sizes: int) -> dict[str, int]:
    return {"by_text": 0, "by_lists": 0, "by_links_here": 0, "most_listed": 0} | sizes


def same(first: Pairs, second: Pairs) -> bool:
    """Whether two are the same to the last bit."""
    plain = [field.name for field in fields(Pairs) if field.name != "spread"]
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in plain) and all(
        np.array_equal(first.spread[name], second.spread[name]) for name in RELATIVE
    )


@pytest.fixture(scope="module")
def site() -> Site:
    return random_site(20, seed=1)


@pytest.fixture(scope="module")
def finder(site: Site) -> CandidateFinder:
    return CandidateFinder(site.landscape, site.graph(random_lists(site, np.random.default_rng(1), 3)))


@pytest.fixture(scope="module")
def pairs(finder: CandidateFinder) -> Pairs:
    """Few candidates of each essay, of every kind."""
    with small_pools(by_text=4, by_lists=3, by_links_here=3, most_listed=2):
        return finder.of_site()


# --- The parts of the pool ----------------------------------------------------------------------------------------


def test_the_best_by_the_default_model_are_candidates() -> None:
    site = circle(8)

    with small_pools(**only(by_text=3)):
        assert found(site, {}, "a") == "bcd"
        assert found(site, {}, "h") == "efg"


def test_what_lists_of_like_texts_foretell_is_a_candidate_however_far_its_text() -> None:
    site = circle(8)
    lists = {"b": "h", "c": "h", "g": "d"}

    with small_pools(**only(by_text=3)):
        assert "h" not in found(site, lists, "a")
    with small_pools(**only(by_lists=1)):
        assert found(site, lists, "a") == "h"
    with small_pools(**only(by_text=3, by_lists=1)):
        assert found(site, lists, "a") == "bcdh"


@pytest.mark.parametrize("signal", ["predicted", "votes"])
def test_each_of_the_foretold_and_the_voted_for_has_a_share_of_its_own(
    signal: str, site: Site, finder: CandidateFinder
) -> None:
    lists = site.graph(random_lists(site, np.random.default_rng(1), 3))
    values = ListSignals(site.landscape, lists).block(site.landscape.rows(0, 20))[signal]

    with small_pools(**only(by_lists=3)):
        pairs = finder.of_site()

    for row in range(20):
        best = np.argsort(-values[row], kind="stable")[:3]
        assert set(best[values[row, best] > 0]) - {row} <= set(pairs.columns[pairs.of(row)])


def test_only_essays_with_something_for_them_are_taken_from_the_lists() -> None:
    with small_pools(**only(by_lists=50, by_links_here=50, most_listed=50)):
        assert found(circle(8), {}, "a") == ""
        assert found(circle(8), {"b": "c"}, "h") == "c"


def test_the_most_listed_are_candidates_and_the_own_list_makes_none() -> None:
    site = circle(8)
    lists = {"a": "fg", "b": "gh", "c": "h", "d": "eg"}

    with small_pools(**only(most_listed=2)):
        assert found(site, lists, "h") == "eg"  # g three times; h itself twice, and takes no place
        assert found(site, lists, "e") == "gh"
        assert found(site, lists, "a") == "gh"  # without its own list g and h stand at two each, f at none
        assert found(site, lists, "b") == "eg"  # without it h stands at one as e and f do, and e is first of the site


def test_lists_that_name_the_essay_bring_what_they_name_besides_and_their_own_pages_first() -> None:
    site = circle(8)
    lists = {"h": "abc", "g": "abd"}

    with small_pools(**only(by_links_here=2)):
        assert found(site, lists, "a") == "gh"
    with small_pools(**only(by_links_here=3)):
        assert found(site, lists, "a") == "bgh"  # b stands in both lists
    with small_pools(**only(by_links_here=9)):
        assert found(site, lists, "a") == "bcdgh"
        assert found(site, lists, "e") == ""


def test_many_common_lists_do_not_go_before_a_list_that_names_the_essay() -> None:
    site = circle(8)

    with small_pools(**only(by_links_here=1)):
        assert found(site, {"b": "ac", "d": "ac", "e": "ac", "f": "ac", "g": "a"}, "a") == "b"
        assert found(site, {"d": "ac", "e": "ac", "f": "ac"}, "a") == "d"


def test_the_pool_is_as_wide_as_it_says_and_takes_ties_in_the_order_of_the_site() -> None:
    assert (BY_TEXT, BY_LISTS, BY_LINKS_HERE, MOST_LISTED) == (150, 60, 30, 20)
    site = site_of([essay(f"{n:03d}") for n in range(154)], np.tile(np.float32([[1, 0]]), (154, 1)))
    finder = CandidateFinder(site.landscape, site.graph({"000": ["153"], "001": ["153"]}))

    pairs = finder.of_site()

    for row in (0, 1, 149):
        assert pairs.columns[pairs.of(row)].tolist() == [*(column for column in range(151) if column != row), 153]
    assert pairs.columns[pairs.of(152)].tolist() == [*range(150), 153]


@given(st.integers(1, 12), st.integers(0, 5), st.integers(0, 3))
def test_no_essay_is_a_candidate_for_itself_and_none_is_one_twice(number: int, seed: int, length: int) -> None:
    site = random_site(number, seed)
    ids, rng = site.texts.ids, np.random.default_rng(seed)
    lists = {ident: rng.choice(ids, length).tolist() for ident in ids}

    with small_pools():
        pairs = CandidateFinder(site.landscape, site.graph(lists)).of_site()

    assert not (pairs.columns == pairs.rows[pairs.owner]).any()
    for place in range(number):
        columns = pairs.columns[pairs.of(place)].tolist()
        assert columns == sorted(set(columns))


def test_of_essays_alike_to_the_last_word_the_others_are_candidates_never_the_essay() -> None:
    site = site_of([essay(ident, "rye and wheat") for ident in "abc"])

    with small_pools(**only(by_text=3)):
        assert [found(site, {"b": "ac"}, ident) for ident in "abc"] == ["bc", "ac", "ab"]


# --- From links ---------------------------------------------------------------------------------------------------


def test_marked_as_from_links_is_what_nothing_but_links_to_the_essay_brought() -> None:
    site = circle(8)
    graph = site.graph({"h": "ac", "b": "ag"})

    with small_pools(**only(by_text=2, by_links_here=9)):
        pairs = CandidateFinder(site.landscape, graph).of_site()

    part = pairs.of(0)
    marked = dict(zip(pairs.columns[part].tolist(), pairs.from_links[part].tolist(), strict=True))
    assert marked == {1: False, 2: False, 6: True, 7: True}  # b and c are near by text, g and h only by links
    assert pairs.listed.tolist() == [True, False, True, False, False, False, True, False]
    assert not pairs.from_links[pairs.of(4)].any()


def test_without_lists_nothing_is_from_links_and_no_essay_is_listed(site: Site) -> None:
    pairs = CandidateFinder(site.landscape, site.graph({})).of_site()

    assert not pairs.from_links.any()
    assert not pairs.listed.any()


def test_as_new_is_without_those_and_without_what_links_say(pairs: Pairs) -> None:
    new = pairs.as_new()

    here = [SIGNALS.index(signal) for signal in FROM_LINKS_HERE]
    others = [i for i in range(len(SIGNALS)) if i not in here]
    assert pairs.from_links.sum() > 5
    assert (new.columns == pairs.columns[~pairs.from_links]).all()
    assert (new.values[:, others] == pairs.values[~pairs.from_links][:, others]).all()
    assert pairs.values[:, here].any(axis=0).all()
    assert not new.values[:, here].any()
    assert not new.from_links.any()
    assert not new.listed.any()
    assert (new.rows == pairs.rows).all()
    for place in range(20):
        kept = pairs.columns[pairs.of(place)][~pairs.from_links[pairs.of(place)]]
        assert (new.columns[new.of(place)] == kept).all()
    assert pairs.listed.any(), "what it was made from is as it was"


def test_as_new_once_is_as_new_for_good(pairs: Pairs) -> None:
    assert same(pairs.as_new().as_new(), pairs.as_new())


def test_an_essay_that_only_links_brought_candidates_has_none_as_new() -> None:
    site = circle(8)

    with small_pools(**only(by_links_here=9)):
        new = CandidateFinder(site.landscape, site.graph({"h": "ac"})).of_site().as_new()

    assert new.starts.tolist() == [0] * 9
    assert len(new) == 8


# --- Values -------------------------------------------------------------------------------------------------------


def test_each_pair_has_the_value_of_every_signal_in_the_order_of_signals(
    site: Site, finder: CandidateFinder, pairs: Pairs
) -> None:
    texts = text_block(site.texts, site.texts)
    spread = spread_of(texts, list(range(20)))
    lists = ListSignals(site.landscape, site.graph(random_lists(site, np.random.default_rng(1), 3)))
    block = relative(texts, spread) | lists.block(site.landscape.rows(0, 20))
    rows, columns = pairs.rows[pairs.owner], pairs.columns
    scores = DEFAULT.block_logits(block)[rows, columns]

    assert pairs.values.dtype == np.float32
    for i, signal in enumerate(SIGNALS):
        expected = (
            site.landscape.mutual_ranks(columns, scores) if signal == "mutual_rank" else block[signal][rows, columns]
        )
        np.testing.assert_allclose(pairs.values[:, i], expected, atol=1e-6, err_msg=signal)
    for name in RELATIVE:
        assert (pairs.spread[name] == spread[name]).all()
    assert all(pairs.values[:, SIGNALS.index(signal)].any() for signal in (*LIST_SIGNALS, "mutual_rank"))


def test_a_candidate_to_which_no_other_is_nearer_has_mutual_rank_1(pairs: Pairs, site: Site) -> None:
    block = text_block(site.texts, site.texts)
    scores = DEFAULT.block_logits(relative(block, spread_of(block, list(range(20)))))
    np.fill_diagonal(scores, -np.inf)
    nearest = scores.argmax(axis=0)

    ranks = pairs.values[:, SIGNALS.index("mutual_rank")]

    assert ((ranks == 1.0) == (nearest[pairs.columns] == pairs.rows[pairs.owner])).all()
    assert 5 < (ranks == 1.0).sum() <= 20


def test_plain_values_are_those_before_they_were_set_against_the_site_and_counts_are_counts(
    site: Site, pairs: Pairs
) -> None:
    block = text_block(site.texts, site.texts)
    before = pairs.values.copy()

    for place in (0, 7, 19):
        plain = pairs.plain_values(place)
        columns = pairs.columns[pairs.of(place)]
        for i, signal in enumerate(SIGNALS):
            value = pairs.values[pairs.of(place), i]
            expected = block[signal][place, columns] if signal in RELATIVE else value
            expected = np.expm1(value) if signal in COUNTS else expected
            np.testing.assert_allclose(plain[:, i], expected, atol=1e-5, err_msg=signal)

    assert (pairs.values == before).all()


def test_where_all_texts_are_alike_plain_values_are_still_what_they_were() -> None:
    site = site_of([essay(f"{n:02d}", "rye and wheat") for n in range(12)])
    pairs = CandidateFinder(site.landscape, site.graph({})).of_site()

    meaning, wording = (SIGNALS.index(signal) for signal in ("meaning", "wording"))

    assert not pairs.values[:, [meaning, wording]].any()
    np.testing.assert_allclose(pairs.plain_values(3)[:, [meaning, wording]], 1.0, atol=1e-6)


# --- Parts of pairs -----------------------------------------------------------------------------------------------


def test_pairs_lie_one_essay_after_the_other(pairs: Pairs) -> None:
    assert len(pairs) == 20
    assert pairs.rows.tolist() == list(range(20))
    assert pairs.starts[0] == 0
    assert pairs.starts[-1] == len(pairs.columns) == len(pairs.values) == len(pairs.from_links)
    assert (np.bincount(pairs.owner, minlength=20) == np.diff(pairs.starts)).all()
    assert all((pairs.owner[pairs.of(place)] == place).all() for place in range(20))


def test_selected_essays_come_in_the_order_given_with_all_that_is_theirs(pairs: Pairs) -> None:
    unlisted = int(np.flatnonzero(~pairs.listed)[0])
    chosen = np.array([7, unlisted, 2])

    some = pairs.select(chosen)

    assert some.rows.tolist() == [7, unlisted, 2]
    assert some.listed.tolist() == [True, False, True]
    assert (some.listed == pairs.listed[chosen]).all()
    for place, row in enumerate(chosen):
        assert (some.columns[some.of(place)] == pairs.columns[pairs.of(row)]).all()
        assert (some.values[some.of(place)] == pairs.values[pairs.of(row)]).all()
        assert (some.from_links[some.of(place)] == pairs.from_links[pairs.of(row)]).all()
        assert all((some.spread[name][place] == pairs.spread[name][row]).all() for name in RELATIVE)
        assert (some.plain_values(place) == pairs.plain_values(row)).all()


def test_selecting_all_is_the_same_and_there_and_back_is_too(pairs: Pairs) -> None:
    order = np.random.default_rng(0).permutation(20)

    assert same(pairs.select(np.arange(20)), pairs)
    assert same(pairs.select(order).select(np.arange(20)), pairs)
    assert same(pairs.select(order).as_new(), pairs.as_new().select(order))


def test_none_selected_is_none(pairs: Pairs) -> None:
    nothing = pairs.select(np.zeros(0, dtype=np.int64))

    assert len(nothing) == 0
    assert nothing.starts.tolist() == [0]
    assert nothing.values.shape == (0, len(SIGNALS))
    assert same(nothing.as_new(), nothing)


# --- The finder ---------------------------------------------------------------------------------------------------


def test_exactly_those_wanted_are_found_and_never_the_essay_itself(site: Site, finder: CandidateFinder) -> None:
    wanted = [np.array([], dtype=np.int64), np.array([0, 1, 19]), *[np.array([5])] * 18]

    pairs = finder.exactly(wanted)

    assert pairs.columns.tolist() == [0, 19, *[5] * 17]
    assert pairs.starts.tolist() == [0, 0, 2, 3, 4, 5, 5, *range(6, 20)]
    assert not pairs.from_links.any()


def test_a_pair_has_the_same_values_wherever_it_comes_from(site: Site, finder: CandidateFinder, pairs: Pairs) -> None:
    exactly = finder.exactly([pairs.columns[pairs.of(place)] for place in range(20)])

    assert same(replace(exactly, from_links=pairs.from_links), pairs)
    with small_pools(by_text=4, by_lists=3, by_links_here=3, most_listed=2):
        places = finder.of_places(site.landscape.rows(0, 20))
    assert same(places, pairs)


def test_essays_are_found_in_chunks(site: Site, finder: CandidateFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finder.of_site()
    done: list[int] = []

    for module in (candidates_module, landscape_module):
        monkeypatch.setattr(module, "CHUNK", 6)
    unread = replace(site.landscape)  # nothing of it is kept yet
    finder = CandidateFinder(unread, site.graph(random_lists(site, np.random.default_rng(1), 3)))
    chunked = finder.of_site(done.append)

    assert done == [6, 6, 6, 2]
    assert chunked.starts.dtype == np.int64
    assert (chunked.rows == whole.rows).all()
    assert (chunked.starts == whole.starts).all()
    assert (chunked.columns == whole.columns).all()
    np.testing.assert_allclose(chunked.values, whole.values, atol=1e-5)
    for name in RELATIVE:
        np.testing.assert_allclose(chunked.spread[name], whole.spread[name], atol=1e-6)
    wanted = [np.array([(row + 1) % 20]) for row in range(20)]
    assert finder.exactly(wanted).columns.tolist() == [(row + 1) % 20 for row in range(20)]


@pytest.mark.parametrize("chunk", [6, 256])
def test_one_essay_is_found_with_the_values_it_has_among_all(
    chunk: int, finder: CandidateFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates_module, "CHUNK", chunk)
    whole = finder.of_site()
    for row in (0, 5, 6, 13, 19):
        columns = np.array([column for column in (1, 2, 8, 13, 18) if column != row])

        alone = finder.of_essay(row, columns)

        part = np.isin(whole.columns[whole.of(row)], columns)
        assert alone.rows.tolist() == [row]
        assert (alone.columns == columns).all()
        assert (alone.values == whole.values[whole.of(row)][part]).all()
        assert (alone.plain_values(0) == whole.plain_values(row)[part]).all()
        assert alone.listed.tolist() == [whole.listed[row]]


def test_what_is_found_is_the_same_each_time(site: Site, finder: CandidateFinder) -> None:
    again = CandidateFinder(site.landscape, site.graph(random_lists(site, np.random.default_rng(1), 3)))

    assert same(finder.of_site(), finder.of_site())
    assert same(finder.of_site(), again.of_site())


def test_a_draft_has_candidates_from_the_whole_site_and_no_lists_that_name_it(
    site: Site, finder: CandidateFinder
) -> None:
    vector = random_vectors(np.random.default_rng(3), 1, 4)
    draft = site.read([essay("draft", title="Barak corem")], vector, vector)

    pairs = finder.of_places(site.landscape.place(draft))

    assert pairs.rows.tolist() == [-1]
    assert pairs.columns.tolist() == list(range(20))
    assert pairs.listed.tolist() == [False]
    meaning = (vector @ site.texts.vectors.matrix.T)[0]
    np.testing.assert_allclose(pairs.plain_values(0)[:, SIGNALS.index("meaning")], meaning, atol=1e-5)
    assert same(pairs.as_new(), pairs)


@pytest.mark.parametrize("number", [1, 2])
def test_the_smallest_sites_have_what_candidates_there_are(number: int) -> None:
    site = random_site(number, seed=0)

    pairs = CandidateFinder(site.landscape, site.graph({"000": ["001"]})).of_site()

    assert pairs.columns.tolist() == [[], [1, 0]][number - 1]
    assert pairs.values.shape == (2 * number - 2, len(SIGNALS))
    assert pairs.listed.tolist() == [False, True][:number]
    assert same(pairs.select(np.arange(number)), pairs)
