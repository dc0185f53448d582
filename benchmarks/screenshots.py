"""The README's pictures of the desk, taken of the desk itself with the essays of examples/.

    python -m benchmarks.screenshots [--out docs]

Needs Chromium (`make system`). A few decisions are made first, as an editor would have by then.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from playwright.sync_api import Page, sync_playwright

from service.keys import digest, new_key

ROOT = Path(__file__).parents[1]
RELATED = [sys.executable, "-c", "from service.cli import main; main()"]
ESSAY = "harrison-h4"
WIDE = {"width": 1280, "height": 1000}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        subprocess.run(
            [*RELATED, "build", "examples", "--home", str(home), "--quiet"], cwd=ROOT, check=True, capture_output=True
        )
        with _desk(home) as (address, token):
            _decide(address, token)
            _take(address, token, out)


@contextmanager
def _desk(home: Path) -> Iterator[tuple[str, str]]:
    """A service with an editor called Anna; where it is, and her token."""
    token = new_key()
    environment = {**os.environ, "RELATED_EDITORS": f"Anna:editor:{digest(token)}"}
    command = [*RELATED, "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None  # noqa: S101 (for mypy)
            greeting = service.stderr.readline()
            yield greeting.partition(" at ")[2].split()[0], token
        finally:
            service.terminate()
            service.wait()


def _decide(address: str, token: str) -> None:
    """What Anna has decided about the page so far."""
    with urlopen(f"{address}/v1/articles/{ESSAY}/related?limit=12") as answer:  # noqa: S310
        cards = [card["id"] for card in json.load(answer)["items"] if card["origin"] == "model"]
    made = [
        {"action": "approve", "target": cards[0]},
        {"action": "pin", "target": cards[1], "position": "2", "note": "Our best one on the sea"},
        {"action": "exclude", "target": cards[-1], "note": "Another craft altogether"},
    ]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    for fields in made:
        body = urlencode({**fields, "source": ESSAY}).encode()
        with urlopen(Request(f"{address}/desk/decisions", body, headers)):  # noqa: S310
            pass


def _take(address: str, token: str, out: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=WIDE, device_scale_factor=1.0, color_scheme="light")
        page.goto(f"{address}/desk/login")
        page.get_by_label("Your token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        _shoot(page, f"{address}/desk/articles/{ESSAY}", out / "desk-page.png")
        _shoot(page, f"{address}/desk/map?id={ESSAY}", out / "desk-map.png")
        browser.close()


def _shoot(page: Page, address: str, path: Path) -> None:
    page.goto(address, wait_until="networkidle")
    page.screenshot(path=path)
    print(path)


if __name__ == "__main__":
    main()
