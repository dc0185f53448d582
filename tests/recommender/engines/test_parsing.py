"""Pages parsed in parts: what is read afterwards is what would have been read without."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.errors import EngineError, RelatedArticlesError
from corpus.essay import Essay, PageProblem
from corpus.page_cache import PageCache, open_page_cache
from corpus.sources import PageOptions, list_pages, read_pages
from recommender.engines import parsing
from recommender.engines.parsing import parse_in_parts
from recommender.watch import Counting, Unwatched
from tests.recommender.engines.elsewhere import Elsewhere, Stopped, workers_at

EXAMPLES = Path(__file__).parents[3] / "examples"
OPTIONS = PageOptions()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[PageCache]:
    with open_page_cache(tmp_path / "pages.sqlite3") as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> list[Path]:
    """Twenty pages, two of one id and equal, one empty, one not there any more, one record, one of no known kind."""
    folder = tmp_path / "site"
    folder.mkdir()
    for number in range(20):
        (folder / f"page{number:02}.md").write_text(f"# Page {number}\n\nBread of {number} days.\n")
    (folder / "more").mkdir()
    (folder / "more" / "page00.md").write_text((folder / "page00.md").read_text())
    (folder / "empty.txt").write_text("")
    (folder / "records.jsonl").write_text('{"id": "clock", "body": "A clock."}\n')
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return [*list_pages([folder]).files, folder / "picture.png", folder / "gone.md"]


def parse(
    files: list[Path], cache: PageCache, tmp_path: Path, engine: Elsewhere, options: PageOptions = OPTIONS
) -> Counting:
    counting = Counting(Unwatched())
    parse_in_parts(files, options, cache, workers_at(tmp_path, engine), counting)
    return counting


def test_pages_are_the_same_and_none_of_them_is_parsed_again(
    site: list[Path], cache: PageCache, tmp_path: Path
) -> None:
    expected = list(read_pages(site, OPTIONS))
    engine = Elsewhere()

    counting = parse(site, cache, tmp_path, engine)
    parsed = cache.parsed
    found = list(read_pages(site, OPTIONS, cache=cache))

    assert found == expected
    assert [page.source for page in found] == [page.source for page in expected]
    assert [page.remarks for page in found if isinstance(page, Essay)] == [
        page.remarks for page in expected if isinstance(page, Essay)
    ]
    assert (parsed, cache.parsed) == (21, 22), "20 pages and an empty one; what is no page is left to the reader"
    assert counting.done == {"parsing, in parts": len(engine.made)}
    assert len(engine.made) == 3


def test_pages_that_were_parsed_before_are_not_sent(site: list[Path], cache: PageCache, tmp_path: Path) -> None:
    parse(site, cache, tmp_path, Elsewhere())
    site[3].write_text("# Page 3\n\nBread of today.\n")
    engine = Elsewhere()

    parse(site, cache, tmp_path, engine)

    assert len(engine.made) == 1
    assert cache.parsed == 22


def test_a_driver_that_was_killed_goes_on_from_the_parts_that_are_there(
    site: list[Path], cache: PageCache, tmp_path: Path
) -> None:
    first, second = Elsewhere(limit=2), Elsewhere()
    with pytest.raises(Stopped):
        parse(site, cache, tmp_path, first)

    parse(site, cache, tmp_path, second)

    assert (len(first.made), len(second.made)) == (2, 1)
    assert list(read_pages(site, OPTIONS, cache=cache)) == list(read_pages(site, OPTIONS))


def test_a_page_that_trips_its_parser_stops_no_other_and_is_told_by_the_reader(
    site: list[Path], cache: PageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = parsing.parse_page

    def trips_on_page_3(*given: object) -> object:
        if given[1].ident == "page03":  # type: ignore[attr-defined]
            raise RecursionError("too deep")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(parsing, "parse_page", trips_on_page_3)
    monkeypatch.setattr("corpus.sources.parse_page", trips_on_page_3)

    parse(site, cache, tmp_path, Elsewhere())
    found = list(read_pages(site, OPTIONS, cache=cache))

    assert sum(isinstance(page, Essay) for page in found) == 20  # of 21
    assert [page.source for page in found if isinstance(page, PageProblem) and "too deep" in page.reason] == [
        str(site[0].parent / "page03.md")
    ]


def test_a_selector_that_is_none_ends_the_build_with_its_sentence(tmp_path: Path, cache: PageCache) -> None:
    page = tmp_path / "bread.html"
    page.write_text("<html><body><article><h1>Bread</h1><p>It rises.</p></article></body></html>")

    with pytest.raises(RelatedArticlesError, match=r"the selector .* is no CSS selector"):
        parse([page], cache, tmp_path, Elsewhere(), replace(OPTIONS, related_selector="[["))


def test_a_worker_with_other_libraries_refuses(
    site: list[Path], cache: PageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = iter([b"mine", b"mine", b"mine", b"another"])
    monkeypatch.setattr(parsing, "parse_policy", lambda: next(policies))

    with pytest.raises(EngineError, match=r"a worker would parse otherwise.*install the same on every machine"):
        parse(site, cache, tmp_path, Elsewhere())


@pytest.mark.parametrize("spoil", [lambda data: data[:100], lambda data: data.replace(b'"page', b'"Page', 1)])
def test_what_a_killed_driver_left_damaged_is_written_again_before_a_worker_reads_it(
    site: list[Path], cache: PageCache, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(Stopped):
        parse(site, cache, tmp_path, Elsewhere(limit=0))
    damaged = {path: path.read_bytes() for path in (tmp_path / "parts").glob("given-*")}
    for path, whole in damaged.items():
        path.write_bytes(spoil(whole))

    parse(site, cache, tmp_path, Elsewhere())

    assert {path: path.read_bytes() for path in damaged} == damaged
    assert list(read_pages(site, OPTIONS, cache=cache)) == list(read_pages(site, OPTIONS))


def test_a_part_that_is_damaged_is_removed_and_made_again_by_the_next_run(
    site: list[Path], cache: PageCache, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        parse(site, cache, tmp_path, Elsewhere(limit=2))
    damaged = sorted((tmp_path / "parts").glob("parse-*"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-9] + bytes(9))

    with pytest.raises(EngineError, match=f"^{damaged.name} was damaged and is removed: run this again$"):
        parse(site, cache, tmp_path, Elsewhere())

    again = Elsewhere()
    parse(site, cache, tmp_path, again)
    assert [Path(part.out) for part in again.made] == [damaged]
