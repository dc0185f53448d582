"""The commands about what editors have to do and have done: `related review` and `decisions`."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from corpus.errors import RelatedArticlesError
from service.cli_options import DEFAULT_HOME, AsJson, Home, edition_of, plain_answers, settings_of, store_of


class DecisionsFormat(StrEnum):
    """What `related decisions` prints."""

    jsonl = "jsonl"
    csv = "csv"


def review(
    home: Home = DEFAULT_HOME,
    reason: Annotated[str, typer.Option(help="Only pages that want an eye for this, such as few, hub or lost.")] = "",
    category: Annotated[str, typer.Option(help="Only pages of this category.")] = "",
    k: Annotated[int, typer.Option("--k", min=1, help="How many.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Also pages that an editor has reviewed.")] = False,
    as_json: AsJson = False,
) -> None:
    """The worklist: what wants an editor's eye, those pages first where a look is worth most."""
    from service.console_desk import print_worklist, worklist_record
    from service.desk.desk import Site
    from service.desk.worklist import REASONS, Filters, gather

    if reason and reason not in {entry.name for entry in REASONS}:
        raise RelatedArticlesError(f"no reason {reason!r}: one of {', '.join(entry.name for entry in REASONS)}")
    answers = plain_answers(edition_of(home), settings_of(home))
    asked = Filters(category=category, reason=reason, show="all" if everything else "open")
    record = worklist_record(gather(Site(answers.edition), answers, asked, k))
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print_worklist(record)


def decisions(
    home: Home = DEFAULT_HOME,
    form: Annotated[DecisionsFormat, typer.Option("--format", help="What to print.")] = DecisionsFormat.jsonl,
    put_in: Annotated[
        Path | None, typer.Option("--import", help="Instead: put such a file into the log; what is there is kept.")
    ] = None,
) -> None:
    """Print all that editors have decided, the oldest first, or take in what another home has printed."""
    from service.decision_files import read_export, read_text, write_csv, write_jsonl

    store = store_of(home)
    log = store.log()
    if put_in is None:
        entries = log.since()
        if not entries:
            print(f"nobody has decided anything in {store.name} yet", file=sys.stderr)
        sys.stdout.writelines(write_csv(entries) if form is DecisionsFormat.csv else write_jsonl(entries))
        return
    if not put_in.is_file():
        raise RelatedArticlesError(f"there is no file {put_in}: `related decisions > FILE` makes one")
    before = len(log.since())
    log.append(*read_export(read_text(put_in.read_bytes())))
    print(f"{len(log.since()) - before} decisions taken in from {put_in}", file=sys.stderr)
