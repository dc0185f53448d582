"""An evaluation as one HTML page to look at, made of its JSON record: plots, and their numbers beside them.

The page needs no other file, no network and no program. Only the plots are put into it as markup; every text of the
record is escaped by the template.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.decoding import plain

if TYPE_CHECKING:
    from jinja2 import Template

_UNWRITABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")


def write_report(
    record: Mapping[str, Any],
    path: Path,
    heading: str,
    compared: Mapping[str, Any] | None = None,
    compared_heading: str = "",
) -> None:
    """Write the evaluation as an HTML file. The same record gives the same bytes.

    heading: names what was judged, such as the edition. compared: another evaluation, shown beside the first.
    """
    from service.report_sections import comparison, sections_of

    record, heading = _writable(record), _writable(heading)
    sections = sections_of(record)
    if compared is not None:
        other = _writable(compared_heading) or "the other"
        sections[1:1] = comparison(record, _writable(compared), heading, other)
    page = _template().render(heading=heading, summary=_summary(record), sections=sections)
    path.write_bytes(page.encode())


def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("evaluation.html")


def _writable(value: Any) -> Any:
    """The value without characters that neither HTML nor SVG can hold."""
    if isinstance(value, str):
        return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", plain(value))
    if isinstance(value, Mapping):
        return {_writable(key): _writable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(entry) for entry in value]
    return value


def _summary(record: Mapping[str, Any]) -> str:
    if not record["n"]:
        return "Nothing to judge: no curated list names an essay of this site."
    ceiling = record.get("ceiling")
    share = "an unknown share" if ceiling is None else f"{ceiling:.1%}"
    return f"{record['n']:,} curated lists judged; {share} of their entries are essays of the site."
