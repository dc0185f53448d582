"""How the places of all lists are shared out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recommender.balance import (
    PLACES,
    coverage,
    find_places,
    gini,
    in_degrees,
    most_listed_share,
    orphans_share,
)
from recommender.ranking import Candidate, Item, Rules, rank
from recommender.shortlist import Shortlist

Lists = dict[str, list[Candidate]]


def balance(
    lists: Mapping[str, Sequence[Candidate]], limit: int, max_share: float, allowed: Mapping[str, float] | None = None
) -> Lists:
    """The lists by (-editors, id), each candidate with its place. Essays are numbered first, other items after them."""
    essays = sorted(lists)
    ids = [*essays, *sorted({c.id for candidates in lists.values() for c in candidates} - set(essays))]
    rows = [(row, c) for row, essay in enumerate(essays) for c in lists[essay]]
    shortlist = Shortlist.sorted(
        np.array([row for row, _ in rows], dtype=np.int64),
        np.array([ids.index(c.id) for _, c in rows], dtype=np.int64),
        np.array([c.editors for _, c in rows], dtype=np.float64),
        len(essays),
    )
    shares = np.array([(allowed or {}).get(ident, 0.0) for ident in ids])
    marks = find_places(shortlist, limit, max_share, shares)
    found: Lists = {}
    for essay in lists:
        part = shortlist.of(essays.index(essay))
        by_id = {c.id: c for c in lists[essay]}
        placed = zip(shortlist.columns[part].tolist(), marks[part].tolist(), strict=True)
        found[essay] = [by_id[ids[column]]._replace(place=PLACES[mark]) for column, mark in placed]
    return found


def made(**lists: dict[str, float]) -> Lists:
    return {essay: [Candidate(ident, score, 0.5) for ident, score in scores.items()] for essay, scores in lists.items()}


def places(lists: Mapping[str, Sequence[Candidate]], place: str) -> set[tuple[str, str]]:
    return {(essay, c.id) for essay, candidates in lists.items() for c in candidates if c.place == place}


def shown(lists: Mapping[str, Sequence[Candidate]], limit: int) -> dict[str, list[str]]:
    """What each page shows, by the very function that serves it."""
    items = {ident: Item(ident, "essay") for ident in {*lists, *(c.id for cs in lists.values() for c in cs)}}
    rankings = {essay: rank(items[essay], cs, (), items, Rules(limit=limit)) for essay, cs in lists.items()}
    return {essay: [r.target for r in ranking.recommendations] for essay, ranking in rankings.items()}


# --- Held ---------------------------------------------------------------------------------------------------------


def test_an_item_in_too_many_lists_keeps_those_where_it_scores_most() -> None:
    lists = made(
        a={"hub": 0.9, "x": 0.1},
        b={"hub": 0.5, "x": 0.1},
        c={"hub": 0.7, "x": 0.1},
        d={"hub": 0.8, "x": 0.1},
    )

    balanced = balance(lists, limit=1, max_share=0.5)

    assert places(balanced, "held") == {("b", "hub"), ("c", "hub")}
    assert shown(balanced, 1) == {"a": ["hub"], "b": ["x"], "c": ["x"], "d": ["hub"]}


def test_of_equal_scores_the_first_essays_keep_the_item() -> None:
    lists = made(**{essay: {"hub": 0.5, essay * 2: 0.1} for essay in "dbca"})

    assert places(balance(lists, 1, 0.5), "held") == {("c", "hub"), ("d", "hub")}


def test_what_moves_up_may_be_too_much_in_its_turn() -> None:
    """x follows the hub in b and c, and then stands in too many lists itself; so does y after it."""
    lists = made(
        a={"hub": 0.9},
        b={"hub": 0.8, "x": 0.7, "y": 0.2, "w": 0.1},
        c={"hub": 0.8, "x": 0.6, "y": 0.3},
        d={"x": 0.9},
        e={"y": 0.5},
    )

    balanced = balance(lists, limit=1, max_share=0.2)

    assert places(balanced, "held") == {(e, i) for e in "bc" for i in ("hub", "x", "y")}
    assert shown(balanced, 1) == {"a": ["hub"], "b": ["w"], "c": [], "d": ["x"], "e": ["y"]}


def test_an_item_may_have_a_share_of_its_own() -> None:
    lists = made(**{essay: {"hub": 0.5, "other": 0.4} for essay in "abcd"})

    assert len(places(balance(lists, 1, 0.25, {"hub": 0.75, "other": 0.1}), "held") & {(e, "hub") for e in "abcd"}) == 1
    assert balance(lists, 1, 0.5, {"hub": 0.25}) == balance(lists, 1, 0.5)


def test_a_share_of_few_lists_still_leaves_as_many_as_a_list_is_long() -> None:
    lists = made(**{f"e{number:02}": {"hub": 0.5, "other": 0.4} for number in range(42)})

    balanced = balance(lists, limit=5, max_share=0.05)

    degrees = in_degrees(shown(balanced, 5).values(), ["hub", "other"])
    assert degrees == {"hub": 5, "other": 5}


@pytest.mark.parametrize(("share", "allowed"), [(0.28, 28), (0.29, 29), (0.299, 29), (1.0, 100)])
def test_a_share_of_all_lists_is_rounded_down(share: float, allowed: int) -> None:
    lists = made(**{f"e{number:03}": {"hub": 0.5} for number in range(100)})

    assert len(places(balance(lists, 1, share), "held")) == 100 - allowed


# --- Lifted -------------------------------------------------------------------------------------------------------


def filled(*last: str, **lists: dict[str, float]) -> Lists:
    """Lists of two places: `top` everywhere, then a and b by turns, so that either can give way; and the rest."""
    firsts = {essay: {"top": 0.9, last[number % len(last)]: 0.8} for number, essay in enumerate(lists)}
    return made(**{essay: firsts[essay] | scores for essay, scores in lists.items()})


def test_an_essay_in_no_list_is_lifted_where_it_ranks_best() -> None:
    lists = filled("a", "b", a={}, b={}, top={}, d={"orphan": 0.3}, e={"x": 0.7, "orphan": 0.6}, orphan={})

    balanced = balance(lists, limit=2, max_share=1)

    assert places(balanced, "lifted") == {("d", "orphan")}, "third there, with less score but better rank than in e"
    assert "held" not in {c.place for cs in balanced.values() for c in cs}


def test_of_equal_ranks_the_higher_score_and_of_equal_scores_the_first_essay_is_taken() -> None:
    lists = filled("a", a={}, b={"orphan": 0.3}, c={"orphan": 0.4}, d={"orphan": 0.4}, orphan={})

    assert places(balance(lists, 2, 1), "lifted") == {("c", "orphan")}


def test_a_list_lifts_one_and_the_next_essay_takes_its_next_best() -> None:
    lists = filled("a", "b", a={}, b={}, c={"o1": 0.4, "o2": 0.3}, d={"x": 0.5, "o2": 0.2}, o1={}, o2={}, o3={})

    balanced = balance(lists, 2, 1)

    assert places(balanced, "lifted") == {("c", "o1"), ("d", "o2")}, "o3 is nobody's candidate, and stays an orphan"


def test_what_scores_nothing_is_not_lifted() -> None:
    assert not places(balance(filled("a", a={}, b={"orphan": 0.0}, orphan={}), 2, 1), "lifted")


def test_nobody_is_lifted_by_making_another_an_orphan() -> None:
    """only-b stands in b alone; in c the orphan ranks worse, but there it displaces what others show too."""
    lists = made(
        a={"top": 0.9, "a2": 0.8},
        b={"top": 0.9, "only-b": 0.8, "orphan": 0.7},
        c={"top": 0.9, "a2": 0.8, "x": 0.7, "orphan": 0.6},
        **{"only-b": {}, "orphan": {}},
    )

    assert places(balance(lists, 2, 1), "lifted") == {("c", "orphan")}


def test_held_items_do_not_count_for_the_rank_and_make_room_before_anything_is_lifted() -> None:
    lists = made(a={"hub": 0.9, "n": 0.1}, b={"hub": 0.8, "n": 0.2}, c={"hub": 0.7, "n": 0.3, "o": 0.2}, n={}, o={})

    balanced = balance(lists, limit=1, max_share=0.2)

    assert places(balanced, "held") == {("b", "hub"), ("c", "hub"), ("a", "n"), ("b", "n")} - {("a", "n")}
    assert shown(balanced, 1) == {"a": ["hub"], "b": [], "c": ["n"], "n": [], "o": []}


# --- Properties ---------------------------------------------------------------------------------------------------

Case = tuple[Lists, int, float, dict[str, float]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to twelve essays that have each other as candidates, with few different scores."""
    ids = [f"e{number:02}" for number in range(draw(st.sampled_from([1, 2, 5, 9, 12])))]
    fewest = draw(st.integers(0, len(ids)))
    scores = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    lists = {
        essay: [
            Candidate(ident, draw(scores), 0.5)
            for ident in draw(st.lists(st.sampled_from(ids), unique=True, min_size=fewest))
            if ident != essay
        ]
        for essay in ids
    }
    allowed = draw(st.dictionaries(st.sampled_from(ids), st.sampled_from([0.2, 0.6, 1.0]), max_size=3))
    return lists, draw(st.integers(1, 6)), draw(st.sampled_from([0.0, 0.1, 0.3, 1.0])), allowed


def top(candidates: Sequence[Candidate], limit: int, place: str = "held") -> list[Candidate]:
    """The plain order, those with this place passed over."""
    return sorted((c for c in candidates if c.place != place), key=lambda c: (-c.editors, c.id))[:limit]


def capacity(case: Case, ident: str) -> int:
    lists, limit, max_share, allowed = case
    return max(limit, int(max(max_share, allowed.get(ident, 0)) * len(lists) + 1e-9))


@given(cases())
def test_no_item_stands_in_more_lists_than_it_may(case: Case) -> None:
    balanced = balance(*case)

    tops = [[c.id for c in top(candidates, case[1])] for candidates in balanced.values()]
    for ident, degree in in_degrees(tops, balanced).items():
        assert degree <= capacity(case, ident)


@given(cases())
def test_an_item_is_held_only_where_others_have_a_better_claim(case: Case) -> None:
    """So no list and item would both rather have each other: the matching is stable."""
    balanced = balance(*case)

    held = sorted(places(balanced, "held"))
    event(f"held: {bool(held)}")
    score = {(essay, c.id): c.editors for essay, candidates in balanced.items() for c in candidates}
    for essay, ident in held:
        having = [e for e, cs in balanced.items() if ident in [c.id for c in top(cs, case[1])]]
        assert len(having) == capacity(case, ident)
        assert all((-score[e, ident], e) < (-score[essay, ident], essay) for e in having)


@given(cases())
def test_an_essay_is_lifted_only_if_no_list_has_it_and_no_other_loses_its_last_list(case: Case) -> None:
    lists, limit, _, _ = case
    balanced = balance(*case)
    degrees = in_degrees(([c.id for c in top(cs, limit)] for cs in balanced.values()), balanced)

    lifted = sorted(places(balanced, "lifted"))
    event(f"lifted: {len(lifted)}")
    assert len({essay for essay, _ in lifted}) == len({ident for _, ident in lifted}) == len(lifted)
    served = {essay: [c.id for c in top(cs, limit)] for essay, cs in balanced.items()}
    for essay, ident in lifted:
        assert degrees[ident] == 0
        assert next(c.editors for c in lists[essay] if c.id == ident) > 0
        served[essay][-1] = ident
    after = in_degrees(served.values(), balanced)
    assert {i for i in after if not after[i]} == {i for i in degrees if not degrees[i]} - {i for _, i in lifted}


@given(cases())
def test_an_orphan_that_stays_one_had_no_chance(case: Case) -> None:
    lists, limit, _, _ = case
    balanced = balance(*case)

    served = {essay: [c.id for c in top(cs, limit)] for essay, cs in balanced.items()}
    lifted = dict(places(balanced, "lifted"))
    for essay, ident in lifted.items():
        served[essay][-1] = ident
    degrees = in_degrees(served.values(), balanced)
    for ident in (i for i in balanced if not degrees[i]):
        for essay, candidates in lists.items():
            offered = any(c.id == ident and c.editors > 0 for c in candidates)
            assert not offered or essay in lifted or degrees[served[essay][-1]] == 1


@given(cases())
def test_everything_comes_back_in_order_and_nothing_but_the_places_changes(case: Case) -> None:
    lists = case[0]

    balanced = balance(*case)

    assert list(balanced) == list(lists)
    for essay, candidates in balanced.items():
        plain = [c._replace(place="") for c in candidates]
        assert plain == sorted(lists[essay], key=lambda c: (-c.editors, c.id))


@given(cases(), st.data())
def test_no_order_of_what_is_given_matters(case: Case, data: st.DataObject) -> None:
    lists, limit, max_share, allowed = case
    shuffled = {e: data.draw(st.permutations(lists[e])) for e in data.draw(st.permutations(list(lists)))}

    balanced = balance(shuffled, limit, max_share, dict(reversed(allowed.items())))

    assert balanced == balance(*case)
    assert list(balanced) == list(shuffled)


@given(cases())
def test_places_that_were_given_before_do_not_matter(case: Case) -> None:
    balanced = balance(*case)

    assert balance(balanced, *case[1:]) == balanced


@given(cases())
def test_rank_shows_what_the_balance_reckoned_with(case: Case) -> None:
    lists, _, max_share, allowed = case
    limit = 5  # shorter lists lift nothing
    balanced = balance(lists, limit, max_share, allowed)

    expected = {essay: [c.id for c in top(cs, limit)] for essay, cs in balanced.items()}
    for essay, ident in places(balanced, "lifted"):
        expected[essay][-1] = ident
    assert shown(balanced, limit) == expected


# --- Measures -----------------------------------------------------------------------------------------------------


def test_in_degrees_count_the_lists_that_name_an_item() -> None:
    assert in_degrees([["b", "a"], ["b", "b", "z"], []], ["c", "b", "a"]) == {"c": 0, "b": 2, "a": 1}


@pytest.mark.parametrize(
    ("degrees", "most_listed", "orphans", "unequal"),
    [
        ([], 0.0, 0.0, 0.0),
        ([0, 0], 0.0, 1.0, 0.0),
        ([3, 3, 3], 0.3, 0.0, 0.0),
        ([0, 0, 0, 8], 0.8, 0.75, 0.75),  # one has all: (n - 1) / n
        ([1, 3], 0.3, 0.0, 0.25),
        ([0, 1, 2, 3], 0.3, 0.25, 5 / 12),
    ],
)
def test_measures_of_the_places(degrees: list[int], most_listed: float, orphans: float, unequal: float) -> None:
    named = {f"e{number}": degree for number, degree in enumerate(degrees)}

    assert most_listed_share(named, lists=10) == pytest.approx(most_listed)
    assert orphans_share(named) == pytest.approx(orphans)
    assert coverage(named) == pytest.approx(1 - orphans if degrees else 0)
    assert gini(named) == pytest.approx(unequal)
    assert gini(dict(reversed(named.items()))) == pytest.approx(unequal)
    assert most_listed_share(named, lists=0) == 0.0


@given(st.lists(st.integers(0, 9), min_size=1))
def test_the_gini_coefficient_is_half_the_mean_difference_over_the_mean(degrees: list[int]) -> None:
    n, places = len(degrees), sum(degrees)
    difference = sum(abs(x - y) for x in degrees for y in degrees) / n**2
    expected = difference / 2 / (places / n) if places else 0.0

    assert gini({str(number): degree for number, degree in enumerate(degrees)}) == pytest.approx(expected)
