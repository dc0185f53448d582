"""The log on the desk: who decided what, when and why; to be taken along as a file, and put in from one."""

from collections.abc import Iterator
from itertools import islice

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from corpus.errors import DecisionRefused
from recommender.decisions import ACTIONS
from service.decision_files import read_export, read_text, write_csv, write_jsonl
from service.desk.access import Admin, Viewer
from service.desk.decide import Form, answer, go_to, wants_json
from service.desk.desk import desk_of, render_page
from service.desk.page import entries
from service.desk.rendering import PAGE_HEADERS

router = APIRouter(include_in_schema=False)

A_PAGE = 100


@router.get("/desk/decisions")
def show_log(
    request: Request,
    person: Viewer,
    action: str = "",
    editor: str = "",
    show: str = "all",
    page: int = 1,
    taken: int | None = None,
) -> Response:
    """All decisions, the latest first. show: all, or holding for those in force. taken: how many were just put in."""
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
        vanished=answers.standing.vanished,
        actions=ACTIONS,
        editors=sorted({decision.editor for decision in log.decisions.values()}),
        asked={"action": action, "editor": editor, "show": show},
        taken=taken,
    )


@router.get("/desk/decisions.csv")
def export_csv(request: Request, person: Viewer) -> Response:
    """The whole log as CSV."""
    return _as_file("decisions.csv", write_csv(desk_of(request).log.since()), "text/csv; charset=utf-8")


@router.get("/desk/decisions.jsonl")
def export_jsonl(request: Request, person: Viewer) -> Response:
    """The whole log as JSON lines."""
    return _as_file("decisions.jsonl", write_jsonl(desk_of(request).log.since()), "application/jsonl")


def _as_file(name: str, lines: Iterator[str], media_type: str) -> Response:
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    blocks = iter(lambda: "".join(islice(lines, _BLOCK)), "")  # each block goes through a thread
    return StreamingResponse(blocks, headers=headers, media_type=media_type)


_BLOCK = 1_000


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
            text = read_text(await sent.read())
            return text, {name: value for name, value in form.items() if isinstance(value, str)}
    except HTTPException:
        raise DecisionRefused("the file did not arrive whole: send it as multipart/form-data") from None


def _put_in(request: Request, text: str, fields: Form) -> Response:
    desk = desk_of(request)
    read, undoing = read_export(text)
    last = desk.answers().standing.log.last
    written = desk.log.append(read, undoing)
    new = [decision for decision in written if decision.id > last]
    if wants_json(request):
        return answer(request, new, fields)
    return go_to(f"/desk/decisions?taken={len(new)}")
