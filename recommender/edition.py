"""Editions: immutable, checksummed results of the offline job.

    <home>/current                    the id of the published edition, replaced by one atomic rename
    <home>/held/<id>.json             why an edition is not published yet (recommender/publish_gate.py)
    <home>/editions/<id>/
        manifest.json                 what it is, how it was made, the digest of every file, and its own
        lists.sqlite3                 what can be recommended, and each essay's curated list and candidates
                                      (recommender/list_store.py)
        essays.jsonl                  the essays in full, as `related parse` prints them
        vectors.npz                   vectors (float32, unit rows) of essays and unmatched blurbs, in the order of items
        lexicon.json                  terms and idf
        overview.sqlite3              what the editors' desk knows of every page (recommender/overview.py)

An edition is written aside, in a hidden folder, and renamed when it is whole. The website needs the lists only, so
this module imports neither numpy nor FAISS.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from corpus.errors import BuildInProgress, EditionError, EncoderError, NoEdition, UnknownEssay
from recommender import publish_gate
from recommender.decisions import NOTHING, PageDecisions
from recommender.disk import flush, write_whole
from recommender.list_store import EssayLists, Items, ListRow, ListStore, write_store
from recommender.overview import Overview
from recommender.publish_gate import Held
from recommender.ranking import Item, Ranking, Recommendation, Rules, list_limit, rank, why_not

FORMAT = 4
KEEP = 5
MANIFEST = "manifest.json"
LISTS = "lists.sqlite3"
OVERVIEW = "overview.sqlite3"
ESSAYS = "essays.jsonl"
VECTORS = "vectors.npz"
LEXICON = "lexicon.json"
_SERVED = (LISTS,)
_TO_SPARE = 4
"""So many candidates more than a list needs are looked at first: some are passed over."""
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


class Edition:
    """A published edition, opened for reading. Raises UnknownEssay for an id or URL that it does not know."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._store = ListStore(folder / LISTS)
        self.items = Items(self._store)

    @property
    def id(self) -> str:
        """The edition's id, which begins with the time of its build."""
        return self.folder.name

    @property
    def built_at(self) -> datetime:
        """When the edition was built, in UTC."""
        return datetime.fromisoformat(self.manifest["built_at"])

    @cached_property
    def overview(self) -> Overview:
        """What the desk knows of every page. Raises EditionError when its file is missing or damaged."""
        check_edition(self.folder, (OVERVIEW,))
        return Overview(self.folder / OVERVIEW)

    def essay_ids(self) -> Iterator[str]:
        """Every essay, in id order."""
        return self._store.essay_ids()

    def find(self, ident: str | None = None, url: str | None = None) -> Item:
        """The essay with this id or URL; a URL's fragment and last slash do not count."""
        found = self._store.essay_at(url) if url is not None else ident
        item = self._store.item(found) if found is not None else None
        if item is None or item.kind != "essay":
            raise self._unknown(url or ident)
        return item

    def offered_in(self, ident: str) -> frozenset[str]:
        """The essays whose lists name the item, shown or not; none for an id that nothing has."""
        return self._store.offered_in(ident)

    def lists(self, ident: str) -> EssayLists:
        """The curated list and candidates of an essay."""
        return self._row(ident).lists(ident)

    def has(self, ident: str) -> bool:
        """Whether there is an essay or unmatched blurb with this id."""
        return self._store.item(ident) is not None

    def related(self, ident: str, rules: Rules | None = None, decisions: PageDecisions = NOTHING) -> Ranking:
        """The essay's list by these rules; without rules as long as the page's curated list, else 12."""
        lists = self.lists(ident)
        rules = rules or Rules(limit=list_limit(lists.list_length))
        candidates = lists.candidates + (lists.unlinked if rules.unlinked else ())
        return rank(self.items[ident], candidates, lists.curated, self.items, rules, decisions)

    def recommend(
        self, essay: Item, rules: Rules, limit: int | None = None, decisions: PageDecisions = NOTHING
    ) -> list[tuple[Recommendation, Item]]:
        """The list of related() alone, each place with its item, found faster: an entry of the essay's row becomes an
        object only when the list may come to it.

        limit: in place of the rules'; None is as long as the page's curated list, else 12.
        """
        row = self._row(essay.id)
        rules = replace(rules, limit=limit or list_limit(row.list_length))
        if decisions.edits:
            return self._edited(essay, row, rules, decisions)
        if rules.diversity:  # weighs the sketches of all
            found = self.related(essay.id, rules).recommendations
        else:
            found = self._places(essay, row, rules)
        return self._with_items(row, found)

    def whole_list(self, essay: Item, rules: Rules, decisions: PageDecisions = NOTHING) -> "WholeList | None":
        """All that the essay's list could hold. None when rules of composition decide that, beside filters, or what is
        pinned."""
        if rules.diversity or rules.per_category or rules.at_least or decisions.pins:
            return None
        row = self._row(essay.id)
        rules = replace(rules, limit=max(len(row.targets) + len(decisions.approved), 1))
        alone = essay._replace(twins=None)
        if decisions.edits:
            found = self._edited(alone, row, rules, decisions, regard_twins=False)
        else:
            found = self._with_items(row, self._places(alone, row, rules, regard_twins=False))
        places = [(place, item) for place, item in found if item.twins is None or item.twins != essay.twins]
        lifts = row.lifts and rules.balanced and (rules.additions or rules.approved)
        return WholeList(list_limit(row.list_length), lifts, places)

    def _edited(
        self, essay: Item, row: ListRow, rules: Rules, decisions: PageDecisions, regard_twins: bool = True
    ) -> list[tuple[Recommendation, Item]]:
        """The list under decisions about single items, which may name any item of the edition."""
        offered = (*row.candidates, *row.unlinked) if rules.unlinked else row.candidates
        entries = (*row.curated, *offered)
        beside = {pin.target for pin in decisions.pins} | decisions.approved
        absent = self._store.named(sorted(beside - {row.targets[i] for i in entries}))
        if not regard_twins:
            absent = {ident: item._replace(twins=None) for ident, item in absent.items()}
        items = row.items(entries, regard_twins) | absent
        if rules.diversity:  # a row has no sketches
            items |= self._store.numbered([row.number_of(row.targets[i]) for i in entries])
        found = rank(essay, row.chosen(offered), row.chosen(row.curated), items, rules, decisions).recommendations
        in_full = self._store.named([place.target for place in found])
        return [(place, in_full[place.target]) for place in found]

    def _places(self, essay: Item, row: ListRow, rules: Rules, regard_twins: bool = True) -> tuple[Recommendation, ...]:
        curated = row.passing(row.curated, rules)
        offered = (*row.candidates, *row.unlinked) if rules.unlinked else row.candidates
        candidates = row.ordered(row.passing(offered, rules), rules.profile)
        first = candidates if rules.at_least > rules.limit else candidates[: rules.limit + _TO_SPARE]
        below = row.lifted(candidates[len(first) :])
        found = self._rank(essay, row, first + below, curated, rules, regard_twins)
        # A list full of the first asked for no more; a short one may have, and so may one that shows what is below.
        shown = {place.target for place in found}
        if len(first) < len(candidates) and (len(found) < rules.limit or any(row.targets[i] in shown for i in below)):
            found = self._rank(essay, row, candidates, curated, rules, regard_twins)
        return found

    def why_not(self, ident: str, target: str, rules: Rules | None = None, decisions: PageDecisions = NOTHING) -> str:
        """Where an item stands in the essay's list by these rules, or what keeps it out, as a sentence."""
        lists = self.lists(ident)
        rules = rules or Rules(limit=list_limit(lists.list_length))
        asked_for = rules.unlinked or any(blurb.id == target for blurb in lists.unlinked)
        candidates = lists.candidates + (lists.unlinked if asked_for else ())
        return why_not(self.items[ident], target, candidates, lists.curated, self.items, rules, decisions)

    def check_encoder(self, fingerprint: str) -> None:
        """Raises EncoderError unless the edition's vectors are those of this encoder."""
        built_with = self.manifest["encoder"]
        if built_with != fingerprint:
            raise EncoderError(
                f"edition {self.id} was built with {built_with}, but the model now is {fingerprint}: run `related "
                "build` with it, or set `model` back"
            )

    def essay_record(self, ident: str) -> dict[str, Any]:
        """The essay in full, as `related parse` prints it."""
        self.find(ident)
        check_edition(self.folder, (ESSAYS,))
        return next(record for record in read_lines(self.folder / ESSAYS) if record["id"] == ident)

    def _rank(
        self,
        essay: Item,
        row: ListRow,
        candidates: Sequence[int],
        curated: Sequence[int],
        rules: Rules,
        regard_twins: bool,
    ) -> tuple[Recommendation, ...]:
        items = row.items((*curated, *candidates), regard_twins)
        return rank(essay, row.chosen(candidates), row.chosen(curated), items, rules).recommendations

    def _with_items(self, row: ListRow, places: Sequence[Recommendation]) -> list[tuple[Recommendation, Item]]:
        items = self._store.numbered([row.number_of(place.target) for place in places])
        return [(place, items[place.target]) for place in places]

    def _row(self, ident: str) -> ListRow:
        row = self._store.row(ident)
        if row is None:
            raise self._unknown(ident)
        return row

    def _unknown(self, asked: str | None) -> UnknownEssay:
        return UnknownEssay(f"no essay {asked!r} in edition {self.id}: see `related export` for its ids")


class WholeList(NamedTuple):
    """All that an essay's list could hold, in order, near-duplicates of one another side by side.

    limit: how many its page shows. lifts: whether rank() may give the last place of a full list to an entry further
    down.
    """

    limit: int
    lifts: bool
    places: list[tuple[Recommendation, Item]]


Prepare = Callable[[Edition], object]
"""What is done with an edition before it is shown."""
Judge = Callable[[Edition, str], Held | None]
"""Says whether a new edition, to be called by this id, must be held back."""


def open_current(home: Path) -> Edition:
    """The published edition. Raises NoEdition, or EditionError when it is damaged."""
    return open_edition(home, current_id(home))


def current_id(home: Path) -> str:
    """The id of the published edition. Raises NoEdition when there is none."""
    try:
        ident = (home / "current").read_bytes().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        raise NoEdition(f"no edition in {home} yet: run `related build SOURCE... --home {home}`") from None
    if not _is_edition_id(ident):
        raise EditionError(f"{home / 'current'} names no edition: run `related rollback` or `related build`")
    return ident


def open_edition(home: Path, ident: str, quickly: bool = False) -> Edition:
    """An edition by id, its manifest and what the service reads checked. Raises EditionError, naming what is wrong.

    quickly: of the files only the sizes are compared, which takes the same time for any site.
    """
    if not _is_edition_id(ident):
        raise EditionError(f"{ident!r} is no edition id: see `related editions`")
    folder = home / "editions" / ident
    manifest = check_edition(folder, _SERVED, quickly)
    try:
        return Edition(folder, manifest)
    except sqlite3.DatabaseError as error:
        raise EditionError(f"edition {ident} is damaged ({error}): {_WAY_OUT}") from error


def served_bytes(home: Path, ident: str) -> int:
    """The size of what the service reads of an edition; 0 when it is not there."""
    paths = [home / "editions" / ident / name for name in _SERVED]
    return sum(path.stat().st_size for path in paths if path.is_file())


def check_served(edition: Edition) -> None:
    """Check what the service reads of an edition that was opened quickly. Raises EditionError."""
    check_edition(edition.folder, _SERVED)


_WAY_OUT = "run `related rollback` to step back, or `related build` for a new one"


def check_edition(folder: Path, files: Iterable[str] | None = None, quickly: bool = False) -> dict[str, Any]:
    """The manifest of an edition whose files (by default all) are there and unchanged. Raises EditionError.

    quickly: of the files only the sizes are compared.
    """
    ident = folder.name
    if not folder.is_dir():
        raise EditionError(f"there is no edition {ident}: see `related editions`")
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        checksum, version = manifest.pop("checksum"), manifest["format"]
        digests = dict(manifest["files"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise EditionError(f"edition {ident} has no readable manifest: {_WAY_OUT}") from None
    if version != FORMAT:
        raise EditionError(f"edition {ident} has format {version}, this version reads {FORMAT}: run `related build`")
    if checksum != _checksum(manifest):
        raise EditionError(f"edition {ident} is damaged: its manifest was changed; {_WAY_OUT}")
    for name in digests if files is None else files:
        if not (folder / name).is_file():
            raise EditionError(f"edition {ident} is half there: {name} is missing; {_WAY_OUT}")
        size, digest = digests.get(name, (0, ""))
        if (folder / name).stat().st_size != size or not (quickly or _sha256(folder / name) == digest):
            raise EditionError(f"edition {ident} is damaged: {name} is not what was written; {_WAY_OUT}")
    return manifest


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


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines, in order."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


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
    files = {path.name: (path.stat().st_size, _sha256(path)) for path in sorted(folder.iterdir())}
    content = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    sealed = {"format": FORMAT, **manifest, "files": files, "content": content}
    ident = f"{_next_stamp(home, datetime.fromisoformat(sealed['built_at']))}-{content[:8]}"
    sealed = {"id": ident, **sealed}
    sealed["checksum"] = _checksum(sealed)
    (folder / MANIFEST).write_text(json.dumps(sealed, indent=1, ensure_ascii=False), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        flush(path)
    return ident, sealed


def make_current(home: Path, ident: str) -> None:
    """Point the home at an edition, atomically and for good."""
    flush(home / "editions")
    write_whole(home / "current", ident + "\n")


def edition_ids(home: Path) -> list[str]:
    """Every edition of the home, damaged ones too, oldest first."""
    return [folder.name for folder in _folders(home)]


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
    return [_summary(home, folder, folder.name == current, quickly) for folder in reversed(_folders(home))]


def roll_back(home: Path, ident: str | None = None, prepare: Prepare | None = None) -> str:
    """Publish an earlier edition: the one named, else the newest intact one before the current; returns its id.

    prepare: called with the edition before it becomes the current one.
    Raises EditionError for one that is damaged or held back.
    """
    with _turning(home):
        if ident is None:
            current = _current_or(home, "~")  # after every id
            older = [entry for entry in list_editions(home) if entry.id < current and not (entry.broken or entry.held)]
            if not older:
                raise EditionError(f"there is no earlier intact edition in {home}: run `related build`")
            ident = older[0].id
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
        ident = ident or _newest_held(home)
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


def _newest_held(home: Path) -> str:
    held = publish_gate.held_editions(home)
    if not held:
        raise EditionError(f"no edition in {home} is held back: see `related editions`")
    current = _current_or(home, "")
    if held[0].id < current:
        raise EditionError(
            f"the newest edition that is held back, {held[0].id}, is older than the current one, {current}: name it "
            "where you mean it"
        )
    return held[0].id


def _open_whole(home: Path, ident: str) -> Edition:
    """An edition of which every file has been checked."""
    edition = open_edition(home, ident)
    check_edition(edition.folder)
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
    newest = max((folder.name.partition("-")[0] for folder in _folders(home)), default="")
    if stamp > newest:
        return stamp
    try:
        return (datetime.strptime(newest, _STAMP) + timedelta(seconds=1)).strftime(_STAMP)
    except ValueError:  # a folder that somebody named
        return stamp


def _prune(home: Path, newest: str, keep: int) -> None:
    """Drop what says the same as the newest edition, and the oldest; those held back first.

    Builds that are held back night after night must not use up what could be rolled back to, nor may an edition that
    waits take the place of the same one that was shown.
    """
    kept = {newest, current_id(home)}  # it may not be the newest: that is held back, or somebody has rolled back since
    held = {entry.id for entry in publish_gate.held_editions(home)}
    older = [folder for folder in _folders(home) if folder.name not in kept]
    content = newest.rpartition("-")[2]
    same = [f for f in older if f.name.endswith(f"-{content}") and (newest not in held or f.name in held)]
    others = sorted((folder for folder in older if folder not in same), key=lambda f: (f.name not in held, f.name))
    for folder in (*same, *others[: max(0, len(others) + len(kept) - keep)]):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove an edition, then its marker: as long as it is there, it is held back.

    It goes in one step, and no build fails over what a file system will not give up yet: the next one clears it away.
    """
    aside = folder.rename(folder.with_name(f".old-{folder.name}"))
    publish_gate.forget(folder.parent.parent, folder.name)
    shutil.rmtree(aside, ignore_errors=True)


def _folders(home: Path) -> list[Path]:
    editions = home / "editions"
    return sorted(f for f in editions.iterdir() if _is_edition_id(f.name)) if editions.is_dir() else []


def _is_edition_id(text: str) -> bool:
    return bool(text) and text[0].isdigit() and all(c.isalnum() or c == "-" for c in text)


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
