"""How large a request may be, and how long it may take to arrive. The plainest of checks, on every request.

What a request says of itself is checked before anything else, by refusal(), a function of the scope. A body is counted
while it arrives, since it may say nothing of its size, or not the truth.
"""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import problem

MAX_TARGET_BYTES = 8_000
"""Of path and query as they were sent: what servers and caches before this one let through at most."""
MAX_HEADER_BYTES = 16_384
"""Of all names and values together."""
BODY_SECONDS = 10.0
"""In this time the whole body must have arrived."""

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_SAYS_BODY = frozenset({b"content-length", b"transfer-encoding"})
_MOST_DIGITS = 18
"""A length of more digits is larger than any limit, and int() is spared it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: a status and a sentence. close: whether the connection ends with it."""

    status: HTTPStatus
    detail: str
    close: bool = False


def refusal(scope: Scope, max_body_bytes: int) -> Refusal | None:
    """What the request's head has against it; None when nothing."""
    query = scope["query_string"]
    if len(scope.get("raw_path") or scope["path"]) + len(query) + bool(query) > MAX_TARGET_BYTES:
        return Refusal(
            HTTPStatus.REQUEST_URI_TOO_LONG, f"the path and the query have more than {MAX_TARGET_BYTES:,} bytes"
        )
    total = 0
    for name, value in scope["headers"]:
        total += len(name) + len(value)
        if name == b"content-length" and _length(value) > max_body_bytes:
            return too_large(max_body_bytes)
    if total > MAX_HEADER_BYTES:
        return Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers have more than {MAX_HEADER_BYTES:,} bytes"
        )
    return None


def too_large(max_body_bytes: int) -> Refusal:
    """The refusal of a body above the limit."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {max_body_bytes:,} bytes (setting max_body_bytes)"
    )


def may_have_body(scope: Scope) -> bool:
    """Whether a body may follow. A GET has one only when its head says so (RFC 9112, section 6.3)."""
    if scope["method"] not in _WITHOUT_BODY:
        return True
    for name, _ in scope["headers"]:  # noqa: SIM110 (any() takes five times as long)
        if name in _SAYS_BODY:
            return True
    return False


def _length(value: bytes) -> float:
    """The length that a header names; what is no number is left to the server, and to the count."""
    if not value.isdigit():
        return 0
    return int(value) if len(value) <= _MOST_DIGITS else float("inf")


async def send_refusal(found: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem document. The server reads on and forgets what is still on its way, unless it closes."""
    headers = {"Connection": "close"} if found.close else {}
    await problem(found.status, found.detail, headers=headers)(scope, receive, send)


class Limits:
    """Middleware: 414, 431 and 413 by what a request says of itself, 413 and 408 while its body arrives.

    Nothing stands between the server and the app for a request without a body.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, body_seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self._max_body_bytes, self._body_seconds = max_body_bytes, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found = refusal(scope, self._max_body_bytes)
        if found:
            await send_refusal(found, scope, receive, send)
        elif may_have_body(scope):
            body = _WatchedBody(receive, self._max_body_bytes, self._body_seconds)
            await _with_body(self.app, scope, body, send)
        else:
            await self.app(scope, receive, send)


@dataclass(eq=False)
class _WatchedBody:
    """An ASGI receive that ends with an HTTPException when the body is too large or too slow.

    refused: why, from then on.
    """

    receive: Receive
    max_bytes: int
    seconds: float
    refused: Refusal | None = None
    _read: int = 0
    _complete: bool = False
    _deadline: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def __call__(self) -> Message:
        if self._complete:
            return await self.receive()
        try:
            async with asyncio.timeout_at(self._deadline + self.seconds):
                message = await self.receive()
        except TimeoutError:
            sentence = f"the body did not arrive within {self.seconds:g} seconds"
            raise self._refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, sentence, close=True)) from None
        self._read += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._read > self.max_bytes:
            raise self._refuse(too_large(self.max_bytes))
        return message

    def _refuse(self, found: Refusal) -> HTTPException:
        self.refused = found
        return HTTPException(found.status)


async def _with_body(app: ASGIApp, scope: Scope, body: _WatchedBody, send: Send) -> None:
    """Call the app; once the body is refused that is the answer, whatever the app makes of the exception."""
    started = False

    async def send_on(message: Message) -> None:
        nonlocal started
        if body.refused is None or started:
            started = True
            await send(message)

    try:
        await app(scope, body, send_on)
    except HTTPException:
        if body.refused is None:
            raise
    if body.refused and not started:
        await send_refusal(body.refused, scope, body.receive, send)
