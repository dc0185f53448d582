"""What the signals read of essays, drafts and blurbs."""

from dataclasses import fields
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from corpus.essay import Essay
from recommender.texts import LONGEST_TITLE, Texts, TitleFinder, spelled_once
from tests.fakes import essay
from tests.recommender.sites import random_site, site_of


def found(titles: list[str | None], *texts: str) -> list[set[str]]:
    """The titles, one of which must be known to the finder, that each text holds."""
    finder = TitleFinder(titles)
    own = finder.own(titles)
    held = (finder.named(texts) @ own.T).toarray()
    return [{title for title, hit in zip(titles, row, strict=True) if title and hit} for row in held]


# --- Titles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "The Water Clock",
        "on the WATER clock of Athens",
        "see 'The water—clock'.",
        "the\nwater\n\nclock",
        "thE water, clock!",
    ],
)
def test_a_title_is_found_whatever_its_case_and_punctuation(text: str) -> None:
    assert found(["The Water Clock!"], text) == [{"The Water Clock!"}]


@pytest.mark.parametrize(
    "text", ["the water clocks", "breathe water clock", "the water of the clock", "water clock the", "the water", ""]
)
def test_a_title_is_found_as_whole_words_in_their_order_or_not_at_all(text: str) -> None:
    assert found(["The Water Clock"], text) == [set()]


def test_case_is_folded_as_other_languages_need_it() -> None:
    assert found(["STRASSE der ÄRA"], "In der Straße der Ära") == [{"STRASSE der ÄRA"}]


def test_titles_within_titles_are_all_found_each_once() -> None:
    titles: list[str | None] = ["Noon", "Noon Gun", "The Noon Gun", "Gun"]

    assert found(titles, "the noon gun, the noon gun", "a noon", "noon gun") == [
        {"Noon", "Noon Gun", "The Noon Gun", "Gun"},
        {"Noon"},
        {"Noon", "Noon Gun", "Gun"},
    ]
    assert set(TitleFinder(titles).named(["the noon gun, the noon gun"]).data.tolist()) == {1.0}


def test_two_essays_of_one_title_share_it() -> None:
    finder = TitleFinder(["Noon", "NOON!"])

    assert finder.own(["Noon", "NOON!"]).toarray().tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(("words", "looked_for"), [(LONGEST_TITLE, True), (LONGEST_TITLE + 1, False)])
def test_a_title_longer_than_any_text_would_quote_is_not_looked_for(words: int, looked_for: bool) -> None:
    title = " ".join(f"w{number}" for number in range(words))

    assert bool(found([title], f"so {title} it is")[0]) is looked_for


@pytest.mark.parametrize("title", [None, "", "  ", "—?!"])
def test_a_title_without_a_word_is_in_no_text(title: str | None) -> None:
    finder = TitleFinder([title])

    assert finder.named(["", "—?!", "any text"]).toarray().tolist() == [[0.0], [0.0], [0.0]]
    assert finder.own([title]).toarray().tolist() == [[0.0]]


def test_a_title_that_the_site_does_not_have_has_no_column() -> None:
    assert TitleFinder(["Noon"]).own(["Gun", None, "noon"]).toarray().tolist() == [[0.0], [0.0], [1.0]]


def test_no_texts_and_no_titles_make_no_rows() -> None:
    assert TitleFinder(["Noon"]).named([]).shape == (0, 1)
    assert TitleFinder([]).named(["any"]).toarray().tolist() == [[0.0]]


_WORDS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(" ".join)


@given(st.lists(_WORDS, max_size=5), st.lists(_WORDS, max_size=3))
def test_titles_are_found_where_a_search_of_the_padded_text_finds_them(titles: list[str], texts: list[str]) -> None:
    expected = [{title for title in titles if f" {title} " in f" {text} "} for text in texts]

    assert found(list(titles), *texts) == expected


# --- A site -------------------------------------------------------------------------------------------------------


def test_an_own_title_weighs_one_over_the_root_of_the_texts_that_hold_it() -> None:
    site = site_of(
        [essay("a", "no", title="Noon"), essay("b", "noon, Noon", title="Gun"), essay("c", "noon"), essay("d", "gun")]
    )

    weights = site.texts.own_title.toarray().sum(axis=1)

    assert weights == pytest.approx([1 / sqrt(3), 1 / sqrt(2), 0, 0])


def test_a_draft_of_a_known_title_has_the_weight_that_the_site_gave_it() -> None:
    site = site_of([essay("a", "no", title="Noon"), essay("b", "noon, Noon")])

    drafts = site.read([essay("x", "gun", title="noon"), essay("y", "gun", title="Gun")])

    assert drafts.own_title.toarray().sum(axis=1) == pytest.approx([1 / sqrt(2), 0])


def test_a_title_that_no_text_holds_any_more_weighs_1() -> None:
    """Titles named may come from an edition; a row of zeros is no reason to divide by it."""
    site = site_of([essay("a", "no", title="Noon"), essay("b", "noon, Noon")])
    before = site.texts.own_title.toarray()

    nothing = site.texts.titles_named * 0.0
    texts = site.reader.read_site(site.essays, site.texts.vectors, site.texts.summaries, titles_named=nothing)

    assert before.ravel() == pytest.approx([1 / sqrt(2), 0])
    assert texts.own_title.toarray().ravel().tolist() == [1.0, 0.0]


def test_what_was_read_before_is_taken_as_it_is() -> None:
    site = random_site(5, seed=0)

    again = site.reader.read_site(
        site.essays,
        site.texts.vectors,
        site.texts.summaries,
        terms=site.texts.terms * 2.0,
        titles_named=site.texts.titles_named,
    )

    assert (again.terms != site.texts.terms * 2.0).nnz == 0
    assert (again.titles_named != site.texts.titles_named).nnz == 0
    assert (again.own_title != site.texts.own_title).nnz == 0


def test_a_category_that_was_only_inferred_is_not_read() -> None:
    site = site_of(
        [
            essay("a", category="Food"),
            essay("b", category="Food", category_inferred=True),
            essay("c", category="Maps", category_inferred=True),
            essay("d"),
            essay("e", category="Food"),
        ]
    )

    same = (site.texts.category @ site.texts.category.T).toarray()

    assert same.tolist() == [[1, 0, 0, 0, 1], [0] * 5, [0] * 5, [0] * 5, [1, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    "link", ["https://site.test/a", "https://site.test/a/", "https://site.test/a#part", "https://site.test/a/#part"]
)
@pytest.mark.parametrize("url", ["https://site.test/a", "https://site.test/a/", "https://site.test/a#top"])
def test_a_link_is_to_the_essay_of_its_address_fragment_and_last_slash_aside(url: str, link: str) -> None:
    site = site_of([essay("a", url=url), essay("b", links=(link, "https://site.test/A", link))])

    assert (site.texts.links @ site.texts.own_url.T).toarray().tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize("link", ["https://site.test/", "https://site.test/a?b=c", "http://site.test/a", "#a", ""])
def test_another_address_is_another_essay(link: str) -> None:
    site = site_of([essay("a", url="https://site.test/a"), essay("b", url="", links=(link,)), essay("c")])

    assert not (site.texts.links @ site.texts.own_url.T).toarray().any()


def test_an_address_is_spelled_once() -> None:
    assert spelled_once("https://site.test/a/b/?c=d#e/") == "https://site.test/a/b/?c=d"
    assert spelled_once("https://site.test/a//") == "https://site.test/a"


def _matrices(texts: Texts) -> list[str]:
    """The names of all sparse matrices."""
    found = [field.name for field in fields(Texts) if sparse.issparse(getattr(texts, field.name))]
    assert {"terms", "title_shares", "titles_named", "own_title", "category", "author", "links", "own_url"} <= set(
        found
    )
    return found


# --- Drafts and blurbs --------------------------------------------------------------------------------------------


def test_a_draft_is_read_by_the_words_titles_labels_and_addresses_of_the_site() -> None:
    site = site_of(
        [
            essay("a", "Rye and wheat.", title="Noon", url="https://site.test/a", category="Food", author="Ann"),
            essay("b", "Rye and oats.", category="Maps", author="Ben"),
        ]
    )
    draft = Essay(
        "x",
        title="Rye",
        standfirst="At noon.",
        category="Food",
        author="Cid",
        url="https://site.test/x",
        links=("https://site.test/a#b",),
    )

    read = site.read([draft])

    rye = site.reader.lexicon.vocabulary["rye"]
    assert read.ids == ("x",)
    assert read.terms[0, rye] > 0
    assert read.title_shares.toarray().nonzero()[1].tolist() == [rye]
    assert (read.titles_named @ site.texts.own_title.T).toarray().round(6).tolist() == [[1.0, 0.0]]
    assert (read.category @ site.texts.category.T).toarray().tolist() == [[1.0, 0.0]]
    assert read.author.nnz == 0
    assert read.own_url.nnz == 0
    assert (read.links @ site.texts.own_url.T).toarray().tolist() == [[1.0, 0.0]]


def test_a_blurb_of_a_sentence_alone_has_no_title_label_or_address() -> None:
    site = random_site(6, seed=2)

    read = site.read([Essay("blurb", standfirst=f"Read {site.essays[3].title} now.")])

    for name in ("title_shares", "own_title", "category", "author", "links", "own_url"):
        assert getattr(read, name).nnz == 0, name
    assert (read.titles_named @ site.texts.own_title.T).toarray()[0, 3] > 0


def test_an_essay_read_as_a_draft_is_what_it_is_on_the_site() -> None:
    site = random_site(8, seed=3)

    read = site.read(site.essays, site.texts.vectors.matrix, site.texts.summaries)

    for name in _matrices(site.texts):
        before, after = getattr(site.texts, name), getattr(read, name)
        assert before.shape == after.shape, name
        assert (before != after).nnz == 0, name


def test_nothing_read_makes_no_rows() -> None:
    site = random_site(3, seed=0)

    read = site.read([], np.zeros((0, 4), np.float32))

    assert len(read) == 0
    assert (read.terms.shape[0], read.own_url.shape) == (0, (0, site.texts.own_url.shape[1]))


# --- Rows and chunks ----------------------------------------------------------------------------------------------


def test_a_run_of_rows_holds_those_rows_of_everything() -> None:
    texts = random_site(7, seed=4).texts

    part = texts.rows(2, 5)

    assert part.ids == ("002", "003", "004")
    assert (part.vectors.matrix == texts.vectors.matrix[2:5]).all()
    assert (part.summaries == texts.summaries[2:5]).all()
    assert part.vectors.fingerprint == texts.vectors.fingerprint
    for name in _matrices(texts):
        assert (getattr(part, name).toarray() == getattr(texts, name).toarray()[2:5]).all(), name


@pytest.mark.parametrize(("size", "lengths"), [(3, [3, 3, 1]), (7, [7]), (10, [7])])
def test_chunks_are_all_rows_in_order(size: int, lengths: list[int]) -> None:
    texts = random_site(7, seed=4).texts

    chunks = list(texts.chunks(size))

    assert [len(chunk) for chunk in chunks] == lengths
    assert [ident for chunk in chunks for ident in chunk.ids] == list(texts.ids)
    assert (np.vstack([chunk.terms.toarray() for chunk in chunks]) == texts.terms.toarray()).all()


def test_turned_matrices_are_the_same_turned_round() -> None:
    texts = random_site(5, seed=5).texts

    assert (texts.turned["terms"].toarray() == texts.terms.toarray().T).all()
    assert (texts.turned["terms_present"].toarray() == (texts.terms.toarray().T > 0)).all()
    assert set(texts.turned) == {*_matrices(texts), "terms_present"}
