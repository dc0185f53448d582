"""Makes a corpus and writes its files."""

import datetime
import gzip
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.public_corpora.linking import link, statistics
from benchmarks.public_corpora.packages import fetch
from benchmarks.public_corpora.pages import Corpus, CorpusError


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
        f"Made on {datetime.date.today().isoformat()} by benchmarks/public_corpora",
        "",
        *(f"{name}: {number}" for name, number in numbers.items()),
        "",
        "Code blocks, synopses, generated option tables and the see-also lists are left out of the bodies.",
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
