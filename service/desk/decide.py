"""Where decisions are sent to: one at a time, many at once, and taken back. Every write of the desk is a POST."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, cast
from urllib.parse import urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from corpus.errors import DecisionRefused
from recommender.decisions import ACTIONS, Decision, State, check, say
from recommender.standing import Log
from service.decision_files import as_json
from service.desk.access import Editor, local_path
from service.desk.desk import described, desk_of, new_key, told_before, undo_of
from service.desk.people import Person
from service.desk.rendering import PAGE_HEADERS

router = APIRouter(include_in_schema=False)

Form = dict[str, str]
_MADE_BY_PEOPLE = frozenset(ACTIONS) - {"undo", "follow"}
_TOO_LONG = 18


async def read_form(request: Request) -> Form:
    """A dependency: the fields of a form, the last of equals. Raises DecisionRefused for another body."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise DecisionRefused("send the fields as a form: application/x-www-form-urlencoded")
    async with request.form(max_fields=100) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[Form, Depends(read_form)]


@router.post("/desk/decisions")
def decide(request: Request, person: Editor, form: Fields) -> Response:
    """Make one decision; see recommender.decisions.

    Fields: action, source, target, position, weight, state, note, until (a day, included), key, next;
    everywhere, when it says anything, leaves the source out.
    """
    desk = desk_of(request)
    decision = described(read_decision(form, person, desk.now()), desk.answers())
    return answer(request, desk.write([decision]), form)


@router.post("/desk/undo")
def undo(request: Request, person: Editor, form: Fields) -> Response:
    """Take decisions back: `id`, or all from `id` to `last`, the latest first."""
    desk = desk_of(request)
    log, key, note = desk.answers().standing.log, form.get("key") or new_key(), form.get("note", "").strip()
    first = _number(form, "id") or 0
    last = min(_number(form, "last") or first, log.last)
    made = _sent_before(log, key)
    if made:
        return answer(request, made, form)
    if last > first:
        undos = [
            undo_of(log.decisions[i], person, desk.now(), f"{key}.{i}", note) for i in _in_effect(log, first, last)
        ]
    else:
        undos = [undo_of(_to_undo(log, first), person, desk.now(), key, note)]
    return answer(request, desk.write(undos), form)


@router.post("/desk/resume")
def resume(request: Request, person: Editor, form: Fields) -> Response:
    """Turn the kill switch off, whoever turned it on."""
    desk = desk_of(request)
    log, key, now = desk.answers().standing.log, form.get("key") or new_key(), desk.now()
    note = form.get("note", "").strip()
    stops = [d for d in log.decisions.values() if d.action == "stop" and log.holds(d.id, now)]
    undos = [undo_of(stop, person, now, f"{key}.{stop.id}", note) for stop in stops]
    return answer(request, _sent_before(log, key) or desk.write(undos), form)


def read_decision(form: Form, person: Person, now: datetime) -> Decision:
    """The decision that a form asks for. Raises DecisionRefused."""
    action = form.get("action", "")
    if action not in _MADE_BY_PEOPLE:
        raise DecisionRefused(f"there is no decision {action!r}: one of {', '.join(sorted(_MADE_BY_PEOPLE))}")
    state = cast(State | None, form.get("state") or None)
    return check(
        Decision(
            action=action,
            editor=person.name,
            at=now,
            key=form.get("key") or new_key(),
            source=None if form.get("everywhere") else form.get("source") or None,
            target=form.get("target") or None,
            position=_number(form, "position"),
            weight=_decimal(form, "weight"),
            state=state,
            note=form.get("note", "").strip(),
            expires=_end_of(form.get("until", ""), now),
        )
    )


def answer(request: Request, decisions: list[Decision], form: Form) -> Response:
    """What was written, as JSON for a program; for a browser the page that it came from, which tells it."""
    if wants_json(request):
        said = told_before(decisions[0], desk_of(request).answers()) if len(decisions) == 1 else ()
        body = {
            "decisions": [as_json(decision) for decision in decisions],
            "said": [say(decision) for decision in decisions],
            "consequences": list(said),
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})
    ids = [decision.id for decision in decisions]
    done = "" if not ids else str(ids[0]) if len(ids) == 1 else f"{min(ids)}-{max(ids)}"
    return go_to(form.get("next", ""), done)


def go_to(path: str, done: str = "") -> Response:
    """On to a page of the desk, which tells what was done."""
    parts = urlsplit(local_path(path))
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith("done=")]
    query = "&".join([*kept, *([urlencode({"done": done})] if done else [])])
    return RedirectResponse(urlunsplit(parts._replace(query=query)), HTTPStatus.SEE_OTHER, PAGE_HEADERS)


def wants_json(request: Request) -> bool:
    """Whether a program asks."""
    return "application/json" in request.headers.get("accept", "")


def _sent_before(log: Log, key: str) -> list[Decision]:
    """The undos written under this key, one or many: whoever sends the same again gets the same answer."""
    undos = (d for d in log.decisions.values() if d.action == "undo")
    return [undo for undo in undos if undo.key == key or undo.key.startswith(f"{key}.")]


def _to_undo(log: Log, ident: int) -> Decision:
    undone = log.decisions.get(ident)
    if undone is None:
        raise DecisionRefused(f"there is no decision {ident} to undo")
    if log.is_undone(ident):
        raise DecisionRefused(f"decision {ident} is undone already")
    return undone


def _in_effect(log: Log, first: int, last: int) -> Iterator[int]:
    """What to undo of a range, the latest first, so that what stood before it stands again: an entry whose undo stands
    in the range too would come back with that, and is undone as well."""
    taken = set[int]()
    for ident in range(last, first - 1, -1):
        undone = any(undo not in taken and not log.is_undone(undo) for undo in log.undone_by.get(ident, ()))
        if ident in log.decisions and not undone:
            taken.add(ident)
            yield ident


def _number(form: Form, name: str) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _TOO_LONG):
        raise DecisionRefused(f"{name} {text!r} is no whole number")
    return int(text)


def _decimal(form: Form, name: str) -> float | None:
    text = form.get(name, "").strip()
    try:
        return float(text) if text else None
    except ValueError:
        raise DecisionRefused(f"{name} {text!r} is no number") from None


def _end_of(text: str, now: datetime) -> datetime | None:
    """The moment after a day, in UTC; None for no day."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise DecisionRefused(f"{text!r} is no day: write it as {now:%Y-%m-%d}") from None
