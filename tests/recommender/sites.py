"""Small sites for the tests: by hand, or at random from a seed, read and surveyed as a build does it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest

from corpus.essay import Essay
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, unit_rows
from recommender import candidates
from recommender.candidates import Pairs
from recommender.landscape import Landscape
from recommender.lexical import Lexicon, whole_text
from recommender.list_graph import ListGraph
from recommender.signals import RELATIVE, SIGNALS
from recommender.texts import SiteReader, Texts
from tests.fakes import CountingEncoder, essay

FINGERPRINT = "axes@1"
_WORDS = tuple(
    f"{start}{end}" for start in ("bar", "cor", "dun", "fel", "gar") for end in ("ak", "em", "id", "on", "u")
)


@dataclass(frozen=True, eq=False)
class Site:
    """essays: in id order. landscape: theirs, in the same order."""

    essays: tuple[Essay, ...]
    reader: SiteReader
    landscape: Landscape

    @property
    def texts(self) -> Texts:
        """What the signals read of the essays."""
        return self.landscape.texts

    def row(self, ident: str) -> int:
        """The row of an essay."""
        return self.texts.ids.index(ident)

    def graph(self, lists: Mapping[str, Sequence[str]]) -> ListGraph:
        """Who lists whom. Where ids are single letters, a list may be a word: {"a": "bc"}."""
        return ListGraph.of(self.texts.ids, lists)

    def read(self, drafts: Sequence[Essay], matrix: Matrix | None = None, summaries: Matrix | None = None) -> Texts:
        """Drafts as the site reads them, with these vectors; without any, by the fake encoder."""
        return self.reader.read(drafts, *_vectors(drafts, matrix, summaries))


def site_of(essays: Sequence[Essay], matrix: Matrix | None = None, summaries: Matrix | None = None) -> Site:
    """A site of these essays, given in id order, with these vectors; without any, by the fake encoder."""
    reader = SiteReader(essays, Lexicon.learn([whole_text(one) for one in essays]))
    texts = reader.read_site(essays, *_vectors(essays, matrix, summaries))
    return Site(tuple(essays), reader, Landscape.survey(texts))


@lru_cache(maxsize=64)
def random_site(number: int, seed: int, dim: int = 4) -> Site:
    """Essays "000", "001", ... of random words, vectors, labels and links; the same for a seed each time."""
    rng = np.random.default_rng(seed)
    essays = [_random_essay(rng, row, number) for row in range(number)]
    return site_of(essays, random_vectors(rng, number, dim), random_vectors(rng, number, dim))


def random_vectors(rng: np.random.Generator, number: int, dim: int) -> Matrix:
    """Unit rows, float32, shape (number, dim)."""
    return unit_rows(rng.normal(size=(number, dim)).astype(np.float32))


def random_lists(site: Site, rng: np.random.Generator, length: int) -> dict[str, list[str]]:
    """A list of so many other essays for every essay, drawn at random."""
    ids = site.texts.ids
    return {ident: rng.choice([i for i in ids if i != ident], length, replace=False).tolist() for ident in ids}


def dense_pairs(number: int) -> Pairs:
    """All pairs of a site without any signal: every essay with every other."""
    columns = np.concatenate([np.delete(np.arange(number), row) for row in range(number)])
    return Pairs(
        rows=np.arange(number),
        starts=np.arange(0, len(columns) + 1, number - 1),
        columns=columns,
        values=np.zeros((len(columns), len(SIGNALS)), dtype=np.float32),
        spread={name: np.tile(np.float32([0.0, 1.0]), (number, 1)) for name in RELATIVE},
        from_links=np.zeros(len(columns), dtype=np.bool_),
        listed=np.zeros(number, dtype=np.bool_),
    )


@contextmanager
def small_pools(by_text: int = 2, by_lists: int = 2, by_links_here: int = 2, most_listed: int = 1) -> Iterator[None]:
    """Candidates so few that a small site has many essays that are none."""
    sizes = {"BY_TEXT": by_text, "BY_LISTS": by_lists, "BY_LINKS_HERE": by_links_here, "MOST_LISTED": most_listed}
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(candidates, name, size)
        yield


def _vectors(essays: Sequence[Essay], matrix: Matrix | None, summaries: Matrix | None) -> tuple[Vectors, Matrix]:
    if matrix is None:
        matrix = CountingEncoder(window=10_000).encode([whole_text(one) for one in essays])
    vectors = Vectors(tuple(one.id for one in essays), np.asarray(matrix, dtype=np.float32), FINGERPRINT)
    return vectors, vectors.matrix if summaries is None else np.asarray(summaries, dtype=np.float32)


def _random_essay(rng: np.random.Generator, row: int, number: int) -> Essay:
    title = " ".join(rng.choice(_WORDS, 2, replace=False))
    named = f"https://site.test/{rng.integers(number)}"
    return essay(
        f"{row:03d}",
        " ".join(rng.choice(_WORDS, 12)),
        title=title.capitalize(),
        standfirst=" ".join(rng.choice(_WORDS, 4)),
        category=str(rng.choice(["Bread", "Clocks", "Maps"])),
        author=str(rng.choice(["Ann", "Ben"])),
        url=f"https://site.test/{row}",
        links=(named,) if rng.random() < 0.5 else (),
    )
