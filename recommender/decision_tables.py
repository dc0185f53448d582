"""The tables of the log of decisions, which the migrations in recommender/migrations make and change, and what is read
and written there. The SQL is plain: SQLite and PostgreSQL run the same."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from corpus.errors import DecisionRefused
from recommender.decisions import MAX_KEY, Decision

REVISION = "0001"
"""The newest migration."""
_MIGRATIONS = Path(__file__).parent / "migrations"


class Moment(sa.TypeDecorator[datetime]):
    """A time in UTC; databases keep it without a zone."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To the database."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(MAX_KEY), nullable=False, unique=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("position", sa.Integer),
    sa.Column("weight", sa.Float),
    sa.Column("state", sa.String(16)),
    sa.Column("editor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("expires", Moment),
    sa.Column("undoes", sa.Integer, sa.ForeignKey("decisions.id")),
    sa.Column("edition", sa.Text),
    sa.Column("source_title", sa.Text),
    sa.Column("source_url", sa.Text),
    sa.Column("target_title", sa.Text),
    sa.Column("target_url", sa.Text),
)
head = sa.Table(
    "head",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.Integer, nullable=False),
)
"""One row: the id of the last entry. Whoever appends changes it first, and so waits for whoever is appending: entries
are seen in the order of their ids, and a reader who asks for those after the last it knows misses none."""


def append(db: sa.Connection, entries: Sequence[Decision], undoing: Mapping[str, str]) -> list[Decision]:
    """See DecisionLog.append(); entries: checked."""
    last = _lock(db)
    keys = [entry.key for entry in entries] + sorted(undoing.values())
    written = {entry.key: entry for entry in _with_keys(db, keys)}
    found, new = list[Decision](), list[Decision]()
    for entry in entries:
        if entry.key in undoing:
            entry = _undoing(entry, written.get(undoing[entry.key]))
        if entry.key not in written:
            written[entry.key] = replace(entry, id=last + len(new) + 1)
            new.append(written[entry.key])
        elif _said(written[entry.key]) != _said(entry):
            raise DecisionRefused(f"the key {entry.key} is another decision's: send a new one")
        found.append(written[entry.key])
    _check_undone(new)
    _insert(db, new)
    return found


def take_over(db: sa.Connection, entries: Sequence[Decision]) -> int:
    """See DecisionLog.take_over()."""
    last, first = _lock(db), entries[0].id
    there = _select(db, decisions.c.id.between(first, entries[-1].id))
    if there != list(entries[: len(there)]):
        differing = next(mine.id for mine, other in zip(there, entries, strict=False) if mine != other)
        raise DecisionRefused(f"decision {differing} is another one there")
    new = entries[len(there) :]
    if new and new[0].id != last + 1:
        raise DecisionRefused(f"decision {new[0].id} would be decision {last + 1} there")
    _insert(db, new)
    return len(new)


def read_since(db: sa.Connection, last: int) -> list[Decision]:
    """The entries after this id, in order."""
    return _select(db, decisions.c.id > last)


def last_of(db: sa.Connection) -> tuple[Any, ...] | None:
    """What names the last entry: its id and its key. None where there is none."""
    found = db.execute(sa.select(decisions.c.id, decisions.c.key).order_by(decisions.c.id.desc()).limit(1)).first()
    return tuple(found) if found else None


def revision_of(db: sa.Connection) -> str | None:
    """The migration that the tables are at; None when there are none. Raises ValueError for one of a newer version."""
    if not sa.inspect(db).has_table("alembic_version"):
        return None
    found = db.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found > REVISION:
        raise ValueError(f"it was written by a newer version, revision {found}: install that version")
    return found


def migrate(db: sa.Connection) -> None:
    """Bring the tables to the newest migration. db: in a transaction, and the only one that does this."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = db
    command.upgrade(config, "head")


def _lock(db: sa.Connection) -> int:
    """Wait for whoever is appending, before anything is read; the id of the last entry."""
    db.execute(sa.update(head).values(last=head.c.last + 0))
    return int(db.execute(sa.select(head.c.last)).scalar_one())


def _insert(db: sa.Connection, entries: Sequence[Decision]) -> None:
    if entries:
        db.execute(sa.insert(decisions), [asdict(entry) for entry in entries])
        db.execute(sa.update(head).values(last=entries[-1].id))


def _select(db: sa.Connection, where: sa.ColumnElement[bool]) -> list[Decision]:
    rows = db.execute(sa.select(decisions).where(where).order_by(decisions.c.id))
    return [Decision(**row) for row in rows.mappings()]


def _with_keys(db: sa.Connection, keys: Sequence[str]) -> list[Decision]:
    found: list[Decision] = []
    for start in range(0, len(keys), _MANY):
        found += _select(db, decisions.c.key.in_(keys[start : start + _MANY]))
    return found


def _check_undone(entries: Sequence[Decision]) -> None:
    """An undo names an entry before it: ids have no gaps."""
    for entry in entries:
        if entry.undoes is not None and not 0 < entry.undoes < entry.id:
            raise DecisionRefused(f"there is no decision {entry.undoes} to undo")


def _undoing(entry: Decision, undone: Decision | None) -> Decision:
    if undone is None:
        raise DecisionRefused(f"decision {entry.key} undoes one that stands neither in the log nor before it")
    return replace(entry, undoes=undone.id)


_MANY = 500
_UNSAID = {"id", "at", "edition", "source_title", "source_url", "target_title", "target_url"}
_SAID = [entry.name for entry in fields(Decision) if entry.name not in _UNSAID]


def _said(decision: Decision) -> list[Any]:
    """What is the same when a decision is sent twice."""
    return [getattr(decision, name) for name in _SAID]
