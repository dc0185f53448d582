"""What the offline side works on: the essays of a site as vectors and terms. Written into an edition, and read back to
suggest for a draft or to evaluate without encoding anything anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpus.catalogue import Catalogue, UnmatchedBlurb
from corpus.errors import EditionError, ShapeMismatch
from corpus.essay import Essay, PageRejected
from corpus.records import essay_from_record
from embeddings.cache import VectorCache
from embeddings.encoder import Encoder, Matrix
from embeddings.vectors import Vectors, stack
from embeddings.views import EncodingCount, Views, encode_texts, pool, views_of
from recommender.edition import ESSAYS, LEXICON, VECTORS, Edition, check_edition, read_lines
from recommender.lexical import Lexicon, whole_text
from recommender.signals import TextItems
from recommender.watch import Watch


@dataclass(frozen=True, eq=False)
class EncodedCatalogue:
    """views: of each essay, in order. vector_of: the vector, shape (dim,), of every text of views and blurbs."""

    views: Sequence[Views]
    vector_of: Mapping[str, Matrix]
    count: EncodingCount


def encode_catalogue(catalogue: Catalogue, encoder: Encoder, cache: VectorCache, watch: Watch) -> EncodedCatalogue:
    """Encode whatever the cache does not hold yet."""
    cutting = watch.stage("cutting passages", len(catalogue.essays))
    views = views_of(catalogue.essays, catalogue.blurb_texts, encoder, cache, cutting)
    texts = {text for view in views for text in view.texts()} | {blurb.text for blurb in catalogue.unmatched}
    vector_of, count = encode_texts(texts, encoder, cache, watch.stage("encoding texts", len(texts)))
    return EncodedCatalogue(views, vector_of, count)


@dataclass(frozen=True, eq=False)
class Material:
    """essays: in id order, with `items` row by row the same.

    cold_items: the essays as they are known without anyone's list: no blurb's words are in their vectors. The same
    object as `items` where no blurb has words of its own. Evaluation uses these.
    blurbs: the unmatched blurbs, in id order.
    """

    essays: tuple[Essay, ...]
    lexicon: Lexicon
    items: TextItems
    cold_items: TextItems
    blurbs: TextItems

    @classmethod
    def gather(cls, catalogue: Catalogue, encoded: EncodedCatalogue, fingerprint: str) -> "Material":
        """The material of a site, from the vectors of its texts."""
        views, vector_of = encoded.views, encoded.vector_of
        ids = tuple(essay.id for essay in catalogue.essays)
        unlisted = [Views(view.summary, view.passages) for view in views]
        vectors = Vectors(ids, pool(views, vector_of.__getitem__), fingerprint)
        cold = vectors if unlisted == list(views) else Vectors(ids, pool(unlisted, vector_of.__getitem__), fingerprint)
        blurb_matrix = stack([vector_of[blurb.text] for blurb in catalogue.unmatched], vectors.dim)
        blurb_vectors = Vectors(tuple(blurb.id for blurb in catalogue.unmatched), blurb_matrix, fingerprint)
        lexicon = Lexicon.learn([whole_text(essay) for essay in catalogue.essays])
        return _assemble(catalogue.essays, catalogue.unmatched, lexicon, vectors, cold, blurb_vectors)

    def save(self, folder: Path) -> None:
        """Write vectors and lexicon into an edition's folder."""
        self.lexicon.save(folder / LEXICON)
        arrays: dict[str, Any] = {
            "vectors": self.items.vectors.matrix,
            "blurb_vectors": self.blurbs.vectors.matrix,
        }
        if self.cold_items is not self.items:
            arrays["cold_vectors"] = self.cold_items.vectors.matrix
        np.savez(folder / VECTORS, **arrays)

    @classmethod
    def load(cls, edition: Edition) -> "Material":
        """The material of an edition. Raises EditionError when its files are damaged."""
        check_edition(edition.folder, (ESSAYS, VECTORS, LEXICON))
        fingerprint = str(edition.manifest["encoder"])
        unmatched = [
            UnmatchedBlurb(item.id, item.standfirst or "", item.category, item.published, item.url, item.title)
            for item in edition.items.values()
            if item.kind == "blurb"
        ]
        try:
            essays = tuple(essay_from_record(record, "") for record in read_lines(edition.folder / ESSAYS))
            with np.load(edition.folder / VECTORS, allow_pickle=False) as stored:
                vectors = Vectors(tuple(essay.id for essay in essays), stored["vectors"], fingerprint)
                cold = vectors
                if "cold_vectors" in stored:
                    cold = Vectors(vectors.ids, stored["cold_vectors"], fingerprint)
                blurbs = Vectors(tuple(blurb.id for blurb in unmatched), stored["blurb_vectors"], fingerprint)
            lexicon = Lexicon.load(edition.folder / LEXICON)
        except (KeyError, ValueError, ShapeMismatch, PageRejected) as error:
            raise EditionError(f"edition {edition.id} is damaged ({error}): run `related build`") from error
        return _assemble(essays, unmatched, lexicon, vectors, cold, blurbs)


def _assemble(
    essays: tuple[Essay, ...],
    unmatched: Sequence[UnmatchedBlurb],
    lexicon: Lexicon,
    vectors: Vectors,
    cold: Vectors,
    blurbs: Vectors,
) -> Material:
    items = TextItems.of(lexicon, vectors, [whole_text(essay) for essay in essays], [essay.title for essay in essays])
    cold_items = items if cold is vectors else TextItems(cold, items.terms, items.title_shares)
    blurb_items = TextItems.of(lexicon, blurbs, [b.text for b in unmatched], [b.title for b in unmatched])
    return Material(essays, lexicon, items, cold_items, blurb_items)
