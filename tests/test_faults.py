"""Full disks, flipped bits, two builds at once, clocks set back: a sentence each, nothing live lost, healed where it
can be. By the command, with a stand-in for the model."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.killing import Site, WritingEncoder, made_up
from corpus import page_cache
from corpus.errors import DecisionLogError, EditionError
from embeddings.cache import PLACE
from recommender import job, publishing
from recommender.decision_log import DecisionLog
from recommender.disk import write_whole
from recommender.edition import check_edition, current_id, edition_ids, open_current
from recommender.publishing import build_lock, list_editions
from service.cli import main
from tests.recommender.decided import decide

FILES = ("manifest.json", "lists.sqlite3", "overview.sqlite3", "essays.jsonl", "vectors.npz", "lexicon.json")
Related = Callable[..., tuple[int, str]]


@pytest.fixture
def related(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs the command; returns its exit code and what it said last on stderr, which is never a traceback."""
    monkeypatch.setattr("embeddings.loading.load_encoder", lambda *_: WritingEncoder(tmp_path / "encoded"))

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["related", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr().err
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        return int(ended.value.code or 0), (said.splitlines() or [""])[-1]

    return run


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Nine pages without lists."""
    return Site(tmp_path / "site", [{**record, "related": []} for record in made_up(9)])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, leaving: int) -> Path:
    """Take up all of the disk but so many bytes; returns the file that does."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - leaving, 1))
    return ballast


def intact(home: Path, ident: str) -> None:
    """That edition is live, every file of it as it was written, and there is a list in it."""
    live = open_current(home)
    assert live.id == ident
    check_edition(live.folder)
    assert live.related(next(live.essay_ids())).recommendations


def contents(home: Path) -> dict[str, Any]:
    """The digests of the current edition's files."""
    return dict(check_edition(home / "editions" / current_id(home))["files"])


def flip(path: Path, places: range | None = None) -> None:
    """Flip a bit in the middle of a file, or in each of these places."""
    data = bytearray(path.read_bytes())
    for place in places or (len(data) // 2,):
        data[place] ^= 1
    path.write_bytes(data)


def twin(related: Related, site: Site, home: Path, like: Path) -> dict[str, Any]:
    """What a build gives in a home without a cache, in which the same edition stands as in the other."""
    for name in ("editions", "current"):
        source = like / name
        shutil.copytree(source, home / name) if source.is_dir() else shutil.copyfile(source, home / name)
    assert related("build", site.folder, "--home", home)[0] == 0
    return contents(home)


# --- Full disks ---------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_at_any_point_of_a_build_costs_nothing_that_is_live(
    related: Related, site: Site, disk: Path
) -> None:
    home = disk / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first, said = current_id(home), []
    site.edit()

    for kilobytes in (0, 48, 112, 160, 240, 320, 400, 480, 560, 640, 800, 1000, 1500):
        fill(disk, kilobytes * 1024)
        code, sentence = related("build", site.folder, "--home", home)
        if code == 0:
            break
        assert code == 1
        assert sentence.startswith("related: ")
        said.append(sentence)
        intact(home, first)
    (disk / "ballast").unlink()

    assert code == 0, "it is done once there is room"
    assert any("vector cache" in sentence and "free some space" in sentence for sentence in said)
    assert any("no edition can be written" in sentence and "free the disk" in sentence for sentence in said)
    assert related("build", site.folder, "--home", home)[0] == 0
    intact(home, current_id(home))
    assert not list((home / "editions").glob(".*"))


def test_what_was_encoded_before_the_disk_was_full_is_not_encoded_again(
    related: Related, site: Site, disk: Path, tmp_path: Path
) -> None:
    home, encoded = disk / "home", tmp_path / "encoded"
    assert related("build", site.folder, "--home", home)[0] == 0
    first = set(encoded.read_text().split())
    site.edit()
    fill(disk, 0)
    assert related("build", site.folder, "--home", home)[0] == 1
    fill(disk, 5_000_000)
    encoded.unlink()

    assert related("build", site.folder, "--home", home)[0] == 0
    again = encoded.read_text().split()
    assert again
    assert not first & set(again)


def test_a_decision_that_the_disk_has_no_room_for_is_refused_and_those_before_stand(disk: Path) -> None:
    log = DecisionLog(disk)
    kept = log.append([decide("exclude", "a", "b")])
    large = [decide("exclude", "a", f"target-{number}", note="x" * 400) for number in range(400)]
    fill(disk, 0)

    with pytest.raises(DecisionLogError, match="full"):
        log.append(large)
    assert log.since() == kept

    (disk / "ballast").unlink()
    assert len(log.append(large)) == 400
    log.close()


def test_a_file_that_the_disk_has_no_room_for_keeps_its_old_text_and_leaves_nothing_beside(disk: Path) -> None:
    write_whole(disk / "current", "old")
    fill(disk, 0)

    with pytest.raises(OSError, match="No space left"):
        write_whole(disk / "current", "new" * 10_000)

    assert (disk / "current").read_text() == "old"
    assert sorted(path.name for path in disk.iterdir()) == ["ballast", "current"]


def test_an_old_edition_that_cannot_be_dropped_does_not_fail_the_build(
    related: Related, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first = current_id(home)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_remove", stubborn)
        assert related("build", site.folder, "--home", home)[0] == 0  # the same content: the first is to go
    assert edition_ids(home) == [first, current_id(home)]

    assert related("build", site.folder, "--home", home)[0] == 0
    assert edition_ids(home) == [current_id(home)]


def stubborn(folder: Path) -> None:
    """Stands for what a file system refuses."""
    raise OSError(5, "Input/output error", str(folder))


# --- Disks that cannot be written ---------------------------------------------------------------------------------


def test_a_home_that_cannot_be_written_is_read_all_the_same(related: Related, site: Site, disk: Path) -> None:
    home = disk / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first = current_id(home)
    site.edit()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    code, sentence = related("build", site.folder, "--home", home)
    assert (code, "Read-only file system" in sentence, "another --home" in sentence) == (1, True, True)
    intact(home, first)
    assert related("export", "--home", home)[0] == 0

    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert related("build", site.folder, "--home", home)[0] == 0
    assert current_id(home) > first


# --- Flipped bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_an_edition_in_which_a_bit_has_flipped_is_refused_and_made_anew(
    name: str, related: Related, site: Site, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first, files = current_id(home), contents(home)
    flip(home / "editions" / first / name)

    with pytest.raises(EditionError, match="run `related"):
        check_edition(home / "editions" / first)
    if name in ("manifest.json", "lists.sqlite3"):
        code, sentence = related("export", "--home", home)
        assert (code, f"edition {first}" in sentence, "run `related" in sentence) == (1, True, True)

    assert related("build", site.folder, "--home", home)[0] == 0
    intact(home, current_id(home))
    assert contents(home) == files
    assert [entry.broken for entry in list_editions(home)] == [None]


@pytest.mark.parametrize(
    "damage", [b"", b"\x00" * 30, b"2026\xff\xfe", b"nonsense"], ids=["empty", "zeros", "bits", "text"]
)
def test_a_damaged_name_of_the_current_edition_is_refused_and_made_anew(
    damage: bytes, related: Related, site: Site, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first, files = current_id(home), contents(home)
    (home / "current").write_bytes(damage)

    code, sentence = related("export", "--home", home)
    assert (code, "run `related" in sentence or "see `related editions`" in sentence) == (1, True), sentence
    assert related("build", site.folder, "--home", home)[0] == 0
    intact(home, current_id(home))
    assert current_id(home) > first
    assert contents(home) == files


def test_bits_that_flip_in_the_vector_cache_never_reach_an_edition(
    related: Related, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    site.edit()
    expected = twin(related, site, tmp_path / "twin", home)

    size = (home / PLACE).stat().st_size
    flip(home / PLACE, range(20_000, size, 777))
    assert related("build", site.folder, "--home", home)[0] == 0
    assert contents(home) == expected
    assert any("the vector cache" in said and "made anew" in said for said in caplog.messages)


@pytest.mark.parametrize("place", [0, 20, 120, 16_384], ids=["magic", "header", "schema", "first page"])
def test_a_vector_cache_whose_structure_is_damaged_is_begun_anew(
    place: int, related: Related, site: Site, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    site.edit()
    expected = twin(related, site, tmp_path / "twin", home)

    flip(home / PLACE, range(place, place + 16))
    assert related("build", site.folder, "--home", home)[0] == 0
    assert contents(home) == expected


@pytest.mark.parametrize(
    "places", [range(0, 16), range(120, 136), range(200, 9**9, 97)], ids=["magic", "schema", "rows"]
)
def test_bits_that_flip_in_the_page_cache_never_reach_an_edition(
    places: range, related: Related, tmp_path: Path
) -> None:
    pages, home = tmp_path / "pages", tmp_path / "home"
    pages.mkdir()
    for record in made_up(9):
        text = "\n\n".join(block["text"] for block in record["blocks"])
        (pages / f"{record['id']}.md").write_text(f"# {record['title']}\n\n{text}\n", encoding="utf-8")
    assert related("build", pages, "--home", home)[0] == 0
    files = contents(home)
    cache = home / page_cache.PLACE

    flip(cache, range(places.start, min(places.stop, cache.stat().st_size), places.step))
    (home / "current").unlink()  # so that the next one is no copy
    assert related("build", pages, "--home", home)[0] == 0
    assert contents(home) == files


# --- Two builds, and clocks ---------------------------------------------------------------------------------------


def test_of_two_builds_at_once_the_second_is_refused(related: Related, site: Site, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first = current_id(home)
    begun = home / "editions" / ".new-1"

    with build_lock(home):
        begun.mkdir()  # by the first one
        code, sentence = related("build", site.folder, "--home", home)
        assert (code, sentence) == (1, f"related: another build is writing to {home}: wait for it to end")
        assert begun.is_dir(), "the second one clears nothing away"
        intact(home, first)

    assert related("build", site.folder, "--home", home)[0] == 0
    assert not begun.exists()


def test_after_a_clock_was_set_back_the_newest_edition_is_still_the_newest(
    related: Related, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SetBack(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "SetBack":
            return cls(2001, 1, 1, tzinfo=UTC)

    home = tmp_path / "home"
    assert related("build", site.folder, "--home", home)[0] == 0
    first = current_id(home)
    site.edit()
    monkeypatch.setattr(job, "datetime", SetBack)

    assert related("build", site.folder, "--home", home)[0] == 0
    second = current_id(home)
    assert open_current(home).built_at.year == 2001
    assert edition_ids(home) == [first, second]
    intact(home, second)
    assert related("rollback", "--home", home)[0] == 0
    intact(home, first)
