"""The command `related migrate`: from a home to a database, and back."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

import typer

from corpus.errors import RelatedArticlesError
from recommender.decisions import LOG_FILE
from service.cli_options import AsJson, Quiet

if TYPE_CHECKING:
    from recommender.migrating import CopiedEdition, CopiedLog
    from recommender.store import Store

_HOME, _DATABASE = "sqlite:///", ("postgresql://", "postgres://")


def migrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="sqlite:///HOME (sqlite:////HOME from the root), or postgresql://USER@HOST/DATABASE; a password is "
            "better kept in PGPASSWORD or ~/.pgpass.",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same: what it holds is added to.")],
    keep: Annotated[int, typer.Option(min=1, help="How many editions are left in TO, the copied one included.")] = 5,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Copy all decisions and the current edition from one store to another, from a home to PostgreSQL or back.

    Nothing changes in FROM, and nothing is there twice in TO: it may be interrupted, and run again. What is decided in
    FROM later is copied by another run, until somebody decides in TO.
    """
    from recommender.migrating import copy_edition, copy_log
    from service.console import Bars

    with _open_both(source, target) as (here, there), Bars(quiet) as bars:
        with closing(here.log()) as log, closing(there.log()) as other:
            copied = copy_log(log, other, bars)
        edition = copy_edition(here, there, keep, bars)
        names = here.name, there.name
    if as_json:
        print(json.dumps(_record(*names, copied, edition)))
    else:
        _print_copied(*names, copied, edition)


@contextmanager
def _open_both(source: str, target: str) -> "Iterator[tuple[Store, Store]]":
    """The two stores. Files that a database's edition is asked for are kept on the target's disk until the end."""
    from recommender.store import open_store

    if source == target:
        raise typer.BadParameter("it is the store that is copied from", param_hint="TO")
    homes = _home(source, "FROM"), _home(target, "TO")
    if homes[0] is not None and not homes[0].is_dir():
        raise RelatedArticlesError(
            f"there is no home {homes[0]} to copy from: name the folder that `related build` made, from the root on "
            "with four slashes"
        )
    if homes[1] is not None:
        homes[1].mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".migrate-", dir=homes[1]) as aside:
        here = open_store(homes[0] or Path(aside), None if homes[0] else source)
        yield here, open_store(homes[1] or Path(aside), None if homes[1] else target)


def _home(url: str, hint: str) -> Path | None:
    """The home that a URL names, None for a database."""
    if url.startswith(_DATABASE):
        return None
    path = Path(unquote(url.removeprefix(_HOME)))
    if not url.startswith(_HOME) or path == Path():
        raise typer.BadParameter("it should be sqlite:///HOME or postgresql://USER@HOST/DATABASE", param_hint=hint)
    return path.parent if path.name == LOG_FILE else path


def _record(source: str, target: str, copied: "CopiedLog", edition: "CopiedEdition | None") -> dict[str, object]:
    from dataclasses import asdict

    return {"from": source, "to": target, "decisions": asdict(copied), "edition": edition and asdict(edition)}


def _print_copied(source: str, target: str, copied: "CopiedLog", edition: "CopiedEdition | None") -> None:
    print(f"decisions  {copied.decisions:,}, {copied.new:,} of them new in {target}")
    print(f"           the same in both: sha256 {copied.digest}")
    if copied.ahead:
        print(f"           {target} holds {copied.ahead:,} more, decided there since", file=sys.stderr)
    if edition is None:
        print(f"no edition in {source}: `related build` publishes one", file=sys.stderr)
        return
    how = "copied" if edition.is_new else "was there before"
    print(f"edition    {edition.id}, {edition.essays:,} essays: {how}")
    if edition.shown != edition.id:
        print(
            f"{target} goes on with edition {edition.shown}: `related rollback {edition.id}` shows this one",
            file=sys.stderr,
        )
    print(f"{source} is as it was")
