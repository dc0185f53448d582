"""The service behind a real caching proxy: nginx, without privileges, in a folder of its own."""

import gzip
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any
from urllib.parse import quote

import pytest

from recommender.edition import EssayLists, open_current
from recommender.publishing import build_lock, new_folder, publish, write_lists
from recommender.ranking import Candidate, Item
from service.changes import make_ready
from service.settings import Settings
from tests.service.editions import (
    ITEMS_OF_THE_SITE,
    LISTS_OF_THE_SITE,
    publish_edition,
    publish_other_edition,
)
from tests.service.running import BREAD, ROOT, RunningServer, running

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: apt install nginx-light)")

EMPTY = "/v1/articles/salt/related"
RYE = "/v1/articles/rye/related"
OATS = "/v1/articles/oats/related"
PAGES = [OATS, *(f"/v1/articles/{quote(lists.id)}/related" for lists in LISTS_OF_THE_SITE)]

CHANGED_ITEMS = (*(item for item in ITEMS_OF_THE_SITE if item.id != "salt"), Item("oats", "essay", "Oats"))
"""One essay is gone, and one is new."""
CHANGED_LISTS = (
    EssayLists("bread", 1, (), (Candidate("sundial", 0.5, 0.5),), ()),
    EssayLists("oats", 1, (), (Candidate("rye", 0.5, 0.5),), ()),
    *(
        replace(lists, candidates=tuple(entry for entry in lists.candidates if entry.id != "salt"))
        for lists in LISTS_OF_THE_SITE
        if lists.id not in ("bread", "salt")
    ),
)
"""The essay that is gone stood in the lists of bread and rye."""

_CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    upstream service {{ server {service}; keepalive 8; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_cache_revalidate on;
    proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;
    add_header X-Cache "$upstream_cache_status $upstream_status" always;

    # for as long as the service says
    proxy_cache_path {folder}/cache keys_zone=told:1m;
    server {{
        listen 127.0.0.1:{told};
        proxy_cache_background_update on;
        location / {{ proxy_pass http://service; proxy_cache told; }}
    }}

    # for a second, to see what comes after that
    proxy_cache_path {folder}/cache-brief keys_zone=brief:1m;
    server {{
        listen 127.0.0.1:{brief};
        proxy_ignore_headers Cache-Control;
        proxy_cache_valid 200 1s;
        location / {{ proxy_pass http://service; proxy_cache brief; }}
    }}

    # for a second, and asked again beside the answer
    proxy_cache_path {folder}/cache-beside keys_zone=beside:1m;
    server {{
        listen 127.0.0.1:{beside};
        proxy_cache_background_update on;
        proxy_ignore_headers Cache-Control;
        proxy_cache_valid 200 1s;
        location / {{ proxy_pass http://service; proxy_cache beside; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """cache: what nginx says of its cache. upstream: what the service answered, "-" when it was not asked."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def cache(self) -> str:
        return self.headers["x-cache"].split()[0]

    @property
    def upstream(self) -> str:
        return [*self.headers["x-cache"].split(), "-"][1]


Get = Callable[..., Answer]


def asking(port: int) -> Get:
    """Asks one server, each time on a new connection."""

    def get(path: str, method: str = "GET", **headers: str) -> Answer:
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())

    return get


@dataclass(frozen=True, slots=True)
class Site:
    """A service and nginx before it, by how long nginx keeps an answer."""

    home: Path
    service: RunningServer
    direct: Get
    told: Get
    brief: Get
    beside: Get
    cache: Path

    def copy_of(self, path: str) -> Path:
        """Where nginx keeps its copy."""
        return self.cache / hashlib.md5(f"http://service{path}".encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    home = tmp_path / "home"
    publish_edition(home)
    with running(home) as service, nginx(tmp_path, service) as ports:
        told, brief, beside = map(asking, ports)
        yield Site(home, service, asking(service.port), told, brief, beside, tmp_path / "cache")


@contextmanager
def nginx(folder: Path, service: RunningServer) -> Iterator[list[int]]:
    """nginx before the service; the ports of its three servers."""
    ports = free_ports(3)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",  # else its workers could not write here
            folder=folder,
            service=f"{service.host}:{service.port}",
            **dict(zip(("told", "brief", "beside"), ports, strict=True)),
        )
    )
    assert NGINX
    command = [NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_until_open(process, ports[-1])
            yield ports
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


def wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "nginx has ended"
            assert monotonic() < deadline
            Event().wait(0.02)
        else:
            return


def once_no_hit(get: Get, path: str, **headers: str) -> Answer:
    """The first answer after the copy's second is over."""
    deadline = monotonic() + 10
    while (answer := get(path, **headers)).cache == "HIT":
        assert monotonic() < deadline
        Event().wait(0.05)
    return answer


def content(answer: Answer) -> dict[str, Any]:
    """What a page shows: article and items; nothing when there is no such page."""
    assert answer.status in (200, 404), answer
    said = json.loads(answer.body)
    return {name: said[name] for name in ("article", "items") if name in said}


def test_the_service_is_asked_once(site: Site) -> None:
    first, second = site.told(BREAD), site.told(BREAD)

    assert [(answer.cache, answer.upstream) for answer in (first, second)] == [("MISS", "200"), ("HIT", "-")]
    assert first.body == second.body == site.direct(BREAD).body
    assert first.headers["etag"] == second.headers["etag"] == site.direct(BREAD).headers["etag"]


def test_an_old_copy_is_good_again_after_a_304(site: Site) -> None:
    first = site.brief(BREAD)

    again = once_no_hit(site.brief, BREAD)

    assert (again.cache, again.upstream, again.status) == ("REVALIDATED", "304", 200)
    assert again.body == first.body


def test_an_old_copy_gives_way_to_another_edition(site: Site) -> None:
    before = site.brief(BREAD)
    publish_other_edition(site.home)
    wait_until_served(site, BREAD, before)

    after = once_no_hit(site.brief, BREAD)

    assert (after.cache, after.upstream) == ("EXPIRED", "200")
    assert content(after) == content(site.direct(BREAD)) != content(before)


def test_an_old_copy_is_shown_while_it_is_asked_for_again(site: Site) -> None:
    first = site.beside(BREAD)

    stale = once_no_hit(site.beside, BREAD)

    assert (stale.cache, stale.body) == ("STALE", first.body)
    deadline = monotonic() + 10
    while site.beside(BREAD).cache != "HIT":
        assert monotonic() < deadline


def test_the_reader_who_has_the_page_gets_a_304(site: Site) -> None:
    for get in (site.direct, site.told, site.told):
        tag = get(BREAD).headers["etag"]
        answer = get(BREAD, If_None_Match=tag)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert get(BREAD, If_None_Match='"another"').status == 200


def test_old_copies_are_shown_while_the_service_is_down(site: Site) -> None:
    fresh = {path: site.brief(path) for path in (BREAD, EMPTY)}
    assert site.service.stop() == 0

    for path, answer in fresh.items():
        stale = once_no_hit(site.brief, path)
        assert (stale.status, stale.cache, stale.body) == (200, "STALE", answer.body)
    assert site.brief(RYE).status == 502


@pytest.mark.parametrize("asked_before", [False, True])
def test_head_says_what_get_would(site: Site, asked_before: bool) -> None:
    if asked_before:
        site.told(BREAD)
    for get in (site.direct, site.told):
        head = get(BREAD, "HEAD")
        full = get(BREAD)
        assert (head.status, head.body) == (200, b"")
        for name in ("content-length", "content-type", "etag", "cache-control", "vary"):
            assert head.headers[name] == full.headers[name]


def test_who_reads_gzip_gets_it_and_nobody_else(site: Site) -> None:
    plain = site.direct(BREAD).body
    for _ in range(2):
        for accepted, encoding in (("gzip", "gzip"), ("identity", None), ("br", None), ("gzip, br", "gzip")):
            answer = site.told(BREAD, Accept_Encoding=accepted)
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers.get("content-encoding") == encoding
            assert (gzip.decompress(answer.body) if encoding else answer.body) == plain


def test_the_proxy_keeps_an_empty_answer_for_a_short_time(site: Site) -> None:
    assert content(site.told(BREAD))["items"]
    assert content(site.told(EMPTY))["items"] == []

    assert (lifetime(site.copy_of(BREAD)), lifetime(site.copy_of(EMPTY))) == (300, 60)


def lifetime(copy: Path) -> int:
    """For how many seconds nginx holds a copy fresh, as the head of its file says, written once it has answered."""
    give_up = time.monotonic() + 10
    while not copy.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    _version, valid, _updating, _error, _modified, date = struct.unpack("6q", copy.read_bytes()[:48])
    return int(valid - date)


def test_the_purge_list_is_exactly_the_pages_whose_answer_changed(site: Site) -> None:
    before = {path: site.told(path) for path in PAGES}
    publish_as_a_build_does(site.home, CHANGED_LISTS, CHANGED_ITEMS)
    wait_until_served(site, BREAD, before[BREAD])

    changed = changed_pages(site.home)

    after = {path: site.direct(path) for path in PAGES}
    assert sorted(changed) == [BREAD, OATS, RYE, EMPTY]
    assert set(changed) == {path for path in PAGES if content(before[path]) != content(after[path])}
    for path in changed:
        site.copy_of(path).unlink(missing_ok=True)  # what was no page has no copy
    for path in PAGES:
        answer = site.told(path)
        assert answer.cache == ("MISS" if path in changed else "HIT")
        assert content(answer) == content(after[path])


def test_a_rollback_changes_the_same_pages_back(site: Site) -> None:
    publish_as_a_build_does(site.home, CHANGED_LISTS, CHANGED_ITEMS)

    related("rollback", "--home", str(site.home))

    assert sorted(changed_pages(site.home)) == [BREAD, OATS, RYE, EMPTY]


def test_nothing_is_purged_when_a_build_changes_nothing(site: Site) -> None:
    publish_as_a_build_does(site.home, LISTS_OF_THE_SITE, ITEMS_OF_THE_SITE)

    assert changed_pages(site.home) == []


def publish_as_a_build_does(home: Path, lists: Sequence[EssayLists], items: Sequence[Item]) -> None:
    """Publish the next edition, and write down before what it changes."""
    manifest = open_current(home).manifest
    said = {name: manifest[name] for name in ("built_at", "encoder", "inputs", "counts", "evaluation")}
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, items, lists)
        publish(home, folder, said, prepare=partial(make_ready, Settings(home=home)))


def changed_pages(home: Path) -> list[str]:
    """The pages that `related editions --changed` names, as paths."""
    listed = related("editions", "--changed", "--home", str(home))
    pages = json.loads(related("editions", "--changed", "--json", "--home", str(home)))["pages"]
    assert listed.splitlines() == [page["id"] for page in pages]
    return [f"/v1/articles/{quote(ident)}/related" for ident in listed.splitlines()]


def related(*arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-c", "from service.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def wait_until_served(site: Site, path: str, before: Answer) -> None:
    """Until the service answers from another edition."""
    deadline = monotonic() + 20
    while site.direct(path).body == before.body:
        assert monotonic() < deadline
        Event().wait(0.02)
