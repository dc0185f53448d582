"""A bare Starlette route that answers every article with the same bytes: the yardstick of `serving.py`.

usage: python -m benchmarks.bare_route BODY_FILE [--status N] [--encoding NAME] [--workers N]

Run as `related serve` is: the same uvicorn with the same loop and HTTP implementation, no access log, TCP_NODELAY on a
listener that workers share. Says on stderr where it listens.
"""

import argparse
import os
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess

_BODY, _STATUS, _ENCODING = "BARE_BODY", "BARE_STATUS", "BARE_ENCODING"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("body", type=Path)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--encoding", default="", help="the body's content-encoding")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ.update({_BODY: str(options.body), _STATUS: str(options.status), _ENCODING: options.encoding})
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.set_inheritable(True)
    print(f"bare route at http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        "benchmarks.bare_route:create_app",
        factory=True,
        workers=options.workers,
        log_level="warning",
        access_log=False,
    )
    if options.workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()
    return 0


def create_app() -> Starlette:
    """The route, as the environment says: what each worker process calls."""
    body, status = Path(os.environ[_BODY]).read_bytes(), int(os.environ[_STATUS])
    headers = {"content-encoding": os.environ[_ENCODING]} if os.environ[_ENCODING] else None

    async def answer(request: Request) -> Response:
        return Response(body, status, headers, "application/json")

    return Starlette(routes=[Route("/v1/articles/{id:path}/related", answer)])


if __name__ == "__main__":
    sys.exit(main())
