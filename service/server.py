"""Runs the service under uvicorn, and ends it without a dropped answer."""

import asyncio
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess, multiprocess

from corpus.errors import RelatedArticlesError
from service.app import create_app
from service.desk.access import describe_desk
from service.metrics import shared_folder
from service.settings import Settings

DRAIN_SECONDS = 10.0
"""After this what is still connected is closed, whatever it waits for. A container is given 30 seconds as a rule."""
QUIET_SECONDS = 2.0
"""A connection on which nothing came for so long after the signal is closed."""
LINGER_SECONDS = 0.25
"""For so long after the signal are connections still taken: those whose handshake was under way."""
REQUEST_SECONDS = 20.0
"""A request that is not there in full after this is given up."""
START_SECONDS = 60.0
"""All workers must answer by then, or the service ends."""
MAX_HEAD_BYTES = 65_536
"""Of a request line and headers, as far as they have come without an end."""

_FACTORY = "service.app:create_app_from_env"


def run_server(settings: Settings, workers: int) -> None:
    """Serve until interrupted; says on stderr where, once every worker answers.

    Raises RelatedArticlesError when it cannot listen there, or a worker cannot start.
    """
    listener = _bind(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    at = f"http://{shown}:{port}"
    greeting = f"serving {settings.open_store().name} at {at} (to try it: {at}/docs)\n{describe_desk(settings)}"
    if workers == 1:
        Server(configure(create_app(settings, attended=True)), greeting).run(sockets=[listener])
        return
    listener.close()
    os.environ.update(settings.environment())  # each worker is a new process and reads its settings there
    with shared_folder():
        Supervisor(configure(_FACTORY, host=host, port=port, workers=workers), greeting).run()


def _greet(greeting: str) -> None:
    print(greeting, file=sys.stderr, flush=True)


def configure(app: Any, **how: Any) -> uvicorn.Config:
    """How uvicorn runs the app."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        loop="uvloop",
        http=Connection,
        ws="none",
        interface="asgi3",
        lifespan="on",
        proxy_headers=False,  # the desk must see who is connected, not who is said to be
        server_header=False,
        access_log=False,  # service/access_log.py has one
        log_level="warning",
        timeout_keep_alive=75,  # longer than a proxy keeps one (nginx: 60 s), so that it is the proxy that closes
        timeout_graceful_shutdown=5,  # for the requests that still run after DRAIN_SECONDS
        **how,
    )


def _bind(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A socket at this address, not listening yet. Raises RelatedArticlesError when it is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise RelatedArticlesError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another --host or --port"
        ) from error
    # uvicorn leaves this off on a socket that it is given, and every answer on a kept connection then waits some 40 ms
    # for the client's acknowledgement (uvicorn issue 3149).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class Connection(HttpToolsProtocol):
    """A connection whose request may not begin without an end: neither uvicorn nor httptools bounds that."""

    head_bytes = 0

    def data_received(self, data: bytes) -> None:
        HttpToolsProtocol.data_received(self, data)
        if self.cycle is not None and self.cycle.scope is self.scope:
            self.head_bytes = 0
            return
        self.head_bytes += len(data)
        if self.head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self.scope is None or self.timeout_keep_alive_task is not None

    def is_owed_a_request(self) -> bool:
        """Whether it waits for the rest of a request, or for the very first one."""
        if self.timeout_keep_alive_task is not None:
            return False
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body


class Server(uvicorn.Server):
    """uvicorn's server with time limits on requests, and a gentler end.

    uvicorn ends by closing every connection that has no request under way, on which one may just be arriving. Here a
    connection is first told to close by its next answer; only one that stays quiet is closed without.
    """

    def __init__(self, config: uvicorn.Config, greeting: str | None = None) -> None:
        super().__init__(config)
        self._greeting = greeting
        self._connections = cast("set[Connection]", self.server_state.connections)
        self._waiting: dict[tuple[Connection, object], float] = {}

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn does, but the signal is not raised again at the end: to end as asked is no failure."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        service = self.config.loaded_app
        self._state = service.state
        self.config.loaded_app = getattr(service, "entry", service)  # a layer less on every request
        await super().startup(sockets)
        if self._greeting:
            _greet(self._greeting)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._close_waiting(Connection.is_owed_a_request, REQUEST_SECONDS)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._state.draining = True
        await self._drain(sockets or [])
        await super().shutdown(sockets)

    async def _drain(self, listeners: list[socket.socket]) -> None:
        started = time.monotonic()

        def goes_on() -> bool:
            return not self.force_exit and time.monotonic() < started + DRAIN_SECONDS

        _turn_away(listeners)
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in self._connections:
            if connection.cycle is not None and not connection.cycle.response_started:
                connection.cycle.keep_alive = False
        while goes_on() and (time.monotonic() < started + LINGER_SECONDS or select.select(listeners, [], [], 0)[0]):
            await asyncio.sleep(0.01)
        for server in self.servers:
            server.close()
        self._waiting = {}
        while goes_on() and self._connections:
            self._close_waiting(Connection.is_idle, QUIET_SECONDS)
            await asyncio.sleep(0.02)

    def _close_waiting(self, waits: Callable[[Connection], bool], seconds: float) -> None:
        """Close the connections that have been waiting for so long, without a request in between."""
        now, before = time.monotonic(), self._waiting
        waiting = [(entry, entry.cycle) for entry in self._connections if waits(entry)]
        self._waiting = {key: before.get(key, now) for key in waiting}
        for (connection, _), since in self._waiting.items():
            if now - since >= seconds:
                connection.transport.close()


class Worker(multiprocess.Process):
    """A worker process with our server and a listening socket of its own.

    The kernel spreads connections over such sockets by the client's address and port. With one socket for all, the
    worker that wakes first takes what has come, in 2 of 5 trials all of 8 connections. The socket listens once the
    worker can answer, and is gone with it: while one starts anew, the others get every connection.
    """

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        super().target([_bind(self.config.host, self.config.port, reuse_port=True)])

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = Server(self.config)
        return self._server


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which starts a worker anew that has died."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config, sockets=[])
        self._greeting, self._could_start = greeting, False
        multiprocess.Process = Worker  # type: ignore[misc]  # there is no other place to name it

    def init_processes(self) -> None:
        super().init_processes()
        self._could_start = all(process.wait_until_ready(START_SECONDS) for process in self.processes)
        if self._could_start:
            _greet(self._greeting)
        else:  # it would fail again and again
            self.should_exit.set()

    def run(self) -> None:
        super().run()
        if not self._could_start:
            raise RelatedArticlesError("a worker could not start: what it says stands above")


_SO_ATTACH_FILTER = 26
_DROP_SYN = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 0x02, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)
"""Classic BPF on a TCP header: load the flags; SYN set: drop, else pass."""


def _turn_away(listeners: list[socket.socket]) -> None:
    """Let no further connection begin, without losing those that wait to be accepted, as closing would.

    A client that comes now tries again after a second, and finds the next process or none. Elsewhere than on Linux
    nothing happens here, and a connection made in the moment between the last accept and the close is lost: 5 in 25
    ends under 4 clients that connected anew each time, against none in 29.
    """
    code = ctypes.create_string_buffer(_DROP_SYN)
    if sys.platform == "linux":
        for listener in listeners:
            listener.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(code))
            )
