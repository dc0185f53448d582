"""The editors' decisions as they stand now: whatever any process has written is heard before the next answer."""

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from corpus.errors import DecisionLogError
from recommender.decision_signal import Signal
from recommender.decisions import LOG_FILE
from recommender.edition import Edition
from recommender.standing import BEGINNING, Log, Standing

if TYPE_CHECKING:
    from recommender.decision_log import DecisionLog

_UNREAD = object()
TRY_AGAIN = timedelta(seconds=10)
"""A log that cannot be read is read again this often, though nobody has written."""
_log = logging.getLogger(__name__)


class LiveDecisions:
    """What holds, for the edition that is asked about; for many threads.

    standing() costs a look at the writers' signal, and reads what is new when that has changed. After follow(), which
    is called now and then, it looks at the log itself. A log that cannot be read any more leaves what was read before
    in force, and `fault` says so; one that never could be raises.
    """

    def __init__(self, home: Path, now: Callable[[], datetime], make_signal: bool = False) -> None:
        self._home, self._now = home, now
        self._path = str(home / LOG_FILE)
        self._lock = Lock()
        self._log = Log()
        self._reader: DecisionLog | None = None
        self._watch = self._open().watch() if os.path.exists(self._path) else None  # noqa: PTH110
        self._signal = Signal(home, make_signal)
        self._given: bytes | None = None
        self._look = True
        self._seen: object = None
        self._is_another = False
        self._standing: Standing | None = None
        self._edition: Edition | None = None
        self._tried = BEGINNING
        self.fault: str | None = None

    def standing(self, edition: Edition) -> Standing:
        """What holds now in this edition; the same object as long as that is the same. Raises DecisionLogError."""
        with self._lock:
            given, held = self._signal.seen(), self._standing
            if held is None or self._edition is not edition or self._has_expired(held):
                return self._find(edition, given)
            if self._look or given is None or given != self._given:
                return self._find(edition, given)
            return held

    def _find(self, edition: Edition, given: bytes | None) -> Standing:
        """Look at the log itself. given: the signal, which was seen before that."""
        if self._watch is None and os.path.exists(self._path):  # noqa: PTH110 (a quarter of the time)
            self._watch = self._open().watch()
        seen, held = self._watch.seen() if self._watch else None, self._standing
        self._given, self._look = given, False
        if held is not None and self._edition is edition and seen == self._seen and not self._has_expired(held):
            return held
        if seen != self._seen:
            self._read_on()
        self._seen, self._edition = seen, edition
        self._standing = Standing(self._log, self._now(), edition)
        return self._standing

    @property
    def are_known(self) -> bool:
        """Whether it is known what holds: false only where a log could not be read from the start."""
        return self._standing is not None or self.fault is None

    def follow(self) -> None:
        """Look whether the log was replaced by another file, as when a copy is put back, and whether one that could not
        be read can be read by now; now and then is enough."""
        with self._lock:
            self._look = True
            if self._watch is not None and (self._watch.is_replaced() or self._may_try_again()):
                self._watch.close()
                if self._reader is not None:
                    self._reader.close()
                self._is_another, self._seen = True, _UNREAD

    def close(self) -> None:
        """Close what is open; the last of all processes to do so has the whole log in one file."""
        with self._lock:
            self._signal.close()
            if self._watch is not None:
                self._watch.close()
            if self._reader is not None:
                self._reader.close()

    def _may_try_again(self) -> bool:
        """Whether what could not be read should be tried again."""
        return bool(self.fault) and self._now() - self._tried >= TRY_AGAIN

    def _has_expired(self, standing: Standing) -> bool:
        return standing.next_change is not None and self._now() >= standing.next_change

    def _read_on(self) -> None:
        known = Log() if self._is_another else self._log
        self._tried = self._now()
        try:
            if self._watch is not None and not os.path.exists(self._path):  # noqa: PTH110
                raise DecisionLogError(f"the log of decisions {self._home / LOG_FILE} is gone: put a copy of it back")
            self._log = known.with_(self._open().since(known.last))
            self._is_another, self.fault = False, None
        except DecisionLogError as error:
            before, self.fault = self.fault, str(error)
            if self._standing is None:
                raise
            self.fault += "; what was read before is in force"
            if self.fault != before:
                _log.exception("decisions cannot be read")

    def _open(self) -> "DecisionLog":
        """SQLAlchemy is loaded when there is a log."""
        from recommender.decision_log import DecisionLog

        if self._reader is None:
            self._reader = DecisionLog(self._home)
        return self._reader


def standing_of(home: Path, edition: Edition, now: datetime) -> Standing:
    """What the log of a home says now, read once. Raises DecisionLogError."""
    decisions = LiveDecisions(home, lambda: now)
    try:
        return decisions.standing(edition)
    finally:
        decisions.close()


def undecided(edition: Edition) -> Standing:
    """No decision at all."""
    return Standing(Log(), BEGINNING, edition)
