"""What a build takes over from the editors: their decisions about essays that have a new id now are made to follow, and
what they approved and excluded becomes labels to learn from."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from corpus.catalogue import Catalogue
from corpus.essay import Essay
from corpus.matching import normalise
from recommender.decision_log import DecisionLog
from recommender.decisions import Decision
from recommender.edition import Edition
from recommender.editor_labels import NO_LABELS, EditorLabels
from recommender.list_store import spelled_once
from recommender.ranking import Item
from recommender.standing import Log, Standing

EDITOR = "build"
"""Who signs what a build writes into the log."""


@dataclass(frozen=True, slots=True)
class _Site:
    """What replaying must know of a catalogue, which has no lists yet."""

    ids: frozenset[str]

    def has(self, ident: str) -> bool:
        return ident in self.ids

    def offered_in(self, ident: str) -> frozenset[str]:
        return frozenset()


def hear_editors(decisions: DecisionLog, catalogue: Catalogue, last: Edition | None, *, now: datetime) -> EditorLabels:
    """Have decisions follow what has a new id, and return the labels.

    decisions: is closed then. last: the edition before. Raises DecisionLogError.
    """
    with closing(decisions):
        log = Log().with_(decisions.since())
        if not log.last:
            return NO_LABELS
        site = _Site(frozenset([*(e.id for e in catalogue.essays), *(blurb.id for blurb in catalogue.unmatched)]))
        follows = [
            Decision(
                action="follow",
                editor=EDITOR,
                at=now,
                key=f"follow:{sha256(f'{old}{chr(0)}{new}'.encode()).hexdigest()[:48]}",
                source=old,
                target=new,
            )
            for old, new in find_moved(Standing(log, now, site).vanished, site.has, last, catalogue).items()
        ]
        written = decisions.append(follows) if follows else []
    log = log.with_(entry for entry in written if entry.id > log.last)
    return labels_of(Standing(log, now, site))


def labels_of(standing: Standing) -> EditorLabels:
    """What was approved or excluded on a page, as pairs of ids. What is excluded everywhere says nothing of a pair, and
    what is pinned may be there for another reason than its fitness."""
    return EditorLabels(frozenset(_pairs(standing, "approve")), frozenset(_pairs(standing, "exclude")))


def _pairs(standing: Standing, kind: str) -> Iterator[tuple[str, str]]:
    for slot, _ in standing.of_kind(kind):
        if slot.source is not None and slot.target is not None:
            yield slot.source, slot.target


def find_moved(
    vanished: Iterable[Decision], has: Callable[[str], bool], last: Edition | None, catalogue: Catalogue
) -> dict[str, str]:
    """The ids of vanished essays and blurbs -> the ids that they have now, where there is just one that they can be.

    An essay that has its address, or all of its title, standfirst and date, and that the last edition did not have. A
    blurb is the essay that has its address, or its words as standfirst and its date.
    """
    gone = {
        ident: (title, url)
        for decision in vanished
        for ident, title, url in (
            (decision.source, decision.source_title, decision.source_url),
            (decision.target, decision.target_title, decision.target_url),
        )
        if ident is not None and not has(ident)
    }
    arrivals = _Arrivals(catalogue.essays, last)
    found = {ident: arrivals.find(ident, _known(last, ident), url) for ident, (_, url) in gone.items()}
    return {ident: new for ident, new in found.items() if new is not None}


_Found = dict[tuple[str, ...], list[str]]


class _Arrivals:
    """The essays of a new catalogue, by what may tell that one of them is an old one."""

    def __init__(self, essays: Iterable[Essay], last: Edition | None) -> None:
        self._by_url: _Found = {}
        self._by_texts: _Found = {}
        self._by_standfirst: _Found = {}
        for essay in essays:
            standfirst, day = normalise(essay.standfirst or ""), str(essay.published)
            if standfirst:
                self._by_standfirst.setdefault((standfirst, day), []).append(essay.id)
            if last is not None and last.has(essay.id):
                continue
            if essay.url:
                self._by_url.setdefault((spelled_once(essay.url),), []).append(essay.id)
            if essay.title:
                self._by_texts.setdefault((normalise(essay.title), standfirst, day), []).append(essay.id)

    def find(self, ident: str, item: Item | None, url: str | None) -> str | None:
        """The essay that this one is now. item: as the last edition knew it. url: as the editor saw it."""
        url = (item.url if item else None) or url
        if url and (there := _only(self._by_url, (spelled_once(url),))):
            return there
        if item is None:
            return None
        standfirst, day = normalise(item.standfirst or ""), str(item.published)
        if item.kind == "blurb":
            return _only(self._by_standfirst, (standfirst, day)) if standfirst else None
        return _only(self._by_texts, (normalise(item.title), standfirst, day)) if item.title else None


def _only(found: _Found, key: tuple[str, ...]) -> str | None:
    """The one id under a key; None when there are several, or none."""
    ids = found.get(key, [])
    return ids[0] if len(ids) == 1 else None


def _known(last: Edition | None, ident: str) -> Item | None:
    return last.items.get(ident) if last is not None else None
