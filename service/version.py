"""Which version of the distribution is running."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("related-articles")
    except PackageNotFoundError:
        return "unknown"


VERSION = _installed()
"""The installed version; "unknown" when it runs from a checkout that was never installed."""
