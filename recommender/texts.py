"""What the signals read of essays, drafts and blurbs, as rows of matrices: a signal of all pairs is then one product.

`SiteReader` learns a site's words, titles, labels and addresses once; it then reads any text against them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from corpus.essay import Essay
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors
from recommender.lexical import Lexicon, presence, whole_text
from recommender.list_store import spelled_once

LONGEST_TITLE = 12
"""Words of a title that is looked for in texts; a longer one is a sentence that no text quotes."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Texts:
    """Essays, drafts or blurbs, row by row in the order of vectors.ids, against the words of one site.

    summaries     float32 (n, dim): vector of title and standfirst, unit rows, zeros where there is neither
    terms         TF-IDF of the whole text, unit rows
    title_shares  see Lexicon.title_shares
    titles_named  1 where the text holds the title of the column, word by word
    own_title     1 / sqrt(texts that hold it) at the own title
    category, author, links, own_url   1 at the label or URL of the column
    """

    vectors: Vectors
    summaries: Matrix
    terms: sparse.csr_matrix
    title_shares: sparse.csr_matrix
    titles_named: sparse.csr_matrix
    own_title: sparse.csr_matrix
    category: sparse.csr_matrix
    author: sparse.csr_matrix
    links: sparse.csr_matrix
    own_url: sparse.csr_matrix

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return self.vectors.ids

    def rows(self, start: int, stop: int) -> "Texts":
        """A run of them."""
        part = Vectors(self.ids[start:stop], self.vectors.matrix[start:stop], self.vectors.fingerprint)
        others = {f.name: getattr(self, f.name)[start:stop] for f in fields(self) if f.name != "vectors"}
        return Texts(part, **others)

    def at(self, rows: NDArray[np.int64]) -> "Texts":
        """Those of these rows, in the order given."""
        part = Vectors(
            tuple(self.ids[row] for row in rows.tolist()), self.vectors.matrix[rows], self.vectors.fingerprint
        )
        others = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "vectors"}
        return Texts(part, **others)

    def chunks(self, size: int) -> Iterator["Texts"]:
        """All of them, `size` at a time, in order."""
        for start in range(0, len(self), size):
            yield self.rows(start, start + size)

    @cached_property
    def terms_present(self) -> sparse.csr_matrix:
        """1 where a text has a term."""
        return presence(self.terms)

    @cached_property
    def turned(self) -> Mapping[str, sparse.csr_matrix]:
        """Each sparse matrix turned round, once for all products with it."""
        matrices = {f.name: getattr(self, f.name) for f in fields(self)} | {"terms_present": self.terms_present}
        return {name: m.T.tocsr() for name, m in matrices.items() if sparse.issparse(m)}


class SiteReader:
    """The words, titles, labels and URLs of a site's essays."""

    def __init__(self, essays: Sequence[Essay], lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._titles = TitleFinder(essay.title for essay in essays)
        self._categories = _columns(essay.category for essay in essays)
        self._authors = _columns(essay.author for essay in essays)
        self._urls = _columns(spelled_once(essay.url) for essay in essays if essay.url)
        self._title_weights: Matrix | None = None

    def read_site(self, essays: Sequence[Essay], vectors: Vectors, summaries: Matrix, **known: Any) -> Texts:
        """The site's own essays. known: terms and titles_named, where they were read before."""
        texts = self.read(essays, vectors, summaries, **known)
        named_by = np.asarray(texts.titles_named.sum(axis=0), dtype=np.float32).ravel()
        self._title_weights = np.asarray(1.0 / np.sqrt(np.maximum(named_by, 1.0)), dtype=np.float32)
        return replace(texts, own_title=self._own_titles(essays))

    def read(
        self,
        essays: Sequence[Essay],
        vectors: Vectors,
        summaries: Matrix,
        terms: sparse.csr_matrix | None = None,
        titles_named: sparse.csr_matrix | None = None,
    ) -> Texts:
        """Any essays, drafts, or blurbs as essays, in the order of vectors.ids."""
        texts = [whole_text(essay) for essay in essays]
        urls = [[spelled_once(link) for link in essay.links] for essay in essays]
        return Texts(
            vectors,
            summaries,
            terms=self.lexicon.terms(texts) if terms is None else terms,
            title_shares=self.lexicon.title_shares([essay.title for essay in essays]),
            titles_named=self._titles.named(texts) if titles_named is None else titles_named,
            own_title=self._own_titles(essays),
            category=_ones([[e.category] if not e.category_inferred else [] for e in essays], self._categories),
            author=_ones([[essay.author] for essay in essays], self._authors),
            links=_ones(urls, self._urls),
            own_url=_ones([[spelled_once(essay.url)] if essay.url else [] for essay in essays], self._urls),
        )

    def _own_titles(self, essays: Sequence[Essay]) -> sparse.csr_matrix:
        own = self._titles.own([essay.title for essay in essays])
        return own if self._title_weights is None else sparse.csr_matrix(own.multiply(self._title_weights[None, :]))


class TitleFinder:
    """Finds a site's titles in texts, word by word, case aside."""

    def __init__(self, titles: Iterable[str | None]) -> None:
        phrases = sorted({words for title in titles if 0 < len(words := _words(title)) <= LONGEST_TITLE})
        self._column_of = {phrase: column for column, phrase in enumerate(phrases)}
        self._lengths: dict[str, set[int]] = {}
        for phrase in phrases:
            self._lengths.setdefault(phrase[0], set()).add(len(phrase))

    def named(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """1 where a text holds a title: float32, shape (texts, titles)."""
        return _matrix([self._in(_words(text)) for text in texts], len(self._column_of))

    def own(self, titles: Sequence[str | None]) -> sparse.csr_matrix:
        """1 at the title itself: float32, shape (titles given, titles)."""
        columns = [self._column_of.get(_words(title)) for title in titles]
        return _matrix([[] if column is None else [column] for column in columns], len(self._column_of))

    def _in(self, words: tuple[str, ...]) -> set[int]:
        starts = ((at, length) for at, word in enumerate(words) for length in self._lengths.get(word, ()))
        found = (self._column_of.get(words[at : at + length]) for at, length in starts)
        return {column for column in found if column is not None}


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(_WORD.findall((text or "").casefold()))


def _columns(labels: Iterable[str | None]) -> dict[str, int]:
    return {label: column for column, label in enumerate(sorted({label for label in labels if label}))}


def _ones(labels: Sequence[Sequence[str | None]], column_of: Mapping[str, int]) -> sparse.csr_matrix:
    return _matrix([{column_of[x] for x in row if x is not None and x in column_of} for row in labels], len(column_of))


def _matrix(columns: Sequence[Iterable[int]], width: int) -> sparse.csr_matrix:
    """1 at the columns of each row."""
    rows = [sorted(row) for row in columns]
    indices = np.array([column for row in rows for column in row], dtype=np.int64)
    starts = np.cumsum([0, *(len(row) for row in rows)])
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape=(len(rows), max(width, 1)))
