"""Ranking metrics per judged essay, and their bootstrap interval. ir-measures is the referee in the tests.

All take hits: bool, shape (n, depth), True where the item at that rank is one that the editors listed; and relevant:
int, shape (n,), how many they listed, at least 1.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Interval = tuple[float, float, float]
"""A mean, and the low and high end of its 95% bootstrap interval."""

RESAMPLES = 1000
_SEED = 20_250_719


def recall(hits: Hits, relevant: Counts, k: int) -> Values:
    """Share of the listed items among the first k."""
    return np.asarray(np.divide(hits[:, :k].sum(axis=1), relevant), dtype=np.float64)


def hit(hits: Hits, relevant: Counts, k: int) -> Values:
    """1 where any listed item is among the first k."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def reciprocal_rank(hits: Hits, relevant: Counts, k: int) -> Values:
    """1 / rank of the first listed item, 0 when none is among the first k."""
    first = hits[:, :k].argmax(axis=1)
    return np.asarray(np.where(hits[:, :k].any(axis=1), 1.0 / (first + 1.0), 0.0), dtype=np.float64)


def ndcg(hits: Hits, relevant: Counts, k: int) -> Values:
    """nDCG with gain 1 and discount 1/log2(rank + 1) (Järvelin and Kekäläinen, 2002)."""
    width = min(k, hits.shape[1])
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    return np.asarray((hits[:, :width] @ discounts[:width]) / ideal, dtype=np.float64)


METRICS: Mapping[str, tuple[Callable[[Hits, Counts, int], Values], int]] = {
    "curated_recall@5": (recall, 5),
    "curated_recall@10": (recall, 10),
    "curated_recall@50": (recall, 50),
    "hit@10": (hit, 10),
    "mrr": (reciprocal_rank, 50),
    "ndcg@10": (ndcg, 10),
}


def measure(hits: Hits, relevant: Counts) -> dict[str, Values]:
    """Every metric, one value a judged essay."""
    return {name: metric(hits, relevant, k) for name, (metric, k) in METRICS.items()}


def bootstrap(values: Values, resamples: int = RESAMPLES) -> Interval:
    """Mean, and its 95% percentile bootstrap interval (Efron, 1979) over the judged essays; the same each time."""
    means = _drawn(len(values), resamples) @ values.astype(np.float64) / len(values)
    low, high = np.percentile(means, [2.5, 97.5])
    return round(float(values.mean()), 6), round(float(low), 6), round(float(high), 6)


@lru_cache(maxsize=2)
def _drawn(n: int, resamples: int) -> Values:
    """How often each of n values is drawn in each resample: float64, shape (resamples, n)."""
    rng = np.random.default_rng(_SEED)
    return np.array([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)], dtype=np.float64)
