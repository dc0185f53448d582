"""Drafts on an edition in a database: a small one is read as from a folder, of a large one only what is near."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks.postgres_server import Server
from corpus.errors import EncoderError
from corpus.essay import Essay
from recommender import live_drafts
from recommender.drafts import DraftReader
from recommender.edition import Edition
from recommender.job import BuildOptions, build
from recommender.live_drafts import LiveDraftReader, draft_reader
from recommender.live_vectors import NO_FILTER, Filter, LiveVectors
from recommender.material import Material
from recommender.ranking import Ranking, Rules
from recommender.store import FolderStore, open_current, open_store
from tests.fakes import CountingEncoder
from tests.recommender.test_wide_site import ESSAYS, as_a_large_site, write_site


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    """Eighty essays at random, built as a large site, in a folder."""
    folder = tmp_path_factory.mktemp("live")
    with as_a_large_site():
        build([write_site(folder)], folder / "home", CountingEncoder(), BuildOptions())
    return open_current(FolderStore(folder / "home"))


@pytest.fixture(scope="module")
def stored(edition: Edition, postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Edition:
    """The same in a database, read by another machine."""
    url = postgres.fresh_database()
    open_store(edition.folder.parent.parent, url).publish(edition, None, 1)
    return open_current(open_store(tmp_path_factory.mktemp("replica"), url))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site counts as a large one."""
    monkeypatch.setattr(live_drafts, "HELD", ESSAYS - 1)


@pytest.fixture
def reader(stored: Edition, large: None) -> LiveDraftReader:
    found = draft_reader(stored, CountingEncoder())
    assert isinstance(found, LiveDraftReader)
    return found


@pytest.fixture(scope="module")
def full(edition: Edition) -> DraftReader:
    """Which holds all of the site."""
    return DraftReader(edition, CountingEncoder())


@pytest.fixture(scope="module")
def essays(edition: Edition) -> tuple[Essay, ...]:
    return Material.load(edition).essays


def targets(ranking: Ranking) -> list[str]:
    return [place.target for place in ranking.recommendations]


def live_of(edition: Edition) -> LiveVectors:
    found = edition.live_vectors()
    assert found is not None
    return found


def test_a_small_edition_in_a_database_is_answered_as_from_a_folder(
    stored: Edition, full: DraftReader, essays: tuple[Essay, ...]
) -> None:
    found = draft_reader(stored, CountingEncoder())

    assert isinstance(found, DraftReader)
    for essay in essays[::10]:
        assert found.suggest(essay, Rules(limit=20)) == full.suggest(essay, Rules(limit=20))


def test_a_large_edition_in_a_folder_is_held_whole(edition: Edition, large: None) -> None:
    assert edition.live_vectors() is None
    assert isinstance(draft_reader(edition, CountingEncoder()), DraftReader)


def test_of_a_large_one_in_a_database_neither_vectors_nor_essays_are_fetched(
    reader: LiveDraftReader, stored: Edition, essays: tuple[Essay, ...], tmp_path: Path
) -> None:
    stored.folder.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in stored.folder.iterdir()}

    reader.suggest(essays[0], Rules())

    assert {path.name for path in stored.folder.iterdir()} == before | {"lexicon.json", "manifest.json"}


def test_with_everything_in_reach_its_lists_are_those_of_the_texts_alone(
    reader: LiveDraftReader, full: DraftReader, essays: tuple[Essay, ...]
) -> None:
    """The sample is the whole site here; what is left is half precision, and that titles have no vectors."""
    rules = Rules(limit=10, profile="meaning", balanced=False)
    shared, apart = [], []
    for essay in essays[::2]:
        ours, theirs = reader.suggest(essay, rules), full.suggest(essay, rules)
        shared.append(len(set(targets(ours)) & set(targets(theirs))) / 10)
        scores = {place.target: place.score for place in theirs.recommendations}
        apart += [abs(p.score - scores[p.target]) for p in ours.recommendations if p.target in scores]

    assert np.mean(shared) > 0.97
    assert np.quantile(apart, 0.95) < 0.005


def test_filters_are_asked_of_the_database(
    reader: LiveDraftReader, essays: tuple[Essay, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the five nearest of all, few or none are of one category."""
    monkeypatch.setattr(live_drafts, "POOL", 5)
    categories = {essay.id: essay.category for essay in essays}

    for name in ("Bread", "Clocks", "Maps"):
        found = targets(reader.suggest(essays[0], Rules(limit=4, category=name)))
        assert len(found) == 4
        assert {categories[ident] for ident in found} == {name}


def test_what_the_request_excludes_leaves_room_for_others(
    reader: LiveDraftReader, essays: tuple[Essay, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_drafts, "POOL", 5)
    first = targets(reader.suggest(essays[0], Rules(limit=4)))

    others = targets(reader.suggest(essays[0], Rules(limit=4, exclude=frozenset(first))))

    assert len(others) == 4
    assert not set(first) & set(others)


def test_a_filter_that_leaves_nothing_gives_an_empty_list(reader: LiveDraftReader, essays: tuple[Essay, ...]) -> None:
    assert reader.suggest(essays[0], Rules(category="no such category")) == Ranking((), ())
    assert reader.suggest(essays[0], Rules(published_after=date(2030, 1, 1))) == Ranking((), ())


def test_a_draft_is_never_sent_to_its_own_text(reader: LiveDraftReader, essays: tuple[Essay, ...]) -> None:
    copy = Essay("copy", title="Another name", blocks=essays[7].blocks)

    found = reader.suggest(copy, Rules(limit=50))

    assert ("007", "a near-duplicate of copy") in [(d.target, d.reason) for d in found.dropped]
    assert "007" not in targets(found)
    assert "007" not in targets(reader.suggest(essays[7], Rules(limit=50)))


def test_another_encoder_is_refused(stored: Edition, large: None) -> None:
    with pytest.raises(EncoderError, match="was built with axes@1, but the model now is axes@2"):
        draft_reader(stored, CountingEncoder(fingerprint="axes@2"))


def test_rules_about_age_are_asked_of_the_database_as_days() -> None:
    draft = Essay("draft", published=date(2020, 6, 15))
    ages = Rules(older_by_days=10, newer_by_days=5, published_before=date(2020, 6, 18))

    found = live_drafts._filter(draft, ages)

    assert found == Filter("essay", None, date(2020, 6, 5), date(2020, 6, 18))
    assert live_drafts._filter(Essay("draft"), Rules(older_by_days=10)).published_after is None
    assert live_drafts._filter(draft, Rules(older_by_days=10**7)).published_after is None


def test_essays_come_as_they_are_kept(stored: Edition, edition: Edition) -> None:
    texts = Material.load(edition).texts
    named = np.asarray(texts.titles_named.sum(axis=0)).ravel()

    found = live_of(stored).essays(["007", "no such essay", "003"])

    assert [essay.id for essay in found] == ["003", "007"]
    for essay in found:
        row = texts.ids.index(essay.id)
        assert essay.record == edition.essay_record(essay.id)
        assert essay.vector == pytest.approx(texts.vectors.matrix[row], abs=1e-3)
        assert essay.titled == named[texts.own_title[row].indices[0]] > 0


def test_a_sample_is_even_and_never_more_than_there_is(stored: Edition) -> None:
    live = live_of(stored)

    assert [essay.id for essay in live.sample(3)] == ["000", "039", "079"]
    assert len(live.sample(1000)) == ESSAYS


def test_blurbs_are_among_the_vectors_and_no_essays(stored: Edition) -> None:
    blurbs = [item.id for item in stored.items.stream() if item.kind == "blurb"]
    live = live_of(stored)
    query = live.essays(["000"])[0].vector

    assert len(blurbs) == 8
    assert set(blurbs) <= {n.id for n in live.nearest(query, 1000, NO_FILTER)}
    assert live.essays(blurbs) == []
