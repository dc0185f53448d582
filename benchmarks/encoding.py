"""What each backend and each model costs and gives: speed, fidelity, memory and recall.

usage: python -m benchmarks.encoding [--home DIR] [--texts N] [--batch N] [--quality FOLDER]
                                     [--systems NAME...] [--no-recall] [--out DIR] [CORPUS...]

CORPUS is a name or a folder (see datasets.py); without one, every corpus at hand. The texts are those of a whole build:
passages, and the short ones: summaries and blurbs. Speed: a batch goes through plain `SentenceTransformer.encode` with
its default arguments (fp32), then through each system, then comes the next batch; texts in, vectors out. --texts takes
so many of each kind, evenly, for speed, cosines and neighbours; recall takes all. --quality: the folder of
all-mpnet-base-v2, where it is not in the local Hugging Face cache. Writes encoding.md into --out.
"""

import argparse
import multiprocessing
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.datasets import Dataset, NoDataset, available, load
from benchmarks.quality import MAIN, measure
from corpus.catalogue import build_catalogue
from corpus.errors import EncoderError
from embeddings.cache import PLACE, open_cache
from embeddings.encoder import Encoder, Matrix, cache_key
from embeddings.loading import load_encoder
from embeddings.model_folder import STATIC
from embeddings.probe import cosines
from embeddings.sentence import Precision, SentenceEncoder
from embeddings.views import views_of
from recommender.encoded import shown_blurbs
from recommender.evaluation import OURS
from recommender.versions import package_versions

KINDS = ("passages", "short texts")
NEAREST = 10
_MEMORY_TEXTS = 256


@dataclass(frozen=True, slots=True)
class System:
    """What is measured. same_model: whether its vectors are to be those of the reference."""

    name: str
    load: Callable[[Path], Encoder]
    same_model: bool


def _torch(precision: Precision, cache: Path) -> Encoder:
    return SentenceEncoder(precision=precision)


def systems_with(quality: str) -> tuple[System, ...]:
    """All that can be measured. quality: name or folder of the larger model."""
    return (
        System("openvino", partial(load_encoder, None, "openvino"), True),
        System("torch-bf16", partial(_torch, "bf16"), True),
        System("torch-fp32", partial(_torch, "fp32"), True),
        System("static", partial(load_encoder, STATIC, "auto"), False),
        System("quality", partial(load_encoder, quality, "auto"), False),
    )


@dataclass(slots=True)
class Result:
    """ratios: by kind, plain's seconds by the system's, one a batch. seconds: by kind, plain's and the system's.

    cosine: least and mean. neighbours: share of the ten nearest texts that stay. recall: cold recall@10 by ranking.
    """

    arithmetic: str
    ratios: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    cosine: tuple[float, float, int] | None = None
    neighbours: tuple[float, int] | None = None
    memory_mb: int = 0
    recall: dict[str, float] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where vectors and converted models are kept")
    parser.add_argument("--texts", type=int, help="of each kind, for speed and cosines; default: all")
    parser.add_argument("--batch", type=int, default=256, help="texts a batch: as many as a build encodes at once")
    parser.add_argument("--quality", default="quality", help="folder of the larger model")
    parser.add_argument("--systems", nargs="*", help="only these: openvino torch-bf16 torch-fp32 static quality")
    parser.add_argument("--no-recall", action="store_true")
    parser.add_argument("--out", type=Path, help="write the results here")
    options = parser.parse_args()
    try:
        datasets = [load(name) for name in options.corpora or available()]
    except NoDataset as error:
        print(f"encoding: {error}", file=sys.stderr)
        return 1
    known = systems_with(options.quality)
    systems = list(usable((s for s in known if s.name in (options.systems or [s.name])), options.home))
    sections = []
    for dataset in datasets:
        results = compare(dataset, systems, options)
        sections.append("\n".join(section(dataset, results)))
        print(sections[-1], flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "encoding.md").write_text("\n\n".join([heading(), *sections]) + "\n", encoding="utf-8")
    return 0


def usable(systems: Iterable[System], home: Path) -> Iterator[System]:
    """The systems that this machine has; what is missing is said."""
    for system in systems:
        try:
            _ = system.load(home / "cache").arithmetic
        except EncoderError as error:
            print(f"encoding: without {system.name}: {error}", file=sys.stderr)
        else:
            yield system


def compare(dataset: Dataset, systems: Sequence[System], options: argparse.Namespace) -> dict[str, Result]:
    """Every system on one corpus, and the reference."""
    reference = SentenceEncoder()
    encoders = {s.name: s.load(options.home / "cache") for s in systems}
    results = {name: Result(encoder.arithmetic) for name, encoder in encoders.items()}
    texts = texts_of(dataset, reference, options.home)
    plain: dict[str, Matrix] = {}
    found: dict[str, dict[str, Matrix]] = {system.name: {} for system in systems}
    for kind in KINDS:
        some = evenly(texts[kind], options.texts)
        race(kind, batches_of(some, options.batch), reference, encoders, results, plain, found)
    wanted = list(plain)
    exact = np.vstack([plain[text] for text in wanted])
    for system in systems:
        result = results[system.name]
        if system.same_model:
            rows = np.vstack([found[system.name][text] for text in wanted])
            alike = cosines(rows, exact)
            result.cosine = float(alike.min()), float(alike.mean()), len(alike)
            result.neighbours = unchanged(exact, rows), len(alike)
        result.memory_mb = peak_memory(system, options.home, wanted[:: max(1, len(wanted) // _MEMORY_TEXTS)])
    if not options.no_recall:
        print("\n".join(section(dataset, results)), file=sys.stderr, flush=True)  # the rest takes a while
        for name, encoder in encoders.items():
            cold = measure(dataset, encoder, options.home)["evaluation"]["cold"]
            results[name].recall = {ranking: cold[ranking][MAIN][0] for ranking in (OURS, "dense")}
    return results


def texts_of(dataset: Dataset, encoder: Encoder, home: Path) -> dict[str, list[str]]:
    """The different texts of a whole build, by kind, shortest first as the build encodes them."""
    catalogue = build_catalogue(dataset.essays)
    with open_cache(home / PLACE, cache_key(encoder)) as cache:
        views = views_of(catalogue.essays, encoder, cache)
    passages = {text for view in views for text in view.passages if text}
    blurbs = chain((b.text for b in catalogue.unmatched), (text for text, _ in shown_blurbs(catalogue.essays)))
    short = {view.summary for view in views if view.summary} | set(blurbs)
    kinds = zip(KINDS, (passages, short - passages), strict=True)
    return {kind: sorted(some, key=lambda text: (len(text), text)) for kind, some in kinds}


def evenly(texts: Sequence[str], count: int | None) -> list[str]:
    """So many of the texts, at even steps; all for none."""
    places = np.linspace(0, len(texts) - 1, min(count or len(texts), len(texts)))
    return [texts[place] for place in places.round().astype(int)]


def batches_of(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Texts of one length together, as in a build; the batches in an order that is random, and always the same."""
    batches = [texts[start : start + size] for start in range(0, len(texts), size)]
    order = np.random.default_rng(1).permutation(len(batches))
    return [batches[place] for place in order]


def race(
    kind: str,
    batches: Sequence[Sequence[str]],
    reference: SentenceEncoder,
    encoders: dict[str, Encoder],
    results: dict[str, Result],
    plain: dict[str, Matrix],
    found: dict[str, dict[str, Matrix]],
) -> None:
    """Time each batch on plain sentence-transformers and on every system: fills results, plain and found."""
    for encoder in encoders.values():
        encoder.encode(batches[0][:16])  # loads the model
    reference.model.encode(list(batches[0][:16]))
    for batch in batches:
        start = time.perf_counter()
        rows = reference.model.encode(list(batch))
        seconds = time.perf_counter() - start
        plain.update(zip(batch, rows, strict=True))
        for name, encoder in encoders.items():
            start = time.perf_counter()
            rows = encoder.encode(batch)
            taken = time.perf_counter() - start
            found[name].update(zip(batch, rows, strict=True))
            result = results[name]
            result.ratios.setdefault(kind, []).append(seconds / taken)
            theirs, ours = result.seconds.get(kind, (0.0, 0.0))
            result.seconds[kind] = theirs + seconds, ours + taken


def unchanged(exact: Matrix, rows: Matrix) -> float:
    """Share of each text's ten nearest others, by the reference's vectors, that are among its ten by the system's."""
    kept = 0
    for start in range(0, len(exact), 1024):
        nearest = [_nearest(matrix, start, start + 1024) for matrix in (exact, rows)]
        kept += sum(len(set(one) & set(other)) for one, other in zip(*(n.tolist() for n in nearest), strict=True))
    return kept / (len(exact) * NEAREST)


def _nearest(matrix: Matrix, start: int, stop: int) -> np.ndarray:
    similarities = matrix[start:stop] @ matrix.T
    similarities[np.arange(len(similarities)), np.arange(start, start + len(similarities))] = -2
    return np.argpartition(similarities, -NEAREST, axis=1)[:, -NEAREST:]


def peak_memory(system: System, home: Path, texts: Sequence[str]) -> int:
    """Megabytes that a process of its own takes at most to load the system and encode the texts."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_encode_and_weigh, (system, home, texts))


def _encode_and_weigh(system: System, home: Path, texts: Sequence[str]) -> int:
    system.load(home / "cache").encode(texts)
    # Not ru_maxrss, which begins with what the parent took.
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) // 1024


# --- Tables -------------------------------------------------------------------------------------------------------


def heading() -> str:
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    return "\n".join(
        [
            "# Encoding: what each backend and model costs and gives",
            "",
            f"`python -m benchmarks.encoding {' '.join(sys.argv[1:])}` on {datetime.now(UTC).date().isoformat()};",
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {versions}.",
            "",
            "Times plain: seconds of `SentenceTransformer.encode`, default arguments, packaged model, by the system's,",
            "for the same batch in the same run, tokenisation included: median of the batches (all together). Cosines",
            "and the ten nearest are against those vectors. Memory: the peak of a process that loads the system and",
            "encodes some 256 texts. Recall@10 is cold: no list is seen.",
        ]
    )


def section(dataset: Dataset, results: dict[str, Result]) -> Iterator[str]:
    batches = next(iter(results.values())).ratios
    counts = ", ".join(f"{kind}: n = {len(ratios)} batches" for kind, ratios in batches.items())
    yield f"## {dataset.name}: {len(dataset.essays):,} essays; {counts}"
    yield ""
    columns = "arithmetic|passages, times plain|short texts, times plain|all, times plain|cosine min, mean (n)"
    columns += "|ten nearest kept|memory MB|recall@10 related|dense"
    yield "| | " + columns.replace("|", " | ") + " |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, result in results.items():
        yield "| " + " | ".join([name, result.arithmetic, *_cells(result)]) + " |"
    yield ""
    yield f"Data sha256 `{dataset.sha256[:16]}`."


def _cells(result: Result) -> Iterator[str]:
    for kind in KINDS:
        if kind in result.ratios:
            theirs, ours = result.seconds[kind]
            yield f"{statistics.median(result.ratios[kind]):.1f} ({theirs / ours:.1f})"
        else:
            yield ""
    theirs, ours = (sum(column) for column in zip(*result.seconds.values(), strict=True)) if result.seconds else (0, 0)
    yield f"{theirs / ours:.1f}" if ours else ""
    yield f"{result.cosine[0]:.5f}, {result.cosine[1]:.5f} ({result.cosine[2]:,})" if result.cosine else ""
    yield f"{result.neighbours[0]:.2%}" if result.neighbours else ""
    yield f"{result.memory_mb:,}" if result.memory_mb else ""
    for ranking in (OURS, "dense"):
        yield f"{result.recall[ranking]:.4f}" if result.recall else ""


if __name__ == "__main__":
    sys.exit(main())
