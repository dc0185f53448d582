"""What two texts share, as people are shown it."""

import pytest

from recommender.excerpts import excerpt, find_terms, worth_naming

# --- The terms worth naming ---------------------------------------------------------------------------------------


def test_the_most_telling_terms_are_named_up_to_so_many() -> None:
    assert worth_naming(["rye", "salt", "oven"], most=2) == ("rye", "salt")
    assert worth_naming([]) == ()


def test_a_word_that_a_shared_phrase_holds_is_not_named_beside_it_whichever_comes_first() -> None:
    assert worth_naming(["sea", "sea clock", "clock", "oak"]) == ("sea clock", "oak")
    assert worth_naming(["sea clock", "clock maker", "sea"]) == ("sea clock", "clock maker")


def test_a_word_within_a_word_is_a_word_of_its_own() -> None:
    assert worth_naming(["sea clock", "clocks", "lock"]) == ("sea clock", "clocks", "lock")
    assert worth_naming(["lock", "sea clock"]) == ("lock", "sea clock")


def test_words_that_a_phrase_drives_out_make_room_for_others() -> None:
    assert worth_naming(["sea", "clock", "sea clock", "oak"], most=3) == ("sea clock", "oak")


# --- Where terms stand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms", "found"),
    [
        ("Rye and rye bread.", ("rye",), ["Rye", "rye"]),
        ("Ryes, wry.", ("rye",), []),
        ("The price of knowing", ("price knowing",), ["price", "knowing"]),
        ("One of the most able", ("able one", "one able"), ["One", "able"]),
        ("price, and then much of the later knowing", ("price knowing",), []),
        ("Café crème", ("crème", "café crème"), ["Café", "crème"]),
        ("a (b", ("(",), []),
        ("", ("rye",), []),
    ],
)
def test_terms_are_found_word_by_word_with_stop_words_between(
    text: str, terms: tuple[str, ...], found: list[str]
) -> None:
    assert [text[start:end] for start, end in find_terms(text, terms)] == found


# --- Excerpts -----------------------------------------------------------------------------------------------------


def test_a_short_text_is_shown_whole_with_single_spaces() -> None:
    assert excerpt("Rye\n keeps.", ("rye",)) == "Rye keeps."
    assert excerpt("", ()) == ""


def test_a_long_text_is_cut_at_a_words_end() -> None:
    assert excerpt("one two three four", (), length=9) == "one two …"
    assert excerpt("one two three four", (), length=7) == "one two …"
    assert excerpt("abcdefghij", (), length=4) == "abcd …"


def test_the_part_that_holds_most_of_the_terms_is_shown_from_its_sentences_start() -> None:
    text = "Nothing of note stands here. Some rye. “More rye!” And salt with it at last, and then much more."
    assert excerpt(text, ("rye", "salt"), length=40) == "… Some rye. “More rye!” And salt with it …"
    assert excerpt(text, ("oven",), length=16) == "Nothing of note …"
