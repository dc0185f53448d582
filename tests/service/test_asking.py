"""A query string as it is read for the fast path, beside what the schema's model makes of it, and what it is called."""

from datetime import date
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.ranking import Rules
from service.asking import ALL_FIELDS, PLAIN, Asked, list_parameters, mistakes, read_query
from service.schemas import Card, RelatedByUrlQuery, RelatedQuery

ALL = ",".join(sorted(Card.model_fields))


def read(raw: str | bytes) -> Asked:
    """What a query string without a mistake asks."""
    asked = read_query(raw if isinstance(raw, bytes) else raw.encode(), RelatedQuery)
    assert asked is not None, raw
    return asked


def told(asked: Asked) -> tuple[str, str, frozenset[str], frozenset[str], int | None, bool, Rules]:
    """All that an answer depends on."""
    site = Rules(min_score=0.125, per_category=2)
    return asked.name, asked.shape, asked.fields, asked.excluded, asked.limit, asked.is_plain, asked.rules(site)


# --- Reading ------------------------------------------------------------------------------------------------------


def test_every_parameter_comes_to_the_rules() -> None:
    asked = read(
        "limit=5&profile=meaning&category=Food+%26+Drink&published_after=2024-01-10&published_before=2024-12-31"
        "&exclude=salt,rye&exclude=na%C3%AFve&min_score=0.5&include=unlinked&fields=title,url&fields=score"
    )

    assert asked.rules(Rules(limit=9, per_category=2, min_score=0.1)) == Rules(
        limit=5,
        unlinked=True,
        category="Food & Drink",
        published_after=date(2024, 1, 10),
        published_before=date(2024, 12, 31),
        exclude=frozenset({"salt", "rye", "salt,rye", "naïve"}),
        min_score=0.5,
        profile="meaning",
        per_category=2,
    )
    assert asked.limit == 5
    assert asked.fields == {"id", "title", "url", "score"}
    assert not asked.is_plain


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "&",
        "&&",
        "exclude=",
        "exclude",
        "exclude=&exclude=",
        "profile=editors",
        "include=",
        "fields=",
        f"fields={ALL}",
    ],
)
def test_the_defaults_said_aloud_are_nothing_asked(raw: str) -> None:
    assert told(read(raw)) == told(PLAIN)
    assert read(raw).is_plain
    assert read(raw).rules(Rules(min_score=0.25)) == Rules(min_score=0.25)


@pytest.mark.parametrize(
    "raw",
    [
        *("limit=0", "limit=51", "limit=", "limit", "limit=many", "limit=5&limit=5", "limit=5&lim%69t=6", "Limit=5"),
        *("profile=mine", "category=", "min_score=nan", "min_score=1e999", "published_after=20240110", "include=all"),
        *("fields=colour", "limt=5", "url=https://example.org/bread", "=", "=5", "exclude=a&limt=5", "exclud=a"),
        *("published_after=2024-01-02&published_before=2024-01-01", "exclude[]=a", "?exclude=a", "exclude =a"),
    ],
)
def test_a_mistake_is_left_to_the_route(raw: str) -> None:
    assert read_query(raw.encode(), RelatedQuery) is None


def test_a_mistake_is_refused_each_time() -> None:
    assert [read_query(b"limit=0", RelatedQuery) for _ in range(3)] == [None] * 3


def test_an_articles_url_is_no_part_of_what_is_asked() -> None:
    by_url = RelatedByUrlQuery(url="https://example.org/bread", limit=3)

    assert told(Asked.of(by_url)) == told(Asked.of(RelatedQuery(limit=3)))
    assert read_query(b"url=https://example.org/bread&limit=3", RelatedByUrlQuery) is not None


@pytest.mark.parametrize(
    ("raw", "excluded"),
    [
        (b"exclude=a%2Cb", {"a,b", "a", "b"}),
        (b"exclude=a+b%20c", {"a b c"}),
        (b"exclude=%2B&exclude=%26", {"+", "&"}),
        (b"exclude=a=b", {"a=b"}),
        (b"exclude=na%C3%AFve", {"naïve"}),
        (b"exclude=na\xc3\xafve", {"naÃ¯ve"}),  # bytes that should have been percent-encoded are Latin-1
        (b"exclude=%zz%", {"%zz%"}),
        (b"exclude=%ff", {"\ufffd"}),
        (b"%65xclude=a&exclude=b", {"a", "b"}),
        (b"exclude=+a+", {"a", " a "}),
    ],
)
def test_ids_that_are_excluded_are_decoded_as_the_framework_does(raw: bytes, excluded: set[str]) -> None:
    assert read(raw).excluded == excluded


@st.composite
def pairs(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Parameters that are right, in any order."""
    some = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "limit": st.integers(1, 50).map(str),
                "profile": st.sampled_from(["editors", "meaning"]),
                "category": st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
                "published_after": st.dates(max_value=date(2020, 1, 1)).map(date.isoformat),
                "published_before": st.dates(min_value=date(2020, 1, 1)).map(date.isoformat),
                "min_score": st.sampled_from(["-1", "0.25", "1e-3", "2"]),
            },
        )
    )
    ids = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(
        ["salt,rye", "salt", "&", "=", "%26", "+"]
    )
    lists = [("exclude", ident) for ident in draw(st.lists(ids, max_size=4))]
    lists += [("fields", name) for name in draw(st.lists(st.sampled_from(sorted(Card.model_fields)), max_size=4))]
    lists += [("include", "unlinked")] * draw(st.integers(0, 1))
    return draw(st.permutations([*some.items(), *lists]))


def model_of(given_: list[tuple[str, str]]) -> RelatedQuery:
    """What the schema's model makes of the parameters."""
    lists = list_parameters(RelatedQuery)
    values: dict[str, object] = {name: value for name, value in given_ if name not in lists}
    for name in {name for name, _ in given_} & lists:
        values[name] = [value for other, value in given_ if other == name]
    return RelatedQuery.model_validate(values)


@given(pairs(), st.data())
def test_a_query_string_means_what_the_model_makes_of_it(given_: list[tuple[str, str]], data: st.DataObject) -> None:
    quoted = data.draw(st.sampled_from([quote, quote_plus]))
    raw = "&".join(f"{name}={quoted(value, safe='')}" for name, value in given_)
    assert parse_qsl(raw, keep_blank_values=True) == given_

    assert told(read(raw)) == told(Asked.of(model_of(given_)))
    assert told(read(raw)) == told(read(raw)), "the second time it is kept"


@given(pairs(), st.data())
def test_the_order_of_parameters_does_not_matter(given_: list[tuple[str, str]], data: st.DataObject) -> None:
    def raw(some: list[tuple[str, str]]) -> str:
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in some)

    assert told(read(raw(given_))) == told(read(raw(data.draw(st.permutations(given_)))))


# --- Names --------------------------------------------------------------------------------------------------------


@given(pairs(), pairs())
def test_what_differs_has_different_names_and_what_is_the_same_the_same(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    first, second, site = Asked.of(model_of(one)), Asked.of(model_of(other)), Rules(limit=7)

    assert (first.name == second.name) == ((first.limit, first.rules(site)) == (second.limit, second.rules(site)))
    assert (first.shape == second.shape) == (first.fields == second.fields)


def test_excluded_ids_of_any_text_are_told_apart_in_the_name() -> None:
    """Otherwise one list would be kept, and answered, for the other."""
    ids = [["a", "b"], ["a\nb"], ["a\n", "b"], ["a", "\nb"], ["a\x00b"], ['a", "b'], ["a,b"], ["\n"], ["a"], ["\na"]]
    names = [Asked.of(RelatedQuery(exclude=exclude)).name for exclude in ids]

    assert len(set(names)) == len(ids)
    assert Asked.of(RelatedQuery(exclude=["b", "a", "b"])).name == names[0]
    assert all(names)


def test_the_fields_change_the_bytes_and_not_the_list() -> None:
    asked = read("fields=title")

    assert (asked.name, PLAIN.name) == ("", "")
    assert asked.shape != PLAIN.shape
    assert asked.fields == {"id", "title"}
    assert PLAIN.fields == ALL_FIELDS
    assert not asked.is_plain
    assert not read("exclude=salt").is_plain


def test_every_question_about_the_list_has_a_name_of_its_own() -> None:
    questions = ("limit=3", "category=3", "published_after=2020-01-01", "published_before=2020-01-01", "exclude=a,b")
    others = ("min_score=0.3", "min_score=0", "include=unlinked", "profile=meaning", "exclude=a%0Ab", "exclude=a")

    names = [read(query).name for query in (*questions, *others, "")]

    assert len(set(names)) == len(names)
    assert read("limit=3&profile=editors").name == read("limit=3").name


# --- What is kept -------------------------------------------------------------------------------------------------


def test_a_sites_requests_that_exclude_what_each_page_shows_share_what_is_kept() -> None:
    one, other = read("limit=3&exclude=a"), read("exclude=b,c&limit=3")

    assert one.form is other.form
    assert one.rules(Rules()).exclude == {"a"}
    assert other.rules(Rules()).exclude == {"b", "c", "b,c"}
    assert read("limit=3").rules(Rules()).exclude == frozenset()


def test_each_site_has_rules_of_its_own() -> None:
    asked = read("limit=3")

    assert asked.rules(Rules(min_score=0.5)).min_score == 0.5
    assert asked.rules(Rules(per_category=1)) == Rules(limit=3, per_category=1)


# --- Mistakes -----------------------------------------------------------------------------------------------------


def test_mistakes_are_named_once_each_in_their_order() -> None:
    assert mistakes(RelatedQuery, ["limt", "limit", "limit", "limt", "fields", "fields"]) == [
        ("limt", "there is no such parameter; did you mean limit?"),
        ("limit", "should be given once"),
    ]
    assert mistakes(RelatedQuery, ["exclude", "exclude", "include", "limit"]) == []
    assert list_parameters(RelatedQuery) == {"exclude", "include", "fields"}
