"""Editions: written aside, published whole, checked when opened, kept a while, stepped back to."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from corpus.errors import BuildInProgress, EditionError, NoEdition, UnknownEssay
from recommender import edition as editions
from recommender.edition import Edition, EssayLists, check_edition, current_id, open_current, open_edition
from recommender.publishing import (
    EditionSummary,
    build_lock,
    list_editions,
    new_folder,
    publish,
    roll_back,
    write_essays,
    write_lists,
)
from recommender.ranking import Candidate, Item, Recommendation, Rules

ITEMS = (
    Item(
        "a", "essay", "Title A", "About A.", "https://example.org/a", "Sea", date(2025, 5, 1), "a", sketch=1 << 255 | 5
    ),
    Item("b", "essay", "Title B\u2028", None, None, None, None, "a"),
    Item("c", "essay"),
    Item("blurb:1", "blurb", None, "Żur.", url="https://example.org/zur"),
)
LISTS = (
    EssayLists(
        "a",
        2,
        (Candidate("blurb:1", 0.5, 0.1),),
        (
            Candidate("c", 0.25, 0.7, (("meaning", 0.7), ("author", 1.0))),
            Candidate("b", 0.375, 0.9, (("votes", 0.8),), "held"),
        ),
        (),
    ),
    EssayLists("b", 0, (), (), (Candidate("blurb:1", 0.75, 0.3, (("wording", 0.1),)),)),
    EssayLists("c", 1, (Candidate("a", 0.125, 0.25),), (), ()),
)
RECORDS = ({"id": "a", "title": "Title A"}, {"id": "b"}, {"id": "c"})


def at(second: int) -> str:
    return f"2025-07-19T08:30:{second:02}+00:00"


def make(home: Path, second: int = 0, text: str = "one", keep: int = 5) -> str:
    """Publish an edition built at this second; `text` tells its content from others'."""
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, ITEMS, LISTS)
        write_essays(folder, ({**record, "body": text} for record in RECORDS))
        return publish(home, folder, {"built_at": at(second), "counts": {"essays": 3}}, keep)


def folders(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "editions").iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def opened(home: Path) -> Edition:
    make(home)
    return open_current(home)


# --- Publishing and opening ---------------------------------------------------------------------------------------


def test_an_edition_comes_back_as_it_was_written(opened: Edition) -> None:
    assert list(opened.items.stream()) == list(ITEMS) == [opened.items[ident] for ident in opened.items]
    assert [opened.lists(ident) for ident in opened.essay_ids()] == list(LISTS)
    assert opened.essay_record("b") == {"id": "b", "body": "one"}


def test_what_is_written_is_rounded(home: Path) -> None:
    candidate = Candidate("b", 0.12345678, 2 / 3, (("meaning", 0.6666), ("co_listed", 3.0)), "lifted")
    folder = new_folder(home)
    write_lists(folder, ITEMS, (EssayLists("a", 0, (), (candidate,), ()),))
    publish(home, folder, {"built_at": at(0), "counts": {"essays": 1}})

    assert open_current(home).lists("a").candidates == (
        Candidate("b", 0.123457, 0.666667, (("meaning", 0.667), ("co_listed", 3.0)), "lifted"),
    )


def test_an_edition_is_named_by_its_time_and_content_and_says_both(home: Path, opened: Edition) -> None:
    assert opened.id.startswith("20250719T083000Z-")
    assert opened.id.endswith(opened.manifest["content"][:8])
    assert opened.built_at.isoformat() == at(0)
    assert opened.manifest["id"] == opened.id == current_id(home)
    assert sorted(opened.manifest["files"]) == ["essays.jsonl", "lists.sqlite3"]


def test_a_time_of_another_zone_is_told_in_utc(home: Path) -> None:
    folder = new_folder(home)
    write_lists(folder, ITEMS, LISTS)

    ident = publish(home, folder, {"built_at": "2025-07-19T02:00:00+05:00", "counts": {"essays": 3}})

    assert ident.startswith("20250718T210000Z-")


def test_an_essay_is_found_by_id_or_address(opened: Edition) -> None:
    assert opened.find("a") == opened.find(url="https://example.org/a") == ITEMS[0]


@pytest.mark.parametrize(
    "asked", [{"ident": "z"}, {"ident": "blurb:1"}, {"url": "https://example.org/zur"}, {"url": ""}, {"ident": None}]
)
def test_what_is_no_essay_of_the_edition_is_refused_by_name(opened: Edition, asked: dict[str, str]) -> None:
    with pytest.raises(UnknownEssay, match=r"^no essay .* in edition .*: see `related export` for its ids$"):
        opened.find(**asked)


@pytest.mark.parametrize("method", ["lists", "related", "why_not", "essay_record"])
def test_every_question_about_an_unknown_essay_is_refused(opened: Edition, method: str) -> None:
    with pytest.raises(UnknownEssay, match="'z'"):
        getattr(opened, method)(*("z", "a")[: 2 if method == "why_not" else 1])


def test_related_articles_follow_the_rules_and_the_length_of_the_list(opened: Edition) -> None:
    assert opened.related("a").recommendations == (
        Recommendation("a", "c", 1, 0.25, "model", ("close in meaning (0.70)", "same author")),
    )
    assert [r.score for r in opened.related("a", Rules(profile="meaning")).recommendations] == [0.7]
    assert [r.target for r in opened.related("b").recommendations] == []
    assert [r.target for r in opened.related("b", Rules(unlinked=True)).recommendations] == ["blurb:1"]
    assert [r.target for r in opened.related("a", Rules(unlinked=True, limit=1)).recommendations] == ["blurb:1"]
    assert [d.reason for d in opened.related("a").dropped] == [
        "no page stands behind this blurb",
        "a near-duplicate of a",
    ]


def test_it_says_why_an_item_is_not_in_a_list(opened: Edition) -> None:
    assert opened.why_not("a", "c") == "at rank 1, of 2 candidates, with a score of 0.250"
    assert opened.why_not("a", "b") == "a near-duplicate of a"
    assert opened.why_not("a", "c", Rules(min_score=0.5)) == "its score 0.250 is under 0.500"
    assert opened.why_not("c", "b") == "not among its 0 candidates"
    assert opened.why_not("b", "c") == "not among its 0 candidates"
    assert opened.why_not("b", "blurb:1") == "no page stands behind this blurb"
    assert opened.why_not("b", "blurb:1", Rules(unlinked=True)) == "at rank 1, of 1 candidate, with a score of 0.750"


def test_before_the_first_build_there_is_no_edition(home: Path) -> None:
    with pytest.raises(NoEdition, match=f"^no edition in {home} yet: run `related build SOURCE... --home {home}`$"):
        open_current(home)


def test_the_newest_is_the_current_one(home: Path) -> None:
    make(home, 1, "one")
    newest = make(home, 2, "two")

    assert open_current(home).id == newest


def test_no_half_written_folder_stays_behind(home: Path) -> None:
    make(home)

    assert not [name for name in folders(home) if name.startswith(".")]
    assert sorted(path.name for path in home.iterdir()) == [*("build.lock", "current", "editions", "publish.lock")]


# --- Keeping ------------------------------------------------------------------------------------------------------


def test_the_newest_editions_are_kept_and_older_ones_dropped(home: Path) -> None:
    idents = [make(home, second, f"text {second}", keep=3) for second in range(5)]

    assert folders(home) == idents[2:]


def test_keeping_one_keeps_the_current_one(home: Path) -> None:
    idents = [make(home, second, f"text {second}", keep=1) for second in range(3)]

    assert folders(home) == idents[2:]


def test_an_older_edition_with_the_same_content_is_not_kept_twice(home: Path) -> None:
    make(home, 1, "one")
    two = make(home, 2, "two")
    again = make(home, 3, "one")

    assert folders(home) == [two, again]
    assert current_id(home) == again


def test_two_builds_of_one_second_with_one_result_are_one_edition(home: Path) -> None:
    make(home, 1)
    second = make(home, 1)

    assert [folder.name for folder in (home / "editions").iterdir()] == [second]


def test_two_builds_of_one_second_with_two_results_are_two(home: Path) -> None:
    first = make(home, 1, "one")
    second = make(home, 1, "two")

    assert second > first, "ids order editions"
    assert len(folders(home)) == 2
    assert current_id(home) == second


def test_editions_are_listed_newest_first_with_what_is_wrong(home: Path) -> None:
    first, second, third = (make(home, number, f"text {number}") for number in (1, 2, 3))
    (home / "editions" / second / "lists.sqlite3").unlink()

    assert list_editions(home) == [
        EditionSummary(third, at(3), 3, True, None),
        EditionSummary(
            second,
            "",
            0,
            False,
            f"edition {second} is half there: lists.sqlite3 is missing; "
            "run `related rollback` to step back, or `related build` for a new one",
        ),
        EditionSummary(first, at(1), 3, False, None),
    ]


def test_without_a_build_no_editions_are_listed(home: Path) -> None:
    assert list_editions(home) == []


# --- Stepping back ------------------------------------------------------------------------------------------------


def test_stepping_back_publishes_the_edition_before(home: Path) -> None:
    first, second, _ = (make(home, number, f"text {number}") for number in (1, 2, 3))

    assert roll_back(home) == second == open_current(home).id
    assert roll_back(home) == first == open_current(home).id
    with pytest.raises(EditionError, match="there is no earlier intact edition"):
        roll_back(home)


def test_stepping_back_passes_over_a_damaged_edition(home: Path) -> None:
    first, second, _ = (make(home, number, f"text {number}") for number in (1, 2, 3))
    (home / "editions" / second / "essays.jsonl").write_text("", encoding="utf-8")

    assert roll_back(home) == first


def test_an_edition_can_be_stepped_to_by_its_id_forth_too(home: Path) -> None:
    first, second = make(home, 1, "one"), make(home, 2, "two")

    assert [roll_back(home, first), current_id(home)] == [first, first]
    assert [roll_back(home, second), current_id(home)] == [second, second]


def test_a_damaged_edition_cannot_be_stepped_to(home: Path) -> None:
    first, second = make(home, 1, "one"), make(home, 2, "two")
    (home / "editions" / first / "essays.jsonl").write_text("", encoding="utf-8")

    with pytest.raises(EditionError, match=r"essays\.jsonl is not what was written"):
        roll_back(home, first)
    assert current_id(home) == second


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"../../etc\n", b"\xff\xfe\x00"])
def test_when_the_pointer_is_spoiled_that_is_said_and_stepping_back_mends_it(home: Path, content: bytes) -> None:
    make(home, 1, "one")
    newest = make(home, 2, "two")
    (home / "current").write_bytes(content)

    with pytest.raises(EditionError, match="names no edition: run `related rollback` or `related build`"):
        open_current(home)
    assert not any(entry.current for entry in list_editions(home))
    assert roll_back(home) == newest
    assert open_current(home).id == newest


def test_when_the_pointer_is_gone_stepping_back_takes_the_newest(home: Path) -> None:
    make(home, 1, "one")
    newest = make(home, 2, "two")
    (home / "current").unlink()

    assert roll_back(home) == newest


# --- Damage -------------------------------------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def forge(path: Path, **changes: object) -> None:
    """Change the manifest and seal it again, as no one should."""
    rewrite(path, lambda manifest: manifest.update(changes) or manifest.pop("checksum"))
    rewrite(path, lambda manifest: manifest.update(checksum=editions.manifest_checksum(manifest)))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder gone": (shutil.rmtree, "there is no edition .*: see `related editions`"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "has no readable manifest"),
    "manifest empty": (lambda folder: (folder / "manifest.json").write_text(""), "has no readable manifest"),
    "manifest cut": (lambda folder: (folder / "manifest.json").write_text('{"id": "2'), "has no readable manifest"),
    "manifest a list": (lambda folder: (folder / "manifest.json").write_text("[]"), "has no readable manifest"),
    "manifest null": (lambda folder: (folder / "manifest.json").write_text("null"), "has no readable manifest"),
    "manifest binary": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\x00"), "has no readable manifest"),
    "manifest unsealed": (
        lambda folder: rewrite(folder / "manifest.json", lambda m: m.pop("checksum")),
        "has no readable manifest",
    ),
    "manifest edited": (
        lambda folder: rewrite(folder / "manifest.json", lambda m: m.update(built_at=at(59))),
        "is damaged: its manifest was changed",
    ),
    "another format": (
        lambda folder: forge(folder / "manifest.json", format=99),
        "has format 99, this version reads 4: run `related build`",
    ),
    "the format before this one": (
        lambda folder: forge(folder / "manifest.json", format=2),
        "has format 2, this version reads 4: run `related build`",
    ),
    "lists gone": (lambda folder: (folder / "lists.sqlite3").unlink(), "is half there: lists.sqlite3 is missing"),
    "lists cut": (
        lambda folder: os.truncate(folder / "lists.sqlite3", 5000),
        "is damaged: lists.sqlite3 is not what was written",
    ),
    "one byte changed": (
        lambda folder: (folder / "lists.sqlite3").write_bytes(
            (folder / "lists.sqlite3").read_bytes().replace(b"Title A", b"Title B")
        ),
        "is damaged: lists.sqlite3 is not what was written",
    ),
    "a file unknown to the manifest": (
        lambda folder: forge(folder / "manifest.json", files={}),
        "is damaged: lists.sqlite3 is not what was written",
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_each_kind_of_damage_is_refused_with_a_sentence(home: Path, damage: str) -> None:
    spoil, sentence = DAMAGE[damage]
    ident = make(home)
    spoil(home / "editions" / ident)

    with pytest.raises(EditionError, match=sentence) as refusal:
        open_current(home)

    assert ident in str(refusal.value)
    assert "`related " in str(refusal.value)


def test_a_file_that_is_no_database_is_refused_with_a_sentence(home: Path) -> None:
    folder = new_folder(home)
    (folder / "lists.sqlite3").write_text("nonsense\n" * 2000, encoding="utf-8")
    publish(home, folder, {"built_at": at(0), "counts": {"essays": 0}})

    with pytest.raises(EditionError, match=r"^edition .* is damaged \(.*\): run `related rollback`"):
        open_current(home)


def test_a_quick_look_compares_sizes_only(home: Path) -> None:
    ident = make(home)
    path = home / "editions" / ident / "lists.sqlite3"
    path.write_bytes(path.read_bytes().replace(b"Title A", b"Title B"))

    assert open_edition(home, ident, quickly=True).id == ident
    with pytest.raises(EditionError, match="is not what was written"):
        open_edition(home, ident)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(EditionError, match="is not what was written"):
        open_edition(home, ident, quickly=True)


def test_all_files_are_checked_unless_some_are_named(home: Path) -> None:
    ident = make(home)
    folder = home / "editions" / ident
    (folder / "essays.jsonl").write_text("changed\n", encoding="utf-8")

    assert open_current(home).id == ident  # the service reads the lists only
    assert check_edition(folder, ["lists.sqlite3"])["id"] == ident
    with pytest.raises(EditionError, match=r"essays\.jsonl is not what was written"):
        check_edition(folder)


@pytest.mark.parametrize(
    "ident",
    ["", ".", "..", "../editions", "/etc", "2025/../..", "20250719T083000Z-x/..", ".new-1", "2025\x00", "x", "2025 "],
)
def test_an_id_cannot_name_another_folder(home: Path, ident: str) -> None:
    make(home)

    with pytest.raises(EditionError, match="is no edition id: see `related editions`"):
        open_edition(home, ident)
    with pytest.raises(EditionError, match="is no edition id"):
        roll_back(home, ident)


# --- One build at a time ------------------------------------------------------------------------------------------


def test_while_a_build_runs_another_is_refused(home: Path) -> None:
    with build_lock(home), pytest.raises(BuildInProgress, match=f"^another build is writing to {home}: wait"):
        make(home)

    make(home)


def test_a_build_that_failed_lets_go_of_the_lock(home: Path) -> None:
    with pytest.raises(RuntimeError, match="failed"), build_lock(home):
        raise RuntimeError("failed")

    make(home)


def test_the_next_build_clears_what_a_killed_one_left_half_written(home: Path) -> None:
    published = make(home)
    half = home / "editions" / ".new-12345"
    half.mkdir()
    (half / "lists.sqlite3").write_text("half", encoding="utf-8")
    assert open_current(home).id == published
    assert [entry.id for entry in list_editions(home)] == [published]

    with build_lock(home):
        assert not half.exists()

    assert folders(home) == [published]


def test_a_build_that_never_published_leaves_the_current_edition(home: Path) -> None:
    published = make(home)
    with build_lock(home):
        write_lists(new_folder(home), ITEMS[:1], ())

    assert open_current(home).id == published
