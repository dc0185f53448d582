"""What the job costs on a large site, the model aside: neighbours, ranking and publishing of many thousand essays.

usage: python -m benchmarks.large [--essays N [N ...]] [--lists] [--out DIR] [CORPUS...]

Essays are made of passages of the corpora (by default all at hand), so that words are as common and as rare as in real
texts. Their vectors come from a stand-in for the encoder: a projection of the words to DEPTH dimensions, and from there
to the width of the default model. --lists: every other essay lists four that were cut from the same page.

Each size is built in a process of its own, in an empty home. Prints seconds by stage, peak memory, how many of the
exact neighbours the index finds, and how many of the twenty best by the default model, held against all essays, are in
the pool that is ranked. Ends with 1 when 100,000 essays take over 10 minutes or 4 GiB, when an index finds less than
99%, or when time grows more than 13 times from 10,000 to 100,000. Writes large.md into --out.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from benchmarks.datasets import NoDataset, available, load
from corpus.essay import Block, Essay
from corpus.records import essay_to_record
from embeddings.encoder import Matrix
from embeddings.vectors import unit_rows
from recommender.edition import open_current
from recommender.job import BuildOptions, build
from recommender.landscape import Landscape, read_run
from recommender.material import Material
from recommender.signals import text_block
from recommender.wide_landscape import neighbours_found

DIM, DEPTH = 384, 48
FEATURES = 2**15
WORDS = (120, 40)
"""Of the page that an essay is cut from, and of another page."""
SAMPLE, BEST = 200, 20
_LIMITS = {"seconds": 600.0, "gib": 4.0, "recall": 0.99, "growth": 13.0}


class StandIn:
    """An Encoder of random projections: texts of like words have like vectors."""

    fingerprint = "random projection"
    arithmetic = "numpy"
    dim = DIM
    window = 256

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._words = HashingVectorizer(n_features=FEATURES, alternate_sign=False, norm="l2", stop_words="english")
        self._down = rng.normal(size=(FEATURES, DEPTH)).astype(np.float32)
        self._up = rng.normal(size=(DEPTH, DIM)).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """See Encoder.encode."""
        if not texts:
            return np.zeros((0, DIM), dtype=np.float32)
        return unit_rows(np.tanh(self._words.transform(texts) @ self._down) @ self._up)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See Encoder.count_tokens."""
        return [len(text.split()) + 2 for text in texts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*")
    parser.add_argument("--essays", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--out", type=Path, help="write large.md here")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        corpora = options.corpora or available()
        if options.one:
            print(json.dumps(measure(options.one, options.essays[0], corpora, options.lists)))
            return 0
        results = [_in_a_process(number, corpora, options.lists) for number in options.essays]
    except NoDataset as error:
        print(f"large: {error}", file=sys.stderr)
        return 1
    report, good = _report(results)
    print(report)
    if options.out:
        (options.out / "large.md").write_text(report, encoding="utf-8")
    return 0 if good else 1


def essays_of(corpora: Sequence[str], number: int, lists: bool) -> Iterator[Essay]:
    """So many essays, in id order, the same each time."""
    rng = np.random.default_rng(1)
    pages = [e for name in corpora for e in load(name).essays if len(e.body.split()) >= sum(WORDS)]
    for n in range(number):
        page, other = pages[n % len(pages)], pages[rng.integers(len(pages))]
        words, others = page.body.split(), other.body.split()
        start, elsewhere = rng.integers(len(words) - WORDS[0]), rng.integers(len(others) - WORDS[1])
        cut = words[start : start + WORDS[0]]
        siblings = (
            m for step in (1, 2, 3, 4) if (m := (n + step * len(pages)) % number) % len(pages) == n % len(pages)
        )
        yield Essay(
            f"essay-{n:07d}",
            title=" ".join(cut[3 : rng.integers(6, 10)]),
            standfirst=" ".join(cut[10:30]),
            category=page.category or page.source.rpartition("/")[0],
            blocks=(Block("paragraph", " ".join(cut)), Block("paragraph", " ".join(others[elsewhere:][: WORDS[1]]))),
            related=tuple(f"essay-{m:07d}" for m in siblings) if lists and n % 2 else (),
            source="large",
        )


def measure(folder: Path, number: int, corpora: Sequence[str], lists: bool) -> dict[str, Any]:
    """Build, and look at what was built."""
    site = folder / "site.jsonl"
    with site.open("w", encoding="utf-8") as file:
        for essay in essays_of(corpora, number, lists):
            file.write(json.dumps(essay_to_record(essay)) + "\n")
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    report = build([site], folder / "home", StandIn(), BuildOptions())
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    landscape = Material.load(open_current(folder / "home")).landscape
    return {
        "essays": number,
        "seconds": seconds,
        "stages": dict(report.seconds),
        "mib": max(peak, began) / 1024,
        "neighbour_recall": neighbours_found(landscape, BEST),
        "pool_recall": pool_recall(landscape),
    }


def pool_recall(landscape: Landscape) -> float | None:
    """The share of the BEST by the default model over all essays that the pool has, for SAMPLE essays."""
    if landscape.pool is None:
        return None
    found = []
    for row in np.random.default_rng(2).choice(len(landscape.texts), SAMPLE, replace=False).tolist():
        places = landscape.rows(row, row + 1)
        scores = read_run(places, text_block(places.texts, landscape.texts)).scores[0]
        scores[row] = -np.inf
        best = np.argpartition(-scores, BEST)[:BEST]
        found.append(np.isin(best, landscape.pool.columns[landscape.pool.of(row)]).mean())
    return float(np.mean(found))


def _in_a_process(number: int, corpora: Sequence[str], lists: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.large", *corpora, "--essays", str(number), "--one", folder]
        done = subprocess.run([*command, *(["--lists"] if lists else [])], check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _report(results: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    stages = list(results[0]["stages"])
    lines = [
        "# A large site, the model aside",
        "",
        "`python -m benchmarks.large`: one run, n = 1 a size. Seconds are of one shared machine of two cores; what",
        "counts is how they grow, and that they stay under the limits.",
        "",
        f"| essays | {' | '.join(stages)} | all, s | peak, MiB | neighbour_recall@{BEST} | best {BEST} in the pool |",
        "|" + "---|" * (len(stages) + 5),
    ]
    for result in results:
        times = " | ".join(f"{result['stages'].get(stage, 0.0):.1f}" for stage in stages)
        recalls = " | ".join(
            "all" if r is None else f"{r:.4f}" for r in (result["neighbour_recall"], result["pool_recall"])
        )
        lines.append(f"| {result['essays']:,} | {times} | {result['seconds']:.1f} | {result['mib']:,.0f} | {recalls} |")
    return "\n".join(lines) + "\n", all(_is_good(result) for result in results) and _grows_well(results)


def _is_good(result: dict[str, Any]) -> bool:
    recall = result["neighbour_recall"]
    found = recall is None or recall >= _LIMITS["recall"]
    small = result["seconds"] <= _LIMITS["seconds"] and result["mib"] / 1024 <= _LIMITS["gib"]
    return found and (small or result["essays"] > 100_000)


def _grows_well(results: Sequence[dict[str, Any]]) -> bool:
    seconds = {result["essays"]: result["seconds"] for result in results}
    return 10_000 not in seconds or seconds.get(100_000, 0.0) <= _LIMITS["growth"] * seconds[10_000]


if __name__ == "__main__":
    sys.exit(main())
