"""Essays as JSON lines: what `related parse` prints, and what any other source brings."""

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import records
from corpus.essay import Block, Blurb, Essay, PageProblem, PageRejected
from corpus.records import essay_from_record, essay_to_record, read_records

FULL = Essay(
    id="lights",
    title="How lighthouses learned to blink",
    standfirst="Weights and screens gave each tower a signature.",
    url="https://example.org/lights/",
    category="Sea marks",
    author="Ada Keeper",
    published=date(2025, 3, 3),
    reading_minutes=4,
    blocks=(Block("heading", "A lamp that hides"), Block("paragraph", "It blinks.")),
    blurbs=(
        Blurb("lights", 1, "Sea marks", "Buoys drift.", date(2025, 1, 14), "https://example.org/buoys/", "Buoys"),
        Blurb("lights", 2, text="Bells ring."),
    ),
    related=("buoys", "bells"),
    links=("https://example.org/lamps/",),
    source="pages/lights.html",
)
RECORD = {
    "id": "lights",
    "url": "https://example.org/lights/",
    "title": "How lighthouses learned to blink",
    "standfirst": "Weights and screens gave each tower a signature.",
    "category": "Sea marks",
    "author": "Ada Keeper",
    "published": "2025-03-03",
    "reading_minutes": 4,
    "blocks": [{"kind": "heading", "text": "A lamp that hides"}, {"kind": "paragraph", "text": "It blinks."}],
    "blurbs": [
        {
            "category": "Sea marks",
            "text": "Buoys drift.",
            "published": "2025-01-14",
            "url": "https://example.org/buoys/",
            "title": "Buoys",
        },
        {"category": None, "text": "Bells ring.", "published": None, "url": None, "title": None},
    ],
    "links": ["https://example.org/lamps/"],
    "source": "pages/lights.html",
    "related": ["buoys", "bells"],
}


def read(record: object) -> Essay:
    return essay_from_record(record, "x.jsonl:1")


def small(**fields: object) -> dict[str, Any]:
    return {"id": "a", "body": "Text.", **fields}


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


# --- There and back -----------------------------------------------------------------------------------------------


def test_an_essay_is_written_as_the_design_says() -> None:
    assert essay_to_record(FULL) == RECORD


def test_a_record_is_read_as_the_essay_that_wrote_it() -> None:
    essay = read(RECORD)

    assert essay == FULL
    assert essay.remarks == ()


def test_an_essay_without_a_list_of_ids_has_no_related_key() -> None:
    assert "related" not in essay_to_record(Essay("a", blocks=(Block("paragraph", "Text."),)))


@pytest.mark.parametrize("url", ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_an_address_that_would_run_in_the_readers_browser_is_none(url: str) -> None:
    essay = read({"id": "a", "body": "Text.", "url": url, "blurbs": [{"text": "Text.", "url": url}]})

    assert (essay.url, essay.blurbs[0].url) == (None, None)
    assert essay.remarks == (f"no address: {url!r} is none of http, https or this site",) * 2


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
maybe = st.none() | words
urls = st.none() | words.map("https://example.org/{}".format) | words.map("/{}".format)
blurbs = st.lists(st.tuples(maybe, maybe, st.none() | st.dates(), urls, maybe), max_size=3)


@given(
    ident=words.map(str.strip).filter(bool),
    fields=st.fixed_dictionaries(dict.fromkeys(("title", "standfirst", "category", "author"), maybe) | {"url": urls}),
    published=st.none() | st.dates(),
    minutes=st.none() | st.integers(0, 999),
    texts=st.lists(st.tuples(st.sampled_from(["heading", "paragraph"]), words), min_size=1, max_size=4),
    entries=blurbs,
    references=st.lists(words, max_size=3),
)
def test_every_essay_comes_back_as_it_was(
    ident: str,
    fields: dict[str, str | None],
    published: date | None,
    minutes: int | None,
    texts: list[tuple[Any, str]],
    entries: list[Any],
    references: list[str],
) -> None:
    # A block of white space alone is none: nothing could be embedded of it.
    blocks = tuple(Block(kind, text) for kind, text in texts if text.strip()) or (Block("paragraph", "Text."),)
    essay = Essay(
        ident,
        published=published,
        reading_minutes=minutes,
        blocks=blocks,
        blurbs=tuple(Blurb(ident, number, *entry) for number, entry in enumerate(entries, 1)),
        related=tuple(references),
        source="here",
        **fields,  # type: ignore[arg-type]
    )

    assert read(json.loads(json.dumps(essay_to_record(essay)))) == essay


# --- What other sources bring -------------------------------------------------------------------------------------


def test_a_body_is_cut_into_paragraphs_at_blank_lines() -> None:
    essay = read(small(body="\n\nOne,\nstill one.\r\n\r\n  Two.  \n\n\n\nThree.\n"))

    assert essay.blocks == tuple(Block("paragraph", text) for text in ("One,\nstill one.", "Two.", "Three."))


def test_blocks_go_before_a_body() -> None:
    essay = read(small(blocks=[{"kind": "heading", "text": "Title"}, {"kind": "paragraph", "text": "Words."}]))

    assert essay.blocks == (Block("heading", "Title"), Block("paragraph", "Words."))


def test_blocks_without_text_are_left_out() -> None:
    blank: list[dict[str, Any]] = [{"kind": "paragraph", "text": text} for text in ("", " \n", None)]

    assert read(small(blocks=[*blank, {"kind": "paragraph", "text": "Words."}])).blocks == (
        Block("paragraph", "Words."),
    )
    with pytest.raises(PageRejected, match="no body: essay 'a' has neither `body` nor `blocks` with text"):
        read(small(blocks=blank))


def test_description_is_another_name_of_standfirst() -> None:
    assert read(small(description="One sentence.")).standfirst == "One sentence."
    assert read(small(description="Other", standfirst="One sentence.")).standfirst == "One sentence."
    assert read(small(description="Other", standfirst="")).standfirst == "Other"


def test_related_holds_ids_in_their_order_and_numbers_are_ids() -> None:
    assert read(small(related=["c", 7, "b"])).related == ("c", "7", "b")
    assert read(small(id=12)).id == "12"


def test_what_a_record_does_not_say_is_none() -> None:
    assert read(small()) == Essay("a", blocks=(Block("paragraph", "Text."),), source="x.jsonl:1")
    assert read(small(title=None, url="", blurbs=None, related=None)) == read(small())


def test_unknown_keys_are_left_out_and_remarked_on() -> None:
    essay = read(small(tags=["x"], body_html="<p>"))

    assert essay == read(small())
    assert essay.remarks == ("unknown keys left out: body_html, tags",)


def test_a_date_that_is_none_is_remarked_on() -> None:
    essay = read(small(published="soon", blurbs=[{"text": "Bells ring.", "published": "2025-02-30"}]))

    assert (essay.published, essay.blurbs[0].published) == (None, None)
    assert essay.remarks == ("no date: 'soon' is not a date", "no date: '2025-02-30' is not a date")


def test_half_a_character_becomes_a_question_mark_wherever_it_stands() -> None:
    line = (
        '{"id": "a\\ud800", "title": "b\\udfff", "body": "c\\ud800.", "related": ["d\\ud800"], "odd\\ud800": 1, '
        '"blurbs": [{"text": "e\\ud800", "published": "f\\ud800"}], '
        '"blocks": [{"kind": "paragraph", "text": "g\\ud800"}]}'
    )

    essay = read(json.loads(line))

    assert (essay.id, essay.title, essay.related) == ("a?", "b?", ("d?",))
    assert essay.blocks == (Block("paragraph", "g?"),)
    assert essay.blurbs == (Blurb("a?", 1, text="e?"),)
    for text in (repr(essay), *essay.remarks):
        assert text.encode("utf-8")
    assert "unknown keys left out: odd?" in essay.remarks


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (["a"], "a record must be a JSON object, not a list"),
        ("a", "a record must be a JSON object, not text"),
        (None, "a record must be a JSON object, not null"),
        ({"body": "Text."}, "no id: every record needs an `id`"),
        (small(id=" "), "no id: every record needs an `id`"),
        (small(id=True), "no id: every record needs an `id`"),
        (small(id=1.5), "no id: every record needs an `id`"),
        ({"id": "a"}, "no body: essay 'a' has neither `body` nor `blocks` with text"),
        (small(body=" \n\n "), "no body: essay 'a' has neither `body` nor `blocks` with text"),
        (small(body=["Text."]), "`body` must be text or null, not a list"),
        (small(title=3), "`title` must be text or null, not a number"),
        (small(published=20250303), "`published` must be text or null, not a number"),
        (small(reading_minutes="4"), "`reading_minutes` must be a whole number or null, not text"),
        (small(reading_minutes=4.5), "`reading_minutes` must be a whole number or null, not a number"),
        (small(reading_minutes=True), "`reading_minutes` must be a whole number or null, not true or false"),
        (small(blocks="Text."), "`blocks` must be a list, not text"),
        (small(blocks=["Text."]), 'every item of `blocks` must be {"kind": "heading" | "paragraph", "text": ...}'),
        (
            small(blocks=[{"kind": "list", "text": "x"}]),
            'every item of `blocks` must be {"kind": "heading" | "paragraph", "text": ...}',
        ),
        (small(blurbs={"text": "x"}), "`blurbs` must be a list, not an object"),
        (small(blurbs=["x"]), "every item of `blurbs` must be an object, not text"),
        (small(blurbs=[{"text": ["x"]}]), "`text` must be text or null, not a list"),
        (small(related="buoys"), "`related` must be a list, not text"),
        (small(related=[["buoys"]]), "every item of `related` must be text"),
    ],
)
def test_a_record_that_is_no_essay_says_why(record: object, reason: str) -> None:
    with pytest.raises(PageRejected) as refusal:
        read(record)

    assert str(refusal.value) == reason


# --- Files --------------------------------------------------------------------------------------------------------


def test_a_file_gives_its_essays_and_problems_in_order_and_blank_lines_count_as_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", '{"id": "a", "body": "A."}', "", "{", '{"id": "b", "body": "B."}', '{"id": 1}')

    assert list(read_records(path)) == [
        Essay("a", blocks=(Block("paragraph", "A."),), source=f"{path}:1"),
        PageProblem(
            f"{path}:3", "not JSON: Expecting property name enclosed in double quotes: line 2 column 1 (char 2)"
        ),
        Essay("b", blocks=(Block("paragraph", "B."),), source=f"{path}:4"),
        PageProblem(f"{path}:5", "no body: essay '1' has neither `body` nor `blocks` with text"),
    ]


def test_a_last_line_without_a_newline_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "body": "A."}\r\n{"id": "b", "body": "B."}')

    assert [page.id for page in read_records(path) if isinstance(page, Essay)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "a", "body": "caf\xe9"}', "not UTF-8; JSONL must be UTF-8"),
        (b"[" * 100_000, "not JSON: "),
        (b'{"id": ' + b"1" * 5000 + b', "body": "A."}', "not JSON: "),
        (b'{"id": "a", "body": "A."} {"id": "b"}', "not JSON: Extra data"),
        (b"nothing", "not JSON: Expecting value"),
    ],
    ids=["latin-1", "nested", "a number of 5000 digits", "two on a line", "a word"],
)
def test_a_bad_line_is_a_problem_and_the_next_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line + b'\n{"id": "z", "body": "Z."}\n')

    bad, good = read_records(path)

    assert isinstance(bad, PageProblem)
    assert bad.source == f"{path}:1"
    assert bad.reason.startswith(reason)
    assert good == Essay("z", blocks=(Block("paragraph", "Z."),), source=f"{path}:2")


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\r\n\n"], ids=["no bytes", "a newline", "blank lines"])
def test_a_file_without_a_record_is_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)

    assert list(read_records(path)) == [PageProblem(str(path), "the file is empty")]


def test_a_line_that_is_too_long_is_a_problem_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 100)
    longest = json.dumps({"id": "a", "body": "x" * 76})
    assert len(longest) == 99  # with its newline exactly the limit
    longer = json.dumps({"id": "b", "body": "x" * 1000})
    path = write(tmp_path / "x.jsonl", longest, longer, '{"id": "c", "body": "C."}')

    pages = list(read_records(path))

    assert [page.id for page in pages if isinstance(page, Essay)] == ["a", "c"]
    assert pages[1] == PageProblem(f"{path}:2", "a line longer than 100 bytes")


def test_a_long_last_line_without_a_newline_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 10)
    path = tmp_path / "x.jsonl"
    path.write_text("x" * 35, encoding="utf-8")

    assert list(read_records(path)) == [PageProblem(f"{path}:1", "a line longer than 10 bytes")]


def test_a_gzipped_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "body": "A."}\n'))

    assert list(read_records(path)) == [Essay("a", blocks=(Block("paragraph", "A."),), source=f"{path}:1")]


def test_a_gzipped_file_cut_in_the_middle_gives_what_is_whole_and_a_problem(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": str(n), "body": f"{n * 7919 % 1000003} " * 300}) + "\n" for n in range(500))
    path = tmp_path / "x.jsonl.gz"
    packed = gzip.compress(lines.encode())
    path.write_bytes(packed[: len(packed) // 2])

    *essays, problem = read_records(path)

    assert [page.id for page in essays if isinstance(page, Essay)] == [str(n) for n in range(len(essays))]
    assert 0 < len(essays) < 500
    assert isinstance(problem, PageProblem)
    assert problem.source == f"{path}:{len(essays) + 1}"
    assert problem.reason.startswith("the file cannot be read further: ")


@pytest.mark.parametrize("damage", [b"no gzip at all", b"\x1f\x8b\x08" + b"\x00" * 40], ids=["text", "header only"])
def test_a_gz_file_that_is_none_is_a_problem(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(damage)

    [problem] = read_records(path)

    assert isinstance(problem, PageProblem)
    assert problem.reason.startswith("the file cannot be read further: ")


def test_bytes_changed_inside_a_gz_file_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    packed = bytearray(gzip.compress(b'{"id": "a", "body": "A."}\n' * 3))
    packed[-6] ^= 0xFF  # of the checksum
    path.write_bytes(packed)

    problem = list(read_records(path))[-1]

    assert isinstance(problem, PageProblem)
    assert "CRC check failed" in problem.reason


def test_a_file_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    [problem] = read_records(tmp_path / "gone.jsonl")

    assert isinstance(problem, PageProblem)
    assert "No such file" in problem.reason
