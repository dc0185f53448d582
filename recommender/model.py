"""The score of a pair: the probability that editors would list the candidate, by logistic regression on its signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Matrix
from recommender.signals import SIGNALS

Values = NDArray[np.float64]

Curve = tuple[tuple[float, float], ...]
"""Knots (logit, what it really promises), both rising; empty: it is as it says."""

_AT_ONCE = 100_000  # pairs: a large site has many millions

CLIP = 6.0
"""A learned model reads no signal as more than six deviations off its mean: without this, rare extreme values rule
the weights (recall@10 one to two points lower on grass_gis; level elsewhere; 4 and 10 were no different)."""


@dataclass(frozen=True, slots=True)
class Model:
    """name: says where the weights are from. Each array has a value a signal, in the order of SIGNALS.

    logit = intercept + sum of weight * clip((value - mean) / scale), set right by the curve
    probability = 1 / (1 + exp(-logit))
    """

    name: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    clip: float = CLIP
    curve: Curve = ()

    @classmethod
    def plain(cls, name: str, weights: Mapping[str, float], intercept: float) -> "Model":
        """A model on the signals as they are; those not named count for nothing."""
        n = len(SIGNALS)
        row = tuple(float(weights.get(signal, 0.0)) for signal in SIGNALS)
        return cls(name, (0.0,) * n, (1.0,) * n, row, intercept, clip=np.inf)

    def contributions(self, values: Matrix) -> Values:
        """What each signal adds to the logit. values: shape (pairs, signals). Gives the same shape."""
        standard = (values.astype(np.float64) - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(np.clip(standard, -self.clip, self.clip) * np.array(self.weights), dtype=np.float64)

    def logits(self, values: Matrix) -> Values:
        """Shape (pairs,)."""
        found = np.empty(len(values), dtype=np.float64)
        for start in range(0, len(values), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            found[some] = self.contributions(values[some]).sum(axis=1) + self.intercept
        return set_right(found, self.curve)

    def block_logits(self, block: Mapping[str, Matrix]) -> Matrix:
        """For a block of essays and items, from those signals that have weight and are in it; not set right."""
        total = np.float64(self.intercept)
        for i, signal in enumerate(SIGNALS):
            if self.weights[i] and signal in block:
                standard = (block[signal] - self.mean[i]) / self.scale[i]
                total = total + np.clip(standard, -self.clip, self.clip) * self.weights[i]
        return np.asarray(total, dtype=np.float32)

    def probabilities(self, values: Matrix) -> Values:
        """Shape (pairs,), 0 to 1."""
        return probability(self.logits(values))

    def to_json(self) -> dict[str, Any]:
        """For the manifest: weights by signal, those of 0 left out."""
        shown = {
            signal: [float(f"{x:.9g}") for x in (self.mean[i], self.scale[i], self.weights[i])]
            for i, signal in enumerate(SIGNALS)
            if self.weights[i]
        }
        clip = None if np.isinf(self.clip) else self.clip
        curve = [[round(x, 6), round(y, 6)] for x, y in self.curve]
        return {
            "name": self.name,
            "intercept": round(self.intercept, 6),
            "clip": clip,
            "signals": shown,
            "curve": curve,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Model":
        """What to_json() wrote. Raises KeyError for a signal that this version does not know."""
        unknown = set(record["signals"]) - set(SIGNALS)
        if unknown:
            raise KeyError(f"unknown signals {sorted(unknown)}")
        rows: Sequence[Sequence[float]] = [record["signals"].get(signal, (0.0, 1.0, 0.0)) for signal in SIGNALS]
        mean, scale, weights = (tuple(column) for column in zip(*rows, strict=True))
        clip = np.inf if record["clip"] is None else record["clip"]
        curve = tuple((x, y) for x, y in record["curve"])
        return cls(record["name"], mean, scale, weights, record["intercept"], clip, curve)

    def weight_of(self, signal: str) -> float:
        """The weight of a signal, per deviation."""
        return self.weights[SIGNALS.index(signal)]


def set_right(logits: Values, curve: Curve) -> Values:
    """The logits bent to the curve, straight between knots and beyond them; of two, the higher stays the higher."""
    if not curve:
        return np.asarray(logits, dtype=np.float64)
    x, y = np.array(curve).T
    beyond = np.minimum(logits - x[0], 0.0) + np.maximum(logits - x[-1], 0.0)
    return np.asarray(np.interp(logits, x, y) + beyond + _TILT * logits, dtype=np.float64)


_TILT = 1e-3  # keeps apart what lies on a level stretch


def probability(logits: NDArray[Any]) -> Values:
    """1 / (1 + exp(-x))."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -500, 500))), dtype=np.float64)


_BLEND = {"meaning": 1.0, "wording": 0.5, "names": 0.15, "named": 0.15, "mentions": 2.0, "category": 0.3}
"""Found by trial on five corpora of documentation; the optimum is flat (benchmarks/results/cold-weights.md)."""
_SLOPE, _OFFSET = 0.54, -5.95
"""Make a probability of the blend (Platt, 1999), fitted on the same corpora, each with equal weight. Sites differ in
how much their editors list: judged on a corpus left out, a promised 0.5 was 0.22 to 0.77. Lists set it right."""

DEFAULT = Model.plain("default-1", {signal: _SLOPE * weight for signal, weight in _BLEND.items()}, _OFFSET)
"""The texts alone: for the profile "meaning", and for sites that have too few lists to learn from."""
