"""The log on the desk: who decided what, when and why; to be taken along as a file, and put in from one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from corpus.errors import DecisionRefused
from recommender.decisions import ACTIONS
from service.decision_files import read_export, write_csv, write_jsonl
from service.desk.access import require
from service.desk.decide import Form, answer
from service.desk.desk import desk_of, render_page
from service.desk.page import Viewer, entries
from service.desk.people import Person, Role
from service.desk.rendering import PAGE_HEADERS

router = APIRouter(include_in_schema=False)

Admin = Annotated[Person, Depends(require(Role.ADMIN))]

A_PAGE = 100


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
    text, fields = await _read_file(request)
    return await run_in_threadpool(_put_in, request, text, fields)


async def _read_file(request: Request) -> tuple[str, Form]:
    """The file that was sent, and the other fields."""
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            sent = form.get("file")
            if not isinstance(sent, UploadFile):
                raise DecisionRefused("choose a file: decisions.csv or decisions.jsonl, as they are exported here")
            text = (await sent.read()).decode("utf-8-sig", "replace")
            return text, {name: value for name, value in form.items() if isinstance(value, str)}
    except HTTPException:
        raise DecisionRefused("the file did not arrive whole: send it as multipart/form-data") from None


def _put_in(request: Request, text: str, fields: Form) -> Response:
    desk = desk_of(request)
    read, undoing = read_export(text)
    last = desk.answers().standing.log.last
    written = desk.log.append(read, undoing)
    return answer(request, [decision for decision in written if decision.id > last], fields)
