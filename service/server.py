"""Runs the service under uvicorn."""

import os
import socket
import sys

import uvicorn
from uvicorn.supervisors import Multiprocess

from corpus.errors import RelatedArticlesError
from service.app import create_app
from service.settings import Settings

_FACTORY = "service.app:create_app_from_env"


def run_server(settings: Settings, workers: int) -> None:
    """Serve until interrupted; says on stderr where. Raises RelatedArticlesError when it cannot listen there."""
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"serving {settings.home} at http://{shown}:{port} (to try it: /docs)", file=sys.stderr, flush=True)
    if workers == 1:
        config = uvicorn.Config(create_app(settings), log_level="warning")
        uvicorn.Server(config).run(sockets=[listener])
        return
    os.environ.update(settings.environment())  # each worker is a new process and reads its settings there
    config = uvicorn.Config(_FACTORY, factory=True, workers=workers, log_level="warning")
    Multiprocess(config, sockets=[listener]).run()


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
    listener.set_inheritable(True)
    return listener
