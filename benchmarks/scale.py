"""How long the job takes on many machines, and what that costs: its schedule simulated from measured constants.

usage: python -m benchmarks.scale [--essays N [N ...]] [--nodes N [N ...]] [--backend NAME] [--runs N] [--out DIR]

Constants come from results/scale-constants.json, which `python -m benchmarks.scale_constants` measures; each has its
source there. A map is a bag of parts over cores: whoever is free takes the next one. A part takes its constant times a
draw of a lognormal distribution (slow machines and long essays); a node is lost at exponential intervals, takes the
parts it is at with it, and is replaced; a map ends with its last part, and what runs on the driver alone comes between.
Prints hours, core-hours, money and work done twice for each size and number of nodes: medians of the runs. Writes
scale.md and scale.svg into --out.
"""

import argparse
import heapq
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

CONSTANTS = Path(__file__).parent / "results" / "scale-constants.json"
ESSAYS = (1_000_000, 10_000_000, 100_000_000)
NODES = (3, 10, 30, 100)
CORES = 16
"""Of a node."""
PRICE = 0.04
"""Of a core-hour, in any currency: not measured; put in your own."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """nodes of so many cores each. sigma: of the logarithm of how much longer a part takes than the usual one.

    lost_after, back_after: mean hours until a node is lost, and hours until another stands in for it.
    """

    nodes: int
    cores: int = CORES
    sigma: float = 0.3
    lost_after: float = 24.0 * 30
    back_after: float = 0.1


class Step(NamedTuple):
    """A part of the job: a map of so many parts of so many core-seconds, or with parts 0 the driver's own seconds."""

    name: str
    parts: int
    seconds: float


class Run(NamedTuple):
    """What one simulated job took. seconds: from its beginning to its end. worked: core-seconds of parts, those lost
    too. twice: the share of the work that was done again. steps: seconds of each."""

    seconds: float
    worked: float
    twice: float
    steps: Mapping[str, float]


def simulate(steps: Sequence[Step], cluster: Cluster, seed: int) -> Run:
    """One run of the job."""
    rng = np.random.default_rng(seed)
    now, worked, lost = 0.0, 0.0, 0.0
    took: dict[str, float] = {}
    for step in steps:
        if step.parts:
            ended, done, again = _map(step, cluster, rng)
            worked, lost = worked + done + again, lost + again
        else:
            ended = step.seconds
        now += ended
        took[step.name] = ended
    return Run(now, worked, lost / worked if worked else 0.0, took)


def _map(step: Step, cluster: Cluster, rng: np.random.Generator) -> tuple[float, float, float]:
    """Seconds until the last part is done; core-seconds of what was done, and of what was lost with nodes."""
    slow = np.exp(rng.normal(-(cluster.sigma**2) / 2, cluster.sigma, step.parts))  # of mean 1
    waiting = (step.seconds * slow).tolist()
    free = [(0.0, node) for node in range(cluster.nodes) for _ in range(cluster.cores)]
    heapq.heapify(free)
    losses = rng.exponential(cluster.lost_after * _HOUR, cluster.nodes).tolist()
    ended, done, lost = 0.0, 0.0, 0.0
    while waiting:
        begun, node = heapq.heappop(free)
        if begun >= losses[node] + cluster.back_after * _HOUR:  # it was lost, and stands again
            losses[node] = begun + rng.exponential(cluster.lost_after * _HOUR)
        elif begun >= losses[node]:
            heapq.heappush(free, (losses[node] + cluster.back_after * _HOUR, node))
            continue
        seconds = waiting.pop()
        if begun + seconds > losses[node]:
            lost += losses[node] - begun
            waiting.append(seconds)
            heapq.heappush(free, (losses[node] + cluster.back_after * _HOUR, node))
            continue
        done += seconds
        ended = max(ended, begun + seconds)
        heapq.heappush(free, (begun + seconds, node))
    return ended, done, lost


MOST_PARTS = 20_000
"""Of a map, that are simulated one by one; of more, several are taken for one."""


def steps_of(essays: int, constants: Mapping[str, float], backend: str) -> list[Step]:
    """The job's steps on a site of so many essays, as recommender/job.py does them, neighbours searched exactly."""
    per, millions = constants.__getitem__, essays / 1e6

    def over(name: str, size: float, seconds: float) -> Step:
        parts = max(1, min(round(essays / size), MOST_PARTS))
        return Step(name, parts, seconds * essays / parts)

    return [
        over("parse", per("pages_a_part"), per("parse_seconds")),
        Step("match", 0, essays * per("match_seconds")),
        over("encode", per("essays_a_part"), per(f"encode_seconds_{backend}")),
        Step("gather", 0, essays * per("gather_seconds")),
        over("neighbours", per("essays_a_run"), per("neighbours_seconds_a_million") * millions),
        over("look", per("essays_a_run"), per("look_seconds") + per("look_seconds_a_million") * millions),
        over("rank", per("essays_a_run"), per("rank_seconds")),
        Step("write", 0, essays * per("write_seconds")),
        Step("publish", 0, essays * per("publish_seconds")),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--essays", type=int, nargs="+", default=list(ESSAYS))
    parser.add_argument("--nodes", type=int, nargs="+", default=list(NODES))
    parser.add_argument("--cores", type=int, default=CORES, help="of a node")
    parser.add_argument("--backend", default="openvino", help="openvino, torch or static")
    parser.add_argument("--price", type=float, default=PRICE, help="of a core-hour")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write scale.md and scale.svg here")
    options = parser.parse_args()
    try:
        constants = {name: entry["value"] for name, entry in json.loads(CONSTANTS.read_text("utf-8")).items()}
    except FileNotFoundError:
        print("scale: no constants yet: run python -m benchmarks.scale_constants", file=sys.stderr)
        return 1
    cluster = Cluster(0, options.cores, constants["sigma"])
    found = {
        (essays, nodes): _typical(steps_of(essays, constants, options.backend), replace(cluster, nodes=nodes), options)
        for essays in options.essays
        for nodes in options.nodes
    }
    report = _report(found, constants, options)
    print(report)
    if options.out:
        (options.out / "scale.md").write_text(report, encoding="utf-8")
        _plot(found, options.out / "scale.svg")
    return 0


def _typical(steps: Sequence[Step], cluster: Cluster, options: argparse.Namespace) -> Run:
    """The median of several runs, figure by figure."""
    runs = [simulate(steps, cluster, seed) for seed in range(options.runs)]
    took = {step.name: median(run.steps[step.name] for run in runs) for step in steps}
    return Run(*(median(values) for values in list(zip(*runs, strict=True))[:3]), took)


_Found = Mapping[tuple[int, int], Run]


def _report(found: _Found, constants: Mapping[str, float], options: argparse.Namespace) -> str:
    lines = [
        "# The job on many machines, simulated",
        "",
        f"`python -m benchmarks.scale --backend {options.backend}`: medians of n = {options.runs} simulated runs,",
        f"nodes of {options.cores} cores, a core-hour at {options.price:g}. Every constant and where it comes from:",
        "scale-constants.json. A forecast, not a measurement.",
        "",
        "| essays | nodes | hours | core-hours of parts | money, all cores all the time | done twice | driver alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for (essays, nodes), run in found.items():
        money = run.seconds / _HOUR * nodes * options.cores * options.price
        alone = sum(s for name, s in run.steps.items() if name in ("match", "gather", "write", "publish")) / run.seconds
        lines.append(
            f"| {essays:,} | {nodes} | {run.seconds / _HOUR:.1f} | {run.worked / _HOUR:,.0f} | {money:,.0f} | "
            f"{run.twice:.2%} | {alone:.0%} |"
        )
    lines += ["", "Hours by step, on the most nodes:", "", *_by_step(found, max(options.nodes))]
    lines += ["", "What it needs at each size:", "", *_sizes(options.essays, constants)]
    return "\n".join(lines) + "\n"


def _by_step(found: _Found, nodes: int) -> list[str]:
    rows = {essays: run.steps for (essays, of), run in found.items() if of == nodes}
    names = list(dict.fromkeys(name for steps in rows.values() for name in steps))
    cells = {e: " | ".join(f"{steps.get(name, 0) / _HOUR:.2f}" for name in names) for e, steps in rows.items()}
    head = [f"| essays | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    return head + [f"| {essays:,} | {row} |" for essays, row in cells.items()]


_BYTES = {
    "driver_bytes": "the driver's memory",
    "edition_bytes": "an edition in a folder",
    "cache_bytes": "the vector cache",
    "arrays_bytes": "arrays that each node maps",
    "database_bytes": "an edition in PostgreSQL",
    "hnsw_bytes": "of it the HNSW index",
}


def _sizes(essays: Sequence[int], constants: Mapping[str, float]) -> list[str]:
    """Gigabytes at each size, from bytes an essay."""
    head = f"| | bytes an essay | {' | '.join(f'{number:,} essays, GB' for number in essays)} |"
    rows = [head, "|" + "---|" * (len(essays) + 2)]
    for name, said in _BYTES.items():
        if name in constants:
            gigabytes = " | ".join(f"{constants[name] * number / 1e9:,.0f}" for number in essays)
            rows.append(f"| {said} | {constants[name]:,.0f} | {gigabytes} |")
    return rows


def _plot(found: _Found, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "scale"  # the same picture has the same bytes
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for essays in dict.fromkeys(essays for essays, _ in found):
        line = [(nodes, run.seconds / _HOUR) for (of, nodes), run in found.items() if of == essays]
        axes.plot(*zip(*line, strict=True), marker="o", label=f"{essays:,} essays")
    axes.set(xscale="log", yscale="log", xlabel="nodes", ylabel="hours", title="The offline job, simulated")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
