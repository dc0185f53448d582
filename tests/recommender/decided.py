"""Decisions, and a site about which they are made."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from recommender.decisions import Action, Decision
from recommender.standing import Log, Standing

MORNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
_keys = count(1)


def decide(action: Action, source: str | None = None, target: str | None = None, **more: Any) -> Decision:
    """A decision by Ann at nine in the morning, with a key of its own."""
    said = {"editor": "Ann", "at": MORNING, "key": f"key-{next(_keys)}", **more}
    return Decision(action=action, source=source, target=target, **said)


def undo(ident: int, **more: Any) -> Decision:
    """What takes the entry with this id back."""
    return decide("undo", undoes=ident, **more)


class Pages:
    """What Standing knows of an edition: items, and by item the pages that offer it."""

    def __init__(self, items: Iterable[str], offered: Mapping[str, Iterable[str]] | None = None) -> None:
        self._items = frozenset(items)
        self._offered = {ident: frozenset(pages) for ident, pages in (offered or {}).items()}

    def has(self, ident: str) -> bool:
        """Whether there is such an item."""
        return ident in self._items

    def offered_in(self, ident: str) -> frozenset[str]:
        """The pages whose lists name it."""
        return self._offered.get(ident, frozenset())


def numbered(entries: Iterable[Decision], first: int = 1) -> list[Decision]:
    """The entries as a log gives them back."""
    return [replace(entry, id=number) for number, entry in enumerate(entries, start=first)]


def log_of(*entries: Decision) -> Log:
    """The log of these entries, in order."""
    return Log().with_(numbered(entries))


def standing_of(*entries: Decision, pages: Pages, after: timedelta = timedelta(hours=1)) -> Standing:
    """What holds so long after nine in the morning."""
    return Standing(log_of(*entries), MORNING + after, pages)
