"""What editors' approvals and exclusions teach, and that they never judge themselves."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from corpus.catalogue import Catalogue
from recommender import editor_trial, learning
from recommender.candidates import Pairs
from recommender.edition import Edition, open_current
from recommender.editor_labels import NO_LABELS, EditorLabels
from recommender.editor_lesson import EditorsLesson, Separation
from recommender.editor_trial import MIN_EACH, learn_with_editors, share_right, try_labels
from recommender.evaluation import evaluate_edition
from recommender.job import BuildOptions, build
from recommender.label_rows import NO_ROWS, RowLabels
from recommender.learning import UNTAUGHT, Lesson, fit_both, recalls
from recommender.list_graph import ListGraph
from recommender.metrics import bootstrap
from recommender.model import DEFAULT, Values
from recommender.signals import SIGNALS
from recommender.study import Study, study_lists
from tests.fakes import CountingEncoder
from tests.recommender.sites import Site, dense_pairs, random_lists, random_site
from tests.recommender.test_job import write_site
from tests.recommender.test_learning import hubs

PAGES = 48
AUTHOR = SIGNALS.index("author")


def study(site: Site, graph: ListGraph, labels: EditorLabels = NO_LABELS) -> Study:
    """What a build learns."""
    return study_lists(SimpleNamespace(ids=site.texts.ids, landscape=site.landscape, graph=graph), labels=labels)


def by_author(site: Site, pairs: Pairs, pages: Iterable[int], most: int = 3) -> EditorLabels:
    """Editors with a rule: on each of these pages the first of another author are approved, of the same excluded."""
    ids, approved, excluded = site.texts.ids, set(), set()
    for page in pages:
        part = pairs.of(page)
        same = pairs.values[part, AUTHOR] > 0
        for chosen, into in ((~same, approved), (same, excluded)):
            into |= {(ids[page], ids[column]) for column in pairs.columns[part][chosen][:most].tolist()}
    return EditorLabels(frozenset(approved), frozenset(excluded))


def gap(logits: Values, pairs: Pairs, pages: Iterable[int]) -> float:
    """By how much candidates of the same author score above the others, on these pages."""
    on = np.isin(pairs.rows[pairs.owner], list(pages))
    same = pairs.values[:, AUTHOR] > 0
    return float(logits[on & same].mean() - logits[on & ~same].mean())


@pytest.fixture(scope="module")
def site() -> Site:
    return random_site(PAGES, seed=3)


@pytest.fixture(scope="module")
def graph(site: Site) -> ListGraph:
    return site.graph(hubs(site))


@pytest.fixture(scope="module")
def plain(site: Site, graph: ListGraph) -> Study:
    return study(site, graph)


@pytest.fixture(scope="module")
def labels(site: Site, plain: Study) -> EditorLabels:
    return by_author(site, plain.pairs, range(24))


# --- Labels -------------------------------------------------------------------------------------------------------


def test_a_pair_both_approved_and_excluded_is_excluded() -> None:
    found = EditorLabels(frozenset({("a", "b"), ("a", "c")}), frozenset({("a", "b")}))

    assert found == EditorLabels(frozenset({("a", "c")}), frozenset({("a", "b")}))
    assert len(found) == 2
    assert not NO_LABELS


def test_the_digest_tells_sets_of_labels_apart_and_not_their_order() -> None:
    pairs = [(f"{number}", f"{number * 7 % 100}") for number in range(200)]

    digests = {EditorLabels(frozenset(pairs)).digest, EditorLabels(frozenset(pairs[::-1])).digest}
    others = {EditorLabels(frozenset(), frozenset(pairs)).digest, EditorLabels(frozenset(pairs[:-1])).digest}

    assert len(digests) == 1
    assert len(digests | others | {NO_LABELS.digest}) == 4


def test_labels_become_rows_and_those_of_unknown_ids_none() -> None:
    given = EditorLabels(frozenset({("c", "a"), ("a", "b"), ("a", "gone")}), frozenset({("gone", "a"), ("b", "c")}))
    rows = RowLabels.of(given, "abc")

    assert rows.approved.tolist() == [1, 6]
    assert rows.excluded.tolist() == [5]
    assert rows.pages.tolist() == [0, 1, 2]
    assert rows.marks(dense_pairs(3)).tolist() == [1, 0, 0, -1, 1, 0]
    assert rows.without(np.array([0, 1])).marks(dense_pairs(3)).tolist() == [0, 0, 0, 0, 1, 0]
    assert len(rows.among(dense_pairs(3).select(np.array([1])))) == 1


# --- What they teach ----------------------------------------------------------------------------------------------


def test_what_editors_always_exclude_falls_on_other_pages(
    site: Site, graph: ListGraph, plain: Study, labels: EditorLabels
) -> None:
    taught = study(site, graph, labels)

    others = range(24, PAGES)
    before = gap(plain.lesson.logits(plain.pairs), plain.pairs, others)
    after = gap(taught.lesson.logits(taught.pairs), taught.pairs, others)
    assert abs(before) < 0.3
    assert after < before - 0.3
    told = taught.lesson.editors
    assert told is not None
    assert told.used
    assert (told.approved, told.excluded, told.missing) == (len(labels.approved), len(labels.excluded), 0)
    assert told.separation is not None
    assert told.separation.after > told.separation.before + 0.2
    assert (told.separation.approved, told.separation.excluded) == (len(labels.approved), len(labels.excluded))
    assert told.reason == (
        f"recall@10 on the curated lists {told.gain[0]:+.3f}; approved stand above excluded in "  # type: ignore[index]
        f"{told.separation.after:.0%} of cases not learned from, {told.separation.before:.0%} before"
    )


def test_the_gain_is_recall_on_the_curated_lists_with_labels_minus_without(
    site: Site, graph: ListGraph, plain: Study, labels: EditorLabels
) -> None:
    taught = study(site, graph, labels)

    assert plain.validation is not None
    assert taught.validation is not None
    assert taught.lesson.editors is not None
    expected = bootstrap(recalls(taught.validation, graph) - recalls(plain.validation, graph))
    assert taught.lesson.editors.gain == expected
    held = try_labels(site.landscape, graph, RowLabels.of(labels, site.texts.ids)).held
    assert taught.lesson.editors.separation is not None
    assert taught.lesson.editors.separation.before == pytest.approx(share_right(held.plain, held.approved), abs=1e-6)
    assert share_right(held.plain, held.approved) != pytest.approx(share_right(held.default, held.approved), abs=1e-3)


def test_labels_change_neither_candidates_nor_signals(
    site: Site, graph: ListGraph, plain: Study, labels: EditorLabels
) -> None:
    taught = study(site, graph, labels)

    assert (taught.pairs.columns == plain.pairs.columns).all()
    assert (taught.pairs.values == plain.pairs.values).all()
    assert taught.validation is not None
    assert plain.validation is not None
    for with_labels, without in zip(taught.validation.folds, plain.validation.folds, strict=True):
        assert (with_labels.pairs.values == without.pairs.values).all()


def test_an_approved_pair_is_wanted_an_excluded_one_not_though_it_is_listed() -> None:
    graph = ListGraph.of("abcd", {"a": "bc"})
    rows = RowLabels.of(EditorLabels(frozenset({("a", "d"), ("b", "a")}), frozenset({("a", "b"), ("b", "c")})), "abcd")

    kept, wanted, counts = learning._sample(dense_pairs(4), graph, rows)

    # a lists b (excluded by editors) and c; d was approved. b has labels but no list: what is not labelled is unknown.
    assert kept.tolist() == [0, 1, 2, 3, 4]
    assert wanted.tolist() == [False, True, True, True, False]
    assert counts.tolist() == [learning.EXCLUDED, 1.0, learning.APPROVED, learning.APPROVED, learning.EXCLUDED]


def test_excluded_pairs_are_in_the_sample_whatever_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "NEGATIVES", 1)
    ids = [f"{n:02d}" for n in range(30)]
    graph = ListGraph.of(ids, {"00": ["01"]})
    given = EditorLabels(frozenset(), frozenset(("00", ident) for ident in ids[10:20]))

    kept, _, counts = learning._sample(dense_pairs(30), graph, RowLabels.of(given, ids))

    assert set(range(9, 19)) <= set(kept.tolist())
    assert len(kept) == 1 + 10 + 1
    drawn = ~np.isin(kept, [0, *range(9, 19)])
    assert counts[drawn].tolist() == [18.0], "it stands for all that nobody judged"


# --- What they must not touch -------------------------------------------------------------------------------------


def test_without_labels_a_lesson_says_nothing_of_editors(site: Site, graph: ListGraph, plain: Study) -> None:
    assert set(plain.lesson.to_json()) == {"used", "reason", "lists", "gain", "models"}
    assert json.dumps(study(site, graph, NO_LABELS).lesson.to_json()) == json.dumps(plain.lesson.to_json())


def test_labels_of_unknown_ids_are_counted_and_change_nothing_else(site: Site, graph: ListGraph, plain: Study) -> None:
    unknown = EditorLabels(frozenset({("000", "gone"), ("gone", "000")}), frozenset({("001", "001")}))

    lesson = study(site, graph, unknown).lesson

    reason = "none of the pairs that editors judged is a candidate any more"
    assert lesson.editors == EditorsLesson(False, reason, 0, 0, 3)
    assert replace(lesson, editors=None) == plain.lesson


def test_some_unknown_labels_are_skipped_and_the_others_teach(
    site: Site, graph: ListGraph, labels: EditorLabels
) -> None:
    more = EditorLabels(labels.approved | {("000", "gone")}, labels.excluded | {("gone", "001")})

    lesson, expected = study(site, graph, more).lesson, study(site, graph, labels).lesson

    assert lesson.editors is not None
    assert expected.editors is not None
    assert lesson == replace(expected, editors=replace(expected.editors, missing=2))


def test_a_page_is_judged_by_models_that_have_not_seen_its_labels(
    site: Site, graph: ListGraph, plain: Study, labels: EditorLabels
) -> None:
    """The labels of one fold's pages are turned round: its own scores stay, those of the others move."""
    first = plain.validation.folds[0].pairs.rows.tolist()  # type: ignore[union-attr]
    turned = _turned(labels, {site.texts.ids[row] for row in first})

    before, after = (try_labels(site.landscape, graph, RowLabels.of(some, site.texts.ids)) for some in (labels, turned))

    np.testing.assert_allclose(after.taught[0].logits, before.taught[0].logits, atol=1e-9)
    np.testing.assert_allclose(after.taught[0].new_logits, before.taught[0].new_logits, atol=1e-9)
    assert not np.allclose(after.taught[1].logits, before.taught[1].logits, atol=1e-2)
    own = np.isin(before.held.page, first)
    assert own.any()
    np.testing.assert_allclose(after.held.taught[own], before.held.taught[own], atol=1e-9)
    assert (after.held.approved[own] != before.held.approved[own]).all()


def test_labels_of_pages_without_a_list_are_held_out_too(site: Site, plain: Study) -> None:
    lists = {ident: listed for row, (ident, listed) in enumerate(hubs(site).items()) if row >= 12}
    rows = RowLabels.of(by_author(site, plain.pairs, range(12)), site.texts.ids)

    for page in (0, 7):
        single = rows.without(np.setdiff1d(np.arange(PAGES), [page]))
        trial = try_labels(site.landscape, site.graph(lists), single)
        assert trial.held.page.tolist() == [page] * len(single)
        np.testing.assert_allclose(trial.held.taught, trial.held.plain, atol=1e-12)


def test_labels_that_lower_recall_are_not_used(site: Site, graph: ListGraph, plain: Study) -> None:
    """Editors who exclude all that a list names which the page's candidate answers, and approve the rest."""
    ids, back = site.texts.ids, SIGNALS.index("lists_back")
    pairs = plain.pairs
    owner, spoken = pairs.rows[pairs.owner], pairs.values[:, back] > 0
    sides = [
        frozenset((ids[s], ids[t]) for s, t in zip(owner[side].tolist(), pairs.columns[side].tolist(), strict=True))
        for side in (~spoken & (np.arange(len(owner)) % 9 == 0), spoken)
    ]

    lesson = study(site, graph, EditorLabels(*sides)).lesson

    assert lesson.editors is not None
    assert not lesson.editors.used
    assert lesson.editors.gain is not None
    assert lesson.editors.gain[2] < 0
    assert replace(lesson, editors=None) == plain.lesson


@pytest.mark.parametrize(
    ("sure", "gain", "between", "used"),
    [
        (True, (0.1, 0.0, 0.2), (0.1, 0.0, 0.2), True),
        (True, (0.0, 0.0, 0.0), None, True),
        (True, (-0.1, -0.2, 0.1), None, False),
        (True, (-0.1, -0.2, 0.1), (0.1, 0.0, 0.2), False),
        (True, (-0.1, -0.2, 0.1), (0.1, 0.05, 0.2), True),
        (True, (-0.1, -0.2, -0.01), (0.1, 0.05, 0.2), False),
        (True, (0.1, 0.05, 0.2), (-0.1, -0.2, -0.01), False),
        (False, (0.1, 0.05, 0.2), (0.1, 0.05, 0.2), False),
    ],
)
def test_labels_are_used_when_neither_interval_lies_below_zero_and_a_small_loss_is_made_up_for(
    sure: bool, gain: tuple[float, float, float], between: tuple[float, float, float] | None, used: bool
) -> None:
    separation = Separation(0.5, 0.5, between, 3, 4) if between else None

    assert editor_trial._decide(sure, gain, separation)[0] is used


# --- Labels alone -------------------------------------------------------------------------------------------------


def test_where_there_are_no_lists_enough_labels_teach_alone(site: Site, plain: Study) -> None:
    empty = site.graph({})
    labels = by_author(site, plain.pairs, range(24), 12)

    found = study(site, empty, labels)

    lesson, pairs = found.lesson, found.pairs
    assert found.validation is None
    assert lesson.used
    assert lesson.reason == f"learned from {len(labels)} decisions of editors, as 0 lists are too few"
    assert lesson.editors is not None
    assert lesson.editors.gain is None
    assert lesson.editors.separation is not None
    assert lesson.editors.separation.gain[1] > 0
    default = DEFAULT.logits(pairs.values)
    assert gap(lesson.logits(pairs), pairs, range(24, PAGES)) < gap(default, pairs, range(24, PAGES)) - 0.3
    best = [np.quantile(logits, [0.75, 0.9, 0.99]) for logits in (lesson.logits(pairs), default)]
    assert best[0] == pytest.approx(best[1], abs=0.1), "it promises as much as the default"
    assert lesson.texts == DEFAULT


def test_without_lists_few_labels_or_of_one_kind_teach_nothing(site: Site, plain: Study) -> None:
    empty = site.graph({})
    few = by_author(site, plain.pairs, range(4))
    approved = replace(by_author(site, plain.pairs, range(24), 12), excluded=frozenset())

    for labels in (few, approved):
        lesson = study(site, empty, labels).lesson

        reason = f"without lists, fewer than {MIN_EACH} approvals or exclusions are too few to learn from"
        told = EditorsLesson(False, reason, len(labels.approved), len(labels.excluded), 0)
        assert lesson == replace(UNTAUGHT, editors=told)


def test_without_lists_labels_at_random_are_not_used(site: Site) -> None:
    rng = np.random.default_rng(0)
    drawn = [(source, target) for source, listed in random_lists(site, rng, 6).items() for target in listed]
    labels = EditorLabels(frozenset(drawn[::2]), frozenset(drawn[1::2]))

    lesson = study(site, site.graph({}), labels).lesson

    assert lesson.editors is not None
    assert lesson.editors.reason == "what they teach is no sure gain over the default"
    assert replace(lesson, editors=None) == UNTAUGHT


# --- Told and kept ------------------------------------------------------------------------------------------------


def test_the_share_of_couples_ranked_right_counts_ties_half() -> None:
    approved = np.array([True, True, False, False])

    assert share_right(np.array([3.0, 1.0, 2.0, 1.0]), approved) == pytest.approx((2 + 0.5) / 4)
    assert share_right(np.array([2.0, 2.0, 1.0, 0.0]), approved) == 1.0
    assert share_right(np.array([3.0, 1.0, 2.0, 1.0]), approved, np.array([1.0, 0.0, 2.0, 1.0])) == 1.0


def test_one_kind_of_label_has_no_separation(site: Site, graph: ListGraph, labels: EditorLabels) -> None:
    told = study(site, graph, replace(labels, excluded=frozenset())).lesson.editors

    assert told is not None
    assert told.separation is None
    assert told.gain is not None


@pytest.mark.parametrize(
    "told",
    [
        None,
        EditorsLesson(False, "why", 0, 0, 3),
        EditorsLesson(True, "why", 5, 4, 1, (0.1, -0.2, 0.3), Separation(0.5, 0.75, (0.25, 0.1, 0.4), 5, 4)),
    ],
)
def test_a_lesson_keeps_what_editors_taught(told: EditorsLesson | None) -> None:
    lesson = replace(UNTAUGHT, editors=told)

    assert Lesson.from_json(json.loads(json.dumps(lesson.to_json()))) == lesson


def test_the_same_labels_teach_the_same_each_time(site: Site, graph: ListGraph, labels: EditorLabels) -> None:
    assert study(site, graph, labels).lesson == study(site, graph, labels).lesson


def test_progress_is_told_fold_by_fold(site: Site, graph: ListGraph, plain: Study, labels: EditorLabels) -> None:
    for some in (labels, EditorLabels(frozenset({("000", "gone")}))):
        done: list[int] = []
        learn_with_editors(site.landscape, graph, plain.pairs, some, done.append)
        assert done == [1] * learning.FOLDS


def test_no_labels_fit_what_lists_alone_fit(site: Site, graph: ListGraph, plain: Study) -> None:
    none = RowLabels.of(NO_LABELS, site.texts.ids)

    assert fit_both(plain.pairs, graph, none) == fit_both(plain.pairs, graph, NO_ROWS)


def test_a_build_learns_from_labels_and_new_ones_are_a_change(tmp_path: Path, encoder: CountingEncoder) -> None:
    pages, home = write_site(tmp_path / "site"), tmp_path / "home"
    asked: list[set[str]] = []
    excluded = {("page-000", "page-001")}

    def labels() -> EditorLabels:
        return EditorLabels(frozenset({("page-000", "page-002")}), frozenset(excluded))

    def labels_of(catalogue: Catalogue, last: Edition | None) -> EditorLabels:
        asked.append({essay.id for essay in catalogue.essays})
        return labels()

    build([pages], home, encoder, BuildOptions())
    before = open_current(home).manifest
    build([pages], home, encoder, BuildOptions(), labels_of=labels_of)
    taught = open_current(home).manifest
    judged_anew, _ = evaluate_edition(open_current(home), labels=labels())
    build([pages], home, encoder, BuildOptions(), labels_of=labels_of)
    again = open_current(home).manifest
    excluded.add(("page-000", "page-003"))
    build([pages], home, encoder, BuildOptions(), labels_of=labels_of)
    more = open_current(home).manifest

    assert asked == [{f"page-{number:03}" for number in range(12)}] * 3
    assert "editors" not in before["lesson"]
    assert (taught["lesson"]["editors"]["approved"], taught["lesson"]["editors"]["excluded"]) == (1, 1)
    assert taught["evaluation"]["details"]["learned"]["editors"] == taught["lesson"]["editors"]
    assert len({before["inputs"], taught["inputs"], more["inputs"]}) == 3
    assert judged_anew["details"]["learned"] == taught["evaluation"]["details"]["learned"]
    assert again["inputs"] == taught["inputs"]
    assert again["lesson"] == taught["lesson"]
    assert more["lesson"]["editors"]["excluded"] == 2


def _turned(labels: EditorLabels, sources: set[str]) -> EditorLabels:
    """The same with approved and excluded exchanged on these pages."""
    flipped = [{pair for pair in side if pair[0] in sources} for side in (labels.approved, labels.excluded)]
    approved = (labels.approved - flipped[0]) | flipped[1]
    return EditorLabels(frozenset(approved), frozenset((labels.excluded - flipped[1]) | flipped[0]))
