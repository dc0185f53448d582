"""What a large site costs an essay on this machine: the constants that benchmarks/scale.py forecasts from.

usage: python -m benchmarks.scale_constants [--essays N N] [--corpora NAME...] [--out FILE]

Each constant is measured in a process that has one thread, and written with its unit, its source and n. Sites of both
sizes are made of passages of the corpora (see benchmarks/large.py); what grows faster than they do is told by the two.
Constants that another benchmark has measured (the driver's own steps, PostgreSQL) stand in the same file, and stay as
they are. Takes some minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RESULTS = Path(__file__).parent / "results" / "scale-constants.json"
SIZES = (6_000, 24_000)
WORDS = 1_000
"""Of the essay that encoding is told for."""
LOOKED_AT = 1_024
_REPEATS = 3

_Constants = dict[str, dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="+", default=["linux_man_pages", "perl_docs"])
    parser.add_argument("--essays", type=int, nargs=2, default=SIZES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_MEASURES[options.one](options)))
        return 0
    found: _Constants = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    for name in _MEASURES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        found |= _in_a_process(name, options)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, entry in found.items():
        print(f"{name:32} {entry['value']:12.6g}  {entry['unit']} (n = {entry['n']})")
    return 0


def _in_a_process(name: str, options: argparse.Namespace) -> _Constants:
    """One measure, in a process of one thread."""
    command = [sys.executable, "-m", "benchmarks.scale_constants", "--one", name]
    command += ["--essays", *map(str, options.essays), "--corpora", *options.corpora]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    found: _Constants = json.loads(done.stdout.splitlines()[-1])
    return found


def _constant(value: float, unit: str, source: str, n: int) -> dict[str, Any]:
    return {"value": value, "unit": unit, "source": f"benchmarks/scale_constants.py: {source}", "n": n}


def _seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Of a core's time, which other work beside takes nothing of: the median of some runs."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return median(times)


def _parsing(options: argparse.Namespace) -> _Constants:
    from corpus.sources import PageOptions, list_pages, read_pages

    files = list_pages([Path("examples")]).files
    seconds = _seconds(lambda: list(read_pages(files, PageOptions())))
    from recommender.engines.slices import slice_size

    return {
        "parse_seconds": _constant(seconds / len(files), "core-seconds a page", "the pages of examples/", _REPEATS),
        "pages_a_part": _constant(slice_size(10**6), "pages", "recommender/engines/slices.py", 1),
    }


def _encoding(options: argparse.Namespace) -> _Constants:
    """Seconds of WORDS words, by backend; one batch of passages after another that was not counted."""
    from benchmarks.datasets import load
    from embeddings.loading import load_encoder
    from embeddings.passages import passages
    from recommender.engines.slices import slice_size

    essays = [e for name in options.corpora for e in load(name).essays if len(e.body.split()) > WORDS // 2][:96]
    found = {"essays_a_part": _constant(slice_size(10**6), "essays", "recommender/engines/slices.py", 1)}
    with tempfile.TemporaryDirectory() as cache:
        for name, model, backend in (
            ("openvino", None, "openvino"),
            ("torch", None, "torch"),
            ("static", "static", "auto"),
        ):
            encoder = load_encoder(model, backend, Path(cache))
            texts = [passages(essay, encoder.window, encoder.count_tokens) for essay in essays]
            batches = [[text for cut in texts[start::4] for text in cut] for start in range(4)]
            words = [sum(len(essay.body.split()) for essay in essays[start::4]) for start in range(4)]
            encoder.encode(batches[0])
            times = [_seconds(partial(encoder.encode, batch), 1) for batch in batches[1:]]
            a_word = median(spent / count for spent, count in zip(times, words[1:], strict=True))
            found[f"encode_seconds_{name}"] = _constant(
                a_word * WORDS, f"core-seconds an essay of {WORDS:,} words", f"pages of {options.corpora}", len(times)
            )
    return found


def _large_parts(options: argparse.Namespace) -> _Constants:
    """The tasks of a large site, on sites of both sizes."""
    results = [_tasks_of(essays, options.corpora) for essays in options.essays]
    small, large = results
    millions = [result["essays"] / 1e6 for result in results]
    slope = max(0.0, (large["look"] - small["look"]) / (millions[1] - millions[0]))
    source = f"sites of {small['essays']:,} and {large['essays']:,} essays (benchmarks/large.py)"
    an_essay = "core-seconds an essay"
    return {
        "gather_seconds": _constant(large["gather"], "seconds an essay, driver", source, 1),
        "neighbours_seconds_a_million": _constant(
            large["neighbours"] / millions[1], f"{an_essay} and million essays", source, large["n"]
        ),
        "look_seconds": _constant(max(0.0, large["look"] - slope * millions[1]), an_essay, source, large["n"]),
        "look_seconds_a_million": _constant(slope, f"{an_essay} and million essays", source, large["n"]),
        "rank_seconds": _constant(large["rank"], an_essay, source, large["n"]),
        "sigma": _constant(large["sigma"], "of the logarithm of a part's time", source, large["n"]),
        "arrays_bytes": _constant(large["bytes"], "bytes an essay", source, 1),
        "essays_a_run": _constant(large["run"], "essays", "recommender/engines/large_site.py", 1),
    }


def _tasks_of(essays: int, corpora: Sequence[str]) -> dict[str, Any]:
    """Seconds an essay of each task, without what a process reads once; sigma: of the parts' times."""
    import numpy as np

    from benchmarks.large import StandIn, essays_of
    from corpus.catalogue import build_catalogue
    from embeddings.vectors import Vectors
    from recommender.engines.large_site import RUN
    from recommender.index_shards import ShardSearch, open_shard, shards_of
    from recommender.lexical import Lexicon, whole_text
    from recommender.list_graph import ListGraph
    from recommender.texts import SiteReader
    from recommender.wide_candidates import WideFinder
    from recommender.wide_landscape import NEAREST, CloseLook, components_of, joint_space, landscape_of

    catalogue = build_catalogue(list(essays_of(corpora, essays, True)))
    matrix = StandIn().encode([whole_text(essay) for essay in catalogue.essays])
    begun = time.process_time()
    reader = SiteReader(catalogue.essays, Lexicon.learn([whole_text(essay) for essay in catalogue.essays]))
    vectors = Vectors(tuple(essay.id for essay in catalogue.essays), matrix, "")
    texts = reader.read_site(catalogue.essays, vectors, matrix)
    components = components_of(texts.terms)
    space = joint_space(matrix, components)
    gathered = time.process_time() - begun
    kind, shards = shards_of(essays, "exact")
    search = ShardSearch(space, shards, [open_shard(space, shard, kind, None) for shard in shards])
    own = np.arange(LOOKED_AT)
    neighbours = _seconds(lambda: search.others(own, NEAREST))
    drawn = np.vstack(
        [search.others(np.arange(at, min(at + LOOKED_AT, essays)), NEAREST)[0] for at in range(0, essays, LOOKED_AT)]
    )
    look = CloseLook(texts)
    look.at(0, drawn[:64])
    times = [
        _seconds(partial(look.at, at, drawn[at : at + LOOKED_AT]), 1) for at in range(0, essays - LOOKED_AT, LOOKED_AT)
    ]
    landscape = landscape_of(texts, components, [look.at(0, drawn)])
    assert landscape.pool is not None  # noqa: S101 (for mypy)
    finder = WideFinder(landscape, ListGraph.of(vectors.ids, catalogue.curated), landscape.pool)
    finder.of_rows(own[:64])
    stored = [texts.terms, texts.title_shares, texts.titles_named, texts.own_title, landscape.near]
    held = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in stored)
    dense = (matrix, matrix, space, landscape.basis, landscape.nearest_scores, landscape.pool.columns)
    return {
        "essays": essays,
        "gather": gathered / essays,
        "neighbours": neighbours / LOOKED_AT,
        "look": median(times) / LOOKED_AT,
        "rank": _seconds(lambda: finder.of_rows(own)) / LOOKED_AT,
        "sigma": float(np.std(np.log(times))),
        "bytes": (held + sum(array.nbytes for array in dense)) / essays,
        "run": RUN,
        "n": len(times),
    }


_MEASURES: dict[str, Callable[[argparse.Namespace], _Constants]] = {
    "parsing": _parsing,
    "encoding": _encoding,
    "large_parts": _large_parts,
}

if __name__ == "__main__":
    sys.exit(main())
