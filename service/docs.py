"""The page /docs: Swagger UI from the package fastapi-offline, since FastAPI's own page fetches it from a CDN."""

import base64
import hashlib
import re

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

_ASSETS = "docs/assets"


def add_docs(app: FastAPI) -> None:
    """Add /docs, with a policy under which it runs its own scripts only; / leads to it."""
    page = _page(app.title)
    policy = _policy(page)

    async def docs(request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"})

    async def start(request: Request) -> Response:
        return RedirectResponse("docs")

    app.add_route("/", start, include_in_schema=False)
    app.add_route("/docs", docs, include_in_schema=False)
    app.mount(f"/{_ASSETS}", StaticFiles(packages=[("fastapi_offline", "static")]))


def _page(title: str) -> str:
    """Every link is relative, so that the page also works behind a prefix."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # else it sends the document's address to swagger.io
    )
    return bytes(page.body).decode()


def _policy(page: str) -> str:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
