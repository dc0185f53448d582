"""The score of a pair: logits by hand, what each signal adds, and how they are set right."""

import json
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.encoder import Matrix
from recommender.model import CLIP, DEFAULT, Curve, Model, probability, set_right
from recommender.signals import LIST_SIGNALS, SIGNALS


def values_of(*pairs: dict[str, float]) -> Matrix:
    """Pairs with these signals, all others 0."""
    return np.float32([[pair.get(signal, 0.0) for signal in SIGNALS] for pair in pairs])


def learned(clip: float = CLIP, curve: Curve = (), **signals: tuple[float, float, float]) -> Model:
    """A model with mean, scale and weight of these signals."""
    rows = [signals.get(signal, (0.0, 1.0, 0.0)) for signal in SIGNALS]
    mean, scale, weights = zip(*rows, strict=True)
    return Model("learned", mean, scale, weights, -1.0, clip, curve)


MODEL = learned(meaning=(0.5, 2.0, 3.0), votes=(0.1, 0.05, 0.5), category=(0.25, 0.5, -1.0))


# --- Logits -------------------------------------------------------------------------------------------------------


def test_a_probability_is_the_logistic_of_a_logit() -> None:
    found = probability(np.array([0.0, log(3), -log(3), 1.0]))

    np.testing.assert_allclose(found, [0.5, 0.75, 0.25, 1 / (1 + exp(-1))])


def test_the_most_extreme_logits_have_probabilities_without_a_warning() -> None:
    assert probability(np.array([-inf, -1e9, 1e9, inf])).tolist() == pytest.approx([0, 0, 1, 1])
    assert probability(np.float32([-1e9])).dtype == np.float64


def test_a_logit_is_the_weighted_sum_of_what_signals_are_off_their_means() -> None:
    values = values_of({"meaning": 2.5, "votes": 0.2, "category": 1}, {"meaning": 0.5, "votes": 0.1, "category": 0.25})

    # 3 * (2.5 - 0.5) / 2 + 0.5 * (0.2 - 0.1) / 0.05 - (1 - 0.25) / 0.5 - 1
    np.testing.assert_allclose(MODEL.logits(values), [3 + 1 - 1.5 - 1, -1], atol=1e-6)
    np.testing.assert_allclose(MODEL.probabilities(values), probability(MODEL.logits(values)))


def test_contributions_say_what_each_signal_adds() -> None:
    found = MODEL.contributions(values_of({"meaning": 2.5, "votes": 0.2, "category": 1, "author": 7}))

    expected = {"meaning": 3.0, "votes": 1.0, "category": -1.5}
    np.testing.assert_allclose(found, [[expected.get(signal, 0.0) for signal in SIGNALS]], atol=1e-6)


_ROWS = st.lists(
    st.lists(st.floats(-20, 20, width=32), min_size=len(SIGNALS), max_size=len(SIGNALS)), min_size=1, max_size=4
)


@given(_ROWS)
def test_contributions_and_the_intercept_sum_to_the_logit(rows: list[list[float]]) -> None:
    values = np.float32(rows)
    for model in (MODEL, DEFAULT):
        found = model.contributions(values).sum(axis=1) + model.intercept

        np.testing.assert_allclose(found, model.logits(values), atol=1e-9)


@pytest.mark.parametrize(("deviations", "read"), [(5.9, 5.9), (6.0, 6.0), (60.0, 6.0), (-5.9, -5.9), (-60.0, -6.0)])
def test_a_learned_model_reads_no_signal_as_more_than_six_deviations_off(deviations: float, read: float) -> None:
    values = values_of({"meaning": 0.5 + 2 * deviations, "votes": 0.1, "category": 0.25})

    assert MODEL.clip == 6.0
    assert MODEL.logits(values)[0] == pytest.approx(3 * read - 1, abs=1e-5)


def test_a_plain_model_reads_signals_as_they_are_and_never_clips() -> None:
    model = Model.plain("plain", {"meaning": 2, "author": -1}, 0.5)

    assert model.logits(values_of({"meaning": 1000, "author": 3, "votes": 9})).tolist() == [2000 - 3 + 0.5]
    assert (model.name, model.clip, model.curve) == ("plain", inf, ())
    assert {signal for signal in SIGNALS if model.weight_of(signal)} == {"meaning", "author"}
    assert model.weight_of("author") == -1.0


def test_a_weight_is_found_by_its_signal() -> None:
    assert {signal: MODEL.weight_of(signal) for signal in SIGNALS if MODEL.weight_of(signal)} == {
        "meaning": 3.0,
        "votes": 0.5,
        "category": -1.0,
    }


def test_the_default_reads_texts_alone_and_nothing_speaks_against_a_pair() -> None:
    assert not any(DEFAULT.weight_of(signal) for signal in LIST_SIGNALS)
    assert all(DEFAULT.weight_of(signal) >= 0 for signal in SIGNALS)
    assert DEFAULT.weight_of("meaning") > DEFAULT.weight_of("wording") > DEFAULT.weight_of("names") > 0
    assert DEFAULT.probabilities(values_of({}))[0] == pytest.approx(1 / (1 + exp(-DEFAULT.intercept)))


# --- Blocks -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000))
def test_a_block_has_the_logits_of_its_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    block = {signal: rng.normal(scale=4, size=(3, 5)).astype(np.float32) for signal in SIGNALS}
    values = np.stack([block[signal].ravel() for signal in SIGNALS], axis=1)

    for model in (MODEL, DEFAULT):
        found = model.block_logits(block)

        assert found.dtype == np.float32
        np.testing.assert_allclose(found, model.logits(values).reshape(3, 5), atol=1e-4)


def test_signals_that_a_block_lacks_add_nothing() -> None:
    found = MODEL.block_logits({"votes": np.float32([[0.1, 0.2]]), "author": np.float32([[1, 1]])})

    np.testing.assert_allclose(found, [[-1, 0]], atol=1e-6)


def test_a_block_is_not_set_right() -> None:
    bent = learned(meaning=(0.0, 1.0, 1.0), curve=((0.0, 5.0), (1.0, 9.0)))

    assert bent.block_logits({"meaning": np.float32([[1.0]])}).tolist() == [[0.0]]
    assert bent.logits(values_of({"meaning": 1.0})).tolist() == [5.0]


# --- Set right ----------------------------------------------------------------------------------------------------

BENT: Curve = ((-2.0, -3.0), (0.0, -1.0), (1.0, -1.0), (3.0, 2.0))


def test_between_knots_a_logit_is_set_right_along_a_straight_line_and_beyond_them_by_as_much() -> None:
    given_logits = np.array([-2, -1, 0, 0.5, 1, 2, 3, -12, 13])

    found = set_right(given_logits, BENT)

    straight = [-3, -2, -1, -1, -1, 0.5, 2, -13, 12]
    np.testing.assert_allclose(found, np.array(straight) + 0.001 * given_logits, atol=1e-9)


def test_without_a_curve_a_logit_is_as_it_is() -> None:
    logits = np.array([-3.0, 0.0, 7.5])

    assert set_right(logits, ()).tolist() == [-3.0, 0.0, 7.5]
    assert set_right(np.float32(logits), ()).dtype == np.float64


def test_one_knot_shifts_all_alike() -> None:
    np.testing.assert_allclose(set_right(np.array([0.0, 1.0, 2.0]), ((1.0, 5.0),)), [4, 5.001, 6.002], atol=1e-9)


def test_a_model_sets_its_logits_right_and_not_its_contributions() -> None:
    model = learned(meaning=(0.0, 1.0, 1.0), curve=BENT)
    values = values_of({"meaning": 0.0}, {"meaning": 3.0})

    np.testing.assert_allclose(model.logits(values), [-2.001, 0.502], atol=1e-6)
    assert model.contributions(values).sum(axis=1).tolist() == [0.0, 3.0]


_NUMBERS = st.floats(-30, 30).map(lambda x: round(x, 3))
_CURVES = st.lists(_NUMBERS, unique=True, max_size=8).flatmap(
    lambda xs: st.lists(_NUMBERS, min_size=len(xs), max_size=len(xs)).map(
        lambda ys: tuple(zip(sorted(xs), sorted(ys), strict=True))
    )
)


@given(_CURVES, st.lists(_NUMBERS, min_size=2, max_size=20, unique=True))
def test_of_two_logits_the_higher_stays_the_higher(curve: Curve, logits: list[float]) -> None:
    found = set_right(np.array(sorted(logits)), curve)

    assert (np.diff(found) > 0).all()


@given(_CURVES)
def test_at_a_knot_a_logit_is_what_the_curve_says(curve: Curve) -> None:
    found = set_right(np.array([x for x, _ in curve]), curve)

    np.testing.assert_allclose(found, [y + 0.001 * x if curve else x for x, y in curve], atol=1e-9)


# --- JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, DEFAULT, learned(), learned(meaning=(1.0, 2.0, 3.0), curve=BENT)])
def test_a_model_comes_back_from_json_as_it_was(model: Model) -> None:
    assert Model.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_json_says_the_weights_by_signal_and_none_that_is_0() -> None:
    assert learned(votes=(0.1, 0.05, 0.5), meaning=(1.23456789012, 1.0, 2.0), curve=((0.0, 1.0),)).to_json() == {
        "name": "learned",
        "intercept": -1.0,
        "clip": 6.0,
        "signals": {"meaning": [1.23456789, 1.0, 2.0], "votes": [0.1, 0.05, 0.5]},
        "curve": [[0.0, 1.0]],
    }
    assert DEFAULT.to_json()["clip"] is None, "JSON has no infinity"


def test_a_model_of_a_signal_that_this_version_does_not_know_is_refused() -> None:
    record = MODEL.to_json()
    record["signals"]["telepathy"] = [0.0, 1.0, 2.0]

    with pytest.raises(KeyError, match="telepathy"):
        Model.from_json(record)


def test_a_model_of_a_signal_that_hardly_varies_comes_back_from_json() -> None:
    model = learned(predicted=(0.0, 3e-7, 1.0))
    values = values_of({"predicted": 6e-7})

    again = Model.from_json(json.loads(json.dumps(model.to_json())))

    np.testing.assert_allclose(again.logits(values), model.logits(values), atol=1e-3)
