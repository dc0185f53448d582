"""Waiting until page files have changed."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from corpus import changes
from corpus.changes import PAUSE, SETTLED_AFTER, look, wait_for_change

Act = Callable[[], object]


class Pauses:
    """Stands in for time.sleep: before the nth look something happens to the files."""

    def __init__(self, *acts: Act | None, then: Act | None = None) -> None:
        self.acts = list(acts)
        self.then = then
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        act = self.acts.pop(0) if self.acts else self.then
        if act:
            act()


def site_in(folder: Path) -> list[Path]:
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name, encoding="utf-8")
    return [folder]


def wait(sources: Sequence[Path], pauses: Pauses, at_most: float | None = None) -> list[str]:
    """The names of the files that are there after a change."""
    found = wait_for_change(sources, look(sources), at_most, pauses)
    return sorted(path.name for path in found or {})


def test_a_new_a_changed_a_removed_and_a_replaced_page_are_each_a_change(tmp_path: Path) -> None:
    sources = site_in(tmp_path)
    a, c = tmp_path / "a.txt", tmp_path / "c.txt"

    assert wait(sources, Pauses(None, lambda: c.write_text("new"))) == ["a.txt", "b.txt", "c.txt"]
    assert wait(sources, Pauses(lambda: c.write_text("longer"))) == ["a.txt", "b.txt", "c.txt"]
    assert wait(sources, Pauses(c.unlink)) == ["a.txt", "b.txt"]
    assert wait(sources, Pauses(lambda: os.utime(a, ns=(1, 1)))) == ["a.txt", "b.txt"]
    os.utime(a, ns=(1, 1))
    before = look(sources)
    (tmp_path / "aside").write_text("b.tx!", encoding="utf-8")
    os.utime(tmp_path / "aside", ns=(1, 1))
    (tmp_path / "aside").replace(a)
    assert look(sources) != before, "of the same size and time, but another file"


def test_files_that_are_no_pages_are_no_change(tmp_path: Path) -> None:
    sources = site_in(tmp_path)
    pauses = Pauses(lambda: (tmp_path / "c.pdf").touch(), lambda: (tmp_path / ".a.txt.swp").touch(), None, None)

    assert wait(sources, pauses, at_most=4 * PAUSE) == ["a.txt", "b.txt"]
    assert pauses.slept == [PAUSE] * 4


def test_a_change_counts_when_two_looks_agree(tmp_path: Path) -> None:
    sources = site_in(tmp_path)
    page = tmp_path / "c.txt"

    def write_on() -> None:
        page.write_text(page.read_text() + "x" if page.exists() else "")

    pauses = Pauses(write_on, write_on, write_on)
    wait(sources, pauses)

    assert page.read_text() == "xx"
    assert len(pauses.slept) == 4


def test_files_that_never_settle_count_after_a_while(tmp_path: Path) -> None:
    sources = site_in(tmp_path)
    numbers = iter(range(10_000))
    pauses = Pauses(then=lambda: (tmp_path / "a.txt").write_text("x" * next(numbers)))

    wait(sources, pauses)

    assert sum(pauses.slept) == SETTLED_AFTER + PAUSE


def test_a_folder_that_goes_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    sources = site_in(folder)

    assert wait(sources, Pauses(lambda: folder.rename(tmp_path / "away"))) == []
    assert look(sources) is None
    assert wait(sources, Pauses(lambda: (tmp_path / "away").rename(folder))) == ["a.txt", "b.txt"]


def test_a_look_that_takes_long_is_followed_by_a_longer_pause(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    sources = site_in(tmp_path)
    times = iter(range(0, 1000, 3))  # every look takes three seconds
    monkeypatch.setattr(changes.time, "monotonic", lambda: next(times))
    pauses = Pauses(lambda: (tmp_path / "c.txt").write_text("new"))

    wait(sources, pauses)

    assert pauses.slept == [30, 30]
