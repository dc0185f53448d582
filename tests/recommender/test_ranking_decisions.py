"""Lists under editors' decisions: values by hand, properties, and the quick roads beside rank() of everything."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recommender.decisions import STATES, PageDecisions, Pin, State
from recommender.list_store import EssayLists
from recommender.ranking import (
    LIFTING_LIMIT,
    Candidate,
    Dropped,
    Item,
    Ranking,
    Rules,
    list_limit,
    rank,
    rules_in,
    similarity,
    why_not,
)
from tests.recommender.rankings import ONES, ZEROS, candidate, targets
from tests.recommender.test_list_store import IDS, Site, edition_of, sites
from tests.recommender.test_ranking_properties import LIFTED, Case, cases

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
PAGE = Item("page", "essay", category="Sea", published=JUNE)
FALLING = tuple(candidate(ident, 0.9 - place / 20) for place, ident in enumerate("abcdef"))
LISTED = (candidate("c"), candidate("x"))


def ranked(
    decisions: PageDecisions,
    candidates: tuple[Candidate, ...] = FALLING,
    curated: tuple[Candidate, ...] = (),
    known: tuple[Item, ...] = (),
    **rules: Any,
) -> Ranking:
    """Rank among plain essays a to z, except those that are known."""
    items = {ident: Item(ident, "essay") for ident in "abcdefghijklmnopqrstuvwxyz"}
    return rank(PAGE, candidates, curated, items | {i.id: i for i in (PAGE, *known)}, Rules(**rules), decisions)


def pins(**positions: int) -> PageDecisions:
    return PageDecisions(pins=tuple(sorted((Pin(t, p) for t, p in positions.items()), key=lambda pin: pin.position)))


def shown(*args: Any, **rules: Any) -> str:
    return "".join(targets(ranked(*args, **rules)))


# --- Pins ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("positions", "limit", "expected"),
    [
        ({"e": 2}, 12, "aebcdf"),
        ({"e": 1, "z": 3}, 4, "eazb"),
        ({"z": 6}, 12, "abcdezf"),
        ({"z": 9}, 12, "abcdefz"),
        ({"z": 4}, 3, "abc"),
        ({"z": 3}, 3, "abz"),
        ({"x": 2, "y": 2, "z": 2}, 4, "axyz"),
        ({"x": 1, "y": 1, "z": 1}, 2, "xy"),
        ({"x": 50, "y": 49}, 12, "abcdefyx"),
        ({"a": 3}, 3, "bca"),
    ],
)
def test_what_is_pinned_stands_at_its_position_or_last(positions: dict[str, int], limit: int, expected: str) -> None:
    assert shown(pins(**positions), limit=limit) == expected


def test_a_pin_goes_before_what_the_editors_listed_and_an_item_stands_once() -> None:
    ranking = ranked(pins(x=1, z=2), curated=LISTED, limit=5)

    assert [(r.target, r.position, r.origin) for r in ranking.recommendations] == [
        ("x", 1, "pinned"),
        ("z", 2, "pinned"),
        ("c", 3, "curated"),
        ("a", 4, "model"),
        ("b", 5, "model"),
    ]
    assert ranking.dropped == ()


def test_a_pin_says_who_put_it_there_and_has_the_score_of_the_model_or_none() -> None:
    first, second = ranked(pins(b=1, z=2), limit=2).recommendations

    assert (first.score, first.reasons[:2]) == (0.85, ("pinned by the editors", "akin in meaning (0.50)"))
    assert (second.score, second.reasons) == (0.0, ("pinned by the editors",))


def test_what_is_excluded_is_not_shown_though_it_is_pinned_listed_and_approved() -> None:
    decisions = PageDecisions(
        excluded={"c": "here", "a": "everywhere"}, pins=(Pin("c", 1),), approved=frozenset("c"), weights={"c": 9.0}
    )

    ranking = ranked(decisions, curated=LISTED)

    assert targets(ranking) == ["x", "b", "d", "e", "f"]
    assert ranking.dropped == (
        Dropped("c", "excluded here by the editors"),
        Dropped("a", "excluded everywhere by the editors"),
    )


TWINS = (Item("b", "essay", twins="t"), Item("z", "essay", twins="t"), Item("e", "essay", twins="u"))


@pytest.mark.parametrize("curated", [(), (candidate("b"),)], ids=["the model's", "the editors'"])
@pytest.mark.parametrize("position", [1, 4, 50], ids=["at the top", "further down", "beyond the list's end"])
def test_a_near_duplicate_of_a_pin_goes(curated: tuple[Candidate, ...], position: int) -> None:
    ranking = ranked(pins(z=position), curated=curated, known=TWINS)

    assert "b" not in targets(ranking)
    assert targets(ranking).index("z") == min(position, 6) - 1
    assert Dropped("b", "a near-duplicate of z") in ranking.dropped


def test_a_near_duplicate_of_the_page_may_be_pinned() -> None:
    assert shown(pins(z=1), known=(Item("page", "essay", twins="t"), *TWINS), limit=2) == "za"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({}, "no page stands behind this blurb"),
        ({"unlinked": True, "exclude": frozenset("z")}, "excluded by the request"),
        ({"unlinked": True, "category": "Land"}, "its category is Sea, not Land"),
        ({"unlinked": True, "published_after": JULY}, "published 2025-05-01, not after 2025-07-01"),
        ({"unlinked": True, "published_before": date(2025, 4, 1)}, "published 2025-05-01, not before 2025-04-01"),
        ({"unlinked": True, "older_by_days": 3}, "31 days older than the essay, more than 3"),
        ({"unlinked": True, "min_score": 0.9}, None),
        ({"unlinked": True, "per_category": 0, "diversity": 1.0}, None),
    ],
)
def test_what_a_request_filters_is_filtered_from_pins_too_but_by_no_score(
    rules: dict[str, Any], reason: str | None
) -> None:
    ranking = ranked(pins(z=1), known=(Item("z", "blurb", category="Sea", published=MAY),), **rules)

    assert ("z" in targets(ranking)) == (reason is None)
    assert [drop.reason for drop in ranking.dropped if drop.target == "z"] == [reason] * (reason is not None)


@pytest.mark.parametrize("target", ["page", "nobody"])
def test_a_pin_of_the_page_itself_or_of_nothing_has_no_effect(target: str) -> None:
    assert ranked(PageDecisions(pins=(Pin(target, 1),))) == ranked(PageDecisions())


@pytest.mark.parametrize("position", [2, 6, 9])
def test_pins_count_for_their_category_wherever_they_stand(position: int) -> None:
    sea = tuple(Item(ident, "essay", category="Sea") for ident in "abz")

    assert shown(pins(z=position), known=sea, per_category=2, limit=9).replace("z", "") == "acdef"


def test_at_least_counts_pins() -> None:
    assert shown(pins(z=1), FALLING[:1], at_least=2) == "za"
    assert shown(pins(z=1), FALLING[:1], at_least=3) == ""
    assert shown(pins(z=5), FALLING, at_least=6, limit=2) == "ab"


def test_diversity_looks_at_pins() -> None:
    """a is like the pin and b is not."""
    known = (Item("z", "essay", sketch=ONES), Item("a", "essay", sketch=ONES), Item("b", "essay", sketch=ZEROS))

    assert shown(pins(z=1), FALLING[:2], known=known, diversity=0.9) == "zba"
    assert shown(pins(z=3), FALLING[:2], known=known, diversity=0.9) == "abz"
    assert similarity(ONES, ZEROS) == -1.0


@pytest.mark.parametrize(("at", "expected"), [(5, "abcdz"), (3, "abzch"), (6, "abcdh"), (1, "zabch")])
def test_a_lifted_item_takes_no_pins_place(at: int, expected: str) -> None:
    lifted = (*FALLING, candidate("h", 0.01, "lifted"))

    assert shown(pins(z=at), lifted, limit=LIFTING_LIMIT) == expected


def test_what_is_excluded_is_not_lifted_and_what_is_pinned_needs_no_lift() -> None:
    lifted = (*FALLING, candidate("h", 0.01, "lifted"))

    assert shown(PageDecisions(excluded={"h": "here"}), lifted, limit=5) == "abcde"
    assert shown(pins(h=1), lifted, limit=5) == "habcd"


# --- Weights ------------------------------------------------------------------------------------------------------


def test_a_weight_is_added_to_the_logit_of_the_score_under_both_profiles() -> None:
    decisions = PageDecisions(weights={"c": 2.0, "a": -1.0})
    even = tuple(candidate(ident, 0.5, meaning=0.2) for ident in "abc")

    editors, meaning = (ranked(decisions, even, profile=profile).recommendations for profile in ("editors", "meaning"))

    assert [(r.target, r.score) for r in editors] == [("c", 0.880797), ("b", 0.5), ("a", 0.268941)]  # 1 / (1 + e^-2)
    assert [(r.target, r.score) for r in meaning] == [("c", 0.648786), ("b", 0.2), ("a", 0.084224)]
    assert [r.reasons[0] for r in editors] == [
        "boosted by the editors",
        "akin in meaning (0.50)",
        "buried by the editors",
    ]


def test_a_weight_moves_nothing_that_the_editors_listed_or_pinned() -> None:
    decisions = replace(pins(e=2), weights={"c": -9.0, "x": 9.0, "e": 9.0})

    found = ranked(decisions, curated=LISTED, limit=4).recommendations

    assert [(r.target, r.score) for r in found] == [("c", 0.5), ("e", 0.7), ("x", 0.5), ("a", 0.9)]
    assert shown(decisions, curated=LISTED, limit=4, curated_first=False) == "aebd"


def test_a_weighed_score_is_what_the_least_score_is_compared_with() -> None:
    assert shown(PageDecisions(weights={"f": 5.0, "a": -5.0}), min_score=0.72) == "fbcd"


def test_a_score_of_one_or_nothing_can_be_weighed() -> None:
    ends = (candidate("a", 1.0), candidate("b", 0.0))

    found = ranked(PageDecisions(weights={"a": -10.0, "b": 10.0}), ends).recommendations

    assert [(r.target, r.score) for r in found] == [("a", 0.978448), ("b", 0.021552)]  # from 0.999999 and 0.000001


# --- States -------------------------------------------------------------------------------------------------------

APPROVED = PageDecisions(approved=frozenset("ehz"))


@pytest.mark.parametrize(
    ("state", "expected"),
    [("standard", "cxabdefh"), ("curated", "cx"), ("shadow", "cx"), ("review", "cxehz"), ("model", "abcdefh")],
)
def test_each_state_shows_its_own_list(state: State, expected: str) -> None:
    """h is held, and approved all the same; z is no candidate."""
    held = (*FALLING, candidate("h", 0.1, "held"))

    ranking = ranked(APPROVED, held, LISTED, **rules_of(state))

    assert "".join(targets(ranking)) == expected
    assert {r.origin for r in ranking.recommendations if r.target in "ehz"} <= {"model"}


def rules_of(state: State) -> dict[str, Any]:
    rules = rules_in(state, Rules())
    return {"additions": rules.additions, "approved": rules.approved, "curated_first": rules.curated_first}


def test_a_state_changes_these_rules_and_no_other() -> None:
    rules = Rules(limit=3, min_score=0.5, per_category=2)

    assert {state: rules_in(state, rules) for state in STATES} == {
        "standard": rules,
        "curated": replace(rules, additions=False),
        "shadow": replace(rules, additions=False),
        "review": replace(rules, additions=False, approved=True),
        "model": replace(rules, curated_first=False),
    }


def test_what_is_held_is_shown_once_it_is_approved() -> None:
    held = (candidate("a", 0.9, "held"), candidate("b", 0.8))

    assert shown(PageDecisions(), held) == "b"
    assert shown(PageDecisions(approved=frozenset("a")), held) == "ab"


def test_what_is_approved_can_be_boosted_and_keeps_the_filters() -> None:
    decisions = PageDecisions(approved=frozenset("abez"), weights={"e": 5.0})

    assert shown(decisions, **rules_of("review")) == "eabz"
    assert shown(decisions, **rules_of("review"), min_score=0.1) == "eab"
    assert shown(decisions, known=TWINS, **rules_of("review")) == "eab"  # z is a near-duplicate of b


# --- Why not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "rules", "sentence"),
    [
        ("z", {}, "at rank 2, pinned by the editors, with a score of 0.000"),
        ("z", {"limit": 1}, "at rank 2, pinned by the editors, with a score of 0.000, below the list's end at 1"),
        ("b", {}, "excluded here by the editors"),
        ("y", {}, "excluded everywhere by the editors"),
        ("d", rules_of("curated"), "the editors did not list it, and nothing else is asked for"),
        ("d", rules_of("review"), "the editors did not list or approve it, and nothing else is asked for"),
        ("b", rules_of("curated"), "excluded here by the editors"),
        ("e", rules_of("review"), "at rank 3, of 6 candidates, with a score of 0.700"),
        ("w", rules_of("review"), "not among its 6 candidates"),
        ("a", {}, "at rank 1, of 6 candidates, with a score of 0.900"),
    ],
    ids=str,
)
def test_why_not_knows_decisions(target: str, rules: dict[str, Any], sentence: str) -> None:
    decisions = replace(pins(z=2), excluded={"b": "here", "y": "everywhere"}, approved=frozenset("e"))
    items = {ident: Item(ident, "essay") for ident in "abcdefwxyz"}
    listed = (candidate("x"),) if rules and not rules.get("limit") else ()

    assert why_not(PAGE, target, FALLING, listed, items, Rules(**rules), decisions) == sentence


# --- Properties ---------------------------------------------------------------------------------------------------


def decisions_about(ids: list[str], with_pins: bool = True) -> st.SearchStrategy[PageDecisions]:
    some = st.sampled_from(ids)
    pinned = st.dictionaries(some, st.integers(1, 16), max_size=4 if with_pins else 0)
    return st.builds(
        PageDecisions,
        excluded=st.dictionaries(some, st.sampled_from(["here", "everywhere"]), max_size=3),
        pins=pinned.map(lambda found: tuple(sorted(map(Pin._make, found.items()), key=lambda pin: pin.position))),
        approved=st.frozensets(some, max_size=4),
        weights=st.dictionaries(some, st.sampled_from([-10.0, -2.0, -0.5, 0.5, 2.0, 10.0]), max_size=3),
    )


@st.composite
def decided_cases(draw: st.DrawFn) -> tuple[Case, PageDecisions, State]:
    page, candidates, curated, items, rules = draw(cases() | cases(filters=False))
    state = draw(st.sampled_from(STATES))
    decisions = draw(decisions_about([*items, "nobody"]))
    return (page, candidates, curated, items, rules_in(state, rules)), decisions, state


@given(decided_cases())
def test_a_list_under_decisions_never_embarrasses(case: tuple[Case, PageDecisions, State]) -> None:
    (page, candidates, curated, items, rules), decisions, state = case

    ranking = rank(page, candidates, curated, items, rules, decisions)

    found = targets(ranking)
    event(f"pinned: {any(r.origin == 'pinned' for r in ranking.recommendations)}")
    assert page.id not in found
    assert len(set(found)) == len(found) <= rules.limit
    assert [r.position for r in ranking.recommendations] == list(range(1, len(found) + 1))
    assert not decisions.excluded.keys() & set(found)
    pinned = {pin.target for pin in decisions.pins}
    for number, place in enumerate(ranking.recommendations):
        item = items[place.target]
        above = [items[other] for other in found[:number]]
        assert (place.origin == "pinned") == (place.target in pinned)
        assert rules.unlinked or item.kind == "essay"
        assert item.id not in rules.exclude
        assert rules.category in (None, item.category)
        if place.origin != "pinned":
            assert rules.min_score is None or place.score >= rules.min_score
            assert item.twins is None or item.twins not in {other.twins for other in (page, *above)}
        if place.origin == "model":
            assert state not in ("curated", "shadow")
            assert state != "review" or place.target in decisions.approved
    shown_pins = [items[t].twins for t in found if t in pinned and items[t].twins]
    others = [items[t].twins for t in found if t not in pinned]
    assert not set(shown_pins) & set(others), "a near-duplicate of a pin goes"
    dropped = [drop.target for drop in ranking.dropped]
    assert len(set(dropped)) == len(dropped)
    assert not set(dropped) & set(found)


@given(decided_cases())
def test_every_pin_that_may_be_shown_stands_where_it_is_pinned(case: tuple[Case, PageDecisions, State]) -> None:
    (page, candidates, curated, items, rules), decisions, _ = case

    ranking = rank(page, candidates, curated, items, replace(rules, at_least=0), decisions)

    found = targets(ranking)
    out = {page.id, *(drop.target for drop in ranking.dropped)}
    waiting = [pin for pin in decisions.pins if pin.target in items and pin.target not in out]
    others = [r.target for r in ranking.recommendations if r.origin != "pinned"]
    expected: list[str] = []
    while (waiting or others) and len(expected) < rules.limit:
        due = waiting and (waiting[0].position <= len(expected) + 1 or not others)
        expected.append(waiting.pop(0).target if due else others.pop(0))
    assert found == expected
    assert all(r.origin == "model" for r in ranking.recommendations if LIFTED in r.reasons)


@given(decided_cases(), st.integers(1, 14))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(case: tuple[Case, PageDecisions, State], limit: int) -> None:
    """Where nothing is lifted, and what is pinned further down than the longer list goes does not close it."""
    (page, candidates, curated, items, rules), decisions, _ = case
    plain = [c._replace(place="") if c.place == "lifted" else c for c in candidates]
    near = replace(decisions, pins=tuple(pin for pin in decisions.pins if pin.position <= 14))

    longer, shorter = (
        rank(page, plain, curated, items, replace(rules, limit=length, at_least=0), near).recommendations
        for length in (14, limit)
    )

    if len(longer) == 14:
        assert shorter == longer[:limit]


# --- The quick roads ----------------------------------------------------------------------------------------------


@given(sites() | sites(filters=False), decisions_about([*IDS, "nobody"]), st.sampled_from(STATES))
def test_the_list_found_quickly_is_the_one_that_rank_makes_of_everything(
    site: Site, decisions: PageDecisions, state: State
) -> None:
    items, lists, rules = site
    rules = rules_in(state, rules)
    by_id = {item.id: item for item in items}
    with TemporaryDirectory() as folder:
        edition = edition_of(Path(folder), items, (lists,))
        expected = edition.related(IDS[0], rules, decisions).recommendations
        own = replace(rules, limit=list_limit(lists.list_length))
        expected_own = edition.related(IDS[0], own, decisions).recommendations
        found = edition.recommend(by_id[IDS[0]], rules, rules.limit, decisions)
        found_own = edition.recommend(by_id[IDS[0]], rules, None, decisions)

    event(f"pinned: {any(place.origin == 'pinned' for place in expected)}")
    assert tuple(place for place, _ in found) == expected
    assert [item for _, item in found] == [by_id[place.target] for place in expected]
    assert tuple(place for place, _ in found_own) == expected_own


def test_a_whole_list_holds_what_is_approved_though_one_is_a_near_duplicate_of_the_other(tmp_path: Path) -> None:
    """A filter may leave either."""
    items = [Item(ident, "essay", twins="t" if ident in IDS[1:3] else None) for ident in IDS]
    edition = edition_of(tmp_path, items, (EssayLists(IDS[0], 3, (), (Candidate(IDS[5], 0.5, 0.5),), ()),))
    rules, decisions = rules_in("review", Rules()), PageDecisions(approved=frozenset(IDS[1:4]))

    whole = edition.whole_list(items[0], rules, decisions)
    assert whole is not None
    assert [place.target for place, _ in whole.places] == IDS[1:4]
    assert [place.target for place, _ in edition.recommend(items[0], rules, 9, decisions)] == [IDS[1], IDS[3]]


def test_a_whole_list_says_that_what_is_approved_may_be_lifted(tmp_path: Path) -> None:
    candidates = [Candidate(ident, 0.9 - number / 50, 0.5) for number, ident in enumerate(IDS[1:9])]
    candidates[-1] = candidates[-1]._replace(place="lifted")
    items = [Item(ident, "essay") for ident in IDS]
    edition = edition_of(tmp_path, items, (EssayLists(IDS[0], 5, (), tuple(candidates), ()),))
    rules, decisions = rules_in("review", Rules()), PageDecisions(approved=frozenset(IDS[1:9]))

    assert [place.target for place, _ in edition.recommend(items[0], rules, 5, decisions)] == [*IDS[1:5], IDS[8]]
    whole, curated = (edition.whole_list(items[0], r, decisions) for r in (rules, rules_in("curated", Rules())))
    assert whole is not None
    assert curated is not None
    assert (whole.lifts, curated.lifts) == (True, False)


def test_diversity_weighs_sketches_under_decisions_too(tmp_path: Path) -> None:
    """The second candidate is like the first."""
    items = [Item(ident, "essay", sketch=ZEROS if ident == IDS[3] else ONES) for ident in IDS]
    scores = zip(IDS[1:5], (0.9, 0.89, 0.8, 0.1), strict=True)
    candidates = tuple(Candidate(ident, score, score) for ident, score in scores)
    edition = edition_of(tmp_path, items, (EssayLists(IDS[0], 3, (), candidates, ()),))

    found = edition.recommend(items[0], Rules(diversity=0.5), 3, PageDecisions(excluded={IDS[4]: "here"}))

    assert [place.target for place, _ in found] == [IDS[1], IDS[3], IDS[2]]


def test_what_is_pinned_is_in_no_whole_list(tmp_path: Path) -> None:
    """A filter may move it."""
    items = [Item(ident, "essay") for ident in IDS]
    edition = edition_of(tmp_path, items, (EssayLists(IDS[0], 3, (), (Candidate(IDS[5], 0.5, 0.5),), ()),))

    assert edition.whole_list(items[0], Rules(), PageDecisions(pins=(Pin(IDS[1], 2),))) is None
    assert edition.whole_list(items[0], Rules(), PageDecisions(excluded={IDS[5]: "here"})) is not None


def test_without_a_limit_a_page_under_decisions_is_as_long_as_its_list(tmp_path: Path) -> None:
    items = [Item(ident, "essay") for ident in IDS]
    edition = edition_of(
        tmp_path, items, (EssayLists(IDS[0], 3, (), tuple(Candidate(i, 0.5, 0.5) for i in IDS[1:]), ()),)
    )

    found = edition.recommend(items[0], Rules(), None, PageDecisions(excluded={IDS[2]: "here"}))

    assert [place.target for place, _ in found] == [IDS[1], IDS[3], IDS[4]]
    assert edition.why_not(IDS[0], IDS[2], None, PageDecisions(excluded={IDS[2]: "here"})).startswith("excluded here")
    assert (edition.has(IDS[3]), edition.has("nobody")) == (True, False)
