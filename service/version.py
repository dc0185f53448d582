"""Which version of the distribution is running, and which code."""

from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import recommender
import service


def _installed() -> str:
    try:
        return version("related-articles")
    except PackageNotFoundError:
        return "unknown"


VERSION = _installed()
"""The installed version; "unknown" when it runs from a checkout that was never installed."""


def code_digest() -> str:
    """Of all code that an answer's bytes may depend on, since a checkout changes without a change of version."""
    sha = sha256(VERSION.encode())
    for package in (service, recommender):
        for path in sorted(Path(package.__path__[0]).rglob("*")):
            if path.suffix in (".py", ".html"):
                sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


CODE = code_digest()
"""Names this very code: answers that it did not make are not its own."""
