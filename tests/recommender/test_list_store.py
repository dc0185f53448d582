"""Items and lists in one SQLite file: what comes back, what a filter of columns lets through, and the list that is made
of it quickly beside the one that rank() makes of everything."""

import fcntl
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from corpus.errors import UnknownEssay
from recommender.edition import LISTS, Edition
from recommender.list_store import EssayLists, Items, ListRow, ListStore, write_store
from recommender.ranking import MAX_LIMIT, Candidate, Item, ItemKind, Place, Rules, list_limit
from tests.open_files import open_files

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
ODD_IDS = (
    "a,b",
    "麦/麵包",
    "100% rye?#crust",
    '"quoted"',
    "two\nlines",
    "naïve\u2028café",
    " blank ",
    "🥖",
    "'; --",
    "%2F",
)
ITEMS = (
    Item("bread", "essay", "Bread", "On bread.", "https://example.org/bread/", "Food", MAY, "loaves", 1 << 255 | 5),
    Item("rye", "essay", "Rye", "", "https://example.org/rye#top", "Food", JUNE, "loaves", 1),
    Item("clock", "essay", "Clocks", None, None, "Time", date.min),
    Item("bare", "essay"),
    Item("blurb:quern", "blurb", None, "How a quern was dressed.", "https://example.org/quern", "Tools", date.max),
    *(Item(ident, "essay", f"On {ident}") for ident in ODD_IDS),
)
EVERYTHING = EssayLists(
    "bread",
    7,
    curated=(Candidate("clock", 0.25, 1.0), Candidate("rye", 0.0, 0.000001, (("meaning", 0.7),))),
    candidates=(
        Candidate("rye", 1.0, 0.5, (("meaning", 0.7), ("wording", -0.25), ("author", 1.0)), "held"),
        Candidate("bare", 0.123456, 0.654321, (), "lifted"),
        *(Candidate(ident, 0.5, 0.5, (("co_listed", 3.0), ("meaning", 0.125))) for ident in ODD_IDS),
    ),
    unlinked=(Candidate("blurb:quern", 0.5, 0.25, (("category", 0.0),)),),
)
ROWS = (
    EVERYTHING,
    EssayLists("rye", 0, (), (), ()),
    EssayLists("clock", 3, (), (Candidate("bread", 0.5, 0.5),), ()),
    EssayLists("bare", 0, (), (), (Candidate("blurb:quern", 0.75, 0.5, (("meaning", 0.5),)),)),
    *(EssayLists(ident, 1, (Candidate("bread", 0.5, 0.5),), (), ()) for ident in ODD_IDS),
)


@pytest.fixture
def store(tmp_path: Path) -> ListStore:
    return store_of(tmp_path, ITEMS, ROWS)


def store_of(folder: Path, items: Iterable[Item], lists: Iterable[EssayLists]) -> ListStore:
    write_store(folder / LISTS, items, lists)
    return ListStore(folder / LISTS)


def row_of(store: ListStore, ident: str) -> ListRow:
    row = store.row(ident)
    assert row is not None
    return row


# --- What comes back ----------------------------------------------------------------------------------------------


def test_items_and_lists_come_back_as_they_were_written(store: ListStore) -> None:
    assert tuple(store.items()) == ITEMS
    assert [store.item(item.id) for item in ITEMS] == list(ITEMS)
    assert tuple(store.item_ids()) == tuple(item.id for item in ITEMS)
    assert [store.lists(lists.id) for lists in ROWS] == list(ROWS)
    assert tuple(store.essay_ids()) == tuple(lists.id for lists in ROWS)
    assert store.count_items() == len(ITEMS)


def test_the_types_come_back_too(store: ListStore) -> None:
    item, lists = store.item("bread"), store.lists("bread")

    assert type(item) is Item
    assert lists is not None
    assert type(item.published) is date
    assert type(lists.candidates[0]) is Candidate
    assert [type(value) for value in lists.candidates[0][1:3]] == [float, float]


def test_a_reasons_value_that_fits_no_column_becomes_the_largest(tmp_path: Path) -> None:
    far = Candidate("rye", 0.5, 0.5, (("co_listed", 1e12), ("meaning", -1e12)))
    found = store_of(tmp_path, ITEMS, (EssayLists("bread", 0, (), (far,), ()),)).lists("bread")

    assert found is not None
    assert found.candidates[0].reasons == (("co_listed", 2147483.647), ("meaning", -2147483.647))


def test_a_target_that_is_no_item_is_refused(tmp_path: Path) -> None:
    stranger = EssayLists("bread", 0, (), (Candidate("nobody", 0.5, 0.5),), ())
    with pytest.raises(KeyError, match="nobody"):
        write_store(tmp_path / LISTS, ITEMS, (stranger,))


def test_an_item_is_found_by_its_number(store: ListStore) -> None:
    row = row_of(store, "bread")
    numbers = [row.number_of(target) for target in ("rye", "麦/麵包", "blurb:quern")]

    assert numbers == [2, ITEMS.index(next(i for i in ITEMS if i.id == "麦/麵包")) + 1, 5]
    assert store.numbered(numbers) == {item.id: item for item in (ITEMS[1], ITEMS[numbers[1] - 1], ITEMS[4])}
    assert store.numbered([]) == {}
    assert store.numbered([len(ITEMS) + 1]) == {}


@pytest.mark.parametrize(
    ("url", "ident"),
    [
        ("https://example.org/bread", "bread"),
        ("https://example.org/bread/", "bread"),
        ("https://example.org/bread#crust", "bread"),
        ("https://example.org/rye/#", "rye"),
        ("https://example.org/BREAD", None),
        ("https://example.org/quern", None),  # a blurb's
        ("", None),
        ("#", None),
        ("\ud800", None),
    ],
)
def test_an_essay_is_found_by_its_url(store: ListStore, url: str, ident: str | None) -> None:
    assert store.essay_at(url) == ident


@pytest.mark.parametrize("ident", ["nobody", "", "BREAD", "bread ", "\ud800", "bread\x00", "' OR 1=1 --"])
def test_what_is_unknown_is_none(store: ListStore, ident: str) -> None:
    assert (store.item(ident), store.row(ident), store.lists(ident)) == (None, None, None)


def test_a_blurb_has_no_lists(store: ListStore) -> None:
    assert store.item("blurb:quern") == ITEMS[4]
    assert store.row("blurb:quern") is None


def test_items_are_a_mapping_by_id(store: ListStore) -> None:
    items = Items(store)

    assert dict(items) == items.loaded() == {item.id: item for item in ITEMS}
    assert ("bread" in items, "nobody" in items, len(items)) == (True, False, len(ITEMS))
    assert list(items.stream()) == list(ITEMS)
    with pytest.raises(KeyError, match="nobody"):
        items["nobody"]


def test_a_reading_of_everything_keeps_no_look_up_waiting(store: ListStore) -> None:
    reading = store.items()
    assert next(reading) == ITEMS[0]
    assert store.item("rye") == ITEMS[1]
    assert next(reading) == ITEMS[1]
    assert list(reading) == list(ITEMS[2:])


def test_nothing_is_written_beside_a_file_that_is_read(store: ListStore, tmp_path: Path) -> None:
    before = (tmp_path / LISTS).read_bytes()
    store.lists("bread")
    store.item("rye")
    assert [path.name for path in tmp_path.iterdir()] == [LISTS]
    assert (tmp_path / LISTS).read_bytes() == before


def test_many_threads_read_one_store_and_stores_of_their_own(store: ListStore, tmp_path: Path) -> None:
    def read(number: int) -> bool:
        own = ListStore(tmp_path / LISTS)
        for lists in ROWS * 3:
            for opened in (store, own):
                if opened.lists(lists.id) != lists or opened.item(lists.id) is None:
                    return False
        return list(store.items()) == list(ITEMS)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(16)))


# --- In whose lists an item stands --------------------------------------------------------------------------------


def test_an_item_tells_in_whose_lists_it_is_curated_a_candidate_or_an_unmatched_blurb(store: ListStore) -> None:
    assert store.offered_in("rye") == {"bread"}  # curated and a candidate: once
    assert store.offered_in("clock") == {"bread"}
    assert store.offered_in("bare") == {"bread"}
    assert store.offered_in("blurb:quern") == {"bread", "bare"}
    assert store.offered_in("bread") == {"clock", *ODD_IDS}


@pytest.mark.parametrize("ident", ["nobody", "", "RYE", "\ud800"])
def test_what_is_unknown_stands_in_no_list(store: ListStore, ident: str) -> None:
    assert store.offered_in(ident) == frozenset()


def test_an_item_that_no_list_names_is_offered_nowhere(tmp_path: Path) -> None:
    store = store_of(tmp_path, ITEMS, ROWS[1:3])
    assert [item.id for item in ITEMS if store.offered_in(item.id)] == ["bread"]


def test_an_item_may_stand_in_more_lists_than_a_statement_has_places_for(tmp_path: Path) -> None:
    ids = [f"i{number:05}" for number in range(40_000)]
    everywhere = (Candidate("bread", 0.5, 0.5),)
    store = store_of(tmp_path, ITEMS, (EssayLists(ident, 0, (), everywhere, ()) for ident in ids))
    assert store.offered_in("bread") == frozenset(ids)


def test_an_edition_says_the_same_of_its_items(tmp_path: Path) -> None:
    assert edition_of(tmp_path, ITEMS, ROWS).offered_in("blurb:quern") == {"bread", "bare"}


@given(st.data())
def test_offered_is_what_the_lists_say_turned_round(data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(IDS), unique=True, max_size=6)
    groups = {ident: [data.draw(some) for _ in range(3)] for ident in IDS[:5]}
    made = ([tuple(Candidate(target, 0.5, 0.5) for target in group) for group in groups[i]] for i in groups)
    lists = [EssayLists(ident, 0, *row) for ident, row in zip(groups, made, strict=True)]
    with TemporaryDirectory() as folder:
        store = store_of(Path(folder), [Item(ident, "essay") for ident in IDS], lists)
        found = {ident: store.offered_in(ident) for ident in IDS}
    assert found == {t: {i for i in groups if any(t in group for group in groups[i])} for t in IDS}


# --- The columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(), ["rye", "clock", "bare"]),
        (Rules(unlinked=True), ["rye", "clock", "bare", "blurb:quern"]),
        (Rules(category="Food"), ["rye"]),
        (Rules(category="food"), []),
        (Rules(category="Tools"), []),
        (Rules(category="Tools", unlinked=True), ["blurb:quern"]),
        (Rules(published_after=JUNE), ["rye"]),
        (Rules(published_after=JULY), []),
        (Rules(published_after=date.min), ["rye", "clock"]),
        (Rules(published_before=JUNE), ["rye", "clock"]),
        (Rules(published_before=MAY), ["clock"]),
        (Rules(published_before=date.max, unlinked=True), ["rye", "clock", "blurb:quern"]),
        (Rules(published_after=JUNE, published_before=JUNE), ["rye"]),
        (Rules(exclude=frozenset({"rye", "nobody"})), ["clock", "bare"]),
        (Rules(category="Time", exclude=frozenset({"clock"})), []),
        (Rules(min_score=0.9, per_category=1, at_least=9, limit=1), ["rye", "clock", "bare"]),  # rank()'s to judge
    ],
)
def test_a_filter_lets_through_what_it_says(tmp_path: Path, rules: Rules, expected: list[str]) -> None:
    targets = ("rye", "clock", "bare", "blurb:quern")
    lists = EssayLists("bread", 0, (), tuple(Candidate(target, 0.5, 0.5) for target in targets), ())
    row = row_of(store_of(tmp_path, ITEMS, (lists,)), "bread")

    assert [row.targets[entry] for entry in row.passing(row.candidates, rules)] == expected


def test_entries_are_ordered_by_the_profiles_score_then_id(store: ListStore) -> None:
    row = row_of(store, "bread")
    entries = row.passing([*row.candidates, *row.unlinked], Rules(unlinked=True, exclude=frozenset(ODD_IDS)))

    by_editors = [row.targets[entry] for entry in row.ordered(entries, "editors")]
    by_meaning = [row.targets[entry] for entry in row.ordered(entries, "meaning")]

    assert by_editors == ["rye", "blurb:quern", "bare"]
    assert by_meaning == ["bare", "rye", "blurb:quern"]
    odd = [row.targets[entry] for entry in row.ordered(row.candidates, "editors")][1:-1]
    assert odd == sorted(ODD_IDS)


def test_the_groups_of_a_row_are_kept_apart(store: ListStore) -> None:
    row = row_of(store, "bread")

    assert [row.targets[entry] for entry in row.curated] == ["clock", "rye"]
    assert [row.targets[entry] for entry in row.unlinked] == ["blurb:quern"]
    assert [row.targets[entry] for entry in row.lifted(row.candidates)] == ["bare"]
    assert row.list_length == 7


def test_a_row_repeats_what_rank_must_know_of_its_items(store: ListStore) -> None:
    row = row_of(store, "bread")
    wanted = {item.id: item._replace(title=None, standfirst=None, url=None, sketch=0) for item in ITEMS[1:]}

    assert row.items((*row.curated, *row.candidates, *row.unlinked)) == wanted


# --- The list that is found quickly, beside rank() ----------------------------------------------------------------

IDS = [f"i{number:02}" for number in range(24)]
Site = tuple[list[Item], EssayLists, Rules]


@st.composite
def candidates_of(draw: st.DrawFn, ident: str, places: Sequence[Place]) -> Candidate:
    scores = st.integers(0, 6).map(lambda part: part / 6)
    editors, meaning = (round(draw(scores), 6) for _ in range(2))
    reasons = draw(st.sampled_from([(), (("meaning", 0.5),), (("meaning", 0.5), ("wording", 0.25))]))
    return Candidate(ident, editors, meaning, reasons, draw(st.sampled_from(places)))


@st.composite
def sites(draw: st.DrawFn, filters: bool = True) -> Site:
    """A page "i00" among items of which some are blurbs, near-duplicates, dated or categorised; any rules.

    Without filters there are always more candidates than a list needs, some of them twins, held or lifted.
    """
    groups = [None, None, None, None, "g", "h"]
    kinds: list[ItemKind] = ["essay", "essay", "essay", "blurb"] if filters else ["essay"]
    items = [
        Item(
            ident,
            draw(st.sampled_from(kinds)) if number else "essay",
            title=f"On {ident}",
            url=f"https://example.org/{ident}",
            category=draw(st.sampled_from(["Sea", "Land", None])),
            published=draw(st.sampled_from([MAY, JUNE, JULY, None])),
            twins=draw(st.sampled_from(groups)),
            sketch=draw(st.sampled_from([0, 1 << 255, (1 << 255) - 1, 0xFF << 200])),
        )
        for number, ident in enumerate(IDS)
    ]
    blurbs = [item.id for item in items if item.kind == "blurb"]
    essays = [item.id for item in items if item.kind == "essay"]
    places: list[Place] = ["", "", "held", "held", "lifted"]

    def some(ids: list[str], least: int = 0, most: int | None = None) -> tuple[Candidate, ...]:
        if not ids:
            return ()
        chosen = draw(st.lists(st.sampled_from(ids), unique=True, min_size=min(least, len(ids)), max_size=most))
        return tuple(draw(candidates_of(ident, places)) for ident in chosen)

    lists = EssayLists(
        IDS[0],
        draw(st.integers(0, 8)),
        some(IDS, most=4),  # an editor may list anything, the page itself too
        some(essays, least=0 if filters else len(IDS)),
        some(blurbs),
    )
    return items, lists, draw(any_rules() if filters else compositions())


def compositions() -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        limit=st.integers(1, 7),
        unlinked=st.booleans(),
        per_category=st.sampled_from([None, None, 1, 2]),
        at_least=st.sampled_from([0, 0, 8, 12]),
        balanced=st.sampled_from([True, True, False]),
        min_score=st.sampled_from([None, None, 0.25]),
        curated_first=st.booleans(),
    )


def any_rules() -> st.SearchStrategy[Rules]:
    dates, days = st.sampled_from([None, None, None, JUNE]), st.sampled_from([None, None, None, 0, 40])
    return st.builds(
        Rules,
        limit=st.integers(1, 20),
        curated_first=st.booleans(),
        unlinked=st.booleans(),
        category=st.sampled_from([None, None, None, "Sea", "Sky"]),
        published_after=dates,
        published_before=dates,
        exclude=st.frozensets(st.sampled_from(IDS), max_size=3),
        min_score=st.sampled_from([None, None, 0.25]),
        profile=st.sampled_from(["editors", "meaning"]),
        diversity=st.sampled_from([0.0, 0.0, 0.0, 0.5]),
        per_category=st.sampled_from([None, 1, 3]),
        at_least=st.sampled_from([0, 0, 1, 4, 12]),
        newer_by_days=days,
        older_by_days=days,
        balanced=st.booleans(),
        additions=st.sampled_from([True, True, True, False]),
    )


def edition_of(folder: Path, items: Sequence[Item], lists: Iterable[EssayLists]) -> Edition:
    write_store(folder / LISTS, items, lists)
    return Edition(folder, {})


@given(sites() | sites(filters=False))
def test_the_list_found_quickly_is_the_one_that_rank_makes_of_everything(site: Site) -> None:
    items, lists, rules = site
    by_id = {item.id: item for item in items}
    with TemporaryDirectory() as folder:
        edition = edition_of(Path(folder), items, (lists,))
        expected = edition.related(IDS[0], rules).recommendations
        found = edition.recommend(by_id[IDS[0]], rules, rules.limit)

    event(f"full: {len(expected) == rules.limit}")
    event(f"lifted: {any('no other list would show it' in place.reasons for place in expected)}")
    assert tuple(place for place, _ in found) == expected
    assert [item for _, item in found] == [by_id[place.target] for place in expected]


@given(sites() | sites(filters=False))
def test_without_a_limit_it_is_as_long_as_the_pages_own_list(site: Site) -> None:
    items, lists, rules = site
    with TemporaryDirectory() as folder:
        edition = edition_of(Path(folder), items, (lists,))
        long = replace(rules, limit=list_limit(lists.list_length))
        expected = edition.related(IDS[0], long).recommendations
        found = edition.recommend(items[0], replace(rules, limit=MAX_LIMIT))

    assert tuple(place for place, _ in found) == expected


def test_a_list_that_needs_more_than_it_looks_at_first_is_still_the_same(tmp_path: Path) -> None:
    """The first candidates are held; only what stands far below is left."""
    items = [Item(ident, "essay") for ident in IDS]
    held = tuple(Candidate(ident, 0.9, 0.9, (), "held") for ident in IDS[1:16])
    free = tuple(Candidate(ident, 0.5, 0.5) for ident in IDS[16:])
    edition = edition_of(tmp_path, items, (EssayLists(IDS[0], 0, (), held + free, ()),))

    found = edition.recommend(items[0], Rules(), 3)

    assert [place.target for place, _ in found] == IDS[16:19]
    assert tuple(place for place, _ in found) == edition.related(IDS[0], Rules(limit=3)).recommendations


def test_what_is_lifted_from_far_below_does_not_fill_the_places_of_what_stands_above_it(tmp_path: Path) -> None:
    """Of what is looked at first all but three are held: the next ones come first, and the lifted one last."""
    items = [Item(ident, "essay") for ident in IDS]
    candidates = [Candidate(ident, 0.9 - number / 100, 0.5) for number, ident in enumerate(IDS[1:])]
    candidates[3:12] = [candidate._replace(place="held") for candidate in candidates[3:12]]
    candidates[-2:] = [candidate._replace(place="lifted") for candidate in candidates[-2:]]
    edition = edition_of(tmp_path, items, (EssayLists(IDS[0], 0, (), tuple(candidates), ()),))

    found = edition.recommend(items[0], Rules(), 5)

    assert [place.target for place, _ in found] == [*IDS[1:4], IDS[13], IDS[22]]
    assert tuple(place for place, _ in found) == edition.related(IDS[0], Rules(limit=5)).recommendations


def test_of_an_essay_without_lists_nothing_is_recommended(tmp_path: Path) -> None:
    edition = edition_of(tmp_path, ITEMS, ROWS)

    assert edition.recommend(ITEMS[1], Rules()) == []
    with pytest.raises(UnknownEssay, match="blurb:quern"):
        edition.recommend(ITEMS[4], Rules())


def test_editions_opened_from_several_threads_at_once_give_the_same_lists(tmp_path: Path) -> None:
    expected = edition_of(tmp_path, ITEMS, ROWS).recommend(ITEMS[0], Rules(unlinked=True), 50)
    shared = Edition(tmp_path, {})

    def recommend(number: int) -> bool:
        edition = shared if number % 2 else Edition(tmp_path, {})
        return all(edition.recommend(ITEMS[0], Rules(unlinked=True), 50) == expected for _ in range(10))

    assert len(expected) > 10
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(recommend, range(16)))


def test_the_file_is_open_for_reading_alone(tmp_path: Path) -> None:
    path = tmp_path / LISTS
    write_store(path, ITEMS, ())
    store = ListStore(path)

    opened = [number for number, file in open_files().items() if file == path.resolve()]
    assert store.count_items()
    assert [fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE for number in opened] == [os.O_RDONLY]
