"""A converted model as an Encoder, on OpenVINO. Loads in about a second, without torch and sentence_transformers."""

import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embeddings.batches import Batch, batches, padded_length
from embeddings.conversion import NETWORK, REFERENCE, TOKENIZER
from embeddings.encoder import Matrix
from embeddings.probe import LOWEST_COSINE, cosines, keeps_rows_apart, probe_texts
from embeddings.vectors import unit_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_STEP, _LONG_STEP = 8, 32
"""Texts of up to _FIXED_FROM tokens, and longer ones, are padded to multiples of these."""
_BATCH_TOKENS = 1024
_ROWS = (4, 64)
"""A batch has about so many tokens, and rows from 4 to 64: long texts are quickest few at a time, short ones many."""
_FIXED_FROM = 128
"""Tokens over which a length may get a network of its own, of fixed shape: a fifth quicker, the same bits."""
_FIXED_AFTER = 128
"""Rows of a length that go through the common network first: its own takes as long to make as it saves on so many."""
_FIXED_KEPT = 4
"""Such networks at a time: each takes 140 MB. The packaged model, of 256 tokens, has no more lengths."""
_SLICE = 64  # texts whose tokens are made while those before them go through the model


def _cores() -> int:
    """How many this process may use: as PyTorch, too, takes it from whoever runs several such processes."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rows_of(length: int) -> int:
    """Rows of a batch of this many tokens each."""
    return max(_ROWS[0], min(_ROWS[1], _BATCH_TOKENS // length))


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
        cores = _cores()
        # A stream a core: each works on a batch of its own, and none waits for the others between two layers.
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": cores,
            "INFERENCE_NUM_THREADS": cores,
        }
        self._core, self._options = core, options
        self._network = core.compile_model(str(folder / NETWORK), "CPU", options)
        self._fixed: dict[int, Any] = {}
        self._rows_seen: Counter[int] = Counter()
        self._may_fix = True
        self._in_flight = 3 * cores  # more requests than streams, so that none runs dry
        self._folder = folder
        self._pad = int(manifest["pad"])
        self.fingerprint = str(manifest["fingerprint"])
        self.dim, self.window = int(manifest["dim"]), int(manifest["window"])
        self.arithmetic = f"openvino {openvino.get_version().split('-')[0]} {precision} pad{_STEP}-{_LONG_STEP}"

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts."""
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        # openvino.AsyncInferQueue would do the same, but calls Python from threads of its own: a process that ends just
        # then is aborted.
        waiting: deque[tuple[Any, Any, list[int]]] = deque()
        idle: defaultdict[Any, list[Any]] = defaultdict(list)

        def take_first() -> None:
            network, request, places = waiting.popleft()
            request.wait()
            rows[places] = request.get_output_tensor(0).data[: len(places)]
            idle[network].append(request)

        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # alike lengths fill whole batches
        tokens = self._tokens([texts[place] for place in order])
        for batch in batches(zip(order, tokens, strict=True), self._length, _rows_of):
            inputs = self._padded(batch)
            if len(waiting) == self._in_flight:
                take_first()
            network = self._network_for(batch, inputs)
            request = idle[network].pop() if idle[network] else network.create_infer_request()
            request.start_async(inputs)
            waiting.append((network, request, list(batch.rows)))
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

    def _length(self, tokens: int) -> int:
        """What a text of so many tokens is padded to."""
        return padded_length(tokens, _STEP if tokens <= _FIXED_FROM else _LONG_STEP, self.window)

    def _network_for(self, batch: Batch, inputs: dict[int, Any]) -> Any:
        """The common network, or for a full batch of a length that is often met, one of that very shape.

        The first batch of each goes through both: were a single bit to differ, none would be used any more.
        """
        length, rows = batch.length, len(batch.rows)
        self._rows_seen[length] += rows
        if length <= _FIXED_FROM or rows < _rows_of(length) or not self._may_fix:
            return self._network
        network = self._fixed.pop(length, None)
        if network is None and self._rows_seen[length] > _FIXED_AFTER:
            network = self._compile_fixed(rows, length)
            self._may_fix = np.array_equal(network(inputs)[0], self._network(inputs)[0])
        if network is None or not self._may_fix:
            return self._network
        self._fixed[length] = network  # last: the first of them is the one that was not met for longest
        while len(self._fixed) > _FIXED_KEPT:
            self._fixed.pop(next(iter(self._fixed)))
        return network

    def _compile_fixed(self, rows: int, length: int) -> Any:
        model = self._core.read_model(str(self._folder / NETWORK))
        model.reshape({port: [rows, length] for port in model.inputs})
        return self._core.compile_model(model, "CPU", self._options)

    def _tokens(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """The tokens of each text, made slice by slice, the next while one is used."""

        def slice_from(start: int) -> list[list[int]]:
            return [encoding.ids for encoding in self._cut_texts.encode_batch_fast(list(texts[start : start + _SLICE]))]

        starts = range(0, len(texts), _SLICE)
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(slice_from, 0)
            for start in starts:
                tokens, coming = coming.result(), thread.submit(slice_from, start + _SLICE)
                yield from tokens

    def _padded(self, batch: Batch) -> dict[int, Any]:
        """Ids and mask, int64, shape (rows, length), as the network's first and second input. It was made for two rows
        and more."""
        ids = np.full((max(2, len(batch.rows)), batch.length), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        mask[len(batch.rows) :, 0] = 1
        for row, values in enumerate(batch.tokens):
            ids[row, : len(values)] = values
            mask[row, : len(values)] = 1
        return {0: ids, 1: mask}

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
