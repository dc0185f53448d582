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
    dim:         width of the vectors.
    window:      how many tokens of a text are read, special tokens included; the rest would be cut silently.
    """

    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def window(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts, finite, the same for the same call."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes, special tokens included."""
        ...
