"""The landscape of a large site, where essays cannot all be held against all others.

An index draws each essay's nearest by meaning and wording at once; these, those that have its most telling terms, and
the essays whose titles it names are looked at closely, and the best POOL of them by the default model are kept.
"""

from collections.abc import Sequence

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
    components = _components(texts.terms)
    basis = np.hstack([texts.vectors.matrix, components])
    drawn, _similarities = all_pairs(_joint_space(texts.vectors.matrix, components), NEAREST, index)
    named = texts.titles_named @ texts.turned["own_title"]
    telling, by_term = _telling(texts.terms), texts.turned["terms"]
    survey = _Survey(texts)
    for start in range(0, len(texts), CHUNK):
        stop = min(start + CHUNK, len(texts))
        survey.look(start, stop, drawn[start:stop], telling[start:stop] @ by_term, named[start:stop])
        progress(stop - start)
    strengths = np.square(components, dtype=np.float64).sum(axis=0).astype(np.float32)
    return survey.landscape(basis, strengths)


def neighbours_found(landscape: Landscape, k: int) -> float | None:
    """The share of each essay's k nearest, by exact search, that its index finds, on a sample; None on a smaller site,
    which has no index."""
    if landscape.pool is None:
        return None
    dim = landscape.texts.vectors.dim
    space = _joint_space(landscape.texts.vectors.matrix, landscape.basis[:, dim:])
    return neighbour_recall(FaissIndex(Vectors(landscape.texts.ids, space, "")), k)


class _Survey:
    """Gathers what is found run by run."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._signals, self._spread_of = PairSignals(texts), SiteSpread(texts)
        self._columns: list[NDArray[np.int32]] = []
        self._lengths: list[Rows] = []
        self._logits: list[Matrix] = []
        self._spreads: list[Spread] = []
        self._near: list[sparse.csr_matrix] = []

    def look(self, start: int, stop: int, drawn: Rows, worded: sparse.csr_matrix, named: sparse.csr_matrix) -> None:
        """Look closely at what was drawn for a run of essays: by the index, by terms, by titles."""
        essays, own = self._texts.rows(start, stop), np.arange(start, stop)
        starts, columns = _merged(drawn, [(worded, WORDED), (named, NAMED)], own)
        values = self._signals.read(essays, starts, columns)
        spread = self._spread_of.of(start, stop)
        logits = DEFAULT.block_logits(set_against(values, spread, starts))
        kept = best_of_each(logits, starts, POOL)
        owner = owners(starts)
        self._columns.append(columns[kept].astype(np.int32))
        self._lengths.append(np.bincount(owner[kept], minlength=len(own)))
        self._logits.append(logits[kept])
        self._spreads.append(spread)
        self._near.append(self._nearest(values, starts, columns))

    def landscape(self, basis: Matrix, strengths: Matrix) -> Landscape:
        """What all runs found."""
        columns = np.concatenate(self._columns)
        pool = Pool(
            np.concatenate([[0], np.cumsum(np.concatenate(self._lengths))]),
            columns,
            {name: np.concatenate([spread[name] for spread in self._spreads]) for name in RELATIVE},
        )
        best = _best_given(columns, np.concatenate(self._logits), len(self._texts))
        return Landscape(self._texts, sparse.vstack(self._near, format="csr"), best, basis, strengths, pool)

    def _nearest(self, values: Pairwise, starts: Rows, columns: Rows) -> sparse.csr_matrix:
        nearness = values["meaning"] + values["wording"]
        kept = best_of_each(nearness, starts, NEAR)
        owner = owners(starts)
        shape = (len(starts) - 1, len(self._texts))
        found = sparse.csr_matrix((np.maximum(nearness[kept], 0.0), (owner[kept], columns[kept])), shape=shape)
        found.eliminate_zeros()
        return found


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


def _joint_space(vectors: Matrix, components: Matrix) -> Matrix:
    """Unit rows whose cosines are those of meaning and wording in one."""
    if not components.shape[1]:
        return vectors
    return unit_rows(np.hstack([vectors, _WORDING * unit_rows(components)]))


def _components(terms: sparse.csr_matrix) -> Matrix:
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
