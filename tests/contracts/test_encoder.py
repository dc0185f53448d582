"""The contract of embeddings.encoder.Encoder, run on every implementation."""

from collections.abc import Callable

import numpy as np
import pytest

from embeddings.encoder import Encoder
from embeddings.sentence import SentenceEncoder
from tests.fakes import CountingEncoder

TEXTS = (
    "bread",
    "A clock keeps time, and a map keeps the way.",
    "The bridge was built of stone; bread was sold on it, and a clock hung over it. " * 3,
    "Żur, czyli zupa z kwaśnej mąki",
    "map",
)
FACTORIES: dict[str, Callable[[], Encoder]] = {"counting": CountingEncoder, "sentence": SentenceEncoder}


@pytest.fixture(params=list(FACTORIES))
def any_encoder(request: pytest.FixtureRequest) -> Encoder:
    return request.getfixturevalue("sentence_encoder") if request.param == "sentence" else FACTORIES[request.param]()


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


def test_a_text_has_the_same_vector_alone_as_among_many_others(any_encoder: Encoder) -> None:
    many = [f"{text} {'bread and clock ' * (number % 7)}" for number in range(8) for text in TEXTS]

    together = any_encoder.encode(many)

    alone = np.vstack([any_encoder.encode([text]) for text in many])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", list(FACTORIES))
def test_two_encoders_of_one_model_have_one_fingerprint(name: str) -> None:
    one, two = FACTORIES[name](), FACTORIES[name]()

    assert one.fingerprint == two.fingerprint != ""


def test_tokens_are_counted_text_by_text_with_two_special_ones(any_encoder: Encoder) -> None:
    assert any_encoder.count_tokens(["bread", "bread clock map", ""]) == [3, 5, 2]
    assert any_encoder.count_tokens([]) == []


def test_a_text_of_as_many_tokens_as_the_window_is_read_to_its_last_word(any_encoder: Encoder) -> None:
    almost = "bread " * (any_encoder.window - 3)
    text = almost + "clock"
    assert any_encoder.count_tokens([text]) == [any_encoder.window]

    whole, without_last = any_encoder.encode([text, almost])

    assert not np.allclose(whole, without_last, atol=1e-5)


def test_words_past_the_window_are_counted_but_not_read(any_encoder: Encoder) -> None:
    full = "bread " * (any_encoder.window - 2)
    longer = full + "clock clock map"
    assert any_encoder.count_tokens([full, longer]) == [any_encoder.window, any_encoder.window + 3]

    read, cut = any_encoder.encode([full, longer])

    np.testing.assert_allclose(read, cut, atol=1e-5)
