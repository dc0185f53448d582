"""What a site could do without this project, computed by hand on a tiny one."""

from collections import Counter
from datetime import date

import bm25s
import numpy as np
import pytest

from corpus.essay import Essay
from recommender import baselines
from recommender.baselines import (
    BASELINES,
    DEPTH,
    bm25,
    dense,
    most_listed,
    newest_in_category,
    random_in_category,
    random_order,
    tfidf,
)
from recommender.lexical import whole_text
from recommender.material import Material
from tests.fakes import essay
from tests.recommender.materials import gather

BODIES = {
    "a": "Bread rises. Bread bakes in the oven.",
    "b": "Bread and a clock by the oven.",
    "c": "The clock strikes. A clock ticks.",
    "d": "A map of the coast and a bridge.",
    "e": "The bridge over the river, and bread.",
}
CATEGORIES = {"a": "Kitchen", "b": "Kitchen", "c": "Time", "d": None, "e": "Kitchen"}
DAYS = {"a": 3, "b": 1, "c": 5, "d": None, "e": 2}


def site() -> list[Essay]:
    return [
        essay(
            ident,
            BODIES[ident],
            category=CATEGORIES[ident],
            published=date(2025, 5, day) if (day := DAYS[ident]) else None,
        )
        for ident in BODIES
    ]


@pytest.fixture
def tiny() -> Material:
    return gather(site())[1]


@pytest.fixture
def larger() -> Material:
    """Seventy essays of words drawn from thirty, some of them twins."""
    rng = np.random.default_rng(4)
    words = [f"word{number}" for number in range(30)]
    bodies = [" ".join(rng.choice(words, 40)) for _ in range(68)]
    return gather([essay(f"e{n:02}", body) for n, body in enumerate([*bodies, bodies[3], bodies[3]])])[1]


# --- Every baseline -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(BASELINES))
def test_every_baseline_gives_each_judged_essay_its_fifty_best_without_itself(name: str, larger: Material) -> None:
    ids = [member.id for member in larger.essays]
    judged = ["e69", "e00", "e03"]

    lists = BASELINES[name](larger, judged, {"e00": ["e01"]})

    assert len(lists) == 3
    for own, found in zip(judged, lists, strict=True):
        assert len(found) == len(set(found)) == DEPTH
        assert own not in found
        assert set(found) <= set(ids)


@pytest.mark.parametrize("name", list(BASELINES))
def test_every_baseline_gives_the_same_lists_each_time_and_all_others_on_a_small_site(
    name: str, tiny: Material
) -> None:
    lists = BASELINES[name](tiny, list(BODIES), {})

    assert [sorted(found) for found in lists] == [[other for other in BODIES if other != own] for own in BODIES]
    assert BASELINES[name](tiny, list(BODIES), {}) == lists


# --- By hand ------------------------------------------------------------------------------------------------------


def test_the_newest_of_the_category_come_first_then_the_newest_others(tiny: Material) -> None:
    assert newest_in_category(tiny, ["a", "b", "c"], {}) == [
        ["e", "b", "c", "d"],  # of its category e is newer than b; undated d is last
        ["a", "e", "c", "d"],
        ["a", "e", "b", "d"],
    ]


def test_random_in_category_puts_the_category_first(tiny: Material) -> None:
    [found] = random_in_category(tiny, ["a"], {})

    assert sorted(found[:2]) == ["b", "e"]
    assert sorted(found[2:]) == ["c", "d"]


def test_random_orders_differ_from_essay_to_essay(larger: Material) -> None:
    ids = [member.id for member in larger.essays]

    lists = random_order(larger, ids, {})

    assert len({tuple(found[:10]) for found in lists}) == len(ids)
    firsts = Counter(found[0] for found in lists)
    assert max(firsts.values()) <= 6  # no essay is preferred


def test_the_most_listed_come_first_and_the_judged_pages_own_list_is_not_counted(tiny: Material) -> None:
    curated = {"a": ["c", "d", "e"], "b": ["d", "e"], "c": ["d"], "d": ["b"]}
    # All lists: d 3, e 2, b 1, c 1. Without a's own list: d 2, e 1, b 1. Without b's: d 2, e 1, c 1, a 0.

    assert most_listed(tiny, ["a", "b", "e"], curated) == [
        ["d", "b", "e", "c"],
        ["d", "c", "e", "a"],
        ["d", "b", "c", "a"],
    ]


def test_what_only_the_judged_page_lists_is_not_put_first(tiny: Material) -> None:
    assert most_listed(tiny, ["a"], {"a": ["e"], "b": ["d"]})[0][0] == "d"
    assert most_listed(tiny, ["a"], {"a": ["e"]}) == [["b", "c", "d", "e"]]


def test_lists_change_no_baseline_but_most_listed(larger: Material) -> None:
    ids = [member.id for member in larger.essays]
    curated = {ident: [ids[-1 - row]] for row, ident in enumerate(ids)}

    for name, baseline in BASELINES.items():
        assert (baseline(larger, ids, curated) == baseline(larger, ids, {})) == (name != "most_listed")


def test_dense_orders_by_cosine(tiny: Material) -> None:
    # By the fake encoder: a (1,0,0,0), b (1,1,0,0), c (0,1,0,0), d (0,0,1,1), e (1,0,0,1), each of length one.
    # Cosines of a: b and e 0.7071, c and d 0. Of e: a 0.7071, b and d 0.5, c 0.
    assert dense(tiny, ["a", "e"], {}) == [["b", "e", "c", "d"], ["a", "b", "d", "c"]]


def test_tfidf_orders_by_cosine_of_the_words(tiny: Material) -> None:
    terms = tiny.texts.terms.toarray()
    cosines = terms @ terms.T

    [of_a, of_d] = tfidf(tiny, ["a", "d"], {})

    order = list(BODIES)
    assert of_a == sorted("bcde", key=lambda other: (-cosines[0, order.index(other)], other))
    assert of_a[:2] == ["b", "e"]  # b shares bread and oven with a, e bread alone
    assert of_d[0] == "e"  # the bridge


def test_bm25_is_what_bm25s_itself_retrieves(larger: Material) -> None:
    texts = [whole_text(member) for member in larger.essays]
    ids = [member.id for member in larger.essays]
    tokens = bm25s.tokenize(texts, stopwords="en", show_progress=False)
    retriever = bm25s.BM25()
    retriever.index(tokens, show_progress=False)
    found, scores = retriever.retrieve(tokens, k=len(ids), show_progress=False, sorted=True)

    lists = bm25(larger, ids, {})

    for row, own in enumerate(ids):
        score = {ids[column]: float(value) for column, value in zip(found[row], scores[row], strict=True)}
        expected = sorted((value for ident, value in score.items() if ident != own), reverse=True)[:DEPTH]
        assert [score[ident] for ident in lists[row]] == pytest.approx(expected, rel=1e-5)


def test_bm25_finds_what_shares_rare_words(tiny: Material) -> None:
    [of_a, of_d] = bm25(tiny, ["a", "d"], {})

    assert of_a[:2] == ["b", "e"]
    assert of_d[0] == "e"


def test_products_are_the_same_however_many_essays_are_judged_at_once(
    larger: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [member.id for member in larger.essays]
    at_once = tfidf(larger, ids, {})
    monkeypatch.setattr(baselines, "_CHUNK", 7)

    assert tfidf(larger, ids, {}) == at_once


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_site_whose_essays_share_no_word_is_ordered_all_the_same(name: str) -> None:
    _, material = gather([essay("a", "The of and."), essay("b", "And so."), essay("c", "…")])

    lists = BASELINES[name](material, ["a"], {})

    assert sorted(lists[0]) == ["b", "c"]
