"""The primary is killed under two replicas and an editor: readers notice nothing, and no decision is lost."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from recommender.edition import open_current
from recommender.store import open_store
from service.replies import CACHE_STATUS
from tests.service.editions import publish_edition
from tests.service.running import BREAD, Client, RunningServer, running

pytest.importorskip("psycopg", reason="the extra is absent: pip install 'related-articles[postgres]'")

from benchmarks.cluster import Cluster, Editor, cluster
from tests.postgres import need_postgres

PAGES = ("bread", "rye", "salt", "sundial", "a,b")
PATHS = [f"/v1/articles/{page}/related?limit={n}&exclude=x{m}" for m, n, page in product(range(300), (1, 5, 9), PAGES)]
"""So many that hardly any is asked for twice: the database must answer."""


@pytest.fixture(scope="module")
def servers() -> Iterator[Cluster]:
    need_postgres()
    with cluster() as found:
        yield found


@pytest.fixture(scope="module")
def replicas(servers: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningServer]]:
    """Two services, each with a home of its own."""
    home = tmp_path_factory.mktemp("publisher")
    publish_edition(home)
    open_store(home, servers.url()).publish(open_current(home), None, keep=2)
    with ExitStack() as stack:
        homes = [tmp_path_factory.mktemp(name) for name in ("replica", "replica")]
        yield [stack.enter_context(running(home, RELATED_STORE=servers.url())) for home in homes]


def fetch(replica: RunningServer, path: str) -> tuple[int, dict[str, str], Any]:
    """An answer's status, headers and JSON."""
    with closing(HTTPConnection(replica.host, replica.port, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())


def test_readers_and_editors_outlast_the_primary_and_readers_the_whole_database(
    servers: Cluster, replicas: list[RunningServer], tmp_path: Path
) -> None:
    clients = [Client(replica, PATHS).start() for replica in replicas]
    editor = Editor([replica.address for replica in replicas], PAGES).start()
    editor.has_made(20)
    servers.primary.kill()
    for client in clients:
        client.has_answers(20)
    servers.promote()
    editor.has_made(20)
    editor.stop()
    servers.kill_standbys()
    for client in clients:
        client.has_answers(20)
        client.stop()

    assert editor.faults == []
    assert [client.dropped for client in clients] == [[], []]
    written = {decision.key for decision in open_store(tmp_path, servers.url()).log().since()}
    assert editor.acknowledged.keys() <= written
    assert len(written) <= len(editor.acknowledged) + 1, "the same decision is there once, however often it was sent"

    asked = [fetch(replica, BREAD)[2] for replica in replicas]
    servers.primary.kill()
    for replica, before in zip(replicas, asked, strict=True):
        deadline = monotonic() + 30
        while "cache-status" not in fetch(replica, BREAD)[1]:
            assert monotonic() < deadline
        status, headers, body = fetch(replica, BREAD)
        assert (status, headers["cache-status"], body) == (200, CACHE_STATUS, before)
        status, headers, body = fetch(replica, "/v1/articles/rye/related?limit=50")
        assert (status, headers["retry-after"], body["title"]) == (503, "5", "The database does not answer")
        assert [fetch(replica, path)[0] for path in ("/healthz", "/readyz")] == [200, 200]
        (reason, *_) = fetch(replica, "/healthz")[2]["reasons"]
        assert "does not answer" in reason
