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
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess, multiprocess

from corpus.errors import RelatedArticlesError
from service.app import create_app
from service.settings import Settings

DRAIN_SECONDS = 10.0
"""After this what is still connected is closed, whatever it waits for. A container is given 30 seconds as a rule."""
QUIET_SECONDS = 2.0
"""A connection on which nothing came for so long after the signal is closed."""
LINGER_SECONDS = 0.25
"""For so long after the signal are connections still taken: those whose handshake was under way."""
REQUEST_SECONDS = 20.0
"""A request that is not there in full after this is given up."""
MAX_HEAD_BYTES = 65_536
"""Of a request line and headers, as far as they have come without an end."""

_FACTORY = "service.app:create_app_from_env"


def run_server(settings: Settings, workers: int) -> None:
    """Serve until interrupted; says on stderr where.

    Raises RelatedArticlesError when it cannot listen there, or a worker cannot start.
    """
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"serving {settings.home} at http://{shown}:{port} (to try it: /docs)", file=sys.stderr, flush=True)
    if workers == 1:
        _Server(_config(create_app(settings))).run(sockets=[listener])
        return
    os.environ.update(settings.environment())  # each worker is a new process and reads its settings there
    _Supervisor(_config(_FACTORY, workers), [listener]).run()


def _config(app: Any, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        loop="uvloop",
        http=_Connection,
        ws="none",
        interface="asgi3",
        lifespan="on",
        proxy_headers=False,  # no answer depends on who asks
        server_header=False,
        log_level="warning",
        timeout_keep_alive=75,  # longer than a proxy keeps one (nginx: 60 s), so that it is the proxy that closes
        timeout_graceful_shutdown=5,  # for the requests that still run after DRAIN_SECONDS
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise RelatedArticlesError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another --host or --port"
        ) from error
    # uvicorn's workers leave this off on a shared socket, and every answer on a kept connection then waits some 40 ms
    # for the client's acknowledgement (uvicorn issue 3149).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Connection(HttpToolsProtocol):
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


class _Server(uvicorn.Server):
    """uvicorn's server with time limits on requests, and a gentler end.

    uvicorn ends by closing every connection that has no request under way, on which one may just be arriving. Here a
    connection is first told to close by its next answer; only one that stays quiet is closed without.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._connections = cast("set[_Connection]", self.server_state.connections)
        self._waiting: dict[tuple[_Connection, object], float] = {}

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn does, but the signal is not raised again at the end: to end as asked is no failure."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._close_waiting(_Connection.is_owed_a_request, REQUEST_SECONDS)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.loaded_app.state.draining = True
        await self._drain(sockets or [])
        await super().shutdown(sockets)

    async def _drain(self, listeners: list[socket.socket]) -> None:
        started = time.monotonic()
        if self.config.workers == 1:  # of several workers the others may go on; their supervisor knows
            _turn_away(listeners)
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for connection in self._connections:
            if connection.cycle is not None and not connection.cycle.response_started:
                connection.cycle.keep_alive = False
        self._waiting = {}
        while not self.force_exit and time.monotonic() < started + DRAIN_SECONDS:
            if time.monotonic() > started + LINGER_SECONDS and not select.select(listeners, [], [], 0)[0]:
                break
            await asyncio.sleep(0.01)
        for server in self.servers:
            server.close()
        while self._connections and not self.force_exit and time.monotonic() < started + DRAIN_SECONDS:
            self._close_waiting(_Connection.is_idle, QUIET_SECONDS)
            await asyncio.sleep(0.02)

    def _close_waiting(self, waits: Callable[[_Connection], bool], seconds: float) -> None:
        """Close the connections that have been waiting for so long, without a request in between."""
        now, before = time.monotonic(), self._waiting
        waiting = [(entry, entry.cycle) for entry in self._connections if waits(entry)]
        self._waiting = {key: before.get(key, now) for key in waiting}
        for (connection, _), since in self._waiting.items():
            if now - since >= seconds:
                connection.transport.close()


class _Worker(multiprocess.Process):
    """uvicorn's worker process with our server."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = _Server(self.config)
        return self._server


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, which starts a worker anew that has died."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        multiprocess.Process = _Worker  # type: ignore[misc]  # uvicorn has no other place to name it
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """At once, since the workers may have been sent the signal too, and take connections only a moment longer."""
        _turn_away(self.sockets)
        self.signal_queue.append(number)

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def run(self) -> None:
        super().run()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            raise RelatedArticlesError("a worker could not start: what it says stands above")


_SO_ATTACH_FILTER = 26
_DROP_SYN = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 0x02, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)
"""Classic BPF on a TCP header: load the flags; SYN set: drop, else pass."""


def _turn_away(listeners: list[socket.socket]) -> None:
    """Let no further connection begin, without losing those that wait to be accepted, as closing would.

    A client that comes now tries again after a second, and finds the next process or none. Elsewhere than on Linux
    nothing happens here, and a connection made in the moment between the last accept and the close is lost.
    """
    code = ctypes.create_string_buffer(_DROP_SYN)
    if sys.platform == "linux":
        for listener in listeners:
            listener.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(code))
            )
