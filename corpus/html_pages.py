"""HTML pages -> essays.

The curated list is cut out first (corpus/html_related.py). Then trafilatura says which lines of the page are the
essay; from them follows the element that the essay stands in, and the essay is read there, to the letter and in page
order. Its own output is not used, as it leaves out what an essay may have: 2.3.1 drops a <time> in a sentence, quotes
in a <figure>, headings outside of <article>, sections whose id reads like navigation (`shared-memory`), the second of
two equal lines, and makes one line of a page of under 250 characters (tests/corpus/test_html_pages.py has them all).
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from lxml.html import HtmlElement

from corpus.essay import Block, Essay, PageRejected
from corpus.html_metadata import MAX_LABEL_CHARS, Metadata, base_url, read_metadata
from corpus.html_related import cut_related
from corpus.html_tree import BLOCK_TAGS, Run, class_words, parse_tree, text_of, text_runs
from corpus.page_parts import absolute_url, is_furniture, is_header_line, is_related_heading, is_share_name

MAX_ELEMENTS = 100_000
"""A page with more is read without trafilatura, which takes 26 s for 800,000; a long essay has some thousands."""

MIN_PICKED_CHARS = 250
"""What trafilatura finds in less is no choice: it returns all of the page's text in one piece."""

_FURNITURE_TAGS = frozenset("aside button dialog fieldset figcaption footer form input label menu nav".split())
_FURNITURE_ROLES = frozenset(["banner", "button", "complementary", "contentinfo", "dialog", "navigation", "search"])
_FURNITURE_WORDS = frozenset(
    "ad ads advert advertisement author bio breadcrumb breadcrumbs byline caption comments cookie cookies meta "
    "nav newsletter pager pagination promo promotion related respond share sharing sidebar signup skip social "
    "sponsor sponsored subscribe subscription tags toc".split()
)
_FLOW_TAGS = frozenset("blockquote dd dl dt figure li ol p pre table tbody tfoot thead tr ul".split())
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_PROMO = re.compile(r"([^:–—-]{4,30})\s*[:–—-]\s*(?=\S)")


def parse_html_page(text: str, ident: str, source: str, related_selector: str | None) -> Essay:
    """The essay that an HTML page holds.

    related_selector: CSS for the curated list; None, or one that matches nothing, finds it by its heading.
    Raises PageRejected when the page has no body, SettingsError when the selector is no CSS.
    """
    tree, remarks = parse_tree(text)
    base = base_url(tree)
    curated = cut_related(tree, ident, related_selector)
    metadata = read_metadata(tree)
    runs = _body(tree)
    blocks = tuple(_blocks(runs, metadata))
    if not any(block.kind == "paragraph" for block in blocks):
        why = f" ({remarks[0]})" if remarks else ""
        raise PageRejected(f"no body: no paragraph was found outside of navigation, footer and related articles{why}")
    return Essay(
        id=ident,
        title=metadata.title,
        standfirst=metadata.standfirst,
        url=metadata.url,
        category=metadata.category,
        author=metadata.author,
        published=metadata.published,
        reading_minutes=metadata.reading_minutes,
        blocks=blocks,
        blurbs=curated.blurbs,
        links=_links(runs, base, metadata.url),
        source=source,
        remarks=tuple(dict.fromkeys(remarks + metadata.remarks + curated.remarks)),
    )


def _blocks(runs: Sequence[Run], metadata: Metadata) -> Iterator[Block]:
    """The essay's blocks, without what repeats its header."""
    title = {metadata.title, *metadata.header_lines}
    header = (*title, metadata.standfirst, metadata.category, metadata.author)
    in_header = True
    for run in runs:
        in_header = in_header and is_header_line(run.text, header)
        if not in_header and not (run.rank == 1 and run.text in title):
            yield Block("heading" if run.rank else "paragraph", run.text)


def _links(runs: Sequence[Run], base: str | None, own: str | None) -> tuple[str, ...]:
    """The addresses that the essay links to, each once, its own left out."""
    urls = (absolute_url(href, base) for run in runs for href in run.hrefs)
    return tuple(dict.fromkeys(url for url in urls if url and url != own))


# --- where the essay stands ------------------------------------------------------------------------------------------


def _body(tree: HtmlElement) -> list[Run]:
    """The runs of text that are the essay."""
    picks = _picked_lines(tree)
    picked = [run for run in text_runs(tree) if _letters(run.text) in picks]
    protected = _holders(picked or _plain_runs(tree))
    runs = list(text_runs(tree, lambda element: element not in protected and _is_furniture(element)))
    runs = [run for run in runs if not is_furniture(run.text) and not _is_promo(run)]
    runs = [run for run in runs if run.rank or not run.is_link or _letters(run.text) in picks]
    if any(_letters(run.text) in picks for run in runs):
        return _without_share_names(_from_first_to_last(runs, picks))
    place = _likely_place(tree)
    return _without_share_names([run for run in runs if place in (run.owner, *run.owner.iterancestors())])


def _plain_runs(tree: HtmlElement) -> list[Run]:
    """The text of a page that trafilatura could not read; a form may be around all of it."""
    return list(text_runs(tree, lambda element: element.tag != "form" and _is_furniture(element)))


def _picked_lines(tree: HtmlElement) -> frozenset[str]:
    """The letters of each line that trafilatura takes for the essay's; none for a page too large for it."""
    if sum(1 for _ in tree.iter()) > MAX_ELEMENTS:
        return frozenset()
    # Here and not above: it takes 0.1 s warm and more cold, and `related --help` imports this module.
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    _silence(logging.getLogger("trafilatura"))
    try:  # of a copy: given a tree, it makes one
        document = bare_extraction(tree, fast=True, include_comments=False)
    except Exception:  # whatever its heuristics trip over, the page can be read without them
        return frozenset()
    if not isinstance(document, Document) or not document.text or len(document.text) < MIN_PICKED_CHARS:
        return frozenset()
    lines = chain(document.text.splitlines(), ("".join(element.itertext()) for element in document.body))
    return frozenset(letters for line in lines if (letters := _letters(line)))


def _silence(logger: logging.Logger) -> None:
    """Keep "discarding data: None" off stderr: what becomes of a page is said by its essay or its problem."""
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _holders(picked: Sequence[Run]) -> frozenset[HtmlElement]:
    """The elements that hold more than half of the essay's text: whatever they are called, they are no furniture."""
    weights: Counter[HtmlElement] = Counter()
    for run in picked:
        for element in (run.owner, *run.owner.iterancestors()):
            weights[element] += len(run.text)
    half = sum(len(run.text) for run in picked) / 2
    return frozenset(element for element, weight in weights.items() if weight > half)


def _likely_place(tree: HtmlElement) -> HtmlElement:
    """Where a page that trafilatura could not read has its essay."""
    for place in (*tree.iter("article"), *tree.iter("main"), *tree.xpath("//*[@role='main']"), *tree.iter("body")):
        if next(text_runs(place), None):
            return place
    return tree


def _from_first_to_last(runs: list[Run], picks: frozenset[str]) -> list[Run]:
    """The runs from the first to the last picked one, or one beside it and not in a box, and the headings before."""
    picked = [_letters(run.text) in picks for run in runs]
    parents = {_flow_parent(run.owner) for run, is_picked in zip(runs, picked, strict=True) if is_picked}
    beside = [number for number, run in enumerate(runs) if picked[number] or _flow_parent(run.owner) in parents]
    first = beside[0]
    while first > 0 and runs[first - 1].rank:
        first -= 1
    return runs[first : beside[-1] + 1]


def _flow_parent(owner: HtmlElement) -> HtmlElement:
    """The element that a paragraph, list or heading stands in; for loose text the one around it."""
    element = owner
    while element.tag in _FLOW_TAGS or re.fullmatch("h[1-6]", element.tag):
        element = element.getparent()
    return element


def _is_furniture(element: HtmlElement) -> bool:
    """Whether an element is no part of an essay by its tag, role or class, or because it is not shown."""
    if element.tag in _FURNITURE_TAGS or element.get("role", "").lower() in _FURNITURE_ROLES:
        return True
    if element.get("hidden") is not None or element.get("aria-hidden") == "true" or _is_site_header(element):
        return True
    if not _FURNITURE_WORDS.isdisjoint(class_words(element)) or element.get("id", "").lower() in _FURNITURE_WORDS:
        is_long = element.tag == "p" and len(text_of(element, MAX_LABEL_CHARS)) > MAX_LABEL_CHARS
        return not is_long and (element.tag in BLOCK_TAGS or element.tag in ("span", "td"))
    return _HIDDEN.search(element.get("style", "")[:1000]) is not None


def _is_site_header(element: HtmlElement) -> bool:
    return bool(element.tag == "header" and element.getparent().tag == "body")


def _is_promo(run: Run) -> bool:
    """Whether a line only leads to another essay: `Related: The Village Oven`."""
    label = _PROMO.match(run.text)
    if not label or not is_related_heading(label[1]):
        return False
    return run.linked >= len(run.text[label.end() :].replace(" ", ""))


def _without_share_names(runs: list[Run]) -> list[Run]:
    """The runs without rows of share buttons that stand in a line each. One name alone may be text."""
    names = [False, *(run.rank is None and is_share_name(run.text) for run in runs), False]
    return [
        run for number, run in enumerate(runs, 1) if not (names[number] and (names[number - 1] or names[number + 1]))
    ]


def _letters(text: str) -> str:
    """What is left of a line through all of trafilatura's tidying: letters and digits."""
    return re.sub(r"[\W_]+", "", text)
