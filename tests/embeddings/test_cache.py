"""Vectors on disk: kept between runs, apart by encoder, and never worth failing for."""

import shutil
import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest

from corpus.errors import CacheError, EncoderError
from embeddings import cache as module
from embeddings.cache import VERSION, VectorCache, open_cache
from embeddings.encoder import Matrix
from embeddings.vectors import unit_rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cache" / "vectors.sqlite3"


def rows(*values: tuple[float, ...]) -> Matrix:
    return np.array(values, dtype=np.float32)


def some_rows(number: int, dim: int = 8) -> Matrix:
    """Unit rows; the same for a call each time."""
    return unit_rows(np.random.default_rng(1).normal(size=(number, dim)).astype(np.float32))


def put(path: Path, fingerprint: str = "f", **vectors: tuple[float, ...]) -> None:
    with open_cache(path, fingerprint) as cache:
        cache.put(list(vectors), rows(*vectors.values()))


def get(path: Path, *texts: str, fingerprint: str = "f") -> dict[str, list[float]]:
    with open_cache(path, fingerprint) as cache:
        return {text: vector.tolist() for text, vector in cache.get(texts).items()}


def test_what_was_put_is_there_when_it_is_opened_again(path: Path) -> None:
    put(path, bread=(1, 0), clock=(0.6, 0.8))

    assert get(path, "bread", "clock", "map") == {"bread": [1, 0], "clock": [pytest.approx(0.6), pytest.approx(0.8)]}


def test_vectors_come_back_to_the_bit_and_as_float32(path: Path) -> None:
    matrix = some_rows(1, 384)
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
    texts, matrix = [f"text {number}" for number in range(12_003)], some_rows(12_003)
    with open_cache(path, "f") as cache:
        cache.put(texts, matrix)

        found = cache.get(texts)

    np.testing.assert_array_equal(np.stack([found[text] for text in texts]), matrix)


def test_nothing_asked_for_is_nothing_found(path: Path) -> None:
    assert get(path) == {}


def test_texts_and_rows_must_be_as_many(path: Path) -> None:
    with open_cache(path, "f") as cache, pytest.raises(ValueError, match="zip"):
        cache.put(["a", "b"], rows((1, 0)))

    assert get(path, "a") == {}


def test_texts_that_differ_in_one_character_are_two(path: Path) -> None:
    put(path, **{"bread": (1, 0), "bread ": (0, 1), "\ud800": (-1, 0)})

    assert get(path, "bread ", "\ud800", "Bread") == {"bread ": [0, 1], "\ud800": [-1, 0]}


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
        with pytest.raises(CacheError, match=r"locked.*another process holds it: wait for that to end"):
            VectorCache(path, "f")
    finally:
        other.close()

    assert get(path, "bread") == {"bread": [1, 0]}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


# --- What was flipped, and what was never right -------------------------------------------------------------------


def damage(path: Path, command: str, *values: object) -> None:
    """Change the file behind the cache's back."""
    db = sqlite3.connect(path)
    assert db.execute(command, values).rowcount > 0
    db.commit()
    db.close()


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_vector_in_which_a_bit_has_flipped_is_missing_until_it_is_put_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, bread=(1, 0), clock=(0, 1))
    good = path.read_bytes()
    place = good.index(np.array([1, 0], dtype="<f4").tobytes())
    path.write_bytes(flip(good, place))

    with open_cache(path, "f") as cache:
        assert list(cache.get(["bread", "clock"])) == ["clock"]
        assert cache.damaged == 1
        cache.put(["bread"], rows((1, 0)))
    assert caplog.messages == [f"rows of the vector cache {path} that were damaged, and are made anew: 1"]
    with open_cache(path, "f") as cache:
        assert sorted(cache.get(["bread", "clock"])) == ["bread", "clock"]
        assert (cache.damaged, cache.remark) == (0, None)


@pytest.mark.parametrize("column", ["encoder", "digest", "checksum", "value"])
def test_a_row_of_which_any_part_has_changed_is_missing(column: str, path: Path) -> None:
    put(path, bread=(1, 0), clock=(0, 1))
    put(path, "g", bread=(0, 1))
    changed = {
        "encoder": f"UPDATE vectors SET encoder = {zlib.crc32(b'f')} WHERE encoder = {zlib.crc32(b'g')}",  # noqa: S608
        "digest": "UPDATE vectors SET digest = zeroblob(32) WHERE id = 1",
        "checksum": "UPDATE vectors SET checksum = 'text' WHERE id = 1",
        "value": "UPDATE vectors SET value = (SELECT value FROM vectors WHERE id = 2) WHERE id = 1",
    }
    if column == "encoder":
        damage(path, "DELETE FROM vectors WHERE id = 1")
    damage(path, changed[column])

    assert get(path, "bread", "clock") == {"clock": [0, 1]}


def test_passages_in_which_a_bit_has_flipped_are_cut_again(path: Path) -> None:
    with open_cache(path, "f") as cache:
        cache.put_passages({"body": ["rye bread"], "other": ["map"]})
    path.write_bytes(path.read_bytes().replace(b"rye bread", b"eye bread"))

    with open_cache(path, "f") as cache:
        assert cache.get_passages(["body", "other"]) == {"other": ["map"]}
        assert cache.damaged == 1


def test_wherever_bits_flip_no_vector_is_wrong_and_all_can_be_kept_again(path: Path) -> None:
    texts, matrix = [f"text {number}" for number in range(300)], some_rows(300, 64)
    with open_cache(path, "f") as cache:
        cache.put(texts, matrix)
    good, rng = path.read_bytes(), np.random.default_rng(5)

    for _ in range(12):
        data = good
        for place in rng.integers(200, len(good), size=20):
            data = flip(data, int(place))
        path.write_bytes(data)
        with open_cache(path, "f") as cache:
            found = cache.get(texts)
            for text, row in zip(texts, matrix, strict=True):
                assert text not in found or found[text].tobytes() == row.tobytes()
            cache.put(texts, matrix)


def test_a_damaged_page_costs_the_rows_that_stood_on_it(path: Path) -> None:
    texts, matrix = [f"text {number}" for number in range(300)], some_rows(300, 64)
    with open_cache(path, "f") as cache:
        cache.put(texts, matrix)
    good = path.read_bytes()
    page = good.rindex(matrix[150].tobytes()) // 16384 * 16384
    path.write_bytes(good[:page] + b"\xff" * 16384 + good[page + 16384 :])

    with open_cache(path, "f") as cache:
        found = cache.get(texts)
        rescued, remark = cache.rescued, cache.remark

    assert 200 < len(found) < 300
    assert rescued == len(found)
    assert remark is not None
    assert f"{rescued} rows of it are kept, all others are made anew" in remark
    assert "set aside as vectors.sqlite3.damaged" in remark
    assert all(found[text].tobytes() == row.tobytes() for text, row in zip(texts, matrix, strict=True) if text in found)
    assert len(get(path, *texts)) == len(found)


@pytest.mark.parametrize("row", [(1.0, 0.5), (0.0, 0.0), (float("nan"), 0.0)], ids=["long", "zero", "nan"])
def test_a_vector_that_is_no_unit_vector_is_neither_kept_nor_given(row: tuple[float, float], path: Path) -> None:
    put(path, bread=(1, 0))
    with open_cache(path, "f") as cache:
        with pytest.raises(EncoderError, match=r"gave 'clock' a vector of length .*, where 1 is expected"):
            cache.put(["bread", "clock"], rows((0, 1), row))
        assert list(cache.get(["bread", "clock"])) == ["bread"]

    value = np.array(row, dtype="<f4").tobytes()  # as a program without the check has written it
    with pytest.MonkeyPatch.context() as patch, open_cache(path, "f") as cache:
        patch.setattr(module, "_are_unit", lambda matrix: np.ones(len(matrix), dtype=bool))
        cache.put(["bread"], np.frombuffer(value, dtype=np.float32).reshape(1, 2))
    assert get(path, "bread") == {}


# --- Other versions, and disks that cannot be written -------------------------------------------------------------


@pytest.mark.parametrize("version", [0, VERSION + 1], ids=["before checksums", "newer"])
def test_a_file_of_another_version_is_set_aside(version: int, path: Path) -> None:
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE vectors (fingerprint TEXT, digest BLOB, vector BLOB)")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    before = path.read_bytes()

    put(path, bread=(1, 0))

    assert get(path, "bread") == {"bread": [1, 0]}
    assert path.with_name(f"vectors.sqlite3.version-{version}").read_bytes() == before


def test_a_file_of_another_version_that_is_in_use_stays_where_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(parents=True)
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE vectors (fingerprint TEXT, digest BLOB, vector BLOB)")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda name: connect(name, timeout=0))

    with pytest.raises(CacheError, match="another process holds it"):
        VectorCache(path, "f")

    other.execute("INSERT INTO vectors VALUES ('f', 'd', 'v')")
    other.close()


def test_a_folder_that_cannot_be_made_is_refused_with_a_way_out(path: Path) -> None:
    path.parent.parent.mkdir()
    path.parent.touch()

    with pytest.raises(CacheError, match=r"cannot be used \(.*File exists.*\): .* only time is lost"):
        VectorCache(path, "f")


def test_a_file_that_grew_past_the_disk_says_that_what_was_encoded_is_kept(path: Path) -> None:
    texts, matrix = [f"text {number}" for number in range(2000)], some_rows(2000, 64)
    with open_cache(path, "f") as cache:
        cache.put(texts[:100], matrix[:100])
        cache._db.execute("PRAGMA max_page_count = 10")
        with pytest.raises(CacheError, match=r"disk is full.*free some space and run this again; what was encoded"):
            cache.put(texts, matrix)

    assert sorted(get(path, *texts)) == sorted(texts[:100])


def test_the_file_holds_no_pickle(path: Path) -> None:
    put(path, bread=(1, 0))
    with open_cache(path, "f") as cache:
        cache.put_passages({"body": ["a"]})

    db = sqlite3.connect(path)
    blob = db.execute("SELECT value FROM vectors").fetchone()[0]
    texts = db.execute("SELECT value FROM passages").fetchone()[0]
    db.close()
    assert blob == np.array([1, 0], dtype="<f4").tobytes()
    assert texts == b'["a"]'


def test_what_one_cache_has_put_another_sees_at_once(path: Path) -> None:
    with open_cache(path, "f") as one, open_cache(path, "f") as two:
        one.put(["bread"], rows((1, 0)))

        assert list(two.get(["bread"])) == ["bread"]
