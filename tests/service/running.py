"""A real `related serve` in a process group of its own, and a client that knows whether a request was dropped."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from time import monotonic

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
BREAD = "/v1/articles/bread/related"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A service that answers. said: what it wrote on stderr so far, a line each."""

    process: subprocess.Popen[str]
    host: str
    port: int
    said: list[str]

    @property
    def address(self) -> str:
        """Where it answers, as a URL without a path."""
        return f"http://{self.host}:{self.port}"

    def workers(self) -> set[int]:
        """The worker processes, by process id; the service itself when it has none."""
        found = {pid for pid in _children(self.process.pid) if "spawn_main" in _command(pid)}
        return found or {self.process.pid}

    def clients(self, worker: int) -> set[int]:
        """The ports of the clients whose connections this worker has."""
        sockets = {_target(link) for link in Path(f"/proc/{worker}/fd").iterdir()}
        rows = [row.split() for row in Path(f"/proc/{worker}/net/tcp").read_text().splitlines()[1:]]
        ours = [row for row in rows if int(row[1].rpartition(":")[2], 16) == self.port]
        return {int(row[2].rpartition(":")[2], 16) for row in ours if f"socket:[{row[9]}]" in sockets} - {0}

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30) -> int:
        """End it as an operator does; returns its exit code. Raises TimeoutExpired when it does not end."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextmanager
def running(
    home: Path, *, workers: int = 1, port: int = 0, closed: str = "", **environment: str
) -> Iterator[RunningServer]:
    """A service that has said where it listens. port: 0 takes a free one. closed: how a shell closes its streams, as in
    ">&-". Nothing of it is left afterwards."""
    command = [sys.executable, "-c", "from service.cli import main; main()", "serve"]
    command += ["--home", str(home), "--port", str(port), "--workers", str(workers)]
    if closed:
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said: list[str] = []
            greeted = Event()
            reader = Thread(target=_listen, args=(process, said, greeted), daemon=True)
            reader.start()
            assert greeted.wait(START_SECONDS), said[-5:]
            where = re.search(r"^serving .* at http://([\d.]+):(\d+)", "\n".join(said), re.MULTILINE)
            assert where, said[-5:]
            yield RunningServer(process, where[1], int(where[2]), said)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            reader.join(START_SECONDS)


def _listen(process: subprocess.Popen[str], said: list[str], greeted: Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line.rstrip())
        if line.startswith("serving "):
            greeted.set()
    greeted.set()  # it has ended


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@dataclass
class Client:
    """Asks again and again until told to stop, or until no connection can be had any more.

    paths: in turn. keep: whether it keeps its connection. insist: whether it tries again when it gets no connection.
    judge: says what is wrong with the body of an answer.
    answered: how many right answers it got. dropped: what went wrong after a connection stood. port: its own.
    """

    server: RunningServer
    paths: Sequence[str] = (BREAD,)
    keep: bool = True
    insist: bool = False
    judge: Callable[[bytes], str | None] = lambda body: None
    answered: int = 0
    dropped: list[str] = field(default_factory=list)
    port: int | None = None
    refused: bool = False
    _connection: HTTPConnection | None = None
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> "Client":
        """Begin to ask."""
        self._thread = Thread(target=self._ask_on, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until it asks no more."""
        assert self._thread is not None
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._close()

    def has_answers(self, more: int, seconds: float = 30) -> None:
        """Wait until it has got so many further answers."""
        goal, deadline = self.answered + more, monotonic() + seconds
        while self.answered < goal:
            assert monotonic() < deadline, (self.answered, goal, self.dropped)
            self._stop.wait(0.005)

    def _ask_on(self) -> None:
        while not self._stop.is_set() and not self.refused:
            if self._connection is not None or self._connect():
                self._ask()

    def _connect(self) -> bool:
        self._connection = HTTPConnection(self.server.host, self.server.port, timeout=1)
        try:
            self._connection.connect()
        except OSError:
            self._close()
            self.refused = not self.insist
            self._stop.wait(0.01)
            return False
        self.port = self._connection.sock.getsockname()[1]
        self._connection.sock.settimeout(20)
        return True

    def _ask(self) -> None:
        assert self._connection is not None
        try:
            self._connection.request("GET", self.paths[(self.answered + len(self.dropped)) % len(self.paths)])
            answer = self._connection.getresponse()
            body = answer.read()
        except Exception as error:  # whatever it is, the answer is not there
            self.dropped.append(f"{self.port}: {error!r}")
            self._close()
            return
        fault = f"{answer.status}: {body!r}" if answer.status != 200 else self.judge(body)
        if fault is None:
            self.answered += 1
        else:
            self.dropped.append(f"{self.port}: {fault}")
        if answer.will_close or not self.keep:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
