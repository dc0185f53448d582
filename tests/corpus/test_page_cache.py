"""Pages that were parsed before: what the cache gives is what parsing gives, or nothing."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import page_cache
from corpus.errors import CacheError
from corpus.essay import Block, Blurb, Essay, PageProblem
from corpus.page_cache import KEPT_RUNS, PageCache, open_page_cache
from corpus.sources import PageOptions, list_pages, read_pages
from tests.corpus.pages import HTML, LAYOUT_A, LAYOUT_B, MARKDOWN, RECORDS
from tests.corpus.test_hostile_pages import PAGES, encoded, fuzz, mutations, soup

ROOT = Path(__file__).parents[2]
OPTIONS = PageOptions()
KINDS = {"a.txt": LAYOUT_A, "b.txt": LAYOUT_B, "c.html": HTML, "d.md": MARKDOWN}


def in_full(pages: list[Essay | PageProblem]) -> list[dict[str, object]]:
    """Every field, also those that do not count when two essays are compared."""
    return [{field.name: getattr(page, field.name) for field in fields(page)} for page in pages]


def read(place: Path, *sources: Path, options: PageOptions = OPTIONS) -> tuple[list[Essay | PageProblem], int, int]:
    """The pages, how many of them came from the cache, and how many were parsed."""
    with open_page_cache(place) as cache:
        pages = list(read_pages(list_pages(sources).files, options, cache=cache))
        cache.end_run()
        return pages, cache.reused, cache.parsed


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "pages.sqlite3"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    for name, text in KINDS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no page is decoded or parsed."""
    monkeypatch.setattr("corpus.sources.parse_page", lambda *given: pytest.fail("parsed once more"))


# --- What is found is what parsing gives --------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["examples", "tests/corpus/golden"])
def test_real_pages_come_back_field_by_field(folder: str, place: Path) -> None:
    plainly = list(read_pages(list_pages([ROOT / folder]).files, OPTIONS))

    first, _, parsed = read(place, ROOT / folder)
    second, reused, again = read(place, ROOT / folder)

    assert in_full(first) == in_full(second) == in_full(plainly)
    assert (reused, again) == (parsed, 0)
    assert parsed > 10


every_parsed_kind = pytest.mark.parametrize("ending", [ending for ending in PAGES if "jsonl" not in ending])


@every_parsed_kind
@fuzz
@given(data=st.data())
def test_hostile_pages_come_back_field_by_field(
    tmp_path_factory: pytest.TempPathFactory, ending: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    spoiled = data.draw(mutations(PAGES[ending]) | soup.map(encoded))
    (folder / f"page{ending}").write_bytes(spoiled)
    place = folder / "cache" / "pages.sqlite3"

    first, _, parsed = read(place, folder)
    second, reused, again = read(place, folder)

    assert in_full(second) == in_full(first)
    assert (reused, again) == (parsed, 0)


texts = st.text(st.characters(codec=None), max_size=8)
maybe = st.none() | texts
essays = st.builds(
    Essay,
    id=texts,
    title=maybe,
    standfirst=maybe,
    url=maybe,
    published=st.none() | st.dates(),
    reading_minutes=st.none() | st.integers(),
    blocks=st.lists(st.builds(Block, st.sampled_from(["heading", "paragraph"]), texts)).map(tuple),
    blurbs=st.lists(st.builds(Blurb, texts, st.integers(), maybe, maybe, st.none() | st.dates(), maybe)).map(tuple),
    related=st.lists(texts).map(tuple),
    links=st.lists(texts).map(tuple),
    source=st.just("here.txt"),
    category_inferred=st.booleans(),
    remarks=st.lists(texts).map(tuple),
)
problems = st.builds(PageProblem, st.just("here.txt"), texts)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageCache]:
    with open_page_cache(tmp_path_factory.mktemp("any") / "pages.sqlite3") as opened:
        yield opened


@given(page=essays | problems, name=st.binary())
def test_any_essay_or_problem_comes_back(cache: PageCache, page: Essay | PageProblem, name: bytes) -> None:
    key = cache.key(name)
    cache.put(key, page)
    cache.flush()

    found = cache.get(key, "here.txt")

    assert found is not None
    assert in_full([found]) == in_full([page])


def test_an_unchanged_file_is_not_parsed_again(place: Path, site: Path, request: pytest.FixtureRequest) -> None:
    first, _, parsed = read(place, site)
    assert parsed == len(KINDS)
    request.getfixturevalue("no_parser")

    assert in_full(read(place, site)[0]) == in_full(first)


def test_a_page_is_found_wherever_its_file_lies_and_says_where_it_was_read(
    place: Path, site: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first, _, _ = read(place, site)
    site.rename(tmp_path / "moved")
    request.getfixturevalue("no_parser")

    moved, _, _ = read(place, tmp_path / "moved")

    assert moved == [
        replace(page, source=str(tmp_path / "moved" / name)) for page, name in zip(first, KINDS, strict=True)
    ]


# --- What makes a page be parsed again ----------------------------------------------------------------------------


def change_content(site: Path, patch: pytest.MonkeyPatch) -> PageOptions:
    (site / "a.txt").write_text(LAYOUT_A.replace("blink", "wink"), encoding="utf-8")
    return OPTIONS


def change_name(site: Path, patch: pytest.MonkeyPatch) -> PageOptions:
    (site / "a.txt").rename(site / "aa.txt")  # a page without an address is named by its file
    return OPTIONS


def change_kind(site: Path, patch: pytest.MonkeyPatch) -> PageOptions:
    (site / "a.txt").rename(site / "a.md")
    return OPTIONS


def change_options(site: Path, patch: pytest.MonkeyPatch) -> PageOptions:
    return PageOptions(related_selector="aside")


def change_libraries(site: Path, patch: pytest.MonkeyPatch) -> PageOptions:
    patch.setattr("importlib.metadata.version", lambda name: "0.0" if name == "trafilatura" else "1.0")
    return OPTIONS


def change_python(site: Path, patch: pytest.MonkeyPatch) -> PageOptions:
    patch.setattr("sys.version", "4.0")
    return OPTIONS


Change = Callable[[Path, pytest.MonkeyPatch], PageOptions]


@pytest.mark.parametrize(
    ("change", "parsed"),
    [
        (change_content, 1),
        (change_name, 1),
        (change_kind, 1),
        (change_options, 4),
        (change_libraries, 4),
        (change_python, 4),
    ],
)
def test_a_change_of_what_the_parse_depends_on_is_noticed(
    change: Change, parsed: int, place: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(place, site)
    options = change(site, monkeypatch)

    pages, reused, again = read(place, site, options=options)

    assert (reused, again) == (len(KINDS) - parsed, parsed)
    assert in_full(pages) == in_full(list(read_pages(list_pages([site]).files, options)))


def test_the_code_of_the_parsers_is_part_of_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parser.py").write_text("# one", encoding="utf-8")
    monkeypatch.setattr(page_cache, "__file__", str(tmp_path / "page_cache.py"))
    keys = []
    for code in ("# one", "# two", "# two"):
        (tmp_path / "parser.py").write_text(code, encoding="utf-8")
        with open_page_cache(tmp_path / "cache" / "pages.sqlite3") as cache:
            keys.append(cache.key(b"bytes", "html"))

    assert keys[0] != keys[1] == keys[2]


# --- What is not kept ---------------------------------------------------------------------------------------------


def test_a_page_that_cannot_become_an_essay_is_kept_as_the_problem_that_it_is(place: Path, site: Path) -> None:
    (site / "bad.txt").write_bytes(b"\x00\x01\x02")

    for reused, parsed in ((0, 5), (5, 0)):
        pages, *counts = read(place, site)
        assert PageProblem(str(site / "bad.txt"), "binary data, not text") in pages
        assert counts == [reused, parsed]


def test_what_could_not_be_read_for_a_reason_of_the_moment_is_not_kept(
    place: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    with open_page_cache(place) as cache, monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        failed = list(read_pages(list_pages([site]).files, OPTIONS, cache=cache))
    assert {page.reason for page in failed if isinstance(page, PageProblem)} == {"cannot be read: Input/output error"}

    pages, reused, parsed = read(place, site)

    assert (reused, parsed) == (0, 4)
    assert all(isinstance(page, Essay) for page in pages)


def test_neither_a_parser_that_trips_nor_a_page_that_is_too_large_is_kept(
    place: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("corpus.html_pages.parse_html_page", lambda *given: 1 / 0)
        _, reused, parsed = read(place, site, options=PageOptions(max_page_bytes=len(LAYOUT_B.encode())))
    kept = sum(len(text.encode()) <= len(LAYOUT_B.encode()) for text in (LAYOUT_A, LAYOUT_B, MARKDOWN))
    assert (reused, parsed) == (0, kept)

    assert read(place, site)[1:] == (kept, 4 - kept)


def test_records_pass_the_cache_by(place: Path, tmp_path: Path) -> None:
    (tmp_path / "site.jsonl").write_text(RECORDS, encoding="utf-8")

    pages, reused, parsed = read(place, tmp_path / "site.jsonl")

    assert pages
    assert (reused, parsed) == (0, 0)


def rows(place: Path) -> int:
    db = sqlite3.connect(place)
    counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("pages", "used")]  # noqa: S608
    db.close()
    assert counts[0] == counts[1]
    return int(counts[0])


def test_a_page_that_the_last_builds_did_not_read_is_dropped(place: Path, site: Path) -> None:
    read(place, site)
    (site / "a.txt").unlink()
    for number in range(KEPT_RUNS):
        assert rows(place) == 4, number
        read(place, site)

    assert rows(place) == 3
    (site / "a.txt").write_text(LAYOUT_A, encoding="utf-8")
    assert read(place, site)[1:] == (3, 1)


def test_what_a_killed_build_had_parsed_is_kept_but_for_the_last_few(place: Path) -> None:
    cache = PageCache(place)
    problem = PageProblem("", "it is none")
    keys = [cache.key(str(number).encode()) for number in range(150)]
    for key in keys:
        cache.put(key, problem)
    del cache  # neither closed nor flushed

    with open_page_cache(place) as after:
        assert sum(after.get(key, "") is not None for key in keys) == 128


# --- Damage -------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=3))
def test_a_flipped_bit_never_gives_another_page(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    (folder / "site").mkdir()
    for name, text in KINDS.items():
        (folder / "site" / name).write_text(text, encoding="utf-8")
    place = folder / "pages.sqlite3"
    first, _, _ = read(place, folder / "site")
    data = bytearray(place.read_bytes())
    for where, bit in flips:
        data[int(where * len(data))] ^= 1 << bit
    place.write_bytes(data)

    second, _, _ = read(place, folder / "site")
    third, _, _ = read(place, folder / "site")

    assert in_full(first) == in_full(second) == in_full(third)


def test_a_changed_row_is_parsed_again_and_mended(place: Path, site: Path) -> None:
    first, _, _ = read(place, site)
    db = sqlite3.connect(place)
    with db:
        db.execute("UPDATE pages SET page = CAST(replace(CAST(page AS TEXT), 'lighthouse', 'lightHouse') AS BLOB)")
    db.close()

    pages, reused, parsed = read(place, site)

    assert in_full(pages) == in_full(first)
    assert (reused, parsed) == (0, 4)
    assert read(place, site)[1:] == (4, 0)


def test_a_row_of_another_page_is_not_taken_for_this_ones(place: Path, site: Path) -> None:
    first, _, _ = read(place, site)
    db = sqlite3.connect(place)
    with db:
        db.execute("UPDATE pages SET page = (SELECT page FROM pages ORDER BY key LIMIT 1)")
    db.close()

    pages, reused, _ = read(place, site)

    assert in_full(pages) == in_full(first)
    assert reused == 1


@pytest.mark.parametrize("content", ["no database", "another version"])
def test_a_file_of_another_make_is_set_aside_and_begun_anew(content: str, place: Path, site: Path) -> None:
    place.parent.mkdir()
    if content == "no database":
        place.write_bytes(b"nothing that SQLite ever wrote" * 100)
    else:
        db = sqlite3.connect(place)
        db.executescript("CREATE TABLE pages (other TEXT); PRAGMA user_version = 7")
        db.close()
    before = place.read_bytes()

    assert read(place, site)[1:] == (0, 4)
    assert read(place, site)[1:] == (4, 0)
    assert (place.parent / "pages.sqlite3.damaged").read_bytes() == before


def test_a_file_that_is_damaged_further_down_is_set_aside_in_the_midst_of_reading(place: Path, site: Path) -> None:
    for number in range(40):
        (site / f"{number}.txt").write_text(LAYOUT_A, encoding="utf-8")
    read(place, site)
    data = place.read_bytes()
    place.write_bytes(data[:4096] + os.urandom(len(data) - 4096))  # the schema is good, what it points at is not

    pages, reused, parsed = read(place, site)

    assert all(isinstance(page, Essay) for page in pages)
    assert (reused, parsed) == (0, 44)
    assert (place.parent / "pages.sqlite3.damaged").exists()
    assert read(place, site)[1:] == (44, 0)


def test_a_file_that_another_process_holds_is_refused_with_a_way_out(
    place: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(place, site)
    holder = sqlite3.connect(place)
    holder.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0))
    (site / "new.txt").write_text(LAYOUT_A, encoding="utf-8")

    with pytest.raises(CacheError, match=r"^the page cache .* \(database is locked\); another process holds it: wait"):
        read(place, site)
    holder.close()
    assert not list(place.parent.glob("*.damaged"))
