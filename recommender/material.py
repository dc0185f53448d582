"""What the offline side works on: a site's essays and blurbs as the signals read them, and who lists whom. Written into
an edition, and read back to suggest for a draft, to explain or to evaluate without encoding anything anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.catalogue import Catalogue, UnmatchedBlurb, build_catalogue
from corpus.errors import EditionError, ShapeMismatch
from corpus.essay import Essay, PageRejected
from corpus.records import essay_from_record
from embeddings.encoder import Matrix, Progress
from embeddings.vectors import Vectors
from recommender.arrays import from_dense, to_dense
from recommender.edition import ESSAYS, LEXICON, VECTORS, Edition, read_lines
from recommender.encoded import EncodedCatalogue
from recommender.finding import survey_site
from recommender.landscape import Landscape, Pool
from recommender.lexical import Lexicon, whole_text
from recommender.list_graph import ListGraph
from recommender.signals import RELATIVE
from recommender.texts import SiteReader, Texts

if TYPE_CHECKING:
    from recommender.engines.workers import Workers

_FROM_LANDSCAPE = ("near", "nearest_scores", "basis", "strengths")
_FROM_TEXTS = ("terms", "titles_named")
"""What takes long to read again; the other fields of Texts are made anew."""


@dataclass(frozen=True, eq=False)
class Material:
    """essays: in id order, as are landscape and graph.

    blurbs: the unmatched blurbs, in id order.
    """

    essays: tuple[Essay, ...]
    reader: SiteReader
    landscape: Landscape
    graph: ListGraph
    blurbs: Texts

    @property
    def texts(self) -> Texts:
        """The site's essays."""
        return self.landscape.texts

    @property
    def ids(self) -> tuple[str, ...]:
        """The essays' ids, in order."""
        return self.texts.ids

    @classmethod
    def gather(
        cls,
        catalogue: Catalogue,
        encoded: EncodedCatalogue,
        fingerprint: str,
        progress: Progress = lambda done: None,
        index: str = "auto",
        workers: "Workers | None" = None,
    ) -> "Material":
        """The material of a site, from the vectors of its texts. index, workers: see finding.survey_site()."""
        essays = catalogue.essays
        vectors = Vectors(tuple(e.id for e in essays), encoded.vectors, fingerprint)
        reader = SiteReader(essays, Lexicon.learn([whole_text(essay) for essay in essays]))
        return cls(
            essays,
            reader,
            survey_site(reader.read_site(essays, vectors, encoded.summaries), progress, index, workers),
            ListGraph.of(vectors.ids, catalogue.curated),
            _read_blurbs(reader, catalogue.unmatched, encoded.blurbs, fingerprint),
        )

    def save(self, folder: Path) -> None:
        """Write what is not in the essays into an edition's folder."""
        self.reader.lexicon.save(folder / LEXICON)
        arrays: dict[str, Any] = {
            "vectors": self.texts.vectors.matrix,
            "summaries": self.texts.summaries,
            "blurb_vectors": self.blurbs.vectors.matrix,
        }
        for owner, names in ((self.landscape, _FROM_LANDSCAPE), (self.texts, _FROM_TEXTS)):
            for name in names:
                arrays |= to_dense(name, getattr(owner, name))
        arrays |= _pool_to_arrays(self.landscape.pool)
        np.savez(folder / VECTORS, **arrays)

    @classmethod
    def load(cls, edition: Edition) -> "Material":
        """The material of an edition. Raises EditionError when its files are damaged."""
        edition.check((ESSAYS, VECTORS, LEXICON))
        try:
            read = [essay_from_record(record, "") for record in read_lines(edition.folder / ESSAYS)]
            essays = build_catalogue(read).essays  # matched again: records say nothing of what was found out
            with np.load(edition.folder / VECTORS, allow_pickle=False) as stored:
                return _restore(edition, essays, dict(stored))
        except (KeyError, ValueError, ShapeMismatch, PageRejected) as error:
            raise EditionError(f"edition {edition.id} is damaged ({error}): run `related build`") from error


def curated_of(edition: Edition) -> dict[str, list[str]]:
    """Each essay's curated list in an edition, as ids of items."""
    return {ident: [candidate.id for candidate in edition.lists(ident).curated] for ident in edition.essay_ids()}


def _restore(edition: Edition, essays: tuple[Essay, ...], stored: Mapping[str, Any]) -> Material:
    fingerprint = str(edition.manifest["encoder"])
    vectors = Vectors(tuple(essay.id for essay in essays), stored["vectors"], fingerprint)
    reader = SiteReader(essays, Lexicon.load(edition.folder / LEXICON))
    known = {name: from_dense(name, stored) for name in _FROM_TEXTS}
    texts = reader.read_site(essays, vectors, stored["summaries"], **known)
    unmatched = [
        UnmatchedBlurb(item.id, item.standfirst or "", item.category, item.published, item.url, item.title)
        for item in edition.items.stream()
        if item.kind == "blurb"
    ]
    return Material(
        essays,
        reader,
        Landscape(
            texts,
            **{name: from_dense(name, stored) for name in _FROM_LANDSCAPE},
            pool=_pool_from_arrays(stored),
        ),
        ListGraph.of(vectors.ids, curated_of(edition)),
        _read_blurbs(reader, unmatched, stored["blurb_vectors"], fingerprint),
    )


def _read_blurbs(reader: SiteReader, blurbs: Iterable[UnmatchedBlurb], matrix: Matrix, fingerprint: str) -> Texts:
    """Blurbs that no page stands behind, read as essays of a title and a standfirst."""
    essays = [
        Essay(b.id, title=b.title, standfirst=b.text, url=b.url, category=b.category, published=b.published)
        for b in blurbs
    ]
    return reader.read(essays, Vectors(tuple(essay.id for essay in essays), matrix, fingerprint), matrix)


def _pool_to_arrays(pool: Pool | None) -> dict[str, Any]:
    """Nothing where there is none."""
    if pool is None:
        return {}
    spread = {f"pool.spread.{name}": values for name, values in pool.spread.items()}
    return {"pool.starts": pool.starts, "pool.columns": pool.columns} | spread


def _pool_from_arrays(stored: Mapping[str, Any]) -> Pool | None:
    if "pool.starts" not in stored:
        return None
    spread = {name: stored[f"pool.spread.{name}"] for name in RELATIVE}
    return Pool(stored["pool.starts"], stored["pool.columns"], spread)
