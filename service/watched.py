"""Middleware that counts and logs every request which the fast path did not answer itself."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access_log import AccessLog
from service.metrics import Cache, Tally

_NAMES = {"/v1/related": "suggestions"}
_KEY = "related.watched"


@dataclass(slots=True)
class Noted:
    """What a route tells of its answer; see noted()."""

    article: str | None = None
    recommendation_id: str | None = None
    variant: str | None = None
    cache: Cache = ""
    empty: bool = False


def noted(scope: MutableMapping[str, Any]) -> Noted:
    """Where a route notes what it answers: `noted(request.scope).cache = "computed"`."""
    found: Noted = scope.setdefault(_KEY, Noted())
    return found


class Watched:
    """ASGI middleware: each request goes into the tally and, when there is one, into the access log.

    A request that fails without an answer counts as 500, which the server then gives.
    """

    def __init__(self, app: ASGIApp, tally: Tally, log: AccessLog | None = None) -> None:
        self.app, self._tally, self._log = app, tally, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, method, seen = perf_counter(), scope["method"], noted(scope)
        status, size = 500, 0

        async def send_on(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        finally:
            seconds, route = perf_counter() - begun, route_name(scope)
            self._tally.count(route, status, seconds, seen.cache, seen.empty)
            if self._log:
                article = seen.article or scope.get("path_params", {}).get("id")
                sent = 0 if method == "HEAD" else size  # the server leaves the body of an answer to HEAD out
                told = (seen.recommendation_id, seen.variant, seen.cache)
                self._log.write(method, route, status, seconds, sent, article, *told)


def route_name(scope: Scope) -> str:
    """The route's name: the last part of its path, such as related or healthz; "unknown" where there is none.

    Never anything that a client sent: the label of a metric must have few values.
    """
    if "route" in scope:
        path: str = scope["route"].path
        return _NAMES.get(path) or path.rpartition("/")[2].strip("{}")
    if "endpoint" in scope:  # a plain page of Starlette's, or a folder of files
        return getattr(scope["endpoint"], "__name__", "files")
    return "unknown"
