"""How fast this home's builds went: seconds per item of each stage, kept in the manifest from build to build, so that a
dry run can tell how long the next one will take."""

from collections.abc import Mapping

ENCODE = "encode"
"""The one stage whose work is counted in texts; that of the others is counted in essays."""
MEASURED = ("parse", "match")
"""Stages that a dry run goes through itself."""
_ENOUGH = 0.5
"""Of a build that encoded a smaller share of the texts, loading the model would be taken for the time of a text."""


def update_rates(
    before: Mapping[str, float], seconds: Mapping[str, float], essays: int, encoded: int, texts: int
) -> dict[str, float]:
    """The rates after a build, in seconds an item, those of stages that it went without as they were before.

    essays, texts: how many the site has. encoded: how many texts were encoded anew.
    """
    done = dict.fromkeys(seconds, essays) | {ENCODE: encoded}
    telling = encoded and (ENCODE not in before or encoded >= _ENOUGH * texts)
    taken = [stage for stage in seconds if stage not in MEASURED and (telling or stage != ENCODE)]
    return {**before, **{stage: round(seconds[stage] / done[stage], 9) for stage in taken}}


def estimate(rates: Mapping[str, float], essays: int, to_encode: int) -> dict[str, float] | None:
    """Seconds of each stage that a dry run does not go through; None when no earlier build tells."""
    if not rates or (to_encode and ENCODE not in rates):
        return None
    return {stage: rate * (to_encode if stage == ENCODE else essays) for stage, rate in rates.items()}
