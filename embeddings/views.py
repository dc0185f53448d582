"""The texts by which an essay is known, and the one vector that they make together.

An essay has three views: its summary (title and standfirst), its opening (the first passage) and its body (all
passages). Their unit vectors are summed. One vector per essay was enough in trials on four human-made corpora: the
best single pair of passages (max-sim) gained nothing over it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from corpus.essay import Essay
from embeddings.cache import VectorCache
from embeddings.encoder import Encoder, Matrix, Progress
from embeddings.passages import passages, summary
from embeddings.vectors import unit_rows

_CHUNK = 256  # texts encoded between two writes to the cache: what a killed build loses at most
_ESSAYS_A_WRITE = 200


@dataclass(frozen=True, slots=True)
class Views:
    """The texts of one essay: of itself alone. What lists say of it would let a list speak for its own entries."""

    summary: str
    passages: tuple[str, ...]

    def texts(self) -> list[str]:
        """Every text that has to be encoded."""
        return [text for text in (self.summary, *self.passages) if text]


@dataclass(frozen=True, slots=True)
class EncodingCount:
    """How many different texts were encoded anew, and how many came from the cache."""

    encoded: int
    reused: int


def views_of(
    essays: Sequence[Essay],
    encoder: Encoder,
    cache: VectorCache,
    progress: Progress = lambda done: None,
) -> list[Views]:
    """The views of each essay, in order; bodies that were cut before are taken from the cache."""
    found: list[Views] = []
    for start in range(0, len(essays), _ESSAYS_A_WRITE):
        some = essays[start : start + _ESSAYS_A_WRITE]
        known = cache.get_passages(essay.body for essay in some)
        new = {e.body: passages(e, encoder.window, encoder.count_tokens) for e in some if e.body not in known}
        cache.put_passages(new)
        known |= new
        found += [Views(summary(e.title, e.standfirst), tuple(known[e.body])) for e in some]
        progress(len(some))
    return found


def encode_texts(
    texts: Iterable[str], encoder: Encoder, cache: VectorCache, progress: Progress = lambda done: None
) -> tuple[dict[str, Matrix], EncodingCount]:
    """The vector, shape (dim,), of each different text. progress is called with texts done, cached ones included."""
    wanted = sorted(set(texts), key=lambda text: (len(text), text))  # alike lengths together: less padding
    vectors = cache.get(wanted)
    missing = [text for text in wanted if text not in vectors]
    progress(len(wanted) - len(missing))
    for start in range(0, len(missing), _CHUNK):
        some = missing[start : start + _CHUNK]
        matrix = encoder.encode(some)
        cache.put(some, matrix)
        vectors.update(zip(some, matrix, strict=True))
        progress(len(some))
    return vectors, EncodingCount(encoded=len(missing), reused=len(wanted) - len(missing))


def read_passages(essay: Essay, encoder: Encoder, cache: VectorCache) -> tuple[tuple[str, ...], Matrix]:
    """An essay's passages, of one without a body its summary, and their vectors: float32, shape (passages, dim).

    Both come from the cache; the encoder is asked only for what that lacks.
    """
    views = views_of([essay], encoder, cache)[0]
    texts = views.passages or tuple(views.texts())
    vector_of, _count = encode_texts(texts, encoder, cache)
    rows = [vector_of[text] for text in texts]
    return texts, np.vstack(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def pool(views: Sequence[Views], vector_of: Callable[[str], Matrix]) -> Matrix:
    """float32, shape (n, dim): the unit vector of each essay, from the vectors of its texts."""
    rows = [_pool_one(view, vector_of) for view in views]
    return unit_rows(np.vstack(rows)) if rows else np.zeros((0, 0), dtype=np.float32)


def bodies(views: Sequence[Views], vector_of: Callable[[str], Matrix]) -> Matrix:
    """The same without title and standfirst; an essay without a body has the first axis."""
    if not views:
        return np.zeros((0, 0), dtype=np.float32)
    bare = [Views("", view.passages) if view.passages else None for view in views]
    dim = len(vector_of(next(text for view in views for text in view.texts())))
    return unit_rows(np.vstack([_pool_one(view, vector_of) if view else np.zeros(dim) for view in bare]))


def _pool_one(views: Views, vector_of: Callable[[str], Matrix]) -> Matrix:
    parts = [_unit(vector_of(views.summary))] if views.summary else []
    if views.passages:
        body = [vector_of(text) for text in views.passages]
        parts += [_unit(body[0]), _unit(np.mean(body, axis=0))]
    total: Matrix = np.sum(parts, axis=0, dtype=np.float32)
    return total


def _unit(vector: Matrix) -> Matrix:
    row: Matrix = unit_rows(vector.reshape(1, -1))[0]
    return row
