"""The overview's file: what comes back, what a search finds, and that it can be read from many threads."""

from array import array
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from recommender.overview import Overview, PageFacts, write_overview

UNKNOWN = dict.fromkeys(("title", "url", "category", "published", "twins", "overlap_before"))
COUNTS = ("list_length", "curated", "suggestions", "kept", "new", "lost", "ambiguous", "unmatched")
NOTHING = UNKNOWN | dict.fromkeys((*COUNTS, "links_in", "listed_by"), 0) | dict.fromkeys(("strength", "worth"), 0.0)


def page(number: int, ident: str, **fields: object) -> PageFacts:
    """A page of which nothing is known but these fields."""
    facts = NOTHING | {"hub": False, "orphan": True, "x": 0.5, "y": 0.5} | fields
    return PageFacts(number=number, id=ident, **facts)  # type: ignore[arg-type]


PAGES = (
    PageFacts(
        *(1, "bread", "Of Bread", "https://example.org/bread", "Food", date(2025, 5, 1)),
        *(7, 6, 40, 0.625, 3, 3, 2, 1, 2, 3, 4, "loaves", True, False, 0.75, 0.25, 1.0, 2.5),
    ),
    page(2, "a/rye", title="Rye bread", url="https://example.org/rye_100%"),
    page(3, "100% rye", title="Żur, or sour RYE\nsoup"),
    page(4, "rye_100", orphan=False, overlap_before=0.0),
    page(5, "bare"),
)


@pytest.fixture
def overview(tmp_path: Path) -> Overview:
    write_overview(tmp_path / "overview.sqlite3", PAGES, {4: array("i", [1, 3]), 1: array("i", [2])})
    return Overview(tmp_path / "overview.sqlite3")


def test_pages_come_back_as_they_were_written(overview: Overview) -> None:
    assert tuple(overview.rows()) == PAGES
    assert [overview.page(facts.id) for facts in PAGES] == list(PAGES)
    found = overview.page("bread")
    assert found is not None
    assert [type(value) for value in (found.published, found.hub, found.orphan)] == [date, bool, bool]


@pytest.mark.parametrize("ident", ["nobody", "", "BREAD", "\ud800"])
def test_of_an_unknown_page_nothing_is_known(overview: Overview, ident: str) -> None:
    assert overview.page(ident) is None
    assert overview.shown_by(ident) == ()


def test_a_page_names_those_whose_lists_show_it(overview: Overview) -> None:
    assert overview.shown_by("rye_100") == ("bread", "100% rye")
    assert overview.shown_by("bread") == ("a/rye",)
    assert overview.shown_by("bare") == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bread", ["bread", "a/rye"]),  # an id begins with it, a title holds it
        ("of b", ["bread"]),
        ("RYE", ["a/rye", "rye_100", "100% rye"]),
        ("żUR", ["100% rye"]),
        ("rye soup", ["100% rye"]),
        ("  sour \n rye", ["100% rye"]),
        ("example.org/rye", ["a/rye"]),
        ("https://EXAMPLE.org", ["bread", "a/rye"]),
        ("%", ["a/rye", "100% rye"]),
        ("_", ["a/rye", "rye_100"]),
        ("100%", ["100% rye", "a/rye"]),
        ("r_e", []),
        ("r%e", []),
        ("\\", []),
        ("rye_100 rye", []),  # from the end of one text into the next
        ("'; DROP TABLE pages; --", []),
        ("", []),
        (" \n", []),
        ("\ud800", []),
        ("rye" * 30_000, []),
    ],
)
def test_a_search_finds_a_part_of_title_address_or_id(overview: Overview, text: str, found: list[str]) -> None:
    assert overview.search(text, 10) == found


def test_a_search_gives_no_more_than_it_is_asked_for(overview: Overview) -> None:
    assert overview.search("rye", 2) == ["a/rye", "rye_100"]
    assert overview.search("rye", 0) == []


def test_a_reading_of_everything_keeps_no_look_up_waiting(overview: Overview) -> None:
    reading = overview.rows()
    assert next(reading) == PAGES[0]
    assert overview.page("bare") == PAGES[4]
    assert list(reading) == list(PAGES[1:])


def test_many_threads_read_one_overview(overview: Overview) -> None:
    def read(number: int) -> bool:
        alike = all(overview.page(facts.id) == facts for facts in PAGES * 10)
        return alike and overview.search("rye", 9) == ["a/rye", "rye_100", "100% rye"]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(16)))


def test_nothing_is_written_beside_a_file_that_is_read(overview: Overview, tmp_path: Path) -> None:
    list(overview.rows())
    assert [path.name for path in tmp_path.iterdir()] == ["overview.sqlite3"]
