"""What a scheduler is told of a build."""

import io
import json
from typing import Any

from service.build_events import Events


class Clock:
    """Seconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_begin_and_end_are_told_and_about_one_line_a_second_between() -> None:
    out, clock = io.StringIO(), Clock()
    with Events(out, clock) as events:
        progress = events.stage("encoding texts", 100)
        for _ in range(100):
            clock.now += 0.04
            progress(1)

    lines = told(out)
    assert [(line["done"], line["rate"], line["eta_s"]) for line in lines] == [
        (0, None, None),
        (25, 25.0, 3.0),
        (50, 25.0, 2.0),
        (75, 25.0, 1.0),
        (100, 25.0, 0.0),
    ]
    assert {(line["event"], line["stage"], line["total"]) for line in lines} == {("stage", "encoding texts", 100)}


def test_a_stage_that_does_not_reach_its_total_ends_when_the_next_one_begins() -> None:
    out, clock = io.StringIO(), Clock()
    with Events(out, clock) as events:
        progress = events.stage("one", 10)
        clock.now += 0.5
        progress(4)
        events.stage("two", 3)

    assert [(line["stage"], line["done"]) for line in told(out)] == [("one", 0), ("one", 4), ("two", 0), ("two", 0)]


def test_a_stage_without_anything_to_do_has_no_rate() -> None:
    out = io.StringIO()
    with Events(out, Clock()) as events:
        events.stage("encoding texts", 0)(0)

    assert [(line["done"], line["rate"], line["eta_s"]) for line in told(out)] == [(0, None, None)] * 2


def test_a_failure_is_the_last_word_on_a_stage() -> None:
    out = io.StringIO()
    with Events(out, Clock()) as events:
        events.stage("reading pages", 7)
        events.failed("no page found: name pages")

    assert told(out)[1:] == [{"event": "failed", "sentence": "no page found: name pages"}]
