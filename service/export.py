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
from typing import TextIO
from urllib.parse import quote

from corpus.errors import RelatedArticlesError
from recommender.edition import Edition
from recommender.ranking import Recommendation, Rules, list_limit
from service.answers import Answers
from service.asking import Asked
from service.schemas import RelatedQuery, RelatedResponse

INDEX = "index.json"
DATA = "related.json"
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
    """Files for a site that serves its lists itself; returns the number of essays.

    For every essay its cards as JSON, and beside that the same list as a piece of HTML, empty when nothing is to be
    shown; index.json, from ids to the names of the JSON files; related.json, from ids to cards, for generators such as
    Hugo and Eleventy.
    File names are digests: no path is built from an id. The folder is replaced as a whole, and only when it is new,
    empty, or an earlier export, as a marker file says.
    """
    from service.fragment import render_fragment  # it brings the web framework along, which no other format needs

    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).is_file():
        raise RelatedArticlesError(f"{folder} is not empty and no earlier export: name a new folder with --out")
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    names: dict[str, str] = {}
    with (aside / DATA).open("w", encoding="utf-8") as data:  # a large site's data are too much to be held at once
        for response in _responses(edition, k, rules):
            ident, cards = response.article.id, [card.model_dump(mode="json") for card in response.items]
            data.write(f"{',' if names else '{'}\n{_json(ident)}: {_json(cards)}")
            names[ident] = hashlib.sha256(ident.encode()).hexdigest()[:32] + ".json"
            page = aside / names[ident]
            page.write_text(_json({"id": ident, "edition": edition.id, "items": cards}), encoding="utf-8")
            page.with_suffix(".html").write_text(render_fragment(response), encoding="utf-8")
        data.write("\n}\n" if names else "{}\n")
    (aside / _MARKER).touch()
    (aside / INDEX).write_text(_json(names), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return len(names)


def _responses(edition: Edition, k: int | None, rules: Rules) -> Iterator[RelatedResponse]:
    """What the website is answered about each essay."""
    answers, asked = Answers(edition, rules), Asked.of(RelatedQuery(limit=k))
    for ident in edition.essay_ids():
        yield answers.respond(edition.find(ident), asked)


def _final_lists(edition: Edition, k: int | None, rules: Rules) -> Iterator[tuple[str, tuple[Recommendation, ...]]]:
    for ident in edition.essay_ids():
        limit = k or list_limit(edition.lists(ident).list_length)
        yield ident, edition.related(ident, replace(rules, limit=limit)).recommendations


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    """The text such that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def trec_word(ident: str) -> str:
    """An id as one word, for TREC tools."""
    return quote(ident, safe="!\"#$&'()*+,-./:;<=>?@[]^_`{|}~") if any(c.isspace() for c in ident) else ident
