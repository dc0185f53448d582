"""Synthetic editions: real enough to be served, the same for the same seed, and no larger in memory for their size."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic import (
    CANDIDATES,
    category_of,
    essay_id,
    publish_synthetic,
    synthetic_home,
)
from recommender.edition import Edition, open_current
from recommender.publishing import list_editions
from recommender.ranking import list_limit
from recommender.signals import SIGNALS

ESSAYS = 400
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edition]:
    home = tmp_path_factory.mktemp("site")
    publish_synthetic(home, ESSAYS)
    return open_current(home)


def test_an_edition_has_the_essays_that_were_asked_for(edition: Edition) -> None:
    assert list(edition.essay_ids()) == [essay_id(number) for number in range(ESSAYS)]
    essay = edition.find(essay_id(14))
    assert (essay.id, essay.category) == ("essay-000014", category_of(14))
    assert edition.find(url=essay.url) == essay
    standfirsts = [len(edition.find(ident).standfirst or "") for ident in edition.essay_ids()]
    assert 130 < sum(standfirsts) / ESSAYS < 180


def test_each_essay_has_fifty_others_as_candidates_best_first_with_three_reasons_each(edition: Edition) -> None:
    for ident in edition.essay_ids():
        candidates = edition.lists(ident).candidates
        assert len({candidate.id for candidate in candidates} - {ident}) == CANDIDATES == len(candidates)
        assert [c.editors for c in candidates] == sorted((c.editors for c in candidates), reverse=True)
        for candidate in candidates:
            assert edition.find(candidate.id).id == candidate.id
            assert len({name for name, _ in candidate.reasons} & set(SIGNALS)) == 3


def test_every_other_essay_has_a_curated_list_and_its_page_shows_as_many(edition: Edition) -> None:
    for number, ident in enumerate(edition.essay_ids()):
        lists = edition.lists(ident)
        assert lists.list_length == len(lists.curated)
        assert len(lists.curated) in (range(4, 9) if number % 2 else (0,))
        shown = edition.related(ident).recommendations
        assert len(shown) == list_limit(lists.list_length)
        assert [place.target for place in shown if place.origin == "curated"] == [c.id for c in lists.curated]


def test_half_of_the_candidates_are_of_the_essays_own_category(edition: Edition) -> None:
    for ident in edition.essay_ids():
        of_its_own = [
            edition.find(c.id).category == edition.find(ident).category for c in edition.lists(ident).candidates
        ]
        assert 20 <= sum(of_its_own) <= 35


def test_size_and_seed_name_the_edition_and_it_is_published_once(tmp_path: Path) -> None:
    first = synthetic_home(tmp_path / "first", 20)

    assert synthetic_home(tmp_path / "second", 20) == first
    assert synthetic_home(tmp_path / "second", 20, seed=1) != first
    published = (tmp_path / "first" / "current").stat()
    assert synthetic_home(tmp_path / "first", 20) == first
    assert (tmp_path / "first" / "current").stat() == published
    assert synthetic_home(tmp_path / "first", 30) != first
    assert [entry.essays for entry in list_editions(tmp_path / "first")] == [30]


PEAK = """
import sys, tracemalloc
from collections import deque
from benchmarks.synthetic import synthetic_items, synthetic_lists

deque(synthetic_lists(1))  # the reasons that all draw from
for essays in map(int, sys.argv[1:]):
    tracemalloc.start()
    deque(synthetic_items(essays), maxlen=0)
    deque(synthetic_lists(essays), maxlen=0)
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def test_ten_times_the_essays_do_not_take_ten_times_the_memory() -> None:
    command = [sys.executable, "-c", PEAK, "300", "3000"]  # where no other thread takes memory
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())

    assert many < 2 * few
