"""Which texts go through the model together, and how far each is padded."""

from hypothesis import given
from hypothesis import strategies as st

from embeddings.batches import Batch, batches


def test_texts_of_one_length_go_together_the_longest_first() -> None:
    found = list(batches([3, 17, 16, 40, 5], step=16, window=50, rows=2))

    assert found == [Batch((3,), 48), Batch((1,), 32), Batch((0, 2), 16), Batch((4,), 16)]


def test_none_is_padded_past_the_window() -> None:
    assert list(batches([49, 50], step=16, window=50, rows=8)) == [Batch((0, 1), 50)]


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 20), st.integers(1, 9))
def test_each_text_is_in_one_batch_of_a_length_that_its_own_tokens_decide(
    tokens: list[int], step: int, rows: int
) -> None:
    found = list(batches(tokens, step, 60, rows))

    assert sorted(row for batch in found for row in batch.rows) == list(range(len(tokens)))
    for batch in found:
        assert 0 < len(batch.rows) <= rows
        for row in batch.rows:
            assert batch.length == next(batches([tokens[row]], step, 60, 1)).length >= tokens[row]
