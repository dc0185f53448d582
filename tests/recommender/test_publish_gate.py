"""The publish gate: an edition that differs too much waits for somebody's signature, whatever happens meanwhile."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from corpus.errors import EditionError
from recommender import job, publish_gate, publishing
from recommender.edition import Edition, current_id, edition_ids, open_current
from recommender.job import BuildOptions, build
from recommender.publish_gate import Held, find_held, held_editions, read_marker
from recommender.publishing import (
    build_lock,
    list_editions,
    new_folder,
    newest_intact,
    publish,
    roll_back,
    sign_off,
    write_essays,
)
from tests.fakes import CountingEncoder
from tests.recommender.test_edition import ITEMS, LISTS, RECORDS, at
from tests.recommender.test_job import write_site


def doubt(edition: Edition, ident: str) -> Held:
    """A judge who holds back every edition."""
    return Held(ident, current_id(edition.folder.parents[1]), 0.41256, 0.6, edition.built_at.isoformat())


def make(home: Path, second: int, text: str, judge: publishing.Judge | None = None, keep: int = 5) -> str:
    """An edition built at this second; `text` tells its content from others'."""
    with build_lock(home):
        folder = new_folder(home)
        publishing.write_lists(folder, ITEMS, LISTS)
        write_essays(folder, ({**record, "body": text} for record in RECORDS))
        return publish(home, folder, {"built_at": at(second), "counts": {"essays": 3}}, keep, judge=judge)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One edition, and it is current."""
    make(tmp_path / "data", 1, "shown")
    return tmp_path / "data"


def markers(home: Path) -> list[str]:
    return sorted(path.stem for path in (home / "held").iterdir())


# --- Held back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "limit", "held"),
    [
        (0.5, 0.0, False),
        (0.0, 0.0, False),
        (None, 0.0, False),
        (0.5, 0.5, False),
        (0.4999, 0.5, True),
        (None, 0.1, True),
    ],
)
def test_an_edition_is_held_back_under_the_limit_alone(overlap: float | None, limit: float, held: bool) -> None:
    found = publish_gate.judge("two", "one", overlap, limit, datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert found == (Held("two", "one", overlap, limit, "2026-11-01T12:00:00+00:00") if held else None)


def test_an_edition_that_is_held_back_is_kept_and_told_but_not_shown(home: Path) -> None:
    current = current_id(home)
    held = make(home, 2, "doubtful", doubt)
    assert current_id(home) == current
    assert held_editions(home) == (Held(held, current, 0.41256, 0.6, at(2)),)
    summaries = [(entry.id, entry.current, entry.broken, entry.held) for entry in list_editions(home)]
    why = (
        f"edition {held} is held back: its lists overlap by 0.412 on average with those of edition {current}, less "
        f"than publish_overlap, 0.6; see `related editions --compare {held}`, and sign it off with "
        f"`related publish {held}` or on the desk"
    )
    assert summaries == [(held, False, None, why), (current, True, None, None)]


def test_nothing_is_prepared_of_an_edition_that_is_held_back(home: Path) -> None:
    prepared: list[str] = []
    with build_lock(home):
        folder = new_folder(home)
        publishing.write_lists(folder, ITEMS, LISTS)
        described = {"built_at": at(2), "counts": {"essays": 3}}
        held = publish(home, folder, described, 5, lambda edition: prepared.append(edition.id), doubt)
    assert prepared == []
    sign_off(home, held, "ada", lambda edition: prepared.append(f"{edition.id}, while {current_id(home)} is current"))
    assert prepared == [f"{held}, while {edition_ids(home)[0]} is current"]


def test_what_has_no_page_in_common_and_what_cannot_be_read_say_so(home: Path) -> None:
    assert Held("two", "one", None, 0.5, at(2)).why == "it has no page in common with edition one"
    held = make(home, 2, "doubtful", doubt)
    (home / "held" / f"{held}.json").write_text("{", encoding="utf-8")
    assert [marker.why for marker in held_editions(home)] == ["its marker in held/ cannot be read"]
    with pytest.raises(EditionError, match="cannot be read"):
        roll_back(home, held)
    assert sign_off(home, held, "ada") == current_id(home) == held


def test_nobody_steps_to_an_edition_that_is_held_back(home: Path) -> None:
    first = current_id(home)
    held = make(home, 2, "doubtful", doubt)
    third = make(home, 3, "shown too")
    with pytest.raises(EditionError, match=f"is held back: .* sign it off with `related publish {held}`"):
        roll_back(home, held)
    assert newest_intact(home, third).id == first  # type: ignore[union-attr]
    assert roll_back(home) == first == current_id(home)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("nonsense?")])
def test_when_the_pointer_is_gone_stepping_back_passes_over_what_is_held_back(
    home: Path, spoil: Callable[[Path], object]
) -> None:
    first = current_id(home)
    make(home, 2, "doubtful", doubt)
    spoil(home / "current")
    assert roll_back(home) == first


# --- Signed off ---------------------------------------------------------------------------------------------------


def test_a_signature_makes_it_current_and_is_kept(home: Path) -> None:
    held = make(home, 2, "doubtful", doubt)
    assert sign_off(home, held, "ada") == held == open_current(home).id
    assert (held_editions(home), find_held(home, held)) == ((), None)
    marker = read_marker(home, held)
    assert marker is not None
    assert (marker.signed_by, marker.overlap) == ("ada", 0.41256)
    assert datetime.fromisoformat(marker.signed_at or "").utcoffset() is not None
    assert [entry.held for entry in list_editions(home)] == [None, None]


def test_a_second_signature_changes_nothing(home: Path) -> None:
    held = make(home, 2, "doubtful", doubt)
    sign_off(home, held, "ada")
    signed = read_marker(home, held)
    assert sign_off(home, held, "ben", lambda edition: pytest.fail("prepared again")) == held
    assert read_marker(home, held) == signed


def test_what_was_signed_off_can_be_left_and_taken_again(home: Path) -> None:
    held = make(home, 2, "doubtful", doubt)
    sign_off(home, held, "ada")
    first = roll_back(home)
    assert first != held
    assert roll_back(home, held) == current_id(home) == held


def test_without_an_id_the_newest_is_signed_off(home: Path) -> None:
    make(home, 2, "doubtful", doubt)
    newest = make(home, 3, "more doubtful", doubt)
    assert sign_off(home, None, "ada") == newest == current_id(home)


def test_without_an_id_nothing_older_than_the_current_edition_is_signed_off(home: Path) -> None:
    held, current = make(home, 2, "doubtful", doubt), make(home, 3, "shown too")
    with pytest.raises(EditionError, match=f"{held}, is older than the current one, {current}: name it"):
        sign_off(home, None, "ada")
    assert sign_off(home, held, "ada") == current_id(home) == held


def test_what_is_not_held_back_is_not_signed_off(home: Path) -> None:
    first = current_id(home)
    with pytest.raises(EditionError, match=f"^no edition in {re.escape(str(home))} is held back: see"):
        sign_off(home, None, "ada")
    with pytest.raises(EditionError, match=f"is not held back: make it current with `related rollback {first}`"):
        sign_off(home, first, "ada")
    with pytest.raises(EditionError, match="there is no edition 20990101T000000Z-0: see `related editions`"):
        sign_off(home, "20990101T000000Z-0", "ada")
    with pytest.raises(EditionError, match="is no edition id"):
        sign_off(home, "../held/x", "ada")


def test_a_damaged_edition_is_not_signed_off(home: Path) -> None:
    first, held = current_id(home), make(home, 2, "doubtful", doubt)
    (home / "editions" / held / "essays.jsonl").write_text("")
    with pytest.raises(EditionError, match=r"essays\.jsonl is not what was written"):
        sign_off(home, held, "ada")
    assert (current_id(home), [marker.id for marker in held_editions(home)]) == (first, [held])
    entry = list_editions(home)[0]
    assert entry.broken is not None
    assert entry.held is not None


def test_an_edition_that_cannot_be_prepared_is_not_signed_off(home: Path) -> None:
    first, held = current_id(home), make(home, 2, "doubtful", doubt)

    def fail(edition: Edition) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        sign_off(home, held, "ada", fail)
    assert (current_id(home), [marker.id for marker in held_editions(home)]) == (first, [held])


# --- Killed in between --------------------------------------------------------------------------------------------


def kill_at(step: str, before: bool, work: Callable[[], object]) -> None:
    """Do the work in another process, which ends as by kill -9 before or after it calls this name of `editions`."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, "it never came to that step"
        return
    owner: object = publishing
    *parents, name = step.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)

    def killed(*given: object) -> None:
        if not before:
            real(*given)
        os._exit(9)

    setattr(owner, name, killed)
    try:
        work()
    finally:
        os._exit(0)


PUBLISHING = [
    ("_seal", False),
    ("publish_gate.hold_back", True),
    ("publish_gate.write_whole", True),
    ("publish_gate.hold_back", False),
    ("check_edition", True),
    ("check_edition", False),
    ("_prune", True),
    ("_prune", False),
]


@pytest.mark.parametrize(("step", "before"), PUBLISHING)
def test_a_build_killed_at_any_step_leaves_nothing_that_could_be_shown(home: Path, step: str, before: bool) -> None:
    first = current_id(home)
    kill_at(step, before, lambda: make(home, 2, "doubtful", doubt))
    assert current_id(home) == first
    assert {entry.id for entry in list_editions(home) if not entry.held} == {first}
    assert newest_intact(home, "~").id == first  # type: ignore[union-attr]
    (home / "current").unlink()
    assert roll_back(home) == first

    third = make(home, 3, "shown too")
    assert current_id(home) == third
    there = [marker.id for marker in held_editions(home)]
    assert markers(home) == there if (home / "held").exists() else there == []
    assert edition_ids(home) == [first, *there, third]
    assert roll_back(home) == first


SIGNING = [
    ("publish_gate.sign", True),
    ("publish_gate.write_whole", True),
    ("publish_gate.sign", False),
    ("write_whole", True),
    ("write_whole", False),
]


@pytest.mark.parametrize(("step", "before"), SIGNING)
def test_a_signature_killed_at_any_step_can_be_given_again(home: Path, step: str, before: bool) -> None:
    first, held = current_id(home), make(home, 2, "doubtful", doubt)
    kill_at(step, before, lambda: sign_off(home, held, "ada"))
    signed = find_held(home, held) is None
    assert current_id(home) == (held if (step, before) == ("write_whole", False) else first)
    assert signed == (step in ("publish_gate.sign", "write_whole") and (step, before) != ("publish_gate.sign", True))
    assert sign_off(home, held, "ben") == current_id(home) == held
    assert read_marker(home, held).signed_by == ("ada" if signed else "ben")  # type: ignore[union-attr]


def test_a_marker_without_an_edition_is_cleared_by_the_next_build(home: Path) -> None:
    (home / "held").mkdir()
    for name in ("20990101T000000Z-0badcafe.json", ".20990101T000000Z-0badcafe.json-17"):
        (home / "held" / name).write_text("{}")
    assert held_editions(home) == ()
    make(home, 2, "shown too")
    assert list((home / "held").iterdir()) == []


def test_a_build_that_fails_after_the_marker_leaves_neither(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = current_id(home)

    def fail(folder: Path) -> None:
        raise EditionError("bad disk")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "check_edition", fail)
        with pytest.raises(EditionError, match="bad disk"):
            make(home, 2, "doubtful", doubt)
    assert (edition_ids(home), markers(home)) == ([first], [])


# --- Pruned -------------------------------------------------------------------------------------------------------


def test_what_is_held_back_is_pruned_with_its_marker_before_what_could_be_stepped_back_to(home: Path) -> None:
    shown = [current_id(home), make(home, 2, "shown too", keep=3)]
    make(home, 3, "doubtful", doubt, keep=3)
    newest = make(home, 4, "more doubtful", doubt, keep=3)
    assert (edition_ids(home), markers(home)) == ([*shown, newest], [newest])
    third = make(home, 5, "shown again", keep=3)
    assert (edition_ids(home), markers(home)) == ([*shown, third], [])


def test_the_same_doubtful_content_waits_once(home: Path) -> None:
    make(home, 2, "doubtful", doubt)
    newest = make(home, 3, "doubtful", doubt)
    assert [marker.id for marker in held_editions(home)] == [newest] == markers(home)


def test_what_waits_does_not_take_the_place_of_the_same_edition_that_was_shown(home: Path) -> None:
    first, second = current_id(home), make(home, 2, "shown too")
    held = make(home, 3, "shown", doubt)
    assert edition_ids(home) == [first, second, held]
    assert roll_back(home) == first


def test_what_is_held_back_never_drives_out_what_is_current(home: Path) -> None:
    first = current_id(home)
    held = make(home, 2, "doubtful", doubt, keep=1)
    assert edition_ids(home) == [first, held]


# --- Builds -------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site")


def change(site: Path) -> None:
    """Take a page away, so that the lists that showed it change."""
    (site / "page-003.txt").unlink()


STRICT = BuildOptions(publish_overlap=1.0)


def test_a_first_build_and_one_without_a_change_are_never_held_back(site: Path, tmp_path: Path) -> None:
    first = build([site], tmp_path / "home", CountingEncoder(), STRICT)
    second = build([site], tmp_path / "home", CountingEncoder(), STRICT)
    assert (first.held, first.overlap, second.held, second.overlap) == (None, None, None, 1.0)
    assert current_id(tmp_path / "home") == second.edition


def test_builds_compare_with_the_current_edition_until_one_is_signed_off(site: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = build([site], home, CountingEncoder(), STRICT).edition
    change(site)
    second = build([site], home, CountingEncoder(), STRICT)
    third = build([site], home, CountingEncoder(), STRICT)
    assert second.overlap is not None
    assert second.overlap == third.overlap < 1
    assert second.changed == third.changed > 0  # type: ignore[operator]
    assert third.held is not None
    assert third.held.startswith(f"edition {third.edition} is held back: its lists overlap by ")
    assert third.held.endswith(f"; until then edition {first} stays live")
    assert (current_id(home), [(h.id, h.against) for h in held_editions(home)]) == (first, [(third.edition, first)])

    sign_off(home, None, "ada")
    fourth = build([site], home, CountingEncoder(), STRICT)
    assert (fourth.held, fourth.changed, current_id(home)) == (None, 0, fourth.edition)
    assert (edition_ids(home), markers(home)) == ([first, fourth.edition], [])


def test_an_edition_that_changes_as_much_as_the_limit_allows_is_published(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    build([site], home, CountingEncoder(), BuildOptions())
    monkeypatch.setattr(job, "mean_overlap", lambda before, after: 0.75)
    change(site)
    assert build([site], home, CountingEncoder(), BuildOptions(publish_overlap=0.75)).held is None
    held = build([write_site(site)], home, CountingEncoder(), BuildOptions(publish_overlap=0.76))
    assert held.to_json()["held"] == held.held is not None
    assert json.loads((home / "held" / f"{held.edition}.json").read_text())["overlap"] == 0.75


# --- At once with others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", ["roll back", "sign off"])
def test_an_edition_that_is_being_turned_to_is_not_pruned_by_a_build(home: Path, turn: str) -> None:
    older = make(home, 1, "older", judge=doubt if turn == "sign off" else None)
    make(home, 2, "newer")
    built = Event()

    def prepare(edition: Edition) -> None:
        Thread(target=lambda: (make(home, 3, "newest", keep=1), built.set())).start()
        assert not built.wait(0.5), "the build waits with what it drops"

    if turn == "sign off":
        sign_off(home, older, "anna", prepare)
    else:
        roll_back(home, older, prepare)

    assert built.wait(30)
    assert open_current(home).manifest
