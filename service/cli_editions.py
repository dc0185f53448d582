"""The commands about editions: `related editions`, `rollback` and `publish`."""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from service.cli_options import DEFAULT_HOME, AsJson, Home, edition_of, settings_of, store_of


def editions(
    home: Home = DEFAULT_HOME,
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Instead: the ids of the pages whose answer the current edition changed."),
    ] = False,
    compare: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Instead: what would change in the lists if this edition became current."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the editions, newest first; one that is damaged or held back says why.

    After a build or a rollback, tell a cache before the service what to forget: [bold]related editions --changed[/bold]
    """
    from dataclasses import asdict

    if changed and compare:
        raise typer.BadParameter("give it or --changed, not both", param_hint="--compare")
    if changed:
        _print_changes(home, as_json)
        return
    if compare:
        _print_difference(home, compare, as_json)
        return
    from service.console import print_editions

    store = store_of(home)
    found = store.summaries()
    if as_json:
        print(json.dumps([asdict(entry) for entry in found]))
    elif found:
        print_editions(found)
    else:
        print(f"no edition in {store.name} yet: run `related build SOURCE... --home {home}`", file=sys.stderr)


def _print_changes(home: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from service.changes import read_changes

    changes = read_changes(settings_of(home))
    if as_json:
        print(json.dumps(asdict(changes), ensure_ascii=False))
    for page in () if as_json else changes.pages:
        print(page.id)


def _print_difference(home: Path, other: str, as_json: bool) -> None:
    from recommender.edition_diff import compare_editions
    from recommender.ranking import Rules
    from service.console import Bars
    from service.console_diff import diff_record, print_diff

    before, after = edition_of(home), store_of(home).open(other)
    with Bars(quiet=as_json) as bars:
        essays = max(edition.manifest["counts"]["essays"] for edition in (before, after))
        diff = compare_editions(before, after, Rules(), bars.stage("comparing lists", essays))
    record = diff_record(diff, before, after)
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print_diff(record)


def rollback(
    edition: Annotated[str | None, typer.Argument(help="An edition id; default: the one before the current.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Step back to an earlier edition. A running service follows within a second."""
    from service.changes import make_ready

    print(f"{store_of(home).roll_back(edition, partial(make_ready, settings_of(home)))} is current")


def publish(
    edition: Annotated[
        str | None, typer.Argument(help="An edition id; default: the newest that is held back.", metavar="[ID]")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Sign off an edition that a build held back: it becomes the current one, and your name is kept with it.

    See first what it would change: [bold]related editions --compare ID[/bold]
    """
    from service.changes import make_ready

    print(f"{store_of(home).sign_off(edition, _user(), partial(make_ready, settings_of(home)))} is current")


def _user() -> str:
    """Who runs the command, as the system calls them."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"
