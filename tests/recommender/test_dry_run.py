"""What a build would do is what it does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from corpus.sources import PageOptions
from recommender import dry_run, pace
from recommender.dry_run import BuildPlan, TextCount, plan_build
from recommender.edition import open_current
from recommender.job import BuildOptions, build
from recommender.reading import CURRENT, Increment
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site


def plan(home: Path, *sources: Path, increment: Increment | None = None) -> BuildPlan:
    return plan_build(sources, home, CountingEncoder(), PageOptions(), increment=increment)


def files(home: Path) -> dict[str, object]:
    """Every file of a home but the page cache; of the vector cache its rows, as opening it touches its header."""
    found = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith("pages.sqlite3")]
    return {str(path): rows(path) if path.parent.name == "cache" else path.read_bytes() for path in found}


def rows(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return list(db.iterdump())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def change(site: Path) -> None:
    """One page changed, one new, one removed."""
    write_site(site, essays=13, skip=(5,))
    for number in range(12):
        if number not in (3, 5):
            (site / f"page-{number:03}.txt").unlink()
    write_site(site.parent / "other", essays=12, skip=(3, 5))
    for page in (site.parent / "other").iterdir():
        page.rename(site / page.name)
    page = site / "page-003.txt"
    page.write_text(page.read_text().replace("a long paragraph", "quite another paragraph"), encoding="utf-8")


def test_before_the_first_build_everything_is_new_and_the_time_unknown(site: Path, home: Path) -> None:
    found = plan(home, site)
    report = build([site], home, CountingEncoder(), BuildOptions())

    assert (found.against, len(found.new), found.unchanged, found.republish) == (None, 12, 0, False)
    assert found.texts == TextCount(report.encoded, report.encoded, exact=True)
    assert (found.pages.parsed, report.pages.parsed) == (12, 0), "the build finds the pages in the cache"
    assert found.seconds is None
    assert found.to_json()["seconds"] is None


def test_a_dry_run_foretells_what_the_build_encodes(site: Path, home: Path) -> None:
    build([site], home, CountingEncoder(), BuildOptions())
    change(site)

    found = plan(home, site)
    report = build([site], home, CountingEncoder(), BuildOptions())

    assert (found.new, found.changed, found.removed) == (("page-012",), ("page-003",), ("page-005",))
    assert found.unchanged == 10
    assert found.texts == TextCount(report.encoded + report.reused, report.encoded, exact=True)
    assert found.seconds is not None
    assert list(found.seconds)[:2] == ["parse", "match"]
    assert {"encode", "candidates"} <= found.seconds.keys()
    assert found.to_json() == {
        "dry_run": True,
        "against": found.against,
        "essays": 12,
        "problems": 0,
        "new": ["page-012"],
        "changed": ["page-003"],
        "removed": ["page-005"],
        "unchanged": 10,
        "republish": False,
        "texts": {"wanted": found.texts.wanted, "to_encode": found.texts.to_encode, "exact": True},
        "seconds": {stage: round(seconds, 3) for stage, seconds in found.seconds.items()},
    }


def test_without_a_change_the_same_lists_would_be_published_and_no_text_is_looked_at(site: Path, home: Path) -> None:
    build([site], home, CountingEncoder(), BuildOptions())

    found = plan(home, site)

    assert (found.republish, found.unchanged, found.texts.to_encode) == (True, 12, 0)
    assert found.seconds is not None
    assert list(found.seconds) == ["parse", "match"]
    other_model = CountingEncoder(fingerprint="axes@2")
    changed = plan_build([site], home, other_model, PageOptions())
    assert (changed.republish, changed.unchanged) == (False, 12)
    assert changed.texts.to_encode == changed.texts.wanted > 0


def test_a_page_that_was_moved_is_built_though_it_says_what_it_said(site: Path, home: Path) -> None:
    build([site], home, CountingEncoder(), BuildOptions())
    (site / "sub").mkdir()
    moved = min(site.glob("*.txt"))
    moved.rename(site / "sub" / moved.name)

    found = plan(home, site)

    assert (found.new, found.changed, found.removed, found.republish) == ((), (), (), False)


def test_an_increment_is_planned_as_it_would_be_built(site: Path, home: Path) -> None:
    build([site], home, CountingEncoder(), BuildOptions())
    page = site / "page-003.txt"
    page.write_text(page.read_text().replace("a long paragraph", "quite another paragraph"), encoding="utf-8")

    found = plan(home, page, increment=Increment(CURRENT, ("page-005",)))

    assert (found.new, found.changed, found.removed) == ((), ("page-003",), ("page-005",))


def test_a_dry_run_writes_nothing_but_the_page_cache(site: Path, home: Path) -> None:
    plan(home, site)
    assert files(home) == {}
    build([site], home, CountingEncoder(), BuildOptions())
    before = files(home)
    change(site)

    plan(home, site)

    assert files(home) == before


def test_of_many_new_essays_a_sample_tells_how_many_texts_there_are(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "CUT_AT_MOST", 10)
    site = write_site(tmp_path / "many", essays=60)

    found = plan(home, site)
    report = build([site], home, CountingEncoder(), BuildOptions())

    assert not found.texts.exact
    assert found.texts.to_encode == pytest.approx(report.encoded, rel=0.15)


# --- Rates --------------------------------------------------------------------------------------------------------


def test_rates_are_seconds_an_item() -> None:
    rates = pace.update_rates({}, {"parse": 1.0, "match": 1.0, "encode": 60.0, "learn": 5.0}, 100, 600, 600)

    assert rates == {"encode": 0.1, "learn": 0.05}
    assert pace.estimate(rates, essays=200, to_encode=30) == {"encode": 3.0, "learn": 10.0}


def test_a_build_that_encoded_little_says_nothing_of_the_time_of_a_text() -> None:
    before = {"encode": 0.1, "learn": 0.05}

    rates = pace.update_rates(before, {"encode": 8.0, "learn": 4.0}, essays=100, encoded=3, texts=600)

    assert rates == {"encode": 0.1, "learn": 0.04}
    assert pace.update_rates({}, {"encode": 8.0}, 100, 3, 600) == {"encode": 2.666666667}, "better than nothing"
    assert pace.update_rates({}, {"encode": 0.1}, 100, 0, 600) == {}


def test_nothing_is_foretold_from_nothing() -> None:
    assert pace.estimate({}, 100, 0) is None
    assert pace.estimate({"learn": 0.1}, 100, 5) is None
    assert pace.estimate({"learn": 0.1}, 100, 0) == {"learn": 10.0}


def test_the_rates_of_a_home_outlive_a_build_without_a_change(site: Path, home: Path) -> None:
    build([site], home, CountingEncoder(), BuildOptions())
    rates = open_current(home).manifest["rates"]

    build([site], home, CountingEncoder(), BuildOptions())

    assert open_current(home).manifest["rates"] == rates
    assert rates.keys() >= {"encode", "survey"}
