"""Dates as pages write them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.dates import looks_like_date, parse_date


@pytest.mark.parametrize(
    "text",
    [
        "2025-07-05",
        "2025-07-05T08:30:00Z",
        "July 5, 2025",
        "July 05, 2025",
        "JULY 05, 2025",
        "Jul 5, 2025",
        "Jul. 5, 2025",
        "5 July 2025",
        "05 Jul 2025",
        "2025/07/05",
        "  July \t05,\n2025 ",
    ],
)
def test_a_date_is_read_in_every_usual_spelling(text: str) -> None:
    assert parse_date(text) == date(2025, 7, 5)
    assert looks_like_date(text)


@pytest.mark.parametrize(
    "text",
    ["", "-", "July", "July 2025", "July 5", "2025", "on July 5, 2025", "July 5, 2025.", "yesterday", "05/07/2025"],
)
def test_what_is_no_whole_date_is_not_guessed(text: str) -> None:
    assert parse_date(text) is None
    assert not looks_like_date(text)


@pytest.mark.parametrize("text", ["Foo 45, 2025", "February 30, 2025", "Juli 05, 2025"])
def test_a_line_may_look_like_a_date_and_be_none(text: str) -> None:
    assert parse_date(text) is None
    assert looks_like_date(text)


@given(st.dates())
def test_every_day_is_read_back_from_its_iso_spelling(day: date) -> None:
    assert parse_date(day.isoformat()) == day


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = parse_date(text)

    assert found is None or isinstance(found, date)
    assert looks_like_date(text) or found is None
