"""What `related clicks LOG...` tells."""

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from service.events import ClickReport, Interval, VariantClicks
from service.terminal import open_console, print_line, shown


def clicks_record(report: ClickReport) -> dict[str, Any]:
    """What is told, as JSON: the fields of service.events.ClickReport."""
    return asdict(report)


def print_clicks(report: ClickReport) -> None:
    """The same for a person."""
    console = open_console(False)
    table = Table(title="clicks an impression, with 95% intervals", title_justify="left", box=SIMPLE_HEAD)
    first = report.variants[0].variant if report.variants else ""
    for column in ("variant", "pages", "impressions", "clicks", "rate", f"difference from {first}"):
        table.add_column(shown(column), justify="left" if column == "variant" else "right", no_wrap=True)
    for figures in report.variants:
        table.add_row(*(shown(cell) for cell in _cells(figures)))
    if report.variants:
        console.print(table)
    else:
        print_line(console, "No impression in these logs.")
    if any(figures.interval is None for figures in report.variants):
        print_line(console, "More clicks than impressions are no rate: log the first click of a page view only.")
    if report.strays:
        print_line(console, f"Clicks not counted, since no impression tells of their list: {report.strays:,}")
    if report.malformed:
        print_line(console, f"Lines that are no event: {report.malformed:,} of {report.lines:,}, such as")
        for mistake in report.mistakes:
            print_line(console, f"  {mistake.file}, line {mistake.line}: {mistake.reason}")


def _cells(figures: VariantClicks) -> tuple[str, ...]:
    counts = (f"{n:,}" for n in (figures.pages, figures.impressions, figures.clicks))
    rate = f"{figures.rate:.2%}{_range(figures.interval, '.2%')}"
    if figures.difference is None:
        return (figures.variant, *counts, rate, "")
    return (figures.variant, *counts, rate, f"{figures.difference:+.2%}{_range(figures.difference_interval, '+.2%')}")


def _range(interval: Interval | None, form: str) -> str:
    return f" [{interval[0]:{form}}, {interval[1]:{form}}]" if interval else ""
