"""Every kind of index on synthetic vectors: what it costs, and what it finds.

usage: python -m benchmarks.index [--vectors N ...] [--dim D] [--kinds KIND ...] [--seed N] [--out FILE]

Vectors stand around topics, topics around themes, sizes of topics and the spread along each direction are uneven, and
each has noise of its own, as embeddings of a site's texts have; vectors spread evenly would be no test.

All pairs are timed on up to BLOCKS blocks of BLOCK rows, each asked of every kind in turn, so that what else the
machine does falls on all of them alike. Every figure of a table is of one run.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np

from corpus.errors import IndexRefused
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, unit_rows
from recommender.index import KINDS, FaissIndex, Rows, neighbour_recall

RESULTS = Path(__file__).parent / "results" / "index.md"
DEPTH = 50
"""Neighbours of each vector, as an edition keeps."""
BLOCK, BLOCKS = 1024, 12
SINGLES = 50
"""Queries asked one at a time."""
SAMPLE = 1000
"""Vectors whose neighbours are compared with the exact ones; other ones than the build compares."""
TOPIC, THEME = 60, 20
"""Vectors to a topic, on average, and topics to a theme."""
SPREAD, NOISE = 0.7, 0.02
"""Of vectors around their topic and of topics around their theme, and of each along each direction."""
HEAD = "| kind | build, s | all pairs, s | together, of exact | one query, ms | file, MB | recall@20 | recall@50 |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="exact is always measured")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    others = [kind for kind in KINDS if kind in options.kinds and kind != "exact"]
    parts = [part(synthetic_vectors(n, options.dim, options.seed), others) for n in options.vectors]
    options.out.write_text("\n".join([*heading(), *chain.from_iterable(parts), ""]), encoding="utf-8")
    return 0


def synthetic_vectors(count: int, dim: int, seed: int) -> Vectors:
    """Vectors of topics within themes; see the module."""
    rng = np.random.default_rng(seed)

    def around(centres: Matrix, chosen: Rows) -> Matrix:
        return centres[chosen] + SPREAD * rng.standard_normal((len(chosen), dim), dtype=np.float32) * scale

    scale = (1 / np.sqrt(1 + np.arange(dim))).astype(np.float32)
    scale /= np.linalg.norm(scale)
    topic_count = max(1, count // TOPIC)
    themes = rng.standard_normal((max(1, topic_count // THEME), dim), dtype=np.float32) * scale
    topics = around(themes, rng.integers(len(themes), size=topic_count))
    sizes = rng.pareto(1.5, topic_count) + 0.2
    matrix = around(topics, rng.choice(topic_count, size=count, p=sizes / sizes.sum()))
    matrix += NOISE * rng.standard_normal(matrix.shape, dtype=np.float32)
    return Vectors(tuple(f"{row:07}" for row in range(count)), unit_rows(matrix), "synthetic")


def heading() -> Iterator[str]:
    """What the tables are of, and where they were made."""
    yield "# Kinds of index"
    yield ""
    yield (
        f"`python -m {' '.join(['benchmarks.index', *sys.argv[1:]])}` on {datetime.now(UTC):%Y-%m-%d}; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"faiss-cpu {version('faiss-cpu')}, numpy {version('numpy')}."
    )
    yield ""
    yield "Synthetic vectors; the benchmark tells what they are. Build: to the index ready for use, with the search"
    yield "for an effort that finds 0.99."
    yield f"All pairs: {DEPTH} others of each vector; the median of up to {BLOCKS} blocks of {BLOCK} rows, each asked"
    yield "of every kind in turn, times the blocks there are."
    yield "Together: build and all pairs, as a share of exact search's."
    yield f"One query: the median of {SINGLES}. File: what is kept beside the vectors."
    yield f"Recall: neighbour_recall of {SAMPLE} vectors drawn apart from those that the build looks at."


def part(vectors: Vectors, others: Sequence[str]) -> Iterator[str]:
    """The table for these vectors, exact search first."""
    yield from ("", f"## {len(vectors):,} vectors of width {vectors.dim}", "", HEAD, "|---" * 8 + "|")
    indexes: dict[str, FaissIndex] = {}
    built: dict[str, float] = {}
    refused: list[str] = []
    for kind in ("exact", *others):
        start = time.perf_counter()
        try:
            indexes[kind] = FaissIndex(vectors, kind)
        except IndexRefused as error:
            refused += ["", f"Refused: {error}."]
        built[kind] = time.perf_counter() - start
    pairs = seconds_of_all_pairs(indexes)
    for kind, index in indexes.items():
        share = (built[kind] + pairs[kind]) / (built["exact"] + pairs["exact"])
        recalls = (f"{neighbour_recall(index, k, SAMPLE, seed=1):.4f}" for k in (20, DEPTH))
        figures = (f"{built[kind]:.1f}", f"{pairs[kind]:.1f}", f"{share:.2f}", f"{one_query(index):.2f}")
        yield f"| {' | '.join((kind, *figures, f'{megabytes(index):.0f}', *recalls))} |"
    yield from refused


def seconds_of_all_pairs(indexes: Mapping[str, FaissIndex]) -> dict[str, float]:
    """By kind, from blocks that are asked of every kind before the next one is."""
    matrix = indexes["exact"].vectors.matrix
    starts = np.linspace(0, max(0, len(matrix) - BLOCK), min(BLOCKS, -(-len(matrix) // BLOCK))).astype(int).tolist()
    times: dict[str, list[float]] = {kind: [] for kind in indexes}
    for start in starts:
        for kind, index in indexes.items():
            began = time.perf_counter()
            index.search_rows(matrix[start : start + BLOCK], DEPTH + 1)
            times[kind].append(time.perf_counter() - began)
    return {kind: median(seconds) * len(matrix) / min(BLOCK, len(matrix)) for kind, seconds in times.items()}


def one_query(index: FaissIndex) -> float:
    """Milliseconds for one query, the median."""
    seconds = []
    for row in np.linspace(0, len(index.vectors) - 1, SINGLES).astype(int).tolist():
        began = time.perf_counter()
        index.search_rows(index.vectors.matrix[row : row + 1], DEPTH)
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds)


def megabytes(index: FaissIndex) -> float:
    """What is written for it beside the vectors."""
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        return sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
