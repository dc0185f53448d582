"""Items and lists of an edition in PostgreSQL: the tables of list_store.py in a schema of the edition's own."""

from collections.abc import Iterator, Sequence
from threading import Lock

from psycopg import DataError
from psycopg.errors import UndefinedTable

from corpus.errors import EditionError
from recommender.list_store import ITEM_COLUMNS, ROW_COLUMNS, ListRow, Names, from_bytes, item_of, spelled_once
from recommender.postgres import Database, Row, in_schema
from recommender.ranking import Item

_BATCH = 2_000
"""So many rows are read at once where all are."""
_AHEAD = 256
"""So many essays' lists are kept: they are read with the essay, which whoever asks for lists has asked for before."""
_ITEM_WIDTH = len(ITEM_COLUMNS.split(", "))
_ITEM = ", ".join(f"i.{name}" for name in ITEM_COLUMNS.split(", "))
_ROW = ", ".join(f"l.{name}" for name in ROW_COLUMNS.split(", "))


class PostgresLists:
    """A ListReader. schema: the edition's. Raises EditionError when the edition is gone, StoreAway."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database, self._schema = database, schema
        self._item = in_schema(
            f"SELECT {_ITEM}, {_ROW} FROM {{0}}.items i LEFT JOIN {{0}}.lists l USING (id) WHERE id = %s",  # noqa: S608
            schema,
        )
        self._numbered = in_schema(f"SELECT {ITEM_COLUMNS} FROM {{}}.items WHERE number = ANY(%s::int[])", schema)  # noqa: S608
        self._named = in_schema(f"SELECT {ITEM_COLUMNS} FROM {{}}.items WHERE id = ANY(%s::text[])", schema)  # noqa: S608
        self._row_of = in_schema(f"SELECT {ROW_COLUMNS} FROM {{}}.lists WHERE id = %s", schema)  # noqa: S608
        self._lock = Lock()
        self._ahead: dict[str, ListRow] = {}
        self._names = Names((None, *self._named_in("categories")), ("", *self._named_in("signals")))

    def item(self, ident: str) -> Item | None:
        """See ListReader."""
        for row in self._ask(self._item, ident):
            if row[_ITEM_WIDTH] is not None:
                self._keep(ident, ListRow(self._names, row[_ITEM_WIDTH:]))
            return item_of(row[:_ITEM_WIDTH])
        return None

    def numbered(self, numbers: Sequence[int]) -> dict[str, Item]:
        """See ListReader."""
        return {row[0]: item_of(row) for row in self._ask(self._numbered, list(numbers))} if numbers else {}

    def named(self, idents: Sequence[str]) -> dict[str, Item]:
        """See ListReader."""
        return {row[0]: item_of(row) for row in self._ask(self._named, list(idents))} if idents else {}

    def essay_at(self, url: str) -> str | None:
        """See ListReader."""
        query = self._query("SELECT id FROM {}.items WHERE address = %s ORDER BY number DESC LIMIT 1")
        return next((row[0] for row in self._ask(query, spelled_once(url))), None)

    def row(self, ident: str) -> ListRow | None:
        """See ListReader."""
        with self._lock:
            known = self._ahead.get(ident)
        if known is not None:
            return known
        return next((ListRow(self._names, row) for row in self._ask(self._row_of, ident)), None)

    def offered_in(self, ident: str) -> frozenset[str]:
        """See ListReader."""
        query = self._query("SELECT pages FROM {0}.offered JOIN {0}.items ON item = number WHERE id = %s")
        for (pages,) in self._ask(query, ident):
            essays = self._query("SELECT id FROM {}.lists WHERE number = ANY(%s::int[])")
            return frozenset([essay for (essay,) in self._ask(essays, from_bytes(pages).tolist())])
        return frozenset()

    def essay_ids(self) -> Iterator[str]:
        """See ListReader."""
        return (row[0] for row in self._all("lists", "id"))

    def item_ids(self) -> Iterator[str]:
        """See ListReader."""
        return (row[0] for row in self._all("items", "id"))

    def items(self) -> Iterator[Item]:
        """See ListReader."""
        return map(item_of, self._all("items", ITEM_COLUMNS))

    def count_items(self) -> int:
        """See ListReader."""
        return int(self._ask(self._query("SELECT count(*) FROM {}.items"))[0][0])

    def _keep(self, ident: str, row: ListRow) -> None:
        with self._lock:
            while len(self._ahead) >= _AHEAD:
                del self._ahead[next(iter(self._ahead))]
            self._ahead[ident] = row

    def _named_in(self, table: str) -> list[str]:
        return [name for (name,) in self._ask(self._query(f"SELECT name FROM {{}}.{table} ORDER BY number"))]  # noqa: S608

    def _all(self, table: str, columns: str) -> Iterator[Row]:
        """All rows in the order of their numbers, some at a time: another host may go on where one goes away."""
        after = "WHERE number > %s ORDER BY number LIMIT %s"
        query = self._query(f"SELECT {columns}, number FROM {{}}.{table} {after}")  # noqa: S608
        last = 0
        while rows := self._ask(query, last, _BATCH):
            last = rows[-1][-1]
            for row in rows:
                yield row[:-1]

    def _query(self, query: str) -> bytes:
        return in_schema(query, self._schema)

    def _ask(self, query: bytes, *values: object) -> list[Row]:
        try:
            return self._database.rows(query, values)
        except (DataError, UnicodeEncodeError):  # no text, and so no id
            return []
        except UndefinedTable:
            raise EditionError(
                f"the edition in {self._schema} of {self._database.name} is gone: ask again for the current one, or "
                "run `related build`"
            ) from None
