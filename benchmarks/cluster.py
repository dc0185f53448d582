"""A PostgreSQL primary with two hot standbys on loopback, editors who write all the while, and the primary's end.

benchmarks/failover.py and tests/service/test_failover.py use it.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from urllib.parse import urlencode, urlsplit

import psycopg

from benchmarks.postgres_server import Server

STANDBYS = ("one", "two")
_PATIENCE = 60.0
_ANSWERED_WITHIN = 20.0
_PAUSE = 0.05
_RETRY = "200ms"


class Cluster:
    """Three servers; a commit is acknowledged once one of the standbys has it on its disk."""

    def __init__(self) -> None:
        self.primary = Server.new()
        self._servers = [self.primary]
        self._named: dict[str, Server] = {}

    def start(self, durable: bool) -> None:
        """durable: whether every server flushes its disk, as it does in earnest."""
        self._set(self.primary, fsync="on" if durable else "off", wal_retrieve_retry_interval=_RETRY)
        for name in STANDBYS:
            standby = self._named[name] = self.primary.standby()
            self._servers.append(standby)
        for server in self._servers:
            for name in STANDBYS:
                server.execute(f"SELECT pg_create_physical_replication_slot('{name}', true)")
        for name in STANDBYS:
            self._follow(name)
        self._wait_for(len(STANDBYS))
        for server in self._servers:
            self._set(server, synchronous_standby_names=f"ANY 1 ({', '.join(STANDBYS)})", synchronous_commit="on")

    def url(self, database: str = "postgres") -> str:
        """Of all three, as the service is given it."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self._servers)
        return f"postgresql://postgres@{hosts}/{database}"

    def promote(self) -> None:
        """Make the standby that has received most the primary; the other follows it from then on."""
        name = max(self._named, key=lambda name: _number(self._named[name], _RECEIVED))
        self.primary = self._named.pop(name)
        self.primary.promote()
        for other in self._named:
            self._follow(other)

    def kill_standbys(self) -> None:
        """kill -9 of all that were not promoted; from then on no commit is acknowledged."""
        for server in self._named.values():
            server.kill()

    def remove(self) -> None:
        """Stop all servers and remove their data."""
        for server in self._servers:
            server.remove()

    def _follow(self, name: str) -> None:
        upstream = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name={name}"
        self._set(self._named[name], primary_conninfo=upstream, primary_slot_name=name)

    def _wait_for(self, standbys: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while _number(self.primary, _STREAMING) < standbys:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {standbys} standbys follow the primary after {_PATIENCE:g} s")
            time.sleep(_PAUSE)

    @staticmethod
    def _set(server: Server, **settings: str) -> None:
        for name, value in settings.items():
            server.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.execute("SELECT pg_reload_conf()")


_RECEIVED = "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn"
_STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


@contextmanager
def cluster(durable: bool = False) -> Iterator[Cluster]:
    """A cluster that runs; nothing of it is left afterwards."""
    found = Cluster()
    try:
        found.start(durable)
        yield found
    finally:
        found.remove()


def _number(server: Server, query: str) -> int:
    with psycopg.connect(server.url(), autocommit=True) as db:
        row = db.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101
    return int(row[0])


@dataclass
class Editor:
    """Makes a decision after the other through the desks of several replicas, so many a second.

    What is refused, or not answered, is sent again under the same key, by the next replica. addresses: URLs of the
    replicas. pages: ids that decisions are made about. acknowledged: key -> when that came, of time.monotonic().
    refused: how often something had to be sent again. faults: what no desk may answer.
    """

    addresses: Sequence[str]
    pages: Sequence[str]
    per_second: float = 20
    acknowledged: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    _sent: int = 0
    _ended: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> "Editor":
        """Begin."""
        self._thread = Thread(target=self._work, name="editor", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Make no further decision; the one under way is made."""
        self._ended.set()
        assert self._thread is not None  # noqa: S101
        self._thread.join(_PATIENCE)

    def has_made(self, more: int) -> None:
        """Wait until so many further decisions are acknowledged."""
        goal, deadline = len(self.acknowledged) + more, time.monotonic() + _PATIENCE
        while len(self.acknowledged) < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.acknowledged)} of {goal} decisions made; refused: {self.refused}")
            self._ended.wait(_PAUSE)

    def first_after(self, moment: float) -> float:
        """When the first acknowledgement after this moment came."""
        return min(at for at in self.acknowledged.values() if at > moment)

    def _work(self) -> None:
        rng, due = random.Random(7), time.monotonic()  # noqa: S311
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self.per_second, time.monotonic())
            source, target = rng.sample(list(self.pages), 2)
            key = f"decision-{len(self.acknowledged)}"
            self._decide({"action": "boost", "source": source, "target": target, "weight": "1", "key": key})

    def _decide(self, form: dict[str, str]) -> None:
        while len(self.faults) < len(STANDBYS):
            address = self.addresses[self._sent % len(self.addresses)]
            self._sent += 1
            try:
                status, said = post_decision(address, form)
            except (OSError, HTTPException) as error:
                status, said = 0, repr(error)
            if status == 200:
                self.acknowledged[form["key"]] = time.monotonic()
                return
            if status != 503:
                self.faults.append(f"{form['key']}: {status}: {said}")
            self.refused += 1
            self._ended.wait(_PAUSE)


def post_decision(address: str, form: dict[str, str]) -> tuple[int, str]:
    """Send a decision to a replica's desk, as a program of its machine; its status, and what it says."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Sec-Fetch-Site": "same-origin",
    }
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=_ANSWERED_WITHIN)) as connection:
        connection.request("POST", "/desk/decisions", urlencode(form), headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    return answer.status, said["said"][0] if answer.status == 200 else said["detail"]
