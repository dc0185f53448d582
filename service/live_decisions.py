"""The editors' decisions as they stand now: whatever any process has written is heard before the next answer."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from threading import Lock
from typing import NamedTuple

from corpus.errors import DecisionLogError
from recommender.decision_log import DecisionLog
from recommender.edition import Edition
from recommender.standing import BEGINNING, Log, Standing

_UNREAD = object()
TRY_AGAIN = timedelta(seconds=3)
"""A log that cannot be read is read again this often, though nobody has written."""
PATIENCE = 0.5
"""Seconds that a request waits for another thread to read what is new, before it is answered by what was known."""
_log = logging.getLogger(__name__)


class _Held(NamedTuple):
    """What holds in an edition, found from these entries."""

    edition: Edition
    entries: Log
    standing: Standing
    pages: "_Pages"


class _Pages:
    """What replaying must know of an edition, which never changes: each thing is looked up once."""

    def __init__(self, edition: Edition) -> None:
        self.has = cache(edition.has)
        self.offered_in = cache(edition.offered_in)


class LiveDecisions:
    """What holds, for the edition that is asked about; for many threads.

    standing() costs a look at the writers' hint, and reads what is new when that has changed. follow(), which is called
    now and then, looks at the log itself. A log that cannot be read any more leaves what was read before in force, and
    `fault` says so; one that never could be raises.
    """

    def __init__(self, log: DecisionLog, now: Callable[[], datetime], make_signal: bool = False) -> None:
        self._log, self._now = log, now
        self._watch = log.watch(make_signal)
        self._reading, self._finding = Lock(), Lock()
        self._entries = Log()
        self._is_read = False
        self._hint: object = None
        self._seen: object = _UNREAD
        self._held: _Held | None = None
        self._tried = BEGINNING
        self.fault: str | None = None

    def standing(self, edition: Edition) -> Standing:
        """What holds now in this edition; the same object as long as that is the same. Raises DecisionLogError, and
        what the edition raises where it cannot be read."""
        hint = self._watch.hint()
        if not self._is_heard(hint):
            self._hear(hint)
        with self._finding:
            held, entries = self._held, self._entries
            is_same = held is not None and held.edition is edition and held.entries is entries
            if held is None or not is_same or self._has_expired(held.standing):
                pages = held.pages if held is not None and held.edition is edition else _Pages(edition)
                self._held = held = _Held(edition, entries, Standing(entries, self._now(), pages), pages)
            return held.standing

    def holds(self, standing: Standing) -> bool:
        """Whether this is what holds now, as far as can be told without waiting for anything."""
        held = self._held
        is_held = held is not None and held.standing is standing and held.entries is self._entries
        return is_held and self._is_heard(self._watch.hint()) and not self._has_expired(standing)

    @property
    def are_known(self) -> bool:
        """Whether it is known what holds: false only where a log could not be read from the start."""
        return self._is_read or self.fault is None

    def follow(self) -> None:
        """Look at the log itself: whether anything was written without a hint, whether another log took its place, as
        when a copy is put back, and whether one that could not be read can be read by now; now and then is enough."""
        with self._reading:
            if self._watch.is_replaced() or self._may_try_again():
                self._watch.close()
                self._log.close()
                self._seen = _UNREAD
            try:
                self._look(self._watch.hint())
            except DecisionLogError:  # `fault` says so, and so will the next request
                return

    def close(self) -> None:
        """Close what is open; the last of all processes to do so has the whole log in one file."""
        with self._reading:
            self._watch.close()
            self._log.close()

    def _is_heard(self, hint: object) -> bool:
        """Whether nothing is new by the hint."""
        return self._is_read and hint is not None and hint == self._hint

    def _hear(self, hint: object) -> None:
        """Look at the log. hint: was seen before that."""
        if self._reading.acquire(timeout=PATIENCE if self._is_read else -1):
            try:
                if not self._is_heard(hint):
                    self._look(hint)
            finally:
                self._reading.release()

    def _look(self, hint: object) -> None:
        seen = self._watch.seen()
        if seen != self._seen:
            self._read_on(is_there=seen is not None)
        self._hint, self._seen = hint, seen

    def _read_on(self, is_there: bool) -> None:
        """Read what is new. Raises DecisionLogError where nothing was ever read."""
        self._tried = self._now()
        try:
            if is_there:
                self._entries = self._grown()
            elif self._entries.last:
                raise DecisionLogError(f"the log of decisions {self._log.name} is gone: put a copy of it back")
            self._is_read, self.fault = True, None
        except DecisionLogError as error:
            before, self.fault = self.fault, str(error)
            if not self._is_read:
                raise
            self.fault += "; what was read before is in force"
            if self.fault != before:
                _log.exception("decisions cannot be read")

    def _grown(self) -> Log:
        """The log now. Where it does not go on from what is known, as after a copy was put back or a standby took over
        that had not heard of all, it is another one, and read from the start."""
        known = self._entries
        if not known.last:
            return known.with_(self._log.since())
        found = self._log.since(known.last - 1)
        if found[:1] != [known.decisions[known.last]]:
            return Log().with_(self._log.since())
        return known.with_(found[1:]) if found[1:] else known

    def _may_try_again(self) -> bool:
        """Whether what could not be read should be tried again."""
        return bool(self.fault) and abs(self._now() - self._tried) >= TRY_AGAIN

    def _has_expired(self, standing: Standing) -> bool:
        return standing.next_change is not None and self._now() >= standing.next_change


def standing_of(log: DecisionLog, edition: Edition, now: datetime) -> Standing:
    """What a log says now, read once and closed. Raises DecisionLogError."""
    try:
        return Standing(Log().with_(log.since()), now, edition)
    finally:
        log.close()


def undecided(edition: Edition) -> Standing:
    """No decision at all."""
    return Standing(Log(), BEGINNING, edition)
