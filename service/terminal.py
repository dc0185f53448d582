"""How anything is written to the terminal or a pipe. Nothing that a page says is read as markup or acts there."""

import sys

from rich.console import Console
from rich.text import Text

from corpus.decoding import plain

_WIDTH_OF_A_PIPE = 120


def open_console(to_stderr: bool) -> Console:
    """A console on standard output, or on standard error; a pipe is as wide as a page of our own."""
    shown_on = sys.stderr if to_stderr else sys.stdout
    width = None if shown_on.isatty() else _WIDTH_OF_A_PIPE
    return Console(stderr=to_stderr, markup=False, highlight=False, width=width)


def print_line(console: Console, text: str, style: str = "") -> None:
    """A line as it is; the terminal may break it, a pipe gets it whole."""
    console.print(shown(text, style), soft_wrap=True)


def shown(text: str, style: str = "") -> Text:
    """The text for the terminal: neither markup nor control characters of it act there."""
    return Text(plain(text), style=style)
