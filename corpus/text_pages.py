"""Text pages of the site, in its two layouts.

    layout A                                layout B
    --------                                --------
    title                                   category
    standfirst                              title
    Published July 19, 2025                 standfirst
    Facebook X Reddit Pinterest Email       X Linkedin Facebook Reddit Email Bluesky
                                            Published by Anthony Gray
                                            August 11, 2025 - 3 min Read
    paragraphs and one-line headings, with ADVERTISEMENT lines between them
    Related Articles
    category                                category
    standfirst                              standfirst
    -                                       August 04, 2025
    July 21, 2025

Any part may be missing: it is None then, and where the page is in doubt, remarks say so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from corpus.dates import looks_like_date, parse_date
from corpus.essay import Block, Blurb, Essay, PageRejected

SHARE_NAMES = frozenset(
    "bluesky copy email facebook flipboard link linkedin mail mastodon messenger pinterest pocket print reddit "
    "share telegram threads tumblr twitter whatsapp x".split()
)
HEADING_MAX_CHARS = 120  # the longest heading on the two seed pages has 96 characters, the shortest paragraph 720
HEADER_MAX_LINES = 8  # where the share line, byline and date are looked for

_PUBLISHED_BY = re.compile(r"Published by\s+(?P<author>\S.*)", re.IGNORECASE)
_PUBLISHED = re.compile(r"Published(?: on)?:?\s+(?P<date>(?!by\b)(?=.*\d).{4,40})", re.IGNORECASE)
_MIN_READ = re.compile(
    r"(?:(?P<date>.{4,40}?)\s+[-–—·|]\s+)?(?P<minutes>\d{1,4})\s+min(?:ute)?s?\s+read", re.IGNORECASE
)
_ADVERTISEMENT = re.compile(r"advertisements?:?", re.IGNORECASE)
_RELATED = re.compile(r"related articles:?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*$")
_INNER_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]* +[^\W\d_a-z]")


def parse_text_page(text: str, ident: str, source: str) -> Essay:
    """The essay that a text page holds. Raises PageRejected when the page has no body."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line]
    page_lines, list_lines = _cut_related(lines)
    header, body_start = _parse_header(page_lines)
    blocks = tuple(_blocks(page_lines[body_start:]))
    if not blocks:
        raise PageRejected("no body: no paragraph was found between the header and the related articles")
    blurbs, list_remarks = _parse_list(list_lines, ident)
    if not list_lines and not _SENTENCE_END.search(blocks[-1].text):
        list_remarks = ("no related articles and the last paragraph breaks off: the page seems cut",)
    return Essay(
        id=ident,
        title=header.title,
        standfirst=header.standfirst,
        category=header.category,
        author=header.author,
        published=header.published,
        reading_minutes=header.reading_minutes,
        blocks=blocks,
        blurbs=blurbs,
        source=source,
        remarks=tuple(header.remarks) + list_remarks,
    )


def is_share_line(line: str) -> bool:
    """Whether a line consists of share buttons only, at least two of them."""
    words = line.lower().split()
    return len(words) >= 2 and all(word in SHARE_NAMES for word in words)


def is_advertisement(line: str) -> bool:
    """Whether a line is an advertisement's placeholder."""
    return _ADVERTISEMENT.fullmatch(line) is not None


def _cut_related(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines before and after the heading of the related articles; of several headings, the first counts."""
    for number, line in enumerate(lines):
        if _RELATED.fullmatch(line):
            return lines[:number], lines[number + 1 :]
    return lines, []


@dataclass
class _Header:
    category: str | None = None
    title: str | None = None
    standfirst: str | None = None
    author: str | None = None
    published: date | None = None
    reading_minutes: int | None = None
    remarks: list[str] = field(default_factory=list)

    def take_marker(self, line: str) -> bool:
        """Read a share line, byline or date line; False when the line is none of these."""
        if is_share_line(line):
            return True
        if match := _PUBLISHED_BY.fullmatch(line):
            self.author = match["author"].strip()
            return True
        if match := _MIN_READ.fullmatch(line):
            self.reading_minutes = int(match["minutes"])
            if match["date"]:
                self._take_date(match["date"])
            return True
        if match := _PUBLISHED.fullmatch(line):
            self._take_date(match["date"])
            return True
        if looks_like_date(line):
            self._take_date(line)
            return True
        return False

    def _take_date(self, text: str) -> None:
        self.published = parse_date(text)
        if self.published is None:
            self.remarks.append(f"no date: {text!r} is not a date")

    def take_names(self, lines: list[str], has_category_line: bool) -> None:
        """Read the lines above the markers: category, title and standfirst, as many as there are."""
        if len(lines) >= 3:
            self.category, self.title, self.standfirst = lines[:3]
            if len(lines) > 3:
                self.remarks.append(f"{len(lines) - 3} lines of the header were not understood: {lines[3]!r} ...")
        elif len(lines) == 2 and has_category_line and not _reads_as_standfirst(lines[1]):
            self.category, self.title = lines
        elif len(lines) == 2:
            self.title, self.standfirst = lines
        elif lines:
            self.title = lines[0]
        if self.standfirst is None:
            self.remarks.append("no standfirst")


def _reads_as_standfirst(line: str) -> bool:
    return len(line) >= 60 and _SENTENCE_END.search(line) is not None


def _parse_header(lines: list[str]) -> tuple[_Header, int]:
    """The header's fields and the number of lines that it takes."""
    header = _Header()
    first = next((n for n, line in enumerate(lines[:HEADER_MAX_LINES]) if _begins_markers(n, line)), None)
    if first is None:
        header.title = lines[0] if lines and len(lines[0]) <= 2 * HEADING_MAX_CHARS else None
        header.remarks.append("no share line, byline or date was found: only the title was read from the header")
        return header, 1 if header.title else 0
    # Layout A begins its markers with "Published <date>"; layout B, which has a category line, with the share line.
    header.take_names(lines[:first], has_category_line=_PUBLISHED.fullmatch(lines[first]) is None)
    end = first
    while end < len(lines) and header.take_marker(lines[end]):
        end += 1
    return header, end


def _begins_markers(number: int, line: str) -> bool:
    """Whether a line ends the names of the header. The first line is a name, even one like a date, or share buttons."""
    return is_share_line(line) or (number > 0 and _Header().take_marker(line))


def _blocks(lines: list[str]) -> Iterator[Block]:
    kept = [line for line in lines if not is_advertisement(line) and not is_share_line(line)]
    for number, line in enumerate(kept):
        followed = number + 1 < len(kept)
        short = len(line) <= HEADING_MAX_CHARS and _INNER_SENTENCE_END.search(line) is None
        yield Block("heading" if followed and short else "paragraph", line)


def _parse_list(lines: list[str], ident: str) -> tuple[tuple[Blurb, ...], tuple[str, ...]]:
    """The blurbs of a curated list, each ended by its date line, and remarks on what did not fit."""
    blurbs: list[Blurb] = []
    remarks: list[str] = []
    pending: list[str] = []
    for line in lines:
        if not looks_like_date(line):
            if line != "-" and not is_advertisement(line):
                pending.append(line)
            continue
        published = parse_date(line)
        if published is None:
            remarks.append(f"related article {len(blurbs) + 1} has no date: {line!r} is not one")
        _take_blurb(pending, published, ident, blurbs, remarks)
        pending = []
    if pending:
        _take_rest(pending, ident, blurbs, remarks)
    return tuple(blurbs), tuple(remarks)


def _take_blurb(lines: list[str], published: date | None, ident: str, blurbs: list[Blurb], remarks: list[str]) -> None:
    """Add the blurb that ends here: its last two lines are category and standfirst, what stands before is left over."""
    if not lines:
        remarks.append("a date without a related article before it")
        return
    if len(lines) > 2:
        remarks.append(f"{len(lines) - 2} lines among the related articles were not understood: {lines[0]!r} ...")
    category = lines[-2] if len(lines) >= 2 else None
    blurbs.append(Blurb(ident, len(blurbs) + 1, category, lines[-1], published))


def _take_rest(lines: list[str], ident: str, blurbs: list[Blurb], remarks: list[str]) -> None:
    """What follows the last date: a blurb that lost its date, or text that does not belong to the list."""
    if len(lines) == 2 and len(lines[0]) <= HEADING_MAX_CHARS:
        blurbs.append(Blurb(ident, len(blurbs) + 1, lines[0], lines[1]))
        remarks.append("the last related article has no date: the page seems cut")
    else:
        remarks.append(f"{len(lines)} lines after the related articles were left out: {lines[0][:60]!r} ...")
