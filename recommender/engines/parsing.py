"""Pages parsed in parts: the page cache is filled before the pages are read."""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from corpus.errors import EngineError, RelatedArticlesError
from corpus.essay import PageRejected
from corpus.page_cache import PageCache, pack, parse_policy, unpack
from corpus.sources import PageFile, PageOptions, kind_of, page_key, parse_page, read_page_bytes
from recommender.engines.engine import Part
from recommender.engines.parts import read_given
from recommender.engines.slices import slice_size, slices
from recommender.engines.workers import Workers
from recommender.watch import PARSING_PARTS, Watch


def parse_in_parts(
    files: Sequence[Path], options: PageOptions, cache: PageCache, workers: Workers, watch: Watch
) -> None:
    """Put into the cache what it lacks of these files, parsed by the workers.

    Workers get the pages' bytes, not their paths: a page may change under a build, and a cluster need not see the disk.
    What cannot be read, or trips its parser, is left to whoever reads the pages. Raises EngineError.
    """
    unknown = slices(_unknown(files, options, cache), slice_size(len(files)))
    slips = [_Slip.of(pages, options, workers) for pages in unknown]
    if slips:
        workers.engine.map(parse, [slip.part for slip in slips], watch.stage(PARSING_PARTS, len(slips)))
    for slip in slips:
        for row, packed in workers.parts.read(slip.part, _results):
            cache.put(slip.keys[row], unpack(packed, ""))
    cache.flush()


def parse(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """A task. given: pages (URL), related_selector, policy (hexadecimal, see corpus.page_cache).

    Writes gzipped lines: the row of a page, a space, the page as it is packed; none for one that trips its parser.
    """
    if given["policy"] != parse_policy().hex():
        raise EngineError(
            "a worker would parse otherwise, having other versions of Python or of libraries: install the same on "
            "every machine"
        )
    options = PageOptions(related_selector=given["related_selector"])
    with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as lines:
        for row, line in enumerate(read_given(given["pages"]).splitlines()):
            page = json.loads(line)
            file = PageFile(page["kind"], page["ident"], source="")
            with suppress(_Tripped):
                lines.write(b"%d %s\n" % (row, _parse(base64.b64decode(page["data"]), file, options)))


class _Tripped(Exception):
    """A page has tripped its parser."""


def _parse(data: bytes, file: PageFile, options: PageOptions) -> bytes:
    try:
        return pack(parse_page(data, file, options))
    except RelatedArticlesError:  # of the settings, not of this page
        raise
    except Exception as error:  # see corpus.sources: it must not stop the others
        raise _Tripped from error


@dataclass(frozen=True, slots=True)
class _Page:
    """A page to be parsed. key: in the page cache."""

    file: PageFile
    data: bytes
    key: bytes

    def to_line(self) -> bytes:
        """As a worker reads it."""
        data = base64.b64encode(self.data).decode()
        return json.dumps({"kind": self.file.kind, "ident": self.file.ident, "data": data}).encode()


@dataclass(frozen=True, slots=True)
class _Slip:
    """A part, and the keys of its pages, by row."""

    part: Part
    keys: Sequence[bytes]

    @classmethod
    def of(cls, pages: Sequence[_Page], options: PageOptions, workers: Workers) -> "_Slip":
        """Of these pages, whose bytes are written into the folder of the parts."""
        url = workers.parts.keep(b"\n".join(page.to_line() for page in pages))
        given = {"pages": url, "related_selector": options.related_selector, "policy": parse_policy().hex()}
        return cls(workers.parts.part(parse, given), [page.key for page in pages])


def _unknown(files: Sequence[Path], options: PageOptions, cache: PageCache) -> Iterator[_Page]:
    """The pages that the cache lacks, each once."""
    met: set[bytes] = set()
    for path in files:
        if kind_of(path) in (None, "records"):
            continue
        try:
            data = read_page_bytes(path, options)
        except (PageRejected, OSError):
            continue
        file = PageFile.at(path)
        key = page_key(cache, data, file, options)
        if key not in met and not cache.knows(key):
            met.add(key)
            yield _Page(file, data, key)


def _results(data: bytes) -> list[tuple[int, bytes]]:
    """Row and packed page of each line that parse() wrote."""
    parted = (line.partition(b" ") for line in gzip.decompress(data).splitlines())
    return [(int(row), packed) for row, _space, packed in parted]
