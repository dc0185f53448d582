"""Is a reader ever sent where no reader should be? Every page of an edition with every limit, through the HTTP app.

usage: python -m benchmarks.never_wrong [--home DIR] HOME_OR_CORPUS...

A home is a folder with a published edition. Of a corpus (see datasets.py) an edition is built first, elsewhere, with
the vectors that the cache of --home has (default ./data). Prints what was looked at; ends with 1 when any is wrong.

Wrong is the page itself; anything twice; two near-duplicates, by the edition's own groups and, apart from those, by
equal texts; what is no essay of the edition; a card whose link is not its essay's; positions other than 1, 2, 3, ...;
more than were asked for, or fewer than the longest list has; a list that begins otherwise than the next longer one,
its last place aside, since one essay may be lifted to that.

Nearly one text (recommender/twins.py) is counted, and wrong with --strict only: where editors link such pages, they
are siblings on that site.
"""

import argparse
import asyncio
import json
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message

from benchmarks.datasets import NoDataset, load
from corpus.records import essay_from_record, essay_to_record
from recommender.edition import ESSAYS, Edition, open_current, read_lines
from recommender.ranking import MAX_LIMIT
from recommender.twins import is_same_text
from service.app import create_app
from service.settings import Settings, load_settings

Cards = Sequence[Mapping[str, Any]]
Lists = Mapping[int, Cards]
"""A page's cards, by the limit asked for."""


@dataclass
class Verdict:
    """What was looked at, and what is wrong. faults: kind -> sentences."""

    pages: int = 0
    lists: int = 0
    cards: int = 0
    empty: int = 0
    near_texts: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def blame(self, kind: str, sentence: str) -> None:
        """Note that something is wrong."""
        self.faults.setdefault(kind, []).append(sentence)


class Judge:
    """Knows an edition's essays and their texts. strict: nearly one text is wrong, too."""

    def __init__(self, edition: Edition, strict: bool = False) -> None:
        self.verdict = Verdict()
        self._items = {item.id: item for item in edition.items.stream()}
        self._essays = set(edition.essay_ids())
        self._bodies = {
            record["id"]: essay_from_record(record, "edition").body for record in read_lines(edition.folder / ESSAYS)
        }
        self._strict = strict
        self._alike: dict[tuple[str, str], bool] = {}

    def judge(self, page: str, lists: Lists) -> None:
        """Look at all the lists of a page."""
        self.verdict.pages += 1
        ids = {limit: [card["id"] for card in cards] for limit, cards in lists.items()}
        for limit, cards in lists.items():
            self._judge_list(page, limit, cards)
        longest = max(map(len, ids.values()), default=0)
        for limit, shown in ids.items():
            if len(shown) != min(limit, longest):
                self._blame("length", page, limit, f"has {len(shown)} places, and the longest list has {longest}")
        for shorter, longer in pairwise(sorted(ids)):
            begin = ids[shorter][: shorter - 1]
            if ids[longer][: len(begin)] != begin:
                self._blame("beginning", page, shorter, f"does not begin as the one of {longer} does")
        for pair in {(one, other) for shown in ids.values() for one, other in _pairs([page, *shown])}:
            self._compare_texts(page, *pair)

    def _judge_list(self, page: str, limit: int, cards: Cards) -> None:
        ids = [card["id"] for card in cards]
        self.verdict.lists += 1
        self.verdict.cards += len(ids)
        self.verdict.empty += not ids
        if page in ids:
            self._blame("self", page, limit, "names the page itself")
        for twice in (ident for ident, count in Counter(ids).items() if count > 1):
            self._blame("twice", page, limit, f"names {twice} twice")
        if len(ids) > limit:
            self._blame("length", page, limit, f"has {len(ids)} places")
        if [card["position"] for card in cards] != list(range(1, len(cards) + 1)):
            self._blame("positions", page, limit, f"has the positions {[card['position'] for card in cards]}")
        for card in cards:
            item = self._items.get(card["id"])
            if item is None or item.id not in self._essays:
                self._blame("withdrawn", page, limit, f"names {card['id']}, which is no essay of the edition")
            elif item.kind != "essay" or card["url"] != item.url:
                self._blame("link", page, limit, f"links {card['id']} by {card['url']}, not by {item.url}")
        groups = Counter(item.twins for ident in {page, *ids} if (item := self._items.get(ident)) and item.twins)
        for group in (group for group, count in groups.items() if count > 1):
            self._blame("near-duplicates", page, limit, f"has several of the group of {group}")

    def _compare_texts(self, page: str, one: str, other: str) -> None:
        left, right = (self._bodies.get(ident, "") for ident in (one, other))
        if left and left == right:
            self.verdict.blame("equal texts", f"{page}: {one} and {other} have one text")
            return
        if (one, other) not in self._alike:
            self._alike[one, other] = is_same_text(left, right)
            self.verdict.near_texts += self._alike[one, other]
        if self._strict and self._alike[one, other]:
            self.verdict.blame("nearly one text", f"{page}: {one} and {other} have nearly one text")

    def _blame(self, kind: str, page: str, limit: int, what: str) -> None:
        self.verdict.blame(kind, f"{page}: the list of {limit} {what}")


def judge_service(
    home: Path, strict: bool = False, settings: Settings | None = None, limits: Sequence[int] = range(1, MAX_LIMIT + 1)
) -> Verdict:
    """Ask the service of a home for every page with every limit."""
    judge = Judge(open_current(home), strict)
    app = create_app(settings or load_settings(home))

    async def ask_for_all() -> None:
        for page in open_current(home).essay_ids():
            judge.judge(page, {limit: await ask(app, page, limit) for limit in limits})

    asyncio.run(ask_for_all())
    return judge.verdict


async def ask(app: ASGIApp, page: str, limit: int) -> Cards:
    """A page's cards as the service gives them. Raises ValueError for any answer but 200."""
    path = f"/v1/articles/{page}/related"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": f"limit={limit}".encode(),
        "headers": [],
    }
    messages: list[Message] = []
    send: Callable[[Message], Awaitable[None]] = _collector(messages)
    await app(scope, _nothing, send)
    body = b"".join(message.get("body", b"") for message in messages)
    if messages[0]["status"] != 200:
        raise ValueError(f"{path}?limit={limit} is answered with {messages[0]['status']}: {body[:200]!r}")
    cards: Cards = json.loads(body)["items"]
    return cards


def report(name: str, verdict: Verdict, seconds: float) -> bool:
    """Print a verdict; whether nothing is wrong."""
    print(
        f"{name}: {verdict.pages:,} pages x limits 1-{MAX_LIMIT}, {verdict.lists:,} lists, {verdict.cards:,} cards, "
        f"{verdict.empty:,} lists empty, {verdict.near_texts:,} pairs of nearly one text, in {seconds:.0f} s"
    )
    for kind, sentences in verdict.faults.items():
        print(f"  WRONG, {kind}: {len(sentences):,}, the first: {sentences[0]}")
    if not verdict.faults:
        print("  nothing is wrong")
    return not verdict.faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", metavar="HOME_OR_CORPUS")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    parser.add_argument("--strict", action="store_true", help="nearly one text is wrong, too")
    options = parser.parse_args()
    fine = True
    for place in options.places:
        with TemporaryDirectory() as folder:
            try:
                home = Path(place) if (Path(place) / "current").is_file() else built(place, Path(folder), options.home)
            except NoDataset as error:
                parser.error(str(error))
            begun = perf_counter()
            fine &= report(place, judge_service(home, options.strict), perf_counter() - begun)
    return 0 if fine else 1


def built(name: str, folder: Path, cached: Path) -> Path:
    """A home with an edition of a corpus."""
    from embeddings.cache import PLACE
    from embeddings.sentence import SentenceEncoder
    from recommender.job import BuildOptions, build

    dataset = load(name)
    pages, home = folder / "pages.jsonl", folder / "home"
    with pages.open("w", encoding="utf-8") as file:
        for essay in dataset.essays:
            file.write(json.dumps(essay_to_record(essay)) + "\n")
    if (cached / PLACE).is_file():
        (home / PLACE).parent.mkdir(parents=True)
        shutil.copyfile(cached / PLACE, home / PLACE)
    build([pages], home, SentenceEncoder(), BuildOptions())
    return home


def _pairs(ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(ids):
        for other in ids[place + 1 :]:
            if one != other:
                yield (one, other) if one < other else (other, one)


def _collector(messages: list[Message]) -> Callable[[Message], Awaitable[None]]:
    async def send(message: Message) -> None:
        messages.append(message)

    return send


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


if __name__ == "__main__":
    sys.exit(main())
