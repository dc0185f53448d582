"""Two editors decide while the site is built again and again and the service is killed without a word: real processes,
a real disk. Whatever was acknowledged is in the log afterwards, once."""

import json
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from recommender.decision_log import DecisionLog
from recommender.edition import open_current
from recommender.standing import Log, Standing
from service.keys import digest
from tests.service.editions import publish_edition
from tests.service.running import running

DECISIONS = 2_000
KILLS = 20
EDITORS = ("anna", "ben")
TOKENS = {name: f"token-of-{name}" for name in EDITORS}
PATIENCE = 240.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux: kills process groups")


class Place:
    """Where the service listens now; it moves whenever it was killed."""

    def __init__(self) -> None:
        self.port = 0


def decide(place: Place, editor: str, key: str, fields: dict[str, str], deadline: float) -> dict[str, object]:
    """Send a decision until it is acknowledged, always under the same key; returns what was acknowledged."""
    headers = {
        "Authorization": f"Bearer {TOKENS[editor]}",
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    while monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", place.port, timeout=5)
        try:
            connection.request("POST", "/desk/decisions", urlencode(fields | {"key": key}), headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200, body
            (decision,) = body["decisions"]
            return dict(decision)
        except (OSError, HTTPException, ValueError):
            sleep(0.02)  # nobody listens, or nobody does any more
        finally:
            connection.close()
    raise AssertionError("never acknowledged")


def edit(place: Place, editor: str, count: int, deadline: float) -> dict[str, dict[str, object]]:
    """Make so many decisions; what was acknowledged, by key."""
    chance = random.Random(editor)  # noqa: S311
    ids = ["bread", "rye", "salt", "sundial"]
    found = {}
    for number in range(count):
        source, target = chance.sample(ids, 2)
        action = chance.choice(["approve", "exclude", "pin", "boost", "bury"])
        fields = {"action": action, "source": source, "target": target, "note": f"{editor} {number}"}
        if action == "pin":
            fields["position"] = str(chance.randint(1, 5))
        key = f"{editor}-{number}"
        found[key] = decide(place, editor, key, fields, deadline)
    return found


def build_again(home: Path, stop: Event) -> int:
    """Publish editions until told to stop; returns how many."""
    count = 0
    while not stop.wait(1.0):
        count += 1
        publish_edition(home, built_at=datetime.now(UTC))
    return count


def test_every_acknowledged_decision_is_there_after_twenty_kills_and_none_is_there_twice(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    settings = ",".join(f"{name}:editor:{digest(token)}" for name, token in TOKENS.items())
    place, stop, chance = Place(), Event(), random.Random(5)  # noqa: S311
    deadline = monotonic() + PATIENCE
    killed = 0
    with ThreadPoolExecutor() as pool:
        builds = pool.submit(build_again, tmp_path, stop)
        editors = []
        try:
            while not editors or not all(editor.done() for editor in editors):
                assert monotonic() < deadline
                with running(tmp_path, workers=2 if killed % 5 == 0 else 1, RELATED_EDITORS=settings) as server:
                    place.port = server.port
                    if not editors:
                        editors = [pool.submit(edit, place, name, DECISIONS // 2, deadline) for name in EDITORS]
                    if killed < KILLS:
                        sleep(chance.uniform(0.05, 0.5))
                        os.killpg(server.process.pid, signal.SIGKILL)
                        killed += 1
                    else:
                        for editor in editors:
                            editor.result(timeout=PATIENCE)
                        live = [read(server.address, ident) for ident in ("bread", "rye", "salt", "sundial")]
        finally:
            stop.set()
    acknowledged = {key: entry for editor in editors for key, entry in editor.result().items()}

    log = DecisionLog(tmp_path).since()

    assert killed == KILLS
    assert builds.result() > 1
    assert len(acknowledged) == DECISIONS
    assert [entry.id for entry in log] == list(range(1, DECISIONS + 1)), "gapless, each once"
    written = {entry.key: (entry.id, entry.action, entry.source, entry.target, entry.note) for entry in log}
    sent = {
        key: (entry["id"], entry["action"], entry["source"], entry["target"], entry["note"])
        for key, entry in acknowledged.items()
    }
    assert sent == written
    assert live == [replayed(tmp_path, log, ident) for ident in ("bread", "rye", "salt", "sundial")]


def read(address: str, ident: str) -> list[tuple[str, str]]:
    with urlopen(f"{address}/v1/articles/{ident}/related", timeout=10) as answer:  # noqa: S310
        return [(card["id"], card["origin"]) for card in json.load(answer)["items"]]


def replayed(home: Path, log: list[object], ident: str) -> list[tuple[str, str]]:
    """The list that replaying the log gives."""
    edition = open_current(home)
    decided = Standing(Log().with_(log), datetime.now(UTC), edition).of(ident)  # type: ignore[arg-type]
    return [(place.target, place.origin) for place in edition.related(ident, None, decided).recommendations]
