"""Bytes of a page -> text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.decoding import decode
from corpus.essay import PageRejected

SENTENCE = "Żur, czyli zupa z kwaśnej mąki — “sour”."
FRENCH = "Le phare a été allumé en été, après la tempête; les marins étaient sauvés, grâce à Dieu. " * 5


def test_utf_8_is_read_without_a_remark() -> None:
    assert decode(SENTENCE.encode()) == (SENTENCE, ())


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode(b"\xef\xbb\xbf" + SENTENCE.encode()) == (SENTENCE, ())


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_utf_16_is_known_by_its_mark_and_remarked_on(mark: bytes, encoding: str) -> None:
    assert decode(mark + SENTENCE.encode(encoding)) == (SENTENCE, ("read as utf-16",))


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_every_end_of_line_becomes_a_newline(end: str) -> None:
    assert decode(f"one{end}two{end}{end}three".encode()) == ("one\ntwo\n\nthree", ())


def test_unicode_line_separators_are_left_alone() -> None:
    assert decode("one\u2028two".encode()) == ("one\u2028two", ())


def test_control_characters_reach_nobodys_terminal() -> None:
    page = "a" * 4000 + "\x1b[31mred\x9b1m\ttab\x85next\x0cpage\x07"

    assert decode(page.encode())[0].lstrip("a") == "[31mred1m\ttab next page"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize(("char", "kept"), [("ą", 1), ("€", 1), ("€", 2), ("🪨", 1), ("🪨", 3)])
def test_a_page_cut_inside_its_last_character_loses_no_more_than_that(mark: bytes, char: str, kept: int) -> None:
    data = mark + SENTENCE.encode() + char.encode()[:kept]

    assert decode(data) == (SENTENCE, ("cut in the middle of a character at its end",))


def test_the_charset_that_html_declares_is_believed() -> None:
    page = f'<meta charset="windows-1252"><p>{FRENCH}'

    assert decode(page.encode("windows-1252")) == (page, ())


def test_a_declared_charset_does_not_overrule_valid_utf_8() -> None:
    page = f'<meta charset="windows-1252"><p>{SENTENCE}'

    assert decode(page.encode()) == (page, ())


@pytest.mark.parametrize(
    "text",
    [
        "“The light,” said the keeper’s wife, “is never out — it’s only turned away…” She laughed at the café. ",
        "El faro está aquí desde el año pasado, señor; la montaña y el niño también. ¿Qué más? ",
    ],
    ids=["English", "Spanish"],
)
def test_an_encoding_that_nothing_declares_is_detected_and_said(text: str) -> None:
    read, remarks = decode(text.encode("windows-1252"))

    assert read == text
    assert len(remarks) == 1
    assert remarks[0].startswith("not UTF-8; read as cp125")


@pytest.mark.parametrize("charset", ["no-such-thing", "hex", "undefined", "idna", "utf-7", "utf-16", "x" * 500])
def test_a_declared_charset_that_does_not_fit_is_a_problem_that_names_it(charset: str) -> None:
    page = f'<meta charset="{charset}"><p>{FRENCH}'.encode("latin-1")

    with pytest.raises(PageRejected, match=f"not UTF-8, and not readable as {charset}; save it as UTF-8"):
        decode(page)


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape"])
def test_a_declared_charset_cannot_smuggle_in_half_a_character(charset: str) -> None:
    page = f'<meta charset="{charset}"><p>\\ud800 {FRENCH}'.encode("latin-1")

    with pytest.raises(PageRejected, match=f"not UTF-8, and not readable as {charset}"):
        decode(page)


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n "])
def test_an_empty_page_is_a_problem(data: bytes) -> None:
    with pytest.raises(PageRejected, match="the page is empty"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe", b"\x00" * 50, b"text\x00\x01\x02", bytes(range(256))],
    ids=["png", "zeros", "controls", "all bytes"],
)
def test_binary_data_is_a_problem(data: bytes) -> None:
    with pytest.raises(PageRejected, match="binary data, not text"):
        decode(data)


def test_one_stray_control_character_in_a_long_page_is_no_binary_data() -> None:
    text = "a" * 2000 + "\x01"

    assert decode(text.encode()) == (text.removesuffix("\x01"), ())


@given(st.binary(max_size=300))
def test_any_bytes_become_text_that_can_be_written_again_or_a_problem(data: bytes) -> None:
    try:
        text, remarks = decode(data)
    except PageRejected as problem:
        text, remarks = "", (str(problem),)

    assert "\r" not in text
    assert text.encode("utf-8").decode("utf-8") == text
    assert all(remarks)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip))
def test_any_text_is_read_back_from_its_utf_8_bytes(text: str) -> None:
    assert decode(text.encode()) == (text.removeprefix("\ufeff"), ())
