"""Processes of this machine; what every engine does is told in tests/contracts/test_engine.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from corpus.errors import EngineError
from recommender.engines.engine import Part
from recommender.engines.local import ProcessPool
from tests.recommender.engines import tasks

ROOT = Path(__file__).parents[3]
DRIVER = """
import signal
from recommender.engines.engine import Part
from recommender.engines.local import ProcessPool
from tests.recommender.engines import tasks

if __name__ == "__main__":
    pool = ProcessPool(2)
    pool.map(tasks.write, [Part({"text": "bread"}, PART)])
    print("made", flush=True)
    signal.pause()
"""


def test_workers_end_with_their_driver_however_that_ends(tmp_path: Path) -> None:
    program = tmp_path / "driver.py"
    program.write_text(DRIVER.replace("PART", repr(str(tmp_path / "parts" / "bread"))))
    driver = subprocess.Popen(
        [sys.executable, str(program)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout
    with driver.stdout:
        assert driver.stdout.readline() == "made\n"
        driver.kill()
        driver.wait()
        assert driver.stdout.read() == "", "its end is heard when the last process that holds it has ended"


def test_workers_are_kept_from_one_map_to_the_next(tmp_path: Path) -> None:
    pool = ProcessPool(1)
    try:
        pool.map(tasks.tell_process, [Part({}, str(tmp_path / "first"))])
        pool.map(tasks.tell_process, [Part({}, str(tmp_path / "second"))])
    finally:
        pool.close()

    assert (tmp_path / "first").read_text() == (tmp_path / "second").read_text()


def test_a_map_that_fails_leaves_no_worker_behind(tmp_path: Path) -> None:
    pool = ProcessPool(1, patience=0.2)

    with pytest.raises(EngineError):
        pool.map(tasks.hang, [Part({}, str(tmp_path / "bread"))])

    assert pool._workers == []
