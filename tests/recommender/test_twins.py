"""Near-duplicates."""

import pytest

from corpus.essay import Essay
from recommender.signals import Scored
from recommender.twins import find_twins, is_same_text
from tests.fakes import essay

STANDFIRST = "Weights and screens gave each tower of the coast a signature of its own."
WORDS = [f"word{number}" for number in range(100)]
BODY = " ".join(WORDS)


def changed(words: int) -> str:
    """The body with this many of its hundred words replaced."""
    return " ".join([*(f"new{number}" for number in range(words)), *WORDS[words:]])


def near(ident: str, wording: float = 0.9) -> Scored:
    return Scored(ident, 1.0, 0.9, wording, 0.0, 0.0)


def twins(*essays: Essay, wording: float = 0.9) -> dict[str, str]:
    """Each essay has all others among its candidates, with this wording signal."""
    candidates = [[near(other.id, wording) for other in essays if other.id != one.id] for one in essays]
    return dict(find_twins(essays, candidates))


def test_essays_with_one_body_are_a_group_named_by_its_first_id() -> None:
    assert twins(essay("a", "Other."), essay("b", BODY), essay("c", BODY), essay("d", BODY)) == {
        "b": "b",
        "c": "b",
        "d": "b",
    }


def test_different_essays_are_in_no_group() -> None:
    assert twins(essay("a", "One text, of bread."), essay("b", "Another one, about clocks.")) == {}
    assert twins() == {}


@pytest.mark.parametrize(("words", "expected"), [(0, True), (5, True), (10, True), (11, False), (50, False)])
def test_nine_words_of_ten_in_common_make_one_text(words: int, expected: bool) -> None:
    assert is_same_text(BODY, changed(words)) is expected


def test_case_and_punctuation_make_no_other_text() -> None:
    assert is_same_text(BODY, BODY.upper().replace(" ", ", ") + "!")


def test_the_same_words_in_another_order_are_another_text() -> None:
    assert not is_same_text(BODY, " ".join(reversed(WORDS)))


def test_texts_without_a_word_are_not_one_text() -> None:
    assert not is_same_text("", "")
    assert not is_same_text("…", "!")


def test_bodies_are_compared_only_where_the_wording_is_near() -> None:
    pair = (essay("a", BODY), essay("b", changed(5)))

    assert twins(*pair, wording=0.6) == {"a": "a", "b": "a"}
    assert twins(*pair, wording=0.59) == {}


def test_equal_bodies_are_found_without_being_anyones_candidates() -> None:
    assert dict(find_twins([essay("a", BODY), essay("b", BODY)], [[], []])) == {"a": "a", "b": "a"}


def test_a_standfirst_that_two_essays_share_makes_them_near_duplicates() -> None:
    pair = (essay("a", "Bread.", standfirst=STANDFIRST), essay("b", "Clocks.", standfirst=STANDFIRST.upper() + " "))

    assert twins(*pair, wording=0.0) == {"a": "a", "b": "a"}


def test_a_short_standfirst_counts_only_for_akin_texts() -> None:
    pair = (
        essay("a", "Bread.", standfirst="Round to nearest integer"),
        essay("b", "Map.", standfirst="Round to nearest integer"),
    )

    assert twins(*pair, wording=0.5) == {"a": "a", "b": "a"}
    assert twins(*pair, wording=0.49) == {}


@pytest.mark.parametrize(("number", "expected"), [(5, 5), (6, 0)])
def test_a_standfirst_of_many_essays_is_a_formula_of_the_site(number: int, expected: int) -> None:
    site = [essay(f"e{n}", f"Text {n}.", standfirst=STANDFIRST) for n in range(number)]

    assert len(twins(*site, wording=0.0)) == expected


def test_essays_without_a_standfirst_do_not_share_one() -> None:
    assert (
        twins(
            essay("a", "Bread.", standfirst=None),
            essay("b", "Map.", standfirst=None),
            essay("c", "Clock.", standfirst=""),
        )
        == {}
    )


def test_groups_that_share_a_member_are_one_group() -> None:
    site = (
        essay("a", "Bread.", standfirst=STANDFIRST),
        essay("b", BODY, standfirst=STANDFIRST),
        essay("c", BODY),
        essay("x", "Something else."),
    )

    assert twins(*site) == {"a": "a", "b": "a", "c": "a"}


def test_a_pair_is_found_when_either_is_among_the_others_candidates_first() -> None:
    one, two = essay("a", BODY), essay("b", changed(5))

    assert dict(find_twins([one, two], [[near("b")], []])) == {"a": "a", "b": "a"}
    assert dict(find_twins([one, two], [[], [near("a")]])) == {"a": "a", "b": "a"}
