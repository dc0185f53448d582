"""The primary is killed (kill -9) under readers and editors of two replicas, and a standby takes its place; and then
another edition is published under them, and taken back.

usage: python -m benchmarks.failover [--runs N] [--essays N] [--seconds N] [--out FILE]

A PostgreSQL primary and two hot standbys on loopback (commits wait for one of the two, disks are flushed), two `related
serve --store` over a synthetic edition, wrk on both with as many plain pages as filters that hardly come twice, and an
editor who makes up to twenty decisions a second through their desks, sending again what is refused. Four spells of
load, one after the other: before; during, in whose second second the primary is killed, and a second later the standby
that is furthest ahead promoted; after; switching, in which an edition with other lists is uploaded and made current,
and the first one rolled back to once both replicas show the other. A latency is that of a whole spell, the larger of
both replicas', and shown as its ratio to the spell before. Ends with 1 when a read failed, an acknowledged decision is
lost, the editor waited longer than five seconds from the promotion on, or a replica did not follow a switch.
"""

import argparse
import json
import math
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

from benchmarks.cluster import Cluster, Editor, cluster
from benchmarks.load import SCRIPT, LoadFailed, find_wrk, serving
from benchmarks.synthetic import essay_id, synthetic_home
from recommender.edition import Edition, open_current
from recommender.store import Store, open_store

RELATED = [sys.executable, "-c", "from service.cli import main; main()"]
RESUMED_WITHIN = 5.0
"""Seconds from the promotion to the next acknowledged decision."""

_HOMES = Path(__file__).with_name("corpora") / "serving"
_CONNECTIONS = 4
_KILLED_AFTER, _PROMOTED_AFTER = 2.0, 1.0
_FILTERED = 50_000
_SPELLS = ("before", "during", "after", "switching")
_FOLLOWED_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Spell:
    """What wrk saw at both replicas. p50, p99: in microseconds, the larger of the two."""

    answers: int
    failed: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Run:
    """A failover. lost: acknowledged decisions that the new primary does not have. sent_again: how often one was sent
    again. after_kill, after_promotion: seconds to the next acknowledged decision; the promotion counts from its end.
    followed: seconds from each of the two switches until both replicas showed it."""

    spells: dict[str, Spell]
    decisions: int
    lost: int
    sent_again: int
    after_kill: float
    after_promotion: float
    followed: Sequence[float]

    @property
    def failed(self) -> int:
        """Reads that failed."""
        return sum(spell.failed for spell in self.spells.values())

    @property
    def is_well(self) -> bool:
        """Whether nothing that was asked for is missed."""
        return not self.failed and not self.lost and self.after_promotion <= RESUMED_WITHIN and len(self.followed) == 2

    def ratio(self, spell: str, metric: str) -> float:
        """A latency of the spell to that of the one before."""
        return float(getattr(self.spells[spell], metric) / getattr(self.spells["before"], metric))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--essays", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=12, help="of each spell")
    parser.add_argument("--out", type=Path, help="a file for the table, beside the standard output")
    options = parser.parse_args()
    homes = [_HOMES / str(options.essays), _HOMES / f"{options.essays}-other"]
    for seed, home in enumerate(homes):
        synthetic_home(home, options.essays, seed)
    runs = []
    for number in range(1, options.runs + 1):
        say(f"run {number} of {options.runs}")
        runs.append(fail_over(homes, options.essays, options.seconds))
    table = report(runs, options.essays, options.seconds)
    print(table)
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    return 0 if all(run.is_well for run in runs) else 1


def fail_over(homes: Sequence[Path], essays: int, seconds: int) -> Run:
    """One run, from the making of the servers to their end. homes: of the first edition, and of the other."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(cluster(durable=True))
        store = open_store(folder / "publisher", servers.url())
        store.publish(open_current(homes[0]), None, keep=2)
        requests = folder / "requests"
        requests.write_text("".join(f"{target}\n" for target in _targets(essays)), encoding="ascii")
        addresses = [stack.enter_context(serving(_command(folder, n, servers), "/readyz")).url for n in (1, 2)]
        editor = Editor(addresses, [essay_id(number) for number in range(essays)]).start()
        spells, marks, followed = dict[str, Spell](), dict[str, float](), list[float]()
        beside = {
            "during": Thread(target=_kill, args=(servers, marks)),
            "switching": Thread(target=_switch, args=(store, open_current(homes[1]), addresses, followed)),
        }
        for name in _SPELLS:
            if name in beside:
                beside[name].start()
            spells[name] = _load(addresses, requests, seconds)
            if name in beside:
                if beside[name].is_alive():
                    raise LoadFailed(f"what was to happen under load outlasted it: give more than --seconds {seconds}")
                beside[name].join()
        editor.stop()
        written = {decision.key for decision in store.log().since()}
    if editor.faults:
        raise LoadFailed(f"a desk answered what it should not: {editor.faults}")
    resumed = editor.first_after(marks["promoting"])
    return Run(
        spells,
        len(editor.acknowledged),
        len(editor.acknowledged.keys() - written),
        editor.refused,
        resumed - marks["killed"],
        resumed - marks["promoted"],
        followed,
    )


def report(runs: Sequence[Run], essays: int, seconds: int) -> str:
    """The page of results."""
    promoted = statistics.median(run.after_promotion for run in runs)
    slower = statistics.median(run.ratio("during", "p99") for run in runs)
    followed = [seconds for run in runs for seconds in run.followed]
    return f"""# Failing over

The primary of three PostgreSQL servers is killed (kill -9) under two replicas of the service with wrk on both, and an
editor who makes up to twenty decisions a second; a second later the standby that is furthest ahead is promoted. A
commit waits for one of the two standbys. After that another edition is published, and the first rolled back to. See
the head of benchmarks/failover.py.

    python -m benchmarks.failover --runs {len(runs)} --essays {essays} --seconds {seconds}

Synthetic editions of {essays:,} essays, spells of {seconds} s before, during, after and while switching,
{_CONNECTIONS} connections to each replica. All of it, the servers and wrk included, on {os.cpu_count()} cores
({platform.machine()}, Python {platform.python_version()}, psycopg {version("psycopg")}). Latencies are ratios to the
spell before.

| run | reads | failed | decisions | lost | sent again | s from the kill to the next decision | s from the promotion | \
p50 during | p99 during | p50 after | p99 after | p50 switching | p99 switching |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(_row(number, run) for number, run in enumerate(runs, start=1))}

Asked: no read failed, no acknowledged decision lost, the editor goes on within {RESUMED_WITHIN:g} s of the promotion.
Seen, medians of {len(runs)}: the editor went on after {promoted:.2f} s; the p99 of the spell with the failover was
{slower:.2f} times that before. Both replicas followed {len(followed)} of {2 * len(runs)} switches, within
{max(followed, default=math.nan):.1f} s.
"""


def say(sentence: str) -> None:
    """Progress, for whoever waits."""
    print(f"failover: {sentence}", file=sys.stderr, flush=True)


def _row(number: int, run: Run) -> str:
    reads = sum(spell.answers for spell in run.spells.values())
    ratios = [f"{run.ratio(spell, metric):.2f}" for spell in _SPELLS[1:] for metric in ("p50", "p99")]
    cells: list[Any] = [number, f"{reads:,}", run.failed, run.decisions, run.lost, run.sent_again]
    cells += [f"{run.after_kill:.2f}", f"{run.after_promotion:.2f}", *ratios]
    return f"| {' | '.join(map(str, cells))} |"


def _kill(servers: Cluster, marks: dict[str, float]) -> None:
    time.sleep(_KILLED_AFTER)
    marks["killed"] = time.monotonic()
    servers.primary.kill()
    time.sleep(_PROMOTED_AFTER)
    marks["promoting"] = time.monotonic()
    servers.promote()
    marks["promoted"] = time.monotonic()


def _switch(store: Store, other: Edition, addresses: Sequence[str], followed: list[float]) -> None:
    """Publish the other edition and, once all replicas show it, roll back to the first one."""
    first = store.current_id()
    for ident, switch in ((other.id, lambda: store.publish(other, None, keep=2)), (first, store.roll_back)):
        switch()
        switched = time.monotonic()
        while any(_edition_at(address) != ident for address in addresses):
            if time.monotonic() - switched > _FOLLOWED_WITHIN:
                return
            time.sleep(0.05)
        followed.append(time.monotonic() - switched)


def _edition_at(address: str) -> str:
    with urlopen(f"{address}/healthz", timeout=10) as answer:  # noqa: S310
        return str(json.load(answer)["edition"])


def _command(folder: Path, number: int, servers: Cluster) -> list[str]:
    return [*RELATED, "serve", "--home", str(folder / f"replica{number}"), "--store", servers.url(), "--port", "0"]


def _targets(essays: int) -> Iterator[str]:
    """As many plain pages as filters."""
    rng = random.Random(11)  # noqa: S311
    for _ in range(_FILTERED):
        page = f"/v1/articles/{essay_id(rng.randrange(essays))}/related"
        yield page
        yield f"{page}?limit={rng.randint(1, 50)}&exclude={essay_id(rng.randrange(essays))}"


def _load(addresses: Sequence[str], requests: Path, seconds: int) -> Spell:
    """wrk on all addresses at once. Raises LoadFailed when it cannot run; failed answers are counted."""
    asked = ["-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "--latency", "-s", str(SCRIPT)]
    seed = random.randrange(10**6)  # noqa: S311
    running = [
        subprocess.Popen(
            [find_wrk(), *asked, address, "--", str(requests), str(seed)], stdout=subprocess.PIPE, text=True
        )
        for address in addresses
    ]
    said = [process.communicate()[0] for process in running]
    found = [re.search(r"^RESULT (.*)$", text, re.MULTILINE) for text in said]
    results = [json.loads(match[1]) for match in found if match]
    if len(results) < len(addresses):
        raise LoadFailed(f"wrk said: {said}")
    return Spell(
        sum(result["answers"] for result in results),
        sum(result["failed"] for result in results),
        max(result["p50"] for result in results),
        max(result["p99"] for result in results),
    )


if __name__ == "__main__":
    sys.exit(main())
