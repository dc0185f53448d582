"""What an HTML page says about itself: JSON-LD, OpenGraph and other <meta>, the canonical link, the visible header.

Read here and not by trafilatura, which finds the main text (corpus/html_pages.py): its metadata are made for search
over any site, and rewrite what they find. With 2.3.1 `J. R. R. Tolkien` becomes `J R R Tolkien`, `King, Jr.` becomes
`King; Jr`, `Why 3 < 5 and 7 > 2` becomes `Why 3 2`; a missing URL is taken from <base>, a missing date is guessed.
"""

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from lxml.html import HtmlElement

from corpus.html_tree import class_words, text_of
from corpus.page_parts import absolute_url, day_stated, fold, reading_minutes

_CATEGORY_CLASS = re.compile(
    r"(?:^|[\s_-])(?:(?:category|categories|eyebrow|kicker)(?![a-z0-9])|(?:section|tags?|topic)(?:\s|$))", re.IGNORECASE
)
STANDFIRST_WORDS = frozenset({"deck", "dek", "standfirst", "subtitle"})
MAX_LABEL_CHARS = 80
"""A category, name or date line is never longer."""

_ARTICLE_TYPE = re.compile(r"(?:.*article|blogposting|liveblogposting|socialmediaposting|report)", re.IGNORECASE)
_MARKUP = re.compile(r"</?(?:a|b|br|em|i|p|span|strong)(?:\s[^<>]*)?/?>", re.IGNORECASE)
_DURATION = re.compile(r"PT(\d{1,3})M(?:\d+S)?")
_ENDING = re.compile(r"\s+[|–—·»-]\s+[^|–—·»]+$")
_BY = re.compile(r"(?:published |written |words )?by:?\s+", re.IGNORECASE)
_DATE_NAMES = (
    *("article:published_time", "og:published_time", "datepublished", "publish-date", "publish_date", "pubdate"),
    *("date", "dc.date", "dc.date.issued", "dcterms.created", "dcterms.date", "parsely-pub-date", "sailthru.date"),
    *("citation_publication_date", "citation_date"),
)
_DATE_WORDS = frozenset({"published", "pubdate", "date", "posted", "byline", "meta"})
_MAX_LABELS_TRIED = 200  # a page that says "minutes" a million times is not searched to its end


@dataclass(frozen=True, slots=True)
class Metadata:
    """The fields of a page; None is what it does not say. `header_lines`: its first <h1>."""

    title: str | None
    standfirst: str | None
    url: str | None
    category: str | None
    author: str | None
    published: date | None
    reading_minutes: int | None
    header_lines: tuple[str, ...]
    remarks: tuple[str, ...]


def read_metadata(tree: HtmlElement) -> Metadata:
    """The metadata of a page whose curated list has been cut out already: its cards have dates and categories too."""
    remarks: list[str] = []
    article = _json_article(tree, remarks)
    meta = _meta(tree)
    headings = tuple(text for h1 in islice(_shown(tree, "h1"), 3) if (text := text_of(h1, 300)))
    return Metadata(
        title=_title(tree, article, meta, headings),
        standfirst=_plain(article.get("description"))
        or _first(meta, "og:description", "description", "twitter:description", "dc.description")
        or _labelled(tree, lambda element: not STANDFIRST_WORDS.isdisjoint(class_words(element)), max_chars=1000),
        url=canonical_url(tree),
        category=_plain(article.get("articleSection")) or _first(meta, "article:section") or _shown_category(tree),
        author=_names(article.get("author"), article) or _meta_author(meta) or _shown_author(tree),
        published=_published(tree, article, meta, remarks),
        reading_minutes=_minutes(tree, article, meta),
        header_lines=headings[:1],
        remarks=tuple(remarks),
    )


def canonical_url(tree: HtmlElement) -> str | None:
    """The address of <link rel="canonical">, if it is a whole http(s) address. Nothing else says it surely."""
    for link in tree.iter("link"):
        if "canonical" in link.get("rel", "").lower().split() and (url := absolute_url(link.get("href", ""), None)):
            return url
    return None


def base_url(tree: HtmlElement) -> str | None:
    """What relative links are relative to: <base href>, else the canonical address."""
    for base in tree.iter("base"):
        return absolute_url(base.get("href", ""), canonical_url(tree)) or canonical_url(tree)
    return canonical_url(tree)


def is_category_label(element: HtmlElement) -> bool:
    """Whether an element is marked as the name of a category (`post-category`, `tag`, but not `section-text`)."""
    if "category" in element.get("rel", "").lower().split():
        return True
    return _CATEGORY_CLASS.search(element.get("class", "")[:1000]) is not None


def _json_article(tree: HtmlElement, remarks: list[str]) -> dict[str, Any]:
    """The first article that JSON-LD describes, its author looked up where it is named by @id; {} if there is none."""
    nodes: list[dict[str, Any]] = []
    for script in tree.iter("script"):
        if "ld+json" in script.get("type", "").lower() and script.text:
            try:
                nodes += _json_nodes(json.loads(script.text, strict=False))
            except (ValueError, RecursionError):  # ValueError also for a number of 5,000 digits
                remarks.append("JSON-LD that is not JSON was left out")
    article = next((node for node in nodes if _is_article(node)), {})
    known = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str)}
    authors = [known.get(_id_of(author), author) for author in _as_list(article.get("author"))]
    return {**article, "author": authors}


def _json_nodes(data: object) -> Iterator[dict[str, Any]]:
    """The objects at the top of JSON-LD: alone, in lists, in an @graph. Deeper ones belong to other pages."""
    for item in _as_list(data):
        if isinstance(item, dict):
            yield item
            yield from (node for node in _as_list(item.get("@graph")) if isinstance(node, dict))


def _is_article(node: dict[str, Any]) -> bool:
    types = (kind for kind in _as_list(node.get("@type")) if isinstance(kind, str))
    return any(_ARTICLE_TYPE.fullmatch(kind.rpartition("/")[2]) for kind in types)


def _id_of(author: object) -> str:
    ident = author.get("@id") if isinstance(author, dict) and "name" not in author else None
    return ident if isinstance(ident, str) else ""


def _names(authors: object, article: dict[str, Any]) -> str | None:
    """The authors' names as written, separated by commas."""
    named = (author.get("name") if isinstance(author, dict) else author for author in _as_list(authors))
    names = (_plain(name) for name in named)
    return ", ".join(dict.fromkeys(name for name in names if name and not name.startswith("http"))) or None


def _plain(value: object) -> str | None:
    """A JSON-LD text (the first of a list) as plain text: there a CMS writes entities and tags."""
    value = next(iter(_as_list(value)), None)
    return fold(html.unescape(_MARKUP.sub("", value))) or None if isinstance(value, str) else None


def _meta(tree: HtmlElement) -> dict[str, str]:
    """The <meta> of a page by its name in lower case; of several with one name, the first that says something."""
    found: dict[str, str] = {}
    for element in tree.iter("meta"):
        name = element.get("property") or element.get("name") or element.get("itemprop") or ""
        content = fold(_MARKUP.sub("", element.get("content", "")))
        if content:
            found.setdefault(name.strip().lower(), content)
    return found


def _first(meta: dict[str, str], *names: str) -> str | None:
    return next((meta[name] for name in names if name in meta), None)


def _title(tree: HtmlElement, article: dict[str, Any], meta: dict[str, str], headings: tuple[str, ...]) -> str | None:
    """The headline of JSON-LD; else og:title (or the <h1>, where that one only adds the site's name); else <title>."""
    if headline := _plain(article.get("headline")):
        return headline
    shared = _first(meta, "og:title", "twitter:title", "dc.title", "title")
    for heading in headings:
        if shared is None or shared.casefold().startswith(heading.casefold()):
            return heading
    titles = (fold(element.text_content()) for element in tree.iterfind("head/title"))
    return shared or next((_ENDING.sub("", title) for title in titles if title), None)


def _meta_author(meta: dict[str, str]) -> str | None:
    names = (meta.get(name) for name in ("author", "article:author", "byl", "dc.creator", "parsely-author"))
    return next((_BY.sub("", name, count=1) for name in names if name and not name.startswith("http")), None)


def _shown(tree: HtmlElement, *tags: str) -> Iterator[HtmlElement]:
    """The elements of these tags that do not stand in a navigation, a footer or an aside."""
    for element in tree.iter(*tags):
        if next(element.iterancestors("nav", "footer", "aside"), None) is None:
            yield element


def _labelled(
    tree: HtmlElement, is_wanted: Callable[[HtmlElement], bool], max_chars: int = MAX_LABEL_CHARS
) -> str | None:
    """The text of the first visible element that is wanted and short."""
    for element in islice(filter(is_wanted, _shown(tree, "a", "address", "div", "h2", "p", "span")), _MAX_LABELS_TRIED):
        if 0 < len(text := text_of(element, max_chars)) <= max_chars:
            return text
    return None


def _shown_category(tree: HtmlElement) -> str | None:
    kicker = frozenset({"category", "kicker", "eyebrow"})
    return _labelled(
        tree,
        lambda element: "category" in element.get("rel", "").split() or not kicker.isdisjoint(class_words(element)),
    )


def _shown_author(tree: HtmlElement) -> str | None:
    """The name in a rel="author" link, itemprop or class, or in a byline that says nothing else."""
    name = _labelled(
        tree, lambda e: "author" in (e.get("rel"), e.get("itemprop")) or not {"author"}.isdisjoint(class_words(e))
    ) or _labelled(tree, lambda element: "byline" in class_words(element))
    return _BY.sub("", name, count=1) if name and not re.search(r"\d", name) else None


def _published(tree: HtmlElement, article: dict[str, Any], meta: dict[str, str], remarks: list[str]) -> date | None:
    """The first date stated in JSON-LD, <meta> or a <time> outside of running text."""
    stated = [_plain(article.get("datePublished")), *(meta.get(name) for name in _DATE_NAMES)]
    for text in filter(None, [*stated, *_times(tree)]):
        if day := day_stated(text):
            return day
        remarks.append(f"no date: {text[:40]!r} is not a date")
    return None


def _times(tree: HtmlElement) -> Iterator[str]:
    """What the <time> elements of the page's header say. One in a long paragraph is part of the essay's story."""
    for element in islice(_shown(tree, "time"), _MAX_LABELS_TRIED):
        block = next(element.iterancestors("p", "li", "blockquote", "td", "dd"), None)
        marked = element.get("pubdate") is not None or element.get("itemprop") == "datePublished"
        if marked or block is None or len(text_of(block, 120)) <= 120:
            yield element.get("datetime") or text_of(element, MAX_LABEL_CHARS)


def _minutes(tree: HtmlElement, article: dict[str, Any], meta: dict[str, str]) -> int | None:
    """The minutes of an `N min read` that stands for itself; else those of JSON-LD or of a <meta> pair."""
    for text in islice(tree.xpath("//text()[contains(., 'min') or contains(., 'Min')]"), _MAX_LABELS_TRIED):
        element = text.getparent()
        for around in (element, element.getparent()):
            if around is not None and (minutes := reading_minutes(text_of(around, 100))) is not None:
                return minutes
    if duration := _DURATION.fullmatch(_plain(article.get("timeRequired")) or ""):
        return int(duration[1])
    for label, data in (("twitter:label1", "twitter:data1"), ("twitter:label2", "twitter:data2")):
        if "reading time" in meta.get(label, "").lower():
            return reading_minutes(meta.get(data, ""), needs_read=False)
    return None


def _as_list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
