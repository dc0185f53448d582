"""An A/B test by page: which variant a page is in, and what that changes in its list."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

from recommender.decisions import State

Variant = Literal["standard", "curated", "model"]
"""Curated: only what the page's editors listed, so nothing on a page without a list. Model: all in the model's order,
whoever listed it. Standard: what every page shows without a test."""

_POINTS = 2**64


class Variants:
    """The variants of a test, from the setting of that name, such as ("curated:10", "model:10"); () is no test.

    The percentages are of pages, not of views. A page's place is a digest of its id, the same on every machine.
    Curated takes its pages from one end of the places and model from the other, so that a percentage that grows moves
    pages out of standard only: no page ever changes from one variant of the test to the other.
    """

    def __init__(self, shares: Sequence[str]) -> None:
        percentages = {name: int(share) for name, share in (entry.split(":") for entry in shares)}
        self._below = percentages.get("curated", 0) * _POINTS // 100
        self._from = _POINTS - percentages.get("model", 0) * _POINTS // 100
        self._is_on = bool(shares)

    def of(self, article_id: str) -> Variant | None:
        """The variant that a page is in; None when no test is set."""
        if not self._is_on:
            return None
        place = int.from_bytes(
            blake2b(article_id.encode(errors="surrogatepass"), digest_size=8, person=b"variant").digest()
        )
        if place < self._below:
            return "curated"
        return "model" if place >= self._from else "standard"

    @staticmethod
    def state(variant: Variant | None, default: State) -> State:
        """Whose list a page in this variant shows."""
        return variant if variant in ("curated", "model") else default
