"""A recommender that reads the answers it is judged on is worthless. Each way they could leak has its test."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from corpus.catalogue import Catalogue, build_catalogue
from corpus.essay import Blurb, Essay
from corpus.sources import PageOptions, list_pages, read_pages
from embeddings.cache import open_cache
from recommender.baselines import most_listed
from recommender.evaluation import evaluate
from recommender.job import BuildOptions, build
from recommender.material import Material, encode_catalogue
from recommender.neighbourhood import find_neighbourhood
from recommender.watch import Unwatched
from tests.fakes import AXES, CountingEncoder, essay

EXAMPLES = Path(__file__).parents[2] / "examples"


def gather(catalogue: Catalogue, folder: Path) -> Material:
    """The material of a catalogue, by the fake encoder."""
    encoder = CountingEncoder(window=64)
    with open_cache(folder / "vectors.sqlite3", encoder.fingerprint) as cache:
        return Material.gather(catalogue, encode_catalogue(catalogue, encoder, cache, Unwatched()), encoder.fingerprint)


def site(lists: dict[str, Sequence[Blurb]]) -> list[Essay]:
    """Sixteen essays, four on each subject, with these lists."""
    return [
        essay(
            f"{axis}-{number}",
            f"{axis} of the {number}. {axis} again and {AXES[number]} once.",
            title=f"On {axis}, part {number}",
            standfirst=f"What there is to know of {axis} number {number} and of nothing else.",
            published=date(2025, 1, 1 + number),
            blurbs=tuple(lists.get(f"{axis}-{number}", ())),
        )
        for axis in AXES
        for number in range(4)
    ]


def blurbs_for(source: str, targets: Sequence[str], words: str = "") -> list[Blurb]:
    """A list that names the targets by their titles, showing `words` of them."""
    return [
        Blurb(source, position, text=words, title=f"On {t.split('-')[0]}, part {t.split('-')[1]}")
        for position, t in enumerate(targets, 1)
    ]


def cold_lists(essays: Sequence[Essay], folder: Path) -> list[list[str]]:
    """What evaluation ranks for each essay."""
    folder.mkdir()
    catalogue = build_catalogue(essays)
    material = gather(catalogue, folder)
    cold = replace(material, items=material.cold_items)
    return [[s.id for s in row] for row in find_neighbourhood(cold, catalogue, lambda done: None).scored]


@pytest.mark.parametrize("kind", ["text", "html", "markdown"])
def test_no_blurb_of_a_page_reaches_a_passage_of_it(kind: str, tmp_path: Path) -> None:
    encoder = CountingEncoder(window=10_000)
    pages = list(read_pages(list_pages([EXAMPLES / kind]).files, PageOptions()))
    essays = [page for page in pages if isinstance(page, Essay)]
    shown = {blurb.text or blurb.title for page in essays for blurb in page.blurbs}
    build([EXAMPLES / kind], tmp_path, encoder, BuildOptions())
    passages = [text for text in encoder.texts if "\n" in text]
    assert len(passages) == len(essays), "with so wide a window an essay is one passage"
    assert len(shown) > 3
    assert not [words for words in shown if words and any(words in passage for passage in passages)]


def test_cold_candidates_are_the_same_whatever_the_lists_say(tmp_path: Path) -> None:
    without = cold_lists(site({}), tmp_path / "without")
    lists = {"bread-0": blurbs_for("bread-0", ["clock-1", "map-2"], "bread bread clock map bridge")}
    assert cold_lists(site(lists), tmp_path / "with") == without


def test_words_of_a_list_do_reach_the_vectors_that_are_served(tmp_path: Path) -> None:
    """So that the test above could fail: the same list does change what is not cold."""
    lists = {"bread-0": blurbs_for("bread-0", ["clock-1", "map-2"], "bread bread clock map bridge")}
    material = gather(build_catalogue(site(lists)), tmp_path)
    rows = dict(zip(material.items.vectors.ids, range(16), strict=True))
    changed = {
        i for i, row in rows.items() if (material.items.vectors.matrix != material.cold_items.vectors.matrix)[row].any()
    }
    assert changed == {"clock-1", "map-2"}


def test_our_figures_are_the_same_whatever_words_the_judged_lists_show(tmp_path: Path) -> None:
    def figures(words: str, folder: Path) -> object:
        lists = {source: blurbs_for(source, ["clock-1", "map-2"], words) for source in ("bread-0", "bridge-3")}
        folder.mkdir()
        catalogue = build_catalogue(site(lists))
        material = gather(catalogue, folder)
        items = find_neighbourhood(material, catalogue, lambda done: None).items
        return evaluate(material, catalogue.curated, items, entries=4).systems

    assert figures("bread bridge", tmp_path / "telling") == figures("nothing of the kind", tmp_path / "silent")


def test_most_listed_does_not_count_the_judged_list(tmp_path: Path) -> None:
    catalogue = build_catalogue(site({"bread-0": blurbs_for("bread-0", ["map-3"])}))
    material = gather(catalogue, tmp_path)
    found = most_listed(material, ["bread-0", "bread-1"], catalogue.curated)
    assert found[0][0] == "bread-1"  # nothing is listed elsewhere: id order
    assert found[1][0] == "map-3"


def test_unmatched_blurbs_change_no_essays_candidates(tmp_path: Path) -> None:
    unknown = Blurb("bread-0", 1, text="A bread, a clock, a map and a bridge that no page is about.")
    with_items = site({"bread-0": [unknown]})
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, more = build_catalogue(site({})), build_catalogue(with_items)
    assert len(more.unmatched) == 1
    first = find_neighbourhood(gather(plain, tmp_path / "a"), plain, lambda done: None)
    second = find_neighbourhood(gather(more, tmp_path / "b"), more, lambda done: None)
    assert [entry.candidates for entry in first.lists] == [entry.candidates for entry in second.lists]
    assert [entry.unlinked for entry in first.lists] != [entry.unlinked for entry in second.lists]
