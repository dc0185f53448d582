"""The fast path beside the documented route: the same status, headers and bytes for whatever is asked."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from fastapi import FastAPI
from hypothesis import event, example, given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.edition import open_current
from recommender.list_store import EssayLists
from service.app import create_app
from service.fast_path import FastPath
from service.metrics import Tally
from service.ready import answers_of, prepare
from service.schemas import RelatedQuery
from service.settings import Settings
from tests.service.editions import BREAD, ITEMS_OF_THE_SITE, ODD_IDS, RYE, SALT, Clock, publish_edition

Header = tuple[bytes, bytes]
KNOWN = tuple(item.id for item in ITEMS_OF_THE_SITE)
BREADS = b"/v1/articles/bread/related"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire. headers: sorted, with their values."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """A header's value."""
        return dict(self.headers).get(name)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a server hands it on; target: path and query, percent-encoded."""

    target: bytes
    headers: tuple[Header, ...] = ()
    method: str = "GET"

    def scope(self) -> Scope:
        """Its ASGI scope, newly made."""
        path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"testserver"), *self.headers],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }


def send_to(app: ASGIApp, request: Request) -> Answer:
    """What an app answers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(request.scope(), receive, send))  # type: ignore[arg-type]
    start, *bodies = sent
    body = b"".join(message.get("body", b"") for message in bodies)
    return Answer(start["status"], tuple(sorted(map(tuple, start["headers"]))), body)


@dataclass(frozen=True, slots=True)
class Roads:
    """A service with its fast path, and the same one without."""

    fast: FastAPI
    documented: FastAPI

    def answer(self, request: Request) -> Answer:
        """What both answer; they must not differ."""
        by_fast_path = send_to(self.fast, request)
        assert by_fast_path == self.answer_of_the_route(request)
        return by_fast_path

    def answer_of_the_route(self, request: Request) -> Answer:
        """What the framework answers."""

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            await FastAPI.__call__(self.documented, scope, receive, send)

        return send_to(call, request)


def roads_of(settings: Settings) -> Roads:
    return Roads(create_app(settings, Clock()), create_app(settings, Clock()))


@pytest.fixture(scope="module", params=["ready", "computed"])
def roads(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Roads:
    """With ready answers, and without any."""
    home = tmp_path_factory.mktemp("roads")
    publish_edition(home)
    if request.param == "ready":
        prepare(home, answers_of(Settings(home=home), open_current(home)))
    return roads_of(Settings(home=home))


# --- What may be asked --------------------------------------------------------------------------------------------

VALUES: dict[str, list[str]] = {
    "limit": ["1", "2", "12", "50", "0", "51", "-1", "+3", " 4", "1.0", "1e1", "007", "1_0", "many", "", "٣", "9" * 30],
    "profile": ["editors", "meaning", "mine", "", "Meaning", "editors,meaning", " meaning"],
    "category": ["Food", "Time", "food", "", "Food,Time", "Café & Co", "麦", "a+b", " ", "\x00", "Food\n"],
    "published_after": ["2024-01-10", "2020-01-01", "2024-02-30", "1700000000", "", "2024-1-1", "٢٠٢٤-01-01"],
    "published_before": ["2024-02-20", "2030-01-01", "2019-12-31", "31.5.2026", "", "0001-01-01", "2024-01-01T00:00"],
    "exclude": ["salt", "rye,sundial", " salt , rye ", ",", "", "a,b", "nobody", *ODD_IDS, "%", "salt\nrye"],
    "min_score": ["0", "0.25", "0.5", "-1", "1e-3", "nan", "inf", "-inf", "1e400", "high", "", "0,5", " 0.25", "-0.0"],
    "include": ["unlinked", "unlinked,unlinked", " unlinked ", ",", "", "drafts", "unlinked,drafts", "Unlinked"],
    "fields": ["title", "url,title", "id", "id,id", "", ",", "colour", "title,colour", " url , title ",
               "id,url,title,standfirst,category,published,score,position,origin,reason"],
    "limt": ["5"],
    "url": ["https://example.org/bread"],
    "": ["", "x"],
    "Limit": ["3"],
    "exclude[]": ["salt"],
}  # fmt: skip
assert RelatedQuery.model_fields.keys() < VALUES.keys()
MISTAKEN = ("limt", "url", "", "Limit", "exclude[]")


def encoded(text: str, way: int) -> bytes:
    """Percent-encoded in one of the ways of clients: as little as can be, everything, form style, raw UTF-8."""
    if way == 0:
        return quote(text, safe="/:,;@!$'()*").encode()
    if way == 1:
        return "".join(f"%{byte:02x}" for byte in text.encode()).encode()
    if way == 2:
        return quote(text, safe=" ").replace(" ", "+").encode()
    return text.replace("%", "%25").replace("&", "%26").replace("#", "%23").replace("+", "%2B").encode()


@st.composite
def parameters(draw: st.DrawFn, names: Iterable[str] = VALUES) -> bytes:
    """One `name=value`; now and then without `=`, its name percent-encoded, or its value any text."""
    name = draw(st.sampled_from(sorted(names)))
    value = draw(st.sampled_from(VALUES[name]) | st.text(max_size=4))
    name_in_bytes = encoded(name, draw(st.sampled_from([0, 0, 0, 0, 1])))
    if not draw(st.integers(0, 15)):
        return name_in_bytes
    try:
        return name_in_bytes + b"=" + encoded(value, draw(st.integers(0, 3)))
    except UnicodeEncodeError:  # half a surrogate pair
        return name_in_bytes + b"=%ed%a0%80"


def sensible() -> st.SearchStrategy[bytes]:
    """Parameters of which each is right alone."""
    choices = {
        "limit": ["1", "2", "50"],
        "profile": ["editors", "meaning"],
        "category": ["Food", "Time", "Caf%C3%A9+%26"],
        "published_after": ["2020-01-01", "2024-01-10"],
        "published_before": ["2024-02-20", "2030-01-01"],
        "min_score": ["0", "0.25", "5e-1"],
        "include": ["unlinked", "", "unlinked,unlinked"],
        "fields": ["title", "url,title", "id", ""],
        "exclude": ["salt", "rye,sundial", "a%2Cb", "2024%2F05%2Fna%C3%AFve+caf%C3%A9", "%2525", "+"],
    }
    single = st.dictionaries(st.sampled_from(sorted(choices)), st.integers(0, 5), max_size=5).map(
        lambda chosen: [f"{name}={choices[name][number % len(choices[name])]}" for name, number in chosen.items()]
    )
    again = st.lists(st.sampled_from(["exclude=salt", "exclude=", "exclude=a,b", "%65xclude=rye", "fields=url", "&"]))
    return (
        st.tuples(single, again)
        .flatmap(lambda lists: st.permutations(lists[0] + lists[1]))
        .map("&".join)
        .map(str.encode)
    )


def queries() -> st.SearchStrategy[bytes]:
    anything = st.lists(parameters(), max_size=4).map(b"&".join)
    untidy = st.tuples(
        sensible() | anything, st.sampled_from([b"&", b"&&", b"?", b"=", b"&=", b";", b"%", b"%zz", b"+", b"\xe9"])
    )
    return st.just(b"") | sensible() | anything | untidy.map(b"".join)


ACCEPTED = (
    *(b"gzip", b"gzip, deflate, br", b"identity", b"", b"*", b"br", b"gzip;q=0", b"gzip;q=0.0", b"gzip; q=0.000"),
    *(
        b"gzip;q=0.5",
        b"br, gzip;q=0, *",
        b"deflate,gzip ;q=1",
        b"x-gzip",
        b"GZIP",
        b"gzip;q=",
        b"gzip;level=9",
        b"\xe9gzip",
    ),
)
KNOWN_COPIES = (
    *(b"%s", b"W/%s", b'"other"', b'"other", %s', b'"other" ,W/%s,"more"', b"*", b"%s-gzip", b'"-gzip"', b"", b'""'),
    *(b"none", b"*, %s", b" %s ", b"%s,", b"w/%s", b"\xe9, %s"),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A request whose If-None-Match may hold `%s`, in place of its own ETag or of another form of it."""
    ident = draw(st.sampled_from(KNOWN) | st.sampled_from(["nobody", "", "bread/", "BREAD", "..", "bread\x00", "é"]))
    path = encoded(ident, draw(st.sampled_from([1, 2]))).replace(b"+", b"%20") if ident else b""
    query = draw(queries())
    headers: list[Header] = []
    for accepted in draw(st.lists(st.sampled_from(ACCEPTED), max_size=1)):
        headers.append((b"accept-encoding", accepted))
    for known in draw(st.lists(st.sampled_from(KNOWN_COPIES), max_size=2)):
        headers.append((b"if-none-match", known))
    target = b"/v1/articles/%b/related" % path + (b"?" + query if query or draw(st.booleans()) else b"")
    return Request(target, tuple(draw(st.permutations(headers))), draw(st.sampled_from(["GET", "GET", "GET", "HEAD"])))


def with_tag(request: Request, tag: bytes) -> Request:
    """The request with this ETag where it says %s."""
    held = tuple((name, value.replace(b"%s", tag)) for name, value in request.headers)
    return Request(request.target, held, request.method)


# --- The two roads ------------------------------------------------------------------------------------------------


@given(request=requests(), other_form=st.sampled_from(["as it is", "plain", "gzip", "empty"]))
def test_both_roads_answer_alike_whatever_is_asked(roads: Roads, request: Request, other_form: str) -> None:
    first = roads.answer(with_tag(request, b'"none"'))
    tag = first.header(b"etag") or b'"none"'
    bare = tag.strip(b'"').removesuffix(b"-gzip").removesuffix(b"-empty")
    forms = {"as it is": tag, "plain": b'"%b"' % bare, "gzip": b'"%b-gzip"' % bare, "empty": b'"%b-empty"' % bare}

    second = roads.answer(with_tag(request, forms[other_form]))

    event(f"status: {first.status}, then {second.status}")
    assert first.status in (200, 304, 404, 422)
    assert second.status in (200, 304, 404, 422)


@given(query=sensible())
@example(query=b"")
@example(query=b"fields=" + VALUES["fields"][-1].encode())
def test_what_is_asked_rightly_is_answered_without_the_framework(roads: Roads, query: bytes) -> None:
    async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("the framework was asked")

    fast = FastPath(unreachable, roads.fast.state.live, Tally())
    request = Request(BREADS + b"?" + query)
    expected = roads.answer_of_the_route(request)
    if expected.status == 200:  # else two of the parameters do not fit together
        assert send_to(fast, request) == expected
        copy = Request(request.target, ((b"if-none-match", expected.header(b"etag") or b""),))
        assert send_to(fast, copy).status == 304
        assert send_to(fast, copy) == roads.answer_of_the_route(copy)


@pytest.mark.parametrize("ident", KNOWN)
@pytest.mark.parametrize("gzipped", [False, True])
def test_every_id_is_found_on_both_roads(roads: Roads, ident: str, gzipped: bool) -> None:
    headers = ((b"accept-encoding", b"gzip"),) if gzipped else ()
    for path in {quote(ident), quote(ident, safe="")}:
        answer = roads.answer(Request(f"/v1/articles/{path}/related".encode(), headers))
        if ident == "blurb:quern":
            assert answer.status == 404
        else:
            assert answer.status == 200
            assert (answer.header(b"content-encoding") == b"gzip") == (gzipped and ident != "salt")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        *("/v1/articles/related", "/v1/articles//related", "/v1/articles/bread/related/", "/v1/articles"),
        *("/v1/articles/related?url=https://example.org/bread", "/v1/articles/related?limit=3"),
        *("/V1/articles/bread/related", "//v1/articles/bread/related", "/v1/articles/bread/Related", "/healthz"),
        *("/v1/articles/bread%0A/related", "/v1/articles/bread/related%0A", "/v1/articles/a/related/related"),
        "/v1/articles/bread/related.html",
    ],
)  # fmt: skip
def test_paths_that_look_alike_are_told_apart_alike(roads: Roads, path: str, method: str) -> None:
    for headers in ((), ((b"if-none-match", b"*"),)):
        request = Request(path.encode(), headers, method)
        fast, documented = send_to(roads.fast, request), roads.answer_of_the_route(request)
        assert (fast.status, fast.headers) == (documented.status, documented.headers)
        assert path == "/healthz" or fast.body == documented.body


def test_a_long_query_is_answered_alike(roads: Roads) -> None:
    for length in (1_000, 1_990, 2_000, 2_100, 7_000):
        ids = ",".join(["salt", *(f"number-{number:06}" for number in range(length // 14))])
        answer = roads.answer(Request(BREADS + b"?exclude=" + ids.encode()))
        assert [card["id"] for card in json.loads(answer.body)["items"]] == ["rye", "sundial"]


@pytest.mark.parametrize(
    "headers",
    [
        ((b"accept-encoding", b"gzip"), (b"accept-encoding", b"br")),
        ((b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")),
        ((b"accept-encoding", b"gzip;q=0"), (b"accept-encoding", b"gzip")),
        ((b"if-none-match", b""), (b"if-none-match", b"*")),
        ((b"if-none-match", b"*"), (b"if-none-match", b"")),
        ((b"if-none-match", b'"a"'), (b"if-none-match", b"*")),
    ],
)
def test_a_header_in_several_lines_is_read_alike(roads: Roads, headers: tuple[Header, ...]) -> None:
    answer = roads.answer(Request(BREADS, headers))

    assert (answer.header(b"content-encoding") == b"gzip") == ((b"accept-encoding", b"gzip") in headers)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request(BREADS + b"?exclude=" + b"a" * 9_000), 414),
        (Request(BREADS, ((b"cookie", b"a" * 20_000),)), 431),
        (Request(BREADS, ((b"content-length", b"999999999"),)), 413),
        (Request(b"/v1/articles/" + b"%62" * 3_000 + b"/related"), 414),
    ],
)
def test_what_is_too_large_is_refused_alike(roads: Roads, request_: Request, status: int) -> None:
    assert roads.answer(request_).status == status


def test_an_id_as_long_as_a_path_may_be_is_refused_alike(tmp_path: Path) -> None:
    long = "麦" * 1_000  # 9,000 bytes when percent-encoded
    publish_edition(tmp_path, items=[BREAD._replace(id=long)], lists=[EssayLists(long, 0, (), (), ())])
    path = f"/v1/articles/{quote(long)}/related".encode()
    assert roads_of(Settings(home=tmp_path)).answer(Request(path)).status == 414


def test_an_ab_test_and_the_sites_rules_count_on_both_roads(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    settings = Settings(home=tmp_path, variants=("curated:50", "model:50"), min_score=0.3, per_category=1)
    prepare(tmp_path, answers_of(settings, open_current(tmp_path)))
    roads = roads_of(settings)
    found = set()
    for ident in KNOWN:
        answer = roads.answer(Request(f"/v1/articles/{quote(ident, safe='')}/related".encode()))
        found.add(json.loads(answer.body).get("variant"))
    assert found == {"curated", "model", None}  # None: a blurb's 404


def test_without_an_edition_both_roads_say_so(tmp_path: Path) -> None:
    assert roads_of(Settings(home=tmp_path)).answer(Request(BREADS)).status == 503


def test_a_failure_of_the_fast_path_is_told_by_the_framework(roads: Roads, monkeypatch: pytest.MonkeyPatch) -> None:
    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})

    def fail(raw: bytes, model: type[RelatedQuery]) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("service.fast_path.read_query", fail)
    fast = FastPath(framework, roads.fast.state.live, Tally())
    assert send_to(fast, Request(BREADS + b"?limit=1")).status == 500


def test_the_answers_are_those_of_the_edition(roads: Roads) -> None:
    cards = json.loads(roads.answer(Request(BREADS + b"?limit=50")).body)["items"]
    assert [card["id"] for card in cards] == [SALT.id, RYE.id, "sundial"]
