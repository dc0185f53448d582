"""The log of editors' decisions: append-only, each entry once. Where it stands, a LogPlace knows.

    <home>/decisions.sqlite3                      by default: recommender/sqlite_log.py
    tables of a PostgreSQL database               recommender/postgres_log.py

SQLAlchemy is loaded when there is a log to read or to write.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from recommender.decisions import Decision, check
from recommender.sqlite_log import SqliteLog

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


class LogWatch(Protocol):
    """Tells whether a log has changed."""

    def hint(self) -> object:
        """What differs from before once this home, or another that tells of it, has written: without a look at the log,
        for every request. None where nobody can tell without a look."""
        ...

    def seen(self) -> object:
        """The look: what differs from before after each commit of any process. None while there is no log."""
        ...

    def is_replaced(self) -> bool:
        """Whether another log has taken this one's place, or none, so that both are to be opened anew."""
        ...

    def close(self) -> None:
        """Close what is open; another look opens it anew."""
        ...


class LogPlace(Protocol):
    """A database that holds a log. name: what people call it; it holds no secret. All raise DecisionLogError."""

    name: str

    def read(self, work: "Callable[[sa.Connection], list[Decision]]") -> list[Decision]:
        """What the work finds; nothing where there is no log yet."""
        ...

    def write(self, work: "Callable[[sa.Connection], T]") -> T:
        """What the work returns, once all that it wrote is where it outlasts a crash; none of it when it raises.

        The log is made where there is none. The work may be done again when nobody knows how it ended.
        """
        ...

    def watch(self, make_signal: bool) -> LogWatch:
        """See DecisionLog.watch()."""
        ...

    def close(self) -> None:
        """Close what is open; another use opens it anew."""
        ...


class DecisionLog:
    """A log of decisions, for many threads and processes. All of it raises DecisionLogError.

    A log that does not exist yet is empty, and made by the first append. place: that of a home's log is the home.
    """

    def __init__(self, place: Path | LogPlace) -> None:
        self._place: LogPlace = SqliteLog(place) if isinstance(place, Path) else place
        self.name = self._place.name

    def append(self, entries: Sequence[Decision], undoing: Mapping[str, str] | None = None) -> list[Decision]:
        """Write entries, all or none, and return them with their ids once a crash cannot take them away.

        An entry whose key is in the log already is not written again; what stands there is returned.
        undoing: of entries from elsewhere, which know no ids of this log: their keys -> the keys of what they undo.
        Raises DecisionRefused when an entry makes no sense, undoes what is not there, or has another's key.
        """
        from recommender import decision_tables

        checked = [check(entry) for entry in entries]
        return self._place.write(partial(decision_tables.append, entries=checked, undoing=undoing or {}))

    def take_over(self, entries: Sequence[Decision]) -> int:
        """Write entries of another log, all or none, under the ids that they have there; how many were new here.

        entries: at least one, in order and without a gap. Those that this log has must be the same in both; what comes
        after them must be the next here. Raises DecisionRefused, saying which is not.
        """
        from recommender import decision_tables

        return self._place.write(partial(decision_tables.take_over, entries=entries))

    def since(self, last: int = 0) -> list[Decision]:
        """The entries after this id, in order."""
        return self._place.read(partial(_read_since, last=last))

    def watch(self, make_signal: bool = False) -> LogWatch:
        """What tells, at hardly any cost, whether something was written.

        make_signal: have what the hint is read from made where it is not there yet.
        """
        return self._place.watch(make_signal)

    def close(self) -> None:
        """Close what is open."""
        self._place.close()


def _read_since(db: "sa.Connection", last: int) -> list[Decision]:
    from recommender.decision_tables import read_since

    return read_since(db, last)
