"""What a report of an evaluation tells, section by section: sentences, figures, tables and plots for the template.

Each section is a function of the record, and gives none when the record has nothing for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from service import plots

Record = Mapping[str, Any]

OURS = "related"
TEXTS_ALONE = "meaning"
"""Our profile that sees no list."""
MAIN = "curated_recall@10"
METRICS = ("curated_recall@5", MAIN, "curated_recall@50", "hit@10", "mrr", "ndcg@10")
_NONE = "–"
_COMPARED = ("", "first", "second", "difference")
_PROTOCOLS = {
    "cold": (
        "Cold: no list is seen",
        "No curated list is seen by anything, as on a site that has none: what meaning and wording alone can find.",
    ),
    "curated": (
        "Curated: the page’s own list is hidden",
        "The judged page’s own list is hidden, and a fifth of all lists with it; the others may be learned from. This "
        "is what a page gets that others already link to.",
    ),
    "new_page": (
        "New page: links to it are hidden too",
        "Besides, every link to the judged page is hidden: what a page gets on the day it is published.",
    ),
}
_DEGREE: Sequence[tuple[str, str, Callable[[float], str]]] = (
    ("coverage", "essays some list names", "{:.1%}".format),
    ("orphans", "essays no list names", "{:.1%}".format),
    ("max_share", "our lists that name the most-named essay", "{:.1%}".format),
    ("max_share_by_default", "the same, in lists as long as the pages’ own", "{:.1%}".format),
    ("gini", "Gini index (0 is even)", "{:.2f}".format),
)
_SHORT = {"cold": "Cold", "curated": "Curated", "new_page": "New page", "listed": "Listed pages", "new": "New pages"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a table, and what stands small beneath it."""

    text: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. mark: a remark on its name."""

    name: str
    cells: Sequence[Cell]
    ours: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """columns: the name column's heading first. folded: shown when the reader opens it."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with its caption. svg is the only markup that the template does not escape."""

    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Section:
    """says: what it means to an editor. facts: (label, figure)."""

    ident: str
    title: str
    says: str
    facts: Sequence[tuple[str, Cell]] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()


def sections_of(record: Record) -> list[Section]:
    """Everything that the record has, in the order of the page."""
    return [section for make in _SECTIONS for section in make(record)]


def _overview(record: Record) -> Iterable[Section]:
    protocols = _protocols(record)
    if not protocols:
        return
    says = (
        "How many of the articles that editors listed for a page are among the program’s first ten for it: 0.65 says "
        "65 in 100. Lines through the bars are 95% intervals."
    )
    facts = [
        (_SHORT[p], Cell(_value(row[OURS].get(MAIN)), _lift(record, p))) for p, row in protocols.items() if OURS in row
    ]
    end = max((interval[2] for row in protocols.values() for _, interval in _main(row)), default=1.0)
    drawn = [_overview_plot(protocol, systems, end) for protocol, systems in protocols.items() if _main(systems)]
    yield Section("overview", "At a glance", says, facts, drawn)


def _overview_plot(protocol: str, systems: Record, end: float) -> Plot:
    rows = [plots.Bar(name, v[0], (v[1], v[2]), name == OURS) for name, v in _main(systems)]
    alt = f"Bars of recall@10, {_SHORT[protocol]}: " + ", ".join(f"{row.name} {row.value:.3f}" for row in rows)
    return Plot(f"{_SHORT[protocol]}: recall@10", plots.bars(f"overview-{protocol}", alt, rows, (0, 1.02 * end or 1)))


def _judged(record: Record) -> Iterable[Section]:
    for protocol, systems in _protocols(record).items():
        title, says = _PROTOCOLS[protocol]
        best = _best(record, protocol)
        ordered = sorted(systems, key=lambda name: (-(systems[name].get(MAIN) or [0])[0], name))
        rows = [
            Row(name, [_interval(systems[name].get(m)) for m in METRICS], name == OURS, _mark(name, best))
            for name in ordered
        ]
        columns = ["system", *(metric.removeprefix("curated_") for metric in METRICS)]
        yield Section(protocol.replace("_", "-"), title, says, tables=[Table(title, columns, rows)])


def comparison(first: Record, second: Record, heading: str, other: str) -> Iterable[Section]:
    """Our main figures of two evaluations side by side."""
    says = f"First: {heading}. Second: {other}. A difference that is small beside the intervals may be chance."
    tables = [_compared(_SHORT[p], first[p], second[p]) for p in _protocols(first) if p in _protocols(second)]
    sizes = [Cell(f"{record['n']:,}") for record in (first, second)]
    difference = Cell(f"{first['n'] - second['n']:+,}".replace("-", "−"))
    tables.append(Table("What was judged", _COMPARED, [Row("lists", [*sizes, difference])]))
    yield Section("compared", f"Beside {other}", says, tables=tables)


def _compared(caption: str, first: Record, second: Record) -> Table:
    rows = [_compared_row(metric, first.get(OURS, {}), second.get(OURS, {})) for metric in METRICS]
    return Table(caption, _COMPARED, rows)


def _compared_row(metric: str, first: Record, second: Record) -> Row:
    ours, theirs = first.get(metric), second.get(metric)
    difference = Cell(_signed(ours[0] - theirs[0]) if ours and theirs else _NONE)
    return Row(metric.removeprefix("curated_"), [_interval(ours), _interval(theirs), difference], metric == MAIN)


def _rule_costs(record: Record) -> Iterable[Section]:
    costs = _known(_details(record, "rule_costs"))
    if costs:
        says = "Recall@10 that a rule costs: its price in agreement with the editors. Below zero, the rule helps."
        rules = dict.fromkeys(rule for row in costs.values() for rule in row)
        rows = [
            Row(rule.replace("_", "-"), [_interval(row.get(rule), _signed) for row in costs.values()]) for rule in rules
        ]
        heads = ["rule", *(_SHORT[protocol] for protocol in costs)]
        yield Section("rules", "What rules cost", says, tables=[Table("What rules cost", heads, rows)])


def _curves(record: Record) -> Iterable[Section]:
    known = _known(_details(record, "curves"))
    curves = {
        p: kept for p, systems in known.items() if (kept := {s: recall for s, recall in systems.items() if recall})
    }
    if curves:
        says = "How much of an editors’ list is found as ours grows longer: the higher at the left, the better."
        drawn = [_curves_plot(protocol, systems, _best(record, protocol)) for protocol, systems in curves.items()]
        tables = [_curves_table(protocol, systems) for protocol, systems in curves.items()]
        yield Section("curves", "Recall by length of the list", says, plots=drawn, tables=tables)


def _curves_plot(protocol: str, systems: Mapping[str, Sequence[float]], best: str | None) -> Plot:
    ends = ", ".join(f"{name} {recall[-1]:.3f}" for name, recall in systems.items())
    alt = f"Curves of recall by length of the list, {_SHORT[protocol]}; at their right end: {ends}"
    return Plot(_SHORT[protocol], plots.curves(f"curves-{protocol}", alt, systems, OURS, best))


def _curves_table(protocol: str, systems: Mapping[str, Sequence[float]]) -> Table:
    lines = enumerate(zip_longest(*systems.values()), 1)
    rows = [Row(str(k), [Cell(_number(value)) for value in line]) for k, line in lines]
    return Table(f"{_SHORT[protocol]}: recall by length of the list", ["length", *systems], rows, folded=True)


def _learned(record: Record) -> Iterable[Section]:
    learned = _details(record, "learned")
    if learned:
        says = "What the lists taught: how much each signal counts, where links to a page are known and where not."
        facts = [
            ("learned weights are", Cell("used" if learned.get("used") else "not used", learned.get("reason") or "")),
            ("lists learned from", Cell(f"{learned['lists']:,}" if learned.get("lists") is not None else _NONE)),
            ("recall@10 gained", _interval(learned.get("gain"), _signed)),
        ]
        weights = {kind: of for kind, of in (learned.get("weights") or {}).items() if kind in _SHORT and of}
        drawn, tables = (_weights_plots(weights), [_weights_table(weights)]) if weights else ([], [])
        yield Section("learned", "What was learned", says, facts, drawn, tables)


def _weights_plots(weights: Mapping[str, Mapping[str, float]]) -> list[Plot]:
    limits = _limits([weight for of in weights.values() for weight in of.values()])
    return [_weights_plot(kind, of, _union(weights), limits) for kind, of in weights.items()]


def _weights_plot(kind: str, weights: Mapping[str, float], signals: Sequence[str], limits: tuple[float, float]) -> Plot:
    rows = [plots.Bar(signal, weights.get(signal), None, True) for signal in signals]
    alt = f"Bars of weights, {_SHORT[kind]}: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    return Plot(f"{_SHORT[kind]}: weight", plots.bars(f"weights-{kind}", alt, rows, limits, decimals=2))


def _weights_table(weights: Mapping[str, Mapping[str, float]]) -> Table:
    rows = [Row(signal, [Cell(_number(of.get(signal))) for of in weights.values()]) for signal in _union(weights)]
    return Table("The weights in figures", ["signal", *(_SHORT[kind] for kind in weights)], rows, folded=True)


def _ablation(record: Record) -> Iterable[Section]:
    ablation = _details(record, "ablation")
    protocols = [p for p in _PROTOCOLS if any(of.get(p) for of in ablation.values())]
    if protocols:
        says = "Recall@10 lost when one signal is taken away. A grey bar’s interval includes zero: it may be chance."
        lost = {p: {signal: of.get(p) for signal, of in ablation.items()} for p in protocols}
        limits = _limits([end for of in lost.values() for interval in of.values() for end in interval or ()])
        drawn = [_ablation_plot(protocol, of, limits) for protocol, of in lost.items()]
        rows = [Row(signal, [_interval(of.get(p), _signed) for p in protocols]) for signal, of in ablation.items()]
        table = Table("The losses in figures", ["without", *(_SHORT[p] for p in protocols)], rows, folded=True)
        yield Section("ablation", "What each signal is good for", says, plots=drawn, tables=[table])


def _ablation_plot(protocol: str, lost: Mapping[str, Any], limits: tuple[float, float]) -> Plot:
    rows = [_lost_bar(signal, interval) for signal, interval in lost.items()]
    values = ", ".join(f"{signal} {_signed(interval[0])}" for signal, interval in lost.items() if interval)
    alt = f"Bars of recall@10 lost, {_SHORT[protocol]}: {values}"
    return Plot(f"{_SHORT[protocol]}: recall@10 lost without", plots.bars(f"ablation-{protocol}", alt, rows, limits))


def _lost_bar(signal: str, interval: Sequence[float] | None) -> plots.Bar:
    if not interval:
        return plots.Bar(signal, None, None, False)
    value, low, high = interval
    return plots.Bar(signal, value, (low, high), strong=low > 0 or high < 0)


def _learning_curve(record: Record) -> Iterable[Section]:
    steps = _details(record, "learning_curve")
    protocols = [p for p in _PROTOCOLS if any(step.get(p) for step in steps)]
    if protocols:
        says = (
            "Recall@10 by the share of your lists that the program may learn from. Hollow points: what was learned is "
            "not used, since the lists are too few to show a gain."
        )
        ends = [end for step in steps for p in protocols if step.get(p) for end in step[p]]
        margin = 0.1 * (max(ends) - min(ends)) or 0.05
        limits = (max(0.0, min(ends) - margin), max(ends) + margin)
        drawn = [_learning_plot(protocol, steps, limits) for protocol in protocols]
        yield Section(
            "learning-curve",
            "How many lists it takes",
            says,
            plots=drawn,
            tables=[_learning_table(steps, protocols)],
        )


def _learning_plot(protocol: str, steps: Sequence[Record], limits: tuple[float, float]) -> Plot:
    known = [step for step in steps if step.get(protocol)]
    points = [_point(step, step[protocol]) for step in known]
    values = ", ".join(f"{step[protocol][0]:.3f} at {_share(step)}" for step in known)
    alt = f"Recall@10 by share of the lists learned from, {_SHORT[protocol]}: {values}"
    return Plot(f"{_SHORT[protocol]}: recall@10", plots.learning_curve(f"learning-{protocol}", alt, points, limits))


def _point(step: Record, interval: Sequence[float]) -> plots.Point:
    value, low, high = interval
    return plots.Point(f"{_share(step)}\n{step['lists']:,}", value, low, high, filled=bool(step.get("used")))


def _learning_table(steps: Sequence[Record], protocols: Sequence[str]) -> Table:
    rows = [
        Row(
            _share(step),
            [
                Cell(f"{step['lists']:,}"),
                *(_interval(step.get(p)) for p in protocols),
                Cell("yes" if step.get("used") else "no"),
            ],
        )
        for step in steps
    ]
    columns = ["share", "lists", *(_SHORT[p] for p in protocols), "used"]
    return Table("Recall@10 by share of the lists", columns, rows, folded=True)


def _calibration(record: Record) -> Iterable[Section]:
    bands = [band for band in _details(record, "calibration") if band["n"]]
    if bands:
        says = (
            "Whether a score means what it says: of the pairs scored 0.3, editors should have listed three in ten, "
            "and the point then lies on the dashed line. Larger points stand for more pairs."
        )
        points = [(band["mean_score"], band["share_listed"], band["n"]) for band in bands]
        alt = "Score and share listed: " + ", ".join(f"{score:.2f} and {share:.2f}" for score, share, _ in points)
        plot = Plot("Share listed, by score", plots.calibration("calibration", alt, points))
        rows = [
            Row(f"{b['low']:.2f} to {b['high']:.2f}", [Cell(f"{b['n']:,}"), *map(Cell, _band_figures(b))])
            for b in bands
        ]
        table = Table("Pairs by score", ["score", "pairs", "mean score", "share listed"], rows)
        yield Section("calibration", "What a score means", says, plots=[plot], tables=[table])


def _band_figures(band: Record) -> Iterable[str]:
    return (f"{band['mean_score']:.3f}", f"{band['share_listed']:.3f}")


def _in_degree(record: Record) -> Iterable[Section]:
    degree = _details(record, "in_degree")
    if degree:
        says = (
            f"How many lists name each essay, with lists of {degree['k']}: the flatter the line, the more evenly "
            "readers are led over the site. A line ends at the last essay that any list names."
        )
        facts = [(label, Cell(write(degree[key]))) for key, label, write in _DEGREE if degree.get(key) is not None]
        series = {key: degree[key] for key in ("ours", "editors", "dense") if any(degree.get(key) or ())}
        drawn = [_in_degree_plot(series)] if series else []
        tables = [_in_degree_table(series)] if series else []
        yield Section("in-degree", "How evenly essays are named", says, facts, drawn, tables)


def _in_degree_plot(series: Mapping[str, Sequence[int]]) -> Plot:
    colours = {"ours": plots.OURS, "editors": plots.INK, "dense": plots.LINE}
    lines = [(key, colours[key], counts) for key, counts in series.items()]
    most = ", ".join(f"{key} {counts[0]:,}" for key, counts in series.items())
    alt = f"Lists that name each essay, in descending order; the most-named essay: {most}"
    return Plot("Lists that name an essay", plots.in_degree("in-degree", alt, lines))


def _in_degree_table(series: Mapping[str, Sequence[int]]) -> Table:
    """How many essays are named by how many lists: the whole curve in few lines."""
    essays = {key: Counter(counts) for key, counts in series.items()}
    numbers = sorted({number for of in essays.values() for number in of}, reverse=True)
    rows = [Row(f"{number:,}", [Cell(f"{of[number]:,}") for of in essays.values()]) for number in numbers]
    return Table("Essays by how many lists name them", ["lists", *essays], rows, folded=True)


def _blurbs(record: Record) -> Iterable[Section]:
    blurbs = _details(record, "blurbs")
    if blurbs:
        says = (
            "How often an editor’s blurb alone finds the essay it speaks of, when that is read without its standfirst: "
            "how well one sentence and a whole text are brought together."
        )
        facts = [("blurbs tried", Cell(f"{blurbs['n']:,}"))]
        facts += [(metric, _interval(blurbs[metric])) for metric in ("recall@1", "recall@10") if blurbs.get(metric)]
        yield Section("blurbs", "A blurb finds its essay", says, facts)


_SECTIONS: Sequence[Callable[[Record], Iterable[Section]]] = (
    _overview,
    _judged,
    _rule_costs,
    _curves,
    _learned,
    _ablation,
    _learning_curve,
    _calibration,
    _in_degree,
    _blurbs,
)


# --- Parts of the record ---


def _details(record: Record, key: str) -> Any:
    return (record.get("details") or {}).get(key) or {}


def _known(by_protocol: Record) -> dict[str, Any]:
    return {protocol: by_protocol[protocol] for protocol in _PROTOCOLS if by_protocol.get(protocol)}


def _protocols(record: Record) -> dict[str, Any]:
    return _known(record) if record["n"] else {}


def _main(systems: Record) -> list[tuple[str, Sequence[float]]]:
    """The systems' recall@10, best first."""
    values = [(name, row[MAIN]) for name, row in systems.items() if row.get(MAIN)]
    return sorted(values, key=lambda entry: (-entry[1][0], entry[0]))


def _best(record: Record, protocol: str) -> str | None:
    """The best baseline: the one that the lift is over, else the one with the highest recall@10. Ours is none."""
    lift = _details(record, "lift").get(protocol) or {}
    others = (name for name, _ in _main(record.get(protocol) or {}) if name not in (OURS, TEXTS_ALONE))
    return next(iter(lift), None) or next(others, None)


def _lift(record: Record, protocol: str) -> str:
    lift = _details(record, "lift").get(protocol) or {}
    return "; ".join(f"{_signed(v[0])} {_ends(v, _signed)} over {baseline}" for baseline, v in lift.items())


def _union(weights: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The signals of any kind of page, once each."""
    return list(dict.fromkeys(signal for of in weights.values() for signal in of))


def _mark(name: str, best: str | None) -> str:
    return "ours" if name == OURS else "best baseline" if name == best else ""


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Of a bars' axis: zero is on it, and the bars have a little room."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.05 * (high - low) or 1.0
    return low - room if low < 0 else 0.0, high + room


# --- Figures as text ---


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:z.3f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+z.3f}".replace("-", "−")


def _value(interval: Sequence[float] | None) -> str:
    return _number(interval[0] if interval else None)


def _interval(interval: Sequence[float] | None, write: Callable[[float], str] = _number) -> Cell:
    return Cell(write(interval[0]), _ends(interval, write)) if interval else Cell(_NONE)


def _ends(interval: Sequence[float], write: Callable[[float], str]) -> str:
    return f"[{write(interval[1])}, {write(interval[2])}]"


def _share(step: Record) -> str:
    return f"{100 * step['share']:.3g}%"
