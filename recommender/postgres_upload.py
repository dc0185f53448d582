"""How an edition gets into PostgreSQL: into a schema that nobody reads yet, which is renamed when it is whole.

    items categories signals lists offered    the tables of lists.sqlite3, cell by cell (list_store.py)
    essays     number, id, record: the lines of essays.jsonl
    vectors    see postgres_vectors.py
    links facts ridge    see postgres_links.py
    files      name, part, data: all other files of the edition, in parts

Renaming is what makes a standby safe: it knows the schema by its last name only when it has all that is in there.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from corpus.errors import EditionError
from recommender.disk import open_unchanging
from recommender.edition import ESSAYS, LISTS, VECTORS, Edition
from recommender.list_store import ITEM_COLUMNS, ROW_COLUMNS
from recommender.postgres import in_one_line, in_schema

UPLOAD = "related_upload"
"""The schema that is written to; under upload_lock there is one at most."""
TABLES = ("items", "categories", "signals", "lists", "offered", "essays", "files")
"""What every edition has; one without vectors has no table for them."""
_PREFIX = "related_"
_LONGEST = 63
"""Bytes of a name in PostgreSQL; it cuts longer ones."""
_PART = 4 << 20
"""Bytes."""
_MANY = 10_000
_UPLOADING = 0x52454C41_01
_TABLES = """
CREATE TABLE {0}.items (
    number int PRIMARY KEY, id text NOT NULL, kind text NOT NULL, title text, standfirst text, url text, category text,
    published text, twins text, sketch bytea, address text
);
CREATE TABLE {0}.categories (number int PRIMARY KEY, name text NOT NULL);
CREATE TABLE {0}.signals (number int PRIMARY KEY, name text NOT NULL);
CREATE TABLE {0}.lists (
    number int PRIMARY KEY, id text NOT NULL, list_length int NOT NULL, curated int NOT NULL, candidates int NOT NULL,
    unlinked int NOT NULL, targets text NOT NULL, numbers bytea NOT NULL, twins text NOT NULL
);
CREATE TABLE {0}.offered (item int PRIMARY KEY, pages bytea NOT NULL);
CREATE TABLE {0}.essays (number int PRIMARY KEY, id text NOT NULL, record text NOT NULL);
CREATE TABLE {0}.files (name text, part int, data bytea NOT NULL, PRIMARY KEY (name, part));
ALTER TABLE {0}.files ALTER data SET STORAGE EXTERNAL;
"""
_INDICES = """
CREATE INDEX ON {0}.items USING hash (id);
CREATE INDEX ON {0}.items USING hash (address);
CREATE INDEX ON {0}.lists USING hash (id);
CREATE INDEX ON {0}.essays USING hash (id);
"""
"""Hashes, since an id or address may be longer than a B-tree takes."""
_LISTS = {
    "items": f"number, {ITEM_COLUMNS}, address",
    "categories": "number, name",
    "signals": "number, name",
    "lists": f"number, id, {ROW_COLUMNS}",
    "offered": "item, pages",
}
_Progress = Callable[[int], object]


def schema_of(ident: str) -> str:
    """The schema of a whole edition. Raises EditionError for an id that no build gives."""
    name = _PREFIX + ident
    if len(name.encode()) > _LONGEST:
        raise EditionError(f"the id {ident!r} is too long for a database: rename the edition's folder, or build anew")
    return name


def wait_for_upload(db: psycopg.Connection) -> None:
    """Hold the database for one upload, until the connection ends; whoever comes meanwhile waits."""
    db.execute("SELECT pg_advisory_lock(%s)", (_UPLOADING,))


def upload(db: psycopg.Connection, edition: Edition, progress: _Progress) -> None:
    """Write all of an edition into UPLOAD, where a killed upload may have left something. Call under wait_for_upload().

    Raises EditionError when the edition is damaged, or has a text that PostgreSQL cannot hold.
    """
    edition.check()
    schema_of(edition.id)
    clear_upload(db)
    db.execute(in_schema("CREATE SCHEMA {}", UPLOAD))
    db.execute(in_schema(_TABLES, UPLOAD))
    try:
        _copy_lists(db, edition.folder / LISTS, progress)
        names = edition.manifest["files"]
        if ESSAYS in names:
            _copy(db, "essays", "number, id, record", _essays(edition.folder / ESSAYS))
        if VECTORS in names:
            from recommender.postgres_vectors import copy_vectors  # a service has no need of it, nor of numpy

            copy_vectors(db, edition, UPLOAD)
            if edition.manifest.get("lesson", {}).get("used"):
                from recommender.postgres_links import copy_links

                copy_links(db, edition, UPLOAD)
        for name in sorted(set(names) - {ESSAYS}):
            _copy(db, "files", "name, part, data", _parts(edition.folder / name))
    except psycopg.DataError as error:
        raise EditionError(
            f"edition {edition.id} has a text that PostgreSQL cannot hold ({in_one_line(error)}): mend the page and "
            "build again"
        ) from error
    db.execute(in_schema(_INDICES, UPLOAD))
    for table in TABLES:
        db.execute(in_schema(f"ANALYZE {{}}.{table}", UPLOAD))


def clear_upload(db: psycopg.Connection) -> None:
    """Remove what an upload has left."""
    db.execute(in_schema("DROP SCHEMA IF EXISTS {} CASCADE", UPLOAD))


def _copy_lists(db: psycopg.Connection, path: Path, progress: _Progress) -> None:
    with closing(open_unchanging(path)) as stored:
        for table, columns in _LISTS.items():
            rows = stored.execute(f"SELECT {columns} FROM {table} ORDER BY 1")  # noqa: S608
            _copy(db, table, columns, rows, progress if table == "lists" else None)


def _essays(path: Path) -> Iterator[tuple[Any, ...]]:
    """The file's lines; joined again they are the file."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            yield number, json.loads(line)["id"], line.rstrip("\n")


def _parts(path: Path) -> Iterator[tuple[str, int, bytes]]:
    with path.open("rb") as file:
        for part, data in enumerate(iter(lambda: file.read(_PART), b"")):
            yield path.name, part, data


def _copy(
    db: psycopg.Connection,
    table: str,
    columns: str,
    rows: Iterable[tuple[Any, ...]],
    progress: _Progress | None = None,
) -> None:
    with db.cursor().copy(in_schema(f"COPY {{}}.{table} ({columns}) FROM STDIN", UPLOAD)) as copy:
        done = 0
        for row in rows:
            copy.write_row(row)
            done += 1
            if progress and done % _MANY == 0:
                progress(_MANY)
        if progress:
            progress(done % _MANY)
