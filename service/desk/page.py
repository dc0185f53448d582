"""One page on the desk: its own list beside the model's, why and why not, and what was decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from corpus.errors import DecisionRefused
from recommender.decisions import STATES, Decision, Slot, State, say
from recommender.overview import PageFacts
from recommender.ranking import Item, Ranking, Recommendation, Rules, list_limit, rules_in
from service.answers import Answers
from service.desk.access import Viewer
from service.desk.decide import wants_json
from service.desk.desk import Desk, desk_of, render_page
from service.desk.words import page_address, score_words
from service.fragment import render_fragment

router = APIRouter(include_in_schema=False)

Fate = Literal["kept", "new", "lost", ""]
FOUND = 20
NEXT = 10
"""So many suggestions are shown below the list's end: they would be the next."""


@dataclass(frozen=True, slots=True)
class Row:
    """An item as the desk shows it. position: in its list, None outside. fate: beside the other list. note: what keeps
    it out, or where it stands. decisions: all that holds about it on this page, the latest first."""

    item: Item
    position: int | None
    score: float | None
    origin: str
    reasons: tuple[str, ...]
    fate: Fate
    note: str
    decisions: tuple[Decision, ...]

    @property
    def words(self) -> str:
        """The score in words."""
        return "" if self.score is None else score_words(self.score)


@dataclass(frozen=True, slots=True)
class PageView:
    """All that the page shows.

    state: whose list readers see; chosen: the same but for the kill switch. limit: how many entries they see.
    suggestions: the model's list under the decisions; below: what comes next. excluded: what may not stand here.
    vanished: what is decided here about essays that are gone. has_learned: whether scores are the site's own.
    """

    essay: Item
    facts: PageFacts | None
    state: State
    chosen: State
    limit: int
    list_length: int
    curated: tuple[Row, ...]
    suggestions: tuple[Row, ...]
    below: tuple[Row, ...]
    excluded: tuple[Row, ...]
    twins: tuple[PageFacts, ...]
    reviewed: Decision | None
    vanished: tuple[Decision, ...]
    has_learned: bool
    history: tuple["Entry", ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many entries are kept, new and lost."""
        rows = (*self.curated, *self.suggestions)
        return {fate: sum(row.fate == fate for row in rows) for fate in ("new", "lost")} | {
            "kept": sum(row.fate == "kept" for row in self.suggestions)
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision in a history. holds: whether it is in force, neither undone nor expired nor replaced."""

    decision: Decision
    said: str
    holds: bool
    undone: bool


@router.get("/desk/articles/{ident:path}")
def show_page(request: Request, person: Viewer, ident: str, q: str = "") -> Response:
    """The page. q: look for any essay, and tell why it is not here."""
    desk = desk_of(request)
    answers = desk.answers()
    found = search_rows(desk, answers, ident, q) if q.strip() else None
    return render_page(
        request,
        "page.html",
        answers,
        page=view_page(desk, answers, ident),
        preview=Markup(render_fragment(answers.respond(answers.edition.find(ident)))),  # noqa: S704 (escaped by its template)
        q=q,
        found=found,
        states=STATES,
    )


@router.get("/desk/article")
def show_page_by_query(request: Request, person: Viewer, id: str, q: str = "") -> Response:
    """The same for an id that no path can hold."""
    return show_page(request, person, id, q)


@router.get("/desk/why")
async def show_why(request: Request, person: Viewer, source: str, target: str) -> Response:
    """Why one item stands in an essay's list, or why it does not."""
    if source == target:
        raise DecisionRefused("an essay is not compared with itself: name another one")
    desk = desk_of(request)
    answers = await run_in_threadpool(desk.answers)
    record = await desk.explainer.why(answers.edition.id, source, target)
    standing = await run_in_threadpool(answers.why_not, source, target, desk.settings.rules())
    told = record | {"standing": standing}
    if wants_json(request):
        return JSONResponse(told, headers={"Cache-Control": "no-store"})
    return render_page(request, "why.html", answers, why=told, source=source, target=target)


@router.get("/desk/search")
def search(request: Request, person: Viewer, q: str = "", source: str = "") -> Response:
    """Essays by title, URL or id, as JSON; with a source, where each stands in its list."""
    desk = desk_of(request)
    answers = desk.answers()
    rows = search_rows(desk, answers, source, q)
    found = [
        {
            "id": row.item.id,
            "title": row.item.title or row.item.standfirst,
            "category": row.item.category,
            "address": page_address(row.item.id),
            "note": row.note,
        }
        for row in rows
    ]
    return JSONResponse({"found": found}, headers={"Cache-Control": "no-store"})


def search_rows(desk: Desk, answers: Answers, source: str, sought: str) -> list[Row]:
    """Essays by title, URL or id, with what is decided about them and where they stand in the source's list."""
    edition, found = answers.edition, list[Row]()
    for ident in edition.overview.search(sought, FOUND):
        note = answers.why_not(source, ident, desk.settings.rules()) if source else ""
        decisions = tuple(answers.standing.about(source, ident)) if source else ()
        found.append(Row(edition.items[ident], None, None, "", (), "", note, decisions))
    return found


def view_page(desk: Desk, answers: Answers, ident: str) -> PageView:
    """What the desk shows of a page. Raises UnknownEssay."""
    return _PageReader(desk, answers, ident).read()


class _PageReader:
    def __init__(self, desk: Desk, answers: Answers, ident: str) -> None:
        self.answers, self.edition = answers, answers.edition
        self.essay = self.edition.find(ident)
        self.lists = self.edition.lists(ident)
        self.limit = list_limit(self.lists.list_length)
        self.site = desk.site(self.edition)
        self.rules = replace(desk.settings.rules(), limit=self.limit)
        self.standing = answers.standing

    def read(self) -> PageView:
        ident, facts = self.essay.id, self.site.by_id.get(self.essay.id)
        model = self._rank(rules_in("model", self.rules))
        beyond = self._rank(rules_in("model", replace(self.rules, limit=self.limit + NEXT)))
        shown = {place.target for place in model.recommendations}
        curated = {candidate.id for candidate in self.lists.curated}
        below = [place for place in beyond.recommendations if place.target not in shown]
        return PageView(
            essay=self.essay,
            facts=facts,
            state=self.answers.state(ident),
            chosen=self.standing.of(ident).state or self.answers.default,
            limit=self.limit,
            list_length=self.lists.list_length,
            curated=self._curated(shown),
            suggestions=tuple(
                self._row(place, "kept" if place.target in curated else "new") for place in model.recommendations
            ),
            below=tuple(self._row(place, "") for place in below[:NEXT]),
            excluded=self._excluded(),
            twins=tuple(self.site.twins(facts)) if facts else (),
            reviewed=self.standing.in_force(Slot("review", ident, None)),
            vanished=tuple(d for d in self.standing.vanished if self.standing.alias(d.source or "") == ident),
            has_learned=bool((self.edition.manifest.get("lesson") or {}).get("used")),
            history=self._history(),
        )

    def _rank(self, rules: Rules) -> Ranking:
        return self.edition.related(self.essay.id, rules, self.standing.of(self.essay.id))

    def _row(self, place: Recommendation, fate: Fate) -> Row:
        decisions = tuple(self.standing.about(self.essay.id, place.target))
        item = self.edition.items[place.target]
        return Row(item, place.position, place.score, place.origin, place.reasons, fate, "", decisions)

    def _curated(self, shown: set[str]) -> tuple[Row, ...]:
        """The page's own list, each entry with what keeps it out of the model's."""
        rows = []
        for position, candidate in enumerate(self.lists.curated, start=1):
            item, kept = self.edition.items[candidate.id], candidate.id in shown
            note = "" if kept else self._why_not(candidate.id)
            decisions = tuple(self.standing.about(self.essay.id, candidate.id))
            fate: Fate = "kept" if kept else "lost"
            rows.append(Row(item, position, candidate.editors, "curated", (), fate, note, decisions))
        return tuple(rows)

    def _why_not(self, target: str) -> str:
        rules, decisions = rules_in("model", self.rules), self.standing.of(self.essay.id)
        return self.edition.why_not(self.essay.id, target, rules, decisions)

    def _excluded(self) -> tuple[Row, ...]:
        rows = []
        for target, scope in self.standing.of(self.essay.id).excluded.items():
            item = self.edition.items.get(target)
            if item is not None:
                decisions = tuple(self.standing.about(self.essay.id, target))
                rows.append(Row(item, None, None, "", (), "", f"excluded {scope}", decisions))
        return tuple(rows)

    def _history(self) -> tuple[Entry, ...]:
        """All that was ever decided about the page, the latest first."""
        alias, ident = self.standing.alias, self.essay.id
        about = (
            decision
            for decision in self.standing.log.decisions.values()
            if ident in (alias(decision.source or ""), alias(decision.target or ""))
        )
        return entries(about, self.answers)


def entries(decisions: Iterable[Decision], answers: Answers) -> tuple[Entry, ...]:
    """Decisions as a history, the latest first."""
    standing = answers.standing
    holding = {decision.id for decision in standing.everything()}
    ordered = sorted(decisions, key=lambda decision: -decision.id)
    return tuple(
        Entry(decision, say(decision), _holds(decision, answers, holding), standing.log.is_undone(decision.id))
        for decision in ordered
    )


def _holds(decision: Decision, answers: Answers, holding: set[int]) -> bool:
    if decision.slot is None:  # an undo, or a follow
        return answers.standing.log.holds(decision.id, answers.standing.now)
    return decision.id in holding
