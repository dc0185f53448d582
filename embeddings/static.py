"""A static-embedding model as an Encoder: a text is the mean of its tokens' vectors, looked up in a table.

What sentence-transformers' StaticEmbedding computes, in numpy: hundreds of times quicker than a transformer, in little
memory, and it finds fewer of the editors' links (benchmarks/results/encoding.md).
"""

import importlib.util
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from corpus.errors import EncoderError
from embeddings.encoder import Matrix
from embeddings.model_folder import sha256
from embeddings.passages import POLICY
from embeddings.vectors import unit_rows

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_PACKAGE = "wordllama"
_WEIGHTS = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_SHA256 = {
    _WEIGHTS: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    _TOKENIZER: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
}
"""Of the files in wordllama 0.4.0.post1; that package's code is never imported."""


class StaticEncoder:
    """An Encoder on wordllama's table of 32,000 tokens and 256 dimensions.

    window: such a model has none; passages of 512 tokens are about as long as a section.
    Raises EncoderError when the package is not installed, or its files are not the known ones.
    """

    window = 512
    dim = 256

    def __init__(self) -> None:
        self._folder = _package_folder()
        for name, digest in _SHA256.items():
            if sha256(self._folder / name) != digest:
                raise EncoderError(
                    f"{name.name} of the static model is not the known one: reinstall wordllama==0.4.0.post1"
                )
        self.fingerprint = f"wordllama-l2-supercat-256@{_SHA256[_WEIGHTS][:12]}.{_SHA256[_TOKENIZER][:8]}/{POLICY}"
        self.arithmetic = "numpy fp32 mean"

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, encoding in enumerate(self._encodings(texts)):
            if tokens := encoding.ids[: self.window]:
                rows[row] = self._table[tokens].mean(axis=0)
        return unit_rows(rows)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes; there are no special ones."""
        return [len(encoding) for encoding in self._encodings(texts)]

    def _encodings(self, texts: Sequence[str]) -> Sequence["Encoding"]:
        return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)

    @cached_property
    def _table(self) -> Matrix:
        from safetensors.numpy import load_file

        return load_file(self._folder / _WEIGHTS)["embedding.weight"].astype(np.float32)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self._folder / _TOKENIZER))


def _package_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError("the static model is not installed: pip install 'related-articles[static]'")
    return Path(spec.origin).parent
