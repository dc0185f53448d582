"""How quick the website's endpoint is, beside a bare route that answers with as many constant bytes.

usage: python -m benchmarks.serving [--sizes N...] [--rounds N] [--seconds N] [--starts N] [--only NAME...] [--quick]
                                    [--fresh] [--out DIR]

Synthetic editions (see synthetic.py) are kept in benchmarks/corpora/serving/<size>; --fresh publishes them anew.
`related serve --workers 1` and the bare route are asked in turn by wrk, over 8 connections (32 where workers are
compared), for ids drawn at random over the whole edition. A ratio is taken between neighbouring rounds; shown are the
median of the rounds' ratios, the least and the greatest. wrk runs on the same cores as what it measures. Workers and
filters are measured at the largest size only. --quick is for use while something is being changed: 1,000 essays, three
rounds of a second, two starts. Ends with 1 when a figure that was asked for is missed or could not be measured.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from benchmarks.load import Load, LoadFailed, Round, Server, find_wrk, in_turn, ratios, resident_mb, serving
from benchmarks.synthetic import DAYS, FIRST_DAY, category_of, essay_id, synthetic_home
from corpus.errors import RelatedArticlesError

HOMES = Path(__file__).with_name("corpora") / "serving"
SIZES = (1_000, 10_000, 100_000)
RELATED = [sys.executable, "-c", "from service.cli import main; main()"]
VERSIONS = ("uvicorn", "uvloop", "httptools", "starlette", "fastapi")

_SAMPLED = 501  # answers whose median length is the bare route's
_TAGGED = 5_000  # pages that are asked for with their ETag
_FILTERED = 20_000  # different filtered queries
_QUIET = 0.2  # cores that other work may take
_MANY = 32  # connections for several workers
_PLAIN, _GZIP = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. asked: the least or the most that will do; none is for information."""

    name: str
    part: str
    words: str
    asked: float | None = None
    bound: Literal["at least", "at most"] = "at least"

    def is_met(self, got: float) -> bool:
        """Whether the value will do."""
        return self.asked is None or (got >= self.asked if self.bound == "at least" else got <= self.asked)


FIGURES = (
    Figure("throughput", "200", "throughput, to the bare route's", 0.75),
    Figure("p99", "200", "p99, to the bare route's", 1.5, "at most"),
    Figure("not_modified", "304", "throughput of 304s, to the bare route's (of its 200s)", 0.9),
    Figure("not_modified_bare", "304", "throughput of 304s, to that of a bare route of constant 304s"),
    Figure("gzip", "gzip", "throughput with Accept-Encoding: gzip, to a bare route's with as many bytes", 0.75),
    Figure("gzip_p99", "gzip", "p99 with Accept-Encoding: gzip, to the same bare route's", 1.5, "at most"),
    Figure("ready", "ready", "seconds from the start of the process to the first 200", 1.0, "at most"),
    Figure("memory", "ready", "MB resident after the load, a worker (shared pages count)", 150, "at most"),
    Figure("private_memory", "ready", "MB of it that no file stands behind"),
    Figure("filtered", "filtered", "p95 of filtered queries, to that of unfiltered ones", 3.0, "at most"),
    Figure("filtered_alone", "filtered", "the same over one connection, where none waits for another"),
    Figure("workers", "workers", "throughput of two workers, to that of one", 1.6),
    Figure("workers_filtered", "workers", "the same for filtered queries, which leave less of the cores to wrk"),
    Figure("bare_workers", "workers", "the same of the bare route: what this machine lets two workers do beside wrk"),
)
PARTS = tuple(dict.fromkeys(figure.part for figure in FIGURES))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    rounds: int
    seconds: int
    starts: int
    parts: tuple[str, ...]


@dataclass
class Result:
    """What was seen at one size. values: figure -> a value a round, or a start. failed: part -> why it has none.

    cores: what wrk took, and what neither wrk nor the server did, medians of the rounds of each load.
    """

    essays: int
    values: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    cores: dict[str, list[float]] = field(default_factory=lambda: {"wrk": [], "others": []})
    failed: dict[str, str] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of a round")
    parser.add_argument("--starts", type=int, help="whose median is the time until ready")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure only these parts")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="publish the editions anew")
    parser.add_argument("--out", type=Path, help="write serving.json and serving.md here")
    options = parser.parse_args()
    sizes, rounds, seconds, starts = ((1_000,), 3, 1, 2) if options.quick else (SIZES, 7, 4, 5)
    sizes = tuple(sorted(options.sizes or sizes))
    plan = Plan(options.rounds or rounds, options.seconds or seconds, options.starts or starts, tuple(options.only))
    try:
        find_wrk()
        results = [measure(size, plan, size == sizes[-1], options.fresh) for size in sizes]
    except (LoadFailed, RelatedArticlesError) as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    run = summary(results, plan)
    print(report(run))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "serving.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        (options.out / "serving.md").write_text(report(run), encoding="utf-8")
    is_whole = not any(result.failed for result in results)
    return 0 if is_whole and all(figure.is_met(got) for figure, got in _judged(run)) else 1


def measure(essays: int, plan: Plan, is_largest: bool, fresh: bool) -> Result:
    """One size, against one start of each server."""
    say(f"{essays:,} essays: the edition")
    home = HOMES / str(essays)
    synthetic_home(home, essays, fresh=fresh)
    result = Result(essays)
    with ExitStack() as stack:
        bench = Bench(home, essays, Path(stack.enter_context(tempfile.TemporaryDirectory())), stack, plan, result)
        read_all(home)
        bench.start()
        for part, measured in _MEASURES.items():
            if part in plan.parts and (is_largest or part not in ("filtered", "workers")):
                say(f"{essays:,} essays: {part}")
                try:
                    measured(bench)
                except LoadFailed as error:
                    say(f"{part}: {error}")
                    result.failed[part] = str(error)
        bench.weigh()
    return result


def read_all(home: Path) -> None:
    """Have the system keep in memory what it has room for, as on a machine that has served for a while."""
    for path in (home / "answers").iterdir():
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass


class Bench:
    """One size: our server, bare routes beside it, and files of requests in a folder."""

    def __init__(self, home: Path, essays: int, folder: Path, stack: ExitStack, plan: Plan, result: Result) -> None:
        self._home, self._essays, self._folder, self._plan = home, essays, folder, plan
        self._stack, self._result = stack, result
        self._random = random.Random(essays)  # noqa: S311
        self._pages = self._write("pages", (target(number) for number in range(essays)))

    def start(self) -> None:
        """Start our server, several times when that is to be measured; the last one stays."""
        starts = self._plan.starts if "ready" in self._plan.parts else 1
        seconds = []
        for _ in range(starts - 1):
            with self._related() as server:
                seconds.append(server.seconds)
        self._ours = self._stack.enter_context(self._related())
        if "ready" in self._plan.parts:
            self._result.values["ready"] = [*seconds, self._ours.seconds]

    def pages(self) -> None:
        """Whole answers."""
        body, _ = self._median_body(_PLAIN)
        self._result.facts["body_bytes"] = len(body)
        rounds = self._in_turn(ours=Load(self._ours, self._pages), bare=Load(self._bare(body), self._pages))
        self._take("throughput", rounds["ours"], rounds["bare"], "per_second")
        self._take("p99", rounds["ours"], rounds["bare"], "p99")

    def compressed(self) -> None:
        """Whole answers to a client that takes gzip."""
        body, encoding = self._median_body(_GZIP)
        self._result.facts |= {"gzip_bytes": len(body), "gzip_encoding": encoding or "none"}
        accept = tuple(f"{name}: {value}" for name, value in _GZIP.items())
        bare = self._bare(body, encoding=encoding)
        rounds = self._in_turn(
            ours=Load(self._ours, self._pages, headers=accept), bare=Load(bare, self._pages, headers=accept)
        )
        self._take("gzip", rounds["ours"], rounds["bare"], "per_second")
        self._take("gzip_p99", rounds["ours"], rounds["bare"], "p99")

    def not_modified(self) -> None:
        """Answers to a client that has them already. Raises LoadFailed when a page is not answered with 304."""
        targets = [target(number) for number in self._some(_TAGGED)]
        tags = [answer.headers["etag"] for answer in self._ours.fetch(targets)]
        conditions = [{"If-None-Match": tag} for tag in tags[:_SAMPLED]]
        statuses = {answer.status for answer in self._ours.fetch(targets[:_SAMPLED], conditions)}
        if statuses != {304}:
            raise LoadFailed(f"pages asked for with their own ETag answer with {sorted(statuses)}, not 304")
        known = self._write("known", (f"{page}\t{tag}" for page, tag in zip(targets, tags, strict=True)))
        body, _ = self._median_body(_PLAIN)
        rounds = self._in_turn(
            ours=Load(self._ours, known),
            bare=Load(self._bare(body), self._pages),
            empty=Load(self._bare(b"", status=304), known),
        )
        self._take("not_modified", rounds["ours"], rounds["bare"], "per_second")
        self._take("not_modified_bare", rounds["ours"], rounds["empty"], "per_second")

    def filtered(self) -> None:
        """Queries that no answer can have been made ready for, with eight connections and with one."""
        queries = self._write("queries", (self._filtered_target() for _ in range(_FILTERED)))
        rounds = self._in_turn(
            filtered=Load(self._ours, queries),
            plain=Load(self._ours, self._pages),
            filtered_alone=Load(self._ours, queries, 1),
            plain_alone=Load(self._ours, self._pages, 1),
        )
        self._take("filtered", rounds["filtered"], rounds["plain"], "p95")
        self._take("filtered_alone", rounds["filtered_alone"], rounds["plain_alone"], "p95")

    def workers(self) -> None:
        """Two workers and one, ours and the bare route's."""
        body, _ = self._median_body(_PLAIN)
        servers = {
            "one": self._ours,
            "two": self._stack.enter_context(self._related(2)),
            "bare_one": self._bare(body),
            "bare_two": self._bare(body, workers=2),
        }
        queries = self._write("queries-of-many", (self._filtered_target() for _ in range(_FILTERED)))
        loads = {name: Load(server, self._pages, _MANY) for name, server in servers.items()}
        loads |= {f"{name}_filtered": Load(servers[name], queries, _MANY) for name in ("one", "two")}
        rounds = self._in_turn(**loads)
        self._take("workers_filtered", rounds["two_filtered"], rounds["one_filtered"], "per_second")
        self._take("workers", rounds["two"], rounds["one"], "per_second")
        self._take("bare_workers", rounds["bare_two"], rounds["bare_one"], "per_second")
        self._result.values["memory"] = [resident_mb(pid)[0] for pid in servers["two"].workers()]
        self._result.values["private_memory"] = [resident_mb(pid)[1] for pid in servers["two"].workers()]

    def weigh(self) -> None:
        """The memory of our one worker, after all load."""
        if "ready" in self._plan.parts:
            every, private = resident_mb(self._ours.workers()[0])
            self._result.values.setdefault("memory", []).append(every)
            self._result.values.setdefault("private_memory", []).append(private)

    def _related(self, workers: int = 1) -> AbstractContextManager[Server]:
        command = [*RELATED, "serve", "--home", str(self._home), "--port", "0", "--workers", str(workers)]
        return serving(command, target(0))

    def _bare(self, body: bytes, status: int = 200, encoding: str = "", workers: int = 1) -> Server:
        """A bare route; the same one for the same question."""
        path = self._folder / f"body-{len(list(self._folder.iterdir()))}"
        path.write_bytes(body)
        command = [sys.executable, "-m", "benchmarks.bare_route", str(path), "--workers", str(workers)]
        asked = ["--status", str(status), "--encoding", encoding]
        return self._stack.enter_context(serving([*command, *asked], target(0), status))

    def _median_body(self, headers: Mapping[str, str]) -> tuple[bytes, str]:
        """A body of median length, as it is sent, and its content-encoding. Raises LoadFailed for what is not 200."""
        targets = [target(number) for number in self._some(_SAMPLED)]
        answers = list(self._ours.fetch(targets, [headers] * len(targets)))
        wrong = {answer.status for answer in answers} - {200}
        if wrong:
            raise LoadFailed(f"pages of the edition are answered with {sorted(wrong)}, not 200")
        median = sorted(answers, key=lambda answer: len(answer.body))[len(answers) // 2]
        return median.body, median.headers.get("content-encoding", "")

    def _filtered_target(self) -> str:
        number, *others = (self._random.randrange(self._essays) for _ in range(3))
        after = FIRST_DAY + timedelta(days=self._random.randrange(DAYS // 2))
        query = [
            ("category", category_of(number)),
            ("published_after", after.isoformat()),
            ("published_before", (after + timedelta(days=DAYS // 2)).isoformat()),
            *(("exclude", essay_id(other)) for other in others),
        ]
        return f"{target(number)}?{urlencode(query)}"

    def _some(self, count: int) -> list[int]:
        return self._random.sample(range(self._essays), min(count, self._essays))

    def _write(self, name: str, lines: Iterator[str]) -> Path:
        path = self._folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def _in_turn(self, **loads: Load) -> dict[str, list[Round]]:
        rounds = in_turn(loads, self._plan.rounds, self._plan.seconds)
        for of_load in rounds.values():
            self._result.cores["wrk"].append(statistics.median(entry.wrk_cores for entry in of_load))
            self._result.cores["others"].append(statistics.median(entry.other_cores for entry in of_load))
        return rounds

    def _take(self, name: str, above: Sequence[Round], below: Sequence[Round], metric: str) -> None:
        self._result.values[name] = ratios(above, below, metric)


_MEASURES: dict[str, Callable[[Bench], None]] = {
    "200": Bench.pages,
    "304": Bench.not_modified,
    "gzip": Bench.compressed,
    "filtered": Bench.filtered,
    "workers": Bench.workers,
}


def target(number: int) -> str:
    """What a site asks for: the related articles of the essay with this number."""
    return f"/v1/articles/{essay_id(number)}/related"


def summary(results: Sequence[Result], plan: Plan) -> dict[str, Any]:
    """The run for programs, with what it depends on."""
    wrk_name = subprocess.run([find_wrk(), "-v"], capture_output=True, text=True, check=False).stdout.split(" [", 1)[0]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.serving", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in VERSIONS} | {"wrk": wrk_name.removeprefix("wrk ").strip()},
        "rounds": plan.rounds,
        "round_seconds": plan.seconds,
        "results": [
            {
                "essays": result.essays,
                **result.facts,
                "cores": {name: round(max(values), 2) for name, values in result.cores.items() if values},
                "failed": result.failed,
                "values": {name: [round(value, 4) for value in values] for name, values in result.values.items()},
            }
            for result in results
        ],
    }


def report(run: Mapping[str, Any]) -> str:
    """The table as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    lines = [
        "# Serving: the website's endpoint beside a bare route",
        "",
        f"`{run['command']}` on {run['date']}; {run['machine']}; {versions}.",
        "",
        f"Medians with the least and the greatest of n = {run['rounds']} ratios, of neighbouring rounds of",
        f"{run['round_seconds']} s each; of starts and memory n is given. wrk: one thread, 8 connections, {_MANY} for",
        "workers; it has the same cores as the servers. Synthetic editions, ids drawn at random over all of each.",
        "",
        *_table(run["results"]),
        "",
        *_facts(run["results"]),
    ]
    return "\n".join(lines) + "\n"


def _table(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sizes = " | ".join(f"{result['essays']:,} essays" for result in results)
    yield f"| | asked | {sizes} |"
    yield "|" + "---|" * (len(results) + 2)
    for figure in FIGURES:
        cells = [_cell(figure, result["values"].get(figure.name)) for result in results]
        if any(cells):
            asked = f"{figure.bound} {figure.asked:g}" if figure.asked is not None else ""
            yield f"| {figure.words} | {asked} | " + " | ".join(cells) + " |"


def _cell(figure: Figure, values: Sequence[float] | None) -> str:
    if not values:
        return ""
    got = statistics.median(values)
    digits = 0 if "memory" in figure.name else 2
    count = f", n = {len(values)}" if figure.part == "ready" else ""
    shown = f"{got:.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}{count}]"
    return shown if figure.is_met(got) else f"**missed**: {shown}"


def _facts(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for result in results:
        said = [f"{result['essays']:,} essays:"]
        if "body_bytes" in result:
            said.append(f"median body {result['body_bytes']:,} bytes;")
        if "gzip_bytes" in result:
            said.append(f"asked for gzip, {result['gzip_bytes']:,} bytes (encoding {result['gzip_encoding']});")
        if result["cores"]:
            said.append(
                "cores taken by wrk itself up to {wrk:.2f}, by other work {others:.2f}.".format(**result["cores"])
            )
        yield "- " + " ".join(said)
        for part, reason in result["failed"].items():
            yield f"- {result['essays']:,} essays: **{part} could not be measured**: {reason.splitlines()[-1]}"


def _judged(run: Mapping[str, Any]) -> Iterator[tuple[Figure, float]]:
    for result in run["results"]:
        for figure in FIGURES:
            if figure.name in result["values"]:
                yield figure, statistics.median(result["values"][figure.name])


def say(sentence: str) -> None:
    """Progress, for whoever waits."""
    print(f"serving: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
