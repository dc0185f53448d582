"""What is told of every page: by hand on a small site, and in a build."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from corpus.catalogue import Unjoined
from corpus.errors import EditionError
from recommender.edition import OVERVIEW, Edition, open_current
from recommender.job import BuildOptions, build
from recommender.list_store import EssayLists
from recommender.overview import Overview, PageFacts
from recommender.page_facts import hub_limit, write_facts
from recommender.publishing import write_lists
from recommender.ranking import Candidate, Item, Place, Rules
from tests.fakes import AXES, CountingEncoder


def candidates(*scores: tuple[str, float], place: Place = "") -> tuple[Candidate, ...]:
    return tuple(Candidate(ident, score, 0.5, place=place) for ident, score in scores)


ITEMS = (
    *(Item(ident, "essay", f"On {ident}") for ident in "ab"),
    *(Item(ident, "essay", twins="c") for ident in "cd"),
    *(Item(ident, "essay") for ident in "ef"),
    Item("blurb:1", "blurb"),
)
LISTS = (
    EssayLists("a", 3, candidates(("b", 0.8), ("blurb:1", 0.1)), candidates(("b", 0.8), ("d", 0.4), ("f", 0.6)), ()),
    EssayLists("b", 2, candidates(("d", 0.5), ("e", 0.1)), candidates(("a", 0.9), ("c", 0.7), ("d", 0.5)), ()),
    EssayLists("c", 0, (), candidates(("d", 0.9), ("a", 0.3)) + candidates(("b", 0.2), place="held"), ()),
    EssayLists("d", 1, candidates(("a", 0.5)), candidates(("a", 0.5), ("b", 0.25)), candidates(("blurb:1", 0.75))),
    EssayLists("e", 0, (), (), ()),
    EssayLists("f", 0, (), candidates(("a", 0.1)), ()),
)
UNJOINED = {"a": Unjoined(ambiguous=1, unmatched=1)}
BEFORE = {"a": ["f", "d", "b"], "b": ["d", "c"], "c": [], "e": [], "gone": ["a"]}
PLACES = [(number / 10, 1 - number / 10) for number in range(6)]


def overview_of(folder: Path, items: Sequence[Item], lists: Sequence[EssayLists], **more: object) -> Overview:
    write_lists(folder, items, lists)
    write_facts(folder, [(0.0, 0.0)] * len(lists), **more)  # type: ignore[arg-type]
    return Overview(folder / OVERVIEW)


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, PageFacts]:
    write_lists(tmp_path, ITEMS, LISTS)
    write_facts(tmp_path, PLACES, UNJOINED, BEFORE)
    return {page.id: page for page in Overview(tmp_path / OVERVIEW).rows()}


def of(pages: dict[str, PageFacts], *names: str) -> dict[str, tuple[object, ...]]:
    return {ident: tuple(getattr(page, name) for name in names) for ident, page in pages.items()}


def test_pages_are_numbered_in_order_and_keep_their_places(pages: dict[str, PageFacts]) -> None:
    assert list(pages) == list("abcdef")
    assert of(pages, "number", "x", "y")["b"] == (2, 0.1, 0.9)
    assert of(pages, "title", "twins")["a"] == ("On a", None)
    assert of(pages, "title", "twins")["d"] == (None, "c")


def test_a_pages_own_list_is_counted(pages: dict[str, PageFacts]) -> None:
    expected = {"a": (3, 2, 1, 1), "b": (2, 2, 0, 0), "c": (0, 0, 0, 0), "d": (1, 1, 0, 0)}
    assert {i: of(pages, "list_length", "curated", "ambiguous", "unmatched")[i] for i in "abcd"} == expected


def test_suggestions_are_what_the_model_could_show_and_strength_its_lists_mean_score(
    pages: dict[str, PageFacts],
) -> None:
    expected = {"a": (3, 0.6), "b": (2, 0.8), "c": (1, 0.3), "d": (2, 0.5), "e": (0, 0.0), "f": (1, 0.1)}
    assert {ident: (n, round(float(s), 6)) for ident, (n, s) in of(pages, "suggestions", "strength").items()} == (  # type: ignore[arg-type]
        expected
    )


def test_the_own_list_is_set_beside_as_many_of_the_models(pages: dict[str, PageFacts]) -> None:
    assert of(pages, "kept", "new", "lost") == {
        "a": (1, 0, 0),  # the blurb is no page, and b is the model's first
        "b": (0, 2, 2),
        "c": (0, 0, 0),
        "d": (1, 0, 0),
        "e": (0, 0, 0),
        "f": (0, 0, 0),
    }


def test_links_are_counted_in_lists_as_they_are_shown(pages: dict[str, PageFacts], tmp_path: Path) -> None:
    expected = {"a": (3, 1), "b": (1, 1), "c": (0, 0), "d": (2, 1), "e": (1, 1), "f": (1, 0)}
    assert of(pages, "links_in", "listed_by") == expected
    assert {ident for ident, page in pages.items() if page.orphan} == {"c"}
    overview, edition = Overview(tmp_path / OVERVIEW), Edition(tmp_path, {})
    shown_by = {ident: set(overview.shown_by(ident)) for ident in pages}
    assert shown_by == {"a": {"c", "d", "f"}, "b": {"a"}, "c": set(), "d": {"a", "b"}, "e": {"b"}, "f": {"a"}}
    for source in pages:
        shown = {place.target for place, _ in edition.recommend(edition.find(source), Rules())}
        assert shown == {target for target, sources in shown_by.items() if source in sources}


def test_a_list_is_compared_with_the_last_editions(pages: dict[str, PageFacts]) -> None:
    overlaps = {ident: page.overlap_before for ident, page in pages.items()}
    assert overlaps == {"a": 1.0, "b": 0.5, "c": 0.0, "d": None, "e": 1.0, "f": None}


def test_without_a_last_edition_nothing_has_changed(tmp_path: Path) -> None:
    pages = list(overview_of(tmp_path, ITEMS, LISTS).rows())
    assert {page.overlap_before for page in pages} == {None}
    assert pages[1].worth == 0.5  # what is lost


def test_worth_adds_up_what_an_editor_would_look_at(pages: dict[str, PageFacts]) -> None:
    worth = {ident: round(page.worth, 4) for ident, page in pages.items()}
    assert worth == {
        "a": round(2 / 3, 4),  # two of three entries unjoined
        "b": 0.5 + 0.5,  # half changed, all lost
        "c": round(11 / 12 + 0.25 + 1.0 + 0.5 + 0.25, 4),  # few, a quarter below the median, changed, orphan, a twin
        "d": 0.25,
        "e": 2.0,  # no list at all: few and weak
        "f": round(11 / 12 + 0.75, 4),
    }


@pytest.mark.parametrize(
    ("essays", "links", "limit"), [(0, 0, 12), (6, 60, 12), (100, 900, 12), (1000, 5000, 20), (1000, 20_000, 50)]
)
def test_a_hub_has_many_times_the_average_or_a_large_share_but_more_than_a_lists_length(
    essays: int, links: int, limit: float
) -> None:
    assert hub_limit(essays, links) == limit


@pytest.mark.parametrize(("showing", "hub"), [(12, False), (13, True)])
def test_what_too_many_lists_show_is_a_hub(showing: int, hub: bool, tmp_path: Path) -> None:
    ids = ["much-shown", *(f"p{number:02}" for number in range(15))]
    lists = [
        EssayLists(ident, 0, (), candidates(("much-shown" if number else "p00", 0.5)) if number <= showing else (), ())
        for number, ident in enumerate(ids)
    ]
    pages = list(overview_of(tmp_path, [Item(ident, "essay") for ident in ids], lists).rows())
    assert [page.id for page in pages if page.hub] == (["much-shown"] if hub else [])
    assert pages[0].links_in == showing


def test_what_the_model_lifts_into_its_list_counts_as_the_models(tmp_path: Path) -> None:
    ids = [f"p{number}" for number in range(9)]
    offered = candidates(*((ident, 0.9 - number / 10) for number, ident in enumerate(ids[1:8])))
    lifted = candidates((ids[8], 0.1), place="lifted")
    own = candidates(*((ident, 0.5) for ident in (*ids[1:5], ids[8])))
    lists = [EssayLists(ids[0], 5, own, offered + lifted, ()), *(EssayLists(i, 0, (), (), ()) for i in ids[1:])]
    first = next(overview_of(tmp_path, [Item(ident, "essay") for ident in ids], lists).rows())
    assert (first.kept, first.new, first.lost, first.suggestions) == (5, 0, 0, 8)
    assert first.strength == pytest.approx((0.9 + 0.8 + 0.7 + 0.6 + 0.1) / 5)


# --- In a build ---------------------------------------------------------------------------------------------------


def write_site(path: Path, essays: int = 8, body: str = "stands here") -> Path:
    """Essays of four subjects as JSONL, each listing the next of its own and somebody unknown."""
    records = [
        {
            "id": f"e{number}",
            "title": f"Number {number}",
            "body": f"The {AXES[number % 4]} of number {number} {body}. "
            + " ".join(f"w{number}x{i}" for i in range(30)),
            "related": [f"e{(number + 4) % essays}", f"nobody-{number}"],
        }
        for number in range(essays)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


class Watching:
    """Keeps how many items of each stage were done."""

    def __init__(self) -> None:
        self.done: dict[str, tuple[int, int]] = {}

    def stage(self, name: str, total: int):  # type: ignore[no-untyped-def]
        def progress(done: int) -> None:
            self.done[name] = (self.done.get(name, (0, 0))[0] + done, total)

        return progress


def test_a_build_writes_what_the_desk_knows_of_every_page(tmp_path: Path) -> None:
    watch = Watching()
    site, home = write_site(tmp_path / "site.jsonl"), tmp_path / "home"
    report = build([site], home, CountingEncoder(), BuildOptions(), watch)
    edition = open_current(home)
    pages = list(edition.overview.rows())
    assert edition.overview is edition.overview
    assert [(page.id, page.list_length, page.unmatched, page.listed_by) for page in pages] == [
        (f"e{number}", 2, 1, 1) for number in range(8)
    ]
    assert {page.overlap_before for page in pages} == {None}
    assert all(0 <= page.x <= 1 and 0 <= page.y <= 1 for page in pages)
    assert len({(page.x, page.y) for page in pages}) == 8
    assert watch.done["drawing the map"] == (8, 8)
    assert "overview" in report.seconds
    links = sum(len(edition.recommend(edition.find(page.id), Rules())) for page in pages)
    assert sum(page.links_in for page in pages) == links == sum(len(edition.overview.shown_by(p.id)) for p in pages)


def test_a_build_without_a_change_copies_it_and_the_next_compares_with_it(tmp_path: Path) -> None:
    site, home = write_site(tmp_path / "site.jsonl"), tmp_path / "home"

    def written() -> bytes:
        build([site], home, CountingEncoder(), BuildOptions())
        return (open_current(home).folder / OVERVIEW).read_bytes()

    assert written() == written()
    write_site(site, body="stands there")
    written()
    assert {page.overlap_before for page in open_current(home).overview.rows()} == {1.0}


def test_a_damaged_overview_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    build([write_site(tmp_path / "site.jsonl")], home, CountingEncoder(), BuildOptions())
    path = open_current(home).folder / OVERVIEW
    path.write_bytes(path.read_bytes().replace(b"Number 1", b"Number 9"))
    edition = open_current(home)  # the website does without
    with pytest.raises(EditionError, match=r"overview\.sqlite3 is not what was written"):
        _ = edition.overview


def test_an_edition_of_one_essay_has_an_overview(tmp_path: Path) -> None:
    build([write_site(tmp_path / "site.jsonl", 1)], tmp_path / "home", CountingEncoder(), BuildOptions())
    (page,) = open_current(tmp_path / "home").overview.rows()
    assert (page.x, page.y, page.suggestions, page.orphan, page.hub) == (0.5, 0.5, 0, True, False)
