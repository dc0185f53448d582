"""What speaks for a pair of essay and candidate: the signals' names, their groups, and how they are read from texts.

A signal of the texts:

    meaning      cosine of the two texts' vectors
    summary      cosine of the vectors of title and standfirst
    wording      TF-IDF cosine over the whole texts
    names        how much of the candidate's title the essay names, 0 to 1
    named        how much of the essay's title the candidate names, 0 to 1
    mentions     the candidate's whole title stands in the essay: 1 / sqrt(essays in which it stands), else 0
    category     1 when both have the same
    author       1 when both have the same
    links        1 when the essay's body links to the candidate
    linked       1 when the candidate's body links to the essay
    mutual_rank  1 when no essay is nearer to the candidate than this one, 0 from the hundredth on (see landscape.py)

A signal of the lists (list_signals.py):

    popularity   log(1 + lists that name the candidate)
    votes        share of the ten nearest essays with a list that name it, by nearness
    predicted    the list that lists of like texts foretell, at the candidate
    like_lists   how much of the candidate's own list is what is foretold for the essay
    lists_back   1 when the candidate's list names the essay
    co_listed    log(1 + lists that name both)

None of them ever reads the essay's own list. The last two read lists that name the essay: a new page has none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from embeddings.encoder import Matrix
from recommender.texts import Texts

TEXT_SIGNALS = (
    *("meaning", "summary", "wording", "names", "named", "mentions", "category", "author", "links", "linked"),
    "mutual_rank",
)
LIST_SIGNALS = ("popularity", "votes", "predicted", "like_lists", "lists_back", "co_listed")
FROM_LINKS_HERE = ("lists_back", "co_listed")
"""Read from lists that name the essay itself."""
COUNTS = ("popularity", "co_listed")
"""log(1 + count), for the models; people read the count."""
SIGNALS = (*TEXT_SIGNALS, *LIST_SIGNALS)

RELATIVE = ("meaning", "summary", "wording", "names", "named")
"""Set against all other essays of the site: (value - mean) / standard deviation over the essay's row."""

_FEW_ESSAYS = 10
_TYPICAL = {
    **{"meaning": (0.222, 0.115), "summary": (0.139, 0.107), "wording": (0.025, 0.028)},
    **{"names": (0.037, 0.121), "named": (0.039, 0.1)},
}
"""Mean and deviation of each on five corpora: what a site with fewer other essays is set against."""
FLAT = 1e-9  # a deviation under this means that all essays are alike: the signal tells none of them apart

Block = dict[str, Matrix]
"""Signal -> its values for some essays and all items: float32, shape (essays, items)."""
Spread = dict[str, NDArray[np.float64]]
"""Relative signal -> mean and deviation of each essay's row: float64, shape (essays, 2)."""


def vector_block(essays: Texts, items: Texts) -> Block:
    """The signals of the vectors. The last bits of an essay's row depend on how many are multiplied at once."""
    return {
        "meaning": essays.vectors.matrix @ items.vectors.matrix.T,
        "summary": essays.summaries @ items.summaries.T,
    }


def text_block(essays: Texts, items: Texts, vectors: Block | None = None) -> Block:
    """All signals of the texts but mutual_rank, as plain values. vectors: vector_block(), where that is known."""
    turned = items.turned
    return (vector_block(essays, items) if vectors is None else dict(vectors)) | {
        "wording": _product(essays.terms, turned["terms"]),
        "names": _product(essays.terms_present, turned["title_shares"]),
        "named": _product(essays.title_shares, turned["terms_present"]),
        "mentions": _product(essays.titles_named, turned["own_title"]),
        "category": _product(essays.category, turned["category"]),
        "author": _product(essays.author, turned["author"]),
        "links": _product(essays.links, turned["own_url"]),
        "linked": _product(essays.own_url, turned["links"]),
    }


def spread_of(block: Mapping[str, Matrix], own: Sequence[int]) -> Spread:
    """Mean and deviation over the site's essays but the one itself, of the relative signals in the block.

    own: its column in the block, -1 for none.
    """
    columns = np.array(own, dtype=np.int64)
    return {name: _spread(name, block[name], columns) for name in RELATIVE if name in block}


def relative(block: Mapping[str, Matrix], spread: Spread) -> Block:
    """The block with its relative signals set against the site."""
    return dict(block) | {name: _relative(block[name], spread[name]) for name in RELATIVE}


def _relative(values: Matrix, spread: NDArray[np.float64]) -> Matrix:
    mean, deviation = spread[:, :1], spread[:, 1:]
    flat = deviation <= FLAT
    found = np.where(flat, 0.0, (values - mean) / np.where(flat, 1.0, deviation))
    return np.asarray(found, dtype=np.float32)


def _spread(name: str, values: Matrix, own: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = values.shape[1] - (own >= 0)
    if not len(values) or counts.min() < _FEW_ESSAYS:  # a site is as small for all of its essays but one
        return np.tile(_TYPICAL[name], (len(values), 1))
    itself = np.flatnonzero(own >= 0), own[own >= 0]
    others = values.astype(np.float64)
    others[itself] = 0.0
    mean = others.sum(axis=1) / counts
    others -= mean[:, None]
    others[itself] = 0.0
    return np.column_stack([mean, np.sqrt(np.square(others, out=others).sum(axis=1) / counts)])


def _product(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Matrix:
    return np.asarray((left @ right).toarray(), dtype=np.float32)
