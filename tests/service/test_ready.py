"""Ready answers: the same bytes as if they were computed, and never in anybody's way when they are damaged or late."""

import gzip
import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from threading import Event
from time import monotonic
from typing import Any

import pytest

from recommender.decision_log import DecisionLog
from recommender.edition import Edition, current_id, edition_ids, open_current, open_edition
from recommender.list_store import EssayLists
from service import ready
from service.answers import Answers, to_bytes
from service.editions import LOOK_EVERY, LiveEdition
from service.ready import FOLDER, Body, ReadyAnswers, answers_of, pages_of, path_of, prepare, start_preparing
from service.replies import Replies
from service.settings import Settings
from tests.open_files import open_files
from tests.recommender.decided import decide
from tests.service.editions import NOON, Clock, publish_edition, publish_other_edition

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    publish_edition(tmp_path)
    return tmp_path


def answers(home: Path, **settings: Any) -> Answers:
    return answers_of(Settings(home=home, **settings), open_current(home))


def computed(found: Answers, ident: str, gzipped: bool) -> Body:
    response = found.respond(found.edition.find(ident))
    data = to_bytes(response)
    return Body(
        gzip.compress(data, ready.GZIP_LEVEL, mtime=0) if gzipped and response.items else data, len(response.items)
    )


def every_body(home: Path, found: Answers) -> dict[tuple[str, bool], Body | None]:
    opened = ReadyAnswers.open(home, found)
    assert opened is not None
    return {
        (i, gzipped): body_of(opened, found, i, gzipped) for i in found.edition.essay_ids() for gzipped in (False, True)
    }


def body_of(opened: ReadyAnswers, found: Answers, ident: str, gzipped: bool) -> Body | None:
    return opened.body(found.name(ident), gzipped)


def written(home: Path) -> list[Path]:
    """The files of ready answers."""
    return sorted(path for path in (home / FOLDER).iterdir() if path.name[0].isdigit())


# --- What is in them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"min_score": 0.3, "at_least": 2}, {"variants": ("curated:40", "model:40")}])
def test_a_ready_body_is_the_computed_one_in_both_encodings(home: Path, settings: dict[str, Any]) -> None:
    found = answers(home, **settings)
    prepare(home, found)

    bodies = every_body(home, found)

    assert bodies == {(ident, gzipped): computed(found, ident, gzipped) for ident, gzipped in bodies}
    assert len(bodies) == 2 * 12


def test_what_is_empty_is_not_compressed(home: Path) -> None:
    found = answers(home)
    prepare(home, found)
    bodies = every_body(home, found)

    assert bodies["salt", True] == bodies["salt", False]
    empty = bodies["salt", True]
    assert empty is not None
    assert json.loads(empty.data)["items"] == []


@pytest.mark.parametrize("ident", ["nobody", "", "blurb:quern", "BREAD", "\ud800", "bread\x00"])
def test_of_a_page_that_is_unknown_nothing_is_ready(home: Path, ident: str) -> None:
    prepare(home, answers(home))
    opened = ReadyAnswers.open(home, answers(home))

    assert opened is not None
    assert [body_of(opened, answers(home), ident, gzipped) for gzipped in (False, True)] == [None, None]


def test_what_every_pages_answer_was_is_told_in_id_order(home: Path) -> None:
    found = answers(home)

    pages = list(pages_of(prepare(home, found)))

    assert [page.id for page in pages] == sorted(found.edition.essay_ids())
    assert {page.id: page.url for page in pages}["bread"] == "https://example.org/bread"
    assert all(len(digest) == 8 for page in pages for digest in (page.list, page.cards, page.answer))


# --- Their key ----------------------------------------------------------------------------------------------------


def test_the_key_names_all_that_an_answer_depends_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[dict[str, Any]] = [
        *({}, {"min_score": 0.25}, {"min_score": 0.5}, {"diversity": 0.25}, {"per_category": 2}, {"at_least": 3}),
        *({"variants": ("curated:10",)}, {"variants": ("curated:11",)}, {"variants": ("model:10",)}),
    ]
    paths = [path_of(home, answers(home, **some)) for some in settings]
    monkeypatch.setattr(ready, "CODE", "another")
    paths.append(path_of(home, answers(home)))
    publish_other_edition(home)
    paths.append(path_of(home, answers(home)))

    assert len(set(paths)) == len(settings) + 2
    assert path_of(home, answers(home)) == path_of(home, answers(home, port=1, access_log=True)), (
        "no answer depends on it"
    )


def test_each_site_reads_its_own(home: Path) -> None:
    strict, free = answers(home, min_score=0.5), answers(home)
    prepare(home, strict)
    assert ReadyAnswers.open(home, free) is None
    prepare(home, free)

    assert every_body(home, strict)["bread", False] == computed(strict, "bread", False)
    assert every_body(home, free)["bread", False] == computed(free, "bread", False)
    assert computed(strict, "bread", False) != computed(free, "bread", False)


# --- Writing ------------------------------------------------------------------------------------------------------


def test_they_are_written_once(home: Path) -> None:
    seen: list[int] = []
    first = prepare(home, answers(home), seen.append)
    before = {path: path.stat().st_mtime_ns for path in written(home)}

    assert prepare(home, answers(home), seen.append) == first == path_of(home, answers(home))
    assert seen == [1] * 12
    assert {path: path.stat().st_mtime_ns for path in written(home)} == before
    assert first in before


def test_they_are_the_same_bytes_each_time(home: Path) -> None:
    prepare(home, answers(home))
    first = {path.name: path.read_bytes() for path in written(home)}
    for path in written(home):
        path.unlink()
    prepare(home, answers(home))

    assert {path.name: path.read_bytes() for path in written(home)} == first


def test_what_a_killed_writer_left_does_no_harm(home: Path) -> None:
    killed = f"""
import os, signal
from pathlib import Path
from recommender.edition import open_current
from service.ready import answers_of, prepare
from service.settings import Settings
home = Path({str(home)!r})
steps = []
def kill(step):
    steps.append(step)
    if len(steps) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
prepare(home, answers_of(Settings(home=home), open_current(home)), kill)
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert list((home / FOLDER).iterdir())
    assert ReadyAnswers.open(home, answers(home)) is None, "half a file is none"

    prepare(home, answers(home))

    assert every_body(home, answers(home))["bread", True] == computed(answers(home), "bread", True)
    assert [path for path in (home / FOLDER).iterdir() if path.name.startswith(".")] == []


def test_a_failure_while_writing_leaves_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Answers, essay: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as broken:
        broken.setattr(Answers, "respond", fail)
        with pytest.raises(RuntimeError):
            prepare(home, answers(home))
    assert ReadyAnswers.open(home, answers(home)) is None
    assert [path.name for path in (home / "answers").iterdir()] == ["lock"]

    prepare(home, answers(home))

    assert ReadyAnswers.open(home, answers(home)) is not None


def test_a_process_that_cannot_write_them_says_so_in_a_sentence(home: Path) -> None:
    (home / "answers").write_text("in the way")
    environment = {**os.environ, "RELATED_HOME": str(home)}

    command = [sys.executable, "-m", "service.ready", current_id(home)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("ready answers cannot be written (")
    assert done.stderr.count("\n") == 1


def test_those_of_editions_that_are_gone_are_dropped(home: Path) -> None:
    prepare(home, answers(home))
    prepare(home, answers(home, min_score=0.5))
    old = set(written(home))
    (home / FOLDER / f"changed-{open_current(home).id}.jsonl").write_text("{}\n")
    foreign = home / FOLDER / "notes.txt"
    foreign.write_text("mine")
    publish_other_edition(home)
    prepare(home, answers(home))
    assert old < set(written(home)), "the edition before is still there: one may roll back to it"

    gone, current = edition_ids(home)
    for path in (home / "editions" / gone).iterdir():
        path.unlink()
    (home / "editions" / gone).rmdir()
    prepare(home, answers(home))

    assert written(home)
    assert all(path.name.startswith(f"{current}-") for path in written(home))
    assert not (home / FOLDER / f"changed-{gone}.jsonl").exists()
    assert foreign.read_text() == "mine"


def test_two_processes_at_once_write_them_once(home: Path) -> None:
    program = f"""
from pathlib import Path
from threading import Event
from recommender.edition import open_current
from service.ready import answers_of, prepare
from service.settings import Settings
home = Path({str(home)!r})
steps = []
input()
path = prepare(home, answers_of(Settings(home=home), open_current(home)), lambda n: steps.append(Event().wait(0.02)))
print(path, len(steps))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=30)[0].split() for process in processes)

    assert [process.returncode for process in processes] == [0] * 3
    path = str(path_of(home, answers(home)))
    assert said == [[path, "0"], [path, "0"], [path, "12"]]
    assert every_body(home, answers(home))["bread", False] == computed(answers(home), "bread", False)


def test_they_are_prepared_by_a_process_of_its_own_under_the_same_settings(home: Path) -> None:
    settings = Settings(home=home, min_score=0.3, variants=("model:100",))
    found = answers_of(settings, open_current(home))

    start_preparing(settings, open_current(home))

    wait_for(path_of(home, found))
    assert every_body(home, found)["bread", True] == computed(found, "bread", True)


def wait_for(path: Path) -> None:
    deadline = monotonic() + 30
    while not path.exists():
        assert monotonic() < deadline, list(path.parent.parent.rglob("*"))
        Event().wait(0.01)


# --- Damage -------------------------------------------------------------------------------------------------------


def test_an_answer_of_which_a_byte_was_changed_is_passed_over_and_computed(home: Path) -> None:
    found = answers(home)
    prepare(home, found)
    marked = b'"standfirst":"On rye."'
    path = next(path for path in written(home) if path.suffix == ".plain")
    assert marked in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(marked, b'"standfirst":"On rye!"'))

    bodies = every_body(home, found)
    reply = Replies(found, ReadyAnswers.open(home, found)).json("bread")

    assert bodies["bread", False] is None
    assert bodies["bread", True] == computed(found, "bread", True)
    assert bodies["salt", False] == computed(found, "salt", False)
    assert (reply.status, reply.cache, reply.body) == (200, "computed", computed(found, "bread", False).data)


def test_wherever_a_byte_was_changed_no_wrong_answer_is_given(home: Path) -> None:
    """A damaged file opens, or does not; a page's answer is the right one, or none."""
    found = answers(home)
    prepare(home, found)
    right = every_body(home, found)
    lots = random.Random(4)  # noqa: S311
    for path in written(home):
        content = path.read_bytes()
        used = [place for place in range(len(content)) if content[place]]
        for place in lots.sample(used, min(400, len(used))):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << lots.randrange(8)]) + content[place + 1 :])
            opened = ReadyAnswers.open(home, found)
            for (ident, gzipped), body in right.items() if opened else ():
                assert opened is not None
                assert body_of(opened, found, ident, gzipped) in (body, None), (path.name, place, ident, gzipped)
        path.write_bytes(content)


@pytest.mark.parametrize("damage", ["", "cut", "no database", "missing"])
def test_a_file_that_is_no_such_file_is_none(home: Path, damage: str) -> None:
    found = answers(home)
    prepare(home, found)
    for path in written(home):
        if damage == "missing":
            if path.suffix != ".sqlite3":
                path.unlink()
            continue
        content = {"": b"", "cut": path.read_bytes()[:100], "no database": b"mine" * 5_000}[damage]
        path.write_bytes(content)

    replies = Replies(found, ReadyAnswers.open(home, found))

    assert replies.json("bread").body == computed(found, "bread", False).data
    assert replies.json("bread", gzipped=True).body == computed(found, "bread", True).data


# --- Taken up -----------------------------------------------------------------------------------------------------


def test_a_file_that_appears_later_is_taken_up(home: Path) -> None:
    clock, asked = Clock(), list[Edition]()
    live = LiveEdition(Settings(home=home), clock, asked.append)
    assert live.replies().json("bread").cache == "computed"
    assert [edition.id for edition in asked] == [open_current(home).id]

    prepare(home, live.answers())
    clock.advance(seconds=LOOK_EVERY.total_seconds())

    assert live.replies().json("bread").cache == "ready"
    assert live.replies().json("bread").body == computed(answers(home), "bread", False).data
    assert len(asked) == 1, "it is asked for once an edition"


def test_a_new_editions_own_are_taken_up_and_not_the_old_ones(home: Path) -> None:
    clock = Clock()
    live = LiveEdition(Settings(home=home), clock)
    prepare(home, live.answers())
    clock.advance(seconds=1)
    before = live.replies().json("bread")
    other = publish_other_edition(home)
    clock.advance(seconds=1)
    computed_now = live.replies().json("bread")
    prepare(home, live.answers())
    clock.advance(seconds=1)
    ready_now = live.replies().json("bread")

    assert (before.cache, computed_now.cache, ready_now.cache) == ("ready", "computed", "ready")
    assert computed_now.body == ready_now.body != before.body
    assert json.loads(ready_now.body)["edition"]["id"] == other


def test_none_is_asked_for_when_they_are_there(home: Path) -> None:
    prepare(home, answers(home))
    asked = list[Edition]()

    assert LiveEdition(Settings(home=home), Clock(), asked.append).replies().json("bread").cache == "ready"
    assert asked == []


def test_a_page_of_two_editions_is_ready_for_each(home: Path) -> None:
    first = open_current(home)
    second = open_edition(home, publish_edition(home, NOON + timedelta(hours=1), lists=open_lists(first)[:3]))
    for edition in (first, second):
        prepare(home, answers_of(Settings(home=home), edition))

    for edition in (first, second):
        found = answers_of(Settings(home=home), edition)
        assert every_body(home, found)["rye", False] == computed(found, "rye", False)


def open_lists(edition: Edition) -> list[EssayLists]:
    return [edition.lists(ident) for ident in edition.essay_ids()]


def test_ready_answers_let_go_of_their_files(home: Path) -> None:
    prepare(home, answers(home))

    def held() -> int:
        return sum(home / FOLDER in path.parents for path in open_files().values())

    before = held()
    opened = ReadyAnswers.open(home, answers(home))
    assert held() > before
    assert opened is not None
    del opened
    assert held() == before


# --- Taken over from an edition of the same content ---------------------------------------------------------------


def same_content(edition: Edition) -> Edition:
    """An edition of other name and time, whose files are the same."""
    folder = edition.folder.with_name(f"20261101T130000Z-{edition.id.rpartition('-')[2]}")
    copytree(edition.folder, folder)
    return Edition(folder, {**edition.manifest, "built_at": (NOON + timedelta(hours=1)).isoformat()})


def files_of(home: Path, found: Answers) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in written(home) if path.stem == path_of(home, found).stem}


@pytest.mark.parametrize("settings", [{}, {"page_state": "model"}, {"variants": ("curated:30", "model:30")}], ids=str)
def test_what_is_taken_over_is_what_would_be_made(
    home: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    like = answers(home, **settings)
    prepare(home, like)
    found = answers_of(Settings(home=home, **settings), same_content(like.edition))
    with monkeypatch.context() as patch:
        patch.setattr(ready, "_made", lambda answers: pytest.fail("made once more"))
        prepare(home, found, like=like)
    taken = files_of(home, found)
    for name in taken:
        (home / FOLDER / name).unlink()
    prepare(home, found)

    assert taken == files_of(home, found)
    assert len(taken) == 6
    assert every_body(home, found)["bread", True] == computed(found, "bread", True)


@pytest.mark.parametrize("obstacle", ["none ready", "damaged", "other settings", "decided since"])
def test_what_cannot_be_taken_over_is_made(home: Path, obstacle: str) -> None:
    like = answers(home)
    second = same_content(like.edition)
    settings = Settings(home=home, min_score=0.4 if obstacle == "other settings" else None)
    if obstacle != "none ready":
        prepare(home, like)
    if obstacle == "damaged":
        path = path_of(home, like).with_suffix(".plain")
        path.write_bytes(path.read_bytes().replace(b"Rye", b"Rya"))
    if obstacle == "decided since":
        DecisionLog(home).append([decide("exclude", "bread", "rye")])
    like, found = answers_of(settings, like.edition), answers_of(settings, second)

    prepare(home, found, like=like)

    for ident in found.edition.essay_ids():
        assert every_body(home, found)[ident, False] == computed(found, ident, False)
