"""From candidates to the list a page shows. `rank()` is pure: the job, the export, the evaluation and the service
all call it, so what is judged is what is served."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import cos, exp, log, pi
from typing import Literal, NamedTuple

from recommender.decisions import NOTHING, PageDecisions, Pin, State
from recommender.reasons import phrase

Origin = Literal["pinned", "curated", "model"]
ItemKind = Literal["essay", "blurb"]
Profile = Literal["editors", "meaning"]
"""Whose order: as editors would list, or by meaning alone."""
Place = Literal["", "held", "lifted"]
"""What the balance of the whole site says of a candidate (recommender/balance.py); "" is nothing."""

DEFAULT_LIMIT = 12
"""How many a page shows when it has no curated list whose length to follow."""
MAX_LIMIT = 50
MAX_SHARE = 0.05
"""No essay stands in a larger share of all lists, unless editors list it more often (recommender/balance.py)."""
LIFTING_LIMIT = 5
"""A shorter list lifts nothing: each of its places is worth too much."""
SKETCH_BITS = 256

_HELD = "already in as many lists as the site allows"
_LIFTED = "no other list would show it"
_PINNED = "pinned by the editors"
_BOOSTED, _BURIED = "boosted by the editors", "buried by the editors"


class Item(NamedTuple):
    """What can be recommended: an essay, or an unmatched blurb (kind "blurb": no page stands behind it yet).

    twins: name of its group of near-duplicates, None when it has none. sketch: SKETCH_BITS bits that tell how near
    two items are in meaning, see similarity(); 0 is unknown.

    A named tuple, as are Candidate and Recommendation, since a request makes dozens and a frozen dataclass takes four
    times as long to make.
    """

    id: str
    kind: ItemKind
    title: str | None = None
    standfirst: str | None = None
    url: str | None = None
    category: str | None = None
    published: date | None = None
    twins: str | None = None
    sketch: int = 0


class Candidate(NamedTuple):
    """An item as one essay's candidate.

    editors, meaning: its score under each profile, a probability (0-1). reasons: the signals that speak most for it,
    strongest first, each with its plain value, as recommender.reasons.phrase() takes it.
    """

    id: str
    editors: float
    meaning: float
    reasons: tuple[tuple[str, float], ...] = ()
    place: Place = ""

    def score(self, profile: Profile) -> float:
        """The score under a profile (0-1)."""
        return self.editors if profile == "editors" else self.meaning


@dataclass(frozen=True, slots=True)
class Rules:
    """What a list may hold, and in which order.

    Filters, for every item: unlinked, category, published_after and published_before (inclusive), newer_by_days and
    older_by_days (how many days newer or older than the essay an item may be), exclude, min_score (of the profile). An
    item without a date or category fails a rule about it; an essay without a date fails every item where its date
    counts.

    Composition, for what the model adds, since editors may list as they like:
    diversity     0-1; at 0 the order is the score's, at 1 only what differs from the items above counts (see rank)
    per_category  at most so many of one category; what the editors listed counts, items without category do not
    balanced      whether Candidate.place is obeyed
    additions     whether the model adds anything; without additions a list holds only what editors listed
    approved      whether, without additions, what editors approved is added all the same

    at_least: when fewer items than this get through, the list is empty. The limit does not count for that: a page that
    asks for two gets two, if there are at_least to choose from.
    """

    limit: int = DEFAULT_LIMIT
    curated_first: bool = True
    unlinked: bool = False
    category: str | None = None
    published_after: date | None = None
    published_before: date | None = None
    exclude: frozenset[str] = frozenset()
    min_score: float | None = None
    profile: Profile = "editors"
    diversity: float = 0.0
    per_category: int | None = None
    at_least: int = 0
    newer_by_days: int | None = None
    older_by_days: int | None = None
    balanced: bool = True
    additions: bool = True
    approved: bool = False


class Recommendation(NamedTuple):
    """One place of an essay's list; position counts from 1. score: the one of the profile asked for."""

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


def rules_in(state: State, rules: Rules) -> Rules:
    """The rules of a page in this state."""
    if state == "standard":
        return rules
    if state == "model":
        return replace(rules, curated_first=False)
    return replace(rules, additions=False, approved=state == "review")


def rank(
    source: Item,
    candidates: Sequence[Candidate],
    curated: Sequence[Candidate],
    items: Mapping[str, Item],
    rules: Rules,
    decisions: PageDecisions = NOTHING,
) -> Ranking:
    """The essay's list: its curated items in the editors' order, then candidates by (-score, id).

    items: every item that candidates, curated and decisions name; a decision about any other has no effect. Never in
    the list: the essay itself, anything twice, a near-duplicate of the essay or of an item above it, an unmatched blurb
    unless the rules ask for them.

    With diversity d each next candidate is the one with the most (1 - d) * relevance - d * its greatest similarity to
    an item above: maximal marginal relevance (Carbonell and Goldstein 1998). Relevance is the score's logit, put
    between 0 for the least and 1 for the best of the candidates: probabilities themselves fall too fast to be weighed
    against similarities. With nothing above the similarity is 0.

    Candidate.place: "held" is passed over. "lifted" takes the last place of a full list of LIFTING_LIMIT or more, from
    a candidate of the model, when it would not stand in the list and all rules let it; one a list, the best of several.

    decisions: exclude > pin > curated > model. What is excluded is never in the list. What is pinned stands at its
    position, or last in a shorter list; the rules that filter hold for it too, but for min_score, and a near-duplicate
    of it goes. A boost or bury is added to the logit of a candidate, and so changes its score; it moves nothing that is
    pinned or listed by the editors. What is pinned or approved though it is no candidate has the score 0. The state
    is not read here: see rules_in().
    """
    ranking = _fill(source, candidates, curated, items, rules, decisions)
    if len(ranking.recommendations) >= rules.at_least:
        return ranking
    enough = _fill(source, candidates, curated, items, replace(rules, limit=rules.at_least), decisions)
    if len(enough.recommendations) >= rules.at_least:
        return ranking
    return _show_none(enough, rules.at_least)


def why_not(
    source: Item,
    target: str,
    candidates: Sequence[Candidate],
    curated: Sequence[Candidate],
    items: Mapping[str, Item],
    rules: Rules,
    decisions: PageDecisions = NOTHING,
) -> str:
    """Where an item stands in the essay's list, or what keeps it out, as one sentence. The target may be any id."""
    if target == source.id:
        return "it is the essay itself"
    offered = len({candidate.id for candidate in candidates} - {source.id})
    named = len(decisions.pins) + len(decisions.approved)
    unlimited = replace(rules, limit=len(candidates) + len(curated) + named)  # all are offered, so none is lifted
    for asked in (rules, unlimited):
        ranking = rank(source, candidates, curated, items, asked, decisions)
        for place in ranking.recommendations:
            if place.target == target:
                return _standing(place, rules, offered)
        for dropped in ranking.dropped:
            if dropped.target == target:
                return dropped.reason
    if target in decisions.excluded:
        return _excluded(decisions, target)
    if not rules.additions and any(candidate.id == target for candidate in candidates):
        did = "list or approve" if rules.approved else "list"
        return f"the editors did not {did} it, and nothing else is asked for"
    return f"not among its {_candidates(offered)}" if target in items else f"there is no item {target!r}"


def relevances(candidates: Sequence[Candidate], profile: Profile) -> dict[str, float]:
    """Id -> logit of the score, put between 0 for the least candidate and 1 for the best; 1 when all are equal."""
    logits = {c.id: _logit(c.score(profile)) for c in candidates}
    least, best = min(logits.values(), default=0.0), max(logits.values(), default=0.0)
    return {ident: (logit - least) / (best - least) if best > least else 1.0 for ident, logit in logits.items()}


def _logit(probability: float) -> float:
    kept = min(max(probability, _CERTAIN), 1 - _CERTAIN)
    return log(kept / (1 - kept))


_CERTAIN = 1e-6  # as scores are written in editions


def explain(candidate: Candidate, origin: Origin, lifted: bool = False, weight: float = 0.0) -> tuple[str, ...]:
    """Why a candidate stands in a list, in an editor's words, the strongest reason first.

    weight: what editors added to its logit.
    """
    first = {"pinned": [_PINNED], "curated": ["listed by the editors"], "model": [_LIFTED] if lifted else []}[origin]
    if weight and origin == "model":
        first.append(_BOOSTED if weight > 0 else _BURIED)
    return (*first, *(phrase(signal, value) for signal, value in candidate.reasons))


def similarity(a: int, b: int) -> float:
    """The cosine of two items' vectors (-1 to 1), estimated from their sketches; 0.0 when either is unknown (0).

    The share of bits in which two sketches differ estimates their vectors' angle, in half turns (Charikar 2002); its
    standard error is at most 0.03, that of the cosine 0.1.
    """
    return cos(pi * (a ^ b).bit_count() / SKETCH_BITS) if a and b else 0.0


def list_limit(list_length: int) -> int:
    """How many a page shows by default: as many as its editors listed, else DEFAULT_LIMIT."""
    return min(list_length, MAX_LIMIT) or DEFAULT_LIMIT


def _fill(
    source: Item,
    candidates: Sequence[Candidate],
    curated: Sequence[Candidate],
    items: Mapping[str, Item],
    rules: Rules,
    decisions: PageDecisions,
) -> Ranking:
    """The list without regard to at_least."""
    offered = {candidate.id: candidate for candidate in (*curated, *candidates)}
    growing = _GrowingList(source, items, rules, decisions, offered)
    for candidate in curated if rules.curated_first else ():
        growing.offer(candidate, "curated")
    added = _added(candidates, offered, items, rules, decisions)
    ordered = sorted(added, key=lambda c: (-c.score(rules.profile), c.id))
    for candidate in growing.most_diverse(ordered) if rules.diversity else ordered:
        growing.offer(candidate, "model")
    growing.close()
    if rules.balanced:
        growing.lift([candidate for candidate in ordered if candidate.place == "lifted"])
    return Ranking(tuple(growing.kept), tuple(growing.dropped))


def _added(
    candidates: Sequence[Candidate],
    offered: Mapping[str, Candidate],
    items: Mapping[str, Item],
    rules: Rules,
    decisions: PageDecisions,
) -> Sequence[Candidate]:
    """What the model may add, boosted and buried."""
    if rules.additions:
        added = candidates
    elif rules.approved:
        absent = sorted(i for i in decisions.approved if i not in offered and i in items)
        added = [*(c for c in candidates if c.id in decisions.approved), *(Candidate(i, 0.0, 0.0) for i in absent)]
    else:
        added = ()
    return [_weighed(c, decisions.weights[c.id]) if c.id in decisions.weights else c for c in added]


def _weighed(candidate: Candidate, weight: float) -> Candidate:
    """The candidate with the weight added to the logits of its scores."""
    editors, meaning = (_probability(_logit(score) + weight) for score in (candidate.editors, candidate.meaning))
    return candidate._replace(editors=editors, meaning=meaning)


def _probability(logit: float) -> float:
    return round(1 / (1 + exp(-logit)), 6)


class _GrowingList:
    """A list that is filled from its top, and what was passed over."""

    def __init__(
        self,
        source: Item,
        items: Mapping[str, Item],
        rules: Rules,
        decisions: PageDecisions,
        offered: Mapping[str, Candidate],
    ) -> None:
        """offered: what a pinned item is, where the model offers it."""
        self.kept: list[Recommendation] = []
        self.dropped: list[Dropped] = []
        self._source, self._items, self._rules, self._decisions = source, items, rules, decisions
        self._offered = {source.id}
        self._pins = [pin for pin in decisions.pins if self._may_be_pinned(pin, offered)]
        self._pinned = {pin.target: offered.get(pin.target) or Candidate(pin.target, 0.0, 0.0) for pin in self._pins}
        self._reserved = [pin.target for pin in self._pins]  # one below a full list too: any limit gives its beginning
        self._offered |= self._pinned.keys()
        self._place_pins()

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return len(self.kept) >= self._rules.limit

    def offer(self, candidate: Candidate, origin: Origin) -> None:
        """Give the item the next place, or note what keeps it out. Nothing happens when the list is full, or when the
        item was offered before."""
        if self.full or candidate.id in self._offered:
            return
        self._offered.add(candidate.id)
        reason = self._kept_out(candidate, origin)
        if reason:
            self.dropped.append(Dropped(candidate.id, reason))
        else:
            self._append(candidate, origin)
            self._place_pins()

    def close(self) -> None:
        """Nothing more is offered: what is pinned further down than the list is long comes last."""
        while self._pins and not self.full:
            self._append(self._pinned[self._pins.pop(0).target], "pinned")

    def lift(self, candidates: Sequence[Candidate]) -> None:
        """Give the last place to the first of these that was not offered yet and that the rules let into it."""
        if not self.full or self._rules.limit < LIFTING_LIMIT or self.kept[-1].origin != "model":
            return
        last = self.kept.pop()
        for candidate in candidates:
            if candidate.id not in self._offered and not self._kept_out(candidate, "model"):
                self._append(candidate, "model", lifted=True)
                self.dropped.append(Dropped(last.target, f"its place is given to {candidate.id}: {_LIFTED}"))
                return
        self.kept.append(last)

    def most_diverse(self, ordered: Sequence[Candidate]) -> Iterator[Candidate]:
        """The candidates by maximal marginal relevance to the list as it is when the next is asked for.

        Ties stay in the order given. While nothing is above, all are equally unlike it.
        """
        left, nearest, compared = list(ordered), dict.fromkeys((c.id for c in ordered), -1.0), 0
        relevance, diversity = relevances(ordered, self._rules.profile), self._rules.diversity

        def worth(candidate: Candidate) -> float:
            return (1 - diversity) * relevance[candidate.id] - diversity * nearest[candidate.id]

        while left and not self.full:
            for shown in self.kept[compared:]:
                sketch = self._items[shown.target].sketch
                for candidate in left:
                    alike = similarity(sketch, self._items[candidate.id].sketch)
                    nearest[candidate.id] = max(nearest[candidate.id], alike)
            compared = len(self.kept)
            best = max(left, key=worth)
            left.remove(best)
            yield best

    def _place_pins(self) -> None:
        """Give what is pinned at the next place, or above it, its place."""
        while self._pins and self._pins[0].position <= len(self.kept) + 1 and not self.full:
            self._append(self._pinned[self._pins.pop(0).target], "pinned")

    def _may_be_pinned(self, pin: Pin, offered: Mapping[str, Candidate]) -> bool:
        """Whether what is decided and asked lets the pin be; otherwise what keeps it out is noted."""
        if pin.target == self._source.id or pin.target not in self._items:
            return False
        item, candidate = self._items[pin.target], offered.get(pin.target) or Candidate(pin.target, 0.0, 0.0)
        reason = (
            _excluded(self._decisions, pin.target)
            or _filtered(item, candidate, replace(self._rules, min_score=None))
            or _wrong_age(item, self._source, self._rules)
        )
        if reason:
            self._offered.add(pin.target)
            self.dropped.append(Dropped(pin.target, reason))
        return not reason

    def _append(self, candidate: Candidate, origin: Origin, lifted: bool = False) -> None:
        position, score = len(self.kept) + 1, candidate.score(self._rules.profile)
        reasons = explain(candidate, origin, lifted, self._decisions.weights.get(candidate.id, 0.0))
        self.kept.append(Recommendation(self._source.id, candidate.id, position, score, origin, reasons))

    def _kept_out(self, candidate: Candidate, origin: Origin) -> str | None:
        """The first rule that keeps the item out of the next place, as a sentence."""
        item = self._items[candidate.id]
        return (
            _excluded(self._decisions, candidate.id)
            or _filtered(item, candidate, self._rules)
            or _wrong_age(item, self._source, self._rules)
            or self._near_duplicate(item)
            or (self._unwelcome(item, candidate) if origin == "model" else None)
        )

    def _near_duplicate(self, item: Item) -> str | None:
        if item.twins is None:
            return None
        beside = (self._source.id, *self._reserved, *(place.target for place in self.kept))
        twin = next((ident for ident in beside if self._twins_of(ident) == item.twins), None)
        return f"a near-duplicate of {twin}" if twin is not None else None

    def _twins_of(self, ident: str) -> str | None:
        return self._source.twins if ident == self._source.id else self._items[ident].twins

    def _unwelcome(self, item: Item, candidate: Candidate) -> str | None:
        """What the composition of the list, or of the whole site, has against an item that no editor listed."""
        if self._rules.balanced and candidate.place == "held" and candidate.id not in self._decisions.approved:
            return _HELD
        if self._rules.per_category is None or item.category is None:
            return None
        beside = {*self._reserved, *(place.target for place in self.kept)}
        count = sum(self._items[ident].category == item.category for ident in beside)
        if count >= self._rules.per_category:
            return f"the list has {count} of the category {item.category} already"
        return None


def _excluded(decisions: PageDecisions, target: str) -> str:
    """What the editors have against an item; "" when nothing."""
    scope = decisions.excluded.get(target)
    return "" if scope is None else f"excluded {scope} by the editors"


def _filtered(item: Item, candidate: Candidate, rules: Rules) -> str | None:
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
    score = candidate.score(rules.profile)
    if rules.min_score is not None and score < rules.min_score:
        return f"its score {score:.3f} is under {rules.min_score:.3f}"
    return None


def _wrong_age(item: Item, source: Item, rules: Rules) -> str | None:
    if rules.newer_by_days is None and rules.older_by_days is None:
        return None
    if item.published is None or source.published is None:
        return "its date is unknown" if item.published is None else "the essay's date is unknown"
    days = (item.published - source.published).days
    if rules.newer_by_days is not None and days > rules.newer_by_days:
        return f"{days:,} days newer than the essay, more than {rules.newer_by_days:,}"
    if rules.older_by_days is not None and -days > rules.older_by_days:
        return f"{-days:,} days older than the essay, more than {rules.older_by_days:,}"
    return None


def _show_none(ranking: Ranking, at_least: int) -> Ranking:
    """No list, when it would be too short to be one."""
    count = len(ranking.recommendations)
    reason = f"only {count} got through, and a list needs {at_least}"
    unshown = tuple(Dropped(place.target, reason) for place in ranking.recommendations)
    return Ranking((), ranking.dropped + unshown)


def _standing(place: Recommendation, rules: Rules, offered: int) -> str:
    by = {"pinned": _PINNED, "curated": "listed by the editors", "model": f"of {_candidates(offered)}"}[place.origin]
    end = f", below the list's end at {rules.limit}" if place.position > rules.limit else ""
    return f"at rank {place.position:,}, {by}, with a score of {place.score:.3f}{end}"


def _candidates(count: int) -> str:
    return f"{count:,} candidate{'' if count == 1 else 's'}"
