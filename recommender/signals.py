"""What speaks for a pair of essay and candidate, and the one score made of it.

Four signals, each 0 to 1 for nearly all pairs:

    meaning   cosine of the two texts' vectors
    wording   TF-IDF cosine over the whole texts
    names     how much of the candidate's title the essay names
    named     how much of the essay's title the candidate names

Each is set against all other essays of the site: a z-score, (value - mean) / standard deviation over that essay's row.
The score is the weighted sum. It ranks within one essay; it is no probability.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embeddings.encoder import Matrix, Progress
from embeddings.vectors import Vectors
from recommender.index import FaissIndex
from recommender.lexical import Lexicon, presence

WEIGHTS = {"meaning": 1.0, "wording": 0.5, "names": 0.15, "named": 0.15}
"""Tried on three corpora of public documentation (benchmarks/results/cold-weights.md): the optimum is flat."""

_FEW_ESSAYS = 10
_TYPICAL = {"meaning": (0.2, 0.12), "wording": (0.024, 0.03), "names": (0.034, 0.13), "named": (0.032, 0.1)}
"""Mean and deviation of each signal on those three corpora: what a site with fewer other essays is set against."""

_CHUNK = 256  # essays scored at once: four float32 rows over the whole site each
_DECIMALS = 6
_FLAT = 1e-9  # a deviation under this means that all essays are alike: the signal tells none of them apart
_POOL = 200  # nearest items by meaning, and as many by wording, that are looked at closely


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate of an essay with its signals and score."""

    id: str
    score: float
    meaning: float
    wording: float
    names: float
    named: float


@dataclass(frozen=True, eq=False)
class TextItems:
    """Items as vectors and terms, row by row in the order of vectors.ids, which are sorted.

    terms: TF-IDF of the whole text. title_shares: see Lexicon.title_shares. Both of shape (n, terms).
    """

    vectors: Vectors
    terms: sparse.csr_matrix
    title_shares: sparse.csr_matrix

    @classmethod
    def of(cls, lexicon: Lexicon, vectors: Vectors, texts: Sequence[str], titles: Sequence[str | None]) -> "TextItems":
        """The items whose texts and titles stand in the order of vectors.ids."""
        return cls(vectors, lexicon.terms(texts), lexicon.title_shares(titles))

    @cached_property
    def by_term(self) -> "_ByTerm":
        """The same turned round, once for all products with it."""
        return _ByTerm(self.terms.T.tocsr(), self.title_shares.T.tocsr(), presence(self.terms).T.tocsr())

    def rows(self, start: int, stop: int) -> "TextItems":
        """A run of the items."""
        part = Vectors(self.vectors.ids[start:stop], self.vectors.matrix[start:stop], self.vectors.fingerprint)
        return TextItems(part, self.terms[start:stop], self.title_shares[start:stop])


@dataclass(frozen=True, eq=False)
class _ByTerm:
    """Sparse matrices of shape (terms, n)."""

    terms: sparse.csr_matrix
    title_shares: sparse.csr_matrix
    presence: sparse.csr_matrix


class Neighbours:
    """Finds the best candidates for essays among a site's items.

    essays: the site's essays; every signal is set against them. weights: signal -> its share in the score.
    """

    def __init__(self, essays: TextItems, weights: Mapping[str, float] = WEIGHTS) -> None:
        self._essays = essays
        self._weights = weights

    def nearest(
        self, queries: TextItems, items: TextItems, k: int, progress: Progress = lambda done: None
    ) -> list[list[Scored]]:
        """The k best items of each query by (-score, id), never the query's own id.

        queries and items may be the essays themselves, drafts, or blurbs. Looked at closely are the items nearest by
        meaning, which FAISS finds, and as many nearest by wording.
        """
        if not len(items.vectors):
            return [[] for _ in queries.vectors.ids]
        index = FaissIndex(items.vectors)
        found: list[list[Scored]] = []
        for chunk in _chunks(queries):
            pairs = _Pairs(chunk, items, self._essays, self._weights)
            near = index.search(chunk.vectors.matrix, _POOL + 1)
            for q, neighbours in enumerate(near):
                pool = {*(pairs.row_of[n.id] for n in neighbours), *pairs.nearest_by_wording(q).tolist()}
                found.append(pairs.scored(q, sorted(pool), most=k))
            progress(len(chunk.vectors))
        return found

    def score_pairs(self, queries: TextItems, items: TextItems, wanted: Sequence[Sequence[str]]) -> list[list[Scored]]:
        """The scores of given items for each query, in the order wanted."""
        if not any(wanted):
            return [[] for _ in wanted]
        found: list[list[Scored]] = []
        for chunk in _chunks(queries):
            pairs = _Pairs(chunk, items, self._essays, self._weights)
            for q in range(len(chunk.vectors)):
                found.append(pairs.scored(q, [pairs.row_of[ident] for ident in wanted[len(found)]]))
        return found


class _Pairs:
    """All signals of some queries and all items, with each query's mean and deviation over the site's essays."""

    def __init__(self, queries: TextItems, items: TextItems, essays: TextItems, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self.row_of = {ident: row for row, ident in enumerate(items.vectors.ids)}
        self._ids = items.vectors.ids
        self._queries = queries.vectors.ids
        self._values = _signals(queries, items)
        spread = self._values if items is essays else _signals(queries, essays)
        own = [_position(essays.vectors.ids, ident) for ident in self._queries]
        self._mean_and_deviation = {
            name: [_spread(row, o) or _TYPICAL[name] for row, o in zip(spread[name], own, strict=True)]
            for name in spread
        }

    def nearest_by_wording(self, q: int) -> NDArray[np.int64]:
        """Rows of the items nearest by wording."""
        wording = self._values["wording"][q]
        most = min(_POOL + 1, len(wording))
        return np.argpartition(-wording, most - 1)[:most] if most else np.zeros(0, dtype=np.int64)

    def scored(self, q: int, rows: Sequence[int], most: int | None = None) -> list[Scored]:
        """The items of these rows, but the query itself, with their signals and scores.

        In the order of rows, or, with most, the best that many by (-score, id).
        """
        kept = np.array([row for row in rows if self._ids[row] != self._queries[q]], dtype=np.int64)
        values = {name: row[q][kept].astype(np.float64) for name, row in self._values.items()}
        score = np.zeros(len(kept))
        for name, weight in self._weights.items():
            mean, deviation = self._mean_and_deviation[name][q]
            if deviation > _FLAT:
                score += weight * (values[name] - mean) / deviation
        score = np.round(score, _DECIMALS)
        order = range(len(kept)) if most is None else np.lexsort((kept, -score))[:most].tolist()  # ids are sorted
        return [
            Scored(self._ids[kept[i]], _rounded(score[i]), **{name: _rounded(row[i]) for name, row in values.items()})
            for i in order
        ]


def _chunks(queries: TextItems) -> Iterator[TextItems]:
    for start in range(0, len(queries.vectors), _CHUNK):
        yield queries.rows(start, start + _CHUNK)


def _signals(queries: TextItems, items: TextItems) -> dict[str, Matrix]:
    """Each signal of every pair, float32, shape (queries, items)."""
    return {
        "meaning": queries.vectors.matrix @ items.vectors.matrix.T,
        "wording": _product(queries.terms, items.by_term.terms),
        "names": _product(presence(queries.terms), items.by_term.title_shares),
        "named": _product(queries.title_shares, items.by_term.presence),
    }


def _product(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Matrix:
    return np.asarray((left @ right).toarray(), dtype=np.float32)


def _position(ids: Sequence[str], ident: str) -> int | None:
    at = bisect_left(ids, ident)
    return at if at < len(ids) and ids[at] == ident else None


def _spread(row: Matrix, own: int | None) -> tuple[float, float] | None:
    """Mean and standard deviation of a signal over the site's essays but this one; None when there are too few."""
    others = np.delete(row, own) if own is not None else row
    if others.size < _FEW_ESSAYS:
        return None
    return float(others.mean(dtype=np.float64)), float(others.std(dtype=np.float64))


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS) + 0.0  # + 0.0: no -0.0
