"""Near-duplicates."""

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.essay import Essay
from recommender.twins import ENOUGH_TO_TELL, SIBLINGS, find_twins, is_same_text
from tests.fakes import essay

STANDFIRST = "Weights and screens gave each tower of the coast a signature of its own."
WORDS = [f"word{number}" for number in range(100)]
BODY = " ".join(WORDS)


def changed(words: int) -> str:
    """The body with this many of its hundred words replaced."""
    return " ".join([*(f"new{number}" for number in range(words)), *WORDS[words:]])


def twins(*essays: Essay, wording: float = 0.9, lists: Mapping[str, Collection[str]] | None = None) -> dict[str, str]:
    """Each essay has all others among its nearest, with this wording signal."""
    wordings = [{other.id: wording for other in essays if other.id != one.id} for one in essays]
    return dict(find_twins(essays, wordings, lists or {}))


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


def test_equal_bodies_are_found_without_being_among_anyones_nearest() -> None:
    assert dict(find_twins([essay("a", BODY), essay("b", BODY)], [{}, {}], {})) == {"a": "a", "b": "a"}


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


def test_a_pair_is_found_when_either_is_among_the_others_nearest() -> None:
    pair = [essay("a", BODY), essay("b", changed(5))]

    assert dict(find_twins(pair, [{"b": 0.9}, {}], {})) == {"a": "a", "b": "a"}
    assert dict(find_twins(pair, [{}, {"a": 0.9}], {})) == {"a": "a", "b": "a"}


# --- Siblings: look-alikes that editors list together --------------------------------------------------------------


KINDS = ("one standfirst", "nearly one text")
EVERYBODY = {f"{side}{n}" for n in range(8) for side in "ab"}


def look_alikes(kind: str, pairs: int = 8) -> list[Essay]:
    """So many pairs a0 and b0, a1 and b1, ... that look like copies in this way alone."""
    site = []
    for n in range(pairs):
        words = [f"word{n}of{i}" for i in range(40)]
        for side, ending in (("a", "here"), ("b", "there")):
            if kind == "one standfirst":
                site.append(essay(f"{side}{n}", f"Text {n} {side}.", standfirst=f"{n} is what {STANDFIRST}"))
            else:
                site.append(essay(f"{side}{n}", " ".join([*words, ending])))
    return sorted(site, key=lambda one: one.id)


def pairs_of(groups: Mapping[str, str]) -> set[int]:
    """Which of the pairs of look_alikes are near-duplicates."""
    return {int(ident[1:]) for ident in groups}


def linking(*numbers: int, told: int) -> dict[str, list[str]]:
    """Lists of so many pairs, of which these name their other half, and the others something else."""
    return {f"a{n}": [f"b{n}"] if n in numbers else ["elsewhere"] for n in range(told)}


@pytest.mark.parametrize("kind", KINDS)
def test_look_alikes_are_near_duplicates_on_a_site_without_lists(kind: str) -> None:
    assert pairs_of(twins(*look_alikes(kind))) == set(range(8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("linked", "told", "expected"),
    [
        ((), 8, set(range(8))),
        ((0,), 8, set(range(8))),  # one of eight is under SIBLINGS
        ((0, 1), 8, set()),  # a quarter is enough
        ((5,), 8, set(range(8))),
        ((0, 1, 2), 3, set(range(8))),  # three are too few to tell
        ((0,), 4, set()),
        ((0,), 5, set(range(8))),
    ],
)
def test_look_alikes_that_lists_link_often_enough_are_siblings(
    kind: str, linked: tuple[int, ...], told: int, expected: set[int]
) -> None:
    assert (SIBLINGS, ENOUGH_TO_TELL) == (0.25, 4)

    assert pairs_of(twins(*look_alikes(kind), lists=linking(*linked, told=told))) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_counts_whichever_of_the_two_has_the_list_and_once_when_both_have(kind: str) -> None:
    backwards = {f"b{n}": [f"a{n}"] if n < 2 else ["elsewhere"] for n in range(8)}
    both = {"a0": ["b0"], "b0": ["a0"]} | {f"a{n}": ["elsewhere"] for n in range(1, 8)}

    assert pairs_of(twins(*look_alikes(kind), lists=backwards)) == set()
    assert pairs_of(twins(*look_alikes(kind), lists=both)) == set(range(8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_neither_tells_nothing_of_a_pair(kind: str) -> None:
    elsewhere = {f"else{n}": [f"a{n}", f"b{n}"] for n in range(8)}

    assert pairs_of(twins(*look_alikes(kind), lists=elsewhere)) == set(range(8))


def test_one_kind_may_be_siblings_and_the_other_copies() -> None:
    standfirsts = look_alikes("one standfirst", 4)
    texts = [essay(f"c{one.id}", one.body) for one in look_alikes("nearly one text", 4)]
    lists = {f"a{n}": [f"b{n}"] for n in range(4)} | {f"ca{n}": ["elsewhere"] for n in range(4)}

    assert set(twins(*standfirsts, *texts, lists=lists)) == {one.id for one in texts}


def test_equal_texts_are_near_duplicates_whatever_the_lists_link() -> None:
    site = [essay(f"{side}{n}", f"Text {n}.") for n in range(8) for side in "ab"]

    assert pairs_of(twins(*site, lists=linking(*range(8), told=8))) == set(range(8))


@given(
    st.dictionaries(
        st.sampled_from(sorted(EVERYBODY)), st.sets(st.sampled_from(sorted(EVERYBODY)), max_size=4), max_size=16
    ),
    st.sampled_from(KINDS),
)
def test_lists_only_ever_part_what_they_name_siblings_and_never_join(lists: dict[str, set[str]], kind: str) -> None:
    site = look_alikes(kind)
    with_copy = [*site, essay("z", site[0].body)]

    found = twins(*with_copy, lists=lists)

    assert found in (twins(*with_copy), {"a0": "a0", "z": "a0"})
