"""The command `related`. Results go to stdout, progress and warnings to stderr.

Exit codes: 0 fine, 1 refused or failed with a sentence, 2 usage. Every heavy import stands in the command that needs
it, so that `related --help` and the light commands start at once.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corpus.errors import RelatedArticlesError
from service.cli_build import build
from service.cli_editions import editions, publish, rollback
from service.cli_editors import decisions, review
from service.cli_keys import key
from service.cli_migrate import migrate
from service.cli_options import (
    DEFAULT_HOME,
    SOURCES_HELP,
    AsJson,
    Home,
    Quiet,
    StoreUrl,
    edition_of,
    plain_answers,
    sentence_of,
    settings_of,
    store_of,
)

if TYPE_CHECKING:
    from recommender.edition import Edition
    from recommender.ranking import Rules
    from service.answers import Answers
    from service.settings import Settings

app = typer.Typer(
    name="related",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Finds each essay's related articles by meaning and wording, and serves them to the website.\n\n"
    "Begin with: [bold]related build PAGES[/bold], then [bold]related show ESSAY[/bold] and "
    "[bold]related serve[/bold].",
)

Sources = Annotated[list[Path], typer.Argument(help=SOURCES_HELP)]


class ExportFormat(StrEnum):
    """What `related export` writes."""

    jsonl = "jsonl"
    csv = "csv"
    trec = "trec"
    static = "static"


class ProfileName(StrEnum):
    """Whose order: recommender.ranking.Profile."""

    editors = "editors"
    meaning = "meaning"


def main() -> None:
    """Run the command line; expected failures end in one line and exit code 1."""
    _open_closed_streams()
    try:
        app()
    except RelatedArticlesError as error:
        _fail(sentence_of(error))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a home that may not be written, a full disk
        _fail(sentence_of(error))


def _open_closed_streams() -> None:
    """Have /dev/null in the place of standard streams that are closed, as some who start services leave them: else the
    next file gets the number that libraries and workers write to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _fail(sentence: str) -> None:
    from corpus.decoding import plain

    print(f"related: {plain(sentence)}", file=sys.stderr)
    sys.exit(1)


@app.command()
def parse(
    sources: Sources,
    home: Home = DEFAULT_HOME,
    quiet: Quiet = False,
) -> None:
    """Read pages and print each essay as one line of JSON; problems go to stderr.

    What it prints is what `related build` reads: `related parse pages > site.jsonl; related build site.jsonl`.
    """
    from corpus.essay import Essay
    from corpus.records import essay_to_record
    from corpus.sources import list_pages, read_pages
    from recommender.reading import own_folders
    from service.console import Bars

    listing = list_pages(sources, own_folders(home))
    essays = problems = 0
    with Bars(quiet) as bars:
        progress = bars.stage("reading pages", len(listing.files))
        for page in read_pages(listing.files, settings_of(home).page_options(), lambda path: progress(1)):
            if isinstance(page, Essay):
                essays += 1
                print(json.dumps(essay_to_record(page), ensure_ascii=False))
                for remark in page.remarks:
                    bars.say(f"remark: {page.source}: {remark}")
            else:
                problems += 1
                bars.say(f"problem: {page}")
    passed_over = "".join(f", {n} {ending} passed over" for ending, n in listing.passed_over.items())
    print(f"{essays} essays, {problems} problems{passed_over}", file=sys.stderr)
    if not essays:
        seen = "see the problems above" if problems else "name pages (.txt, .html, .md, .jsonl)"
        raise RelatedArticlesError(f"no page became an essay: {seen}")


app.command()(build)


@app.command()
def show(
    essay: Annotated[str, typer.Argument(help="The essay's id or URL.")],
    why: Annotated[
        str | None,
        typer.Option(
            metavar="OTHER",
            help="Id or URL of another essay or blurb: tell its rank in this essay's list or the rule that keeps it "
            "out, what each signal adds to its score, the passages nearest in meaning, and the shared terms.",
        ),
    ] = None,
    profile: Annotated[
        ProfileName, typer.Option(help="Order and score: as this site's editors would list, or by meaning alone.")
    ] = ProfileName.editors,
    home: Home = DEFAULT_HOME,
    unlinked: Annotated[bool, typer.Option(help="Also blurbs that no page stands behind.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an essay: its fields, its curated list, its related articles with reasons, and what was dropped and why.

    Why does it list one article, or not list another? [bold]related show ESSAY --why OTHER[/bold]
    """
    from service.console import print_essay, show_record
    from service.console_why import print_why

    settings = settings_of(home)
    rules = replace(settings.rules(), profile=profile.value, unlinked=unlinked)
    edition = edition_of(home)
    ident = _find(edition, essay)
    print_record = print_essay if why is None else print_why
    answers = plain_answers(edition, settings)
    record = show_record(answers, ident, rules) if why is None else _why(answers, ident, why, rules, settings)
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print_record(record)


@app.command()
def suggest(
    draft: Annotated[str, typer.Argument(help="A page of any kind (.txt .html .md), or - for plain text on stdin.")],
    home: Home = DEFAULT_HOME,
    k: Annotated[int, typer.Option("--k", min=1, max=50, help="How many.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Find related articles for a draft that is not published yet."""
    from recommender.drafts import read_draft
    from recommender.live_drafts import draft_reader
    from service.console import print_suggestions, suggestion_record

    settings = settings_of(home)
    essay = read_draft(draft, sys.stdin.buffer, settings.page_options())
    edition = edition_of(home)
    ranking = draft_reader(edition, settings.encoder()).suggest(essay, replace(settings.rules(), limit=k))
    record = suggestion_record(edition, ranking)
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print_suggestions(essay.title or draft, record)


@app.command()
def export(
    home: Home = DEFAULT_HOME,
    k: Annotated[
        int | None, typer.Option("--k", min=1, max=50, help="How many an essay; default: as many as its curated list.")
    ] = None,
    form: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.jsonl,
    out: Annotated[Path, typer.Option(help="Folder for --format static: one JSON file an essay.")] = Path(
        "related-static"
    ),
) -> None:
    """Print every essay's final list, as the website would get it."""
    from service.export import write_csv, write_jsonl, write_static, write_trec

    answers = plain_answers(edition_of(home), settings_of(home))
    if form is ExportFormat.static:
        print(f"{write_static(answers, k, out)} files in {out}", file=sys.stderr)
        return
    writers: dict[ExportFormat, Callable[[Any, int | None, Any], None]] = {
        ExportFormat.jsonl: write_jsonl,
        ExportFormat.csv: write_csv,
        ExportFormat.trec: write_trec,
    }
    writers[form](answers, k, sys.stdout)


@app.command()
def evaluate(
    home: Home = DEFAULT_HOME,
    compare: Annotated[str | None, typer.Option(help="An edition's id: judge it too, and show it beside.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write an HTML page with tables and plots here; it needs nothing else to be read."),
    ] = None,
    trec: Annotated[
        Path | None, typer.Option(help="Write TREC runs of every system, and qrels.txt, into this folder.")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Also what each signal is worth, and how many lists it takes: minutes.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Judge the recommendations by the curated lists, beside baselines: recall, hit, MRR, nDCG with 95% intervals.

    Three protocols: cold (no list is seen), curated (the judged page's own list is hidden), new_page (links to it too).
    """
    from recommender.evaluation import evaluate_edition
    from recommender.following import labels_of
    from service.console import Bars, print_comparison, print_evaluation
    from service.live_decisions import standing_of

    edition = edition_of(home)
    other = store_of(home).open(compare) if compare else None
    with Bars(quiet) as bars:
        labels = labels_of(standing_of(store_of(home).log(), edition, datetime.now(UTC)))
        evaluation, outcomes = evaluate_edition(edition, bars, thorough, labels)
        compared = evaluate_edition(other, bars, labels=labels)[0] if other else None
    if report:
        from service.report import write_report

        write_report(evaluation, report, f"Edition {edition.id}", compared, f"Edition {compare}" if compare else "")
        print(f"report in {report}", file=sys.stderr)
    if trec:
        from service.trec import write_trec_files

        print(f"{write_trec_files(outcomes, trec)} files in {trec}", file=sys.stderr)
    if as_json:
        print(json.dumps(evaluation | ({"compared": {compare: compared}} if compared else {}), ensure_ascii=False))
        return
    print_evaluation(evaluation, f"edition {edition.id}")
    if compare and compared:
        print_evaluation(compared, f"edition {compare}")
        print_comparison(evaluation, compared)


for command in (editions, rollback, publish, review, decisions, migrate):
    app.command()(command)


@app.command()
def clicks(
    logs: Annotated[
        list[Path], typer.Argument(help="The site's logs of clicks and impressions, plain or .gz: docs/watching.md.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare the variants of an A/B test by the clicks and impressions that the site has logged."""
    from service.console_clicks import clicks_record, print_clicks
    from service.events import read_clicks

    report = read_clicks(logs)
    if as_json:
        print(json.dumps(clicks_record(report), ensure_ascii=False))
    else:
        print_clicks(report)


@app.command()
def serve(
    home: Home = DEFAULT_HOME,
    host: Annotated[str | None, typer.Option(help="Address to listen on; setting `host`.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; setting `port`.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    store: StoreUrl = None,
    drafts: Annotated[
        bool,
        typer.Option("--drafts", help="Also answer drafts, for who has a key: each process loads the model; `drafts`."),
    ] = False,
) -> None:
    """Serve the website's endpoint and the editors' desk. It follows new editions while it runs."""
    from service.server import run_server

    run_server(settings_of(home, host=host, port=port, store=store, drafts=drafts or None), workers)


app.command()(key)


def _why(answers: "Answers", essay: str, other: str, rules: "Rules", settings: "Settings") -> dict[str, Any]:
    """Why another item stands in an essay's list, or why it does not, as JSON."""
    from embeddings.cache import PLACE
    from recommender.explain import explain_pair, find_item, reading_passages
    from service.console_why import why_record

    edition, target = answers.edition, find_item(answers.edition, other).id
    with reading_passages(edition, settings.encoder(), settings.home / PLACE) as passages_of:
        record = why_record(edition.id, explain_pair(edition, essay, target, passages_of, rules))
    return record | {"standing": answers.why_not(essay, target, rules)}


def _find(edition: "Edition", essay: str) -> str:
    if essay.startswith(("http://", "https://")):
        return edition.find(url=essay).id
    return edition.find(essay).id
