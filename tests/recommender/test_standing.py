"""What a log of decisions says at one moment: its replay, in any pieces, beside a plain one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recommender.decisions import NOTHING, STATES, Decision, PageDecisions, Pin, Slot
from recommender.standing import Log, Standing
from tests.recommender.decided import MORNING, Pages, decide, log_of, numbered, standing_of, undo

HOUR = timedelta(hours=1)
NOW = MORNING + 5 * HOUR
IDS = ("p", "q", "a", "b", "c")
PAGES = Pages(IDS, {"a": ["p", "q"], "b": ["p"], "c": ["q"]})


def excluded(page: str, *entries: Decision, pages: Pages = PAGES) -> dict[str, str]:
    return dict(standing_of(*entries, pages=pages).of(page).excluded)


# --- By hand ------------------------------------------------------------------------------------------------------


def test_without_decisions_nothing_is_in_force() -> None:
    standing = standing_of(pages=PAGES)

    assert standing.of("p") is NOTHING
    assert (standing.everything(), standing.next_change, standing.stopped) == ([], None, None)


def test_all_that_is_in_force_for_a_page() -> None:
    standing = standing_of(
        decide("exclude", "p", "c", key="1"),
        decide("exclude", None, "b", key="2"),
        decide("pin", "p", "a", position=3, key="3"),
        decide("approve", "p", "a", key="4"),
        decide("bury", "p", "b", weight=1.5, key="5"),
        decide("boost", None, "a", key="6"),
        decide("state", "p", state="review", key="7"),
        decide("review", "p", key="8"),
        decide("exclude", "q", "a", key="9"),
        pages=PAGES,
    )

    assert standing.of("p") == PageDecisions(
        state="review",
        excluded={"b": "everywhere", "c": "here"},
        pins=(Pin("a", 3),),
        approved=frozenset({"a"}),
        weights={"a": 2.0, "b": -1.5},
        mark="1,2,4,5,6,7,3",
    )
    assert [d.id for d in standing.about("p", "b")] == [5, 2]
    assert [d.id for d in standing.everything()] == list(range(1, 10))
    assert standing.excluded_everywhere == {"b"}


def test_what_is_decided_everywhere_concerns_the_pages_that_offer_it_or_decide_about_it() -> None:
    standing = standing_of(
        decide("exclude", None, "b"),
        decide("pin", "q", "b", position=1),
        pages=Pages((*IDS, "r"), {"b": ["p"]}),
    )

    assert {page: dict(standing.of(page).excluded) for page in ("p", "q", "r")} == {
        "p": {"b": "everywhere"},
        "q": {"b": "everywhere"},
        "r": {},
    }
    assert standing.of("r") is NOTHING


def test_what_is_decided_for_the_page_goes_before_what_is_decided_for_all() -> None:
    own = decide("bury", "p", "a")
    standing = standing_of(own, decide("boost", None, "a", weight=5.0), pages=PAGES)
    undone = standing_of(own, decide("boost", None, "a", weight=5.0), undo(1), pages=PAGES)

    assert (standing.of("p").weights, standing.of("q").weights) == ({"a": -2.0}, {"a": 5.0})
    assert undone.of("p").weights == {"a": 5.0}


def test_of_one_slot_the_latest_counts_and_boost_and_bury_share_one() -> None:
    standing = standing_of(
        decide("boost", "p", "a"), decide("pin", "p", "a", position=4), decide("bury", "p", "a"), pages=PAGES
    )

    assert standing.of("p").weights == {"a": -2.0}
    assert standing.of("p").pins == (Pin("a", 4),)
    found = standing.in_force(Slot("weight", "p", "a"))
    assert found is not None
    assert found.id == 3


def test_pins_stand_by_position_the_latest_first() -> None:
    pins = [decide("pin", "p", target, position=2) for target in "abc"] + [decide("pin", "p", "q", position=1)]

    assert standing_of(*pins, pages=PAGES).of("p").pins == (Pin("q", 1), Pin("c", 2), Pin("b", 2), Pin("a", 2))


@pytest.mark.parametrize("undos", [0, 1, 2, 3, 4])
def test_an_undo_can_be_undone(undos: int) -> None:
    entries = [decide("exclude", "p", "a"), *(undo(number) for number in range(1, undos + 1))]

    assert bool(excluded("p", *entries)) == (undos % 2 == 0)


def test_two_undos_of_one_entry_must_both_be_undone() -> None:
    entries = [decide("exclude", "p", "a"), undo(1), undo(1), undo(2)]

    assert excluded("p", *entries) == {}
    assert excluded("p", *entries, undo(3)) == {"a": "here"}


def test_when_the_latest_is_undone_or_expires_the_one_before_counts_again() -> None:
    pins = [decide("pin", "p", "a", position=2), decide("pin", "p", "a", position=5, expires=NOW)]

    assert standing_of(*pins, pages=PAGES).of("p").pins == (Pin("a", 5),)
    assert standing_of(*pins, undo(2), pages=PAGES).of("p").pins == (Pin("a", 2),)
    assert standing_of(*pins, pages=PAGES, after=NOW - MORNING).of("p").pins == (Pin("a", 2),)


def test_it_expires_at_the_very_moment() -> None:
    log = log_of(decide("exclude", "p", "a", expires=NOW), decide("exclude", "p", "b", expires=NOW + HOUR))
    moment = timedelta(microseconds=1)

    before, at, at_the_end = (Standing(log, when, PAGES) for when in (NOW - moment, NOW, NOW + HOUR))

    assert (set(before.of("p").excluded), before.next_change) == ({"a", "b"}, NOW)
    assert (set(at.of("p").excluded), at.next_change) == ({"b"}, NOW + HOUR)
    assert (at_the_end.of("p"), at_the_end.next_change) == (NOTHING, None)


def test_the_kill_switch_is_of_every_page() -> None:
    stop = decide("stop", key="s")
    standing = standing_of(stop, decide("state", "p", state="model", key="t"), pages=PAGES)

    assert standing.stopped == replace(stop, id=1)
    assert standing.of("p") == PageDecisions(state="model", stopped=True, mark="s,t")
    assert standing.of("nobody") == PageDecisions(stopped=True, mark="s")
    assert [standing.of(page).state_of("review") for page in ("p", "q")] == ["curated", "curated"]
    assert standing_of(stop, undo(1), pages=PAGES).of("q") is NOTHING


# --- Marks --------------------------------------------------------------------------------------------------------


def test_a_review_and_what_concerns_other_pages_leave_a_pages_mark_as_it_was() -> None:
    first = decide("exclude", "p", "a", key="one")
    others = [decide("review", "p"), decide("exclude", "q", "a"), decide("boost", None, "c")]

    assert (
        standing_of(first, pages=PAGES).of("p").mark == standing_of(first, *others, pages=PAGES).of("p").mark == "one"
    )


def test_another_log_gives_another_mark() -> None:
    """As when a copy of a log is put back and then written on: its ids are given a second time."""
    one, other = decide("exclude", "p", "a"), decide("exclude", "p", "b")

    assert standing_of(one, pages=PAGES).of("p").mark != standing_of(other, pages=PAGES).of("p").mark


def test_a_mark_changes_when_an_essay_is_followed_to_a_new_id() -> None:
    about_the_old = decide("exclude", "p", "old")

    before, after = (
        standing_of(about_the_old, *more, pages=PAGES).of("p") for more in ((), (decide("follow", "old", "a"),))
    )

    assert (dict(before.excluded), dict(after.excluded)) == ({"old": "here"}, {"a": "here"})
    assert before.mark != after.mark


# --- Following ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", ["old", "new"])
@pytest.mark.parametrize("decided", ["old", "new"])
def test_what_was_decided_goes_on_whichever_id_the_edition_has(there: str, decided: str) -> None:
    """The old one after a rollback."""
    entries = [decide("exclude", "p", decided), decide("pin", decided, "a", position=1), decide("boost", None, decided)]
    standing = standing_of(*entries, decide("follow", "old", "new"), pages=Pages(("p", "a", there), {there: ["p"]}))

    assert standing.of("p").excluded == {there: "here"}
    assert standing.of("p").weights == {there: 2.0}
    assert standing.of(there).pins == (Pin("a", 1),)
    assert standing.vanished == ()
    assert standing.alias("old") == standing.alias("new") == there


def test_where_the_edition_has_both_ids_each_keeps_its_own() -> None:
    standing = standing_of(
        decide("exclude", "p", "old"), decide("follow", "old", "new"), pages=Pages(("p", "old", "new"))
    )

    assert standing.of("p").excluded == {"old": "here"}


def test_a_chain_is_followed_to_the_latest_id_there_is() -> None:
    chain = [decide("exclude", "p", "1"), *(decide("follow", str(n), str(n + 1)) for n in (1, 2, 3))]

    found = {there: excluded("p", *chain, pages=Pages(("p", *there))) for there in ("4", "3", "2", "23", "234", "")}

    assert {there: list(targets) for there, targets in found.items()} == {
        "4": ["4"],
        "3": ["3"],
        "2": ["2"],
        "23": ["3"],
        "234": ["4"],
        "": ["1"],
    }


@pytest.mark.parametrize("there", ["1", "2", "3"])
def test_a_cycle_ends(there: str) -> None:
    cycle = [decide("follow", a, b) for a, b in (("1", "2"), ("2", "3"), ("3", "1"))]

    assert excluded("p", decide("exclude", "p", "2"), *cycle, pages=Pages(("p", there))) == {there: "here"}


def test_of_decisions_under_two_ids_the_later_counts() -> None:
    entries = [decide("pin", "p", "new", position=2), decide("pin", "p", "old", position=7)]
    follow = decide("follow", "old", "new")

    assert standing_of(*entries, follow, pages=Pages(("p", "new"))).of("p").pins == (Pin("new", 7),)
    assert standing_of(*entries[::-1], follow, pages=Pages(("p", "new"))).of("p").pins == (Pin("new", 2),)


def test_a_follow_can_be_undone_and_expires() -> None:
    entries = [decide("exclude", "p", "old"), decide("follow", "old", "new", expires=NOW)]
    pages = Pages(("p", "new"))

    assert excluded("p", *entries, pages=pages) == {"new": "here"}
    assert excluded("p", *entries, undo(2), pages=pages) == {"old": "here"}
    assert standing_of(*entries, pages=pages, after=NOW - MORNING).of("p").excluded == {"old": "here"}


def test_what_the_edition_has_no_more_is_told() -> None:
    standing = standing_of(
        decide("exclude", "p", "gone"),
        decide("exclude", None, "gone"),
        decide("state", "gone", state="curated"),
        decide("pin", "p", "gone", position=1),
        decide("exclude", "p", "renamed"),
        decide("exclude", "p", "a"),
        decide("stop"),
        decide("follow", "renamed", "b"),
        undo(4),
        pages=PAGES,
    )

    assert [d.id for d in standing.vanished] == [1, 2, 3]


# --- Any log ------------------------------------------------------------------------------------------------------

LOG_IDS = (*IDS, "old", "older", "new")
SOME_PAGES = st.sampled_from(
    [
        Pages((*IDS, "new"), {"a": ["p", "q"], "b": ["p"], "c": ["q"], "new": ["p", "a"]}),
        Pages((*IDS, "old"), {"a": ["p", "q"], "b": ["p"], "c": ["q"], "old": ["q"]}),
        Pages((*IDS, "old", "new"), {"old": ["p"], "new": ["q"]}),
        Pages(IDS),
    ]
)


@st.composite
def entries_of(draw: st.DrawFn, number: int) -> Decision:
    """Any entry that may stand at this place of a log."""
    kinds = ["exclude", "exclude all", "pin", "boost", "bury", "boost all", "bury all", "approve", "state", "review"]
    kind = draw(st.sampled_from([*kinds, "stop", "follow", "follow", *(["undo"] * 6 if number > 1 else [])]))
    hours = draw(st.none() | st.integers(1, 9))
    expires = None if hours is None else MORNING + hours * HOUR
    if kind == "undo":
        return undo(draw(st.integers(max(1, number - 12), number - 1)))
    if kind == "stop":
        return decide("stop", expires=expires)
    source, target = draw(st.lists(st.sampled_from(LOG_IDS), min_size=2, max_size=2, unique=True))
    if kind == "follow":
        source, target = draw(st.sampled_from([("old", "new"), ("older", "old"), ("new", "older"), (source, target)]))
    action, _, everywhere = kind.partition(" ")
    more = {
        "pin": {"position": draw(st.integers(1, 4))},
        "state": {"state": draw(st.sampled_from(STATES))},
        "boost": {"weight": draw(st.none() | st.sampled_from([0.5, 3.0]))},
    }.get(action, {})
    about = None if action in ("state", "review") else target
    return decide(action, None if everywhere else source, about, expires=expires, **more)  # type: ignore[arg-type]


@st.composite
def logs(draw: st.DrawFn) -> list[Decision]:
    return numbered([draw(entries_of(number)) for number in range(1, draw(st.integers(0, 60)) + 1)])


MOMENTS = st.integers(0, 10).map(lambda hours: MORNING + hours * HOUR)


def told(standing: Standing) -> tuple[object, ...]:
    """All that a standing says."""
    pages = {page: standing.of(page) for page in LOG_IDS}
    return pages, standing.everything(), standing.next_change, standing.vanished, standing.stopped


@given(logs(), MOMENTS, SOME_PAGES, st.data())
def test_a_log_read_in_any_pieces_is_the_log_read_at_once(
    entries: list[Decision], now: datetime, pages: Pages, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(entries)), max_size=8), label="cuts"))
    log = Log()
    for start, end in zip([0, *cuts], [*cuts, len(entries)], strict=True):
        before, earlier = log, told(Standing(log, now, pages))
        log = log.with_(entries[start:end])
        assert told(Standing(before, now, pages)) == earlier, "reading on changes no earlier log"

    assert log == Log().with_(entries)
    assert told(Standing(log, now, pages)) == told(Standing(Log().with_(entries), now, pages))


@given(logs(), MOMENTS, SOME_PAGES)
def test_the_standing_is_the_plain_replay(entries: list[Decision], now: datetime, pages: Pages) -> None:
    standing = Standing(Log().with_(entries), now, pages)

    in_force = plain_replay(entries, now, pages)

    event(f"in force: {min(len(in_force), 5)}")
    assert standing.everything() == sorted((d for _, d in in_force), key=lambda d: d.id)
    for page in LOG_IDS:
        found = replace(standing.of(page), mark="")
        assert found == plain_page(page, in_force, pages)
        assert list(found.pins) == list(plain_page(page, in_force, pages).pins)


@given(logs(), MOMENTS, SOME_PAGES)
def test_nothing_changes_before_the_next_change(entries: list[Decision], now: datetime, pages: Pages) -> None:
    log = Log().with_(entries)
    standing = Standing(log, now, pages)

    until = standing.next_change or MORNING + 99 * HOUR
    later = Standing(log, until - timedelta(microseconds=1), pages)

    assert later.next_change == standing.next_change
    assert told(later) == told(standing)


@given(logs(), MOMENTS, SOME_PAGES)
def test_an_equal_mark_is_an_equal_list(entries: list[Decision], now: datetime, pages: Pages) -> None:
    """At any moment of the log: what a page's list is made of changes with its mark only."""
    seen: dict[tuple[str, str], PageDecisions] = {}
    for end in range(0, len(entries) + 1, 3):
        standing = Standing(Log().with_(entries[:end]), now, pages)
        for page in LOG_IDS:
            found = standing.of(page)
            assert seen.setdefault((page, found.mark), found) == found


# --- The plain replay ---------------------------------------------------------------------------------------------


def plain_replay(entries: Sequence[Decision], now: datetime, pages: Pages) -> list[tuple[tuple[object, ...], Decision]]:
    """What holds, with what it is about, by going through the log again for each question."""
    alive: list[Decision] = []
    for entry in entries:  # later undos decide about earlier ones, so from the end
        alive.append(entry)
    standing_undos: set[int] = set()
    for entry in reversed(entries):
        if entry.action == "undo" and entry.id not in standing_undos:
            standing_undos.add(entry.undoes or 0)
    held = [d for d in alive if d.id not in standing_undos and (d.expires is None or d.expires > now)]
    follows = [d for d in held if d.action == "follow"]
    winners: dict[tuple[object, ...], Decision] = {}
    for d in held:
        if d.action in ("undo", "follow"):
            continue
        kind = {"boost": "weight", "bury": "weight"}.get(d.action, d.action)
        about = (kind, *(None if i is None else plain_name(i, follows, pages) for i in (d.source, d.target)))
        winners[about] = d  # the later one takes the place
    return list(winners.items())


def plain_name(ident: str, follows: Sequence[Decision], pages: Pages) -> str:
    """The id that the edition has of all that an essay was ever called, the latest first."""
    if pages.has(ident):
        return ident
    groups: list[list[str]] = []
    for follow in follows:
        ends = [follow.source or "", follow.target or ""]
        first, second = (next((g for g in groups if end in g), [end]) for end in ends)
        groups = [g for g in groups if g is not first and g is not second]
        groups.append(first if second is first else first + second)
    names = next((g for g in groups if ident in g), [ident])
    return next((name for name in reversed(names) if pages.has(name)), ident)


def plain_page(page: str, in_force: Sequence[tuple[tuple[object, ...], Decision]], pages: Pages) -> PageDecisions:
    stopped = any(kind == "stop" for (kind, _, _), _ in in_force)
    own = {(kind, str(target)): d for (kind, source, target), d in in_force if source == page}
    named = {target for _, target in own}
    common = {
        (kind, str(target)): d
        for (kind, source, target), d in in_force
        if source is None and target is not None and (target in named or page in pages.offered_in(str(target)))
    }
    pins = sorted((d.position or 0, -d.id, target) for (kind, target), d in own.items() if kind == "pin")
    state = own.get(("state", "None"))
    weights = {target: d for (kind, target), d in (common | own).items() if kind == "weight"}
    return PageDecisions(
        state=state.state if state else None,
        stopped=stopped,
        excluded={t: "everywhere" for kind, t in common if kind == "exclude"}
        | {t: "here" for kind, t in own if kind == "exclude"},
        pins=tuple(Pin(target, position) for position, _, target in pins),
        approved=frozenset(target for kind, target in own if kind == "approve"),
        weights={t: (d.weight or 2.0) * (-1 if d.action == "bury" else 1) for t, d in weights.items()},
    )
