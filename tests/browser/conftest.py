"""A site with a page of its own layout, the service beside it on another port, and Chromium to look at both."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.service.editions import publish_edition

ROOT = Path(__file__).parents[2]
RELATED = [sys.executable, "-c", "from service.cli import main; main()"]
FILES = Path(__file__).parent / "site"
PAGE = (FILES / "page.html").read_text(encoding="utf-8")


@dataclass
class Site:
    """A site that serves what a test puts into `pages`; service: the address of the service."""

    address: str
    service: str = ""
    pages: dict[str, str] = field(default_factory=dict)

    def put(self, related: str, script: str = "") -> str:
        """Put the page with this where the list shall stand, and this in its head; returns its address."""
        name = f"/page-{len(self.pages)}"
        self.pages[name] = PAGE.replace("{script}", script).replace("{related}", related)
        return self.address + name

    def put_element(self, attributes: str, inside: str = "", src: str | None = None) -> str:
        """Put the page with the custom element."""
        script = f'<script src="{src or self.service}/related.js" defer></script>'
        return self.put(f"<related-articles {attributes}>{inside}</related-articles>", script)

    def put_fragment(self, path: str) -> str:
        """Put the page with the fragment in it, as a server that includes it would; nothing where that fails."""
        try:
            with urlopen(self.service + path, timeout=10) as answer:  # noqa: S310
                return self.put(answer.read().decode())
        except HTTPError:
            return self.put("")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Serves under a policy that allows no inline script or style. The service may be asked by its pages' scripts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            style = self.path == "/style.css"
            content = (FILES / "style.css").read_text(encoding="utf-8") if style else found.pages.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Type", f"text/{'css' if style else 'html'}; charset=utf-8")
            allowed = f"style-src 'self'; script-src {found.service}; connect-src {found.service}"
            self.send_header("Content-Security-Policy", f"default-src 'none'; {allowed}")
            self.end_headers()
            self.wfile.write((content or "").encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Site(f"http://127.0.0.1:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def service(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `related serve`, as a person would start it, on a small edition."""
    home = tmp_path_factory.mktemp("home")
    publish_edition(home)
    command = [*RELATED, "serve", "--home", str(home), "--port", "0"]
    environment = os.environ | {"RELATED_CORS_ORIGINS": site.address}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        site.service = address_of(process)
        yield site.service
        process.terminate()
        process.communicate(timeout=30)


def address_of(process: "subprocess.Popen[str]") -> str:
    """Where a service that was just started says it is."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if " at http://" in line:
            return line.split(" at ")[1].split()[0]
    raise AssertionError(f"the service did not start: {said}")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo edition, as `make demo` builds it; to be copied."""
    home = tmp_path_factory.mktemp("demo") / "home"
    command = [*RELATED, "build", "examples", "--home", str(home), "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium, headless. Of a module only: Playwright holds the thread's event loop while it runs."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no chromium here: `make system` installs it")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, service: str) -> Iterator[Any]:
    """A new tab that counts running fetches, and notes layout shifts, the element's events and the console's errors."""
    context = chromium.new_context(viewport={"width": 900, "height": 1400}, locale="en-GB")
    context.add_init_script("""
        window.shifts = [];
        window.told = [];
        window.waiting = 0;
        const ask = window.fetch;
        window.fetch = (...what) => (window.waiting++, ask(...what).finally(() => window.waiting--));
        new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) => entry.value)))
          .observe({ type: "layout-shift", buffered: true });
        for (const what of ["shown", "click"])
          addEventListener(`related-articles:${what}`, ({ detail }) => window.told.push([what, detail]));
    """)
    tab = context.new_page()
    tab.complaints = []
    tab.on("console", lambda message: tab.complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.set_default_timeout(10_000)
    yield tab
    context.close()
