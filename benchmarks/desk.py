"""How long the desk takes for a page: the page view, the worklist, a decision; beside a bare answer of the endpoint.

    python -m benchmarks.desk HOME... [--pages 200] [--decisions 2000]

HOME is a folder that `related build` has filled. It is copied first, as decisions are made in it. Times are those of
the service alone, without a network: the request goes straight to the app. First with a fresh log, then with one of so
many decisions.
"""

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from starlette.testclient import TestClient

from recommender.decision_log import DecisionLog
from recommender.decisions import Action, Decision
from recommender.edition import open_current
from service.app import create_app
from service.desk.words import page_address
from service.settings import Settings

_HTML = {"Accept": "text/html"}
_ORIGIN = "http://localhost"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homes", nargs="+", type=Path)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--decisions", type=int, default=2_000)
    asked = parser.parse_args()
    print("| home | essays | decisions | request | n | median ms | 95% within | times the endpoint |")
    print("|---|---|---|---|---|---|---|---|")
    for home in asked.homes:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "home"
            shutil.copytree(home, copy, ignore=shutil.ignore_patterns("decisions.sqlite3*", "cache"))
            for count in (0, asked.decisions):
                _decide(copy, count)
                for line in _measure(copy, home.name, count, asked.pages):
                    print(line, flush=True)


def _decide(home: Path, count: int) -> None:
    """Random decisions about random pairs."""
    chance, ids = random.Random(7), list(open_current(home).essay_ids())  # noqa: S311
    kinds: list[Action] = ["approve", "exclude", "pin", "boost", "bury"]
    made = []
    for number in range(count):
        (source, target), action = chance.sample(ids, 2), chance.choice(kinds)
        position = chance.randint(1, 12) if action == "pin" else None
        common = {"editor": "benchmark", "at": datetime.now(UTC), "key": f"benchmark-{number}"}
        made.append(Decision(action=action, source=source, target=target, position=position, **common))  # type: ignore[arg-type]
    DecisionLog(home).append(made)


def _measure(home: Path, name: str, decisions: int, pages: int) -> list[str]:
    edition = open_current(home)
    ids = list(edition.essay_ids())
    sample = random.Random(8).sample(ids, min(pages, len(ids)))  # noqa: S311
    app = create_app(Settings(home=home))
    lines = []
    with TestClient(app, base_url=_ORIGIN, client=("127.0.0.1", 1)) as client:
        asked: dict[str, Callable[[str], object]] = {
            "endpoint, 5 entries at most": lambda ident: client.get(f"/v1/articles/{ident}/related?limit=5"),
            "page view": lambda ident: client.get(page_address(ident), headers=_HTML),
            "worklist": lambda ident: client.get("/desk", headers=_HTML),
            "search": lambda ident: client.get("/desk/search", params={"q": ident[:4], "source": ident}),
            "a decision": lambda ident: client.post(
                "/desk/decisions",
                data={"action": "review", "source": ident},
                headers={"Accept": "application/json", "Origin": _ORIGIN},
            ),
        }
        base = 0.0
        for what, ask in asked.items():
            times = _times(ask, sample)
            median = statistics.median(times)
            base = base or median
            most = statistics.quantiles(times, n=20)[-1]
            figures = f"{len(times)} | {median:.1f} | {most:.1f} | {median / base:.1f}"
            lines.append(f"| {name} | {len(ids):,} | {decisions:,} | {what} | {figures} |")
    return lines


def _times(ask: Callable[[str], object], sample: Sequence[str]) -> list[float]:
    """Milliseconds, one a page; the first few are not counted."""
    found = []
    for ident in [*sample[:5], *sample]:
        start = time.perf_counter()
        answer = ask(ident)
        found.append((time.perf_counter() - start) * 1000)
        assert answer.status_code == 200, answer  # type: ignore[attr-defined]  # noqa: S101
    return found[5:]


if __name__ == "__main__":
    main()
