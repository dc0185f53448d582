"""The contract of recommender.list_store.ListReader, run on the file and on PostgreSQL."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from benchmarks.postgres_server import Server
from recommender.edition import LISTS, Edition
from recommender.list_store import EssayLists, ListReader, ListStore
from recommender.ranking import MAX_LIMIT, Candidate, Item, Rules
from recommender.store import open_store
from tests.recommender.test_list_store import ITEMS, ODD_IDS, ROWS
from tests.service.editions import publish_edition

LONG = "long/" + "x" * 3_000  # more than an index of PostgreSQL's usual kind takes
MORE = (*ITEMS, Item(LONG, "essay", "Long", None, f"https://example.org/{LONG}", None, date(1, 1, 1)))
LISTS_OF_ALL = (*ROWS, EssayLists(LONG, 0, (), (Candidate("bread", 0.5, 0.5),), ()))
NO_IDS = ("nobody", "", "\ud800", "bread\0", "BREAD")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    publish_edition(home, items=MORE, lists=LISTS_OF_ALL)
    return home


@pytest.fixture(scope="module")
def on_disk(home: Path) -> Edition:
    store = open_store(home)
    return store.open(store.current_id())


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def edition(request: pytest.FixtureRequest, home: Path, on_disk: Edition) -> Edition:
    if request.param == "sqlite":
        return on_disk
    postgres: Server = request.getfixturevalue("postgres")
    store = open_store(home / "elsewhere", postgres.fresh_database())
    store.publish(on_disk, None, keep=1)
    return store.open(on_disk.id)


@pytest.fixture
def reader(edition: Edition, on_disk: Edition) -> Iterator[ListReader]:
    if edition is on_disk:
        yield ListStore(edition.folder / LISTS)
        return
    from recommender.postgres_lists import PostgresLists

    found = edition._store
    assert isinstance(found, PostgresLists)
    yield found


def test_items_come_back_as_they_were_written(reader: ListReader) -> None:
    assert [reader.item(item.id) for item in MORE] == list(MORE)
    assert list(reader.items()) == list(MORE)
    assert list(reader.item_ids()) == [item.id for item in MORE]
    assert reader.count_items() == len(MORE)


def test_lists_come_back_as_they_were_written(reader: ListReader) -> None:
    found = [(lists.id, reader.row(lists.id)) for lists in LISTS_OF_ALL]
    assert [row.lists(ident) for ident, row in found if row] == list(LISTS_OF_ALL)
    assert list(reader.essay_ids()) == [lists.id for lists in LISTS_OF_ALL]


@pytest.mark.parametrize("ident", NO_IDS)
def test_what_nothing_is_called_is_not_found(reader: ListReader, ident: str) -> None:
    assert reader.item(ident) is None
    assert reader.row(ident) is None
    assert reader.offered_in(ident) == frozenset()
    assert reader.essay_at(ident) is None


def test_a_blurb_has_no_lists_and_no_address(reader: ListReader) -> None:
    assert reader.row("blurb:quern") is None
    assert reader.essay_at("https://example.org/quern") is None


def test_items_are_found_by_number_and_by_id(reader: ListReader) -> None:
    row = reader.row("bread")
    assert row is not None
    assert reader.numbered([row.number_of("rye"), row.number_of("blurb:quern"), 10_000]) == {
        "rye": MORE[1],
        "blurb:quern": MORE[4],
    }
    assert reader.named(["rye", "nobody", "麦/麵包"]).keys() == {"rye", "麦/麵包"}
    assert reader.numbered([]) == reader.named([]) == {}


@pytest.mark.parametrize(
    ("url", "ident"),
    [
        ("https://example.org/bread", "bread"),
        ("https://example.org/bread/#crust", "bread"),
        ("https://example.org/rye", "rye"),
        (f"https://example.org/{LONG}/", LONG),
        ("https://example.org/BREAD", None),
        ("#", None),
    ],
)
def test_an_essay_is_found_by_its_address(reader: ListReader, url: str, ident: str | None) -> None:
    assert reader.essay_at(url) == ident


def test_it_knows_whose_lists_name_an_item(reader: ListReader) -> None:
    assert reader.offered_in("rye") == {"bread"}
    assert reader.offered_in("bread") == {"clock", LONG, *ODD_IDS}
    assert reader.offered_in("blurb:quern") == {"bread", "bare"}
    assert reader.offered_in(LONG) == frozenset()


RULES = (
    Rules(limit=3),
    Rules(limit=MAX_LIMIT, unlinked=True),
    Rules(limit=5, category="Food", profile="meaning"),
    Rules(limit=5, published_after=date(2025, 5, 15), published_before=date.max),
    Rules(limit=5, exclude=frozenset({"rye"}), diversity=0.5),
)


@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
def test_an_edition_answers_the_same_from_it(edition: Edition, on_disk: Edition, rules: Rules) -> None:
    for ident in on_disk.essay_ids():
        essay = on_disk.find(ident)
        assert edition.recommend(essay, rules) == on_disk.recommend(essay, rules)
        assert edition.related(ident, rules) == on_disk.related(ident, rules)
        assert edition.whole_list(essay, rules) == on_disk.whole_list(essay, rules)
