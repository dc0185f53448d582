"""Engines on this machine: this very process, or several."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from recommender.engines.engine import PATIENCE, Outcome, Part, Round, Task, attempt
from recommender.versions import code_digest

THREADS = "OMP_NUM_THREADS"
"""The environment variable that tells libraries how many threads a process may have; Ray sets it too."""


class InProcess:
    """Parts are made one after another in this process; no patience ends a part."""

    alone = True

    def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
        """See Engine.map."""
        ahead = Round(parts, progress, PATIENCE)
        while part := ahead.take():
            ahead.settle(part, attempt(task, part, code_digest()))

    def close(self) -> None:
        """There is nothing to release."""


class ProcessPool:
    """Parts are made by processes, each with its share of this machine's cores.

    concurrent.futures would give up all of them with one that dies, and leaves them behind when this process is killed;
    these are talked to by a pipe each, which ends with either side.
    """

    alone = False

    def __init__(self, processes: int, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._number = processes
        self._workers: list[_Worker] = []

    def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
        """See Engine.map."""
        ahead = Round(parts, progress, self._patience)
        try:
            while ahead.unfinished:
                self._hand_out(task, ahead)
                for worker in self._heard(ahead.seconds_left()):
                    part, worker.part = worker.part, None
                    if part is not None:
                        ahead.settle(part, self._hear(worker))
        except BaseException:
            self.close()  # what they are at is of no use any more
            raise

    def close(self) -> None:
        """Kill the workers."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()

    def _hand_out(self, task: Task, ahead: Round) -> None:
        """Give every idle worker a part; there are as many workers as there are parts for, up to their number."""
        idle = [worker for worker in self._workers if worker.part is None]
        while idle or len(self._workers) < self._number:
            part = ahead.take()
            if part is None:
                return
            worker = idle.pop() if idle else self._start()
            worker.part = part
            with suppress(OSError):  # it is dead, and will be heard of
                worker.pipe.send((task, part, code_digest()))

    def _heard(self, seconds: float) -> "Iterator[_Worker]":
        """The workers that have ended a part, or themselves."""
        by_pipe = {worker.pipe: worker for worker in self._workers if worker.part is not None}
        return (by_pipe[pipe] for pipe in wait(list(by_pipe), seconds) if isinstance(pipe, Connection))

    def _hear(self, worker: "_Worker") -> Outcome:
        try:
            outcome: Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            worker.pipe.close()
            self._workers.remove(worker)
            return Outcome("unlucky", f"its process died, exit code {worker.process.exitcode}")
        return outcome

    def _start(self) -> "_Worker":
        spawn = multiprocessing.get_context("spawn")  # this process has threads, which a fork would not survive
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(theirs,), daemon=True)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with _environment(THREADS, str(max(1, cores // self._number))):
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker


@dataclass(eq=False)
class _Worker:
    """part: what it is at, None when it is idle."""

    process: BaseProcess
    pipe: "Connection[object, Outcome]"
    part: Part | None = None


def _work(pipe: "Connection[Outcome, tuple[Task, Part, str]]") -> None:
    """Make parts until the pipe ends, as it does with the process at its other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the driver answers it
    with suppress(EOFError, OSError):
        while True:
            task, part, code = pipe.recv()
            pipe.send(attempt(task, part, code))


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """An environment variable, for what is started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
