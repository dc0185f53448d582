"""The plots of an evaluation report, as SVG to be put into a page. The only module that imports matplotlib.

Colours are placeholders that become the page's CSS variables, so that one drawing serves light, dark and paper. Text
stays text, in the page's own font. The same figures give the same bytes, whatever a person's matplotlibrc says.
"""

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from typing import Any

import matplotlib
from lxml import etree
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

INK, MUTED, LINE, FAINT, OURS, PAPER = (f"#00000{digit}" for digit in range(1, 7))
_CSS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    FAINT: "var(--rule)",
    OURS: "var(--ours)",
    PAPER: "var(--paper)",
}
_WIDTH = 340  # three panels stand side by side on a wide page, one fills a telephone; a unit is a CSS pixel
_CHARACTER = 5.7  # width of a character of a label, at most
_LONGEST_LABEL = 20
_RC: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name with dollars in it is a name
    "text.color": INK,
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a panel; none where the value is unknown. interval: its low and high end. strong: in the accent."""

    name: str
    value: float | None
    interval: tuple[float, float] | None
    strong: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A step of a learning curve. filled: what was learned is used."""

    label: str
    value: float
    low: float
    high: float
    filled: bool


def bars(ident: str, alt: str, rows: Sequence[Bar], limits: tuple[float, float], decimals: int = 3) -> str:
    """Horizontal bars, the first on top, with their intervals and their values in figures.

    ident: of the plot, unique on the page. alt: its text for those who do not see it. limits: of the value's axis.
    """
    with _figure(ident, 40 + 20 * len(rows), left=_room([row.name for row in rows]), right=46) as (figure, axes):
        for y, row in enumerate(rows):
            axes.barh(y, row.value or 0, height=0.55, color=OURS if row.strong else LINE)
            if row.interval:
                for colour, width in ((PAPER, 3), (INK, 1.2)):  # on a bar of either colour, on paper of either
                    axes.plot(row.interval, (y, y), color=colour, linewidth=width, solid_capstyle="butt")
            text = _figures(row.value, decimals, signed=limits[0] < 0)
            axes.annotate(text, (1, y), (46, 0), ("axes fraction", "data"), "offset points", ha="right", va="center")
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=limits, yticks=range(len(rows)))
        axes.set_yticklabels([_short(row.name) for row in rows], color=INK)
        axes.axvline(0, color=LINE, linewidth=0.8)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.locator_params(axis="x", nbins=4)
        return _svg(figure, ident, alt)


def curves(ident: str, alt: str, systems: Mapping[str, Sequence[float]], ours: str, best: str | None) -> str:
    """Recall at 1, 2, ... of each system, its name at the curve's end. best: the baseline drawn darker."""
    with _figure(ident, 260, left=28, right=_room(systems)) as (figure, axes):
        depth = max(len(recall) for recall in systems.values())
        ends = {name: recall[-1] for name, recall in systems.items()}
        for name, y in _apart(ends, 0.054).items():
            colour, width = _tone(name, ours, best)
            axes.plot(range(1, len(systems[name]) + 1), systems[name], color=colour, linewidth=width, zorder=1 + width)
            leader = (1.01 * depth, 1.06 * depth)
            axes.plot(leader, (ends[name], y), color=colour, linewidth=0.6, clip_on=False)
            weight, tone = ("bold", OURS) if name == ours else ("normal", INK if name == best else MUTED)
            axes.text(1.075 * depth, y, _short(name), va="center", color=tone, weight=weight)
        ticks = [1, *range(10, depth + 1, 10)]
        axes.set(xlim=(1, max(depth, 2)), ylim=(0, 1), xticks=ticks, xlabel="length of the list")
        axes.grid(axis="y")
        return _svg(figure, ident, alt)


def learning_curve(ident: str, alt: str, points: Sequence[Point], limits: tuple[float, float]) -> str:
    """Points with intervals on an even axis: what the shares are, not how far apart, is read from the labels."""
    with _figure(ident, 230, left=36, right=6, bottom=48) as (figure, axes):
        axes.plot([point.value for point in points], color=OURS, linewidth=1.2)
        for x, point in enumerate(points):
            axes.plot((x, x), (point.low, point.high), color=OURS, linewidth=1.1, solid_capstyle="butt")
            face = OURS if point.filled else PAPER
            axes.plot(x, point.value, "o", markersize=6, markerfacecolor=face, markeredgecolor=OURS)
        axes.set(xlim=(-0.4, len(points) - 0.6), ylim=limits, xticks=range(len(points)))
        axes.set_xticklabels([point.label for point in points])
        axes.set_xlabel("share of the lists, and how many they are")
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y")
        return _svg(figure, ident, alt)


def calibration(ident: str, alt: str, points: Sequence[tuple[float, float, int]]) -> str:
    """Mean score, share listed and number of pairs of each band; on the dashed line a score means what it says."""
    with _figure(ident, _WIDTH, left=40, right=10, bottom=40) as (figure, axes):
        end = math.ceil(10 * max(max(score, share) for score, share, _ in points)) / 10 or 1.0
        most = max(n for _, _, n in points)
        axes.plot((0, end), (0, end), color=LINE, linewidth=1, linestyle=(0, (4, 3)))
        # The area goes with the root: bands differ by a thousand times, and the smallest must still be seen.
        sizes = [24 + 150 * math.sqrt(n / most) for _, _, n in points]
        axes.scatter(
            [p[0] for p in points], [p[1] for p in points], sizes, color=OURS, edgecolors=PAPER, clip_on=False, zorder=3
        )
        axes.set(xlim=(0, end), ylim=(0, end), aspect="equal", xlabel="score", ylabel="share listed by the editors")
        axes.grid()
        return _svg(figure, ident, alt)


def in_degree(ident: str, alt: str, series: Sequence[tuple[str, str, Sequence[int]]]) -> str:
    """Lists that name each essay, most first, on a log scale. series: (label, colour, counts in descending order)."""
    with _figure(ident, 260, left=30, right=10, bottom=40) as (figure, axes):
        for label, colour, counts in series:
            width = 2.2 if colour == OURS else 1.3
            axes.plot(*_steps(counts), color=colour, linewidth=width, zorder=1 + width, label=_short(label))
        most = max(count for _, _, counts in series for count in counts)
        axes.set_yscale("log")
        axes.set_yticks([tick for tick in _ticks() if tick <= max(most, 2)])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set(xlim=(0, max(len(counts) for _, _, counts in series)), ylim=(0.9, 1.15 * max(most, 2)))
        axes.set_xlabel("essays, the most recommended first")
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="y")
        axes.legend(loc="upper right")
        return _svg(figure, ident, alt)


@contextmanager
def _figure(ident: str, height: float, left: float, right: float, bottom: float = 34) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure of one panel. Margins in units of the plot, and given, not found: they do not hang on fonts."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        # What the bundled font lacks, the reader's browser may have.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        matplotlib.rcParams["svg.hashsalt"] = ident
        figure = Figure(figsize=(_WIDTH / 72, height / 72))
        place = (left / _WIDTH, bottom / height, 1 - (left + right) / _WIDTH, 1 - (bottom + 8) / height)
        yield figure, figure.add_axes(place)


def _svg(figure: Figure, ident: str, alt: str) -> str:
    """The figure as an SVG element whose ids, colours and fonts fit into the page."""
    written = BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    root = etree.fromstring(written.getvalue())
    etree.strip_tags(root, etree.Comment)
    style = root.find("{*}defs/{*}style")  # it would style the whole page, which says the same for plots itself
    style.getparent().remove(style)
    _rename(root, ident)
    for element in root.iter():
        for name in ("style", "fill", "stroke"):
            if name in element.attrib:
                element.set(name, _themed(element.get(name)))
    del root.attrib["height"]
    root.set("width", str(_WIDTH))
    root.set("role", "img")
    root.set("aria-label", alt)
    return str(etree.tostring(root, encoding="unicode"))


def _rename(root: Any, ident: str) -> None:
    """Ids that something refers to get the plot's own before them; the others go."""
    attributes = [(element, name) for element in root.iter() for name in element.attrib]
    referring = [(element, name, element.get(name)) for element, name in attributes if name != "id"]
    wanted = {target for *_, value in referring for target in re.findall(r"(?:^|url\()#([^)]+)", value)}
    for element, name, value in referring:
        if name.endswith("href") or "url(#" in value:
            element.set(name, re.sub(r"(^|url\()#", rf"\1#{ident}-", value))
    for element in root.iter():
        if "id" in element.attrib:
            if element.get("id") in wanted:
                element.set("id", f"{ident}-{element.get('id')}")
            else:
                del element.attrib["id"]


def _themed(style: str) -> str:
    """A style with the page's colours and without a font of its own."""
    for placeholder, css in _CSS.items():
        style = style.replace(placeholder, css)
    return re.sub(r"font-family:[^;]*;? ?", "", style)


def _apart(ends: Mapping[str, float], gap: float) -> dict[str, float]:
    """Where labels go, so that each is near its curve's end and none covers another; lowest first."""
    placed: dict[str, float] = {}
    floor = 0.01
    for name, end in sorted(ends.items(), key=lambda entry: entry[1]):
        placed[name] = max(end, floor)
        floor = placed[name] + gap
    roof = 1.0
    for name in reversed(placed):
        placed[name] = min(placed[name], roof)
        roof = placed[name] - gap
    return placed


def _steps(counts: Sequence[int]) -> tuple[list[float], list[int]]:
    """Corners of the sorted counts as a line; it ends with the last essay that is named at all."""
    xs: list[float] = []
    ys: list[int] = []
    for count, run in groupby(count for count in counts if count > 0):
        start = xs[-1] if xs else 0
        xs += [start, start + len(list(run))]
        ys += [count, count]
    return xs, ys


def _ticks() -> Iterable[int]:
    return (digit * 10**power for power in range(7) for digit in (1, 2, 5))


def _tone(name: str, ours: str, best: str | None) -> tuple[str, float]:
    if name == ours:
        return OURS, 2.4
    return (INK, 1.4) if name == best else (LINE, 1.1)


def _room(names: Iterable[str]) -> float:
    return 14 + _CHARACTER * max(len(_short(name)) for name in names)


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 1]}…"


def _figures(value: float | None, decimals: int, signed: bool) -> str:
    sign = "+" if signed else ""
    return "–" if value is None else f"{value:{sign}z.{decimals}f}".replace("-", "−")
