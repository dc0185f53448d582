"""Which texts go through the model together, and how far each is padded."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.batches import batches, padded_length


def tokens_of(*lengths: int) -> list[tuple[int, list[int]]]:
    """Texts of so many tokens, each of its own kind, and their positions."""
    return [(row, [row] * length) for row, length in enumerate(lengths)]


def test_texts_of_one_length_go_together_as_soon_as_there_are_enough_and_the_rest_the_longest_first() -> None:
    found = batches(tokens_of(3, 17, 16, 40, 5), lambda tokens: padded_length(tokens, 16, 50), lambda length: 2)

    assert [(batch.rows, batch.length) for batch in found] == [((0, 2), 16), ((3,), 48), ((1,), 32), ((4,), 16)]


def test_a_full_batch_waits_for_nothing() -> None:
    seen = []

    def coming() -> Iterator[tuple[int, list[int]]]:
        for text in tokens_of(1, 1, 1):
            seen.append(text[0])
            yield text

    first = next(batches(coming(), lambda tokens: tokens, lambda length: 2))

    assert (first.rows, first.tokens, seen) == ((0, 1), ([0], [1]), [0, 1])


def test_how_many_go_together_may_depend_on_their_length() -> None:
    found = batches(tokens_of(1, 1, 1, 9, 9, 9), lambda tokens: tokens, lambda length: 3 if length == 1 else 2)

    assert [batch.rows for batch in found] == [(0, 1, 2), (3, 4), (5,)]


@pytest.mark.parametrize(("tokens", "length"), [(1, 16), (16, 16), (17, 32), (47, 48), (48, 48), (49, 50), (50, 50)])
def test_a_text_is_padded_to_the_next_step_and_never_past_the_window(tokens: int, length: int) -> None:
    assert padded_length(tokens, 16, 50) == length


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 20), st.integers(1, 9))
def test_each_text_is_in_one_batch_of_a_length_that_its_own_tokens_decide(
    tokens: list[int], step: int, rows: int
) -> None:
    texts = tokens_of(*tokens)
    found = list(batches(texts, lambda one: padded_length(one, step, 60), lambda length: rows))

    assert sorted(row for batch in found for row in batch.rows) == list(range(len(tokens)))
    for batch in found:
        assert 0 < len(batch.rows) <= rows
        for row, values in zip(batch.rows, batch.tokens, strict=True):
            assert values == texts[row][1]
            assert batch.length == padded_length(tokens[row], step, 60) >= tokens[row]
