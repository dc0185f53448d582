"""Which kind of index, all pairs of a matrix, what an index must find, and its file."""

import json
from hashlib import sha256
from pathlib import Path

import faiss
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from corpus.errors import IndexRefused, SettingsError, ShapeMismatch
from embeddings.encoder import Matrix
from embeddings.vectors import Vectors, unit_rows
from recommender import index as index_module
from recommender.index import (
    EXACT_UP_TO,
    HALF_PRECISION_UP_TO,
    KINDS,
    ExactIndex,
    FaissIndex,
    Kind,
    WithChanges,
    all_pairs,
    kind_for,
    neighbour_recall,
    open_index,
)
from service.settings import INDEXES

APPROXIMATE: tuple[Kind, ...] = ("hnsw", "ivf", "ivf8")


def clustered(count: int, dim: int = 32, seed: int = 3) -> Matrix:
    """Rows around centres, a few dozen to each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, count // 40), dim))
    return unit_rows(
        (centres[rng.integers(len(centres), size=count)] + 0.6 * rng.normal(size=(count, dim))).astype("f4")
    )


def scattered(count: int, dim: int) -> Matrix:
    """Rows in all directions alike: no cell and no graph leads to the nearest."""
    return unit_rows(np.random.default_rng(4).normal(size=(count, dim)).astype(np.float32))


def vectors_of(matrix: Matrix) -> Vectors:
    return Vectors(tuple(f"{row:05}" for row in range(len(matrix))), matrix, "f")


def others_one_by_one(matrix: Matrix, k: int) -> list[list[int]]:
    cosines = np.round(matrix.astype(np.float64) @ matrix.T.astype(np.float64), 6)
    rows = range(len(matrix))
    return [sorted((i for i in rows if i != own), key=lambda i, own=own: (-cosines[own, i], i))[:k] for own in rows]


@pytest.mark.parametrize(
    ("count", "kind"),
    [
        (0, "exact"),
        (EXACT_UP_TO, "exact"),
        (EXACT_UP_TO + 1, "ivf"),
        (HALF_PRECISION_UP_TO, "ivf"),
        (HALF_PRECISION_UP_TO + 1, "ivf8"),
    ],
)
def test_the_kind_follows_from_the_number_of_vectors(count: int, kind: Kind) -> None:
    assert kind_for(count) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_setting_overrules_the_number(kind: Kind) -> None:
    assert kind_for(5_000_000, kind) == kind_for(3, kind) == kind
    assert FaissIndex(vectors_of(clustered(100)), kind).kind == kind


def test_the_exact_pairs_are_those_found_one_by_one() -> None:
    matrix = clustered(300, dim=8)

    rows, similarities = all_pairs(matrix, 7)

    assert rows.tolist() == others_one_by_one(matrix, 7)
    assert (rows.dtype, similarities.dtype) == (np.int64, np.float32)
    assert similarities == pytest.approx((matrix[:, None, :] * matrix[rows]).sum(axis=2), abs=1e-6)


def test_a_row_is_near_its_equals_and_never_to_itself() -> None:
    """More equal rows than are asked for: the row itself need not be among the first of them."""
    matrix = np.repeat(np.eye(2, dtype=np.float32), 30, axis=0)

    rows, similarities = all_pairs(matrix, 4)

    assert rows.tolist() == others_one_by_one(matrix, 4)
    assert (similarities == 1).all()
    assert rows[3].tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_rows_have_no_more_others_than_there_are(kind: Kind, count: int) -> None:
    matrix = np.eye(3, dtype=np.float32)[:count]

    rows, similarities = all_pairs(matrix, 50, kind)

    assert rows.shape == similarities.shape == (count, max(0, count - 1))
    assert rows.tolist() == others_one_by_one(matrix, 50)


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_pairs_of_every_kind_are_nearly_the_exact_ones(kind: Kind) -> None:
    matrix = clustered(3000)

    rows, similarities = all_pairs(matrix, 20, kind)

    _, nearest = all_pairs(matrix, 20, "exact")
    assert rows.shape == (3000, 20)
    assert (rows != np.arange(3000)[:, None]).all()
    assert (np.diff(similarities) <= 0).all()
    assert np.mean(similarities >= nearest[:, -1:]) >= 0.99


def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = clustered(500)
    rows, similarities = all_pairs(matrix, 10)

    monkeypatch.setattr(index_module, "_BLOCK", 7)

    in_small_blocks = all_pairs(matrix, 10)
    assert (in_small_blocks[0] == rows).all()
    assert (in_small_blocks[1] == similarities).all()


def test_progress_adds_up_to_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_BLOCK", 64)
    done: list[int] = []

    all_pairs(clustered(150), 5, progress=done.append)

    assert done == [64, 64, 22]


def test_a_matrix_mapped_from_a_file_is_searched_as_it_is(tmp_path: Path) -> None:
    matrix = clustered(200)
    np.save(tmp_path / "matrix.npy", matrix)

    rows, _ = all_pairs(np.load(tmp_path / "matrix.npy", mmap_mode="r"), 5)

    assert (rows == all_pairs(matrix, 5)[0]).all()


def test_rows_that_are_not_of_unit_length_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = clustered(200)
    matrix[150] *= 2

    with pytest.raises(ShapeMismatch, match=r"expected unit rows, but row 150 has length 2.0000"):
        all_pairs(matrix, 5)


def test_less_than_one_neighbour_is_refused() -> None:
    with pytest.raises(ValueError, match="k must be 1 or more, got 0"):
        all_pairs(clustered(10), 0)


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_the_same_vectors_make_the_same_index_byte_for_byte_on_one_thread_and_on_two(
    kind: Kind, tmp_path: Path
) -> None:
    vectors = vectors_of(clustered(3000))
    for threads in (1, 2):
        with threadpool_limits(threads):
            FaissIndex(vectors, kind).save(tmp_path / f"on-{threads}")

    assert (tmp_path / "on-1").read_bytes() == (tmp_path / "on-2").read_bytes()
    assert (tmp_path / "on-1.json").read_text() == (tmp_path / "on-2.json").read_text()


def test_neighbour_recall_is_the_share_of_the_nearest_others_that_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = scattered(1500, 24)
    monkeypatch.setattr(index_module, "NEIGHBOUR_RECALL", 0.3)
    monkeypatch.setattr(index_module, "_EFFORTS", {"ivf": (6,)})
    index = FaissIndex(vectors_of(matrix), "ivf")

    recall = neighbour_recall(index, 10, sample=1500)

    found = index.search_rows(matrix, 11)[0]
    exact = ExactIndex(index.vectors).search_rows(matrix, 11)[0]
    others = [[{*row.tolist()} - {own} for own, row in enumerate(lists)] for lists in (found, exact)]
    by_hand = np.mean([len(near & true) / 10 for near, true in zip(*others, strict=True)])
    assert 0.4 < by_hand < 0.95
    assert recall == pytest.approx(by_hand, abs=0.002)
    assert neighbour_recall(index, 10, sample=50, seed=1) == neighbour_recall(index, 10, sample=50, seed=1)
    assert neighbour_recall(index, 10, sample=50, seed=1) != neighbour_recall(index, 10, sample=50, seed=2)


def test_exact_search_finds_all_of_them_and_so_does_a_site_of_copies() -> None:
    copies = np.repeat(np.eye(2, dtype=np.float32), 40, axis=0)

    assert neighbour_recall(FaissIndex(vectors_of(clustered(500))), 10) == 1.0
    assert [neighbour_recall(FaissIndex(vectors_of(copies), kind), 10) for kind in KINDS] == [1.0] * 4
    assert neighbour_recall(FaissIndex(vectors_of(copies[:1])), 10) == 1.0


def test_an_index_is_searched_as_thoroughly_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = vectors_of(scattered(1500, 24))

    thorough = neighbour_recall(FaissIndex(vectors, "ivf"), 50, sample=1500)

    monkeypatch.setattr(index_module, "NEIGHBOUR_RECALL", 0.5)
    hasty = neighbour_recall(FaissIndex(vectors, "ivf"), 50, sample=1500)
    assert thorough > 0.985
    assert hasty < 0.9


def test_an_index_that_finds_too_little_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_EFFORTS", {"ivf": (3, 4)})
    matrix = scattered(1500, 24)

    with pytest.raises(
        IndexRefused, match=r"kind ivf over 1,500 vectors finds \d\d\.\d% .* not 99%: set index = exact"
    ):
        all_pairs(matrix, 10, "ivf")
    with pytest.raises(IndexRefused, match="set index = exact"):
        FaissIndex(vectors_of(matrix), "ivf")


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_answers_as_before(kind: Kind, tmp_path: Path) -> None:
    vectors = vectors_of(clustered(1000))
    index = FaissIndex(vectors, kind)
    index.save(tmp_path / "index")

    opened = open_index(tmp_path / "index", vectors)

    assert opened.kind == kind
    assert opened.search(vectors.matrix, 9) == index.search(vectors.matrix, 9)


@pytest.mark.parametrize("kind", APPROXIMATE)
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no other way to see what is mapped")
def test_an_opened_index_is_mapped_so_that_processes_share_it(kind: Kind, tmp_path: Path) -> None:
    vectors = vectors_of(clustered(1000))
    FaissIndex(vectors, kind).save(tmp_path / "index")

    opened = open_index(tmp_path / "index", vectors)

    assert str(tmp_path / "index") in Path("/proc/self/maps").read_text()
    assert opened.fingerprint == "f"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    FaissIndex(SAVED_OF, "ivf").save(tmp_path / "index")
    return tmp_path / "index"


SAVED_OF = vectors_of(clustered(400))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def record_of(path: Path) -> Path:
    return path.with_name("index.json")


def sign(path: Path, **changes: object) -> None:
    """Change the description and set its digest right again."""
    record = json.loads(record_of(path).read_text()) | changes
    del record["digest"]
    record["digest"] = sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    record_of(path).write_text(json.dumps(record))


def put_an_id_map(path: Path) -> None:
    inner = faiss.index_factory(SAVED_OF.dim, "IDMap2,IVF4,SQfp16")
    inner.train(SAVED_OF.matrix)
    inner.add_with_ids(SAVED_OF.matrix, np.arange(len(SAVED_OF)))
    faiss.write_index(inner, str(path))
    sign(path, file=sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut_short, "index is damaged: its bytes are not as written; build it again"),
        (flip_a_bit, "index is damaged: its bytes are not as written; build it again"),
        (Path.unlink, "there is no index at .*index: build it again"),
        (lambda path: record_of(path).unlink(), "there is no index at .*index.json: build it again"),
        (lambda path: cut_short(record_of(path)), "index cannot be read: .*; build it again"),
        (lambda path: record_of(path).write_bytes(b"\xff\xfe"), "index cannot be read: .*; build it again"),
        (lambda path: record_of(path).write_text("[]"), "index cannot be read: .*; build it again"),
        (
            lambda path: record_of(path).write_text(record_of(path).read_text().replace('"effort": ', '"effort": 1')),
            "index is damaged: its description is not as written; build it again",
        ),
        (lambda path: sign(path, format=2), "index is of format 2, not 1: build it again"),
        (lambda path: sign(path, kind="hnsw"), "index is none of kind hnsw over 400 vectors"),
        (put_an_id_map, "index is none of kind ivf over 400 vectors"),
    ],
    ids="cut flipped gone undescribed half-described binary list edited newer mislabelled id-map".split(),
)
def test_a_file_that_is_not_what_was_saved_is_refused(saved: Path, damage: object, sentence: str) -> None:
    damage(saved)  # type: ignore[operator]

    with pytest.raises(IndexRefused, match=sentence):
        open_index(saved, SAVED_OF)


@pytest.mark.parametrize(
    "other",
    [
        Vectors(SAVED_OF.ids[::-1], SAVED_OF.matrix, "f"),
        Vectors(SAVED_OF.ids, SAVED_OF.matrix, "g"),
        Vectors(SAVED_OF.ids, np.ascontiguousarray(SAVED_OF.matrix[::-1]), "f"),
    ],
    ids=["ids", "fingerprint", "matrix"],
)
def test_an_index_of_other_vectors_is_refused(saved: Path, other: Vectors) -> None:
    with pytest.raises(IndexRefused, match="index was built of other vectors: build it again"):
        open_index(saved, other)


def test_where_nothing_can_be_written_a_sentence_says_so(tmp_path: Path) -> None:
    for kind in ("exact", "ivf"):
        with pytest.raises(IndexRefused, match=r"the index cannot be written to .*nowhere"):
            FaissIndex(SAVED_OF, kind).save(tmp_path / "nowhere" / "index")


def test_vectors_of_another_encoder_are_not_laid_over_an_index() -> None:
    index = FaissIndex(SAVED_OF)

    for fingerprint, dim in (("g", 32), ("f", 31)):
        with pytest.raises(ShapeMismatch, match=f"vectors of {fingerprint}, width {dim}, cannot be laid over"):
            WithChanges(index, Vectors((), np.zeros((0, dim), np.float32), fingerprint))


def test_an_unknown_kind_is_refused_before_anything_is_searched() -> None:
    with pytest.raises(SettingsError, match="index = 'annoy' is not known: use one of auto, exact, hnsw, ivf, ivf8"):
        all_pairs(clustered(10), 3, "annoy")


def test_the_settings_know_every_kind() -> None:
    assert ("auto", *KINDS) == INDEXES
