"""Whether scores hold what they promise: of links scored 0.6, did editors make about six in ten?"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recommender.candidates import Mask
from recommender.learning import CrossValidation, is_listed
from recommender.list_graph import ListGraph
from recommender.model import Values, probability

BINS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Pairs whose score lies between low and high: how many, their mean score, and the share that editors listed."""

    low: float
    high: float
    n: int
    mean_score: float
    share_listed: float


def calibration(validation: CrossValidation, graph: ListGraph) -> list[CalibrationBin]:
    """What the learned scores promise beside what editors did, on pages whose lists were hidden."""
    scores = np.concatenate([probability(fold.logits) for fold in validation.folds])
    listed = np.concatenate([is_listed(fold.pairs, graph) for fold in validation.folds])
    return list(binned(scores, listed))


def binned(scores: Values, listed: Mask) -> Iterator[CalibrationBin]:
    """The bins that hold any pair, ascending."""
    bins = np.clip(np.searchsorted(BINS, scores, side="right") - 1, 0, len(BINS) - 2)
    for number, (low, high) in enumerate(pairwise(BINS)):
        here = bins == number
        if here.any():
            mean, share = float(scores[here].mean()), float(listed[here].mean())
            yield CalibrationBin(low, high, int(here.sum()), round(mean, 4), round(share, 4))
