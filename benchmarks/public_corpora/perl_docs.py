"""Perl's own documentation: tutorials, questions and answers, the language, and the modules that come with it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import lxml.html

from benchmarks.public_corpora.blocks import Block, body_text, cut, flatten, person, split_description
from benchmarks.public_corpora.packages import find_file, run
from benchmarks.public_corpora.pages import Article, Corpus, Page

# Perl's own parser makes the HTML, with "pod:" in front of what links to other pages name.
TO_HTML = r"""
use Pod::Simple::XHTML;
my $parser = Pod::Simple::XHTML->new;
$parser->$_('') for qw(html_header html_footer);
$parser->perldoc_url_prefix('pod:');
$parser->no_errata_section(1);
$parser->output_string(\my $html);
$parser->parse_file($ARGV[0]);
binmode STDOUT, ':utf8';
print $html;
"""
NAME = re.compile(r"^=head1 NAME\s+(?:X<[^>]*>\s*)*(?:[A-Z]<+ *)?([\w:]+)", re.MULTILINE)
LEFT_OUT = re.compile(r"perl\d*delta|perltoc")  # eighty lists of a release's changes, and a generated index
CONTENTS = re.compile(r"^=head2 (.+)$|^ {4}(perl\w+)", re.MULTILINE)  # in perl.pod: its own groups of pages
LINK = re.compile(r"pod:([\w:]+)(?:#.*)?")
SEE_ALSO = re.compile(r"see also\b.*|(?:related|other) (?:modules|pages|documentation)", re.IGNORECASE)
NAME_HEADING = re.compile("name", re.IGNORECASE)
AUTHORS = re.compile(r"(?:(?:the|current|original) )*(?:authors?|maintainers?)\b.*", re.IGNORECASE)
CUT = re.compile(
    r"name|synopsis|history|version|support|availability|contact|credits|disclaimer|bug reports|reporting bugs|"
    r"acknowledge?ments?|.*\bcopyright\b.*|licen[cs]e.*|.*mailing lists?",
    re.IGNORECASE,
)


def convert_perl(root: Path) -> Iterator[Page]:
    """Each page once, though a module may be in several packages; links to modules from elsewhere are left out."""
    groups = page_groups(source(find_file(root, "perl.pod")))
    paths: dict[str, Path] = {}
    for path in sorted((*root.rglob("*.pod"), *root.rglob("*.pm"))):
        name = NAME.search(source(path))
        if name and not LEFT_OUT.fullmatch(name[1]):
            paths.setdefault(name[1], path)
    for name, path in paths.items():
        html = run(["perl", "-e", TO_HTML, str(path)], root, f"cannot read {path.name}")
        yield perl_page(name, html, perl_category(name, groups), tuple(paths))


def source(path: Path) -> str:
    """The text of a file; bytes that are not UTF-8 do not matter to what is looked for in it."""
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def page_groups(contents: str) -> dict[str, str]:
    """The group that the table of contents has each page in."""
    groups: dict[str, str] = {}
    group = ""
    for heading, page in CONTENTS.findall(contents):
        group = heading or group
        if page and group:
            groups.setdefault(page, group)
    return groups


def perl_category(name: str, groups: Mapping[str, str]) -> str:
    """A page's group; of a module the first part of its name; of what has neither, in small letters, "Pragmas"."""
    return groups.get(name) or (name.partition("::")[0] if name[0].isupper() or "::" in name else "Pragmas")


def perl_page(name: str, html: str, category: str, pages: Sequence[str]) -> Page:
    """One page, with the list in its SEE ALSO sections."""
    blocks, see_also = cut(flatten(lxml.html.fromstring(f"<div>{html}</div>")), SEE_ALSO)
    blocks, authors = cut(blocks, AUTHORS)
    title, description = names_and_purpose(cut(blocks, NAME_HEADING)[1], name)
    blocks, _ = cut(blocks, CUT)
    if not description:
        description, blocks = split_description(blocks)
    article = Article(
        id=name,
        title=title,
        description=description,
        category=category,
        published=None,
        author=next(filter(None, (person(block.text) for block in authors if not block.level)), None),
        body=body_text(blocks, title, description),
    )
    targets = map(LINK.fullmatch, (link for block in see_also for link in block.links))
    return Page(article, tuple(title.split(", ")), tuple(t[1] for t in targets if t and t[1] in pages))


def names_and_purpose(section: Sequence[Block], name: str) -> tuple[str, str]:
    """What the NAME section says before and after its dash."""
    text = next((block.text for block in section if not block.level), "")
    title, *purpose = re.split(r"\s+[-–—]+\s+", text, maxsplit=1)
    return title or name, "".join(purpose)


CORPUS = Corpus(
    name="perl_docs",
    about="documentation of Perl, a programming language: tutorials, answers to questions, reference, modules",
    # Named by version, as Debian 12 has them; perl-base comes first, for what is in several has the same text.
    packages=("perl-doc", "perl-base", "perl-modules-5.36", "libperl5.36"),
    licence="GPL-1+ or Artistic (Perl's authors; a few modules by other terms, see the packages' copyright files)",
    convert=convert_perl,
    min_words=80,
    programs=(("pod2html", "perl"),),  # it comes with the parser
)
