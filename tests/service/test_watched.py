"""The middleware that counts and logs what the fast path does not answer."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from service.access_log import AccessLog
from service.app import create_app
from service.metrics import Tally
from service.settings import Settings
from service.watched import Watched, noted


class Site:
    """A small app under watch."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally()
        self._reading, self._writing = os.pipe()
        self._log = AccessLog(self._writing, now=lambda: 0.0)
        app = FastAPI()
        app.include_router(_router())
        app.mount("/docs/assets", StaticFiles(directory=folder))
        app.add_middleware(Watched, tally=self.tally, log=self._log)
        self.client = TestClient(app, raise_server_exceptions=False)

    def counts(self) -> dict[tuple[Any, ...], int]:
        """Requests by route, status, cache and emptiness."""
        return {tuple(key): sum(row[:-1]) for key, row in self.tally._to_json()["rows"]}

    def lines(self) -> list[dict[str, Any]]:
        """What the log says, but for the time."""
        self._log.start()
        self._log.close()
        os.close(self._writing)
        with os.fdopen(self._reading, "rb") as file:
            return [{k: v for k, v in json.loads(line).items() if k not in ("time", "ms")} for line in file]


def _router() -> APIRouter:
    router = APIRouter()

    @router.get("/v1/articles/{id:path}/related")
    def related(request: Request) -> Response:
        seen = noted(request.scope)
        seen.recommendation_id, seen.variant, seen.cache, seen.empty = "0123", "model", "computed", True
        return PlainTextResponse("answer")

    @router.post("/v1/related")
    def suggest(request: Request) -> Response:
        noted(request.scope).article = "draft"
        return StreamingResponse(iter(["two ", "parts"]))

    @router.get("/v1/things/{id}")
    def thing() -> Response:
        raise RuntimeError("broken")

    return router


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "style.css").write_text("p {}")
    return Site(tmp_path)


def test_a_request_is_counted_with_what_its_route_noted(site: Site) -> None:
    site.client.get("/v1/articles/2024/bread/related")

    assert site.counts() == {("related", 200, "computed", True): 1}


def test_a_request_is_logged_with_what_its_route_noted(site: Site) -> None:
    site.client.get("/v1/articles/2024/bread/related?key=secret", headers={"Authorization": "Bearer secret"})

    assert site.lines() == [
        {
            "method": "GET",
            "route": "related",
            "article": "2024/bread",
            "status": 200,
            "bytes": 6,
            "recommendation_id": "0123",
            "variant": "model",
            "cache": "computed",
        }
    ]


def test_what_a_route_names_goes_before_the_path_and_all_parts_of_a_body_count(site: Site) -> None:
    site.client.post("/v1/related")

    (line,) = site.lines()
    assert (line["route"], line["article"], line["bytes"]) == ("suggestions", "draft", 9)


def test_the_log_says_that_an_answer_to_head_has_no_body(site: Site) -> None:
    site.client.head("/v1/articles/bread/related")

    (line,) = site.lines()
    assert (line["method"], line["bytes"]) == ("HEAD", 0)


def test_a_request_that_fails_counts_as_500(site: Site) -> None:
    assert site.client.get("/v1/things/7").status_code == 500

    assert site.counts() == {("id", 500, "", False): 1}
    assert site.lines()[0]["article"] == "7"


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/openapi.json", "openapi", 200),
        ("GET", "/docs/assets/style.css", "files", 200),
        ("GET", "/docs/assets/none.css", "files", 404),
        ("GET", "/wp-login.php", "unknown", 404),
        ("DELETE", "/v1/articles/bread/related", "related", 405),
        ("BREW", "/v1/articles/bread/related", "related", 405),
    ],
)
def test_routes_have_few_names_whatever_is_asked_for(
    site: Site, method: str, path: str, route: str, status: int
) -> None:
    site.client.request(method, path)

    assert site.counts() == {(route, status, "", False): 1}


def test_without_a_log_requests_are_counted_all_the_same(tmp_path: Path) -> None:
    tally, app = Tally(), FastAPI()
    app.add_middleware(Watched, tally=tally)

    TestClient(app).get("/nothing")

    assert [key for key, _ in tally._to_json()["rows"]] == [("unknown", 404, "", False)]


def test_head_is_counted_under_its_route(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path))

    TestClient(app).head("/healthz")

    assert [key for key, _ in app.state.tally._to_json()["rows"]] == [("healthz", 200, "", False)]
