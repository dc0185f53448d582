"""The contract of recommender.store.Store, run on a home's folder and on a PostgreSQL database."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.postgres_server import Server
from corpus.errors import EditionError, NoEdition
from recommender.edition import LISTS, MANIFEST, OVERVIEW, Edition, file_digest, manifest_checksum, open_edition
from recommender.publish_gate import Held
from recommender.publishing import EditionSummary
from recommender.ranking import Candidate
from recommender.store import FolderStore, Store, follow, open_current, open_store
from tests.service.editions import LISTS_OF_THE_SITE, NOON, EssayLists, publish_edition

KEEP = 5
NOBODY = "20200101T000000Z-00000000"


@pytest.fixture(params=["folder", "postgres"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same store again and again, as other processes would."""
    if request.param == "folder":
        return lambda: open_store(tmp_path / "store")
    postgres: Server = request.getfixturevalue("postgres")
    url = postgres.fresh_database()
    return lambda: open_store(tmp_path / "store", url)


@pytest.fixture
def store(connect: Callable[[], Store]) -> Store:
    return connect()


@pytest.fixture
def built(tmp_path: Path) -> list[Edition]:
    """Editions of another home, oldest first, each with other lists."""
    home = tmp_path / "built"
    return [build(home, number) for number in range(3)]


def build(home: Path, number: int, hour: int | None = None) -> Edition:
    """An edition of the site; those of one number have the same lists."""
    changed = EssayLists("bread", 1, (), (Candidate("sundial", 0.5, number / 100),), ())
    at = NOON + timedelta(hours=number if hour is None else hour)
    return open_edition(home, publish_edition(home, at, (changed, *LISTS_OF_THE_SITE[1:])))


def held(edition: Edition) -> Held:
    return Held(edition.id, NOBODY, 0.25, 0.9, "2026-11-01T12:00:00+00:00")


def publish_all(store: Store, editions: list[Edition]) -> list[str]:
    for edition in editions:
        store.publish(edition, None, KEEP)
    return [edition.id for edition in editions]


def summary(edition: Edition, current: bool, held: str | None = None) -> EditionSummary:
    return EditionSummary(edition.id, edition.manifest["built_at"], 12, current, None, held)


def test_before_the_first_publish_there_is_nothing(store: Store) -> None:
    with pytest.raises(NoEdition, match="related build"):
        store.current_id()
    assert store.ids() == store.summaries() == []
    assert store.newest_intact("~") is None
    with pytest.raises(EditionError, match="no earlier intact edition"):
        store.roll_back()
    with pytest.raises(EditionError, match=r"no edition in .* is held back"):
        store.sign_off(None, "ann")


def test_what_is_published_is_shown_and_comes_back_file_by_file(store: Store, built: list[Edition]) -> None:
    told: list[int] = []
    store.publish(built[0], None, KEEP, told.append)

    assert store.current_id() == built[0].id
    assert store.ids() == [built[0].id]
    assert sum(told) == 12
    opened = open_current(store)
    assert opened.manifest == built[0].manifest
    assert opened.built_at == built[0].built_at
    opened.check()
    names = [MANIFEST, *opened.manifest["files"]]
    assert [file_digest(opened.folder / name) for name in names] == [
        file_digest(built[0].folder / name) for name in names
    ]
    assert opened.overview.page("bread") == built[0].overview.page("bread")


def test_another_process_sees_it(connect: Callable[[], Store], built: list[Edition]) -> None:
    here, there = connect(), connect()
    before = there.mark()
    here.publish(built[0], None, KEEP)
    first = there.mark()
    here.publish(built[1], None, KEEP)

    assert there.current_id() == built[1].id
    assert len({before, first, there.mark()}) == 3


def test_the_mark_stays_while_nothing_changes(store: Store, built: list[Edition]) -> None:
    store.publish(built[0], None, KEEP)
    mark = store.mark()
    store.publish(built[1], held(built[1]), KEEP)
    assert store.mark() == mark


def test_the_newest_are_kept_and_listed_newest_first(store: Store, built: list[Edition]) -> None:
    for edition in built:
        store.publish(edition, None, keep=2)

    assert store.ids() == [built[1].id, built[2].id]
    assert store.summaries() == store.summaries(quickly=True) == [summary(built[2], True), summary(built[1], False)]
    with pytest.raises(EditionError, match=f"there is no edition {built[0].id}"):
        store.open(built[0].id)


def test_an_older_edition_with_the_same_content_is_not_kept_twice(store: Store, tmp_path: Path) -> None:
    older = build(tmp_path / "one", 0)
    newer = build(tmp_path / "two", 0, hour=9)
    publish_all(store, [older, newer])
    assert store.ids() == [newer.id]


def test_an_edition_that_is_here_is_only_made_the_current_one(store: Store, built: list[Edition]) -> None:
    ids = publish_all(store, [*built, built[0]])
    assert store.current_id() == built[0].id
    assert store.ids() == ids[:3]


def test_the_current_edition_is_never_dropped(store: Store, built: list[Edition]) -> None:
    publish_all(store, built)
    store.roll_back(built[0].id)
    newest = build(built[0].folder.parents[1], 3)
    store.publish(newest, held(newest), keep=1)
    assert store.ids() == [built[0].id, newest.id]
    assert store.current_id() == built[0].id


def test_stepping_back_and_forth(store: Store, built: list[Edition]) -> None:
    ids = publish_all(store, built)
    prepared: list[str] = []

    def prepare(edition: Edition) -> None:
        prepared.append(edition.id)

    assert store.roll_back(prepare=prepare) == ids[1] == store.current_id()
    assert store.roll_back() == ids[0] == store.current_id()
    assert store.roll_back(ids[2]) == ids[2] == store.current_id()
    assert prepared == [ids[1]]
    with pytest.raises(EditionError, match=f"there is no edition {NOBODY}"):
        store.roll_back(NOBODY)


def test_an_edition_that_cannot_be_prepared_is_not_shown(store: Store, built: list[Edition]) -> None:
    ids = publish_all(store, built)

    def fail(edition: Edition) -> None:
        raise EditionError(edition.id)

    with pytest.raises(EditionError, match=ids[0]):
        store.roll_back(ids[0], fail)
    assert store.current_id() == ids[2]


def test_what_is_held_back_is_kept_and_told_but_not_shown(store: Store, built: list[Edition]) -> None:
    store.publish(built[0], None, KEEP)
    store.publish(built[1], held(built[1]), KEEP)

    assert store.current_id() == built[0].id
    sentence = held(built[1]).sentence
    assert store.summaries() == [summary(built[1], False, sentence), summary(built[0], True)]
    with pytest.raises(EditionError, match="is held back"):
        store.roll_back(built[1].id)
    intact = store.newest_intact("~")
    assert intact is not None
    assert intact.id == built[0].id


def test_a_signature_shows_it(store: Store, built: list[Edition]) -> None:
    store.publish(built[0], None, KEEP)
    store.publish(built[1], held(built[1]), KEEP)
    with pytest.raises(EditionError, match="is not held back"):
        store.sign_off(built[0].id, "ann")

    assert store.sign_off(None, "ann") == built[1].id == store.current_id()
    assert store.sign_off(built[1].id, "bob") == built[1].id
    assert store.summaries() == [summary(built[1], True), summary(built[0], False)]
    assert store.roll_back() == built[0].id
    assert store.roll_back(built[1].id) == built[1].id
    with pytest.raises(EditionError, match=r"no edition in .* is held back"):
        store.sign_off(None, "ann")


def test_nothing_older_than_the_current_one_is_signed_off_unnamed(store: Store, built: list[Edition]) -> None:
    store.publish(built[0], held(built[0]), KEEP)
    store.publish(built[1], None, KEEP)
    with pytest.raises(EditionError, match="is older than the current one"):
        store.sign_off(None, "ann")
    assert store.sign_off(built[0].id, "ann") == store.current_id() == built[0].id


def test_what_is_held_back_goes_before_what_was_shown(store: Store, built: list[Edition]) -> None:
    store.publish(built[0], None, KEEP)
    store.publish(built[1], held(built[1]), KEEP)
    store.publish(built[2], None, keep=2)
    assert store.ids() == [built[0].id, built[2].id]


@pytest.mark.parametrize("ident", ["", "../built", "x", "held", NOBODY])
def test_an_id_that_no_edition_has_is_refused(store: Store, built: list[Edition], ident: str) -> None:
    store.publish(built[0], None, KEEP)
    with pytest.raises(EditionError, match="see `related editions`"):
        store.open(ident)


def test_a_damaged_edition_is_not_taken_over(store: Store, built: list[Edition]) -> None:
    store.publish(built[0], None, KEEP)
    with (built[1].folder / OVERVIEW).open("ab") as file:
        file.write(b"x")
    with pytest.raises(EditionError, match=f"damaged: {OVERVIEW}"):
        store.publish(built[1], None, KEEP)
    assert store.ids() == [store.current_id()] == [built[0].id]


def test_an_edition_of_another_format_is_refused_with_a_way_out(store: Store, built: list[Edition]) -> None:
    manifest = json.loads((built[0].folder / MANIFEST).read_text())
    manifest["format"], _ = 99, manifest.pop("checksum")
    manifest["checksum"] = manifest_checksum(manifest)
    (built[0].folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(EditionError, match="has format 99, this version reads 4: run `related build`"):
        store.publish(built[0], None, KEEP)
    assert store.ids() == []


def test_a_home_follows_the_store(store: Store, built: list[Edition], tmp_path: Path) -> None:
    home = tmp_path / "other"
    follow(store, home, KEEP)
    assert not FolderStore(home).ids()

    store.publish(built[0], None, KEEP)
    follow(store, home, KEEP)
    follow(store, home, KEEP)
    copy = open_current(FolderStore(home))
    copy.check()
    assert copy.manifest == built[0].manifest
    assert file_digest(copy.folder / LISTS) == file_digest(built[0].folder / LISTS)


def test_publishers_and_those_who_step_back_wait_for_one_another(
    connect: Callable[[], Store], built: list[Edition], tmp_path: Path
) -> None:
    connect().publish(built[0], None, KEEP)
    mine = [build(tmp_path / f"home{number}", number) for number in range(10, 14)]
    with ThreadPoolExecutor(len(mine)) as threads:
        done = [threads.submit(_publish_when_free, connect(), edition) for edition in mine]
        for future in done:
            future.result()
    store = connect()
    assert store.ids() == sorted([built[0].id, *(edition.id for edition in mine)])
    assert [entry.broken for entry in store.summaries()] == [None] * 5
    assert store.current_id() in {edition.id for edition in mine}


def _publish_when_free(store: Store, edition: Edition) -> None:
    """A home refuses whom a database has wait."""
    from corpus.errors import BuildInProgress

    while True:
        try:
            return store.publish(edition, None, KEEP)
        except BuildInProgress:
            continue
