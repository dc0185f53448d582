"""Stand-ins whose output a person can compute by hand, and builders for what tests are made of."""

import re
from collections.abc import Sequence

import numpy as np

from corpus.essay import Block, Essay
from embeddings.encoder import Matrix

AXES = ("bread", "clock", "map", "bridge")


class CountingEncoder:
    """An Encoder that counts a text's words on each axis, and its own calls.

    "bread" is (1, 0, 0, 0, 0), "Bread, clock." is (0.7071, 0.7071, 0, 0, 0), and a text without any of the four words
    lies on the fifth axis. Each word, however long, is a token; two more stand for the special tokens. Words past the
    window are not read.

    calls: how often encode() was called. texts: everything that was encoded, in order.
    """

    dim = len(AXES) + 1
    arithmetic = "counting"

    def __init__(self, window: int = 16, fingerprint: str = "axes@1") -> None:
        self.window = window
        self.fingerprint = fingerprint
        self.calls = 0
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Matrix:
        """See Encoder.encode."""
        self.calls += 1
        self.texts += texts
        counts = np.array([self._counts(text) for text in texts], dtype=np.float64).reshape(-1, self.dim)
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See Encoder.count_tokens."""
        return [len(text.split()) + 2 for text in texts]

    def _counts(self, text: str) -> list[int]:
        read = " ".join(text.split()[: self.window - 2])
        words = re.findall(r"\w+", read.casefold())
        counts = [words.count(axis) for axis in AXES]
        return [*counts, 0 if any(counts) else 1]


def essay(ident: str, body: str = "Bread rises in the oven.", **fields: object) -> Essay:
    """An essay whose body's paragraphs are separated by blank lines; every other field as given."""
    blocks = tuple(Block("paragraph", part) for part in body.split("\n\n"))
    return Essay(**{"id": ident, "blocks": blocks, "source": f"{ident}.txt", **fields})  # type: ignore[arg-type]
