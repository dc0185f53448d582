"""How a step is cut into parts."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")

_PARTS = 200
"""At least so many where there is enough to do: a worker that dies costs what it was at, half a per cent."""
_SIZES = (8, 512)
"""Items of a part: below, its file costs more than the work; above, memory and the wait for the last part grow."""


def slice_size(items: int) -> int:
    """A power of two, so that a build which goes on with slightly fewer items cuts them alike."""
    low, high = _SIZES
    return max(low, min(high, 1 << max(0, (items // _PARTS).bit_length() - 1)))


def slices(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Runs of so many items, in order. Where whole runs fall out, all others stay as they are."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some
