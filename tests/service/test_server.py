"""What our server does with connections: time limits, and no request without an end."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Annotated

import pytest
from fastapi import Body, FastAPI

from corpus.errors import RelatedArticlesError
from service import server
from service.server import MAX_HEAD_BYTES, Server, configure, run_server
from service.settings import Settings

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
SECONDS = 0.3
"""The time limits of these tests."""


def small_app(greeting: str = "hello") -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def greet() -> str:
        return greeting

    @app.get("/draining")
    async def draining() -> bool:
        return bool(getattr(app.state, "draining", False))

    @app.post("/")
    async def take(number: Annotated[int, Body()]) -> int:
        return number

    return app


@contextmanager
def served(app: FastAPI) -> Iterator[tuple[Server, int]]:
    """The app under our server in a thread, and its port."""
    listening = Event()

    class Announced(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            listening.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Announced(configure(app))
        port: int = listener.getsockname()[1]
        thread = Thread(target=running.run, args=([listener],))
        thread.start()
        try:
            assert listening.wait(30)
            yield running, port
        finally:
            running.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(server, "QUIET_SECONDS", 0)
    with served(small_app()) as (_, port):
        yield port


Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    """New connections to the server."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))


def answer(connection: socket.socket) -> bytes:
    """The next answer, whose length is given and whose body is small; what came before the end, if that comes first."""
    received = b""
    while not (length := re.search(rb"(?i)content-length: (\d+).*?\r\n\r\n(?s:(.*))", received, re.DOTALL)) or (
        len(length[2]) < int(length[1])
    ):
        more = connection.recv(65_536)
        if not more:
            break
        received += more
    return received


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_one_connection_serves_many_requests(connect: Connect) -> None:
    connection = connect()
    for _ in range(3):
        connection.sendall(GET + b"\r\n")
        assert answer(connection).endswith(b'\r\n\r\n"hello"')


def test_it_does_not_say_what_it_runs_on(connect: Connect) -> None:
    connection = connect()
    connection.sendall(GET + b"\r\n")

    head = answer(connection).lower()

    assert b"\r\ndate: " in head
    assert b"\r\nserver: " not in head


def test_headers_without_an_end_are_cut_off(connect: Connect) -> None:
    connection = connect()
    connection.sendall(GET)
    sent = 0
    with suppress(ConnectionError):
        while sent < 100 * MAX_HEAD_BYTES:
            sent += connection.send(b"X-More: " + 990 * b"x" + b"\r\n")
    assert sent < 100 * MAX_HEAD_BYTES
    assert is_closed(connection)


def test_headers_may_come_in_pieces_on_every_request(connect: Connect) -> None:
    connection, other = connect(), connect()
    for _ in range(4):
        connection.sendall(GET + b"X-Long: " + MAX_HEAD_BYTES // 2 * b"x")
        other.sendall(GET + b"\r\n")
        assert answer(other).endswith(b'"hello"')  # by now the first piece was read
        connection.sendall(b"\r\n\r\n")
        assert answer(connection).endswith(b'"hello"')


PARTS = (b"", b"GET", GET, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n12")


def test_a_request_that_does_not_arrive_is_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", SECONDS)
    fresh, used = [connect() for _ in PARTS], [connect() for _ in PARTS]
    for connection in used:
        connection.sendall(GET + b"\r\n")
        assert answer(connection).endswith(b'"hello"')
    for part, first, later in zip(PARTS, fresh, used, strict=True):
        first.sendall(part)
        later.sendall(part)

    kept, *given_up = used

    assert [is_closed(connection) for connection in (*fresh, *given_up)] == [True] * 7
    kept.sendall(GET + b"\r\n")
    assert answer(kept).endswith(b'"hello"')


def test_an_upgrade_is_declined_and_the_connection_kept(connect: Connect) -> None:
    connection = connect()
    connection.sendall(GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert answer(connection).endswith(b'"hello"')

    connection.sendall(GET + b"\r\n")

    assert answer(connection).endswith(b'"hello"')


def test_told_to_end_it_says_so_to_who_asks() -> None:
    with served(small_app()) as (running, port), socket.create_connection(("127.0.0.1", port)) as connection:
        running.should_exit = True
        received = b"false"
        while received.endswith(b"false"):
            assert b"connection: close" not in received
            connection.sendall(b"GET /draining HTTP/1.1\r\nHost: here\r\n\r\n")
            received = answer(connection)

        assert received.endswith(b"true")
        assert b"\r\nconnection: close\r\n" in received
        assert is_closed(connection)


def test_told_to_end_it_waits_for_nobody_longer_than_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", SECONDS)
    with served(small_app()) as (running, port), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(GET)
        told = monotonic()
        running.should_exit = True

        assert is_closed(connection)

    assert SECONDS < monotonic() - told < SECONDS + 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taken_port_is_refused_with_a_sentence(tmp_path: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RelatedArticlesError, match=f"cannot listen on 127.0.0.1:{port} .*choose another"):
            run_server(Settings(home=tmp_path, port=port), workers)
