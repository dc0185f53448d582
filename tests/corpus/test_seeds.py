"""The two real pages. They belong to the site, not to this project: the tests read them where they lie."""

from datetime import date
from pathlib import Path

import pytest

from corpus.dates import looks_like_date
from corpus.essay import Essay
from corpus.sources import PageOptions, list_pages, read_pages
from corpus.text_pages import is_advertisement, is_share_line

FACTS = {
    "000": {
        "title": "The role of international organizations in facilitating trust building and cooperation among states "
        "facing shared security challenges.",
        "category": None,
        "author": None,
        "published": date(2025, 7, 19),
        "reading_minutes": None,
        "paragraphs": 12,
        "headings": 4,
        "blurbs": 20,
    },
    "004": {
        "title": "How international organizations can foster regional integration while respecting diverse domestic "
        "political systems.",
        "category": "International organizations",
        "author": "Anthony Gray",
        "published": date(2025, 8, 11),
        "reading_minutes": 3,
        "paragraphs": 12,
        "headings": 4,
        "blurbs": 12,
    },
}


@pytest.fixture(params=list(FACTS))
def number(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def path(seeds: Path, number: str) -> Path:
    return next(seeds.glob(f"{number}_*.txt"))


@pytest.fixture
def seed(path: Path) -> Essay:
    [page] = read_pages([path], PageOptions())
    assert isinstance(page, Essay)
    return page


def facts_of(essay: Essay) -> dict[str, object]:
    kinds = [block.kind for block in essay.blocks]
    fields = ("title", "category", "author", "published", "reading_minutes")
    return {
        **{name: getattr(essay, name) for name in fields},
        "paragraphs": kinds.count("paragraph"),
        "headings": kinds.count("heading"),
        "blurbs": len(essay.blurbs),
    }


def test_a_seed_has_the_fields_and_counts_that_a_person_reads_on_it(seed: Essay, number: str) -> None:
    assert facts_of(seed) == FACTS[number]


def test_a_seed_has_a_standfirst_of_one_sentence_and_its_file_stem_as_id(seed: Essay, path: Path) -> None:
    assert seed.standfirst is not None
    assert seed.standfirst.startswith("International organizations ")
    assert seed.standfirst.endswith(".")
    assert seed.id == path.stem
    assert seed.url is None


def test_a_seed_is_understood_without_a_remark(seed: Essay) -> None:
    assert seed.remarks == ()


def test_every_block_is_a_line_of_the_seed_to_the_letter_and_in_its_order(seed: Essay, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    places = [lines.index(block.text) for block in seed.blocks]

    assert places == sorted(places)
    assert len(set(places)) == 16


def test_every_line_of_a_seed_is_accounted_for(seed: Essay, path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    body = [block.text for block in seed.blocks]
    listed = [text for blurb in seed.blurbs for text in (blurb.category, blurb.text)]
    markers = [line for line in lines if is_share_line(line) or is_advertisement(line) or looks_like_date(line)]
    header = [seed.title, seed.standfirst, *([seed.category] if seed.category else [])]
    rest = sorted(lines)
    for line in (*body, *listed, *markers, *header):
        rest.remove(line)

    assert [line for line in rest if line != "-" and not line.startswith(("Published ", "August 11, 2025 - "))] == [
        "Related Articles"
    ]


def test_no_button_advertisement_or_date_is_a_block_of_a_seed(seed: Essay) -> None:
    for block in seed.blocks:
        assert not is_share_line(block.text)
        assert not is_advertisement(block.text)
        assert not looks_like_date(block.text)
        assert "Related Articles" not in block.text


def test_no_blurb_of_a_seed_stands_in_its_body(seed: Essay) -> None:
    for blurb in seed.blurbs:
        assert blurb.text is not None
        assert blurb.text not in seed.body


def test_every_blurb_of_a_seed_has_category_text_and_date(seed: Essay, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")

    for position, blurb in enumerate(seed.blurbs, 1):
        assert (blurb.source, blurb.position) == (seed.id, position)
        assert blurb.category == "International organizations"
        assert blurb.text in lines
        assert blurb.published is not None
        assert date(2025, 7, 15) <= blurb.published <= date(2025, 8, 12)


def test_the_two_seeds_list_32_blurbs(seeds: Path) -> None:
    pages = list(read_pages(list_pages([seeds]).files, PageOptions()))

    assert [len(page.blurbs) for page in pages if isinstance(page, Essay)] == [20, 12]
    assert len(pages) == 2
