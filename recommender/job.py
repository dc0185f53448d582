"""The offline job: pages in, an edition published.

Its stages: parse, match, encode, survey, learn from the lists, choose candidates, evaluate, overview, publish. Nothing
is published before the last one, so a build that fails or is killed leaves the old edition live.
"""

import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from recommender import publish_gate
from recommender.build_report import BuildReport, Pages
from recommender.edition import Edition, Prepare
from recommender.edition_diff import mean_overlap
from recommender.editor_labels import EditorLabels
from recommender.following import hear_editors
from recommender.publish_gate import Held
from recommender.ranking import Item, Rules
from recommender.watch import Unwatched, Watch

if TYPE_CHECKING:
    from recommender.material import Material

_PACKAGES = (
    *("bm25s", "faiss-cpu", "lxml", "numpy", "rapidfuzz", "scikit-learn", "scipy", "sentence-transformers", "torch"),
    *("trafilatura", "transformers"),
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the settings say about a build.

    publish_overlap: an edition whose lists overlap less (0-1) with the current one's, on average, is held back; 0 is
    no limit.
    """

    pages: PageOptions = field(default_factory=PageOptions)
    keep_editions: int = editions.KEEP
    publish_overlap: float = 0.0


def read_sources(sources: Sequence[Path], options: PageOptions, watch: Watch) -> Pages:
    """Every page of the sources. Raises SourceNotFound when one does not exist."""
    listing = list_pages(sources)
    progress = watch.stage("reading pages", len(listing.files))
    pages = list(read_pages(listing.files, options, lambda path: progress(1)))
    essays = tuple(page for page in pages if isinstance(page, Essay))
    problems = tuple(page for page in pages if isinstance(page, PageProblem))
    return Pages(essays, problems, listing.passed_over)


def build(
    sources: Sequence[Path],
    home: Path,
    encoder: Encoder,
    options: BuildOptions,
    watch: Watch | None = None,
    prepare: Prepare | None = None,
    labels_of: "LabelsOf | None" = None,
) -> BuildReport:
    """Read the sources, find every essay's related articles, publish them as a new edition, or hold it back.

    prepare: called with the edition before it becomes the current one. labels_of: what editors have
    approved and excluded; None is what the log of this home says.
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
        labels_of = labels_of or partial(hear_editors, home, now=datetime.now(UTC))
        return _Build(home, pages, catalogue, encoder, options, watch, clock, prepare, labels_of).run()


LabelsOf = Callable[[Catalogue, Edition | None], EditorLabels]
"""What is built, and the edition before -> labels."""


@dataclass(frozen=True, eq=False)
class _Build:
    """One build, from the catalogue on."""

    home: Path
    pages: Pages
    catalogue: Catalogue
    encoder: Encoder
    options: BuildOptions
    watch: Watch
    clock: "_Clock"
    prepare: Prepare | None
    labels_of: LabelsOf

    def run(self) -> BuildReport:
        """Publish the last edition's files again when nothing has changed, else make new ones."""
        last = _last_edition(self.home)
        before = _lists_of(last) if last else None
        labels = self.labels_of(self.catalogue, last)
        inputs = _inputs_digest(self.catalogue, self.encoder, labels)
        with _new_edition(self.home) as folder:
            if last is not None and last.manifest.get("inputs") == inputs:
                manifest, encoded = self._copy(last, folder), 0
            else:
                manifest, encoded = self._write(folder, before, labels)
            comparison = _Comparison(last, before, self.options.publish_overlap)
            return self._publish(folder, {**manifest, "inputs": inputs}, comparison, encoded)

    def _copy(self, last: Edition, folder: Path) -> dict[str, Any]:
        for name in last.manifest["files"]:
            shutil.copyfile(last.folder / name, folder / name)
        return {key: last.manifest[key] for key in ("encoder", "counts", "lesson", "evaluation")}

    def _write(self, folder: Path, before: "_Lists | None", labels: EditorLabels) -> tuple[dict[str, Any], int]:
        """Encode, find neighbours, evaluate; returns what the manifest says of it, and how many texts were encoded."""
        # Imported here: a build without a change needs neither scikit-learn nor FAISS.
        from embeddings.cache import PLACE, open_cache
        from recommender.blurb_recall import blurb_recall
        from recommender.evaluation import evaluate
        from recommender.material import Material, encode_catalogue
        from recommender.neighbourhood import find_neighbourhood
        from recommender.study import study_lists

        catalogue, fingerprint = self.catalogue, self.encoder.fingerprint
        with self.clock.stage("encode"), open_cache(self.home / PLACE, fingerprint) as cache:
            encoded = encode_catalogue(catalogue, self.encoder, cache, self.watch)
        with self.clock.stage("survey"):
            progress = self.watch.stage("surveying the site", len(catalogue.essays))
            material = Material.gather(catalogue, encoded, fingerprint, progress)
        with self.clock.stage("learn"):
            study = study_lists(material, self.watch, labels)
        with self.clock.stage("candidates"):
            found = find_neighbourhood(material, catalogue, study.pairs, study.lesson)
        with self.clock.stage("evaluate"):
            blurbs = blurb_recall(material.essays, encoded.views, encoded.vector_of, material.reader, fingerprint)
            evaluation = evaluate(material, found.items, catalogue.report.total, study, blurbs)
        editions.write_lists(folder, found.items.values(), found.lists)
        editions.write_essays(folder, (essay_to_record(_as_stated(essay)) for essay in catalogue.essays))
        material.save(folder)
        self._write_overview(folder, material, before)
        counts = _counts(catalogue, found.items) | {"texts": encoded.count.encoded + encoded.count.reused}
        described = {"encoder": fingerprint, "counts": counts}
        manifest = described | {"lesson": study.lesson.to_json(), "evaluation": evaluation.to_json()}
        return manifest, encoded.count.encoded

    def _write_overview(self, folder: Path, material: "Material", before: "_Lists | None") -> None:
        from recommender.map_layout import lay_out
        from recommender.page_facts import write_facts

        with self.clock.stage("overview"):
            progress = self.watch.stage("drawing the map", len(material.ids))
            places = [(x, y) for x, y in lay_out(material.texts.vectors.matrix, progress).tolist()]
            write_facts(folder, places, self.catalogue.unjoined, before)

    def _publish(
        self, folder: Path, manifest: Mapping[str, Any], comparison: "_Comparison", encoded: int
    ) -> BuildReport:
        described = {
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": package_versions(),
            "corpus": self.catalogue.digest,
            "join": asdict(self.catalogue.report),
            "problems": [str(problem) for problem in self.pages.problems],
            "remarks": list(self.pages.remarks),
            **manifest,
            "seconds": self.clock.seconds,
        }
        keep, judge = self.options.keep_editions, comparison.judge
        ident = editions.publish(self.home, folder, described, keep, self.prepare, judge)
        return BuildReport(
            edition=ident,
            pages=self.pages,
            blurbs=described["join"],
            counts=manifest["counts"],
            encoded=encoded,
            reused=manifest["counts"]["texts"] - encoded,
            changed=comparison.changed,
            seconds=dict(self.clock.seconds),
            evaluation=manifest["evaluation"],
            overlap=comparison.overlap,
            held=comparison.held,
        )


@dataclass(slots=True)
class _Comparison:
    """A new edition beside the last one, whose lists are `before`. What is found stays None for a first edition.

    changed, overlap, held: see BuildReport.
    """

    last: Edition | None
    before: "_Lists | None"
    limit: float
    changed: int | None = None
    overlap: float | None = None
    held: str | None = None

    def judge(self, edition: Edition, ident: str) -> Held | None:
        """See recommender.edition.Judge."""
        if self.last is None or self.before is None:
            return None
        after = _lists_of(edition)
        self.changed, self.overlap = _differing(self.before, after), mean_overlap(self.before, after)
        held = publish_gate.judge(ident, self.last.id, self.overlap, self.limit, edition.built_at)
        self.held = f"{held.sentence}; until then edition {self.last.id} stays live" if held else None
        return held


def _as_stated(essay: Essay) -> Essay:
    """Without what was inferred from lists: whoever reads an edition's essays must not take it for their own words."""
    return replace(essay, category=None) if essay.category_inferred else essay


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


def _inputs_digest(catalogue: Catalogue, encoder: Encoder, labels: EditorLabels) -> str:
    """Of all that an edition's content depends on: pages, model, editors' labels, this code, the libraries."""
    sha = hashlib.sha256()
    parts = [catalogue.digest, *(essay.source for essay in catalogue.essays), encoder.fingerprint, labels.digest]
    parts += [f"{name} {version}" for name, version in package_versions().items()]
    for package in (corpus, embeddings, recommender):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    sha.update(json.dumps(parts).encode())
    return sha.hexdigest()


def package_versions() -> dict[str, str]:
    """The versions of the libraries that an edition depends on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _counts(catalogue: Catalogue, items: Mapping[str, Item]) -> dict[str, int]:
    groups = [item.twins for item in items.values() if item.twins]
    return {
        "essays": len(catalogue.essays),
        "unmatched_blurbs": len(catalogue.unmatched),
        "lists": len(catalogue.curated),
        "categories_inferred": sum(essay.category_inferred for essay in catalogue.essays),
        "near_duplicates": len(groups) - len(set(groups)),
    }


_Lists = Mapping[str, Sequence[str]]
"""Essay id -> what its list shows by the standard rules, as ids."""


def _lists_of(edition: Edition) -> _Lists:
    rules = Rules()
    lists = ((ident, edition.recommend(edition.find(ident), rules)) for ident in edition.essay_ids())
    return {ident: [place.target for place, _ in found] for ident, found in lists}


def _differing(before: _Lists, after: _Lists) -> int:
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
