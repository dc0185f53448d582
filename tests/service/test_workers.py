"""A service under load of which a worker is killed, or which is told to end: real processes and sockets."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import pytest

from service.server import DRAIN_SECONDS
from tests.service.editions import publish_edition
from tests.service.running import BREAD, Client, RunningServer, running

pytestmark = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux: looks into /proc")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    publish_edition(tmp_path)
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_end_under_load_it_answers_every_request_that_was_sent(home: Path, workers: int) -> None:
    with running(home, workers=workers) as server:
        clients = [Client(server, keep=number % 2 == 0).start() for number in range(8)]
        for client in clients:
            client.has_answers(50)
        told = monotonic()

        code = server.stop()

        took = monotonic() - told
        for client in clients:
            client.join()
    assert [client.dropped for client in clients] == [[]] * 8
    assert all(client.refused for client in clients), "they asked until nobody listened"
    assert code == 0
    assert took < DRAIN_SECONDS / 2, "nobody was silent, so nobody was waited for"
    assert len(server.said) == 2, "where it serves, and whom the desk lets in"


@pytest.fixture
def server(home: Path) -> Iterator[RunningServer]:
    with running(home) as server:
        yield server


Connect = Callable[[], HTTPConnection]


@pytest.fixture
def connect(server: RunningServer) -> Iterator[Connect]:
    """New connections to the service."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(connected(server)))


def test_told_to_end_it_waits_for_the_rest_of_a_request(server: RunningServer, connect: Connect) -> None:
    asking, slow = connect(), connect()
    slow.sock.sendall(f"GET {BREAD} HTTP/1.1\r\nHost: here\r\n".encode())
    server.process.send_signal(signal.SIGTERM)
    while not says_close(asking):
        pass

    slow.sock.sendall(b"X-Late: yes\r\n\r\n")

    with slow.sock.makefile("rb") as file:
        answer = file.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"}")
    assert server.process.wait(DRAIN_SECONDS) == 0


def test_told_to_end_it_does_not_wait_long_for_the_silent(server: RunningServer, connect: Connect) -> None:
    silent, never_spoke = connect(), connect()
    assert not says_close(silent)
    told = monotonic()

    assert server.stop() == 0

    assert monotonic() - told < DRAIN_SECONDS / 2
    assert (silent.sock.recv(1), never_spoke.sock.recv(1)) == (b"", b"")


def test_interrupted_twice_it_ends_at_once(server: RunningServer, connect: Connect) -> None:
    asking, endless = connect(), connect()
    endless.sock.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n")
    server.process.send_signal(signal.SIGINT)
    while not says_close(asking):
        pass
    told = monotonic()

    assert server.stop(signal.SIGINT) == 0

    assert monotonic() - told < DRAIN_SECONDS / 2


def test_a_killed_worker_takes_only_its_own_connections_with_it(home: Path) -> None:
    with running(home, workers=2) as server:
        clients = spread_over_workers(server, insist=True)  # a dying worker's socket may still be chosen
        killed, other = sorted(server.workers())
        lost = server.clients(killed)
        on_killed = [client for client in clients if client.port in lost]
        on_other = [client for client in clients if client.port not in lost]

        os.kill(killed, signal.SIGKILL)

        for client in (*on_killed, *on_other):
            client.has_answers(100)
        assert [client.dropped for client in on_other] == [[]] * len(on_other)
        assert all(len(client.dropped) <= 3 for client in on_killed)
        newcomer = wait_for_another_worker(server, {killed, other})
        latecomers = spread_over_workers(server)
        assert any(client.port in server.clients(newcomer) for client in latecomers)
        for client in (*clients, *latecomers):
            client.stop()
        assert not any(client.dropped or client.refused for client in latecomers)
        assert server.stop() == 0


def connected(server: RunningServer) -> HTTPConnection:
    connection = HTTPConnection(server.host, server.port, timeout=20)
    connection.connect()
    return connection


def says_close(connection: HTTPConnection) -> bool:
    """Ask; whether the answer, which is whole, ends the connection."""
    connection.request("GET", BREAD)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.read().endswith(b"}")
    return answer.will_close


def spread_over_workers(server: RunningServer, *, insist: bool = False) -> list[Client]:
    """Clients at work, some on each worker: the kernel draws lots."""
    clients: list[Client] = []
    while min(len(server.clients(worker) & {client.port for client in clients}) for worker in server.workers()) < 2:
        assert len(clients) < 50, "one worker gets no connections"
        clients.append(Client(server, insist=insist).start())
        clients[-1].has_answers(1)
    return clients


def wait_for_another_worker(server: RunningServer, known: set[int]) -> int:
    """The process id of a new worker, once it answers."""
    deadline = monotonic() + 30
    while monotonic() < deadline:
        for worker in server.workers() - known:
            with closing(connected(server)) as connection:
                says_close(connection)
                if connection.sock.getsockname()[1] in server.clients(worker):
                    return worker
    raise AssertionError("nobody took the place of the killed worker")


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_when_its_input_and_output_are_closed(home: Path, workers: int) -> None:
    with running(home, workers=workers, closed="<&- >&-", RELATED_ACCESS_LOG="true") as server:
        with closing(HTTPConnection(server.host, server.port, timeout=30)) as connection:
            connection.request("GET", BREAD)
            assert connection.getresponse().status == 200
        assert {Path(f"/proc/{pid}/fd/{n}").readlink() for pid in server.workers() for n in (0, 1)} == {
            Path(os.devnull)
        }
