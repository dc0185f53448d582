"""From candidates to the list a page shows."""

from datetime import date

import pytest

from recommender.ranking import (
    LIFTING_LIMIT,
    SKETCH_BITS,
    Candidate,
    Dropped,
    Item,
    Origin,
    Ranking,
    Recommendation,
    Rules,
    explain,
    list_limit,
    rank,
    similarity,
    why_not,
)
from tests.recommender.rankings import ONES, ZEROS, candidate, targets

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
PAGE = Item("page", "essay", category="Sea", published=JUNE)
LIFTED = "no other list would show it"


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


def test_without_additions_a_list_holds_only_what_the_editors_listed() -> None:
    candidates = (candidate("a", 0.9), candidate("z", 0.8), candidate("b", 0.1, "lifted"))

    ranking = rank_these(*candidates, curated=(candidate("z", 0.8),), additions=False, diversity=0.5)

    assert [(r.target, r.origin) for r in ranking.recommendations] == [("z", "curated")]
    assert ranking.dropped == ()
    assert rank_these(*candidates, additions=False) == Ranking((), ())


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
            {"older_by_days": 9999, "page": PAGE._replace(published=None)},
            "the essay's date is unknown",
        ),
        (Item("b", "essay"), {"min_score": 0.501}, "its score 0.500 is under 0.501"),
        (Item("b", "essay"), {"min_score": 0.251, "profile": "meaning"}, "its score 0.250 is under 0.251"),
        (Item("b", "essay", twins="g"), {"page": PAGE._replace(twins="g")}, "a near-duplicate of page"),
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
        (Item("b", "essay", twins="h"), {"page": PAGE._replace(twins="g")}),
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
    held = falling("ab")[0]._replace(place="held")

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
        ("c", {"additions": False}, "the editors did not list it, and nothing else is asked for"),
        ("h", {"additions": False}, "not among its 5 candidates"),
        ("nobody", {}, "there is no item 'nobody'"),
    ],
)
def test_why_not_answers_for_any_item(target: str, rules: dict[str, object], sentence: str) -> None:
    candidates = [c._replace(place="held") if c.id == "d" else c for c in falling("cdefg")]
    items = {ident: Item(ident, "essay") for ident in "acdefh"} | {"page": PAGE, "g": Item("g", "blurb")}
    made = Rules(**{"limit": 2, **rules})  # type: ignore[arg-type]

    assert why_not(PAGE, target, candidates, [candidate("a", 0.9)], items, made) == sentence


def test_why_not_of_an_item_that_gave_way_names_the_lifted_one() -> None:
    candidates = (*falling("abcde"), candidate("z", 0.1, "lifted"))
    items = {c.id: Item(c.id, "essay") for c in candidates}

    sentences = [why_not(PAGE, ident, candidates, (), items, Rules(limit=5)) for ident in "ez"]

    assert sentences == [f"its place is given to z: {LIFTED}", "at rank 5, of 6 candidates, with a score of 0.100"]
