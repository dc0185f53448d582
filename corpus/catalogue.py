"""The site as a whole: essays, what their lists name, and how well the two were joined."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from corpus.essay import Blurb, Essay
from corpus.matching import Match, Matcher, normalise
from corpus.records import essay_to_record

_EXAMPLES = 5
_BLURBS_TO_INFER_A_CATEGORY = 2


@dataclass(frozen=True, slots=True)
class UnmatchedBlurb:
    """An item known only by its blurb: no essay of the site is it, or its essay has not arrived yet.

    id: "blurb:" and a digest of its text and date, so that every list that shows it names one item.
    """

    id: str
    text: str
    category: str | None
    published: date | None
    url: str | None
    title: str | None


@dataclass(frozen=True, slots=True)
class MatchReport:
    """How the entries of all curated lists were joined; total = joined + ambiguous + unmatched."""

    total: int
    joined: int
    ambiguous: int
    unmatched: int
    by_how: Mapping[str, int]
    ambiguous_examples: tuple[str, ...]
    unmatched_examples: tuple[str, ...]

    @property
    def join_rate(self) -> float | None:
        """Share of the entries whose essay is known; None without entries."""
        return self.joined / self.total if self.total else None


class Unjoined(NamedTuple):
    """How many entries of one list were joined to no essay, and why."""

    ambiguous: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything the offline job works on, in id order.

    curated: essay id -> ids of the items its list names, in list order, each once. It holds essays and unmatched
             blurbs, never the essay itself.
    unjoined: essay id -> the entries of its list that were joined to no essay; only essays that have such.
    digest: of all essays and lists; equal digests mean an equal catalogue.
    """

    essays: tuple[Essay, ...]
    unmatched: tuple[UnmatchedBlurb, ...]
    curated: Mapping[str, tuple[str, ...]]
    unjoined: Mapping[str, Unjoined]
    report: MatchReport
    digest: str


def build_catalogue(essays: Iterable[Essay]) -> Catalogue:
    """Match every list entry to its essay, gather the unmatched, infer categories that lists show unanimously."""
    ordered = sorted(essays, key=lambda essay: essay.id)
    matcher = Matcher(ordered, shown=(blurb.text for essay in ordered for blurb in essay.blurbs if blurb.text))
    matches = {essay.id: _match_list(matcher, essay) for essay in ordered}
    everything = [match for listed in matches.values() for match in listed]
    unmatched = {item.id: item for match in everything if (item := _unmatched_item(match)) is not None}
    named = _categories_shown(everything)
    joined = tuple(
        _with_targets(_with_category(essay, named.get(essay.id, set())), matches[essay.id]) for essay in ordered
    )
    return Catalogue(
        essays=joined,
        unmatched=tuple(unmatched[ident] for ident in sorted(unmatched)),
        curated={essay.id: listed for essay in ordered if (listed := _curated(essay, matches[essay.id]))},
        unjoined={ident: left for ident, listed in matches.items() if any(left := _unjoined(listed))},
        report=_report(everything),
        digest=_digest(ordered),
    )


def _match_list(matcher: Matcher, essay: Essay) -> list[Match]:
    matches = [matcher.match(blurb) for blurb in essay.blurbs]
    first = len(matches) + 1
    references = enumerate(essay.related, first)
    return matches + [matcher.match_reference(text, essay.id, position) for position, text in references]


def _unmatched_item(match: Match) -> UnmatchedBlurb | None:
    """The item that an unmatched blurb is, when it says anything that could be embedded."""
    blurb = match.blurb
    text = blurb.text or blurb.title
    if match.how != "unmatched" or not text:
        return None
    day = blurb.published.isoformat() if blurb.published else ""
    ident = "blurb:" + hashlib.sha256(f"{normalise(text)}\n{day}".encode()).hexdigest()[:16]
    return UnmatchedBlurb(ident, text, blurb.category, blurb.published, blurb.url, blurb.title)


def _curated(essay: Essay, matches: list[Match]) -> tuple[str, ...]:
    listed: dict[str, None] = {}
    for match in matches:
        item = _unmatched_item(match)
        ident = match.target or (item.id if item else None)
        if ident is not None and ident != essay.id:
            listed[ident] = None
    return tuple(listed)


def _unjoined(matches: list[Match]) -> Unjoined:
    by_how = Counter(match.how for match in matches)
    return Unjoined(by_how["ambiguous"], by_how["unmatched"])


def _categories_shown(matches: Iterable[Match]) -> Mapping[str, set[str]]:
    """Essay id -> the categories under which other pages' blurbs show it."""
    shown: dict[str, set[str]] = {}
    for match in matches:
        if match.target and match.blurb.category:
            shown.setdefault(match.target, set()).add(match.blurb.category)
    return shown


def _with_category(essay: Essay, shown: set[str]) -> Essay:
    """The essay, its category inferred where it has none: from the blurbs that show it, else from its own list."""
    own_list = [blurb.category for blurb in essay.blurbs]
    listed = set(own_list) if len(own_list) >= _BLURBS_TO_INFER_A_CATEGORY else set()
    found = shown or listed
    if essay.category or len(found) != 1 or None in found:
        return essay
    return replace(essay, category=found.pop(), category_inferred=True)


def _with_targets(essay: Essay, matches: list[Match]) -> Essay:
    blurbs = (replace(b, target=match.target) for b, match in zip(essay.blurbs, matches, strict=False))
    return replace(essay, blurbs=tuple(blurbs))


def _report(matches: list[Match]) -> MatchReport:
    by_how = Counter(match.how for match in matches)
    return MatchReport(
        total=len(matches),
        joined=sum(match.joined for match in matches),
        ambiguous=by_how["ambiguous"],
        unmatched=by_how["unmatched"],
        by_how=dict(sorted(by_how.items())),
        ambiguous_examples=_examples(matches, "ambiguous"),
        unmatched_examples=_examples(matches, "unmatched"),
    )


def _examples(matches: list[Match], how: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for match in matches:
        if match.how == how:
            found[_describe(match)] = None
    return tuple(found)[:_EXAMPLES]


def _describe(match: Match) -> str:
    blurb: Blurb = match.blurb
    words = blurb.text or blurb.title or blurb.url or "a reference to an unknown id"
    doubt = f" (could be {', '.join(match.candidates[:3])})" if match.candidates else ""
    return f"{blurb.source} #{blurb.position}: {words}{doubt}"


def _digest(essays: list[Essay]) -> str:
    sha = hashlib.sha256()
    for essay in essays:
        record = essay_to_record(essay)
        del record["source"]  # where a page lies says nothing about the essay
        sha.update(json.dumps(record, sort_keys=True, ensure_ascii=False).encode())
        sha.update(b"\n")
    return sha.hexdigest()
