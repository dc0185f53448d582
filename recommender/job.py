"""The offline job: pages in, an edition published.

Its stages: parse, match, encode, survey, learn from the lists, choose candidates, evaluate, overview, publish. Nothing
is published before the last one, so a build that fails or is killed leaves the old edition live.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.catalogue import Catalogue, build_catalogue
from corpus.errors import EditionError
from corpus.essay import Essay
from corpus.records import essay_to_record
from corpus.sources import PageOptions
from recommender import pace, publish_gate, publishing
from recommender.build_report import BuildReport, Pages
from recommender.clock import Clock
from recommender.decision_log import DecisionLog
from recommender.edition import Edition, open_current
from recommender.edition_diff import mean_overlap
from recommender.editor_labels import EditorLabels
from recommender.following import hear_editors
from recommender.publish_gate import Held
from recommender.publishing import Prepare
from recommender.ranking import Item, Rules
from recommender.reading import Increment, read_site
from recommender.versions import code_digest, package_versions
from recommender.watch import Unwatched, Watch, counted

if TYPE_CHECKING:  # they bring numpy along
    from embeddings.encoder import Encoder
    from recommender.engines.workers import Workers
    from recommender.material import Material


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the settings say about a build.

    publish_overlap: an edition whose lists overlap less (0-1) with the current one's, on average, is held back; 0 is
    no limit. index: see recommender.index.kind_for.
    """

    pages: PageOptions = field(default_factory=PageOptions)
    keep_editions: int = publishing.KEEP
    publish_overlap: float = 0.0
    index: str = "auto"


def build(
    sources: Sequence[Path],
    home: Path,
    encoder: "Encoder",
    options: BuildOptions,
    watch: Watch | None = None,
    prepare: Prepare | None = None,
    labels_of: "LabelsOf | None" = None,
    increment: Increment | None = None,
    workers: "Workers | None" = None,
) -> BuildReport:
    """Read the sources, find every essay's related articles, publish them as a new edition, or hold it back.

    increment: the sources hold only what has changed since an edition (recommender/reading.py).
    prepare: called with the edition before it becomes the current one. labels_of: what editors have
    approved and excluded; None is what the log of this home says. workers: who does the heavy steps; None is this
    process.
    Raises BuildInProgress, EncoderError, EngineError, and what recommender.reading.read_site() raises.
    """
    watch = watch or Unwatched()
    clock = Clock()
    with publishing.build_lock(home):
        with clock.stage("parse"):
            pages = read_site(sources, home, options.pages, watch, increment, workers)
        with clock.stage("match"):
            catalogue = build_catalogue(pages.essays)
        labels_of = labels_of or partial(hear_editors, DecisionLog(home), now=datetime.now(UTC))
        report = _Build(home, pages, catalogue, encoder, options, watch, clock, prepare, labels_of, workers).run()
        if workers:
            workers.parts.clear()  # only now: whoever runs a build again that failed goes on from them
        return report


LabelsOf = Callable[[Catalogue, Edition | None], EditorLabels]
"""What is built, and the edition before -> labels."""


@dataclass(frozen=True, eq=False)
class _Build:
    """One build, from the catalogue on."""

    home: Path
    pages: Pages
    catalogue: Catalogue
    encoder: "Encoder"
    options: BuildOptions
    watch: Watch
    clock: Clock
    prepare: Prepare | None
    labels_of: LabelsOf
    workers: "Workers | None"

    def run(self) -> BuildReport:
        """Publish the last edition's files again when nothing has changed, else make new ones."""
        shown = _shown_edition(self.home)
        last = shown if shown and _is_intact(shown) else None
        labels = self.labels_of(self.catalogue, last)
        inputs = _inputs_digest(self.catalogue, self.encoder, labels, self.options.index)
        with publishing.writing_to(self.home), _new_edition(self.home) as folder:
            if last is not None and last.manifest.get("inputs") == inputs:
                manifest, encoded = self._copy(last, folder), 0
                comparison = _Comparison(last, None, self.options.publish_overlap, changed=0, overlap=1.0)
            else:
                before = _lists_of(shown) if shown else None
                manifest, encoded = self._write(folder, before if last else None, labels)
                comparison = _Comparison(shown, before, self.options.publish_overlap)
            return self._publish(folder, {**manifest, "inputs": inputs}, comparison, encoded)

    def _copy(self, last: Edition, folder: Path) -> dict[str, Any]:
        for name in last.manifest["files"]:
            _share(last.folder / name, folder / name)
        return {key: last.manifest[key] for key in ("encoder", "counts", "lesson", "evaluation")}

    def _write(self, folder: Path, before: "_Lists | None", labels: EditorLabels) -> tuple[dict[str, Any], int]:
        """Encode, find neighbours, evaluate; returns what the manifest says of it, and how many texts were encoded."""
        # Imported here: a build without a change needs neither scikit-learn nor FAISS.
        from embeddings.cache import PLACE, open_cache
        from embeddings.encoder import cache_key
        from recommender.blurb_recall import blurb_recall
        from recommender.encoded import encode_catalogue
        from recommender.evaluation import evaluate
        from recommender.material import Material
        from recommender.neighbourhood import find_neighbourhood
        from recommender.study import study_lists

        catalogue, fingerprint = self.catalogue, self.encoder.fingerprint
        with self.clock.stage("encode"), open_cache(self.home / PLACE, cache_key(self.encoder)) as cache:
            just_encoded = 0
            if self.workers and not self.workers.engine.alone:
                from recommender.engines.encoding import encode_in_parts

                just_encoded = encode_in_parts(catalogue, self.encoder, cache, self.workers, self.watch)
            encoded = encode_catalogue(catalogue, self.encoder, cache, self.watch, just_encoded)
        with self.clock.stage("survey"):
            progress = self.watch.stage("surveying the site", len(catalogue.essays))
            material = Material.gather(catalogue, encoded, fingerprint, progress, self.options.index, self.workers)
        with self.clock.stage("learn"):
            study = study_lists(material, self.watch, labels, self.workers)
        with self.clock.stage("candidates"):
            found = find_neighbourhood(material, catalogue, study.pairs, study.lesson)
        with self.clock.stage("evaluate"):
            blurbs = blurb_recall(material.essays, encoded, material.reader, fingerprint)
            evaluation = evaluate(material, found.items, catalogue.report.total, study, blurbs)
        with self.clock.stage("write"):
            progress = self.watch.stage("writing lists", len(catalogue.essays))
            publishing.write_lists(folder, found.items.values(), counted(found.lists, progress))
            publishing.write_essays(folder, (essay_to_record(_as_stated(essay)) for essay in catalogue.essays))
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
            "seconds": dict(self.clock.seconds),
            "rates": self._rates(comparison.last, encoded, manifest["counts"]["texts"]),
        }
        keep, judge = self.options.keep_editions, comparison.judge
        with self.clock.stage("publish"):
            ident = publishing.publish(self.home, folder, described, keep, self.prepare, judge)
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

    def _rates(self, last: Edition | None, encoded: int, texts: int) -> dict[str, float]:
        before = last.manifest.get("rates", {}) if last else {}
        return pace.update_rates(before, self.clock.seconds, len(self.catalogue.essays), encoded, texts)


@dataclass(slots=True)
class _Comparison:
    """A new edition beside the last one, whose lists are `before`; None asks for no look at them. What is found stays
    None for a first edition.

    changed, overlap, held: see BuildReport.
    """

    last: Edition | None
    before: "_Lists | None"
    limit: float
    changed: int | None = None
    overlap: float | None = None
    held: str | None = None

    def judge(self, edition: Edition, ident: str) -> Held | None:
        """See recommender.publishing.Judge."""
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


def _share(path: Path, other: Path) -> None:
    """The same file under another name: nothing ever writes to an edition's files. A copy where there are no links."""
    try:
        other.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, other)


@contextmanager
def _new_edition(home: Path) -> Iterator[Path]:
    """A folder to write an edition in; removed when that fails or is interrupted."""
    folder = publishing.new_folder(home)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _shown_edition(home: Path) -> Edition | None:
    """The current edition when its lists are intact."""
    try:
        return open_current(home)
    except EditionError:
        return None


def _is_intact(edition: Edition) -> bool:
    """Whether every file is as it was written, also those that nothing is compared with."""
    try:
        edition.check()
    except EditionError:
        return False
    return True


def _inputs_digest(catalogue: Catalogue, encoder: "Encoder", labels: EditorLabels, index: str) -> str:
    """Of all that an edition's content depends on: pages, model, editors' labels, this code, the libraries."""
    sha = hashlib.sha256()
    parts = [catalogue.digest, *(essay.source for essay in catalogue.essays), encoder.fingerprint, labels.digest, index]
    sha.update(json.dumps([*parts, code_digest()]).encode())
    return sha.hexdigest()


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
