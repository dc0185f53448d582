"""Markdown pages of Hugo, Jekyll and Eleventy -> essays.

The curated list is the front matter's `related`, or a section such as `## Related Articles` in the body. That section
is cut out either way.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from corpus.essay import Block, Blurb, Essay, PageRejected
from corpus.front_matter import Fields, read_front_matter
from corpus.html_tree import parse_tree, text_of, text_runs
from corpus.page_parts import (
    PARAGRAPH_CHARS,
    absolute_url,
    fold,
    is_furniture,
    is_header_line,
    is_related_heading,
    reading_minutes,
    site_url,
    split_off_date,
)

_JEKYLL_STEM = re.compile(r"(\d{4}-\d{2}-\d{2})-(.+)")
_TEMPLATE_TAG = re.compile(r"(\{\{[<%][^{}]*[>%]\}\}|\{\{/\*[^{}]*\*/\}\}|\{%[^{}]*%\}|\{:[^{}\n]*\})")
_FOOTNOTE = re.compile(r"^ {0,3}\[\^([^\]\s]{1,40})\]:", re.MULTILINE)
_FOOTNOTE_MARK = re.compile(r"\[\^([^\]\s]{1,40})\]:?")
_HEADING_ATTRIBUTES = re.compile(r"\s*\{[#.][^{}]*\}$")
_HREF = re.compile(r"""<a\s[^<>]*?href\s*=\s*["']?([^"'\s<>]*)""", re.IGNORECASE)
_PLAIN_RANK = 7  # of a list's heading that is only a short line: below <h6>


@dataclass(frozen=True, slots=True)
class _Line:
    """A heading or paragraph of the body.

    rank:  1-6 of a heading.
    links: address and text of each link in it.
    entry: what is the same for the lines of one list item (nested ones are part of theirs), else None.
    """

    text: str
    rank: int | None = None
    links: tuple[tuple[str, str], ...] = ()
    entry: object = None


def parse_markdown_page(text: str, ident: str, source: str) -> Essay:
    """The essay that a Markdown page holds. Raises PageRejected when it has no body or unusable front matter."""
    data, body = read_front_matter(text)
    fields = Fields(data)
    ident, named_day = _name(fields, ident)
    url = next(filter(None, (_web_address(data.get(key)) for key in ("permalink", "url"))), None)
    lines, lists = _cut_lists(_lines(body))
    title = fields.text("title") or next((line.text for line in lines if line.rank == 1), None)
    standfirst = fields.text("description", "standfirst", "summary", "excerpt")
    blocks = tuple(_blocks(lines, title, standfirst))
    if not any(block.kind == "paragraph" for block in blocks):
        raise PageRejected("no body: no paragraph was found outside of front matter and related articles")
    related, blurbs = _curated(fields, lists, ident, url)
    return Essay(
        id=ident,
        title=title,
        standfirst=standfirst,
        url=url,
        category=fields.first_text("category", "categories", "section"),
        author=", ".join(fields.texts("author", "authors")) or None,
        published=fields.day("date", "published", "publishdate") or named_day,
        reading_minutes=_minutes(fields),
        blocks=blocks,
        blurbs=blurbs,
        related=related,
        links=_links(lines, url),
        source=source,
        remarks=tuple(dict.fromkeys(fields.remarks)),
    )


# --- fields ----------------------------------------------------------------------------------------------------------


def _name(fields: Fields, stem: str) -> tuple[str, date | None]:
    """The essay's id, and the day that a Jekyll file name (`2025-03-14-some-slug`) begins with."""
    match = _JEKYLL_STEM.fullmatch(stem)
    day = Fields({"name": match[1]}).day("name") if match else None
    return fields.text("id", "slug") or (match[2] if match and day else stem), day


def _web_address(value: object) -> str | None:
    return absolute_url(value, None) if isinstance(value, str) else None


def _minutes(fields: Fields) -> int | None:
    text = fields.text("reading_time", "readingtime", "reading_minutes", "minutes")
    minutes = reading_minutes(text, needs_read=False) if text else None
    if minutes is None and text and text.isdecimal() and len(text) <= 4:
        return int(text)
    if text and minutes is None:
        fields.remarks.append(f"no reading time: {text[:40]!r} is not a number of minutes")
    return minutes


def _curated(
    fields: Fields, lists: Sequence[Sequence[_Line]], ident: str, url: str | None
) -> tuple[tuple[str, ...], tuple[Blurb, ...]]:
    """References and blurbs: those of the front matter, else those of the first section that has some."""
    related, blurbs = _front_matter_list(fields, ident, url)
    for section in lists:
        found = tuple(_section_blurbs(section, ident, url))
        heading = section[0].text
        if found and (related or blurbs):
            fields.remarks.append(f"another list, {heading!r}, was left out")
        elif not found and len(section) > 1:
            fields.remarks.append(f"no related article was recognised in {heading!r}: {section[1].text[:60]!r} ...")
        blurbs = blurbs or (found if not related else ())
    return related, blurbs


def _front_matter_list(fields: Fields, ident: str, url: str | None) -> tuple[tuple[str, ...], tuple[Blurb, ...]]:
    """`related` as references (text) and blurbs (mappings)."""
    related: list[str] = []
    blurbs: list[Blurb] = []
    for number, item in enumerate(fields.items("related"), 1):
        if isinstance(item, str | int) and not isinstance(item, bool) and fold(str(item)):
            related.append(fold(str(item)))
        elif isinstance(item, dict) and (blurb := _mapped_blurb(item, number, fields, url)):
            blurbs.append(
                Blurb(ident, len(blurbs) + 1, blurb.category, blurb.text, blurb.published, blurb.url, blurb.title)
            )
        else:
            fields.remarks.append(
                f"entry {number} of `related` is neither text nor a mapping with a url, title or description"
            )
    return tuple(related), tuple(blurbs)


def _mapped_blurb(item: dict[Any, Any], number: int, fields: Fields, base: str | None) -> Blurb | None:
    """The blurb of a mapping `{url, title, description, date, category}`; None without url, title and description."""
    entry = Fields({str(key).lower(): value for key, value in item.items()}, f"entry {number} of `related`: ")
    address = entry.text("url", "link", "href", "permalink")
    blurb = Blurb(
        source="",
        position=0,
        category=entry.first_text("category", "categories", "section"),
        text=entry.text("description", "standfirst", "summary", "excerpt", "text"),
        published=entry.day("date", "published", "publishdate"),
        url=site_url(address, base) if address else None,
        title=entry.text("title"),
    )
    fields.remarks += entry.remarks
    return blurb if blurb.url or blurb.title or blurb.text else None


# --- body ------------------------------------------------------------------------------------------------------------


def _blocks(lines: Iterable[_Line], title: str | None, standfirst: str | None) -> Iterator[Block]:
    """The essay's blocks, without advertisements and without what repeats title and standfirst at the start."""
    in_header = True
    for line in lines:
        in_header = in_header and is_header_line(line.text, (title, standfirst))
        if not in_header and not is_furniture(line.text) and not (line.rank == 1 and line.text == title):
            yield Block("heading" if line.rank else "paragraph", line.text)


def _links(lines: Iterable[_Line], own: str | None) -> tuple[str, ...]:
    """The addresses that the body links to, absolute or beginning with `/`, each once."""
    urls = (site_url(href, None) for line in lines for href, _ in line.links)
    return tuple(dict.fromkeys(url for url in urls if url and url != own))


def _cut_lists(lines: Iterable[_Line]) -> tuple[list[_Line], list[list[_Line]]]:
    """The body's lines, and apart from them the sections of related articles, each with its heading first.

    A section ends at a heading of its rank or above, and where a paragraph of the essay goes on.
    """
    body: list[_Line] = []
    sections: list[list[_Line]] = []
    rank = 0
    for line in lines:
        if rank and ((line.rank and line.rank <= rank) or _is_essay_text(line)):
            rank = 0
            if len(sections[-1]) == 1 and not line.rank:
                body += sections.pop()  # the essay's own heading, as prose follows it
        if not rank and line.rank != 1 and line.entry is None and is_related_heading(line.text):
            rank = line.rank or _PLAIN_RANK
            sections.append([])
        (sections[-1] if rank else body).append(line)
    return body, sections


def _is_essay_text(line: _Line) -> bool:
    return not line.links and line.entry is None and line.rank is None and len(line.text) > PARAGRAPH_CHARS


def _section_blurbs(section: Sequence[_Line], ident: str, base: str | None) -> Iterator[Blurb]:
    """A blurb for each item of a list in the section, and for each line with a link where it is no item of its own."""
    position = 0
    for entry, group in groupby(section[1:], key=lambda line: line.entry):
        lines = list(group)
        linked = [[line] for line in lines if line.links]
        for entry_lines in [lines] if entry is not None and len(linked) < 2 else linked:
            position += 1
            yield _entry_blurb(entry_lines, ident, position, base)


def _entry_blurb(lines: Sequence[_Line], ident: str, position: int, base: str | None) -> Blurb:
    """The blurb of an entry: its first link is the title, what is left without the date is the text."""
    href, title = next((link for line in lines for link in line.links if link[1]), ("", ""))
    rest = [split_off_date(line.text.replace(title, "", 1) if title in line.text else line.text) for line in lines]
    text = fold(" ".join(text for text, _ in rest if text))
    published = next((day for _, day in rest if day), None)
    return Blurb(ident, position, None, text or None, published, site_url(href, base), title or None)


class _Markdown(MarkdownIt):
    """CommonMark with tables, whose link targets are left as they are written."""

    def __init__(self) -> None:
        super().__init__("commonmark")
        self.enable(["table", "strikethrough"])

    def normalizeLink(self, url: str) -> str:  # noqa: N802  # the library's name
        """The target as written, not percent-encoded: an HTML page gives it as written, too."""
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802  # the library's name
        """A link to `javascript:` is a link as well: its text is kept, its target goes nowhere."""
        return True


def _lines(body: str) -> Iterator[_Line]:
    """The headings, paragraphs, list items, quotes and code of a Markdown text, in order."""
    depth = entry = 0
    rank = None
    row: list[_Line] | None = None
    for token in _Markdown().parse(_without_footnote_marks(_without_template_tags(body))):
        depth += token.nesting if token.type in ("list_item_open", "list_item_close") else 0
        entry += token.type == "list_item_open" and depth == 1
        match token.type:
            case "heading_open":
                rank = int(token.tag[1])
            case "heading_close":
                rank = None
            case "tr_open":
                row = []
            case "tr_close":
                yield from _joined(row or [])
                row = None
            case "fence" | "code_block" if text := fold(token.content):
                yield _Line(text, entry=entry if depth else None)
            case "html_block":
                yield from _html_lines(token.content)
            case "inline" if (line := _flatten(token, rank, entry if depth else None)).text:
                if row is None:
                    yield line
                else:
                    row.append(line)


def _without_template_tags(body: str) -> str:
    """The text without Hugo's shortcodes, Liquid's tags and comments, kramdown's attributes."""
    kept: list[str] = []
    in_comment = False
    for number, piece in enumerate(_TEMPLATE_TAG.split(body)):
        if number % 2:
            name = piece.strip("{}%- ")
            in_comment = name == "comment" or (in_comment and name != "endcomment")
        elif not in_comment:
            kept.append(piece)
    return "".join(kept)


def _without_footnote_marks(text: str) -> str:
    """The text without `[^1]`, in it and before the note. Only where there is such a note: `[^1]` may be code."""
    notes = set(_FOOTNOTE.findall(text))
    return _FOOTNOTE_MARK.sub(lambda mark: "" if mark[1] in notes else mark[0], text) if notes else text


def _joined(cells: Sequence[_Line]) -> Iterator[_Line]:
    """The row of a table as one line."""
    if cells:
        yield _Line(" ".join(cell.text for cell in cells), None, tuple(link for cell in cells for link in cell.links))


def _flatten(inline: Token, rank: int | None, entry: int | None) -> _Line:
    """The text of inline markup, without pictures and HTML tags, and its links."""
    pieces: list[str] = []
    links: list[tuple[str, str]] = []
    opened: list[tuple[str, int]] = []
    silent = False
    for token in inline.children or []:
        tag = token.content.lower() if token.type == "html_inline" else ""
        if tag.startswith(("<script", "<style", "</script", "</style")):
            silent = not tag.startswith("</")
        elif (href := _opened_link(token)) is not None:
            opened.append((href, len(pieces)))
        elif (token.type == "link_close" or tag.startswith("</a")) and opened:
            href, start = opened.pop()
            links.append((href, fold("".join(pieces[start:]))))
        elif not silent:
            pieces.append(_piece(token, tag))
    text = fold("".join(pieces))
    return _Line(_HEADING_ATTRIBUTES.sub("", text) if rank else text, rank, tuple(links), entry)


def _opened_link(token: Token) -> str | None:
    """The target of a link that begins with this token, in Markdown or as <a href>."""
    if token.type == "link_open":
        return str(token.attrGet("href") or "")
    tag = _HREF.match(token.content) if token.type == "html_inline" else None
    return tag[1] if tag else None


def _piece(token: Token, tag: str) -> str:
    if token.type in ("softbreak", "hardbreak") or tag.startswith("<br"):
        return " "
    if token.type in ("text", "text_special"):
        return token.content
    return token.content if token.type == "code_inline" else ""


def _html_lines(html: str) -> Iterator[_Line]:
    """The lines of raw HTML between the paragraphs; none for tags or comments alone."""
    try:
        tree, _ = parse_tree(html)
    except PageRejected:
        return
    for run in text_runs(tree):
        items = [element for element in (run.owner, *run.owner.iterancestors()) if element.tag == "li"]
        links = tuple((link.get("href", ""), text_of(link)) for link in run.owner.iter("a")) if run.hrefs else ()
        yield _Line(run.text, run.rank, links, items[-1] if items else None)
