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

How one comes to be there is told in publishing.py. The website needs the lists only, so this module imports neither
numpy nor FAISS.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from corpus.errors import EditionError, EncoderError, NoEdition, UnknownEssay
from recommender.decisions import NOTHING, PageDecisions
from recommender.list_store import EssayLists, Items, ListReader, ListRow, ListStore
from recommender.overview import Overview
from recommender.ranking import Item, Ranking, Recommendation, Rules, list_limit, rank, why_not

if TYPE_CHECKING:
    from recommender.live_vectors import LiveVectors

FORMAT = 4
MANIFEST = "manifest.json"
LISTS = "lists.sqlite3"
OVERVIEW = "overview.sqlite3"
ESSAYS = "essays.jsonl"
VECTORS = "vectors.npz"
LEXICON = "lexicon.json"
_SERVED = (LISTS,)
_TO_SPARE = 4
"""So many candidates more than a list needs are looked at first: some are passed over."""


class Edition:
    """A published edition, opened for reading. Raises UnknownEssay for an id or URL that it does not know.

    folder: named by the edition's id. lists: where its items and lists are read; None is the folder's own file.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], lists: ListReader | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self._store = lists or ListStore(folder / LISTS)
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
        self.check((OVERVIEW,))
        return Overview(self.folder / OVERVIEW)

    def check(self, files: Iterable[str] | None = None) -> None:
        """Have these files (by default all) in the folder, as they were written. Raises EditionError."""
        check_edition(self.folder, files)

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
        items = self._items_of(lists)
        return rank(items[ident], candidates, lists.curated, items, rules, decisions)

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
        items = self._items_of(lists)
        return why_not(items[ident], target, candidates, lists.curated, items, rules, decisions)

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
        self.check((ESSAYS,))
        return next(record for record in read_lines(self.folder / ESSAYS) if record["id"] == ident)

    def live_vectors(self) -> "LiveVectors | None":
        """Where vectors are searched that nobody need hold in memory; None where they are in a file alone."""
        return None

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

    def _items_of(self, lists: EssayLists) -> Items:
        """All items; these lists' are about to be looked up."""
        return self.items

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


def open_current(home: Path) -> Edition:
    """The published edition. Raises NoEdition, or EditionError when it is damaged."""
    return open_edition(home, current_id(home))


def current_id(home: Path) -> str:
    """The id of the published edition. Raises NoEdition when there is none."""
    try:
        ident = (home / "current").read_bytes().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        raise NoEdition(f"no edition in {home} yet: run `related build SOURCE... --home {home}`") from None
    if not is_edition_id(ident):
        raise EditionError(f"{home / 'current'} names no edition: run `related rollback` or `related build`")
    return ident


def open_edition(home: Path, ident: str, quickly: bool = False) -> Edition:
    """An edition by id, its manifest and what the service reads checked. Raises EditionError, naming what is wrong.

    quickly: of the files only the sizes are compared, which takes the same time for any site.
    """
    if not is_edition_id(ident):
        raise EditionError(f"{ident!r} is no edition id: see `related editions`")
    folder = home / "editions" / ident
    manifest = check_edition(folder, _SERVED, quickly)
    try:
        return Edition(folder, manifest)
    except sqlite3.DatabaseError as error:
        raise EditionError(f"edition {ident} is damaged ({error}): {WAY_OUT}") from error


def served_bytes(home: Path, ident: str) -> int:
    """The size of what the service reads of an edition; 0 when it is not there."""
    paths = [home / "editions" / ident / name for name in _SERVED]
    return sum(path.stat().st_size for path in paths if path.is_file())


def check_served(edition: Edition) -> None:
    """Check what the service reads of an edition that was opened quickly. Raises EditionError."""
    edition.check(_SERVED)


WAY_OUT = "run `related rollback` to step back, or `related build` for a new one"


def check_edition(folder: Path, files: Iterable[str] | None = None, quickly: bool = False) -> dict[str, Any]:
    """The manifest of an edition whose files (by default all) are there and unchanged. Raises EditionError.

    quickly: of the files only the sizes are compared.
    """
    ident = folder.name
    if not folder.is_dir():
        raise EditionError(f"there is no edition {ident}: see `related editions`")
    try:
        manifest = read_manifest(ident, (folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeError):
        raise EditionError(f"edition {ident} has no readable manifest: {WAY_OUT}") from None
    digests = manifest["files"]
    for name in digests if files is None else files:
        if not (folder / name).is_file():
            raise EditionError(f"edition {ident} is half there: {name} is missing; {WAY_OUT}")
        size, digest = digests.get(name, (0, ""))
        if (folder / name).stat().st_size != size or not (quickly or file_digest(folder / name) == digest):
            raise EditionError(f"edition {ident} is damaged: {name} is not what was written; {WAY_OUT}")
    return manifest


def read_manifest(ident: str, text: str) -> dict[str, Any]:
    """The manifest of an edition, without its checksum. Raises EditionError when it is damaged or of another format."""
    try:
        manifest: dict[str, Any] = json.loads(text)
        checksum, version = manifest.pop("checksum"), manifest["format"]
        dict(manifest["files"])
    except (ValueError, KeyError, AttributeError, TypeError):
        raise EditionError(f"edition {ident} has no readable manifest: {WAY_OUT}") from None
    if version != FORMAT:
        raise EditionError(f"edition {ident} has format {version}, this version reads {FORMAT}: run `related build`")
    if checksum != manifest_checksum(manifest):
        raise EditionError(f"edition {ident} is damaged: its manifest was changed; {WAY_OUT}")
    return manifest


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines, in order."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def edition_ids(home: Path) -> list[str]:
    """Every edition of the home, damaged ones too, oldest first."""
    return [folder.name for folder in edition_folders(home)]


def edition_folders(home: Path) -> list[Path]:
    """The folder of every edition of the home, oldest first."""
    editions = home / "editions"
    return sorted(f for f in editions.iterdir() if is_edition_id(f.name)) if editions.is_dir() else []


def is_edition_id(text: str) -> bool:
    """Whether an edition may be called so."""
    return bool(text) and text[0].isdigit() and all(c.isalnum() or c == "-" for c in text)


def manifest_checksum(manifest: Mapping[str, Any]) -> str:
    """Of a manifest without its own checksum."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
