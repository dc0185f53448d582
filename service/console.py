"""What a person sees in the terminal: progress bars and tables. Nothing that a page says is read as markup."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from corpus.decoding import plain
from embeddings.encoder import Progress as OnProgress
from recommender.build_report import BuildReport
from recommender.edition import Edition, EditionSummary
from recommender.ranking import DEFAULT_LIMIT, Ranking, Recommendation, Rules, list_limit

_SHOWN_PROBLEMS = 10
_WIDTH_OF_A_PIPE = 120
_METRICS = ("curated_recall@5", "curated_recall@10", "curated_recall@50", "hit@10", "mrr", "ndcg@10")


class Bars:
    """A recommender.watch.Watch on stderr: bars on a terminal, a line a stage elsewhere, nothing when quiet."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._quiet = quiet
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(
            *columns,
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def stage(self, name: str, total: int) -> OnProgress:
        """Begin a stage; the function returned is called with the items done since its last call."""
        if not self._quiet and not self._console.is_terminal:
            self.say(f"{name} ({total:,})")
        task = self._bars.add_task(f"{name:20}", total=total)
        return lambda done: self._bars.advance(task, done)

    def say(self, text: str) -> None:
        """A line beside the bars."""
        self._console.print(_shown(text), soft_wrap=True)


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
        _print(console, f"  {report.changed:,} essays' lists changed since the last edition")
    _print(console, "  seconds: " + ", ".join(f"{stage} {s:.1f}" for stage, s in report.seconds.items()))
    print_evaluation(report.evaluation, console=console)


def print_evaluation(evaluation: Mapping[str, Any], heading: str = "", console: Console | None = None) -> None:
    """The recall table: ours and every baseline, with 95% intervals of the main figures."""
    console = console or _console(False)
    _print(console, f"\n{heading}" if heading else "")
    n = evaluation["n"]
    if not n:
        _print(console, "Nothing to judge: no curated list names an essay of this site.")
        return
    ceiling = f"{evaluation['ceiling']:.1%}" if evaluation["ceiling"] is not None else "unknown"
    title = f"cold: no list seen by any signal; n = {n:,} lists; {ceiling} of their entries are essays of the site"
    table = Table(title=_shown(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("")
    for metric in _METRICS:
        table.add_column(metric.replace("curated_", ""), justify="right", no_wrap=True)
    systems = sorted(evaluation["cold"].items(), key=lambda entry: entry[1]["curated_recall@10"][0])
    for name, metrics in systems:
        cells = [_interval(metrics[m]) if m == "curated_recall@10" else f"{metrics[m][0]:.3f}" for m in _METRICS]
        table.add_row(name, *cells, style="bold" if name == "related" else "")
    console.print(table)
    for name, lift in evaluation["lift"].items():
        _print(console, f"recall@10 over the best baseline, {name}: {lift[0]:+.3f} [{lift[1]:+.3f}, {lift[2]:+.3f}]")
    for rule, cost in evaluation["rule_costs"].items():
        _print(console, f"recall@10 that the rule on {rule.replace('_', '-')} costs: {cost[0]:.3f}")


def show_record(edition: Edition, ident: str, unlinked: bool) -> dict[str, Any]:
    """What `related show` tells of an essay, as JSON."""
    lists = edition.lists(ident)
    limit = max(DEFAULT_LIMIT, list_limit(lists.list_length))  # more than the page shows: what the model adds, too
    ranking = edition.related(ident, Rules(limit=limit, unlinked=unlinked))
    item = edition.items[ident]
    essay = edition.essay_record(ident)
    essay["blocks"] = {kind: sum(b["kind"] == kind for b in essay["blocks"]) for kind in ("heading", "paragraph")}
    essay["category"] = item.category  # inferred where the page says none
    return {
        "edition": edition.id,
        "essay": essay,
        "curated": [_item(edition, candidate.id) | {"score": candidate.score} for candidate in lists.curated],
        "recommendations": [_recommendation(edition, r) for r in ranking.recommendations],
        "dropped": [_item(edition, dropped.target) | {"reason": dropped.reason} for dropped in ranking.dropped],
    }


def print_essay(record: Mapping[str, Any]) -> None:
    """An essay with its lists, from show_record()."""
    console = _console(False)
    essay = record["essay"]
    console.print(_shown(essay["title"] or essay["id"], style="bold"))
    if essay["standfirst"]:
        console.print(_shown(essay["standfirst"], style="italic"))
    minutes = f"{essay['reading_minutes']} min read" if essay["reading_minutes"] else None
    fields = (essay["category"], essay["author"], essay["published"], minutes, essay["url"])
    _print(console, " · ".join(field for field in fields if field))
    blocks = essay["blocks"]
    _print(console, f"{blocks['paragraph']} paragraphs, {blocks['heading']} headings; id {essay['id']}\n")
    _print_items(console, "Curated list", record["curated"], ("score",))
    _print_items(console, "Related articles", record["recommendations"], ("score", "origin", "reason"))
    _print_items(console, "Dropped", record["dropped"], ("reason",))


def suggestion_record(edition: Edition, ranking: Ranking) -> dict[str, Any]:
    """What `related suggest` tells, as JSON."""
    return {
        "edition": edition.id,
        "items": [_recommendation(edition, r) for r in ranking.recommendations],
        "dropped": [_item(edition, dropped.target) | {"reason": dropped.reason} for dropped in ranking.dropped],
    }


def print_suggestions(title: str, record: Mapping[str, Any]) -> None:
    """A draft's related articles, from suggestion_record()."""
    console = _console(False)
    _print_items(console, f"Related articles for {title}", record["items"], ("score", "reason"))
    _print_items(console, "Dropped", record["dropped"], ("reason",))


def print_editions(editions: Sequence[EditionSummary]) -> None:
    """The editions of a home."""
    table = Table(box=SIMPLE_HEAD)
    for column in ("", "edition", "built at", "essays", "state"):
        table.add_column(column)
    for entry in editions:
        state = _shown(entry.broken, style="red") if entry.broken else _shown("intact")
        table.add_row("current" if entry.current else "", entry.id, entry.built_at, f"{entry.essays:,}", state)
    _console(False).print(table)


def _recommendation(edition: Edition, recommendation: Recommendation) -> dict[str, Any]:
    return _item(edition, recommendation.target) | {
        "position": recommendation.position,
        "score": recommendation.score,
        "origin": recommendation.origin,
        "reason": "; ".join(recommendation.reasons),
    }


def _item(edition: Edition, ident: str) -> dict[str, Any]:
    item = edition.items[ident]
    return {
        "id": item.id,
        "title": item.title,
        "standfirst": item.standfirst,
        "category": item.category,
        "published": item.published.isoformat() if item.published else None,
    }


def _print_items(console: Console, title: str, items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    if not items:
        return
    table = Table(title=_shown(title), title_justify="left", box=SIMPLE_HEAD)
    for column in ("#", "article", *columns):
        table.add_column(column, justify="right" if column in ("#", "score") else "left")
    for number, item in enumerate(items, 1):
        name = _shown(item["title"] or item["standfirst"] or item["id"])
        name.append(f"\n{item['category'] or 'no category'} · {item['published'] or 'no date'}", style="dim")
        cells = [f"{item[c]:.2f}" if c == "score" else str(item[c]) for c in columns]
        table.add_row(str(number), name, *(_shown(cell) for cell in cells))
    console.print(table)


def _print_some(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        _print(console, f"\n{title}:")
        for line in lines[:_SHOWN_PROBLEMS]:
            _print(console, f"  {line}")
        if len(lines) > _SHOWN_PROBLEMS:
            _print(console, f"  ... and {len(lines) - _SHOWN_PROBLEMS:,} more, all in the edition's manifest.json")


def _passed_over(counts: Mapping[str, int]) -> str:
    return "".join(f", {count} {ending} passed over" for ending, count in counts.items())


def _interval(interval: Sequence[float]) -> str:
    return f"{interval[0]:.3f} [{interval[1]:.3f}, {interval[2]:.3f}]"


def _console(to_stderr: bool) -> Console:
    shown_on = sys.stderr if to_stderr else sys.stdout
    width = None if shown_on.isatty() else _WIDTH_OF_A_PIPE
    return Console(stderr=to_stderr, markup=False, highlight=False, width=width)


def _print(console: Console, text: str) -> None:
    console.print(_shown(text), soft_wrap=True)


def _shown(text: str, style: str = "") -> Text:
    """The text for the terminal: neither markup nor control characters of it act there."""
    return Text(plain(text), style=style)
