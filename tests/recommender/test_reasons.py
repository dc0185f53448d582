"""What speaks for a candidate, in an editor's words."""

import pytest

from recommender.reasons import phrase


@pytest.mark.parametrize(
    ("signal", "value", "words"),
    [
        ("meaning", 0.6, "close in meaning (0.60)"),
        ("meaning", 0.59, "akin in meaning (0.59)"),
        ("meaning", 0.4, "akin in meaning (0.40)"),
        ("meaning", 0.39, "distant in meaning (0.39)"),
        ("meaning", -0.1, "distant in meaning (-0.10)"),
        ("summary", 0.7, "title and standfirst are close (0.70)"),
        ("summary", 0.5, "title and standfirst are akin (0.50)"),
        ("summary", 0.1, "title and standfirst are distant (0.10)"),
        ("wording", 0.3, "close in wording (0.30)"),
        ("wording", 0.1, "akin in wording (0.10)"),
        ("wording", 0.09, "distant in wording (0.09)"),
        ("names", 0.8, "this essay names 80% of its title"),
        ("named", 0.754, "it names 75% of this essay's title"),
        ("mentions", 1.0, "its title stands in this essay's text"),
        ("category", 1.0, "same category"),
        ("address", 0.8, "its address is alike"),
        ("author", 1.0, "same author"),
        ("dates", 0.9, "published at about the same time"),
        ("mutual_rank", 0.5, "this essay is among its own nearest"),
        ("links", 1.0, "this essay links to it"),
        ("linked", 1.0, "it links to this essay"),
        ("popularity", 0.0, "in 0 lists"),
        ("popularity", 1.0, "in 1 list"),
        ("popularity", 1234.0, "in 1,234 lists"),
        ("votes", 0.4, "40% of the most similar pages' lists name it"),
        ("lists_back", 1.0, "it lists this essay"),
        ("co_listed", 1.0, "listed beside this essay once"),
        ("co_listed", 3.0, "listed beside this essay 3 times"),
        ("predicted", 0.3, "the lists of like pages point to it"),
        ("like_lists", 0.3, "its own list names what like pages name"),
        ("a_signal_of_tomorrow", 0.3, "a_signal_of_tomorrow"),
    ],
)
def test_each_signal_has_its_phrase_and_an_unknown_one_its_name(signal: str, value: float, words: str) -> None:
    assert phrase(signal, value) == words


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ("mentions", "its title does not stand in this essay's text"),
        ("category", "another category, or none"),
        ("author", "another author, or none"),
        ("links", "this essay does not link to it"),
        ("linked", "it does not link to this essay"),
        ("lists_back", "it does not list this essay"),
        ("predicted", "the lists of like pages do not point to it"),
        ("like_lists", "its own list does not name what like pages name"),
        ("mutual_rank", "this essay is not among its own hundred nearest"),
    ],
)
def test_what_is_not_so_is_not_said_to_be_so(signal: str, words: str) -> None:
    assert phrase(signal, 0.0) == words
    assert phrase(signal, 1.0) != words


def test_a_mutual_rank_says_how_near() -> None:
    assert phrase("mutual_rank", 0.4805) == "this essay is among its own nearest"  # ten are nearer
    assert phrase("mutual_rank", 0.4615) == "this essay is among its own hundred nearest"  # eleven are


def test_a_zero_that_rounding_made_negative_is_a_zero() -> None:
    assert phrase("names", -1e-9) == "this essay names 0% of its title"
    assert phrase("wording", -0.001) == "distant in wording (0.00)"
