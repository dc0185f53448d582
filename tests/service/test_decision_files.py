"""The log as a file: what goes out comes in again, and a bad file comes in not at all."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import DecisionRefused
from recommender.decision_log import DecisionLog
from recommender.decisions import Decision
from recommender.edition import open_current
from recommender.standing import Log, Standing
from service.decision_files import COLUMNS, read_export, write_csv, write_jsonl
from tests.recommender.decided import MORNING, decide, undo
from tests.service.editions import publish_edition

FORMS = {"csv": write_csv, "jsonl": write_jsonl}
HARMFUL = (
    '=HYPERLINK("https://evil.example")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'quoted",
    "''twice",
    "'=1+1",
    "a\r\nb\rc\nd",
    'say "so", he said',
    "line\u2028separator\u2029and\x85next\x0bvertical\x1cfile",
    "e\u0301 🍞 麦",
    "  spaces  ",
)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[list[DecisionLog]]:
    """The logs of two homes, the second of which has a decision of its own."""
    found = [DecisionLog(tmp_path / name) for name in ("one", "two")]
    found[1].append([decide("exclude", "rye", "salt", key="own")])
    yield found
    for log in found:
        log.close()


def filled(log: DecisionLog) -> DecisionLog:
    """With decisions of every kind, an undo and an undo of that, one that expired and one that will."""
    log.append(
        [
            decide("exclude", "bread", "rye", note=HARMFUL[0], expires=MORNING + timedelta(days=1)),
            decide("pin", "bread", "sundial", position=2, target_title="Sundials", source_url="https://example.org/b"),
            decide("boost", None, "salt", weight=1.5),
            decide("bury", "bread", "salt"),
            decide("approve", "rye", "bread", expires=MORNING + timedelta(days=900)),
            decide("state", "bread", state="review", edition="20261101T120000Z-0a58be2c"),
            decide("review", "salt"),
            decide("stop", note="Stop"),
            undo(8, note="Go on"),
            undo(1),
            undo(10),
            decide("follow", "salt-old", "salt"),
            decide("state", "bread", state="model"),
        ]
    )
    return log


def text_of(log: DecisionLog, form: str) -> str:
    return "".join(FORMS[form](log.since()))


def held(log: DecisionLog, home: Path) -> list[Decision]:
    """What holds in this log at noon, without the places in the log."""
    standing = Standing(Log().with_(log.since()), MORNING + timedelta(days=2), open_current(home))
    return [replace(entry, id=0) for entry in standing.everything()]


@pytest.mark.parametrize("form", FORMS)
def test_another_home_that_takes_a_log_in_holds_the_same(logs: list[DecisionLog], tmp_path: Path, form: str) -> None:
    publish_edition(tmp_path / "site")
    one, two = filled(logs[0]), logs[1]
    own = two.since()

    read, undoing = read_export(text_of(one, form))
    two.append(read, undoing)

    assert held(two, tmp_path / "site") == [replace(own[0], id=0), *held(one, tmp_path / "site")]
    assert [entry.action for entry in held(one, tmp_path / "site")] == [
        *("pin", "boost", "bury", "approve", "review", "state"),
    ]
    taken = two.since()[1:]
    shifted = [replace(e, id=e.id + 1, undoes=e.undoes and e.undoes + 1) for e in one.since()]
    assert taken == shifted


@pytest.mark.parametrize("form", FORMS)
def test_what_is_taken_in_twice_is_there_once(logs: list[DecisionLog], form: str) -> None:
    one, two = filled(logs[0]), logs[1]
    for _ in range(2):
        two.append(*read_export(text_of(one, form)))
        one.append(*read_export(text_of(one, form)))
    assert (len(one.since()), len(two.since())) == (13, 14)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("note", HARMFUL)
def test_any_text_comes_back_as_it_was(form: str, note: str) -> None:
    entry = decide("exclude", "bread", note if note.strip() == note else "rye", note=note, target_title=note)

    ((found,), undoing) = read_export("".join(FORMS[form]([entry])))

    assert (found, undoing) == (entry, {})


@given(note=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_whatever_a_note_holds_it_comes_back_by_both_forms(note: str) -> None:
    entry = decide("exclude", "bread", "rye", note=note)
    for write in FORMS.values():
        assert read_export("".join(write([entry])))[0] == [entry]


@pytest.mark.parametrize("text", HARMFUL)
def test_no_cell_is_a_formula(text: str) -> None:
    written = "".join(write_csv([decide("exclude", "=s", "@t", note=text, editor="+Ann")]))
    for row in csv.reader(io.StringIO(written, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_a_file_names_its_columns_and_an_undo_its_decision_by_key() -> None:
    entries = [decide("exclude", None, "rye", id=4, key="k4"), undo(4, id=5, key="k5")]

    rows = list(csv.DictReader(io.StringIO("".join(write_csv(entries)))))
    records = [json.loads(line) for line in write_jsonl(entries)]

    assert tuple(rows[0]) == tuple(records[0]) == COLUMNS
    assert [row["undoes"] for row in rows] == ["", "k4"]
    assert [record["undoes"] for record in records] == [None, "k4"]
    assert records[0]["at"] == "2026-03-02T09:00:00+00:00"
    assert read_export("".join(write_csv(entries)))[1] == {"k5": "k4"}


def test_a_time_without_a_zone_is_utc_and_any_other_is_made_so() -> None:
    def at(text: str) -> datetime:
        return read_export(json.dumps(GOOD | {"at": text}))[0][0].at

    assert at("2026-03-02T09:00:00") == at("2026-03-02T10:00:00+01:00") == at("2026-03-02T09:00:00Z") == MORNING
    assert at("2026-03-02T10:00:00+01:00").utcoffset() == timedelta(0)


GOOD: dict[str, Any] = {
    "key": "k",
    "action": "exclude",
    "source": "bread",
    "target": "rye",
    "editor": "Ann",
    "at": "2026-03-02T09:00:00+00:00",
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"key": None}, "it names no key"),
    "no key and no editor": ({"key": None, "editor": None}, "it names no editor, key"),
    "kind": ({"action": "love"}, "there is no decision 'love'"),
    "no target": ({"target": None}, "to exclude needs a target"),
    "time": ({"at": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
    "a number for a time": ({"at": 5}, ""),
    "the beginning of time": ({"at": "0001-01-01T00:00:00+14:00"}, "date value out of range"),
    "an end before": ({"expires": "2026-03-02T08:00:00+00:00"}, "it would have expired before it began"),
    "position": ({"action": "pin", "position": "two"}, "invalid literal"),
    "a large position": ({"action": "pin", "position": 51}, "position 51 is not from 1 to 50"),
    "a number too large": ({"action": "boost", "weight": 10**400}, "too large"),
    "infinity": ({"action": "pin", "position": float("inf")}, "position inf is no whole number"),
    "part of a position": ({"action": "pin", "position": 1.5}, "position 1.5 is no whole number"),
    "no text": ({"note": ["x"]}, "a text is no text"),
    "an unknown column": ({"colour": "red"}, "there is no column colour"),
    "undoes too much": ({"undoes": "other"}, "to exclude takes no undoes"),
    "undoes nothing": ({"action": "undo", "source": None, "target": None}, "to undo needs a undoes"),
    "half a character": ({"note": "\ud800"}, "characters that no text has"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_with_its_number(case: str) -> None:
    change, sentence = BAD[case]
    lines = [json.dumps(GOOD | {"key": "good"}), "", json.dumps(GOOD | change)]

    with pytest.raises(DecisionRefused, match=r"^line 3 cannot be put in: ") as raised:
        read_export("\n".join(lines))

    assert sentence in str(raised.value)


def test_a_bad_row_is_named_with_its_line() -> None:
    good = "".join(write_csv([decide("exclude", "bread", "rye", note="two\nlines")]))
    with pytest.raises(DecisionRefused, match=r"^line 4 cannot be put in: there is no decision 'love'"):
        read_export(good + "k,love,bread,rye,,,,Ann,,2026-03-02T09:00:00+00:00\r\n")
    with pytest.raises(DecisionRefused, match=r"^line 4 is no CSV: field larger than field limit"):
        read_export(good + f"k,exclude,bread,rye,,,,Ann,{'n' * 140_000},2026-03-02T09:00:00+00:00\r\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the first line names no action, at, editor, key: export a file to see the columns"),
        ("a,b\n1,2\n", "the first line names no action, at, editor, key"),
        ("key,action,at\n", "the first line names no editor"),
        (",".join(COLUMNS) + "\r\n", "the file holds no decisions"),
        ('{"key": ', "line 1 is no JSON"),
        ("{}\n[]", "line 1 cannot be put in: it names no action, at, editor, key"),
        (json.dumps(GOOD) + "\n[]", "line 2 is no JSON object"),
        ("\x00\x01\x02", "the first line names no action"),
    ],
)
def test_another_file_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(DecisionRefused, match="^" + sentence.replace("{", r"\{")):
        read_export(text)


def test_an_undo_of_what_is_nowhere_is_refused_with_all_else(logs: list[DecisionLog]) -> None:
    lines = [json.dumps(GOOD), json.dumps(GOOD | {"key": "u", "action": "undo", "undoes": "gone"})]
    with pytest.raises(DecisionRefused, match="decision u undoes one that stands neither in the log nor before it"):
        logs[0].append(*read_export("\n".join(lines)))
    assert logs[0].since() == []


def test_another_decision_of_a_known_key_is_refused_with_all_else(logs: list[DecisionLog]) -> None:
    lines = [json.dumps(GOOD), json.dumps(GOOD | {"key": "own"})]
    with pytest.raises(DecisionRefused, match="the key own is another decision's"):
        logs[1].append(*read_export("\n".join(lines)))
    assert len(logs[1].since()) == 1
