"""What the log of decisions says at one moment, for one edition: its replay. Pure and immutable.

Of the decisions about one thing (Decision.slot) the latest counts that is neither undone nor expired; when it is undone
or expires, the one before it counts again. Decisions of different kinds stand side by side, and rank() knows which goes
before which: an exclusion does not wipe a pin out, it outranks it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

from recommender.decisions import NOTHING, Decision, PageDecisions, Pin, Scope, Slot

BEGINNING = datetime.min.replace(tzinfo=UTC)


class Pages(Protocol):
    """What replaying must know of an edition."""

    def has(self, ident: str) -> bool:
        """Whether there is an item with this id."""
        ...

    def offered_in(self, ident: str) -> frozenset[str]:
        """The essays whose lists, candidates included, name this item."""
        ...


@dataclass(frozen=True, slots=True)
class Log:
    """The entries of a log, indexed. decisions: by id. slots: the ids of each, in order. undone_by: of each entry, the
    undos that name it. expiring: those that have an end. follows: in order."""

    decisions: Mapping[int, Decision] = field(default_factory=dict)
    slots: Mapping[Slot, tuple[int, ...]] = field(default_factory=dict)
    undone_by: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    expiring: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()
    last: int = 0

    def with_(self, entries: Iterable[Decision]) -> "Log":
        """The log with these entries after its own, in order of ids."""
        decisions, slots, undone_by = dict(self.decisions), dict(self.slots), dict(self.undone_by)
        expiring, follows, last = list(self.expiring), list(self.follows), self.last
        for entry in entries:
            decisions[entry.id], last = entry, entry.id
            if entry.slot:
                slots[entry.slot] = (*slots.get(entry.slot, ()), entry.id)
            if entry.undoes is not None and entry.undoes < entry.id:  # a log has no other: see DecisionLog.append()
                undone_by[entry.undoes] = (*undone_by.get(entry.undoes, ()), entry.id)
            if entry.expires is not None:
                expiring.append(entry.id)
            if entry.action == "follow":
                follows.append(entry.id)
        return Log(decisions, slots, undone_by, tuple(expiring), tuple(follows), last)

    def is_undone(self, ident: int) -> bool:
        """Whether an undo of it holds. Not by recursion: undos of undos may go on and on."""
        if ident not in self.undone_by:
            return False
        reached, undone = [ident], set[int]()
        for found in reached:
            reached += self.undone_by.get(found, ())
        for found in sorted(reached, reverse=True):  # an undo has a greater id than what it undoes
            if any(undo not in undone for undo in self.undone_by.get(found, ())):
                undone.add(found)
        return ident in undone

    def holds(self, ident: int, now: datetime) -> bool:
        """Whether it is neither undone nor expired."""
        expires = self.decisions[ident].expires
        return (expires is None or now < expires) and not self.is_undone(ident)


class Standing:
    """What holds now. of() is what rank() obeys; the rest is for the desk.

    next_change: when a decision expires next, None when none will. is_empty: whether nothing holds.
    """

    def __init__(self, log: Log, now: datetime, pages: Pages) -> None:
        self.log = log
        self.now = now
        self._pages = pages
        self._aliases = _aliases(log, now, pages)
        self._slots = _in_force(log, now, self._aliases)
        self.is_empty = not self._slots
        self._by_page: dict[str, list[Slot]] = {}
        self._everywhere: list[Slot] = []
        for slot in self._slots:
            if slot.source is not None:
                self._by_page.setdefault(slot.source, []).append(slot)
            elif slot.target is not None:
                self._everywhere.append(slot)
        self._stop = self._slots.get(_STOP)
        self._offered = {slot.target: pages.offered_in(slot.target) for slot in self._everywhere if slot.target}
        self._named_everywhere = frozenset[str]().union(*self._offered.values())
        self._known: dict[str, PageDecisions] = {}
        ends = [end for i in log.expiring if (end := log.decisions[i].expires) and end > now]
        self.next_change = min(ends, default=None)

    def alias(self, ident: str) -> str:
        """The id under which an essay that was renamed is known in this edition."""
        return self._aliases.get(ident, ident)

    @property
    def stopped(self) -> Decision | None:
        """The kill switch, while it is on."""
        return self._stop

    @property
    def excluded_everywhere(self) -> frozenset[str]:
        """What may stand in no list."""
        return frozenset(slot.target for slot in self._everywhere if slot.kind == "exclude" and slot.target)

    def of(self, page: str) -> PageDecisions:
        """What is in force for a page."""
        found = self._known.get(page)
        if found is None:
            if page not in self._by_page and self._stop is None and page not in self._named_everywhere:
                return NOTHING
            found = self._known[page] = self._gather(page)
        return found

    def in_force(self, slot: Slot) -> Decision | None:
        """The decision that counts for this slot, ids as this edition knows them."""
        return self._slots.get(slot)

    def about(self, page: str, target: str) -> list[Decision]:
        """All that holds for a pair, everywhere included, the latest first."""
        slots = (*self._by_page.get(page, ()), *self._everywhere)
        found = [self._slots[slot] for slot in slots if slot.target == target]
        return sorted(found, key=lambda decision: -decision.id)

    def entries(self) -> Iterable[tuple[Slot, Decision]]:
        """All that holds, by slot, ids as this edition knows them."""
        return self._slots.items()

    def everything(self) -> list[Decision]:
        """All that holds, in the order decided."""
        return sorted(self._slots.values(), key=lambda decision: decision.id)

    def of_kind(self, kind: str) -> Iterator[tuple[Slot, Decision]]:
        """All that holds of one kind of slot."""
        return ((slot, decision) for slot, decision in self.entries() if slot.kind == kind)

    def offered_in(self, target: str) -> frozenset[str]:
        """The pages whose lists, candidates included, name a target."""
        return self._offered[target] if target in self._offered else self._pages.offered_in(target)

    def after(self, decision: Decision) -> "Standing":
        """What would hold if this were decided now."""
        return Standing(self.log.with_([replace(decision, id=self.log.last + 1)]), self.now, self._pages)

    @cached_property
    def vanished(self) -> tuple[Decision, ...]:
        """What holds about an essay or blurb that this edition does not have, in the order decided."""
        named = {ident for slot in self._slots for ident in slot[1:] if ident is not None}
        gone = {ident for ident in named if not self._pages.has(ident)}
        found = [decision for slot, decision in self._slots.items() if gone.intersection(slot[1:])]
        return tuple(sorted(found, key=lambda decision: decision.id))

    def _gather(self, page: str) -> PageDecisions:
        own = [(slot, self._slots[slot]) for slot in self._by_page.get(page, ())]
        named = {slot.target for slot, _ in own}
        common = [
            (slot, self._slots[slot])
            for slot in self._everywhere
            if slot.target in named or page in self._offered[slot.target or ""]
        ]
        state = next((decision.state for slot, decision in own if slot.kind == "state"), None)
        both = (*common, *own)  # what is decided for the page goes before what is decided for all
        excluded: dict[str, Scope] = {
            _target(slot): "everywhere" if slot.source is None else "here" for slot, _ in both if slot.kind == "exclude"
        }
        approved = frozenset(_target(slot) for slot, _ in own if slot.kind == "approve")
        weights = {_target(slot): decision.logits for slot, decision in both if slot.kind == "weight"}
        pins = sorted((entry for entry in own if entry[0].kind == "pin"), key=_order_of_pins)
        heard = [*both, *([(_STOP, self._stop)] if self._stop else [])]
        marks = sorted(_mark(slot, decision) for slot, decision in heard if slot.kind not in ("review", "pin"))
        return PageDecisions(
            state=state,
            stopped=self._stop is not None,
            excluded=excluded,
            pins=tuple(Pin(_target(slot), decision.position or 1) for slot, decision in pins),
            approved=approved,
            weights=weights,
            mark=",".join([*marks, *(_mark(slot, decision) for slot, decision in pins)]),
        )


def _order_of_pins(entry: tuple[Slot, Decision]) -> tuple[int, int]:
    """By position, of one position the latest decided first."""
    return entry[1].position or 1, -entry[1].id


_STOP = Slot("stop", None, None)


def _mark(slot: Slot, decision: Decision) -> str:
    """Names a decision and what it is about here. By its key: another log may have another decision of this id."""
    return decision.key if slot.target == decision.target else f"{decision.key}>{slot.target}"


def _target(slot: Slot) -> str:
    return slot.target or ""


def _in_force(log: Log, now: datetime, aliases: Mapping[str, str]) -> dict[Slot, Decision]:
    """Slot, ids as the edition knows them -> the latest decision that holds."""
    found: dict[Slot, Decision] = {}
    ended = [ident for ident in (*log.undone_by, *log.expiring) if ident in log.decisions]
    over = {ident for ident in ended if not log.holds(ident, now)}
    for slot, ids in log.slots.items():
        latest = ids[-1] if ids[-1] not in over else next((i for i in reversed(ids) if i not in over), None)
        if latest is None:
            continue
        known = _renamed(slot, aliases) if aliases else slot
        if known not in found or found[known].id < latest:
            found[known] = log.decisions[latest]
    return found


def _renamed(slot: Slot, aliases: Mapping[str, str]) -> Slot:
    source, target = (None if ident is None else aliases.get(ident, ident) for ident in slot[1:])
    return Slot(slot.kind, source, target)


def _aliases(log: Log, now: datetime, pages: Pages) -> dict[str, str]:
    """Of each essay that got a new id, the ids that this edition does not have -> the latest one that it has."""
    known_as: dict[str, list[str]] = {}
    for ident in log.follows:
        decision = log.decisions[ident]
        if log.holds(ident, now) and decision.source and decision.target:
            old, new = (
                known_as.get(decision.source, [decision.source]),
                known_as.get(decision.target, [decision.target]),
            )
            if old is not new:
                joined = [*old, *(name for name in new if name not in old)]
                known_as.update(dict.fromkeys(joined, joined))
    found: dict[str, str] = {}
    for name, names in known_as.items():
        if not pages.has(name):
            there = next((other for other in reversed(names) if pages.has(other)), None)
            if there is not None:
                found[name] = there
    return found
