"""Ray as an engine: the only importer of ray. A part is a task of Ray Core, and nothing but its outcome passes through
Ray; every machine needs this package and the folder of the parts, by its URL."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from corpus.errors import EngineError
from recommender.engines.engine import PATIENCE, Outcome, Part, Round, Task, attempt
from recommender.versions import code_digest

_ANSWERS_WITHIN = 10.0
"""Seconds until the head of a cluster must answer."""
_NODES_WITHIN = 60.0
"""Seconds until a cluster must have a core to run on."""
_AHEAD = 4
"""Parts handed to Ray for each of its cores: enough that none runs dry, few enough to be cancelled at once."""
_OBJECT_BYTES = 80 * 2**20
"""Ray's smallest store: no data goes through it. Its default is a third of the memory."""


class RayEngine:
    """Parts are made by the workers of a cluster.

    address: where its head answers, HOST:PORT, on a machine of the cluster; None starts a Ray for this build, with
    so many processes, which listens to this machine alone.
    Raises EngineError when Ray is not installed, or no such cluster answers.
    """

    alone = False

    def __init__(self, address: str | None, processes: int, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._ray = _import_ray(starts=address is None)
        self._connect(address, processes)
        try:
            self._wait_for_cores()
        except BaseException:
            self.close()
            raise
        # One bound on tries for every engine: Ray itself tries once.
        self._attempt = self._ray.remote(attempt).options(num_cpus=1, max_retries=0)

    def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
        """See Engine.map."""
        ahead = Round(parts, progress, self._patience)
        running: dict[Any, Part] = {}
        try:
            while ahead.unfinished:
                most = _AHEAD * max(1, self._cores())
                while len(running) < most and (part := ahead.take()):
                    running[self._attempt.remote(task, part, code_digest())] = part
                for done in self._ray.wait(list(running), timeout=ahead.seconds_left())[0]:
                    ahead.settle(running.pop(done), self._outcome(done))
        except BaseException:
            for left in running:
                with suppress(Exception):  # the first error tells more
                    self._ray.cancel(left, force=True)
            raise

    def close(self) -> None:
        """Leave the cluster; one that was started for this build ends."""
        self._ray.shutdown()

    def _connect(self, address: str | None, processes: int) -> None:
        if address is not None:
            _check_that_it_answers(address)
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if address is None:
            options |= {"num_cpus": processes, "include_dashboard": False, "object_store_memory": _OBJECT_BYTES}
        try:
            self._ray.init(address=address or "local", **options)
        except (RuntimeError, ValueError, OSError) as error:
            where = f"no Ray cluster can be used at {address}" if address else "Ray does not start"
            first_line = str(error).strip().split("\n")[0]
            raise EngineError(f"{where} ({first_line}): see `ray status`, or leave out --engine ray") from error

    def _cores(self) -> int:
        """How many cores the cluster has now: its machines come and go."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def _wait_for_cores(self) -> None:
        """Raises EngineError when none comes."""
        until = time.monotonic() + _NODES_WITHIN
        while not self._cores():
            if time.monotonic() > until:
                raise EngineError(
                    f"the Ray cluster has had no machine with a core for {_NODES_WITHIN:g} seconds: "
                    "see `ray status`, start its machines one after another, then run this again"
                )
            time.sleep(0.5)

    def _outcome(self, done: Any) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            said = str(error).strip().split("\n")[0]
            return Outcome("unlucky", f"its worker or machine died: {type(error).__name__}: {said}")
        return outcome


def _check_that_it_answers(address: str) -> None:
    """Ray itself would try for minutes. Raises EngineError."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _ANSWERS_WITHIN).close()
    except (ValueError, OSError) as error:
        raise EngineError(
            f"no Ray cluster answers at {address} ({error}): name its head as HOST:PORT, see `ray status`"
        ) from error


def _import_ray(starts: bool) -> Any:
    """Ray, told before it is loaded what it reads once. starts: whether one is to be started."""
    told = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    if starts:  # a secret of its own, and loopback: Ray's name for that switch is older than its use
        told |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        told |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    for name, value in told.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise EngineError("Ray is not installed: pip install 'related-articles[ray]', or leave out --engine") from error
    return ray
