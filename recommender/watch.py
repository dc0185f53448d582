"""How long work shows its progress."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # it brings numpy along
    from embeddings.encoder import Progress


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
