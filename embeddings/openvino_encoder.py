"""A converted model as an Encoder, on OpenVINO. Loads in about a second, without torch and sentence_transformers."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embeddings.batches import batches
from embeddings.conversion import NETWORK, REFERENCE, TOKENIZER
from embeddings.encoder import Matrix
from embeddings.probe import LOWEST_COSINE, cosines, keeps_rows_apart, probe_texts
from embeddings.vectors import unit_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_STEP = 16
_ROWS = 8
"""Tried on grass_gis with steps of 16 and 32 and 4 to 32 rows: for passages 16 is quicker than 32; the number of rows
hardly matters, and small batches keep all streams busy where few texts are new.
"""
_SLICE = 256  # texts whose tokens are made while those before them go through the model


class Unfaithful(Exception):
    """The converted model does not give the reference's vectors; the message says how, as the end of a sentence."""


def precisions() -> list[str]:
    """In which this processor can compute natively, the quickest first."""
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["bf16", "f32"] if "BF16" in capabilities else ["f32"]


class OpenVinoEncoder:
    """An Encoder on OpenVINO.

    folder:    as embeddings.conversion wrote it. manifest: of that folder, checked.
    precision: one of precisions().
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], precision: str) -> None:
        import openvino

        core = openvino.Core()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # A stream a core: each works on a batch of its own, and none waits for the others between two layers.
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": cores,
            "INFERENCE_NUM_THREADS": cores,
        }
        self._network = core.compile_model(str(folder / NETWORK), "CPU", options)
        self._in_flight = 2 * cores  # two requests a stream, so that none runs dry
        self._folder = folder
        self._pad = int(manifest["pad"])
        self.fingerprint = str(manifest["fingerprint"])
        self.dim, self.window = int(manifest["dim"]), int(manifest["window"])
        self.arithmetic = f"openvino {openvino.get_version().split('-')[0]} {precision} pad{_STEP}"

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts."""
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        # openvino.AsyncInferQueue would do the same, but calls Python from threads of its own: a process that ends just
        # then is aborted.
        waiting: deque[tuple[Any, list[int]]] = deque()
        idle = [self._network.create_infer_request() for _ in range(min(self._in_flight, len(texts)))]

        def take_first() -> Any:
            request, places = waiting.popleft()
            request.wait()
            rows[places] = request.get_output_tensor(0).data[: len(places)]
            return request

        for start, tokens in self._tokens(texts):
            for batch in batches([len(row) for row in tokens], _STEP, self.window, _ROWS):
                ids, mask = self._padded([tokens[row] for row in batch.rows], batch.length)
                request = idle.pop() if idle else take_first()
                request.start_async({0: ids, 1: mask})
                waiting.append((request, [start + row for row in batch.rows]))
        while waiting:
            take_first()
        return unit_rows(rows)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes, special tokens included."""
        return [len(encoding) for encoding in self._whole_texts.encode_batch_fast(list(texts))]

    def check(self) -> None:
        """Compare with the reference on its probe texts. Raises Unfaithful."""
        found = self.encode(probe_texts(self.window))
        lowest = float(cosines(found, np.load(self._folder / REFERENCE)).min())
        if not lowest >= LOWEST_COSINE:  # written so that a NaN is refused too
            raise Unfaithful(f"its vectors differ too much (cosine {lowest:.5f}, at least {LOWEST_COSINE} is asked)")

    def check_rows(self) -> None:
        """Compare texts encoded together with the same alone. Raises Unfaithful."""
        if not keeps_rows_apart(self.encode, probe_texts(self.window)):
            raise Unfaithful("a text's vector depends on what is encoded beside it")

    def _tokens(self, texts: Sequence[str]) -> Iterator[tuple[int, list[list[int]]]]:
        """Slice by slice: where it begins, and the tokens of its texts. The next is made while one is used."""

        def slice_from(start: int) -> list[list[int]]:
            return [encoding.ids for encoding in self._cut_texts.encode_batch_fast(list(texts[start : start + _SLICE]))]

        starts = range(0, len(texts), _SLICE)
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(slice_from, 0)
            for start in starts:
                tokens, coming = coming.result(), thread.submit(slice_from, start + _SLICE)
                yield start, tokens

    def _padded(self, tokens: Sequence[Sequence[int]], length: int) -> tuple[Any, Any]:
        """int64, shape (rows, length), twice: ids and mask. The network was made for two rows and more."""
        ids = np.full((max(2, len(tokens)), length), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        mask[len(tokens) :, 0] = 1
        for row, values in enumerate(tokens):
            ids[row, : len(values)] = values
            mask[row, : len(values)] = 1
        return ids, mask

    @cached_property
    def _cut_texts(self) -> "Tokenizer":
        tokenizer = self._tokenizer()
        tokenizer.enable_truncation(self.window)
        return tokenizer

    @cached_property
    def _whole_texts(self) -> "Tokenizer":
        tokenizer = self._tokenizer()
        tokenizer.no_truncation()
        return tokenizer

    def _tokenizer(self) -> "Tokenizer":
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would take the model's cores
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER))
        tokenizer.no_padding()
        return tokenizer
