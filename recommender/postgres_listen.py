"""One connection to the primary that hears, within milliseconds, what other processes and machines have written.

LISTEN works on a primary only. While no connection stands, as when another host is being made the primary, nothing is
heard, and whoever must know asks the database itself.
"""

import time
from threading import Event, Lock, Thread, current_thread
from weakref import finalize

import psycopg

from corpus.errors import EditionError
from recommender.postgres import Database

EDITIONS = "related_edition"
"""The channel that tells of another current edition."""
DECISIONS = "related_decisions"
"""The channel that tells of new decisions."""
RETRY_SECONDS = 0.25
BEAT_SECONDS = 5.0
"""The connection is tried this often: a host that vanished says nothing of it."""
_WAKE_SECONDS = 0.2
"""How soon the thread sees that it should end."""


class Listener:
    """Hears both channels, in a thread of its own from the first question on; for many threads.

    It ends with close(), when nobody holds it any more, or with the process.
    """

    def __init__(self, database: Database) -> None:
        self._ear = _Ear(database)
        self.close = finalize(self, self._ear.end)

    def heard(self, channel: str) -> int | None:
        """A number that grows with whatever is heard there, and with each new connection: before that, something may
        have been missed. None while nothing can be heard."""
        return self._ear.heard(channel)


class _Ear:
    """The thread, which does not keep the Listener alive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts = {EDITIONS: 0, DECISIONS: 0}
        self._hears = False
        self._ended = Event()
        self._starting = Lock()
        self._thread: Thread | None = None

    def heard(self, channel: str) -> int | None:
        if self._thread is None:
            self._start()
        return self._counts[channel] if self._hears else None

    def end(self) -> None:
        self._ended.set()
        if self._thread not in (None, current_thread()):  # the thread may be the one to clear the Listener away
            self._thread.join(timeout=2 * BEAT_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="listening to the database", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen()
            except (EditionError, psycopg.Error, OSError):
                pass  # whoever asks the database itself will say what is wrong
            finally:
                self._hears = False
            self._ended.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        with self._database.primary(limit=BEAT_SECONDS) as db:
            for channel in self._counts:
                db.execute(f"LISTEN {channel}".encode())
            for channel in self._counts:
                self._counts[channel] += 1
            self._hears = True
            beat = time.monotonic() + BEAT_SECONDS
            while not self._ended.is_set():
                for notice in db.notifies(timeout=_WAKE_SECONDS):
                    self._counts[notice.channel] += 1
                if time.monotonic() >= beat:
                    db.execute(b"SELECT 1")
                    beat = time.monotonic() + BEAT_SECONDS
