"""The curated list of an HTML page: found and cut out of the tree, so that none of it can reach a block.

It is found by a CSS selector, else by its heading (RELATED_HEADINGS). Every list is cut, since a recommender is judged
on them; where a page has several, the first with entries is the curated one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cssselect import SelectorError
from lxml import etree
from lxml.cssselect import CSSSelector
from lxml.html import HtmlElement

from corpus.errors import SettingsError
from corpus.essay import Blurb, PageRejected
from corpus.html_blurbs import read_blurbs
from corpus.html_metadata import base_url
from corpus.html_tree import HEADING_TAGS, Run, text_of, text_runs
from corpus.page_parts import PARAGRAPH_CHARS, is_related_heading

ESSAY_CHARS = 450
"""What PARAGRAPH_CHARS is where a longer blurb may stand, after its title or in a box: WordPress's excerpt of 55 words
has about 350."""

CARD_CHARS = 1000  # no entry of a list is longer

_BOX_TAGS = frozenset({"article", "div", "dl", "ol", "section", "table", "ul"})
_TOO_WIDE = frozenset({"article", "body", "html", "main"})  # never the wrapping of a heading alone
_HEADING_OWNERS = HEADING_TAGS | frozenset(
    "article aside body center dt div footer header legend main nav p section summary".split()
)
_PLAIN_RANK = 7  # of a heading that is only a short bold line: below <h6>


@dataclass(frozen=True, slots=True)
class CuratedList:
    """What was cut out of a page: its blurbs, and remarks on what was cut without being understood."""

    blurbs: tuple[Blurb, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """A list found by its heading: the element that holds the heading alone, and those after it that are the list."""

    heading: HtmlElement
    title: str
    parts: list[HtmlElement]


def cut_related(tree: HtmlElement, ident: str, selector: str | None) -> CuratedList:
    """Take every list of related articles out of the tree and read the curated one.

    Raises SettingsError for a selector that is no CSS, PageRejected for one that takes the whole page.
    """
    base = base_url(tree)
    chosen = _select(tree, selector) if selector else []
    blurbs: tuple[Blurb, ...] = ()
    remarks: list[str] = []
    sections = _sections(tree)
    titles = {section.heading for section in sections}
    chosen = [element for element in chosen if not _stands_in(element, titles)]  # not the list, only its heading
    others = _drop_headings_of(chosen, sections)
    if chosen:
        blurbs, found = read_blurbs(chosen, ident, base)
        remarks += found or ([] if blurbs else _not_understood(chosen, f"what {selector!r} selects"))
        _cut(chosen, with_tails=False)
    for section in others:
        if not _is_attached(section.heading, tree):
            continue
        _cut(section.parts, with_tails=True)
        parts = section.parts[1:]
        if blurbs or chosen:
            remarks += [f"another list, {section.title!r}, was left out"] if _has_text(parts) else []
        else:
            blurbs, found = read_blurbs(parts, ident, base)
            remarks += found if blurbs else _not_understood(parts, repr(section.title))
    return CuratedList(blurbs, tuple(dict.fromkeys(remarks)))


def _select(tree: HtmlElement, selector: str) -> list[HtmlElement]:
    """The outermost elements that the selector matches, in page order."""
    try:
        matches = CSSSelector(selector, translator="html")(tree)
    except (SelectorError, etree.XPathError) as error:
        raise SettingsError(
            f"the selector {selector!r} of the related articles is no CSS selector ({error}); "
            "give one such as `section.related`"
        ) from error
    if any(element.tag in ("html", "body") for element in matches):
        raise PageRejected(f"no body: the selector {selector!r} of the related articles takes the whole page")
    taken = set(matches)
    return [element for element in matches if not any(above in taken for above in element.iterancestors())]


def _sections(tree: HtmlElement) -> list[_Section]:
    """The lists of the page by their headings, in page order; one may stand inside another."""
    headings = [run for run in text_runs(tree) if run.rank != 1 and is_related_heading(run.text)]
    found = (_section(heading, run) for run in headings if (heading := _heading_element(run)) is not None)
    return [section for section in found if section]


def _drop_headings_of(chosen: Sequence[HtmlElement], sections: list[_Section]) -> list[_Section]:
    """Take the headings of the chosen lists out of the tree; the sections of other lists are returned."""
    others = []
    for section in sections:
        if _overlap(section.parts, chosen):
            _cut([section.heading], with_tails=False)
        else:
            others.append(section)
    return others


def _cut(parts: Sequence[HtmlElement], with_tails: bool) -> None:
    """Take elements out of their tree, with or without the loose text after each."""
    for part in parts:
        parent = part.getparent()
        if parent is not None and with_tails:
            parent.remove(part)
        elif parent is not None:
            part.drop_tree()


def _heading_element(run: Run) -> HtmlElement | None:
    """The element that is the heading and nothing else; None when the run is an entry of a menu."""
    if run.owner.tag not in _HEADING_OWNERS or (run.is_link and run.rank is None):
        return None
    if run.node is run.owner or (run.after_node and run.node.getparent() is run.owner):
        return run.owner if not run.after_node and not _says_more(run.owner, run.text) else _wrap_loose_text(run)
    element = run.node
    while element is not run.owner and element.getparent() is not run.owner:
        element = element.getparent()
    return element


def _wrap_loose_text(run: Run) -> HtmlElement:
    """Put text that stands directly in a wider element into a <p> of its own, so that it can be a heading."""
    paragraph = run.owner.makeelement("p")
    if run.after_node:
        paragraph.text, run.node.tail = run.node.tail, None
        run.owner.insert(run.owner.index(run.node) + 1, paragraph)
    else:
        paragraph.text, run.owner.text = run.owner.text, None
        run.owner.insert(0, paragraph)
    return paragraph


def _section(heading: HtmlElement, run: Run) -> _Section | None:
    """A heading and what follows it up to the next one of its rank, in the section or box that it stands in.

    None when a paragraph of an essay follows: then the heading is the essay's own.
    """
    top = heading
    while top.getparent().tag not in _TOO_WIDE and not _says_more(top.getparent(), run.text):
        top = top.getparent()
    following = list(_following(top, run.rank or _PLAIN_RANK))
    if not following and top.getnext() is not None and _is_essay_text(top.getnext(), after=top):
        return None
    return _Section(heading, run.text, [top, *following])


def _following(top: HtmlElement, rank: int) -> Iterator[HtmlElement]:
    """The siblings after a heading that belong to its list."""
    previous = top
    for sibling in top.itersiblings():
        if sibling.tag in ("footer", "form") or _is_essay_text(sibling, after=previous):
            return
        if any(_closes(heading, rank, top.getparent()) for heading in sibling.iter(*HEADING_TAGS)):
            return
        yield sibling
        previous = sibling


def _is_essay_text(sibling: HtmlElement, after: HtmlElement) -> bool:
    """Whether an element among a list's is the essay going on. The text of an entry may follow its linked title."""
    is_no_blurb = sibling.tag == "p" and (after.tag in _BOX_TAGS or not _has_link(after))
    limit = PARAGRAPH_CHARS if is_no_blurb else ESSAY_CHARS
    return any(
        len(run.text) > limit and run.linked * 3 < len(run.text) and not _is_in_card(run.owner, sibling.getparent())
        for run in text_runs(sibling)
    )


def _has_link(element: HtmlElement) -> bool:
    return element.tag == "a" or element.find(".//a") is not None


def _closes(heading: HtmlElement, rank: int, around: HtmlElement) -> bool:
    """Whether a heading ends a list of this rank. The title of an entry, linked or in a card, does not."""
    return int(heading.tag[1]) <= rank and heading.find(".//a") is None and not _is_in_card(heading, around)


def _is_in_card(element: HtmlElement, around: HtmlElement) -> bool:
    """Whether an element stands in an entry: something short in an <a>, <li> or <article>, or one of several alike.

    around: the element that the list stands in; it and what is above it are no entries.
    """
    for above in (element, *element.iterancestors()):
        if above is around:
            return False
        alike = above.tag in ("div", "section") and _has_link(above) and _has_twin(above)
        if alike or above.tag in ("a", "li", "article"):
            return len(text_of(above, CARD_CHARS)) <= CARD_CHARS
    return False


def _has_twin(element: HtmlElement) -> bool:
    """Whether the element before or after this one has the same tag and class."""
    beside = (element.getnext(), element.getprevious())
    return any(e is not None and (e.tag, e.get("class")) == (element.tag, element.get("class")) for e in beside)


def _says_more(element: HtmlElement, text: str) -> bool:
    """Whether an element has other text than this."""
    return text_of(element, len(text)) != text


def _overlap(parts: Sequence[HtmlElement], chosen: Sequence[HtmlElement]) -> bool:
    """Whether an element of one is, or stands in, an element of the other."""
    mine, theirs = set(parts), set(chosen)
    return any(_stands_in(part, theirs) for part in parts) or any(_stands_in(element, mine) for element in chosen)


def _stands_in(element: HtmlElement, others: set[HtmlElement]) -> bool:
    return element in others or any(above in others for above in element.iterancestors())


def _is_attached(element: HtmlElement, tree: HtmlElement) -> bool:
    return any(above is tree for above in element.iterancestors())


def _has_text(parts: Sequence[HtmlElement]) -> bool:
    return any(text_of(part, 1) for part in parts)


def _not_understood(parts: Sequence[HtmlElement], what: str) -> list[str]:
    """A remark, if there is text in elements of which nothing was recognised."""
    text = " ".join(text_of(part, 100) for part in parts).strip()
    return [f"no related article was recognised in {what}: {text[:60]!r} ..."] if text else []
