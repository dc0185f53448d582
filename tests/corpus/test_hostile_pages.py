"""Whatever a file holds, reading it ends in essays and problems, never in an exception.

FUZZ_EXAMPLES examples a test (default 60; `make fuzz` sets many more).
"""

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpus.catalogue import build_catalogue
from corpus.essay import Essay, PageProblem
from corpus.records import essay_from_record, essay_to_record
from corpus.sources import PageOptions, kind_of, read_pages
from tests.corpus.pages import BLURB_TEXTS, HTML, LAYOUT_A, LAYOUT_B, MARKDOWN, RECORDS

fuzz = settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")))
every_kind = pytest.mark.parametrize("ending", [".txt", ".html", ".md", ".jsonl", ".jsonl.gz"])

PAGES = {
    ".txt": (LAYOUT_A, LAYOUT_B),
    ".html": (HTML,),
    ".md": (MARKDOWN,),
    ".jsonl": (RECORDS,),
    ".jsonl.gz": (RECORDS,),
}
PARTS = (
    *(
        "\n",
        "\n\n",
        " ",
        "\r\n",
        "\u2028",
        "\ufeff",
        "\x00",
        "\ud7ff",
        "-",
        "ADVERTISEMENT",
        "Related Articles",
        "X Reddit",
    ),
    *(
        "Published by",
        "Published 99",
        "July 05, 2025",
        "9 min read",
        "Foo 45, 2025",
        "A sentence. Another.",
        "# ",
        "* ",
    ),
    *(
        "---\n",
        "+++\n",
        "title: [",
        "date: 2025-99-99",
        "related: {",
        "- &a *a",
        "!!python/object:x",
        "[a](http://[)",
        "```",
    ),
    *(
        "<p>",
        "</p>",
        "<html>",
        "<a href='http://['>",
        "<!--",
        "<![CDATA[",
        "<script>",
        "<time datetime='x'>",
        "&#xD800;",
    ),
    *(
        '<script type="application/ld+json">{"@graph": [',
        "<meta charset=undefined>",
        "<h2>Related Articles</h2><ul><li>",
    ),
    *(
        '{"id": ',
        '"a"',
        ', "body": ',
        '"x"',
        "}",
        "[",
        "]",
        "null",
        "1e999",
        "NaN",
        '"\\ud800"',
        "9" * 4400,
        '{"id": 1, "body": "b"}\n',
    ),
)
soup = st.lists(st.sampled_from(PARTS) | st.text(max_size=20), max_size=30).map("".join)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutations(draw: st.DrawFn, pages: Sequence[str]) -> bytes:
    """A valid page with some of its lines shuffled, left out or repeated, some parts put in, cut, bytes changed."""
    lines = draw(st.sampled_from(pages)).split("\n")
    if draw(st.booleans()):
        lines = draw(st.permutations(lines))
    if draw(st.booleans()):
        lines = draw(st.lists(st.sampled_from(lines), max_size=2 * len(lines)))
    for part in draw(st.lists(st.sampled_from(PARTS), max_size=3)):
        lines.insert(draw(st.integers(0, len(lines))), part)
    data = bytearray(encoded("\n".join(lines)))
    for place in draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=4)):
        if data:
            data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def read(folder: Path, ending: str, data: bytes) -> list[Essay | PageProblem]:
    """The pages of a file with this content, after checking all that holds of any file."""
    path = folder / f"page{ending}"
    path.write_bytes(data)
    pages = list(read_pages([path], PageOptions()))
    essays = [page for page in pages if isinstance(page, Essay)]
    problems = [page for page in pages if isinstance(page, PageProblem)]
    assert len(essays) + len(problems) == len(pages) >= 1
    for essay in essays:
        check_essay(essay)
    for problem in problems:
        assert problem.reason
        assert problem.source.startswith(str(path))
        assert encoded_strictly(str(problem))
    build_catalogue(essays)
    return pages


def check_essay(essay: Essay) -> None:
    assert essay.blocks
    assert all(block.text.strip() for block in essay.blocks)
    assert [blurb.position for blurb in essay.blurbs] == list(range(1, len(essay.blurbs) + 1))
    assert {blurb.source for blurb in essay.blurbs} <= {essay.id}
    assert all(encoded_strictly(remark) for remark in essay.remarks)
    line = encoded_strictly(json.dumps(essay_to_record(essay), ensure_ascii=False))
    assert essay_from_record(json.loads(line), "") == essay


def encoded_strictly(text: str) -> bytes:
    return text.encode("utf-8")


def expected_count(ending: str, data: bytes) -> int:
    """How many pages a file of this content holds: itself, or its lines that are not blank."""
    if kind_of(Path("page" + ending)) != "records":
        return 1
    return max(1, sum(1 for line in data.split(b"\n") if line.strip()))


@every_kind
@fuzz
@given(data=st.binary(max_size=2000))
def test_any_bytes_are_essays_or_problems(folder: Path, ending: str, data: bytes) -> None:
    pages = read(folder, ending, data)

    if ending != ".jsonl.gz":
        assert len(pages) == expected_count(ending, data)


@every_kind
@fuzz
@given(text=soup)
def test_any_text_is_an_essay_or_a_problem(folder: Path, ending: str, text: str) -> None:
    data = encoded(text)

    pages = read(folder, ending, gzip.compress(data) if ending.endswith(".gz") else data)

    assert len(pages) == expected_count(ending, data)


@every_kind
@fuzz
@given(st.data())
def test_a_spoiled_page_is_an_essay_or_a_problem(folder: Path, ending: str, data: st.DataObject) -> None:
    spoiled = data.draw(mutations(PAGES[ending]))

    pages = read(folder, ending, gzip.compress(spoiled) if ending.endswith(".gz") else spoiled)

    assert len(pages) == expected_count(ending, spoiled)


@fuzz
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.none() | st.integers(0, 400),
    st.data(),
)
def test_a_spoiled_gz_file_gives_essays_and_problems(
    folder: Path, changes: list[tuple[int, int]], cut: int | None, data: st.DataObject
) -> None:
    packed = bytearray(gzip.compress(RECORDS.encode()))
    for place, value in changes:
        packed[place % len(packed)] = value

    read(folder, ".jsonl.gz", bytes(packed[:cut]))


@pytest.mark.parametrize("ending", list(PAGES))
def test_the_pages_that_are_spoiled_here_are_good_before(folder: Path, ending: str) -> None:
    for page in PAGES[ending]:
        data = gzip.compress(page.encode()) if ending.endswith(".gz") else page.encode()
        assert all(isinstance(found, Essay) for found in read(folder, ending, data))


# --- The list never reaches the body ------------------------------------------------------------------------------


SENTENCES = (
    *BLURB_TEXTS,
    *(f"The {n}th lamp of the coast was lit in the year 18{n:02} and is burning still." for n in range(9)),
)


def listing(page: str, dash: str) -> str:
    """The page with a longer list, each entry with its own date, so that no line but the categories stands twice."""
    entries = (
        f"Sea marks\n{text}\n{dash}{month} {number + 1:02}, 2025\n"
        for number, text in enumerate(SENTENCES)
        for month in [("January", "May", "June")[number % 3]]
    )
    return page.split("Related Articles")[0] + "Related Articles\n" + "".join(entries)


LONG_LISTS = (listing(LAYOUT_A, "-\n"), listing(LAYOUT_B, ""))


@fuzz
@given(page=st.sampled_from(LONG_LISTS), shuffle=st.booleans(), data=st.data())
def test_no_line_below_the_heading_of_the_list_becomes_a_block(
    folder: Path, page: str, shuffle: bool, data: st.DataObject
) -> None:
    lines = page.split("\n")
    text = "\n".join(data.draw(st.permutations(lines)) if shuffle else lines)
    text = text[: data.draw(st.integers(0, len(text)))]
    above, heading, below = text.partition("Related Articles\n")

    [found] = read(folder, ".txt", text.encode())

    if heading and isinstance(found, Essay):
        below_only = set(below.split("\n")) - set(above.split("\n"))
        assert not below_only & {block.text for block in found.blocks}


@fuzz
@given(page=st.sampled_from(LONG_LISTS), place=st.integers(0, 10_000))
@example(page=LONG_LISTS[0], place=10_000)
@example(page=LONG_LISTS[1], place=10_000)
def test_a_page_cut_anywhere_has_no_blurb_in_its_body(folder: Path, page: str, place: int) -> None:
    [found] = read(folder, ".txt", page[:place].encode())

    if isinstance(found, Essay):
        assert not [text for text in SENTENCES if text[:20] in found.body]
        assert [blurb.text for blurb in found.blurbs[:-1]] == list(SENTENCES[: max(0, len(found.blurbs) - 1)])
