"""Small editions, written without a model, and ways to damage them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from recommender.edition import LISTS, EssayLists
from recommender.page_facts import write_facts
from recommender.publishing import Judge, build_lock, new_folder, publish, write_lists
from recommender.ranking import Candidate, Item

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

BREAD = Item("bread", "essay", "Bread", "On bread.", "https://example.org/bread", "Food", date(2024, 1, 10))
RYE = Item("rye", "essay", "Rye", "On rye.", "https://example.org/rye", "Food", date(2024, 2, 20))
SALT = Item("salt", "essay", "Salt", "On salt.", "https://example.org/salt", "Food", date(2023, 5, 5))
SUNDIAL = Item("sundial", "essay", "Sundials", None, None, "Time", None)
QUERN = Item("blurb:quern", "blurb", None, "How a quern was dressed.", None, "Food", date(2022, 3, 3))
ODD_IDS = (
    "related",
    "a/related",
    "2024/05/naïve café",
    "100% rye?#crust: a+b&c=d",
    "麦/麵包",
    "a,b",
    "/leading//slashes/",
    "%2F",
)
ITEMS_OF_THE_SITE = (BREAD, QUERN, RYE, SALT, SUNDIAL, *(Item(ident, "essay", url=None) for ident in ODD_IDS))

_SALT = Candidate("salt", 0.25, 0.25, (("meaning", 0.3), ("wording", 0.05), ("category", 1.0)))
LISTS_OF_THE_SITE = (
    EssayLists(
        "bread",
        list_length=2,
        curated=(_SALT,),
        candidates=(
            Candidate("rye", 0.75, 0.5, (("meaning", 0.7), ("wording", 0.4), ("author", 1.0), ("category", 1.0))),
            _SALT,
            Candidate("sundial", 0.125, 0.625, (("meaning", 0.2),)),
        ),
        unlinked=(Candidate("blurb:quern", 0.5, 0.5, (("meaning", 0.5), ("wording", 0.2))),),
    ),
    EssayLists("rye", 0, (), tuple(Candidate(ident, 0.5, 0.5) for ident in ("bread", "salt", *ODD_IDS)), ()),
    EssayLists("salt", 3, (), (), ()),
    EssayLists("sundial", 0, (), tuple(Candidate(ident, 0.5, 0.5) for ident in ODD_IDS), ()),
    *(EssayLists(ident, 1, (), (Candidate("rye", 0.5, 0.6),), ()) for ident in ODD_IDS),
)


@dataclass
class Clock:
    """A clock that a test moves."""

    time: datetime = field(default=NOON + timedelta(hours=1))

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        """Let this much time pass."""
        self.time += timedelta(**by)


def publish_edition(
    home: Path,
    built_at: datetime = NOON,
    lists: Sequence[EssayLists] = LISTS_OF_THE_SITE,
    items: Sequence[Item] = ITEMS_OF_THE_SITE,
    judge: Judge | None = None,
    facts: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """Publish an edition of the site; returns its id.

    facts: what write_facts() is told beside the places. more: entries of the manifest.
    """
    manifest = {
        "built_at": built_at.isoformat(),
        "encoder": "none",
        "inputs": "none",
        "counts": {"essays": len(lists), "unmatched_blurbs": 1},
        "evaluation": {},
        **more,
    }
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, items, lists)
        if _all_have_rows(items, lists):
            write_facts(folder, [_place(number) for number in range(len(lists))], **(facts or {}))
        return publish(home, folder, manifest, judge=judge)


def _all_have_rows(items: Sequence[Item], lists: Sequence[EssayLists]) -> bool:
    """Whether every essay has lists, as in all that a build writes: without that there is no overview."""
    return {item.id for item in items if item.kind == "essay"} <= {entry.id for entry in lists}


def _place(number: int) -> tuple[float, float]:
    """Where an essay stands on the map: in rows of eight."""
    return (number % 8) / 8, (number // 8) / 8


def publish_other_edition(home: Path, built_at: datetime = NOON + timedelta(hours=1)) -> str:
    """Publish one in which bread's only related article is the sundial."""
    changed = EssayLists("bread", 1, (), (Candidate("sundial", 0.5, 0.5),), ())
    return publish_edition(home, built_at, (changed, *LISTS_OF_THE_SITE[1:]))


def damage(home: Path, edition: str) -> None:
    """Cut a byte from a file that the service reads."""
    path = home / "editions" / edition / LISTS
    os.truncate(path, path.stat().st_size - 1)
