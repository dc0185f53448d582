"""What goes over the wire: bytes, encodings, ETags, how long a cache may keep it, and what is kept in memory."""

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from corpus.errors import UnknownEssay
from recommender.edition import Edition, open_current
from recommender.ranking import Rules
from service.answers import Answers
from service.asking import PLAIN, Asked
from service.kept import Kept
from service.ready import ReadyAnswers, answers_of, prepare
from service.replies import CACHE_CONTROL, EMPTY_CACHE_CONTROL, Replies, Reply, held_tags, reads_gzip
from service.schemas import CardField, RelatedQuery, RelatedResponse
from service.settings import Settings
from tests.service.editions import LISTS_OF_THE_SITE, NOON, ODD_IDS, publish_edition

Road = Callable[..., Reply]


@pytest.fixture
def edition(tmp_path: Path) -> Edition:
    publish_edition(tmp_path)
    return open_current(tmp_path)


@pytest.fixture(params=["computed", "ready"])
def replies(request: pytest.FixtureRequest, edition: Edition, tmp_path: Path) -> Replies:
    """With ready answers, and without."""
    answers = answers_of(Settings(home=tmp_path), edition)
    if request.param == "ready":
        prepare(tmp_path, answers)
    return Replies(answers, ReadyAnswers.open(tmp_path, answers))


@pytest.fixture(params=["json", "html"])
def road(request: pytest.FixtureRequest, replies: Replies) -> Road:
    """The two forms of an answer."""
    return replies.json if request.param == "json" else replies.html


def header(reply: Reply, name: bytes) -> bytes:
    """A header's value, which must be there once."""
    (value,) = (value for other, value in reply.headers if other == name)
    return value


def names(reply: Reply) -> list[bytes]:
    return sorted(name for name, _ in reply.headers)


def asked(**said: Any) -> Asked:
    return Asked.of(RelatedQuery(**said))


# --- Bytes and encodings ------------------------------------------------------------------------------------------


def test_gzip_is_the_same_bytes_compressed(road: Road) -> None:
    plain, packed = road("bread"), road("bread", gzipped=True)

    assert gzip.decompress(packed.body) == plain.body
    assert header(packed, b"content-encoding") == b"gzip"
    assert b"content-encoding" not in names(plain)
    assert header(packed, b"content-length") == str(len(packed.body)).encode()
    assert header(plain, b"content-length") == str(len(plain.body)).encode()
    assert packed.body[4:8] == bytes(4), "no time of day in it: every worker's bytes are the same"


def test_a_form_has_its_own_type(replies: Replies) -> None:
    assert header(replies.json("bread"), b"content-type") == b"application/json"
    assert header(replies.html("bread"), b"content-type") == b"text/html; charset=utf-8"
    assert header(replies.html("bread"), b"x-robots-tag") == b"noindex"
    assert b"default-src 'none'" in header(replies.html("bread"), b"content-security-policy")


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("ident", ["bread", "salt", "麦/麵包"])
def test_every_answer_varies_by_encoding_and_is_safe(road: Road, ident: str, gzipped: bool) -> None:
    reply = road(ident, gzipped=gzipped)
    for answer in (reply, road(ident, known=header(reply, b"etag"), gzipped=gzipped), road(ident, known=b"*")):
        assert header(answer, b"vary") == b"Accept-Encoding"
        assert header(answer, b"x-content-type-options") == b"nosniff"
        assert len(set(names(answer))) == len(answer.headers)
        assert all(name == name.lower() for name in names(answer))


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        *((value, True) for value in (b"gzip", b"gzip, br", b"br,gzip", b"gzip;q=0.5", b"gzip; q=1.0")),
        *((value, True) for value in (b"gzip;q=0.001", b" gzip ", b"gzip ;q=1", b"br;q=0, gzip")),
        *((value, False) for value in (b"", b"br", b"identity", b"gzip;q=0", b"gzip; q=0", b"gzip;q=0.0")),
        *((value, False) for value in (b"gzip;q=0.000", b"x-gzip", b"br, gzip;q=0", b"gzipped", b"notgzip, br")),
    ],
)
def test_who_reads_gzip_is_told_by_the_header(accepted: bytes, expected: bool) -> None:
    assert reads_gzip(accepted) is expected


# --- ETags --------------------------------------------------------------------------------------------------------


def etag(reply: Reply) -> str:
    return header(reply, b"etag").decode("ascii")


def test_an_etag_is_strong_and_each_encoding_and_form_has_its_own(replies: Replies) -> None:
    plain, packed = etag(replies.json("bread")), etag(replies.json("bread", gzipped=True))
    html, packed_html = etag(replies.html("bread")), etag(replies.html("bread", gzipped=True))

    assert plain.startswith(f'"{replies.answers.recommendation_id("bread")}-')
    assert packed == f'{plain[:-1]}-gzip"'
    assert html == f'{plain[:-1]}-html"'
    assert packed_html == f'{plain[:-1]}-html-gzip"'


def test_an_empty_answers_etag_says_so_and_is_one_for_both_encodings(road: Road) -> None:
    plain, packed = road("salt"), road("salt", gzipped=True)

    assert etag(plain).endswith('-empty"')
    assert packed == plain
    assert plain.empty


def test_another_page_query_rule_or_edition_has_another_etag(edition: Edition, tmp_path: Path) -> None:
    replies = Replies(Answers(edition, Rules()))
    queries: Sequence[dict[str, Any]] = [
        {},
        {"limit": 3},
        {"exclude": ["a"]},
        {"exclude": ["b"]},
        {"fields": ["url"]},
        {"profile": "meaning"},
    ]
    tags = [etag(replies.json("bread", asked(**query))) for query in queries]
    tags += [etag(replies.json(ident)) for ident in ("rye", *ODD_IDS)]
    tags.append(etag(Replies(Answers(edition, Rules(per_category=9))).json("bread")))
    tags.append(etag(Replies(Answers(edition, Rules(), ["model:1"])).json("bread")))
    publish_edition(tmp_path, NOON + timedelta(hours=1), lists=LISTS_OF_THE_SITE[:-1])
    tags.append(etag(Replies(Answers(open_current(tmp_path), Rules())).json("bread")))

    assert len(set(tags)) == len(tags)


def test_the_bytes_that_differ_by_the_fields_differ_in_the_etag_alone(replies: Replies) -> None:
    whole, some = replies.json("bread"), replies.json("bread", asked(fields=["title"]))

    assert whole.recommendation_id == some.recommendation_id
    assert etag(whole) != etag(some)
    assert json.loads(some.body)["items"] == [{"id": "salt", "title": "Salt"}, {"id": "rye", "title": "Rye"}]


@pytest.mark.parametrize(
    ("known", "held"),
    [
        (b'"a"', [b"a"]),
        (b'W/"a"', [b"a"]),
        (b'"a", W/"b" ,"c"', [b"a", b"b", b"c"]),
        (b"*", [b"*"]),
        (b"", [b""]),
        (b"a", [b"a"]),
    ],
)
def test_the_tags_of_a_header_are_read(known: bytes, held: list[bytes]) -> None:
    assert held_tags(known) == held


# --- 304 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("ident", ["bread", "salt"])
@pytest.mark.parametrize("known", ["{0}", "W/{0}", '"other", {0}', '{0},"other"', "*"])
def test_a_copy_that_is_still_right_is_not_sent_again(road: Road, ident: str, gzipped: bool, known: str) -> None:
    first = road(ident, gzipped=gzipped)
    second = road(ident, known=known.format(etag(first)).encode(), gzipped=gzipped)

    assert (second.status, second.body, second.cache) == (304, b"", "")
    assert (etag(second), second.empty) == (etag(first), first.empty)
    assert second.recommendation_id == first.recommendation_id
    assert header(second, b"cache-control") == header(first, b"cache-control")
    assert not {b"content-length", b"content-type", b"content-encoding"} & set(names(second))


@pytest.mark.parametrize("known", ['"other"', "{0}x", "x{0}", "", '""', "{other}"])
def test_another_copy_is_sent_again(road: Road, known: str) -> None:
    """A copy in the other encoding is no copy of this one: a strong ETag names bytes."""
    for gzipped in (False, True):
        here, there = etag(road("bread", gzipped=gzipped)), etag(road("bread", gzipped=not gzipped))
        reply = road("bread", known=known.format(here[1:-1], other=there).encode(), gzipped=gzipped)
        if known != "{0}x":
            assert (reply.status, etag(reply)) == (200, here)
        else:
            assert reply.status == 200


class Poisoned:
    """An edition that nobody may look into."""

    id = "poisoned"

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was looked at")


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("ident", ["bread", "salt"])
def test_a_304_is_answered_without_looking_anything_up(road: Road, replies: Replies, ident: str, gzipped: bool) -> None:
    tag = header(road(ident, gzipped=gzipped), b"etag")
    replies.answers.edition = Poisoned()  # type: ignore[assignment]
    replies.ready = Poisoned()  # type: ignore[assignment]
    replies._kept = Poisoned()  # type: ignore[assignment]

    assert road(ident, known=tag, gzipped=gzipped).status == 304
    with pytest.raises(AssertionError, match="was looked at"):
        road(ident, known=b'"other"', gzipped=gzipped)


@pytest.mark.parametrize("known", [b"", b"*", b'"other"'])
@pytest.mark.parametrize("ident", ["nobody", "", "blurb:quern", "\ud800"])
def test_an_unknown_article_is_unknown_whatever_copy_is_held(road: Road, ident: str, known: bytes) -> None:
    with pytest.raises(UnknownEssay):
        road(ident, known=known)


# --- How long it may be kept --------------------------------------------------------------------------------------


def test_what_is_empty_may_be_kept_for_a_short_time_only(road: Road) -> None:
    def seconds(reply: Reply) -> dict[str, int]:
        parts = header(reply, b"cache-control").decode().split(", ")
        return {name: int(value) for name, _, value in (part.partition("=") for part in parts) if value}

    full, empty = seconds(road("bread")), seconds(road("salt"))

    assert header(road("bread"), b"cache-control") == CACHE_CONTROL.encode()
    assert header(road("salt"), b"cache-control") == EMPTY_CACHE_CONTROL.encode()
    assert (full["s-maxage"], empty["s-maxage"]) == (300, 60)
    assert full["stale-if-error"] == empty["stale-if-error"] == 86_400
    assert full["stale-while-revalidate"] == 3_600
    assert "stale-while-revalidate" not in empty


def test_what_a_query_leaves_empty_is_empty_too(road: Road) -> None:
    reply = road("bread", asked(category="None such"))

    assert reply.empty
    assert etag(reply).endswith('-empty"')
    assert header(reply, b"cache-control") == EMPTY_CACHE_CONTROL.encode()


# --- What is kept -------------------------------------------------------------------------------------------------


def test_what_was_computed_is_kept_and_what_is_ready_is_not(replies: Replies) -> None:
    first = "ready" if replies.ready else "computed"
    again = "ready" if replies.ready else "kept"

    assert [replies.json("bread").cache for _ in range(3)] == [first, again, again]
    if not replies.ready:
        assert [replies.json("bread", asked(limit=3)).cache for _ in range(2)] == ["computed", "kept"]
    assert [replies.html("bread").cache for _ in range(2)] == ["computed", "kept"]
    assert replies.json("bread", asked(limit=3)).body == replies.json("bread", asked(limit=3)).body


def test_kept_answers_are_never_mixed_up(replies: Replies) -> None:
    queries: Sequence[dict[str, Any]] = [
        *({}, {"limit": 1}, {"limit": 3}, {"exclude": ["salt"]}, {"exclude": ["rye"]}, {"exclude": ["salt", "rye"]}),
        *({"exclude": ["rye\nsalt"]}, {"exclude": ["salt,rye"]}, {"fields": ["url"]}, {"fields": ["title"]}),
        *({"profile": "meaning"}, {"category": "Time"}, {"include": ["unlinked"]}, {"min_score": 0.5}),
    ]
    for _ in range(2):
        for ident in ("bread", "rye", "salt"):
            for query in queries:
                for gzipped in (False, True):
                    fresh = Replies(replies.answers)
                    for one, other in ((replies.json, fresh.json), (replies.html, fresh.html)):
                        mine = one(ident, asked(**query), gzipped=gzipped)
                        assert mine.body == other(ident, asked(**query), gzipped=gzipped).body, (ident, query)


def test_only_so_many_answers_are_kept_and_the_ones_asked_for_last(edition: Edition) -> None:
    kept = Kept(room=10_000)
    replies = Replies(Answers(edition, Rules()), kept=kept)
    for number in range(30):
        replies.json("bread", asked(exclude=[f"x{number}"]))
        assert replies.json("bread", asked(exclude=["x0"])).cache == "kept", "it was asked for again and again"
        assert len(kept) <= 10

    assert [replies.json("bread", asked(exclude=[f"x{number}"])).cache for number in (29, 28, 27)] == ["kept"] * 3
    assert replies.json("bread", asked(exclude=["x1"])).cache == "computed"


# --- What the schema says -----------------------------------------------------------------------------------------

QUERIES: Sequence[dict[str, Any]] = (
    {},
    {"limit": 50, "include": ["unlinked"]},
    {"profile": "meaning"},
    {"fields": ["url"]},
)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_served_is_what_the_schema_says(replies: Replies, query: dict[str, Any]) -> None:
    schema = RelatedResponse.model_json_schema(mode="serialization")
    validator = Draft202012Validator(schema, validate_formats=True)
    for ident in ("bread", "rye", "salt", "sundial", *ODD_IDS):
        served = json.loads(replies.json(ident, asked(**query)).body)
        validator.validate(served)
        if not query.get("fields"):
            whole = RelatedResponse.model_validate(served)
            assert whole == replies.answers.respond(replies.answers.edition.find(ident), asked(**query))


def test_a_variant_is_there_with_a_test_only(edition: Edition) -> None:
    without = Replies(Answers(edition, Rules())).json("bread")
    tested = Replies(Answers(edition, Rules(), ["curated:50"]))

    assert "variant" not in json.loads(without.body)
    assert {json.loads(tested.json(ident).body)["variant"] for ident in edition.essay_ids()} == {"curated", "standard"}
    for fields in ([], ["title"]):
        chosen: list[CardField] = list(fields)  # type: ignore[arg-type]
        assert "variant" in json.loads(tested.json("bread", asked(fields=chosen)).body)
    Draft202012Validator(RelatedResponse.model_json_schema(mode="serialization")).validate(
        json.loads(tested.json("bread").body)
    )


def test_plain_is_what_is_asked_by_default(replies: Replies) -> None:
    assert replies.json("bread").body == replies.json("bread", PLAIN).body == replies.json("bread", asked()).body
