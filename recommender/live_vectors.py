"""A site's essays, vectors and lists where a database searches them, for whoever cannot hold them all in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Matrix
from recommender.index import Neighbour
from recommender.ranking import ItemKind


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items may come; None leaves all. Both dates are inclusive; an item without one fails a filter about it."""

    kind: ItemKind | None = None
    category: str | None = None
    published_after: date | None = None
    published_before: date | None = None


NO_FILTER = Filter()


class StoredEssay(NamedTuple):
    """An essay as it is kept. record: as `related parse` prints it. vector: float32, shape (dim,), of unit length.

    titled: in how many essays of the site its title stands, itself included where it does. number: of the essay, by
    which LiveLists knows it; numbers go up as ids do.
    """

    id: str
    record: Mapping[str, Any]
    vector: Matrix
    titled: int
    number: int


Numbers = NDArray[np.int64]
"""Of essays."""


class Facts(NamedTuple):
    """How essays of the site stand to all others, a row each.

    listed_by: float32 (n,), how many lists name each. nearest_scores: float32 (n, r), see landscape.Landscape.
    """

    listed_by: Matrix
    nearest_scores: Matrix


class LiveLists(Protocol):
    """Who lists whom among a site's essays, and what list_signals.Ridge has learned of it. For many threads. All of it
    raises EditionError, StoreAway. numbers: of essays that there are, ascending."""

    def lists(self, numbers: Sequence[int]) -> Numbers:
        """What these essays list: shape (links, 2), who lists and who is listed, in order."""
        ...

    def lists_naming(self, number: int) -> Numbers:
        """The essays whose lists name this one, ascending; of very many the first MOST_LISTS."""
        ...

    def facts(self, numbers: Sequence[int]) -> Facts:
        """Of these essays, in order."""
        ...

    def components(self, numbers: Sequence[int]) -> Matrix:
        """Of these essays' wording, as in landscape.Landscape.basis, in order: float32, shape (n, c)."""
        ...

    def foretold(self, query: Matrix, numbers: Sequence[int]) -> Matrix:
        """For each of these essays, the products of the query with the basis of all whose lists name it, summed; where
        those are more than MOST_LISTS, from the first of them. float32, shape (n,). query: float32, shape (d,)."""
        ...

    def inverse(self) -> Matrix:
        """A of list_signals.Ridge: float32, shape (d, d)."""
        ...


MOST_LISTS = 1000
"""Lists that are read of those that name an essay: a page that every other one lists says little, and costs seconds."""


class LiveVectors(Protocol):
    """For many threads. All of it raises EditionError, StoreAway when the database does not answer.

    lists: of an edition whose lesson is of its lists; of any other it raises EditionError.
    """

    @property
    def lists(self) -> LiveLists:
        """Who lists whom."""
        ...

    def nearest(
        self, query: Matrix, k: int, only: Filter = NO_FILTER, exclude: Collection[str] = ()
    ) -> list[Neighbour]:
        """The k nearest of the items that may come, by (-similarity, id); fewer only where no more are left.

        query: float32, shape (dim,), of unit length. exclude: ids that may not come. Raises as Index.search().
        """
        ...

    def essays(self, idents: Sequence[str]) -> list[StoredEssay]:
        """Those of these essays that there are, by id."""
        ...

    def numbered(self, numbers: Sequence[int], only: Filter) -> list[StoredEssay]:
        """Those of the essays with these numbers that the filter leaves, by id."""
        ...

    def sample(self, count: int) -> list[StoredEssay]:
        """So many of the site's essays, or all, evenly spaced in id order."""
        ...
