"""Files that outlive a power cut, written whole and on the disk before the next step is taken; and files of SQLite that
nobody changes any more."""

import os
import sqlite3
import threading
from pathlib import Path


def flush(path: Path) -> None:
    """Have the file or folder on the disk before the next step is taken."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write or replace a file in one step: whoever reads it, also after a crash, finds the old text or the new one."""
    aside = path.with_name(f".{path.name}-{threading.get_native_id()}")  # no two writers have the same one
    try:
        aside.write_text(text, encoding="utf-8")
        flush(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)  # on a full disk every byte counts
        raise
    flush(path.parent)


def open_unchanging(path: Path) -> sqlite3.Connection:
    """A SQLite file that never changes again, for any thread to read. Nothing is locked, and nobody can write into it,
    not even by a file descriptor that was taken for another."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
