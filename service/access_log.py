"""The access log: a line of JSON for each request, on standard output.

A line is made as its request ends and written by a thread some 100 ms later. No query string,
header or body ever gets in: see docs/watching.md for the fields.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as _quoted
from threading import Event, Thread
from time import gmtime, strftime

WRITTEN_EVERY_SECONDS = 0.1
LONGEST_ID = 200
"""A longer article id is cut to this many characters, so that every line can be written at a time."""
MOST_WAITING = 50_000
"""So many lines wait for a reader that is too slow; further ones are lost, and counted in a line of their own."""

_STANDARD_OUTPUT = 1
_LAST_WORDS_SECONDS = 2.0
_RETRIED_EVERY_SECONDS = 0.01
_WRITTEN_AT_A_TIME = 4096


class AccessLog:
    """The log of one process. The event loop calls write(); a thread writes to the descriptor.

    descriptor: the log writes to a copy of its own, made by start(), for a number that somebody closes is the next
    file's, which may be a database.

    It writes whole lines, at most 4,096 bytes at a time: up to PIPE_BUF, which is that on Linux, no other worker's
    write to the same pipe comes between, nor does Linux let one come between in a file. A reader that went away ends
    the log, not the service.
    """

    def __init__(self, descriptor: int = _STANDARD_OUTPUT, now: Callable[[], float] = time.time) -> None:
        self._descriptor, self._now = descriptor, now
        self._lines: deque[bytes] = deque()
        self._second, self._stamp = -1, ""
        self._lost = 0
        self._unsent = b""
        self._is_open = True
        self._ending = Event()
        self._thread = Thread(target=self._run, name="access log", daemon=True)

    def start(self) -> None:
        """Begin to write what comes, and what came. A process without standard output has no log."""
        if self._descriptor == _STANDARD_OUTPUT and sys.__stdout__ is None:
            self._end()
            return
        self._descriptor = os.dup(self._descriptor)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, if the reader takes it within two seconds."""
        self._tell_lost()
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_WORDS_SECONDS)

    def write(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        size: int,
        article: str | None = None,
        recommendation_id: str | None = None,
        variant: str | None = None,
        cache: str = "",
    ) -> None:
        """Note a request that was answered; what is not known of it becomes null. size: of the body, in bytes."""
        if not self._is_open:
            return
        if len(self._lines) >= MOST_WAITING:
            self._lost += 1
            return
        if self._lost:
            self._tell_lost()
        shown = "null" if article is None else _quoted(article[:LONGEST_ID])
        self._lines.append(
            f'{{"time": "{self._time()}", "method": {_quoted(method[:20])}, "route": {_quoted(route)}, '
            f'"article": {shown}, "status": {status}, "ms": {seconds * 1000:.3f}, "bytes": {size}, '
            f'"recommendation_id": {_text(recommendation_id)}, "variant": {_text(variant)}, '
            f'"cache": {_text(cache)}}}\n'.encode()
        )

    def _tell_lost(self) -> None:
        if self._lost:
            self._lines.append(f'{{"time": "{self._time()}", "lost_lines": {self._lost}}}\n'.encode())
            self._lost = 0

    def _time(self) -> str:
        """UTC to the millisecond; the text of a second is made once."""
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second, self._stamp = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"

    def _run(self) -> None:
        while self._is_open and not self._ending.wait(WRITTEN_EVERY_SECONDS):
            self._flush()
        while self._is_open and (self._lines or self._unsent):
            self._flush()
            time.sleep(_RETRIED_EVERY_SECONDS)
        os.close(self._descriptor)

    def _flush(self) -> None:
        """Write what waits. What a full disk, or a full pipe that does not block, leaves is tried again."""
        while chunk := self._chunk():
            try:
                sent = os.write(self._descriptor, chunk)
            except BrokenPipeError:
                self._end()
                return
            except OSError:
                sent = 0
            self._unsent = chunk[sent:]
            if self._unsent:
                return

    def _end(self) -> None:
        """Nobody reads: what waits is dropped, and nothing more is kept."""
        self._is_open = False
        self._lines.clear()

    def _chunk(self) -> bytes:
        """What waits in whole lines, as many as may be written at a time."""
        chunk = self._unsent
        while self._lines and (not chunk or len(chunk) + len(self._lines[0]) <= _WRITTEN_AT_A_TIME):
            chunk += self._lines.popleft()
        return chunk


def _text(text: str | None) -> str:
    return _quoted(text) if text else "null"
