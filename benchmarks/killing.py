"""Builds of a site that is edited and edited again, each killed (SIGKILL) at a random moment, and what is left of them.

Encoding is done by a stand-in that writes down what it has encoded. benchmarks/crash.py and tests/test_crash.py use it.
"""

import hashlib
import json
import multiprocessing
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import load
from corpus.errors import EditionError
from corpus.records import essay_to_record
from embeddings.cache import PLACE
from embeddings.encoder import Matrix, Progress
from embeddings.vectors import unit_rows
from recommender.edition import Edition, check_edition, current_id, open_edition
from recommender.job import BuildOptions, build
from service.changes import make_ready
from service.settings import load_settings

_EDITED = 3  # every third page
_PATIENCE = 300  # seconds; a build that takes longer hangs
_HEAVY = (
    "faiss",
    "sklearn.feature_extraction.text",
    "scipy.sparse",
    "bm25s",
    "trafilatura",
    "rapidfuzz",
    "benchmarks.killing",
)
"""Imported once, by the process that all builds are forked from."""

Record = dict[str, Any]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(list(_HEAVY))


class WritingEncoder:
    """An Encoder whose vectors are made of a text's digest, in about the time of a small model.

    It appends the digest of every text to a file before it hands out the vector.
    """

    dim = 32
    window = 24
    fingerprint = "digests@1"
    arithmetic = "sha256"

    def __init__(self, log: Path) -> None:
        self._log = log

    def encode(self, texts: Sequence[str]) -> Matrix:
        """See Encoder.encode."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        made = [hashlib.pbkdf2_hmac("sha256", _bytes(text), b"", 500, self.dim) for text in texts]
        with self._log.open("a", encoding="ascii") as file:
            file.write("".join(f"{_digest(text)}\n" for text in texts))
        return unit_rows(np.frombuffer(b"".join(made), dtype=np.uint8).reshape(-1, self.dim).astype(np.float32) - 127.5)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See Encoder.count_tokens."""
        return [len(text.split()) + 2 for text in texts]


class Teller:
    """A recommender.watch.Watch that tells another process when each stage begins."""

    def __init__(self, told: Connection) -> None:
        self._told = told

    def stage(self, name: str, total: int) -> Progress:
        """See Watch.stage."""
        self.mark(name)
        return lambda done: None

    def say(self, text: str) -> None:
        """A remark is no stage."""

    def mark(self, name: str) -> None:
        """Tell that a stage begins now."""
        self._told.send((name, time.monotonic()))


@dataclass(slots=True)
class Outcome:
    """What was seen.

    published: how many editions were compared with undisturbed ones. looks: of the reader. fell_in: how many kills fell
    in each stage. faults: a sentence for each thing that did not hold.
    """

    kills: int = 0
    published: int = 0
    looks: int = 0
    fell_in: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def made_up(pages: int) -> list[Record]:
    """Records of a site, each page of ten paragraphs, listing the next two of its own subject."""
    return [
        {
            "id": f"page-{number:04}",
            "title": f"Subject {number % 7}, part {number}",
            "standfirst": f"What part {number} of subject {number % 7} has to tell.",
            "category": f"Subject {number % 7}",
            "blocks": [{"kind": "paragraph", "text": _paragraph(number, part)} for part in range(10)],
            "related": [f"page-{(number + step) % pages:04}" for step in (7, 14)],
        }
        for number in range(pages)
    ]


def records_of(corpus: str, pages: int) -> list[Record]:
    """Records of the first pages of a corpus, with their lists."""
    return [essay_to_record(essay) | {"related": list(essay.related)} for essay in load(corpus).essays[:pages]]


class Site:
    """A folder of pages. Every edit changes a third of them, adds one and removes the one that was added before."""

    def __init__(self, folder: Path, records: Sequence[Record]) -> None:
        folder.mkdir()
        self.folder = folder
        self._records = records
        self._edits = 0
        for number, record in enumerate(records):
            self._write(number, record)

    def edit(self) -> None:
        """Change it."""
        self._edits += 1
        for number in range(self._edits % _EDITED, len(self._records), _EDITED):
            record = dict(self._records[number])
            record["blocks"] = [{**b, "text": f"{b['text']} Edit {self._edits}."} for b in record["blocks"]]
            self._write(number, record)
        self._write(len(self._records), {**made_up(1)[0], "id": f"new-{self._edits:04}", "related": []})

    def _write(self, number: int, record: Record) -> None:
        (self.folder / f"{number:05}.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")


def build_site(site: Path, home: Path, log: Path, told: Connection) -> None:
    """One build. log: gets the digests of the texts that it encodes. told: of each stage that begins."""
    teller = Teller(told)

    def prepare(edition: Edition) -> None:
        make_ready(load_settings(home), edition, teller)
        teller.mark("publishing")

    teller.mark("starting")
    build([site], home, WritingEncoder(log), BuildOptions(), teller, prepare)
    teller.mark("done")


def read_along(home: Path, told: Connection) -> None:
    """Look at the current edition until told to stop; tells how often, and what was wrong."""
    looks, faults = 0, []
    while not told.poll(0.01):
        ident = current_id(home)
        try:
            edition = open_edition(home, ident)
            check_edition(edition.folder)
            first = next(edition.essay_ids())
            if not edition.related(first).recommendations:
                faults.append(f"{ident}: the list of {first} is empty")
        except (EditionError, sqlite3.Error, OSError) as error:
            if current_id(home) == ident:  # else it was dropped for another with the same content
                faults.append(f"{ident}: {error}")
        looks += 1
    told.send((looks, faults[:5]))


class Run:
    """A build in a process of its own, which has just begun. stages: those that have begun, and when."""

    def __init__(self, site: Path, home: Path, log: Path) -> None:
        log.unlink(missing_ok=True)
        self._log = log
        self._told, tells = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=build_site, args=(site, home, log, tells))
        self._process.start()
        tells.close()
        self.stages: list[tuple[str, float]] = [self._told.recv()]

    def finish(self) -> int | None:
        """Wait for its end; its exit code."""
        with suppress(EOFError):
            while self._told.poll(_PATIENCE):
                self.stages.append(self._told.recv())
        self._process.join(_PATIENCE)
        return self._process.exitcode

    def kill_in(self, stage: str, after: float) -> bool:
        """Kill it so many seconds after that stage has begun. False when it ended before."""
        with suppress(EOFError):
            while self.stages[-1][0] != stage:
                self.stages.append(self._told.recv())
            self._process.join(after)
            self._process.kill()
        return self.finish() == -signal.SIGKILL

    def encoded(self) -> Counter[str]:
        """How often it encoded each text, by digest."""
        return Counter(self._log.read_text(encoding="ascii").split("\n")[:-1] if self._log.exists() else [])

    def seconds(self) -> dict[str, float]:
        """How long each stage took."""
        return {name: end - start for (name, start), (_, end) in pairwise(self.stages)}


def crash(folder: Path, records: Sequence[Record], kills: int, seed: int) -> Outcome:
    """Build and kill in an empty folder, every stage in turn; the last build is disturbed by nobody.

    The moment within a stage is drawn from the seed, and so is whether the site is edited between two builds.
    """
    return _Crash(folder, records, random.Random(seed)).run(kills)  # noqa: S311


class _Crash:
    """A site, the home in which builds are killed, and one in which none is."""

    def __init__(self, folder: Path, records: Sequence[Record], rng: random.Random) -> None:
        self._folder, self._rng = folder, rng
        self._site = Site(folder / "site", records)
        self._home, self._twin = folder / "home", folder / "twin"
        self._outcome = Outcome()

    def run(self, kills: int) -> Outcome:
        """See crash()."""
        self._end(self._start(self._home))
        seconds = self._compare()
        told, tell = _CONTEXT.Pipe()
        reader = _CONTEXT.Process(target=read_along, args=(self._home, told))
        reader.start()
        stages = list(seconds)
        for number in range(kills):
            stage = stages[number % len(stages)]
            self._kill(stage, self._rng.uniform(0, seconds[stage]))
        self._site.edit()
        self._end(self._start(self._home))
        self._compare()
        tell.send("stop")
        self._outcome.looks, faults = tell.recv()
        self._outcome.faults += faults
        reader.join(_PATIENCE)
        return self._outcome

    def _kill(self, stage: str, after: float) -> None:
        """Kill a build, of a site that is often edited before."""
        before, stored = current_id(self._home), _stored(self._home)
        run = self._start(self._home)
        if run.kill_in(stage, after):
            self._outcome.kills += 1
            self._outcome.fell_in[run.stages[-1][0]] += 1
        self._check_encoded(run, stored)
        published = current_id(self._home) != before
        if published:
            self._compare()
        if published or self._rng.random() < 0.5:  # else the next build goes on with the same pages
            self._site.edit()

    def _start(self, home: Path) -> Run:
        return Run(self._site.folder, home, self._folder / f"{home.name}-encoded")

    def _end(self, run: Run) -> None:
        """Wait for a build that nobody disturbs."""
        if code := run.finish():
            self._outcome.faults.append(f"a build that nobody disturbed ended with {code}")

    def _compare(self) -> dict[str, float]:
        """Build in the other home what has just been published in this one; returns the seconds of the stages."""
        run = self._start(self._twin)
        self._end(run)
        self._outcome.published += 1
        if _content(self._home) != _content(self._twin):
            self._outcome.faults.append(f"{current_id(self._home)} differs from {current_id(self._twin)}, undisturbed")
        return run.seconds()

    def _check_encoded(self, run: Run, stored: set[str]) -> None:
        encoded = run.encoded()
        if again := stored & encoded.keys():
            self._outcome.faults.append(f"{len(again)} texts were encoded that had been stored before")
        if twice := [digest for digest, times in encoded.items() if times > 1]:
            self._outcome.faults.append(f"{len(twice)} texts were encoded twice in one build")


def _digest(text: str) -> str:
    """As the vector cache names a text."""
    return hashlib.sha256(_bytes(text)).hexdigest()


def _stored(home: Path) -> set[str]:
    """The digests of the texts whose vectors are stored, read without changing what a killed build has left behind."""
    with closing(sqlite3.connect(f"{(home / PLACE).absolute().as_uri()}?mode=ro", uri=True)) as db:
        return {digest.hex() for (digest,) in db.execute("SELECT digest FROM vectors")}


def _content(home: Path) -> str:
    return str(check_edition(home / "editions" / current_id(home))["content"])


def _paragraph(number: int, part: int) -> str:
    rng = random.Random(number * 100 + part)  # noqa: S311
    return " ".join(f"word{rng.randrange(400) + number % 7 * 400}" for _ in range(14)) + "."


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
