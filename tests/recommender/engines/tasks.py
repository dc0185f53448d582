"""Tasks that do as they are told, for workers in other processes, which import them from here.

given: text, what is written; log, a file to which each run adds a line; once, a file that is there after the first run
of a task that fails once.
"""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from corpus.errors import CacheError


def write(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """The text."""
    if "log" in given:
        with Path(given["log"]).open("a") as log:
            log.write(f"{given['text']}\n")
    stream.write(given["text"].encode())


def die_once(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """Half of the text, then the worker dies; the second time all of it."""
    if _is_first(given):
        _write_half(given, stream)
        os.kill(os.getpid(), signal.SIGKILL)
    write(given, stream)


def die(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """Half of the text, then the worker dies, each time."""
    _write_half(given, stream)
    os.kill(os.getpid(), signal.SIGKILL)


def find_no_disk_once(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """Half of the text, then an OSError; the second time all of it."""
    if _is_first(given):
        find_no_disk(given, stream)
    write(given, stream)


def find_no_disk(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """Half of the text, then an OSError, each time."""
    _write_half(given, stream)
    raise OSError("no space left on device")


def refuse(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """Half of the text, then an expected failure."""
    write(given | {"text": "ref"}, stream)
    raise CacheError("the bread is stale: bake another")


def stumble(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """A mistake of the program."""
    raise ZeroDivisionError("nothing to share the bread among")


def hang(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """No end."""
    threading.Event().wait()


def tell_process(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """The id of the worker, and how many threads its libraries may have."""
    stream.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}".encode())


def _is_first(given: Mapping[str, Any]) -> bool:
    try:
        Path(given["once"]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _write_half(given: Mapping[str, Any], stream: BinaryIO) -> None:
    stream.write(given["text"][: len(given["text"]) // 2].encode())
    stream.flush()
