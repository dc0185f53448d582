"""The pages of the Linux man-pages project."""

import gzip
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import lxml.html

from benchmarks.public_corpora.blocks import body_text, cut, flatten, person, prune
from benchmarks.public_corpora.pages import Article, Corpus, Page

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


CORPUS = Corpus(
    name="linux_man_pages",
    about="Linux man-pages project: system calls, library functions, devices, formats, overviews",
    packages=("manpages", "manpages-dev"),
    licence="by page: Linux-man-pages-copyleft, GPL, BSD or MIT (see the copyright file of the packages)",
    convert=convert_man,
    programs=(("mandoc", "mandoc"),),
)
