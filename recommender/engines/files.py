"""Files by URL, each written whole: a path, or whatever fsspec knows (s3://, gs://, memory:// ...).

On a disk a file is written aside, flushed and renamed. Elsewhere it is written under another key and moved: that is one
step where the store renames (SFTP, HDFS, memory) and a copy of a whole object where it does not (S3, Google, Azure),
which shows it whole or not at all.
"""

import os
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from corpus.errors import EngineError
from recommender.disk import flush


def make(url: str, write: Callable[[BinaryIO], object]) -> None:
    """Write a file in one step, unless it is there."""
    system, path = _locate(url)
    if system.exists(path):
        return
    folder, _, name = path.rpartition("/")
    aside = f"{folder}/{_ASIDE}{name}-{uuid.uuid4().hex}"
    system.makedirs(folder, exist_ok=True)
    try:
        with system.open(aside, "wb") as stream:
            write(stream)
        if "file" in _protocols(system):
            flush(Path(aside))
            Path(aside).replace(path)
            flush(Path(folder))
        else:
            system.mv(aside, path)
    except BaseException:
        with suppress(Exception):  # the first error tells more
            system.rm(aside)
        raise


def read(url: str) -> bytes:
    """All of a file."""
    system, path = _locate(url)
    data: bytes = system.cat_file(path)
    return data


def at_hand(url: str) -> Path:
    """A file that is named by what it holds, on this machine; fetched once if it is elsewhere."""
    system, path = _locate(url)
    if "file" in _protocols(system):
        return Path(path)
    here = Path(tempfile.gettempdir()) / f"related-parts-{os.getuid()}" / name_of(url)
    here.parent.mkdir(mode=0o700, exist_ok=True)
    if here.parent.stat().st_uid != os.getuid():
        raise EngineError(f"{here.parent} is somebody else's: remove it, or set TMPDIR to a folder of your own")
    if not here.exists():
        with tempfile.TemporaryDirectory(dir=here.parent) as aside:
            fetched = Path(aside) / here.name
            system.get_file(path, str(fetched))
            with suppress(OSError):  # another process of this machine was quicker
                fetched.rename(here)
    return here


def present(urls: Iterable[str]) -> set[str]:
    """Which of the files are there; each folder is listed once."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for url in urls:
        by_folder[url.rpartition("/")[0]].append(url)
    return {
        url for folder, some in by_folder.items() for names in [_names(folder)] for url in some if name_of(url) in names
    }


def remove(urls: Iterable[str]) -> None:
    """Remove the files, those that are not there too, and what was left of writing them; an empty folder as well."""
    by_folder: defaultdict[str, set[str]] = defaultdict(set)
    for url in urls:
        by_folder[url.rpartition("/")[0]].add(name_of(url))
    for folder, names in by_folder.items():
        system, path = _locate(folder)
        listed = _names(folder)
        going = {name for name in listed if name in names or _written_as(name) in names}
        if going:
            system.rm([f"{path}/{name}" for name in sorted(going)])
        if going == listed:
            with suppress(OSError):  # another build may just have begun to write there
                system.rmdir(path)


def name_of(url: str) -> str:
    """The last part of a URL."""
    return url.rpartition("/")[2]


_ASIDE = "."
_UUID_DIGITS = 32


def _written_as(name: str) -> str:
    """What a file that is written aside is to be called."""
    return name[len(_ASIDE) : -_UUID_DIGITS - 1] if name.startswith(_ASIDE) else ""


def _names(folder: str) -> set[str]:
    system, path = _locate(folder)
    system.invalidate_cache()
    try:
        return {name_of(found) for found in system.ls(path, detail=False)}
    except FileNotFoundError:
        return set()


def _protocols(system: Any) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


def _locate(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path on it. Raises EngineError when there is none such."""
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        scheme = url.partition("://")[0]
        raise EngineError(f"{scheme}:// cannot be used for parts ({error}): correct the setting parts") from error
    return system, path
