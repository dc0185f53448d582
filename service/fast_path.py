"""The fast path: GET of an article's related articles, answered before the framework sees the request.

It gives exactly the answers of the documented route in service/website.py, since both send what service/replies.py
makes, and a test compares them. What it cannot answer with 200 or 304, such as a mistake in a parameter, an unknown
article or no edition, it leaves to that route. The framework's typed layer costs more than the look-up itself, see
benchmarks/results/serving.md. Where a database holds the editions, both send what service/answering.py answers.
"""

import logging
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from corpus.errors import RelatedArticlesError
from service.access_log import AccessLog
from service.answering import REFUSED, Answering, Ask
from service.asking import PLAIN, Asked, read_query
from service.editions import LiveEdition
from service.metrics import Tally
from service.replies import JSON, Reply, read_headers, reads_gzip
from service.schemas import RelatedQuery

_BEFORE, _AFTER = "/v1/articles/", "/related"
_METHODS = frozenset({"GET", "HEAD"})
_LONGEST_TARGET, _MOST_HEADERS = 2_000, 8_000
"""In bytes. A larger request is rare; whether it is too large, service/limits.py says."""
_log = logging.getLogger(__name__)


class FastPath:
    """ASGI middleware. What it answers goes into the tally and, when there is one, into the access log.

    answering: where a database holds the editions.
    """

    def __init__(
        self,
        app: ASGIApp,
        live: LiveEdition,
        tally: Tally,
        log: AccessLog | None = None,
        answering: Answering | None = None,
    ) -> None:
        self.app, self._live, self._tally, self._log = app, live, tally, log
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = perf_counter()
        if scope["type"] != "http":
            reply = None
        elif self._answering is None:
            reply = self._reply(scope)
        else:
            reply = await self._answered(self._answering, scope)
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
        try:
            question = _read(scope)
            return self._live.replies().json(*question) if question else None
        except RelatedArticlesError:
            return None
        except Exception:  # of which the framework tells the client
            _log.exception("the fast path failed")
            return None

    async def _answered(self, answering: Answering, scope: Scope) -> Reply | None:
        """The same from a database; a refusal is handed on, so that the route need not look again."""
        try:
            question = _read(scope)
            return (await answering.reply(Ask(JSON, None, *question))).reply if question else None
        except RelatedArticlesError as error:
            scope[REFUSED] = error
            return None
        except Exception:
            _log.exception("the fast path failed")
            return None


def _read(scope: Scope) -> tuple[str, Asked, bytes, bool] | None:
    """What is asked: id, parameters, If-None-Match, whether gzip is read; None for what the framework must answer."""
    path: str = scope["path"]
    if not (path.endswith(_AFTER) and path.startswith(_BEFORE)) or scope["method"] not in _METHODS:
        return None
    raw: bytes = scope["query_string"]
    known, accepted, size = read_headers(scope["headers"])
    if len(scope.get("raw_path") or path) + len(raw) > _LONGEST_TARGET or size > _MOST_HEADERS:
        return None
    asked = read_query(raw, RelatedQuery) if raw else PLAIN
    return (_ident(path), asked, known, reads_gzip(accepted)) if asked else None


def _ident(path: str) -> str:
    return path[len(_BEFORE) : -len(_AFTER)]
