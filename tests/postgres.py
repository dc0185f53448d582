"""PostgreSQL servers for tests.

Fixtures of tests/conftest.py: `postgres`, a server that all tests share, and `database`, the URL of an empty database
on it. A test that stops a server, or wants standbys, starts its own with `new_server()` and `Server.standby()`.
"""

import pytest

from benchmarks.postgres_server import Server, missing


def new_server() -> Server:
    """A new server, started. Skips the test where PostgreSQL or psycopg is not installed."""
    need_postgres()
    return Server.new()


def need_postgres() -> None:
    """Skip the test where PostgreSQL or psycopg is not installed."""
    if name := missing():
        pytest.skip(f"{name} is not installed: pip install 'related-articles[dev]'")
