"""Files by URL, written whole."""

import uuid
from pathlib import Path
from typing import BinaryIO

import pytest

from corpus.errors import EngineError
from recommender.engines.files import decoding, make, present, read, remove_folder


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


def test_a_folder_goes_with_all_that_it_holds_and_nothing_else(folder: str) -> None:
    begun = f".bread-{uuid.uuid4().hex}"  # by a writer that was killed
    for url in (f"{folder}/bread", f"{folder}/{begun}", f"{folder}-other/bread"):
        put(url, "rye")

    remove_folder(folder)
    remove_folder(folder)

    assert present([f"{folder}/bread", f"{folder}/{begun}", f"{folder}-other/bread"]) == {f"{folder}-other/bread"}


def test_a_file_that_is_damaged_goes_and_can_be_made_again(folder: str) -> None:
    put(f"{folder}/bread", "rye")

    for _worker in range(2):
        with (
            pytest.raises(EngineError, match=r"^bread was damaged and is removed: run this again$"),
            decoding(f"{folder}/bread"),
        ):
            raise ValueError("crumbs")

    put(f"{folder}/bread", "wheat")
    assert read(f"{folder}/bread") == b"wheat"


def test_a_path_is_a_path_whatever_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a::b" / "s3:c"
    put(f"{folder}/bread", "rye")

    assert [path.read_text() for path in folder.iterdir()] == ["rye"]
    assert read(f"{folder}/bread") == b"rye"
    assert present([f"{folder}/bread"]) == {f"{folder}/bread"}
    remove_folder(str(folder))
    assert list((tmp_path / "a::b").iterdir()) == []


def test_a_kind_of_url_that_nothing_reads_is_refused_with_a_sentence() -> None:
    with pytest.raises(EngineError, match=r"^nowhere:// cannot be used for parts \(.*\): correct the setting parts$"):
        read("nowhere://bucket/bread")
