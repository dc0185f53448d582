"""The manual pages of GRASS GIS."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import lxml.html

from benchmarks.public_corpora.blocks import Block, body_text, cut, flatten, person, prune, split_description, squeeze
from benchmarks.public_corpora.packages import find_file
from benchmarks.public_corpora.pages import Article, Corpus, Page

GRASS_SEE_ALSO = re.compile(r"see also", re.IGNORECASE)
GRASS_AUTHORS = re.compile(r"authors?( \(.*\))?", re.IGNORECASE)
GRASS_CUT = re.compile("NAME|KEYWORDS|SYNOPSIS|SOURCE CODE")
GRASS_FAMILIES = ("raster3d", "raster", "vector", "imagery", "temporal", "database", "display")


def convert_grass(root: Path) -> Iterator[Page]:
    """The manual pages of GRASS GIS; left out are generated indexes and the second copy (wxGUI.*) of g.gui.* pages."""
    paths = {path.stem: path for path in find_file(root, "r.watershed.html").parent.glob("*.html")}
    for name, path in sorted(paths.items()):
        html = path.read_bytes().rpartition(b'<hr class="header">')[0]
        tree = lxml.html.fromstring(html)
        is_index = "Reference Manual" in tree.findtext(".//title")
        if not is_index and name.replace("wxGUI.", "g.gui.") not in paths.keys() - {name}:
            yield grass_page(name, tree)


def grass_page(name: str, tree: lxml.html.HtmlElement) -> Page:
    """One page: a module's (with NAME and KEYWORDS sections) or an overview."""
    prune(tree, "//*[@class='toc' or @id='flags' or @id='parameters']")
    blocks = flatten(tree)
    blocks, see_also = cut(blocks, GRASS_SEE_ALSO)
    blocks, authors = cut(blocks, GRASS_AUTHORS)
    _, keywords = cut(blocks, re.compile("KEYWORDS"))
    _, heading = cut(blocks, re.compile("NAME"))
    blocks, _ = cut(blocks, GRASS_CUT)
    title = squeeze(tree.findtext(".//title")).rpartition(" - GRASS GIS")[0]
    if heading:
        description = heading[1].text.partition(" - ")[2]
    else:
        description, blocks = split_description(blocks)
    links = [link.partition("#")[0] for block in see_also for link in block.links]
    article = Article(
        id=name,
        title=title,
        description=description,
        category=grass_category(f"{name} {title}", keywords),
        published=None,
        author=next(filter(None, (person(block.text) for block in authors)), None),
        body=body_text(blocks, title, description),
    )
    aliases = (name.replace("g.gui.", "wxGUI."),)
    return Page(article, aliases, tuple(link.removesuffix(".html") for link in links if re.fullmatch(r"[\w.-]+", link)))


def grass_category(name: str, keywords: Sequence[Block]) -> str:
    """The first keyword, or else the family that the page's name tells."""
    if len(keywords) > 1:
        return keywords[1].text.split(",")[0]
    return next((family for family in GRASS_FAMILIES if family in name.lower()), "general")


CORPUS = Corpus(
    name="grass_gis",
    about="manual pages of GRASS GIS, a geographic information system",
    packages=("grass-doc",),
    licence="GPL-2+ (GRASS Development Team)",
    convert=convert_grass,
)
