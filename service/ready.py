"""Ready answers: what most pages ask, serialised and compressed once, in files that are opened and never loaded.

    <home>/answers/<edition>-<key>.sqlite3    what each page's answer was made of, see service/changes.py
    <home>/answers/<edition>-<key>.plain      the answers, one after the other
    <home>/answers/<edition>-<key>.gzipped    the same, compressed
    <home>/answers/<edition>-<key>.whole      each page's whole list, for filters, see service/selections.py
    <home>/answers/<edition>-<key>.heads      the parts of cards that these have in common
    <home>/answers/<edition>-<key>.index      where each answer and list begins, by the answer's recommendation_id

The key names all that an answer depends on beside its edition: the site's rules, the A/B test, this very code. The
folder is a cache: while a file is missing, and where an answer in it is damaged, it is made when it is asked for.

The index is the one file format of our own: a look-up in SQLite costs twice as much, most of it for what a look-up does
not need (benchmarks/results/serving.md). It is an array of 64-bit numbers in order, the first 8 bytes of the
recommendation_ids in the machine's byte order, and after it an array of records in the same order, _RECORD.
"""

import fcntl
import gzip
import hashlib
import logging
import os
import sqlite3
import subprocess
import sys
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct
from threading import Thread
from typing import NamedTuple, Self
from zlib import crc32

from corpus.errors import EditionError, RelatedArticlesError
from recommender.disk import flush, open_unchanging
from recommender.edition import Edition, edition_ids, open_edition
from recommender.ranking import Item
from recommender.standing import Standing
from service.answers import Answers, to_bytes
from service.asking import Filters
from service.live_decisions import standing_of
from service.schemas import RelatedResponse
from service.selections import Heads, intact, pack, select
from service.settings import Settings, load_settings
from service.version import CODE

FOLDER = "answers"
GZIP_LEVEL = 6
_SCHEMA = """
CREATE TABLE pages (
    id TEXT PRIMARY KEY, url TEXT, list BLOB NOT NULL, cards BLOB NOT NULL, answer BLOB NOT NULL
) WITHOUT ROWID;
"""
_FORMS = ("plain", "gzipped", "whole")
_WHOLE = _FORMS.index("whole")
_HEADS = "heads"
_RECORD = Struct("<4s I QII QII QII")
"""The last 4 bytes of the recommendation_id; how many cards; start, length and checksum (CRC-32) of each form."""
_KEY_BYTES = 8
_OF_THE_EDITION = {"edition", "recommendation_id"}
_SUFFIXES = {".jsonl", ".sqlite3", ".index", f".{_HEADS}", *(f".{form}" for form in _FORMS)}
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
    answer: bytes


def path_of(home: Path, answers: Answers) -> Path:
    """Where the ready answers of an edition stand, or would."""
    key = hashlib.sha256(f"{answers.key} {CODE}".encode()).hexdigest()[:16]
    return home / FOLDER / f"{answers.edition.id}-{key}.sqlite3"


class ReadyAnswers:
    """The files, opened for reading by any number of threads."""

    def __init__(self, path: Path) -> None:
        index = _mapped(path.with_suffix(".index"))
        count = len(index) // (_KEY_BYTES + _RECORD.size)
        self._keys = index[: count * _KEY_BYTES].cast("Q")
        self._records = index[count * _KEY_BYTES :]
        self._checked = [bytearray(count) for _ in _FORMS]
        self._heads = _mapped(path.with_suffix(f".{_HEADS}"))
        self._bodies: list[int] = []
        weakref.finalize(self, _close_all, self._bodies)
        for bodies in _bodies_of(path):
            self._bodies.append(os.open(bodies, os.O_RDONLY))

    @classmethod
    def open(cls, home: Path, answers: Answers) -> "ReadyAnswers | None":
        """The ready answers of an edition, None while there are none."""
        path = path_of(home, answers)
        try:
            return cls(path) if _are_there(path) else None
        except (OSError, ValueError) as error:
            _log.warning("ready answers in %s cannot be used: %s", path.name, error)
            return None

    def body(self, name: bytes, gzipped: bool) -> Body | None:
        """The answer with this recommendation_id. None when it is not here, or damaged."""
        return self._read(name, int(gzipped))

    def selected(self, page: bytes, filters: Filters, limit: int | None, name: str, gzipped: bool) -> Body | None:
        """What the filters leave of a page's whole list, as the answer with this name.

        page: the recommendation_id of the page's plain answer. None when it is not here, or damaged, or when filters
        may do more than take away.
        """
        whole = self.whole(page)
        if not whole:
            return None
        found = select(whole, self._heads, filters, limit, name)
        if found is None:
            return None
        data, items = found
        return Body.of(data, items, gzipped)

    def whole(self, page: bytes) -> bytes | None:
        """A page's whole list, empty when it is not for filters. None when it is not here, or damaged."""
        found = self._read(page, _WHOLE)
        return found.data if found else None

    def _read(self, name: bytes, form: int) -> Body | None:
        keys, key = self._keys, int.from_bytes(name[:_KEY_BYTES], sys.byteorder)
        place = bisect_left(keys, key)
        if place == len(keys) or keys[place] != key:
            return None
        record = _RECORD.unpack_from(self._records, place * _RECORD.size)
        if record[0] != name[_KEY_BYTES:]:
            return None
        start, length, checksum = record[2 + 3 * form : 5 + 3 * form]
        try:
            data = os.pread(self._bodies[form], length, start)
        except (OSError, OverflowError, MemoryError):  # a place that no file has
            return None
        checked = self._checked[form]
        if not checked[place]:
            if crc32(data, record[1]) != checksum:
                return None
            if form == _WHOLE and data and not intact(data, self._heads):
                return None
            checked[place] = True
        return Body(data, record[1])


def pages_of(path: Path) -> Iterator[Page]:
    """What every page's answer was, in the order of ids."""
    with closing(open_unchanging(path)) as db:
        yield from map(Page._make, db.execute("SELECT id, url, list, cards, answer FROM pages ORDER BY id"))


def prepare(
    home: Path,
    answers: Answers,
    progress: Callable[[int], object] = lambda count: None,
    like: Answers | None = None,
) -> Path:
    """Write an edition's ready answers, unless they are there; drop those of editions that are gone.

    One process at a time does this; others wait for it. like: the answers of an edition of the very same content; where
    they are ready, they are taken over under the new edition's name, which takes a fraction of the time.
    """
    path = path_of(home, answers)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / ".new"
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _drop_old(home)
        if not _is_complete(path):
            try:
                if not (like and _take_over(path_of(home, like), like, aside, answers, progress)):
                    _write(aside, _made(answers), progress)
                for written in _beside(aside):
                    written.replace(path.with_suffix(written.suffix))
                aside.replace(path)
            finally:  # on a full disk every byte counts
                for left in (aside, *_beside(aside)):
                    left.unlink(missing_ok=True)
    return path


def start_preparing(settings: Settings, edition: Edition) -> None:
    """Have prepare() run in a process of its own, which takes no time from the requests."""
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", __name__, edition.id]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
    Thread(target=process.wait, name="preparing", daemon=True).start()


def answers_of(settings: Settings, edition: Edition, standing: Standing | None = None) -> Answers:
    """What an edition answers under these settings, and the decisions of the store where no others are given."""
    standing = standing or standing_of(settings.open_store().log(), edition, datetime.now(UTC))
    return Answers(edition, settings.rules(), settings.variants, standing, settings.page_state)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _are_there(path: Path) -> bool:
    """Whether all the files are there, and none is empty."""
    return all(file.is_file() and file.stat().st_size for file in (path, *_beside(path)))


def _is_complete(path: Path) -> bool:
    """Whether the files are there, and what the pages' answers were made of can be read from end to end."""
    if not _are_there(path):
        return False
    try:
        with closing(open_unchanging(path)) as db:
            db.execute("SELECT 1 FROM pages LIMIT 1").fetchone()
            return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except (sqlite3.Error, ValueError):
        return False


def _bodies_of(path: Path) -> list[Path]:
    return [path.with_suffix(f".{form}") for form in _FORMS]


class _Entry(NamedTuple):
    """What is written for a page. plain: its answer. whole, heads: see _whole_list()."""

    name: bytes
    items: int
    plain: bytes
    whole: bytes
    heads: bytes
    page: Page


def _made(answers: Answers) -> Iterator[_Entry]:
    """The entries of an edition's pages, in id order."""
    heads = Heads()
    for ident in answers.edition.essay_ids():
        essay = answers.edition.find(ident)
        response = answers.respond(essay)
        name = bytes.fromhex(response.recommendation_id)
        whole, new = _whole_list(answers, essay, heads)
        yield _Entry(name, len(response.items), to_bytes(response), whole, new, _page(response))


def _take_over(old: Path, like: Answers, path: Path, answers: Answers, progress: Callable[[int], object]) -> bool:
    """Write what another edition of the same content answers, under this one's name; False when that cannot be."""
    try:
        if _is_complete(old):
            _write(path, _taken_over(old, like, answers), progress)
            return True
    except (OSError, ValueError, sqlite3.Error) as error:
        _log.info("ready answers in %s are not taken over: %s", old.name, error)
    return False


def _taken_over(old: Path, like: Answers, answers: Answers) -> Iterator[_Entry]:
    """The same entries, from the files of an edition of the same content. Raises ValueError when one is not there."""
    ready, was, now = ReadyAnswers(old), _named(like), _named(answers)
    heads = old.with_suffix(f".{_HEADS}").read_bytes()[:-1]
    pages = {page.id: page for page in pages_of(old)}
    for ident in answers.edition.essay_ids():
        page, before, name = pages.get(ident), like.name(ident), answers.name(ident)
        answer, whole = ready.body(before, gzipped=False), ready.whole(before)
        if page is None or answer is None or whole is None or len(was) != len(now):
            raise ValueError(f"no intact answer for {ident!r}")
        plain = answer.data.replace(was, now, 1).replace(before.hex().encode(), name.hex().encode(), 1)
        yield _Entry(name, answer.items, plain, whole.replace(was, now, 1), heads, page)
        heads = b""


def _named(answers: Answers) -> bytes:
    """How an answer names its edition. No text in it can hold this: JSON writes a quotation mark with a backslash."""
    return b'"edition":' + answers.edition_name.model_dump_json().encode()


def _write(path: Path, entries: Iterable[_Entry], progress: Callable[[int], object]) -> None:
    records: list[tuple[bytes, bytes]] = []
    path.unlink(missing_ok=True)
    with ExitStack() as files:
        db = files.enter_context(closing(sqlite3.connect(path)))
        bodies = [files.enter_context(body.open("wb")) for body in _bodies_of(path)]
        parts = files.enter_context(path.with_suffix(f".{_HEADS}").open("wb"))
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        with db:
            for entry in entries:
                count, plain = entry.items, entry.plain
                places: list[int] = []
                for file, body in zip(bodies, (plain, Body.of(plain, count, True).data, entry.whole), strict=True):
                    places += [file.tell(), len(body), crc32(body, count)]
                    file.write(body)
                parts.write(entry.heads)
                records.append((entry.name, _RECORD.pack(entry.name[_KEY_BYTES:], count, *places)))
                db.execute("INSERT INTO pages VALUES (?,?,?,?,?)", entry.page)
                progress(1)
        for file in (parts, bodies[_WHOLE]):
            file.write(b" ")  # an empty file cannot be mapped, and is no whole one
    path.with_suffix(".index").write_bytes(_index_of(records))
    for written in (path, *_beside(path)):
        flush(written)


def _whole_list(answers: Answers, essay: Item, heads: Heads) -> tuple[bytes, bytes]:
    """A page's whole list for filters, and the parts of cards that are new; empty when it is not for filters."""
    found = answers.whole(essay)
    return pack(found[1], found[0], heads) if found else (b"", b"")


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))


def _beside(path: Path) -> list[Path]:
    return [path.with_suffix(f".{name}") for name in (*_FORMS, _HEADS, "index")]


def _index_of(records: list[tuple[bytes, bytes]]) -> bytes:
    records.sort(key=lambda record: int.from_bytes(record[0][:_KEY_BYTES], sys.byteorder))
    return b"".join([name[:_KEY_BYTES] for name, _ in records] + [record for _, record in records])


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
        is_list = path.suffix == ".jsonl"
        edition = path.stem.lstrip(".").removeprefix("changed-") if is_list else path.stem.rpartition("-")[0]
        if path.suffix in _SUFFIXES and edition not in kept:
            path.unlink(missing_ok=True)


def _main() -> None:
    """Prepare the edition that the command line names, in the home that the environment names."""
    os.nice(10)
    settings = load_settings(Path(os.environ["RELATED_HOME"]))
    try:
        with suppress(EditionError):  # it was replaced meanwhile
            prepare(settings.home, answers_of(settings, open_edition(settings.home, sys.argv[1])))
    except (RelatedArticlesError, OSError, sqlite3.Error) as error:
        sys.exit(f"ready answers cannot be written ({error}): pages are answered without them, only slower")


if __name__ == "__main__":
    _main()
