"""Texts of one length together: which rows go through the model at once.

A text is padded to a length that only its own tokens decide, so that what is computed for it depends on nothing else.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

Tokens = Sequence[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """rows: positions of the texts. tokens: of each. length: what they are padded to."""

    rows: tuple[int, ...]
    tokens: tuple[Tokens, ...]
    length: int


def batches(
    texts: Iterable[tuple[int, Tokens]], padded: Callable[[int], int], rows_of: Callable[[int], int]
) -> Iterator[Batch]:
    """Batches of texts of one padded length, each as soon as it is full, the rest at the end, the longest first.

    texts: position and tokens of each. padded: how many tokens -> the length that such a text is padded to, see
    padded_length(). rows_of: padded length -> texts in a full batch of it.
    """
    waiting: defaultdict[int, list[tuple[int, Tokens]]] = defaultdict(list)
    for row, tokens in texts:
        length = padded(len(tokens))
        waiting[length].append((row, tokens))
        if len(waiting[length]) == rows_of(length):
            yield _batch(waiting.pop(length), length)
    for length in sorted(waiting, reverse=True):
        yield _batch(waiting[length], length)


def _batch(texts: Iterable[tuple[int, Tokens]], length: int) -> Batch:
    rows, tokens = zip(*texts, strict=True)
    return Batch(rows, tokens, length)


def padded_length(tokens: int, step: int, window: int) -> int:
    """The next multiple of step, the last being the window."""
    return min(-(-tokens // step) * step, window)
