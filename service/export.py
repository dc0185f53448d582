"""Every essay's final list, written for other programs. The lists are the ones the website gets.

k: how many an essay at most; None is as many as its curated list, else 12. An A/B test is no part of them.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from corpus.errors import RelatedArticlesError
from recommender.ranking import Item, Recommendation
from service.answers import Answers
from service.asking import Asked
from service.schemas import RelatedQuery, RelatedResponse

INDEX = "index.json"
DATA = "related.json"
_MARKER = ".related-articles-export"


def write_jsonl(answers: Answers, k: int | None, out: TextIO) -> None:
    """A line an essay: {"id", "related": [{"id", "score", "origin"}]}, in id order, best first."""
    for ident, found in _final_lists(answers, k):
        related = [{"id": r.target, "score": r.score, "origin": r.origin} for r, _ in found]
        out.write(json.dumps({"id": ident, "related": related}, ensure_ascii=False) + "\n")


def write_csv(answers: Answers, k: int | None, out: TextIO) -> None:
    """A row a recommendation, with a header."""
    writer = csv.writer(out)
    writer.writerow(["id", "position", "related", "score", "origin", "title"])
    for ident, found in _final_lists(answers, k):
        for r, item in found:
            writer.writerow([_cell(ident), r.position, _cell(r.target), r.score, r.origin, _cell(item.title or "")])


def write_trec(answers: Answers, k: int | None, out: TextIO) -> None:
    """A TREC run: `essay Q0 related rank score related-articles`.

    TREC tools order by score, and curated items stand above better-scored ones: the score written is 1 / position.
    Spaces in ids are percent-encoded.
    """
    for ident, found in _final_lists(answers, k):
        for r, _ in found:
            out.write(
                f"{trec_word(ident)} Q0 {trec_word(r.target)} {r.position} {1 / r.position:.6f} related-articles\n"
            )


def write_static(answers: Answers, k: int | None, folder: Path) -> int:
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
        for response in _responses(answers, k):
            ident, cards = response.article.id, [card.model_dump(mode="json") for card in response.items]
            data.write(f"{',' if names else '{'}\n{_json(ident)}: {_json(cards)}")
            names[ident] = hashlib.sha256(ident.encode()).hexdigest()[:32] + ".json"
            page = aside / names[ident]
            page.write_text(_json({"id": ident, "edition": answers.edition.id, "items": cards}), encoding="utf-8")
            page.with_suffix(".html").write_text(render_fragment(response), encoding="utf-8")
        data.write("\n}\n" if names else "{}\n")
    (aside / _MARKER).touch()
    (aside / INDEX).write_text(_json(names), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return len(names)


def _responses(answers: Answers, k: int | None) -> Iterator[RelatedResponse]:
    """What the website is answered about each essay."""
    asked = Asked.of(RelatedQuery(limit=k))
    for ident in answers.edition.essay_ids():
        yield answers.respond(answers.edition.find(ident), asked)


def _final_lists(answers: Answers, k: int | None) -> Iterator[tuple[str, list[tuple[Recommendation, Item]]]]:
    for ident in answers.edition.essay_ids():
        yield ident, answers.places(answers.edition.find(ident), answers.site, k)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    """The text such that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def trec_word(ident: str) -> str:
    """An id as one word, for TREC tools."""
    return quote(ident, safe="!\"#$&'()*+,-./:;<=>?@[]^_`{|}~") if any(c.isspace() for c in ident) else ident
