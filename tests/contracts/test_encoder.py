"""The contract of embeddings.encoder.Encoder, run on every implementation."""

import numpy as np
import pytest

from embeddings.encoder import Encoder, cache_key
from embeddings.static import StaticEncoder
from tests.fakes import CountingEncoder

TEXTS = (
    "bread",
    "A clock keeps time, and a map keeps the way.",
    "The bridge was built of stone; bread was sold on it, and a clock hung over it. " * 3,
    "Żur, czyli zupa z kwaśnej mąki",
    "map",
)
LONGER = tuple(f"{text} {'bread and clock ' * (9 * number)}" for number, text in enumerate(TEXTS))
ENCODERS = ("counting", "torch", "openvino", "static")
SPECIAL = {"static": 0}  # tokens that a model adds to each text; elsewhere two


@pytest.fixture(params=ENCODERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def any_encoder(name: str, request: pytest.FixtureRequest) -> Encoder:
    fixtures = {"torch": "sentence_encoder", "openvino": "openvino_encoder"}
    if name in fixtures:
        return request.getfixturevalue(fixtures[name])
    return StaticEncoder() if name == "static" else CountingEncoder()


def test_rows_are_float32_of_unit_length_and_of_the_width_that_dim_says(any_encoder: Encoder) -> None:
    matrix = any_encoder.encode(TEXTS)

    assert matrix.shape == (5, any_encoder.dim)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)


def test_rows_stand_in_the_order_of_the_texts(any_encoder: Encoder) -> None:
    forth = any_encoder.encode(TEXTS)
    back = any_encoder.encode(TEXTS[::-1])

    np.testing.assert_allclose(forth, back[::-1], atol=1e-5)
    similarities = forth @ forth.T
    assert (np.argmax(similarities, axis=1) == np.arange(5)).all()  # the five texts are told apart


def test_no_texts_give_no_rows_of_the_right_width(any_encoder: Encoder) -> None:
    matrix = any_encoder.encode([])

    assert matrix.shape == (0, any_encoder.dim)
    assert matrix.dtype == np.float32


@pytest.mark.parametrize("text", ["", " ", "\n", "\u2028", "🪨🌉", "a" * 5000, "bread " * 5000, "\x00", "?!"])
def test_every_text_gets_a_finite_unit_row(any_encoder: Encoder, text: str) -> None:
    matrix = any_encoder.encode([text, "bread"])

    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)


def test_the_same_call_gives_the_same_bytes(any_encoder: Encoder) -> None:
    assert any_encoder.encode(TEXTS).tobytes() == any_encoder.encode(TEXTS).tobytes()


def test_a_texts_vector_is_the_same_bytes_alone_in_another_order_and_in_other_calls(any_encoder: Encoder) -> None:
    texts = [*TEXTS, *LONGER]
    together = any_encoder.encode(texts)

    turned = any_encoder.encode(texts[::-1])[::-1]
    split = np.vstack([any_encoder.encode(texts[:7]), any_encoder.encode(texts[7:])])
    alone = np.vstack([any_encoder.encode([text]) for text in texts])
    repeated = any_encoder.encode([text for text in texts for _ in range(3)])[::3]

    assert together.tobytes() == turned.tobytes() == split.tobytes() == alone.tobytes() == repeated.tobytes()


def test_vectors_are_cached_under_the_model_and_what_computes_it(any_encoder: Encoder) -> None:
    assert any_encoder.fingerprint != ""
    assert any_encoder.arithmetic != ""
    assert cache_key(any_encoder) == f"{any_encoder.fingerprint} {any_encoder.arithmetic}"


def test_tokens_are_counted_text_by_text(any_encoder: Encoder, name: str) -> None:
    special = SPECIAL.get(name, 2)

    assert any_encoder.count_tokens(["bread", "bread clock map", ""]) == [1 + special, 3 + special, special]
    assert any_encoder.count_tokens([]) == []


def test_a_text_of_as_many_tokens_as_the_window_is_read_to_its_last_word(any_encoder: Encoder, name: str) -> None:
    almost = words(any_encoder.window - SPECIAL.get(name, 2) - 1)
    text = f"{almost} clock"
    assert any_encoder.count_tokens([text]) == [any_encoder.window]

    whole, without_last = any_encoder.encode([text, almost])

    assert not np.allclose(whole, without_last, atol=1e-5)


def test_words_past_the_window_are_counted_but_not_read(any_encoder: Encoder, name: str) -> None:
    full = words(any_encoder.window - SPECIAL.get(name, 2))
    longer = f"{full} clock clock map"
    assert any_encoder.count_tokens([full, longer]) == [any_encoder.window, any_encoder.window + 3]

    read, cut = any_encoder.encode([full, longer])

    np.testing.assert_allclose(read, cut, atol=1e-5)


def words(count: int) -> str:
    return " ".join(["bread"] * count)
