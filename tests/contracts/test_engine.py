"""The contract of recommender.engines.engine.Engine, run on every implementation."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.errors import EngineError, RelatedArticlesError
from embeddings.static import StaticEncoder
from recommender.build_report import BuildReport
from recommender.edition import open_current
from recommender.engines.engine import TRIES, Engine, Part, Task
from recommender.engines.local import InProcess, ProcessPool
from recommender.engines.parts import PartsFolder
from recommender.engines.workers import Workers
from recommender.job import BuildOptions, build
from tests.recommender.engines import tasks

EXAMPLES = Path(__file__).parents[2] / "examples"
ENGINES = ("in process", "pool", "ray")


@pytest.fixture(scope="module")
def pool() -> Iterator[Engine]:
    engine = ProcessPool(2)
    yield engine
    engine.close()


@pytest.fixture(params=ENGINES)
def any_engine(request: pytest.FixtureRequest) -> Engine:
    fixtures = {"pool": "pool", "ray": "ray_engine"}
    return request.getfixturevalue(fixtures[request.param]) if request.param in fixtures else InProcess()


@pytest.fixture(params=ENGINES[1:])
def elsewhere(request: pytest.FixtureRequest) -> Engine:
    """An engine whose workers may die."""
    return request.getfixturevalue({"pool": "pool", "ray": "ray_engine"}[request.param])


def part(folder: Path, text: str) -> Part:
    given = {"text": text, "log": str(folder / "log"), "once": str(folder / f"{text}.once")}
    return Part(given, str(folder / "parts" / text))


def runs(folder: Path) -> list[str]:
    """The texts that were written, by each run."""
    return sorted((folder / "log").read_text().split())


def files(folder: Path) -> dict[str, str]:
    """What lies in the folder of the parts, files that were begun included."""
    return {path.name: path.read_text() for path in (folder / "parts").iterdir()}


def test_every_part_is_made_once_and_counted(any_engine: Engine, tmp_path: Path) -> None:
    texts = [f"text{number}" for number in range(20)]
    counted: list[int] = []

    any_engine.map(tasks.write, [part(tmp_path, text) for text in texts], counted.append)

    assert files(tmp_path) == {text: text for text in texts}
    assert runs(tmp_path) == sorted(texts)
    assert counted == [0, *[1] * 20]


def test_a_part_whose_file_is_there_is_not_made_again(any_engine: Engine, tmp_path: Path) -> None:
    parts = [part(tmp_path, text) for text in ("bread", "clock", "map")]
    any_engine.map(tasks.write, parts[:2])
    (tmp_path / "parts" / "bread").write_text("stays")
    counted: list[int] = []

    any_engine.map(tasks.write, parts, counted.append)

    assert files(tmp_path) == {"bread": "stays", "clock": "clock", "map": "map"}
    assert runs(tmp_path) == ["bread", "clock", "map"]
    assert counted == [2, 1]


def test_no_parts_are_no_work(any_engine: Engine) -> None:
    any_engine.map(tasks.write, [])


def test_a_part_is_begun_again_when_its_disk_failed(any_engine: Engine, tmp_path: Path) -> None:
    parts = [part(tmp_path, text) for text in ("bread", "clock", "map")]

    any_engine.map(tasks.find_no_disk_once, parts)

    assert files(tmp_path) == {"bread": "bread", "clock": "clock", "map": "map"}


def test_a_part_is_begun_again_when_its_worker_died_and_no_other_part_is(elsewhere: Engine, tmp_path: Path) -> None:
    (tmp_path / "clock.once").touch()
    (tmp_path / "map.once").touch()
    parts = [part(tmp_path, text) for text in ("clock", "bread", "map")]

    elsewhere.map(tasks.die_once, parts)

    whole = {name: text for name, text in files(tmp_path).items() if not name.startswith(".")}
    assert whole == {"bread": "bread", "clock": "clock", "map": "map"}
    assert runs(tmp_path) == ["bread", "clock", "map"]


@pytest.mark.parametrize("task", [tasks.find_no_disk, tasks.die])
def test_a_part_that_was_begun_too_often_is_named_and_is_all_that_is_missing(
    elsewhere: Engine, tmp_path: Path, task: Task
) -> None:
    with pytest.raises(EngineError) as caught:
        elsewhere.map(task, [part(tmp_path, "bread")])

    sentence = str(caught.value)
    assert sentence.startswith(f"bread was begun {TRIES} times in vain (")
    assert sentence.endswith("missing: bread; what is done is kept: look after the workers, then run this again")
    assert "bread" not in files(tmp_path)


def test_an_expected_failure_ends_the_map_with_its_sentence_at_the_first_try(
    any_engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(RelatedArticlesError) as caught:
        any_engine.map(tasks.refuse, [part(tmp_path, "bread")])

    assert str(caught.value) == "the bread is stale: bake another"
    assert runs(tmp_path) == ["ref"]
    assert files(tmp_path) == {}


def test_a_mistake_of_the_program_shows_its_traceback(any_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)in its worker.*tasks.py.*ZeroDivisionError: nothing to share"):
        any_engine.map(tasks.stumble, [part(tmp_path, "bread")])


def test_after_a_failure_the_same_engine_goes_on(any_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RelatedArticlesError):
        any_engine.map(tasks.refuse, [part(tmp_path, "bread"), part(tmp_path, "clock")])

    any_engine.map(tasks.write, [part(tmp_path, "bread"), part(tmp_path, "clock")])

    whole = {name: text for name, text in files(tmp_path).items() if not name.startswith(".")}
    assert whole == {"bread": "bread", "clock": "clock"}


def test_when_nothing_is_done_for_too_long_what_is_missing_is_named(
    elsewhere: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "_patience", 0.2)
    parts = [part(tmp_path, f"text{number}") for number in range(5)]

    with pytest.raises(EngineError) as caught:
        elsewhere.map(tasks.hang, parts)

    assert str(caught.value) == (
        "no part of the build was done for 0.2 seconds; missing: text0, text1, text2 and 2 more; what is done is kept: "
        "look after the workers, then run this again"
    )


def test_parts_may_be_anywhere_that_fsspec_knows(any_engine: Engine, tmp_path: Path) -> None:
    url = (tmp_path / "parts" / "bread").as_uri()

    any_engine.map(tasks.write, [Part({"text": "bread"}, url)])

    assert files(tmp_path) == {"bread": "bread"}


def test_a_worker_of_another_version_refuses(
    any_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("local", "ray"):
        monkeypatch.setattr(f"recommender.engines.{module}.code_digest", lambda: "another")

    with pytest.raises(EngineError, match=r"a worker runs another version of related-articles.*on every machine"):
        any_engine.map(tasks.write, [part(tmp_path, "bread")])


def test_a_worker_has_its_share_of_the_cores(elsewhere: Engine, tmp_path: Path) -> None:
    elsewhere.map(tasks.tell_process, [part(tmp_path, "bread")])

    assert files(tmp_path)["bread"].split()[1] == "1"


# --- What the seam is for -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """The examples, built without workers."""
    home = tmp_path_factory.mktemp("alone")
    return replace(build([EXAMPLES], home, StaticEncoder(), BuildOptions()), edition=str(home))


def test_an_edition_made_by_workers_is_the_same_to_the_byte(
    elsewhere: Engine, alone: BuildReport, tmp_path: Path
) -> None:
    parts = tmp_path / "parts"
    workers = Workers(elsewhere, PartsFolder(str(parts)), "static", tmp_path / "cache")

    report = build([EXAMPLES], tmp_path, StaticEncoder(), BuildOptions(), workers=workers)

    manifest, expected = open_current(tmp_path).manifest, open_current(Path(alone.edition)).manifest
    assert manifest["files"] == expected["files"]
    assert {"lists.sqlite3", "overview.sqlite3", "vectors.npz"} <= manifest["files"].keys()
    assert manifest["evaluation"] == expected["evaluation"]
    assert (report.encoded, report.reused, report.pages) == (alone.encoded, alone.reused, alone.pages)
    assert not parts.exists(), "what was made for this build is gone"
