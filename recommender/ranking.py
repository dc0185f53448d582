"""From candidates to the list a page shows. `rank()` is pure: the job, the export, the evaluation and the service
all call it, so what is judged is what is served."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

Origin = Literal["curated", "model"]
ItemKind = Literal["essay", "blurb"]

DEFAULT_LIMIT = 12
"""How many a page shows when it has no curated list whose length to follow."""
MAX_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Item:
    """What can be recommended: an essay, or an unmatched blurb (kind "blurb": no page stands behind it yet).

    twins: name of its group of near-duplicates, None when it has none.
    """

    id: str
    kind: ItemKind
    title: str | None = None
    standfirst: str | None = None
    url: str | None = None
    category: str | None = None
    published: date | None = None
    twins: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item with its score for one essay, and the two signals that a person can read."""

    id: str
    score: float
    meaning: float
    wording: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What a list may hold. Dates are inclusive; an item without a date or category fails a rule about it."""

    limit: int = DEFAULT_LIMIT
    curated_first: bool = True
    unlinked: bool = False
    category: str | None = None
    published_after: date | None = None
    published_before: date | None = None
    exclude: frozenset[str] = frozenset()
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One place of an essay's list; position counts from 1."""

    source: str
    target: str
    position: int
    score: float
    origin: Origin
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A candidate that a rule kept out, and which."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """An essay's list, and what was passed over above its last place."""

    recommendations: tuple[Recommendation, ...]
    dropped: tuple[Dropped, ...]


def rank(
    source: Item,
    candidates: Sequence[Candidate],
    curated: Sequence[Candidate],
    items: Mapping[str, Item],
    rules: Rules,
) -> Ranking:
    """The essay's list: its curated items in the editors' order, then candidates by (-score, id).

    items: every item that candidates and curated name. Never in the list: the essay itself, anything twice, a
    near-duplicate of the essay or of an item above it, an unmatched blurb unless the rules ask for them.
    """
    kept: list[Recommendation] = []
    dropped: list[Dropped] = []
    shown: dict[str, str] = {source.twins: source.id} if source.twins else {}
    taken = {source.id}
    for origin, candidate in _in_order(candidates, curated if rules.curated_first else ()):
        if len(kept) == rules.limit:
            break
        if candidate.id in taken:
            continue
        taken.add(candidate.id)
        item = items[candidate.id]
        reason = _kept_out(item, candidate, rules) or _near_duplicate(item, shown)
        if reason:
            dropped.append(Dropped(item.id, reason))
            continue
        if item.twins:
            shown[item.twins] = item.id
        reasons = explain(candidate, origin)
        kept.append(Recommendation(source.id, item.id, len(kept) + 1, candidate.score, origin, reasons))
    return Ranking(tuple(kept), tuple(dropped))


def explain(candidate: Candidate, origin: Origin) -> tuple[str, ...]:
    """Why a candidate stands in a list, in an editor's words, the strongest reason first."""
    reasons = ["listed by the editors"] if origin == "curated" else []
    reasons.append(f"{_degree(candidate.meaning, 0.6, 0.4)} in meaning ({candidate.meaning:.2f})")
    reasons.append(f"{_degree(candidate.wording, 0.3, 0.1)} in wording ({candidate.wording:.2f})")
    return tuple(reasons)


def _in_order(candidates: Sequence[Candidate], curated: Sequence[Candidate]) -> Iterator[tuple[Origin, Candidate]]:
    for candidate in curated:
        yield "curated", candidate
    for candidate in sorted(candidates, key=lambda c: (-c.score, c.id)):
        yield "model", candidate


def _kept_out(item: Item, candidate: Candidate, rules: Rules) -> str | None:
    """The first rule that keeps the item out, as a sentence."""
    if item.kind == "blurb" and not rules.unlinked:
        return "no page stands behind this blurb"
    if item.id in rules.exclude:
        return "excluded by the request"
    if rules.category is not None and item.category != rules.category:
        return f"its category is {item.category or 'unknown'}, not {rules.category}"
    if rules.published_after and (item.published is None or item.published < rules.published_after):
        return f"published {item.published or 'at an unknown date'}, not after {rules.published_after}"
    if rules.published_before and (item.published is None or item.published > rules.published_before):
        return f"published {item.published or 'at an unknown date'}, not before {rules.published_before}"
    if rules.min_score is not None and candidate.score < rules.min_score:
        return f"its score {candidate.score:.3f} is under {rules.min_score:.3f}"
    return None


def _near_duplicate(item: Item, shown: Mapping[str, str]) -> str | None:
    if item.twins and item.twins in shown:
        return f"a near-duplicate of {shown[item.twins]}"
    return None


def _degree(value: float, close: float, akin: float) -> str:
    return "close" if value >= close else "akin" if value >= akin else "distant"


def list_limit(list_length: int) -> int:
    """How many a page shows by default: as many as its editors listed, else DEFAULT_LIMIT."""
    return min(list_length, MAX_LIMIT) or DEFAULT_LIMIT
