"""What differs between two editions: which lists, by how much, and which items stand in more or fewer of them.

Lists are compared as the rules show them, each as long as its page shows by default, without editors' decisions.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from math import fsum
from typing import NamedTuple

from corpus.errors import UnknownEssay
from recommender.edition import Edition
from recommender.ranking import Rules

SHOWN = 20
"""So many pages and so many movers are named."""
_BINS = 10

_List = tuple[str, ...]


class Shift(NamedTuple):
    """An item's positions in a page's two lists, counted from 1; None where a list does not show it."""

    target: str
    before: int | None
    after: int | None


class Mover(NamedTuple):
    """In how many lists an item stands, before and after."""

    id: str
    before: int
    after: int

    @property
    def change(self) -> int:
        """How many lists more, or fewer when negative."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class PageDiff:
    """How one page's list differs. overlap: see overlap_of(); None when only one edition has the page.

    entered, moved: by position after. left: by position before.
    """

    id: str
    overlap: float | None
    entered: tuple[Shift, ...]
    left: tuple[Shift, ...]
    moved: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class EditionDiff:
    """How `after` differs from `before`, two editions by id. All ids are in id order.

    gone, new: the essays that only the one or only the other has. pages: how many both have. changed: how many of
    these have another list, be it in another order only. resized: how many have a longer or shorter one.
    mean_overlap: over the pages in both, None when there is none. overlaps: how many of these pages in each tenth,
    from 0.0-0.1 up; the last one holds 1.0, too.
    links_in: of every item that a list of either edition shows, how many show it before and after.
    gained, lost: the items whose links_in grew or shrank most, by (-|change|, id).
    most_changed: the changed pages with the lowest overlap, by (overlap, id).
    """

    before: str
    after: str
    gone: _List
    new: _List
    pages: int
    changed: int
    resized: int
    mean_overlap: float | None
    overlaps: tuple[int, ...]
    links_in: Mapping[str, tuple[int, int]]
    gained: tuple[Mover, ...]
    lost: tuple[Mover, ...]
    most_changed: tuple[PageDiff, ...]

    @property
    def share_changed(self) -> float:
        """The share (0-1) of the pages in both that have another list."""
        return self.changed / self.pages if self.pages else 0.0


def compare_editions(
    before: Edition, after: Edition, rules: Rules, progress: Callable[[int], object] = lambda done: None
) -> EditionDiff:
    """How the lists differ. progress: called with 1 for every essay of either edition.

    Only one page's lists are in memory at a time.
    """
    olds, news = set(before.essay_ids()), set(after.essay_ids())
    tally = _Tally()
    for ident in sorted(olds | news):
        old = _shown(before, ident, rules) if ident in olds else None
        new = _shown(after, ident, rules) if ident in news else None
        tally.add(ident, old, new)
        progress(1)
    worst, links_in = nsmallest(SHOWN, tally.changed), tally.links_in()
    return EditionDiff(
        before=before.id,
        after=after.id,
        gone=tuple(sorted(olds - news)),
        new=tuple(sorted(news - olds)),
        pages=tally.pages,
        changed=len(tally.changed),
        resized=tally.resized,
        mean_overlap=fsum(tally.overlaps) / tally.pages if tally.pages else None,
        overlaps=tuple(tally.bins),
        links_in=links_in,
        gained=_movers(links_in, 1),
        lost=_movers(links_in, -1),
        most_changed=tuple(page_diff(before, after, ident, rules) for _, ident in worst),
    )


def page_diff(before: Edition, after: Edition, ident: str, rules: Rules) -> PageDiff:
    """What entered, left and moved within one page's list. Raises UnknownEssay when neither edition has the page."""
    old, new = _shown_or_none(before, ident, rules), _shown_or_none(after, ident, rules)
    if old is None and new is None:
        raise UnknownEssay(f"no essay {ident!r} in edition {before.id} or {after.id}: see `related export` for its ids")
    was = {target: place for place, target in enumerate(old or (), 1)}
    now = {target: place for place, target in enumerate(new or (), 1)}
    return PageDiff(
        id=ident,
        overlap=None if old is None or new is None else overlap_of(old, new),
        entered=tuple(Shift(target, None, place) for target, place in now.items() if target not in was),
        left=tuple(Shift(target, place, None) for target, place in was.items() if target not in now),
        moved=tuple(Shift(t, was[t], place) for t, place in now.items() if t in was and was[t] != place),
    )


def overlap_of(one: Collection[str], other: Collection[str]) -> float:
    """What two lists share, as a part (0-1) of the longer one; two empty ones are the same: 1.0."""
    longest = max(len(one), len(other))
    return len(set(one) & set(other)) / longest if longest else 1.0


def mean_overlap(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> float | None:
    """EditionDiff.mean_overlap of lists that are already in memory, by page."""
    both = before.keys() & after.keys()
    return fsum(overlap_of(before[ident], after[ident]) for ident in both) / len(both) if both else None


@dataclass(slots=True)
class _Tally:
    """What adds up while pages pass. changed: (overlap, id) of pages in both."""

    pages: int = 0
    resized: int = 0
    overlaps: list[float] = field(default_factory=list)
    changed: list[tuple[float, str]] = field(default_factory=list)
    bins: list[int] = field(default_factory=lambda: [0] * _BINS)
    shown_before: Counter[str] = field(default_factory=Counter)
    shown_after: Counter[str] = field(default_factory=Counter)

    def add(self, ident: str, old: _List | None, new: _List | None) -> None:
        """Count a page with its list in each edition, None where the edition does not have it."""
        self.shown_before.update(old or ())
        self.shown_after.update(new or ())
        if old is None or new is None:
            return
        overlap = overlap_of(old, new)
        self.pages += 1
        self.resized += len(old) != len(new)
        self.overlaps.append(overlap)
        self.bins[min(int(overlap * _BINS), _BINS - 1)] += 1
        if old != new:
            self.changed.append((overlap, ident))

    def links_in(self) -> dict[str, tuple[int, int]]:
        """See EditionDiff.links_in."""
        items = sorted(self.shown_before.keys() | self.shown_after.keys())
        return {item: (self.shown_before[item], self.shown_after[item]) for item in items}


def _movers(links_in: Mapping[str, tuple[int, int]], sign: int) -> tuple[Mover, ...]:
    """The items that gained (sign 1) or lost (-1) most places."""
    movers = (Mover(item, *counts) for item, counts in links_in.items())
    there = (mover for mover in movers if mover.change * sign > 0)
    return tuple(nsmallest(SHOWN, there, key=lambda mover: (-abs(mover.change), mover.id)))


def _shown(edition: Edition, ident: str, rules: Rules) -> _List:
    return tuple(place.target for place, _ in edition.recommend(edition.find(ident), rules))


def _shown_or_none(edition: Edition, ident: str, rules: Rules) -> _List | None:
    try:
        return _shown(edition, ident, rules)
    except UnknownEssay:
        return None
