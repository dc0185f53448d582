"""The signal that something was written into the log of decisions."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from recommender.decision_log import DecisionLog
from recommender.decision_signal import FILE, Signal, give
from recommender.decisions import Decision


def test_every_write_gives_another_signal_to_whoever_looks(tmp_path: Path) -> None:
    signal = Signal(tmp_path, make=True)
    seen = [signal.seen()]
    for number in range(3):
        entry = Decision(action="stop", editor="anna", at=datetime.now(UTC), key=f"key-{number}")
        DecisionLog(tmp_path).append([entry])
        seen.append(signal.seen())

    assert len(set(seen)) == 4
    assert None not in seen


def test_a_signal_from_another_process_is_seen_at_once(tmp_path: Path) -> None:
    signal = Signal(tmp_path, make=True)
    before = signal.seen()
    code = f"from pathlib import Path; from recommender.decision_signal import give; give(Path({str(tmp_path)!r}))"

    subprocess.run([sys.executable, "-c", code], check=True)

    assert signal.seen() != before


def test_where_there_is_no_file_nobody_can_tell(tmp_path: Path) -> None:
    signal = Signal(tmp_path)

    assert signal.seen() is None
    assert not (tmp_path / FILE).exists()
    give(tmp_path / "nowhere")  # no error: they will find out


def test_a_second_service_shares_the_file_of_the_first(tmp_path: Path) -> None:
    first = Signal(tmp_path, make=True)
    give(tmp_path)
    second = Signal(tmp_path, make=True)

    assert first.seen() == second.seen()
