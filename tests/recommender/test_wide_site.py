"""A large site from its pages to its lists: what is built by an index must stand up to everything that reads it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from corpus.essay import Blurb, Essay
from corpus.records import essay_to_record
from recommender.drafts import DraftReader
from recommender.edition import Edition, open_current
from recommender.evaluation import evaluate_edition
from recommender.explain import Explainer
from recommender.job import BuildOptions, build
from recommender.material import Material
from recommender.ranking import Rules
from tests.fakes import CountingEncoder
from tests.recommender.materials import lists_of_groups
from tests.recommender.sites import random_site

ESSAYS = 80
SHOWN = 10


@contextmanager
def as_a_large_site(most: int = ESSAYS - 1) -> Iterator[None]:
    """A site of more than `most` essays is a large one, and its runs are short."""
    with (
        patch("recommender.finding.WIDE_SITE", most),
        patch("recommender.encoded.WIDE_SITE", most),
        patch("recommender.encoded._RUN", 30),
        patch("recommender.wide_landscape.CHUNK", 16),
        patch("recommender.wide_candidates.CHUNK", 16),
        patch("recommender.neighbourhood.CHUNK", 32),
    ):
        yield


def write_site(folder: Path, changed: int | None = None) -> Path:
    """Eighty essays at random, whose lists follow groups; every tenth shows a blurb that no page stands behind."""
    site = random_site(ESSAYS, 1)
    lists = lists_of_groups(site.texts.ids, 8)
    path = folder / "site.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row, one in enumerate(site.essays):
            blurb = Blurb(one.id, 4, category="Sea", text=f"Of bread and of clock number {row}.")
            record = essay_to_record(one) | {"related": lists[one.id]}
            if row % 10 == 0:
                record["blurbs"] = [{"category": blurb.category, "text": blurb.text}]
            if row == changed:
                record["blocks"] = [
                    {"kind": "paragraph", "text": "A bridge and a map, of which nothing was said before."}
                ]
            file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    with as_a_large_site():
        build([write_site(folder)], folder / "home", CountingEncoder(), BuildOptions())
    return folder / "home"


@pytest.fixture(scope="module")
def edition(home: Path) -> Edition:
    return open_current(home)


@pytest.fixture(scope="module")
def small_edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    folder = tmp_path_factory.mktemp("small")
    build([write_site(folder)], folder / "home", CountingEncoder(), BuildOptions())
    return open_current(folder / "home")


def shown(edition: Edition, ident: str) -> list[str]:
    return [place.target for place in edition.related(ident, Rules(limit=SHOWN, curated_first=False)).recommendations]


def test_it_was_built_as_a_large_site(edition: Edition, small_edition: Edition) -> None:
    assert Material.load(edition).landscape.pool is not None
    assert Material.load(small_edition).landscape.pool is None


def test_its_lists_are_nearly_those_of_all_pairs(edition: Edition, small_edition: Edition) -> None:
    kept = [
        len(set(shown(edition, ident)) & set(shown(small_edition, ident))) / SHOWN
        for ident in small_edition.essay_ids()
    ]

    assert np.mean(kept) > 0.85


def test_blurbs_without_a_page_are_offered_as_on_a_small_site(edition: Edition, small_edition: Edition) -> None:
    for ident in ("000", "033", "070"):
        ours, theirs = edition.lists(ident), small_edition.lists(ident)
        assert [c.id for c in ours.unlinked] == [c.id for c in theirs.unlinked]
        assert [c.meaning for c in ours.unlinked] == pytest.approx([c.meaning for c in theirs.unlinked], abs=0.01)
        assert [c.id for c in ours.curated] == [c.id for c in theirs.curated]


def test_it_is_judged_again_as_it_was_judged_when_it_was_built(edition: Edition) -> None:
    told = edition.manifest["evaluation"]

    found, _ = evaluate_edition(edition)

    assert told["n"] == ESSAYS
    assert told["details"]["blurbs"] is None
    assert found == told


def test_every_score_is_accounted_for(edition: Edition) -> None:
    explainer = Explainer(edition, lambda essay: ((), np.zeros((0, 5), dtype=np.float32)))
    for ident in ("000", "041"):
        lists = edition.lists(ident)
        for candidate in (*lists.candidates[:5], *lists.candidates[-5:], *lists.unlinked[:2]):
            found = explainer.explain(ident, candidate.id)
            assert found.editors == pytest.approx(candidate.editors, abs=2e-6)
            assert found.account.logit == pytest.approx(np.log(found.editors / (1 - found.editors)), abs=1e-4)


def test_a_draft_is_suggested_for(edition: Edition) -> None:
    reader = DraftReader(edition, CountingEncoder())
    known = random_site(ESSAYS, 1).essays[12]

    found = reader.suggest(Essay("draft", title=known.title, blocks=known.blocks), Rules(limit=5))

    assert len(found.recommendations) == 5
    assert "012" not in {place.target for place in found.recommendations}, "it has the draft's text"


def test_a_build_after_a_change_gives_the_edition_of_a_fresh_one(tmp_path: Path) -> None:
    homes = tmp_path / "grown", tmp_path / "fresh"
    with as_a_large_site():
        build([write_site(tmp_path)], homes[0], CountingEncoder(), BuildOptions())
        after = write_site(tmp_path, changed=17)
        report = build([after], homes[0], CountingEncoder(), BuildOptions())
        build([after], homes[1], CountingEncoder(), BuildOptions())

    assert report.encoded == 1
    grown, fresh = (open_current(home).manifest["files"] for home in homes)
    of_before = {"overview.sqlite3"}  # tells how lists differ from those of the edition before
    assert {n: f for n, f in grown.items() if n not in of_before} == {
        n: f for n, f in fresh.items() if n not in of_before
    }
