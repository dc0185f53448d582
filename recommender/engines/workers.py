"""Who does the heavy steps of a build: an engine, with the folder of its parts and the model that workers load."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embeddings.model_folder import PACKAGED_MODEL, QUALITY, STATIC
from recommender.engines.engine import Engine
from recommender.engines.local import InProcess, ProcessPool
from recommender.engines.parts import PartsFolder

ENGINES = ("local", "ray")
PLACE = Path("parts")
"""Where parts lie in a site's home, unless the settings say in what folder else."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the command line and the settings say about a build's workers.

    engine: one of ENGINES. address: see RayEngine. parts: URL of a folder in which this home has one
    of its own for them, None is PLACE. model, cache: see embeddings.loading.
    """

    model: str | None
    cache: Path
    engine: str = "local"
    processes: int = 1
    address: str | None = None
    parts: str | None = None


@dataclass(frozen=True, eq=False)
class Workers:
    """model: as embeddings.loading.load_same() takes it, the same on every machine. cache: a folder of each machine,
    for converted models."""

    engine: Engine
    parts: PartsFolder
    model: str | None
    cache: Path


@contextmanager
def open_workers(home: Path, options: WorkerOptions) -> Iterator[Workers]:
    """Workers that are released at the end of the block. Raises EngineError when there are none to be had."""
    engine = _open_engine(options)
    try:
        yield Workers(
            engine,
            PartsFolder(_parts_url(home, options.parts)),
            _on_any_machine(options.model),
            options.cache.absolute(),
        )
    finally:
        engine.close()


def _open_engine(options: WorkerOptions) -> Engine:
    if options.engine == "ray":
        from recommender.engines.ray import RayEngine

        return RayEngine(options.address, options.processes)
    return InProcess() if options.processes == 1 else ProcessPool(options.processes)


def _parts_url(home: Path, parts: str | None) -> str:
    """As every worker finds it, wherever it was started."""
    if not parts:
        return str((home / PLACE).absolute())
    whole = parts.rstrip("/") if "://" in parts else str(Path(parts).absolute())
    # A folder may serve several homes, and each removes all of its own.
    return f"{whole}/{hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]}"


def _on_any_machine(model: str | None) -> str | None:
    """A model's folder by its whole path: workers may run elsewhere. What a name stands for is found there."""
    named = model in (None, STATIC, QUALITY, PACKAGED_MODEL)
    return str(Path(model).absolute()) if model and not named and Path(model).is_dir() else model
