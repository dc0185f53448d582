"""The elements of a curated list -> its entries -> blurbs."""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

from lxml.html import HtmlElement, fragment_fromstring

from corpus.essay import Blurb
from corpus.html_metadata import MAX_LABEL_CHARS, is_category_label
from corpus.html_tree import HEADING_TAGS, Run, class_words, text_of, text_runs
from corpus.page_parts import day_stated, fold, reading_minutes, site_url, split_off_date

MAX_REMARKS = 5  # on one list: where all links lead nowhere, a few examples say so

_BYLINE_WORDS = frozenset({"author", "authors", "button", "btn", "byline"})
_TITLE_WORDS = frozenset({"heading", "headline", "title"})
_INVITATION = re.compile(
    r"(?:continue reading|read(?: more| on| now| the (?:full )?(?:article|essay|post|story))?|learn more|more"
    r"|(?:view|see|show|browse|explore) (?:all|more)(?: \w+)?|(?:all|more) (?:articles|essays|posts|stories))"
    r"[\s.…→»›>]*",
    re.IGNORECASE,
)


def read_blurbs(parts: Sequence[HtmlElement], ident: str, base: str | None) -> tuple[tuple[Blurb, ...], list[str]]:
    """The blurbs of a list, numbered from 1, and remarks on fields that could not be read.

    base: what relative links are relative to. An entry without URL, title and text is none.
    """
    blurbs: list[Blurb] = []
    remarks: list[str] = []
    for entry in _entries(list(parts)):
        card = _Card(entry)
        blurb = card.read(base)
        if blurb.url or blurb.title or blurb.text:
            blurbs.append(replace(blurb, source=ident, position=len(blurbs) + 1))
            remarks += card.remarks
    return tuple(blurbs), remarks[:MAX_REMARKS]


def _entries(parts: list[HtmlElement]) -> list[list[HtmlElement]]:
    """The entries of a list, each one or several sibling elements, in page order."""
    items = [item for part in parts for item in _outermost(part, "li", "article")]
    links = [link for part in parts for link in part.iter("a") if _is_title_link(link)]
    known = set(items)
    inside = [link for link in links if any(above in known for above in link.iterancestors())]
    if items and len(inside) * 2 >= len(links):  # those outside lead to "All essays"
        return [[item] for item in items]
    return list(_groups(parts)) if links else [[card] for card in _cards(parts)]


def _outermost(part: HtmlElement, *tags: str) -> Iterator[HtmlElement]:
    """The elements of these tags in a part, itself among them, that do not stand in another one."""
    covered: set[HtmlElement] = set()
    for element in part.iter(*tags):
        if element not in covered:
            covered.update(element.iterdescendants(*tags))
            yield element


def _is_title_link(link: HtmlElement) -> bool:
    """Whether a link leads to an entry, and not to its category or author."""
    if not link.get("href") or not text_of(link, 1) or "author" in link.get("rel", ""):
        return False
    around = [link] if link.getparent() is None else [link, link.getparent()]
    return not any(is_category_label(e) or not _BYLINE_WORDS.isdisjoint(class_words(e) - {"button"}) for e in around)


def _groups(nodes: list[HtmlElement]) -> Iterator[list[HtmlElement]]:
    """Siblings grouped into entries: each begins at a link to another place, or at the category before it."""
    while len(nodes) == 1 and nodes[0].tag != "a" and len(nodes[0]) and not (nodes[0].text or "").strip():
        nodes = list(nodes[0])
    heading = _own_heading(nodes)
    group: list[HtmlElement] = []
    href = None
    for node in nodes:
        hrefs = list(dict.fromkeys(link.get("href") for link in node.iter("a") if _is_title_link(link)))
        ends_group = href and (
            len(hrefs) > 1 or (hrefs and hrefs[0] != href) or (not hrefs and is_category_label(node))
        )
        if ends_group:
            yield group
            group, href = [], None
        if len(hrefs) > 1 and len(node):
            yield from _groups(list(node))
        elif node is not heading:
            group.append(node)
            href = href or next(iter(hrefs), None)
    if href:
        yield group


def _own_heading(nodes: list[HtmlElement]) -> HtmlElement | None:
    """The list's own heading among its entries: the only one beside them, without a link, and before them all.

    The title of a single entry stands so as well, if its link is no more than `Read more`.
    """
    headed = [node for node in nodes if _headings(node)]
    bare = [node for node in headed if node.find(".//a") is None and node.tag != "a"]
    first = next((node for node in nodes if text_of(node, 1)), None)
    links = [link for node in nodes for link in node.iter("a") if _is_title_link(link)]
    is_named = len(headed) > 1 or any(not _INVITATION.fullmatch(text_of(link, 200)) for link in links)
    return first if len(bare) == 1 and bare[0] is first and is_named else None


def _cards(parts: list[HtmlElement]) -> Iterator[HtmlElement]:
    """Entries without a link: elements side by side that hold several lines each."""
    nodes = [part for part in parts if text_of(part, 1)]
    while len(nodes) == 1:
        nodes = [child for child in nodes[0] if text_of(child, 1)]
    for node in nodes:
        if len(list(text_runs(node))) > 1:
            yield node


def _headings(element: HtmlElement) -> list[HtmlElement]:
    return [heading for heading in element.iter(*HEADING_TAGS) if text_of(heading, 1)]


class _Card:
    """One entry, taken apart: what has been understood is removed, and the text that is left is the blurb's."""

    def __init__(self, entry: Sequence[HtmlElement]) -> None:
        self.root = fragment_fromstring("<div></div>")
        self.root.extend(copy.deepcopy(node) for node in entry)
        self.remarks: list[str] = []

    def read(self, base: str | None) -> Blurb:
        """The blurb, without its place in the list; an empty one for a link such as `See all`."""
        link = self._main_link()
        href = link.get("href") if link is not None else ""
        invites = link is not None and _INVITATION.fullmatch(text_of(link, 200)) is not None
        category = self._take_category(link)
        published = self._take_times()
        self._drop_bylines(link)
        title = self._take_title(link)
        text, day = self._take_text()
        if invites and not title and not text:
            return Blurb("", 0)
        url = site_url(href, base) if href else None
        if href and not url:
            self.remarks.append(f"a related article has no address: {href[:60]!r} leads to no page")
        return Blurb("", 0, category, text, published or day, url, title)

    def _main_link(self) -> HtmlElement | None:
        """The link to the essay: with a heading, else with a text that could be a title, else any."""
        links = [link for link in self.root.iter("a") if link.get("href")]
        titles = [link for link in links if _is_title_link(link)]
        headed = [
            link for link in titles if _headings(link) or next(link.iterancestors(*HEADING_TAGS), None) is not None
        ]
        named = [link for link in titles if not _INVITATION.fullmatch(text_of(link, 200))]
        return next(iter([*headed, *named, *titles, *links]), None)

    def _take_category(self, link: HtmlElement | None) -> str | None:
        for element in self.root.iterdescendants():
            if not is_category_label(element) or element is link or _headings(element):
                continue
            text = text_of(element, MAX_LABEL_CHARS)
            if 0 < len(text) <= MAX_LABEL_CHARS and link not in list(element.iter("a")):
                element.drop_tree()
                return text
        return None

    def _take_times(self) -> date | None:
        """The day of the first <time> that has one; a <time> that has none is remarked on."""
        days = []
        for element in list(self.root.iter("time")):
            shown = text_of(element, MAX_LABEL_CHARS)
            stated = element.get("datetime") or shown
            days.append(day_stated(stated) or day_stated(shown))
            if stated and not days[-1]:
                self.remarks.append(f"a related article has no date: {stated[:40]!r} is not one")
            element.drop_tree()
        return next(filter(None, days), None)

    def _drop_bylines(self, link: HtmlElement | None) -> None:
        for element in list(self.root.iterdescendants()):
            is_byline = element.tag not in ("a", "article", "li") and not _BYLINE_WORDS.isdisjoint(class_words(element))
            is_needed = bool(_headings(element)) or link in list(element.iter("a"))
            if (element.tag == "button" or is_byline) and not is_needed:
                element.drop_tree()

    def _take_title(self, link: HtmlElement | None) -> str | None:
        """The heading; else, in a link around the whole card, what stands out; else the link's text."""
        for heading in _headings(self.root):
            title = text_of(heading)
            heading.drop_tree()
            return title
        if link is None:
            return None
        if next(link.iter("p", "div"), None) is not None:
            return _take_outstanding(link)
        title = text_of(link)
        link.drop_tree()
        return title if title and not _INVITATION.fullmatch(title) else None

    def _take_text(self) -> tuple[str | None, date | None]:
        """The text that is left, of the paragraphs if there are any, and the first date that is a part of a line."""
        published = None
        lines: list[tuple[bool, str]] = []
        for run in text_runs(self.root, split_lines=True):
            text, day = split_off_date(run.text)
            published = published or day
            if text and any(map(str.isalnum, text)) and not _INVITATION.fullmatch(text) and not reading_minutes(text):
                lines.append((run.owner.tag == "p", text))
        paragraphs = [text for is_paragraph, text in lines if is_paragraph]
        return fold(" ".join(paragraphs or [text for _, text in lines])) or None, published


def _take_outstanding(link: HtmlElement) -> str | None:
    """The title in a link around a card: what is marked as one or bold, else the first line that is no paragraph."""
    for element in link.iterdescendants():
        marked = not _TITLE_WORDS.isdisjoint(class_words(element))
        if (marked or element.tag in ("b", "strong")) and (title := text_of(element)):
            element.drop_tree()
            return title
    loose = [run for run in text_runs(link) if run.owner.tag != "p"]
    return _take_run(loose[0]) if loose else None


def _take_run(run: Run) -> str:
    """The text of a run that is one piece; it is taken out of the tree."""
    if run.after_node:
        run.node.tail = None
    else:
        run.node.text = None
    return run.text
