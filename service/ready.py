"""Ready answers: what most pages ask, serialised and compressed once, in a file that is opened and never loaded.

    <home>/answers/<edition>-<key>.sqlite3

The key names all that an answer depends on beside its edition: the site's rules, the A/B test, the version of this
code. The folder is a cache: while a file is missing, and where a row of one is damaged, answers are made when they are
asked for.
"""

import fcntl
import gzip
import hashlib
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple, Self
from zlib import crc32

from recommender.edition import Edition, edition_ids, open_edition
from service.answers import Answers, to_bytes
from service.schemas import RelatedResponse
from service.settings import Settings, load_settings
from service.version import VERSION

FOLDER = "answers"
GZIP_LEVEL = 6
_SCHEMA = """
CREATE TABLE {name} (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, items INTEGER NOT NULL, checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
"""
_PAGES = """
CREATE TABLE pages (id TEXT PRIMARY KEY, url TEXT, list BLOB NOT NULL, cards BLOB NOT NULL, whole BLOB NOT NULL)
WITHOUT ROWID;
"""
_TABLES = ("plain", "gzipped")
_OF_THE_EDITION = {"edition", "recommendation_id"}
_CACHE = 8_000
"""KB of pages that SQLite keeps: the indices of some 100,000 pages."""
_log = logging.getLogger(__name__)


class Body(NamedTuple):
    """An answer's bytes, and how many cards it has."""

    data: bytes
    items: int

    @classmethod
    def of(cls, data: bytes, items: int, gzipped: bool) -> Self:
        """Compressed when that is asked for and there is anything to show."""
        return cls(gzip.compress(data, GZIP_LEVEL, mtime=0) if gzipped and items else data, items)


class Page(NamedTuple):
    """What a page's answer was when an edition was published, as digests: which articles in which order, what their
    cards say apart from scores and reasons, and all of it."""

    id: str
    url: str | None
    list: bytes
    cards: bytes
    whole: bytes


def path_of(home: Path, answers: Answers) -> Path:
    """Where the ready answers of an edition stand, or would."""
    key = hashlib.sha256(f"{answers.key} {VERSION}".encode()).hexdigest()[:16]
    return home / FOLDER / f"{answers.edition.id}-{key}.sqlite3"


class ReadyAnswers:
    """The file, opened for reading by any number of threads."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        uri = f"{path.absolute().as_uri()}?immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._queries = tuple(f"SELECT items, checksum, body FROM {name} WHERE id = ?" for name in _TABLES)  # noqa: S608

    @classmethod
    def open(cls, home: Path, answers: Answers) -> "ReadyAnswers | None":
        """The ready answers of an edition, None while there are none."""
        path = path_of(home, answers)
        try:
            return cls(path) if path.is_file() else None
        except sqlite3.Error as error:
            _log.warning("ready answers in %s cannot be used: %s", path.name, error)
            return None

    def body(self, ident: str, gzipped: bool) -> Body | None:
        """A page's answer. None when it is not here, or damaged."""
        try:
            with self._lock:
                row = self._db.execute(self._queries[gzipped], (ident,)).fetchone()
        except (sqlite3.Error, UnicodeEncodeError):
            return None
        if row is None or crc32(row[2]) != row[1]:
            return None
        return Body(row[2], row[0])

    def pages(self) -> Iterator[Page]:
        """What every page's answer was, in the order of ids."""
        return map(Page._make, self._db.execute("SELECT id, url, list, cards, whole FROM pages ORDER BY id"))


def prepare(home: Path, answers: Answers, progress: Callable[[int], object] = lambda count: None) -> Path:
    """Write an edition's ready answers, unless they are there; drop those of editions that are gone.

    One process at a time does this; others wait for it.
    """
    path = path_of(home, answers)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / ".new"
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _drop_old(home)
        if not path.exists():
            aside.unlink(missing_ok=True)
            _write(aside, answers, progress)
            aside.replace(path)
    return path


def start_preparing(settings: Settings, edition: Edition) -> None:
    """Have prepare() run in a process of its own, which takes no time from the requests."""
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", __name__, edition.id]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
    Thread(target=process.wait, name="preparing", daemon=True).start()


def answers_of(settings: Settings, edition: Edition) -> Answers:
    """What an edition answers under these settings."""
    return Answers(edition, settings.rules(), settings.variants)


def _write(path: Path, answers: Answers, progress: Callable[[int], object]) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        db.executescript("".join(_SCHEMA.format(name=name) for name in _TABLES) + _PAGES)
        with db:
            for ident in answers.edition.essay_ids():
                response = answers.respond(answers.edition.find(ident))
                data = to_bytes(response)
                for gzipped, name in enumerate(_TABLES):
                    body = Body.of(data, len(response.items), bool(gzipped))
                    row = (ident, body.items, crc32(body.data), body.data)
                    db.execute(f"INSERT INTO {name} (id, items, checksum, body) VALUES (?,?,?,?)", row)  # noqa: S608
                db.execute("INSERT INTO pages VALUES (?,?,?,?,?)", _page(response))
                progress(1)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _page(response: RelatedResponse) -> Page:
    article, unsaid = response.article, {"score", "reason"}
    return Page(
        article.id,
        article.url,
        _digest("\n".join(card.id for card in response.items)),
        _digest(
            response.model_dump_json(exclude={"items": {"__all__": unsaid}, **dict.fromkeys(_OF_THE_EDITION, True)})
        ),
        _digest(response.model_dump_json(exclude=_OF_THE_EDITION)),
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()


def _drop_old(home: Path) -> None:
    kept = set(edition_ids(home))
    for path in (home / FOLDER).iterdir():
        edition = path.stem.removeprefix("changed-") if path.suffix == ".jsonl" else path.stem.rpartition("-")[0]
        if path.suffix in (".jsonl", ".sqlite3") and edition not in kept:
            path.unlink(missing_ok=True)


def _main() -> None:
    """Prepare the edition that the command line names, in the home that the environment names."""
    os.nice(10)
    settings = load_settings(Path(os.environ["RELATED_HOME"]))
    prepare(settings.home, answers_of(settings, open_edition(settings.home, sys.argv[1])))


if __name__ == "__main__":
    _main()
