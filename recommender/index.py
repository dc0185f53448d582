"""Nearest neighbours, by id and by row number. The only importer of faiss.

`ExactIndex` is the plain twin that every other index is compared with. `FaissIndex` does the same, faster, in one of
four kinds, chosen by the number of vectors (`kind_for`) unless a setting says otherwise:

    exact   every product computed over the vectors themselves: nothing to build, no second copy, equal to the twin
    hnsw    a graph over float16 (IndexHNSWSQ)
    ivf     cells over float16 (IndexIVFScalarQuantizer)
    ivf8    cells over 8 bits

Of the last three only the rows come from FAISS. Their similarities are computed from the float32 vectors, and an index
that finds less than NEIGHBOUR_RECALL of what exact search finds is not built. benchmarks/results/index.md has what
each costs.

An index is never changed: HNSW has no removal, and an id map over IVF (IndexIDMap2) gave the wrong id for every row
after one. What came and went since is laid over it by `WithChanges`, and a build makes a new one.

What callers may rely on: `Index`, `RowIndex`, `FaissIndex` and its `save`, `open_index`, `kind_for`, `all_pairs`,
`neighbour_recall`, `WithChanges`.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import faiss
import numpy as np
from numpy.typing import NDArray

from corpus.errors import IndexRefused, SettingsError, ShapeMismatch
from embeddings.encoder import Matrix, Progress
from embeddings.vectors import Vectors, check_unit_rows
from recommender.disk import flush, write_whole

_faiss: Any = faiss  # its stubs lack what it adds when it is imported

DECIMALS = 6
"""Similarities are summed in float64 and rounded to this before they are ordered: float32 sums differ in the seventh
digit from one matrix product to another, and neither ties nor the last digit must depend on it."""

EXACT_UP_TO = 150_000
HALF_PRECISION_UP_TO = 1_000_000
"""Most vectors that are searched exactly, and in cells of float16, unless a setting says otherwise."""

NEIGHBOUR_RECALL = 0.99
"""Least share of the exact neighbours that an index must find."""

_FLOAT32_ERROR = 2e-6  # how much nearer an item may be than FAISS, which sums in float32, believes
_SAMPLE = 500  # rows whose neighbours are compared with exact search: a standard error of 0.001 at a recall of 0.99
_DEPTH = 50  # neighbours compared of each: an edition's candidates
_SPARE = {"hnsw": 1.25, "ivf": 1.25, "ivf8": 1.5}  # fetched for each one asked for, and put in order by float32
_EFFORTS = {  # efSearch, nprobe
    "hnsw": (64, 128, 256, 512, 1024),
    "ivf": (4, 8, 16, 32, 64, 128, 256, 512),
    "ivf8": (4, 8, 16, 32, 64, 128, 256, 512),
}
_LEAST_SHARE = 0.1  # of the rows: HNSW with a filter that left 0.3% gave 3 of 10, without an error
_BLOCK = 1024  # queries at once; 60 neighbours' float32 vectors of 384 for each make 90 MB
_FACTORY = {"hnsw": "HNSW32_SQfp16", "ivf": "IVF{cells},SQfp16", "ivf8": "IVF{cells},SQ8"}
_FORMAT = 1

Kind = Literal["exact", "hnsw", "ivf", "ivf8"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Similarities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item of the index and its cosine similarity to the query, -1 to 1, larger is nearer."""

    id: str
    similarity: float


class Index(Protocol):
    """tests/contracts/test_index.py runs on every implementation."""

    @property
    def fingerprint(self) -> str: ...

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """The k nearest items of each query, nearest first, ties by id.

        queries: float32, shape (q, dim), unit rows. Fewer than k come back when the index is smaller.
        Raises ShapeMismatch for another width, dtype or length of rows, ValueError for a k under 1.
        """
        ...


class RowIndex(Index, Protocol):
    """An index that tells row numbers too."""

    def search_rows(self, queries: Matrix, k: int, among: Mask | None = None) -> tuple[Rows, Matrix]:
        """The k nearest rows, by number, of the vectors that the index was built of, ties by row: rows int64 and
        similarities float32, both of shape (q, min(k, rows that may come)).

        among: bool, shape (n,), the rows that may come; all without it. Raises as search does, and ValueError for a
        mask of another shape or dtype.
        """
        ...


class ExactIndex:
    """Every similarity computed and sorted in numpy: slow, and right by construction."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self.fingerprint = vectors.fingerprint

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """See Index.search."""
        return [nearest_of(self._vectors.ids, row, k) for row in self._similarities(queries, k)]

    def search_rows(self, queries: Matrix, k: int, among: Mask | None = None) -> tuple[Rows, Matrix]:
        """See Index.search_rows."""
        left = _rows_left(among, len(self._vectors))
        similarities = self._similarities(queries, k)[:, left]
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        return left[order], np.take_along_axis(similarities, order, axis=1).astype(np.float32)

    def _similarities(self, queries: Matrix, k: int) -> Similarities:
        check_queries(queries, k, self._vectors.dim)
        return rounded(queries.astype(np.float64) @ self._vectors.matrix.astype(np.float64).T)


class FaissIndex:
    """FAISS, of any kind. Building one is deterministic: the same vectors make the same index.

    setting: see kind_for. opened: what open_index has read. Raises SettingsError for a setting that is not known, and
    IndexRefused when no search effort finds NEIGHBOUR_RECALL of the exact neighbours.
    """

    def __init__(self, vectors: Vectors, setting: str = "auto", opened: "RowSearch | None" = None) -> None:
        self.vectors = vectors
        self.fingerprint = vectors.fingerprint
        self._search = opened or RowSearch(vectors.matrix, setting)

    @property
    def kind(self) -> Kind:
        """How it searches."""
        return self._search.kind

    @cached_property
    def _place_of_id(self) -> Rows:
        """Where each row's id stands among all ids in order."""
        ids = self.vectors.ids
        places = np.empty(len(ids), dtype=np.int64)
        places[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
        return places

    def search(self, queries: Matrix, k: int, among: Mask | None = None) -> list[list[Neighbour]]:
        """See Index.search; among: see Index.search_rows."""
        rows, similarities = self._search(queries, k, self._place_of_id, among)
        ids = self.vectors.ids
        return [
            [Neighbour(ids[row], similarity) for row, similarity in zip(*near, strict=True)]
            for near in zip(rows.tolist(), similarities.tolist(), strict=True)
        ]

    def search_rows(self, queries: Matrix, k: int, among: Mask | None = None) -> tuple[Rows, Matrix]:
        """See Index.search_rows."""
        rows, similarities = self._search(queries, k, None, among)
        return rows, similarities.astype(np.float32)

    def save(self, path: Path) -> None:
        """Write what was built to the path, and what it is beside it (.json). The vectors are no part of it: they are
        kept by who has them, and an exact index is nothing else. Raises IndexRefused when it cannot be written.
        """
        try:
            content = self._search.write(path)
            record = {"format": _FORMAT, "vectors": _digest(self.vectors), **content}
            write_whole(_record_path(path), json.dumps(record | {"digest": _digest_of_record(record)}, sort_keys=True))
        except (OSError, RuntimeError) as error:
            raise IndexRefused(f"the index cannot be written to {path}: {error}") from error


def open_index(path: Path, vectors: Vectors) -> FaissIndex:
    """The index that was saved there, over the vectors that it was built of. Its file is mapped, not read into memory:
    processes share it. It is read once, to compare its digest.

    Raises IndexRefused when there is none, or it is damaged, of another format, or of other vectors.
    """
    try:
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
        if record.get("format") != _FORMAT:
            raise IndexRefused(f"the index {path} is of format {record.get('format')}, not {_FORMAT}: build it again")
        if record.pop("digest", None) != _digest_of_record(record):
            raise IndexRefused(f"the index {path} is damaged: its description is not as written; build it again")
        if record["vectors"] != _digest(vectors):
            raise IndexRefused(f"the index {path} was built of other vectors: build it again")
        return FaissIndex(vectors, opened=RowSearch.read(path, vectors.matrix, record))
    except FileNotFoundError as error:
        raise IndexRefused(f"there is no index at {error.filename}: build it again") from error
    except (OSError, RuntimeError, ValueError, AttributeError) as error:
        raise IndexRefused(f"the index {path} cannot be read: {error}; build it again") from error


class WithChanges:
    """An Index over another, and over what came and went since that was built.

    since: searched exactly; an id that the index has too is found by its vector here. removed: ids of the index that
    are not found any more. Raises ShapeMismatch when since is of another encoder.
    """

    def __init__(self, index: FaissIndex, since: Vectors, removed: Collection[str] = ()) -> None:
        if (since.fingerprint, since.dim) != (index.fingerprint, index.vectors.dim):
            raise ShapeMismatch(
                f"vectors of {since.fingerprint}, width {since.dim}, cannot be laid over an index of "
                f"{index.fingerprint}, width {index.vectors.dim}"
            )
        gone = {*removed, *since.ids}
        self.fingerprint = index.fingerprint
        self._index, self._since = index, FaissIndex(since)
        self._kept = np.array([ident not in gone for ident in index.vectors.ids], dtype=np.bool_)

    def search(self, queries: Matrix, k: int) -> list[list[Neighbour]]:
        """See Index.search."""
        both = zip(self._index.search(queries, k, self._kept), self._since.search(queries, k), strict=True)
        return [sorted((*old, *new), key=lambda near: (-near.similarity, near.id))[:k] for old, new in both]


def kind_for(count: int, setting: str = "auto") -> Kind:
    """The kind for so many vectors, or the one that the setting names.

    Raises SettingsError for any other: what FAISS could build besides is not known to be right.
    """
    if setting == "auto":
        return "exact" if count <= EXACT_UP_TO else "ivf" if count <= HALF_PRECISION_UP_TO else "ivf8"
    for kind in KINDS:
        if kind == setting:
            return kind
    raise SettingsError(f"index = {setting!r} is not known: use one of auto, {', '.join(KINDS)}")


def all_pairs(
    matrix: Matrix, k: int, setting: str = "auto", progress: Progress = lambda done: None
) -> tuple[Rows, Matrix]:
    """The k nearest other rows of each row, by (-similarity, row): rows int64 and similarities float32, both of shape
    (n, min(k, n - 1)). What a row is compared with is every other row, equal ones too; never itself.

    matrix: float32, shape (n, dim), unit rows; may be mapped from a file. setting: see kind_for. The same matrix gives
    the same answer. Raises ShapeMismatch, ValueError for a k under 1, and what FaissIndex raises.
    """
    for start in range(0, max(len(matrix), 1), 64 * _BLOCK):  # a copy of a part at a time
        check_unit_rows(matrix[start : start + 64 * _BLOCK])
    _check_k(k)
    search = RowSearch(matrix, setting)
    width = max(0, min(k, len(matrix) - 1))
    rows, similarities = np.empty((len(matrix), width), np.int64), np.empty((len(matrix), width), np.float32)
    for start in range(0, len(matrix), _BLOCK):
        own = np.arange(start, min(start + _BLOCK, len(matrix)))
        rows[own], similarities[own] = search.others(own, k)
        progress(len(own))
    return rows, similarities


def neighbour_recall(index: FaissIndex, k: int, sample: int = _SAMPLE, seed: int = 0) -> float:
    """The share of the k nearest other rows, by exact search, that the index finds for a random sample of its rows.

    A row as near as the last exact one counts as found. 1.0 for an index of fewer than two rows.
    """
    return index._search.recall(k, sample, seed)


class RowSearch:
    """The nearest rows of a matrix, by number."""

    def __init__(self, matrix: Matrix, setting: str, index: Any = None, effort: int = 0) -> None:
        self._matrix = np.ascontiguousarray(matrix)
        self.kind = kind_for(len(matrix), setting)
        self._index, self._effort = index, effort
        if self.kind != "exact" and index is None and len(matrix):
            self._index = _build(self._matrix, self.kind)
            self._find_effort()

    def write(self, path: Path) -> dict[str, Any]:
        """Write FAISS's index, if there is one, and return what read must know."""
        record: dict[str, Any] = {"kind": self.kind, "effort": self._effort, "file": None}
        if self._index is not None:
            _faiss.write_index(self._index, str(path))
            flush(path)
            record["file"] = _digest_of_file(path)
        return record

    @classmethod
    def read(cls, path: Path, matrix: Matrix, record: Mapping[str, Any]) -> "RowSearch":
        """What write has written. Raises IndexRefused for other bytes, OSError and RuntimeError as they come."""
        if record["file"] is None:
            return cls(matrix, record["kind"])
        if _digest_of_file(path) != record["file"]:
            raise IndexRefused(f"the index {path} is damaged: its bytes are not as written; build it again")
        index = _faiss.read_index(str(path), _faiss.IO_FLAG_MMAP_IFC)
        expected = _faiss.IndexHNSWSQ if record["kind"] == "hnsw" else _faiss.IndexIVFScalarQuantizer
        if not isinstance(index, expected) or (index.ntotal, index.d) != matrix.shape:
            raise IndexRefused(f"the index {path} is none of kind {record['kind']} over {len(matrix):,} vectors")
        return cls(matrix, record["kind"], index, record["effort"])

    def to_bytes(self) -> bytes:
        """FAISS's file of an index that is not exact, with how thoroughly it is searched."""
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = self._effort
        else:
            self._index.nprobe = self._effort
        return bytes(_faiss.serialize_index(self._index).data)

    @classmethod
    def mapped(cls, path: Path, matrix: Matrix, kind: Kind) -> "RowSearch":
        """The index of such a file, over the matrix that it was built of; it is mapped, not read into memory."""
        index = _faiss.read_index(str(path), _faiss.IO_FLAG_MMAP_IFC)
        return cls(matrix, kind, index, index.hnsw.efSearch if kind == "hnsw" else index.nprobe)

    def __call__(
        self, queries: Matrix, k: int, places: Rows | None, among: Mask | None = None
    ) -> tuple[Rows, Similarities]:
        """See Index.search_rows; similarities float64. places: what orders equal rows, row numbers without it."""
        check_queries(queries, k, self._matrix.shape[1])
        left = len(self._matrix) if among is None else len(_rows_left(among, len(self._matrix)))
        if not left or not len(queries):
            return np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0))
        asked = _Asked(min(k, left), left, among, places)
        queries = np.ascontiguousarray(queries)
        if self._index is None or left < _LEAST_SHARE * len(self._matrix):
            return self._exact(queries, asked, asked.k + 8)
        return self._approximate(queries, asked)

    def others(self, own: Rows, k: int) -> tuple[Rows, Similarities]:
        """The k nearest rows of each of these rows, itself left out."""
        return without_own(own, *self(self._matrix[own], k + 1, None))

    def _find_effort(self) -> None:
        """Search as thoroughly as NEIGHBOUR_RECALL takes. Raises IndexRefused when nothing that is tried is enough."""
        found = 0.0
        for effort in _EFFORTS[self.kind]:
            self._effort = effort
            found = self.recall(_DEPTH, _SAMPLE, seed=0)
            if found >= NEIGHBOUR_RECALL:
                return
        raise IndexRefused(
            f"an index of kind {self.kind} over {len(self._matrix):,} vectors finds {found:.1%} of the neighbours, not "
            f"{NEIGHBOUR_RECALL:.0%}: set index = exact"
        )

    def recall(self, k: int, sample: int, seed: int) -> float:
        """See neighbour_recall."""
        count = len(self._matrix)
        k = min(k, count - 1)
        if k < 1:
            return 1.0
        drawn = np.random.default_rng(seed).choice(count, size=min(sample, count), replace=False)
        asked = _Asked(k + 1, count, None, None)
        _, true = without_own(drawn, *self._exact(self._matrix[drawn], asked, k + 9))
        _, found = self.others(drawn, k)
        return float((found >= true[:, -1:]).mean())

    def _exact(self, queries: Matrix, asked: "_Asked", fetch: int) -> tuple[Rows, Similarities]:
        """Fetch more than k; a query whose k-th similarity may tie with one not fetched asks for twice more."""
        fetch = min(fetch, asked.left)
        near, fetched = self._products(queries, fetch, asked.among)
        rows, similarities = self._ordered(queries, fetched, asked)
        if fetch < asked.left:
            cut = np.flatnonzero(similarities[:, -1] <= near[:, -1].astype(np.float64) + _FLOAT32_ERROR)
            if cut.size:
                rows[cut], similarities[cut] = self._exact(queries[cut], asked, fetch * 2)
        return rows, similarities

    def _products(self, queries: Matrix, fetch: int, among: Mask | None) -> tuple[Matrix, Rows]:
        if among is None:
            near, rows = _faiss.knn(queries, self._matrix, fetch, metric=_faiss.METRIC_INNER_PRODUCT)
            return near, rows
        near, rows = np.empty((len(queries), fetch), np.float32), np.empty((len(queries), fetch), np.int64)
        pointers = [_faiss.swig_ptr(array) for array in (queries, self._matrix, near, rows)]
        sizes = (self._matrix.shape[1], len(queries), len(self._matrix), fetch)
        _faiss.knn_inner_product(*pointers[:2], *sizes, *pointers[2:], _selector(among))
        return near, rows

    def _approximate(self, queries: Matrix, asked: "_Asked") -> tuple[Rows, Similarities]:
        """What the index finds, by float32; a query for which it finds fewer than asked for is answered exactly."""
        fetch = min(asked.left, int(asked.k * _SPARE[self.kind]) + 8)
        effort = self._effort * len(self._matrix) // asked.left
        chosen = {} if asked.among is None else {"sel": _selector(asked.among)}
        if self.kind == "hnsw":
            parameters = _faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        else:
            parameters = _faiss.SearchParametersIVF(nprobe=effort, **chosen)
        fetched = self._index.search(queries, fetch, params=parameters)[1]
        rows, similarities = self._ordered(queries, fetched, asked)
        short = np.flatnonzero(rows[:, -1] < 0)
        if short.size:
            rows[short], similarities[short] = self._exact(queries[short], asked, asked.k + 8)
        return rows, similarities

    def _ordered(self, queries: Matrix, fetched: Rows, asked: "_Asked") -> tuple[Rows, Similarities]:
        """The k best of the rows fetched, -1 last."""
        pairs = zip(fetched, queries, strict=True)
        products = [self._matrix[rows].astype(np.float64) @ q.astype(np.float64) for rows, q in pairs]
        similarities = np.where(fetched < 0, -np.inf, rounded(np.array(products)))
        ties = fetched if asked.places is None else asked.places[fetched]
        order = np.lexsort((ties, -similarities))[:, : asked.k]
        return np.take_along_axis(fetched, order, axis=1), np.take_along_axis(similarities, order, axis=1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """k: at most left, the number of rows that may come. among, places: see RowSearch."""

    k: int
    left: int
    among: Mask | None
    places: Rows | None


def _build(matrix: Matrix, kind: Kind) -> Any:
    index = _faiss.index_factory(
        matrix.shape[1], _FACTORY[kind].format(cells=max(1, round(len(matrix) ** 0.5))), _faiss.METRIC_INNER_PRODUCT
    )
    if kind != "hnsw":
        index.cp.min_points_per_centroid = 1  # or it complains on the standard error of fewer than 39
    index.train(matrix)
    index.add(matrix)
    return index


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _digest(vectors: Vectors) -> str:
    sha = hashlib.sha256(json.dumps([vectors.fingerprint, vectors.dim, vectors.ids]).encode())
    sha.update(np.ascontiguousarray(vectors.matrix).data)
    return sha.hexdigest()


def _digest_of_record(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _selector(among: Mask) -> Any:
    return _faiss.IDSelectorBitmap(np.packbits(among, bitorder="little"))


def without_own(own: Rows, rows: Rows, similarities: Similarities) -> tuple[Rows, Similarities]:
    """Each row's list without itself; without its last entry where it is not in its list, as equal rows are."""
    out = rows == own[:, None]
    out[~out.any(axis=1), -1] = True
    return rows[~out].reshape(len(own), -1), similarities[~out].reshape(len(own), -1)


def _rows_left(among: Mask | None, count: int) -> Rows:
    if among is None:
        return np.arange(count)
    if among.shape != (count,) or among.dtype != np.bool_:
        raise ValueError(f"expected a mask of bool, shape ({count},), got {among.dtype}, shape {among.shape}")
    return np.flatnonzero(among)


def check_queries(queries: Matrix, k: int, dim: int) -> None:
    check_unit_rows(queries, dim)
    _check_k(k)


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")


def rounded(similarities: Similarities) -> Similarities:
    return np.round(similarities, DECIMALS) + 0.0  # + 0.0: no -0.0


def nearest_of(ids: Sequence[str], similarities: Similarities, k: int) -> list[Neighbour]:
    ordered = sorted(zip((-similarities).tolist(), ids, strict=True))[:k]
    return [Neighbour(ident, -distance + 0.0) for distance, ident in ordered]
