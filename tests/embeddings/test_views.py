"""The texts by which an essay is known, what is encoded of them, and the one vector that they make."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from corpus.essay import Blurb
from embeddings import views
from embeddings.cache import VectorCache
from embeddings.encoder import Matrix
from embeddings.views import EncodingCount, Views, bodies, encode_texts, pool, views_of
from tests.fakes import CountingEncoder, essay


class Killed(BaseException):
    """What ends a build from outside."""


class MortalEncoder(CountingEncoder):
    """Killed in its second call."""

    def encode(self, texts: Sequence[str]) -> Matrix:
        if self.calls == 1:
            raise Killed
        return super().encode(texts)


AXES = np.eye(5, dtype=np.float32)
VECTORS = {"bread": AXES[0], "clock": AXES[1], "map": AXES[2], "bridge": AXES[3]}


def pooled(*some: Views) -> Matrix:
    return pool(some, VECTORS.__getitem__)


def unit(*values: float) -> list[float]:
    return (np.array(values) / np.linalg.norm(values)).tolist()


# --- Views --------------------------------------------------------------------------------------------------------


def test_the_views_of_an_essay_are_its_own_summary_and_passages(encoder: CountingEncoder, cache: VectorCache) -> None:
    body = "One two three four five six seven.\n\n" + " ".join(["Eight nine ten."] * 5)
    long = essay("a", body, title="Title", standfirst="It is.")

    found = views_of([long, essay("b")], encoder, cache)

    assert found == [
        Views(
            "Title. It is.",
            (
                "One two three four five six seven.",
                "Eight nine ten. Eight nine ten. Eight nine ten.",
                "Eight nine ten. Eight nine ten.",
            ),
        ),
        Views("", ("Bread rises in the oven.",)),
    ]


def test_what_lists_show_of_an_essay_is_no_view_of_it_nor_of_the_page_that_shows_it(
    encoder: CountingEncoder, cache: VectorCache
) -> None:
    shown = Blurb("a", 1, "Sea", "Words of a list.", target="b")
    pages = [essay("a", blurbs=(shown,)), essay("b", title="Title")]

    found = views_of(pages, encoder, cache)

    assert found == views_of([replace(page, blurbs=()) for page in pages], encoder, cache)
    assert [view.texts() for view in found] == [
        ["Bread rises in the oven."],
        ["Title", "Bread rises in the oven."],
    ]


def test_the_texts_of_views_leave_out_an_empty_summary() -> None:
    assert Views("", ("a", "b")).texts() == ["a", "b"]
    assert Views("s", ("a",)).texts() == ["s", "a"]


def test_a_body_that_was_cut_before_is_not_cut_again(
    encoder: CountingEncoder, cache: VectorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = views_of([essay("a")], encoder, cache)
    monkeypatch.setattr(encoder, "count_tokens", lambda texts: pytest.fail("cut again"))

    assert views_of([essay("a")], encoder, cache) == first


def test_every_essay_has_its_views_however_many_there_are(encoder: CountingEncoder, cache: VectorCache) -> None:
    site = [essay(f"{number}", f"Text {number}.") for number in range(450)]
    done: list[int] = []

    found = views_of(site, encoder, cache, done.append)

    assert [view.passages for view in found] == [(f"Text {number}.",) for number in range(450)]
    assert done == [200, 200, 50]


# --- Encoding -----------------------------------------------------------------------------------------------------


def test_each_different_text_is_encoded_once(encoder: CountingEncoder, cache: VectorCache) -> None:
    vectors, count = encode_texts(["bread", "clock", "bread"], encoder, cache)

    assert {text: vector.tolist() for text, vector in vectors.items()} == {
        "bread": [1, 0, 0, 0, 0],
        "clock": [0, 1, 0, 0, 0],
    }
    assert count == EncodingCount(encoded=2, reused=0)
    assert sorted(encoder.texts) == ["bread", "clock"]


def test_a_second_run_encodes_nothing(encoder: CountingEncoder, cache: VectorCache) -> None:
    first, _ = encode_texts(["bread", "clock"], encoder, cache)
    encoder.calls = 0

    second, count = encode_texts(["clock", "bread"], encoder, cache)

    assert encoder.calls == 0
    assert count == EncodingCount(encoded=0, reused=2)
    assert {text: vector.tolist() for text, vector in second.items()} == {
        text: vector.tolist() for text, vector in first.items()
    }


def test_only_what_is_new_is_encoded(encoder: CountingEncoder, cache: VectorCache) -> None:
    encode_texts(["bread", "clock"], encoder, cache)
    encoder.texts = []

    _, count = encode_texts(["bread", "clock", "map"], encoder, cache)

    assert encoder.texts == ["map"]
    assert count == EncodingCount(encoded=1, reused=2)


def test_no_texts_are_no_work(encoder: CountingEncoder, cache: VectorCache) -> None:
    assert encode_texts([], encoder, cache) == ({}, EncodingCount(0, 0))
    assert encoder.calls == 0


def test_texts_of_one_length_are_encoded_together(encoder: CountingEncoder, cache: VectorCache) -> None:
    encode_texts(["ccc", "a", "bb", "aa", "b"], encoder, cache)

    assert encoder.texts == ["a", "b", "aa", "bb", "ccc"]


def test_a_run_that_is_killed_keeps_every_chunk_it_had_finished(
    cache: VectorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_CHUNK", 2)
    texts = ["bread a", "bread b", "clock c", "clock d", "map"]

    with pytest.raises(Killed):
        encode_texts(texts, MortalEncoder(), cache)

    again = CountingEncoder()
    vectors, count = encode_texts(texts, again, cache)
    assert count == EncodingCount(encoded=3, reused=2)
    assert again.texts == ["bread b", "clock c", "clock d"]
    assert len(vectors) == 5


def test_progress_counts_cached_texts_first_and_ends_at_all(
    encoder: CountingEncoder, cache: VectorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_CHUNK", 2)
    encode_texts(["bread"], encoder, cache)
    done: list[int] = []

    encode_texts(["bread", "a", "b", "c"], encoder, cache, done.append)

    assert done == [1, 2, 1]


# --- Pooling ------------------------------------------------------------------------------------------------------


def test_summary_opening_and_body_weigh_the_same() -> None:
    # Opening: clock. Body: the mean of clock and map. Both and the summary have length 1 before they are summed.
    half = 0.5**0.5

    matrix = pooled(Views("bread", ("clock", "map")))

    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [unit(1, 1 + half, half, 0, 0)], atol=1e-6)


def test_a_body_of_one_passage_counts_as_opening_and_as_body() -> None:
    np.testing.assert_allclose(pooled(Views("bread", ("clock",))), [unit(1, 2, 0, 0, 0)], atol=1e-6)


def test_an_essay_without_a_summary_is_its_body() -> None:
    np.testing.assert_allclose(pooled(Views("", ("map",))), [[0, 0, 1, 0, 0]], atol=1e-6)


def test_each_essay_has_its_row_in_order() -> None:
    matrix = pooled(Views("bread", ("bread",)), Views("clock", ("clock",)))

    np.testing.assert_allclose(matrix, [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]], atol=1e-6)


def test_texts_that_cancel_out_still_make_a_unit_row() -> None:
    opposites = {"here": AXES[0], "there": -AXES[0]}

    matrix = pool([Views("", ("here", "there")), Views("there", ("here", "there"))], opposites.__getitem__)

    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), [1.0, 1.0], atol=1e-6)


def test_no_essays_make_no_rows() -> None:
    assert pooled().shape == (0, 0)


def test_bodies_are_the_same_vectors_without_title_and_standfirst() -> None:
    half = 0.5**0.5
    some = [Views("bread", ("clock", "map")), Views("bread", ("map",)), Views("", ("bridge",))]

    matrix = bodies(some, VECTORS.__getitem__)

    np.testing.assert_allclose(matrix, [unit(0, 1 + half, half, 0, 0), AXES[2], AXES[3]], atol=1e-6)
    assert matrix.dtype == np.float32


def test_an_essay_without_a_body_has_the_first_axis_for_one() -> None:
    matrix = bodies([Views("clock", ()), Views("clock", ("map",))], VECTORS.__getitem__)

    assert matrix.tolist() == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    assert bodies([], VECTORS.__getitem__).shape == (0, 0)
