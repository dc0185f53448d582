"""How whoever writes into the log of decisions tells every process at once, at next to no cost for those who look.

    <home>/.decisions.signal    a few random bytes, others after each write, seen by all as shared memory

A look at the log itself is a system call, which a website's every request would pay. The signal is no more than a hint:
what it misses, as when a writer is killed before it gives it, is found by looking at the log now and then.
"""

import os
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path

FILE = ".decisions.signal"
_BYTES = 8


class Signal:
    """The signal of a home. make: whether its file is made where it is not there yet."""

    def __init__(self, home: Path, make: bool = False) -> None:
        self._path = home / FILE
        self._shared: mmap | None = None
        if make:
            with suppress(OSError):  # a home that may not be written
                _put(self._path, bytes(_BYTES), os.O_CREAT | os.O_EXCL)
        with suppress(OSError, ValueError), self._path.open("rb") as file:
            self._shared = mmap(file.fileno(), _BYTES, access=ACCESS_READ)

    def seen(self) -> bytes | None:
        """What to compare with what it was before; None where nobody can tell without looking at the log."""
        return self._shared[:_BYTES] if self._shared is not None else None


def give(home: Path) -> None:
    """Tell everybody that something was written. Where the file cannot be written they will find out by themselves."""
    with suppress(OSError):
        _put(home / FILE, os.urandom(_BYTES), os.O_CREAT)


def _put(path: Path, content: bytes, flags: int) -> None:
    """Write in place: the file must stay the one that others share."""
    descriptor = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        os.pwrite(descriptor, content, 0)
    finally:
        os.close(descriptor)
