"""Arrays in files, read a run of rows at a time."""

from pathlib import Path

import numpy as np
import pytest

from recommender import arrays
from recommender.arrays import runs_of


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7])
def test_runs_are_the_rows_of_the_array(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_AT_ONCE", 3)
    rows = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    np.savez(tmp_path / "arrays.npz", other=np.ones(3), rows=rows)

    runs = list(runs_of(tmp_path / "arrays.npz", "rows"))

    assert [len(run) for run in runs] == [3] * (count // 3) + [count % 3] * (count % 3 > 0)
    assert np.vstack([rows[:0], *runs]).tolist() == rows.tolist()
    assert all(run.dtype == np.float32 for run in runs)


def test_an_array_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", rows=np.ones((2, 2)))

    with pytest.raises(KeyError):
        next(runs_of(tmp_path / "arrays.npz", "others"))
