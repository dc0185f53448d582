"""How well our lists find what editors listed: figures by hand, and what is hidden from whom."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log, log2

import numpy as np
import pytest

from recommender import evaluation, list_graph
from recommender.baselines import BASELINES, DEPTH
from recommender.blurb_recall import BlurbRecall
from recommender.calibration import binned
from recommender.evaluation import MEANING, OURS, PROTOCOLS, Evaluation, InDegrees, evaluate, judged_lists
from recommender.learning import MIN_LISTS, UNTAUGHT, CrossValidation, Fold, Lesson
from recommender.list_graph import MOST_JUDGED
from recommender.material import Material
from recommender.metrics import METRICS
from recommender.model import DEFAULT, Model
from recommender.neighbourhood import find_items
from recommender.ranking import Item, Ranking
from recommender.signals import SIGNALS
from recommender.study import Study, study_lists
from tests.fakes import essay
from tests.recommender.materials import lists_of_groups, material_of, quick_bootstrap
from tests.recommender.sites import dense_pairs, random_lists, random_site, site_of

SAID = Model.plain("says what the test says", {"votes": 1.0}, 0.0)
Scores = Mapping[tuple[str, str], float]
"""(page, candidate) -> its probability; of pairs that are not named, LOW."""
LOW = 0.015


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "bootstrap", quick_bootstrap)


def circle(number: int, lists: Mapping[str, Sequence[str]]) -> Material:
    """Essays "00", "01", ... five degrees from each other, that have no word in common, and these lists."""
    ids = [f"{n:02}" for n in range(number)]
    angles = np.radians(5.0 * np.arange(number))
    essays = [essay(i, f"word{i}of1 word{i}of2", related=tuple(lists.get(i, ()))) for i in ids]
    site = site_of(essays, np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    return material_of(site, lists)


def items_of(material: Material, **twins: str) -> dict[str, Item]:
    """The essays as items; twins: "_00" -> the group of essay 00."""
    return {ident: Item(ident, "essay", twins=twins.get(f"_{ident}")) for ident in material.ids}


def said(material: Material, scores: Scores, of_new_pages: Scores | None = None) -> Study:
    """A study in which every page has every other for a candidate, with these scores."""
    ids = material.ids
    pairs, as_new = dense_pairs(len(ids)), dense_pairs(len(ids))
    for some, theirs in ((pairs, scores), (as_new, scores if of_new_pages is None else of_new_pages)):
        found = [theirs.get((ids[r], ids[c]), LOW) for r, c in zip(some.owner, some.columns, strict=True)]
        some.values[:, SIGNALS.index("votes")] = [log(p / (1 - p)) for p in found]
    judged, judged_new = pairs.select(material.graph.listing), as_new.select(material.graph.listing)
    fold = Fold(judged, SAID.logits(judged.values), judged_new, SAID.logits(judged_new.values))
    lesson = Lesson(True, "said", len(material.graph.listing), (0.1, 0.05, 0.2), SAID, SAID, DEFAULT)
    return Study(pairs, CrossValidation((fold,), (), ()), lesson)


def cold(material: Material) -> Evaluation:
    """Judged with lists that are too few to learn from."""
    return evaluate(material, items_of(material), sum(map(len, judged_lists(material).values())), study_lists(material))


def figures(found: Evaluation, protocol: str, system: str) -> dict[str, float]:
    return {metric: interval[0] for metric, interval in found.protocols[protocol][system].items()}


def of_ours(found: Evaluation, protocol: str) -> dict[str, list[str]]:
    """Judged page -> our list."""
    return dict(zip(found.outcomes.judged, found.outcomes.runs[protocol][OURS], strict=True))


# --- By hand ------------------------------------------------------------------------------------------------------


LISTS = {"00": ["01", "06", "11"], "11": ["05"]}
IDEAL_OF_THREE = 1 + 1 / log2(3) + 1 / log2(4)


def test_every_metric_is_what_it_is_by_hand() -> None:
    # Nearest first, 00 finds 01, 02, ... 11: what it lists stands at 1, 6 and 11. 11 finds 05 at 6.
    found = figures(cold(circle(12, LISTS)), "cold", OURS)

    assert found == pytest.approx(
        {
            "curated_recall@5": (1 / 3 + 0) / 2,
            "curated_recall@10": (2 / 3 + 1) / 2,
            "curated_recall@50": 1.0,
            "hit@10": 1.0,
            "mrr": (1 + 1 / 6) / 2,
            "ndcg@10": ((1 + 1 / log2(7)) / IDEAL_OF_THREE + 1 / log2(7)) / 2,
        },
        abs=1e-6,
    )


def test_a_baseline_is_what_it_is_by_hand() -> None:
    found = cold(circle(12, LISTS))

    # Without its own list, 00 sees 05 listed once, then all others by id: 01 at 2, 06 at 6, 11 at 11. 11 sees 01, 06
    # and itself, then 00, 02, 03, 04, 05: it stands at 7.
    assert figures(found, "cold", "most_listed") == pytest.approx(
        {
            "curated_recall@5": 1 / 6,
            "curated_recall@10": (2 / 3 + 1) / 2,
            "curated_recall@50": 1.0,
            "hit@10": 1.0,
            "mrr": (1 / 2 + 1 / 7) / 2,
            "ndcg@10": ((1 / log2(3) + 1 / log2(7)) / IDEAL_OF_THREE + 1 / log2(8)) / 2,
        },
        abs=1e-6,
    )
    assert found.protocols["cold"]["dense"] == found.protocols["cold"][OURS]


def test_curves_tell_recall_at_every_depth_as_far_as_there_are_essays() -> None:
    curves = cold(circle(12, LISTS)).curves["cold"]

    assert curves[OURS] == [*[0.1667] * 5, *[0.8333] * 5, *[1.0] * 40]
    assert len(curves[OURS]) == DEPTH
    assert set(curves) == {*BASELINES, OURS}


def test_lift_is_over_the_best_baseline_list_by_list() -> None:
    # The two ends of the arc list each other. What orders by id alone shows 39 the first essay, but 00 not the last.
    material = circle(40, {"00": ["39"], "39": ["00"]})
    study = said(material, {("00", "39"): 0.9, ("39", "00"): 0.9})

    found = evaluate(material, items_of(material), 2, study)

    assert {name: figures(found, "curated", name)["curated_recall@10"] for name in BASELINES} == {
        "random": 0.0,
        "random_in_category": 0.0,
        "newest_in_category": 0.5,
        "most_listed": 0.5,
        "tfidf": 0.5,
        "bm25": 0.5,
        "dense": 0.0,
    }
    assert found.lift["curated"] == {"newest_in_category": quick_bootstrap(np.array([1.0, 0.0]))}
    assert found.lift["cold"] == {"newest_in_category": quick_bootstrap(np.array([0.0, -1.0]))}
    assert list(found.lift) == list(PROTOCOLS)


# --- Protocols ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lists", "protocols"), [(MIN_LISTS - 1, ["cold"]), (MIN_LISTS, list(PROTOCOLS)), (60, list(PROTOCOLS))]
)
def test_all_three_protocols_are_judged_where_there_are_lists_enough_to_learn_from(
    lists: int, protocols: list[str]
) -> None:
    site = random_site(60, 1)
    some = dict(list(random_lists(site, np.random.default_rng(2), 3).items())[:lists])
    material = material_of(site, some)

    found = evaluate(material, items_of(material), 3 * lists, study_lists(material))

    assert list(found.protocols) == protocols
    assert list(found.lift) == list(found.curves) == list(found.outcomes.runs) == protocols
    assert found.n == lists
    assert bool(found.calibration) == (len(protocols) == 3)
    for protocol, systems in found.protocols.items():
        assert set(systems) == {*BASELINES, OURS} | ({MEANING} if protocol != "cold" else set())
        assert {tuple(metrics) for metrics in systems.values()} == {tuple(METRICS)}


def test_each_protocol_has_its_own_scores_and_baselines_have_none() -> None:
    # The nearest of 00 are 01, 02, ...; the lists teach to list the farthest, and on a new page the middle.
    material = circle(12, LISTS)
    pages = [(one, other) for one in material.ids for other in material.ids]
    far = {(one, other): 0.02 + abs(int(one) - int(other)) / 100 for one, other in pages}
    middle = {(one, other): 0.3 - abs(abs(int(one) - int(other)) - 6) / 100 for one, other in pages}

    found = evaluate(material, items_of(material), 4, said(material, far, middle))

    assert of_ours(found, "curated")["00"] == [f"{n:02}" for n in range(11, 0, -1)]
    assert of_ours(found, "new_page")["00"][:3] == ["06", "05", "07"]
    for name in BASELINES:
        assert len({str(found.protocols[protocol][name]) for protocol in PROTOCOLS}) == 1
    assert found.protocols["curated"][MEANING] == found.protocols["new_page"][MEANING] == found.protocols["cold"][OURS]


def test_where_lists_teach_nothing_sure_all_protocols_judge_the_default() -> None:
    material = circle(12, LISTS)
    study = said(material, {("00", "06"): 0.9})
    unused = replace(study, lesson=replace(study.lesson, used=False, listed=DEFAULT, new=DEFAULT))

    found = evaluate(material, items_of(material), 4, unused)

    for protocol in PROTOCOLS:
        assert found.protocols[protocol][OURS] == found.protocols["cold"][OURS]
    assert evaluate(material, items_of(material), 4, study).protocols["curated"][OURS] != found.protocols["cold"][OURS]


def test_lists_that_teach_are_used_and_random_ones_are_not() -> None:
    site = random_site(60, 1)
    teaching = material_of(site, lists_of_groups(site.texts.ids, 6))
    silent = material_of(site, random_lists(site, np.random.default_rng(0), 3))

    learned, unlearned = (
        evaluate(material, items_of(material), 180, study_lists(material)) for material in (teaching, silent)
    )

    assert learned.lesson.used
    assert figures(learned, "curated", OURS)["curated_recall@10"] > 0.7
    assert figures(learned, "cold", OURS)["curated_recall@10"] < 0.3
    recall = {name: metrics["curated_recall@10"][0] for name, metrics in learned.protocols["curated"].items()}
    assert max(recall, key=recall.__getitem__) == OURS
    assert recall[MEANING] > max(recall[name] for name in BASELINES), "and yet no baseline:"
    [(best, lift)] = learned.lift["curated"].items()
    assert (best, lift[1] > 0.4) == ("dense", True)
    record = learned.to_json()["details"]["learned"]
    assert (record["used"], record["lists"], record["gain"]) == (True, 60, list(learned.lesson.gain or ()))
    assert set(record["weights"]) == {"listed", "new"}
    assert set(record["weights"]["listed"]) <= set(SIGNALS)
    assert record["weights"]["listed"]["co_listed"] > 0.2
    assert "co_listed" not in record["weights"]["new"]

    assert not unlearned.lesson.used
    assert unlearned.to_json()["details"]["learned"]["weights"] == {}
    assert (
        unlearned.to_json()["details"]["learned"]["reason"] == "what the lists teach is no sure gain over the default"
    )


# --- What is judged -----------------------------------------------------------------------------------------------


def test_a_list_counts_by_its_essays_of_the_site_and_the_ceiling_says_their_share() -> None:
    material = circle(12, LISTS | {"05": ["blurb:1", "gone"]})

    found = evaluate(material, items_of(material), 8, study_lists(material))

    assert judged_lists(material) == LISTS
    assert (found.n, found.ceiling) == (2, 0.5)
    assert found.outcomes.judged == ["00", "11"]
    assert found.outcomes.truth == LISTS


@pytest.mark.parametrize(("entries", "ceiling"), [(0, None), (3, 0.0)])
def test_without_a_list_of_its_essays_nothing_is_judged(entries: int, ceiling: float | None) -> None:
    material = circle(12, {})

    found = evaluate(material, items_of(material), entries, study_lists(material))

    assert found.to_json() == {
        "n": 0,
        "ceiling": ceiling,
        "details": {
            "lift": {},
            "rule_costs": {},
            "curves": {},
            "calibration": [],
            "in_degree": None,
            "learned": {
                "used": False,
                "reason": "the site has no curated list of its own essays",
                "lists": 0,
                "gain": None,
                "weights": {},
            },
            "blurbs": None,
        },
    }
    assert found.lesson == UNTAUGHT


def test_a_large_site_is_judged_on_a_sample_that_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(60, 1)
    material = material_of(site, random_lists(site, np.random.default_rng(2), 3))
    assert MOST_JUDGED == 5000
    monkeypatch.setattr(list_graph, "MOST_JUDGED", 7)

    first, second = (evaluate(material, items_of(material), 180, study_lists(material)) for _ in range(2))

    assert first.n == len(first.outcomes.judged) == 7
    assert first.outcomes.judged == sorted(first.outcomes.judged) == second.outcomes.judged
    assert first.to_json() == second.to_json()
    assert len(first.outcomes.truth) == 60


# --- Rules --------------------------------------------------------------------------------------------------------


def test_the_cost_of_near_duplicates_is_what_they_hide() -> None:
    # 00 lists 01 and its copy 02 and finds the first alone; 11 lists 05.
    material = circle(12, {"00": ["01", "02"], "11": ["05"]})
    study = said(material, {("00", "01"): 0.9, ("00", "02"): 0.8, ("11", "05"): 0.9})

    found = evaluate(material, items_of(material, _01="01", _02="01"), 3, study)

    assert of_ours(found, "curated")["00"][:2] == ["01", "03"]
    assert found.rule_costs["curated"]["near_duplicates"] == quick_bootstrap(np.array([0.5, 0.0]))
    assert found.rule_costs["curated"]["balance"] == (0.0, 0.0, 0.0)


def test_the_cost_of_balance_is_what_it_holds_back() -> None:
    # All pages want 00, twelve may have it; 19, which wants it least, is the one whose editors listed it.
    material = circle(20, {"19": ["00"], "18": ["01"]})
    wish = {(f"{n:02}", "00"): 0.9 - n / 100 for n in range(1, 20)}
    study = said(material, wish | {("18", "01"): 0.9})

    found = evaluate(material, items_of(material), 2, study)

    assert "00" not in of_ours(found, "curated")["19"]
    assert found.rule_costs["curated"]["balance"] == quick_bootstrap(np.array([0.0, 1.0]))
    assert found.rule_costs["curated"]["near_duplicates"] == (0.0, 0.0, 0.0)
    assert found.in_degree is not None
    assert found.in_degree.ours[0] == 13, "twelve that show it, and 18, whose page shows one and has it second"


def test_the_cost_of_a_rule_is_told_by_protocol_and_cold_as_on_a_site_without_lists() -> None:
    # Cold, near-duplicates are found anew: no two of these texts are alike.
    material = circle(12, {"00": ["01", "02"]})
    study = said(material, {("00", "01"): 0.9, ("00", "02"): 0.8})
    copies = items_of(material, _01="01", _02="01")

    found = evaluate(material, copies, 2, study)

    assert list(found.rule_costs) == list(PROTOCOLS)
    assert found.rule_costs["new_page"]["near_duplicates"] == (0.5, 0.5, 0.5)
    assert found.rule_costs["cold"] == {"near_duplicates": (0.0, 0.0, 0.0), "balance": (0.0, 0.0, 0.0)}
    assert list(evaluate(material, copies, 2, study_lists(material)).rule_costs) == ["cold"]


# --- Calibration --------------------------------------------------------------------------------------------------


def test_scores_are_held_against_what_editors_did_bin_by_bin() -> None:
    # 00 lists 01, 06 and 11; 11 lists 05. Eleven candidates each, those not named here at LOW.
    material = circle(12, LISTS)
    scores = {("00", "01"): 0.95, ("00", "06"): 0.92, ("00", "02"): 0.91, ("11", "05"): 0.25, ("11", "00"): 0.21}

    found = evaluate(material, items_of(material), 4, said(material, scores))

    assert [(b.low, b.high, b.n, b.mean_score, b.share_listed) for b in found.calibration] == [
        (0.01, 0.02, 17, LOW, round(1 / 17, 4)),
        (0.2, 0.3, 2, 0.23, 0.5),
        (0.9, 1.0, 3, round((0.95 + 0.92 + 0.91) / 3, 4), 0.6667),
    ]


@pytest.mark.parametrize(
    ("score", "low"), [(0.0099, 0.0), (0.01, 0.01), (0.0999, 0.05), (0.1, 0.1), (0.99, 0.9), (1.0, 0.9)]
)
def test_a_bin_holds_its_lower_end_and_the_last_one_both(score: float, low: float) -> None:
    [found] = binned(np.array([score]), np.array([True]))

    assert (found.low, found.n, found.share_listed) == (low, 1, 1.0)


def test_every_judged_pair_is_in_one_bin_whose_bounds_its_score_keeps() -> None:
    site = random_site(60, 1)
    material = material_of(site, lists_of_groups(site.texts.ids, 6))

    bins = evaluate(material, items_of(material), 180, study_lists(material)).calibration

    assert sum(b.n for b in bins) == 60 * 59
    assert sum(b.n * b.share_listed for b in bins) == pytest.approx(180, abs=0.5)
    for one in bins:
        assert one.low <= one.mean_score <= one.high
    assert [b.low for b in bins] == sorted(b.low for b in bins)
    assert bins[0].share_listed < bins[-1].share_listed


# --- The whole site -----------------------------------------------------------------------------------------------


def test_in_how_many_lists_essays_stand_is_told_of_ours_of_the_editors_and_of_dense() -> None:
    # Ten of eleven others each: the one that is left out is the far end of the arc, 00 or 11, by six pages each. Of
    # lists as long as the editors', 00's has 01, 02, 03 and 11's has 10; the others have everybody.
    found = cold(circle(12, LISTS))

    assert found.in_degree == InDegrees(
        ours=[*[11] * 10, 5, 5],
        editors=[1, 1, 1, 1, *[0] * 8],
        dense=[*[11] * 10, 5, 5],
        max_share=round(11 / 12, 4),
        max_share_by_default=round(10 / 12, 4),
        orphans=0.0,
        coverage=1.0,
        gini=round((-11 * 5 - 9 * 5 + 20 * 11) / (12 * 120), 4),
    )


def test_pages_without_a_list_have_the_lists_that_they_have_in_use() -> None:
    # Everybody wants 12 most, and then the first of the others by id. 00 alone has a list, of one.
    material = circle(13, {"00": ["12"]})
    wish = {(f"{n:02}", "12"): 0.9 for n in range(12)}

    found = evaluate(material, items_of(material), 1, said(material, wish)).in_degree

    assert found is not None
    assert found.ours == [*[12] * 10, 10, 0, 0]
    assert (found.orphans, found.coverage) == (round(2 / 13, 4), round(11 / 13, 4))
    assert found.max_share == found.max_share_by_default == round(12 / 13, 4)


# --- JSON ---------------------------------------------------------------------------------------------------------


def test_the_record_is_plain_json_with_every_figure_as_a_value_and_its_interval() -> None:
    site = random_site(60, 1)
    lists = lists_of_groups(site.texts.ids, 6)
    material = material_of(site, lists)
    study = study_lists(material)
    items = find_items(material, (), study.pairs, lists)

    shown = BlurbRecall(9, {1: (0.5, 0.25, 0.75), 10: (0.75, 0.5, 1.0)})

    record = evaluate(material, items, 200, study, shown).to_json()

    assert json.loads(json.dumps(record)) == record
    assert list(record) == [*PROTOCOLS, "n", "ceiling", "details"]
    assert (record["n"], record["ceiling"]) == (60, 0.9)
    for protocol in PROTOCOLS:
        for metrics in record[protocol].values():
            assert list(metrics) == list(METRICS)
            for value, low, high in metrics.values():
                assert 0 <= low <= value <= high <= 1
    details = record["details"]
    assert list(details) == ["lift", "rule_costs", "curves", "calibration", "in_degree", "learned", "blurbs"]
    assert list(details["rule_costs"]) == list(details["lift"]) == list(details["curves"]) == list(PROTOCOLS)
    assert {tuple(costs) for costs in details["rule_costs"].values()} == {("near_duplicates", "balance")}
    assert {len(curve) for systems in details["curves"].values() for curve in systems.values()} == {DEPTH}
    assert set(details["calibration"][0]) == {"low", "high", "n", "mean_score", "share_listed"}
    assert details["in_degree"]["k"] == 10
    assert {len(details["in_degree"][whose]) for whose in ("ours", "editors", "dense")} == {60}
    assert details["blurbs"] == {"n": 9, "recall@1": [0.5, 0.25, 0.75], "recall@10": [0.75, 0.5, 1.0]}


def test_a_list_of_which_no_rule_has_anything_to_say_is_as_rank_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(60, 1)
    material = material_of(site, random_lists(site, np.random.default_rng(2), 3))
    study, items = study_lists(material), items_of(material)
    found = evaluate(material, items, 180, study).outcomes.runs
    calls: list[str] = []
    real = evaluation.rank

    def counted(source: Item, *given: object) -> Ranking:
        calls.append(source.id)
        return real(source, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "rank", counted)
    evaluate(material, items, 180, study)
    plain = len(calls)
    everybody = np.ones(60, dtype=np.bool_)
    monkeypatch.setattr(evaluation._Judge, "twinned", property(lambda self: everybody))
    asked = evaluate(material, items, 180, study).outcomes.runs

    assert len(calls) > 2 * plain, "then rank() is asked for every list"
    assert asked == found
