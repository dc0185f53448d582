"""Corpora of articles with human-made "see also" lists, made from documentation that Debian ships.

    python -m benchmarks.public_corpora --list
    python -m benchmarks.public_corpora grass_gis linux_man_pages --out corpora

Each corpus is fetched with ``apt-get download``, unpacked with ``dpkg -x`` into a temporary folder (nothing is
installed) and written to ``OUT/NAME/``:

* ``articles.jsonl.gz``  one article a line: id, title, description, category, published, author, body
* ``related.jsonl.gz``   one list a line: id, related (ids in the order of the list, all of them in the articles)
* ``README.txt``         where it came from, under which licence, and what is in it

To add a corpus: write a function which takes the unpacked tree and yields a ``Page`` for each page (its body free
of the list, its ``links`` naming pages by id or alias), then add a ``Corpus`` to ``CORPORA`` at the end of this file.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

try:
    import lxml.html
except ImportError:
    sys.exit("error: lxml is missing: pip install lxml (or apt-get install python3-lxml)")


class CorpusError(Exception):
    """A problem to be told to the user in one line."""


@dataclass(frozen=True)
class Article:
    """One line of articles.jsonl.gz."""

    id: str
    title: str
    description: str
    category: str
    published: str | None
    author: str | None
    body: str


@dataclass(frozen=True)
class Page:
    """An article as a converter found it: with the other names it goes by and its list, not yet resolved."""

    article: Article
    aliases: tuple[str, ...]
    links: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """How one corpus is made."""

    name: str
    about: str
    packages: tuple[str, ...]
    licence: str
    convert: Callable[[Path], Iterator[Page]]
    min_words: int = 5  # of a body; shorter pages are left out
    programs: tuple[tuple[str, str], ...] = ()  # further programs needed, each with the Debian package that has it


@dataclass(frozen=True)
class Linked:
    """A finished corpus: its articles, their lists, and how many list items there were before they were resolved."""

    articles: list[Article]
    related: dict[str, list[str]]
    items: int
    resolved: int


# --- HTML to blocks of text -------------------------------------------------------------------------------------

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


def find_file(root: Path, pattern: str) -> Path:
    """The first file or folder below root with that name; an error where a package has changed its layout."""
    found = min(root.rglob(pattern), default=None)
    if found is None:
        raise CorpusError(f"no {pattern} in the package: its layout is not the one this module knows")
    return found


# --- GRASS GIS --------------------------------------------------------------------------------------------------

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


# --- Linux man pages --------------------------------------------------------------------------------------------

MAN_SECTIONS = {
    "1": "User commands",
    "2": "System calls",
    "2type": "Types",
    "3": "Library functions",
    "3const": "Constants",
    "3head": "Headers",
    "3type": "Types",
    "4": "Devices",
    "5": "File formats",
    "6": "Games",
    "7": "Overviews and conventions",
    "8": "System administration",
}
MAN_CUT = re.compile(
    "NAME|LIBRARY|SYNOPSIS|ATTRIBUTES|VERSIONS?|STANDARDS|CONFORMING TO|HISTORY|AUTHORS?|COLOPHON|COPYRIGHT|LICENSE|"
    "REPORTING BUGS"
)
MAN_REFERENCE = re.compile(r"([\w.:+\[-]+) ?\((\d[a-z]*)\)")
MAN_DATE = re.compile(r'^\.TH .*?"?\b(\d{4}-\d\d-\d\d)\b', re.MULTILINE)
MAN_COPYRIGHT = re.compile(r"""^[.']\\".*?copyright(?: \(c\)|:)?[\s\d,-]*(?:by )?(.*)$""", re.MULTILINE | re.IGNORECASE)


def convert_man(root: Path) -> Iterator[Page]:
    """The pages of the Linux man-pages project; links and ".so" stubs become aliases of the page they point at."""
    files = sorted(root.glob("usr/share/man/man*/*.gz"))
    sources = {path: man_source(path) for path in files if not path.is_symlink()}
    aliases: dict[str, list[str]] = {}
    for path in files:
        target = man_target(path, sources)
        if target != path:
            aliases.setdefault(target.stem, []).append(path.stem)
    for path, source in sources.items():
        if man_target(path, sources) == path:
            yield man_page(path, source, aliases.get(path.stem, []))


def man_source(path: Path) -> str:
    """The roff text of a page."""
    return gzip.decompress(path.read_bytes()).decode("utf-8", "replace")


def man_target(path: Path, sources: dict[Path, str]) -> Path:
    """The file that really has the page: follows links and ".so" stubs."""
    real = Path(path.parent, path.readlink().name) if path.is_symlink() else path
    if real.is_symlink():
        return man_target(real, sources)
    stub = re.match(r"\.so +(\S+)", sources.get(real, ""))
    return man_target(path.parents[1] / f"{stub[1]}.gz", sources) if stub else real


def man_page(path: Path, source: str, aliases: Sequence[str]) -> Page:
    """One page, rendered to HTML by mandoc."""
    run_mandoc = ["mandoc", "-T", "html", "-O", "fragment", str(path)]
    html = subprocess.run(run_mandoc, capture_output=True, check=False).stdout.decode()  # it fails on mere warnings
    tree = lxml.html.fromstring(f"<div>{html}</div>")
    prune(tree, "//*[@class='head' or @class='foot']")
    blocks, see_also = cut(flatten(tree), re.compile("SEE ALSO"))
    _, heading = cut(blocks, re.compile("NAME"))
    names, _, description = " ".join(block.text for block in heading[1:]).partition(" - ")
    section = path.stem.rpartition(".")[2]
    date = MAN_DATE.search(source)
    article = Article(
        id=path.stem,
        title=names,
        description=description,
        category=MAN_SECTIONS.get(section, MAN_SECTIONS.get(section[:1], "Other")),
        published=date[1] if date else None,
        author=next(filter(None, map(person, MAN_COPYRIGHT.findall(source))), None),
        body=body_text(cut(blocks, MAN_CUT)[0], names, description),
    )
    also_known = [f"{name}.{number}" for name in names.split(", ") for number in (section, section[:1])]
    references = MAN_REFERENCE.findall(" ".join(block.text for block in see_also))
    return Page(article, (*aliases, *also_known), tuple(f"{name}.{number}" for name, number in references))


# --- LibreOffice help -------------------------------------------------------------------------------------------

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


# --- From pages to a corpus -------------------------------------------------------------------------------------


def link(pages: Iterable[Page], min_words: int) -> Linked:
    """Leave out short pages, keep each text once, and turn the links into ids."""
    kept, aliases = merge_copies(page for page in pages if len(page.article.body.split()) >= min_words)
    articles = [page.article for page in kept]
    ids = {article.id: article.id for article in articles}
    for page in kept:
        for alias in page.aliases:
            aliases.setdefault(alias, page.article.id)
    ids = aliases | ids
    related: dict[str, list[str]] = {}
    items = resolved = 0
    for page in kept:
        wanted = list(dict.fromkeys(page.links))
        found = [ids[name] for name in wanted if name in ids]
        items += len(wanted)
        resolved += len(found)
        found = [other for other in dict.fromkeys(found) if other != page.article.id]
        if found:
            related[page.article.id] = found
    return Linked(articles, related, items, resolved)


def merge_copies(pages: Iterable[Page]) -> tuple[list[Page], dict[str, str]]:
    """One page for each body, sorted by id, and for the ids of the copies the id of the page kept."""
    groups: dict[str, list[Page]] = {}
    for page in pages:
        groups.setdefault(page.article.body, []).append(page)
    kept, aliases = [], {}
    for group in groups.values():
        first, *copies = sorted(group, key=lambda page: (not named_by_title(page.article), page.article.id))
        kept.append(first)
        aliases.update({copy.article.id: first.article.id for copy in copies})
    return sorted(kept, key=lambda page: page.article.id), aliases


def named_by_title(article: Article) -> bool:
    """Whether the article's id is made from its (first) title: then it is the original, not a copy."""
    return article.id.startswith(article.title.split(",")[0])


def statistics(linked: Linked) -> dict[str, str]:
    """What the command prints and the README says about a corpus."""
    articles, lists = linked.articles, linked.related.values()
    descriptions = [article.description for article in articles if article.description]
    words = sum(len(article.body.split()) for article in articles)

    def share(part: int, whole: int) -> str:
        return f"{part / max(whole, 1):.1%}"

    def filled(field: str) -> str:
        return share(sum(bool(getattr(article, field)) for article in articles), len(articles))

    return {
        "articles": str(len(articles)),
        "lists": str(len(lists)),
        "mean list length": f"{sum(map(len, lists)) / max(len(lists), 1):.2f}",
        "list items that resolve": share(linked.resolved, linked.items),
        "mean words of body": f"{words / max(len(articles), 1):.0f}",
        "with description": filled("description"),
        "with category": filled("category"),
        "with date": filled("published"),
        "with author": filled("author"),
        "repeated descriptions": share(len(descriptions) - len(set(descriptions)), len(descriptions)),
    }


# --- Debian packages --------------------------------------------------------------------------------------------


def run(command: Sequence[str], folder: Path, problem: str) -> str:
    """The output of a command; its last line of complaint becomes the error where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise CorpusError(f"{problem}: {complaint}")
    return done.stdout


def fetch(packages: Sequence[str], folder: Path) -> list[str]:
    """Download and unpack the packages into folder/tree; returns "package version" for each."""
    versions = []
    for package in packages:
        run(["apt-get", "download", package], folder, f"cannot download the package {package} (apt-get update?)")
        deb = find_file(folder, f"{package}_*.deb")
        run(["dpkg", "-x", str(deb), "tree"], folder, f"cannot unpack {deb.name}")
        version = run(["dpkg-deb", "-f", str(deb), "Version"], folder, f"cannot read {deb.name}")
        versions.append(f"{package} {version.strip()}")
    return versions


def check_programs(corpora: Iterable[Corpus]) -> None:
    """Complain about a program that is missing before anything is downloaded."""
    needed = dict(program for corpus in corpora for program in corpus.programs)
    for program, package in {"apt-get": "", "dpkg": "", **needed}.items():
        if shutil.which(program) is None:
            hint = f"apt-get install {package}" if package else "this needs Debian or Ubuntu"
            raise CorpusError(f"{program} is missing: {hint}")


# --- Writing ----------------------------------------------------------------------------------------------------


def write_lines(path: Path, records: Iterable[dict[str, object]]) -> None:
    """Write JSON lines, gzipped: the same records make the same bytes."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def write_readme(path: Path, corpus: Corpus, versions: Sequence[str], numbers: dict[str, str]) -> None:
    """Say where the corpus came from and what is in it."""
    lines = [
        f"{corpus.name}: {corpus.about}",
        "",
        f"Made from Debian packages: {', '.join(versions)}",
        f"Licence: {corpus.licence}",
        f"Made on {datetime.date.today().isoformat()} by benchmarks/public_corpora.py",
        "",
        *(f"{name}: {number}" for name, number in numbers.items()),
        "",
        "Code blocks, synopses, option tables and the see-also lists are left out of the bodies.",
        f"Pages with fewer than {corpus.min_words} words of body are left out; pages with the same body are kept once.",
        "Lists name only articles of the corpus; links to anything but pages of this documentation are not counted.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make(corpus: Corpus, out: Path) -> dict[str, str]:
    """Fetch, convert and write one corpus; returns its statistics."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        folder = Path(name)
        versions = fetch(corpus.packages, folder)
        linked = link(corpus.convert(folder / "tree"), corpus.min_words)
    if not linked.related:
        raise CorpusError(f"no lists in {', '.join(versions)}: its pages are not as this module knows them")
    numbers = statistics(linked)
    out.mkdir(parents=True, exist_ok=True)
    write_lines(out / "articles.jsonl.gz", map(asdict, linked.articles))
    write_lines(out / "related.jsonl.gz", ({"id": key, "related": ids} for key, ids in linked.related.items()))
    write_readme(out / "README.txt", corpus, versions, numbers)
    return numbers


CORPORA = (
    Corpus(
        name="grass_gis",
        about="manual pages of GRASS GIS, a geographic information system",
        packages=("grass-doc",),
        licence="GPL-2+ (GRASS Development Team)",
        convert=convert_grass,
    ),
    Corpus(
        name="linux_man_pages",
        about="Linux man-pages project: system calls, library functions, devices, formats, overviews",
        packages=("manpages", "manpages-dev"),
        licence="by page: Linux-man-pages-copyleft, GPL, BSD or MIT (see the copyright file of the packages)",
        convert=convert_man,
        programs=(("mandoc", "mandoc"),),
    ),
    Corpus(
        name="libreoffice_help",
        about="help pages of LibreOffice in English",
        packages=("libreoffice-help-en-us",),
        licence="MPL-2.0 (LibreOffice contributors)",
        convert=convert_office,
        min_words=60,
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    by_name = {corpus.name: corpus for corpus in CORPORA}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.public_corpora", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(by_name)}")
    parser.add_argument("--out", type=Path, default=Path("corpora"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--list", action="store_true", help="list the corpora and stop")
    options = parser.parse_args(arguments)
    if options.list:
        for corpus in CORPORA:
            print(f"{corpus.name:16}  {corpus.about} ({', '.join(corpus.packages)})")
        return 0
    try:
        unknown = [name for name in options.names if name not in by_name]
        if unknown or not options.names:
            raise CorpusError(f"{'no corpus named ' + unknown[0] if unknown else 'name a corpus'}: try --list")
        check_programs(by_name[name] for name in options.names)
        for name in options.names:
            numbers = make(by_name[name], options.out / name)
            print(name, *(f"  {label:24} {number}" for label, number in numbers.items()), sep="\n")
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
