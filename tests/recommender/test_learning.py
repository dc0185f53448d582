"""What lists teach, and how honestly it is judged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from embeddings.encoder import Progress
from recommender import learning
from recommender.candidates import CandidateFinder, Pairs
from recommender.learning import (
    FOLDS,
    KNOTS,
    MIN_LISTS,
    UNTAUGHT,
    CrossValidation,
    Lesson,
    calibrate,
    cross_validate,
    default_recalls,
    is_listed,
    recalls,
    teach,
    without_signals,
)
from recommender.list_graph import ListGraph
from recommender.metrics import bootstrap
from recommender.model import DEFAULT, probability, set_right
from recommender.signals import FROM_LINKS_HERE, SIGNALS
from recommender.study import study_lists
from tests.recommender.sites import Site, dense_pairs, random_lists, random_site

PAGES, GROUP = 48, 6


def hubs(site: Site) -> dict[str, list[str]]:
    """A rule that no text shows: the first of each group lists the group; the others list it, the first of the site,
    and one at random."""
    ids, rng = site.texts.ids, np.random.default_rng(0)
    lists = {}
    for row, ident in enumerate(ids):
        hub = row - row % GROUP
        others = [other for other in ids if other not in (ident, ids[hub], ids[0])]
        group = list(ids[hub + 1 : hub + GROUP])
        lists[ident] = group if row == hub else [ids[hub], ids[0], str(rng.choice(others))]
    return lists


def foretold_lists(site: Site, length: int) -> dict[str, list[str]]:
    """Of every essay the best by the default model."""
    blank = CandidateFinder(site.landscape, site.graph({})).of_site()
    lists = {}
    for row, ident in enumerate(site.texts.ids):
        scores = DEFAULT.logits(blank.values[blank.of(row)])
        best = blank.columns[blank.of(row)][np.argsort(-scores, kind="stable")[:length]]
        lists[ident] = [site.texts.ids[column] for column in best]
    return lists


def learned_of(site: Site, lists: Mapping[str, Sequence[str]]) -> tuple[CrossValidation | None, Lesson]:
    """What study_lists() makes of a site."""
    graph = site.graph(lists)
    pairs = CandidateFinder(site.landscape, graph).of_site()
    validation = cross_validate(site.landscape, graph)
    return validation, teach(graph, validation, pairs, default_recalls(pairs, graph))


def taught_anyway(graph: ListGraph, pairs: Pairs) -> Lesson:
    """The models that these lists teach, whether they help or not, not set right."""
    lists = len(graph.listing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "recalls", lambda validation, graph: np.ones(lists))
        return teach(graph, CrossValidation((), (), ()), pairs, np.zeros(lists))


@pytest.fixture(scope="module")
def site() -> Site:
    return random_site(PAGES, seed=3)


@pytest.fixture(scope="module")
def graph(site: Site) -> ListGraph:
    return site.graph(hubs(site))


@pytest.fixture(scope="module")
def pairs(site: Site, graph: ListGraph) -> Pairs:
    return CandidateFinder(site.landscape, graph).of_site()


@pytest.fixture(scope="module")
def validation(site: Site, graph: ListGraph) -> CrossValidation:
    found = cross_validate(site.landscape, graph)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def lesson(graph: ListGraph, validation: CrossValidation, pairs: Pairs) -> Lesson:
    return teach(graph, validation, pairs, default_recalls(pairs, graph))


# --- Folds --------------------------------------------------------------------------------------------------------


def test_folds_are_of_pages_disjoint_and_cover_every_list(site: Site) -> None:
    lists = {ident: listed for row, (ident, listed) in enumerate(hubs(site).items()) if row % 4}
    validation = cross_validate(site.landscape, site.graph(lists))
    assert validation is not None

    rows = [fold.pairs.rows.tolist() for fold in validation.folds]

    assert len(rows) == FOLDS == 5
    assert sorted(row for fold in rows for row in fold) == [row for row in range(PAGES) if row % 4]
    assert sorted(len(fold) for fold in rows) == [7, 7, 7, 7, 8]
    assert rows != sorted(rows), "dealt at random, so that no order of the site makes a fold of its own"


def test_a_fold_is_scored_by_signals_from_which_all_its_lists_are_hidden(
    site: Site, graph: ListGraph, validation: CrossValidation
) -> None:
    for fold in validation.folds:
        rows = fold.pairs.rows
        expected = CandidateFinder(site.landscape, graph.without(rows.tolist())).of_site().select(rows)

        assert (fold.pairs.columns == expected.columns).all()
        assert (fold.pairs.values == expected.values).all()
        assert (fold.new_pairs.columns == expected.as_new().columns).all()
        assert (fold.new_pairs.values == expected.as_new().values).all()


def test_the_weights_by_which_a_fold_is_scored_do_not_know_its_lists(site: Site, validation: CrossValidation) -> None:
    """Its lists become others; its scores stay, until the other folds' promises set them right."""
    rows = validation.folds[0].pairs.rows
    ids = site.texts.ids
    others = hubs(site) | {ids[row]: [ids[(row + 9) % PAGES], ids[(row + 10) % PAGES]] for row in rows}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "calibrate", lambda scored, graph: ())
        first, second = (cross_validate(site.landscape, site.graph(lists)) for lists in (hubs(site), others))
    assert first is not None
    assert second is not None

    assert (first.folds[0].pairs.columns == second.folds[0].pairs.columns).all()
    np.testing.assert_allclose(first.folds[0].logits, second.folds[0].logits, atol=1e-6)
    np.testing.assert_allclose(first.folds[0].new_logits, second.folds[0].new_logits, atol=1e-6)
    assert not np.allclose(first.folds[1].logits, second.folds[1].logits, atol=1e-2), "but they teach the others"


def test_a_fold_is_scored_by_what_the_lists_of_the_other_folds_would_teach(
    site: Site, graph: ListGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "calibrate", lambda scored, graph: ())
    validation = cross_validate(site.landscape, graph)
    assert validation is not None

    for fold in validation.folds[:2]:
        hidden = graph.without(fold.pairs.rows.tolist())
        taught = taught_anyway(hidden, CandidateFinder(site.landscape, hidden).of_site())
        np.testing.assert_allclose(fold.logits, taught.logits(fold.pairs), atol=1e-6)
        np.testing.assert_allclose(fold.new_logits, taught.new.logits(fold.new_pairs.values), atol=1e-6)
        assert not np.allclose(fold.new_logits, taught.listed.logits(fold.new_pairs.values), atol=1e-2)


def test_a_fold_is_set_right_by_the_promises_of_the_others(
    site: Site, graph: ListGraph, validation: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "calibrate", lambda scored, graph: ())
    plain = cross_validate(site.landscape, graph)
    assert plain is not None

    for i, fold in enumerate(validation.folds):
        others = [other for j, other in enumerate(plain.folds) if j != i]
        curve = calibrate([(other.pairs, other.logits) for other in others], graph)
        new_curve = calibrate([(other.new_pairs, other.new_logits) for other in others], graph)
        np.testing.assert_allclose(fold.logits, set_right(plain.folds[i].logits, curve), atol=1e-9)
        np.testing.assert_allclose(fold.new_logits, set_right(plain.folds[i].new_logits, new_curve), atol=1e-9)
    assert validation.curve == calibrate([(fold.pairs, fold.logits) for fold in plain.folds], graph)
    assert validation.new_curve == calibrate([(fold.new_pairs, fold.new_logits) for fold in plain.folds], graph)
    assert len(validation.curve) > 2
    assert validation.curve != validation.new_curve


@pytest.mark.parametrize(("lists", "learned"), [(MIN_LISTS - 1, False), (MIN_LISTS, True)])
def test_too_few_lists_are_not_learned_from(lists: int, learned: bool) -> None:
    site = random_site(36, seed=1)
    some = dict(list(random_lists(site, np.random.default_rng(0), 3).items())[:lists])

    validation, lesson = learned_of(site, some)

    assert MIN_LISTS == 30
    assert (validation is not None) is learned
    assert lesson.lists == lists
    if not learned:
        reason = "29 lists are too few to learn from (under 30)"
        assert lesson == Lesson(False, reason, 29, None, DEFAULT, DEFAULT, DEFAULT)


def test_a_site_without_lists_is_untaught() -> None:
    validation, lesson = learned_of(random_site(5, seed=0), {})

    assert validation is None
    assert lesson == UNTAUGHT
    assert (lesson.used, lesson.lists, lesson.gain) == (False, 0, None)
    assert lesson.listed == lesson.new == lesson.texts == DEFAULT


def test_progress_is_told_fold_by_fold(site: Site, graph: ListGraph) -> None:
    done: list[int] = []

    cross_validate(site.landscape, graph, done.append)

    assert done == [1] * FOLDS


def test_the_same_lists_teach_the_same_each_time(
    site: Site, graph: ListGraph, validation: CrossValidation, lesson: Lesson
) -> None:
    again, lesson_again = learned_of(site, hubs(site))
    assert again is not None

    assert lesson_again == lesson
    assert (again.curve, again.new_curve) == (validation.curve, validation.new_curve)
    for first, second in zip(again.folds, validation.folds, strict=True):
        assert (first.pairs.rows == second.pairs.rows).all()
        assert (first.logits == second.logits).all()
        assert (first.new_logits == second.new_logits).all()


# --- Without signals, and from a part of the lists ----------------------------------------------------------------


def test_signals_left_out_are_silent_in_every_fold(site: Site, graph: ListGraph, validation: CrossValidation) -> None:
    found = cross_validate(site.landscape, graph, left_out=("lists_back", "meaning"))
    assert found is not None

    silent = [SIGNALS.index(signal) for signal in ("lists_back", "meaning")]
    for fold, full in zip(found.folds, validation.folds, strict=True):
        assert not fold.pairs.values[:, silent].any()
        assert not fold.new_pairs.values[:, silent].any()
        assert (np.delete(fold.pairs.values, silent, 1) == np.delete(full.pairs.values, silent, 1)).all()
        assert full.pairs.values[:, silent].any()
    assert recalls(found, graph).mean() < recalls(validation, graph).mean() - 0.05, "lists_back is what told most"


def test_nothing_left_out_leaves_all(pairs: Pairs) -> None:
    assert (without_signals(pairs, ()).values == pairs.values).all()


def test_only_the_lists_that_may_be_seen_teach_and_all_are_judged(site: Site, graph: ListGraph) -> None:
    seen = np.arange(40)
    found = cross_validate(site.landscape, graph, taught_by=seen)
    assert found is not None

    assert sorted(row for fold in found.folds for row in fold.pairs.rows.tolist()) == list(range(PAGES))
    for fold in found.folds:
        rows = fold.pairs.rows
        hidden = graph.without({*rows.tolist(), *range(40, PAGES)})
        expected = CandidateFinder(site.landscape, hidden).of_site().select(rows)
        np.testing.assert_allclose(fold.pairs.values, expected.values, atol=1e-5)
        assert (fold.pairs.listed == expected.listed).all()


def test_too_few_lists_that_may_be_seen_teach_nothing(site: Site, graph: ListGraph) -> None:
    assert cross_validate(site.landscape, graph, taught_by=np.arange(20)) is None
    assert cross_validate(site.landscape, graph, taught_by=np.arange(0)) is None


# --- Recall -------------------------------------------------------------------------------------------------------


def test_recall_is_the_share_of_each_list_among_its_pages_ten_best(
    graph: ListGraph, validation: CrossValidation
) -> None:
    expected: dict[int, float] = {}
    for fold in validation.folds:
        for place, row in enumerate(fold.pairs.rows.tolist()):
            part = fold.pairs.of(place)
            scored = zip(-fold.logits[part], fold.pairs.columns[part].tolist(), strict=True)
            best = {column for _score, column in sorted(scored)[:10]}
            listed = set(graph.targets(row).tolist())
            expected[row] = len(listed & best) / len(listed)

    assert recalls(validation, graph).tolist() == pytest.approx([expected[row] for row in graph.listing.tolist()])
    assert len(expected) == PAGES


def test_scored_gives_each_page_with_its_candidates_as_listed_or_as_new(validation: CrossValidation) -> None:
    for new_page in (False, True):
        found = {row: rest for row, *rest in validation.scored(new_page)}
        fold = validation.folds[2]
        pairs, logits = (fold.new_pairs, fold.new_logits) if new_page else (fold.pairs, fold.logits)
        columns, scores, values = found[int(pairs.rows[3])]

        assert sorted(found) == list(range(PAGES))
        assert (columns == pairs.columns[pairs.of(3)]).all()
        assert (scores == logits[pairs.of(3)]).all()
        assert (values == pairs.values[pairs.of(3)]).all()
        assert bool(values[:, SIGNALS.index("co_listed")].any()) is not new_page


def test_default_recalls_are_those_of_the_texts_alone(site: Site, graph: ListGraph, pairs: Pairs) -> None:
    blank = CandidateFinder(site.landscape, site.graph({})).of_site()
    expected = []
    for row in range(PAGES):
        scores = DEFAULT.logits(blank.values[blank.of(row)])
        best = blank.columns[blank.of(row)][np.argsort(-scores, kind="stable")[:10]]
        expected.append(np.isin(graph.targets(row), best).mean())

    assert default_recalls(pairs, graph).tolist() == pytest.approx(expected)
    assert 0.05 < np.mean(expected) < 0.4, "about chance: the rule is not in the texts"


def test_pairs_that_the_editors_list_are_known_by_their_page() -> None:
    graph = ListGraph.of("abcd", {"a": "bd", "c": "a"})
    pairs = dense_pairs(4)

    assert np.flatnonzero(is_listed(pairs, graph)).tolist() == [0, 2, 6]
    assert is_listed(pairs.select(np.array([2, 0])), graph).tolist() == [True, False, False, True, False, True]
    assert is_listed(pairs.select(np.array([1, 3])), graph).tolist() == [False] * 6
    assert is_listed(pairs.select(np.zeros(0, np.int64)), graph).tolist() == []


# --- The lesson ---------------------------------------------------------------------------------------------------


def test_a_rule_that_no_text_shows_is_learned_from_the_lists(
    graph: ListGraph, pairs: Pairs, validation: CrossValidation, lesson: Lesson
) -> None:
    by_default, by_lists = default_recalls(pairs, graph).mean(), recalls(validation, graph).mean()

    assert by_default < 0.3
    assert by_lists > by_default + 0.3
    assert lesson.used
    assert lesson.lists == PAGES
    assert lesson.gain == bootstrap(recalls(validation, graph) - default_recalls(pairs, graph))
    assert lesson.gain[1] > 0.2
    assert lesson.reason == "learned from 48 lists: a sure gain over the default"
    assert lesson.listed.weight_of("lists_back") > 0.3


def test_new_pages_have_a_model_of_their_own_without_what_only_links_tell(lesson: Lesson) -> None:
    assert lesson.model_for(True) == lesson.listed
    assert lesson.model_for(False) == lesson.new
    assert lesson.listed != lesson.new
    assert not any(lesson.new.weight_of(signal) for signal in FROM_LINKS_HERE)
    assert any(lesson.listed.weight_of(signal) for signal in FROM_LINKS_HERE)


def test_what_is_left_of_the_rule_on_new_pages_is_learned_too(
    graph: ListGraph, pairs: Pairs, validation: CrossValidation
) -> None:
    as_new, as_listed = recalls(validation, graph, new_page=True), recalls(validation, graph)

    # The first of the site stands in most lists; of the group nothing shows any more.
    favourite = [np.lexsort((columns, -logits))[:3].tolist() for _, columns, logits, _ in validation.scored(True)]
    assert np.mean([0 in best for best in favourite]) > 0.7
    assert default_recalls(pairs, graph).mean() + 0.1 < as_new.mean() < as_listed.mean() - 0.1


def test_both_models_are_set_right_by_all_folds(validation: CrossValidation, lesson: Lesson) -> None:
    assert (lesson.listed.curve, lesson.new.curve) == (validation.curve, validation.new_curve)


def test_each_pair_is_scored_by_the_model_for_its_page(lesson: Lesson, pairs: Pairs) -> None:
    mixed = replace(pairs, listed=np.arange(PAGES) % 2 == 0)

    found = lesson.logits(mixed)

    by_listed, by_new = lesson.listed.logits(pairs.values), lesson.new.logits(pairs.values)
    even = pairs.owner % 2 == 0
    assert (found[even] == by_listed[even]).all()
    assert (found[~even] == by_new[~even]).all()
    assert (by_listed != by_new).any()


def test_the_texts_are_set_right_by_the_lists_too(graph: ListGraph, pairs: Pairs, lesson: Lesson) -> None:
    assert lesson.texts == replace(DEFAULT, curve=lesson.texts.curve)
    assert lesson.texts.curve == calibrate([(pairs, DEFAULT.logits(pairs.values))], graph)
    share = is_listed(pairs, graph).mean()
    assert lesson.texts.probabilities(pairs.values).mean() == pytest.approx(share, abs=0.02)


def test_where_the_texts_foretell_all_lists_the_default_stays() -> None:
    site = random_site(40, seed=2)

    validation, lesson = learned_of(site, foretold_lists(site, 5))

    assert validation is not None
    assert not lesson.used
    assert lesson.gain is not None
    assert lesson.gain[0] <= 0, "every list was found by the default"
    assert lesson.reason == "what the lists teach is no sure gain over the default"
    assert lesson.listed == lesson.new == lesson.texts
    assert lesson.texts == replace(DEFAULT, curve=lesson.texts.curve)
    assert len(lesson.texts.curve) > 2


@pytest.mark.parametrize(("gains", "used"), [([0.5, -0.45], False), ([0.5, -0.1], True), ([0.0, 0.0], False)])
def test_only_a_sure_gain_is_used(
    gains: list[float], used: bool, graph: ListGraph, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_lists = np.tile(gains, PAGES // 2)
    monkeypatch.setattr(learning, "recalls", lambda validation, graph: by_lists)

    lesson = teach(graph, CrossValidation((), (), ()), pairs, np.zeros(PAGES))

    assert lesson.used is used
    assert lesson.gain == bootstrap(by_lists)
    assert (lesson.listed == lesson.texts) is not used
    assert (lesson.new == lesson.texts) is not used


def test_models_know_how_often_editors_list_though_they_learn_from_a_sample(
    graph: ListGraph, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "NEGATIVES", 4)  # of about 44 on each page

    lesson = taught_anyway(graph, pairs)

    for model, part in ((lesson.listed, pairs), (lesson.new, pairs.as_new())):
        share = is_listed(part, graph).mean()
        assert model.curve == ()
        assert model.probabilities(part.values).mean() == pytest.approx(share, abs=0.015)
    assert 0.05 < share < 0.08


def test_the_heavier_the_penalty_the_nearer_what_is_learned_to_the_default(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of lists by the hidden rule and by the texts, both."""
    by_text = foretold_lists(site, 3)
    graph = site.graph({ident: [*listed, *by_text[ident]] for ident, listed in hubs(site).items()})
    pairs = CandidateFinder(site.landscape, graph).of_site()
    default = DEFAULT.logits(pairs.values)
    alike = []
    for penalty in (1e-3, learning.PENALTY, 1e7):
        monkeypatch.setattr(learning, "PENALTY", penalty)
        alike.append(np.corrcoef(taught_anyway(graph, pairs).listed.logits(pairs.values), default)[0, 1])

    assert alike[0] < alike[1] < alike[2]
    assert alike[0] < 0.6
    assert alike[2] > 0.95


def test_a_signal_that_nowhere_varies_has_no_weight(site: Site, graph: ListGraph) -> None:
    pairs = CandidateFinder(site.landscape, graph).of_site()
    flat = [SIGNALS.index(signal) for signal in ("author", "category")]
    pairs.values[:, flat] = 0.7

    lesson = taught_anyway(graph, pairs)

    assert lesson.used
    assert DEFAULT.weight_of("category") > 0
    assert [lesson.listed.weights[i] for i in flat] == [0.0, 0.0]
    assert [lesson.listed.scale[i] for i in flat] == [1.0, 1.0]
    assert [lesson.listed.mean[i] for i in flat] == pytest.approx([0.7, 0.7])


def test_a_lesson_comes_back_from_json_and_scores_the_same(lesson: Lesson, pairs: Pairs) -> None:
    again = Lesson.from_json(json.loads(json.dumps(lesson.to_json())))

    assert (again.used, again.reason, again.lists, again.gain) == (
        lesson.used,
        lesson.reason,
        lesson.lists,
        lesson.gain,
    )
    np.testing.assert_allclose(again.logits(pairs), lesson.logits(pairs), atol=1e-3)
    for new in (False, True):
        model, before = again.model_for(not new), lesson.model_for(not new)
        np.testing.assert_allclose(model.logits(pairs.values), before.logits(pairs.values), atol=1e-3)
        assert model.name == before.name
    assert again.texts.probabilities(pairs.values) == pytest.approx(lesson.texts.probabilities(pairs.values), abs=1e-4)


@pytest.mark.parametrize("plain", [UNTAUGHT, Lesson(False, "why", 3, (0.1, -0.25, 0.4), DEFAULT, DEFAULT, DEFAULT)])
def test_a_lesson_of_nothing_learned_comes_back_as_it_was(plain: Lesson) -> None:
    assert Lesson.from_json(json.loads(json.dumps(plain.to_json()))) == plain


def test_a_study_is_the_candidates_the_proof_and_the_lesson_of_all_lists(
    site: Site, graph: ListGraph, pairs: Pairs, validation: CrossValidation, lesson: Lesson
) -> None:
    class Listening:
        def __init__(self) -> None:
            self.heard: list[tuple[str, int, list[int]]] = []

        def stage(self, name: str, total: int) -> Progress:
            done: list[int] = []
            self.heard.append((name, total, done))
            return done.append

    watch = Listening()

    study = study_lists(SimpleNamespace(ids=site.texts.ids, landscape=site.landscape, graph=graph), watch)

    assert study.lesson == lesson
    assert (study.pairs.columns == pairs.columns).all()
    assert (study.pairs.values == pairs.values).all()
    assert study.validation is not None
    assert study.validation.curve == validation.curve
    assert watch.heard == [("finding candidates", PAGES, [PAGES]), ("learning from lists", FOLDS, [1] * FOLDS)]


# --- Calibration --------------------------------------------------------------------------------------------------


def scored(number: int, promise: float, seed: int = 0) -> tuple[Pairs, np.ndarray, ListGraph, np.ndarray]:
    """All pairs of a site, their logits, their lists, and how probably each pair was listed: 1 / (1 + exp(3 - x/2))."""
    rng = np.random.default_rng(seed)
    pairs = dense_pairs(number)
    truth = rng.normal(scale=2.0, size=len(pairs.columns)) - 3.0
    labels = rng.random(len(truth)) < probability(truth)
    ids = [f"{n:03d}" for n in range(number)]
    lists: dict[str, list[str]] = {ident: [] for ident in ids}
    for row, column in zip(pairs.owner[labels].tolist(), pairs.columns[labels].tolist(), strict=True):
        lists[ids[row]].append(ids[column])
    return pairs, truth * promise, ListGraph.of(ids, lists), truth


@pytest.mark.parametrize("promise", [1.0, 3.0, 0.4, -0.0001])
def test_calibrated_scores_are_what_really_happens(promise: float) -> None:
    """However much too sure or too modest the logits are; those that tell nothing promise the mean."""
    pairs, logits, graph, truth = scored(150, promise)
    curve = calibrate([(pairs, logits)], graph)

    found = probability(set_right(logits, curve))

    labels = is_listed(pairs, graph)
    expected = probability(truth) if promise > 0 else np.full(len(truth), labels.mean())
    assert np.abs(found - expected).mean() < 0.015
    assert found.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_a_curve_rises_over_at_most_twelve_knots() -> None:
    pairs, logits, graph, _truth = scored(60, 1.0)

    curve = calibrate([(pairs, logits)], graph)
    x, y = np.array(curve).T

    assert len(curve) == KNOTS == 12
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()


def test_a_knot_is_a_bins_mean_logit_and_the_logit_of_the_share_listed_in_it() -> None:
    pairs, logits, graph, _truth = scored(60, 1.0)
    labels = is_listed(pairs, graph)

    first_x, first_y = calibrate([(pairs, logits)], graph)[0]

    edge = np.quantile(logits[labels], 1 / KNOTS)
    below = logits <= edge
    share = (labels[below].sum() + 0.5) / (below.sum() + 1)
    assert first_x == pytest.approx(logits[below].mean())
    assert first_y == pytest.approx(np.log(share / (1 - share)))


def test_parts_are_calibrated_as_one() -> None:
    pairs, logits, graph, _truth = scored(60, 1.0)
    halves = [np.arange(0, 25), np.arange(25, 60)]
    parts = [(pairs.select(half), np.concatenate([logits[pairs.of(p)] for p in half])) for half in halves]

    assert calibrate(parts, graph) == calibrate([(pairs, logits)], graph)


@pytest.mark.parametrize(("listed", "curved"), [(11, False), (12, True)])
def test_where_hardly_any_pair_is_listed_there_is_no_curve(listed: int, curved: bool) -> None:
    pairs = dense_pairs(20)
    ids = [chr(ord("a") + n) for n in range(20)]
    graph = ListGraph.of(ids, {ident: [ids[(n + 1) % 20]] for n, ident in enumerate(ids[:listed])})
    logits = np.random.default_rng(0).normal(size=len(pairs.columns))

    assert bool(calibrate([(pairs, logits)], graph)) is curved


def test_logits_that_are_all_one_promise_the_share_that_is_listed() -> None:
    pairs, logits, graph, _truth = scored(40, 1.0)
    flat = np.full_like(logits, 2.0)

    curve = calibrate([(pairs, flat)], graph)

    assert len(curve) == 1
    assert probability(set_right(flat, curve))[0] == pytest.approx(is_listed(pairs, graph).mean(), abs=0.005)


# --- Odd sites ----------------------------------------------------------------------------------------------------


def test_bins_that_hold_nothing_say_nothing() -> None:
    """Each of 21 pages: 14 pairs at logit 0, two of them listed, and 6 at logit 1, none listed: pooled, a tenth is."""
    pairs = dense_pairs(21)
    ids = [chr(ord("a") + n) for n in range(21)]
    lists = {ident: [ids[column] for column in pairs.columns[pairs.of(row)][:2]] for row, ident in enumerate(ids)}
    logits = np.tile([0.0] * 14 + [1.0] * 6, 21)

    curve = calibrate([(pairs, logits)], ListGraph.of(ids, lists))

    assert probability(set_right(np.array([0.0]), curve))[0] == pytest.approx(0.1, abs=0.003)


def test_a_site_of_which_every_page_lists_all_others_can_be_learned_from() -> None:
    site = random_site(32, seed=0)
    ids = site.texts.ids

    _validation, lesson = learned_of(site, {ident: [other for other in ids if other != ident] for ident in ids})

    assert not lesson.used
