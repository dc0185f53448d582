"""The service as one ASGI app. It needs neither a model nor FAISS: it reads what the offline job has published."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import health, website
from service.docs import add_docs
from service.editions import LiveEdition, utc_now
from service.problems import SECURITY_HEADERS, handle_problems
from service.settings import Settings, load_settings
from service.version import VERSION

_DESCRIPTION = """Each article's related articles, as cards that are ready to show.

The answers come from an edition that the offline job has published, and may be cached. A mistake in a request is
answered with 422 and never guessed at. Every error is a problem document (RFC 9457)."""


def create_app(settings: Settings, now: Callable[[], datetime] = utc_now) -> FastAPI:
    """The service for one home. now: the clock, in UTC."""
    app = FastAPI(
        title="Related articles",
        version=VERSION,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_open_edition,
    )
    app.state.settings, app.state.now = settings, now
    app.state.live = LiveEdition(settings.home, now, settings.rules())
    app.include_router(website.router)
    app.include_router(health.router)
    add_docs(app)
    handle_problems(app)
    app.add_middleware(EveryAnswer)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD"],
            allow_headers=["If-None-Match"],
            expose_headers=["ETag"],
        )
    return app


def create_app_from_env() -> FastAPI:
    """The service as RELATED_HOME and the other RELATED_ variables say: what each worker process calls."""
    return create_app(load_settings(Path(os.environ.get("RELATED_HOME") or Settings().home)))


@asynccontextmanager
async def _open_edition(app: FastAPI) -> AsyncIterator[None]:
    """Open the edition before the first request comes."""
    await run_in_threadpool(app.state.live.view)
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

        await self.app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, send_on)
