"""A build of what has changed since an edition is the build of the whole."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from corpus.errors import EditionError, NoEdition, RelatedArticlesError, SourceNotFound, UnknownEssay
from corpus.sources import PageOptions
from recommender.build_report import BuildReport
from recommender.edition import current_id, open_current
from recommender.job import BuildOptions, build
from recommender.reading import CURRENT, Increment, read_site
from recommender.watch import Unwatched
from tests.fakes import CountingEncoder
from tests.recommender.test_job import content, write_site

OPTIONS = BuildOptions()


def build_in(home: Path, *sources: Path, increment: Increment | None = None) -> BuildReport:
    return build(sources, home, CountingEncoder(), OPTIONS, increment=increment)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site", skip=(11,))


@pytest.fixture
def home(site: Path, tmp_path: Path) -> Path:
    build_in(tmp_path / "home", site)
    return tmp_path / "home"


def test_changed_new_and_removed_pages_give_the_edition_that_all_pages_give(
    site: Path, home: Path, tmp_path: Path
) -> None:
    changed, new = site / "page-003.txt", site / "page-011.txt"
    write_site(site, skip=(5,))
    changed.write_text(changed.read_text().replace("a long paragraph", "quite another paragraph"), encoding="utf-8")

    copytree(home, tmp_path / "whole")  # an edition tells of the one before it, too
    report = build_in(home, changed, new, increment=Increment(CURRENT, ("page-005",)))
    whole = build_in(tmp_path / "whole", site)

    assert content(home) == content(tmp_path / "whole")
    manifests = [open_current(place).manifest for place in (home, tmp_path / "whole")]
    assert manifests[0]["content"] == manifests[1]["content"]
    assert [len(r.pages.essays) for r in (report, whole)] == [11, 11]
    assert report.encoded == whole.encoded > 0


def test_an_increment_to_an_older_edition_leaves_out_what_came_between(site: Path, home: Path, tmp_path: Path) -> None:
    first = current_id(home)
    write_site(site)
    build_in(home, site)
    page = site / "page-000.txt"
    page.write_text(page.read_text().replace("a long paragraph", "a short paragraph"), encoding="utf-8")

    copytree(home, tmp_path / "whole")
    build_in(home, page, increment=Increment(first))
    (site / "page-011.txt").unlink()
    build_in(tmp_path / "whole", site)

    assert content(home) == content(tmp_path / "whole")


def test_records_join_pages_and_an_increment_without_a_change_changes_nothing(home: Path, tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text(json.dumps({"id": "page-001", "title": "Bread", "body": "Bread, and no map."}) + "\n")

    assert build_in(home, feed, increment=Increment(CURRENT)).changed
    assert [e.title for e in read(home, Increment(CURRENT)).essays if e.id == "page-001"] == ["Bread"]
    before = content(home)
    again = build_in(home, feed, increment=Increment(CURRENT))
    assert (again.changed, again.encoded) == (0, 0)
    assert content(home) == before


def read(home: Path, increment: Increment, *sources: Path):  # type: ignore[no-untyped-def]
    return read_site(sources, home, PageOptions(), Unwatched(), increment)


def test_essays_come_back_from_an_edition_as_they_were_read(site: Path, tmp_path: Path) -> None:
    (site / "page-000.txt").write_bytes(
        (site / "page-000.txt").read_text().replace("stands", "st\xe4nds").encode("cp1252")
    )
    plainly = read_site([site], tmp_path / "home", PageOptions(), Unwatched())
    build_in(tmp_path / "home", site)

    since = read(tmp_path / "home", Increment(CURRENT))

    assert since.essays == plainly.essays
    assert since.remarks == plainly.remarks
    assert len(since.remarks) == 1


def test_a_page_that_cannot_be_read_leaves_the_editions_as_it_was(site: Path, home: Path) -> None:
    page = site / "page-002.txt"
    before = read(home, Increment(CURRENT)).essays
    page.write_bytes(b"\x00\x01")

    pages = read(home, Increment(CURRENT), page)

    assert pages.essays == before
    assert [str(problem) for problem in pages.problems] == [f"{page}: binary data, not text"]


def test_what_cannot_be_built_upon_is_refused(site: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(NoEdition, match=r"no edition in .*nowhere yet"):
        read(tmp_path / "nowhere", Increment(CURRENT))
    with pytest.raises(EditionError, match="there is no edition 20200101T000000Z-00000000: see `related editions`"):
        read(home, Increment("20200101T000000Z-00000000"))
    with pytest.raises(UnknownEssay, match=r"^no essay 'page-099' to remove in edition .*: see `related export`"):
        read(home, Increment(CURRENT, ("page-001", "page-099")))
    with pytest.raises(SourceNotFound):
        read(home, Increment(CURRENT), site / "page-099.txt")
    everything = tuple(essay.id for essay in read(home, Increment(CURRENT)).essays)
    with pytest.raises(RelatedArticlesError, match="no page found"):
        read(home, Increment(CURRENT, everything))
    essays = home / "editions" / current_id(home) / "essays.jsonl"
    essays.write_bytes(essays.read_bytes().replace(b"stands", b"stood!"))
    with pytest.raises(EditionError, match=r"essays\.jsonl is not what was written"):
        read(home, Increment(CURRENT))


def test_a_feed_does_not_make_the_page_cache_forget_the_other_pages(site: Path, home: Path) -> None:
    for _ in range(5):
        read(home, Increment(CURRENT), site / "page-001.txt")

    assert read_site([site], home, PageOptions(), Unwatched()).parsed == 0


def test_an_unchanged_edition_shares_its_files_with_the_one_before_and_compares_nothing(
    site: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.stat().st_ino for path in (home / "editions" / current_id(home)).iterdir()}
    monkeypatch.setattr("recommender.job._lists_of", lambda edition: pytest.fail("lists are read once more"))

    report = build_in(home, site)

    after = {path.name: path.stat().st_ino for path in (home / "editions" / current_id(home)).iterdir()}
    assert (report.changed, report.overlap) == (0, 1.0)
    assert {name for name in after if after[name] != before[name]} == {"manifest.json"}
