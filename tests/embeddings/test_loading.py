"""Which encoder a model and a backend stand for: proved, kept, refused, and never a reason to fail."""

import importlib.util
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, get_ident

import numpy as np
import pytest

from corpus.errors import EncoderError
from embeddings import conversion, loading
from embeddings.conversion import NotConvertible, convert, read_manifest, write_manifest
from embeddings.encoder import Encoder, Matrix
from embeddings.loading import load_encoder, load_same
from embeddings.model_folder import QUALITY_MODEL, find_model
from embeddings.probe import LOWEST_COSINE, cosines, keeps_rows_apart, probe_texts
from embeddings.sentence import SentenceEncoder
from embeddings.static import StaticEncoder

TEXTS = ["bread", "A clock keeps time. " * 30, "Żur, czyli zupa z kwaśnej mąki", "", "map " * 400]


@pytest.fixture
def no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch is chosen without measuring, which takes seconds."""
    monkeypatch.setattr(loading, "_BF16_FLAGS", set())


@pytest.fixture
def cache(tmp_path: Path, converted_cache: Path) -> Path:
    """A cache with a converted model that a test may spoil."""
    shutil.copytree(converted_cache, tmp_path / "cache")
    return tmp_path / "cache"


def converted(cache: Path) -> Path:
    [folder] = [path for path in (cache / "models").iterdir() if path.is_dir()]
    return folder


# --- The names ----------------------------------------------------------------------------------------------------


def test_static_is_the_static_model_on_no_backend(tmp_path: Path) -> None:
    assert isinstance(load_encoder("static", "auto", tmp_path), StaticEncoder)
    with pytest.raises(EncoderError, match="neither torch nor openvino: leave out --backend torch"):
        load_encoder("static", "torch", tmp_path)


def test_quality_that_is_not_there_is_refused_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embeddings.model_folder.QUALITY_MODEL", "no-such-model")
    with pytest.raises(EncoderError, match=r"which `quality` stands for, is not in the local .*hf download"):
        load_encoder("quality", "auto", tmp_path)
    assert QUALITY_MODEL == "all-mpnet-base-v2"


def test_torch_is_the_reference_and_writes_nothing(tmp_path: Path, sentence_encoder: SentenceEncoder) -> None:
    encoder = load_encoder(None, "torch", tmp_path / "cache")

    assert encoder.fingerprint == sentence_encoder.fingerprint
    assert encoder.arithmetic == sentence_encoder.arithmetic
    assert "fp32" in encoder.arithmetic
    assert not (tmp_path / "cache").exists()


# --- The same as elsewhere ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", ["fp32", "bf16"])
def test_an_encoder_can_be_had_that_computes_as_another_did(
    tmp_path: Path, sentence_encoder: SentenceEncoder, arithmetic: str
) -> None:
    asked = sentence_encoder.arithmetic.replace("fp32", arithmetic)

    encoder = load_same(None, sentence_encoder.fingerprint, asked, tmp_path)

    assert (encoder.fingerprint, encoder.arithmetic) == (sentence_encoder.fingerprint, asked)
    assert list(tmp_path.iterdir()) == [], "nothing was measured: what is quicker is not asked"


def test_the_same_on_openvino_needs_openvino(converted_cache: Path, openvino_encoder: Encoder) -> None:
    encoder = load_same(None, openvino_encoder.fingerprint, openvino_encoder.arithmetic, converted_cache)

    assert encoder.arithmetic == openvino_encoder.arithmetic


def test_what_cannot_be_computed_here_is_refused_with_both_sides(
    tmp_path: Path, sentence_encoder: SentenceEncoder
) -> None:
    asked = sentence_encoder.arithmetic.replace("cpu", "cuda", 1)

    with pytest.raises(EncoderError, match=f"would encode as .* where .*{asked[:12]}.* is asked: give every machine"):
        load_same(None, sentence_encoder.fingerprint, asked + " tf32", tmp_path)


def test_a_process_uses_as_many_cores_as_it_is_told_and_gives_the_same_bits(
    converted_cache: Path, openvino_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = load_encoder(None, "openvino", converted_cache)

    assert alone.encode(TEXTS).tobytes() == openvino_encoder.encode(TEXTS).tobytes()
    assert alone._chosen._options["NUM_STREAMS"] == 1  # type: ignore[attr-defined]


# --- OpenVINO -----------------------------------------------------------------------------------------------------


def test_its_vectors_are_the_references_within_the_bound(
    openvino_encoder: Encoder, sentence_encoder: SentenceEncoder
) -> None:
    exact, found = sentence_encoder.encode(TEXTS), openvino_encoder.encode(TEXTS)

    assert cosines(exact, found).min() >= LOWEST_COSINE
    assert openvino_encoder.fingerprint == sentence_encoder.fingerprint
    assert openvino_encoder.arithmetic != sentence_encoder.arithmetic
    assert openvino_encoder.count_tokens(TEXTS) == sentence_encoder.count_tokens(TEXTS)
    assert (openvino_encoder.dim, openvino_encoder.window) == (384, 256)


def test_a_start_with_a_converted_model_loads_neither_torch_nor_transformers(converted_cache: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from embeddings.loading import load_encoder, load_same
encoder = load_encoder(None, "auto", Path({str(converted_cache)!r}))
assert encoder.arithmetic.startswith("openvino "), encoder.arithmetic
assert encoder.encode(["bread"]).shape == (1, 384)
print(sorted({{"torch", "transformers", "sentence_transformers"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("name", ["network.bin", "network.xml", "tokenizer.json", "reference.npy", "manifest.json"])
def test_a_damaged_file_is_noticed(cache: Path, name: str) -> None:
    folder = converted(cache)
    assert read_manifest(folder) is not None
    with (folder / name).open("r+b") as file:
        file.seek(20)
        byte = file.read(1)[0]
        file.seek(20)
        file.write(bytes([byte ^ 0x55]))

    assert read_manifest(folder) is None


def test_a_damaged_model_is_converted_anew(cache: Path, monkeypatch: pytest.MonkeyPatch, converted_cache: Path) -> None:
    (converted(cache) / "network.bin").write_bytes(b"")
    converted_for: list[str] = []

    def convert_again(reference: SentenceEncoder, folder: Path) -> float:
        converted_for.append(reference.fingerprint)
        shutil.rmtree(folder)
        shutil.copytree(converted(converted_cache), folder)
        return 1000.0

    monkeypatch.setattr(conversion, "convert", convert_again)

    encoder = load_encoder(None, "openvino", cache)

    assert encoder.encode(["bread"]).shape == (1, 384)
    assert converted_for == [encoder.fingerprint]


def test_processes_that_start_together_convert_once_and_none_removes_what_another_has_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converted_cache: Path
) -> None:
    both_looked, looked = Barrier(2), set[int]()
    converted_for: list[Path] = []

    def read_and_wait_for_the_other(folder: Path) -> dict[str, object] | None:
        manifest = read_manifest(folder)
        if get_ident() not in looked:
            looked.add(get_ident())
            both_looked.wait(60)
        return manifest

    def copy(reference: SentenceEncoder, folder: Path) -> float:
        converted_for.append(folder)
        shutil.copytree(converted(converted_cache), folder)
        return 1000.0

    monkeypatch.setattr(conversion, "read_manifest", read_and_wait_for_the_other)
    monkeypatch.setattr(conversion, "convert", copy)

    with ThreadPoolExecutor(2) as pool:  # a file that each opens for itself is locked between threads, too
        starts = [pool.submit(loading._start_openvino, find_model(), tmp_path, must=True) for _ in range(2)]
        first, second = (start.result() for start in starts)

    assert first.encode(["bread"]).tobytes() == second.encode(["bread"]).tobytes()
    assert len(converted_for) == 1


@pytest.fixture
def unfaithful(cache: Path) -> Path:
    """A cache whose model, as far as anybody can tell, was converted wrongly."""
    folder = converted(cache)
    reference = np.load(folder / "reference.npy")
    reference[7] = np.roll(reference[7], 1)
    np.save(folder / "reference.npy", reference)
    manifest = json.loads((folder / "manifest.json").read_text())["manifest"]
    manifest["files"]["reference.npy"] = conversion.sha256(folder / "reference.npy")
    write_manifest(folder, manifest)
    return cache


def test_a_model_that_gives_other_vectors_is_not_used_and_that_is_said_once(
    unfaithful: Path, caplog: pytest.LogCaptureFixture, no_bf16: None
) -> None:
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder(None, "auto", unfaithful)
        assert encoder.arithmetic.startswith("torch ")
        assert load_encoder(None, "auto", unfaithful).arithmetic == encoder.arithmetic

    [record] = caplog.records
    assert "OpenVINO is not used, PyTorch encodes instead, only slower: its vectors differ too" in record.getMessage()


def test_where_openvino_was_asked_for_that_is_an_error_with_a_way_out(unfaithful: Path) -> None:
    encoder = load_encoder(None, "openvino", unfaithful)

    with pytest.raises(EncoderError, match=r"differ too much \(cosine .*use --backend auto or torch"):
        encoder.encode(["bread"])


def test_without_openvino_auto_is_torch_without_a_word_and_asking_for_it_names_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, no_bf16: None
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))

    assert load_encoder(None, "auto", tmp_path).arithmetic.startswith("torch ")
    assert caplog.records == []
    with pytest.raises(
        EncoderError, match=r"not installed \(pip install 'related-articles\[openvino\]'\); use --backend"
    ):
        _ = load_encoder(None, "openvino", tmp_path).arithmetic


def test_a_conversion_that_fails_in_any_way_leaves_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, no_bf16: None
) -> None:
    def fail(reference: SentenceEncoder, folder: Path) -> float:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(conversion, "convert", fail)

    assert load_encoder(None, "auto", tmp_path).arithmetic.startswith("torch ")
    assert "PermissionError" in caplog.text


def test_a_conversion_that_is_stopped_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence_encoder: SentenceEncoder
) -> None:
    def stop(network: object, path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "_export", lambda reference: None)
    monkeypatch.setattr(conversion, "_save", stop)
    monkeypatch.setattr(conversion, "probe_texts", lambda window: ["bread"])

    with pytest.raises(KeyboardInterrupt):
        convert(sentence_encoder, tmp_path / "models" / "key")

    assert list((tmp_path / "models").iterdir()) == []


def test_a_model_that_is_pooled_otherwise_is_left_to_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    encoder = SentenceEncoder()
    monkeypatch.setattr(encoder.model[1], "pooling_mode", "max")

    with pytest.raises(NotConvertible, match="it pools by max, not by mean or cls"):
        convert(encoder, tmp_path / "key")


def test_an_interrupted_call_does_not_spoil_the_next(
    openvino_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = openvino_encoder.encode(TEXTS)
    with pytest.raises(TypeError):
        openvino_encoder.encode([*TEXTS * 60, 7])  # type: ignore[list-item]

    assert openvino_encoder.encode(TEXTS).tobytes() == before.tobytes()


# --- The probe ----------------------------------------------------------------------------------------------------


def test_the_probe_goes_from_one_word_past_the_window(sentence_encoder: SentenceEncoder) -> None:
    counts = sentence_encoder.count_tokens(probe_texts(sentence_encoder.window))

    assert len(counts) == len(set(probe_texts(sentence_encoder.window))) == 32
    assert min(counts) == 3
    assert max(counts) > sentence_encoder.window


def test_rows_that_depend_on_their_neighbours_or_their_order_are_noticed() -> None:
    def by_itself(texts: Sequence[str]) -> Matrix:
        return np.array([[len(text)] for text in texts], dtype=np.float32)

    def by_count(texts: Sequence[str]) -> Matrix:
        return by_itself(texts) + len(texts)

    def by_place(texts: Sequence[str]) -> Matrix:
        return by_itself(texts) + np.arange(len(texts), dtype=np.float32)[:, None]

    found = [keeps_rows_apart(encode, ["a", "bb", "ccc"]) for encode in (by_itself, by_count, by_place)]
    assert found == [True, False, False]


# --- bfloat16 on PyTorch ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("better", "precision"), [(True, "bf16"), (False, "fp32")])
def test_torch_is_measured_once_and_what_was_found_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: bool, precision: str
) -> None:
    measured: list[str] = []

    def measure(found: loading.ModelFolder, device: str) -> bool:
        measured.append(device)
        return better

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    monkeypatch.setattr(loading, "_is_bf16_better", measure)
    monkeypatch.setattr(loading, "_processor", lambda: frozenset({"amx_bf16"}))
    monkeypatch.setattr(loading, "_device", lambda: "cpu")

    arithmetics = {load_encoder(None, "auto", tmp_path).arithmetic for _ in range(2)}

    assert arithmetics == {SentenceEncoder(precision=precision).arithmetic}  # type: ignore[arg-type]
    assert measured == ["cpu"]


def test_bf16_vectors_are_near_the_references(sentence_encoder: SentenceEncoder) -> None:
    found = SentenceEncoder(precision="bf16").encode(TEXTS[:3])

    assert found.dtype == np.float32
    assert cosines(found, sentence_encoder.encode(TEXTS[:3])).min() >= LOWEST_COSINE
