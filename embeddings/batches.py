"""Texts of one length together: which rows go through the model at once.

A text is padded to a length that only its own tokens decide, so that what is computed for it depends on nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Batch:
    """rows: positions of the texts. length: tokens that each is padded to."""

    rows: tuple[int, ...]
    length: int


def batches(tokens: Sequence[int], step: int, window: int, rows: int) -> Iterator[Batch]:
    """Batches of at most `rows` texts each, the longest first, each text once.

    tokens: how many a text has, at most `window`; it is padded to the next multiple of step, the last being the window.
    """

    def padded(row: int) -> int:
        return min(-(-tokens[row] // step) * step, window)

    for length, group in groupby(sorted(range(len(tokens)), key=padded, reverse=True), key=padded):
        alike = list(group)
        for start in range(0, len(alike), rows):
            yield Batch(tuple(alike[start : start + rows]), length)
