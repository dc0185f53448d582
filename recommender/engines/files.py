"""Files by URL, each written whole: a path, or whatever fsspec knows (s3://, gs://, memory:// ...).

On a disk a file is written aside, flushed and renamed. Elsewhere it is written under another key and moved: that is one
step where the store renames (SFTP, HDFS, memory) and a copy of a whole object where it does not (S3, Google, Azure),
which shows it whole or not at all.
"""

import os
import tempfile
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from gzip import BadGzipFile
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

from corpus.errors import EngineError
from recommender.disk import flush


def make(url: str, write: Callable[[BinaryIO], object]) -> None:
    """Write a file in one step, unless it is there."""
    system, path = _locate(url)
    if system.exists(path):
        return
    folder, _, name = path.rpartition("/")
    aside = f"{folder}/.{name}-{uuid.uuid4().hex}"
    system.makedirs(folder, exist_ok=True)
    try:
        with system.open(aside, "wb") as stream:
            write(stream)
        if _is_here(system):
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
    if _is_here(system):
        return Path(path)
    here = _fetched(url)
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


@contextmanager
def decoding(url: str) -> Iterator[None]:
    """Holds what decodes a file. One that turns out to be damaged is removed, so that the next run makes it anew, and
    EngineError raised."""
    try:
        yield
    except (ValueError, KeyError, EOFError, BadGzipFile, BadZipFile, zlib.error) as error:
        system, path = _locate(url)
        with suppress(FileNotFoundError):  # another process has found the same
            system.rm(path)
        if not _is_here(system):
            _fetched(url).unlink(missing_ok=True)
        raise EngineError(f"{name_of(url)} was damaged and is removed: run this again") from error


def remove_folder(url: str) -> None:
    """Remove a folder with all that it holds, unless it is not there; what cannot be removed stays."""
    system, path = _locate(url)
    names = sorted(_names(url))
    with suppress(OSError):  # a worker that was given up may still write there
        if names:
            system.rm([f"{path}/{name}" for name in names], recursive=True)
        system.rmdir(path)


def name_of(url: str) -> str:
    """The last part of a URL."""
    return url.rpartition("/")[2]


def _fetched(url: str) -> Path:
    """Where this machine keeps a file that is elsewhere."""
    return Path(tempfile.gettempdir()) / f"related-parts-{os.getuid()}" / name_of(url)


def _names(folder: str) -> set[str]:
    system, path = _locate(folder)
    system.invalidate_cache()
    try:
        return {name_of(found) for found in system.ls(path, detail=False)}
    except FileNotFoundError:
        return set()


def _is_here(system: Any) -> bool:
    """Whether these are the files of this machine."""
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _locate(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path on it. Raises EngineError when there is none such."""
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    if "://" not in url:  # to url_to_fs a path with "::" is a chain of URLs
        return LocalFileSystem(), url
    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        scheme = url.partition("://")[0]
        raise EngineError(f"{scheme}:// cannot be used for parts ({error}): correct the setting parts") from error
    return system, path
