"""The folder of a build's parts: what workers read and what they make, each file named after all that it depends on.

So a build that goes on from one that was killed finds its files by their names, and never takes one of other pages,
another model or other code for its own.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeVar
from zipfile import BadZipFile

from corpus.errors import EngineError
from recommender.engines.engine import Part, Task
from recommender.engines.files import make, name_of, read, remove
from recommender.versions import code_digest

_T = TypeVar("_T")


class PartsFolder:
    """url: of the folder, which need not exist: a path, or whatever fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._named: set[str] = set()

    def keep(self, data: bytes) -> str:
        """Write what a part is given and is too large for Part.given. Returns its URL."""
        return self.keep_written(hashlib.sha256(data).hexdigest(), lambda stream: stream.write(data))

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
        try:
            return decode(data)
        except (ValueError, KeyError, EOFError, OSError, BadZipFile, zlib.error) as error:
            remove([part.out])
            raise EngineError(f"{name_of(part.out)} was damaged and is removed: run this again") from error

    def clear(self) -> None:
        """Remove every file that was named here."""
        remove(self._named)
        self._named.clear()

    def _name(self, kind: str, digest: str) -> str:
        url = f"{self._url}/{kind}-{digest[:40]}"
        self._named.add(url)
        return url
