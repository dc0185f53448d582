"""The edition that the service answers from: it follows what is published, and survives what is damaged."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from corpus.errors import EditionError, NoEdition
from recommender.edition import Edition, current_id, list_editions, open_edition
from recommender.ranking import Rules
from service.answers import Answers

LOOK_EVERY = timedelta(seconds=1)
RETRY_EVERY = timedelta(minutes=1)
"""A damaged edition is tried again this often though nobody has published: a disk may have been away."""

_AFTER_EVERY_ID = "~"
_CANNOT_OPEN = (EditionError, OSError, ValueError)  # ValueError: `current` is not text
_log = logging.getLogger(__name__)

_Mark = tuple[int, int, int] | None


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class View:
    """What is served at one moment: an edition or None, and what is wrong, as sentences."""

    edition: Edition | None = None
    faults: tuple[str, ...] = ()


class LiveEdition:
    """The current edition of a home, opened; for many threads.

    At most once a second one thread looks whether another edition was published, and opens it while the others go on
    with the old one. A new edition that is damaged leaves the old one in place. When the first one is damaged, the
    newest intact one before it stands in.
    """

    def __init__(self, home: Path, now: Callable[[], datetime] = utc_now, site: Rules = Rules()) -> None:  # noqa: B008
        self._home = home
        self._site = site
        self._now = now
        self._lock = Lock()
        self._view = View()
        self._looked: datetime | None = None
        self._tried: datetime | None = None
        self._mark: _Mark = None

    def view(self) -> View:
        """What is served now. The very first call opens the edition, and calls beside it wait for that."""
        if self._is_due() and self._lock.acquire(blocking=self._looked is None):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._view

    def edition(self) -> Edition:
        """The edition served now. Raises NoEdition when there is none."""
        view = self.view()
        if view.edition is None:
            raise NoEdition("; ".join(view.faults))
        return view.edition

    def answers(self) -> Answers:
        """The answers of the edition served now. Raises NoEdition when there is none."""
        return Answers(self.edition(), self._site)

    def _is_due(self) -> bool:
        return self._looked is None or abs(self._now() - self._looked) >= LOOK_EVERY

    def _look(self) -> None:
        now, mark = self._now(), _mark(self._home)
        retry = bool(self._view.faults) and self._tried is not None and abs(now - self._tried) >= RETRY_EVERY
        if self._looked is None or mark != self._mark or retry:
            view = self._open()
            if view != self._view:
                _log.log(logging.WARNING if view.faults else logging.INFO, "%s", _describe(view))
            self._view, self._mark, self._tried = view, mark, now
        self._looked = now

    def _open(self) -> View:
        held, ident = self._view.edition, _AFTER_EVERY_ID
        try:
            ident = current_id(self._home)
            return View(held if held and held.id == ident else open_edition(self._home, ident))
        except _CANNOT_OPEN as error:
            stand_in = held or self._newest_intact(ident)
            faults = [str(error)]
            if stand_in:
                faults.append(f"edition {stand_in.id} is served instead")
            return View(stand_in, tuple(faults))

    def _newest_intact(self, before: str) -> Edition | None:
        try:
            intact = [entry.id for entry in list_editions(self._home) if entry.id < before and not entry.broken]
            return open_edition(self._home, intact[0]) if intact else None
        except _CANNOT_OPEN:
            return None


def _mark(home: Path) -> _Mark:
    """What changes whenever an edition is published; None when there is none."""
    try:
        found = (home / "current").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _describe(view: View) -> str:
    return "; ".join(view.faults) or f"edition {view.edition.id if view.edition else None} is served"
