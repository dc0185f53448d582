"""Editions published, rolled back and damaged while two workers answer eight clients."""

import json
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from time import monotonic

from recommender.edition import LISTS
from recommender.publishing import make_current, roll_back
from tests.service.editions import ITEMS_OF_THE_SITE, NOON, publish_edition
from tests.service.running import BREAD, Client, RunningServer, running

REQUESTS = 20_000
SWAPS = 20
CLIENTS = 8
PATHS = (
    BREAD,
    "/v1/articles/rye/related?limit=5",
    "/v1/articles/related?url=https://example.org/rye",
    "/v1/articles/a,b/related?fields=title",
    "/v1/articles/sundial/related?limit=50&include=unlinked",
)


@dataclass
class Reader:
    """Reads a client's answers. seen: every edition's id with the numbers in the titles of each answer."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    latest: str = ""

    def __call__(self, body: bytes) -> str | None:
        """What is wrong with an answer: titles of more than one edition."""
        answer = json.loads(body)
        titles = [answer["article"]["title"], *(card["title"] for card in answer["items"])]
        numbers = {title.rpartition(" ")[2] for title in titles}
        self.latest = answer["edition"]["id"]
        self.seen |= {(self.latest, number) for number in numbers}
        return None if len(numbers) == 1 and len(titles) > 1 else f"{self.latest}: {titles}"


def test_no_answer_fails_or_mixes_editions_while_they_are_swapped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    published = {publish_numbered(home, 0): "0"}
    with running(home, workers=2) as server:
        readers = [Reader() for _ in range(CLIENTS)]
        clients = [Client(server, PATHS, judge=reader).start() for reader in readers]
        for number in range(1, SWAPS + 1):
            latest = publish_numbered(home, number)
            published[latest] = str(number)
            wait_until_all_read(readers, latest)
            if number in (5, 15, 20):
                latest = roll_back(home)
                assert latest in published
                wait_until_all_read(readers, latest)
            if number == 10:
                make_damaged_one_current(home, tmp_path / "aside")
                wait_until_damage_is_noticed(server)
                assert {reader.latest for reader in readers} == {latest}
        while sum(client.answered for client in clients) < REQUESTS:
            clients[0].has_answers(100)
        for client in clients:
            client.stop()
        assert server.stop() == 0
    assert [client.dropped for client in clients] == [[]] * CLIENTS
    assert {reader.latest for reader in readers} == {latest}
    assert all(reader.seen <= set(published.items()) for reader in readers)
    assert set.union(*(reader.seen for reader in readers)) == set(published.items())


def publish_numbered(home: Path, number: int) -> str:
    """Publish an edition whose every title ends with its number; returns its id."""
    items = [item._replace(title=f"{item.title or 'No title'}, edition {number}") for item in ITEMS_OF_THE_SITE]
    return publish_edition(home, NOON + timedelta(hours=number), items=items)


def make_damaged_one_current(home: Path, aside: Path) -> None:
    """An edition of which a byte was changed after it was published."""
    ident = publish_numbered(aside, 999)
    shutil.copytree(aside / "editions" / ident, home / "editions" / ident)
    path = home / "editions" / ident / LISTS
    content = path.read_bytes()
    assert content.count(b"Bread, edition 999") == 1
    path.write_bytes(content.replace(b"Bread, edition 999", b"Bread. edition 999"))
    make_current(home, ident)


def wait_until_all_read(readers: list[Reader], edition: str) -> None:
    deadline = monotonic() + 30
    while any(reader.latest != edition for reader in readers):
        assert monotonic() < deadline, (edition, [reader.latest for reader in readers])
        Event().wait(0.005)


def wait_until_damage_is_noticed(server: RunningServer) -> None:
    """Until ten new connections in turn say so: the two workers draw lots for them."""
    deadline, in_turn = monotonic() + 30, 0
    while in_turn < 10:
        assert monotonic() < deadline
        connection = HTTPConnection(server.host, server.port, timeout=10)
        connection.request("GET", "/healthz")
        reasons = " ".join(json.loads(connection.getresponse().read())["reasons"])
        connection.close()
        in_turn = in_turn + 1 if "is served instead" in reasons else 0
