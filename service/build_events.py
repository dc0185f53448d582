"""What `related build --events` tells a scheduler: JSON lines on stderr.

    {"event": "stage", "stage": "encoding texts", "done": 512, "total": 9120, "rate": 41.3, "eta_s": 208.4}
    {"event": "published", "edition": ..., "seconds": {...}}    or "held" or "failed" with a "sentence"
    {"event": "warning", "sentence": ...}

Of every stage the begin and the end are told, and in between about one line a second. rate: items a second since the
stage began; eta_s: seconds until its end at that rate; both null while nothing is done.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from embeddings.encoder import Progress
    from recommender.build_report import BuildReport

EVERY = 1.0
"""Seconds between two lines of a stage."""


class Events:
    """A recommender.watch.Watch that writes events."""

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out or sys.stderr
        self._clock = clock
        self._open: _Stage | None = None

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def stage(self, name: str, total: int) -> "Progress":
        """See Watch.stage."""
        self._end()
        now = self._clock()
        stage = self._open = _Stage(name, total, began=now, told=now)
        self._write(stage.to_json(now))
        return lambda done: self._advance(stage, done)

    def warn(self, sentence: str) -> None:
        """Something that a person should know, though the build goes on."""
        self._write({"event": "warning", "sentence": sentence})

    def outcome(self, report: "BuildReport") -> None:
        """A build has ended well, or its edition is held back."""
        self._end()
        told: dict[str, Any] = {"edition": report.edition, "seconds": dict(report.seconds)}
        if report.held:
            self._write({"event": "held", **told, "sentence": report.held})
        else:
            self._write({"event": "published", **told})

    def failed(self, sentence: str) -> None:
        """A build has failed or was interrupted; the edition before it stays live."""
        self._open = None
        self._write({"event": "failed", "sentence": sentence})

    def _advance(self, stage: "_Stage", done: int) -> None:
        stage.done += done
        now = self._clock()
        if stage.done >= stage.total:
            self._end()
        elif now - stage.told >= EVERY and stage is self._open:
            stage.told = now
            self._write(stage.to_json(now))

    def _end(self) -> None:
        """Tell how far the stage has come that was open."""
        if self._open:
            self._write(self._open.to_json(self._clock()))
            self._open = None

    def _write(self, event: Mapping[str, Any]) -> None:
        print(json.dumps(event), file=self._out, flush=True)


@dataclass(slots=True)
class _Stage:
    """began, told: when it began, and when it was told of last, in seconds of the clock."""

    name: str
    total: int
    began: float
    told: float
    done: int = 0

    def to_json(self, now: float) -> dict[str, Any]:
        took = now - self.began
        rate = self.done / took if self.done and took else None
        return {
            "event": "stage",
            "stage": self.name,
            "done": self.done,
            "total": self.total,
            "rate": round(rate, 2) if rate else None,
            "eta_s": round(max(0, self.total - self.done) / rate, 1) if rate else None,
        }
