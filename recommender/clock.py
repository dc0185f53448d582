"""Where a build's time goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by stage, in the order in which stages began; a stage that is gone through twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)
