"""The command `related key`: keys for programs, and tokens for editors."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.accounts import Role, add_account, is_name, read_accounts
from service.cli_options import DEFAULT_HOME, Home, settings_of


def key(
    home: Home = DEFAULT_HOME,
    editor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Instead: a token with which NAME enters the editors' desk, anew if need be."
        ),
    ] = None,
    role: Annotated[
        Role | None, typer.Option(help="What NAME may do there; default: as before, for a new name editor.")
    ] = None,
) -> None:
    """Make a key for asking about drafts and in batches. It is shown once: the settings hold its digest only."""
    from service.keys import digest, new_key
    from service.settings import FILE

    if role and editor is None:
        raise typer.BadParameter("a role is for a token: say also --editor NAME", param_hint="--role")
    if editor is not None:
        _make_token(home, editor, role)
        return
    made = new_key()
    digests = [*settings_of(home).api_keys, digest(made)]
    print(made)
    print(f"api_keys = {json.dumps(digests)}")
    print(
        "The first line is the key, for whoever asks: `Authorization: Bearer KEY`. It is kept nowhere. The second is "
        f"for {home / FILE}, in place of such a line there; a running service must be started anew.",
        file=sys.stderr,
    )


def _make_token(home: Path, name: str, role: Role | None) -> None:
    from service.keys import digest, new_key
    from service.settings import FILE

    if not is_name(name):
        raise typer.BadParameter("up to 100 printable characters, no comma", param_hint="--editor")
    made = new_key()
    accounts = read_accounts(settings_of(home).editors)
    entries = [str(account) for account in add_account(accounts, name, role, digest(made))]
    print(made)
    print(f"editors = {json.dumps(entries, ensure_ascii=False)}")
    print(
        f"The first line is the token with which {name} signs in at /desk. It is kept nowhere. The second is for "
        f"{home / FILE}, in place of such a line there; a running service must be started anew. What token {name} had "
        "before then ends, and the sessions begun with it.",
        file=sys.stderr,
    )
