"""Texts encoded in parts: the vector cache is filled before the job asks for vectors."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from corpus.catalogue import Catalogue
from corpus.essay import Block, Essay
from embeddings.cache import VectorCache
from embeddings.encoder import Encoder, Matrix
from embeddings.loading import load_same
from embeddings.passages import passages, summary
from recommender.encoded import other_texts
from recommender.engines.engine import Part
from recommender.engines.parts import read_given
from recommender.engines.slices import slice_size, slices
from recommender.engines.workers import Workers
from recommender.watch import ENCODING_PARTS, Watch

_RUN = 1000  # essays whose vectors are looked up at once
_TEXTS_AN_ESSAY = 16
"""A part has so many more blurbs than it would have essays: they are that much shorter, or more."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker encodes: texts as they are, and the passages of a body, which it cuts from the blocks."""

    texts: tuple[str, ...]
    blocks: tuple[str, ...] = ()

    @property
    def body(self) -> str:
        """See Essay.body."""
        return _essay(self.blocks).body


def encode_in_parts(catalogue: Catalogue, encoder: Encoder, cache: VectorCache, workers: Workers, watch: Watch) -> int:
    """Put into the cache what it lacks of a site, cut and encoded by the workers. Returns how many texts it lacked.

    encoder: the driver's; the workers' must give the same vectors, or say so. Raises EngineError.
    """
    essays = list(_unknown_essays(catalogue.essays, cache))
    texts = [_Work((text,)) for text in _unknown_texts(other_texts(catalogue), cache)]
    works = list(slices(essays, slice_size(len(essays))))
    works += slices(texts, slice_size(len(essays) + len(texts) // _TEXTS_AN_ESSAY) * _TEXTS_AN_ESSAY)
    slips = [(_part(some, encoder, workers), some) for some in works]
    if slips:
        workers.engine.map(encode, [part for part, _some in slips], watch.stage(ENCODING_PARTS, len(slips)))
    return sum(_take_in(workers.parts.read(part, _Encoded.from_bytes), some, cache) for part, some in slips)


def encode(given: Mapping[str, Any], stream: BinaryIO) -> None:
    """A task. given: work (URL), and model, cache, fingerprint, arithmetic, see embeddings.loading.load_same().

    Writes an .npz, see _Encoded. Raises EncoderError when this machine cannot give the vectors that are asked for.
    """
    encoder = _load(given["model"], given["fingerprint"], given["arithmetic"], given["cache"])
    works = [_Work(tuple(work["texts"]), tuple(work["blocks"])) for work in json.loads(read_given(given["work"]))]
    cut = [passages(_essay(work.blocks), encoder.window, encoder.count_tokens) for work in works]
    found = {text for work in works for text in work.texts} | {text for some in cut for text in some}
    texts = sorted(found, key=lambda text: (len(text), text))  # alike lengths together: less padding
    stream.write(_Encoded(texts, cut, encoder.encode(texts)).to_bytes())


@lru_cache(maxsize=1)
def _load(model: str | None, fingerprint: str, arithmetic: str, cache: str) -> Encoder:
    """Once a worker, however many parts it makes."""
    return load_same(model, fingerprint, arithmetic, Path(cache))


@dataclass(frozen=True, eq=False)
class _Encoded:
    """What a worker made. texts: the different ones. cut: the passages of each body. vectors: float32 (texts, dim)."""

    texts: Sequence[str]
    cut: Sequence[Sequence[str]]
    vectors: Matrix

    def to_bytes(self) -> bytes:
        """An .npz of `vectors` and `texts`: uint8, JSON of the texts, and each body's passages by their rows."""
        row_of = {text: row for row, text in enumerate(self.texts)}
        described = json.dumps([self.texts, [[row_of[text] for text in some] for some in self.cut]])
        file = io.BytesIO()
        np.savez(file, vectors=self.vectors, texts=np.frombuffer(described.encode(), dtype=np.uint8))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Encoded":
        """The way back from to_bytes(). Raises ValueError, KeyError or BadZipFile when the file is damaged."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            texts, rows = json.loads(arrays["texts"].tobytes())
            return cls(texts, [[texts[row] for row in some] for some in rows], arrays["vectors"])


def _take_in(made: _Encoded, works: Sequence[_Work], cache: VectorCache) -> int:
    """Put what was made into the cache. Returns how many of its texts that lacked."""
    bodies = {work.body: list(some) for work, some in zip(works, made.cut, strict=True) if work.blocks}
    cache.put_passages(bodies)
    known = cache.get(made.texts)
    rows = [row for row, text in enumerate(made.texts) if text not in known]
    cache.put([made.texts[row] for row in rows], made.vectors[rows])
    return len(rows)


def _unknown_essays(essays: Sequence[Essay], cache: VectorCache) -> Iterator[_Work]:
    """The essays of which a passage or a vector is lacking, each of several alike once."""
    met: set[_Work] = set()
    for run in slices(essays, _RUN):
        cut = cache.get_passages(essay.body for essay in run)
        texts = {essay.id: [summary(essay.title, essay.standfirst), *cut.get(essay.body, ())] for essay in run}
        known = cache.get(text for some in texts.values() for text in some)
        for essay in run:
            work = _Work(tuple(filter(None, texts[essay.id][:1])), tuple(block.text for block in essay.blocks))
            lacks = essay.body not in cut or any(text and text not in known for text in texts[essay.id])
            if lacks and work not in met:
                met.add(work)
                yield work


def _unknown_texts(texts: Sequence[str], cache: VectorCache) -> list[str]:
    known = cache.get(texts)
    return [text for text in dict.fromkeys(texts) if text not in known]


def _part(works: Sequence[_Work], encoder: Encoder, workers: Workers) -> Part:
    """Of this work, which is written into the folder of the parts."""
    work = [{"texts": one.texts, "blocks": one.blocks} for one in works]
    given = {
        "work": workers.parts.keep(json.dumps(work).encode()),
        "model": workers.model,
        "cache": str(workers.cache),
        "fingerprint": encoder.fingerprint,
        "arithmetic": encoder.arithmetic,
    }
    return workers.parts.part(encode, given)


def _essay(blocks: Sequence[str]) -> Essay:
    """With no more than is read of it to cut its body."""
    return Essay(id="", blocks=tuple(Block("paragraph", text) for text in blocks))
