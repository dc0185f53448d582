"""HTML -> a tree that is safe to walk -> the runs of text in it, in page order.

lxml reads HTML as a browser would, with two limits that are kept on: 255 levels of nesting, and 10 MB for one piece of
text. Two of libxml2's weak spots are met before it sees the page: it takes quadratic time for the attributes of one
tag, and writes characters into the tree that no XML text may have.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from corpus.essay import PageRejected
from corpus.page_parts import fold

HEADING_TAGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCK_TAGS = HEADING_TAGS | frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form header hgroup hr html legend li main menu nav ol p pre section summary table tbody tfoot "
    "thead tr ul".split()
)
SILENT_TAGS = frozenset(
    "annotation audio canvas datalist embed head iframe map math meter noembed noframes noscript object option "
    "progress script select style svg template textarea title video".split()
)
MAX_ATTRIBUTES = 5_000  # in one tag; 30,000 take libxml2 3.5 s, 300,000 minutes

_DATA_URI = re.compile(r"data:[\w/+.\-;=]{0,100};base64,[A-Za-z0-9+/=]*")
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{20000,}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken run of text: what stands between two borders of blocks.

    owner:   the innermost block element around it.
    node:    the element whose text, or (after_node) whose tail, begins it.
    rank:    1-6 inside <h1>-<h6>, else None.
    hrefs:   the targets of the links in it, as written.
    linked:  how many of its characters stand in links.
    """

    text: str
    owner: HtmlElement
    node: HtmlElement
    after_node: bool
    rank: int | None
    hrefs: tuple[str, ...]
    linked: int

    @property
    def is_link(self) -> bool:
        """Whether it is a link and nothing else."""
        return bool(self.hrefs) and self.linked >= len(self.text.replace(" ", ""))


def parse_tree(text: str) -> tuple[HtmlElement, tuple[str, ...]]:
    """The page's <html> element and remarks on what the parser left out. Raises PageRejected."""
    text = _DATA_URI.sub("data:,", _UNPRINTABLE.sub("", text))
    _refuse_attribute_floods(text)
    # From bytes, since lxml refuses a str with an XML encoding declaration, and lone surrogates are no UTF-8.
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, collect_ids=False)
    try:
        tree = document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.LxmlError as error:
        raise PageRejected(f"no body: the page cannot be read as HTML: {fold(str(error))}") from error
    for element in tree.iter():
        _clean(element)
    return tree, _limits_met(parser)


def text_runs(
    root: HtmlElement,
    skip: Callable[[HtmlElement], bool] = lambda element: False,
    split_lines: bool = False,
    limit: int = sys.maxsize,
) -> Iterator[Run]:
    """The runs of text below root, in page order, without those in elements that `skip` names.

    A <br> is a space, two in a row end the run; with split_lines each one does.
    limit: reading stops soon after so many characters, be it in the middle of a run.
    """
    state = _Reader(root)
    walker = etree.iterwalk(root, events=("start", "end"))
    skipped = None
    for event, element in walker:
        if event == "start":
            if element.tag in SILENT_TAGS or (element is not root and skip(element)):
                skipped = element
                walker.skip_subtree()
                if element.tag in BLOCK_TAGS:
                    yield from state.end_run()
                continue
            yield from state.enter(element, split_lines)
        else:
            if element is not skipped:
                yield from state.leave(element)
            if element is not root:
                state.add(element.tail, element, after_node=True)
        if state.length > limit:
            break
    yield from state.end_run()


def text_of(element: HtmlElement, limit: int = 1_000_000) -> str:
    """The folded text of an element, its blocks separated by a space; not much more of it than limit characters."""
    return " ".join(run.text for run in text_runs(element, limit=limit))


def class_words(element: HtmlElement) -> set[str]:
    """The words in an element's class: {'entry', 'meta', 'top'} for class="entry-meta top"."""
    return set(re.split(r"[^a-z0-9]+", element.get("class", "")[:1000].lower()))


@dataclass(slots=True)
class _Reader:
    """The state of text_runs: the run that is being read, and where the walk stands."""

    root: HtmlElement
    owners: list[HtmlElement] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    hrefs: list[str] = field(default_factory=list)
    linked: int = 0
    after_break: bool = False
    start: tuple[HtmlElement, bool] | None = None
    length: int = 0

    def enter(self, element: HtmlElement, split_lines: bool) -> Iterator[Run]:
        """Step into an element; the run before a block, or before a second <br>, ends here."""
        if self._is_block(element):
            yield from self.end_run()
            self.owners.append(element)
            if element.tag in HEADING_TAGS:
                self.ranks.append(int(element.tag[1]))
        elif element.tag == "br":
            if self.after_break or split_lines:
                yield from self.end_run()
            self.after_break = True
        elif element.tag == "a":
            self.links.append(element.get("href", ""))
            self.hrefs.append(self.links[-1])
        if element.tag in ("br", "td", "th"):
            self.pieces.append(" ")
        self.add(element.text, element, after_node=False)

    def leave(self, element: HtmlElement) -> Iterator[Run]:
        """Step out of an element; the run in a block ends here."""
        if self.owners[-1] is element:
            yield from self.end_run()
            self.owners.pop()
            if element.tag in HEADING_TAGS:
                self.ranks.pop()
        elif element.tag == "a":
            self.links.pop()

    def _is_block(self, element: HtmlElement) -> bool:
        """Whether an element borders a run. A table's row is one run, but not where the table lays out a page."""
        if element.tag in ("td", "th") and element is not self.root:
            return any(inner is not element for inner in element.iter(*BLOCK_TAGS, "br"))
        return element.tag in BLOCK_TAGS or element is self.root

    def add(self, text: str | None, node: HtmlElement, after_node: bool) -> None:
        """Take up a piece of text."""
        if not text:
            return
        self.pieces.append(text)
        if text.isspace():
            return
        self.after_break = False
        self.start = self.start or (node, after_node)
        letters = len("".join(text.split()))
        self.length += letters
        if any(self.links):
            self.linked += letters

    def end_run(self) -> Iterator[Run]:
        """The run read so far, if there is text in it; a new one begins."""
        text = fold("".join(self.pieces))
        if text and self.start:
            rank = self.ranks[-1] if self.ranks else None
            yield Run(text, self.owners[-1], *self.start, rank, tuple(filter(None, self.hrefs)), self.linked)
        # A link around blocks goes on in the next run.
        self.pieces, self.hrefs, self.linked, self.start, self.after_break = [], [*self.links], 0, None, False


def _refuse_attribute_floods(text: str) -> None:
    for tag in _LONG_TAG.finditer(text):
        attributes = len(_QUOTED.sub("", tag[0]).split())
        if attributes > MAX_ATTRIBUTES:
            raise PageRejected(f"a tag with {attributes:,} attributes: {tag[0][:40]!r} ...")


def _clean(element: HtmlElement) -> None:
    """Take out control characters that were written as `&#1;`: XML text may not have them."""
    for name in ("text", "tail"):
        text = getattr(element, name)
        if text and _UNPRINTABLE.search(text):
            setattr(element, name, _UNPRINTABLE.sub("", text))


def _limits_met(parser: HTMLParser) -> tuple[str, ...]:
    for entry in parser.error_log:
        if entry.type_name == "ERR_RESOURCE_LIMIT":
            limit = fold(entry.message.partition(",")[0])
            return (f"the page was read only in part: {limit[0].lower()}{limit[1:]}",)
    return ()
