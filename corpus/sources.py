"""Files and folders -> pages -> essays and problems."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corpus.decoding import decode, plain
from corpus.errors import RelatedArticlesError, SourceNotFound
from corpus.essay import Essay, PageProblem, PageRejected
from corpus.page_cache import PageCache
from corpus.records import read_records

KINDS = {
    ".txt": "text",
    ".text": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".jsonl": "records",
    ".ndjson": "records",
    ".jsonl.gz": "records",
    ".ndjson.gz": "records",
}


ABOUT_A_FOLDER = {"readme", "license", "licence", "changelog", "contributing"}
"""Files of these names are about the folder they lie in: no pages, unless they are named as sources themselves."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the settings say about reading pages."""

    related_selector: str | None = None
    max_page_bytes: int = 8_000_000


@dataclass(frozen=True, slots=True)
class Listing:
    """The page files found under the sources, in reading order, and the endings (or names) of the files passed over."""

    files: tuple[Path, ...]
    passed_over: dict[str, int]


def list_pages(sources: Sequence[Path], apart: Collection[Path] = ()) -> Listing:
    """Every page file: sources as given, folders in name order, hidden files and linked folders left out.

    apart: folders whose files are no pages, wherever they lie.
    Raises SourceNotFound when a source does not exist. A file of an unknown kind is counted when it was met in a
    folder, and becomes a problem when it was named.
    """
    files: dict[Path, None] = {}
    passed_over: Counter[str] = Counter()
    resolved = {folder.resolve() for folder in apart}
    for source in sources:
        if source.is_dir():
            for path in _files_below(source, resolved):
                if path.stem.lower() in ABOUT_A_FOLDER:
                    passed_over[_shown(path.name)] += 1
                elif kind_of(path) or path.is_dir():
                    files[path] = None
                else:
                    passed_over[_shown(path.suffix.lower() or path.name)] += 1
        elif source.exists():
            files[source] = None
        else:
            raise SourceNotFound(f"{source} does not exist: name a page, a folder of pages or a .jsonl file")
    return Listing(tuple(files), dict(sorted(passed_over.items())))


def kind_of(path: Path) -> str | None:
    """text, html, markdown or records, by the file's ending; None when it is no page."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return KINDS.get("".join(suffixes[-2:])) or KINDS.get(suffixes[-1] if suffixes else "")


@dataclass(frozen=True, slots=True)
class PageFile:
    """What a page's parse depends on besides its bytes and the options; source is for messages only.

    kind: see kind_of(). ident: the id of a page that says none.
    """

    kind: str | None
    ident: str
    source: str

    @classmethod
    def at(cls, path: Path) -> "PageFile":
        """Of the file at a path."""
        return cls(kind_of(path), _ident(path), _shown(path))


def read_pages(
    files: Iterable[Path],
    options: PageOptions,
    on_file: Callable[[Path], None] = lambda path: None,
    cache: PageCache | None = None,
) -> Iterator[Essay | PageProblem]:
    """The essay or the problem of every page, in order. Of two pages with one id the first is kept.

    on_file is called after each file, for progress. cache: where pages that were parsed before are found; records are
    not kept there, as they are read no faster from it.
    """
    taken: dict[str, str] = {}
    for path in files:
        for page in _read_file(path, options, cache):
            if isinstance(page, Essay) and page.id in taken:
                yield PageProblem(_place(page, path), f"its id {page.id!r} is taken by {taken[page.id]}")
                continue
            if isinstance(page, Essay):
                taken[page.id] = _place(page, path)
            yield page
        on_file(path)


def _place(essay: Essay, path: Path) -> str:
    """Where an essay was read now; a record may say where its page was read once."""
    return essay.source if essay.source.startswith(_shown(path)) else _shown(path)


def _files_below(folder: Path, apart: Collection[Path]) -> Iterator[Path]:
    """And the folders that cannot be read, in their place."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield folder
        return
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink() and not (apart and path.resolve() in apart):
                yield from _files_below(path, apart)
        else:
            yield path


def _read_file(path: Path, options: PageOptions, cache: PageCache | None) -> Iterator[Essay | PageProblem]:
    if kind_of(path) == "records" and path.is_file():  # of a pipe, a first byte would be waited for
        yield from read_records(path)
    else:
        yield _read_page(path, options, cache)


def _read_page(path: Path, options: PageOptions, cache: PageCache | None) -> Essay | PageProblem:
    file = PageFile.at(path)
    try:
        data = read_page_bytes(path, options)
    except PageRejected as error:
        return PageProblem(file.source, str(error))
    except OSError as error:
        return PageProblem(file.source, f"cannot be read: {error.strerror or error}")
    key = page_key(cache, data, file, options) if cache else b""
    known = cache.get(key, file.source) if cache else None
    if known is not None:
        return known
    try:
        page = parse_page(data, file, options)
    except RelatedArticlesError:  # of the settings, not of this page
        raise
    except Exception as error:  # a page may trip a parser in a way that nobody foresaw; it must not stop the others
        return PageProblem(file.source, f"its parser failed, which is a mistake of this program: {error!r}")
    if cache:
        cache.put(key, page)
    return page


def page_key(cache: PageCache, data: bytes, file: PageFile, options: PageOptions) -> bytes:
    """Under which the cache keeps what these bytes are parsed to."""
    return cache.key(data, file.kind, file.ident, options.related_selector)


def read_page_bytes(path: Path, options: PageOptions) -> bytes:
    """A page's file. Raises PageRejected, or OSError, when it is none that could be parsed."""
    if not path.is_file():
        raise PageRejected("a folder that cannot be read" if path.is_dir() else "not a regular file")
    size = path.stat().st_size
    if size > options.max_page_bytes:
        raise PageRejected(f"{size:,} bytes; a page may have {options.max_page_bytes:,} (setting max_page_bytes)")
    return path.read_bytes()


def parse_page(data: bytes, file: PageFile, options: PageOptions) -> Essay | PageProblem:
    """The essay of a page's bytes, or why it is none. Raises whatever a parser that is mistaken raises."""
    try:
        text, remarks = decode(data)
        essay = _parse_text(text, file, options)
    except PageRejected as error:
        return PageProblem(file.source, str(error))
    return replace(essay, remarks=remarks + essay.remarks)


def _parse_text(text: str, file: PageFile, options: PageOptions) -> Essay:
    # Imported here: a build that finds all its pages in the cache needs no parser.
    ident, source = file.ident, file.source
    match file.kind:
        case "text":
            from corpus.text_pages import parse_text_page

            return parse_text_page(text, ident, source)
        case "html":
            from corpus.html_pages import parse_html_page

            return parse_html_page(text, ident, source, options.related_selector)
        case "markdown":
            from corpus.markdown_pages import parse_markdown_page

            return parse_markdown_page(text, ident, source)
        case _:
            endings = ", ".join(sorted(KINDS))
            raise PageRejected(f"not a page: its name ends in none of {endings}")


def _ident(path: Path) -> str:
    """The id of a page that says none: its name's stem, or its folder's where it is that folder's index."""
    named_by_folder = path.stem in ("index", "_index")
    name = path.absolute().parent.name if named_by_folder else path.stem
    return plain(_shown(name)).strip() or plain(_shown(path.name)).strip()  # as a record's


def _shown(path: Path | str) -> str:
    """A path as text that can be written: a byte of a name that is not UTF-8 becomes a question mark."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
