"""What may import what, proved on the running program: linters miss re-exports and imports inside functions."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("openvino", "torch", "sentence_transformers", "transformers", "faiss", "sklearn", "scipy")


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


@pytest.mark.parametrize(
    "statement",
    ["import service.app", "import service.cli", "import recommender.edition", "import corpus.sources"],
)
def test_light_modules_load_nothing_heavy(statement: str) -> None:
    assert not {name for name in loaded_by(statement) if name.split(".")[0] in HEAVY}


def test_a_build_without_a_change_can_start_without_the_heavy_libraries() -> None:
    modules = loaded_by("import recommender.job, embeddings.loading, service.console")
    assert not modules & set(HEAVY)


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("sentence_transformers", ("embeddings/sentence.py", "embeddings/conversion.py")),
        ("torch", ("embeddings/sentence.py", "embeddings/conversion.py")),
        ("openvino", ("embeddings/openvino_encoder.py", "embeddings/conversion.py")),
        ("faiss", "recommender/index.py"),
        ("ray", "recommender/engines/ray.py"),
        ("trafilatura", "corpus"),
        ("fastapi", "service"),
        ("uvicorn", "service"),
    ],
)
def test_a_library_is_imported_where_it_belongs_only(library: str, home: str | tuple[str, ...]) -> None:
    packages = ("corpus", "embeddings", "recommender", "service")
    importers = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith((f"import {library}", f"from {library}"))
    }
    assert all(importer.startswith(home) for importer in importers), importers
    assert importers
