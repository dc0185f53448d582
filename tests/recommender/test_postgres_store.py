"""Editions in PostgreSQL: what a killed server or publisher leaves, standbys that are behind, and what is refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.postgres_server import Server
from corpus.errors import EditionError, NoEdition, StoreAway, UnknownEssay
from recommender.decisions import PageDecisions, Pin
from recommender.edition import ESSAYS, VECTORS, Edition, edition_ids, open_current
from recommender.job import BuildOptions, build
from recommender.publish_gate import Held
from recommender.ranking import Rules
from recommender.store import Store, follow, open_store
from tests.fakes import CountingEncoder
from tests.postgres import new_server
from tests.service.editions import publish_edition, publish_other_edition

ROOT = Path(__file__).parents[2]
Rows = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def store(database: str, tmp_path: Path) -> Store:
    return open_store(tmp_path / "service", database)


@pytest.fixture
def editions(tmp_path: Path) -> tuple[Edition, Edition]:
    home = tmp_path / "built"
    publish_edition(home)
    first = open_current(home)
    publish_other_edition(home)
    return first, open_current(home)


@pytest.fixture
def rows(database: str) -> Rows:
    """Asks the database beside the store."""
    import psycopg

    def ask(query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(database, autocommit=True) as db:
            found = db.execute(query.encode(), values)
            return found.fetchall() if found.description else []

    return ask


@pytest.fixture
def own_server() -> Iterator[Server]:
    server = new_server()
    yield server
    server.remove()


@pytest.fixture
def own_database(own_server: Server) -> str:
    return own_server.fresh_database()


@pytest.fixture
def standby(own_server: Server, own_database: str) -> Iterator[Server]:
    """It has the database from the start."""
    standby = own_server.standby()
    yield standby
    standby.remove()


@pytest.fixture
def replicated(own_database: str, standby: Server, tmp_path: Path) -> Store:
    """On the database of both servers."""
    return open_store(tmp_path / "service", own_database.replace("/test", f",127.0.0.1:{standby.port}/test"))


def schemas(rows: Rows) -> list[object]:
    return [name for (name,) in rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'related\\_%%' ORDER BY 1")]


# --- The same answers ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    home = tmp_path_factory.mktemp("home")
    build([ROOT / "examples"], home, CountingEncoder(), BuildOptions())
    return open_current(home)


@pytest.fixture(scope="module")
def stored(examples: Edition, postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Edition:
    store = open_store(tmp_path_factory.mktemp("service"), postgres.fresh_database())
    store.publish(examples, None, keep=1)
    return store.open(examples.id)


def test_every_question_about_the_examples_has_the_same_answer(examples: Edition, stored: Edition) -> None:
    ids = list(examples.essay_ids())
    assert list(stored.essay_ids()) == ids
    assert list(stored.items.stream()) == list(examples.items.stream())
    first = next(iter(ids))
    for ident in ids:
        essay = examples.find(ident)
        assert stored.find(ident) == essay
        assert stored.find(url=essay.url) == examples.find(url=essay.url) if essay.url else True
        assert stored.essay_record(ident) == examples.essay_record(ident)
        assert stored.offered_in(ident) == examples.offered_in(ident)
        assert stored.lists(ident) == examples.lists(ident)
        assert stored.why_not(ident, first) == examples.why_not(ident, first)
        decided = (
            PageDecisions(pins=(Pin(first, 1),), excluded=dict.fromkeys(ids[:3], "page")) if ident != first else None
        )
        for rules in (Rules(), Rules(unlinked=True, category=essay.category), Rules(diversity=0.3, per_category=2)):
            assert stored.recommend(essay, rules) == examples.recommend(essay, rules)
            assert stored.related(ident, rules) == examples.related(ident, rules)
            assert stored.whole_list(essay, rules) == examples.whole_list(essay, rules)
            if decided:
                assert stored.recommend(essay, rules, 7, decided) == examples.recommend(essay, rules, 7, decided)
                assert stored.related(ident, rules, decided) == examples.related(ident, rules, decided)


def test_what_the_edition_does_not_know_is_refused_as_ever(stored: Edition) -> None:
    for ident in ("nobody", "a\0b", "\ud800"):
        with pytest.raises(UnknownEssay, match="no essay"):
            stored.find(ident)
        assert not stored.has(ident)


def test_a_file_that_was_spoiled_in_the_cache_is_fetched_again(examples: Edition, stored: Edition) -> None:
    stored.check()
    (stored.folder / ESSAYS).write_text("spoiled")
    stored.check((ESSAYS,))
    assert (stored.folder / ESSAYS).read_bytes() == (examples.folder / ESSAYS).read_bytes()


def test_the_vectors_are_those_of_the_file_and_have_an_index(examples: Edition, stored: Edition) -> None:
    from recommender.postgres_store import PostgresEdition

    assert isinstance(stored, PostgresEdition)
    rows = stored._rows("SELECT id, kind, embedding::text FROM {}.vectors ORDER BY number")
    items = {item.id: item.kind for item in examples.items.stream()}
    assert {ident: kind for ident, kind, _ in rows} == items
    with np.load(examples.folder / VECTORS) as arrays:
        essays, blurbs = list(arrays["vectors"]), list(arrays["blurb_vectors"])
    for ident, kind, text in rows:
        vector = (essays if kind == "essay" else blurbs).pop(0)
        assert np.allclose(np.array(text[1:-1].split(","), float), vector, atol=1e-3), ident
    [(index,)] = stored._rows(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND indexdef LIKE '%%hnsw%%'", f"related_{stored.id}"
    )
    assert "halfvec_ip_ops" in index


# --- What a crash leaves ------------------------------------------------------------------------------------------


def test_a_server_killed_between_upload_and_switch_keeps_the_old_edition(
    own_server: Server, editions: tuple[Edition, Edition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recommender.postgres_store import PostgresStore

    monkeypatch.setattr("recommender.postgres._REST", 0.0)
    store = open_store(tmp_path / "service", own_server.fresh_database())
    store.publish(editions[0], None, keep=5)
    served = store.open(editions[0].id)
    with monkeypatch.context() as patch:
        patch.setattr(PostgresStore, "_show", lambda *args: own_server.kill() or store.current_id())
        with pytest.raises(StoreAway, match="does not answer"):
            store.publish(editions[1], None, keep=5)
    own_server.start()

    assert store.current_id() == editions[0].id
    assert store.ids() == [editions[0].id]
    essay = served.find("bread")
    assert served.recommend(essay, Rules()) == editions[0].recommend(essay, Rules())
    store.publish(editions[1], None, keep=5)
    assert store.current_id() == editions[1].id


def test_a_switch_that_fails_half_way_has_not_happened(
    store: Store, editions: tuple[Edition, Edition], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    store.publish(editions[0], None, keep=5)
    mark = store.mark()
    with monkeypatch.context() as patch:
        patch.setattr("recommender.postgres_store.superseded", fail)
        with pytest.raises(KeyboardInterrupt):
            store.publish(editions[1], None, keep=1)
    assert store.current_id() == editions[0].id
    assert store.ids() == [editions[0].id]
    assert store.mark() == mark
    assert schemas(rows) == [f"related_{editions[0].id}", "related_upload"]


def test_what_a_killed_publisher_left_is_not_seen_and_cleared_by_the_next(
    store: Store, editions: tuple[Edition, Edition], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recommender import postgres_upload

    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(postgres_upload, "_parts", fail)
        with pytest.raises(KeyboardInterrupt):
            store.publish(editions[0], None, keep=5)
    assert schemas(rows) == ["related_upload"]
    assert store.ids() == []

    store.publish(editions[0], None, keep=5)
    assert schemas(rows) == [f"related_{editions[0].id}"]


def test_a_dropped_edition_can_be_read_a_while_and_then_goes(
    store: Store, editions: tuple[Edition, Edition], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(editions[0], None, keep=1)
    served = store.open(editions[0].id)
    store.publish(editions[1], None, keep=1)
    assert store.ids() == [editions[1].id]
    assert served.find("bread").title == "Bread"

    monkeypatch.setattr("recommender.postgres_store._GRACE", "0 seconds")
    store.publish(editions[1], None, keep=1)
    assert schemas(rows) == [f"related_{editions[1].id}"]
    with pytest.raises(EditionError, match="is gone"):
        served.find("bread")


def test_a_dropped_edition_that_is_published_again_is_there_again(
    store: Store, editions: tuple[Edition, Edition]
) -> None:
    for edition in (*editions, editions[0]):
        store.publish(edition, None, keep=1)
    assert store.ids() == [store.current_id()] == [editions[0].id]


# --- Hosts that go away, and that are behind ----------------------------------------------------------------------


def test_reading_goes_on_without_the_standby_and_without_the_primary(
    own_server: Server, standby: Server, replicated: Store, editions: tuple[Edition, Edition]
) -> None:
    replicated.publish(editions[0], None, keep=5)
    served = replicated.open(editions[0].id)
    essay = served.find("bread")
    expected = editions[0].recommend(essay, Rules())

    standby.kill()
    assert served.recommend(served.find("bread"), Rules()) == expected
    standby.start()
    own_server.kill()
    assert served.recommend(served.find("bread"), Rules()) == expected
    assert replicated.current_id() == editions[0].id
    with pytest.raises(StoreAway):
        replicated.publish(editions[1], None, keep=5)
    standby.promote()
    replicated.publish(editions[1], None, keep=5)
    assert replicated.current_id() == editions[1].id


def test_a_host_that_hangs_keeps_no_look_up_for_ever(
    standby: Server, replicated: Store, editions: tuple[Edition, Edition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.postgres._READ_SECONDS", 1)
    replicated.publish(editions[0], None, keep=5)
    served = replicated.open(editions[0].id)
    served.find("bread")  # so that a connection is kept
    standby.freeze()
    with ThreadPoolExecutor() as pool:
        try:
            found = [pool.submit(served.find, "bread") for _ in range(4)]
            assert [item.result(60).id for item in found] == ["bread"] * 4
        finally:
            standby.thaw()


def test_a_database_that_may_only_be_read_is_read(store: Store, editions: tuple[Edition, Edition], rows: Rows) -> None:
    store.publish(editions[0], None, keep=5)
    [(name,)] = rows("SELECT current_database()")
    rows(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        "pg_backend_pid()"
    )

    assert store.current_id() == editions[0].id
    assert store.open(editions[0].id).find("bread").id == "bread"
    assert store.log().since() == []


def test_a_standby_of_a_database_that_shows_nothing_yet_is_asked_in_vain(
    own_server: Server, replicated: Store, editions: tuple[Edition, Edition]
) -> None:
    replicated.publish(editions[0], Held(editions[0].id, "none", 0.1, 0.9, "2026-11-01T12:00:00+00:00"), keep=5)
    own_server.kill()

    assert replicated.mark() == (0, "")
    with pytest.raises(NoEdition):
        replicated.current_id()


def test_a_file_that_could_not_be_fetched_leaves_nothing(
    store: Store, editions: tuple[Edition, Edition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, name: str) -> Iterator[bytes]:
        yield b"half"
        raise StoreAway("the database is away")

    store.publish(editions[0], None, keep=5)
    edition = store.open(editions[0].id)
    monkeypatch.setattr("recommender.postgres_store.PostgresEdition._parts", fail)
    with pytest.raises(StoreAway):
        edition.check(["overview.sqlite3"])
    assert [path.name for path in edition.folder.iterdir()] == ["manifest.json"]


def test_a_home_does_not_follow_an_edition_that_this_version_cannot_read(
    store: Store, editions: tuple[Edition, Edition], rows: Rows, tmp_path: Path
) -> None:
    store.publish(editions[0], None, keep=5)
    rows("UPDATE related.editions SET layout = 0")

    follow(store, tmp_path / "builder", keep=5)

    assert edition_ids(tmp_path / "builder") == []


def test_what_a_standby_has_not_heard_of_is_read_from_the_primary(
    standby: Server, replicated: Store, editions: tuple[Edition, Edition]
) -> None:
    for behind, edition in enumerate(editions):
        if behind:
            standby.execute("SELECT pg_wal_replay_pause()")
        replicated.publish(edition, None, keep=5)
        assert replicated.current_id() == edition.id
        served = replicated.open(edition.id)
        essay = served.find("bread")
        assert served.recommend(essay, Rules()) == edition.recommend(essay, Rules())


def test_a_database_that_does_not_answer_is_told_without_its_password(
    own_server: Server, editions: tuple[Edition, Edition], tmp_path: Path
) -> None:
    url = own_server.url().replace("postgres@", "postgres:opensesame@")
    store = open_store(tmp_path, f"{url}?sslpassword=opensesame")
    store.publish(editions[0], None, keep=5)
    served, mark = store.open(editions[0].id), store.mark()
    own_server.kill()

    assert store.name == f"postgresql://127.0.0.1:{own_server.port}/postgres"
    for question in (store.current_id, store.ids, store.summaries, store.roll_back, lambda: served.find("bread")):
        with pytest.raises(StoreAway, match="does not answer") as told:
            question()
        assert "opensesame" not in str(told.value)
        assert "\n" not in str(told.value)
    assert store.mark() == mark


# --- What is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:opensesame@h:opensesame/x",
        "postgresql://ann:open@sesame@h/x",
        "postgresql://ann:open/sesame@h/x",
        "postgresql://[opensesame/x",
    ],
)
def test_a_url_that_makes_no_sense_is_refused_without_repeating_it(url: str, tmp_path: Path, database: str) -> None:
    with pytest.raises(StoreAway, match="makes no sense") as told:
        open_store(tmp_path, url)
    assert "sesame" not in str(told.value)


def test_without_the_extra_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["psycopg"] = None
from pathlib import Path
from corpus.errors import StoreAway
from recommender.store import open_store
try:
    open_store(Path({str(tmp_path)!r}), "postgresql://127.0.0.1/x")
except StoreAway as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("PostgreSQL needs what is not here (import of psycopg ")
    assert done.stdout.endswith("): pip install 'related-articles[postgres]'\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("DROP TABLE {schema}.offered", "is half there: table offered is missing"),
        (
            "DELETE FROM {schema}.files WHERE name = 'lists.sqlite3'",
            "is damaged: lists.sqlite3 is not what was written",
        ),
        ("UPDATE related.editions SET layout = 99", "is stored in layout 99, this version reads 2"),
        ("UPDATE related.editions SET manifest = replace(manifest, '2026', '2027')", "its manifest was changed"),
        ("UPDATE related.editions SET manifest = 'x'", "has no readable manifest"),
    ],
)
def test_each_kind_of_damage_is_refused_with_a_way_out(
    store: Store, editions: tuple[Edition, Edition], rows: Rows, spoil: str, said: str
) -> None:
    store.publish(editions[0], None, keep=5)
    rows(spoil.format(schema=f'"related_{editions[0].id}"'))
    with pytest.raises(EditionError, match=f"{said}.*run `related") as told:
        store.open(editions[0].id)
    assert [entry.broken for entry in store.summaries()] == [str(told.value)]
    assert store.newest_intact("~") is None
    store.publish(editions[1], None, keep=5)
    assert store.current_id() == editions[1].id


def test_a_text_that_postgresql_cannot_hold_is_told(store: Store, tmp_path: Path) -> None:
    from tests.service.editions import ITEMS_OF_THE_SITE

    publish_edition(tmp_path / "odd", items=(ITEMS_OF_THE_SITE[0]._replace(title="a\0b"), *ITEMS_OF_THE_SITE[1:]))
    with pytest.raises(EditionError, match=r"has a text that PostgreSQL cannot hold .*build again"):
        store.publish(open_current(tmp_path / "odd"), None, keep=5)
    assert store.ids() == []


def test_an_old_pgvector_is_refused(
    store: Store, editions: tuple[Edition, Edition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.postgres_store.OLDEST_PGVECTOR", (99, 1))
    with pytest.raises(EditionError, match=r"has pgvector 0\.\d+\.\d+, and 99\.1 is needed"):
        store.publish(editions[0], None, keep=5)


def test_an_upload_takes_as_long_as_it_wants(database: str, rows: Rows) -> None:
    from recommender.postgres import open_database

    [(name,)] = rows("SELECT current_database()")
    rows(f"ALTER DATABASE {name} SET statement_timeout = 50")
    with open_database(database).primary() as db:
        assert db.execute("SELECT 1 FROM pg_sleep(0.2)").fetchall() == [(1,)]


def test_who_may_not_write_is_told(
    postgres: Server, database: str, editions: tuple[Edition, Edition], tmp_path: Path
) -> None:
    postgres.execute("DROP ROLE IF EXISTS reader")
    postgres.execute("CREATE ROLE reader LOGIN")
    store = open_store(tmp_path, database.replace("postgres@", "reader@"))
    with pytest.raises(EditionError, match=r"permission denied.*CREATE EXTENSION vector"):
        store.publish(editions[0], None, keep=5)
