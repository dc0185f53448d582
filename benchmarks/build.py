"""What a whole build costs beside the yardstick, and what one costs when little or nothing has changed.

usage: python -m benchmarks.build [--pages N] [--html] [--runs N] [--out FOLDER] CORPUS...

For each corpus, in one run and in turn: the yardstick (benchmarks/yardstick.py) on the very texts that the build
encodes; a build in an empty home; builds in that home without a change; builds after 1% of the pages were edited, one
added and one removed; and after each of these a build of the same pages in an empty home, to which the edition must be
equal, file by file. (Of the desk's overview two columns are left out, which tell how a page's list differs from that in
the edition before.) All are processes of their own: starting Python, loading and converting the model, reading pages,
evaluating and writing answers count. Only the yardstick is given its texts ready made.

--html      pages as text files, written by ../shared/tools/as_pages.py; JSON lines without
--runs      how often each is timed; of a full build and of the yardstick there are as many
--out       writes build.md there (benchmarks/results by default)

Ends with 1 when an edition is not equal to the full build's.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.datasets import FOLDERS, ROOT, is_corpus, load
from corpus.catalogue import build_catalogue
from corpus.essay import Essay
from corpus.records import essay_to_record
from corpus.sources import PageOptions, list_pages, read_pages
from embeddings.cache import open_cache
from embeddings.encoder import cache_key
from embeddings.model_folder import packaged_folder
from embeddings.sentence import SentenceEncoder
from embeddings.views import views_of
from recommender.disk import open_unchanging
from recommender.edition import OVERVIEW, check_edition, current_id
from recommender.encoded import shown_blurbs
from recommender.versions import package_versions

RELATED = [sys.executable, "-c", "from service.cli import main; main()"]
AS_PAGES = ROOT.parent / "shared" / "tools" / "as_pages.py"
SHARE = 100  # one page in so many is edited
_LIST = "Related Articles"
_OF_BEFORE = ("overlap_before", "worth")


class JsonLines:
    """The pages of a corpus as one file of JSON lines."""

    def __init__(self, corpus: str, folder: Path, pages: int | None) -> None:
        self.source = folder / "site.jsonl"
        essays = load(corpus).essays[:pages]
        ids = {essay.id for essay in essays}
        self._records = [
            essay_to_record(essay) | {"related": [i for i in essay.related if i in ids]} for essay in essays
        ]
        self._write()

    def change(self, round_: int) -> None:
        """Edit 1% of the pages, add one, remove the last."""
        self._records.pop()
        for record in _every(self._records, round_):
            record["blocks"] = [*record["blocks"], {"kind": "paragraph", "text": _news(round_)}]
        first, second = self._records[round_], self._records[-round_ - 1]
        blocks = [*first["blocks"][::2], *second["blocks"][1::2], {"kind": "paragraph", "text": _news(round_)}]
        added = {"id": f"added-{round_}", "title": f"Added {round_}", "standfirst": _news(round_), "blocks": blocks}
        self._records.insert(len(self._records) // 2, {**first, "url": None, "related": [], **added})
        self._write()

    def _write(self) -> None:
        self.source.write_text("".join(json.dumps(record) + "\n" for record in self._records), encoding="utf-8")


class PageFiles:
    """The pages of a corpus as files, in the layouts of the as_pages tool."""

    def __init__(self, corpus: str, folder: Path, pages: int | None) -> None:
        source = next(path for path in (*(f / corpus for f in FOLDERS), Path(corpus)) if is_corpus(path))
        limit = [] if pages is None else ["--limit", str(pages)]
        subprocess.run([sys.executable, AS_PAGES, source, folder, *limit], check=True, stdout=subprocess.DEVNULL)
        self.source = folder / "pages"

    def change(self, round_: int) -> None:
        """Edit 1% of the pages, add one, remove the last."""
        pages = sorted(self.source.iterdir())
        pages.pop().unlink()
        for page in _every(pages, round_):
            body, mark, rest = page.read_text(encoding="utf-8").rpartition(_LIST)
            page.write_text(f"{body}{_news(round_)}\n{mark}{rest}", encoding="utf-8")
        lines = pages[round_].read_text(encoding="utf-8").replace(" the ", f" the {round_} ")
        (self.source / f"{len(pages) // 2:05}_added{round_}.txt").write_text(lines, encoding="utf-8")


@dataclass(slots=True)
class Measured:
    """What was measured on one corpus. seconds: by what was timed. encoded: texts, by the same.

    differing: files of an edition that differ from the full build's, with how often.
    """

    name: str
    essays: int = 0
    texts: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    encoded: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    differing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    compared: int = 0

    def median(self, what: str) -> float:
        """Seconds."""
        return statistics.median(self.seconds[what])

    def build(self, what: str, source: Path, home: Path) -> dict[str, Any]:
        """Time a build; returns its closing line."""
        start = time.perf_counter()
        command = [*RELATED, "build", str(source), "--home", str(home), "--json", "--quiet"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        self.seconds[what].append(time.perf_counter() - start)
        report = dict(json.loads(done.stdout.splitlines()[-1]))
        self.encoded[what].append(report["encoded"])
        return report

    def compare(self, home: Path, full: Path) -> None:
        """Hold the files of two homes' editions against each other."""
        ours, theirs = (_digests(h / "editions" / current_id(h)) for h in (home, full))
        self.compared += 1
        for name in sorted(ours.keys() | theirs.keys()):
            self.differing[name] += ours.get(name) != theirs.get(name)


def measure(corpus: str, pages: int | None, html: bool, runs: int) -> Measured:
    """Time everything on one corpus."""
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), Measured(Path(corpus).name)
        site = (PageFiles if html else JsonLines)(corpus, folder, pages)
        home = folder / "home"
        for run in range(runs):
            found.essays, found.texts = write_texts(site.source, folder / "texts.json")
            time_yardstick(folder, found)
            if run == 0:
                found.build("full", site.source, home)
            found.build("unchanged", site.source, home)
            site.change(run)
            found.build("1% changed", site.source, home)
            full = folder / f"full-{run}"
            found.build("full", site.source, full)
            found.compare(home, full)
            shutil.rmtree(full)
        return found


def write_texts(source: Path, path: Path) -> tuple[int, int]:
    """Cut the site's essays as a build does; returns how many essays and different texts there are."""
    pages = [page for page in read_pages(list_pages([source]).files, PageOptions()) if isinstance(page, Essay)]
    catalogue, encoder = build_catalogue(pages), SentenceEncoder()
    with tempfile.TemporaryDirectory() as folder, open_cache(Path(folder) / "cache", cache_key(encoder)) as cache:
        essays = [view.texts() for view in views_of(catalogue.essays, encoder, cache)]
    blurbs = [blurb.text for blurb in catalogue.unmatched] + [text for text, _target in shown_blurbs(catalogue.essays)]
    path.write_text(json.dumps({"essays": essays, "blurbs": blurbs}), encoding="utf-8")
    return len(essays), len({*chain.from_iterable(essays), *blurbs})


def time_yardstick(folder: Path, found: Measured) -> None:
    """Run it on the texts of the folder."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.yardstick", folder / "texts.json", folder / "lists.json"]
    subprocess.run([*command, packaged_folder()], check=True, stderr=subprocess.DEVNULL, cwd=ROOT)
    found.seconds["yardstick"].append(time.perf_counter() - start)


def table(found: Sequence[Measured]) -> str:
    """A row a corpus: medians as ratios of one run."""
    head = (
        "| corpus | essays | texts | yardstick / full build | unchanged / full | 1% changed / full | encoded then "
        "| files equal to a full build's |\n|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(f"| {' | '.join(_row(one))} |\n" for one in found)


def _row(one: Measured) -> list[str]:
    full = one.median("full")
    shares = [f"{one.median(what) / full:.1%} (n = {len(one.seconds[what])})" for what in ("unchanged", "1% changed")]
    unequal = [f"{name} differed in {times} of {one.compared}" for name, times in one.differing.items() if times]
    return [
        one.name,
        f"{one.essays:,}",
        f"{one.texts:,}",
        f"{one.median('yardstick') / full:.2f} (n = {len(one.seconds['yardstick'])} and {len(one.seconds['full'])})",
        *shares,
        f"{statistics.median(one.encoded['1% changed']):,.0f}",
        "; ".join(unequal) or f"all {len(one.differing)}, {one.compared} times",
    ]


def _digests(edition: Path) -> dict[str, Any]:
    """Of an edition's files."""
    return {**check_edition(edition)["files"], OVERVIEW: _facts(edition / OVERVIEW)}


def _facts(overview: Path) -> str:
    """The digest of an overview's rows, without what they tell of the edition before."""
    with closing(open_unchanging(overview)) as db:
        db.row_factory = sqlite3.Row
        pages = [{k: row[k] for k in row.keys() if k not in _OF_BEFORE} for row in db.execute("SELECT * FROM pages")]  # noqa: SIM118
        shown_by = [(number, pages) for number, pages in db.execute("SELECT * FROM shown_by")]
    return hashlib.sha256(repr((pages, shown_by)).encode()).hexdigest()


def _every(pages: Sequence[Any], round_: int) -> Sequence[Any]:
    """One page in a hundred, at least one."""
    return pages[min(round_, len(pages) - 1) :: SHARE]


def _news(round_: int) -> str:
    return f"This was added in round {round_}, when the page was looked over once more and found in want of an end."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--pages", type=int, help="only the first so many pages of each corpus")
    parser.add_argument("--html", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    found = [measure(corpus, options.pages, options.html, options.runs) for corpus in options.corpora]
    packages = package_versions()
    versions = ", ".join(f"{name} {packages[name]}" for name in ("sentence-transformers", "torch", "faiss-cpu"))
    text = (
        f"# Whole builds\n\n    python -m benchmarks.build {' '.join(sys.argv[1:])}\n\n"
        "Medians, as ratios of one run on one machine; see the module for what the clock included.\n\n"
        f"{table(found)}\n{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; {versions}.\n"
    )
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "build.md").write_text(text, encoding="utf-8")
    return 1 if any(sum(one.differing.values()) for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
