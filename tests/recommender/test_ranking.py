"""From candidates to the list a page shows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recommender.ranking import (
    LIFTING_LIMIT,
    SKETCH_BITS,
    Candidate,
    Dropped,
    Item,
    Origin,
    Place,
    Profile,
    Ranking,
    Recommendation,
    Rules,
    explain,
    list_limit,
    rank,
    relevances,
    similarity,
    why_not,
)

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
PAGE = Item("page", "essay", category="Sea", published=JUNE)
LIFTED = "no other list would show it"


def candidate(ident: str, score: float = 0.5, place: Place = "", meaning: float = 0.25) -> Candidate:
    return Candidate(ident, score, meaning, (("meaning", 0.5), ("wording", 0.2)), place)


def falling(ids: str) -> tuple[Candidate, ...]:
    """A candidate for each letter, each with a lower score than the one before."""
    return tuple(candidate(ident, 0.9 - place / 20) for place, ident in enumerate(ids))


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
    ranking = rank_these(candidate("c", 0.1), candidate("a", 0.2), candidate("d", 0.3), candidate("b", 0.2))

    assert targets(ranking) == ["d", "a", "b", "c"]


def test_each_profile_has_its_own_order_and_score() -> None:
    candidates = (candidate("a", 0.9, meaning=0.1), candidate("b", 0.2, meaning=0.8))

    editors, meaning = (rank_these(*candidates, profile=profile) for profile in ("editors", "meaning"))

    assert [(r.target, r.score) for r in editors.recommendations] == [("a", 0.9), ("b", 0.2)]
    assert [(r.target, r.score) for r in meaning.recommendations] == [("b", 0.8), ("a", 0.1)]
    assert editors == rank_these(*candidates)


def test_a_recommendation_says_its_place_score_origin_and_reasons() -> None:
    assert rank_these(candidate("b", 0.75), curated=(candidate("a", 0.125),)) == Ranking(
        recommendations=(
            Recommendation(
                "page",
                "a",
                1,
                0.125,
                "curated",
                ("listed by the editors", "akin in meaning (0.50)", "akin in wording (0.20)"),
            ),
            Recommendation("page", "b", 2, 0.75, "model", ("akin in meaning (0.50)", "akin in wording (0.20)")),
        ),
        dropped=(),
    )


def test_curated_items_come_first_in_the_editors_order_whatever_their_scores() -> None:
    ranking = rank_these(candidate("a", 0.9), curated=(candidate("z", 0.1), candidate("y", 0.3)))

    assert targets(ranking) == ["z", "y", "a"]


def test_curated_items_count_as_candidates_only_when_they_are_not_put_first() -> None:
    ranking = rank_these(candidate("a", 0.9), candidate("z", 0.8), curated=(candidate("z", 0.8),), curated_first=False)

    assert [(r.target, r.origin) for r in ranking.recommendations] == [("a", "model"), ("z", "model")]


def test_an_item_that_is_curated_and_a_candidate_stands_once_as_curated() -> None:
    ranking = rank_these(candidate("a", 0.9), candidate("z", 0.8), curated=(candidate("z", 0.8),))

    assert [(r.target, r.origin) for r in ranking.recommendations] == [("z", "curated"), ("a", "model")]
    assert ranking.dropped == ()


def test_the_limit_ends_the_list_and_nothing_below_it_is_called_dropped() -> None:
    ranking = rank_these(*falling("abc"), limit=2, exclude=frozenset("c"))

    assert targets(ranking) == ["a", "b"]
    assert ranking.dropped == ()


# --- Filters ------------------------------------------------------------------------------------------------------


def test_the_essay_itself_is_never_in_its_list() -> None:
    assert rank_these(candidate("page", 0.99), candidate("a"), curated=(candidate("page"),)) == rank_these(
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
        (Item("b", "essay", published=JULY), {"published_before": JUNE}, "published 2025-07-01, not before 2025-06-01"),
        (Item("b", "essay"), {"published_after": JUNE}, "published at an unknown date, not after 2025-06-01"),
        (Item("b", "essay"), {"published_before": JUNE}, "published at an unknown date, not before 2025-06-01"),
        (
            Item("b", "essay", published=JULY),
            {"newer_by_days": 29},
            "30 days newer than the essay, more than 29",
        ),
        (Item("b", "essay", published=MAY), {"older_by_days": 30}, "31 days older than the essay, more than 30"),
        (Item("b", "essay"), {"newer_by_days": 9999}, "its date is unknown"),
        (Item("b", "essay"), {"older_by_days": 9999}, "its date is unknown"),
        (
            Item("b", "essay", published=JUNE),
            {"older_by_days": 9999, "page": replace(PAGE, published=None)},
            "the essay's date is unknown",
        ),
        (Item("b", "essay"), {"min_score": 0.501}, "its score 0.500 is under 0.501"),
        (Item("b", "essay"), {"min_score": 0.251, "profile": "meaning"}, "its score 0.250 is under 0.251"),
        (Item("b", "essay", twins="g"), {"page": replace(PAGE, twins="g")}, "a near-duplicate of page"),
    ],
)
def test_each_filter_drops_an_item_and_says_why(item: Item, rules: dict[str, object], reason: str) -> None:
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
        (Item("b", "essay", published=JULY), {"newer_by_days": 30, "older_by_days": 0}),
        (Item("b", "essay", published=MAY), {"newer_by_days": 0, "older_by_days": 31}),
        (Item("b", "essay"), {"min_score": 0.5}),
        (Item("b", "essay"), {"min_score": 0.25, "profile": "meaning"}),
        (Item("b", "essay", twins="h"), {"page": replace(PAGE, twins="g")}),
    ],
)
def test_an_item_at_the_edge_of_a_filter_is_kept(item: Item, rules: dict[str, object]) -> None:
    ranking = rank_these(candidate("b"), known=(item,), **rules)  # type: ignore[arg-type]

    assert targets(ranking) == ["b"]


def test_of_near_duplicates_the_best_is_shown_and_the_others_name_it() -> None:
    copies = tuple(Item(ident, "essay", twins="group") for ident in "bcd")

    ranking = rank_these(*falling("cabd"), known=copies)

    assert targets(ranking) == ["c", "a"]
    assert ranking.dropped == (Dropped("b", "a near-duplicate of c"), Dropped("d", "a near-duplicate of c"))


def test_a_near_duplicate_that_a_rule_kept_out_does_not_keep_out_the_other() -> None:
    copies = tuple(Item(ident, "essay", twins="group") for ident in "bc")

    ranking = rank_these(*falling("bc"), known=copies, exclude=frozenset("b"))

    assert targets(ranking) == ["c"]


def test_an_item_that_is_dropped_is_named_once() -> None:
    ranking = rank_these(candidate("b"), curated=(candidate("b"),), exclude=frozenset("b"))

    assert ranking.dropped == (Dropped("b", "excluded by the request"),)


def test_without_candidates_the_list_is_empty() -> None:
    assert rank_these() == Ranking((), ())


# --- Composition --------------------------------------------------------------------------------------------------


def of_category(category: str | None, ids: str) -> tuple[Item, ...]:
    return tuple(Item(ident, "essay", category=category) for ident in ids)


def test_of_a_category_only_so_many_are_added() -> None:
    known = (*of_category("Sea", "abd"), *of_category("Land", "ce"))

    ranking = rank_these(*falling("abcde"), known=known, per_category=2)

    assert targets(ranking) == ["a", "b", "c", "e"]
    assert ranking.dropped == (Dropped("d", "the list has 2 of the category Sea already"),)


def test_items_without_a_category_are_not_counted() -> None:
    assert targets(rank_these(*falling("abc"), per_category=1)) == ["a", "b", "c"]


def test_what_the_editors_listed_counts_for_its_category_and_is_never_one_too_many() -> None:
    known = of_category("Sea", "abcd")

    ranking = rank_these(*falling("cd"), curated=falling("ab"), known=known, per_category=1)

    assert targets(ranking) == ["a", "b"]
    assert {dropped.reason for dropped in ranking.dropped} == {"the list has 2 of the category Sea already"}


ZEROS, ONES = 1 << 255, (1 << 255) - 1  # two sketches that differ in every bit; 0 would be unknown


def test_similarity_is_the_cosine_of_the_angle_that_the_differing_bits_tell() -> None:
    half = ((1 << 128) - 1) << 64

    assert similarity(ONES, ONES) == 1.0
    assert similarity(ZEROS, ONES) == -1.0
    assert similarity(ZEROS, ZEROS ^ half) == pytest.approx(0.0)
    assert similarity(ONES, ONES ^ 1) == pytest.approx(0.99992, abs=1e-5)
    assert SKETCH_BITS == 256


@pytest.mark.parametrize(("one", "other"), [(0, ONES), (ONES, 0), (0, 0)])
def test_with_an_unknown_sketch_the_similarity_is_nothing(one: int, other: int) -> None:
    assert similarity(one, other) == 0.0


@pytest.mark.parametrize(
    ("diversity", "expected"),
    [
        (0.0, ["a", "b", "c"]),
        # Logits 2.197, 1.735 and 1.386: relevances 1, 0.430 and 0.
        (0.17, ["a", "b", "c"]),  # b: 0.83 * 0.430 - 0.17 = 0.187; c: 0.83 * 0 + 0.17 = 0.170
        (0.18, ["a", "c", "b"]),  # b: 0.82 * 0.430 - 0.18 = 0.173; c: 0.82 * 0 + 0.18 = 0.180
        (1.0, ["a", "c", "b"]),
    ],
)
def test_with_diversity_what_is_unlike_the_items_above_moves_up(diversity: float, expected: list[str]) -> None:
    known = (Item("a", "essay", sketch=ONES), Item("b", "essay", sketch=ONES), Item("c", "essay", sketch=ZEROS))

    assert targets(rank_these(*falling("abc"), known=known, diversity=diversity)) == expected


def test_diversity_looks_at_what_the_editors_listed_too() -> None:
    known = (Item("z", "essay", sketch=ONES), Item("b", "essay", sketch=ONES), Item("c", "essay", sketch=ZEROS))

    ranking = rank_these(*falling("bc"), curated=(candidate("z"), candidate("y")), known=known, diversity=0.6)

    assert targets(ranking) == ["z", "y", "c", "b"]


def test_what_a_rule_keeps_out_makes_nothing_look_alike() -> None:
    known = (Item("a", "blurb", sketch=ONES), Item("b", "essay", sketch=ONES), Item("c", "essay", sketch=ZEROS))

    assert targets(rank_these(*falling("abc"), known=known, diversity=0.5)) == ["b", "c"]


# --- At least -----------------------------------------------------------------------------------------------------


def test_a_list_that_would_be_too_short_is_not_shown() -> None:
    ranking = rank_these(*falling("bc"), curated=(candidate("a"),), exclude=frozenset("c"), at_least=3)

    reason = "only 2 got through, and a list needs 3"
    assert ranking == Ranking((), (Dropped("c", "excluded by the request"), Dropped("a", reason), Dropped("b", reason)))


@pytest.mark.parametrize("at_least", [0, 1, 3])
def test_a_list_that_is_long_enough_is_shown_and_curated_items_count(at_least: int) -> None:
    assert targets(rank_these(*falling("bc"), curated=(candidate("a"),), at_least=at_least)) == ["a", "b", "c"]


def test_a_page_that_asks_for_fewer_gets_them_when_there_would_be_enough() -> None:
    assert targets(rank_these(*falling("abc"), limit=2, at_least=3)) == ["a", "b"]
    assert targets(rank_these(*falling("abc"), limit=2, at_least=4)) == []


# --- The balance of the site --------------------------------------------------------------------------------------


def test_a_held_item_is_passed_over() -> None:
    held = replace(falling("ab")[0], place="held")

    ranking = rank_these(held, candidate("b"))

    assert targets(ranking) == ["b"]
    assert ranking.dropped == (Dropped("a", "already in as many lists as the site allows"),)


def test_a_held_item_stays_where_editors_listed_it_and_where_the_balance_is_off() -> None:
    held = candidate("a", 0.9, "held")

    assert targets(rank_these(held, candidate("b"), curated=(held,))) == ["a", "b"]
    assert targets(rank_these(held, candidate("b"), balanced=False)) == ["a", "b"]


def lifting(
    ids: str = "abcde", lifted: tuple[Candidate, ...] = (candidate("z", 0.1, "lifted"),), **rules: object
) -> Ranking:
    """A list of at most five from as many candidates, and some to be lifted."""
    return rank_these(*falling(ids), *lifted, **{"limit": 5, **rules})  # type: ignore[arg-type]


def test_a_lifted_item_takes_the_last_place_and_says_why() -> None:
    ranking = lifting()

    assert targets(ranking) == ["a", "b", "c", "d", "z"]
    assert ranking.recommendations[-1] == Recommendation(
        "page", "z", 5, 0.1, "model", (LIFTED, "akin in meaning (0.50)", "akin in wording (0.20)")
    )
    assert ranking.dropped == (Dropped("e", f"its place is given to z: {LIFTED}"),)


def test_of_several_that_could_be_lifted_the_best_is() -> None:
    lifted = (candidate("y", 0.1, "lifted"), candidate("z", 0.2, "lifted"), candidate("x", 0.1, "lifted"))

    assert targets(lifting(lifted=lifted)) == ["a", "b", "c", "d", "z"]
    assert targets(lifting(lifted=lifted, exclude=frozenset("z"))) == ["a", "b", "c", "d", "x"]


@pytest.mark.parametrize(
    "case",
    [
        {"balanced": False},
        {"limit": LIFTING_LIMIT - 1},
        {"exclude": frozenset("z")},
        {"min_score": 0.11},
        {"known": (Item("z", "blurb"),)},
        {"known": (Item("z", "essay", twins="g"), Item("a", "essay", twins="g"))},
        {"known": of_category("Sea", "abz"), "per_category": 2},
        {"curated": falling("vwxyu")},
    ],
    ids=lambda case: ", ".join(case),
)
def test_nothing_is_lifted(case: dict[str, object]) -> None:
    ranking = lifting(**case)  # type: ignore[arg-type]

    assert "z" not in targets(ranking)
    assert ranking == lifting(lifted=(), **case)  # type: ignore[arg-type]


def test_an_item_that_stands_in_the_list_anyway_needs_no_lift() -> None:
    for lifted in (candidate("z", 0.99, "lifted"), candidate("z", 0.75, "lifted")):
        ranking = lifting(lifted=(lifted,))

        assert set(targets(ranking)) == set("abcdz")
        assert not [r for r in ranking.recommendations if LIFTED in r.reasons]
    assert targets(lifting("abc")) == ["a", "b", "c", "z"]


def test_a_lifted_item_can_take_the_place_of_its_own_near_duplicate_or_the_last_of_its_category() -> None:
    assert targets(lifting(known=(Item("z", "essay", twins="g"), Item("e", "essay", twins="g"))))[-1] == "z"
    assert targets(lifting(known=of_category("Sea", "aez"), per_category=2))[-1] == "z"


# --- Words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "lifted", "first"),
    [("model", False, ()), ("curated", False, ("listed by the editors",)), ("model", True, (LIFTED,))],
)
def test_reasons_stand_in_the_order_given_after_what_put_the_item_there(
    origin: Origin, lifted: bool, first: tuple[str, ...]
) -> None:
    made = Candidate("a", 0.5, 0.5, (("author", 1.0), ("meaning", 0.62)))

    assert explain(made, origin, lifted) == (*first, "same author", "close in meaning (0.62)")
    assert explain(Candidate("a", 0.5, 0.5), origin, lifted) == first


@pytest.mark.parametrize(("length", "limit"), [(0, 12), (1, 1), (20, 20), (50, 50), (51, 50), (400, 50)])
def test_a_page_shows_as_many_as_its_editors_listed(length: int, limit: int) -> None:
    assert list_limit(length) == limit


@pytest.mark.parametrize(
    ("target", "rules", "sentence"),
    [
        ("page", {}, "it is the essay itself"),
        ("a", {}, "at rank 1, listed by the editors, with a score of 0.900"),
        ("c", {}, "at rank 2, of 5 candidates, with a score of 0.900"),
        ("c", {"profile": "meaning"}, "at rank 2, of 5 candidates, with a score of 0.250"),
        ("e", {}, "at rank 3, of 5 candidates, with a score of 0.800, below the list's end at 2"),
        ("d", {}, "already in as many lists as the site allows"),
        ("d", {"balanced": False}, "at rank 3, of 5 candidates, with a score of 0.850, below the list's end at 2"),
        ("g", {}, "no page stands behind this blurb"),
        ("g", {"exclude": frozenset("g"), "unlinked": True}, "excluded by the request"),
        ("e", {"at_least": 9}, "only 4 got through, and a list needs 9"),
        ("g", {"at_least": 9}, "no page stands behind this blurb"),
        ("h", {}, "not among its 5 candidates"),
        ("nobody", {}, "there is no item 'nobody'"),
    ],
)
def test_why_not_answers_for_any_item(target: str, rules: dict[str, object], sentence: str) -> None:
    candidates = [replace(c, place="held") if c.id == "d" else c for c in falling("cdefg")]
    items = {ident: Item(ident, "essay") for ident in "acdefh"} | {"page": PAGE, "g": Item("g", "blurb")}
    made = Rules(**{"limit": 2, **rules})  # type: ignore[arg-type]

    assert why_not(PAGE, target, candidates, [candidate("a", 0.9)], items, made) == sentence


def test_why_not_of_an_item_that_gave_way_names_the_lifted_one() -> None:
    candidates = (*falling("abcde"), candidate("z", 0.1, "lifted"))
    items = {c.id: Item(c.id, "essay") for c in candidates}

    sentences = [why_not(PAGE, ident, candidates, (), items, Rules(limit=5)) for ident in "ez"]

    assert sentences == [f"its place is given to z: {LIFTED}", "at rank 5, of 6 candidates, with a score of 0.100"]


# --- Properties ---------------------------------------------------------------------------------------------------

Case = tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules]
SKETCHES = (0, ONES, ZEROS, 0xFF << 200, 0xF0F0 << 100, (1 << 128) - 1)


@st.composite
def candidates_of(draw: st.DrawFn, ident: str) -> Candidate:
    scores = st.integers(0, 4).map(lambda quarter: quarter / 4)
    return candidate(ident, draw(scores), draw(st.sampled_from(["", "", "held", "lifted"])), draw(scores))


@st.composite
def cases(draw: st.DrawFn, filters: bool = True) -> Case:
    """A page among fourteen items, some of them blurbs, near-duplicates, dated or categorised; any rules.

    Without filters most candidates get through, and most lists are full.
    """
    ids = [f"i{number:02}" for number in range(14)]
    groups = [None, None, None, "g", "h"] if filters else [None] * 8 + ["g"]
    items = {
        ident: Item(
            ident,
            draw(st.sampled_from(["essay", "essay", "essay", "blurb"])),
            category=draw(st.sampled_from(["Sea", "Land", None])),
            published=draw(st.sampled_from([MAY, JUNE, JULY, None])),
            twins=draw(st.sampled_from(groups)),
            sketch=draw(st.sampled_from(SKETCHES)),
        )
        for ident in ids
    }
    chosen = draw(st.lists(st.sampled_from(ids), unique=True, min_size=0 if filters else 12))
    candidates = [draw(candidates_of(ident)) for ident in chosen]
    curated = [
        draw(candidates_of(ident)) for ident in draw(st.lists(st.sampled_from(ids), max_size=5 if filters else 2))
    ]
    rules = draw(any_rules(ids) if filters else compositions())
    return items[draw(st.sampled_from(ids))], candidates, curated, items, rules


def compositions() -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        limit=st.integers(4, 6),
        unlinked=st.just(True),
        diversity=st.sampled_from([0.0, 0.3]),
        per_category=st.sampled_from([None, None, 3]),
        balanced=st.sampled_from([True, True, True, False]),
    )


def any_rules(ids: list[str]) -> st.SearchStrategy[Rules]:
    dates, days = st.sampled_from([None, None, None, JUNE]), st.sampled_from([None, None, None, 0, 40])
    return st.builds(
        Rules,
        limit=st.integers(1, 14),
        curated_first=st.booleans(),
        unlinked=st.booleans(),
        category=st.sampled_from([None, None, None, "Sea"]),
        published_after=dates,
        published_before=dates,
        exclude=st.frozensets(st.sampled_from(ids), max_size=2),
        min_score=st.sampled_from([None, None, 0.25]),
        profile=st.sampled_from(["editors", "meaning"]),
        diversity=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
        per_category=st.sampled_from([None, 1, 3]),
        at_least=st.sampled_from([0, 0, 1, 4]),
        newer_by_days=days,
        older_by_days=days,
        balanced=st.booleans(),
    )


def is_lifted(place: Recommendation) -> bool:
    return LIFTED in place.reasons


@given(cases() | cases(filters=False))
def test_a_list_never_embarrasses(case: Case) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    shown = targets(ranking)
    groups = [items[ident].twins for ident in shown if items[ident].twins]
    assert page.id not in shown
    assert len(set(shown)) == len(shown) <= rules.limit
    assert len(set(groups)) == len(groups)
    assert page.twins is None or page.twins not in groups
    assert [r.position for r in ranking.recommendations] == list(range(1, len(shown) + 1))
    assert all(r.source == page.id and r.reasons for r in ranking.recommendations)
    assert len(shown) == 0 or rules.at_least <= len(shown) or rules.limit == len(shown)


@given(cases())
def test_every_item_shown_passes_the_filters(case: Case) -> None:
    page, _, _, items, rules = case

    for place in rank(*case).recommendations:
        item = items[place.target]
        assert rules.unlinked or item.kind == "essay"
        assert item.id not in rules.exclude
        assert rules.category in (None, item.category)
        assert not rules.published_after or (item.published and item.published >= rules.published_after)
        assert not rules.published_before or (item.published and item.published <= rules.published_before)
        assert rules.min_score is None or place.score >= rules.min_score
        if rules.newer_by_days is not None:
            assert item.published
            assert page.published
            assert item.published <= page.published + timedelta(days=rules.newer_by_days)
        if rules.older_by_days is not None:
            assert item.published
            assert page.published
            assert item.published >= page.published - timedelta(days=rules.older_by_days)


@given(cases())
def test_the_score_is_the_profiles_and_the_origin_true(case: Case) -> None:
    page, candidates, curated, items, rules = case
    offered: dict[Origin, dict[str, Candidate]] = {"curated": {}, "model": {c.id: c for c in candidates}}
    for listed in reversed(curated):
        offered["curated"][listed.id] = listed

    for place in rank(page, candidates, curated, items, rules).recommendations:
        found = offered[place.origin][place.target]
        assert place.score == (found.editors if rules.profile == "editors" else found.meaning)
        assert place.origin == "model" or rules.curated_first


@given(cases())
def test_what_the_editors_listed_stands_first_in_their_order_and_no_composition_moves_it(case: Case) -> None:
    page, candidates, curated, items, rules = case

    shown = rank(page, candidates, curated, items, rules).recommendations

    listed = [r.target for r in shown if r.origin == "curated"]
    assert listed == targets(Ranking(shown, ()))[: len(listed)]
    filters_only = replace(
        rules, diversity=0.0, per_category=None, balanced=False, at_least=0, limit=min(rules.limit, len(curated) or 1)
    )
    alone = rank(page, (), curated, items, filters_only)
    assert not shown or listed == targets(alone)


@given(cases() | cases(filters=False))
def test_the_model_adds_nothing_held_and_no_category_too_often(case: Case) -> None:
    page, candidates, curated, items, rules = case
    held = {c.id for c in candidates if c.place == "held"}
    shown = rank(page, candidates, curated, items, rules).recommendations

    for number, place in enumerate(shown):
        if place.origin == "curated":
            continue
        assert not rules.balanced or place.target not in held
        category = items[place.target].category
        if rules.per_category is not None and category is not None:
            above = sum(items[other.target].category == category for other in shown[:number])
            assert above < rules.per_category


@given(cases(filters=False))
def test_one_item_at_most_is_lifted_and_stands_last_in_a_full_list(case: Case) -> None:
    page, candidates, curated, items, rules = case
    marked = {c.id for c in candidates if c.place == "lifted"}

    ranking = rank(page, candidates, curated, items, rules)

    unlifted = [replace(c, place="") if c.place == "lifted" else c for c in candidates]
    plain = rank(page, unlifted, curated, items, rules)
    lifted = [place for place in ranking.recommendations if is_lifted(place)]
    event(f"lifted: {len(lifted)}")
    assert len(lifted) <= 1
    for place in lifted:
        assert rules.balanced
        assert place.target in marked
        assert place.position == rules.limit == len(ranking.recommendations) >= LIFTING_LIMIT
        assert place.origin == plain.recommendations[-1].origin == "model"
        assert ranking.recommendations[:-1] == plain.recommendations[:-1]
        assert sum(drop.reason.startswith(f"its place is given to {place.target}") for drop in ranking.dropped) == 1
    if not lifted:
        assert ranking == plain


@given(cases())
def test_what_can_be_lifted_is(case: Case) -> None:
    """Among plain items, none of which a rule keeps out, one marked item is always in a list it is a candidate of."""
    page, candidates, _, items, rules = case
    plain = {ident: Item(ident, "essay", sketch=item.sketch) for ident, item in items.items()}
    marked = [c.id for c in candidates if c.place == "lifted" and c.id != page.id]
    free = Rules(limit=rules.limit, profile=rules.profile, diversity=rules.diversity)

    shown = targets(rank(plain[page.id], candidates, (), plain, free))

    assert not marked or rules.limit < LIFTING_LIMIT or set(marked) & set(shown)


@given(cases() | cases(filters=False))
def test_everything_offered_is_shown_dropped_or_below_the_last_place(case: Case) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    dropped = [drop.target for drop in ranking.dropped]
    offered = {c.id for c in (*candidates, *(curated if rules.curated_first else ()))} - {page.id}
    assert len(set(dropped)) == len(dropped)
    assert not set(dropped) & set(targets(ranking))
    assert {*dropped, *targets(ranking)} <= offered
    if len(ranking.recommendations) < rules.limit:
        assert {*dropped, *targets(ranking)} == offered


@given(cases())
def test_at_least_shows_all_or_nothing(case: Case) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    free = rank(page, candidates, curated, items, replace(rules, at_least=0))
    survivors = rank(page, candidates, curated, items, replace(rules, at_least=0, limit=20)).recommendations
    event(f"enough: {len(survivors) >= rules.at_least}")
    assert ranking.recommendations == (free.recommendations if len(survivors) >= rules.at_least else ())
    if ranking.recommendations:
        assert ranking == free


@given(cases(), st.data())
def test_the_order_in_which_candidates_are_given_does_not_matter(case: Case, data: st.DataObject) -> None:
    page, candidates, curated, items, rules = case
    shuffled = data.draw(st.permutations(candidates))
    reordered = dict(data.draw(st.permutations(list(items.items()))))

    assert rank(page, shuffled, curated, reordered, rules) == rank(page, candidates, curated, items, rules)


@given(cases(), st.integers(1, 14))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(case: Case, limit: int) -> None:
    """Where nothing is lifted: a lifted item stands at the end, wherever that is."""
    page, candidates, curated, items, rules = case
    unlifted = [replace(c, place="") if c.place == "lifted" else c for c in candidates]

    longer = rank(page, unlifted, curated, items, replace(rules, limit=14))
    shorter = rank(page, unlifted, curated, items, replace(rules, limit=limit))

    assert shorter.recommendations == longer.recommendations[:limit]
    assert shorter.dropped == longer.dropped[: len(shorter.dropped)]


# --- Two twins, as plain as can be --------------------------------------------------------------------------------


def passes(page: Item, item: Item, score: float, rules: Rules) -> bool:
    """Whether an item is let through by what concerns it alone."""
    ages = rules.newer_by_days is not None or rules.older_by_days is not None
    known = item.published is not None and page.published is not None
    days = (item.published - page.published).days if item.published and page.published else 0
    return all(
        (
            item.id != page.id,
            rules.unlinked or item.kind == "essay",
            item.id not in rules.exclude,
            rules.category is None or item.category == rules.category,
            rules.published_after is None or (item.published or date.min) >= rules.published_after,
            rules.published_before is None or (item.published or date.max) <= rules.published_before,
            rules.min_score is None or score >= rules.min_score,
            known or not ages,
            rules.newer_by_days is None or days <= rules.newer_by_days,
            rules.older_by_days is None or -days <= rules.older_by_days,
            item.twins is None or item.twins != page.twins,
        )
    )


def next_by_mmr(
    candidates: list[Candidate], above: list[str], items: dict[str, Item], rules: Rules, relevance: Mapping[str, float]
) -> Candidate:
    """Carbonell and Goldstein's formula, worked out anew for each candidate against each item above."""

    def key(c: Candidate) -> tuple[float, float, str]:
        nearest = max((similarity(items[c.id].sketch, items[a].sketch) for a in above), default=0.0)
        worth = (1 - rules.diversity) * relevance[c.id] - rules.diversity * nearest
        return -worth, -c.score(rules.profile), c.id

    return min(candidates, key=key)


def twin_of_rank(case: Case) -> list[str]:
    """The list without lifting and at_least, worked out by asking at each place which items may still follow."""
    page, candidates, curated, items, rules = case
    relevance = relevances(candidates, rules.profile)
    above: list[str] = []

    def may_follow(c: Candidate) -> bool:
        item = items[c.id]
        twin = item.twins is not None and item.twins in {items[a].twins for a in above}
        return c.id not in above and not twin and passes(page, item, c.score(rules.profile), rules)

    listed = list({c.id: c for c in reversed(curated)}.values()) if rules.curated_first else []
    for c in sorted(listed, key=lambda c: [x.id for x in curated].index(c.id)):
        if len(above) < rules.limit and may_follow(c):
            above.append(c.id)
    refused = {c.id for c in listed} - set(above)
    while len(above) < rules.limit:
        count = Counter(items[ident].category for ident in above)
        most = 99 if rules.per_category is None else rules.per_category
        left = [
            c
            for c in candidates
            if may_follow(c)
            and c.id not in refused
            and not (rules.balanced and c.place == "held")
            and (items[c.id].category is None or count[items[c.id].category] < most)
        ]
        if not left:
            break
        above.append(next_by_mmr(left, above, items, rules, relevance).id)
    return above


@given(cases() | cases(filters=False))
def test_the_list_is_its_brute_force_twins(case: Case) -> None:
    page, candidates, curated, items, rules = case
    unlifted = [replace(c, place="") if c.place == "lifted" else c for c in candidates]
    alone: Case = (page, unlifted, curated, items, replace(rules, at_least=0))

    assert targets(rank(*alone)) == twin_of_rank(alone)


@given(cases(), st.sampled_from(["editors", "meaning"]))
def test_without_diversity_the_order_is_the_scores(case: Case, profile: Profile) -> None:
    page, candidates, _, items, rules = case

    shown = targets(rank(page, candidates, (), items, Rules(limit=20, profile=profile, unlinked=True, balanced=False)))

    scores = {c.id: c.score(profile) for c in candidates}
    assert shown == sorted(shown, key=lambda ident: (-scores[ident], ident))
    plain = rank(page, candidates, (), items, replace(rules, diversity=0.0))
    unsketched = {ident: replace(item, sketch=0) for ident, item in items.items()}
    assert plain == rank(page, candidates, (), unsketched, replace(rules, diversity=0.0))
