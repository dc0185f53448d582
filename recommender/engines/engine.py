"""Where the job's heavy steps run: the seam.

A step is cut into parts, each a file that is made of what the part is given, by a task: a function of a module, whose
output depends on nothing else. So a part may be tried again, or be made twice, and a build that was killed goes on from
the files that are there. tests/contracts/test_engine.py runs on every implementation.
"""

import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from corpus.errors import EngineError, RelatedArticlesError
from recommender.engines.files import make, name_of, present
from recommender.versions import code_digest

TRIES = 3
"""How often a part is begun at most: a worker or its machine may die, or a disk fail, under each."""
PATIENCE = 3600.0
"""Seconds without any part being done after which a map is given up: the longest part takes minutes. A limit for the
whole map would have to grow with the site."""

Task = Callable[[Mapping[str, Any], BinaryIO], None]
"""given, stream: writes a part's file to the stream. Workers import it by its module and name."""


@dataclass(frozen=True, slots=True)
class Part:
    """given: what the task is told, such as JSON can hold: numbers, settings, URLs of larger things.
    out: URL of the file that the task makes of it: a path, or whatever fsspec knows."""

    given: Mapping[str, Any]
    out: str


class Engine(Protocol):
    """Runs tasks.

    alone: whether parts are made one after another in this very process, so that a step that can do without parts had
    better do so.
    """

    @property
    def alone(self) -> bool: ...

    def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
        """Make every part's file that is not there yet, in any order; nobody ever sees half of one.

        A part is begun again, TRIES times in all, when its worker dies or the task raises OSError. What else of the
        project's own errors a task raises ends the map at once, with the same sentence.
        progress: called with the number of parts done since its last call, those that were there included.
        Raises EngineError, naming the parts that are missing, when one was tried too often or nothing was done for too
        long; the same call then goes on from there.
        """
        ...

    def close(self) -> None:
        """Release the workers."""
        ...


class Outcome(NamedTuple):
    """What came of trying a part. said: a sentence, or of a mistake of this program its traceback."""

    kind: Literal["done", "failed", "unlucky", "mistaken"]
    said: str = ""


def attempt(task: Task, part: Part, code: str) -> Outcome:
    """Make a part's file in this process, unless it is there. code: the driver's code_digest()."""
    try:
        if code != code_digest():
            raise EngineError(
                "a worker runs another version of related-articles, or of a library: install the same on every machine"
            )
        make(part.out, lambda stream: task(part.given, stream))
    except RelatedArticlesError as error:
        return Outcome("failed", str(error))
    except OSError as error:
        return Outcome("unlucky", str(error))
    except Exception:
        return Outcome("mistaken", traceback.format_exc())
    return Outcome("done")


class Round:
    """The parts of one map: which wait, how often each was begun, and when one was done last."""

    def __init__(self, parts: Sequence[Part], progress: Callable[[int], None], patience: float) -> None:
        there = present(part.out for part in parts)
        self._waiting = deque(part for part in parts if part.out not in there)
        self._tries = {part.out: 0 for part in self._waiting}
        self._progress, self._patience = progress, patience
        self._done_last = time.monotonic()
        progress(len(parts) - len(self._waiting))

    @property
    def unfinished(self) -> bool:
        """Whether any part is not done."""
        return bool(self._tries)

    def take(self) -> Part | None:
        """The next part to begin; None when none waits."""
        if not self._waiting:
            return None
        part = self._waiting.popleft()
        self._tries[part.out] += 1
        return part

    def settle(self, part: Part, outcome: Outcome) -> None:
        """Take note of what came of a part. Raises EngineError when that ends the map."""
        if outcome.kind == "done":
            del self._tries[part.out]
            self._done_last = time.monotonic()
            self._progress(1)
        elif outcome.kind == "failed":
            raise EngineError(outcome.said)
        elif outcome.kind == "mistaken":
            raise RuntimeError(f"a part of the build failed in its worker:\n{outcome.said}")
        elif self._tries[part.out] < TRIES:
            self._waiting.append(part)
        else:
            raise EngineError(
                f"{name_of(part.out)} was begun {TRIES} times in vain ({outcome.said}); {self._goes_on()}"
            )

    def seconds_left(self) -> float:
        """Until the map is given up. Raises EngineError when that is now."""
        left = self._done_last + self._patience - time.monotonic()
        if left <= 0:
            raise EngineError(f"no part of the build was done for {self._patience:g} seconds; {self._goes_on()}")
        return left

    def _goes_on(self) -> str:
        names = [name_of(out) for out in self._tries]
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        return (
            f"missing: {', '.join(names[:3])}{more}; what is done is kept: look after the workers, then run this again"
        )
