"""The log of decisions as a file: CSV or JSON lines, out of one home and into another."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from corpus.errors import DecisionRefused
from recommender.decisions import Decision, check

COLUMNS = (
    *("key", "action", "source", "target", "position", "weight", "state", "editor", "note", "at", "expires"),
    *("undoes", "edition", "source_title", "source_url", "target_title", "target_url"),
)
"""Of an export. undoes is the other decision's key: a place in the log means nothing in another log."""
_NEEDED = {"key", "action", "editor", "at"}
_NUMBERS = ("position", "weight")


def as_json(decision: Decision) -> dict[str, Any]:
    """A decision with its times as ISO dates."""
    times = {"at": decision.at.isoformat(), "expires": decision.expires.isoformat() if decision.expires else None}
    return asdict(decision) | times


def write_jsonl(decisions: Sequence[Decision]) -> Iterator[str]:
    """A line a decision."""
    for record in _records(decisions):
        yield json.dumps(record, ensure_ascii=False) + "\n"


def write_csv(decisions: Sequence[Decision]) -> Iterator[str]:
    """A row a decision, with a header. Nothing in it is taken for a formula by a spreadsheet."""
    for row in (dict(zip(COLUMNS, COLUMNS, strict=True)), *_records(decisions)):
        out = io.StringIO()
        csv.writer(out).writerow([_cell(row[name]) for name in COLUMNS])
        yield out.getvalue()


def read_text(sent: bytes) -> str:
    """The text of a file. Raises DecisionRefused for one that is not UTF-8: a log keeps for good what it takes in."""
    try:
        return sent.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecisionRefused(f"the file is not UTF-8, from byte {error.start:,} on: save it as UTF-8") from None


def read_export(text: str) -> tuple[list[Decision], dict[str, str]]:
    """The decisions of an export, CSV or JSON lines, in the order written, and of the undos among them: key -> the key
    of what is undone. Raises DecisionRefused, naming the line and what is wrong with it."""
    found, undoing = list[Decision](), dict[str, str]()
    for line, record in _jsonl(text) if text.lstrip().startswith("{") else _csv(text):
        try:
            undone = record.pop("undoes", None)
            decision = _decision(record, undone is not None)
        except (DecisionRefused, ValueError, TypeError, OverflowError) as error:
            raise DecisionRefused(f"line {line} cannot be put in: {error}") from None
        if undone is not None:
            undoing[decision.key] = str(undone)
        found.append(decision)
    if not found:
        raise DecisionRefused("the file holds no decisions")
    return found, undoing


def _records(decisions: Sequence[Decision]) -> Iterator[dict[str, Any]]:
    keys = {decision.id: decision.key for decision in decisions}
    for decision in decisions:
        record = as_json(decision)
        record["undoes"] = decision.undoes and keys.get(decision.undoes)
        yield {name: record[name] for name in COLUMNS}


def _jsonl(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() knows more ends than JSON does
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError:
                raise DecisionRefused(f"line {number} is no JSON") from None
            if not isinstance(record, dict):
                raise DecisionRefused(f"line {number} is no JSON object")
            yield number, record


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.DictReader(io.StringIO(text))
    try:
        missing = _NEEDED - set(rows.fieldnames or ())
        if missing:
            names = ", ".join(sorted(missing))
            raise DecisionRefused(f"the first line names no {names}: export a file to see the columns")
        for row in rows:
            yield rows.line_num, {name: _uncell(value) for name, value in row.items() if name and value}
    except csv.Error as error:
        raise DecisionRefused(f"line {rows.line_num + 1} is no CSV: {error}") from None


def _decision(record: dict[str, Any], undoes: bool) -> Decision:
    """A record's decision; what it undoes gets its id in the log."""
    unknown = set(record) - set(COLUMNS)
    if unknown:
        raise DecisionRefused(f"there is no column {', '.join(sorted(map(str, unknown)))}")
    values = {name: value for name, value in record.items() if value is not None}
    missing = _NEEDED - set(values)
    if missing:
        raise DecisionRefused(f"it names no {', '.join(sorted(missing))}")
    if "position" in values:
        values["position"] = _whole(values["position"])
    if "weight" in values:
        values["weight"] = float(values["weight"])
    for name in ("at", "expires"):
        if name in values:
            values[name] = _moment(values[name])
    if any(not isinstance(value, str) for name, value in values.items() if name not in (*_NUMBERS, "at", "expires")):
        raise DecisionRefused("a text is no text")
    return check(Decision(**values, undoes=0 if undoes else None))


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise DecisionRefused(f"position {value:g} is no whole number")
    return int(value)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else value


def _uncell(text: str) -> str:
    return text.removeprefix("'")
