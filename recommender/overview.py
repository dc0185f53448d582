"""What the editors' desk knows of every page, in one SQLite file of the edition: a row of facts a page, its place on
the map, and the pages whose lists show it.

    pages     a row an essay, in the order of the edition's lists; see PageFacts
    shown_by  for each essay that a list shows: the numbers of the pages with these lists (int32, little-endian)

The website needs none of it: the file is opened when the desk asks.
"""

import sqlite3
import weakref
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from recommender.disk import open_unchanging
from recommender.list_store import from_bytes, to_bytes

_SCHEMA = """
CREATE TABLE pages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT, url TEXT, category TEXT, published TEXT,
    list_length INTEGER NOT NULL, curated INTEGER NOT NULL, suggestions INTEGER NOT NULL, strength REAL NOT NULL,
    kept INTEGER NOT NULL, new INTEGER NOT NULL, lost INTEGER NOT NULL, ambiguous INTEGER NOT NULL,
    unmatched INTEGER NOT NULL, links_in INTEGER NOT NULL, listed_by INTEGER NOT NULL, twins TEXT, hub INTEGER NOT NULL,
    orphan INTEGER NOT NULL, overlap_before REAL, x REAL NOT NULL, y REAL NOT NULL, worth REAL NOT NULL,
    sought TEXT NOT NULL
);
CREATE TABLE shown_by (number INTEGER PRIMARY KEY, pages BLOB NOT NULL);
"""
_BREAK = "\n"
"""Before each of the texts in which a page is sought, and in none of them."""


class PageFacts(NamedTuple):
    """What is known of one page when its edition is built. Lists are those of the standard rules.

    number:         its place among the edition's essays, from 1.
    list_length:    the entries of its own list. curated: the items of the site among them, each once.
    suggestions:    how many essays the model could show in its list, without what the editors listed.
    strength:       mean score (0-1) of the list that the model alone would give; 0.0 when that is empty.
    kept, new, lost: the essays of its own list beside as many of the model's: in both, the model's only, its own only.
    ambiguous, unmatched: the entries of its own list that were joined to no essay.
    links_in:       how many lists show it. listed_by: how many curated lists name it.
    twins:          its group of near-duplicates, None when it has none.
    hub:            whether more lists show it than recommender.page_facts.hub_limit(). orphan: whether none does.
    overlap_before: the share of its list that is in the last edition's too, of the longer of both; order does not
                    count. None when the last edition had no list for it. 1.0 is unchanged.
    x, y:           its place on the map, 0-1.
    worth:          how much it wants an editor's eye, from 0.0; see recommender.page_facts.WEIGHTS.
    """

    number: int
    id: str
    title: str | None
    url: str | None
    category: str | None
    published: date | None
    list_length: int
    curated: int
    suggestions: int
    strength: float
    kept: int
    new: int
    lost: int
    ambiguous: int
    unmatched: int
    links_in: int
    listed_by: int
    twins: str | None
    hub: bool
    orphan: bool
    overlap_before: float | None
    x: float
    y: float
    worth: float


_FIELDS = ", ".join(PageFacts._fields)
_PUBLISHED = PageFacts._fields.index("published")
_MARKS = ", ".join("?" * (len(PageFacts._fields) + 1))


def write_overview(path: Path, pages: Iterable[PageFacts], shown_by: Mapping[int, "array[int]"]) -> None:
    """Write a new file. shown_by: a page's number -> the numbers of the pages whose lists show it."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        db.executemany(f"INSERT INTO pages ({_FIELDS}, sought) VALUES ({_MARKS})", map(_row, pages))  # noqa: S608
        links = ((number, to_bytes(shown_by[number])) for number in sorted(shown_by))
        db.executemany("INSERT INTO shown_by (number, pages) VALUES (?,?)", links)


class Overview:
    """The file, opened for reading by any number of threads. Raises sqlite3.DatabaseError when it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._db = self._connect()
        weakref.finalize(self, self._db.close)

    def rows(self) -> Iterator[PageFacts]:
        """Every page, in order of number."""
        with closing(self._connect()) as db:  # its own: a long reading must not keep look-ups waiting
            for row in db.execute(f"SELECT {_FIELDS} FROM pages ORDER BY number"):  # noqa: S608
                yield _facts(row)

    def page(self, ident: str) -> PageFacts | None:
        """The page with this id."""
        found = self._all(f"SELECT {_FIELDS} FROM pages WHERE id = ?", ident)  # noqa: S608
        return _facts(found[0]) if found else None

    def shown_by(self, ident: str) -> tuple[str, ...]:
        """The pages whose lists show this one, in order of number."""
        found = self._all("SELECT s.pages FROM shown_by s JOIN pages p ON p.number = s.number WHERE p.id = ?", ident)
        if not found:
            return ()
        numbers = str(from_bytes(found[0][0]).tolist())
        named = "SELECT id FROM pages WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
        return tuple([row[0] for row in self._all(named, numbers)])

    def search(self, text: str, limit: int) -> list[str]:
        """At most so many pages with this text in title, URL or id, in any case; first those where one begins with it.

        Within both by number. No text finds nothing.
        """
        sought = _folded(text)
        if not sought:
            return []
        query = "SELECT id FROM pages WHERE instr(sought, ?) ORDER BY instr(sought, ?) = 0, number LIMIT ?"
        return [row[0] for row in self._all(query, sought, _BREAK + sought, limit)]

    def _all(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except UnicodeEncodeError:  # half a surrogate pair: no text, and so in no page
            return []

    def _connect(self) -> sqlite3.Connection:
        return open_unchanging(self._path)


def _row(page: PageFacts) -> tuple[Any, ...]:
    published = page.published.isoformat() if page.published else None
    sought = "".join(_BREAK + _folded(text) for text in (page.title, page.url, page.id) if text)
    return (*page._replace(published=published), sought)  # type: ignore[arg-type]


def _facts(row: tuple[Any, ...]) -> PageFacts:
    page = PageFacts(*row)
    published = date.fromisoformat(row[_PUBLISHED]) if row[_PUBLISHED] else None
    return page._replace(published=published, hub=bool(page.hub), orphan=bool(page.orphan))


def _folded(text: str) -> str:
    """Without case, and with single spaces for every white space."""
    return " ".join(text.casefold().split())
