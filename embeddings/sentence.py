"""Sentence-transformers as an Encoder: the reference that every faster way is compared with.

Loading costs 7-9 seconds and 800 MB, so the model is loaded by the first call that needs it: a build that finds every
vector in the cache never does.
"""

import logging
import os
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from corpus.errors import EncoderError
from embeddings.batches import batches, padded_length
from embeddings.encoder import Matrix
from embeddings.model_folder import ModelFolder, find_model
from embeddings.vectors import unit_rows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Precision = Literal["fp32", "bf16"]

_STEP = 32
_ROWS = 16
"""Rows of every batch, spare ones filled: PyTorch's matrix products round a row differently in batches of another
shape, and one row of five did. Of 8, 16 and 32, the more the quicker, and the more wasted where few texts are new."""


class SentenceEncoder:
    """An Encoder on sentence-transformers.

    model:     its folder, or its name, see find_model.
    precision: of weights and products; the rows that come out are float32 in either.
    device:    as PyTorch names it.
    Raises EncoderError when the model is not there, or the packaged weights are not the official ones.
    """

    def __init__(
        self, model: ModelFolder | str | None = None, precision: Precision = "fp32", device: str = "cpu"
    ) -> None:
        found = model if isinstance(model, ModelFolder) else find_model(model)
        self._folder, self.fingerprint = found.path, found.fingerprint
        self._precision, self._device = precision, device

    @property
    def arithmetic(self) -> str:
        """Library, precision and padding."""
        return f"torch {version('torch')} {self._device} {self._precision} pad{_STEP}x{_ROWS}"

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        dim = self.model.get_embedding_dimension()
        if dim is None:
            raise EncoderError(f"{self.fingerprint} does not say how wide its vectors are: choose another model")
        return int(dim)

    @property
    def window(self) -> int:
        """How many tokens of a text the model reads, special tokens included."""
        return int(self.model.max_seq_length or 512)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return unit_rows(self._encode_padded(texts) if self._is_plain else self._encode_singly(texts))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes, special tokens included."""
        if not texts:
            return []
        tokens = self.model.tokenizer(list(texts), add_special_tokens=True, truncation=False, verbose=False)
        return [len(row) for row in tokens["input_ids"]]

    @cached_property
    def model(self) -> "SentenceTransformer":
        """The model itself. Raises EncoderError when its files cannot be loaded."""
        # Said before the import: these libraries read them once, and a build must never ask a network for anything.
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
        transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = SentenceTransformer(str(self._folder), device=self._device, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first_line = str(error).strip().split("\n")[0]
            raise EncoderError(f"the model in {self._folder} cannot be loaded: {first_line}") from error
        return model.bfloat16() if self._precision == "bf16" else model

    @cached_property
    def _is_plain(self) -> bool:
        """Whether nothing but tokens goes into the model: a transformer first, and no prompt before the text."""
        from sentence_transformers.base.modules import Transformer

        return isinstance(self.model[0], Transformer) and not self.model.default_prompt_name

    def _padded(self, tokens: int) -> int:
        return padded_length(tokens, _STEP, self.window)

    def _encode_padded(self, texts: Sequence[str]) -> Matrix:
        import numpy as np
        import torch

        tokenizer = self.model.tokenizer
        tokens = tokenizer(list(texts), truncation=True, max_length=self.window, padding=False)["input_ids"]
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        for batch in batches(enumerate(tokens), self._padded, lambda length: _ROWS):
            spare = [batch.tokens[0]] * (_ROWS - len(batch.rows))
            some = {"input_ids": [*batch.tokens, *spare]}
            padded = tokenizer.pad(some, padding="max_length", max_length=batch.length, return_tensors="pt")
            with torch.inference_mode():
                found = self.model({name: tensor.to(self._device) for name, tensor in padded.items()})
            rows[list(batch.rows)] = found["sentence_embedding"][: len(batch.rows)].float().cpu().numpy()
        return rows

    def _encode_singly(self, texts: Sequence[str]) -> Matrix:
        import numpy as np

        rows = self.model.encode(list(texts), batch_size=1, convert_to_numpy=False, show_progress_bar=False)
        return np.vstack([row.float().cpu().numpy() for row in rows])


def torch_device() -> str:
    """ "cuda" where PyTorch sees a GPU (AMD's, too), else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
