"""Many decisions at once: approve every suggestion above a score, on the pages that are asked for, after a look at what
that would change."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from corpus.errors import DecisionRefused
from recommender.decisions import STATES, Action, Decision, State
from recommender.ranking import Item, Recommendation, list_limit, rules_in
from recommender.standing import Standing
from service.answers import Answers
from service.desk.access import Editor, Viewer
from service.desk.decide import Fields, Form, answer, wants_json
from service.desk.desk import Desk, described, desk_of, new_key, render_page
from service.desk.people import Person
from service.desk.words import page_address
from service.problems import problem

router = APIRouter(include_in_schema=False)

SHOWN = 50
MOST = 50_000
"""So many decisions may be made at once: what a log, held in memory, can bear a few times."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked. least: the score from which on suggestions are approved. category, state: of the pages; "" is any.
    to: the state that all these pages come into; "" leaves it."""

    least: float = 0.5
    category: str = ""
    state: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a page's readers would see of it. before, after: the lists that they see."""

    essay: Item
    address: str
    approved: tuple[Item, ...]
    moves: bool
    entering: tuple[Item, ...]
    leaving: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """pages: those about which anything would be decided. mark: names all of it, so that what is confirmed is what was
    shown."""

    pages: int
    approvals: int
    moves: int
    changed: int
    shown: tuple[Change, ...]
    mark: str


@router.get("/desk/bulk")
def show_bulk(
    request: Request,
    person: Viewer,
    least: Annotated[float | None, Query(ge=0, le=1)] = None,
    category: str = "",
    state: str = "",
    to: str = "",
) -> Response:
    """The form, and when it was sent what would change."""
    desk = desk_of(request)
    answers = desk.answers()
    wish = Wish(0.5 if least is None else least, category, state, to)
    preview = None if least is None else preview_of(answers, plan(desk, answers, wish, person, "preview"))
    return _show(request, desk, answers, wish, preview)


@router.post("/desk/bulk")
def decide_in_bulk(request: Request, person: Editor, form: Fields) -> Response:
    """Decide what the preview showed. When that has changed meanwhile, nothing is decided, and it is shown anew."""
    desk = desk_of(request)
    answers = desk.answers()
    wish, key = _read_wish(form), form.get("key") or new_key()
    written = [d for d in answers.standing.log.decisions.values() if d.key.startswith(f"{key}.")]
    if written:  # sent twice
        return answer(request, written, form)
    decisions = plan(desk, answers, wish, person, key)
    preview = preview_of(answers, decisions)
    if preview.mark != form.get("mark"):
        if wants_json(request):
            return problem(HTTPStatus.CONFLICT, "this is not what was shown: ask for the preview again")
        return _show(request, desk, answers, wish, preview, HTTPStatus.CONFLICT)
    return answer(request, desk.write([described(decision, answers) for decision in decisions]), form)


def plan(desk: Desk, answers: Answers, wish: Wish, person: Person, key: str) -> list[Decision]:
    """What would be decided, in the order of pages. Raises DecisionRefused when it is too much."""
    if wish.to and wish.to not in STATES:
        raise DecisionRefused(f"there is no state {wish.to!r}: one of {', '.join(STATES)}")
    to: State | None = wish.to or None
    now, found = desk.now(), list[Decision]()

    def add(action: Action, source: str, **about: Any) -> None:
        numbered = f"{key}.{len(found)}"
        found.append(Decision(action=action, editor=person.name, at=now, key=numbered, source=source, **about))

    for essay, targets in _suggested(desk, answers, wish):
        for target in targets:
            add("approve", essay.id, target=target)
        if to and answers.standing.of(essay.id).state != to:
            add("state", essay.id, state=to)
        if len(found) > MOST:
            raise DecisionRefused(f"that is more than {MOST:,} decisions at once: choose a category, or a higher score")
    return found


def _suggested(desk: Desk, answers: Answers, wish: Wish) -> Iterator[tuple[Item, list[str]]]:
    """The pages asked for, each with the suggestions that would be approved."""
    for row in desk.site(answers.edition).rows:
        if wish.category and row.category != wish.category:
            continue
        if wish.state and answers.state(row.id) != wish.state:
            continue
        essay = answers.edition.find(row.id)
        decided = answers.standing.of(row.id)
        rules = rules_in("model", replace(desk.settings.rules(), limit=list_limit(row.list_length)))
        places = answers.edition.recommend(essay, rules, None, decided)
        yield (
            essay,
            [
                place.target
                for place, _ in places
                if place.origin == "model" and place.score >= wish.least and place.target not in decided.approved
            ],
        )


def preview_of(answers: Answers, decisions: Sequence[Decision]) -> Preview:
    """What the decisions would change for readers."""
    last = answers.standing.log.last
    numbered = [replace(decision, id=last + n) for n, decision in enumerate(decisions, start=1)]
    log = answers.standing.log.with_(numbered)
    after = answers.under(Standing(log, answers.standing.now, answers.edition))
    by_page: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_page.setdefault(decision.source or "", []).append(decision)
    changes = [_change(answers, after, ident, made) for ident, made in by_page.items()]
    said = [[d.action, d.source, d.target, d.state] for d in decisions]
    return Preview(
        pages=len(by_page),
        approvals=sum(decision.action == "approve" for decision in decisions),
        moves=sum(decision.action == "state" for decision in decisions),
        changed=sum(bool(change.entering or change.leaving) for change in changes),
        shown=tuple(sorted(changes, key=lambda c: -len(c.entering) - len(c.leaving))[:SHOWN]),
        mark=hashlib.sha256(json.dumps([answers.edition.id, said]).encode()).hexdigest()[:24],
    )


def _change(before: Answers, after: Answers, ident: str, made: Sequence[Decision]) -> Change:
    essay = before.edition.find(ident)
    old, new = _places(before, essay), _places(after, essay)
    return Change(
        essay=essay,
        address=page_address(ident),
        approved=tuple(before.edition.items[d.target] for d in made if d.action == "approve" and d.target),
        moves=any(d.action == "state" for d in made),
        entering=tuple(new[target] for target in new if target not in old),
        leaving=tuple(old[target] for target in old if target not in new),
    )


def _places(answers: Answers, essay: Item) -> dict[str, Item]:
    found: list[tuple[Recommendation, Item]] = answers.places(essay, answers.site)
    return {place.target: item for place, item in found}


def _read_wish(form: Form) -> Wish:
    try:
        least = float(form.get("least", ""))
    except ValueError:
        raise DecisionRefused("least is no number from 0 to 1") from None
    if not 0 <= least <= 1:
        raise DecisionRefused(f"least {least:g} is not from 0 to 1")
    return Wish(least, form.get("category", ""), form.get("state", ""), form.get("to", ""))


def _show(
    request: Request, desk: Desk, answers: Answers, wish: Wish, preview: Preview | None, status: int = 200
) -> Response:
    site = desk.site(answers.edition)
    return render_page(
        request,
        "bulk.html",
        answers,
        status,
        wish=wish,
        preview=preview,
        states=STATES,
        categories=site.categories,
        outdated=status != 200,
    )
