"""Limits of every request: how large it may be, and how long its body may take."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import Message

from service.limits import MAX_HEADER_BYTES, MAX_TARGET_BYTES, Limits, may_have_body, refusal
from service.problems import handle_problems
from tests.service.posting import is_problem

LIMIT = 1000
TOO_LARGE = "the body has more than 1,000 bytes (setting max_body_bytes)"


def scope(method: str = "GET", path: bytes = b"/", query: bytes = b"", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    found = {"method": method, "path": path.decode(), "raw_path": path, "query_string": query, "headers": pairs}
    return {"type": "http", "http_version": "1.1", "scheme": "http", "server": ("test", 80), **found}


def refused(asked: dict[str, Any]) -> int | None:
    found = refusal(asked, LIMIT)
    return int(found.status) if found else None


# --- By the head --------------------------------------------------------------------------------------------------


def test_a_target_may_be_as_long_as_the_limit_and_no_longer() -> None:
    for path, query in ((MAX_TARGET_BYTES, 0), (MAX_TARGET_BYTES - 9, 8), (1, MAX_TARGET_BYTES - 2)):
        asked = b"/" * path, b"q" * query  # with a question mark between them
        assert refused(scope(path=asked[0], query=asked[1])) is None
        assert refused(scope(path=asked[0], query=asked[1] + b"qq")) == 414


def test_a_path_is_measured_as_it_was_sent() -> None:
    sent = b"/%41" + b"%42" * 2666

    assert refused({**scope(path=sent), "path": "/A" + "B" * 2666}) == 414
    assert refused({**scope(path=sent), "raw_path": None, "path": "/A" + "B" * 2666}) is None


def test_headers_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert refused(scope(a="x" * (MAX_HEADER_BYTES - 1))) is None
    assert refused(scope(a="x" * MAX_HEADER_BYTES)) == 431
    assert refused(scope(**{f"h{number:02}": "x" * 1000 for number in range(17)})) == 431


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("0", None),
        ("1000", None),
        ("1001", 413),
        ("9" * 5000, 413),
        ("-5", None),
        ("²", None),
        ("", None),
        ("many", None),
    ],
)
def test_a_body_is_refused_by_the_length_it_names(length: str, expected: int | None) -> None:
    assert refused(scope("POST", content_length=length)) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (scope("GET"), False),
        (scope("HEAD", host="a"), False),
        (scope("OPTIONS"), False),
        (scope("GET", content_length="5"), True),
        (scope("GET", transfer_encoding="chunked"), True),
        (scope("POST"), True),
        (scope("DELETE"), True),
    ],
)
def test_a_request_has_a_body_by_its_method_or_when_it_says_so(asked: dict[str, Any], expected: bool) -> None:
    assert may_have_body(asked) is expected


# --- Over HTTP ----------------------------------------------------------------------------------------------------


def app_of(body_seconds: float = 5.0) -> FastAPI:
    app = FastAPI()
    handle_problems(app)

    @app.post("/count")
    async def count(request: Request) -> int:
        return len(await request.body())

    @app.post("/typed")
    async def typed(body: dict[str, Any]) -> int:
        return len(body)

    @app.post("/careless")
    async def careless(request: Request) -> str:
        try:
            await request.body()
        except Exception:
            return "I take it as empty"
        return "read"

    @app.post("/deaf")
    async def deaf() -> str:
        return "not read"

    app.add_middleware(Limits, max_body_bytes=LIMIT, body_seconds=body_seconds)
    return app


def send(path: str, content: bytes | Iterable[bytes], **headers: str) -> Response:
    """The answer to a body in one piece, or in chunks without a length."""

    async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def asked() -> Response:
        async with AsyncClient(transport=ASGITransport(app_of()), base_url="http://test") as client:
            return await client.post(
                path, content=content if isinstance(content, bytes) else chunks(content), headers=headers
            )

    return asyncio.run(asked())


def test_a_body_at_the_limit_arrives_whole() -> None:
    assert send("/count", b"x" * LIMIT).text == "1000"
    assert send("/count", [b"x" * 400, b"x" * 600]).text == "1000"
    assert send("/count", b"").text == "0"


@pytest.mark.parametrize("path", ["/count", "/typed", "/careless", "/deaf", "/nowhere"])
def test_a_body_that_names_too_great_a_length_is_refused_unread(path: str) -> None:
    response = send(path, b"x" * (LIMIT + 1))

    assert is_problem(response, 413, response.json()["title"])["detail"] == TOO_LARGE


@pytest.mark.parametrize("path", ["/count", "/typed", "/careless"])
def test_a_body_that_names_no_length_is_counted_whatever_the_route_makes_of_it(path: str) -> None:
    response = send(path, [b"x" * 400] * 3, **{"content-type": "application/json"})

    assert is_problem(response, 413, response.json()["title"])["detail"] == TOO_LARGE


def test_no_more_is_read_than_the_limit_and_a_piece() -> None:
    read: list[int] = []

    def endless() -> Iterable[bytes]:
        for number in range(10_000):
            read.append(number)
            yield b"x" * 100

    assert send("/count", endless()).status_code == 413
    assert len(read) <= 12


def test_too_long_a_target_and_too_many_headers_are_refused() -> None:
    response = send(f"/count?{'q' * MAX_TARGET_BYTES}", b"")
    assert (
        is_problem(response, 414, response.json()["title"])["detail"]
        == "the path and the query have more than 8,000 bytes"
    )

    response = send("/count", b"", a="x" * MAX_HEADER_BYTES)
    assert is_problem(response, 431, response.json()["title"])["detail"] == "the headers have more than 16,384 bytes"


# --- In ASGI's own words ------------------------------------------------------------------------------------------


def run(app: Any, asked: dict[str, Any], arriving: Iterable[Message | None]) -> list[Message]:
    """What the app sends. arriving: the messages it receives; at None it waits for ever."""
    sent: list[Message] = []
    messages = iter(arriving)

    async def receive() -> Message:
        await asyncio.sleep(0)
        message = next(messages, None)
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        return message

    async def send_on(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(asked, receive, send_on))
    return sent


def piece(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_that_does_not_come_is_given_up_and_the_connection_closed() -> None:
    sent = run(app_of(body_seconds=0.01), scope("POST", b"/count", content_length="10"), [piece(b"12345"), None])

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"the body did not arrive within 0.01 seconds" in sent[1]["body"]


def test_the_time_is_of_the_whole_body_not_of_its_pieces() -> None:
    async def app(asked: Any, receive: Any, send_on: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async def trickle() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.sleep(0.004)
            return piece(b".")

        async def send_on(message: Message) -> None:
            sent.append(message)

        await Limits(app, LIMIT, body_seconds=0.02)(scope("POST"), receive, send_on)
        return sent

    assert asyncio.run(trickle())[0]["status"] == 408


def test_once_the_body_is_there_the_answer_may_take_its_time() -> None:
    async def slow(asked: Any, receive: Any, send_on: Any) -> None:
        assert (await receive())["body"] == b"all"
        await asyncio.sleep(0.03)
        assert (await receive())["type"] == "http.disconnect"
        await send_on({"type": "http.response.start", "status": 204, "headers": []})

    sent = run(
        Limits(slow, LIMIT, body_seconds=0.01), scope("POST"), [piece(b"all", more=False), {"type": "http.disconnect"}]
    )

    assert sent[0]["status"] == 204


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def hasty(asked: Any, receive: Any, send_on: Any) -> None:
        await send_on({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    sent = run(Limits(hasty, LIMIT), scope("POST"), [piece(b"x" * (LIMIT + 1))])

    assert [message.get("status") for message in sent] == [200]


def test_a_request_without_a_body_gets_the_servers_own_channels() -> None:
    async def app(asked: Any, receive: Any, send_on: Any) -> None:
        given.append((receive, send_on))

    async def receive() -> Message:
        raise AssertionError

    async def send_on(message: Message) -> None:
        raise AssertionError

    given: list[Any] = []
    for asked in (scope("GET", host="a"), {"type": "lifespan"}):
        asyncio.run(Limits(app, LIMIT)(asked, receive, send_on))

    assert given == [(receive, send_on)] * 2
