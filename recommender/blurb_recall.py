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
from embeddings.vectors import Vectors, stack
from embeddings.views import Views, bodies
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


def shown_blurbs(essays: Sequence[Essay]) -> list[tuple[str, str]]:
    """Each text that lists show of one essay of the site, and that essay's id; texts shown of several are left out."""
    targets: dict[str, set[str]] = {}
    for essay in essays:
        for blurb in essay.blurbs:
            if blurb.target and blurb.text:
                targets.setdefault(blurb.text, set()).add(blurb.target)
    return sorted((text, next(iter(found))) for text, found in targets.items() if len(found) == 1)


def blurb_recall(
    essays: Sequence[Essay],
    views: Sequence[Views],
    vector_of: Mapping[str, Matrix],
    reader: SiteReader,
    fingerprint: str,
) -> BlurbRecall | None:
    """How often a blurb finds its own essay, by the default model and the nearest passage; None when lists show none.

    vector_of: of every text of the views and every blurb.
    """
    pairs = shown_blurbs(essays)
    if not pairs:
        return None
    search = _Search(essays, views, vector_of, reader, fingerprint)
    runs = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    ranks = np.concatenate([search.ranks(run, stack([vector_of[text] for text, _ in run], 0)) for run in runs])
    return BlurbRecall(len(ranks), {k: bootstrap((ranks < k).astype(np.float64)) for k in KS})


class _Search:
    """A site's essays without their standfirsts, to be found by a sentence.

    The nearest passage counts as much as the whole: a sentence speaks of one place in an essay. It was worth 2 to 5
    points of recall@1 on four corpora.
    """

    def __init__(
        self,
        essays: Sequence[Essay],
        views: Sequence[Views],
        vector_of: Mapping[str, Matrix],
        reader: SiteReader,
        fingerprint: str,
    ) -> None:
        self._reader = reader
        self._fingerprint = fingerprint
        matrix = bodies(views, vector_of.__getitem__)
        bare = [replace(essay, standfirst=None) for essay in essays]
        vectors = Vectors(tuple(essay.id for essay in essays), matrix, fingerprint)
        self._site: Texts = reader.read(bare, vectors, np.zeros_like(matrix))
        self._row_of = {ident: row for row, ident in enumerate(self._site.ids)}
        passages = [[vector_of[text] for text in view.passages] or [matrix[i]] for i, view in enumerate(views)]
        self._passages = np.vstack([row for rows in passages for row in rows])
        self._starts = np.cumsum([0, *(len(rows) for rows in passages)])[:-1]

    def ranks(self, pairs: Sequence[tuple[str, str]], matrix: Matrix) -> Matrix:
        """How many essays stand before each blurb's own; of equals, those of lower ids."""
        queries = [Essay(f"blurb {number}", standfirst=text) for number, (text, _) in enumerate(pairs)]
        vectors = Vectors(tuple(essay.id for essay in queries), matrix, self._fingerprint)
        block = text_block(self._reader.read(queries, vectors, np.zeros_like(matrix)), self._site)
        nobody = [-1] * len(pairs)
        scores = DEFAULT.block_logits(relative(block, spread_of(block, nobody)))
        closest = block | {"meaning": np.maximum.reduceat(matrix @ self._passages.T, self._starts, axis=1)}
        scores = scores + DEFAULT.weight_of("meaning") * relative(closest, spread_of(closest, nobody))["meaning"]
        rows = np.array([self._row_of[target] for _, target in pairs])
        own = scores[np.arange(len(pairs)), rows][:, None]
        before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < rows[:, None]))
        return np.asarray(before.sum(axis=1))
