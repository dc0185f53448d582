"""An essay -> the texts that are embedded. Nothing of its body is lost past the model's window."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.essay import Block
from embeddings.passages import passages, summary
from embeddings.sentence import SentenceEncoder
from tests.fakes import CountingEncoder, essay

Count = Callable[[Sequence[str]], list[int]]

count_words: Count = CountingEncoder().count_tokens


def count_pieces(texts: Sequence[str]) -> list[int]:
    """As a word-piece model counts: each four characters of a word are a token, and there are two special ones."""
    return [sum(ceil(len(word) / 4) for word in text.split()) + 2 for text in texts]


def cut(body: str, window: int = 10, count: Count = count_words) -> list[str]:
    return passages(essay("a", body), window, count)


# --- Summary ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "standfirst", "expected"),
    [
        ("How bells ring", "Under water.", "How bells ring. Under water."),
        ("Do bells ring?", "Under water.", "Do bells ring? Under water."),
        ("They ring.", "Under water.", "They ring. Under water."),
        ("They ring…", "Under water.", "They ring… Under water."),
        ("How bells ring", None, "How bells ring"),
        (None, "Under water.", "Under water."),
        ("", "Under water.", "Under water."),
        (None, None, ""),
        ("", "", ""),
    ],
)
def test_a_summary_is_title_and_standfirst_as_one_text(
    title: str | None, standfirst: str | None, expected: str
) -> None:
    assert summary(title, standfirst) == expected


# --- Passages by hand ---------------------------------------------------------------------------------------------


def test_a_body_within_the_window_is_one_passage_of_lines() -> None:
    assert cut("One two.\n\nThree four.") == ["One two.\nThree four."]


def test_blocks_are_gathered_while_they_fit() -> None:
    assert cut("a b c\n\nd e\n\nf g h i\n\nj") == ["a b c\nd e", "f g h i\nj"]


def test_headings_are_part_of_the_passages() -> None:
    blocks = (Block("heading", "Title here"), Block("paragraph", "Words."))

    assert passages(essay("a", blocks=blocks), 10, count_words) == ["Title here\nWords."]


def test_a_block_over_the_window_is_cut_at_the_ends_of_sentences() -> None:
    body = "One two three four. Five six seven eight! Nine ten? Eleven twelve thirteen."

    assert cut(body, window=9) == ["One two three four.", "Five six seven eight!", "Nine ten? Eleven twelve thirteen."]
    assert cut(body, window=12) == ["One two three four. Five six seven eight!", "Nine ten? Eleven twelve thirteen."]


def test_a_sentence_keeps_the_quotes_and_brackets_that_close_it() -> None:
    body = "He called: “Ring the bell now.” She did (and rang it twice.) 'Enough of that!' Then it was quite dark."

    assert cut(body, window=8) == [
        "He called: “Ring the bell now.”",
        "She did (and rang it twice.)",
        "'Enough of that!'",
        "Then it was quite dark.",
    ]


def test_a_sentence_over_the_window_is_cut_at_spaces() -> None:
    assert cut("aa bb cc dd ee ff gg hh", window=8) == ["aa bb cc dd", "ee ff gg hh"]


def test_a_word_over_the_window_is_cut_by_characters() -> None:
    parts = cut("x" * 1000, window=12, count=count_pieces)

    assert "".join(parts).replace(" ", "") == "x" * 1000
    assert max(count_pieces(parts)) <= 12


def test_what_does_not_fit_does_not_spoil_its_neighbours() -> None:
    giant = "y" * 100

    parts = cut(f"Before it.\n\n{giant}\n\nAfter it.", window=12, count=count_pieces)

    assert parts[0].startswith("Before it.")
    assert parts[-1].endswith("After it.")
    assert "".join("".join(parts).split()) == f"Beforeit.{giant}Afterit."


@pytest.mark.parametrize("blocks", [(), (Block("paragraph", ""),)])
def test_an_essay_without_text_has_no_passage_with_text(blocks: tuple[Block, ...]) -> None:
    assert "".join(passages(essay("a", blocks=blocks), 10, count_words)) == ""


# --- Properties ---------------------------------------------------------------------------------------------------


words = st.text("abcdefgh", min_size=1, max_size=12)
ends = st.sampled_from(["", ".", "?", "!", "…", ".”", ".)", ","])
sentences = st.lists(st.tuples(words, ends).map("".join), min_size=1, max_size=25).map(" ".join)
bodies = st.lists(sentences, min_size=1, max_size=6).map("\n\n".join)


@given(bodies, st.integers(6, 30))
def test_every_word_of_the_body_is_kept_in_order_and_no_passage_is_over_the_window(body: str, window: int) -> None:
    parts = cut(body, window)

    assert " ".join(parts).split() == body.split()
    assert max(count_words(parts)) <= window
    assert all(part == part.strip() != "" for part in parts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=6), st.integers(3, 12))
def test_every_character_of_any_body_is_kept_in_order(texts: list[str], window: int) -> None:
    blocks = tuple(Block("paragraph", text) for text in texts)

    parts = passages(essay("a", blocks=blocks), window, count_pieces)

    assert "".join("".join(parts).split()) == "".join("".join(texts).split())
    assert all(tokens <= window for tokens in count_pieces(parts))


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(6, 30))
def test_a_new_passage_begins_only_where_the_next_piece_may_not_fit(texts: list[str], window: int) -> None:
    whole = [text for text in texts if count_words([text])[0] <= window]

    parts = cut("\n\n".join(whole), window) if whole else []

    for part, following in pairwise(parts):
        first_block = following.split("\n")[0]
        assert sum(count_words([*part.split("\n"), first_block])) > window


def test_the_passages_of_a_long_essay_fit_the_packaged_model(sentence_encoder: SentenceEncoder) -> None:
    sentence = "Żur, or soup of sour flour, was executed on Good Friday: “Carry the pot out!” they cried. "
    long_word = "Donaudampfschifffahrtselektrizitäten" * 40
    body = "\n\n".join(
        [sentence * 60, "A heading", sentence.replace(". ", "; ") * 50, long_word, "日本語の長い文章です" * 90]
    )

    parts = passages(essay("a", body), sentence_encoder.window, sentence_encoder.count_tokens)

    assert max(sentence_encoder.count_tokens(parts)) <= sentence_encoder.window
    assert "".join("".join(parts).split()) == "".join(body.split())
