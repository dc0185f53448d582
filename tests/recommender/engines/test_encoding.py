"""Texts encoded in parts: the job then finds every vector in the cache, the same to the bit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpus.catalogue import Catalogue, build_catalogue
from corpus.errors import EngineError
from corpus.essay import Blurb, Essay
from embeddings.cache import VectorCache, open_cache
from embeddings.encoder import cache_key
from embeddings.static import StaticEncoder
from recommender.encoded import encode_catalogue
from recommender.engines.encoding import encode_in_parts
from recommender.engines.engine import Part, Task
from recommender.watch import Counting, Unwatched
from tests.fakes import CountingEncoder, essay
from tests.recommender.engines.elsewhere import Elsewhere, Stopped, workers_at


@pytest.fixture(scope="module")
def static() -> StaticEncoder:
    return StaticEncoder()


@pytest.fixture
def cache(tmp_path: Path, static: StaticEncoder) -> Iterator[VectorCache]:
    with open_cache(tmp_path / "vectors.sqlite3", cache_key(static)) as opened:
        yield opened


def essays() -> list[Essay]:
    """Thirty, of several passages; two of one text, one without title, some with lists of blurbs."""
    lists = [Blurb(f"essay{number:02}", 1, text=f"Why is the bread of day {number} rye?") for number in range(30)]
    made = [
        essay(
            f"essay{number:02}",
            "\n\n".join(f"Bread rises on day {day} of {number}. " * 40 for day in range(4)),
            title=f"Day {number}",
            standfirst="How the bread rose.",
            blurbs=(lists[number],) if number % 3 == 0 else (),
        )
        for number in range(30)
    ]
    return [replace(made[0], title=None), *made[1:], replace(made[5], id="twin", source="twin.txt", blurbs=())]


@pytest.fixture(scope="module")
def site() -> Catalogue:
    return build_catalogue(essays())


def encode(site: Catalogue, cache: VectorCache, tmp_path: Path, engine: Elsewhere) -> int:
    return encode_in_parts(site, StaticEncoder(), cache, workers_at(tmp_path, engine), Unwatched())


def test_the_job_finds_all_that_it_would_have_encoded_and_counts_it_as_encoded(
    site: Catalogue, static: StaticEncoder, cache: VectorCache, tmp_path: Path
) -> None:
    with open_cache(tmp_path / "alone.sqlite3", cache_key(static)) as other:
        expected = encode_catalogue(site, static, other, Unwatched())
    nobody = CountingEncoder(window=static.window)
    nobody.dim = static.dim
    engine, counting = Elsewhere(), Counting(Unwatched())

    just_encoded = encode_in_parts(site, static, cache, workers_at(tmp_path, engine), counting)
    found = encode_catalogue(site, nobody, cache, Unwatched(), just_encoded)

    assert nobody.calls == 0
    assert found.count == expected.count
    for name in ("vectors", "summaries", "bodies", "blurbs", "shown_vectors"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.passages
    assert expected.passages
    assert np.array_equal(found.passages.matrix, expected.passages.matrix)
    assert len(engine.made) == 5, "thirty essays, the twin left out, in slices of eight, and one of blurbs"
    assert counting.done == {"encoding, in parts": 5}


def test_what_the_cache_holds_is_not_sent(
    site: Catalogue, static: StaticEncoder, cache: VectorCache, tmp_path: Path
) -> None:
    encode(site, cache, tmp_path, Elsewhere())
    changed = [replace(one, title="Day of rest") if one.id == "essay07" else one for one in essays()]
    engine, idle = Elsewhere(), Elsewhere()

    assert encode(site, cache, tmp_path / "later", idle) == 0
    assert encode(build_catalogue(changed), cache, tmp_path / "later", engine) == 1

    assert (len(idle.made), len(engine.made)) == (0, 1)


def test_a_driver_that_was_killed_goes_on_from_the_parts_that_are_there(
    site: Catalogue, cache: VectorCache, tmp_path: Path
) -> None:
    first, second = Elsewhere(limit=3), Elsewhere()
    with pytest.raises(Stopped):
        encode(site, cache, tmp_path, first)

    encode(site, cache, tmp_path, second)

    assert (len(first.made), len(second.made)) == (3, 2)


def test_texts_that_a_worker_is_given_are_removed_when_they_are_damaged(
    site: Catalogue, cache: VectorCache, tmp_path: Path
) -> None:
    class Damaging(Elsewhere):
        """A disk that changes a letter of what workers are given."""

        def map(self, task: Task, parts: Sequence[Part], progress: Callable[[int], None] = lambda done: None) -> None:
            damaged = Path(parts[0].given["work"])
            damaged.write_bytes(damaged.read_bytes().replace(b"read", b"rown", 1))
            super().map(task, parts, progress)

    with pytest.raises(EngineError, match=r"^given-\w+ was damaged and is removed: run this again$"):
        encode(site, cache, tmp_path, Damaging())

    engine = Elsewhere()
    encode(site, cache, tmp_path, engine)
    assert len(engine.made) == 5


def test_a_part_of_another_model_is_never_taken_for_its_own(
    site: Catalogue, cache: VectorCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(site, cache, tmp_path, Elsewhere())
    engine = Elsewhere()
    other = StaticEncoder()
    other.arithmetic = "numpy fp64 mean"

    with (
        open_cache(tmp_path / "other.sqlite3", cache_key(other)) as empty,
        pytest.raises(EngineError, match=r"would encode as .* numpy fp32 mean, where .* numpy fp64 mean is asked"),
    ):
        encode_in_parts(site, other, empty, workers_at(tmp_path, engine), Unwatched())
