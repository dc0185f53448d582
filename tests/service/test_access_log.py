"""The access log: what stands in a line, and that lines stay whole whatever happens to their reader."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service import access_log
from service.access_log import LONGEST_ID, AccessLog


class Pipe:
    """A pipe. Its ends are files, for a number that is closed twice may be somebody else's the second time."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reader, self.writer = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")

    @property
    def end(self) -> int:
        """The descriptor to write to."""
        return self.writer.fileno()

    def receive(self) -> bytes:
        """Something of what is there."""
        return os.read(self.reader.fileno(), 65536)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    with made.reader, made.writer:
        yield made


def written(pipe: Pipe, log: AccessLog) -> list[dict[str, Any]]:
    """What the log says in all."""
    log.start()
    log.close()
    pipe.writer.close()
    return [json.loads(line) for line in pipe.reader]


def write_one(log: AccessLog, article: str = "bread") -> None:
    log.write("GET", "related", 200, 0.0000314, 9876, article, "0123456789abcdef", "model", "ready")


def test_a_request_is_a_line_with_these_fields(pipe: Pipe) -> None:
    log = AccessLog(pipe.end, now=lambda: 1_793_534_400.0625)

    log.write("GET", "related", 200, 0.0003146, 9876, "2024/naïve", "0123456789abcdef", "model", "ready")
    log.write("POST", "suggestions", 422, 1.5, 120)

    assert written(pipe, log) == [
        {
            "time": "2026-11-01T12:00:00.062Z",
            "method": "GET",
            "route": "related",
            "article": "2024/naïve",
            "status": 200,
            "ms": 0.315,
            "bytes": 9876,
            "recommendation_id": "0123456789abcdef",
            "variant": "model",
            "cache": "ready",
        },
        {
            "time": "2026-11-01T12:00:00.062Z",
            "method": "POST",
            "route": "suggestions",
            "article": None,
            "status": 422,
            "ms": 1500.0,
            "bytes": 120,
            "recommendation_id": None,
            "variant": None,
            "cache": None,
        },
    ]


def test_the_text_of_the_time_follows_the_clock(pipe: Pipe) -> None:
    times = iter([0.999, 1.0, 86_400.5])
    log = AccessLog(pipe.end, now=lambda: next(times))
    for _ in range(3):
        write_one(log)

    assert [line["time"][8:] for line in written(pipe, log)] == [
        "01T00:00:00.999Z",
        "01T00:00:01.000Z",
        "02T00:00:00.500Z",
    ]


@pytest.mark.parametrize("hostile", ['"}\n{"time": "forged', "\x1b[2J\u2028\ud800", "𝔰" * 500, "\x00" * 500])
def test_an_id_can_neither_break_a_line_nor_make_it_long(pipe: Pipe, hostile: str) -> None:
    log = AccessLog(pipe.end)
    write_one(log, hostile)

    (line,) = log._lines
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert len(line) <= 4096
    assert [line["article"] for line in written(pipe, log)] == [hostile[:LONGEST_ID]]


def test_a_line_is_written_without_waiting_for_the_end(pipe: Pipe) -> None:
    log = AccessLog(pipe.end)
    log.start()
    write_one(log)

    assert json.loads(pipe.receive())["article"] == "bread"
    log.close()


def test_no_write_is_larger_than_what_a_pipe_keeps_together(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = os.write
    monkeypatch.setattr(access_log.os, "write", lambda fd, chunk: sizes.append(len(chunk)) or write(fd, chunk))
    log = AccessLog(pipe.end)
    for number in range(200):
        write_one(log, f"essay-{number}")

    lines = written(pipe, log)

    assert [line["article"] for line in lines] == [f"essay-{number}" for number in range(200)]
    assert max(sizes) <= 4096
    assert len(sizes) < 20


WORKER = """
import sys
from service.access_log import AccessLog
log = AccessLog()
log.start()
for number in range(20_000):
    log.write("GET", "related", 200, 0.001, number, sys.argv[1] * (1 + number % 150))
log.close()
"""


@pytest.mark.parametrize("into", ["pipe", "file"])
def test_the_lines_of_several_workers_stay_whole(tmp_path: Path, into: str) -> None:
    reading, writing = os.pipe() if into == "pipe" else (0, os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT))
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, name], stdout=writing) for name in "abc"]
    os.close(writing)

    content = b"".join(iter(lambda: os.read(reading, 65536), b"")) if into == "pipe" else b""
    assert [worker.wait(30) for worker in workers] == [0, 0, 0]
    if into == "pipe":
        os.close(reading)
    lines = [json.loads(line) for line in (content or (tmp_path / "log").read_bytes()).splitlines()]

    assert Counter(line["article"][0] for line in lines) == {"a": 20_000, "b": 20_000, "c": 20_000}
    assert all(set(line["article"]) == {line["article"][0]} for line in lines)


def test_a_reader_that_went_away_ends_the_log_and_nothing_else(pipe: Pipe) -> None:
    log = AccessLog(pipe.end)
    pipe.reader.close()
    write_one(log)
    log.start()
    log._thread.join(10)

    write_one(log)

    assert not log._lines
    log.close()


def test_a_reader_that_is_too_slow_loses_lines_and_is_told_how_many(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "MOST_WAITING", 3)
    log = AccessLog(pipe.end, now=lambda: 0.0)
    for number in range(5):
        write_one(log, str(number))
    log._flush()
    write_one(log, "after")

    lines = written(pipe, log)

    assert [line.get("article", line) for line in lines] == [
        "0",
        "1",
        "2",
        {"time": "1970-01-01T00:00:00.000Z", "lost_lines": 2},
        "after",
    ]


def test_a_full_pipe_that_does_not_block_is_tried_again(pipe: Pipe) -> None:
    os.set_blocking(pipe.end, False)
    log = AccessLog(pipe.end)
    for number in range(2_000):
        write_one(log, f"essay-{number}")
    log._flush()
    assert log._unsent

    log.start()
    received = b""
    while received.count(b"\n") < 2_000:
        received += pipe.receive()
    log.close()

    assert [json.loads(line)["article"] for line in received.splitlines()] == [f"essay-{n}" for n in range(2_000)]


def test_a_write_cut_short_goes_on_where_it_stopped(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(access_log.os, "write", lambda fd, chunk: write(fd, chunk[:100]))
    log = AccessLog(pipe.end)
    for number in range(5):
        write_one(log, str(number))

    assert [line["article"] for line in written(pipe, log)] == ["0", "1", "2", "3", "4"]


def test_closing_does_not_wait_for_a_reader_that_never_reads(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "_LAST_WORDS_SECONDS", 0.05)
    log = AccessLog(pipe.end)
    for _ in range(2_000):
        write_one(log)
    log.start()

    begun = time.monotonic()
    log.close()

    assert time.monotonic() - begun < 1
    pipe.reader.close()
    log._thread.join(10)
    assert not log._thread.is_alive()


def test_a_log_whose_output_is_closed_writes_into_nobody_else_s_file(pipe: Pipe, tmp_path: Path) -> None:
    log = AccessLog(pipe.end)
    log.start()
    number = pipe.end
    pipe.writer.close()
    taken = os.open(tmp_path / "database", os.O_RDWR | os.O_CREAT)
    try:
        assert taken == number
        write_one(log)
        log.close()
        assert not (tmp_path / "database").read_bytes()
        assert json.loads(pipe.receive())["article"] == "bread"
    finally:
        os.close(taken)


def test_a_process_without_standard_output_has_no_log(tmp_path: Path) -> None:
    script = (
        "import sys; first = open(sys.argv[1], 'w'); assert first.fileno() == 1; "
        "from service.access_log import AccessLog; log = AccessLog(); log.start(); "
        "log.write('GET', 'related', 200, 0.001, 1); log.close(); assert not log._lines"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "file")]
    subprocess.run(command, check=True, preexec_fn=partial(os.close, 1))

    assert not (tmp_path / "file").read_bytes()
