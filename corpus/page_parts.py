"""What HTML and Markdown pages have in common: the headings of a curated list, dates, addresses, repeated headers."""

import re
from collections.abc import Collection
from datetime import date
from urllib.parse import urldefrag, urljoin, urlsplit

from corpus.dates import looks_like_date, parse_date
from corpus.text_pages import SHARE_NAMES, is_advertisement, is_share_line

RELATED_HEADINGS = (
    "related articles",
    "related",
    "related content",
    "related essays",
    "related links",
    "related pieces",
    "related posts",
    "related reading",
    "related stories",
    "further reading",
    "keep reading",
    "more like this",
    "more on this topic",
    "read next",
    "recommended",
    "recommended for you",
    "recommended reading",
    "see also",
    "what to read next",
    "you may also enjoy",
    "you may also like",
    "you might also enjoy",
    "you might also like",
)
"""Headings of a curated list, in lower case; a page may write them in any case and with a colon at the end."""

PARAGRAPH_CHARS = 200
"""In or after a list, a longer paragraph without a link is the essay going on. The longest blurb of the sample site has
173 characters, the shortest paragraph of its HTML essays 321."""

_MAX_DATE_CHARS = 80
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NOT_IN_URLS = re.compile(r"[\s<>\"\x00-\x1f\x7f\ud800-\udfff]")
_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}")
_DATE_LABEL = re.compile(r"(?:first )?(?:published|posted|updated)(?: on| in)?:?\s+", re.IGNORECASE)
_MINUTES = re.compile(
    r"(?:.{0,40}[-–—·•|(]\s*)?(?:reading time:?\s*)?(\d{1,3})[\s-]*min(?:ute)?s?\.?(?:\s*(?:read|reading time))?\)?",
    re.IGNORECASE,
)
_READ_MINUTES = re.compile(r"(?=.*\bread)" + _MINUTES.pattern, re.IGNORECASE)
_BRACKETED_END = re.compile(r"\s*[(\[]([^()\[\]]{6,40})[)\]]$")
_DATE_AFTER_SENTENCE = re.compile(r"(?<=[.!?…\"'”’)])\s+(\S.{4,20}\d)$")
_PARTS = re.compile(r"\s+[-–—|·•]\s+")
_EDGES = " \t\n-–—|·•:,;"


def fold(text: str) -> str:
    """The text to the letter, but with every run of white space as one space, and without what UTF-8 or XML has not."""
    return " ".join(_CONTROL.sub("", text).split())


def is_related_heading(text: str) -> bool:
    """Whether a line is one of RELATED_HEADINGS."""
    return len(text) <= 40 and fold(text).rstrip(" :").lower() in RELATED_HEADINGS


def day_stated(text: str) -> date | None:
    """The day that the whole text spells, with or without `Published` before it or a time of day after it."""
    if len(text) > _MAX_DATE_CHARS:
        return None
    text = _DATE_LABEL.sub("", fold(text), count=1)
    timestamp = _TIMESTAMP.match(text)
    return parse_date(text) or (parse_date(timestamp[1]) if timestamp else None)


def split_off_date(text: str) -> tuple[str | None, date | None]:
    """A line of a list's entry without the date that is a part of its own in it, and that date.

    `A sentence. July 5, 2025`, `Words (July 5, 2025)`, `July 5, 2025 - Words` and `July 5, 2025` are understood.
    """
    text = text.strip(_EDGES)
    if day := day_stated(text.strip("()[]")):
        return None, day
    for pattern in (_BRACKETED_END, _DATE_AFTER_SENTENCE):
        if (ending := pattern.search(text)) and (day := day_stated(ending[1])):
            return text[: ending.start()].strip(_EDGES) or None, day
    for separator in _PARTS.finditer(text):
        start, end = separator.span()
        if start <= _MAX_DATE_CHARS and (day := day_stated(text[:start])):
            return text[end:], day
        if len(text) - end <= _MAX_DATE_CHARS and (day := day_stated(text[end:])):
            return text[:start], day
    return text or None, None


def reading_minutes(text: str, needs_read: bool = True) -> int | None:
    """The minutes of a line such as `3 min read` or `July 5, 2025 - 3 min Read`, else None.

    needs_read: whether the line must speak of reading; False where its place says so already.
    """
    match = (_READ_MINUTES if needs_read else _MINUTES).fullmatch(fold(text)) if len(text) <= 100 else None
    return int(match[1]) if match else None


def absolute_url(href: str, base: str | None) -> str | None:
    """The http(s) address that a link names, seen from `base`, without fragment; None when it names none.

    A link within the page (`#notes`) names none.
    """
    if not href.strip() or href.strip().startswith("#"):
        return None
    try:
        url = urldefrag(urljoin(base or "", href.strip())).url
        parts = urlsplit(url)
    except ValueError:  # "http://[": not an address
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or _NOT_IN_URLS.search(url):
        return None
    return url


def site_url(href: str, base: str | None) -> str | None:
    """Like absolute_url, but an address such as `/gardens/roses/` is kept as it is when there is no base."""
    if url := absolute_url(href, base):
        return url
    path = urldefrag(fold(href)).url
    return path if re.fullmatch(r"/(?!/)\S+", path) and not base else None


def is_furniture(line: str) -> bool:
    """Whether a line of a body is no text of the essay: an advertisement's place or a row of share buttons."""
    return is_advertisement(line) or is_share_line(line)


def is_share_name(line: str) -> bool:
    """Whether a line is the name on one share button. Only among others of its kind is it one: `X` may be a number."""
    return line.lower() in SHARE_NAMES


def is_header_line(line: str, header: Collection[str | None]) -> bool:
    """Whether a line at the start of a body repeats the page's header.

    header: title, standfirst, category and author, as far as they are known.
    """
    known = {_letters(value) for value in header if value}
    names = _letters(re.sub(r"(?:published |written |words )?by:?\s+", "", line, count=1, flags=re.IGNORECASE))
    if _letters(line) in known or names in known:
        return True
    return reading_minutes(line) is not None or day_stated(line) is not None or looks_like_date(line)


def _letters(text: str) -> str:
    """What two spellings of one line share: its letters and digits."""
    return re.sub(r"[\W_]+", "", text).casefold()
