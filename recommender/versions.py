"""What an edition depends on besides its pages and model: this project's code, and the libraries."""

import hashlib
import importlib.metadata
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import corpus
import embeddings
import recommender

_PACKAGES = (
    *("bm25s", "faiss-cpu", "lxml", "numpy", "openvino", "rapidfuzz", "scikit-learn", "scipy"),
    *("sentence-transformers", "torch", "trafilatura", "transformers"),
)


def package_versions() -> dict[str, str]:
    """The versions of the libraries that an edition depends on, as far as they are installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@cache
def code_digest() -> str:
    """Of Python, those libraries and this project's own code. Of one digest are all machines that make one edition."""
    parts = [sys.version, *(f"{name} {version}" for name, version in package_versions().items())]
    for package in (corpus, embeddings, recommender):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
