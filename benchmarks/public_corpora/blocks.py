"""HTML to blocks of text, and blocks to the body, description and list of an article."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import lxml.html

HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCK_TAG = re.compile(
    "address|article|blockquote|body|br|center|dd|div|dl|dt|footer|h[1-6]|header|hr|html|li|main|nav|ol|p|section|"
    "table|tbody|tfoot|thead|tr|ul"
)
SILENT_TAG = re.compile("button|head|img|input|pre|script|select|style")
BULLETS = frozenset("\u2022\u00b7*-+o")
POINTER = re.compile(r"(?:- )?see (?:also\b.*|\S+\(\d\w*\)(?: and \S+\(\d\w*\))?\.?)", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A paragraph (level 0) or a heading (level 1 to 6) with the targets of the links in it."""

    text: str
    links: tuple[str, ...] = ()
    level: int = 0
    prose: bool = True  # neither a table row nor a list item


class _Flattener:
    """Walks an HTML tree and collects its blocks in reading order; code blocks and scripts are left out."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._links: list[str] = []
        self._lead = ""  # what the next block starts with: "- " or "term: "

    def content(self, element: lxml.html.HtmlElement) -> None:
        """Add what is inside an element."""
        self._text.append(element.text or "")
        for child in element:
            self._walk(child)
            self._text.append(child.tail or "")

    def flush(self, level: int = 0, prose: bool = True) -> None:
        """End the block under way."""
        text = squeeze("".join(self._text))
        if text:
            self.blocks.append(Block(self._lead + text, tuple(self._links), level, prose and not self._lead))
            self._lead = ""
        self._text, self._links = [], []

    def _walk(self, element: lxml.html.HtmlElement) -> None:
        """Add an element and all below it."""
        tag = element.tag
        if not isinstance(tag, str) or SILENT_TAG.fullmatch(tag):
            return
        if tag == "a" and element.get("href"):
            self._links.append(element.get("href"))
        if not BLOCK_TAG.fullmatch(tag):
            self.content(element)
            return
        self.flush()
        if tag == "tr":
            self._add_row(element)
        elif tag == "dt":
            self._add_term(element)
        else:
            if tag == "li":
                self._end_lead()
                self._lead = "- "
            self.content(element)
            self.flush(HEADINGS.get(tag, 0))
            if tag in ("li", "dd", "dl"):
                self._end_lead()

    def _add_row(self, row: lxml.html.HtmlElement) -> None:
        """A table row is one paragraph: "first: second" or "first; second; third"."""
        cells = [blocks for blocks in map(flatten, row.iterchildren("td", "th")) if blocks]
        texts = [" ".join(block.text for block in cell) for cell in cells]
        self._text = [(": " if len(texts) == 2 else "; ").join(texts)]
        self._links = [link for cell in cells for block in cell for link in block.links]
        self.flush(prose=False)

    def _add_term(self, term: lxml.html.HtmlElement) -> None:
        """The term of a definition leads the paragraph that follows; a mere bullet becomes a dash."""
        text = " ".join(block.text for block in flatten(term))
        if text in BULLETS:
            self._end_lead()
            self._lead = "- "
        elif text:
            self._lead = f"{self._lead.removesuffix(': ')}, {text}: " if self._lead.endswith(": ") else f"{text}: "

    def _end_lead(self) -> None:
        """A term that nothing follows stands by itself."""
        if self._lead.endswith(": "):
            self.blocks.append(Block(self._lead.removesuffix(": "), prose=False))
        self._lead = ""


def flatten(element: lxml.html.HtmlElement) -> list[Block]:
    """The blocks inside an HTML element in reading order."""
    flattener = _Flattener()
    flattener.content(element)
    flattener.flush()
    return flattener.blocks


def squeeze(text: str) -> str:
    """The text with every run of white space made one space, and without invisible characters."""
    return " ".join(re.sub("[\u00ad\u200b\u2060\ufeff]", "", text).split())


def prune(tree: lxml.html.HtmlElement, xpath: str) -> None:
    """Remove the elements an XPath finds, but keep the text after them."""
    for element in tree.xpath(xpath):
        element.drop_tree()


def cut(blocks: Iterable[Block], heading: re.Pattern[str]) -> tuple[list[Block], list[Block]]:
    """Part the blocks in those outside and those inside the sections whose whole heading matches."""
    outside: list[Block] = []
    inside: list[Block] = []
    level = 0  # of the matching heading we are under, if any
    for block in blocks:
        if block.level and (not level or block.level <= level):
            level = block.level if heading.fullmatch(block.text) else 0
        (inside if level else outside).append(block)
    return outside, inside


def is_pointer(block: Block) -> bool:
    """Whether it is a short "See also ..." paragraph or just "See page(1).": a stray bit of list."""
    return bool(POINTER.fullmatch(block.text)) and len(block.text.split()) <= 25


def body_text(blocks: Sequence[Block], title: str, description: str) -> str:
    """The paragraphs, a blank line between them, with those headings that say something and have text under them."""
    kept: list[Block] = []
    for block in reversed(blocks):
        below = kept[-1].level if kept else 1
        empty = block.level and below and below <= block.level
        if empty or block.level == 1 or block.text.casefold() == title.casefold() or is_pointer(block):
            continue
        if not (block.level and block.text.isupper()):
            kept.append(block)
    text = "\n\n".join(block.text for block in reversed(kept))
    return text.removeprefix(description).lstrip(". \n")


def split_description(blocks: Sequence[Block]) -> tuple[str, list[Block]]:
    """The paragraph that a text starts with, and the blocks without it; none where it starts with a list or table."""
    for index, block in enumerate(blocks):
        if not block.level and not block.prose:
            break
        if not block.level and len(block.text.split()) >= 5 and not is_pointer(block):
            return block.text, [*blocks[:index], *blocks[index + 1 :]]
    return "", list(blocks)


def person(text: str) -> str | None:
    """The name that a credit line starts with, such as "Jane Doe" in "Port: Jane Doe, Some Institute"."""
    text = re.split(r"[,;(<&]| and | at ", text.rpartition(": ")[2])[0].strip(" .")
    return text if re.fullmatch(r"[^\W\d_a-z][\w.'-]*(?: (?:de |van |von )?[^\W\d_a-z][\w.'-]*){1,3}", text) else None
