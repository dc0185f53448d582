"""A service whose editions are at a distance: nobody waits for what was answered before, and no answer is lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from service.answering import THREADS
from service.app import create_app
from service.keys import digest
from service.replies import CACHE_CONTROL, CACHE_STATUS, STALE_CACHE_CONTROL
from tests.recommender.decided import decide
from tests.service.distant import DistantStore, distant_settings
from tests.service.editions import NOON, Clock, publish_edition, publish_other_edition
from tests.service.posting import KEY, WITH_KEY, is_problem
from tests.service.running import BREAD
from tests.service.test_fast_path import Request, Roads

FRAGMENT = "/v1/articles/bread/related.html"
BY_URL = "/v1/articles/related?url=https://example.org/bread"
ALL_FORMS = (BREAD, f"{BREAD}?limit=1", f"{BREAD}?fields=title", FRAGMENT, BY_URL, f"{BY_URL}&limit=1")
PLAIN, GZIP = {"accept-encoding": "identity"}, {"accept-encoding": "gzip"}


@dataclass
class Site:
    """A service and its distant store."""

    home: Path
    store: DistantStore
    app: FastAPI
    client: TestClient
    clock: Clock

    def get(self, path: str = BREAD, **headers: str) -> Response:
        return self.client.get(path, headers={**PLAIN, **headers})

    def cut_off(self) -> None:
        """Have the store away, and the service know it."""
        self.store.is_away = True
        self.clock.advance(seconds=2)
        self.get("/healthz")

    def mend(self) -> None:
        self.store.is_away = False
        self.clock.advance(seconds=2)
        self.get("/healthz")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    publish_edition(tmp_path)
    settings, store = distant_settings(tmp_path, monkeypatch, api_keys=(digest(KEY),))
    clock = Clock()
    app = create_app(settings, clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Site(tmp_path, store, app, client, clock)


def status_of(response: Response) -> str | None:
    found: str | None = response.headers.get("cache-status")
    return found


# --- The same answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        *(form.encode() for form in ALL_FORMS),
        b"/v1/articles/nobody/related",
        b"/v1/articles/related?url=https://example.org/nobody",
        BREAD.encode() + b"?limit=51",
        b"/v1/articles/related",
    ],
)
def test_the_answers_are_those_of_the_folder_on_both_roads(site: Site, tmp_path: Path, target: bytes) -> None:
    from service.settings import Settings

    folder = create_app(Settings(home=tmp_path), Clock())
    here, there = Roads(site.app, site.app), Roads(folder, folder)
    for headers in ((), ((b"accept-encoding", b"gzip"),), ((b"if-none-match", b"*"),)):
        asked = Request(target, headers)
        assert here.answer(asked) == there.answer(asked) == here.answer(asked)


def test_what_was_answered_takes_no_look_up_again(site: Site) -> None:
    before = [site.get(form).content for form in ALL_FORMS]
    tags = [site.get(form).headers["etag"] for form in ALL_FORMS]
    site.store.looked_up = 0

    assert [site.get(form).content for form in ALL_FORMS] == before
    assert [
        site.get(form, **{"if-none-match": tag}).status_code for form, tag in zip(ALL_FORMS, tags, strict=True)
    ] == ([304] * len(ALL_FORMS))
    assert site.store.looked_up == 0


def test_an_unknown_article_is_looked_up_once(site: Site) -> None:
    site.get()
    site.store.looked_up = 0

    assert site.get("/v1/articles/nobody/related").status_code == 404
    assert site.store.looked_up == 1


# --- Away ---------------------------------------------------------------------------------------------------------


def test_while_the_database_is_away_what_was_answered_before_is_answered_and_marked(site: Site) -> None:
    before = {form: site.get(form) for form in ALL_FORMS}
    assert {status_of(response) for response in before.values()} == {None}
    site.cut_off()

    for form, fresh in before.items():
        stale = site.get(form)
        assert (stale.status_code, stale.content) == (200, fresh.content)
        assert status_of(stale) == CACHE_STATUS == "related-articles; hit; detail=store-away"
        assert stale.headers["cache-control"] == STALE_CACHE_CONTROL
        assert stale.headers["etag"] == fresh.headers["etag"]
        unchanged = site.get(form, **{"if-none-match": fresh.headers["etag"]})
        assert (unchanged.status_code, status_of(unchanged)) == (304, CACHE_STATUS)
        assert unchanged.headers["cache-control"] == STALE_CACHE_CONTROL
    site.mend()
    assert [status_of(site.get(form)) for form in ALL_FORMS] == [None] * len(ALL_FORMS)
    assert site.get().headers["cache-control"] == CACHE_CONTROL


@pytest.mark.parametrize("path", ["/v1/articles/rye/related", "/v1/articles/rye/related.html"])
def test_what_was_never_asked_for_is_a_problem_until_the_database_is_back(site: Site, path: str) -> None:
    site.get()
    site.cut_off()

    refused = site.get(path)
    assert is_problem(refused, 503, "The database does not answer")["type"].endswith(":store-away")
    assert refused.headers["retry-after"] == "5"
    assert "far.example" not in refused.text
    batch = site.client.post("/v1/related/batch", json={"ids": ["bread"]}, headers=WITH_KEY)
    assert is_problem(batch, 503, "The database does not answer")
    site.mend()
    assert site.get(path).status_code == 200


def test_health_says_that_it_is_away_and_the_service_stays_ready(site: Site) -> None:
    site.get()
    site.cut_off()

    health = site.get("/healthz")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["reasons"] == ["postgresql://far.example/related does not answer: see to the database"]
    assert site.get("/readyz").status_code == 200
    site.mend()
    assert site.get("/healthz").json()["status"] == "ok"


def test_stale_answers_are_counted(site: Site) -> None:
    site.get()
    site.get(FRAGMENT)
    site.cut_off()
    for path in (BREAD, BREAD, FRAGMENT):
        site.get(path)

    told = site.get("/metrics").text
    assert 'related_answers_total{cache="stale",route="related"} 2.0' in told
    assert 'related_answers_total{cache="stale",route="related.html"} 1.0' in told


@pytest.mark.parametrize(("asked", "again"), [(GZIP, PLAIN), (PLAIN, GZIP)])
@pytest.mark.parametrize("page", ["bread", "salt"])  # salt's list is empty, and never compressed
def test_an_answer_in_another_encoding_will_do(
    site: Site, asked: dict[str, str], again: dict[str, str], page: str
) -> None:
    path = f"/v1/articles/{page}/related"
    before = site.client.get(path, headers=asked)
    site.cut_off()

    stale = site.client.get(path, headers=again)
    assert stale.json() == before.json()
    assert status_of(stale) == CACHE_STATUS
    assert ("content-encoding" in stale.headers) == (again is GZIP and page == "bread")
    site.mend()
    assert stale.headers["etag"] == site.client.get(path, headers=again).headers["etag"]


def test_a_service_that_starts_without_its_database_has_no_edition_until_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_edition(tmp_path)
    settings, store = distant_settings(tmp_path, monkeypatch)
    store.is_away = True
    clock = Clock()
    with TestClient(create_app(settings, clock), raise_server_exceptions=False) as client:
        assert is_problem(client.get(BREAD), 503, "The database does not answer")
        assert client.get("/healthz").json()["status"] == "no_edition"
        assert "does not answer" in client.get("/healthz").json()["reasons"][0]
        assert client.get("/readyz").status_code == 503
        store.is_away = False
        clock.advance(seconds=2)
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.get(BREAD).status_code == 200


# --- Decisions and editions ---------------------------------------------------------------------------------------


def ids(response: Response) -> list[str]:
    return [card["id"] for card in response.json()["items"]]


def test_what_an_editor_had_excluded_stays_out_while_the_database_is_away(site: Site) -> None:
    assert ids(site.get()) == ["salt", "rye"]
    site.store.log().append([decide("exclude", "bread", "rye")])
    assert ids(site.get()) == ["salt", "sundial"]
    site.cut_off()

    assert ids(site.get()) == ["salt", "sundial"]
    assert status_of(site.get()) == CACHE_STATUS


def test_an_answer_from_before_an_exclusion_is_none(site: Site) -> None:
    assert ids(site.get()) == ["salt", "rye"]
    site.store.log().append([decide("exclude", "bread", "rye")])
    site.get("/v1/articles/salt/related")  # by which the service hears of it
    site.cut_off()

    assert is_problem(site.get(), 503, "The database does not answer")
    assert site.get("/v1/articles/salt/related").status_code == 200


def test_an_earlier_editions_answer_will_do_but_not_from_before_a_decision(site: Site) -> None:
    first = site.get().json()["edition"]["id"]
    site.get(BY_URL)
    second = publish_other_edition(site.home)
    site.clock.advance(seconds=2)
    assert site.get("/v1/articles/salt/related").json()["edition"]["id"] == second
    site.cut_off()

    assert [site.get(path).json()["edition"]["id"] for path in (BREAD, BY_URL)] == [first, first]
    assert site.get("/v1/articles/salt/related").json()["edition"]["id"] == second
    site.mend()
    site.store.log().append([decide("exclude", None, "rye")])
    assert site.get("/v1/articles/salt/related").status_code == 200
    site.cut_off()
    assert site.get().status_code == 503


def test_an_edition_that_was_dropped_while_it_was_read_is_no_error(site: Site) -> None:
    first = site.get().json()["edition"]["id"]
    second = publish_other_edition(site.home)
    site.store.gone.add(first)

    answer = site.get("/v1/articles/rye/related")
    assert (answer.status_code, answer.json()["edition"]["id"]) == (200, second)
    site.store.gone.add(second)
    assert is_problem(site.get("/v1/articles/sundial/related"), 503, "No edition to answer from")
    third = publish_edition(site.home, NOON + timedelta(hours=3), page_weights={})
    batch = site.client.post("/v1/related/batch", json={"ids": ["bread", "sundial"]}, headers=WITH_KEY)
    assert (batch.status_code, batch.json()["edition"]["id"]) == (200, third)


# --- Hanging ------------------------------------------------------------------------------------------------------


@pytest.fixture
def attended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """One as a server runs it, which looks for editions beside the requests."""
    publish_edition(tmp_path)
    settings, store = distant_settings(tmp_path, monkeypatch, api_keys=(digest(KEY),), degraded_after_hours=1_000_000)
    app = create_app(settings, attended=True)
    with TestClient(app, raise_server_exceptions=False) as client:
        try:
            yield Site(tmp_path, store, app, client, Clock())
        finally:
            store.answers.set()


def wait_until(done: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not done():
        assert monotonic() < deadline


def test_nobody_but_who_asks_for_something_new_waits_for_a_database_that_hangs(attended: Site) -> None:
    before = attended.get().content
    attended.store.answers.clear()
    with ThreadPoolExecutor(91) as threads:
        waiting = [threads.submit(attended.get, f"/v1/articles/rye/related?limit={n}") for n in range(1, 46)]
        batch = {"url": "/v1/related/batch", "json": {"ids": ["bread"]}, "headers": WITH_KEY}
        waiting += [threads.submit(attended.client.post, **batch) for _ in range(45)]
        wait_until(lambda: attended.store.waiting > 40 + THREADS)  # a route that is no coroutine has one thread of 40

        def at_once(path: str) -> Response:
            return threads.submit(attended.get, path).result(timeout=30)

        try:
            assert at_once(BREAD).content == before
            assert [at_once(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]
            assert not attended.store.gave_up
        finally:
            attended.store.answers.set()
        assert {job.result(timeout=30).status_code for job in waiting} <= {200, 503}


def test_a_database_that_hangs_counts_as_away_after_a_while(attended: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.editions.PATIENCE", 0.2)
    monkeypatch.setattr("service.answering.PATIENCE", 0.2)
    attended.get()
    attended.store.answers.clear()

    assert is_problem(attended.get("/v1/articles/rye/related"), 503, "The database does not answer")
    wait_until(lambda: attended.get("/healthz").json()["status"] == "degraded")
    assert attended.get("/healthz").json()["reasons"] == [
        "postgresql://far.example/related has not answered for 0.2 seconds: see to the database"
    ]
    assert status_of(attended.get()) == CACHE_STATUS
    assert not attended.store.gave_up
    attended.store.answers.set()
    wait_until(lambda: attended.get("/healthz").json()["status"] == "ok")
    assert attended.get("/v1/articles/rye/related").status_code == 200


def test_the_document_tells_how_a_stale_answer_is_marked(site: Site) -> None:
    paths: dict[str, Any] = site.get("/openapi.json").json()["paths"]
    for path in ("/v1/articles/{id}/related", "/v1/articles/related", "/v1/articles/{id}/related.html"):
        header = paths[path]["get"]["responses"]["200"]["headers"]["Cache-Status"]
        assert CACHE_STATUS in header["description"]
