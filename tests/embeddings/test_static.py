"""The static-embedding model: what it computes, and which files it takes.

Its contract as an Encoder is tested in tests/contracts/test_encoder.py.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from corpus.errors import EncoderError
from embeddings import static
from embeddings.static import StaticEncoder


def test_its_vectors_are_those_of_sentence_transformers_static_embedding() -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    encoder = StaticEncoder()
    texts = ["bread", "A clock keeps time, and a map keeps the way.", "Żur, czyli zupa", "42 + 17 = 59"]
    model = SentenceTransformer(modules=[StaticEmbedding(encoder._tokenizer, encoder._table)], device="cpu")

    theirs = model.encode(texts, normalize_embeddings=True)

    np.testing.assert_allclose(encoder.encode(texts), theirs, atol=1e-6)


def test_a_text_without_a_token_has_the_first_axis() -> None:
    assert StaticEncoder().encode([""])[0].tolist() == [1.0] + [0.0] * 255


def test_its_name_is_in_its_fingerprint() -> None:
    assert StaticEncoder().fingerprint.startswith("wordllama-l2-supercat-256@64b47a2dc493.93248f2a/passages-")


@pytest.mark.parametrize(
    "name", ["weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"]
)
def test_a_file_with_one_byte_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.copytree(static._package_folder(), tmp_path / "package", ignore=shutil.ignore_patterns("*.so", "*.c*"))
    content = bytearray((tmp_path / "package" / name).read_bytes())
    content[1000] ^= 1
    (tmp_path / "package" / name).write_bytes(content)
    monkeypatch.setattr(static, "_package_folder", lambda: tmp_path / "package")

    with pytest.raises(EncoderError, match=r"of the static model is not the known one: reinstall wordllama==0\.4\.0"):
        StaticEncoder()


def test_without_the_package_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "_PACKAGE", "no_such_package")

    with pytest.raises(
        EncoderError, match=r"the static model is not installed: pip install 'related-articles\[static\]'"
    ):
        StaticEncoder()
