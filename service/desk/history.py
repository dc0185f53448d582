"""The log on the desk: who decided what, when and why; to be taken along as a file, and put in from one."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from corpus.errors import DecisionRefused
from recommender.decisions import ACTIONS, Decision, check
from service.desk.access import require
from service.desk.decide import answer, as_json
from service.desk.desk import desk_of, render_page
from service.desk.page import Viewer, entries
from service.desk.people import Person, Role
from service.desk.rendering import PAGE_HEADERS

router = APIRouter(include_in_schema=False)

Admin = Annotated[Person, Depends(require(Role.ADMIN))]

A_PAGE = 100
COLUMNS = (
    *("key", "action", "source", "target", "position", "weight", "state", "editor", "note", "at", "expires"),
    *("undoes", "edition", "source_title", "source_url", "target_title", "target_url"),
)
"""Of an export. undoes is the other decision's key: a place in the log means nothing in another log."""
_NUMBERS = {"position": int, "weight": float}


@router.get("/desk/decisions")
def show_log(
    request: Request, person: Viewer, action: str = "", editor: str = "", show: str = "all", page: int = 1
) -> Response:
    """All decisions, the latest first. show: all, or holding for those in force."""
    answers = desk_of(request).answers()
    log = answers.standing.log
    wanted = (
        decision
        for decision in log.decisions.values()
        if (not action or decision.action == action) and (not editor or decision.editor == editor)
    )
    found = [entry for entry in entries(wanted, answers) if show != "holding" or entry.holds]
    page = max(page, 1)
    return render_page(
        request,
        "decisions.html",
        answers,
        entries=found[(page - 1) * A_PAGE : page * A_PAGE],
        found=len(found),
        page=page,
        pages=max(1, -(-len(found) // A_PAGE)),
        vanished=answers.standing.vanished(),
        actions=ACTIONS,
        editors=sorted({decision.editor for decision in log.decisions.values()}),
        asked={"action": action, "editor": editor, "show": show},
    )


@router.get("/desk/decisions.{form}")
def export_log(request: Request, person: Viewer, form: str) -> Response:
    """The whole log, as CSV or as JSON lines."""
    decisions = desk_of(request).log.since()
    if form not in ("csv", "jsonl"):
        raise DecisionRefused(f"there is no form {form!r}: csv or jsonl")
    lines = write_csv(decisions) if form == "csv" else write_jsonl(decisions)
    media_type = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl"
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="decisions.{form}"'}
    return StreamingResponse(lines, headers=headers, media_type=media_type)


@router.post("/desk/decisions/import")
async def import_log(request: Request, person: Admin) -> Response:
    """Put an export in: all of it, or nothing when anything in it is wrong. What is there already stays as it is."""
    async with request.form(max_files=1, max_fields=10) as form:
        sent = form.get("file")
        if not isinstance(sent, UploadFile):
            raise DecisionRefused("choose a file: decisions.csv or decisions.jsonl, as they are exported here")
        text = (await sent.read()).decode("utf-8-sig", "replace")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    desk = desk_of(request)
    read, undoing = read_export(text)
    last = desk.answers().standing.log.last
    written = desk.log.append(read, undoing)
    return answer(request, [decision for decision in written if decision.id > last], fields)


def write_jsonl(decisions: Sequence[Decision]) -> Iterator[str]:
    """A line a decision."""
    for record in _records(decisions):
        yield json.dumps(record, ensure_ascii=False) + "\n"


def write_csv(decisions: Sequence[Decision]) -> Iterator[str]:
    """A row a decision, with a header. Nothing in it is taken for a formula by a spreadsheet."""
    for row in (dict(zip(COLUMNS, COLUMNS, strict=True)), *_records(decisions)):
        out = io.StringIO()
        csv.writer(out).writerow([_cell(row[name]) for name in COLUMNS])
        yield out.getvalue()


def read_export(text: str) -> tuple[list[Decision], dict[str, str]]:
    """The decisions of an export, CSV or JSON lines, in the order written, and of the undos among them: key -> the key
    of what is undone. Raises DecisionRefused, naming the line and what is wrong with it."""
    found, undoing = list[Decision](), dict[str, str]()
    for line, record in _jsonl(text) if text.lstrip().startswith("{") else _csv(text):
        try:
            undone = record.pop("undoes", None)
            decision = _decision(record, undone is not None)
        except (DecisionRefused, ValueError, TypeError) as error:
            raise DecisionRefused(f"line {line} cannot be put in: {error}") from None
        if undone is not None:
            undoing[decision.key] = str(undone)
        found.append(decision)
    if not found:
        raise DecisionRefused("the file holds no decisions")
    return found, undoing


def _records(decisions: Sequence[Decision]) -> Iterator[dict[str, Any]]:
    keys = {decision.id: decision.key for decision in decisions}
    for decision in decisions:
        record = as_json(decision)
        record["undoes"] = keys.get(decision.undoes or 0)
        yield {name: record[name] for name in COLUMNS}


def _jsonl(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError:
                raise DecisionRefused(f"line {number} is no JSON") from None
            if not isinstance(record, dict):
                raise DecisionRefused(f"line {number} is no JSON object")
            yield number, record


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.DictReader(io.StringIO(text))
    missing = {"key", "action", "editor", "at"} - set(rows.fieldnames or ())
    if missing:
        raise DecisionRefused(f"the first line names no {', '.join(sorted(missing))}: export a file to see the columns")
    for row in rows:
        yield rows.line_num, {name: _uncell(value) for name, value in row.items() if name and value}


def _decision(record: dict[str, Any], undoes: bool) -> Decision:
    """A record's decision; what it undoes gets its id in the log."""
    unknown = set(record) - set(COLUMNS)
    if unknown:
        raise DecisionRefused(f"there is no column {', '.join(sorted(map(str, unknown)))}")
    values = {name: value for name, value in record.items() if value is not None}
    for name, number in _NUMBERS.items():
        if name in values:
            values[name] = number(values[name])
    for name in ("at", "expires"):
        if name in values:
            values[name] = _moment(values[name])
    if any(not isinstance(value, str) for name, value in values.items() if name not in (*_NUMBERS, "at", "expires")):
        raise DecisionRefused("a text is no text")
    return check(Decision(**values, undoes=0 if undoes else None))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else value


def _uncell(text: str) -> str:
    return text.removeprefix("'")
