"""The landscape of a large site, where essays cannot all be held against all others.

An index draws each essay's nearest by meaning and wording at once; these, those that have its most telling terms, and
the essays whose titles it names are looked at closely, and the best POOL of them by the default model are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from embeddings.encoder import Matrix, Progress
from embeddings.vectors import Vectors, unit_rows
from recommender.index import FaissIndex, all_pairs, neighbour_recall
from recommender.landscape import COMPONENTS, NEAR, RANKS, Landscape, Pool
from recommender.model import DEFAULT
from recommender.pair_signals import PairSignals, Pairwise, Rows, SiteSpread, best_of_each, owners, set_against
from recommender.signals import RELATIVE, Spread
from recommender.texts import Texts

POOL = 100
"""Essays kept for each by their texts: as many as may become candidates."""
NEAREST = 150
"""Essays that the index draws for each."""
NAMED = 20
"""Essays whose title it names, those named least often first."""
WORDED = 50
"""Essays that have its most telling terms."""
TERMS = 16
"""How many of these are looked up."""
CHUNK = 64
"""Essays looked at closely at once: their candidates' texts lie in memory side by side."""
_WORDING = 0.7  # of the wording's half of the index beside the meaning's: about as the default model weighs them
_LEARNED_FROM = 4096  # essays from which the components are learned
_NOISE = 1e-5  # of the greatest strength: float32 products know no smaller one
_SEED = 5


def survey_wide(texts: Texts, progress: Progress = lambda done: None, index: str = "auto") -> Landscape:
    """The landscape of a large site's essays. progress: is told of essays that were looked at closely. index: see
    recommender.index.kind_for."""
    components = components_of(texts.terms)
    drawn, _similarities = all_pairs(joint_space(texts.vectors.matrix, components), NEAREST, index)
    look = CloseLook(texts)
    return landscape_of(texts, components, [look.at(0, drawn, progress)])


def neighbours_found(landscape: Landscape, k: int) -> float | None:
    """The share of each essay's k nearest, by exact search, that its index finds, on a sample; None on a smaller site,
    which has no index."""
    if landscape.pool is None:
        return None
    dim = landscape.texts.vectors.dim
    space = joint_space(landscape.texts.vectors.matrix, landscape.basis[:, dim:])
    return neighbour_recall(FaissIndex(Vectors(landscape.texts.ids, space, "")), k)


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found for a run of essays.

    columns: int32 (pairs,), the pool of one essay after the other. lengths: int64 (essays,), of each pool. logits:
    float32 (pairs,), by the default model. spread: see Pool. near: see Landscape, a row an essay.
    """

    columns: NDArray[np.int32]
    lengths: Rows
    logits: Matrix
    spread: Spread
    near: sparse.csr_matrix


class CloseLook:
    """Looks closely at what is drawn for a site's essays: by the index, by terms, by titles."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._signals, self._spread_of = PairSignals(texts), SiteSpread(texts)
        self._telling = _telling(texts.terms)

    def at(self, first: int, drawn: Rows, progress: Progress = lambda done: None) -> Looked:
        """At a run of essays from this row on; drawn: int64 (essays, NEAREST), what the index drew for each."""
        found = []
        for start in range(first, first + len(drawn), CHUNK):
            stop = min(start + CHUNK, first + len(drawn))
            found.append(self._chunk(start, stop, drawn[start - first : stop - first]))
            progress(stop - start)
        return _joined(found)

    def _chunk(self, start: int, stop: int, drawn: Rows) -> Looked:
        texts = self._texts
        essays, own = texts.rows(start, stop), np.arange(start, stop)
        worded = self._telling[start:stop] @ texts.turned["terms"]
        named = essays.titles_named @ texts.turned["own_title"]
        starts, columns = _merged(drawn, [(worded, WORDED), (named, NAMED)], own)
        values = self._signals.read(essays, starts, columns)
        spread = self._spread_of.of(start, stop)
        logits = DEFAULT.block_logits(set_against(values, spread, starts))
        kept = best_of_each(logits, starts, POOL)
        lengths = np.bincount(owners(starts)[kept], minlength=len(own))
        near = self._nearest(values, starts, columns)
        return Looked(columns[kept].astype(np.int32), lengths, logits[kept], spread, near)

    def _nearest(self, values: Pairwise, starts: Rows, columns: Rows) -> sparse.csr_matrix:
        nearness = values["meaning"] + values["wording"]
        kept = best_of_each(nearness, starts, NEAR)
        owner = owners(starts)
        shape = (len(starts) - 1, len(self._texts))
        found = sparse.csr_matrix((np.maximum(nearness[kept], 0.0), (owner[kept], columns[kept])), shape=shape)
        found.eliminate_zeros()
        return found


def _joined(parts: Sequence[Looked]) -> Looked:
    return Looked(
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.logits for part in parts]),
        {name: np.concatenate([part.spread[name] for part in parts]) for name in RELATIVE},
        sparse.vstack([part.near for part in parts], format="csr"),
    )


def landscape_of(texts: Texts, components: Matrix, parts: Sequence[Looked]) -> Landscape:
    """The landscape of a site from what was found for all its essays, part after part. components: see
    components_of()."""
    found = _joined(parts) if len(parts) > 1 else parts[0]
    pool = Pool(np.concatenate([[0], np.cumsum(found.lengths)]), found.columns, found.spread)
    best = _best_given(found.columns, found.logits, len(texts))
    basis = np.hstack([texts.vectors.matrix, components])
    strengths = np.square(components, dtype=np.float64).sum(axis=0).astype(np.float32)
    return Landscape(texts, found.near, best, basis, strengths, pool)


def _merged(drawn: Rows, others: Sequence[tuple[sparse.csr_matrix, int]], own: Rows) -> tuple[Rows, Rows]:
    """What was drawn of each essay, and so many of the greatest values of each other row, the essay itself left out,
    each once and ascending: starts and columns."""
    keys = [own.repeat(drawn.shape[1]) * _FAR + drawn.ravel()]
    for matrix, most in others:
        best = best_of_each(matrix.data, matrix.indptr, most)
        keys.append(own[owners(matrix.indptr)[best]] * _FAR + matrix.indices[best])
    found = np.unique(np.concatenate(keys))
    rows, columns = np.divmod(found, _FAR)
    others_only = rows != columns
    return np.searchsorted(rows[others_only], np.append(own, own[-1] + 1)), columns[others_only]


def _telling(terms: sparse.csr_matrix) -> sparse.csr_matrix:
    """Of each row the TERMS greatest values, of terms that few essays have."""
    common = np.bincount(terms.indices, minlength=terms.shape[1]) > max(_FEW, terms.shape[0] // 100)
    kept = terms.copy()
    kept.data[common[kept.indices]] = 0.0
    kept.eliminate_zeros()
    best = best_of_each(kept.data, kept.indptr, TERMS)
    rows = owners(kept.indptr)[best]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=terms.shape[0]))])
    return sparse.csr_matrix((kept.data[best], kept.indices[best], starts), shape=terms.shape)


_FAR = 2**40  # more than any site has essays
_FEW = 100


def _best_given(columns: NDArray[np.int32], logits: Matrix, essays: int) -> Matrix:
    """For each essay the RANKS best logits that others give it, ascending; -inf where there are fewer."""
    order = np.lexsort((-logits, columns))
    counts = np.bincount(columns, minlength=essays)
    rank = np.arange(len(columns)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < RANKS
    best = np.full((essays, RANKS), -np.inf, dtype=np.float32)
    best[columns[order[kept]], RANKS - 1 - rank[kept]] = logits[order[kept]]
    return best


def joint_space(vectors: Matrix, components: Matrix) -> Matrix:
    """Unit rows whose cosines are those of meaning and wording in one."""
    if not components.shape[1]:
        return vectors
    return unit_rows(np.hstack([vectors, _WORDING * unit_rows(components)]))


def components_of(terms: sparse.csr_matrix) -> Matrix:
    """The rows on the first components of the terms: float32, shape (n, c), c at most COMPONENTS.

    They are learned from an even sample of the essays: the components of all essays' products with these
    (Williams and Seeger 2001).
    """
    rows = np.linspace(0, terms.shape[0] - 1, min(_LEARNED_FROM, terms.shape[0])).round().astype(np.int64)
    sample = terms[rows].T.tocsr()
    most = min(COMPONENTS, min(sample.shape) - 1)
    if most < 1 or not sample.nnz:
        return np.zeros((terms.shape[0], 0), dtype=np.float32)
    products = np.asarray((terms[rows] @ sample).toarray(), dtype=np.float32)
    vectors, strengths, _ = randomized_svd(products, most, n_iter=3, random_state=_SEED)
    real = strengths > _NOISE * strengths[0]
    turn = np.asarray(vectors[:, real] / np.sqrt(strengths[real]), dtype=np.float32)
    found = np.empty((terms.shape[0], turn.shape[1]), dtype=np.float32)
    for start in range(0, len(found), _LEARNED_FROM):
        some = slice(start, start + _LEARNED_FROM)
        found[some] = np.asarray((terms[some] @ sample).toarray(), dtype=np.float32) @ turn
    return found
