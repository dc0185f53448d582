"""What a person sees in the terminal: progress bars and tables. Nothing that a page says is read as markup."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from recommender.edition import Edition
from recommender.publishing import EditionSummary
from recommender.ranking import DEFAULT_LIMIT, Ranking, Recommendation, Rules, list_limit, rules_in
from service.terminal import open_console as _console
from service.terminal import print_line as _print
from service.terminal import shown as _shown

if TYPE_CHECKING:
    from embeddings.encoder import Progress as OnProgress
    from service.answers import Answers

_METRICS = ("curated_recall@5", "curated_recall@10", "curated_recall@50", "hit@10", "mrr", "ndcg@10")


class Bars:
    """A recommender.watch.Watch on stderr: bars on a terminal, a line a stage elsewhere, nothing when quiet."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._quiet = quiet
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate())
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

    def stage(self, name: str, total: int) -> "OnProgress":
        """Begin a stage; the function returned is called with the items done since its last call."""
        if not self._quiet and not self._console.is_terminal:
            self.say(f"{name} ({total:,})")
        task = self._bars.add_task(f"{name:20}", total=total)
        return lambda done: self._bars.advance(task, done)

    def say(self, text: str) -> None:
        """A line beside the bars."""
        self._console.print(_shown(text), soft_wrap=True)


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="dim")


def print_evaluation(evaluation: Mapping[str, Any], heading: str = "", console: Console | None = None) -> None:
    """The recall tables: ours and every baseline under each protocol, and what was learned."""
    console = console or _console(False)
    _print(console, f"\n{heading}" if heading else "")
    n = evaluation["n"]
    if not n:
        _print(console, "Nothing to judge: no curated list names an essay of this site.")
        return
    ceiling = f"{evaluation['ceiling']:.1%}" if evaluation["ceiling"] is not None else "unknown"
    protocols = [protocol for protocol in _PROTOCOLS if protocol in evaluation]
    title = f"recall@10 by n = {n:,} curated lists; {ceiling} of their entries are essays of the site"
    _print_systems(console, title, evaluation, protocols)
    for protocol in protocols:
        _print(console, f"{protocol.replace('_', ' '):9} {_PROTOCOLS[protocol]}")
    _print_details(console, evaluation["details"])


_PROTOCOLS = {
    "cold": "no list is seen by anything",
    "curated": "the judged page's own list is hidden, and those of its fold",
    "new_page": "links to the judged page are hidden, too",
}
_MAIN = "curated_recall@10"
_OTHER_METRICS = ("curated_recall@5", "mrr", "ndcg@10")


def _print_systems(console: Console, title: str, evaluation: Mapping[str, Any], protocols: Sequence[str]) -> None:
    """recall@10 under each protocol, then other metrics under the one that is most like the site as it is: the one
    whose recall@10 has an interval."""
    shown = "curated" if "curated" in protocols else "cold"
    table = Table(title=_shown(title), title_justify="left", box=SIMPLE_HEAD)
    names = [protocol.replace("_", " ") for protocol in protocols]
    for column in ("", *names, *(metric.replace("curated_", "") for metric in _OTHER_METRICS)):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, metrics in sorted(evaluation[shown].items(), key=lambda entry: entry[1][_MAIN][0]):
        found = {p: evaluation[p].get(name, evaluation[p]["related"])[_MAIN] for p in protocols}
        cells = [_interval(found[p]) if p == shown else f"{found[p][0]:.3f}" for p in protocols]
        row = [*cells, *(f"{metrics[metric][0]:.3f}" for metric in _OTHER_METRICS)]
        table.add_row(name, *row, style="bold" if name == "related" else "")
    console.print(table)


def _print_details(console: Console, details: Mapping[str, Any]) -> None:
    lifts = [(p.replace("_", " "), name, lift) for p, row in details["lift"].items() for name, lift in row.items()]
    over = "; ".join(f"{protocol} {_signed(lift)} ({name})" for protocol, name, lift in lifts)
    _print(console, f"recall@10 over the best baseline: {over}")
    learned = details["learned"]
    gain = f" ({_signed(learned['gain'])} recall@10)" if learned["gain"] else ""
    _print(console, f"weights: {learned['reason']}{gain}")
    for rule in dict.fromkeys(rule for row in details["rule_costs"].values() for rule in row):
        rows = ((p, row[rule]) for p, row in details["rule_costs"].items() if rule in row)
        costs = (f"{protocol.replace('_', ' ')} {cost[0]:.3f}" for protocol, cost in rows)
        _print(console, f"recall@10 that the rule on {rule.replace('_', '-')} costs: {', '.join(costs)}")
    degrees = details["in_degree"]
    if degrees:
        share, orphans = degrees["max_share_by_default"], degrees["orphans"]
        _print(
            console,
            f"no essay in more than {share:.1%} of the lists; {orphans:.1%} of the essays in none of {degrees['k']}",
        )
    blurbs = details["blurbs"]
    if blurbs:
        first, ten = blurbs["recall@1"], blurbs["recall@10"]
        _print(console, f"a blurb finds its own essay: {first[0]:.3f} first, {ten[0]:.3f} in ten (n = {blurbs['n']:,})")


def print_comparison(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Our figures of two evaluations side by side."""
    console = _console(False)
    table = Table(title="the second beside the first", title_justify="left", box=SIMPLE_HEAD)
    for column in ("", *(metric.replace("curated_", "") for metric in _METRICS)):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for protocol in _PROTOCOLS:
        if protocol in one and protocol in other:
            ours, theirs = one[protocol]["related"], other[protocol]["related"]
            cells = [f"{theirs[m][0]:.3f} ({theirs[m][0] - ours[m][0]:+.3f})" for m in _METRICS]
            table.add_row(protocol.replace("_", " "), *cells)
    console.print(table)


def _signed(interval: Sequence[float]) -> str:
    return f"{interval[0]:+.3f} [{interval[1]:+.3f}, {interval[2]:+.3f}]"


def show_record(answers: "Answers", ident: str, rules: Rules) -> dict[str, Any]:
    """What `related show` tells of an essay, as JSON. rules: the site's; their limit is not read."""
    edition, decided = answers.edition, answers.standing.of(ident)
    lists = edition.lists(ident)
    limit = max(DEFAULT_LIMIT, list_limit(lists.list_length))  # more than the page shows: what the model adds, too
    ranking = edition.related(ident, rules_in(answers.state(ident), replace(rules, limit=limit)), decided)
    item = edition.items[ident]
    essay = edition.essay_record(ident)
    essay["blocks"] = {kind: sum(b["kind"] == kind for b in essay["blocks"]) for kind in ("heading", "paragraph")}
    essay["category"] = item.category  # inferred where the page says none
    return {
        "edition": edition.id,
        "essay": essay,
        "profile": rules.profile,
        "state": answers.state(ident),
        "curated": [_item(edition, c.id) | {"score": c.score(rules.profile)} for c in lists.curated],
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
        wrong = "; ".join(filter(None, (entry.broken, entry.held)))
        state = _shown(wrong, style="red") if wrong else _shown("intact")
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


def _interval(interval: Sequence[float]) -> str:
    return f"{interval[0]:.3f} [{interval[1]:.3f}, {interval[2]:.3f}]"
