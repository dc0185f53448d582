"""The offline job with a fake encoder: what is published, what is reused, and what a failure leaves behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.errors import BuildInProgress, EditionError, RelatedArticlesError, SourceNotFound
from corpus.records import essay_to_record
from recommender.edition import current_id, open_current
from recommender.evaluation import evaluate_edition
from recommender.job import BuildOptions, build
from recommender.learning import Lesson
from recommender.publishing import build_lock, list_editions
from recommender.ranking import Rules
from tests.fakes import AXES, CountingEncoder
from tests.recommender.materials import lists_of_groups
from tests.recommender.sites import random_site

ROOT = Path(__file__).parents[2]
TEXTS_A_CHUNK = 256


def write_site(folder: Path, essays: int = 12, skip: tuple[int, ...] = ()) -> Path:
    """Text pages, each listing the next two of its own subject by their standfirsts; `skip` leaves pages out."""
    folder.mkdir(exist_ok=True)
    for number in range(essays):
        path = folder / f"page-{number:03}.txt"
        path.unlink(missing_ok=True)
        if number not in skip:
            path.write_text(_page(number, essays), encoding="utf-8")
    return folder


def _standfirst(number: int) -> str:
    return f"What the {AXES[number % 4]} of number {number} can teach anybody who looks at it with some care."


def _page(number: int, essays: int) -> str:
    lines = ["Subjects", f"Essay number {number}", _standfirst(number), "X Facebook Email"]
    lines += [f"Published by Author {number}", f"March {number % 28 + 1:02}, 2025 - 2 min Read"]
    own_words = " ".join(f"word{number}of{i}" for i in range(40))
    lines += [f"The {AXES[number % 4]} of number {number} stands here. It is a long paragraph about it. {own_words}."]
    lines += ["Related Articles"]
    for other in ((number + 4) % essays, (number + 8) % essays):
        lines += ["Subjects", _standfirst(other), f"March {other % 28 + 1:02}, 2025"]
    return "\n".join(lines) + "\n"


def content(home: Path) -> dict[str, bytes]:
    """The files of the current edition but its manifest."""
    folder = home / "editions" / current_id(home)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def test_a_build_joins_lists_and_publishes_every_essay(tmp_path: Path, encoder: CountingEncoder) -> None:
    report = build([write_site(tmp_path / "site")], tmp_path / "home", encoder, BuildOptions())
    edition = open_current(tmp_path / "home")
    assert report.to_json()["blurbs"] == {"total": 24, "joined": 24, "ambiguous": 0, "unmatched": 0}
    assert edition.id == report.edition
    assert [c.id for c in edition.lists("page-000").curated] == ["page-004", "page-008"]
    found = edition.related("page-000").recommendations
    assert [(r.target, r.origin) for r in found] == [("page-004", "curated"), ("page-008", "curated")]
    best = edition.related("page-001", Rules(limit=2, curated_first=False)).recommendations
    assert {r.target for r in best} == {"page-005", "page-009"}, "the essays of the same subject"


def test_a_second_build_without_a_change_encodes_nothing_and_keeps_one_edition(
    tmp_path: Path, encoder: CountingEncoder
) -> None:
    site, home = write_site(tmp_path / "site"), tmp_path / "home"
    first = build([site], home, encoder, BuildOptions())
    files, calls = content(home), encoder.calls
    second = build([site], home, encoder, BuildOptions())
    assert encoder.calls == calls
    assert (second.encoded, second.reused, second.changed) == (0, first.encoded, 0)
    assert content(home) == files
    assert [entry.id for entry in list_editions(home)] == [second.edition]


def test_a_changed_page_costs_its_own_texts_only(tmp_path: Path, encoder: CountingEncoder) -> None:
    site, home = write_site(tmp_path / "site"), tmp_path / "home"
    build([site], home, encoder, BuildOptions())
    page = site / "page-003.txt"
    page.write_text(page.read_text().replace("It is a long", "It is a rather long"), encoding="utf-8")
    report = build([site], home, encoder, BuildOptions())
    assert 1 <= report.encoded <= 4
    assert report.reused >= 11 * 2
    assert len(list_editions(home)) == 2


def test_the_same_pages_give_the_same_bytes_in_any_home(tmp_path: Path, encoder: CountingEncoder) -> None:
    site = write_site(tmp_path / "site")
    build([site], tmp_path / "one", encoder, BuildOptions())
    build([site], tmp_path / "two", CountingEncoder(), BuildOptions())
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_an_unmatched_blurb_merges_into_its_essay_on_the_day_it_arrives(
    tmp_path: Path, encoder: CountingEncoder
) -> None:
    site, home = write_site(tmp_path / "site", skip=(4,)), tmp_path / "home"
    build([site], home, encoder, BuildOptions())
    before = open_current(home)
    blurb = before.lists("page-000").curated[0].id
    assert before.items[blurb].kind == "blurb"
    assert before.related("page-000", Rules(unlinked=True)).recommendations[0].target == blurb
    assert "page-004" not in before.items

    write_site(site)
    report = build([site], home, encoder, BuildOptions())
    after = open_current(home)
    assert after.lists("page-000").curated[0].id == "page-004"
    assert blurb not in after.items
    assert report.blurbs["unmatched"] == 0


def test_a_bad_page_is_reported_and_stops_nothing(tmp_path: Path, encoder: CountingEncoder) -> None:
    site = write_site(tmp_path / "site")
    (site / "bad.txt").write_bytes(b"\x00\x01\x02")
    report = build([site], tmp_path / "home", encoder, BuildOptions())
    assert [str(problem) for problem in report.pages.problems] == [f"{site / 'bad.txt'}: binary data, not text"]
    assert open_current(tmp_path / "home").manifest["problems"] == [f"{site / 'bad.txt'}: binary data, not text"]
    assert len(report.pages.essays) == 12


@pytest.mark.parametrize("site", ["missing", "empty", "hopeless"])
def test_a_build_that_is_refused_leaves_the_old_edition_live(
    site: str, tmp_path: Path, encoder: CountingEncoder
) -> None:
    home = tmp_path / "home"
    first = build([write_site(tmp_path / "site")], home, encoder, BuildOptions()).edition
    (tmp_path / "empty").mkdir()
    (tmp_path / "hopeless").mkdir()
    (tmp_path / "hopeless" / "a.txt").touch()
    refusal = SourceNotFound if site == "missing" else RelatedArticlesError
    with pytest.raises(refusal):
        build([tmp_path / site], home, encoder, BuildOptions())
    assert open_current(home).id == first


class Interrupted(CountingEncoder):
    """Stops at its second call."""

    def encode(self, texts):  # type: ignore[no-untyped-def]
        if self.calls == 1:
            raise KeyboardInterrupt
        return super().encode(texts)


def test_an_interrupted_build_keeps_what_it_encoded_and_publishes_nothing(tmp_path: Path) -> None:
    site, home = write_site(tmp_path / "site", essays=200), tmp_path / "home"
    with pytest.raises(KeyboardInterrupt):
        build([site], home, Interrupted(), BuildOptions())
    assert list((home / "editions").iterdir()) == []
    report = build([site], home, CountingEncoder(), BuildOptions())
    assert report.reused == TEXTS_A_CHUNK
    assert report.encoded > 0


def test_a_killed_build_leaves_the_old_edition_and_the_next_one_goes_on(tmp_path: Path) -> None:
    small, site, home = write_site(tmp_path / "small"), write_site(tmp_path / "site", essays=200), tmp_path / "home"
    first = build([small], home, CountingEncoder(), BuildOptions()).edition
    code = f"""
import os, signal
from pathlib import Path
from recommender.job import BuildOptions, build
from tests.fakes import CountingEncoder

class Killed(CountingEncoder):
    def encode(self, texts):
        if self.calls == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts)

build([Path({str(site)!r})], Path({str(home)!r}), Killed(), BuildOptions())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name.startswith(".new-") for path in (home / "editions").iterdir()].count(True) == 1
    assert open_current(home).id == first

    report = build([site], home, CountingEncoder(), BuildOptions())
    assert report.reused >= report.counts["essays"]
    assert not list((home / "editions").glob(".new-*"))


def test_a_second_build_at_the_same_time_is_refused(tmp_path: Path, encoder: CountingEncoder) -> None:
    site, home = write_site(tmp_path / "site"), tmp_path / "home"
    with build_lock(home), pytest.raises(BuildInProgress):
        build([site], home, encoder, BuildOptions())


def test_a_build_goes_on_from_a_damaged_edition(tmp_path: Path, encoder: CountingEncoder) -> None:
    site, home = write_site(tmp_path / "site"), tmp_path / "home"
    first = build([site], home, encoder, BuildOptions()).edition
    (home / "editions" / first / "lists.sqlite3").write_text("{}")
    second = build([site], home, encoder, BuildOptions())
    assert second.changed is None
    assert open_current(home).related("page-000").recommendations


def test_what_was_evaluated_in_the_build_is_what_evaluate_says_of_its_edition(
    tmp_path: Path, encoder: CountingEncoder
) -> None:
    report = build([write_site(tmp_path / "site", skip=(4,))], tmp_path / "home", encoder, BuildOptions())
    again, outcomes = evaluate_edition(open_current(tmp_path / "home"))
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(report.evaluation))
    assert (again["n"], again["ceiling"]) == (11, round(20 / 22, 6))
    assert len(outcomes.judged) == 11


# --- The lesson ---------------------------------------------------------------------------------------------------


def write_teaching_site(path: Path) -> Path:
    """Sixty essays at random, whose lists follow groups that no text tells of, as JSONL."""
    site = random_site(60, 1)
    lists = lists_of_groups(site.texts.ids, 6)
    records = (essay_to_record(one) | {"related": lists[one.id]} for one in site.essays)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_what_the_lists_teach_is_published_and_used(tmp_path: Path, encoder: CountingEncoder) -> None:
    report = build([write_teaching_site(tmp_path / "site.jsonl")], tmp_path / "home", encoder, BuildOptions())
    edition = open_current(tmp_path / "home")
    lesson = Lesson.from_json(edition.manifest["lesson"])
    assert (lesson.used, lesson.lists) == (True, 60)
    assert edition.manifest["lesson"] == json.loads(json.dumps(lesson.to_json()))
    assert lesson.listed.weight_of("co_listed") > 0
    assert edition.manifest["evaluation"] == json.loads(json.dumps(report.evaluation))
    assert report.evaluation["details"]["learned"]["used"]
    of_the_group = {f"{number:03}" for number in range(0, 60, 6)}
    best = edition.related("000", Rules(limit=9, curated_first=False)).recommendations
    assert len({place.target for place in best} & of_the_group) >= 7
    assert evaluate_edition(edition)[0] == json.loads(json.dumps(report.evaluation))


def test_a_build_without_a_change_learns_and_judges_nothing_anew(
    tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, home = write_teaching_site(tmp_path / "site.jsonl"), tmp_path / "home"
    first = build([site], home, encoder, BuildOptions())
    before = open_current(home).manifest
    for step in ("study.study_lists", "evaluation.evaluate", "encoded.encode_catalogue"):
        monkeypatch.setattr(f"recommender.{step}", lambda *given: pytest.fail("once more"))
    second = build([site], home, encoder, BuildOptions())
    after = open_current(home).manifest
    assert second.edition != first.edition
    for key in ("encoder", "counts", "lesson", "evaluation", "inputs", "files", "content"):
        assert after[key] == before[key], key
    assert second.evaluation == after["evaluation"]


def test_an_edition_of_an_older_format_is_refused_and_the_next_build_is_a_first_one(
    tmp_path: Path, encoder: CountingEncoder
) -> None:
    site, home = write_site(tmp_path / "site"), tmp_path / "home"
    first = build([site], home, encoder, BuildOptions())
    path = home / "editions" / first.edition / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}), encoding="utf-8")
    with pytest.raises(EditionError, match=r"has format 1, this version reads 4: run `related build`$"):
        open_current(home)
    second = build([site], home, encoder, BuildOptions())
    assert (second.changed, second.encoded, second.reused) == (None, 0, first.encoded)
    assert open_current(home).manifest["format"] == 4
