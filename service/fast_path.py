"""The fast path: GET of an article's related articles, answered before the framework sees the request.

It gives exactly the answers of the documented route in service/website.py, since both send what service/replies.py
makes, and a test compares them. What it cannot answer with 200 or 304, such as a mistake in a parameter, an unknown
article or no edition, it leaves to that route. The framework's typed layer costs more than the look-up itself, see
benchmarks/results/serving.md.
"""

import logging
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from corpus.errors import RelatedArticlesError
from service.access_log import AccessLog
from service.asking import PLAIN, read_query
from service.editions import LiveEdition
from service.metrics import Tally
from service.replies import Reply, read_headers, reads_gzip
from service.schemas import RelatedQuery

_BEFORE, _AFTER = "/v1/articles/", "/related"
_METHODS = frozenset({"GET", "HEAD"})
_LONGEST_TARGET, _MOST_HEADERS = 2_000, 8_000
"""In bytes. A larger request is rare; whether it is too large, service/limits.py says."""
_log = logging.getLogger(__name__)


class FastPath:
    """ASGI middleware. What it answers goes into the tally and, when there is one, into the access log."""

    def __init__(self, app: ASGIApp, live: LiveEdition, tally: Tally, log: AccessLog | None = None) -> None:
        self.app, self._live, self._tally, self._log = app, live, tally, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = perf_counter()
        reply = self._reply(scope) if scope["type"] == "http" else None
        if reply is None:
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})
        seconds = perf_counter() - begun
        self._tally.count("related", reply.status, seconds, reply.cache, reply.empty)
        if self._log:
            self._log_reply(self._log, scope, reply, seconds)

    def _log_reply(self, log: AccessLog, scope: Scope, reply: Reply, seconds: float) -> None:
        ident = _ident(scope["path"])
        replies = self._live.view().replies
        variant = replies.answers.variant(ident) if replies else None
        size = 0 if scope["method"] == "HEAD" else len(reply.body)
        told = reply.recommendation_id, variant, reply.cache
        log.write(scope["method"], "related", reply.status, seconds, size, ident, *told)

    def _reply(self, scope: Scope) -> Reply | None:
        """The reply, or None for what the framework must answer."""
        path: str = scope["path"]
        if not (path.endswith(_AFTER) and path.startswith(_BEFORE)) or scope["method"] not in _METHODS:
            return None
        raw: bytes = scope["query_string"]
        known, accepted, size = read_headers(scope["headers"])
        if len(scope.get("raw_path") or path) + len(raw) > _LONGEST_TARGET or size > _MOST_HEADERS:
            return None
        try:
            asked = read_query(raw, RelatedQuery) if raw else PLAIN
            if asked is None:
                return None
            return self._live.replies().json(_ident(path), asked, known, reads_gzip(accepted))
        except RelatedArticlesError:
            return None
        except Exception:  # of which the framework tells the client
            _log.exception("the fast path failed")
            return None


def _ident(path: str) -> str:
    return path[len(_BEFORE) : -len(_AFTER)]
