"""An engine that a job takes for workers elsewhere, in this process: quick, and it can be stopped at any part."""

from collections.abc import Callable, Sequence
from pathlib import Path

from recommender.engines.engine import Part, Task
from recommender.engines.local import InProcess
from recommender.engines.parts import PartsFolder
from recommender.engines.workers import Workers


class Stopped(Exception):
    """The driver was killed."""


class Elsewhere(InProcess):
    """limit: how many parts are made until the driver is "killed". made: the parts that were not there, in order."""

    alone = False

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self.made: list[Part] = []

    def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
        """See Engine.map."""
        waiting = [part for part in parts if not Path(part.out).exists()]
        super().map(task, waiting[: self._limit], progress)
        self.made += waiting[: self._limit]
        if self._limit is not None and len(waiting) > self._limit:
            raise Stopped


def workers_at(home: Path, engine: Elsewhere, model: str | None = "static") -> Workers:
    """Workers with their parts in the home."""
    return Workers(engine, PartsFolder(str(home / "parts")), model, home / "cache")
