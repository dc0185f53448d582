"""Are pages read as written, and blurbs joined to the right essays?

usage: python -m benchmarks.joining CORPUS_DIR PAGES_DIR

CORPUS_DIR holds articles.jsonl.gz. PAGES_DIR holds pages/ and truth.jsonl, as the as_pages tool renders them: a line a
page {"page", "id", "related"}, its related ids in page order. Prints counts; ends with 1 when a field is not as
written, a blurb is joined wrongly, or under 99.5% of the blurbs whose standfirst one essay alone has are joined.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.catalogue import build_catalogue
from corpus.essay import Essay
from corpus.sources import PageOptions, list_pages, read_pages

JOIN_FLOOR = 0.995


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the blurbs. unique: those whose standfirst one essay of the pages alone has."""

    unique: int
    unique_joined: int
    wrong: int
    shared: int
    shared_joined: int
    absent: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("pages", type=Path)
    options = parser.parse_args()
    articles = read_articles(options.corpus)
    truth = read_truth(options.pages)
    files = list_pages([options.pages / "pages"]).files
    pages = list(read_pages(files, PageOptions()))
    essays = [page for page in pages if isinstance(page, Essay)]
    print(f"{len(files):,} pages: {len(essays):,} essays, {len(pages) - len(essays):,} problems")
    wrong_fields = count_wrong_fields(essays, truth, articles)
    print(f"fields not as written: {dict(wrong_fields) or 'none'}")
    outcome = judge_joins(essays, truth, articles)
    rate = outcome.unique_joined / outcome.unique if outcome.unique else 1.0
    print(
        f"blurbs of one essay's standfirst: {outcome.unique:,}, joined {outcome.unique_joined:,} ({rate:.2%}); "
        f"of several essays': {outcome.shared:,}, joined by their date {outcome.shared_joined:,}, the others counted "
        f"ambiguous; of none: {outcome.absent:,}; joined wrongly: {outcome.wrong:,}"
    )
    fine = len(essays) == len(files) and not wrong_fields and not outcome.wrong and rate >= JOIN_FLOOR
    print("as asked" if fine else "short of what is asked")
    return 0 if fine else 1


def read_articles(folder: Path) -> dict[str, dict[str, Any]]:
    with gzip.open(folder / "articles.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {article["id"]: article for article in map(json.loads, lines)}


def read_truth(folder: Path) -> dict[str, dict[str, Any]]:
    """Essay id, which is the page's file stem -> its line of the truth."""
    lines = (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return {Path(line["page"]).stem: line for line in map(json.loads, lines)}


def count_wrong_fields(
    essays: list[Essay], truth: dict[str, dict[str, Any]], articles: dict[str, dict[str, Any]]
) -> Counter[str]:
    """How many essays have a title, standfirst, author or date other than their page was written from.

    Layout A shows no author: None is right there.
    """
    wrong: Counter[str] = Counter()
    for essay in essays:
        article = articles[truth[essay.id]["id"]]
        wrong["title"] += essay.title != _one_line(article["title"])
        wrong["standfirst"] += essay.standfirst != _one_line(article["description"])
        wrong["published"] += str(essay.published) != article["published"]
        wrong["author"] += essay.author not in (None, _one_line(article["author"] or "")) or (
            essay.author is None and essay.reading_minutes is not None and bool(article["author"])
        )
    return +wrong


def judge_joins(essays: list[Essay], truth: dict[str, dict[str, Any]], articles: dict[str, dict[str, Any]]) -> Outcome:
    """Every blurb against the article that its page was rendered with."""
    having = Counter(_one_line(articles[truth[essay.id]["id"]]["description"]) for essay in essays)
    counts: Counter[str] = Counter()
    for essay in build_catalogue(essays).essays:
        for blurb, wanted in zip(essay.blurbs, truth[essay.id]["related"], strict=True):
            found = truth[blurb.target]["id"] if blurb.target else None
            counts["wrong"] += found is not None and found != wanted
            owners = having[_one_line(articles[wanted]["description"])]
            kind = "unique" if owners == 1 else "shared" if owners else "absent"
            counts[kind] += 1
            counts[f"{kind}_joined"] += found == wanted
    return Outcome(**{name: counts[name] for name in Outcome.__slots__})


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
