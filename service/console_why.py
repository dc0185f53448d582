"""What `related show ESSAY --why OTHER` tells: why an item stands in an essay's list, or why it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recommender.excerpts import find_terms
from service.terminal import open_console, print_line, shown

if TYPE_CHECKING:
    from recommender.explain import Explanation
    from recommender.ranking import Item

_LONGEST_BAR = 20
_LONGEST_NAME = 80
_LEAST_SHOWN = 0.005  # less is 0.00


def why_record(edition_id: str, explanation: "Explanation") -> dict[str, Any]:
    """What is told, as JSON: the fields of recommender.explain.Explanation, the items by what names them."""
    return {
        "edition": edition_id,
        **asdict(explanation),
        "source": _item(explanation.source),
        "target": _item(explanation.target),
    }


def print_why(record: Mapping[str, Any]) -> None:
    """The same for a person, from why_record()."""
    console = open_console(False)
    source, target = record["source"], record["target"]
    console.print(shown(_name(source), style="bold"), shown(f"(id {source['id']})", style="dim"), soft_wrap=True)
    console.print(shown(_name(target), style="bold"), shown(f"(id {target['id']})", style="dim"), soft_wrap=True)
    print_line(console, f"\nWhere it stands: {record['standing']}")
    if record["listed"] and "listed by the editors" not in record["standing"]:
        print_line(console, "It is listed by the editors.")
    print_line(console, f"Score: {record['editors']:.3f} by editors, {record['meaning']:.3f} by meaning\n")
    console.print(_account(record))
    _print_closest(console, record)
    shared = "; ".join(record["terms"]) or "none"
    print_line(console, f"Shared terms: {shared}")


def _account(record: Mapping[str, Any]) -> Table:
    """What adds up to the score, a row each, signals with a bar."""
    account, profile = record["account"], record["profile"]
    table = Table(title=shown(f"What makes the score by {profile}"), title_justify="left", box=SIMPLE_HEAD)
    table.add_column(f"model {account['model']}")
    table.add_column("log odds", justify="right", no_wrap=True)
    table.add_column("for (+) or against (-)", no_wrap=True)
    shares = [(share["phrase"], share["contribution"]) for share in account["signals"]]
    longest = max((abs(adds) for _words, adds in shares), default=1.0)
    before = [("a usual candidate", account["start"])]
    after = [("smaller signals", account["rest"]), ("set right by how often editors listed such", account["set_right"])]
    for words, adds in before:
        table.add_row(words, f"{adds:+.2f}", "", style="dim")
    for words, adds in shares:
        table.add_row(shown(words), f"{adds:+.2f}", _bar(adds / longest))
    for words, adds in after:
        if abs(adds) >= _LEAST_SHOWN:
            table.add_row(words, f"{adds:+.2f}", "", style="dim")
    total = sum(adds for _words, adds in (*before, *shares, *after))
    table.add_row(f"together: a score of {record[profile]:.3f}", f"{total:+.2f}", "", style="bold")
    return table


def _bar(share: float) -> str:
    """Plus or minus signs, as many as the share (-1 to 1) of the longest bar; one at least."""
    return ("+" if share > 0 else "-") * max(1, round(abs(share) * _LONGEST_BAR))


def _print_closest(console: Console, record: Mapping[str, Any]) -> None:
    """The two passages side by side."""
    closest = record["closest"]
    if closest is None:
        return
    table = Table(
        title=shown(f"Closest passages: cosine {closest['cosine']:.2f}"), title_justify="left", box=SIMPLE_HEAD
    )
    for side in ("source", "target"):
        table.add_column(shown(_name(record[side])), ratio=1)
    table.add_row(*(_marked(closest[side], record["terms"]) for side in ("source", "target")))
    console.print(table)


def _marked(text: str, terms: Sequence[str]) -> Text:
    """The text with the terms in bold."""
    marked = shown(text)
    for start, end in find_terms(marked.plain, terms):
        marked.stylize("bold", start, end)
    return marked


def _item(item: "Item") -> dict[str, Any]:
    named = {name: getattr(item, name) for name in ("id", "kind", "title", "standfirst", "url", "category")}
    return named | {"published": item.published.isoformat() if item.published else None}


def _name(item: Mapping[str, Any]) -> str:
    return str(item["title"] or shorten(item["standfirst"] or item["id"], _LONGEST_NAME, placeholder=" …"))
