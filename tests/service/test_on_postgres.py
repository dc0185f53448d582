"""The service over a PostgreSQL database: the same bytes as over a folder, for whatever is asked of the demo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from benchmarks.postgres_server import Server
from recommender.drafts import DraftReader
from recommender.edition import Edition, open_current
from recommender.job import BuildOptions, build
from recommender.store import open_store
from service.app import create_app
from service.changes import Change, Changes, read_changes
from service.drafts import DraftDesk
from service.keys import digest
from service.settings import Settings
from tests.fakes import CountingEncoder
from tests.service.editions import ODD_IDS, publish_edition, publish_other_edition
from tests.service.posting import KEY, WITH_KEY
from tests.service.running import Client, running

EXAMPLES = Path(__file__).parents[2] / "examples"
ENCODER = CountingEncoder(window=256)
QUERIES = (
    "",
    "limit=3",
    "limit=50&include=unlinked",
    "profile=meaning",
    "category={category}",
    "category={category}&limit=50",
    "published_after=2019-01-01",
    "published_before=2019-01-01&limit=5",
    "exclude=village-oven,{last}",
    "min_score=0.2",
    "fields=title,url",
    "limit=51",
    "limt=3",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an edition of examples/, by the stand-in encoder."""
    home = tmp_path_factory.mktemp("demo")
    build([EXAMPLES], home, ENCODER, BuildOptions())
    return home


@pytest.fixture(scope="module")
def edition(home: Path) -> Edition:
    return open_current(home)


@pytest.fixture(scope="module")
def url(postgres: Server, edition: Edition, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the same edition."""
    url = postgres.fresh_database()
    open_store(tmp_path_factory.mktemp("publisher"), url).publish(edition, None, keep=2)
    return url


def client_of(settings: Settings) -> TestClient:
    app = create_app(settings)
    app.state.drafts = DraftDesk(lambda edition: DraftReader(edition, ENCODER), waiting=4, seconds=60)
    return TestClient(app, raise_server_exceptions=False, headers=WITH_KEY)


@pytest.fixture(scope="module")
def folder(home: Path) -> Iterator[TestClient]:
    with client_of(Settings(home=home, api_keys=(digest(KEY),))) as client:
        yield client


@pytest.fixture(scope="module")
def replica(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One that has nothing of the edition in its own home."""
    home = tmp_path_factory.mktemp("replica")
    with client_of(Settings(home=home, store=url, api_keys=(digest(KEY),))) as client:
        yield client


def told(response: Response) -> tuple[int, dict[str, str], bytes]:
    """All that came over the wire."""
    return response.status_code, dict(response.headers), response.content


@pytest.mark.parametrize("form", ["related", "related.html"])
def test_every_page_of_the_demo_is_answered_alike(
    folder: TestClient, replica: TestClient, edition: Edition, form: str
) -> None:
    pages = [edition.find(ident) for ident in edition.essay_ids()]
    assert len(pages) == 42
    answered = 0
    for page in pages:
        for query in QUERIES:
            path = f"/v1/articles/{page.id}/{form}?" + query.format(category=page.category, last=pages[-1].id)
            for encoding in ("identity", "gzip"):
                expected = folder.get(path, headers={"accept-encoding": encoding})
                assert told(replica.get(path, headers={"accept-encoding": encoding})) == told(expected), path
                assert told(replica.get(path, headers={"accept-encoding": encoding})) == told(expected), "and again"
                answered += expected.status_code == 200
    assert answered >= 42 * 11 * 2 - 42 * 2  # fields is a mistake where the answer is HTML


def test_pages_are_found_by_their_url_alike_and_unknown_ones_not(
    folder: TestClient, replica: TestClient, edition: Edition
) -> None:
    urls = [edition.find(ident).url for ident in edition.essay_ids()]
    asked = [*(f"url={url}/" for url in urls if url), "url=https://example.org/nobody"]
    for path in ("/v1/articles/related", "/v1/articles/related.html"):
        for query in asked:
            expected = folder.get(f"{path}?{query}")
            assert told(replica.get(f"{path}?{query}")) == told(expected), query
    for path in ("/v1/articles/nobody/related", "/v1/articles//related", "/v1/articles/nobody/related.html"):
        assert told(replica.get(path)) == told(folder.get(path))


def questions(edition: Edition) -> Iterator[tuple[str, dict[str, Any]]]:
    ids = list(edition.essay_ids())
    yield "/v1/related/batch", {"ids": ids}
    yield "/v1/related/batch", {"ids": [*ids[:3], "nobody"], "limit": 3, "fields": ["title"]}
    yield "/v1/related/batch", {"ids": [], "limit": 3}
    for first, second, third in zip(ids, ids[7:], ids[14:], strict=False):
        yield "/v1/related", {"positive": [first, second], "negative": [third], "limit": 20}
    yield "/v1/related", {"positive": [ids[0]], "category": edition.find(ids[0]).category}
    yield "/v1/related", {"positive": ["nobody"]}
    for text in ("Bread rises.", "Clocks, maps and bridges, and bread.", "Nothing of the kind."):
        yield "/v1/related", {"text": text, "title": "Bread", "limit": 50}
        yield "/v1/related", {"text": text, "published_after": "2019-01-01"}


def test_batches_examples_and_drafts_are_answered_alike(
    folder: TestClient, replica: TestClient, edition: Edition
) -> None:
    for path, body in questions(edition):
        assert told(replica.post(path, json=body)) == told(folder.post(path, json=body)), body


def test_odd_ids_are_answered_alike(database: str, tmp_path: Path) -> None:
    publish_edition(tmp_path)
    open_store(tmp_path, database).publish(open_current(tmp_path), None, keep=2)
    with client_of(Settings(home=tmp_path)) as folder, client_of(Settings(tmp_path / "other", database)) as replica:
        for ident in (*ODD_IDS, "bread", "blurb:quern", "\x00", "%00", "\ud800".encode("utf-8", "replace").decode()):
            for form in ("related", "related.html"):
                path = f"/v1/articles/{quote(ident, safe='')}/{form}"
                assert told(replica.get(path)) == told(folder.get(path)), ident


def test_what_changed_is_told_of_the_edition_that_the_database_shows(database: str, tmp_path: Path) -> None:
    home, settings = tmp_path / "home", Settings(tmp_path / "home", database)
    store = settings.open_store()
    first = publish_edition(home)
    store.publish(open_current(home), None, keep=2)
    second = publish_other_edition(home)
    store.publish(open_current(home), None, keep=2)
    bread = (Change("bread", "https://example.org/bread", "list"),)
    assert read_changes(settings) == Changes(second, first, bread)

    store.roll_back(first)
    assert read_changes(settings).edition == first
    elsewhere = read_changes(Settings(tmp_path / "elsewhere", database))
    assert (elsewhere.edition, elsewhere.since, {page.what for page in elsewhere.pages}) == (first, None, {"new"})


def test_workers_are_given_the_database_and_nobody_is_told_the_password(
    postgres: Server, edition: Edition, tmp_path: Path
) -> None:
    url = postgres.fresh_database()
    open_store(tmp_path, url).publish(edition, None, keep=2)
    secret = url.replace("postgres@", "postgres:open-sesame@")
    with running(tmp_path / "replica", workers=2, RELATED_STORE=secret) as server:
        client = Client(server, [f"/v1/articles/{ident}/related" for ident in edition.essay_ids()]).start()
        client.has_answers(100)
        client.stop()
        assert client.dropped == []
        assert server.said[0].startswith(f"serving {url.replace('postgres@', '')} at http://")
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (server.process.pid, *server.workers())]
        assert server.stop() == 0
    assert "open-sesame" not in "\n".join(server.said)
    assert b"open-sesame" not in b"\n".join(lines)
