"""How long work shows its progress."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # it brings numpy along
    from embeddings.encoder import Progress

_T = TypeVar("_T")

ENCODING = "encoding texts"
"""The stage whose work outlives a build that is interrupted."""
PARSING_PARTS = "parsing, in parts"
ENCODING_PARTS = "encoding, in parts"
"""Stages of workers (recommender/engines), whose finished parts outlive it too."""


class Watch(Protocol):
    """How a build shows its progress; the command line draws bars, tests and programs pass Unwatched."""

    def stage(self, name: str, total: int) -> "Progress":
        """A stage begins; the function returned is called with the number of items done since its last call."""
        ...


class Unwatched:
    """Shows nothing."""

    def stage(self, name: str, total: int) -> "Progress":
        """See Watch.stage."""
        return lambda done: None


class Counting:
    """Counts what another Watch shows. done: items by stage."""

    def __init__(self, shown: Watch) -> None:
        self.done: dict[str, int] = {}
        self._shown = shown

    def stage(self, name: str, total: int) -> "Progress":
        """See Watch.stage."""
        show = self._shown.stage(name, total)
        self.done[name] = 0

        def progress(done: int) -> None:
            self.done[name] += done
            show(done)

        return progress


def counted(items: Iterable[_T], progress: "Progress") -> Iterator[_T]:
    """The items; progress is called after each."""
    for item in items:
        yield item
        progress(1)
