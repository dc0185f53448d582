"""What a corpus is made of: pages as a converter found them, articles as they are written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


class CorpusError(Exception):
    """A problem to be told to the user in one line."""


@dataclass(frozen=True)
class Article:
    """One line of articles.jsonl.gz."""

    id: str
    title: str
    description: str
    category: str
    published: str | None
    author: str | None
    body: str


@dataclass(frozen=True)
class Page:
    """An article as a converter found it: with the other names it goes by and its list, not yet resolved."""

    article: Article
    aliases: tuple[str, ...]
    links: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """How one corpus is made."""

    name: str
    about: str
    packages: tuple[str, ...]
    licence: str
    convert: Callable[[Path], Iterator[Page]]
    min_words: int = 5  # of a body; shorter pages are left out
    programs: tuple[tuple[str, str], ...] = ()  # further programs needed, each with the Debian package that has it


@dataclass(frozen=True)
class Linked:
    """A finished corpus: its articles, their lists, and how many list items there were before they were resolved."""

    articles: list[Article]
    related: dict[str, list[str]]
    items: int
    resolved: int
