"""Two editions side by side: which lists differ, by how much, and who gains or loses places."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import UnknownEssay
from recommender import edition_diff
from recommender.edition import Edition, open_edition
from recommender.edition_diff import EditionDiff, Mover, PageDiff, Shift, compare_editions, mean_overlap, page_diff
from recommender.list_store import EssayLists
from recommender.publishing import build_lock, new_folder, publish, write_lists
from recommender.ranking import Candidate, Item, Rules

RULES = Rules()
BEFORE = {"a": "bcd", "b": "acd", "c": "ab", "d": "abc", "g": "ab"}
AFTER = {"a": "bcd", "b": "cad", "c": "db", "d": "", "n": "abcd"}


def edition_of(home: Path, lists: Mapping[str, str], length: int = 0) -> Edition:
    """An edition of essays named by letters: id -> its candidates, best first. length: of every page's own list."""
    rows = [
        EssayLists(ident, length, (), tuple(Candidate(t, 0.9 - n / 100, 0.5) for n, t in enumerate(targets)), ())
        for ident, targets in sorted(lists.items())
    ]
    items = [Item(ident, "essay") for ident in sorted({*lists, *"".join(lists.values())})]
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, items, rows)
        built = {"built_at": "2026-11-01T12:00:00+00:00", "counts": {"essays": len(rows)}}
        return open_edition(home, publish(home, folder, built))


def test_every_figure_is_what_a_person_counts(tmp_path: Path) -> None:
    before, after = edition_of(tmp_path, BEFORE), edition_of(tmp_path, AFTER)
    assert compare_editions(before, after, RULES) == EditionDiff(
        before=before.id,
        after=after.id,
        gone=("g",),
        new=("n",),
        pages=4,
        changed=3,
        resized=1,
        mean_overlap=(1 + 1 + 1 / 2 + 0) / 4,
        overlaps=(1, 0, 0, 0, 0, 1, 0, 0, 0, 2),
        links_in={"a": (4, 2), "b": (4, 3), "c": (3, 3), "d": (2, 4)},
        gained=(Mover("d", 2, 4),),
        lost=(Mover("a", 4, 2), Mover("b", 4, 3)),
        most_changed=(
            PageDiff("d", 0.0, (), (Shift("a", 1, None), Shift("b", 2, None), Shift("c", 3, None)), ()),
            PageDiff("c", 0.5, (Shift("d", None, 1),), (Shift("a", 1, None),), ()),
            PageDiff("b", 1.0, (), (), (Shift("c", 2, 1), Shift("a", 1, 2))),
        ),
    )


def test_shares_follow_from_the_counts(tmp_path: Path) -> None:
    diff = compare_editions(edition_of(tmp_path, BEFORE), edition_of(tmp_path, AFTER), RULES)
    assert diff.share_changed == 0.75
    assert [mover.change for mover in (*diff.gained, *diff.lost)] == [2, -2, -1]
    assert replace(diff, pages=0, changed=0).share_changed == 0.0


def test_overlap_is_a_part_of_the_longer_list() -> None:
    assert mean_overlap({"a": "bc"}, {"a": "bcde"}) == mean_overlap({"a": "bcde"}, {"a": "bc"}) == 0.5
    assert mean_overlap({"a": ""}, {"a": ""}) == 1.0
    assert mean_overlap({"a": "b"}, {"a": ""}) == 0.0
    assert mean_overlap({"a": "b", "x": "a"}, {"a": "b", "y": "a"}) == 1.0


def test_editions_without_a_common_page_have_no_overlap(tmp_path: Path) -> None:
    diff = compare_editions(edition_of(tmp_path, {"a": "b"}), edition_of(tmp_path, {"b": "a"}), RULES)
    assert (diff.mean_overlap, diff.pages, sum(diff.overlaps), diff.gone, diff.new) == (None, 0, 0, ("a",), ("b",))
    assert mean_overlap({"a": "b"}, {"b": "a"}) is None


def test_lists_are_as_long_as_the_page_shows_them_and_follow_the_rules(tmp_path: Path) -> None:
    before, after = edition_of(tmp_path, {"a": "bcd"}, length=2), edition_of(tmp_path, {"a": "bdc"}, length=2)
    assert compare_editions(before, after, RULES).mean_overlap == 0.5, "the third place is not shown"
    without = Rules(exclude=frozenset("cd"))
    assert compare_editions(before, after, without).changed == 0


def test_a_page_that_one_edition_lacks_gains_or_loses_its_whole_list(tmp_path: Path) -> None:
    before, after = edition_of(tmp_path, BEFORE), edition_of(tmp_path, AFTER)
    places = tuple(Shift(target, None, place) for place, target in enumerate("abcd", 1))
    assert page_diff(before, after, "n", RULES) == PageDiff("n", None, places, (), ())
    assert page_diff(before, after, "g", RULES).left == (Shift("a", 1, None), Shift("b", 2, None))
    with pytest.raises(UnknownEssay, match=f"no essay 'z' in edition {before.id} or {after.id}"):
        page_diff(before, after, "z", RULES)


def test_only_the_most_changed_pages_and_the_greatest_movers_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edition_diff, "SHOWN", 2)
    before = edition_of(tmp_path, {"a": "efg", "b": "efg", "c": "ef", "d": "ef"})
    after = edition_of(tmp_path, {"a": "", "b": "e", "c": "e", "d": "ef"})
    diff = compare_editions(before, after, RULES)
    assert [(page.id, page.overlap) for page in diff.most_changed] == [("a", 0.0), ("b", 1 / 3)]
    assert [(mover.id, mover.change) for mover in diff.lost] == [("f", -3), ("g", -2)], "e lost one only"
    back = compare_editions(after, before, RULES)
    assert [(mover.id, mover.change) for mover in back.gained] == [("f", 3), ("g", 2)]


def test_every_overlap_falls_into_its_tenth() -> None:
    for longest in range(1, 51):
        for shared in range(longest + 1):
            tally = edition_diff._Tally()
            new = tuple(f"{n}" if n < shared else f"new {n}" for n in range(longest))
            tally.add("page", tuple(f"{n}" for n in range(longest)), new)
            assert tally.bins.index(1) == min(10 * shared // longest, 9), (shared, longest)


def test_progress_counts_every_essay_of_either_edition(tmp_path: Path) -> None:
    steps: list[int] = []
    compare_editions(edition_of(tmp_path, BEFORE), edition_of(tmp_path, AFTER), RULES, steps.append)
    assert steps == [1] * 6


def test_a_comparison_needs_no_numpy() -> None:
    code = "import sys, recommender.edition_diff; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


LETTERS = "abcdef"
SITES = st.dictionaries(
    st.sampled_from(LETTERS), st.lists(st.sampled_from(LETTERS), unique=True).map("".join), min_size=1
).map(lambda site: {ident: targets.replace(ident, "") for ident, targets in site.items()})


@settings(max_examples=20, deadline=None)
@given(SITES, SITES)
def test_what_items_gain_is_what_lists_grow_by(one: dict[str, str], other: dict[str, str]) -> None:
    with TemporaryDirectory() as home:
        before, after = edition_of(Path(home, "before"), one), edition_of(Path(home, "after"), other)
        diff = compare_editions(before, after, RULES)
    change = sum(after - before for before, after in diff.links_in.values())
    assert change == sum(map(len, other.values())) - sum(map(len, one.values()))
    assert change == sum(mover.change for mover in (*diff.gained, *diff.lost))
    assert diff.mean_overlap == mean_overlap(one, other)
    assert sum(diff.overlaps) == diff.pages == len(one.keys() & other.keys())


@settings(max_examples=10, deadline=None)
@given(SITES)
def test_an_edition_beside_itself_has_not_changed(site: dict[str, str]) -> None:
    with TemporaryDirectory() as home:
        edition = edition_of(Path(home), site)
        diff = compare_editions(edition, edition, RULES)
    assert (diff.mean_overlap, diff.changed, diff.resized) == (1.0, 0, 0)
    assert (diff.gone, diff.new, diff.gained, diff.lost, diff.most_changed) == ((),) * 5
    assert diff.overlaps == (*[0] * 9, len(site))
