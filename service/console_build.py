"""What a person sees of a build in the terminal: its closing report, or what a dry run found."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recommender.build_report import BuildReport
from service.console import print_evaluation
from service.terminal import open_console as _console
from service.terminal import print_line as _print

if TYPE_CHECKING:
    from recommender.dry_run import BuildPlan

_SHOWN_PROBLEMS = 10
_SHOWN_IDS = 8


def print_build(report: BuildReport, to_stderr: bool) -> None:
    """The closing report of a build."""
    console = _console(to_stderr)
    pages, blurbs, counts = report.pages, report.blurbs, report.counts
    for title, lines in (("Problems", [str(p) for p in pages.problems]), ("Remarks", list(pages.remarks))):
        _print_some(console, title, lines)
    for kind in ("ambiguous", "unmatched"):
        _print_some(console, f"{blurbs[kind]:,} {kind} related articles, such as", blurbs[f"{kind}_examples"])
    _print(console, f"\nEdition {report.edition}")
    _print(
        console, f"  {len(pages.essays):,} essays, {len(pages.problems):,} problems{_passed_over(pages.passed_over)}"
    )
    rate = f" ({blurbs['joined'] / blurbs['total']:.1%})" if blurbs["total"] else ""
    _print(
        console,
        f"  {blurbs['total']:,} list entries: {blurbs['joined']:,} joined{rate}, {blurbs['ambiguous']:,} ambiguous, "
        f"{blurbs['unmatched']:,} unmatched",
    )
    _print(
        console,
        f"  {counts['near_duplicates']:,} near-duplicates, {counts['categories_inferred']:,} categories inferred, "
        f"{counts['unmatched_blurbs']:,} blurbs without a page",
    )
    _print(console, f"  {report.encoded:,} texts encoded, {report.reused:,} reused")
    if report.changed is not None:
        overlap = f"; overlap {report.overlap:.3f} on average" if report.overlap is not None else ""
        _print(console, f"  {report.changed:,} essays' lists changed since the last edition{overlap}")
    _print_editors(console, report.evaluation["details"]["learned"].get("editors"))
    _print_seconds(console, report.seconds)
    print_evaluation(report.evaluation, console=console)


def line_of(report: BuildReport) -> str:
    """A build in one line, for a folder that is watched."""
    found = f"{_counted(len(report.pages.essays), 'essay')}, {_counted(len(report.pages.problems), 'problem')}"
    changed = f", {report.changed:,} lists changed" if report.changed is not None else ""
    took = f"{sum(report.seconds.values()):.1f} s"
    return f"edition {report.edition}: {found}, {report.encoded:,} texts encoded{changed}, {took}"


def print_plan(plan: "BuildPlan") -> None:
    """What a dry run found."""
    console = _console(False)
    _print_some(console, "Problems", [str(problem) for problem in plan.pages.problems])
    found = f"{len(plan.new):,} new, {len(plan.changed):,} changed, {len(plan.removed):,} removed"
    against = f" against edition {plan.against}" if plan.against else "; there is no edition yet"
    _print(console, f"\nPages: {found}, {plan.unchanged:,} unchanged{against}")
    for what, ids in (("new", plan.new), ("changed", plan.changed), ("removed", plan.removed)):
        more = f" and {len(ids) - _SHOWN_IDS:,} more" if len(ids) > _SHOWN_IDS else ""
        if ids and plan.against:
            _print(console, f"  {what}: {', '.join(ids[:_SHOWN_IDS])}{more}")
    about = "" if plan.texts.exact else "about "
    _print(console, f"Texts: {about}{plan.texts.to_encode:,} of {plan.texts.wanted:,} to encode")
    if plan.republish:
        _print(
            console,
            "A build would publish the current lists again, unless editors have decided or the program has changed",
        )
    if plan.seconds is None:
        _print(console, "Time: unknown: no earlier build")
        return
    _print(console, f"Time: about {_span(sum(plan.seconds.values()))}, and what it takes to publish")
    _print_seconds(console, plan.seconds)


def _print_seconds(console: Console, seconds: Mapping[str, float]) -> None:
    """Where the time went, or would go."""
    table = Table(box=SIMPLE_HEAD)
    for column in ("stage", "seconds", "share"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    total = sum(seconds.values())
    for stage, took in seconds.items():
        table.add_row(stage, f"{took:,.1f}", f"{took / total:.0%}" if total else "")
    table.add_row("all", f"{total:,.1f}", "")
    console.print(table)


def _span(seconds: float) -> str:
    """A time to wait for, no more exact than it is known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _print_editors(console: Console, editors: Mapping[str, Any] | None) -> None:
    """What editors' decisions added to the weights; nothing where there were none."""
    if editors:
        counts = f"{_counted(editors['approved'], 'approval')} and {_counted(editors['excluded'], 'exclusion')}"
        missing = f" ({editors['missing']:,} more of pairs that are no candidates)" if editors["missing"] else ""
        learned = "learned" if editors["used"] else "not learned"
        _print(console, f"  {learned} from {counts}{missing}: {editors['reason']}")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _print_some(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        _print(console, f"\n{title}:")
        for line in lines[:_SHOWN_PROBLEMS]:
            _print(console, f"  {line}")
        if len(lines) > _SHOWN_PROBLEMS:
            _print(console, f"  ... and {len(lines) - _SHOWN_PROBLEMS:,} more, all in the edition's manifest.json")


def _passed_over(counts: Mapping[str, int]) -> str:
    return "".join(f", {count} {ending} passed over" for ending, count in counts.items())
