"""Wording: the terms of a site, how telling each is, and how much of a title a text names."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from corpus.essay import Block
from recommender.lexical import Lexicon, presence, whole_text
from tests.fakes import essay

TEXTS = ["Bread rises slowly.", "Bread and clocks.", "A clock strikes noon.", "Maps of clocks"]


def cosines(lexicon: Lexicon, *texts: str) -> list[list[float]]:
    terms = lexicon.terms(list(texts))
    return (terms @ terms.T).toarray().round(6).tolist()


def test_the_whole_text_is_title_standfirst_and_body() -> None:
    blocks = (Block("heading", "Head"), Block("paragraph", "Body."))

    assert whole_text(essay("a", blocks=blocks, title="Title", standfirst="Stand.")) == "Title\nStand.\nHead\n\nBody."
    assert whole_text(essay("a", "Body.")) == "Body."


def test_terms_are_words_and_pairs_of_words_without_stop_words_in_one_case() -> None:
    lexicon = Lexicon.learn(["The Bread of the clock"])

    assert list(lexicon.vocabulary) == ["bread", "bread clock", "clock"]


def test_a_rare_term_is_more_telling_than_a_common_one() -> None:
    lexicon = Lexicon.learn(TEXTS)
    idf = {term: lexicon.idf[column] for term, column in lexicon.vocabulary.items()}

    # scikit-learn's smoothed idf: ln((1 + n) / (1 + df)) + 1, with n = 4
    assert idf["bread"] == pytest.approx(math.log(5 / 3) + 1)
    assert idf["noon"] == pytest.approx(math.log(5 / 2) + 1)


def test_rows_have_unit_length_and_a_text_is_nearest_to_itself() -> None:
    found = np.array(cosines(Lexicon.learn(TEXTS), *TEXTS))

    np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-6)
    assert (found.argmax(axis=1) == np.arange(4)).all()
    assert found[0, 2] == 0.0


def test_a_text_without_a_known_term_is_a_row_of_zeros() -> None:
    assert cosines(Lexicon.learn(TEXTS), "Nothing known", "")[0] == [0, 0]


def test_no_texts_make_no_rows() -> None:
    lexicon = Lexicon.learn(TEXTS)

    assert lexicon.terms([]).shape == (0, len(lexicon.vocabulary))
    assert lexicon.title_shares([]).shape == (0, len(lexicon.vocabulary))


@pytest.mark.parametrize(("number", "kept"), [(19, True), (20, False)])
def test_on_a_larger_site_a_term_of_one_essay_is_left_out(number: int, kept: bool) -> None:
    texts = ["bread clock single", *["bread clock"] * (number - 1)]

    assert ("single" in Lexicon.learn(texts).vocabulary) is kept


# --- Titles -------------------------------------------------------------------------------------------------------


def test_the_shares_of_a_title_sum_to_one_by_idf() -> None:
    lexicon = Lexicon.learn(TEXTS)

    shares = lexicon.title_shares(["Bread, noon, bread"])

    bread, noon = (lexicon.idf[lexicon.vocabulary[term]] for term in ("bread", "noon"))
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0, lexicon.vocabulary["bread"]] == pytest.approx(bread / (bread + noon))


def test_a_text_names_all_part_or_nothing_of_a_title() -> None:
    lexicon = Lexicon.learn(TEXTS)
    shares = lexicon.title_shares(["Bread noon"])
    texts = presence(lexicon.terms(["Noon loaves of bread, bread, bread", "Bread alone", "A clock"]))

    named = (texts @ shares.T).toarray().ravel()

    bread, noon = (lexicon.idf[lexicon.vocabulary[term]] for term in ("bread", "noon"))
    assert named == pytest.approx([1.0, bread / (bread + noon), 0.0], abs=1e-6)


@pytest.mark.parametrize("title", [None, "", "The", "Unknown words"])
def test_a_title_that_says_nothing_is_named_by_no_text(title: str | None) -> None:
    lexicon = Lexicon.learn(TEXTS)

    assert lexicon.title_shares([title]).nnz == 0


def test_presence_is_one_wherever_a_term_stands() -> None:
    lexicon = Lexicon.learn(TEXTS)

    assert set(presence(lexicon.terms(["bread bread clock"])).data.tolist()) == {1.0}


# --- On disk ------------------------------------------------------------------------------------------------------


def test_a_lexicon_that_was_saved_gives_the_same_rows_to_the_bit(tmp_path: Path) -> None:
    lexicon = Lexicon.learn(TEXTS)
    lexicon.save(tmp_path / "lexicon.json")

    loaded = Lexicon.load(tmp_path / "lexicon.json")

    assert loaded.vocabulary == lexicon.vocabulary
    assert (loaded.idf == lexicon.idf).all()
    for method in ("terms", "title_shares"):
        before, after = getattr(lexicon, method)(TEXTS), getattr(loaded, method)(TEXTS)
        assert (before != after).nnz == 0


def test_a_lexicon_is_saved_as_terms_and_numbers_that_a_person_can_read(tmp_path: Path) -> None:
    Lexicon.learn(["Bread and żur"]).save(tmp_path / "lexicon.json")

    stored = json.loads((tmp_path / "lexicon.json").read_text(encoding="utf-8"))

    assert stored == {"terms": ["bread", "bread żur", "żur"], "idf": [1.0, 1.0, 1.0]}


@pytest.mark.parametrize("texts", [[], [""], ["the of and", "a"], ["…"]])
def test_a_site_without_a_term_has_a_lexicon_all_the_same(texts: list[str], tmp_path: Path) -> None:
    lexicon = Lexicon.learn(texts)
    lexicon.save(tmp_path / "lexicon.json")

    for one in (lexicon, Lexicon.load(tmp_path / "lexicon.json")):
        assert one.terms(["Bread", ""]).toarray().tolist() == [[0.0], [0.0]]
        assert one.title_shares(["Bread", None]).nnz == 0


def test_a_site_of_many_essays_without_a_common_term_has_an_empty_lexicon() -> None:
    lexicon = Lexicon.learn([f"word{number}" for number in range(30)])

    assert lexicon.terms(["word1"]).nnz == 0
