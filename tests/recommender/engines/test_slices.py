"""How a step is cut into parts."""

import pytest

from recommender.engines.slices import slice_size, slices


@pytest.mark.parametrize(
    ("items", "size"),
    [(0, 8), (1_599, 8), (1_600, 8), (3_199, 8), (3_200, 16), (100_000, 256), (102_400, 512), (10_000_000, 512)],
)
def test_parts_are_some_two_hundred_to_four_hundred_and_neither_tiny_nor_huge(items: int, size: int) -> None:
    assert slice_size(items) == size


def test_slices_hold_every_item_in_order() -> None:
    assert list(slices(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(slices([], 3)) == []


def test_where_whole_slices_fall_out_the_others_stay_as_they_are() -> None:
    first = list(slices(range(20), 3))
    left = [item for number, some in enumerate(first) if number not in (0, 3) for item in some]

    assert list(slices(left, 3)) == [some for number, some in enumerate(first) if number not in (0, 3)]
