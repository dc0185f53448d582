"""The second truth: each blurb in a list is some essay's own standfirst. Is that essay found by the blurb alone?

The essay is judged without its standfirst: neither its vectors nor its words hold it. So this says how well a sentence
of the editors finds the text it speaks of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from corpus.essay import Essay
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors
from recommender.encoded import EncodedCatalogue, Passages
from recommender.metrics import Interval, bootstrap
from recommender.model import DEFAULT
from recommender.signals import relative, spread_of, text_block
from recommender.texts import SiteReader, Texts

KS = (1, 10)
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class BlurbRecall:
    """recalls: k -> share of blurbs whose essay is among the k best, with its interval."""

    n: int
    recalls: Mapping[int, Interval]

    def to_json(self) -> dict[str, Any]:
        """{"n", "recall@1": [value, low, high], ...}."""
        return {"n": self.n} | {f"recall@{k}": list(interval) for k, interval in self.recalls.items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "BlurbRecall":
        """What to_json() wrote."""
        return cls(record["n"], {k: (*record[f"recall@{k}"],) for k in KS})


def blurb_recall(
    essays: Sequence[Essay], encoded: EncodedCatalogue, reader: SiteReader, fingerprint: str
) -> BlurbRecall | None:
    """How often a blurb finds its own essay, by the default model and the nearest passage; None when lists show none,
    and on a large site, where every blurb would be held against every passage."""
    if not encoded.shown or encoded.passages is None:
        return None
    search = _Search(essays, encoded.bodies, encoded.passages, reader, fingerprint)
    runs = [slice(start, start + _CHUNK) for start in range(0, len(encoded.shown), _CHUNK)]
    ranks = np.concatenate([search.ranks(encoded.shown[run], encoded.shown_vectors[run]) for run in runs])
    return BlurbRecall(len(ranks), {k: bootstrap((ranks < k).astype(np.float64)) for k in KS})


class _Search:
    """A site's essays without their standfirsts, to be found by a sentence.

    The nearest passage counts as much as the whole: a sentence speaks of one place in an essay. It was worth 2 to 5
    points of recall@1 on four corpora.
    """

    def __init__(
        self, essays: Sequence[Essay], bodies: Matrix, passages: Passages, reader: SiteReader, fingerprint: str
    ) -> None:
        self._reader, self._passages, self._fingerprint = reader, passages, fingerprint
        bare = [replace(essay, standfirst=None) for essay in essays]
        vectors = Vectors(tuple(essay.id for essay in essays), bodies, fingerprint)
        self._site: Texts = reader.read(bare, vectors, np.zeros_like(bodies))
        self._row_of = {ident: row for row, ident in enumerate(self._site.ids)}

    def ranks(self, pairs: Sequence[tuple[str, str]], matrix: Matrix) -> Matrix:
        """How many essays stand before each blurb's own; of equals, those of lower ids."""
        queries = [Essay(f"blurb {number}", standfirst=text) for number, (text, _) in enumerate(pairs)]
        vectors = Vectors(tuple(essay.id for essay in queries), matrix, self._fingerprint)
        block = text_block(self._reader.read(queries, vectors, np.zeros_like(matrix)), self._site)
        nobody = [-1] * len(pairs)
        scores = DEFAULT.block_logits(relative(block, spread_of(block, nobody)))
        passages = self._passages
        closest = block | {"meaning": np.maximum.reduceat(matrix @ passages.matrix.T, passages.starts, axis=1)}
        scores = scores + DEFAULT.weight_of("meaning") * relative(closest, spread_of(closest, nobody))["meaning"]
        rows = np.array([self._row_of[target] for _, target in pairs])
        own = scores[np.arange(len(pairs)), rows][:, None]
        before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < rows[:, None]))
        return np.asarray(before.sum(axis=1))
