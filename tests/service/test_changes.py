"""Which pages' answers an edition changed: found, written before anyone is answered from it, and told."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from corpus.errors import NoEdition
from recommender.edition import current_id, edition_ids, open_current, open_edition
from recommender.list_store import EssayLists
from recommender.publishing import build_lock, new_folder, publish, roll_back, write_lists
from recommender.ranking import Candidate, Item
from service.changes import Change, Changes, compare, make_ready, read_changes
from service.cli import app
from service.ready import FOLDER, Page
from service.settings import Settings
from tests.service.editions import ITEMS_OF_THE_SITE, LISTS_OF_THE_SITE, NOON, publish_edition

# --- Two editions' pages, side by side ----------------------------------------------------------------------------


def page(ident: str, text: str = "lcw", url: str | None = None) -> Page:
    """A page whose three digests are the letters of `text`."""
    return Page(ident, url, *(letter.encode() for letter in text))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], []),
        ([page("a")], [page("a")], []),
        ([], [page("a", url="/a")], [Change("a", "/a", "new")]),
        ([page("a", url="/a")], [], [Change("a", "/a", "gone")]),
        ([page("a")], [page("b")], [Change("a", None, "gone"), Change("b", None, "new")]),
        ([page("b")], [page("a")], [Change("a", None, "new"), Change("b", None, "gone")]),
        ([page("a", "lcw")], [page("a", "LCW")], [Change("a", None, "list")]),
        ([page("a", "lcw")], [page("a", "lCW")], [Change("a", None, "cards")]),
        ([page("a", "lcw")], [page("a", "lcW")], [Change("a", None, "scores")]),
        ([page("a", url="/old")], [page("a", "lCW", url="/new")], [Change("a", "/new", "cards")]),
        (
            [page("a"), page("b"), page("d", "lcw"), page("e")],
            [page("b"), page("c"), page("d", "Lcx"), page("f")],
            [
                *(Change("a", None, "gone"), Change("c", None, "new"), Change("d", None, "list")),
                *(Change("e", None, "gone"), Change("f", None, "new")),
            ],
        ),
    ],
)
def test_pages_are_compared_by_the_greatest_change_alone(
    before: list[Page], after: list[Page], expected: list[Change]
) -> None:
    assert list(compare(before, after)) == expected


SOME_PAGES = st.dictionaries(st.sampled_from("abcdéz麦🥖"), st.sampled_from(["lcw", "lcx", "lyz", "abd"]))


@given(SOME_PAGES, SOME_PAGES)
def test_every_page_that_differs_is_told_once_in_id_order(before: dict[str, str], after: dict[str, str]) -> None:
    changes = list(compare(*([page(i, some[i]) for i in sorted(some)] for some in (before, after))))

    assert [change.id for change in changes] == sorted(
        ident for ident in before.keys() | after.keys() if before.get(ident) != after.get(ident)
    )
    for change in changes:
        kinds = {"new": change.id not in before, "gone": change.id not in after}
        assert kinds.get(change.what, change.id in before.keys() & after.keys())


# --- Editions -----------------------------------------------------------------------------------------------------


def change_of(home: Path, lists: Sequence[EssayLists], items: Sequence[Item]) -> dict[str, str]:
    """What an edition with these changes beside the site's own."""
    settings = Settings(home=home)
    publish_edition(home)
    before = open_current(home)
    publish_edition(home, NOON + timedelta(hours=1), lists, items)
    found = read_changes(settings)
    assert (found.edition, found.since) == (current_id(home), before.id)
    return {change.id: change.what for change in found.pages}


def lists_with(*others: EssayLists) -> tuple[EssayLists, ...]:
    by_id = {lists.id: lists for lists in others}
    return tuple(by_id.get(lists.id, lists) for lists in LISTS_OF_THE_SITE)


BREAD_LISTS = LISTS_OF_THE_SITE[0]


def bread(*candidates: Candidate) -> EssayLists:
    return replace(BREAD_LISTS, candidates=candidates)


RYE, SALT, SUNDIAL = BREAD_LISTS.candidates


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (lists_with(bread(RYE, SALT)), {}),  # the sundial stands below bread's two places
        (lists_with(bread(RYE._replace(place="held"), SALT, SUNDIAL)), {"bread": "list"}),
        (lists_with(bread(RYE._replace(editors=0.5), SALT, SUNDIAL)), {"bread": "scores"}),
        (lists_with(bread(RYE._replace(reasons=()), SALT, SUNDIAL)), {"bread": "scores"}),
        (lists_with(bread(RYE._replace(meaning=0.75), SALT, SUNDIAL)), {}),  # the score of a profile not asked for
        (lists_with(replace(BREAD_LISTS, list_length=3)), {"bread": "list"}),
        (lists_with(replace(BREAD_LISTS, list_length=1)), {"bread": "list"}),
        (lists_with(replace(BREAD_LISTS, curated=())), {"bread": "list"}),
        (lists_with(replace(BREAD_LISTS, unlinked=())), {}),
        ([lists for lists in LISTS_OF_THE_SITE if lists.id != "sundial"], {"sundial": "gone"}),
    ],
)
def test_the_pages_of_which_the_answer_changed_are_told_and_no_others(
    tmp_path: Path, lists: Sequence[EssayLists], expected: dict[str, str]
) -> None:
    assert change_of(tmp_path, lists, ITEMS_OF_THE_SITE) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": "Bread again"}, {"bread": "cards", "rye": "cards"}),
        ({"url": "https://example.org/loaf"}, {"bread": "cards", "rye": "cards"}),
        ({"standfirst": "On loaves."}, {"rye": "cards"}),  # bread's own answer says id, URL and title of bread
        ({"category": None}, {"rye": "cards"}),
        ({"twins": "loaves"}, {}),
    ],
)
def test_what_a_card_says_changes_the_pages_that_show_it(
    tmp_path: Path, fields: dict[str, Any], expected: dict[str, str]
) -> None:
    items = [item._replace(**fields) if item.id == "bread" else item for item in ITEMS_OF_THE_SITE]

    assert change_of(tmp_path, LISTS_OF_THE_SITE, items) == expected


def test_a_new_page_is_told_and_of_the_first_edition_every_one(tmp_path: Path) -> None:
    publish_edition(tmp_path, lists=[lists for lists in LISTS_OF_THE_SITE if lists.id != "bread"])
    first = read_changes(Settings(home=tmp_path))
    assert first.since is None
    assert {change.what for change in first.pages} == {"new"}
    assert [change.id for change in first.pages] == sorted(open_current(tmp_path).essay_ids())

    publish_edition(tmp_path, NOON + timedelta(hours=1))

    assert read_changes(Settings(home=tmp_path)).pages == (Change("bread", "https://example.org/bread", "new"),)


# --- Written before the edition is current ------------------------------------------------------------------------


def publish_ready(home: Path, hour: int, lists: Sequence[EssayLists] = LISTS_OF_THE_SITE) -> str:
    """Publish an edition as `related build` does."""
    manifest = {
        "built_at": (NOON + timedelta(hours=hour)).isoformat(),
        "encoder": "none",
        "counts": {"essays": len(lists), "unmatched_blurbs": 1},
    }
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, ITEMS_OF_THE_SITE, lists)
        return publish(home, folder, manifest, prepare=partial(make_ready, Settings(home=home)))


def on_disk(home: Path, edition: str) -> list[dict[str, str | None]]:
    text = (home / FOLDER / f"changed-{edition}.jsonl").read_text(encoding="ascii")
    return [json.loads(line) for line in text.splitlines()]


OTHER = lists_with(bread(SUNDIAL))
SECOND = lists_with(replace(LISTS_OF_THE_SITE[3], candidates=(Candidate("rye", 0.5, 0.5),)))
"""Of the sundial."""


def test_changes_and_answers_are_written_before_the_edition_is_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish_ready(tmp_path, 0)
    seen: list[list[str]] = []

    def note(home: Path, ident: str) -> None:
        assert current_id(home) == first
        assert any(path.name.startswith(f"{ident}-") for path in (home / FOLDER).glob("*.sqlite3"))
        seen.append([str(record.get("id")) for record in on_disk(home, ident)[1:]])

    monkeypatch.setattr("recommender.publishing.make_current", note)
    publish_ready(tmp_path, 1, OTHER)

    assert seen == [["bread"]]
    assert current_id(tmp_path) == first


def test_what_is_written_is_a_line_a_page_below_the_two_editions(tmp_path: Path) -> None:
    first, second = publish_ready(tmp_path, 0), publish_ready(tmp_path, 1, OTHER)

    assert on_disk(tmp_path, first)[0] == {"edition": first, "since": None}
    assert len(on_disk(tmp_path, first)) == 1 + 12
    assert on_disk(tmp_path, second) == [
        {"edition": second, "since": first},
        {"id": "bread", "url": "https://example.org/bread", "what": "list"},
    ]
    assert not [path for path in (tmp_path / FOLDER).iterdir() if path.name.startswith(".")]


def test_an_edition_that_cannot_be_made_ready_never_becomes_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish_ready(tmp_path, 0)

    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("service.changes.prepare", fail)
    with pytest.raises(OSError, match="full"):
        publish_ready(tmp_path, 1, OTHER)

    assert current_id(tmp_path) == first
    assert edition_ids(tmp_path) == [first]


def test_a_rollback_tells_what_changes_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first, second = publish_ready(tmp_path, 0), publish_ready(tmp_path, 1, OTHER)

    assert roll_back(tmp_path, prepare=partial(make_ready, settings)) == first

    url = "https://example.org/bread"
    assert read_changes(settings) == Changes(first, second, (Change("bread", url, "list"),))
    roll_back(tmp_path, second, partial(make_ready, settings))
    assert read_changes(settings) == Changes(second, first, (Change("bread", url, "list"),))


def test_changes_over_a_rollback_are_counted_from_what_was_served(tmp_path: Path) -> None:
    """The next build is compared with the edition rolled back to, not with the newest."""
    settings = Settings(home=tmp_path)
    first, second = publish_ready(tmp_path, 0), publish_ready(tmp_path, 1, OTHER)
    roll_back(tmp_path, prepare=partial(make_ready, settings))
    third = publish_ready(tmp_path, 2, SECOND)

    found = read_changes(settings)
    assert (found.edition, found.since) == (third, first)
    assert [change.id for change in found.pages] == ["sundial"]
    (tmp_path / FOLDER / f"changed-{third}.jsonl").unlink()
    found = read_changes(settings)
    assert (found.since, [change.id for change in found.pages]) == (second, ["bread", "sundial"])


def test_what_was_not_written_down_is_found_out(tmp_path: Path) -> None:
    publish_ready(tmp_path, 0)
    publish_ready(tmp_path, 1, OTHER)
    written = read_changes(Settings(home=tmp_path))
    shutil.rmtree(tmp_path / FOLDER)

    assert read_changes(Settings(home=tmp_path)) == written


def test_a_damaged_edition_before_is_passed_over(tmp_path: Path) -> None:
    first = publish_ready(tmp_path, 0)
    second, third = publish_ready(tmp_path, 1, SECOND), publish_ready(tmp_path, 2, OTHER)
    shutil.rmtree(tmp_path / FOLDER)
    (tmp_path / "editions" / second / "lists.sqlite3").write_bytes(b"")

    found = read_changes(Settings(home=tmp_path))

    assert (found.edition, found.since) == (third, first)
    assert [change.id for change in found.pages] == ["bread"]


def test_damaged_ready_answers_of_the_edition_before_stop_no_build(tmp_path: Path) -> None:
    """They are a cache."""
    first = publish_ready(tmp_path, 0)
    path = next((tmp_path / FOLDER).glob(f"{first}-*.sqlite3"))
    content = path.read_bytes()
    for damaged in (b"", content[:5_000], b"mine" * 5_000, content[:4_096] + bytes(len(content) - 4_096)):
        path.write_bytes(damaged)
        ident = publish_ready(tmp_path, 1, OTHER)

        assert [record["id"] for record in on_disk(tmp_path, ident)[1:]] == ["bread"]
        roll_back(tmp_path, first)


def test_every_page_of_an_edition_that_changed_nothing_is_the_same(tmp_path: Path) -> None:
    publish_ready(tmp_path, 0)
    publish_ready(tmp_path, 1)

    assert read_changes(Settings(home=tmp_path)).pages == ()


def test_without_an_edition_there_are_no_changes(tmp_path: Path) -> None:
    with pytest.raises(NoEdition):
        read_changes(Settings(home=tmp_path))


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: object) -> str:
    """The command's standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_an_id_a_line_or_all_as_json(tmp_path: Path) -> None:
    first = publish_ready(tmp_path, 0)
    ids = sorted(open_edition(tmp_path, first).essay_ids())
    assert run("editions", "--changed", "--home", tmp_path).split("\n") == [*ids, ""]
    second = publish_ready(tmp_path, 1, OTHER)

    assert run("editions", "--changed", "--home", tmp_path) == "bread\n"
    assert json.loads(run("editions", "--changed", "--json", "--home", tmp_path)) == {
        "edition": second,
        "since": first,
        "pages": [{"id": "bread", "url": "https://example.org/bread", "what": "list"}],
    }


def test_the_command_tells_nothing_when_nothing_changed(tmp_path: Path) -> None:
    publish_ready(tmp_path, 0)
    publish_ready(tmp_path, 1)

    assert run("editions", "--changed", "--home", tmp_path) == ""
    assert json.loads(run("editions", "--changed", "--json", "--home", tmp_path))["pages"] == []


def test_after_a_rollback_by_command_the_command_tells_what_changed_back(tmp_path: Path) -> None:
    first, second = publish_ready(tmp_path, 0), publish_ready(tmp_path, 1, OTHER)

    assert run("rollback", "--home", tmp_path) == f"{first} is current\n"

    told = json.loads(run("editions", "--changed", "--json", "--home", tmp_path))
    assert (told["edition"], told["since"], [page["id"] for page in told["pages"]]) == (first, second, ["bread"])
    assert run("editions", "--changed", "--home", tmp_path) == "bread\n"


def test_the_command_counts_under_the_sites_own_rules(tmp_path: Path) -> None:
    (tmp_path / "related.toml").write_text("min_score = 0.3\n")
    publish_edition(tmp_path)
    publish_edition(tmp_path, NOON + timedelta(hours=1), lists_with(bread(RYE, SALT, SUNDIAL._replace(editors=0.25))))

    assert run("editions", "--changed", "--home", tmp_path) == "", "what changed has too low a score to be shown"


def test_sqlite_orders_ids_as_python_does(tmp_path: Path) -> None:
    """What compare() takes for granted."""
    ids = ["a", "B", "é", "麦", "🥖", "z", "\uffff", "a\x00b", "a b", "aa", ""]
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE pages (id TEXT PRIMARY KEY)")
        db.executemany("INSERT INTO pages VALUES (?)", [(ident,) for ident in ids])
        assert [ident for (ident,) in db.execute("SELECT id FROM pages ORDER BY id")] == sorted(ids)
    db.close()
