"""The vectors of a site's texts, in the form in which the job reads them.

Essays are encoded run by run, and of each run only what the essays' texts make together is kept: the passages of a
hundred thousand essays, as texts and as vectors, would fill the memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.catalogue import Catalogue
from corpus.essay import Essay
from embeddings.cache import VectorCache
from embeddings.encoder import Encoder, Matrix, Progress
from embeddings.vectors import stack
from embeddings.views import EncodingCount, Views, bodies, encode_texts, pool, views_of
from recommender.landscape import WIDE_SITE
from recommender.watch import ENCODING, Watch

_RUN = 1000  # essays


@dataclass(frozen=True, eq=False)
class Passages:
    """matrix: float32 (passages, dim), of all essays one after the other, the body of one without any passage in its
    place. starts: int64 (n,), where each essay's begin."""

    matrix: Matrix
    starts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EncodedCatalogue:
    """Vectors float32, a row each in the catalogue's order.

    vectors: (n, dim), of each essay, unit rows. summaries: (n, dim), of title and standfirst, zeros where there is
    neither. bodies: see embeddings.views. blurbs: (b, dim), of the unmatched blurbs. shown: see shown_blurbs(), and
    their vectors, (s, dim). passages: None on a large site.
    """

    vectors: Matrix
    summaries: Matrix
    bodies: Matrix
    blurbs: Matrix
    shown: Sequence[tuple[str, str]]
    shown_vectors: Matrix
    passages: Passages | None
    count: EncodingCount


def encode_catalogue(
    catalogue: Catalogue, encoder: Encoder, cache: VectorCache, watch: Watch, just_encoded: int = 0
) -> EncodedCatalogue:
    """Encode whatever the cache does not hold yet: the views of every essay, and every blurb.

    just_encoded: how many of the site's texts the cache holds since this build had them encoded elsewhere.
    """
    shown = shown_blurbs(catalogue.essays)
    others = other_texts(catalogue)
    runs = _Runs(catalogue.essays, encoder, cache)
    total = len(set(others)) + runs.cut(watch.stage("cutting passages", len(catalogue.essays)))
    progress = watch.stage(ENCODING, total)
    parts = list(runs.encode(progress, with_passages=len(catalogue.essays) <= WIDE_SITE))
    vector_of, count = encode_texts(others, encoder, cache, progress)
    rows = stack([vector_of[text] for text in others], encoder.dim)
    counts = [count, *(part.count for part in parts)]
    return EncodedCatalogue(
        vectors=np.vstack([part.vectors for part in parts]),
        summaries=np.vstack([part.summaries for part in parts]),
        bodies=np.vstack([part.bodies for part in parts]),
        blurbs=rows[: len(catalogue.unmatched)],
        shown=shown,
        shown_vectors=rows[len(catalogue.unmatched) :],
        passages=_all_passages(parts),
        count=EncodingCount(
            sum(c.encoded for c in counts) + just_encoded, sum(c.reused for c in counts) - just_encoded
        ),
    )


def other_texts(catalogue: Catalogue) -> list[str]:
    """What is encoded beside the essays: the unmatched blurbs, then the shown ones."""
    return [blurb.text for blurb in catalogue.unmatched] + [text for text, _target in shown_blurbs(catalogue.essays)]


def shown_blurbs(essays: Sequence[Essay]) -> list[tuple[str, str]]:
    """Each text that lists show of one essay of the site, and that essay's id; texts shown of several are left out."""
    targets: dict[str, set[str]] = {}
    for essay in essays:
        for blurb in essay.blurbs:
            if blurb.target and blurb.text:
                targets.setdefault(blurb.text, set()).add(blurb.target)
    return sorted((text, next(iter(found))) for text, found in targets.items() if len(found) == 1)


def texts_of(catalogue: Catalogue, views: Iterable[Views]) -> set[str]:
    """The different texts that a build encodes. views: of every essay."""
    texts = {text for view in views for text in view.texts()} | {blurb.text for blurb in catalogue.unmatched}
    return texts | {text for text, _target in shown_blurbs(catalogue.essays)}


@dataclass(frozen=True, eq=False)
class _Part:
    """What is kept of a run of essays. passages: a matrix an essay, empty on a large site."""

    vectors: Matrix
    summaries: Matrix
    bodies: Matrix
    passages: Sequence[Matrix]
    count: EncodingCount


@dataclass(frozen=True, eq=False)
class _Runs:
    """A site's essays, run by run."""

    essays: Sequence[Essay]
    encoder: Encoder
    cache: VectorCache

    def cut(self, progress: Progress) -> int:
        """Cut what was not cut before; returns how many texts the runs have."""
        return sum(len(_texts(views)) for views in self._views(progress))

    def encode(self, progress: Progress, with_passages: bool) -> Iterator[_Part]:
        """Encode what was not encoded before."""
        for views in self._views(lambda done: None):
            vector_of, count = encode_texts(_texts(views), self.encoder, self.cache, progress)
            nothing = np.zeros(self.encoder.dim, dtype=np.float32)
            body = bodies(views, vector_of.__getitem__)
            passages = [
                np.vstack([vector_of[text] for text in view.passages]) if view.passages else body[row : row + 1]
                for row, view in enumerate(views if with_passages else ())
            ]
            yield _Part(
                pool(views, vector_of.__getitem__),
                stack([vector_of[view.summary] if view.summary else nothing for view in views], self.encoder.dim),
                body,
                passages,
                count,
            )

    def _views(self, progress: Progress) -> Iterator[list[Views]]:
        for start in range(0, len(self.essays), _RUN):
            yield views_of(self.essays[start : start + _RUN], self.encoder, self.cache, progress)


def _texts(views: Iterable[Views]) -> set[str]:
    return {text for view in views for text in view.texts()}


def _all_passages(parts: Sequence[_Part]) -> Passages | None:
    matrices = [matrix for part in parts for matrix in part.passages]
    if not matrices:
        return None
    return Passages(np.vstack(matrices), np.cumsum([0, *(len(matrix) for matrix in matrices)])[:-1])
