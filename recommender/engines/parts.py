"""The folder of a build's parts: what workers read and what they make, each file named after all that it depends on.

So a build that goes on from one that was killed finds its files by their names, and never takes one of other pages,
another model or other code for its own.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

from corpus.errors import EngineError
from recommender.engines.engine import Part, Task
from recommender.engines.files import decoding, make, name_of, read, remove_folder
from recommender.versions import code_digest

_T = TypeVar("_T")
_DIGITS = 40  # of a digest, in a file's name


class PartsFolder:
    """url: of the folder, which need not exist and belongs to one home: a path, or whatever fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def keep(self, data: bytes) -> str:
        """Write what a part is given and is too large for Part.given, also in place of a damaged one. Returns its
        URL."""
        digest = hashlib.sha256(data).hexdigest()
        with suppress(FileNotFoundError, EngineError):
            read_given(self._name("given", digest))
        return self.keep_written(digest, lambda stream: stream.write(data))

    def keep_written(self, digest: str, write: Callable[[BinaryIO], object]) -> str:
        """The same of what is written to a stream. digest: hexadecimal, of all that this depends on."""
        url = self._name("given", digest)
        make(url, write)
        return url

    def part(self, task: Task, given: Mapping[str, Any]) -> Part:
        """The part of a task. given: all that its output depends on; files by what keep() returned."""
        described = json.dumps([given, code_digest()], sort_keys=True)
        digest = hashlib.sha256(described.encode()).hexdigest()
        return Part(given, self._name(getattr(task, "__name__", "part"), digest))

    def read(self, part: Part, decode: Callable[[bytes], _T]) -> _T:
        """What a part's file holds. Raises EngineError when it is damaged, and removes it."""
        data = read(part.out)
        with decoding(part.out):
            return decode(data)

    def clear(self) -> None:
        """Remove the folder, and what killed builds left in it."""
        remove_folder(self._url)

    def _name(self, kind: str, digest: str) -> str:
        return f"{self._url}/{kind}-{digest[:_DIGITS]}"


def read_given(url: str) -> bytes:
    """What PartsFolder.keep() was given. Raises EngineError when it is damaged, and removes it."""
    data = read(url)
    with decoding(url):
        check_digest(url, hashlib.sha256(data).hexdigest())
    return data


def check_digest(url: str, digest: str) -> None:
    """Raises ValueError unless this is the digest that the file is named by."""
    if not name_of(url).endswith(f"-{digest[:_DIGITS]}"):
        raise ValueError(f"{name_of(url)} is not what was written")
