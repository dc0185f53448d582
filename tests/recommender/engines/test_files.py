"""Files by URL, written whole."""

import uuid
from pathlib import Path
from typing import BinaryIO

import pytest

from corpus.errors import EngineError
from recommender.engines.files import make, present, read, remove


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a folder that is not there yet."""
    within = tmp_path / "parts" / uuid.uuid4().hex
    return {"path": str(within), "file": within.as_uri(), "memory": f"memory:/{within}"}[str(request.param)]


def put(url: str, text: str) -> None:
    make(url, lambda stream: stream.write(text.encode()))


def test_a_file_is_read_as_it_was_written_and_never_written_again(folder: str) -> None:
    put(f"{folder}/bread", "rye")
    put(f"{folder}/bread", "wheat")

    assert read(f"{folder}/bread") == b"rye"


def test_those_that_are_there_are_told_from_those_that_are_not(folder: str) -> None:
    put(f"{folder}/bread", "rye")

    assert present([f"{folder}/bread", f"{folder}/clock", f"{folder}/none/map"]) == {f"{folder}/bread"}
    assert present([]) == set()


def test_while_a_file_is_written_and_when_that_fails_nothing_of_it_is_there(folder: str) -> None:
    url = f"{folder}/bread"

    def fail(stream: BinaryIO) -> None:
        stream.write(b"ry")
        assert present([url]) == set()
        raise RuntimeError("out of flour")

    with pytest.raises(RuntimeError, match="out of flour"):
        make(url, fail)

    assert present([url]) == set()
    put(url, "rye")
    assert read(url) == b"rye"


def test_what_is_removed_takes_along_what_killed_writers_left_of_it_and_nothing_else(folder: str) -> None:
    begun = f".bread-{uuid.uuid4().hex}"
    others = f".map-{uuid.uuid4().hex}"
    for name in ("bread", "clock", begun, others):
        put(f"{folder}/{name}", "rye")

    remove([f"{folder}/bread", f"{folder}/never"])

    names = ("bread", "clock", begun, others)
    assert present(f"{folder}/{name}" for name in names) == {f"{folder}/clock", f"{folder}/{others}"}


def test_a_folder_that_is_empty_goes_too(tmp_path: Path) -> None:
    put(f"{tmp_path}/parts/bread", "rye")

    remove([f"{tmp_path}/parts/bread"])

    assert list(tmp_path.iterdir()) == []


def test_a_kind_of_url_that_nothing_reads_is_refused_with_a_sentence() -> None:
    with pytest.raises(EngineError, match=r"^nowhere:// cannot be used for parts \(.*\): correct the setting parts$"):
        read("nowhere://bucket/bread")
