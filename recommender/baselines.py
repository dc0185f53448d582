"""What a site could do without this project. Each gives, for the judged essays, the ids of its 50 best, best first,
never the essay itself. In every table they stand beside ours."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from heapq import nsmallest

import bm25s
import numpy as np
from scipy import sparse

from corpus.essay import Essay
from recommender.index import FaissIndex
from recommender.lexical import whole_text
from recommender.material import Material

DEPTH = 50
_SEED = 7
_CHUNK = 256

Lists = list[list[str]]
Curated = Mapping[str, Sequence[str]]
"""Essay id -> the ids of the essays that its editors listed."""


def random_order(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """Any essays."""
    ids = [essay.id for essay in material.essays]
    rng = np.random.default_rng(_SEED)
    return [_cut((ids[i] for i in rng.permutation(len(ids))), own) for own in judged]


def random_in_category(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """Any essays of the same category, then any others."""
    rng = np.random.default_rng(_SEED)
    category = {essay.id: essay.category for essay in material.essays}
    ids = list(category)
    lists: Lists = []
    for own in judged:
        shuffled = [ids[i] for i in rng.permutation(len(ids))]
        lists.append(_cut(_same_first(shuffled, category, own), own))
    return lists


def newest_in_category(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """The newest essays of the same category, then the newest others."""
    newest = sorted(material.essays, key=lambda e: (-(e.published or date.min).toordinal(), e.id))
    category = {essay.id: essay.category for essay in material.essays}
    return [_cut(_same_first([essay.id for essay in newest], category, own), own) for own in judged]


def most_listed(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """The essays that most lists name; the judged page's own list is not counted."""
    counts = Counter(target for listed in curated.values() for target in listed)
    ids = [essay.id for essay in material.essays]
    lists: Lists = []
    for own in judged:
        others = counts.copy()
        others.subtract(curated.get(own, ()))
        lists.append(_cut(nsmallest(DEPTH + 1, ids, key=lambda ident: (-others[ident], ident)), own))
    return lists


def tfidf(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """TF-IDF cosine over the whole texts."""
    return _best_products(material.texts.terms, material.texts.terms.T.tocsr(), material.essays, judged)


def bm25(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """BM25 (bm25s, Lucene's variant), the whole essay as the query: on long essays it beats title and standfirst."""
    tokens = bm25s.tokenize([whole_text(e) for e in material.essays], stopwords="en", show_progress=False)
    retriever = bm25s.BM25()
    retriever.index(tokens, show_progress=False)
    # bm25s keeps what a term adds to a document's score in a sparse matrix, documents by terms. One product with the
    # queries' counts gives what its retrieve() would, hundreds of times faster for whole documents as queries.
    shape = (len(material.essays), len(retriever.scores["indptr"]) - 1)
    stored = (retriever.scores["data"], retriever.scores["indices"], retriever.scores["indptr"])
    weights = sparse.csc_matrix(stored, shape=shape)
    lengths = np.cumsum([0, *(len(row) for row in tokens.ids)])
    columns = np.concatenate([np.asarray(row, dtype=np.int64) for row in tokens.ids])
    queries = sparse.csr_matrix((np.ones(len(columns), dtype=np.float32), columns, lengths), shape=shape)
    queries.sum_duplicates()
    return _best_products(queries, weights.T.tocsr(), material.essays, judged)


def dense(material: Material, judged: Sequence[str], curated: Curated) -> Lists:
    """Cosine of the essays' vectors: nearest neighbours and nothing else."""
    vectors = material.texts.vectors
    row_of = {ident: row for row, ident in enumerate(vectors.ids)}
    near = FaissIndex(vectors).search(vectors.matrix[[row_of[own] for own in judged]], DEPTH + 1)
    return [_cut((n.id for n in found), own) for own, found in zip(judged, near, strict=True)]


BASELINES: Mapping[str, Callable[[Material, Sequence[str], Curated], Lists]] = {
    "random": random_order,
    "random_in_category": random_in_category,
    "newest_in_category": newest_in_category,
    "most_listed": most_listed,
    "tfidf": tfidf,
    "bm25": bm25,
    "dense": dense,
}


def _same_first(ids: Sequence[str], category: Mapping[str, str | None], own: str) -> Iterator[str]:
    """The ids of the essay's own category, then the others, each in the order given."""
    yield from (ident for ident in ids if category[ident] == category[own])
    yield from (ident for ident in ids if category[ident] != category[own])


def _cut(ids: Iterable[str], own: str) -> list[str]:
    kept: list[str] = []
    for ident in ids:
        if ident != own:
            kept.append(ident)
            if len(kept) == DEPTH:
                break
    return kept


def _best_products(
    queries: sparse.csr_matrix, weights: sparse.csr_matrix, essays: Sequence[Essay], judged: Sequence[str]
) -> Lists:
    """The essays with the largest products, for each judged one; ties by id. weights: shape (terms, essays)."""
    row_of = {essay.id: row for row, essay in enumerate(essays)}
    rows = [row_of[own] for own in judged]
    lists: Lists = []
    for start in range(0, len(rows), _CHUNK):
        products = (queries[rows[start : start + _CHUNK]] @ weights).toarray()
        best = np.argsort(-products, axis=1, kind="stable")[:, : DEPTH + 1]  # essays stand in id order
        lists += [_cut([essays[i].id for i in row], own) for row, own in zip(best, judged[start:], strict=False)]
    return lists
