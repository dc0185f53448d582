"""Items and lists of an edition in one SQLite file, which is opened and never loaded: a look-up reads one row.

    items       what can be recommended, a row an item, in the order given
    categories  the categories of all items, by number
    lists       each essay's curated list, candidates and unmatched blurbs, a row an essay, in the order given
    signals     the signals that are named as reasons, by number
    offered     for each item that a row of `lists` names: the numbers of these rows (int32, little-endian, ascending)

A row of `lists` holds its three groups one after the other, as columns, so that a filter can look at a column before
anything is made of it: targets (a JSON list of ids) and numbers (int32, little-endian, shape (columns, entries); see
_COLUMNS). It repeats what rank() must know of the targets, so that one row is enough to rank an essay.
"""

import json
import sqlite3
import sys
import weakref
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol, get_args

from recommender.disk import open_unchanging
from recommender.ranking import SKETCH_BITS, Candidate, Item, ItemKind, Place, Profile, Rules

_SCHEMA = """
CREATE TABLE items (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, title TEXT, standfirst TEXT, url TEXT,
    category TEXT, published TEXT, twins TEXT, sketch BLOB, address TEXT
);
CREATE TABLE categories (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE signals (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE lists (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, list_length INTEGER NOT NULL, curated INTEGER NOT NULL,
    candidates INTEGER NOT NULL, unlinked INTEGER NOT NULL, targets TEXT NOT NULL, numbers BLOB NOT NULL,
    twins TEXT NOT NULL
);
CREATE TABLE offered (item INTEGER PRIMARY KEY, pages BLOB NOT NULL);
"""
ITEM_COLUMNS = "id, kind, title, standfirst, url, category, published, twins, sketch"
ROW_COLUMNS = "list_length, curated, candidates, unlinked, targets, numbers, twins"
_NUMBERED_LISTS = "SELECT id FROM lists WHERE number IN (SELECT value FROM json_each(?))"
_COLUMNS = ("item", "editors", "meaning", "category", "published", "kind", "place")
"""The item's number; scores in millionths; the number of the category, or 0; the proleptic ordinal of the date, or 0;
the places of kind and place in their types. After these come two columns for each reason: the signal's number, or 0,
and its value in thousandths."""
_MILLION = 1_000_000
_THOUSAND = 1_000
_LARGEST = 2**31 - 1
_CACHE = 8_000
"""KB of pages that SQLite keeps: the indices of some 100,000 essays."""
_MAPPED = 48_000_000
"""So many bytes from the file's beginning, where the items are, are read as memory."""
_KINDS: tuple[ItemKind, ...] = get_args(ItemKind)
_PLACES: tuple[Place, ...] = get_args(Place)
_BLURB = _KINDS.index("blurb")
_LIFTED = _PLACES.index("lifted")


@dataclass(frozen=True, slots=True)
class EssayLists:
    """What the job found for one essay.

    curated:     the items its own list names, in list order. list_length: how many entries the page shows.
    candidates:  the best essays, best first. unlinked: the best unmatched blurbs, best first.
    """

    id: str
    list_length: int
    curated: tuple[Candidate, ...]
    candidates: tuple[Candidate, ...]
    unlinked: tuple[Candidate, ...]


def spelled_once(url: str) -> str:
    """An address without fragment and last slash: what two spellings of one have in common."""
    return url.partition("#")[0].rstrip("/")


def to_bytes(numbers: "array[int]") -> bytes:
    """The numbers as int32, little-endian."""
    if sys.byteorder == "big":
        numbers = array("i", numbers)
        numbers.byteswap()
    return numbers.tobytes()


def from_bytes(stored: bytes) -> "array[int]":
    """What to_bytes() was given."""
    numbers = array("i")
    numbers.frombytes(stored)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def write_store(path: Path, items: Iterable[Item], lists: Iterable[EssayLists]) -> None:
    """Write a new file. Every target of the lists must be among the items."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        facts = _Facts()
        marks = ",".join("?" * 11)
        db.executemany(f"INSERT INTO items (number, {ITEM_COLUMNS}, address) VALUES ({marks})", facts.note(items))  # noqa: S608
        db.executemany("INSERT INTO categories (name, number) VALUES (?,?)", facts.categories.items())
        rows = ((number, *_list_row(number, entry, facts)) for number, entry in enumerate(lists, start=1))
        db.executemany(f"INSERT INTO lists (number, id, {ROW_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", rows)  # noqa: S608
        offered = ((item, to_bytes(pages)) for item, pages in sorted(facts.offered.items()))
        db.executemany("INSERT INTO offered (item, pages) VALUES (?,?)", offered)
        db.executemany("INSERT INTO signals (name, number) VALUES (?,?)", facts.signals.items())
        db.execute("CREATE INDEX addresses ON items (address) WHERE address IS NOT NULL")


class ListReader(Protocol):
    """Where an edition's items and lists are read, by any number of threads: ListStore, and
    recommender.postgres_lists.PostgresLists. tests/contracts/test_list_reader.py runs on both."""

    def item(self, ident: str) -> Item | None:
        """The item with this id."""
        ...

    def numbered(self, numbers: Sequence[int]) -> dict[str, Item]:
        """The items with these numbers, by id."""
        ...

    def named(self, idents: Sequence[str]) -> dict[str, Item]:
        """Those of the items with these ids that there are, by id."""
        ...

    def essay_at(self, url: str) -> str | None:
        """The id of the essay at this address; a fragment and the last slash do not count."""
        ...

    def row(self, ident: str) -> "ListRow | None":
        """An essay's lists as columns."""
        ...

    def offered_in(self, ident: str) -> frozenset[str]:
        """The essays whose lists name the item: as curated, as a candidate or among the unmatched blurbs."""
        ...

    def essay_ids(self) -> Iterator[str]:
        """Every essay, in the order written."""
        ...

    def item_ids(self) -> Iterator[str]:
        """Every item, in the order written."""
        ...

    def items(self) -> Iterator[Item]:
        """Every item, in the order written."""
        ...

    def count_items(self) -> int:
        """How many items there are."""
        ...


class ListStore:
    """The file, opened for reading by any number of threads. Raises sqlite3.DatabaseError when it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._db = self._connect()
        weakref.finalize(self, self._db.close)
        self._names = Names(
            (None, *(name for (name,) in self._db.execute("SELECT name FROM categories ORDER BY number"))),
            ("", *(name for (name,) in self._db.execute("SELECT name FROM signals ORDER BY number"))),
        )

    def item(self, ident: str) -> Item | None:
        """The item with this id."""
        row = self._row(f"SELECT {ITEM_COLUMNS} FROM items WHERE id = ?", ident)  # noqa: S608
        return item_of(row) if row else None

    def numbered(self, numbers: Sequence[int]) -> dict[str, Item]:
        """The items with these numbers, by id."""
        places = ",".join("?" * len(numbers))  # not the numbers: SQLite keeps what it has made of a statement
        with self._lock:
            rows = self._db.execute(f"SELECT {ITEM_COLUMNS} FROM items WHERE number IN ({places})", numbers).fetchall()  # noqa: S608
        return {row[0]: item_of(row) for row in rows}

    def named(self, idents: Sequence[str]) -> dict[str, Item]:
        """Those of the items with these ids that there are, by id."""
        places = ",".join("?" * len(idents))
        with self._lock:
            rows = self._db.execute(f"SELECT {ITEM_COLUMNS} FROM items WHERE id IN ({places})", idents).fetchall()  # noqa: S608
        return {row[0]: item_of(row) for row in rows}

    def essay_at(self, url: str) -> str | None:
        """The id of the essay at this address; a fragment and the last slash do not count."""
        row = self._row("SELECT id FROM items WHERE address = ? ORDER BY number DESC", spelled_once(url))
        return row[0] if row else None

    def row(self, ident: str) -> "ListRow | None":
        """An essay's lists as columns."""
        row = self._row(f"SELECT {ROW_COLUMNS} FROM lists WHERE id = ?", ident)  # noqa: S608
        return ListRow(self._names, row) if row else None

    def lists(self, ident: str) -> EssayLists | None:
        """An essay's lists."""
        row = self.row(ident)
        return row.lists(ident) if row else None

    def offered_in(self, ident: str) -> frozenset[str]:
        """The essays whose lists name the item: as curated, as a candidate or among the unmatched blurbs."""
        row = self._row("SELECT pages FROM offered JOIN items ON item = number WHERE id = ?", ident)
        if row is None:
            return frozenset()
        numbers = _json(from_bytes(row[0]).tolist())
        with self._lock:
            found = self._db.execute(_NUMBERED_LISTS, (numbers,))
            return frozenset([essay for (essay,) in found])

    def essay_ids(self) -> Iterator[str]:
        """Every essay, in the order written."""
        return (ident for (ident,) in self._rows("SELECT id FROM lists ORDER BY number"))

    def item_ids(self) -> Iterator[str]:
        """Every item, in the order written."""
        return (ident for (ident,) in self._rows("SELECT id FROM items ORDER BY number"))

    def items(self) -> Iterator[Item]:
        """Every item, in the order written."""
        return map(item_of, self._rows(f"SELECT {ITEM_COLUMNS} FROM items ORDER BY number"))  # noqa: S608

    def count_items(self) -> int:
        """How many items there are."""
        (count,) = self._row("SELECT count(*) FROM items") or (0,)
        return int(count)

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        try:
            with self._lock:
                found: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        except UnicodeEncodeError:  # half a surrogate pair: no text, and so no id
            return None
        return found

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """On a connection of its own: a long reading must not keep look-ups waiting."""
        with closing(self._connect()) as db:
            yield from db.execute(query)

    def _connect(self) -> sqlite3.Connection:
        db = open_unchanging(self._path)
        db.execute(f"PRAGMA cache_size = -{_CACHE}")
        db.execute(f"PRAGMA mmap_size = {_MAPPED}")
        return db


class Items(Mapping[str, Item]):
    """The items of a store, by id. ahead: those that were read already."""

    def __init__(self, store: ListReader, ahead: Mapping[str, Item] | None = None) -> None:
        self._store, self._ahead = store, ahead or {}

    def __getitem__(self, ident: str) -> Item:
        item = self._ahead.get(ident) or self._store.item(ident)
        if item is None:
            raise KeyError(ident)
        return item

    def __iter__(self) -> Iterator[str]:
        return self._store.item_ids()

    def __len__(self) -> int:
        return self._store.count_items()

    def named(self, idents: Sequence[str]) -> dict[str, Item]:
        """Those of these ids that there are, read in one go."""
        return self._store.named(idents)

    def stream(self) -> Iterator[Item]:
        """Every item in the order written, read in one go."""
        return self._store.items()

    def loaded(self) -> dict[str, Item]:
        """All of them in memory, for whoever asks for most of them again and again."""
        return {item.id: item for item in self._store.items()}


class Names(NamedTuple):
    """What the numbers in a row stand for."""

    categories: tuple[str | None, ...]
    signals: tuple[str, ...]


class ListRow:
    """An essay's lists as columns, one entry after the other: curated, candidates, unlinked."""

    def __init__(self, names: Names, row: tuple[Any, ...]) -> None:
        length, curated, candidates, unlinked, targets, numbers, twins = row
        self.list_length: int = length
        self.targets: list[str] = json.loads(targets)
        self._categories, self._signals = names
        self._twins: dict[str, str] = json.loads(twins) if twins else {}
        count = len(self.targets)
        cells = from_bytes(numbers)
        width = len(cells) // count if count else len(_COLUMNS)
        columns = [cells[place * count : (place + 1) * count] for place in range(width)]
        self._numbers, self._editors, self._meaning, self._category, self._published, self._kind, self._place = columns[
            : len(_COLUMNS)
        ]
        reasons = columns[len(_COLUMNS) :]
        self._reasons = list(zip(reasons[::2], reasons[1::2], strict=True))
        self.curated = range(curated)
        self.candidates = range(curated, curated + candidates)
        self.unlinked = range(curated + candidates, curated + candidates + unlinked)

    def lists(self, ident: str) -> EssayLists:
        """The same as objects."""
        return EssayLists(
            ident,
            self.list_length,
            tuple(self.chosen(self.curated)),
            tuple(self.chosen(self.candidates)),
            tuple(self.chosen(self.unlinked)),
        )

    def passing(self, entries: Iterable[int], rules: Rules) -> list[int]:
        """The entries that no filter of the rules about kind, category, date or id keeps out."""
        left = list(entries)
        if not rules.unlinked:
            left = [i for i in left if self._kind[i] != _BLURB]
        if rules.category is not None:
            wanted = self._categories.index(rules.category) if rules.category in self._categories else -1
            left = [i for i in left if self._category[i] == wanted]
        if rules.published_after:
            first = rules.published_after.toordinal()
            left = [i for i in left if self._published[i] >= first]
        if rules.published_before:
            last = rules.published_before.toordinal()
            left = [i for i in left if 0 < self._published[i] <= last]
        if rules.exclude:
            left = [i for i in left if self.targets[i] not in rules.exclude]
        return left

    def ordered(self, entries: Iterable[int], profile: Profile) -> list[int]:
        """The entries as rank() takes them: by (-score, id)."""
        scores = self._editors if profile == "editors" else self._meaning
        return sorted(entries, key=lambda i: (-scores[i], self.targets[i]))

    def lifted(self, entries: Iterable[int]) -> list[int]:
        """The entries that the balance of the site lifts."""
        return [i for i in entries if self._place[i] == _LIFTED]

    @property
    def lifts(self) -> bool:
        """Whether the balance of the site lifts an entry."""
        return _LIFTED in self._place

    def number_of(self, target: str) -> int:
        """The number of a target's item."""
        return self._numbers[self.targets.index(target)]

    def chosen(self, entries: Sequence[int]) -> list[Candidate]:
        """These entries as candidates."""
        editors, meaning, places = self._editors, self._meaning, self._place
        return [
            Candidate(
                self.targets[i], editors[i] / _MILLION, meaning[i] / _MILLION, self._reasons_of(i), _PLACES[places[i]]
            )
            for i in entries
        ]

    def items(self, entries: Iterable[int], regard_twins: bool = True) -> dict[str, Item]:
        """What rank() must know of these entries' targets; titles, standfirsts, URLs and sketches are left out."""
        twins = self._twins if regard_twins else {}
        return {self.targets[i]: self._item(i, self.targets[i], twins) for i in entries}

    def _item(self, entry: int, target: str, twins: Mapping[str, str]) -> Item:
        published = self._published[entry]
        day = date.fromordinal(published) if published else None
        category = self._categories[self._category[entry]]
        return Item(target, _KINDS[self._kind[entry]], None, None, None, category, day, twins.get(target))

    def _reasons_of(self, entry: int) -> tuple[tuple[str, float], ...]:
        said = [(self._signals[signal[entry]], value[entry] / _THOUSAND) for signal, value in self._reasons]
        return tuple([reason for reason in said if reason[0]])


class _Facts:
    """What the lists repeat of each item."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[int, int, int, int]] = {}
        self.categories: dict[str, int] = {}
        self.signals: dict[str, int] = {}
        self.twins: dict[str, str] = {}
        self.offered: defaultdict[int, array[int]] = defaultdict(lambda: array("i"))

    def note(self, items: Iterable[Item]) -> Iterator[tuple[Any, ...]]:
        """The rows of the items."""
        for number, item in enumerate(items, start=1):
            category = _number(self.categories, item.category) if item.category else 0
            published = item.published.toordinal() if item.published else 0
            self._facts[item.id] = number, category, published, _KINDS.index(item.kind)
            if item.twins is not None:
                self.twins[item.id] = item.twins
            yield number, *_item_row(item)

    def note_offered(self, page: int, targets: Iterable[str]) -> None:
        """The row of this number names these items, each given once."""
        for target in targets:
            self.offered[self._facts[target][0]].append(page)

    def cells(self, candidate: Candidate, reasons: int) -> tuple[int, ...]:
        """An entry's cell of each of _COLUMNS, and of the columns of so many reasons."""
        number, *facts = self._facts[candidate.id]
        scores = round(candidate.editors * _MILLION), round(candidate.meaning * _MILLION)
        said = [(_number(self.signals, s), _thousandths(value)) for s, value in candidate.reasons]
        said += [(0, 0)] * (reasons - len(said))
        return (number, *scores, *facts, _PLACES.index(candidate.place), *chain.from_iterable(said))


def _item_row(item: Item) -> tuple[Any, ...]:
    published = item.published.isoformat() if item.published else None
    sketch = item.sketch.to_bytes(SKETCH_BITS // 8, "big") if item.sketch else None
    address = (spelled_once(item.url) or None) if item.url and item.kind == "essay" else None
    known = (item.id, item.kind, item.title, item.standfirst, item.url, item.category)
    return (*known, published, item.twins, sketch, address)


def item_of(row: tuple[Any, ...]) -> Item:
    """The item in a row of ITEM_COLUMNS."""
    ident, kind, title, standfirst, url, category, published, twins, sketch = row
    day = date.fromisoformat(published) if published else None
    return Item(ident, kind, title, standfirst, url, category, day, twins, int.from_bytes(sketch or b"", "big"))


def _list_row(number: int, lists: EssayLists, facts: _Facts) -> tuple[Any, ...]:
    entries = [*lists.curated, *lists.candidates, *lists.unlinked]
    most = max((len(entry.reasons) for entry in entries), default=0)
    columns = zip(*(facts.cells(entry, most) for entry in entries), strict=True)
    cells = array("i", chain.from_iterable(columns))
    facts.note_offered(number, {entry.id for entry in entries})
    twins = {entry.id: facts.twins[entry.id] for entry in entries if entry.id in facts.twins}
    return (
        *(lists.id, lists.list_length, len(lists.curated), len(lists.candidates), len(lists.unlinked)),
        *(_json([entry.id for entry in entries]), to_bytes(cells), _json(twins) if twins else ""),
    )


def _number(numbers: dict[str, int], name: str) -> int:
    """The name's number, the next free one for a new name."""
    return numbers.setdefault(name, len(numbers) + 1)


def _thousandths(value: float) -> int:
    return max(-_LARGEST, min(_LARGEST, round(value * _THOUSAND)))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
