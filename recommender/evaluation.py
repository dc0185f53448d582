"""How well the recommendations find what editors listed. Two recalls are never one word: this is curated_recall.

Protocol "cold": no list is seen by any signal, as on a site that has none. The judged lists are the curated ones, each
entry that names an essay of the index. `ceiling` says what share of all entries that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recommender.baselines import BASELINES, DEPTH, Curated, Lists
from recommender.edition import Edition
from recommender.material import Material
from recommender.metrics import bootstrap, measure
from recommender.neighbourhood import DEPTH as POOL_DEPTH
from recommender.neighbourhood import to_candidate
from recommender.ranking import Item, Rules, rank
from recommender.signals import Neighbours, Scored

OURS = "related"
MAX_JUDGED = 2000
"""Larger sites are judged on a sample of this many lists, drawn with a fixed seed; n says so."""
_SEED = 11
_MAIN = "curated_recall@10"

Interval = tuple[float, float, float]
"""Value, and the low and high end of its 95% bootstrap interval."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """systems: system -> metric -> interval. n: lists judged. ceiling: share of list entries that are in the index.

    lift: best baseline -> our recall@10 minus its own, list by list.
    rule_costs: rule -> recall@10 without the rule minus with it, list by list.
    """

    protocol: str
    n: int
    ceiling: float | None
    systems: Mapping[str, Mapping[str, Interval]]
    lift: Mapping[str, Interval]
    rule_costs: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """{protocol: {system: {metric: [value, low, high]}}} with n, the ceiling and the lift beside it."""
        systems = {name: {m: list(interval) for m, interval in row.items()} for name, row in self.systems.items()}
        lift = {name: list(interval) for name, interval in self.lift.items()}
        costs = {name: list(interval) for name, interval in self.rule_costs.items()}
        return {self.protocol: systems, "n": self.n, "ceiling": self.ceiling, "lift": lift, "rule_costs": costs}


def evaluate(
    material: Material,
    curated: Mapping[str, Sequence[str]],
    items: Mapping[str, Item],
    entries: int,
    candidates: Sequence[Sequence[Scored]] | None = None,
) -> Evaluation:
    """Judge our recommendations and the baselines by the curated lists.

    curated: essay id -> ids of the items its list names. entries: how many entries all lists have, joined or not.
    candidates: those of each essay, in order, when they were computed from material.cold_items already.
    """
    truth = judged_lists(material, curated)
    judged = _sample(sorted(truth))
    if not judged:
        return Evaluation("cold", 0, _ceiling(truth, entries), {}, {}, {})
    if candidates is None:
        candidates = Neighbours(material.cold_items).nearest(material.cold_items, material.cold_items, POOL_DEPTH)
    lists = {name: baseline(material, judged, truth) for name, baseline in BASELINES.items()}
    lists[OURS] = _ours(material, judged, items, candidates)
    values = {name: measure(*_hits(found, judged, truth)) for name, found in lists.items()}
    twins_kept = _ours(material, judged, {i: replace(item, twins=None) for i, item in items.items()}, candidates)
    unruled = measure(*_hits(twins_kept, judged, truth))
    return Evaluation(
        "cold",
        n=len(judged),
        ceiling=_ceiling(truth, entries),
        systems={name: {metric: bootstrap(v) for metric, v in row.items()} for name, row in values.items()},
        lift=_lift(values),
        rule_costs={"near_duplicates": bootstrap(unruled[_MAIN] - values[OURS][_MAIN])},
    )


def evaluate_edition(edition: Edition) -> Evaluation:
    """Judge a published edition; nothing is encoded anew. Raises EditionError when it is damaged."""
    material = Material.load(edition)
    curated = {ident: [c.id for c in edition.lists(ident).curated] for ident in edition.essay_ids()}
    return evaluate(material, curated, edition.items, entries=edition.manifest["join"]["total"])


def judged_lists(material: Material, curated: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The curated lists cut to essays of the index, those that keep any."""
    known = set(material.items.vectors.ids)
    cut = {source: [target for target in listed if target in known] for source, listed in curated.items()}
    return {source: listed for source, listed in cut.items() if listed}


def _ours(
    material: Material,
    judged: Sequence[str],
    items: Mapping[str, Item],
    candidates: Sequence[Sequence[Scored]],
) -> Lists:
    by_essay = dict(zip(material.items.vectors.ids, candidates, strict=True))
    rules = Rules(limit=DEPTH, curated_first=False)
    lists: Lists = []
    for own in judged:
        ranking = rank(items[own], [to_candidate(scored) for scored in by_essay[own]], (), items, rules)
        lists.append([recommendation.target for recommendation in ranking.recommendations])
    return lists


def _hits(lists: Lists, judged: Sequence[str], truth: Curated) -> tuple[Any, Any]:
    hits = np.zeros((len(judged), DEPTH), dtype=np.bool_)
    for row, (own, found) in enumerate(zip(judged, lists, strict=True)):
        listed = set(truth[own])
        hits[row, : len(found)] = [ident in listed for ident in found[:DEPTH]]
    return hits, np.array([len(set(truth[own])) for own in judged], dtype=np.int64)


def _lift(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Interval]:
    """Ours minus the best baseline's recall@10, list by list, with its interval, keyed by that baseline."""
    best = max((name for name in values if name != OURS), key=lambda name: float(values[name][_MAIN].mean()))
    return {best: bootstrap(values[OURS][_MAIN] - values[best][_MAIN])}


def _sample(judged: list[str]) -> list[str]:
    if len(judged) <= MAX_JUDGED:
        return judged
    chosen = np.random.default_rng(_SEED).choice(len(judged), MAX_JUDGED, replace=False)
    return [judged[i] for i in sorted(chosen)]


def _ceiling(truth: Curated, entries: int) -> float | None:
    return round(sum(len(listed) for listed in truth.values()) / entries, 6) if entries else None
