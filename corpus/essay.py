"""What a page turns into: an Essay, or a PageProblem that says why not."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

BlockKind = Literal["heading", "paragraph"]


@dataclass(frozen=True, slots=True)
class Block:
    """One heading or paragraph of an essay's own text, in page order."""

    kind: BlockKind
    text: str


@dataclass(frozen=True, slots=True)
class Blurb:
    """One entry of a page's curated list, as the page shows it.

    On text pages a blurb has neither title nor URL. `target` is the id of the essay it stands for, known only
    after matching (corpus/matching.py).
    """

    source: str
    position: int
    category: str | None = None
    text: str | None = None
    published: date | None = None
    url: str | None = None
    title: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Essay:
    """One essay. The curated list (`blurbs`, `related`) is never part of `blocks`.

    related: references to other essays (ids, URLs or titles) where a source names its list that way.
    links:   URLs in the body, in page order, each once.
    source:  where it was read, for messages only.
    remarks: what a reader of the page should know ("read as windows-1252"), though the essay is usable.
    """

    id: str
    title: str | None = None
    standfirst: str | None = None
    url: str | None = None
    category: str | None = None
    author: str | None = None
    published: date | None = None
    reading_minutes: int | None = None
    blocks: tuple[Block, ...] = ()
    blurbs: tuple[Blurb, ...] = ()
    related: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    source: str = ""
    category_inferred: bool = False
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def body(self) -> str:
        """The essay's own text, blocks separated by a blank line."""
        return "\n\n".join(block.text for block in self.blocks)


@dataclass(frozen=True, slots=True)
class PageProblem:
    """A page that did not become an essay, and why. Pages in = essays + problems."""

    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class PageRejected(Exception):
    """Raised inside a parser when a page cannot become an essay; sources.py turns it into a PageProblem."""
