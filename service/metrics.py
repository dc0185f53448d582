"""What is counted, and GET /metrics, which tells Prometheus. Every route, field and cost is described in
docs/watching.md.

A request costs one call of Tally.count(); prometheus_client's own counter and histogram cost eight times as much, and
fourteen times in its multiprocess mode. That mode also cannot add a histogram's counts in bulk, and fails for good
on the empty file of a worker that was killed as it started (prometheus/client_python issue 1199). So each worker counts
in plain numbers and writes them whole into a folder that all share; prometheus_client writes the answer.
"""

import asyncio
import json
import logging
import os
import secrets
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

if TYPE_CHECKING:
    from service.editions import View

Cache = Literal["", "ready", "kept", "computed", "stale"]
"""Where an answer's bytes came from: there before anyone asked, kept from an earlier request, computed for this one, or
kept, where the database does not answer; "" for what is not an answer of related articles. A 304 is told by its
status."""

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper bounds of the latency histogram in seconds: a ready answer takes tenths of a millisecond, a draft seconds."""
SHARED_EVERY_SECONDS = 1.0
FOLDER_VARIABLE = "SERVICE_TALLIES"

_LIVE_SECONDS = 5 * SHARED_EVERY_SECONDS
_NOT_MODIFIED = 304
_log = logging.getLogger(__name__)

_Key = tuple[str, int, Cache, bool]
"""Route, status, cache, and whether the list was empty."""
_Row = list[float]
"""Requests in each of BUCKETS and above, then their seconds together."""


class DraftsDesk(Protocol):
    """What the tally reads of service.drafts.DraftDesk: how many wait now, were refused and given up so far."""

    @property
    def waiting(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def timed_out(self) -> int: ...


@dataclass(slots=True)
class DraftCounts:
    """The same, as it was when last looked at."""

    waiting: int = 0
    refused: int = 0
    timed_out: int = 0


class Tally:
    """What one process has counted. Counted by one thread, the event loop's; read by any.

    folder: where the workers of one service share their counts; None when there is one only. desk: set by the app, if
    drafts are answered.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.desk: DraftsDesk | None = None
        self.drafts = DraftCounts()
        self._rows: defaultdict[_Key, _Row] = defaultdict(_empty_row)
        self._own = folder / f"{os.getpid()}-{secrets.token_hex(8)}.json" if folder else None  # pids come again
        self._shared, self._can_share = "", True
        self._sharing = Lock()

    def count(self, route: str, status: int, seconds: float, cache: Cache = "", empty: bool = False) -> None:
        """Count a request that was answered. route: one of few names, never anything that a client sent."""
        row = self._rows[route, status, cache, empty]
        row[bisect_left(BUCKETS, seconds)] += 1
        row[-1] += seconds

    def look(self) -> None:
        """Take over what the desk says, if there is one. For the event loop, to which the desk's counts belong."""
        if self.desk:
            self.drafts = DraftCounts(self.desk.waiting, self.desk.refused, self.desk.timed_out)

    def share(self) -> None:
        """Write the counts for the other workers when they have changed. What cannot be written is told to the log."""
        if self._own is None:
            return
        with self._sharing:
            record = json.dumps(self._to_json())
            if record == self._shared and not self.drafts.waiting:  # what waits shows by the file's time to be alive
                return
            part = self._own.with_suffix(".part")
            try:
                part.write_text(record, encoding="utf-8")
                part.replace(self._own)
                self._shared, self._can_share = record, True
            except OSError as error:
                if self._can_share:  # else it was told
                    _log.warning("the counts for /metrics cannot be shared between workers: %s", error)
                self._can_share = False

    def total(self, now: float) -> "Tally":
        """The counts of every worker there has been, those that died included. now: the time in seconds since 1970.

        A worker's last second before a kill -9 may be missing.
        """
        total = Tally()
        total._add(self._to_json())
        for path in sorted(self._own.parent.glob("*.json")) if self._own else ():
            if path != self._own:
                total._add_file(path, now)
        return total

    def metrics(self) -> Iterator[Metric]:
        """The counts as metric families."""
        requests = CounterMetricFamily("related_requests", "Requests answered.", labels=["route", "status"])
        seconds = HistogramMetricFamily(
            "related_request_seconds", "From a request's arrival to the end of its answer.", labels=["route"]
        )
        answers = CounterMetricFamily(
            "related_answers",
            "Answers of related articles by where their bytes came from; not_modified is a 304.",
            labels=["route", "cache"],
        )
        empty = CounterMetricFamily("related_empty_answers", "Answers without any related article.", labels=["route"])
        rows = sorted(self._rows.items())
        for (route, status), row in _sums((key[:2], row) for key, row in rows):
            requests.add_metric([route, str(status)], sum(row[:-1]))
        for (route,), row in _sums((key[:1], row) for key, row in rows):
            seconds.add_metric([route], list(zip(_BOUNDS, accumulate(row[:-1]), strict=True)), row[-1])
        for (route, cache), row in _sums(((key[0], _cache(key)), row) for key, row in rows if _cache(key)):
            answers.add_metric([route, cache], sum(row[:-1]))
        for (route,), row in _sums((key[:1], row) for key, row in rows if key[3]):
            empty.add_metric([route], sum(row[:-1]))
        yield from (requests, seconds, answers, empty)
        yield GaugeMetricFamily("related_drafts_waiting", "Drafts that wait for the model now.", self.drafts.waiting)
        yield CounterMetricFamily(
            "related_drafts_refused", "Drafts refused because too many waited.", self.drafts.refused
        )
        yield CounterMetricFamily(
            "related_drafts_timed_out", "Drafts given up because they took too long.", self.drafts.timed_out
        )

    def _to_json(self) -> dict[str, Any]:
        return {"rows": [[key, row.copy()] for key, row in list(self._rows.items())], "drafts": asdict(self.drafts)}

    def _add_file(self, path: Path, now: float) -> None:
        try:
            record, written = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
        except (OSError, ValueError) as error:
            _log.warning("the counts of a worker cannot be read: %s: %s", path.name, error)
            return
        if abs(now - written) > _LIVE_SECONDS:
            record["drafts"]["waiting"] = 0  # a worker in which something waits writes every second: this one is gone
        self._add(record)

    def _add(self, record: dict[str, Any]) -> None:
        for (route, status, cache, empty), row in record["rows"]:
            key = (route, status, cache, empty)
            self._rows[key] = _plus(self._rows[key], row)
        for name, value in record["drafts"].items():
            setattr(self.drafts, name, getattr(self.drafts, name) + value)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """For the process that starts the workers: a folder for their counts, named in their environment, removed at the
    end."""
    with tempfile.TemporaryDirectory(prefix="related-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[FOLDER_VARIABLE]


def open_tally() -> Tally:
    """This process's tally, shared when a shared_folder() was made by the process that started it."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Tally(Path(folder) if folder else None)


@asynccontextmanager
async def sharing(tally: Tally, every: float = SHARED_EVERY_SECONDS) -> AsyncIterator[None]:
    """Share the counts every so many seconds, and once more at the end."""

    async def share_regularly() -> None:
        while True:
            await asyncio.sleep(every)
            tally.look()
            await run_in_threadpool(tally.share)

    task = asyncio.create_task(share_regularly())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        tally.look()
        tally.share()


router = APIRouter(tags=["operation"])


@router.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """The sums over all workers, in Prometheus' text format."""
    state = request.app.state
    state.tally.look()
    # not a thread of the framework's: routes may be waiting for a database in all of these
    body = await asyncio.to_thread(expose, state.tally, state.live.view(), state.now())
    return Response(body, headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def expose(tally: Tally, view: "View", now: datetime, clock: Callable[[], float] = time.time) -> bytes:
    """All metrics in Prometheus' text format. clock: what the file system sets its files' times by."""
    tally.share()  # else the next scrape, by another worker, might count less than this one
    registry = CollectorRegistry()
    registry.register(_Families([*tally.total(clock()).metrics(), *_edition_metrics(view, now)]))
    return generate_latest(registry)


class _Families:
    """A prometheus_client Collector of families that are already made."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _edition_metrics(view: "View", now: datetime) -> Iterator[Metric]:
    """Without an edition there are none but the first."""
    yield GaugeMetricFamily(
        "related_edition_faults", "What is wrong with the edition or its successor; /healthz says it.", len(view.faults)
    )
    if view.edition is None:
        return
    age = max(0.0, (now - view.edition.built_at).total_seconds())
    yield GaugeMetricFamily("related_edition_age_seconds", "Since the edition served was built.", age)
    yield GaugeMetricFamily(
        "related_edition_essays", "Essays of the edition served.", view.edition.manifest["counts"]["essays"]
    )
    info = GaugeMetricFamily("related_edition_info", "The edition served by the worker asked.", labels=["edition"])
    info.add_metric([view.edition.id], 1)
    yield info


_BOUNDS = (*(str(float(bound)) for bound in BUCKETS), "+Inf")


def _empty_row() -> _Row:
    return [0] * len(_BOUNDS) + [0.0]


def _plus(one: _Row, other: _Row) -> _Row:
    return [a + b for a, b in zip(one, other, strict=True)]


def _sums(rows: Iterable[tuple[Any, _Row]]) -> Iterable[tuple[Any, _Row]]:
    """The rows of each key added up."""
    sums: dict[Any, _Row] = {}
    for key, row in rows:
        sums[key] = _plus(sums[key], row) if key in sums else row
    return sums.items()


def _cache(key: _Key) -> str:
    """The outcome that is told; "" for what is not an answer of related articles."""
    _, status, cache, _ = key
    return "not_modified" if cache and status == _NOT_MODIFIED else cache
