"""What the settings say about workers, as workers on other machines need it."""

import hashlib
from pathlib import Path

import pytest

from recommender.engines.files import present
from recommender.engines.workers import WorkerOptions, open_workers
from tests.recommender.engines import tasks


@pytest.mark.parametrize(
    ("setting", "folder"),
    [(None, "home/parts"), ("shared", "shared/HOME"), ("memory://bucket/parts/", "memory://bucket/parts/HOME")],
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

    folder = folder.replace("HOME", hashlib.sha256(str(tmp_path / "home").encode()).hexdigest()[:16])
    expected = folder if "://" in folder else str(tmp_path / folder)
    assert part.out.rpartition("/")[0] == expected
    assert found == "bread"
    assert workers.cache == tmp_path / "home" / "cache"


def test_homes_that_share_a_folder_leave_each_others_parts_alone(tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    with (
        open_workers(tmp_path / "one", WorkerOptions(None, tmp_path, parts=shared)) as one,
        open_workers(tmp_path / "two", WorkerOptions(None, tmp_path, parts=shared)) as two,
    ):
        kept = [workers.parts.keep(b"bread") for workers in (one, two)]
        one.parts.clear()
        left = present(kept)

    assert left == {kept[1]}


def test_what_a_killed_build_left_of_other_pages_goes_with_the_next_build(tmp_path: Path) -> None:
    with open_workers(tmp_path, WorkerOptions(None, tmp_path)) as killed:
        old = killed.parts.keep(b"bread of yesterday")
    with open_workers(tmp_path, WorkerOptions(None, tmp_path)) as workers:
        workers.parts.keep(b"bread of today")
        workers.parts.clear()

    assert present([old]) == set()
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("name", ["static", "quality", "all-MiniLM-L6-v2"])
def test_a_folder_of_the_same_name_is_not_taken_for_a_model_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()

    with open_workers(tmp_path, WorkerOptions(model=name, cache=tmp_path)) as workers:
        assert workers.model == name
