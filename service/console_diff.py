"""What `related editions --compare ID` tells: how the current edition's lists differ from another's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from textwrap import shorten
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recommender.edition import Edition
from recommender.edition_diff import EditionDiff, PageDiff, Shift
from service.terminal import open_console, print_line, shown

_LONGEST_NAME = 60


def diff_record(diff: EditionDiff, before: Edition, after: Edition) -> dict[str, Any]:
    """What is told, as JSON: the fields of recommender.edition_diff.EditionDiff but links_in, ids beside titles."""

    def named(ident: str) -> dict[str, Any]:
        item = after.items.get(ident) or before.items.get(ident)
        return {"id": ident, "title": item.title or item.standfirst if item else None}

    def places(shifts: Sequence[Shift]) -> list[dict[str, Any]]:
        return [{**named(target), "before": was, "after": now} for target, was, now in shifts]

    def page(differing: PageDiff) -> dict[str, Any]:
        parts = {part: places(getattr(differing, part)) for part in ("entered", "left", "moved")}
        return {**named(differing.id), "overlap": differing.overlap, **parts}

    said = {name: value for name, value in asdict(diff).items() if name != "links_in"}
    movers = {part: [{**named(m.id), **m._asdict()} for m in getattr(diff, part)] for part in ("gained", "lost")}
    pages = [page(differing) for differing in diff.most_changed]
    return said | {"share_changed": diff.share_changed, **movers, "most_changed": pages}


def print_diff(record: Mapping[str, Any]) -> None:
    """The same for a person, from diff_record()."""
    console = open_console(False)
    print_line(console, f"From edition {record['before']} to edition {record['after']}")
    print_line(
        console, f"  essays: {len(record['new']):,} new, {len(record['gone']):,} gone, {record['pages']:,} in both"
    )
    print_line(
        console,
        f"  of these, {record['changed']:,} ({record['share_changed']:.1%}) have another list, {record['resized']:,} a "
        "longer or shorter one",
    )
    if record["mean_overlap"] is not None:
        print_line(console, f"  the lists overlap by {record['mean_overlap']:.3f} on average\n")
        console.print(_histogram(record["overlaps"]))
    for title, part in (("In more lists", "gained"), ("In fewer lists", "lost")):
        _print_movers(console, title, record[part])
    _print_pages(console, record["most_changed"])


def _histogram(overlaps: Sequence[int]) -> Table:
    table = Table(title="Pages by overlap", title_justify="left", box=SIMPLE_HEAD)
    for start in range(len(overlaps)):
        table.add_column(f"{start / 10:.1f}-{(start + 1) / 10:.1f}", justify="right", no_wrap=True)
    table.add_row(*(f"{count:,}" for count in overlaps))
    return table


def _print_movers(console: Console, title: str, movers: Sequence[Mapping[str, Any]]) -> None:
    if not movers:
        return
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("article")
    for column in ("before", "after", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    for mover in movers:
        was, now = mover["before"], mover["after"]
        table.add_row(shown(_name(mover)), f"{was:,}", f"{now:,}", f"{now - was:+,}")
    console.print(table)


def _print_pages(console: Console, pages: Sequence[Mapping[str, Any]]) -> None:
    if not pages:
        return
    table = Table(title="The most changed lists", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("overlap", justify="right", no_wrap=True)
    for column in ("page", "enters", "leaves"):
        table.add_column(column, ratio=1)
    for page in pages:
        entered, left = ("\n".join(map(_name, page[part])) for part in ("entered", "left"))
        table.add_row(f"{page['overlap']:.2f}", *map(shown, (_name(page), entered, left)))
    console.print(table)


def _name(item: Mapping[str, Any]) -> str:
    return shorten(str(item["title"] or item["id"]), _LONGEST_NAME, placeholder=" …")
