"""Lists for several essays at once, and unlike others."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from math import prod
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corpus.errors import UnknownEssay
from recommender.by_example import Example, combine, suggest_like
from recommender.edition import Edition, EssayLists, open_current
from recommender.publishing import build_lock, new_folder, publish, write_lists
from recommender.ranking import Candidate, Item, Rules
from tests.recommender.rankings import candidate

SEA, BAY, TIDE, MOON = "sea", "bay", "tide", "moon"


def lists(ident: str, scores: dict[str, float], *curated: str, unlinked: Sequence[Candidate] = ()) -> EssayLists:
    found = {other: candidate(other, score, meaning=score / 2) for other, score in scores.items()}
    listed = tuple(found.pop(other) for other in curated)
    return EssayLists(ident, len(listed), listed, tuple(found.values()), tuple(unlinked))


ITEMS = (
    Item("bay", "essay", "Bays", category="Water", published=date(2024, 5, 1), twins="bays"),
    Item("bay-again", "essay", "Bays", category="Water", twins="bays"),
    Item("blurb:reef", "blurb", None, "Of a reef."),
    Item("moon", "essay", "The moon", category="Sky", published=date(2023, 1, 1)),
    Item("sea", "essay", "The sea", category="Water", published=date(2022, 1, 1)),
    Item("ship", "essay", None, category="Trade"),
    Item("tide", "essay", "Tides", category="Water"),
)
LISTS = (
    lists(BAY, {SEA: 0.9, TIDE: 0.2, "ship": 0.8}),
    lists("bay-again", {}),
    lists(MOON, {TIDE: 0.75, SEA: 0.5, "ship": 0.25}),
    lists(SEA, {BAY: 0.9, "bay-again": 0.9, TIDE: 0.8, MOON: 0.1}, TIDE, unlinked=[candidate("blurb:reef", 0.6)]),
    lists("ship", {SEA: 0.5, BAY: 0.5, MOON: 0.01}, MOON),
    lists(TIDE, {}),
)


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    home = tmp_path_factory.mktemp("examples")
    manifest = {"built_at": datetime(2026, 11, 1, tzinfo=UTC).isoformat(), "encoder": "none"}
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, ITEMS, LISTS)
        publish(home, folder, manifest)
    return open_current(home)


def pooled(*probabilities: float) -> float:
    """The probability whose odds are the geometric mean of the odds of these."""
    odds = prod(p / (1 - p) for p in probabilities) ** (1 / len(probabilities))
    return odds / (1 + odds)


def suggested(edition: Edition, like: str, unlike: str = "", **rules: object) -> list[tuple[str, float]]:
    """Ids and scores; like and unlike are ids with blanks between them."""
    found = suggest_like(edition, like.split(), unlike.split(), replace(Rules(), **rules))  # type: ignore[arg-type]
    return [(place.target, pytest.approx(place.score, abs=1e-6)) for place in found.recommendations]


# --- The score ----------------------------------------------------------------------------------------------------


def test_a_score_has_the_mean_odds_of_what_the_positives_say(edition: Edition) -> None:
    assert pooled(0.9, 0.5) == pytest.approx(0.75)
    assert suggested(edition, "bay moon") == [("sea", 0.75), ("ship", pooled(0.8, 0.25)), ("tide", pooled(0.2, 0.75))]


def test_a_positive_that_does_not_name_it_says_half_of_the_least_that_it_says(edition: Edition) -> None:
    assert suggested(edition, "moon ship") == [
        ("sea", pooled(0.5, 0.5)),
        ("tide", pooled(0.75, 0.5 / 2)),
        ("bay", pooled(0.25 / 2, 0.5)),
    ]
    assert suggested(edition, "moon ship", profile="meaning")[-1] == ("bay", pooled(0.125 / 2, 0.25))
    assert suggested(edition, "bay bay-again")[0] == ("sea", pytest.approx(pooled(0.9, 1e-6), abs=1e-6)), (
        "it names none"
    )


def test_each_negative_lets_through_what_it_would_not_list(edition: Edition) -> None:
    assert suggested(edition, "bay", "moon") == [("ship", 0.8 * 0.75), ("sea", 0.9 * 0.5), ("tide", 0.2 * 0.25)]
    assert suggested(edition, "bay", "moon ship") == [("sea", 0.9 * 0.5 * 0.5), ("tide", 0.2 * 0.25)]


def test_both_profiles_are_scored(edition: Edition) -> None:
    assert suggested(edition, "bay", "moon", profile="meaning")[:2] == [("ship", 0.4 * 0.875), ("sea", 0.45 * 0.75)]


def test_one_essay_alone_gets_its_own_scores(edition: Edition) -> None:
    own = edition.related("moon", Rules()).recommendations

    assert suggested(edition, "moon") == [(place.target, place.score) for place in own]


def test_what_the_editors_list_on_its_page_stands_where_its_score_puts_it(edition: Edition) -> None:
    found = suggest_like(edition, ["sea"], [], Rules())

    assert [(place.target, place.origin) for place in found.recommendations] == [
        ("bay", "model"),
        ("tide", "model"),
        ("moon", "model"),
    ]


# --- The list -----------------------------------------------------------------------------------------------------


def test_no_essay_that_was_given_is_in_the_list_nor_its_copy(edition: Edition) -> None:
    assert suggested(edition, "sea bay") == [("tide", 0.5), ("ship", pooled(0.1 / 2, 0.8)), ("moon", 0.1)]
    assert suggested(edition, "sea", "bay") == [("tide", 0.8 * 0.8), ("moon", 0.1)]


def test_an_essay_may_be_wanted_and_unwanted(edition: Edition) -> None:
    assert suggested(edition, "moon", "moon") == [("sea", 0.25), ("ship", 0.1875), ("tide", 0.1875)]


def test_the_rules_hold_as_for_any_list(edition: Edition) -> None:
    assert suggested(edition, "sea", category="Sky") == [("moon", 0.1)]
    assert suggested(edition, "sea", limit=1) == [("bay", 0.9)]
    assert suggested(edition, "sea", exclude=frozenset({"bay"}))[0] == ("bay-again", 0.9)
    assert suggested(edition, "sea", min_score=0.85) == [("bay", 0.9)]
    assert suggested(edition, "sea", at_least=4) == []
    assert suggested(edition, "sea", unlinked=True)[2] == ("blurb:reef", 0.6)
    assert [d.target for d in suggest_like(edition, ["sea"], [], Rules()).dropped] == ["bay-again"], "nor a blurb"


def test_an_age_is_counted_from_the_newest_of_the_positives(edition: Edition) -> None:
    assert suggested(edition, "sea ship", newer_by_days=0, older_by_days=365) == []
    assert suggested(edition, "sea moon", "ship", newer_by_days=600) == [("bay", pooled(0.9, 0.25 / 2) * 0.5)]
    assert suggested(edition, "ship", newer_by_days=600) == [], "its date is unknown"


def test_reasons_are_those_of_the_essay_that_would_list_it_first(edition: Edition) -> None:
    alone = suggest_like(edition, ["moon"], [], Rules()).recommendations
    both = suggest_like(edition, ["moon", "bay", "ship"], [], Rules()).recommendations

    assert alone[0].reasons == edition.related("moon", Rules()).recommendations[0].reasons
    nearest = {place.target: place.reasons[0] for place in both}
    assert nearest == {"sea": "most of all related to Bays", "tide": "most of all related to The moon"}
    assert both[0].reasons[1:] == alone[0].reasons


def test_ids_that_are_unknown_are_all_named(edition: Edition) -> None:
    with pytest.raises(UnknownEssay, match=r"no essay 'a', 'z', 'blurb:reef' in edition"):
        suggest_like(edition, ["z", "sea", "a"], ["blurb:reef", "z"], Rules())


def test_at_least_one_positive_is_needed(edition: Edition) -> None:
    with pytest.raises(ValueError, match="at least one positive essay is needed"):
        suggest_like(edition, [], ["sea"], Rules())


# --- What holds of every combination ------------------------------------------------------------------------------

IDS = [f"i{number}" for number in range(6)]
PROBABILITIES = st.integers(0, 1_000_000).map(lambda millionths: millionths / 1_000_000)


def some_examples(prefix: str, at_least: int) -> st.SearchStrategy[list[Example]]:
    scores = st.dictionaries(st.sampled_from(IDS), st.tuples(PROBABILITIES, PROBABILITIES))
    made = st.lists(scores, min_size=at_least, max_size=4)
    return made.map(lambda found: [example(f"{prefix}{number}", named) for number, named in enumerate(found)])


def example(ident: str, scores: dict[str, tuple[float, float]]) -> Example:
    named = {other: Candidate(other, *of, ((ident, 1.0),), "held") for other, of in scores.items()}
    least = [min((of[place] for of in scores.values()), default=0.0) for place in (0, 1)]
    return Example(Item(ident, "essay"), named, (least[0], least[1]))


positives, negatives = some_examples("p", 1), some_examples("n", 0)


@given(positives, negatives, st.randoms())
def test_neither_order_matters(positive: list[Example], negative: list[Example], random: Random) -> None:
    expected = combine(positive, negative)
    random.shuffle(positive)
    random.shuffle(negative)

    assert combine(positive, negative) == expected


@given(positives, negatives)
def test_every_score_is_a_probability_and_every_candidate_a_positives(
    positive: list[Example], negative: list[Example]
) -> None:
    found = combine(positive, negative)

    assert [c.id for c in found] == sorted({ident for one in positive for ident in one.candidates})
    for made in found:
        assert 0 <= made.editors <= 1
        assert 0 <= made.meaning <= 1
        assert made.place == ""
        assert {signal for signal, _ in made.reasons} <= {one.essay.id for one in positive if made.id in one.candidates}


@given(positives, negatives, some_examples("m", 1))
def test_a_negative_raises_nothing_and_leaves_alone_what_it_does_not_name(
    positive: list[Example], negative: list[Example], more: list[Example]
) -> None:
    before, after = combine(positive, negative), combine(positive, [*negative, more[0]])

    for old, new in zip(before, after, strict=True):
        assert new.editors <= old.editors
        assert new.meaning <= old.meaning
        assert old.id in more[0].candidates or new == old


@given(positives, negatives, st.sampled_from(IDS), st.integers(0, 3))
def test_what_a_positive_is_surer_of_comes_no_lower_and_nothing_else_moves(
    positive: list[Example], negative: list[Example], ident: str, place: int
) -> None:
    chosen = positive[place % len(positive)]
    of = chosen.candidates.get(ident)
    assume(of)
    surer = of._replace(editors=(of.editors + 1) / 2)
    after = combine(
        [replace(e, candidates={**e.candidates, ident: surer}) if e is chosen else e for e in positive], negative
    )

    for old, new in zip(combine(positive, negative), after, strict=True):
        assert new.editors >= old.editors if new.id == ident else new.editors == old.editors


@given(some_examples("p", 1))
def test_one_positive_twice_says_what_it_says_once(positive: list[Example]) -> None:
    once, twice = combine(positive[:1], []), combine(positive[:1] * 2, [])

    assert once == twice
    for made in once:
        own = positive[0].candidates[made.id]
        assert (made.editors, made.meaning) == pytest.approx((own.editors, own.meaning), abs=1.1e-6)


def test_two_negatives_are_worse_than_the_surer_of_them() -> None:
    like = [example("p", {"i0": (0.8, 0.8)})]
    unlike = [example("n", {"i0": (0.5, 0.5)}), example("m", {"i0": (0.25, 0.0)})]

    (made,) = combine(like, unlike)

    assert (made.editors, made.meaning) == pytest.approx((0.3, 0.4))
