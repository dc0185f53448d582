"""Which pages' answers an edition changed: what a cache before the service should forget.

    <home>/answers/changed-<edition>.jsonl

The first line names the edition and the one before it, every other line a page. It is written before the edition
becomes the current one, by `related build` and `related rollback`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from corpus.errors import EditionError
from recommender.edition import Edition, current_id, open_current
from recommender.publishing import newest_intact
from recommender.store import follow
from recommender.watch import Unwatched, Watch
from service.ready import FOLDER, Page, answers_of, pages_of, prepare
from service.settings import Settings

What = Literal["new", "gone", "list", "cards", "scores"]
"""How a page's answer changed, the greatest change alone: which articles stand in its list or in which order; what the
article or a card says; scores or reasons only."""


@dataclass(frozen=True, slots=True)
class Change:
    """A page whose answer changed."""

    id: str
    url: str | None
    what: What


@dataclass(frozen=True, slots=True)
class Changes:
    """The pages whose answer an edition changed, in id order. since: the edition before it, None for the first."""

    edition: str
    since: str | None
    pages: tuple[Change, ...]


def make_ready(settings: Settings, edition: Edition, watch: Watch | None = None) -> None:
    """Before an edition becomes the current one: write its ready answers, and which pages it changes.

    Not where a database holds the editions: each service makes the answers that it is asked for.
    """
    if settings.store is not None:
        return
    progress = (watch or Unwatched()).stage("writing answers", edition.manifest["counts"]["essays"])
    try:
        current: Edition | None = open_current(settings.home)
    except EditionError:
        current = None
    same = current is not None and current.manifest["content"] == edition.manifest["content"]
    like = answers_of(settings, current) if current and same else None
    prepare(settings.home, answers_of(settings, edition), progress, like)
    _write(settings, current, edition)


def read_changes(settings: Settings) -> Changes:
    """What the current edition changed. Raises NoEdition.

    Where it was not written down, it is found out against the newest edition before: of the home, which takes over what
    a database shows.
    """
    if settings.store is not None:
        follow(settings.open_store(), settings.home, settings.keep_editions)
    ident = current_id(settings.home)
    path = _path(settings.home, ident)
    if not path.exists():
        edition = open_current(settings.home)
        prepare(settings.home, answers_of(settings, edition))
        _write(settings, newest_intact(settings.home, ident), edition)
    head, *pages = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return Changes(head["edition"], head["since"], tuple(Change(**page) for page in pages))


def compare(before: Iterable[Page], after: Iterable[Page]) -> Iterator[Change]:
    """The pages that differ. Both in id order."""
    olds, news = iter(before), iter(after)
    old, new = next(olds, None), next(news, None)
    while old or new:
        if old and (new is None or old.id < new.id):
            yield Change(old.id, old.url, "gone")
            old = next(olds, None)
        elif new and (old is None or new.id < old.id):
            yield Change(new.id, new.url, "new")
            new = next(news, None)
        elif old and new:
            if old.answer != new.answer:
                yield Change(new.id, new.url, _what(old, new))
            old, new = next(olds, None), next(news, None)


def _what(old: Page, new: Page) -> What:
    if old.list != new.list:
        return "list"
    return "cards" if old.cards != new.cards else "scores"


def _write(settings: Settings, before: Edition | None, after: Edition) -> None:
    old: Iterable[Page] = _pages(settings, before) if before else ()
    path = _path(settings.home, after.id)
    aside = path.with_name(f".{path.name}")
    with aside.open("w", encoding="ascii") as file:
        file.write(json.dumps({"edition": after.id, "since": before.id if before else None}) + "\n")
        for change in compare(old, _pages(settings, after)):
            file.write(json.dumps(asdict(change)) + "\n")
    aside.replace(path)


def _pages(settings: Settings, edition: Edition) -> Iterator[Page]:
    return pages_of(prepare(settings.home, answers_of(settings, edition)))


def _path(home: Path, ident: str) -> Path:
    return home / FOLDER / f"changed-{ident}.jsonl"
