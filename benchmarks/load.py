"""Servers as processes, and wrk rounds against them in turn."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("random_requests.lua")
READY_WITHIN = 300.0
WARM_UP_SECONDS = 4
_STOP_WITHIN = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


class LoadFailed(Exception):
    """A server or wrk did not do what a measurement needs, as a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, fetched without wrk. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has answered. seconds: from the start of its process to its first answer as wanted."""

    url: str
    pid: int
    seconds: float

    def fetch(self, targets: Sequence[str], headers: Sequence[Mapping[str, str]] = ()) -> Iterator[Answer]:
        """An answer for each target, over one connection. headers: none, or those of each request."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=READY_WITHIN)
        for number, target in enumerate(targets):
            connection.request("GET", target, headers=dict(headers[number]) if headers else {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            yield Answer(response.status, names, response.read())
        connection.close()

    def workers(self) -> list[int]:
        """The processes that answer: those that the server started to do so, else itself."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = [int(pid) for pid in children if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return found or [self.pid]


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk asks of a server. requests: a file as random_requests.lua reads it. headers: sent with each."""

    server: Server
    requests: Path
    connections: int = 8
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """What wrk saw. Latencies in microseconds.

    wrk_cores: how many cores wrk itself took. other_cores: how many went to neither wrk nor the server.
    """

    per_second: float
    p50: float
    p95: float
    p99: float
    answers: int
    wrk_cores: float
    other_cores: float


@contextmanager
def serving(command: Sequence[str], first: str, status: int = 200) -> Iterator[Server]:
    """The server that the command starts, once the target `first` is answered with this status; stopped at the end.

    The command says on stderr at which http:// address it listens. Raises LoadFailed with what else it said when it
    ends, or never answers so.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        url = _address(process)
        _wait_for(process, url, first, status, start + READY_WITHIN)
        yield Server(url, process.pid, time.perf_counter() - start)
    finally:
        _stop(process)


def in_turn(loads: Mapping[str, Load], rounds: int, seconds: int) -> dict[str, list[Round]]:
    """So many rounds of each load, one after the other, in the opposite order every second time; warmed up first."""
    for load in loads.values():
        wrk(load, WARM_UP_SECONDS, 0)
    results: dict[str, list[Round]] = {name: [] for name in loads}
    for number in range(rounds):
        for name in list(loads)[:: 1 if number % 2 == 0 else -1]:
            results[name].append(wrk(loads[name], seconds, number + 1))
    return results


def wrk(load: Load, seconds: int, seed: int) -> Round:
    """One round. Raises LoadFailed when wrk is missing, or any answer failed or was neither 2xx nor 3xx."""
    asked = ["-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(SCRIPT)]
    headers = [part for header in load.headers for part in ("-H", header)]
    command = [find_wrk(), *asked, *headers, load.server.url, "--", str(load.requests), str(seed)]
    start, before, busy = time.perf_counter(), _wrk_seconds(), _busy_seconds() - _server_seconds(load.server)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lasted, used = time.perf_counter() - start, _wrk_seconds() - before
    others = _busy_seconds() - _server_seconds(load.server) - busy - used
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise LoadFailed(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    seen = json.loads(found[1])
    if seen["failed"] or not seen["answers"]:
        raise LoadFailed(f"{seen['failed']:,} of {seen['answers']:,} answers of {load.server.url} failed")
    took = seen["microseconds"] / 1e6
    cores = (used / lasted, max(0.0, others / lasted))
    return Round(seen["answers"] / took, seen["p50"], seen["p95"], seen["p99"], seen["answers"], *cores)


def find_wrk() -> str:
    """The program. Raises LoadFailed when it is missing."""
    program = shutil.which("wrk")
    if program is None:
        raise LoadFailed("wrk is missing: run `make system`, or apt-get install wrk")
    return program


def resident_mb(pid: int) -> tuple[float, float]:
    """MB of memory that a process holds: all, and what no file stands behind."""
    status = Path(f"/proc/{pid}/status").read_text()
    held = dict(re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB$", status, re.MULTILINE))
    return int(held["VmRSS"]) / 1024, int(held["RssAnon"]) / 1024


def ratios(above: Sequence[Round], below: Sequence[Round], metric: str) -> list[float]:
    """The metric of each round above by that of the same round below."""
    return [getattr(a, metric) / getattr(b, metric) for a, b in zip(above, below, strict=True)]


def _address(process: "subprocess.Popen[str]") -> str:
    """Where the server says that it listens; what it says afterwards is read away, since a full pipe would stop it."""
    assert process.stderr is not None  # noqa: S101
    said = []
    for line in process.stderr:
        said.append(line)
        found = re.search(r"http://[\w.:\[\]]+", line)
        if found:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[0]
    raise LoadFailed(f"the server ended with {process.wait()}: {''.join(said[-5:]).strip()}")


def _wait_for(process: "subprocess.Popen[str]", url: str, target: str, status: int, until: float) -> None:
    seen: object = "nothing"
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise LoadFailed(f"the server ended with {process.returncode} before it answered")
        with suppress(OSError, HTTPException):
            seen = next(Server(url, process.pid, 0).fetch([target])).status
            if seen == status:
                return
        time.sleep(0.005)
    raise LoadFailed(f"no answer with {status} from {url}{target} within {READY_WITHIN:.0f} s, but {seen}")


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_WITHIN)
    except subprocess.TimeoutExpired:
        print(f"serving: {process.args!r} did not stop when told to", file=sys.stderr)
    with suppress(ProcessLookupError):  # its workers, when it left any behind
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wrk_seconds() -> float:
    """Of all wrk that has ended: servers are not waited for while it runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _server_seconds(server: Server) -> float:
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in server.workers())
    return sum(int(entry[11]) + int(entry[12]) for entry in fields) / _TICKS


def _busy_seconds() -> float:
    """Of all cores, since the machine started; what its host took away counts as busy."""
    user, nice, system, _idle, _wait, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + sum(rest[:3])) / _TICKS
