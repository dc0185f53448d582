"""What every page of the desk works with: the answers served now, the log, and what the build knows of every page."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fastapi import Request
from starlette.responses import Response

from corpus.errors import DecisionRefused, EditionError
from recommender.consequences import consequences
from recommender.decisions import Decision
from recommender.edition import Edition
from recommender.overview import PageFacts
from recommender.standing import Log, Standing
from service.answers import Answers
from service.desk.people import Person
from service.desk.rendering import render
from service.editions import LiveEdition
from service.settings import Settings

if TYPE_CHECKING:
    from recommender.decision_log import DecisionLog
    from service.desk.explaining import ExplainDesk


JUST = timedelta(minutes=15)
"""So long after a decision a page may tell that it was made, and offer to undo it."""
WEAK = 0.5
"""Weak is what has less than this share of the site's median strength."""


class Desk:
    """The desk of one process; for many threads. What it loads, it loads when an editor comes."""

    def __init__(self, settings: Settings, live: LiveEdition, now: Callable[[], datetime]) -> None:
        self.settings, self.live, self.now = settings, live, now
        self.store = live.store
        self._sites: dict[str, Site] = {}

    @cached_property
    def log(self) -> "DecisionLog":
        """The log, for writing."""
        return self.store.log()

    @cached_property
    def explainer(self) -> "ExplainDesk":
        """Who tells why."""
        from service.desk.explaining import ExplainDesk

        return ExplainDesk(self.settings)

    def answers(self) -> Answers:
        """The answers served now, under the decisions that hold now. Raises NoEdition."""
        return self.live.answers()

    def site(self, edition: Edition) -> "Site":
        """All pages of an edition, kept as long as it is the one asked about."""
        site = self._sites.get(edition.id)
        if site is None:
            site = Site(edition)
            self._sites = {edition.id: site}
        return site

    def write(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Write decisions, all or none; they are on the disk when this returns."""
        return self.log.append(decisions)

    async def close(self) -> None:
        """End what runs beside the requests."""
        if "explainer" in self.__dict__:
            await self.explainer.close()
        if "log" in self.__dict__:
            self.log.close()


class Site:
    """The pages of an edition as the build saw them, in memory: by id, and by group of near-duplicates.

    weak: suggestions of less strength than this are weak.
    """

    def __init__(self, edition: Edition) -> None:
        try:
            self.rows = rows = tuple(edition.overview.rows())
        except sqlite3.Error as error:
            raise EditionError(
                f"edition {edition.id} cannot be read any more ({error}): load the page again"
            ) from error
        self.by_id = {row.id: row for row in rows}
        self.categories = sorted({row.category for row in rows if row.category})
        self.weak = WEAK * median(row.strength for row in rows) if rows else 0.0
        self._twins: dict[str, list[PageFacts]] = {}
        for row in rows:
            if row.twins is not None:
                self._twins.setdefault(row.twins, []).append(row)

    def twins(self, page: PageFacts) -> list[PageFacts]:
        """The near-duplicates of a page, itself not among them."""
        return [row for row in self._twins.get(page.twins or "", ()) if row.id != page.id]


def desk_of(request: Request) -> Desk:
    """The desk of the app that a request came to."""
    desk: Desk = request.app.state.desk
    return desk


def new_key() -> str:
    """A key for a decision that is about to be made."""
    return uuid4().hex


def described(decision: Decision, answers: Answers) -> Decision:
    """The decision with the edition that its editor looked at, and what its essays are called there.

    Raises UnknownEssay for a source that is no essay, DecisionRefused for a target that does not exist.
    """
    edition = answers.edition
    source = edition.find(decision.source) if decision.source is not None else None
    target = edition.items.get(decision.target) if decision.target is not None else None
    if decision.target is not None and target is None:
        raise DecisionRefused(f"there is no essay or blurb {decision.target!r} in edition {edition.id}")
    return replace(
        decision,
        edition=edition.id,
        source_title=source and (source.title or source.standfirst),
        source_url=source and source.url,
        target_title=target and (target.title or target.standfirst),
        target_url=target and target.url,
    )


def undo_of(undone: Decision, person: Person, now: datetime, key: str, note: str = "") -> Decision:
    """What takes a decision back."""
    return Decision(
        action="undo",
        editor=person.name,
        at=now,
        key=key,
        source=undone.source,
        target=undone.target if undone.target != undone.source else None,
        note=note,
        undoes=undone.id,
        edition=undone.edition,
        source_title=undone.source_title,
        source_url=undone.source_url,
        target_title=undone.target_title,
        target_url=undone.target_url,
    )


def told_before(decision: Decision, answers: Answers) -> tuple[str, ...]:
    """What a decision in the log did to others when it was made."""
    log = answers.standing.log
    earlier = (entry for entry in log.decisions.values() if entry.id < decision.id)
    said = consequences(Standing(Log().with_(earlier), decision.at, answers.edition), decision)
    return said if any(sentence.startswith(_UNSEEN) for sentence in said) else (*said, *_unseen(decision, answers))


_UNSEEN = "readers do not see it"


def _unseen(decision: Decision, answers: Answers) -> Iterator[str]:
    """What was approved or pinned may be further down than a page's list is long."""
    standing, source, target = answers.standing, decision.source, decision.target
    if decision.action not in ("approve", "pin") or not standing.log.holds(decision.id, standing.now):
        return
    if source is None or target is None or not (answers.edition.has(source) and answers.edition.has(target)):
        return
    shown = answers.places(answers.edition.find(source), answers.site)
    if target not in {place.target for place, _ in shown}:
        yield f"{_UNSEEN} now, {answers.why_not(source, target, answers.site)}"


def render_page(request: Request, template: str, answers: Answers, status: int = 200, **context: Any) -> Response:
    """A page of the desk, with what stands on each of them. `done` in the query: what this person has just decided."""
    done = _just_done(request, answers)
    path = request.scope.get("raw_path", b"").decode("latin-1")  # as it was sent: an id may hold any character
    query = request.scope["query_string"].decode("latin-1")
    common = {
        "path": path,
        "here": path + (f"?{query}" if query else ""),
        "edition": answers.edition,
        "stopped": answers.standing.stopped,
        "done": done,
        "consequences": told_before(done[0], answers) if len(done) == 1 else (),
        "new_key": new_key,
    }
    return render(request, template, status, **common, **context)


def _just_done(request: Request, answers: Answers) -> list[Decision]:
    first, _, last = request.query_params.get("done", "").partition("-")
    if not re.fullmatch(_NUMBER, first) or (last and not re.fullmatch(_NUMBER, last)):
        return []
    decisions, now = answers.standing.log.decisions, desk_of(request).now()
    named = [decisions[i] for i in range(int(first), min(int(last or first), len(decisions)) + 1) if i in decisions]
    is_own = all(decision.editor == request.state.person.name and now - decision.at < JUST for decision in named)
    return named if is_own else []  # a link that somebody made up offers no undo


_NUMBER = "[0-9]{1,12}"
