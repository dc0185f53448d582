"""The configuration of nginx in docs/placing.md, in a real nginx: what it includes, with the service and without."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.browser.conftest import RELATED, ROOT, address_of
from tests.service.editions import publish_edition

PLACING = (ROOT / "docs" / "placing.md").read_text(encoding="utf-8")
BEFORE, AFTER = "<p>Before.</p>\n", "\n<p>After.</p>\n"


@dataclass
class Cached:
    """nginx in front of the service."""

    address: str
    service: "subprocess.Popen[str]"

    def get(self, page: str) -> str:
        """What nginx puts into the page."""
        answer = httpx.get(f"{self.address}/{page}.html", headers={"Accept-Encoding": "gzip"}, timeout=30)
        assert answer.status_code == 200
        assert answer.text.startswith(BEFORE)
        assert answer.text.endswith(AFTER)
        return answer.text[len(BEFORE) : -len(AFTER)]


def block(language: str) -> str:
    """The first example of docs/placing.md in this language."""
    found = re.search(rf"```{language}\n(.*?)```", PLACING, re.DOTALL)
    assert found
    return found[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Cached]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("there is no nginx here: `make system` installs it")
    home, port = tmp_path / "home", free_port()
    publish_edition(home)
    with subprocess.Popen(
        [*RELATED, "serve", "--home", str(home), "--port", "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as service:
        write_site(tmp_path, block("nginx"), address_of(service).removeprefix("http://"), port)
        with subprocess.Popen(
            [nginx, "-p", str(tmp_path), "-e", "error.log", "-c", str(tmp_path / "nginx.conf")], cwd=tmp_path
        ) as server:
            wait_for(port)
            yield Cached(f"http://127.0.0.1:{port}", service)
            server.terminate()
        service.kill()


def write_site(folder: Path, config: str, service: str, port: int) -> None:
    """The configuration as documented, but for its addresses and paths, and a page for each of some articles."""
    for documented, here in {
        "127.0.0.1:8000": service,
        "listen 80;": f"listen 127.0.0.1:{port};",
        "/var/www/site": str(folder / "site"),
        "/var/cache/nginx/related": str(folder / "cache"),
    }.items():
        assert documented in config
        config = config.replace(documented, here)
    own = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
    (folder / "nginx.conf").write_text(f"{main} http {{ access_log off; {own}\n{config}\n}}", encoding="utf-8")
    (folder / "site").mkdir()
    include = re.search("<!--# include .* -->", PLACING)
    assert include
    for name, path in {
        "bread": "bread",
        "salt": "salt",
        "nobody": "nobody",
        "rye": "rye",
        "cafe": "a%2Frelated",
    }.items():
        page = BEFORE + include[0].replace("/bread/", f"/{path}/") + AFTER
        (folder / "site" / f"{name}.html").write_text(page, encoding="utf-8")


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    pytest.fail("nginx does not listen")


def test_nginx_includes_the_list_and_nothing_where_there_is_none(cached: Cached) -> None:
    assert re.findall('href="([^"]+)"', cached.get("bread")) == ["https://example.org/salt", "https://example.org/rye"]
    assert re.findall('href="([^"]+)"', cached.get("cafe")) == ["https://example.org/rye"]
    assert cached.get("salt") == ""
    assert cached.get("nobody") == ""


def test_with_the_service_down_nginx_shows_the_lists_it_has_and_else_nothing(cached: Cached) -> None:
    shown = cached.get("bread")
    assert "Salt" in shown

    cached.service.send_signal(signal.SIGKILL)
    cached.service.wait(timeout=10)

    assert cached.get("bread") == shown
    assert cached.get("rye") == ""
