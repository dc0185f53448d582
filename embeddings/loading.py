"""Which Encoder a model's name and a backend stand for on this machine: measured, chosen, never a reason to fail.

    auto      PyTorch where it sees a GPU; else OpenVINO where it is installed, can take the model, and proves faithful
              and quicker; else PyTorch, in bfloat16 where that proves faithful and quicker
    torch     PyTorch in fp32, the reference
    openvino  OpenVINO, or a refusal

What was found out is kept in <cache>/models, by model, versions and processor: a choice that swayed from build to build
would encode everything anew.
"""

import hashlib
import importlib.util
import json
import logging
import platform
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.errors import EncoderError
from embeddings.backend import Backend
from embeddings.encoder import Encoder, Matrix, cache_key
from embeddings.model_folder import STATIC, ModelFolder, find_model
from embeddings.probe import LOWEST_COSINE, cosines, keeps_rows_apart, probe_texts, timed
from embeddings.sentence import SentenceEncoder, torch_device

if TYPE_CHECKING:
    from embeddings.openvino_encoder import OpenVinoEncoder

_POLICY = "1"  # of the conversion: another one, and models are converted anew
_GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"))
_BF16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}

_log = logging.getLogger(__name__)


class _Refusal(Exception):
    """OpenVINO is not used; the message says why, as the end of a sentence.

    lasting: whether it would be the same at the next start. silent: whether nobody needs to hear of it.
    """

    def __init__(self, reason: str, *, lasting: bool = False, silent: bool = False) -> None:
        super().__init__(reason)
        self.lasting, self.silent = lasting, silent


def load_encoder(model: str | None, backend: Backend, cache: Path) -> Encoder:
    """The Encoder of a model; it is loaded by the first call that needs more than its fingerprint.

    model: "static", or see find_model. cache: folder for converted models, which need not exist.
    Raises EncoderError when the model is not there, and later, with backend "openvino", when OpenVINO refuses it.
    """
    if model != STATIC:
        return ChosenEncoder(find_model(model), backend, cache / "models")
    if backend != "auto":
        raise EncoderError(f"the static model runs on neither torch nor openvino: leave out --backend {backend}")
    from embeddings.static import StaticEncoder

    return StaticEncoder()


def load_same(model: str | None, fingerprint: str, arithmetic: str, cache: Path) -> Encoder:
    """The Encoder of a model that gives the vectors which another one gives, on whatever machine that was.

    model, cache: as load_encoder() takes them. fingerprint, arithmetic: the other encoder's.
    Raises EncoderError when this machine cannot give them.
    """
    if model == STATIC:
        encoder = load_encoder(model, "auto", cache)
    elif arithmetic.startswith("openvino "):
        encoder = load_encoder(model, "openvino", cache)
    else:
        encoder = SentenceEncoder(find_model(model), "bf16" if " bf16 " in arithmetic else "fp32", _device())
    if (encoder.fingerprint, encoder.arithmetic) != (fingerprint, arithmetic):
        raise EncoderError(
            f"this machine would encode as {cache_key(encoder)}, where {fingerprint} {arithmetic} is asked: give every "
            "machine the same model, versions and kind of processor, or set backend = torch"
        )
    return encoder


class ChosenEncoder:
    """An Encoder that is chosen when first needed; a build that changes nothing never does.

    models: folder for converted models and what was measured.
    """

    def __init__(self, found: ModelFolder, backend: Backend, models: Path) -> None:
        self._found, self._backend, self._models = found, backend, models
        self.fingerprint = found.fingerprint

    @property
    def arithmetic(self) -> str:
        """Of the encoder that was chosen."""
        return self._chosen.arithmetic

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._chosen.dim

    @property
    def window(self) -> int:
        """How many tokens of a text the model reads, special tokens included."""
        return self._chosen.window

    def encode(self, texts: Sequence[str]) -> Matrix:
        """float32, shape (n, dim), unit rows in the order of the texts."""
        return self._chosen.encode(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the window each text takes, special tokens included."""
        return self._chosen.count_tokens(texts)

    @cached_property
    def _chosen(self) -> Encoder:
        device = _device()
        if self._backend == "openvino" or (self._backend == "auto" and device == "cpu"):
            try:
                return _start_openvino(self._found, self._models, must=self._backend == "openvino")
            except _Refusal as refusal:
                if self._backend == "openvino":
                    raise EncoderError(
                        f"OpenVINO cannot encode with {self._found.fingerprint}: {refusal}; use --backend auto or torch"
                    ) from refusal
                if not refusal.silent:
                    _log.warning("OpenVINO is not used, PyTorch encodes instead, only slower: %s", refusal)
        if self._backend == "torch":
            return SentenceEncoder(self._found, "fp32", device)
        return _start_torch(self._found, self._models, device)


# --- OpenVINO -----------------------------------------------------------------------------------------------------


def _start_openvino(found: ModelFolder, models: Path, *, must: bool) -> Encoder:
    """must: take it though it was refused before, and though it is slower. Raises _Refusal."""
    if importlib.util.find_spec("openvino") is None:
        raise _Refusal("it is not installed (pip install 'related-articles[openvino]')", silent=True)
    key = _key(found.fingerprint, f"openvino {version('openvino')}", _POLICY)
    refused = models / f"{key}.refused"
    if refused.is_file() and not must:
        raise _Refusal(refused.read_text(encoding="utf-8"), silent=True)
    try:
        return _open_converted(models / key) or _convert(found, models / key, must=must)
    except _Refusal as refusal:
        if refusal.lasting:
            with suppress(OSError):
                refused.parent.mkdir(parents=True, exist_ok=True)
                refused.write_text(str(refusal), encoding="utf-8")
        raise
    except EncoderError:
        raise
    except Exception as error:  # of three libraries, and of disks; PyTorch may still do
        first_line = str(error).strip().split("\n")[0]
        raise _Refusal(f"the model cannot be converted or run ({type(error).__name__}: {first_line})") from error


def _open_converted(folder: Path) -> "OpenVinoEncoder | None":
    """In the quickest precision in which it gives the reference's vectors. Raises _Refusal when it does in none.

    None when there is no converted model, or a damaged one.
    """
    from embeddings.conversion import read_manifest
    from embeddings.openvino_encoder import OpenVinoEncoder, Unfaithful, precisions

    manifest = read_manifest(folder)
    if manifest is None:
        return None
    for precision in precisions():
        encoder = OpenVinoEncoder(folder, manifest, precision)
        try:
            encoder.check()
        except Unfaithful as error:
            unfaithful = error
        else:
            return encoder
    raise _Refusal(str(unfaithful), lasting=True) from unfaithful


def _convert(found: ModelFolder, folder: Path, *, must: bool) -> Encoder:
    """Convert the model and judge what comes out, unless another process has just done so."""
    from embeddings.conversion import NotConvertible, convert, converting
    from embeddings.openvino_encoder import Unfaithful

    try:
        with converting(folder):  # a folder that is whole never goes, so that whoever opens one need not wait
            if done := _open_converted(folder):
                return done
            seconds = convert(SentenceEncoder(found), folder)
        encoder = _open_converted(folder)
        if encoder is None:
            raise _Refusal(f"what was written to {folder} cannot be read again")
        encoder.check_rows()
    except (NotConvertible, Unfaithful) as error:
        raise _Refusal(str(error), lasting=True) from error
    _vectors, fewer_seconds = timed(encoder.encode, probe_texts(encoder.window))
    if fewer_seconds > seconds and not must:
        raise _Refusal("it is slower than PyTorch on this machine", lasting=True)
    return encoder


# --- PyTorch ------------------------------------------------------------------------------------------------------


def _start_torch(found: ModelFolder, models: Path, device: str) -> Encoder:
    if device == "cpu" and not _BF16_FLAGS & _processor():
        return SentenceEncoder(found)
    key = _key(found.fingerprint, f"torch {version('torch')} {device}")
    measured = models / f"{key}.json"
    try:
        faithful = bool(json.loads(measured.read_text(encoding="utf-8"))["bf16"])
    except (OSError, ValueError, KeyError, TypeError):
        faithful = _is_bf16_better(found, device)
        with suppress(OSError):
            measured.parent.mkdir(parents=True, exist_ok=True)
            measured.write_text(json.dumps({"bf16": faithful}), encoding="utf-8")
    return SentenceEncoder(found, "bf16" if faithful else "fp32", device)


def _is_bf16_better(found: ModelFolder, device: str) -> bool:
    """Whether bfloat16 is as good as fp32 on the probe texts and quicker."""
    exact, short = SentenceEncoder(found, "fp32", device), SentenceEncoder(found, "bf16", device)
    texts = probe_texts(exact.window)[::2]
    vectors, seconds = timed(exact.encode, texts)
    others, fewer_seconds = timed(short.encode, texts)
    faithful = float(cosines(vectors, others).min()) >= LOWEST_COSINE
    return faithful and fewer_seconds < seconds and keeps_rows_apart(short.encode, texts[::5])


def _device() -> str:
    """ "cuda" where PyTorch sees a GPU; it is imported only where there may be one."""
    if version("torch").endswith("+cpu") or not any(path.exists() for path in _GPU_FILES):
        return "cpu"
    return torch_device()


def _processor() -> frozenset[str]:
    """The instruction sets that this processor has; where Linux does not tell them, its name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.split(":", 1)[1].split())
    return frozenset([platform.processor() or platform.machine()])


def _key(*parts: str) -> str:
    """A file's name for what was found out about these on this processor."""
    return hashlib.sha256("\n".join([*parts, *sorted(_processor())]).encode()).hexdigest()[:24]
