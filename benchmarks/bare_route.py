"""A bare Starlette route that answers every article with the same bytes: the yardstick of `serving.py`.

usage: python -m benchmarks.bare_route BODY_FILE [--status N] [--encoding NAME] [--workers N]

Run as service/server.py runs ours: the same loop and HTTP implementation, no access log, TCP_NODELAY, and a listening
socket for each of several workers. Says on stderr where it listens.
"""

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess, multiprocess

_BODY, _STATUS, _ENCODING = "BARE_BODY", "BARE_STATUS", "BARE_ENCODING"
_HOST = "127.0.0.1"
_START_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("body", type=Path)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--encoding", default="", help="the body's content-encoding")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ.update({_BODY: str(options.body), _STATUS: str(options.status), _ENCODING: options.encoding})
    listener = _bind(0)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        "benchmarks.bare_route:create_app",
        host=_HOST,
        port=port,
        workers=options.workers,
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="none",
        interface="asgi3",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_level="warning",
        access_log=False,
    )
    if options.workers == 1:
        listener.listen()
        _say(port)
        uvicorn.Server(config).run(sockets=[listener])
    else:
        listener.close()
        _Supervisor(config, sockets=[]).run()
    return 0


def create_app() -> Starlette:
    """The route, as the environment says: what each worker process calls."""
    body, status = Path(os.environ[_BODY]).read_bytes(), int(os.environ[_STATUS])
    headers = {"content-encoding": os.environ[_ENCODING]} if os.environ[_ENCODING] else None

    async def answer(request: Request) -> Response:
        return Response(body, status, headers, "application/json")

    return Starlette(routes=[Route("/v1/articles/{id:path}/related", answer)])


class _Worker(multiprocess.Process):
    """A worker with a listening socket of its own: on a shared one a single worker may take every connection."""

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        super().target([_bind(self.config.port)])


class _Supervisor(Multiprocess):
    """Says where it listens once every worker does."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        multiprocess.Process = _Worker  # type: ignore[misc]  # there is no other place to name it

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_START_SECONDS) for process in self.processes):
            _say(self.config.port)


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((_HOST, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _say(port: int) -> None:
    print(f"bare route at http://{_HOST}:{port}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
