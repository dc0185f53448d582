"""Who does the heavy steps of a build: an engine, with the folder of its parts and the model that workers load."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recommender.engines.engine import Engine
from recommender.engines.local import InProcess, ProcessPool
from recommender.engines.parts import PartsFolder

ENGINES = ("local", "ray")
PLACE = Path("parts")
"""Where parts lie in a site's home, unless the settings say where else."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the command line and the settings say about a build's workers.

    engine: one of ENGINES. address: see RayEngine. parts: URL of their folder, None is PLACE. model, cache: see
    embeddings.loading.
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
    return parts if parts and "://" in parts else str((Path(parts) if parts else home / PLACE).absolute())


def _on_any_machine(model: str | None) -> str | None:
    """A model's folder by its whole path: workers may run elsewhere."""
    return str(Path(model).absolute()) if model and Path(model).is_dir() else model
