"""The command `related build`: once, as a dry run, or again whenever the sources change."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpus.errors import EditionError, RelatedArticlesError
from embeddings.backend import Backend
from service.cli_options import DEFAULT_HOME, SOURCES_HELP, AsJson, Home, Quiet, StoreUrl, sentence_of, settings_of

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from recommender.build_report import BuildReport
    from recommender.reading import Increment
    from recommender.store import Store
    from recommender.watch import Counting
    from service.build_events import Events
    from service.console import Bars
    from service.settings import Settings

INTERRUPTED = 130
RETRY = 60.0
"""Seconds until a watched build that failed is tried again though nothing has changed: another build may have held the
home, or the disk was full."""


class EngineName(StrEnum):
    """Where the job's heavy steps run."""

    local = "local"
    ray = "ray"


def build(
    sources: Annotated[list[Path] | None, typer.Argument(help=SOURCES_HELP)] = None,
    home: Home = DEFAULT_HOME,
    model: Annotated[
        str | None,
        typer.Option(
            help="Encoder: a folder, a name in the local model cache, static or quality. Default: the packaged one."
        ),
    ] = None,
    backend: Annotated[
        Backend | None, typer.Option(help="What computes it. Default: the quickest that proves faithful.")
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="Where the heavy steps run: on this machine, or on those of a Ray cluster.")
    ] = EngineName.local,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="With --engine ray: head of the cluster that this machine is a part of. Default: a Ray of its own.",
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="How many processes share the heavy steps; setting `processes`.")
    ] = None,
    store: StoreUrl = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="EDITION",
            help="The pages named are only those that are new or changed since this edition (an id, or `current`); "
            "all others are taken from it.",
        ),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="With --since: leave this essay out. May be given again.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done, and how long it would take.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Build, and again whenever the pages change, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    events: Annotated[
        bool, typer.Option("--events", help="Progress as JSON lines on stderr, for a scheduler (docs/building.md).")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run the offline job: read pages, find every essay's related articles, publish them as an edition.

    One whose lists differ more from the current ones than the setting publish_overlap allows is held back, with exit
    code 1, until [bold]related publish[/bold] signs it off.
    """
    _check_usage(sources, since, remove, dry_run, watch)
    if address and engine != EngineName.ray:
        raise typer.BadParameter("only a Ray cluster has one: say also --engine ray", param_hint="--address")
    command = _Command(
        sources=sources or [],
        settings=settings_of(home, model=model, backend=backend, store=store, processes=processes),
        engine=engine,
        address=address,
        since=since,
        remove=tuple(remove or ()),
        as_json=as_json,
        quiet=quiet,
        events=_open_events() if events else None,
    )
    with _hearing_warnings(command.events):
        if dry_run:
            command.plan()
        elif watch:
            command.watch()
        else:
            command.run()


def _check_usage(
    sources: Sequence[Path] | None, since: str | None, remove: Sequence[str] | None, dry_run: bool, watch: bool
) -> None:
    if not (sources or since):
        raise typer.BadParameter("name pages, a folder of pages or a .jsonl file", param_hint="SOURCES")
    if since and not (sources or remove):
        raise typer.BadParameter("name the pages that have changed, or what to --remove", param_hint="--since")
    if remove and not since:
        raise typer.BadParameter("it takes an essay out of an edition: say also --since", param_hint="--remove")
    if watch and (since or dry_run):
        raise typer.BadParameter("it goes neither with --since nor with --dry-run", param_hint="--watch")


def _open_events() -> "Events":
    from service.build_events import Events

    return Events()


@contextmanager
def _hearing_warnings(events: "Events | None") -> Iterator[None]:
    """Warnings of this program and of libraries as lines on stderr, or as events; less than a warning is not shown,
    though a library may set up its own logging."""
    heard = _Warnings(events.warn) if events else logging.StreamHandler()
    heard.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.root.addHandler(heard)
    try:
        yield
    finally:
        logging.root.removeHandler(heard)
        logging.captureWarnings(False)


class _Warnings(logging.Handler):
    """Hands each message to a function."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._tell(record.getMessage())


class _Interrupted(Exception):
    """Ctrl-C; the message is a sentence that tells what that leaves."""


@dataclass(frozen=True)
class _Command:
    """What the command line asked for. events: where progress is told in place of bars."""

    sources: Sequence[Path]
    settings: "Settings"
    engine: EngineName
    address: str | None
    since: str | None
    remove: tuple[str, ...]
    as_json: bool
    quiet: bool
    events: "Events | None"

    def plan(self) -> None:
        """Tell what a build would do."""
        from recommender.dry_run import plan_build
        from service.console_build import print_plan

        with self._telling_failure(), self._progress() as progress:
            options = self.settings.page_options()
            plan = plan_build(self.sources, self.settings.home, self._encoder, options, progress, self._increment)
        if self.as_json:
            print(json.dumps(plan.to_json(), ensure_ascii=False))
        else:
            print_plan(plan)

    def run(self) -> None:
        """Build once."""
        from service.console_build import print_build

        with self._telling_failure():
            report = self._build()
        if not (self.as_json and self.events):
            print_build(report, to_stderr=self.as_json)
        if self.as_json:
            print(json.dumps(report.to_json(), ensure_ascii=False))
        if self.events:
            self.events.outcome(report)
            raise typer.Exit(1 if report.held else 0)
        if report.held:
            raise RelatedArticlesError(report.held)

    def watch(self) -> None:
        """Build whenever the pages have changed. A failure is said once, and the build tried again after a while."""
        from corpus.changes import look, wait_for_change
        from recommender.reading import own_folders

        apart = own_folders(self.settings.home)
        seen, said = look(self.sources, apart), ""
        try:
            while True:
                failure = self._build_watched()
                if failure != said:
                    self._say(failure)
                said = failure
                seen = wait_for_change(self.sources, seen, RETRY if failure else None, apart=apart)
        except _Interrupted as interrupted:
            self._say(str(interrupted))
        except KeyboardInterrupt:
            pass

    def _build_watched(self) -> str:
        """Build, and say what came of it in a line; returns the sentence of a failure, "" when there was none."""
        from service.console_build import line_of

        try:
            report = self._build()
        except (RelatedArticlesError, OSError) as error:
            return sentence_of(error)
        print(json.dumps(report.to_json(), ensure_ascii=False) if self.as_json else line_of(report), flush=True)
        if self.events:
            self.events.outcome(report)
        elif report.held:
            self._say(report.held)
        return ""

    def _build(self) -> "BuildReport":
        """Build once. Raises _Interrupted."""
        store = self.settings.open_store()
        before, counting = _current(store), None
        try:
            from recommender.engines.workers import open_workers
            from recommender.following import hear_editors
            from recommender.job import build as run_job
            from recommender.store import follow
            from recommender.watch import Counting
            from service.changes import make_ready

            settings = self.settings
            with self._progress() as progress:
                counting = Counting(progress)
                prepare = partial(make_ready, settings, watch=counting)
                options, increment = settings.build_options(), self._increment
                if settings.store is not None:
                    follow(store, settings.home, settings.keep_editions)
                with open_workers(settings.home, settings.worker_options(self.engine, self.address)) as workers:
                    report = run_job(
                        self.sources,
                        settings.home,
                        self._encoder,
                        options,
                        counting,
                        prepare,
                        labels_of=partial(hear_editors, store.log(), now=datetime.now(UTC)),
                        increment=increment,
                        workers=workers,
                    )
                if settings.store is not None:
                    self._publish(report.edition, store, counting)
                return report
        except KeyboardInterrupt:
            raise _Interrupted(_left_by_interruption(before, _current(store), counting)) from None
        except OSError as error:
            if _current(store) != before:
                raise
            raise RelatedArticlesError(
                f"{sentence_of(error)}; nothing was published: free the disk, or choose another --home"
            ) from error

    def _publish(self, ident: str, store: "Store", progress: "Counting") -> None:
        """Show the home's new edition in the store."""
        from recommender.edition import open_edition
        from recommender.publish_gate import find_held

        home = self.settings.home
        edition = open_edition(home, ident)
        done = progress.stage("publishing to the database", edition.manifest["counts"]["essays"])
        store.publish(edition, find_held(home, ident), self.settings.keep_editions, done)

    @cached_property
    def _encoder(self) -> "Encoder":
        """Made once: the builds of a watched folder share the model."""
        return self.settings.encoder()

    @property
    def _increment(self) -> "Increment | None":
        from recommender.reading import Increment

        return Increment(self.since, self.remove) if self.since else None

    def _progress(self) -> "Bars | Events":
        from service.console import Bars

        return self.events or Bars(self.quiet)

    def _say(self, sentence: str) -> None:
        """A failure, or "" for its end, which needs no word."""
        from corpus.decoding import plain

        if sentence and self.events:
            self.events.failed(sentence)
        elif sentence:
            print(f"related: {plain(sentence)}", file=sys.stderr, flush=True)

    @contextmanager
    def _telling_failure(self) -> Iterator[None]:
        """Say an interruption, and as an event any failure; without events main() says it."""
        try:
            yield
        except (_Interrupted, KeyboardInterrupt) as interrupted:
            self._say(str(interrupted) or "interrupted: nothing was published")
            raise typer.Exit(INTERRUPTED) from None
        except (RelatedArticlesError, OSError) as error:
            if self.events is None:
                raise
            self._say(sentence_of(error))
            raise typer.Exit(1) from error


def _current(store: "Store") -> str | None:
    """The id of the published edition; None where none can be told."""
    try:
        return store.current_id()
    except (EditionError, OSError):
        return None


def _left_by_interruption(before: str | None, now: str | None, counting: "Counting | None") -> str:
    from recommender.watch import ENCODING, ENCODING_PARTS, PARSING_PARTS

    if now not in (None, before):
        return f"interrupted when edition {now} was published already"
    done = counting.done if counting else {}
    encoded, parts = done.get(ENCODING, 0), done.get(PARSING_PARTS, 0) + done.get(ENCODING_PARTS, 0)
    goes_on = "begins anew"
    if encoded or parts:
        goes_on = "goes on from " + (f"{encoded:,} encoded texts" if encoded else f"{parts:,} finished parts")
    return f"interrupted: nothing was published; the next run {goes_on}"
