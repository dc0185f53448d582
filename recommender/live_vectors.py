"""A site's essays and vectors where a database searches them, for whoever cannot hold them all in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol

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

    titled: in how many essays of the site its title stands, itself included where it does.
    """

    id: str
    record: Mapping[str, Any]
    vector: Matrix
    titled: int


class LiveVectors(Protocol):
    """For many threads. All of it raises EditionError, StoreAway when the database does not answer."""

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

    def sample(self, count: int) -> list[StoredEssay]:
        """So many of the site's essays, or all, evenly spaced in id order."""
        ...
