"""The editors' worklist in the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from service.terminal import open_console, print_line, shown

if TYPE_CHECKING:
    from service.desk.worklist import Worklist


def worklist_record(work: "Worklist") -> dict[str, Any]:
    """What is told, as JSON."""
    return {
        "total": work.total,
        "reviewed": work.reviewed,
        "found": work.found,
        "reasons": dict(work.by_reason),
        "vanished": len(work.vanished),
        "pages": [
            {
                "id": row.page.id,
                "title": row.page.title,
                "url": row.page.url,
                "category": row.page.category,
                "state": row.state,
                "worth": round(row.worth, 3),
                "reasons": [reason.name for reason in row.reasons],
                "kept": row.page.kept,
                "new": row.page.new,
                "lost": row.page.lost,
            }
            for row in work.rows
        ],
    }


def print_worklist(record: Mapping[str, Any]) -> None:
    """A worklist, from worklist_record()."""
    console = open_console(False)
    table = Table(box=SIMPLE_HEAD)
    for column in ("page", "why", "kept", "new", "lost", "state"):
        table.add_column(column, justify="right" if column in ("kept", "new", "lost") else "left")
    for page in record["pages"]:
        counts = (str(page[name]) for name in ("kept", "new", "lost"))
        table.add_row(shown(page["title"] or page["id"]), shown(", ".join(page["reasons"])), *counts, page["state"])
    console.print(table)
    print_line(
        console,
        f"{record['reviewed']:,} of {record['total']:,} pages reviewed; {record['found']:,} want an eye: "
        "`related serve`, then /desk",
    )
