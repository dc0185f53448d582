"""What an A/B test says: clicks and impressions by variant, from the logs that a site keeps and nothing else.

docs/watching.md describes the log; service.schemas.ClickEvent is a line of it.
"""

import gzip
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import ValidationError

from corpus.errors import SourceNotFound
from service.schemas import ClickEvent

LONGEST_LINE = 20_000
SHOWN_MISTAKES = 10
FIRST = "standard"
"""The variant that the others are compared with, if it is in the log; else the first by name."""

_Z = 1.959964  # of the normal distribution, for 95%

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class VariantClicks:
    """A variant's figures.

    pages: how many pages it was shown on. rate: clicks an impression. interval: the rate's 95% Wilson interval, None
    when there are more clicks than impressions, for then the rate is no share. difference: of the rate from the first
    variant's; its 95% interval counts each page as one observation, since it is pages that are put into variants, and
    is None with fewer than two pages on either side.
    """

    variant: str
    pages: int
    impressions: int
    clicks: int
    rate: float
    interval: Interval | None
    difference: float | None = None
    difference_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that is no event."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClickReport:
    """What the logs say. strays: clicks in lists that no impression tells of; they are not counted. malformed: how many
    lines are no event; mistakes: the first of them."""

    lines: int
    variants: tuple[VariantClicks, ...]
    strays: int
    malformed: int
    mistakes: tuple[Mistake, ...]


@dataclass(slots=True)
class _Counts:
    """What is kept of the lines that were read."""

    lines: int = 0
    malformed: int = 0
    mistakes: list[Mistake] = field(default_factory=list)
    impressions: Counter["_List"] = field(default_factory=Counter)
    clicks: Counter["_List"] = field(default_factory=Counter)


_List = tuple[str, str, str]  # variant, page, recommendation_id


def read_clicks(logs: Sequence[Path]) -> ClickReport:
    """The figures of some logs, plain or .gz, in any order. Raises SourceNotFound for one that cannot be read."""
    counts = _Counts()
    for log in logs:
        _count_lines(log, counts)
    clicks = Counter({shown: n for shown, n in counts.clicks.items() if shown in counts.impressions})
    strays = counts.clicks.total() - clicks.total()
    variants = tuple(compare_variants(counts.impressions, clicks))
    return ClickReport(counts.lines, variants, strays, counts.malformed, tuple(counts.mistakes))


def compare_variants(impressions: Mapping[_List, int], clicks: Mapping[_List, int]) -> Iterator[VariantClicks]:
    """The figures of each variant, the first one first, the others by name."""
    pages: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for place, counted in enumerate((impressions, clicks)):
        for (variant, page, _), n in counted.items():
            pages[variant][page][place] += n
    names = sorted(pages, key=lambda name: (name != FIRST, name))
    for name in names:
        yield _figures(name, list(pages[name].values()), list(pages[names[0]].values()) if name != names[0] else None)


def wilson(clicks: int, impressions: int) -> Interval | None:
    """The 95% interval of a share (Wilson 1927); None when it is no share."""
    if not 0 <= clicks <= impressions or not impressions:
        return None
    n, share = impressions, clicks / impressions
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


_Pages = Sequence[Sequence[int]]
"""Impressions and clicks of each page."""


def _figures(name: str, pages: _Pages, first: _Pages | None) -> VariantClicks:
    shown, clicked = _sums(pages)
    figures = VariantClicks(name, len(pages), shown, clicked, clicked / shown, wilson(clicked, shown))
    if first is None:
        return figures
    first_shown, first_clicked = _sums(first)
    difference = figures.rate - first_clicked / first_shown
    if min(len(pages), len(first)) < 2:
        return replace(figures, difference=difference)
    half = _Z * sqrt(_variance(pages) + _variance(first))
    return replace(figures, difference=difference, difference_interval=(difference - half, difference + half))


def _sums(pages: _Pages) -> tuple[int, int]:
    return sum(shown for shown, _ in pages), sum(clicked for _, clicked in pages)


def _variance(pages: _Pages) -> float:
    """Of the rate, when pages are drawn and not views: that of a ratio by linearisation (Cochran 1977, chapter 6)."""
    (shown, clicked), n = _sums(pages), len(pages)
    rate = clicked / shown
    return n / (n - 1) * sum((c - rate * s) ** 2 for s, c in pages) / shown**2


def _count_lines(log: Path, counts: _Counts) -> None:
    try:
        with _open(log) as file:
            for number, line in enumerate(_lines(file), 1):
                _count(line, str(log), number, counts)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceNotFound(
            f"{log} cannot be read to its end ({reason}): name a log as docs/watching.md describes"
        ) from error


def _open(log: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(log)) if log.suffix == ".gz" else log.open("rb")


def _lines(file: BinaryIO) -> Iterable[bytes]:
    """The lines; of one that is too long its beginning, which is no event."""
    while line := file.readline(LONGEST_LINE):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _count(line: bytes, log: str, number: int, counts: _Counts) -> None:
    if not line.strip():
        return
    counts.lines += 1
    try:
        event = ClickEvent.model_validate_json(line)
    except ValidationError as error:
        counts.malformed += 1
        if len(counts.mistakes) < SHOWN_MISTAKES:
            counts.mistakes.append(Mistake(log, number, _reason(error)))
        return
    kept = counts.impressions if event.event == "impression" else counts.clicks
    kept[event.variant, event.article, event.recommendation_id] += 1


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
