"""What may be decided, and every pair of decisions beside one another: the order of authority holds whichever came
first, and none cancels another without a word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, cast

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from corpus.errors import DecisionRefused
from recommender.consequences import consequences
from recommender.decisions import ACTIONS, MAX_ID, MAX_KEY, MAX_NOTE, STATES, Decision, State, check, say
from recommender.ranking import Candidate, Item, Recommendation, Rules, rank, rules_in
from recommender.standing import Standing
from tests.recommender.decided import MORNING, Pages, decide, log_of, standing_of, undo

HOUR = timedelta(hours=1)

# --- What may be decided ------------------------------------------------------------------------------------------

GOOD = (
    decide("approve", "p", "a"),
    decide("exclude", "p", "a"),
    decide("exclude", None, "a"),
    decide("pin", "p", "a", position=1),
    decide("pin", "p", "a", position=50, expires=MORNING + HOUR, note="n" * MAX_NOTE),
    decide("boost", "p", "a", weight=10.0),
    decide("bury", None, "a"),
    *(decide("state", "p", state=state) for state in STATES),
    decide("review", "p"),
    decide("stop"),
    decide("follow", "old", "new"),
    undo(7),
    decide("undo", "p", "a", undoes=1),
    decide("review", "p" * MAX_ID, key="k" * MAX_KEY),
)


@pytest.mark.parametrize("decision", GOOD, ids=lambda d: f"{say(d)} {d.source}"[:40])
def test_what_makes_sense_is_taken_as_it_is(decision: Decision) -> None:
    assert check(decision) is decision


def test_every_action_is_among_these() -> None:
    assert {decision.action for decision in GOOD} == set(ACTIONS)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (decide("hide", "p", "a"), "there is no decision 'hide': one of approve, exclude, pin, "),  # type: ignore[arg-type]
        (decide("approve", "p"), "to approve needs a target"),
        (decide("approve", None, "a"), "to approve needs a source"),
        (decide("exclude", "p"), "to exclude needs a target"),
        (decide("pin", "p", "a"), "to pin needs a position"),
        (decide("pin", None, "a", position=1), "to pin needs a source"),
        (decide("exclude", "p", "a", position=1), "to exclude takes no position"),
        (decide("approve", "p", "a", weight=1.0), "to approve takes no weight"),
        (decide("state", "p"), "to state needs a state"),
        (decide("state", "p", "a", state="model"), "to state takes no target"),
        (decide("stop", "p"), "to stop takes no source"),
        (decide("review", "p", state="model"), "to review takes no state"),
        (decide("boost", "p", "a", undoes=1), "to boost takes no undoes"),
        (decide("undo"), "to undo needs a undoes"),
        (undo(1, expires=MORNING + HOUR), "an undo has no end: undo it instead"),
        (decide("exclude", "p", "p"), "an essay is never in its own list: name another one"),
        (decide("follow", "p", "p"), "an essay is never in its own list: name another one"),
        *((decide("pin", "p", "a", position=n), f"position {n} is not from 1 to 50") for n in (0, -1, 51)),
        *(
            (decide("bury", "p", "a", weight=w), f"weight {w:g} is not above 0")
            for w in (0.0, -1.0, 10.5, float("nan"))
        ),
        (decide("state", "p", state="off"), "there is no state 'off': one of standard, curated, "),
        (decide("stop", expires=MORNING), "it would have expired before it began: name a later day"),
        (decide("stop", note="n" * 2_001), "the note has 2,001 characters, more than 2,000"),
        (decide("review", "p\0"), "it holds characters that no text has"),
        (decide("stop", note="\ud800"), "it holds characters that no text has"),
        (decide("stop", editor=" "), "it needs an editor and a key"),
        (decide("stop", key=""), "it needs an editor and a key"),
        (decide("stop", key="k" * 65), "a key of more than 64 characters is none"),
        (decide("review", "p" * 2_001), "an id of more than 2,000 characters is none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense_is_refused_with_a_sentence(decision: Decision, reason: str) -> None:
    with pytest.raises(DecisionRefused) as refused:
        check(decision)

    assert str(refused.value).startswith(reason)


# --- Pairs --------------------------------------------------------------------------------------------------------

PAGE = "p"
ITEMS = {ident: Item(ident, "essay", title=ident.upper()) for ident in ("p", "q", *"abcdefg", "x")}
CURATED = (Candidate("c", 0.3, 0.3), Candidate("d", 0.6, 0.6))
CANDIDATES = (
    Candidate("a", 0.9, 0.9),
    Candidate("b", 0.8, 0.8),
    Candidate("d", 0.6, 0.6),
    Candidate("e", 0.5, 0.5),
    Candidate("c", 0.3, 0.3),
    Candidate("f", 0.2, 0.2, (), "held"),
)
"""x is no candidate, f is held, c and d are what the editors listed."""
SITE = Pages(ITEMS, {ident: [PAGE] for ident in "abcdef"})
EARLIER = (decide("pin", PAGE, "g", position=2), decide("approve", PAGE, "a"), decide("exclude", PAGE, "e"))
"""In force before each pair; one of them is what an undo takes back."""
LONG = 20
Shown = tuple[Recommendation, ...]


def list_under(standing: Standing, default: State) -> Shown:
    """The page's list, as Answers has it made."""
    decided = standing.of(PAGE)
    rules = rules_in(decided.state_of(default), Rules(limit=LONG))
    return rank(ITEMS[PAGE], CANDIDATES, CURATED, ITEMS, rules, decided).recommendations


def shown(*entries: Decision, default: State) -> Shown:
    return list_under(standing_of(*EARLIER, *entries, pages=SITE), default)


TARGETS = st.sampled_from("abcdefgx")
MAKERS: dict[str, Callable[[st.DrawFn], Decision]] = {
    "approve": lambda draw: decide("approve", PAGE, draw(TARGETS)),
    "exclude here": lambda draw: decide("exclude", PAGE, draw(TARGETS)),
    "exclude everywhere": lambda draw: decide("exclude", None, draw(TARGETS)),
    "pin": lambda draw: decide("pin", PAGE, draw(TARGETS), position=draw(st.integers(1, 4))),
    "boost": lambda draw: decide("boost", PAGE, draw(TARGETS)),
    "bury": lambda draw: decide("bury", PAGE, draw(TARGETS)),
    "boost everywhere": lambda draw: decide("boost", None, draw(TARGETS), weight=3.0),
    "bury everywhere": lambda draw: decide("bury", None, draw(TARGETS), weight=3.0),
    **{f"state {state}": lambda draw, state=state: decide("state", PAGE, state=state) for state in STATES},  # type: ignore[misc]
    "review": lambda draw: decide("review", PAGE),
    "stop": lambda draw: decide("stop"),
    "undo": lambda draw: undo(draw(st.integers(1, len(EARLIER)))),
}
KINDS = list(MAKERS)
PAIRS = [f"{one} / {other}" for one, other in product(KINDS, KINDS) if KINDS.index(one) <= KINDS.index(other)]
DEFAULTS: st.SearchStrategy[State] = st.sampled_from(["standard", "review", "model"])


Test = Callable[[str, st.DataObject], None]


def every_pair(test: Test) -> Test:
    """Run a test on some examples of every two kinds."""
    few = settings(max_examples=10)(given(st.data())(test))
    return cast(Test, pytest.mark.parametrize("pair", PAIRS)(few))


@dataclass(frozen=True)
class Facts:
    """What must be so under some decisions, worked out without Standing."""

    state: State
    excluded: frozenset[str]
    pins: dict[str, int]
    approved: frozenset[str]


def facts(entries: list[Decision], default: State) -> Facts:
    undone = {d.undoes for d in entries}
    held = [d for number, d in enumerate(entries, start=1) if number not in undone]
    state = next((d.state for d in reversed(held) if d.action == "state"), None) or default
    return Facts(
        "curated" if any(d.action == "stop" for d in held) else state,
        frozenset(d.target or "" for d in held if d.action == "exclude"),
        {d.target or "": d.position or 0 for d in held if d.action == "pin"},
        frozenset(d.target or "" for d in held if d.action == "approve"),
    )


@every_pair
def test_the_order_of_authority_holds_in_either_order(pair: str, data: st.DataObject) -> None:
    one, other, default = drawn(pair, data)
    for first, second in ((one, other), (other, one)):
        known = facts([*EARLIER, first, second], default)
        places = shown(first, second, default=default)

        targets = [place.target for place in places]
        assert not known.excluded & set(targets)
        assert len(set(targets)) == len(targets)
        standing_pins = {target: at for target, at in known.pins.items() if target not in known.excluded}
        assert {place.target for place in places if place.origin == "pinned"} == set(standing_pins)
        if len(set(standing_pins.values())) == len(standing_pins):
            assert all(targets.index(t) + 1 == min(at, len(targets)) for t, at in lowest(standing_pins, targets))
        added = {place.target for place in places if place.origin == "model"}
        if known.state in ("curated", "shadow"):
            assert not added
        if known.state == "review":
            assert added <= known.approved
            assert known.approved <= set(targets) | known.excluded
        if known.state == "model":
            assert all(place.origin != "curated" for place in places)
        else:
            listed = [place.target for place in places if place.origin == "curated"]
            assert listed == [t for t in ("c", "d") if t not in known.excluded and t not in standing_pins]


def lowest(pins: dict[str, int], targets: list[str]) -> Iterator[tuple[str, int]]:
    """The pins that others, put last in a short list as well, do not push about."""
    return ((target, at) for target, at in pins.items() if max(pins.values()) <= len(targets))


def order(places: Shown) -> list[str | None]:
    return [place.target for place in places]


@every_pair
def test_both_orders_give_one_list_unless_the_two_are_about_one_thing(pair: str, data: st.DataObject) -> None:
    one, other, default = drawn(pair, data)
    lists = shown(one, other, default=default), shown(other, one, default=default)

    if one.slot is not None and one.slot == other.slot:
        last = shown(other, default=default), shown(one, default=default)
        assert lists == last, "the later one counts as if it were alone"
    elif one.action == other.action == "pin" and one.position == other.position:
        assert sorted(order(lists[0])) == sorted(order(lists[1]))
        if "e" not in (one.target, other.target):  # which is excluded
            assert order(lists[0]).index(other.target) < order(lists[0]).index(one.target), "the latest stands first"
            assert order(lists[1]).index(one.target) < order(lists[1]).index(other.target)
    else:
        assert lists[0] == lists[1]


@every_pair
def test_none_cancels_another_silently(pair: str, data: st.DataObject) -> None:
    """Cancelled is a decision that, with the other in force, gives no more what it gives alone (kept())."""
    one, other, default = drawn(pair, data)
    for first, second in ((one, other), (other, one)):
        if first.action == "undo":
            continue  # what it took back is as if it had never been
        before = standing_of(*EARLIER, first, pages=SITE)
        both = standing_of(*EARLIER, first, second, pages=SITE)
        for decision in (first, second):
            alone = standing_of(*EARLIER, decision, pages=SITE)
            if kept(decision, alone, default) and not kept(decision, both, default):
                event("cancelled")
                assert consequences(before, second), say(decision)


def kept(decision: Decision, standing: Standing, default: State) -> bool:
    """Whether the page's list is as this decision wants it."""
    places = list_under(standing, default)
    place = next((place for place in places if place.target == decision.target), None)
    match decision.action:
        case "exclude":
            return place is None
        case "pin":
            return place is not None and place.position == min(decision.position or 0, len(places))
        case "approve":
            return place is not None
        case "boost":
            return place is not None and "boosted by the editors" in place.reasons
        case "bury":
            return place is None or "buried by the editors" in place.reasons
        case "state" if decision.state == "model":
            return all(place.origin != "curated" for place in places)
        case "state" if decision.state in ("standard", "review"):
            return [place.target for place in places if place.origin == "curated"] != []
        case "state" | "stop":
            return all(place.origin != "model" for place in places)
        case "undo":
            undone = EARLIER[(decision.undoes or 0) - 1].slot
            return undone is not None and standing.in_force(undone) is None
    return True


@every_pair
def test_what_is_told_names_who_decided(pair: str, data: st.DataObject) -> None:
    one, other, _ = drawn(pair, data)
    first = replace(one, editor="Berta", note="as agreed")
    said = consequences(standing_of(first, pages=SITE), other)

    assert all(isinstance(sentence, str) and sentence for sentence in said)
    assert len(set(said)) == len(said)
    if one.slot is not None and one.slot == other.slot:
        assert said[0] == f"it takes the place of an earlier decision: {say(one)} by Berta on 2026-03-02: “as agreed”"


def drawn(pair: str, data: st.DataObject) -> tuple[Decision, Decision, State]:
    kinds = pair.split(" / ")
    one, other = (MAKERS[kind](data.draw) for kind in kinds)  # type: ignore[arg-type]
    assume(not (one.action == other.action == "undo" and one.undoes == other.undoes))
    return one, other, data.draw(DEFAULTS)


# --- What is told, word for word ----------------------------------------------------------------------------------

BY = "by Ann on 2026-03-02"


@pytest.mark.parametrize(
    ("earlier", "decision", "expected"),
    [
        ([], decide("exclude", "p", "a"), []),
        ([decide("pin", "p", "a", position=2)], decide("pin", "p", "b", position=3), []),
        ([decide("pin", "q", "a", position=2)], decide("exclude", "p", "a"), []),
        (
            [decide("pin", "p", "a", position=2)],
            decide("pin", "p", "a", position=1),
            [f"it takes the place of an earlier decision: pinned at 2 {BY}"],
        ),
        (
            [decide("pin", "p", "a", position=2)],
            decide("exclude", "p", "a"),
            [f"pinned at 2 {BY}: that has no effect while this exclusion holds"],
        ),
        (
            [decide("pin", "q", "a", position=2, source_title="Quarry")],
            decide("exclude", None, "a"),
            [f"pinned at 2 {BY} on Quarry: that has no effect while this exclusion holds"],
        ),
        (
            [decide("exclude", None, "a", note="withdrawn")],
            decide("pin", "p", "a", position=1),
            [f"it has no effect while an exclusion holds: excluded everywhere {BY}: “withdrawn”"],
        ),
        (
            [decide("exclude", "p", "a")],
            decide("boost", None, "a"),
            [f"it has no effect on p while an exclusion holds: excluded here {BY}"],
        ),
        (
            [decide("exclude", "p", "a")],
            decide("exclude", None, "a"),
            [f"an exclusion holds beside it on p: excluded here {BY}"],
        ),
        (
            [decide("boost", "p", "a")],
            decide("pin", "p", "a", position=1),
            [f"the pin goes before this: boosted {BY}"],
        ),
        (
            [decide("pin", "p", "a", position=1)],
            decide("bury", None, "a"),
            [f"the pin on p goes before it: pinned at 1 {BY}"],
        ),
        (
            [decide("bury", None, "a")],
            decide("boost", "p", "a"),
            [f"on p what is decided there goes before what is decided everywhere: buried everywhere {BY}"],
        ),
        (
            [decide("pin", "p", target, position=1, target_title=target.upper()) for target in "ab"],
            decide("pin", "p", "c", position=1),
            [f"B moves from 1 to 2: pinned at 1 {BY}", f"A moves from 2 to 3: pinned at 1 {BY}"],
        ),
        (
            [decide("pin", "p", target, position=1) for target in "ab"],
            decide("pin", "p", "c", position=2),
            ["it stands at 3, below what is pinned above it"],
        ),
        (
            [decide("pin", "p", target, position=1) for target in "ab"],
            decide("pin", "p", "c", position=3),
            [],
        ),
        (
            [decide("approve", "p", "a"), decide("boost", None, "b"), decide("boost", None, "x")],
            decide("state", "p", state="shadow"),
            [
                f"readers do not see it in the state shadow: approved {BY}",
                f"readers do not see it in the state shadow: boosted everywhere {BY}",
            ],
        ),
        (
            [decide("state", "p", state="review"), decide("approve", "p", "a")],
            decide("boost", "p", "b"),
            [f"readers do not see it on p: state review {BY}"],
        ),
        (
            [decide("state", "p", state="review"), decide("approve", "p", "a")],
            decide("boost", None, "a"),
            [f"it moves nothing that the editors listed on p: state review {BY}"],
        ),
        (
            [decide("state", "p", state="model"), decide("bury", "p", "a")],
            decide("state", "p", state="standard"),
            [
                f"it takes the place of an earlier decision: state model {BY}",
                f"it moves nothing that the editors listed in the state standard: buried {BY}",
            ],
        ),
        ([decide("state", "p", state="model")], decide("boost", "p", "a"), []),
        (
            [decide("stop")],
            decide("state", "p", state="model"),
            [f"readers do not see it while the kill switch is on (the kill switch {BY})"],
        ),
        (
            [],
            decide("stop"),
            ["pages show what editors have listed and pinned, and nothing of the model, until this is undone"],
        ),
        (
            [decide("pin", "p", "a", position=1), decide("pin", "p", "a", position=2)],
            undo(2),
            [f"no longer in force: pinned at 2 {BY}", f"in force again: pinned at 1 {BY}"],
        ),
        ([decide("exclude", "p", "a"), undo(1)], undo(2), [f"in force again: excluded here {BY}"]),
        (
            [decide("pin", "p", "gone", position=1), decide("pin", "p", "a", position=2)],
            decide("follow", "gone", "a"),
            [f"no longer in force: pinned at 1 {BY}"],
        ),
        (
            [decide("exclude", "p", "a"), decide("exclude", "p", "a", note="again")],
            undo(1),
            [f"it changes nothing while another decision counts: excluded here {BY}: “again”"],
        ),
        ([decide("exclude", "p", "a")], undo(9), []),
        (
            [decide("approve", "p", "a"), decide("approve", "p", "x")],
            decide("state", "p", state="standard"),
            [f"readers do not see it in the state standard: approved {BY}"],
        ),
        ([decide("review", "p")], decide("approve", "p", "a"), []),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_a_decision_does_to_others_is_told(earlier: list[Decision], decision: Any, expected: list[str]) -> None:
    standing = Standing(log_of(*earlier), MORNING + HOUR, SITE)

    assert list(consequences(standing, decision)) == expected
