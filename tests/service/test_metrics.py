"""What is counted, how workers share it, and what Prometheus is told."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service import metrics
from service.metrics import BUCKETS, FOLDER_VARIABLE, Tally, expose, open_tally, shared_folder, sharing
from tests.service.editions import NOON

Samples = dict[tuple[str, ...], float]


def parse(text: str) -> Samples:
    """Each sample by its name and the values of its labels, in the labels' order."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def viewed(edition: object, *faults: str) -> Any:
    """A service.editions.View of an edition."""
    return SimpleNamespace(edition=edition, faults=faults)


NO_EDITION = viewed(None, "nothing is published")


def scrape(tally: Tally, view: Any = NO_EDITION, clock: float | None = None) -> Samples:
    """What Prometheus reads."""
    exposed = expose(tally, view, NOON + timedelta(hours=1), *([] if clock is None else [lambda: clock]))
    return parse(exposed.decode())


def requests(samples: Samples) -> Samples:
    return {key[1:]: value for key, value in samples.items() if key[0] == "related_requests_total"}


def test_requests_are_counted_by_route_and_status() -> None:
    tally = Tally()
    for status, cache in ((200, "ready"), (200, "computed"), (304, "ready"), (404, "")):
        tally.count("related", status, 0.001, cache)
    tally.count("healthz", 200, 0.001)

    assert requests(scrape(tally)) == {
        ("related", "200"): 2,
        ("related", "304"): 1,
        ("related", "404"): 1,
        ("healthz", "200"): 1,
    }


def test_latencies_are_a_histogram_by_route_whose_bounds_belong_to_the_bucket_below() -> None:
    tally = Tally()
    for seconds in (0.00005, 0.0001, 0.00011, 2.5, 99.0):
        tally.count("related", 200, seconds)

    samples = scrape(tally)

    buckets = [
        samples["related_request_seconds_bucket", le, "related"] for le in (*map(str, map(float, BUCKETS)), "+Inf")
    ]
    assert buckets == [2, *[3] * 12, 4, 4, 4, 4, 5]
    assert samples["related_request_seconds_count", "related"] == 5
    assert samples["related_request_seconds_sum", "related"] == pytest.approx(101.50026)


def test_answers_are_counted_by_where_their_bytes_came_from_and_304s_apart() -> None:
    tally = Tally()
    for status, cache in ((200, "ready"), (200, "ready"), (200, "kept"), (200, "computed"), (304, "ready"), (503, "")):
        tally.count("related", status, 0.001, cache)

    samples = scrape(tally)

    assert {key[1:]: value for key, value in samples.items() if key[0] == "related_answers_total"} == {
        ("ready", "related"): 2,
        ("kept", "related"): 1,
        ("computed", "related"): 1,
        ("not_modified", "related"): 1,
    }


def test_empty_answers_are_counted() -> None:
    tally = Tally()
    tally.count("related", 200, 0.001, "ready", empty=True)
    tally.count("related", 200, 0.001, "ready")
    tally.count("related.html", 200, 0.001, "ready", empty=True)

    samples = scrape(tally)

    assert samples["related_empty_answers_total", "related"] == 1
    assert samples["related_empty_answers_total", "related.html"] == 1
    assert requests(samples)["related", "200"] == 2


def test_the_queue_of_drafts_is_told() -> None:
    tally = Tally()
    tally.desk = SimpleNamespace(waiting=3, refused=2, timed_out=1)
    tally.look()

    samples = scrape(tally)

    assert samples["related_drafts_waiting",] == 3
    assert samples["related_drafts_refused_total",] == 2
    assert samples["related_drafts_timed_out_total",] == 1


def test_the_edition_is_told_with_its_age_and_without_one_that_something_is_wrong() -> None:
    edition = SimpleNamespace(id="20261101T120000", built_at=NOON, manifest={"counts": {"essays": 12}})

    assert (
        scrape(Tally(), viewed(edition)).items()
        >= {
            ("related_edition_faults",): 0,
            ("related_edition_age_seconds",): 3600,
            ("related_edition_essays",): 12,
            ("related_edition_info", "20261101T120000"): 1,
        }.items()
    )
    without = scrape(Tally())
    assert without["related_edition_faults",] == 1
    assert ("related_edition_age_seconds",) not in without


def test_an_edition_from_the_future_has_no_age() -> None:
    edition = SimpleNamespace(id="e", built_at=NOON + timedelta(days=1), manifest={"counts": {"essays": 12}})

    assert scrape(Tally(), viewed(edition))["related_edition_age_seconds",] == 0


def test_any_worker_tells_the_sums_over_all(tmp_path: Path) -> None:
    one, other = Tally(tmp_path), Tally(tmp_path)
    one.count("related", 200, 0.001, "ready", empty=True)
    other.count("related", 200, 0.002, "ready")
    other.count("related", 404, 0.002)
    one.drafts.waiting, other.drafts.waiting = 1, 2
    other.share()
    one.share()

    assert scrape(one) == scrape(other)
    samples = scrape(one)
    assert requests(samples) == {("related", "200"): 2, ("related", "404"): 1}
    assert samples["related_request_seconds_sum", "related"] == pytest.approx(0.005)
    assert samples["related_drafts_waiting",] == 3


def test_a_scrape_never_tells_less_than_the_one_before_whichever_worker_answers(tmp_path: Path) -> None:
    one, other = Tally(tmp_path), Tally(tmp_path)

    told = []
    for worker in (one, other, one, other):
        worker.count("related", 200, 0.001)
        told.append(requests(scrape(worker))["related", "200"])

    assert told == [1, 2, 3, 4]


KILLED = """
import os, signal, sys
from pathlib import Path
from service.metrics import Tally
tally = Tally(Path(sys.argv[1]))
tally.count("related", 200, 0.001)
tally.drafts.waiting, tally.drafts.refused = 5, 1
tally.share()
(Path(sys.argv[1]) / "half.part").write_text("")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_worker_had_counted_stays_and_nothing_waits_in_it_any_more(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (file,) = tmp_path.glob("*.json")
    written = file.stat().st_mtime
    survivor = Tally(tmp_path)
    survivor.count("related", 200, 0.001)

    samples = scrape(survivor, clock=written + 6)

    assert requests(samples) == {("related", "200"): 2}
    assert samples["related_drafts_refused_total",] == 1
    assert samples["related_drafts_waiting",] == 0
    assert scrape(survivor, clock=written + 1)["related_drafts_waiting",] == 5


def test_a_file_that_cannot_be_read_is_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1-a.json").write_text("")
    (tmp_path / "2-b.json").symlink_to(tmp_path / "gone")
    tally = Tally(tmp_path)
    tally.count("related", 200, 0.001)

    assert requests(scrape(tally)) == {("related", "200"): 1}
    assert [record.message.split(":")[1] for record in caplog.records] == [" 1-a.json", " 2-b.json"]


def test_a_folder_that_is_gone_is_told_once_and_the_own_counts_are_still_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally(tmp_path / "gone")

    for count in (1, 2):
        tally.count("related", 200, 0.001)
        assert requests(scrape(tally)) == {("related", "200"): count}

    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    tally.count("related", 200, 0.001)
    tally.share()
    (file,) = tmp_path.iterdir()
    file.unlink()

    tally.share()
    assert not list(tmp_path.iterdir())

    tally.drafts.waiting = 1
    for _ in range(2):  # what waits is told again and again, so that its worker shows to be alive
        tally.share()
        file.unlink()


def test_two_tallies_of_one_process_id_do_not_share_a_file(tmp_path: Path) -> None:
    for _ in range(2):
        tally = Tally(tmp_path)
        tally.count("related", 200, 0.001)
        tally.share()

    assert requests(scrape(Tally(tmp_path))) == {("related", "200"): 2}


def test_the_folder_is_named_to_the_workers_private_and_gone_in_the_end() -> None:
    with shared_folder() as folder:
        assert os.environ[FOLDER_VARIABLE] == str(folder)
        assert folder.stat().st_mode & 0o077 == 0
        tally = open_tally()
        tally.count("related", 200, 0.001)
        tally.share()
        assert len(list(folder.iterdir())) == 1

    assert not folder.exists()
    assert FOLDER_VARIABLE not in os.environ
    open_tally().share()  # one process alone needs no folder


def test_counts_are_shared_regularly_and_at_the_end(tmp_path: Path) -> None:
    shared: list[float] = []

    async def serve() -> None:
        tally, reader = Tally(tmp_path), Tally(tmp_path)
        tally.desk = SimpleNamespace(waiting=0, refused=7, timed_out=0)
        async with sharing(tally, every=0.001):
            tally.count("related", 200, 0.001)
            while not requests(scrape(reader)):
                await asyncio.sleep(0.001)
            tally.count("related", 200, 0.001)
        shared.extend(requests(scrape(reader)).values())
        shared.append(scrape(reader)["related_drafts_refused_total",])

    asyncio.run(asyncio.wait_for(serve(), 10))

    assert shared == [2, 7]


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A service of which only /metrics is there."""
    app = FastAPI()
    app.state.tally, app.state.now = Tally(), lambda: NOON
    app.state.live = SimpleNamespace(view=lambda: NO_EDITION)
    app.include_router(metrics.router)
    with TestClient(app) as client:
        yield client


def test_metrics_are_served_as_prometheus_text_that_nobody_keeps(client: TestClient) -> None:
    tally = client.app.state.tally  # type: ignore[attr-defined]
    tally.count("related", 200, 0.001)
    tally.desk = SimpleNamespace(waiting=3, refused=2, timed_out=1)

    answer = client.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert requests(parse(answer.text)) == {("related", "200"): 1}
    assert parse(answer.text)["related_drafts_waiting",] == 3


def test_the_schema_gives_the_type_of_the_metrics(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["paths"]["/metrics"]["get"]

    assert list(schema["responses"]["200"]["content"]) == ["text/plain"]
    assert json.dumps(schema).count("application/json") == 0
