"""What the settings say about workers, as workers on other machines need it."""

from pathlib import Path

import pytest

from recommender.engines.workers import WorkerOptions, open_workers
from tests.recommender.engines import tasks


@pytest.mark.parametrize(
    ("setting", "folder"),
    [(None, "home/parts"), ("shared", "shared"), ("memory://bucket/parts", "memory://bucket/parts")],
)
def test_parts_lie_where_every_worker_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    options = WorkerOptions(model=None, cache=Path("home", "cache"), parts=setting)

    with open_workers(Path("home"), options) as workers:
        part = workers.parts.part(tasks.write, {"text": "bread"})
        workers.engine.map(tasks.write, [part])
        found = workers.parts.read(part, bytes.decode)
        workers.parts.clear()

    expected = folder if "://" in folder else str(tmp_path / folder)
    assert part.out.rpartition("/")[0] == expected
    assert found == "bread"
    assert workers.cache == tmp_path / "home" / "cache"


def test_a_part_is_named_after_its_task_and_all_that_it_is_given(tmp_path: Path) -> None:
    with open_workers(tmp_path, WorkerOptions(model=None, cache=tmp_path)) as workers:
        parts = [
            workers.parts.part(tasks.write, {"text": "bread"}),
            workers.parts.part(tasks.write, {"text": "clock"}),
            workers.parts.part(tasks.refuse, {"text": "bread"}),
        ]
        again = workers.parts.part(tasks.write, {"text": "bread"})

    assert again == parts[0]
    assert len({part.out for part in parts}) == 3


def test_a_model_in_a_folder_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()

    named = []
    for model in ("model", "static", None):
        with open_workers(tmp_path, WorkerOptions(model=model, cache=tmp_path)) as workers:
            named.append(workers.model)

    assert named == [str(tmp_path / "model"), "static", None]
