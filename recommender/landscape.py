"""How a site's essays lie to one another by their texts alone: what the signals of the lists stand on."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.utils.extmath import randomized_svd

from embeddings.encoder import Matrix, Progress
from recommender.model import DEFAULT
from recommender.signals import Block, Spread, relative, spread_of, text_block
from recommender.texts import Texts

CHUNK = 256
"""Essays scored at once: about twenty float32 rows over the whole site each."""
KEPT = 2500**2
"""Of at most so many pairs all signals of the texts are kept in memory: 50 bytes each."""
WIDE_SITE = 5000
"""Of more essays not all are held against all others: see wide_landscape.py."""
NEAR = 10
"""Essays whose lists vote."""
RANKS = 100
"""How far a mutual rank is told."""
COMPONENTS = 256
"""Of the wording, in the basis on which lists are predicted; 128 predicts less well on three corpora, 512 no better."""
_LARGE_SITE = 10_000
"""More essays have too many products to hold them all at once (400 MB at this size)."""
_NOISE = 1e-5  # of the greatest strength: float32 products know no smaller one
_SEED = 5


@dataclass(frozen=True, eq=False)
class Pool:
    """What each essay of a large site is held against: starts int64 (n + 1,), columns int32 (pairs,), ascending within
    an essay. spread: see signals.spread_of."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    spread: Spread

    def of(self, row: int) -> slice:
        """The pairs of one essay."""
        return slice(int(self.starts[row]), int(self.starts[row + 1]))

    def spread_at(self, rows: Sequence[int] | NDArray[np.int64]) -> Spread:
        """Of these essays."""
        return {name: values[np.asarray(rows)] for name, values in self.spread.items()}


@dataclass(frozen=True, eq=False)
class Landscape:
    """texts: in id order. near: (n, n), the NEAR nearest others of each essay, weighted by nearness (cosine of meaning
    plus of wording).

    nearest_scores: float32 (n, RANKS or n), ascending: the best default logits that essays give each essay.
    basis: float32 (n, d), the vectors and the COMPONENTS first components of the terms. strengths: float32 (d - dim,),
    the squared singular values of those. pool: of a large site (see wide_landscape.py), on which near and
    nearest_scores, -inf where there are none, are of the pairs that were looked at.
    """

    texts: Texts
    near: sparse.csr_matrix
    nearest_scores: Matrix
    basis: Matrix
    strengths: Matrix
    pool: Pool | None = None

    @classmethod
    def survey(cls, texts: Texts, progress: Progress = lambda done: None) -> "Landscape":
        """The landscape of a site's essays."""
        near: list[sparse.csr_matrix] = []
        best = np.full((len(texts), 0), -np.inf, dtype=np.float32)
        for start, chunk in zip(range(0, len(texts), CHUNK), texts.chunks(CHUNK), strict=True):
            own = np.arange(start, start + len(chunk))
            block = text_block(chunk, texts)
            near.append(nearest_of(block, own))
            best = _best(best, _scores(block, own))
            progress(len(chunk))
        components, strengths = _components(texts.terms)
        basis = np.hstack([texts.vectors.matrix, components]).astype(np.float32)
        return cls(texts, sparse.vstack(near, format="csr"), np.sort(best, axis=1), basis, strengths)

    def place(self, others: Texts) -> "Places":
        """Where drafts stand among the site's essays; one with the id of an essay is taken for that essay."""
        ids = self.texts.ids
        own = np.array([_position(ids, ident) for ident in others.ids], dtype=np.int64)
        block = text_block(others, self.texts)
        components = components_from(block["wording"], self.basis[:, self.texts.vectors.dim :], self.strengths)
        basis = np.hstack([others.vectors.matrix, components]).astype(np.float32)
        return Places(others, own, nearest_of(block, own), basis)

    def run(self, start: int) -> "Run":
        """CHUNK of the site's essays, from this row on, against all of them. Of a site that is no larger than fits into
        memory it is read once, since every fold of the learning asks for it."""
        kept = self._runs.get(start)
        if kept is None:
            places = self.rows(start, start + CHUNK)
            kept = read_run(places, text_block(places.texts, self.texts))
            if len(self.texts) ** 2 <= KEPT:
                self._runs[start] = kept
        return kept

    @cached_property
    def _runs(self) -> dict[int, "Run"]:
        return {}

    def rows(self, start: int, stop: int) -> "Places":
        """Where a run of the site's own essays stands."""
        part = self.texts.rows(start, stop)
        return Places(part, np.arange(start, start + len(part)), self.near[start:stop], self.basis[start:stop])

    def mutual_ranks(self, columns: NDArray[np.int64], logits: Matrix) -> Matrix:
        """Of pairs: 1 for the essay that is nearest to the candidate, falling with log rank to 0 at RANKS."""
        found = np.empty(len(columns), dtype=np.float32)
        for start in range(0, len(columns), _PAIRS):
            some = slice(start, start + _PAIRS)
            found[some] = mutual_ranks(self.nearest_scores[columns[some]], logits[some])
        return found


_PAIRS = 100_000  # compared at once
_SAME = 1e-4  # logits of one pair differ less, by one matrix product or another


@dataclass(frozen=True, eq=False)
class Places:
    """Essays or drafts among the site's essays. own: int64 (q,), their row in the site, -1 for none.

    near, basis: as in Landscape, a row each.
    """

    texts: Texts
    own: NDArray[np.int64]
    near: sparse.csr_matrix
    basis: Matrix


@dataclass(frozen=True, eq=False)
class Run:
    """Some essays or drafts against all essays of the site, by their texts.

    block: relative signals set against the site; see signals.text_block. scores: float32, shape (q, n), their default
    logits. They are read only.
    """

    places: Places
    block: Block
    spread: Spread
    scores: Matrix


def read_run(places: Places, plain: Block) -> Run:
    """The run of these places. plain: the signals of their texts."""
    spread = spread_of(plain, places.own.tolist())
    block = relative(plain, spread)
    return Run(places, block, spread, DEFAULT.block_logits(block))


def _scores(block: Block, own: NDArray[np.int64]) -> Matrix:
    """The default logits of a block, -inf at the essay itself."""
    logits = DEFAULT.block_logits(relative(block, spread_of(block, own.tolist())))
    logits[own >= 0, own[own >= 0]] = -np.inf
    return logits


def mutual_ranks(nearest_scores: Matrix, logits: Matrix) -> Matrix:
    """See Landscape.mutual_ranks. nearest_scores: a row a pair, its candidate's. Gives float32, shape (pairs,)."""
    closer = (nearest_scores > logits[:, None] + _SAME).sum(axis=1)
    return np.asarray(1.0 - np.log1p(np.minimum(closer, RANKS)) / np.log1p(RANKS), dtype=np.float32)


def components_from(wording: Matrix, components: Matrix, strengths: Matrix) -> Matrix:
    """The components of drafts from their wording signal with essays, shape (q, n), and those essays' components, whose
    columns have the squares of their lengths as strengths."""
    return np.asarray((wording @ components) / np.where(strengths > 0, strengths, 1.0))


def nearest_of(block: Block, own: NDArray[np.int64]) -> sparse.csr_matrix:
    """The NEAR nearest essays of each row of a block, weighted by nearness; see Landscape. own: the column of the
    essay itself, -1 for none."""
    nearness = block["meaning"] + block["wording"]
    nearness[own >= 0, own[own >= 0]] = -np.inf
    width = nearness.shape[1]
    most = min(NEAR, width)
    columns = np.argsort(-nearness, axis=1, kind="stable")[:, :most]
    values = np.maximum(np.take_along_axis(nearness, columns, axis=1), 0.0)  # also the essay itself, at -inf
    starts = np.arange(0, len(own) * most + 1, most)
    found = sparse.csr_matrix((values.ravel(), columns.ravel(), starts), shape=nearness.shape, dtype=np.float32)
    found.eliminate_zeros()
    return found


def _best(best: Matrix, scores: Matrix) -> Matrix:
    """For each item the RANKS best scores given so far."""
    joined = np.hstack([best, scores.T])
    if joined.shape[1] <= RANKS:
        return joined
    return np.partition(joined, joined.shape[1] - RANKS, axis=1)[:, -RANKS:]


def _components(terms: sparse.csr_matrix) -> tuple[Matrix, Matrix]:
    """The rows' first components, shape (n, c), and the squared singular values, shape (c,)."""
    most = min(COMPONENTS, min(terms.shape) - 1)
    if most < 1 or not terms.nnz:
        return np.zeros((terms.shape[0], 0), dtype=np.float32), np.zeros(0, dtype=np.float32)
    if terms.shape[0] > _LARGE_SITE:
        svd = TruncatedSVD(most, random_state=_SEED)  # so many essays have as many components
        return svd.fit_transform(terms).astype(np.float32), np.square(svd.singular_values_).astype(np.float32)
    # The eigenvectors of the essays' products are the same components, found several times faster.
    products = np.asarray((terms @ terms.T).toarray(), dtype=np.float32)
    vectors, strengths, _ = randomized_svd(products, most, n_iter=3, random_state=_SEED)
    real = strengths > _NOISE * strengths[0]  # of copies fewer components are left; a draft is divided by strengths
    kept, roots = vectors[:, real], np.sqrt(strengths[real])
    return (kept * roots).astype(np.float32), strengths[real].astype(np.float32)


def _position(ids: Sequence[str], ident: str) -> int:
    at = bisect_left(ids, ident)
    return at if at < len(ids) and ids[at] == ident else -1
