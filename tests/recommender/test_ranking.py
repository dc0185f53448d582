"""From candidates to the list a page shows."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.ranking import (
    Candidate,
    Dropped,
    Item,
    Ranking,
    Recommendation,
    Rules,
    explain,
    list_limit,
    rank,
)

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
PAGE = Item("page", "essay", category="Sea", published=JUNE)


def candidate(ident: str, score: float = 1.0) -> Candidate:
    return Candidate(ident, score, meaning=0.5, wording=0.2)


def rank_these(
    *candidates: Candidate,
    curated: tuple[Candidate, ...] = (),
    page: Item = PAGE,
    known: tuple[Item, ...] = (),
    **rules: object,
) -> Ranking:
    """Rank candidates that are plain essays, except those that are known."""
    items = {c.id: Item(c.id, "essay") for c in (*candidates, *curated)} | {item.id: item for item in (page, *known)}
    return rank(page, candidates, curated, items, Rules(**rules))  # type: ignore[arg-type]


def targets(ranking: Ranking) -> list[str]:
    return [recommendation.target for recommendation in ranking.recommendations]


# --- Order --------------------------------------------------------------------------------------------------------


def test_candidates_come_by_score_and_ties_by_id() -> None:
    ranking = rank_these(candidate("c", 1.0), candidate("a", 2.0), candidate("d", 3.0), candidate("b", 2.0))

    assert targets(ranking) == ["d", "a", "b", "c"]


def test_a_recommendation_says_its_place_score_origin_and_reasons() -> None:
    assert rank_these(candidate("b", 1.5), curated=(candidate("a", -0.5),)) == Ranking(
        recommendations=(
            Recommendation(
                "page",
                "a",
                1,
                -0.5,
                "curated",
                ("listed by the editors", "akin in meaning (0.50)", "akin in wording (0.20)"),
            ),
            Recommendation("page", "b", 2, 1.5, "model", ("akin in meaning (0.50)", "akin in wording (0.20)")),
        ),
        dropped=(),
    )


def test_curated_items_come_first_in_the_editors_order_whatever_their_scores() -> None:
    ranking = rank_these(candidate("a", 9.0), curated=(candidate("z", -2.0), candidate("y", 3.0)))

    assert targets(ranking) == ["z", "y", "a"]


def test_curated_items_count_as_candidates_only_when_they_are_not_put_first() -> None:
    ranking = rank_these(candidate("a", 9.0), candidate("z", 8.0), curated=(candidate("z", 8.0),), curated_first=False)

    assert [(r.target, r.origin) for r in ranking.recommendations] == [("a", "model"), ("z", "model")]


def test_an_item_that_is_curated_and_a_candidate_stands_once_as_curated() -> None:
    ranking = rank_these(candidate("a", 9.0), candidate("z", 8.0), curated=(candidate("z", 8.0),))

    assert [(r.target, r.origin) for r in ranking.recommendations] == [("z", "curated"), ("a", "model")]
    assert ranking.dropped == ()


def test_the_limit_ends_the_list_and_nothing_below_it_is_called_dropped() -> None:
    ranking = rank_these(candidate("a", 3.0), candidate("b", 2.0), candidate("c", 1.0), limit=2, exclude=frozenset("c"))

    assert targets(ranking) == ["a", "b"]
    assert ranking.dropped == ()


# --- Rules --------------------------------------------------------------------------------------------------------


def test_the_essay_itself_is_never_in_its_list() -> None:
    assert rank_these(candidate("page", 99.0), candidate("a"), curated=(candidate("page"),)) == rank_these(
        candidate("a")
    )


@pytest.mark.parametrize(
    ("item", "rules", "reason"),
    [
        (Item("b", "blurb"), {}, "no page stands behind this blurb"),
        (Item("b", "essay"), {"exclude": frozenset({"b"})}, "excluded by the request"),
        (Item("b", "essay", category="Land"), {"category": "Sea"}, "its category is Land, not Sea"),
        (Item("b", "essay"), {"category": "Sea"}, "its category is unknown, not Sea"),
        (Item("b", "essay", published=MAY), {"published_after": JUNE}, "published 2025-05-01, not after 2025-06-01"),
        (Item("b", "essay"), {"published_after": JUNE}, "published at an unknown date, not after 2025-06-01"),
        (Item("b", "essay", published=JULY), {"published_before": JUNE}, "published 2025-07-01, not before 2025-06-01"),
        (Item("b", "essay"), {"published_before": JUNE}, "published at an unknown date, not before 2025-06-01"),
        (Item("b", "essay"), {"min_score": 1.5}, "its score 1.000 is under 1.500"),
        (Item("b", "essay", twins="g"), {"page": replace(PAGE, twins="g")}, "a near-duplicate of page"),
    ],
)
def test_each_rule_drops_an_item_and_says_why(item: Item, rules: dict[str, object], reason: str) -> None:
    for group in ("candidates", "curated"):
        given_as = {"curated": (candidate("b"),)} if group == "curated" else {}
        candidates = () if group == "curated" else (candidate("b"),)
        ranking = rank_these(*candidates, known=(item,), **given_as, **rules)  # type: ignore[arg-type]

        assert ranking == Ranking((), (Dropped("b", reason),))


@pytest.mark.parametrize(
    ("item", "rules"),
    [
        (Item("b", "blurb"), {"unlinked": True}),
        (Item("b", "essay"), {"exclude": frozenset({"c"})}),
        (Item("b", "essay", category="Sea"), {"category": "Sea"}),
        (Item("b", "essay", published=JUNE), {"published_after": JUNE, "published_before": JUNE}),
        (Item("b", "essay"), {"min_score": 1.0}),
        (Item("b", "essay", twins="h"), {"page": replace(PAGE, twins="g")}),
    ],
)
def test_an_item_at_the_edge_of_a_rule_is_kept(item: Item, rules: dict[str, object]) -> None:
    ranking = rank_these(candidate("b"), known=(item,), **rules)  # type: ignore[arg-type]

    assert targets(ranking) == ["b"]


def test_of_near_duplicates_the_best_is_shown_and_the_others_name_it() -> None:
    copies = tuple(Item(ident, "essay", twins="group") for ident in "bcd")

    ranking = rank_these(
        candidate("c", 3.0), candidate("a", 2.0), candidate("b", 1.0), candidate("d", 0.5), known=copies
    )

    assert targets(ranking) == ["c", "a"]
    assert ranking.dropped == (Dropped("b", "a near-duplicate of c"), Dropped("d", "a near-duplicate of c"))


def test_a_near_duplicate_that_a_rule_kept_out_does_not_keep_out_the_other() -> None:
    copies = tuple(Item(ident, "essay", twins="group") for ident in "bc")

    ranking = rank_these(candidate("b", 2.0), candidate("c", 1.0), known=copies, exclude=frozenset("b"))

    assert targets(ranking) == ["c"]


def test_an_item_that_is_dropped_is_named_once() -> None:
    ranking = rank_these(candidate("b"), curated=(candidate("b"),), exclude=frozenset("b"))

    assert ranking.dropped == (Dropped("b", "excluded by the request"),)


def test_without_candidates_the_list_is_empty() -> None:
    assert rank_these() == Ranking((), ())


# --- Words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meaning", "wording", "reasons"),
    [
        (0.6, 0.3, ("close in meaning (0.60)", "close in wording (0.30)")),
        (0.59, 0.29, ("akin in meaning (0.59)", "akin in wording (0.29)")),
        (0.4, 0.1, ("akin in meaning (0.40)", "akin in wording (0.10)")),
        (0.39, 0.09, ("distant in meaning (0.39)", "distant in wording (0.09)")),
        (-0.1, 0.0, ("distant in meaning (-0.10)", "distant in wording (0.00)")),
    ],
)
def test_reasons_are_given_in_an_editors_words(meaning: float, wording: float, reasons: tuple[str, ...]) -> None:
    assert explain(Candidate("a", 1.0, meaning, wording), "model") == reasons
    assert explain(Candidate("a", 1.0, meaning, wording), "curated") == ("listed by the editors", *reasons)


@pytest.mark.parametrize(("length", "limit"), [(0, 12), (1, 1), (20, 20), (50, 50), (51, 50), (400, 50)])
def test_a_page_shows_as_many_as_its_editors_listed(length: int, limit: int) -> None:
    assert list_limit(length) == limit


# --- Properties ---------------------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules]:
    """A page among ten items, some of them blurbs, near-duplicates, dated or categorised; any rules."""
    ids = [f"i{number}" for number in range(10)]
    items = {
        ident: Item(
            ident,
            draw(st.sampled_from(["essay", "essay", "blurb"])),
            category=draw(st.sampled_from(["Sea", "Land", None])),
            published=draw(st.sampled_from([MAY, JUNE, JULY, None])),
            twins=draw(st.sampled_from([None, None, "g", "h"])),
        )
        for ident in ids
    }
    scores = st.integers(-2, 2).map(float)
    candidates = [candidate(ident, draw(scores)) for ident in draw(st.lists(st.sampled_from(ids), unique=True))]
    curated = [candidate(ident, draw(scores)) for ident in draw(st.lists(st.sampled_from(ids), max_size=5))]
    rules = Rules(
        limit=draw(st.integers(1, 12)),
        curated_first=draw(st.booleans()),
        unlinked=draw(st.booleans()),
        category=draw(st.sampled_from([None, None, "Sea"])),
        published_after=draw(st.sampled_from([None, None, JUNE])),
        published_before=draw(st.sampled_from([None, None, JUNE])),
        exclude=draw(st.frozensets(st.sampled_from(ids), max_size=2)),
        min_score=draw(st.sampled_from([None, None, 0.0])),
    )
    return items[draw(st.sampled_from(ids))], candidates, curated, items, rules


@given(cases())
def test_a_list_never_embarrasses(
    case: tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules],
) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    shown = targets(ranking)
    groups = [items[ident].twins for ident in shown if items[ident].twins]
    assert page.id not in shown
    assert len(set(shown)) == len(shown) <= rules.limit
    assert len(set(groups)) == len(groups)
    assert page.twins not in groups
    assert [r.position for r in ranking.recommendations] == list(range(1, len(shown) + 1))
    assert all(r.source == page.id and r.reasons for r in ranking.recommendations)
    for ident in shown:
        assert rules.unlinked or items[ident].kind == "essay"
        assert ident not in rules.exclude
        assert rules.category in (None, items[ident].category)
        published = items[ident].published
        assert not rules.published_after or (published and published >= rules.published_after)
        assert not rules.published_before or (published and published <= rules.published_before)


@given(cases())
def test_everything_offered_is_shown_dropped_or_below_the_last_place(
    case: tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules],
) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    dropped = [drop.target for drop in ranking.dropped]
    offered = {c.id for c in (*candidates, *(curated if rules.curated_first else ()))} - {page.id}
    assert len(set(dropped)) == len(dropped)
    assert not set(dropped) & set(targets(ranking))
    assert {*dropped, *targets(ranking)} <= offered
    if len(ranking.recommendations) < rules.limit:
        assert {*dropped, *targets(ranking)} == offered


@given(cases(), st.data())
def test_the_order_in_which_candidates_are_given_does_not_matter(
    case: tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules], data: st.DataObject
) -> None:
    page, candidates, curated, items, rules = case
    shuffled = data.draw(st.permutations(candidates))
    reordered = dict(data.draw(st.permutations(list(items.items()))))

    assert rank(page, shuffled, curated, reordered, rules) == rank(page, candidates, curated, items, rules)


@given(cases(), st.integers(1, 12))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(
    case: tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules], limit: int
) -> None:
    page, candidates, curated, items, rules = case

    longer = rank(page, candidates, curated, items, replace(rules, limit=12))
    shorter = rank(page, candidates, curated, items, replace(rules, limit=limit))

    assert shorter.recommendations == longer.recommendations[:limit]
    assert shorter.dropped == longer.dropped[: len(shorter.dropped)]
