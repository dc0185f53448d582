"""What all tests share: the settings of Hypothesis, the encoders, and the real pages where they are at hand.

FUZZ_EXAMPLES   how many examples each test of tests/corpus/test_hostile_pages.py tries (default 60)
CI              when set, Hypothesis tries the same examples each time
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from benchmarks.postgres_server import Server
from embeddings.cache import VectorCache, open_cache
from embeddings.encoder import Encoder, cache_key
from embeddings.loading import load_encoder
from embeddings.sentence import SentenceEncoder
from recommender.engines.engine import Engine
from tests.fakes import CountingEncoder
from tests.postgres import new_server

# Each test's home is new: to convert the model, or to measure it, for each of them would take minutes.
os.environ.setdefault("RELATED_BACKEND", "torch")

settings.register_profile(
    "project",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no reason to fail
)
settings.load_profile("project")

_SEEDS = Path(__file__).parents[2] / "shared" / "seeds"


@pytest.fixture
def encoder() -> CountingEncoder:
    """A fake encoder, newly made."""
    return CountingEncoder()


@pytest.fixture(scope="session")
def sentence_encoder() -> SentenceEncoder:
    """The packaged model, loaded once: it takes some seconds."""
    return SentenceEncoder()


@pytest.fixture(scope="session")
def converted_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which the packaged model is converted for OpenVINO, once: it takes half a minute.

    Nothing may be sent meanwhile: OpenVINO's own converter would send telemetry.
    """
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("converted") / "cache"
    asked: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.socket.connect", lambda _socket, address: asked.append(address))
        patch.setattr("openvino_telemetry.Telemetry.send_event", lambda *event: asked.append(event))
        assert load_encoder(None, "openvino", folder).arithmetic.startswith("openvino ")
    assert asked == []
    return folder


@pytest.fixture(scope="session")
def openvino_encoder(converted_cache: Path) -> Encoder:
    """The packaged model on OpenVINO."""
    return load_encoder(None, "openvino", converted_cache)


@pytest.fixture
def cache(tmp_path: Path, encoder: CountingEncoder) -> Iterator[VectorCache]:
    """An empty cache of the fake encoder's vectors."""
    with open_cache(tmp_path / "vectors.sqlite3", cache_key(encoder)) as opened:
        yield opened


@pytest.fixture(scope="session")
def seeds() -> Path:
    """The folder of real pages, which lies beside the repository and is no part of it."""
    if not _SEEDS.is_dir():
        pytest.skip(f"the real pages are not here: {_SEEDS} does not exist")
    return _SEEDS


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server that tests share; skipped where there is none."""
    server = new_server()
    yield server
    server.remove()


@pytest.fixture
def database(postgres: Server) -> str:
    """The URL of an empty PostgreSQL database."""
    return postgres.fresh_database()


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[Engine]:
    """Started once: it takes some seconds."""
    if find_spec("ray") is None:
        pytest.skip("the extra is absent: pip install 'related-articles[ray]'")
    from recommender.engines.ray import RayEngine

    engine = RayEngine(None, 2)
    yield engine
    engine.close()
