"""How editions come to be published, and go: all that writes to a home's editions (see edition.py).

An edition is written aside, in a hidden folder, and renamed when it is whole; which one is the current one says a file
that is replaced by one atomic rename.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from corpus.errors import BuildInProgress, EditionError
from recommender import publish_gate
from recommender.disk import flush, write_whole
from recommender.edition import (
    ESSAYS,
    FORMAT,
    LISTS,
    MANIFEST,
    Edition,
    check_edition,
    current_id,
    edition_folders,
    edition_ids,
    file_digest,
    manifest_checksum,
    open_edition,
)
from recommender.list_store import EssayLists, write_store
from recommender.publish_gate import Held
from recommender.ranking import Item

KEEP = 5
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class EditionSummary:
    """A line of `related editions`. broken, held: a sentence, None when it is neither."""

    id: str
    built_at: str
    essays: int
    current: bool
    broken: str | None
    held: str | None = None


Prepare = Callable[[Edition], object]
"""What is done with an edition before it is shown."""
Judge = Callable[[Edition, str], Held | None]
"""Says whether a new edition, to be called by this id, must be held back."""


@contextmanager
def build_lock(home: Path) -> Iterator[None]:
    """Holds the home for one build; clears what a killed build left. Raises BuildInProgress when another holds it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildInProgress(f"another build is writing to {home}: wait for it to end") from None
        for leftover in (home / "editions").glob(".*-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        publish_gate.clear_strays(home)
        yield


@contextmanager
def _turning(home: Path) -> Iterator[None]:
    """Holds the home while another edition becomes the current one, or old ones go; whoever comes meanwhile waits."""
    if not home.is_dir():
        yield
        return
    with (home / "publish.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def writing_to(home: Path) -> Iterator[None]:
    """Holds all that writes an edition. Raises EditionError where the disk is full, or cannot be written."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise EditionError(
            f"no edition can be written to {home} ({error}): free the disk, or choose another --home, and run this "
            "again; what was published before stays live, and no text is encoded twice"
        ) from error


def new_folder(home: Path) -> Path:
    """An empty hidden folder in which an edition is written; call under build_lock."""
    folder = home / "editions" / f".new-{os.getpid()}"
    folder.mkdir(parents=True)
    return folder


def write_lists(folder: Path, items: Iterable[Item], lists: Iterable[EssayLists]) -> None:
    """Write what the service reads; every target of the lists must be among the items."""
    write_store(folder / LISTS, items, lists)


def write_essays(folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write the essays in full."""
    _write_lines(folder / ESSAYS, records)


def publish(
    home: Path,
    folder: Path,
    manifest: Mapping[str, Any],
    keep: int = KEEP,
    prepare: Prepare | None = None,
    judge: Judge | None = None,
) -> str:
    """Seal the folder as an edition, make it the current one, drop the oldest; returns its id.

    An older edition with the same content is dropped too: rolling back to it would change nothing.
    prepare: called with the edition before it becomes the current one; when that fails, it never does.
    judge: called before that; an edition that it holds back is kept, and waits for sign_off().
    """
    ident, sealed = _seal(home, folder, manifest)
    held = judge(Edition(folder, sealed), ident) if judge else None
    if held:  # before the edition can be taken for one that may be shown
        publish_gate.hold_back(home, held)
    final = home / "editions" / ident
    folder.rename(final)
    try:
        check_edition(final)
        if prepare and not held:
            prepare(open_edition(home, ident))
    except BaseException:
        _remove(final)
        raise
    with _turning(home):
        if held:
            flush(home / "editions")
        else:
            make_current(home, ident)
        with suppress(OSError):  # what cannot be dropped now goes after the next build
            _prune(home, ident, keep)
    return ident


def _seal(home: Path, folder: Path, manifest: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Write the manifest and have all of the folder on the disk; returns the edition's id and the manifest."""
    files = {path.name: (path.stat().st_size, file_digest(path)) for path in sorted(folder.iterdir())}
    content = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    sealed = {"format": FORMAT, **manifest, "files": files, "content": content}
    ident = f"{_next_stamp(home, datetime.fromisoformat(sealed['built_at']))}-{content[:8]}"
    sealed = {"id": ident, **sealed}
    sealed["checksum"] = manifest_checksum(sealed)
    (folder / MANIFEST).write_text(json.dumps(sealed, indent=1, ensure_ascii=False), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        flush(path)
    return ident, sealed


def take_over(home: Path, edition: Edition, held: Held | None, keep: int = KEEP) -> None:
    """Publish an edition of another store, file by file the same. held: keep it without showing it.

    Raises EditionError, BuildInProgress.
    """
    with build_lock(home), writing_to(home):
        final = home / "editions" / edition.id
        if not final.is_dir():
            edition.check()
            folder = new_folder(home)
            for name in (MANIFEST, *edition.manifest["files"]):
                shutil.copyfile(edition.folder / name, folder / name)
                flush(folder / name)
            if held:
                publish_gate.hold_back(home, held)
            flush(folder)
            folder.rename(final)
        check_edition(final)
        with _turning(home):
            if held:
                flush(home / "editions")
            else:
                make_current(home, edition.id)
            _prune(home, edition.id, keep)


def make_current(home: Path, ident: str) -> None:
    """Point the home at an edition, atomically and for good."""
    flush(home / "editions")
    write_whole(home / "current", ident + "\n")


def newest_intact(home: Path, before: str) -> Edition | None:
    """The newest edition before this id that may be shown and of which the service can read all, else None."""
    for ident in reversed(edition_ids(home)):
        if ident < before and not publish_gate.find_held(home, ident):
            try:
                return open_edition(home, ident)
            except EditionError:
                continue
    return None


def list_editions(home: Path, quickly: bool = False) -> list[EditionSummary]:
    """Every edition of the home, newest first, damaged ones and those held back with the reason.

    quickly: of their files only the sizes are compared.
    """
    current = _current_or(home, "")
    return [_summary(home, folder, folder.name == current, quickly) for folder in reversed(edition_folders(home))]


def roll_back(home: Path, ident: str | None = None, prepare: Prepare | None = None) -> str:
    """Publish an earlier edition: the one named, else the newest intact one before the current; returns its id.

    prepare: called with the edition before it becomes the current one.
    Raises EditionError for one that is damaged or held back.
    """
    with _turning(home):
        if ident is None:
            current = _current_or(home, "~")  # after every id
            ident = earlier(home, list_editions(home), current)
        edition = _open_whole(home, ident)
        held = publish_gate.find_held(home, ident)
        if held:
            raise EditionError(held.sentence)
        if prepare:
            prepare(edition)
        make_current(home, ident)
        return ident


def sign_off(home: Path, ident: str | None, by: str, prepare: Prepare | None = None) -> str:
    """Publish an edition that was held back: the one named, else the newest; returns its id. Twice is as good as once.

    by: who answers for it; the marker keeps the name. prepare: called with the edition before it becomes current.
    Raises EditionError for one that is damaged or was never held back.
    """
    with _turning(home):
        ident = ident or newest_held(home, publish_gate.held_editions(home), _current_or(home, ""))
        edition = _open_whole(home, ident)
        marker = publish_gate.read_marker(home, ident)
        if marker is None:
            raise EditionError(f"edition {ident} is not held back: make it current with `related rollback {ident}`")
        if marker.signed_by is not None and _current_or(home, "") == ident:
            return ident
        if prepare:
            prepare(edition)
        publish_gate.sign(
            home, marker, by, datetime.now(UTC)
        )  # first: what is current was signed off, whatever happens
        make_current(home, ident)
        return ident


def earlier(where: object, listed: Iterable[EditionSummary], current: str) -> str:
    """The newest edition, of all from the newest on, before the current one that may be shown. Raises EditionError."""
    for entry in listed:
        if entry.id < current and not (entry.broken or entry.held):
            return entry.id
    raise EditionError(f"there is no earlier intact edition in {where}: run `related build`")


def newest_held(where: object, held: Sequence[Held], current: str) -> str:
    """The edition to sign off where none is named. held: newest first. Raises EditionError."""
    if not held:
        raise EditionError(f"no edition in {where} is held back: see `related editions`")
    if held[0].id < current:
        raise EditionError(
            f"the newest edition that is held back, {held[0].id}, is older than the current one, {current}: name it "
            "where you mean it"
        )
    return held[0].id


def _open_whole(home: Path, ident: str) -> Edition:
    """An edition of which every file has been checked."""
    edition = open_edition(home, ident)
    edition.check()
    return edition


def _current_or(home: Path, otherwise: str) -> str:
    """The id of the published edition, or this where there is none or nobody can tell."""
    try:
        return current_id(home)
    except EditionError:
        return otherwise


def _summary(home: Path, folder: Path, current: bool, quickly: bool) -> EditionSummary:
    marker = publish_gate.find_held(home, folder.name)
    held = marker.sentence if marker else None
    try:
        manifest = check_edition(folder, quickly=quickly)
    except EditionError as error:
        return EditionSummary(folder.name, "", 0, current, str(error), held)
    return EditionSummary(folder.name, manifest["built_at"], manifest["counts"]["essays"], current, None, held)


def _next_stamp(home: Path, built_at: datetime) -> str:
    """The build's time in UTC, or a second after the newest edition's where that is later: ids order editions.

    Two builds may end within a second, and clocks are set back.
    """
    stamp = built_at.astimezone(UTC).strftime(_STAMP)
    newest = max((folder.name.partition("-")[0] for folder in edition_folders(home)), default="")
    if stamp > newest:
        return stamp
    try:
        return (datetime.strptime(newest, _STAMP) + timedelta(seconds=1)).strftime(_STAMP)
    except ValueError:  # a folder that somebody named
        return stamp


def _prune(home: Path, newest: str, keep: int) -> None:
    """Drop what is superseded()."""
    held = {entry.id for entry in publish_gate.held_editions(home)}
    for ident in superseded(edition_ids(home), newest, _current_or(home, ""), held, keep):
        _remove(home / "editions" / ident)


def superseded(idents: Sequence[str], newest: str, current: str, held: Container[str], keep: int) -> list[str]:
    """Which of these editions, oldest first, go when the newest has come: what says the same, and the oldest, those
    held back first.

    Builds that are held back night after night must not use up what could be rolled back to, nor may an edition that
    waits take the place of the same one that was shown.
    """
    kept = {newest, current} & set(idents)  # two where the newest is held back, or somebody has rolled back since
    older = [ident for ident in idents if ident not in kept]
    content = newest.rpartition("-")[2]
    same = [ident for ident in older if ident.endswith(f"-{content}") and (newest not in held or ident in held)]
    others = sorted((ident for ident in older if ident not in same), key=lambda ident: (ident not in held, ident))
    return [*same, *others[: max(0, len(others) + len(kept) - keep)]]


def _remove(folder: Path) -> None:
    """Remove an edition, then its marker: as long as it is there, it is held back.

    It goes in one step, and no build fails over what a file system will not give up yet: the next one clears it away.
    """
    aside = folder.rename(folder.with_name(f".old-{folder.name}"))
    publish_gate.forget(folder.parent.parent, folder.name)
    shutil.rmtree(aside, ignore_errors=True)


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
