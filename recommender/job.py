"""The offline job: pages in, an edition published.

Its stages: parse, match, encode, learn the lexicon, neighbours, evaluate, publish. Nothing is published before the last
one, so a build that fails or is killed leaves the old edition live.
"""

import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import corpus
import embeddings
import recommender
from corpus.catalogue import Catalogue, build_catalogue
from corpus.errors import EditionError, RelatedArticlesError
from corpus.essay import Essay, PageProblem
from corpus.records import essay_to_record
from corpus.sources import PageOptions, list_pages, read_pages
from embeddings.encoder import Encoder
from recommender import edition as editions
from recommender.edition import Edition
from recommender.ranking import Item
from recommender.watch import Unwatched, Watch

_PACKAGES = ("faiss-cpu", "numpy", "scikit-learn", "sentence-transformers", "torch")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the settings say about a build."""

    pages: PageOptions = field(default_factory=PageOptions)
    keep_editions: int = editions.KEEP


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. changed: essays whose list of candidates differs from the last edition's, or are new or gone."""

    edition: str
    essays: int
    problems: tuple[PageProblem, ...]
    remarks: tuple[str, ...]
    passed_over: Mapping[str, int]
    blurbs: Mapping[str, Any]
    items: Mapping[str, int]
    encoded: int
    reused: int
    changed: int | None
    seconds: Mapping[str, float]
    evaluation: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The line that `related build --json` ends with."""
        counts = {key: self.blurbs[key] for key in ("total", "joined", "ambiguous", "unmatched")}
        return {
            "edition": self.edition,
            "essays": self.essays,
            "problems": len(self.problems),
            "blurbs": counts,
            "encoded": self.encoded,
            "reused": self.reused,
            "changed": self.changed,
            "seconds": dict(self.seconds),
            "evaluation": dict(self.evaluation),
        }


@dataclass(frozen=True, slots=True)
class Pages:
    """What reading the sources gave. Pages in = essays + problems."""

    essays: tuple[Essay, ...]
    problems: tuple[PageProblem, ...]
    passed_over: Mapping[str, int]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth knowing of pages that did become essays."""
        return tuple(f"{essay.source}: {remark}" for essay in self.essays for remark in essay.remarks)


def read_sources(sources: Sequence[Path], options: PageOptions, watch: Watch) -> Pages:
    """Every page of the sources. Raises SourceNotFound when one does not exist."""
    listing = list_pages(sources)
    progress = watch.stage("reading pages", len(listing.files))
    pages = list(read_pages(listing.files, options, lambda path: progress(1)))
    essays = tuple(page for page in pages if isinstance(page, Essay))
    problems = tuple(page for page in pages if isinstance(page, PageProblem))
    return Pages(essays, problems, listing.passed_over)


def build(
    sources: Sequence[Path], home: Path, encoder: Encoder, options: BuildOptions, watch: Watch | None = None
) -> BuildReport:
    """Read the sources, find every essay's related articles, publish them as a new edition.

    Raises SourceNotFound, BuildInProgress, EncoderError, and RelatedArticlesError when no page became an essay.
    """
    watch = watch or Unwatched()
    clock = _Clock()
    with editions.build_lock(home):
        with clock.stage("parse"):
            pages = read_sources(sources, options.pages, watch)
        if not pages.essays:
            raise RelatedArticlesError(_no_essays(pages))
        with clock.stage("match"):
            catalogue = build_catalogue(pages.essays)
        inputs = _inputs_digest(catalogue, encoder)
        last = _last_edition(home)
        if last is not None and last.manifest.get("inputs") == inputs:
            return _publish_again(home, last, pages, catalogue, clock, options)
        return _build_anew(home, last, pages, catalogue, encoder, inputs, clock, options, watch)


def _build_anew(
    home: Path,
    last: Edition | None,
    pages: Pages,
    catalogue: Catalogue,
    encoder: Encoder,
    inputs: str,
    clock: "_Clock",
    options: BuildOptions,
    watch: Watch,
) -> BuildReport:
    # Imported here: a build without a change needs neither scikit-learn nor FAISS, and ends in a second.
    from embeddings.cache import open_cache
    from recommender.evaluation import evaluate
    from recommender.material import Material, encode_catalogue
    from recommender.neighbourhood import find_neighbourhood

    with clock.stage("encode"), open_cache(home / "cache" / "vectors.sqlite3", encoder.fingerprint) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, watch)
    with clock.stage("lexicon"):
        material = Material.gather(catalogue, encoded, encoder.fingerprint)
    with clock.stage("neighbours"):
        progress = watch.stage("finding neighbours", len(catalogue.essays))
        found = find_neighbourhood(material, catalogue, progress)
    with clock.stage("evaluate"):
        entries = catalogue.report.total
        cold = found.scored if material.cold_items is material.items else None
        evaluation = evaluate(material, catalogue.curated, found.items, entries, cold)
    with clock.stage("publish"), _new_edition(home) as folder:
        editions.write_lists(folder, found.items.values(), found.lists)
        editions.write_essays(folder, (essay_to_record(essay) for essay in catalogue.essays))
        material.save(folder)
        manifest = {
            "encoder": encoder.fingerprint,
            "inputs": inputs,
            "counts": _counts(catalogue, found.items, texts=encoded.count.encoded + encoded.count.reused),
            "evaluation": evaluation.to_json(),
        }
        return _publish(home, folder, manifest, last, pages, catalogue, clock, options, encoded.count.encoded)


def _publish_again(
    home: Path, last: Edition, pages: Pages, catalogue: Catalogue, clock: "_Clock", options: BuildOptions
) -> BuildReport:
    """Nothing that the edition depends on has changed: publish its files again, with the time of this build."""
    with clock.stage("publish"), _new_edition(home) as folder:
        for name in last.manifest["files"]:
            shutil.copyfile(last.folder / name, folder / name)
        kept = {key: last.manifest[key] for key in ("encoder", "inputs", "counts", "evaluation")}
        return _publish(home, folder, kept, last, pages, catalogue, clock, options, encoded=0)


def _publish(
    home: Path,
    folder: Path,
    manifest: Mapping[str, Any],
    last: Edition | None,
    pages: Pages,
    catalogue: Catalogue,
    clock: "_Clock",
    options: BuildOptions,
    encoded: int,
) -> BuildReport:
    described = {
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": package_versions(),
        "corpus": catalogue.digest,
        "join": asdict(catalogue.report),
        "problems": [str(problem) for problem in pages.problems],
        "remarks": list(pages.remarks),
        **manifest,
        "seconds": clock.seconds,
    }
    before = _lists_of(last)
    ident = editions.publish(home, folder, described, options.keep_editions)
    after = _lists_of(editions.open_edition(home, ident))
    counts = manifest["counts"]
    return BuildReport(
        edition=ident,
        essays=len(catalogue.essays),
        problems=pages.problems,
        remarks=pages.remarks,
        passed_over=pages.passed_over,
        blurbs=asdict(catalogue.report),
        items=counts,
        encoded=encoded,
        reused=counts["texts"] - encoded,
        changed=None if before is None or after is None else _differing(before, after),
        seconds=dict(clock.seconds),
        evaluation=manifest["evaluation"],
    )


@contextmanager
def _new_edition(home: Path) -> Iterator[Path]:
    """A folder to write an edition in; removed when that fails or is interrupted."""
    folder = editions.new_folder(home)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _last_edition(home: Path) -> Edition | None:
    """The current edition when every file of it is intact."""
    try:
        current = editions.open_current(home)
        editions.check_edition(current.folder)
    except EditionError:
        return None
    return current


def _inputs_digest(catalogue: Catalogue, encoder: Encoder) -> str:
    """Of all that an edition's content depends on: pages, model, this code, the libraries."""
    sha = hashlib.sha256()
    parts = [catalogue.digest, *(essay.source for essay in catalogue.essays), encoder.fingerprint]
    parts += [f"{name} {version}" for name, version in package_versions().items()]
    for package in (corpus, embeddings, recommender):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    sha.update(json.dumps(parts).encode())
    return sha.hexdigest()


def package_versions() -> dict[str, str]:
    """The versions of the libraries that an edition depends on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _counts(catalogue: Catalogue, items: Mapping[str, Item], texts: int) -> dict[str, int]:
    groups = [item.twins for item in items.values() if item.twins]
    return {
        "essays": len(catalogue.essays),
        "unmatched_blurbs": len(catalogue.unmatched),
        "lists": len(catalogue.curated),
        "categories_inferred": sum(essay.category_inferred for essay in catalogue.essays),
        "near_duplicates": len(groups) - len(set(groups)),
        "texts": texts,
    }


def _lists_of(edition: Edition | None) -> dict[str, list[str]] | None:
    if edition is None:
        return None
    return {ident: [r.target for r in edition.related(ident).recommendations] for ident in edition.essay_ids()}


def _differing(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> int:
    return sum(before.get(ident) != after.get(ident) for ident in before.keys() | after.keys())


def _no_essays(pages: Pages) -> str:
    if not pages.problems:
        endings = ", ".join(f"{count} {ending}" for ending, count in pages.passed_over.items())
        return f"no page found{f' among {endings}' if endings else ''}: name pages (.txt, .html, .md, .jsonl)"
    return f"none of the {len(pages.problems)} pages could be read; the first: {pages.problems[0]}"


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)
