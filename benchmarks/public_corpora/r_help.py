"""The help pages of R: its own packages and those that come with every installation."""

from collections.abc import Iterator
from pathlib import Path

import lxml.html

from benchmarks.public_corpora.blocks import Block, body_text, flatten, person, squeeze
from benchmarks.public_corpora.pages import Article, Corpus, CorpusError, Page
from benchmarks.public_corpora.r_objects import Vector, read_database, read_rds
from benchmarks.public_corpora.rd import links, plain, tag, to_html

# After the description, in the order in which R shows them; usage, author, list and examples are no part of the text.
SECTIONS = ("arguments", "format", "details", "value", "section", "note", "source", "references")
OWN = ("base", "utils", "grDevices", "graphics", "stats", "datasets", "methods")
RECOMMENDED = (
    "boot cluster class codetools foreign kernsmooth lattice mass matrix mgcv nlme nnet rpart spatial survival"
)

Topics = dict[str, dict[str, str]]  # package -> topic -> page


def convert_r(root: Path) -> Iterator[Page]:
    """Every page of every package in the tree."""
    folders = sorted(path.parent for path in root.glob("usr/lib/R/*/*/help/aliases.rds"))
    if not folders:
        raise CorpusError("no help in the packages: their layout is not the one this module knows")
    topics = {folder.parent.name: page_by_topic(folder) for folder in folders}
    for folder in folders:
        package = folder.parent.name
        for name, nodes in read_database(folder / package):
            yield r_page(package, name, nodes, topics)


def page_by_topic(folder: Path) -> dict[str, str]:
    """The page that each topic of a package is on; a page's own name is a topic, too."""
    aliases = dict(read_rds(folder / "aliases.rds").items())
    return {page: page for page in aliases.values()} | aliases


def r_page(package: str, name: str, nodes: Vector, topics: Topics) -> Page:
    """One page; the first paragraph is the description."""
    parts: dict[str, list[Vector]] = {}
    for node in nodes:
        parts.setdefault(tag(node).removeprefix("\\"), []).append(node)
    title = squeeze(plain(parts["title"][0]))
    description, blocks = first_paragraph(r_blocks(" ".join(map(to_html, parts.get("description", ())))))
    sections = (section_html(kind, node) for kind in SECTIONS for node in parts.get(kind, ()))
    blocks += r_blocks(" ".join(sections))
    authors = r_blocks(" ".join(map(to_html, parts.get("author", ()))))
    article = Article(
        id=f"{package}/{name}",
        title=title,
        description=description,
        category=package,
        published=None,
        author=next(filter(None, (person(block.text) for block in authors)), None),
        body=body_text(blocks, title, description),
    )
    targets = links(parts.get("seealso", ()))
    return Page(article, (), tuple(resolve(target, package, topics) for target in targets if known(target, topics)))


def first_paragraph(blocks: list[Block]) -> tuple[str, list[Block]]:
    """The text that a section starts with, however short, and what follows it; none where it starts with a list."""
    return (blocks[0].text, blocks[1:]) if blocks and blocks[0].prose else ("", blocks)


def section_html(kind: str, node: Vector) -> str:
    """A section with its heading: its own, or that of its kind."""
    return to_html([node]) if kind == "section" else f"<h2>{kind.title()}</h2><div>{to_html(node)}</div>"


def r_blocks(html: str) -> list[Block]:
    """The blocks of a piece of HTML."""
    return flatten(lxml.html.fromstring(f"<div>{html}</div>"))


def known(target: str, topics: Topics) -> bool:
    """Whether a link names no package, or one of these."""
    package = target.partition(":")[0]
    return not package or package in topics


def resolve(target: str, own: str, topics: Topics) -> str:
    """The id of the page that a link leads to: in the page's own package, in R's own, or else in any."""
    package, _, topic = target.partition(":")
    places = [package] if package else [own, *OWN, *topics]
    found = next((place for place in places if topic in topics.get(place, ())), None)
    return f"{found}/{topics[found][topic]}" if found else target


CORPUS = Corpus(
    name="r_help",
    about="help pages of R, a language for statistics, and of its recommended packages",
    packages=("r-base-core", *(f"r-cran-{name}" for name in RECOMMENDED.split())),
    licence="GPL-2 or GPL-3 (R Core Team; some packages by their authors, see the copyright file of each)",
    convert=convert_r,
    min_words=80,
)
