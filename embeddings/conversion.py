"""A sentence-transformers model -> OpenVINO's form of it, in a folder of its own, with what it is judged by.

The only importer of torch for export. The network is exported with pooling and normalisation inside, and handed to the
frontend itself: `openvino.convert_model` does the same, and would send telemetry.
"""

import fcntl
import hashlib
import json
import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from embeddings.model_folder import sha256
from embeddings.probe import probe_texts, timed
from embeddings.sentence import SentenceEncoder

if TYPE_CHECKING:
    import openvino
    from sentence_transformers import SentenceTransformer

MANIFEST = "manifest.json"
NETWORK = "network.xml"
TOKENIZER = "tokenizer.json"
REFERENCE = "reference.npy"
_FILES = (NETWORK, "network.bin", TOKENIZER, REFERENCE)
_LEFT_BEHIND_SECONDS = 3600  # a conversion takes seconds: an older one was killed


class NotConvertible(Exception):
    """This model is not one that can be converted; the message says why, as the end of a sentence."""


def convert(reference: SentenceEncoder, folder: Path) -> float:
    """Write the converted model, and tell in how many seconds the reference encoded probe_texts.

    `folder` appears whole or not at all, and replaces one that is there. It holds the network (ids, mask -> unit rows),
    the tokenizer, the reference's vectors of probe_texts, float32 of shape (32, dim), and a manifest with the files'
    digests. One process at a time does this, see converting(). Raises NotConvertible, or OSError when it cannot be
    written.
    """
    network = _export(reference)
    texts = probe_texts(reference.window)
    vectors, seconds = timed(reference.encode, texts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    scratch = Path(mkdtemp(prefix=".converting-", dir=folder.parent))
    try:
        _save(network, scratch / NETWORK)
        (scratch / TOKENIZER).write_text(reference.model.tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        np.save(scratch / REFERENCE, vectors)
        manifest = {
            "fingerprint": reference.fingerprint,
            "dim": reference.dim,
            "window": reference.window,
            "pad": int(reference.model.tokenizer.pad_token_id),
            "files": {name: sha256(scratch / name) for name in _FILES},
        }
        write_manifest(scratch, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
        return seconds
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def converting(folder: Path) -> Iterator[None]:
    """Holds what is looked for in the folder and converted to it; whoever comes meanwhile waits."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """The manifest, with a digest of itself."""
    text = json.dumps({"sha256": _digest(manifest), "manifest": manifest})
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a converted model; none when there is no such folder, or a file in it is not what was written."""
    try:
        written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest: dict[str, Any] = written["manifest"]
        whole = written["sha256"] == _digest(manifest) and all(
            sha256(folder / name) == manifest["files"][name] for name in _FILES
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sweep(models: Path) -> None:
    for scratch in models.glob(".converting-*"):
        if time.time() - scratch.stat().st_mtime > _LEFT_BEHIND_SECONDS:
            shutil.rmtree(scratch, ignore_errors=True)


def _save(network: "openvino.Model", path: Path) -> None:
    import openvino

    openvino.save_model(network, path, compress_to_fp16=False)


def _export(reference: SentenceEncoder) -> "openvino.Model":
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    pooling = _pooling(reference.model)

    class Network(torch.nn.Module):
        """ids, mask -> unit rows."""

        def __init__(self) -> None:
            super().__init__()
            self.transformer: Any = reference.model[0].auto_model

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.transformer(input_ids=ids, attention_mask=mask).last_hidden_state
            if pooling == "cls":
                pooled = hidden[:, 0]
            else:
                weights = mask.unsqueeze(-1).type_as(hidden)
                pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(pooled, dim=1)

    ids = torch.full((4, 24), 7, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0  # without padding in the example the mask would be left out of the graph
    dynamic = {0: torch.export.Dim("rows", min=2), 1: torch.export.Dim("tokens", min=2, max=reference.window)}
    with _quiet(), torch.no_grad():
        program = torch.export.export(Network().eval(), (ids, mask), dynamic_shapes={"ids": dynamic, "mask": dynamic})
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchFXPythonDecoder.from_exported_program(program)  # the frontend does not keep it alive itself
        return frontend.convert(frontend.load(decoder))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the two libraries say of each other's versions, which no reader can do anything about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _pooling(model: "SentenceTransformer") -> str:
    """ "mean" or "cls". Raises NotConvertible unless the model is a transformer, one of these, and normalisation."""
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = list(model)
    shown = " + ".join(type(module).__name__ for module in modules)
    kinds = (Transformer, Pooling, Normalize)
    if len(modules) not in (2, 3) or not all(map(isinstance, modules, kinds)):
        raise NotConvertible(f"it is made of {shown}, not of Transformer + Pooling + Normalize")
    pooling = modules[1].pooling_mode
    if pooling not in ("mean", "cls"):
        raise NotConvertible(f"it pools by {pooling}, not by mean or cls")
    if model.default_prompt_name:
        raise NotConvertible("it puts a prompt before each text")
    tokenizer = model.tokenizer
    if not getattr(tokenizer, "is_fast", False) or tokenizer.padding_side != "right":
        raise NotConvertible("its tokenizer is not one of the tokenizers library that pads on the right")
    return str(pooling)
