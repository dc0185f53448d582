"""Every essay's final list, written for other programs. The lists are the ones the website gets.

k: how many an essay at most; None is as many as its curated list, else 12. rules: the site's (Settings.rules()); their
limit is not read.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from corpus.errors import RelatedArticlesError
from recommender.edition import Edition
from recommender.ranking import Recommendation, Rules, list_limit
from service.schemas import Card

INDEX = "index.json"
_MARKER = ".related-articles-export"
_RULES = Rules()


def write_jsonl(edition: Edition, k: int | None, out: TextIO, rules: Rules = _RULES) -> None:
    """A line an essay: {"id", "related": [{"id", "score", "origin"}]}, in id order, best first."""
    for ident, found in _final_lists(edition, k, rules):
        related = [{"id": r.target, "score": r.score, "origin": r.origin} for r in found]
        out.write(json.dumps({"id": ident, "related": related}, ensure_ascii=False) + "\n")


def write_csv(edition: Edition, k: int | None, out: TextIO, rules: Rules = _RULES) -> None:
    """A row a recommendation, with a header."""
    writer = csv.writer(out)
    writer.writerow(["id", "position", "related", "score", "origin", "title"])
    for ident, found in _final_lists(edition, k, rules):
        for r in found:
            title = edition.items[r.target].title or ""
            writer.writerow([_cell(ident), r.position, _cell(r.target), r.score, r.origin, _cell(title)])


def write_trec(edition: Edition, k: int | None, out: TextIO, rules: Rules = _RULES) -> None:
    """A TREC run: `essay Q0 related rank score related-articles`.

    TREC tools order by score, and curated items stand above better-scored ones: the score written is 1 / position.
    Spaces in ids are percent-encoded.
    """
    for ident, found in _final_lists(edition, k, rules):
        for r in found:
            out.write(
                f"{trec_word(ident)} Q0 {trec_word(r.target)} {r.position} {1 / r.position:.6f} related-articles\n"
            )


def write_static(edition: Edition, k: int | None, folder: Path, rules: Rules = _RULES) -> int:
    """One JSON file of cards an essay, for a static site, and index.json from ids to files; returns their number.

    File names are digests: no path is built from an id. The folder is replaced as a whole, and only when it is new,
    empty, or an earlier export, as a marker file says.
    """
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).is_file():
        raise RelatedArticlesError(f"{folder} is not empty and no earlier export: name a new folder with --out")
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    names: dict[str, str] = {}
    for ident, found in _final_lists(edition, k, rules):
        names[ident] = hashlib.sha256(ident.encode()).hexdigest()[:32] + ".json"
        content = {"id": ident, "edition": edition.id, "items": [_card(edition, r) for r in found]}
        (aside / names[ident]).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (aside / _MARKER).touch()
    (aside / INDEX).write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return len(names)


def _final_lists(edition: Edition, k: int | None, rules: Rules) -> Iterator[tuple[str, tuple[Recommendation, ...]]]:
    for ident in edition.essay_ids():
        limit = k or list_limit(edition.lists(ident).list_length)
        yield ident, edition.related(ident, replace(rules, limit=limit)).recommendations


def _card(edition: Edition, recommendation: Recommendation) -> dict[str, Any]:
    return Card.of(edition.items[recommendation.target], recommendation).model_dump(mode="json")


def _cell(text: str) -> str:
    """The text such that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def trec_word(ident: str) -> str:
    """An id as one word, for TREC tools."""
    return quote(ident, safe="!\"#$&'()*+,-./:;<=>?@[]^_`{|}~") if any(c.isspace() for c in ident) else ident
