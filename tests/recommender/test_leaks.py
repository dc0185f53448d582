"""A recommender that reads the answers it is judged on is worthless. Each way they could leak has its test."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from corpus.catalogue import Catalogue
from corpus.essay import Blurb, Essay
from corpus.sources import PageOptions, list_pages, read_pages
from recommender import evaluation
from recommender.baselines import most_listed
from recommender.evaluation import PROTOCOLS, Evaluation, evaluate
from recommender.job import BuildOptions, build
from recommender.learning import cross_validate
from recommender.material import Material
from recommender.neighbourhood import Neighbourhood, find_neighbourhood
from recommender.study import study_lists
from recommender.texts import Texts
from tests.fakes import AXES, CountingEncoder, essay
from tests.recommender.materials import gather, lists_of_groups, material_of, quick_bootstrap
from tests.recommender.sites import random_site

EXAMPLES = Path(__file__).parents[2] / "examples"
EACH = 12
"""Essays on each subject: with lists of all of them, enough to learn from."""
IDS = [f"{axis}-{number:02}" for axis in sorted(AXES) for number in range(EACH)]
SOME = {"bread-00": ["clock-01", "map-02"], "bridge-03": ["clock-01"], "map-07": ["bread-05", "map-02"]}
MANY = lists_of_groups(IDS, 5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "bootstrap", quick_bootstrap)


def site(lists: Mapping[str, Sequence[str]], words: str = "", category: str | None = None) -> list[Essay]:
    """Essays, a dozen on each subject, with lists that name these by their titles and show `words` of each."""
    return [
        essay(
            ident,
            _body(*ident.split("-")),
            title=_title(ident),
            standfirst=f"What there is to know of {ident} and of nothing else.",
            published=date(2025, 1, 1 + number % EACH),
            blurbs=[Blurb(ident, n, category, words, title=_title(t)) for n, t in enumerate(lists.get(ident, ()), 1)],
        )
        for number, ident in enumerate(IDS)
    ]


def _title(ident: str) -> str:
    return "On {}, part {}".format(*ident.split("-"))


def _body(axis: str, number: str) -> str:
    other = AXES[int(number) % 4]
    return f"{axis} of the {number}. {axis} again and {other} once, and word{int(number) % 5} besides."


def found_in(catalogue: Catalogue, material: Material) -> Neighbourhood:
    """What a build would publish."""
    study = study_lists(material)
    return find_neighbourhood(material, catalogue, study.pairs, study.lesson)


def judged(catalogue: Catalogue, material: Material) -> Evaluation:
    """What a build would say of itself."""
    study = study_lists(material)
    found = find_neighbourhood(material, catalogue, study.pairs, study.lesson)
    return evaluate(material, found.items, catalogue.report.total, study)


# --- The texts ----------------------------------------------------------------------------------------------------


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


def assert_same(one: Any, other: Any) -> None:
    """Of two matrices, sparse or not."""
    assert (sparse.issparse(one), one.shape) == (sparse.issparse(other), other.shape)
    assert not (one != other).nnz if sparse.issparse(one) else (one == other).all()


@pytest.mark.parametrize("lists", [SOME, MANY], ids=["some", "many"])
def test_lists_change_no_vector_and_nothing_else_that_is_read_of_an_essay(lists: dict[str, list[str]]) -> None:
    _, without = gather(site({}))
    _, material = gather(site(lists, "bread bread clock map bridge", category="Sea"))
    assert {one.category for one in material.essays} >= {"Sea"}, "a category is inferred, and yet no signal"
    for field in fields(Texts):
        if field.name != "vectors":
            assert_same(getattr(material.texts, field.name), getattr(without.texts, field.name))
    assert_same(material.texts.vectors.matrix, without.texts.vectors.matrix)
    for name in ("near", "nearest_scores", "basis", "strengths"):
        assert_same(getattr(material.landscape, name), getattr(without.landscape, name))
    assert material.reader.lexicon.vocabulary == without.reader.lexicon.vocabulary


# --- Cold ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [SOME, MANY], ids=["some", "many"])
def test_cold_lists_are_the_same_whatever_the_lists_say(lists: dict[str, list[str]]) -> None:
    _, material = gather(site(lists, "bread bread clock map bridge", category="Sea"))
    study = study_lists(material)
    cold = dict(evaluation._site_lists(study))["cold"]

    _, without = gather(site({}))
    unlisted = dict(evaluation._site_lists(study_lists(without)))["cold"]
    assert len(cold) == len(IDS)
    assert_same(cold.starts, unlisted.starts)
    assert_same(cold.columns, unlisted.columns)
    assert_same(cold.scores, unlisted.scores)


def judged_cold(lists: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Judged page -> the list of ours that was judged cold."""
    outcomes = judged(*gather(site(lists))).outcomes
    return dict(zip(outcomes.judged, outcomes.runs["cold"]["related"], strict=True))


def test_what_is_judged_cold_is_the_same_whatever_lists_there_are() -> None:
    """Also by what keeps the whole site in balance: it allows more places to what editors list often, and looks at how
    many a page shows."""
    short = {ident: ["map-02"] for ident in IDS if ident != "map-02"}
    long = {ident: [other for other in IDS if other != ident][:12] for ident in short}
    cold = judged_cold(short)
    assert judged_cold(long) == cold
    few = {ident: long[ident] for ident in list(short)[::7]}
    assert judged_cold(few) == {ident: cold[ident] for ident in few}


def test_near_duplicates_that_lists_call_siblings_are_none_where_no_list_is_seen() -> None:
    pairs = [
        essay(f"{side}{n}", f"Text {n} {side}.", standfirst=f"The {n} of five words.")
        for n in range(8)
        for side in "ab"
    ]
    listing = [replace(one, related=(f"b{one.id[1:]}",)) if one.id[0] == "a" else one for one in pairs]
    catalogue, material = gather(listing)
    found = judged(catalogue, material)
    assert {item.twins for item in found_in(catalogue, material).items.values()} == {None}
    assert found.protocols["cold"]["related"]["curated_recall@10"][0] == 0.0, "its own standfirst's other page"


# --- What lists show ----------------------------------------------------------------------------------------------


def figures(words: str) -> dict[str, Any]:
    """All that an evaluation says but how well blurbs find their essays."""
    found = judged(*gather(site(MANY, words))).to_json()
    assert [protocol for protocol in PROTOCOLS if protocol in found] == list(PROTOCOLS)
    del found["details"]["blurbs"]
    return found


def test_the_words_that_a_list_shows_change_no_figure() -> None:
    assert figures("bread bridge") == figures("nothing of the kind")


def test_the_words_that_a_list_shows_change_no_list() -> None:
    telling, silent = (found_in(*gather(site(MANY, words))) for words in ("bread bridge", "nothing of the kind"))
    assert list(telling.lists) == list(silent.lists)
    assert telling.items == silent.items


def test_unmatched_blurbs_change_no_essays_candidates() -> None:
    unknown = Blurb("bread-00", 9, text="A bread, a clock, a map and a bridge that no page is about.")
    pages = site(MANY)
    more = [replace(page, blurbs=(*page.blurbs, unknown)) if page.id == "bread-00" else page for page in pages]
    (plain, first), (catalogue, second) = gather(pages), gather(more)
    assert (len(plain.unmatched), len(catalogue.unmatched)) == (0, 1)
    without, with_it = found_in(plain, first), found_in(catalogue, second)
    assert [entry.candidates for entry in without.lists] == [entry.candidates for entry in with_it.lists]
    assert [entry.unlinked for entry in without.lists] != [entry.unlinked for entry in with_it.lists]


# --- The judged page's own list -----------------------------------------------------------------------------------


@pytest.mark.parametrize("new_page", [False, True], ids=["curated", "new_page"])
def test_another_list_of_the_judged_page_changes_no_list_that_is_made_for_it(new_page: bool) -> None:
    some = random_site(60, 1)
    ids = some.texts.ids
    lists = lists_of_groups(ids, 6)

    def orders(changed: str | None) -> dict[str, list[int]]:
        theirs = lists if changed is None else lists | {changed: [i for i in ids if i != changed][-4:]}
        validation = cross_validate(some.landscape, some.graph(theirs))
        assert validation is not None
        return {ids[r]: columns[np.lexsort((columns, -x))].tolist() for r, columns, x, _ in validation.scored(new_page)}

    before = orders(None)
    moved = 0
    for page in ids[::10]:
        after = orders(page)
        assert after[page] == before[page]
        moved += sum(after[other] != before[other] for other in ids)
    assert moved > 0, "its list does teach of others"


def test_a_new_page_is_judged_without_the_lists_that_name_it() -> None:
    some = random_site(60, 1)
    ids = some.texts.ids
    material = material_of(some, lists_of_groups(ids, 6))
    validation = study_lists(material).validation
    assert validation is not None
    for fold in validation.folds:
        assert not fold.new_pairs.listed.any()
        assert fold.pairs.listed.any()


def test_most_listed_does_not_count_the_judged_list() -> None:
    catalogue, material = gather(site({"bread-00": ["map-03"]}))
    found = most_listed(material, ["bread-00", "bread-01"], catalogue.curated)
    assert found[0][0] == "bread-01"  # nothing is listed elsewhere: id order
    assert found[1][0] == "map-03"
