"""The help pages of LibreOffice."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import lxml.html

from benchmarks.public_corpora.blocks import body_text, cut, flatten, prune, split_description, squeeze
from benchmarks.public_corpora.packages import find_file
from benchmarks.public_corpora.pages import Article, Corpus, Page

OFFICE_MODULES = {
    "sbasic": "Basic",
    "scalc": "Calc",
    "schart": "Chart",
    "sdatabase": "Base",
    "sdraw": "Draw",
    "shared": "Shared",
    "simpress": "Impress",
    "smath": "Math",
    "swriter": "Writer",
}


OFFICE_RELATED = re.compile(r"related topics|see also[:.]*", re.IGNORECASE)
OFFICE_LINK = re.compile(r"en-US/text/([^#?]+)\.html(?:#.*)?")


def convert_office(root: Path) -> Iterator[Page]:
    """The pages of the LibreOffice help; of the "00" folders, mostly fragments, only what several pages link to."""
    text = find_file(root, "help/en-US") / "text"
    sources = {path.relative_to(text).with_suffix("").as_posix(): path.read_bytes() for path in text.rglob("*.html")}
    linkers: Counter[str] = Counter()
    for html in sources.values():
        linkers.update(set(re.findall(r'href="en-US/text/([^#?"]+)\.html', html.decode())))
    for name, html in sorted(sources.items()):
        if "/00/" not in name or linkers[name] > 1:
            yield office_page(name, html)


def office_page(name: str, html: bytes) -> Page:
    """One page; the menu path to a command and the link list are left out of its body."""
    tree = lxml.html.fromstring(html, parser=lxml.html.HTMLParser(encoding="utf-8"))
    module = OFFICE_MODULES.get(name.partition("/")[0], "Shared")
    links = tree.xpath("//*[@class='relatedtopics']//a/@href")
    choose_variants(tree, module.upper())
    prune(tree, "//*[@class='relatedtopics' or @class='howtoget' or @class='code' or @class='noteicon']")
    for caption in tree.xpath("//p[@class='related']"):  # some pages have the list without the element around it
        caption.tag = "h6"
    title = squeeze(tree.findtext(".//title"))
    blocks, related = cut(flatten(tree.get_element_by_id("DisplayArea")), OFFICE_RELATED)
    links += [link for block in related for link in block.links]
    description, blocks = split_description(blocks)
    targets = map(OFFICE_LINK.fullmatch, links)
    article = Article(name, title, description, module, None, None, body_text(blocks, title, description))
    return Page(article, (), tuple(target[1] for target in targets if target))


def choose_variants(tree: lxml.html.HtmlElement, module: str) -> None:
    """Where the text differs by program or system, keep the page's own module's, else the default, else the first."""
    for switch in tree.xpath("//*[@class='switch' or @class='switchinline']"):
        variants = list(switch)
        by_class = {variant.get("class", "default"): variant for variant in reversed(variants)}
        chosen = by_class.get(module, by_class.get("default", variants[0] if variants else None))
        for variant in variants:
            if variant is not chosen:
                variant.drop_tree()


CORPUS = Corpus(
    name="libreoffice_help",
    about="help pages of LibreOffice in English",
    packages=("libreoffice-help-en-us",),
    licence="MPL-2.0 (LibreOffice contributors)",
    convert=convert_office,
    min_words=60,
)
