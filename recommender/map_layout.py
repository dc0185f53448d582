"""A map of the site: essays that are alike in meaning stand near one another. The axes mean nothing."""

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from embeddings.encoder import Matrix, Progress
from embeddings.vectors import check_unit_rows

SAMPLE = 2_000
"""Essays that t-SNE places; the others are placed among these. t-SNE's time grows faster than their number: on one core
500 steps take 1.1 s for 1,000, 2.6 s for 2,000 and 4.3 s for 3,000."""
NEAREST = 5
"""Neighbours in the sample that decide where another essay stands."""

_STEPS = 500  # 1,000 take twice the time and moved no essay of a clustered set out of its cluster
_PERPLEXITY = 30.0
_LEAST = 10  # essays for t-SNE; fewer stand by their principal axes
_WARMTH = 0.05  # a neighbour that is less similar by this much counts e times less
_SPREAD = 0.008  # standard deviation, as a share of the map's width
_CHUNK = 1024
_SEED = 0

Places = NDArray[np.float64]
"""float64, shape (n, 2)."""


def lay_out(matrix: Matrix, progress: Progress = lambda done: None) -> Places:
    """The place of each row on the map, both coordinates 0-1, equal rows a step apart; the same for the same matrix.

    matrix: float32, shape (n, dim), unit rows, n may be 0. progress: is told of rows that were placed.
    """
    check_unit_rows(matrix)
    if not len(matrix):
        return np.zeros((0, 2))
    rng = np.random.default_rng(_SEED)
    drawn = _draw_evenly(len(matrix), SAMPLE)
    places = np.zeros((len(matrix), 2))
    places[drawn] = _to_square(_embed(matrix[drawn], rng))
    progress(len(drawn))
    rest = np.setdiff1d(np.arange(len(matrix)), drawn)
    for start in range(0, len(rest), _CHUNK):
        rows = rest[start : start + _CHUNK]
        places[rows] = _place_among(matrix[rows], matrix[drawn], places[drawn]) + _spread(rng, len(rows))
        progress(len(rows))
    return _to_square(places).round(6)


def _draw_evenly(number: int, size: int) -> NDArray[np.int64]:
    """So many of the rows, in even steps; all when there are no more."""
    return np.linspace(0, number - 1, min(size, number)).round().astype(np.int64)


def _embed(matrix: Matrix, rng: np.random.Generator) -> Places:
    """Places by t-SNE (van der Maaten and Hinton 2008), begun at the principal axes."""
    start = _principal_places(matrix) + _spread(rng, len(matrix))
    if len(matrix) < _LEAST:
        return start
    tsne = TSNE(
        perplexity=min(_PERPLEXITY, (len(matrix) - 1) / 3),
        init=(start * 1e-4).astype(np.float32),
        max_iter=_STEPS,
        random_state=_SEED,
    )
    with threadpool_limits(1):  # sums of several threads are rounded differently from run to run
        return np.asarray(tsne.fit_transform(matrix), dtype=np.float64)


def _principal_places(matrix: Matrix) -> Places:
    """The rows on their two principal axes, of deviation 1 along the first; zeros where all rows are one."""
    centred = matrix.astype(np.float64) - matrix.mean(axis=0, dtype=np.float64)
    strengths, axes = np.linalg.eigh(centred.T @ centred)
    chosen = axes[:, ::-1][:, :2]
    chosen = chosen * np.where(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])] < 0, -1.0, 1.0)
    places = np.zeros((len(matrix), 2))
    deviation = np.sqrt(max(float(strengths[-1]), 0.0) / len(matrix))
    if deviation > 1e-6:
        places[:, : chosen.shape[1]] = centred @ chosen / deviation
    return places


def _place_among(matrix: Matrix, sample: Matrix, places: Places) -> Places:
    """The mean place of each row's NEAREST of the sample, the more similar weighing more."""
    similarities = matrix @ sample.T
    nearest = np.argpartition(-similarities, NEAREST - 1, axis=1)[:, :NEAREST]
    near = np.take_along_axis(similarities, nearest, axis=1).astype(np.float64)
    weights = np.exp((near - near.max(axis=1, keepdims=True)) / _WARMTH)
    mean: Places = (places[nearest] * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    return mean


def _spread(rng: np.random.Generator, number: int) -> Places:
    """A small step in any direction, so that essays of one vector do not stand on one point."""
    return rng.normal(scale=_SPREAD, size=(number, 2))


def _to_square(places: Places) -> Places:
    """The places moved and scaled, both axes alike, into the middle of the unit square."""
    low, high = places.min(axis=0), places.max(axis=0)
    width = float((high - low).max())
    return (places - (low + high) / 2) / width + 0.5 if width > 0 else np.full_like(places, 0.5)
