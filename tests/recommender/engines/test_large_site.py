"""A large site surveyed and ranked in parts: the edition must be the one that a single process makes, byte by byte."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from scipy import sparse

from corpus.errors import EngineError
from recommender.edition import Edition, open_current
from recommender.engines.engine import Engine, Part, Task
from recommender.engines.files import present
from recommender.engines.large_site import survey_in_parts
from recommender.engines.local import InProcess, ProcessPool
from recommender.engines.parts import PartsFolder
from recommender.engines.shared_arrays import open_arrays, write_arrays
from recommender.engines.workers import Workers
from recommender.index import all_pairs
from recommender.index_shards import ShardSearch, build_shard, open_shard, shards_of
from recommender.job import BuildOptions, build
from tests.fakes import CountingEncoder
from tests.recommender.sites import random_site
from tests.recommender.test_wide_site import ESSAYS, write_site

RUN = 64
"""Two runs, of which the first is as long as what is looked at together: sums are then of the same shape."""


@contextmanager
def as_a_large_site() -> Iterator[None]:
    """More than half of the essays are a large site. Workers look nothing of this up."""
    with (
        patch("recommender.finding.WIDE_SITE", ESSAYS // 2),
        patch("recommender.encoded.WIDE_SITE", ESSAYS // 2),
        patch("recommender.engines.large_site.RUN", RUN),
        patch("recommender.engines.encoding.encode_in_parts", lambda *given: 0),  # by a stand-in, which no worker knows
    ):
        yield


class Recording(InProcess):
    """Not alone, so that everything goes by parts; made: the files."""

    alone = False

    def __init__(self) -> None:
        self.made: list[str] = []

    def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
        self.made += [Path(part.out).name for part in parts if not Path(part.out).exists()]
        super().map(task, parts, progress)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    folder = tmp_path_factory.mktemp("plain")
    with as_a_large_site():
        build([write_site(folder)], folder / "home", CountingEncoder(), BuildOptions())
    return open_current(folder / "home")


def build_in_parts(folder: Path, workers: Workers) -> Edition:
    with as_a_large_site():
        build([write_site(folder)], folder / "home", CountingEncoder(), BuildOptions(), workers=workers)
    return open_current(folder / "home")


def contents(edition: Edition) -> Mapping[str, object]:
    return edition.manifest["files"]  # type: ignore[no-any-return]


def test_the_edition_of_parts_is_that_of_one_process(tmp_path: Path, plain: Edition) -> None:
    engine = Recording()
    edition = build_in_parts(tmp_path, Workers(engine, PartsFolder(str(tmp_path / "parts")), None, tmp_path))
    assert contents(edition) == contents(plain)
    assert [name.partition("-")[0] for name in engine.made] == [*["neighbours"] * 2, *["look"] * 2, *["rank"] * 2]
    assert not (tmp_path / "parts").exists(), "what was made for the build goes with it"


@pytest.mark.parametrize("kind", ["pool", "ray"])
def test_the_edition_of_several_processes_is_that_of_one(
    kind: str, tmp_path: Path, plain: Edition, request: pytest.FixtureRequest
) -> None:
    engine: Engine = request.getfixturevalue("ray_engine") if kind == "ray" else ProcessPool(2)
    try:
        edition = build_in_parts(tmp_path, Workers(engine, PartsFolder(str(tmp_path / "parts")), None, tmp_path))
    finally:
        if kind == "pool":
            engine.close()
    assert contents(edition) == contents(plain)


def test_a_build_that_was_stopped_goes_on_from_the_parts_that_are_there(tmp_path: Path, plain: Edition) -> None:
    class Stopped(Recording):
        def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
            if task.__name__ == "rank":
                super().map(task, parts[:1])
                raise KeyboardInterrupt
            super().map(task, parts, progress)

    parts = PartsFolder(str(tmp_path / "parts"))
    with pytest.raises(KeyboardInterrupt):
        build_in_parts(tmp_path, Workers(Stopped(), parts, None, tmp_path))
    again = Recording()
    edition = build_in_parts(tmp_path, Workers(again, PartsFolder(str(tmp_path / "parts")), None, tmp_path))
    assert [name.partition("-")[0] for name in again.made] == ["rank"], "one run was left"
    assert contents(edition) == contents(plain)


def test_progress_tells_every_essay_once(tmp_path: Path) -> None:
    site = random_site(150, 3)
    seen: list[int] = []
    with patch("recommender.engines.large_site.RUN", RUN):
        workers = Workers(Recording(), PartsFolder(str(tmp_path)), None, tmp_path)
        survey_in_parts(site.texts, workers, seen.append, "auto")
    assert sum(seen) == 150
    assert len([some for some in seen if some]) == 3


@pytest.mark.parametrize("kind", ["exact", "ivf", "ivf8", "hnsw"])
def test_shards_find_nearly_all_that_exact_search_finds(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(900, 24)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix[700] = matrix[3]  # equal rows, in two shards
    with patch("recommender.index_shards.SHARD", 400):
        known, shards = shards_of(len(matrix), kind)
    assert [len(shard) for shard in shards] == ([900] if kind == "exact" else [400, 400, 100])
    files = [None if kind == "exact" else tmp_path / f"{shard.start}" for shard in shards]
    for shard, file in zip(shards, files, strict=True):
        if file:
            file.write_bytes(build_shard(matrix, shard, known))
    searches = [open_shard(matrix, shard, known, file) for shard, file in zip(shards, files, strict=True)]
    rows, similarities = ShardSearch(matrix, shards, searches).others(np.arange(900), 10)
    exact, values = all_pairs(matrix, 10, "exact")
    found = np.mean([len(set(a) & set(b)) for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]) / 10
    assert found >= (1.0 if kind == "exact" else 0.97), "99% of the fifty nearest, of vectors without any clusters"
    assert not (rows == np.arange(900)[:, None]).any(), "nothing is its own neighbour"
    assert rows[3, 0] == 700
    if kind == "exact":
        np.testing.assert_array_equal(rows, exact)
        np.testing.assert_array_equal(similarities.astype(np.float32), values)


def test_arrays_come_back_as_they_were_given(tmp_path: Path) -> None:
    matrix = sparse.random(40, 30, density=0.1, format="csr", dtype=np.float32, random_state=1)
    given = {
        "dense": np.arange(12, dtype=np.float32).reshape(3, 4),
        "numbers": np.arange(5),
        "mask": np.array([True, False]),
        "nothing": np.zeros((0, 4), dtype=np.float32),
        "terms": matrix,
    }
    folder = PartsFolder(str(tmp_path))
    url = write_arrays(folder, given)
    found = open_arrays(url)
    assert set(found) == set(given)
    for name in ("dense", "numbers", "mask", "nothing"):
        np.testing.assert_array_equal(found[name], given[name])
        assert found[name].dtype == given[name].dtype  # type: ignore[attr-defined]
    assert (found["terms"] != matrix).nnz == 0
    assert write_arrays(folder, given) == url, "named by what they hold"
    assert write_arrays(folder, given | {"numbers": np.arange(1, 6)}) != url


def test_arrays_elsewhere_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    url = write_arrays(PartsFolder("memory://far"), {"numbers": np.arange(7)})
    np.testing.assert_array_equal(open_arrays(url)["numbers"], np.arange(7))
    [fetched] = tmp_path.glob("related-parts-*/*")
    assert fetched.name == url.rpartition("/")[2]
    assert fetched.parent.stat().st_mode & 0o077 == 0, "nobody else may put files there"
    with patch("fsspec.implementations.memory.MemoryFileSystem.get_file", side_effect=AssertionError):
        np.testing.assert_array_equal(open_arrays(url)["numbers"], np.arange(7))


def test_arrays_that_are_damaged_are_removed_where_they_lie_and_where_they_were_fetched_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = PartsFolder(f"memory:/{tmp_path}")
    url = write_arrays(folder, {"numbers": np.arange(7)})
    np.testing.assert_array_equal(open_arrays(url)["numbers"], np.arange(7))
    [fetched] = tmp_path.glob("related-parts-*/*")
    for spoil in (lambda data: data[:100], lambda data: data[:-1] + b"\x01", lambda data: b"\xff" * len(data)):
        fetched.write_bytes(spoil(fetched.read_bytes()))
        with pytest.raises(EngineError, match=f"^{fetched.name} was damaged and is removed: run this again$"):
            open_arrays(url)
        assert present([url]) == set()
        assert write_arrays(folder, {"numbers": np.arange(7)}) == url
        np.testing.assert_array_equal(open_arrays(url)["numbers"], np.arange(7))


@pytest.mark.parametrize(("kind", "task"), [("exact", "neighbours"), ("ivf", "index_shard"), ("hnsw", "index_shard")])
def test_a_part_that_a_worker_finds_damaged_is_removed_and_made_again_by_the_next_run(
    tmp_path: Path, kind: str, task: str
) -> None:
    class Damaging(Recording):
        """A disk that loses the end of the first file of a task."""

        def map(self, asked: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
            super().map(asked, parts, progress)
            if asked.__name__ == task:
                os.truncate(parts[0].out, Path(parts[0].out).stat().st_size // 2)

    site, folder = random_site(150, 3), PartsFolder(str(tmp_path / "parts"))
    again = Recording()
    with patch("recommender.index_shards.SHARD", 100):
        with pytest.raises(EngineError, match=f"^{task}-.* was damaged and is removed: run this again$"):
            survey_in_parts(site.texts, Workers(Damaging(), folder, None, tmp_path), lambda done: None, kind)
        survey_in_parts(site.texts, Workers(again, folder, None, tmp_path), lambda done: None, kind)

    assert [name.partition("-")[0] for name in again.made].count(task) == 1


def test_a_folder_that_somebody_else_has_made_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    url = write_arrays(PartsFolder("memory://far"), {"numbers": np.arange(3)})
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(EngineError, match="is somebody else's: remove it, or set TMPDIR"):
        open_arrays(url)
