"""A large site's survey and candidates in parts: what an engine's workers do, and what the driver asks of them.

    neighbours    a run of essays, the vectors and the index files of the shards -> the rows nearest to each
    look          the same run, its nearest, and the texts of the site           -> its part of the landscape
    rank          the same run, the landscape and the lists                      -> its candidates with all signals

Every number is the one that wide_landscape.py and wide_candidates.py come to in one process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from embeddings.encoder import Matrix, Progress
from embeddings.vectors import Vectors
from recommender.arrays import from_dense, to_dense
from recommender.candidates import Pairs, joined
from recommender.engines.engine import Part, Task
from recommender.engines.files import at_hand, decoding, read
from recommender.engines.shared_arrays import open_arrays, write_arrays
from recommender.engines.workers import Workers
from recommender.index import Kind, RowSearch
from recommender.index_shards import ShardSearch, build_shard, open_shard, shards_of
from recommender.landscape import Landscape, Pool
from recommender.list_graph import ListGraph
from recommender.signals import RELATIVE, Spread
from recommender.texts import Texts
from recommender.wide_candidates import WideFinder
from recommender.wide_landscape import NEAREST, CloseLook, Looked, components_of, joint_space, landscape_of

RUN = 2048
"""Essays of one part: some minutes of work of one processor on a site of a million essays."""
_BLOCK = 1024  # queries at once

_Given = Mapping[str, Any]


def survey_in_parts(texts: Texts, workers: Workers, progress: Progress, index: str) -> Landscape:
    """See wide_landscape.survey_wide()."""
    components = components_of(texts.terms)
    space = write_arrays(workers.parts, {"space": joint_space(texts.vectors.matrix, components)})
    site = write_arrays(workers.parts, _of_texts(texts))
    runs = zip(_runs(len(texts)), _neighbours(space, len(texts), index, workers), strict=True)
    parts = _map(look, [run | {"site": site, "drawn": drawn.out} for run, drawn in runs], workers, progress)
    return landscape_of(texts, components, [workers.parts.read(part, _looked) for part in parts])


def candidates_in_parts(
    landscape: Landscape, graph: ListGraph, pool: Pool, workers: Workers, progress: Progress
) -> Pairs:
    """See WideFinder.of_site()."""
    site = write_arrays(workers.parts, _of_texts(landscape.texts))
    lists = write_arrays(workers.parts, _of_landscape(landscape, pool) | {"lists": graph.matrix})
    asked = [run | {"site": site, "landscape": lists} for run in _runs(len(landscape.texts))]
    return joined([workers.parts.read(part, _pairs) for part in _map(rank, asked, workers, progress)])


def _neighbours(space: str, essays: int, index: str, workers: Workers) -> list[Part]:
    """The part of each run."""
    kind, shards = shards_of(essays, index)
    indexed = [{"space": space, "kind": kind, "first": s.start, "last": s.stop} for s in shards if kind != "exact"]
    files = [part.out for part in _map(index_shard, indexed, workers)]
    told = {"space": space, "kind": kind, "shards": [[s.start, s.stop] for s in shards], "files": files}
    return _map(neighbours, [told | run for run in _runs(essays)], workers)


def _map(task: Task, asked: Sequence[_Given], workers: Workers, progress: Progress = lambda done: None) -> list[Part]:
    """Have all of it done. progress: is told of essays."""
    parts = [workers.parts.part(task, given) for given in asked]
    # Parts are alike, so that it makes no odds which of them are done.
    sizes = iter([given["last"] - given["first"] for given in asked])
    workers.engine.map(task, parts, lambda some: progress(sum(islice(sizes, some))))
    return parts


def index_shard(given: _Given, stream: BinaryIO) -> None:
    """The index file of one shard."""
    space = open_arrays(given["space"])["space"]
    stream.write(build_shard(space, range(given["first"], given["last"]), given["kind"]))


def neighbours(given: _Given, stream: BinaryIO) -> None:
    """rows: int64 (essays, NEAREST), see index.all_pairs()."""
    search = _search(given["space"], given["kind"], tuple(map(tuple, given["shards"])), tuple(given["files"]))
    found = []
    for start in range(given["first"], given["last"], _BLOCK):
        own = np.arange(start, min(start + _BLOCK, given["last"]))
        found.append(search.others(own, NEAREST)[0])
    _save(stream, rows=np.vstack(found))


def look(given: _Given, stream: BinaryIO) -> None:
    """A Looked."""
    data = read(given["drawn"])
    with decoding(given["drawn"]):
        drawn = _arrays(data)["rows"]
    found = _close_look(given["site"]).at(given["first"], drawn)
    spread = {f"spread.{name}": values for name, values in found.spread.items()}
    near = to_dense("near", found.near)
    _save(stream, columns=found.columns, lengths=found.lengths, logits=found.logits, **spread, **near)


def rank(given: _Given, stream: BinaryIO) -> None:
    """Pairs."""
    found = _finder(given["site"], given["landscape"]).of_rows(np.arange(given["first"], given["last"]))
    spread = {f"spread.{name}": values for name, values in found.spread.items()}
    plain = {entry.name: getattr(found, entry.name) for entry in fields(found) if entry.name != "spread"}
    _save(stream, **plain, **spread)


@lru_cache(maxsize=1)
def _search(space: str, kind: Kind, shards: tuple[tuple[int, int], ...], files: tuple[str, ...]) -> ShardSearch:
    matrix = open_arrays(space)["space"]
    ranges = [range(*shard) for shard in shards]
    if kind == "exact":
        return ShardSearch(matrix, ranges, [open_shard(matrix, shard, kind, None) for shard in ranges])
    opened = [_open_index(file, matrix, shard, kind) for file, shard in zip(files, ranges, strict=True)]
    return ShardSearch(matrix, ranges, opened)


def _open_index(url: str, matrix: Matrix, shard: range, kind: Kind) -> RowSearch:
    path = at_hand(url)
    with decoding(url):
        return open_shard(matrix, shard, kind, path)


@lru_cache(maxsize=1)
def _texts(site: str) -> Texts:
    arrays = open_arrays(site)
    matrix = arrays.pop("vectors")
    return Texts(Vectors(tuple(map(str, range(len(matrix)))), matrix, ""), **arrays)  # nobody asks for ids here


@lru_cache(maxsize=1)
def _close_look(site: str) -> CloseLook:
    return CloseLook(_texts(site))


@lru_cache(maxsize=1)
def _finder(site: str, landscape: str) -> WideFinder:
    arrays = open_arrays(landscape)
    graph = ListGraph(arrays.pop("lists"))
    spread = {name: arrays.pop(f"spread.{name}") for name in RELATIVE}
    pool = Pool(arrays.pop("starts"), arrays.pop("columns"), spread)
    return WideFinder(Landscape(_texts(site), **arrays, pool=pool), graph, pool)


def _of_texts(texts: Texts) -> dict[str, Any]:
    others = {entry.name: getattr(texts, entry.name) for entry in fields(texts) if entry.name != "vectors"}
    return {"vectors": texts.vectors.matrix} | others


def _of_landscape(landscape: Landscape, pool: Pool) -> dict[str, Any]:
    spread = {f"spread.{name}": values for name, values in pool.spread.items()}
    names = ("near", "nearest_scores", "basis", "strengths")
    return (
        {name: getattr(landscape, name) for name in names} | {"starts": pool.starts, "columns": pool.columns} | spread
    )


def _runs(count: int) -> list[dict[str, int]]:
    return [{"first": first, "last": min(first + RUN, count)} for first in range(0, count, RUN)]


def _looked(data: bytes) -> Looked:
    stored = _arrays(data)
    near = from_dense("near", stored)
    return Looked(stored["columns"], stored["lengths"], stored["logits"], _spread(stored), near)


def _pairs(data: bytes) -> Pairs:
    stored = _arrays(data)
    plain = {entry.name: stored[entry.name] for entry in fields(Pairs) if entry.name != "spread"}
    return Pairs(**plain, spread=_spread(stored))


def _spread(stored: _Given) -> Spread:
    return {name: stored[f"spread.{name}"] for name in RELATIVE}


def _save(stream: BinaryIO, **arrays: Any) -> None:
    np.savez(stream, **arrays)


def _arrays(data: bytes) -> dict[str, Any]:
    with np.load(BytesIO(data), allow_pickle=False) as stored:
        return dict(stored)
