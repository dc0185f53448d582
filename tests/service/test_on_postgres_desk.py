"""The desk of two replicas over one PostgreSQL database: what is done at one of them is so at both."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from recommender.edition import open_current, open_edition
from recommender.publish_gate import find_held, judge
from recommender.store import Store, open_store
from service.app import create_app
from service.desk.sessions import SECRET_FILE
from service.settings import Settings
from tests.service.desk.site import EDITORS, FACTS, ITEMS, LISTS, OWN, PROGRAM, page_of, ranked, refused, text_of
from tests.service.editions import NOON, publish_edition
from tests.service.posting import is_problem

EDITOR = {"Authorization": "Bearer editor token"}
ADMIN = {"Authorization": "Bearer admin token"}
HTML = {"Accept": "text/html"}
PAGES = (
    "/desk",
    "/desk/articles/oven?q=rye",
    "/desk/search?q=sun",
    "/desk/decisions",
    "/desk/decisions.csv",
    "/desk/editions",
    "/desk/learned",
    "/desk/map",
    "/desk/map/points",
    "/desk/map/links?id=oven",
    "/desk/bulk",
)


@dataclass
class Replica:
    """A service with a home of its own."""

    home: Path
    client: TestClient

    def related(self, page: str = "oven") -> list[str]:
        answer = self.client.get(f"/v1/articles/{page}/related")
        assert answer.status_code == 200, answer.text
        return [card["id"] for card in answer.json()["items"]]

    def edition(self) -> str:
        return str(self.client.get("/healthz").json()["edition"])

    def post(self, path: str, who: dict[str, str] = EDITOR, **fields: Any) -> Response:
        return self.client.post(path, data=fields, headers={**PROGRAM, **who}, follow_redirects=False)

    def decide(self, action: str, **fields: Any) -> int:
        answer = self.post("/desk/decisions", action=action, **fields)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["decisions"][0]["id"])


@dataclass
class Site:
    """Two replicas, the home that is published from, and the database."""

    home: Path
    store: Store
    one: Replica
    other: Replica
    first: str

    def publish(self, hour: timedelta, held: bool = False) -> str:
        """Another edition, in which oven's own list is rye alone; or have it held back."""
        lists = [LISTS[0].__class__("oven", 1, ranked(("rye", 0.8)), (), ()), *LISTS[1:]]
        keep = (lambda edition, ident: judge(ident, self.first, 0.25, 0.5, NOON)) if held else None
        ident = publish_edition(self.home, NOON + hour, lists, ITEMS, keep, FACTS)
        self.store.publish(open_edition(self.home, ident), find_held(self.home, ident), keep=5)
        return ident


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    home = tmp_path / "publisher"
    first = publish_edition(home, lists=LISTS, items=ITEMS, facts=FACTS)
    store = open_store(home, database)
    store.publish(open_current(home), None, keep=5)
    with ExitStack() as running:
        replicas = []
        for name in ("one", "other"):
            app = create_app(Settings(tmp_path / name, database, editors=EDITORS), attended=True)
            client = TestClient(app, base_url="https://desk.example")
            replicas.append(Replica(tmp_path / name, running.enter_context(client)))
        yield Site(home, store, *replicas, first)


def wait_until(done: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not done():
        assert monotonic() < deadline
        sleep(0.01)


def test_every_page_can_be_read_at_any_replica(site: Site) -> None:
    site.one.decide("exclude", source="oven", target="hour")
    for path in PAGES:
        here, there = (replica.client.get(path, headers={**EDITOR, **HTML}) for replica in (site.one, site.other))
        assert (here.status_code, there.status_code) == (200, 200), path


def test_a_decision_counts_at_once_where_it_was_made_and_soon_elsewhere(site: Site) -> None:
    assert site.one.related() == site.other.related() == ["salt", "hour", "loaf"]
    for here, there in ((site.one, site.other), (site.other, site.one)) * 3:
        made = here.decide("exclude", source="oven", target="hour")
        assert here.related() == ["salt", "loaf", "rye"]
        wait_until(lambda there=there: there.related() == ["salt", "loaf", "rye"])
        assert there.post("/desk/undo", id=made).status_code == 200
        assert there.related() == ["salt", "hour", "loaf"]
        wait_until(lambda here=here: here.related() == ["salt", "hour", "loaf"])


def test_the_same_key_at_two_replicas_is_one_decision(site: Site) -> None:
    made = [
        replica.decide("pin", source="oven", target="rye", position=1, key="k") for replica in (site.one, site.other)
    ]

    assert made == [1, 1]
    assert len(site.store.log().since()) == 1


def test_editions_are_listed_compared_and_gone_back_from_at_any_replica(site: Site) -> None:
    second = site.publish(timedelta(hours=1))
    wait_until(lambda: {site.one.edition(), site.other.edition()} == {second})
    assert site.other.related() == ["rye"]

    listed = page_of(site.other.client.get("/desk/editions", headers={**ADMIN, **HTML}))
    assert [text_of(row.xpath("./th")[0]) for row in listed.xpath("//tbody/tr")] == [second, site.first]
    compared = site.other.client.get(f"/desk/editions?before={site.first}&after={second}", headers={**ADMIN, **HTML})
    assert f"1 of {len(LISTS)} pages changed" in text_of(page_of(compared))
    assert site.other.post("/desk/editions/rollback", EDITOR, edition=site.first).status_code == 403
    assert site.other.post("/desk/editions/rollback", ADMIN, edition=site.first).status_code == 303
    wait_until(lambda: {site.one.edition(), site.other.edition()} == {site.first})
    assert site.one.related() == ["salt", "hour", "loaf"]
    assert "there is no edition" in refused(site.one.post("/desk/editions/rollback", ADMIN, edition="2020-0"), 422)


def test_an_edition_that_is_held_back_is_signed_off_at_any_replica(site: Site) -> None:
    held = site.publish(timedelta(hours=1), held=True)
    listed = site.other.client.get("/desk/editions", headers={**ADMIN, **HTML})
    assert f"edition {held} is held back" in text_of(page_of(listed))
    assert {site.one.edition(), site.other.edition()} == {site.first}

    assert site.other.post("/desk/editions/publish", ADMIN, edition=held).status_code == 303
    wait_until(lambda: {site.one.edition(), site.other.edition()} == {held})
    assert site.one.related() == ["rye"]


def test_a_session_of_one_replica_is_known_to_another_with_the_same_secret(site: Site) -> None:
    token = {"token": "editor token", "next": "/desk"}
    assert site.one.client.post("/desk/login", data=token, headers=OWN, follow_redirects=False).status_code == 303
    cookies = dict(site.one.client.cookies)
    asked = {"headers": HTML, "follow_redirects": False}

    shutil.copy(site.one.home / SECRET_FILE, site.other.home)
    site.other.client.cookies.update(cookies)
    assert site.other.client.get("/desk", **asked).status_code == 200
    (site.one.home / SECRET_FILE).write_text("0" * 64)
    again = create_app(Settings(site.one.home, "postgresql://nobody@127.0.0.1:1/none", editors=EDITORS))
    with TestClient(again, base_url="https://desk.example", cookies=cookies) as stranger:
        assert stranger.get("/desk", **asked).status_code == 303


def test_a_database_that_is_not_there_is_told_to_readers_and_editors(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra is absent: pip install 'related-articles[postgres]'")
    app = create_app(Settings(tmp_path, "postgresql://anna:secret@127.0.0.1:1/none", editors=EDITORS))
    with TestClient(app, base_url="https://desk.example", raise_server_exceptions=False) as client:
        assert is_problem(client.get("/v1/articles/oven/related"), 503, "The database does not answer")
        page = client.get("/desk", headers={**EDITOR, **HTML})
        told = client.get("/healthz").text
    assert "postgresql://127.0.0.1:1/none does not answer" in refused(page, 503)
    assert "postgresql://127.0.0.1:1/none does not answer" in told
    assert "secret" not in page.text + told
