"""Ray as an engine: what it survives, and what it costs beside the processes of one machine.

usage: python -m benchmarks.engines [--pages N] [--runs N] [--out DIR] [CORPUS]

1. Three Ray nodes of one core on loopback, started one after another. `related build --engine ray` on CORPUS (default
   business_central, else grass_gis) is met by kill -9 three times: of a worker while it makes a part, of a node with
   all its processes, of the driver, which is started again. The edition must be the local engine's, file by file, and
   under a tenth of the parts may have been begun twice. Begins are counted from outside: each writes a file of its own
   name beside the part, and the folder is looked at a hundred times a second.
2. The wall time of whole builds of the first --pages essays, by Ray with two workers and by two processes in turn, each
   engine started, and its workers' model loaded, before. Median of --runs ratios, at most 1.25.

Ends with 1 when one of these does not hold. Writes engines.md into --out. It needs the extra `ray`, and Linux.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.datasets import Dataset, available, load
from embeddings.loading import load_encoder
from recommender.edition import open_current
from recommender.engines.parts import PartsFolder
from recommender.engines.workers import WorkerOptions, Workers, open_workers
from recommender.job import BuildOptions, build
from recommender.versions import package_versions

ROOT = Path(__file__).parents[1]
NODES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
"""Ray takes 127.0.0.1 for another name of the first outside address."""
KILLS = {"a worker": 0.15, "a node": 0.4, "the driver": 0.65}
"""What is killed when this share of the parts that encode is done."""
MOST_TWICE, MOST_RATIO = 0.10, 1.25
STARTED_WITHIN, BUILT_WITHIN = 60.0, 900.0
PREFERRED, OTHERWISE = "business_central", "grass_gis"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", default=PREFERRED if PREFERRED in available() else OTHERWISE)
    parser.add_argument("--pages", type=int, default=160)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dataset = load(options.corpus)
    with tempfile.TemporaryDirectory(prefix="related-") as folder:
        survived = survive(dataset, Path(folder))
        ratios = compare(dataset, options.pages, options.runs, Path(folder))
    lines = [*survived.lines(), "", *_told(ratios, options.pages)]
    print("\n".join(lines))
    if options.out:
        _write_out(options.out / "engines.md", dataset, lines)
    return 0 if survived.holds and statistics.median(ratios) <= MOST_RATIO else 1


# --- 1: what is killed --------------------------------------------------------------------------------------------


class Survived:
    """What came of the killed build. parts: how many there were. begun: how often in all. same: whether the editions
    are. killed: what was, each with the share of the parts that was done."""

    def __init__(self, begun: dict[str, int], same: bool, killed: dict[str, float]) -> None:
        self.parts, self.begun = len(begun), sum(begun.values())
        self.same, self.killed = same, killed

    @property
    def twice(self) -> float:
        """The share of the parts that was begun again."""
        return (self.begun - self.parts) / self.parts

    @property
    def holds(self) -> bool:
        """Whether it is as asked."""
        return self.same and self.twice < MOST_TWICE and len(self.killed) == len(KILLS)

    def lines(self) -> list[str]:
        """For people."""
        kills = ", ".join(f"{what} at {share:.0%}" for what, share in self.killed.items())
        verdict = "the same in every file" if self.same else "NOT the same"
        return [
            f"Killed with SIGKILL: {kills} of the parts. The edition is {verdict} as the local engine's.",
            f"{self.parts} parts, begun {self.begun} times: {self.twice:.1%} again (asked: under {MOST_TWICE:.0%}).",
        ]


def survive(dataset: Dataset, folder: Path) -> Survived:
    """Build by three nodes, kill what KILLS says, and compare with a build that nobody disturbed."""
    site = write_pages(dataset, len(dataset.essays), folder / "site")
    alone, home = folder / "alone", folder / "killed"
    _run(_command(site, alone))
    shutil.copytree(alone / "cache" / "models", home / "cache" / "models")  # as after a first build
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    with _nodes(folder, environment) as (address, nodes), _counting(home / "parts") as begun:
        command = [*_command(site, home), "--engine", "ray", "--address", address]
        killed = _disturb(command, environment, nodes, home / "parts")
        _run(command, environment)
    files = [open_current(place).manifest["files"] for place in (alone, home)]
    return Survived({name: len(times) for name, times in begun.items()}, files[0] == files[1], killed)


def write_pages(dataset: Dataset, pages: int, folder: Path) -> Path:
    """The first essays of a corpus as Markdown pages."""
    folder.mkdir()
    essays = dataset.essays[:pages]
    ids = {essay.id for essay in essays}
    for number, essay in enumerate(essays):
        about = {"id": essay.id, "title": essay.title, "description": essay.standfirst, "category": essay.category}
        about["related"] = [ident for ident in essay.related if ident in ids]
        head = "\n".join(f"{name}: {json.dumps(value)}" for name, value in about.items() if value)
        (folder / f"{number:05}.md").write_text(f"---\n{head}\n---\n\n{essay.body}\n", encoding="utf-8")
    return folder


def _command(site: Path, home: Path) -> list[str]:
    return [sys.executable, "-c", "from service.cli import main; main()", "build", str(site), "--home", str(home)]


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=BUILT_WITHIN,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[3:])} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _disturb(
    command: Sequence[str], environment: dict[str, str], nodes: Sequence[int], parts: Path
) -> dict[str, float]:
    """Run the build and kill a worker, the last node and the build itself. nodes: the processes of `ray start`."""
    driver = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    killed: dict[str, float] = {}
    try:
        for what, share in KILLS.items():
            victims = _wait_for_victims(what, share, driver, nodes, parts)
            killed[what] = _share_done(parts)
            _kill(victims)
    finally:
        _kill([driver.pid])
        driver.wait()
    return killed


def _wait_for_victims(
    what: str, share: float, driver: subprocess.Popen[bytes], nodes: Sequence[int], parts: Path
) -> list[int]:
    """The processes to be killed, as soon as this share of the parts is done."""
    until = time.monotonic() + BUILT_WITHIN
    while driver.poll() is None and time.monotonic() < until:
        if _share_done(parts) >= share:
            found = {
                "a worker": [pid for pid in _below(nodes[1]) if _at_a_part(pid)][:1],
                "a node": [nodes[2], *_below(nodes[2])],
                "the driver": [driver.pid, *_below(driver.pid)],
            }[what]
            if found:
                return found
        time.sleep(0.02)
    raise SystemExit(f"the build ended, or did not go on, before {what} could be killed")


def _kill(processes: Sequence[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _share_done(parts: Path) -> float:
    """Of the parts that encode: each is given a file."""
    names = [path.name for path in parts.glob("*-*")] if parts.is_dir() else []
    done, parsed = (sum(name.startswith(kind) for name in names) for kind in ("encode-", "parse-"))
    asked = sum(name.startswith("given-") for name in names) - parsed
    return done / asked if done else 0.0


@contextmanager
def _counting(parts: Path) -> Iterator[dict[str, set[str]]]:
    """The files that were begun for each part while the block runs, by the part's name."""
    begun: defaultdict[str, set[str]] = defaultdict(set)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.01):
            with suppress(FileNotFoundError):
                for name in os.listdir(parts):  # noqa: PTH208 - a hundred times a second
                    part, _, attempt = name.removeprefix(".").rpartition("-")
                    if name.startswith((".encode-", ".parse-")):
                        begun[part].add(attempt)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield begun
    finally:
        ended.set()
        thread.join()


# --- Processes ----------------------------------------------------------------------------------------------------


@contextmanager
def _nodes(folder: Path, environment: dict[str, str]) -> Iterator[tuple[str, list[int]]]:
    """The address of a cluster of these nodes, and the process of each; they are killed at the end."""
    with socket.socket() as free:
        free.bind((NODES[0], 0))
        address = f"{NODES[0]}:{free.getsockname()[1]}"
    processes: list[subprocess.Popen[bytes]] = []
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1"]
    ray += ["--object-store-memory", str(80 * 2**20), "--disable-usage-stats", "--log-color", "false"]
    with tempfile.TemporaryDirectory(prefix="ray-") as aside:  # its sockets want a short path
        try:
            for number, host in enumerate(NODES):
                joins = ["--address", address] if number else ["--head", "--port", address.rpartition(":")[2]]
                if not number:
                    joins += ["--include-dashboard", "false"]
                with (folder / f"{host}.log").open("wb") as log:
                    command = [*ray, *joins, "--node-ip-address", host, "--temp-dir", f"{aside}/{number}"]
                    processes.append(
                        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log)
                    )
                _wait_for_nodes(address, number + 1, environment)  # two that start at once may both fail
            yield address, [process.pid for process in processes]
        finally:
            for process in processes:
                _kill([process.pid, *_below(process.pid)])
                process.wait()


_ALIVE = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"


def _wait_for_nodes(address: str, number: int, environment: dict[str, str]) -> None:
    until = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < until:
        host, _, port = address.rpartition(":")
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            found = subprocess.run(
                [sys.executable, "-c", _ALIVE, address],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            if found.stdout.strip() == str(number):
                return
        time.sleep(0.5)
    raise SystemExit(f"Ray's node {number} did not come within {STARTED_WITHIN:g} seconds")


def _below(pid: int) -> list[int]:
    """All processes that a process has started, and theirs."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            children[int(stat.read_text().rpartition(")")[2].split()[1])].append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        some = children[waiting.pop()]
        found += some
        waiting += some
    return found


def _at_a_part(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::attempt")
    return False


# --- 2: what it costs ---------------------------------------------------------------------------------------------


def compare(dataset: Dataset, pages: int, runs: int, folder: Path) -> list[float]:
    """Ray's wall time over the processes', of whole builds in turn; both had one build before."""
    site = write_pages(dataset, pages, folder / "small")
    options = WorkerOptions(model=None, cache=folder / "alone" / "cache", processes=2)
    ratios: list[float] = []
    with (
        open_workers(folder, options) as local,
        open_workers(folder, replace(options, engine="ray")) as ray,
    ):
        for run in range(runs + 1):
            pair = [_timed_build(site, folder, f"{name}{run}", workers) for name, workers in (("l", local), ("r", ray))]
            ratios += [pair[1] / pair[0]] if run else []
    return ratios


def _timed_build(site: Path, folder: Path, name: str, workers: Workers) -> float:
    """Seconds of a build into a new home."""
    encoder = load_encoder(None, "auto", workers.cache)
    encoder.arithmetic  # noqa: B018 - loads it: each build pays the same, but not on the clock
    home = folder / name
    ours = replace(workers, parts=PartsFolder(str(home / "parts")))
    start = time.perf_counter()
    build([site], home, encoder, BuildOptions(), workers=ours)
    return time.perf_counter() - start


# --- What is told -------------------------------------------------------------------------------------------------


def _told(ratios: Sequence[float], pages: int) -> list[str]:
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return [
        f"Ray over two processes, wall time of whole builds of {pages} pages: median {statistics.median(ratios):.2f} "
        f"(asked: at most {MOST_RATIO:g}; n = {len(ratios)}: {shown})."
    ]


def _write_out(path: Path, dataset: Dataset, lines: Sequence[str]) -> None:
    from importlib.metadata import version

    packages = package_versions()
    versions = f"ray {version('ray')}, openvino {packages.get('openvino', 'absent')}, torch {packages['torch']}"
    head = [
        "# Ray as an engine",
        "",
        f"`python -m benchmarks.engines` on {dataset.name} ({len(dataset.essays):,} essays, sha256 "
        f"{dataset.sha256[:12]}), {os.cpu_count()} cores, shared; {versions}.",
        "",
    ]
    path.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
