"""Drafts on an edition in a database: a small one is read as from a folder, of a large one only what is near."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks.postgres_server import Server
from corpus.errors import EditionError, EncoderError
from corpus.essay import Essay
from recommender import live_drafts
from recommender.candidates import Pairs
from recommender.drafts import DraftReader, encode_draft
from recommender.edition import Edition
from recommender.job import BuildOptions, build
from recommender.list_signals import Ridge
from recommender.live_drafts import LiveDraftReader, draft_reader
from recommender.live_vectors import NO_FILTER, Filter, LiveVectors
from recommender.material import Material
from recommender.model import DEFAULT
from recommender.ranking import Ranking, Rules
from recommender.signals import LIST_SIGNALS, SIGNALS
from recommender.store import FolderStore, open_current, open_store
from tests.fakes import CountingEncoder
from tests.recommender.test_wide_site import ESSAYS, as_a_large_site, write_site


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    """Eighty essays at random, built as a large site, in a folder. Every sixth one has no list."""
    folder = tmp_path_factory.mktemp("live")
    return build_large(folder, lambda row: row % 6 != 0)


def build_large(folder: Path, has_list: Callable[[int], bool]) -> Edition:
    """has_list: whether the essay of a row keeps its list."""
    path = write_site(folder)
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [one | ({} if has_list(row) else {"related": []}) for row, one in enumerate(records)]
    path.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    with as_a_large_site():
        build([path], folder / "home", CountingEncoder(), BuildOptions())
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
def material(edition: Edition) -> Material:
    return Material.load(edition)


@pytest.fixture(scope="module")
def essays(material: Material) -> tuple[Essay, ...]:
    return material.essays


def targets(ranking: Ranking) -> list[str]:
    return [place.target for place in ranking.recommendations]


def looked_at(reader: LiveDraftReader, draft: Essay, exclude: Collection[str] = ()) -> tuple[list[str], Pairs]:
    vectors, _ = encode_draft(draft, CountingEncoder())
    drawn = reader._draw(vectors, live_drafts.POOL, live_drafts._ANY, exclude)
    pool = reader._compare(draft, vectors, drawn)
    essays, pairs = reader._candidates(draft, vectors, pool, live_drafts._ANY, exclude)
    return list(essays), pairs


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

    found = reader.suggest(copy, Rules(limit=50, profile="meaning"))

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


# --- What lists say of a draft ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [3, 9, 40])
@pytest.mark.parametrize("name", ["the next version", "a new page"])
@pytest.mark.parametrize("left", [80, 10])
def test_every_signal_of_a_candidate_is_that_of_the_whole_reader(
    reader: LiveDraftReader,
    full: DraftReader,
    material: Material,
    monkeypatch: pytest.MonkeyPatch,
    row: int,
    name: str,
    left: int,
) -> None:
    """All but that of titles, which have no vectors here. A mutual rank is one that half precision allows."""
    draft = material.essays[row]
    if name == "a new page":
        draft = replace(draft, id="new")
    vectors, summaries = encode_draft(draft, CountingEncoder())
    place = material.landscape.place(material.reader.read([draft], vectors, summaries))
    whole = full._finder.of_places(place)

    monkeypatch.setattr(live_drafts, "VOTERS", ESSAYS)

    excluded = [ident for at, ident in enumerate(material.ids) if left == 10 and at % 8 != at // 10]

    ids, ours = looked_at(reader, draft, excluded)

    values = {material.ids[column]: whole.values[at] for at, column in enumerate(whole.columns.tolist())}
    shared = [at for at, ident in enumerate(ids) if ident in values]
    assert left - 1 <= len(shared) <= left
    assert ours.listed.tolist() == whole.listed.tolist() == [name != "a new page"]
    found, expected = ours.values[shared], np.array([values[ids[at]] for at in shared])
    for number, signal in enumerate(SIGNALS):
        if signal == "mutual_rank":
            columns = np.array([material.ids.index(ids[at]) for at in shared])
            logits = DEFAULT.block_logits({name: expected[:, at] for at, name in enumerate(SIGNALS)})
            least, most = (material.landscape.mutual_ranks(columns, logits + by) for by in (-0.005, 0.005))
            assert ((least - 1e-6 <= found[:, number]) & (found[:, number] <= most + 1e-6)).all()
            assert np.mean(most - least) < 0.15
        elif signal != "summary":
            assert found[:, number] == pytest.approx(expected[:, number], abs=1e-3), signal
    if name == "the next version" and not excluded:
        assert all(expected[:, SIGNALS.index(signal)].any() for signal in LIST_SIGNALS)


def test_lists_bring_in_what_is_not_near(
    reader: LiveDraftReader, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the lists of the ten nearest name, what names the draft's earlier version, and what stands beside it."""
    monkeypatch.setattr(live_drafts, "POOL", 11)  # with the draft itself
    draft, listed = material.essays[5], material.graph.matrix.toarray() > 0
    vectors, _ = encode_draft(draft, CountingEncoder())
    pool = [essay.id for essay in reader._draw(vectors, 11, live_drafts._ANY, ())]
    near = [row for row, ident in enumerate(material.ids) if ident in pool and row != 5]

    ids, _ = looked_at(reader, draft)

    naming = np.flatnonzero(listed[:, 5])
    brought = listed[near].any(axis=0) | listed[naming].any(axis=0) | listed[:, 5]
    expected = {material.ids[row] for row in np.flatnonzero(brought) if row != 5} | set(pool)
    assert ids == sorted(expected)
    assert len(expected) > 11


def test_essays_of_two_draws_stand_in_order() -> None:
    first, second = (
        live_drafts._Compared({i: Essay(i) for i in ids}, np.array(numbers), {"meaning": np.float32(numbers)})
        for ids, numbers in ((["b", "d"], [2, 4]), (["a", "c"], [1, 3]))
    )

    joined = first.joined(second)

    assert list(joined.essays) == ["a", "b", "c", "d"]
    assert joined.numbers.tolist() == joined.plain["meaning"].tolist() == [1, 2, 3, 4]


def test_near_pages_vote_whatever_the_request_leaves_out(
    reader: LiveDraftReader, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_drafts, "VOTERS", ESSAYS)
    draft = material.essays[12]
    ids, pairs = looked_at(reader, draft)
    votes = dict(zip(ids, pairs.values[:, SIGNALS.index("votes")].tolist(), strict=True))
    seen: list[dict[str, float]] = []
    rank_for = live_drafts.to_candidates

    def watched(ids: tuple[str, ...], pairs: Pairs, *others: object) -> object:
        seen.append(dict(zip(ids, pairs.values[:, SIGNALS.index("votes")].tolist(), strict=True)))
        return rank_for(ids, pairs, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(live_drafts, "to_candidates", watched)
    reader.suggest(draft, Rules(category="Bread"))
    reader.suggest(draft, Rules(exclude=frozenset(ids[:40])))

    for found in seen:
        assert 0 < len(found) < len(ids)
        assert found == pytest.approx({ident: votes[ident] for ident in found})
    assert {essay.category for essay in material.essays if essay.id in seen[0]} == {"Bread"}
    assert not set(seen[1]) & set(ids[:40])


def test_a_site_whose_lists_teach_nothing_has_no_tables_of_them_and_is_asked_for_none(
    postgres: Server, large: None, tmp_path: Path
) -> None:
    edition, url = build_large(tmp_path, lambda row: False), postgres.fresh_database()
    open_store(tmp_path, url).publish(edition, None, 1)
    stored = open_current(open_store(tmp_path / "replica", url))

    reader = draft_reader(stored, CountingEncoder())

    assert isinstance(reader, LiveDraftReader)
    with pytest.raises(EditionError, match="is gone, or has no vectors"):
        live_of(stored).lists.lists([1])
    draft = Material.load(edition).essays[0]
    by_default, by_meaning = (targets(reader.suggest(draft, Rules(profile=p))) for p in ("editors", "meaning"))
    assert by_default == by_meaning
    assert by_default


def test_links_are_those_of_the_curated_lists(stored: Edition, material: Material) -> None:
    lists, graph = live_of(stored).lists, material.graph
    everything = list(range(1, ESSAYS + 1))

    links = lists.lists(everything)

    assert (links - 1).tolist() == np.argwhere(graph.matrix.toarray()).tolist()
    assert lists.lists([8]).tolist() == [[8, column + 1] for column in graph.targets(7)]
    assert (lists.lists_naming(4) - 1).tolist() == np.flatnonzero(graph.matrix.toarray()[:, 3]).tolist()
    facts = lists.facts(everything)
    assert facts.listed_by.tolist() == graph.listed_by.tolist()
    assert facts.nearest_scores == pytest.approx(material.landscape.nearest_scores, rel=1e-3)
    dim = material.texts.vectors.dim
    assert lists.components([2, 5]) == pytest.approx(material.landscape.basis[[1, 4], dim:], abs=1e-3)


def test_what_is_foretold_is_the_product_with_the_weights_of_the_ridge(stored: Edition, material: Material) -> None:
    lists, everything = live_of(stored).lists, list(range(1, ESSAYS + 1))
    inverse, row = lists.inverse(), material.landscape.basis[11]

    found = lists.foretold(row @ inverse, everything)

    assert found == pytest.approx(row @ Ridge(material.landscape.basis, material.graph).weights, abs=1e-3)
    assert (lists.foretold(np.zeros_like(row), everything) == 0).all()


def test_of_what_very_many_list_some_lists_are_read(
    stored: Edition, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.postgres_links.MOST_LISTS", 1)
    lists, row = live_of(stored).lists, material.landscape.basis[11]
    often = int(np.argmax(material.graph.listed_by))
    first = int(np.flatnonzero(material.graph.matrix.toarray()[:, often])[0])

    assert lists.lists_naming(often + 1).tolist() == [first + 1]
    expected = float(row @ material.landscape.basis[first]) * material.graph.listed_by[often]
    assert lists.foretold(row, [often + 1]) == pytest.approx([expected], abs=1e-3)


def test_essays_come_as_they_are_kept(stored: Edition, edition: Edition, material: Material) -> None:
    texts = material.texts
    named = np.asarray(texts.titles_named.sum(axis=0)).ravel()

    found = live_of(stored).essays(["007", "no such essay", "a\0b", "\ud800", "003"])

    assert [essay.id for essay in found] == ["003", "007"]
    for essay in found:
        row = texts.ids.index(essay.id)
        assert essay.record == edition.essay_record(essay.id)
        assert essay.number == row + 1
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
