"""Runs the service under uvicorn."""

import os
import socket
import sys

import uvicorn

from corpus.errors import RelatedArticlesError
from service.app import create_app
from service.settings import Settings

_FACTORY = "service.app:create_app_from_env"


def run_server(settings: Settings, workers: int) -> None:
    """Serve until interrupted. Raises RelatedArticlesError when the address cannot be listened on."""
    _check_address(settings.host, settings.port)
    print(f"serving {settings.home} at http://{settings.host}:{settings.port} (API at /docs)", file=sys.stderr)
    if workers == 1:
        uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="warning")
        return
    os.environ.update(settings.environment())  # each worker is a new process and reads its settings there
    uvicorn.run(
        _FACTORY, factory=True, host=settings.host, port=settings.port, workers=workers, log_level="warning"
    )


def _check_address(host: str, port: int) -> None:
    """uvicorn ends with a log line and exit code 1; a sentence with a way out is kinder."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise RelatedArticlesError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another --host or --port"
        ) from error
