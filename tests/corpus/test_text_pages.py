"""Both layouts of text pages, whole and with each part missing."""

from dataclasses import replace
from datetime import date

import pytest

from corpus.essay import Block, Blurb, Essay, PageRejected
from corpus.text_pages import is_advertisement, is_share_line, parse_text_page
from tests.corpus.pages import BLURB_TEXTS, FIRST, LAST, LAYOUT_A, LAYOUT_B, SECOND

TITLE = "How lighthouses learned to blink"
STANDFIRST = "Weights, screens and lenses gave each tower a signature that a sailor could time with a watch."

EXPECTED_A = Essay(
    id="lights",
    title=TITLE,
    standfirst=STANDFIRST,
    published=date(2025, 3, 3),
    blocks=(
        Block("paragraph", FIRST),
        Block("heading", "A lamp that hides"),
        Block("paragraph", SECOND),
        Block("paragraph", LAST),
    ),
    blurbs=(
        Blurb("lights", 1, "Sea marks", BLURB_TEXTS[0], date(2025, 1, 14)),
        Blurb("lights", 2, "Sea marks", BLURB_TEXTS[1], date(2025, 2, 2)),
    ),
    source="pages/lights.txt",
)
EXPECTED_B = replace(EXPECTED_A, category="Sea marks", author="Ada Keeper", reading_minutes=4)


def parse(text: str) -> Essay:
    return parse_text_page(text, "lights", "pages/lights.txt")


def without(page: str, line: str) -> str:
    lines = page.split("\n")
    lines.remove(line)
    return "\n".join(lines)


def blocks_of(*lines: str) -> tuple[Block, ...]:
    return parse("\n".join((TITLE, STANDFIRST, "Published March 03, 2025", *lines))).blocks


# --- Whole pages --------------------------------------------------------------------------------------------------


def test_a_page_in_layout_a_becomes_an_essay() -> None:
    assert parse(LAYOUT_A) == EXPECTED_A
    assert parse(LAYOUT_A).remarks == ()


def test_a_page_in_layout_b_becomes_an_essay() -> None:
    assert parse(LAYOUT_B) == EXPECTED_B
    assert parse(LAYOUT_B).remarks == ()


@pytest.mark.parametrize("page", [LAYOUT_A, LAYOUT_B], ids=["A", "B"])
def test_empty_lines_and_spaces_around_lines_change_nothing(page: str) -> None:
    spaced = page.replace("\n", "  \n\n \t")

    assert parse(spaced) == parse(page)


def test_layout_a_with_a_category_line_has_a_category() -> None:
    assert parse(f"Sea marks\n{LAYOUT_A}") == replace(EXPECTED_A, category="Sea marks")


def test_the_share_line_may_stand_above_the_date_in_layout_a() -> None:
    share, published = "Facebook X Reddit Pinterest Email", "Published March 03, 2025"
    swapped = LAYOUT_A.replace(f"{published}\n{share}", f"{share}\n{published}")

    assert parse(swapped) == EXPECTED_A


@pytest.mark.parametrize("dash", ["-", "–", "—", "·", "|"])
def test_date_and_reading_time_may_be_parted_by_any_dash(dash: str) -> None:
    assert parse(LAYOUT_B.replace("2025 - 4 min", f"2025 {dash} 4 min")) == EXPECTED_B


@pytest.mark.parametrize("line", ["Published: March 03, 2025", "Published on 3 March 2025", "PUBLISHED 2025-03-03"])
def test_the_date_line_of_layout_a_may_be_written_in_other_ways(line: str) -> None:
    assert parse(LAYOUT_A.replace("Published March 03, 2025", line)) == EXPECTED_A


# --- Parts that are missing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [LAYOUT_A, LAYOUT_B], ids=["A", "B"])
def test_without_a_standfirst_there_is_none_and_a_remark_says_so(page: str) -> None:
    essay = parse(without(page, STANDFIRST))

    assert essay == replace(EXPECTED_A if page is LAYOUT_A else EXPECTED_B, standfirst=None)
    assert essay.remarks == ("no standfirst",)


def test_without_a_category_line_layout_b_has_no_category() -> None:
    assert parse(LAYOUT_B.removeprefix("Sea marks\n")) == replace(EXPECTED_B, category=None)


def test_a_category_and_a_title_are_told_from_a_title_and_a_standfirst() -> None:
    rest = "X Linkedin Facebook Reddit Email\n" + FIRST

    assert [parse(f"Sea marks\n{TITLE}\n{rest}").category, parse(f"Sea marks\n{TITLE}\n{rest}").title] == [
        "Sea marks",
        TITLE,
    ]
    assert [parse(f"{TITLE}\n{STANDFIRST}\n{rest}").category, parse(f"{TITLE}\n{STANDFIRST}\n{rest}").title] == [
        None,
        TITLE,
    ]


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("Published by Ada Keeper", {"author": None}),
        ("X Linkedin Facebook Reddit Email Bluesky", {}),
        ("March 03, 2025 - 4 min Read", {"published": None, "reading_minutes": None}),
    ],
    ids=["byline", "share line", "date line"],
)
def test_layout_b_may_lack_any_line_of_its_header(line: str, missing: dict[str, None]) -> None:
    assert parse(without(LAYOUT_B, line)) == replace(EXPECTED_B, **missing)


@pytest.mark.parametrize(
    ("line", "missing"),
    [("Published March 03, 2025", {"published": None}), ("Facebook X Reddit Pinterest Email", {})],
    ids=["date line", "share line"],
)
def test_layout_a_may_lack_any_line_of_its_header(line: str, missing: dict[str, None]) -> None:
    assert parse(without(LAYOUT_A, line)) == replace(EXPECTED_A, **missing)


def test_a_reading_time_may_stand_without_a_date_and_a_date_without_a_reading_time() -> None:
    minutes_only = LAYOUT_B.replace("March 03, 2025 - 4 min Read", "4 min read")
    date_only = LAYOUT_B.replace("March 03, 2025 - 4 min Read", "March 03, 2025")

    assert parse(minutes_only) == replace(EXPECTED_B, published=None)
    assert parse(date_only) == replace(EXPECTED_B, reading_minutes=None)


def test_a_page_without_any_header_line_has_its_title_and_a_remark() -> None:
    essay = parse(f"{TITLE}\n{FIRST}\n{LAST}")

    assert (essay.title, essay.standfirst) == (TITLE, None)
    assert essay.blocks == (Block("paragraph", FIRST), Block("paragraph", LAST))
    assert essay.remarks == ("no share line, byline or date was found: only the title was read from the header",)


def test_a_page_that_begins_with_its_body_has_no_title() -> None:
    long_first = f"{FIRST} {SECOND}"

    essay = parse(f"{long_first}\n{LAST}")

    assert essay.title is None
    assert essay.blocks == (Block("paragraph", long_first), Block("paragraph", LAST))


def test_a_page_that_begins_with_its_share_line_has_no_title() -> None:
    essay = parse(LAYOUT_B.split(STANDFIRST + "\n")[1])

    assert essay == replace(EXPECTED_B, category=None, title=None, standfirst=None)


@pytest.mark.parametrize(
    "page",
    ["", "\n \n", TITLE, "\n".join(LAYOUT_A.split("\n")[:4])],
    ids=["nothing", "empty lines", "a title", "a header"],
)
def test_a_page_without_a_body_is_rejected(page: str) -> None:
    with pytest.raises(PageRejected, match="no body: no paragraph was found"):
        parse(page)


def test_a_page_whose_body_is_only_advertisements_is_rejected() -> None:
    with pytest.raises(PageRejected, match="no body"):
        parse(f"{TITLE}\n{STANDFIRST}\nPublished March 03, 2025\nADVERTISEMENT\nAdvertisements:\nRelated Articles\n")


def test_a_page_without_related_articles_has_no_blurbs() -> None:
    essay = parse(LAYOUT_A.split("Related Articles")[0])

    assert essay == replace(EXPECTED_A, blurbs=())
    assert essay.remarks == ()


def test_a_title_may_look_like_a_date() -> None:
    assert parse(LAYOUT_A.replace(TITLE, "March 12, 1811")) == replace(EXPECTED_A, title="March 12, 1811")


# --- Dates that are none ------------------------------------------------------------------------------------------


def test_a_date_that_does_not_exist_is_none_and_a_remark_says_so() -> None:
    essay = parse(LAYOUT_B.replace("March 03, 2025 -", "Foo 45, 2025 -"))

    assert essay == replace(EXPECTED_B, published=None)
    assert essay.remarks == ("no date: 'Foo 45, 2025' is not a date",)


def test_a_blurb_with_a_date_that_does_not_exist_has_none_and_a_remark_says_so() -> None:
    essay = parse(LAYOUT_B.replace("January 14, 2025", "January 41, 2025"))

    assert essay.blurbs == (replace(EXPECTED_B.blurbs[0], published=None), EXPECTED_B.blurbs[1])
    assert essay.remarks == ("related article 1 has no date: 'January 41, 2025' is not one",)


# --- The body -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_unicode_line_separator_stays_inside_its_paragraph(separator: str) -> None:
    broken = FIRST.replace("a fire or", f"a fire{separator}or")

    assert parse(LAYOUT_A.replace(FIRST, broken)) == replace(
        EXPECTED_A, blocks=(Block("paragraph", broken), *EXPECTED_A.blocks[1:])
    )


@pytest.mark.parametrize("line", ["ADVERTISEMENT", "Advertisement", "advertisements", "Advertisement:"])
def test_an_advertisement_line_is_left_out_wherever_it_stands(line: str) -> None:
    assert blocks_of(line, FIRST, line, line, LAST, line) == (Block("paragraph", FIRST), Block("paragraph", LAST))


def test_a_share_line_inside_the_body_is_left_out() -> None:
    assert blocks_of(FIRST, "Share Copy Link", LAST) == (Block("paragraph", FIRST), Block("paragraph", LAST))


def test_a_sentence_about_advertisements_is_kept() -> None:
    sentence = (
        "An advertisement was painted on the tower in the year of its hundredth birthday, and it is there still, faded."
    )

    assert Block("paragraph", FIRST) in blocks_of(sentence, FIRST)
    assert sentence in [block.text for block in blocks_of(sentence, FIRST)]


def test_a_short_line_is_a_heading_unless_it_ends_the_page_or_holds_two_sentences() -> None:
    assert blocks_of("One sentence stands alone.", "It blinked. It went dark.", FIRST, "The end.") == (
        Block("heading", "One sentence stands alone."),
        Block("paragraph", "It blinked. It went dark."),
        Block("paragraph", FIRST),
        Block("paragraph", "The end."),
    )


@pytest.mark.parametrize(("length", "kind"), [(120, "heading"), (121, "paragraph")])
def test_a_heading_has_at_most_120_characters(length: int, kind: str) -> None:
    assert [block.kind for block in blocks_of("x" * length, FIRST)] == [kind, "paragraph"]


def test_a_heading_may_hold_an_abbreviation_before_a_small_letter() -> None:
    assert blocks_of("Lenses, prisms etc. and what they cost", FIRST)[0].kind == "heading"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Facebook X Reddit Pinterest Email", True),
        ("X Linkedin Facebook Reddit Email Bluesky", True),
        ("copy link", True),
        ("X", False),
        ("Facebook is a company", False),
        ("", False),
    ],
)
def test_a_share_line_consists_of_at_least_two_buttons_and_nothing_else(line: str, expected: bool) -> None:
    assert is_share_line(line) is expected


def test_an_advertisement_is_the_whole_line() -> None:
    assert is_advertisement("ADVERTISEMENT")
    assert not is_advertisement("ADVERTISEMENT FEATURE")


# --- The list -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heading", ["Related Articles", "RELATED ARTICLES", "Related articles:"])
def test_the_heading_of_the_list_may_be_written_in_other_ways(heading: str) -> None:
    assert parse(LAYOUT_A.replace("Related Articles", heading)) == EXPECTED_A


def test_a_sentence_that_begins_like_the_heading_of_the_list_is_no_heading() -> None:
    sentence = (
        "Related articles of faith held that a light must never go out, and no keeper would have doubted a word of it."
    )

    assert parse(LAYOUT_A.replace(SECOND, sentence + " So it was.")).blurbs == EXPECTED_A.blurbs


def test_the_dash_line_of_layout_a_may_be_missing_or_stand_in_layout_b() -> None:
    assert parse(LAYOUT_A.replace("\n-\n", "\n")) == EXPECTED_A
    assert parse(LAYOUT_B.replace("storm.\n", "storm.\n-\n")) == EXPECTED_B


def test_an_advertisement_inside_the_list_is_left_out() -> None:
    assert parse(LAYOUT_B.replace("2025\nSea marks", "2025\nADVERTISEMENT\nSea marks")) == EXPECTED_B


def test_a_blurb_may_lack_its_category() -> None:
    page = LAYOUT_B.replace("January 14, 2025\nSea marks\n", "January 14, 2025\n")

    assert parse(page).blurbs == (EXPECTED_B.blurbs[0], replace(EXPECTED_B.blurbs[1], category=None))


def test_a_date_without_a_blurb_is_remarked_on() -> None:
    essay = parse(LAYOUT_B.replace("January 14, 2025", "January 14, 2025\nJanuary 15, 2025"))

    assert essay == EXPECTED_B
    assert essay.remarks == ("a date without a related article before it",)


def test_lines_too_many_in_the_list_are_remarked_on_and_reach_neither_list_nor_body() -> None:
    essay = parse(LAYOUT_B.replace("Related Articles\n", "Related Articles\nRead more about the sea\n"))

    assert essay == EXPECTED_B
    assert essay.remarks == ("1 lines among the related articles were not understood: 'Read more about the sea' ...",)


def test_what_follows_the_list_is_left_out_and_remarked_on() -> None:
    essay = parse(f"{LAYOUT_B}\nSubscribe to our letter\nIt comes every week\nAnd costs nothing")

    assert essay == EXPECTED_B
    assert essay.remarks == ("3 lines after the related articles were left out: 'Subscribe to our letter' ...",)


def test_a_list_in_the_middle_of_a_page_never_reaches_the_body() -> None:
    top, rest = LAYOUT_B.split(SECOND)
    body, listed = rest.split("Related Articles\n")
    essay = parse(f"{top}Related Articles\n{listed}{SECOND}{body}")

    assert [block.text for block in essay.blocks] == [FIRST, "A lamp that hides"]
    assert essay.blurbs == EXPECTED_B.blurbs
    assert [remark.split(":")[0] for remark in essay.remarks] == ["2 lines after the related articles were left out"]


def test_of_two_lists_neither_reaches_the_body() -> None:
    essay = parse(LAYOUT_B.replace(LAST, "Related Articles\n" + LAST))

    assert all(block.text not in BLURB_TEXTS for block in essay.blocks)
    assert [blurb.text for blurb in essay.blurbs] == list(BLURB_TEXTS)


def test_a_page_that_begins_with_its_list_is_rejected_so_that_no_blurb_becomes_its_body() -> None:
    with pytest.raises(PageRejected, match="no body"):
        parse("Related Articles" + LAYOUT_B.split("Related Articles")[1])


# --- Pages cut short ----------------------------------------------------------------------------------------------


def test_a_page_cut_inside_a_paragraph_is_remarked_on() -> None:
    essay = parse(LAYOUT_A.split("the sailors")[0])

    assert essay.blocks == (Block("paragraph", FIRST.split(" the sailors")[0]),)
    assert essay.remarks == ("no related articles and the last paragraph breaks off: the page seems cut",)


@pytest.mark.parametrize("page", [LAYOUT_A, LAYOUT_B], ids=["A", "B"])
def test_a_page_cut_before_the_last_date_keeps_the_blurb_and_is_remarked_on(page: str) -> None:
    essay = parse(page.removesuffix("February 02, 2025\n"))

    assert essay.blurbs == (EXPECTED_A.blurbs[0], replace(EXPECTED_A.blurbs[1], published=None))
    assert essay.remarks == ("the last related article has no date: the page seems cut",)


def test_a_page_cut_inside_the_last_date_says_what_it_left_out() -> None:
    essay = parse(LAYOUT_B.removesuffix(" 02, 2025\n"))

    assert essay.blurbs == EXPECTED_B.blurbs[:1]
    assert essay.remarks == ("3 lines after the related articles were left out: 'Sea marks' ...",)
