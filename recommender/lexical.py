"""Wording: TF-IDF over an essay's whole text, and how much of a title a text names.

scikit-learn's TfidfVectorizer does the work; what is kept on disk is its vocabulary and idf, not a pickle.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from corpus.essay import Essay

_SMALL_SITE = 20
"""From this many essays on, a term of a single essay is left out: it cannot speak for any pair, and is half of all."""
_NO_TERMS = {"\x00": 0}  # a vocabulary may not be empty; no text holds this term


def whole_text(essay: Essay) -> str:
    """What wording is judged on: title, standfirst and body."""
    return "\n".join(part for part in (essay.title, essay.standfirst, essay.body) if part)


class Lexicon:
    """The terms of a site (words and pairs of words, English stop words left out) and how telling each is.

    vocabulary: term -> column. idf: float64, shape (terms,).
    """

    def __init__(self, vocabulary: dict[str, int], idf: NDArray[np.float64]) -> None:
        self.vocabulary = vocabulary
        self.idf = idf
        self._vectorizer = _vectorizer(vocabulary=vocabulary)
        self._vectorizer.idf_ = idf

    @classmethod
    def learn(cls, texts: Sequence[str]) -> "Lexicon":
        """The lexicon of a site's essays, their whole texts."""
        vectorizer = _vectorizer(min_df=2 if len(texts) >= _SMALL_SITE else 1)
        try:
            vectorizer.fit(texts)
        except ValueError:  # scikit-learn's way to say that no term is left
            return cls(dict(_NO_TERMS), np.ones(1))
        vocabulary = {term: int(column) for term, column in sorted(vectorizer.vocabulary_.items())}
        return cls(vocabulary, np.asarray(vectorizer.idf_, dtype=np.float64))

    def terms(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """float32, shape (n, terms), rows of unit length: their products are TF-IDF cosines, 0 to 1."""
        if not texts:
            return sparse.csr_matrix((0, len(self.vocabulary)), dtype=np.float32)
        return sparse.csr_matrix(self._vectorizer.transform(texts), dtype=np.float32)

    def title_shares(self, titles: Sequence[str | None]) -> sparse.csr_matrix:
        """float32, shape (n, terms): what share of a title each of its terms is, by idf; rows sum to 1 or are empty.

        A word that the lexicon left out counts for nothing: a title of such words only is named by no text.

        The product with the terms present in a text is the share of the title that the text names, 0 to 1.
        """
        present = presence(self.terms([title or "" for title in titles]))
        weights = present.multiply(self.idf.astype(np.float32)[None, :]).tocsr()
        totals = np.asarray(weights.sum(axis=1)).ravel()
        return sparse.csr_matrix(sparse.diags(1.0 / np.where(totals > 0, totals, 1.0)) @ weights, dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write the terms in column order, with their idf, as JSON."""
        path.write_text(json.dumps({"terms": list(self.vocabulary), "idf": self.idf.tolist()}), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Lexicon":
        """The lexicon that save() wrote."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = {term: column for column, term in enumerate(stored["terms"])}
        return cls(vocabulary, np.array(stored["idf"], dtype=np.float64))


def presence(terms: sparse.csr_matrix) -> sparse.csr_matrix:
    """1 where a text has a term."""
    return sparse.csr_matrix((np.ones_like(terms.data), terms.indices, terms.indptr), shape=terms.shape)


def _vectorizer(**options: object) -> TfidfVectorizer:
    return TfidfVectorizer(
        dtype=np.float32, ngram_range=(1, 2), sublinear_tf=True, stop_words="english", lowercase=True, **options
    )
