"""The texts that a faster way to compute a model is judged by, and the judgement."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from embeddings.encoder import Matrix

LOWEST_COSINE = 0.9995
"""Between a text's vector and sentence-transformers' in fp32: below it neighbours change. bfloat16 keeps 0.9999, int8
0.994, with which 7% of the nearest neighbours were others."""

_TEXTS = 32
_WORDS = (
    "Bread rises in a warm oven, and the baker's clock (an old one, from 1897) has stopped at 4:35. Who built the "
    "bridge below the town? Nobody recalls: its stones are older than every map. Żur is a soup of sour rye; crème "
    "brûlée is not. To list the files run `ls -la /usr/share`, then set max_size = 4096 and call main(argc, "
    "argv). The committee voted 12 to 7 against the budget, which cut $3.5 million from schools, hospitals and "
    "parks! In 日本 and Україна, as in Perú, e-mail reached info@example.org late. A matrix A is orthogonal if AᵀA "
    '= I; its determinant is ±1. See Section 2.1, "Limits", or https://example.org/limits?id=42#top for proofs. '
    "Photosynthesis turns light, water and carbon dioxide into sugar; without it, life would be rare. DON'T "
    "PANIC... the trans-Siberian sleeper leaves tomorrow."
).split()


def probe_texts(window: int) -> list[str]:
    """Texts from one word up to more than `window` tokens, evenly in the logarithm, no two with one beginning."""
    lengths = np.unique(np.geomspace(1, window, _TEXTS).round().astype(int))
    lengths = np.concatenate([lengths, np.arange(3, 3 + _TEXTS - len(lengths)) * window // _TEXTS])
    return [
        " ".join(_WORDS[(7 * start + step) % len(_WORDS)] for step in range(length))
        for start, length in enumerate(lengths.tolist())
    ]


def cosines(some: Matrix, others: Matrix) -> Matrix:
    """float32, shape (n,), between the unit rows of two matrices of shape (n, dim)."""
    found: Matrix = np.einsum("ij,ij->i", some, others)
    return found


def keeps_rows_apart(encode: Callable[[Sequence[str]], Matrix], texts: Sequence[str]) -> bool:
    """Whether a text's row is the same, to the bit, among all texts, among all in another order, and alone."""
    together = encode(texts)
    turned = encode(texts[::-1])[::-1]
    alone = np.vstack([encode([text]) for text in texts])
    return bool(np.array_equal(together, turned) and np.array_equal(together, alone))


def timed(encode: Callable[[Sequence[str]], Matrix], texts: Sequence[str]) -> tuple[Matrix, float]:
    """The vectors, and the seconds that they took after a warm-up."""
    encode(texts[::4])
    start = time.perf_counter()
    vectors = encode(texts)
    return vectors, time.perf_counter() - start
