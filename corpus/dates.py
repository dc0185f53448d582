"""Dates as pages write them. Strict on purpose: a guessed date is a wrong field."""

import re
from datetime import date, datetime

_FORMATS = ("%B %d, %Y", "%b %d, %Y", "%b. %d, %Y", "%d %B %Y", "%d %b %Y", "%Y/%m/%d")
_LONG_DATE = re.compile(r"[^\W\d_]{3,12}\.? \d{1,2}, ?\d{4}")


def parse_date(text: str) -> date | None:
    """The date that the whole text spells (ISO, `July 05, 2025`, `5 July 2025`), else None."""
    text = " ".join(text.split()).replace("Sept.", "Sep.").replace("Sept ", "Sep ")
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None


def looks_like_date(text: str) -> bool:
    """Whether the whole text has the shape of a date line, even of a day that does not exist (`Foo 45, 2025`)."""
    return parse_date(text) is not None or _LONG_DATE.fullmatch(text.strip()) is not None
