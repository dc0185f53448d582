"""Vectors on disk: kept between runs, apart by encoder, and never worth failing for."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from embeddings.cache import VectorCache, open_cache
from embeddings.encoder import Matrix


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cache" / "vectors.sqlite3"


def rows(*values: tuple[float, ...]) -> Matrix:
    return np.array(values, dtype=np.float32)


def put(path: Path, fingerprint: str = "f", **vectors: tuple[float, ...]) -> None:
    with open_cache(path, fingerprint) as cache:
        cache.put(list(vectors), rows(*vectors.values()))


def get(path: Path, *texts: str, fingerprint: str = "f") -> dict[str, list[float]]:
    with open_cache(path, fingerprint) as cache:
        return {text: vector.tolist() for text, vector in cache.get(texts).items()}


def test_what_was_put_is_there_when_it_is_opened_again(path: Path) -> None:
    put(path, bread=(1, 0), clock=(0.5, 0.25))

    assert get(path, "bread", "clock", "map") == {"bread": [1, 0], "clock": [0.5, 0.25]}


def test_vectors_come_back_to_the_bit_and_as_float32(path: Path) -> None:
    matrix = np.random.default_rng(1).normal(size=(1, 384)).astype(np.float32)
    with open_cache(path, "f") as cache:
        cache.put(["text"], matrix)

    with open_cache(path, "f") as cache:
        [vector] = cache.get(["text"]).values()
    assert vector.dtype == np.float32
    assert vector.tobytes() == matrix[0].tobytes()


def test_two_encoders_never_see_each_others_vectors_or_passages(path: Path) -> None:
    put(path, "one", bread=(1, 0))
    put(path, "two", bread=(0, 1))
    with open_cache(path, "one") as cache:
        cache.put_passages({"body": ["a", "b"]})

    assert get(path, "bread", fingerprint="one") == {"bread": [1, 0]}
    assert get(path, "bread", fingerprint="two") == {"bread": [0, 1]}
    assert get(path, "bread", fingerprint="three") == {}
    with open_cache(path, "two") as cache:
        assert cache.get_passages(["body"]) == {}


def test_passages_are_kept_in_order_by_their_body(path: Path) -> None:
    with open_cache(path, "f") as cache:
        cache.put_passages({"body": ["second", "first", "zażółć"], "empty": []})

    with open_cache(path, "f") as cache:
        assert cache.get_passages(["body", "empty", "other"]) == {"body": ["second", "first", "zażółć"], "empty": []}


def test_what_is_put_again_is_replaced(path: Path) -> None:
    put(path, bread=(1, 0))
    put(path, bread=(0, 1))

    assert get(path, "bread") == {"bread": [0, 1]}


def test_more_texts_than_a_query_may_bind_are_found(path: Path) -> None:
    texts = [f"text {number}" for number in range(1203)]
    with open_cache(path, "f") as cache:
        cache.put(texts, np.arange(1203, dtype=np.float32).reshape(-1, 1))

        found = cache.get(texts)

    assert [found[text].tolist() for text in texts] == [[number] for number in range(1203)]


def test_nothing_asked_for_is_nothing_found(path: Path) -> None:
    assert get(path) == {}


def test_texts_and_rows_must_be_as_many(path: Path) -> None:
    with open_cache(path, "f") as cache, pytest.raises(ValueError, match="zip"):
        cache.put(["a", "b"], rows((1, 0)))

    assert get(path, "a") == {}


def test_texts_that_differ_in_one_character_are_two(path: Path) -> None:
    put(path, **{"bread": (1, 0), "bread ": (0, 1), "\ud800": (0.5, 0)})

    assert get(path, "bread ", "\ud800", "Bread") == {"bread ": [0, 1], "\ud800": [0.5, 0]}


@pytest.mark.parametrize(
    "damage", [b"no database at all " * 100, b"SQLite format 3\x00" + b"\xff" * 4096], ids=["text", "header only"]
)
def test_a_damaged_file_is_set_aside_and_begun_anew(path: Path, damage: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)

    put(path, bread=(1, 0))

    assert get(path, "bread") == {"bread": [1, 0]}
    assert path.with_name("vectors.sqlite3.damaged").read_bytes() == damage


def test_a_damaged_file_takes_its_unwritten_changes_with_it(path: Path) -> None:
    put(path, **{f"text {number}": (1, 0) for number in range(2000)})
    cache = VectorCache(path, "f")
    cache.put(["bread"], rows((1, 0)))
    changes = path.with_name(path.name + "-wal")
    killed = path.with_name("killed-wal")
    shutil.copy(changes, killed)  # what stays behind when a build is killed
    cache.close()
    path.write_bytes(b"no database at all " * 100)
    killed.rename(changes)

    put(path, clock=(0, 1))

    assert get(path, "clock", "bread", "text 1") == {"clock": [0, 1]}
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def test_a_database_in_use_is_not_taken_for_a_damaged_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, bread=(1, 0))
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda name: connect(name, timeout=0))
    other = connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")

    try:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            VectorCache(path, "f")
    finally:
        other.close()

    assert get(path, "bread") == {"bread": [1, 0]}
    assert not path.with_name("vectors.sqlite3.damaged").exists()


def test_the_file_holds_no_pickle(path: Path) -> None:
    put(path, bread=(1, 0))
    with open_cache(path, "f") as cache:
        cache.put_passages({"body": ["a"]})

    db = sqlite3.connect(path)
    blob = db.execute("SELECT vector FROM vectors").fetchone()[0]
    texts = db.execute("SELECT texts FROM passages").fetchone()[0]
    db.close()
    assert blob == np.array([1, 0], dtype="<f4").tobytes()
    assert texts == '["a"]'


def test_what_one_cache_has_put_another_sees_at_once(path: Path) -> None:
    with open_cache(path, "f") as one, open_cache(path, "f") as two:
        one.put(["bread"], rows((1, 0)))

        assert list(two.get(["bread"])) == ["bread"]
