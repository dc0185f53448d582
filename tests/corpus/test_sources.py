"""Files and folders -> pages."""

import errno
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.errors import SourceNotFound
from corpus.essay import Essay, PageProblem
from corpus.sources import KINDS, PageOptions, kind_of, list_pages, read_pages
from tests.corpus.pages import HTML, LAYOUT_A, LAYOUT_B, MARKDOWN, RECORDS

OPTIONS = PageOptions()


def write(path: Path, content: str | bytes = LAYOUT_A) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(*sources: Path, options: PageOptions = OPTIONS) -> list[Essay | PageProblem]:
    return list(read_pages(list_pages(sources).files, options))


def ids(pages: list[Essay | PageProblem]) -> list[str]:
    return [page.id if isinstance(page, Essay) else f"({page})" for page in pages]


# --- Which files --------------------------------------------------------------------------------------------------


def test_sources_are_read_as_given_and_folders_in_name_order(tmp_path: Path) -> None:
    for name in ("site/b.txt", "site/a.txt", "site/deeper/c.txt", "other/z.txt", "y.txt"):
        write(tmp_path / name)

    listing = list_pages([tmp_path / "y.txt", tmp_path / "site", tmp_path / "other" / "z.txt"])

    assert [path.relative_to(tmp_path).as_posix() for path in listing.files] == [
        "y.txt",
        "site/a.txt",
        "site/b.txt",
        "site/deeper/c.txt",
        "other/z.txt",
    ]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    page = write(tmp_path / "a.txt")

    assert list_pages([page, tmp_path, page]).files == (page,)


def test_hidden_files_and_folders_and_linked_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / ".draft.txt")
    write(tmp_path / ".git" / "a.txt")
    elsewhere = write(tmp_path / "elsewhere" / "b.txt").parent
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "link").symlink_to(elsewhere)
    (tmp_path / "site" / "loop").symlink_to(tmp_path)

    assert list_pages([tmp_path]).files == (elsewhere / "b.txt",)
    assert list_pages([tmp_path]).passed_over == {}


def test_a_linked_file_is_read(tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere" / "b.txt")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.txt").symlink_to(target)

    assert ids(read(tmp_path / "site")) == ["a"]


def test_files_of_unknown_kinds_are_counted_in_folders(tmp_path: Path) -> None:
    for name in ("a.txt", "b.PNG", "c.png", "d.pdf", "Makefile"):
        write(tmp_path / name)

    listing = list_pages([tmp_path])

    assert listing.files == (tmp_path / "a.txt",)
    assert listing.passed_over == {".pdf": 1, ".png": 2, "Makefile": 1}


def test_a_file_of_an_unknown_kind_that_is_named_is_a_problem(tmp_path: Path) -> None:
    page = write(tmp_path / "a.pdf")

    assert read(page) == [PageProblem(str(page), f"not a page: its name ends in none of {', '.join(sorted(KINDS))}")]


def test_a_folder_named_like_a_page_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "x.txt" / "a.txt")
    (tmp_path / "empty.txt").mkdir()

    assert ids(read(tmp_path)) == ["a"]
    assert ids(read(tmp_path / "x.txt")) == ["a"]


def test_a_source_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"

    with pytest.raises(
        SourceNotFound, match=f"^{missing} does not exist: name a page, a folder of pages or a .jsonl file$"
    ):
        list_pages([tmp_path, missing])


def test_an_empty_folder_holds_no_page(tmp_path: Path) -> None:
    assert list_pages([tmp_path]).files == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text"),
        ("a.TEXT", "text"),
        ("a.html", "html"),
        ("a.HTM", "html"),
        ("a.xhtml", "html"),
        ("a.md", "markdown"),
        ("a.markdown", "markdown"),
        ("a.jsonl", "records"),
        ("a.ndjson.gz", "records"),
        ("A.JSONL.GZ", "records"),
        ("v1.2.txt", "text"),
        ("A title. With a stop.txt", "text"),
        ("a.txt.gz", None),
        ("a.gz", None),
        ("a.json", None),
        ("txt", None),
        (".txt", None),
    ],
)
def test_the_kind_of_a_page_is_told_by_its_ending(name: str, kind: str | None) -> None:
    assert kind_of(Path(name)) == kind


# --- What is read -------------------------------------------------------------------------------------------------


def test_every_kind_of_page_becomes_essays_with_their_stems_as_ids(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", LAYOUT_A)
    write(tmp_path / "b.html", HTML)
    write(tmp_path / "c.md", MARKDOWN)
    write(tmp_path / "d.jsonl", RECORDS)
    write(tmp_path / "E.JSONL.GZ", gzip.compress(b'{"id": "zipped", "body": "Text."}'))
    write(tmp_path / "f.txt", LAYOUT_B)

    assert ids(read(tmp_path)) == ["zipped", "a", "b", "c", "lights", "buoys", "f"]


def test_a_page_called_index_takes_the_name_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lights" / "index.txt")
    write(tmp_path / "bells" / "_index.txt")
    monkeypatch.chdir(tmp_path / "lights")

    assert ids(read(tmp_path)) == ["bells", "lights"]
    assert ids(read(Path("index.txt"))) == ["lights"]


def test_an_essay_says_where_it_was_read(tmp_path: Path) -> None:
    [page] = read(write(tmp_path / "a.txt"))

    assert isinstance(page, Essay)
    assert page.source == str(tmp_path / "a.txt")


def test_of_two_pages_with_one_id_the_first_is_kept_and_the_second_names_it(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1" / "lights.txt"), write(tmp_path / "2" / "lights.txt", LAYOUT_B)
    third = write(tmp_path / "3.jsonl", RECORDS)

    pages = read(first, second, third)

    assert isinstance(pages[0], Essay)
    assert pages[0].category is None
    assert pages[1:3] == [
        PageProblem(str(second), f"its id 'lights' is taken by {first}"),
        PageProblem(f"{third}:1", f"its id 'lights' is taken by {first}"),
    ]
    assert ids(pages[3:]) == ["buoys"]


def test_a_page_over_the_size_limit_is_a_problem_with_both_numbers(tmp_path: Path) -> None:
    page = write(tmp_path / "a.txt")
    size = page.stat().st_size

    assert ids(read(page, options=PageOptions(max_page_bytes=size))) == ["a"]
    assert read(page, options=PageOptions(max_page_bytes=size - 1)) == [
        PageProblem(str(page), f"{size:,} bytes; a page may have {size - 1:,} (setting max_page_bytes)")
    ]


def test_the_size_limit_is_of_pages_not_of_files_that_hold_many(tmp_path: Path) -> None:
    assert ids(read(write(tmp_path / "a.jsonl", RECORDS), options=PageOptions(max_page_bytes=10))) == [
        "lights",
        "buoys",
    ]


def test_a_page_that_may_not_be_read_is_a_problem_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, page = write(tmp_path / "a.txt"), write(tmp_path / "b.txt")
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == locked:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)

    assert ids(read(locked, page)) == [f"({locked}: cannot be read: Permission denied)", "b"]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.jsonl.gz"])
def test_what_is_no_regular_file_is_a_problem_and_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"broken-{name}").symlink_to(tmp_path / "gone")

    assert read(tmp_path) == [
        PageProblem(str(tmp_path / name), "not a regular file"),
        PageProblem(str(tmp_path / f"broken-{name}"), "not a regular file"),
    ]


@pytest.mark.parametrize("ending", ["txt", "jsonl"])
def test_a_file_name_that_is_not_utf_8_becomes_text_that_can_be_written(tmp_path: Path, ending: str) -> None:
    content = '{"id": "caf?", "body": "Text."}' if ending == "jsonl" else LAYOUT_A
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9." + ending.encode())), content)

    [page] = read(tmp_path)

    assert isinstance(page, Essay)
    assert page.id == "caf?"
    assert page.source.startswith(str(tmp_path / f"caf?.{ending}"))


def test_an_ending_that_is_not_utf_8_is_counted_as_text_that_can_be_written(tmp_path: Path) -> None:
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/a.\xff")))

    assert list_pages([tmp_path]).passed_over == {".?": 1}


@pytest.mark.parametrize(("name", "ident"), [(" my page .txt", "my page"), (" .txt", ".txt"), ("a\x07b.txt", "ab")])
def test_an_id_from_a_name_is_one_that_a_record_can_have(tmp_path: Path, name: str, ident: str) -> None:
    write(tmp_path / name)

    [page] = read(tmp_path)
    record = write(tmp_path / "site.jsonl", json.dumps({"id": ident, "body": "Text."}))
    assert ids([page]) == ids(read(record)) == [ident]


def test_folders_that_are_set_apart_hold_no_page_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "editions" / "old.txt")
    write(tmp_path / "data" / "kept.txt")
    write(tmp_path / "page.txt")
    monkeypatch.chdir(tmp_path)

    found = list_pages([tmp_path, Path()], [Path("data/editions"), Path("data/nowhere")])

    assert {str(path.relative_to(tmp_path)) for path in found.files if path.is_absolute()} == {
        "data/kept.txt",
        "page.txt",
    }
    assert {str(path) for path in found.files if not path.is_absolute()} == {"data/kept.txt", "page.txt"}


def test_a_folder_that_cannot_be_read_is_a_problem_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a" / "one.txt")
    write(tmp_path / "b" / "two.txt")
    iterdir = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)

    assert ids(read(tmp_path)) == [f"({tmp_path / 'a'}: a folder that cannot be read)", "two"]


def test_what_decoding_remarks_on_comes_before_what_the_parser_remarks_on(tmp_path: Path) -> None:
    cut = LAYOUT_A.split("the sailors")[0].encode() + "ż".encode()[:1]

    [page] = read(write(tmp_path / "a.txt", cut))

    assert isinstance(page, Essay)
    assert page.remarks == (
        "cut in the middle of a character at its end",
        "no related articles and the last paragraph breaks off: the page seems cut",
    )


def test_pages_in_are_essays_and_problems(tmp_path: Path) -> None:
    write(tmp_path / "a.txt")
    write(tmp_path / "b.txt", "")
    write(tmp_path / "c.txt", b"\x00" * 10)
    write(tmp_path / "d.jsonl", RECORDS + "{\n\n[]\n")
    write(tmp_path / "e.html", "<p>")

    pages = read(tmp_path)

    assert len(pages) == 1 + 1 + 1 + 4 + 1
    assert ids([page for page in pages if isinstance(page, Essay)]) == ["a", "lights", "buoys"]


def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.txt"), write(tmp_path / "b.jsonl", RECORDS), write(tmp_path / "c.txt", "")]
    done: list[Path] = []

    list(read_pages(files, OPTIONS, done.append))

    assert done == files


def test_a_parser_that_trips_loses_one_page_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trip(*arguments: object) -> Essay:
        raise IndexError("list index out of range")

    monkeypatch.setattr("corpus.html_pages.parse_html_page", trip)
    page, other = write(tmp_path / "a.html", "<p>Text."), write(tmp_path / "lights.txt")

    problem, essay = read(page, other)

    assert problem == PageProblem(
        str(page), "its parser failed, which is a mistake of this program: IndexError('list index out of range')"
    )
    assert isinstance(essay, Essay)
