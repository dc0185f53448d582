"""Every error as a problem document (RFC 9457). Here alone the project's errors become HTTP statuses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from corpus.errors import (
    DecisionLogError,
    DecisionRefused,
    DeskBusy,
    DraftsBusy,
    DraftsOff,
    EditionError,
    EncoderError,
    Forbidden,
    KeyRefused,
    NotJson,
    NotSignedIn,
    RelatedArticlesError,
    StoreAway,
    UnknownEssay,
)
from service.schemas import Problem

SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff"}
"""Of every answer. A page has its own beside them."""
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a family of errors is answered. Without a detail the error's own sentence is given."""

    status: HTTPStatus
    kind: str
    title: str
    detail: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


_ANSWERS: dict[type[RelatedArticlesError], _Answer] = {
    UnknownEssay: _Answer(HTTPStatus.NOT_FOUND, "unknown-essay", "No such article"),
    StoreAway: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "store-away",
        "The database does not answer",
        "what was answered before is answered still, and this was not: ask again soon",
        {"Retry-After": "5"},
    ),
    EditionError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no-edition",
        "No edition to answer from",
        "nothing is published yet, or it is damaged: /healthz says which",
        {"Retry-After": "60"},
    ),
    DecisionRefused: _Answer(HTTPStatus.UNPROCESSABLE_ENTITY, "decision-refused", "That cannot be decided"),
    DecisionLogError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no-decisions",
        "The editors' decisions cannot be read",
        "what they have excluded must not be shown: /healthz says what is wrong",
        {"Retry-After": "60"},
    ),
    KeyRefused: _Answer(
        HTTPStatus.UNAUTHORIZED, "key-refused", "An API key is needed", headers={"WWW-Authenticate": "Bearer"}
    ),
    NotSignedIn: _Answer(
        HTTPStatus.UNAUTHORIZED, "not-signed-in", "The desk must know who asks", headers={"WWW-Authenticate": "Bearer"}
    ),
    Forbidden: _Answer(HTTPStatus.FORBIDDEN, "forbidden", "The desk does not allow this"),
    NotJson: _Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", "The body should be JSON"),
    DraftsOff: _Answer(HTTPStatus.FORBIDDEN, "drafts-off", "Drafts are not answered here"),
    DraftsBusy: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE, "drafts-busy", "Too many drafts", headers={"Retry-After": "10"}
    ),
    DeskBusy: _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "desk-busy", "Too many questions", headers={"Retry-After": "5"}),
    EncoderError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no-model",
        "No model to read drafts with",
        "the model cannot be read, or it is not the one that the edition was built with: the log says which",
        {"Retry-After": "600"},
    ),
}
"""An error of no family here is the service's own failure: 500, and the log has the traceback."""


def handle_problems(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""
    for family in _ANSWERS:
        app.add_exception_handler(family, _expected)
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def problem_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """These problems, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    title: str | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document. It carries the security headers itself: a 500 is made outside the middleware."""
    document = Problem(type=kind, title=title or HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    all_headers = {**SECURITY_HEADERS, "Cache-Control": "no-store", **(headers or {})}
    return Response(document.model_dump_json(exclude_none=True), status, all_headers, MEDIA_TYPE)


async def _expected(request: Request, error: Exception) -> Response:
    answer = next(answer for family, answer in _ANSWERS.items() if isinstance(error, family))
    return _tell(
        request,
        answer.status,
        str(error) if _is_for_desk(request) else answer.detail or str(error),
        kind=f"tag:related-articles,2026:{answer.kind}",
        title=answer.title,
        headers=answer.headers,
    )


async def _not_signed_in(request: Request, error: Exception) -> Response:
    """A browser that wants a page is sent to the login; a program is told."""
    if "text/html" in request.headers.get("accept", "") and "authorization" not in request.headers:
        return RedirectResponse(cast(NotSignedIn, error).login, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})
    return await _expected(request, error)


async def _http(request: Request, error: Exception) -> Response:
    """What the router refuses: an unknown page, a method that a page does not have."""
    refusal = cast(HTTPException, error)
    headers = dict(refusal.headers or {})
    if "GET" in headers.get("Allow", ""):
        headers["Allow"] = "GET, HEAD"
    detail = f"{request.method} {request.scope['path']} is not to be had here: /docs tells what is"
    return _tell(request, refusal.status_code, detail, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    found = cast(Sequence[Mapping[str, Any]], cast(RequestValidationError, error).errors())
    errors = [{"parameter": ".".join(map(str, e["loc"][1:])), "detail": str(e["msg"])} for e in found]
    detail = "; ".join(": ".join(filter(None, mistake.values())) for mistake in errors)
    return _tell(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


async def _unexpected(request: Request, error: Exception) -> Response:
    return _tell(request, HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log says why")


def _is_for_desk(request: Request) -> bool:
    """Whether an editor asks, who may know what is wrong; the website is told no more than it needs."""
    return bool(request.scope["path"].startswith("/desk"))


def _tell(request: Request, status: int, detail: str, **more: Any) -> Response:
    """A page of the desk for whoever reads the desk, else a problem document."""
    if _is_for_desk(request) and "text/html" in request.headers.get("accept", ""):
        from service.desk.rendering import render

        title = more.get("title") or HTTPStatus(status).phrase
        page = render(request, "error.html", status, title=title, detail=detail)
        page.headers.update(more.get("headers") or {})
        return page
    return problem(status, detail, **more)
