"""How well the recommendations find what editors listed. Two recalls are never one word: this is curated_recall.

Protocol "cold": no list is seen by any signal, as on a site that has none. The judged lists are the curated ones, each
entry that names an essay of the index. `ceiling` says what share of all entries that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender.baselines import BASELINES, DEPTH, Curated, Lists
from recommender.material import Material
from recommender.metrics import bootstrap, measure
from recommender.neighbourhood import to_candidate
from recommender.ranking import Item, Rules, rank
from recommender.signals import Neighbours, Scored

OURS = "related"
CANDIDATES = 50
MAX_JUDGED = 2000
"""Larger sites are judged on a sample of this many lists, drawn with a fixed seed; n says so."""
_SEED = 11

Interval = tuple[float, float, float]
"""Value, and the low and high end of its 95% bootstrap interval."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """systems: system -> metric -> interval. n: lists judged. ceiling: share of list entries that are in the index."""

    protocol: str
    n: int
    ceiling: float | None
    systems: Mapping[str, Mapping[str, Interval]]
    lift: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """{protocol: {system: {metric: [value, low, high]}}} with n and the ceiling."""
        systems: dict[str, Any] = {
            name: {metric: list(interval) for metric, interval in metrics.items()}
            for name, metrics in self.systems.items()
        }
        return {self.protocol: systems, "n": self.n, "ceiling": self.ceiling}


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
        return Evaluation("cold", 0, _ceiling(truth, entries), {}, {})
    lists = {name: baseline(material, judged, truth) for name, baseline in BASELINES.items()}
    lists[OURS] = _ours(material, judged, items, candidates)
    values = {name: measure(*_hits(found, judged, truth)) for name, found in lists.items()}
    systems = {
        name: {metric: bootstrap(per_list) for metric, per_list in metrics.items()} for name, metrics in values.items()
    }
    return Evaluation("cold", len(judged), _ceiling(truth, entries), systems, _lift(values))


def judged_lists(material: Material, curated: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The curated lists cut to essays of the index, those that keep any."""
    known = set(material.items.vectors.ids)
    cut = {source: [target for target in listed if target in known] for source, listed in curated.items()}
    return {source: listed for source, listed in cut.items() if listed}


def _ours(
    material: Material,
    judged: Sequence[str],
    items: Mapping[str, Item],
    candidates: Sequence[Sequence[Scored]] | None,
) -> Lists:
    if candidates is None:
        candidates = Neighbours(material.cold_items).nearest(material.cold_items, material.cold_items, CANDIDATES)
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
    metric = "curated_recall@10"
    best = max((name for name in values if name != OURS), key=lambda name: float(values[name][metric].mean()))
    return {best: bootstrap(values[OURS][metric] - values[best][metric])}


def _sample(judged: list[str]) -> list[str]:
    if len(judged) <= MAX_JUDGED:
        return judged
    chosen = np.random.default_rng(_SEED).choice(len(judged), MAX_JUDGED, replace=False)
    return [judged[i] for i in sorted(chosen)]


def _ceiling(truth: Curated, entries: int) -> float | None:
    return round(sum(len(listed) for listed in truth.values()) / entries, 6) if entries else None
