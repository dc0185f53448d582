"""The seam between texts and vectors."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""float32, shape (n, dim), a row a text."""

Progress = Callable[[int], None]
"""Called with the number of items done since the last call."""


class Encoder(Protocol):
    """Turns texts into unit vectors. tests/contracts/test_encoder.py runs on every implementation.

    fingerprint: names the model and its weights; vectors of two fingerprints are never mixed or compared.
    arithmetic:  names what computes: library, version, precision, padding. One model's vectors of two arithmetics are
                 near enough to be compared, but differ in their bits, so one cache key never holds both.
    dim:         width of the vectors.
    window:      how many tokens of a text are read, special tokens included; the rest would be cut silently.
    """

    @property
    def fingerprint(self) -> str: ...
    @property
    def arithmetic(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def window(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts, finite.

        A text's row is a function of the text alone, to the bit, whatever else is encoded, in any order and calls.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes, special tokens included."""
        ...


def cache_key(encoder: Encoder) -> str:
    """What an encoder's vectors are cached under: those of one key may stand in one edition."""
    return f"{encoder.fingerprint} {encoder.arithmetic}"
