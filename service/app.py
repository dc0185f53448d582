"""The service as one ASGI app. It needs neither a model nor FAISS: it reads what the offline job has published."""

import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import desk, fragment, health, metrics, suggestions, website
from service.access_log import AccessLog
from service.answering import Answering
from service.docs import add_docs
from service.drafts import DraftDesk
from service.editions import LiveEdition, utc_now
from service.fast_path import FastPath
from service.limits import Limits
from service.metrics import open_tally, sharing
from service.problems import SECURITY_HEADERS, handle_problems
from service.ready import start_preparing
from service.settings import Settings, load_settings
from service.version import VERSION
from service.watched import Watched

_DESCRIPTION = """Each article's related articles, as cards that are ready to show.

The answers come from an edition that the offline job has published, and may be cached. A mistake in a request is
answered with 422 and never guessed at. Every error is a problem document (RFC 9457)."""


def create_app(settings: Settings, now: Callable[[], datetime] = utc_now, attended: bool = False) -> FastAPI:
    """The service for one home. now: the clock, in UTC.

    attended: a server runs it. New editions are then looked for beside the requests and not in their course, and ready
    answers that are missing are written.
    """
    app = Service(
        title="Related articles",
        version=VERSION,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.settings, app.state.now, app.state.attended = settings, now, attended
    app.state.live = LiveEdition(settings, now, partial(start_preparing, settings) if attended else None)
    app.state.answering = Answering(app.state.live) if settings.store is not None else None
    app.state.tally = open_tally()
    app.state.log = AccessLog() if settings.access_log else None
    app.state.drafts = app.state.tally.desk = DraftDesk.of(settings)
    app.state.desk = desk.Desk(settings, app.state.live, now)
    for part in (website, fragment, suggestions, health, metrics, desk):
        app.include_router(part.router)
    app.mount("/desk/static", desk.StaticFiles(directory=desk.STATIC), name="desk static")
    add_docs(app)
    handle_problems(app)
    # from the innermost to the outermost
    app.add_middleware(EveryAnswer)
    app.add_middleware(Limits, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(Watched, tally=app.state.tally, log=app.state.log)
    app.entry = FastPath(app.entry, app.state.live, app.state.tally, app.state.log, app.state.answering)
    if settings.cors_origins:
        app.entry = CORSMiddleware(
            app.entry,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD"],
            allow_headers=["If-None-Match"],
            expose_headers=["ETag"],
        )
    return app


class Service(FastAPI):
    """The framework's app behind an entry of ours, whose requests never come to the framework when it can answer."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.entry: ASGIApp = super().__call__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.entry(scope, receive, send)


def create_app_from_env() -> FastAPI:
    """The service as RELATED_HOME and the other RELATED_ variables say: what each worker process calls."""
    return create_app(load_settings(Path(os.environ.get("RELATED_HOME") or Settings().home)), attended=True)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the edition before the first request comes; end what runs beside the requests."""
    state = app.state
    await run_in_threadpool(state.live.view)
    async with AsyncExitStack() as running:
        if state.attended:
            gc.freeze()  # what is there now stays: the collector need not look at it again and again
            running.enter_context(state.live.followed())
        if state.log:
            state.log.start()
            running.callback(state.log.close)
        running.push_async_callback(run_in_threadpool, state.drafts.close)
        running.push_async_callback(state.desk.close)
        running.callback(state.live.decisions.close)
        if state.answering:
            running.callback(state.answering.close)
        await running.enter_async_context(sharing(state.tally))
        yield


class EveryAnswer:
    """Middleware: the security headers, and HEAD for whatever has GET, which FastAPI does not give its routes.

    The server leaves the body of an answer to HEAD out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self.app(inner, receive, send_on)
        finally:  # the middleware outside asks which route it was
            scope.update(inner, method=scope["method"])
