"""What an evaluation finds out when it is given more time: what each signal is worth, and how many lists it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recommender.learning import CrossValidation, cross_validate, default_recalls, recalls
from recommender.list_graph import ListGraph
from recommender.material import Material
from recommender.metrics import Interval, bootstrap
from recommender.model import Values
from recommender.signals import SIGNALS
from recommender.study import Study
from recommender.watch import Watch

SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
_SEED = 13

Ablation = Mapping[str, Mapping[str, Interval]]
"""Signal -> protocol -> recall@10 lost without it, list by list, before any rule."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """recall@10 on all pages when only a share of the lists (0-1) may be seen. used: whether they were learned from."""

    share: float
    lists: int
    curated: Interval
    new_page: Interval
    used: bool


@dataclass(frozen=True, slots=True)
class Thorough:
    """Both, for Evaluation.to_json()'s details."""

    ablation: Ablation
    learning_curve: Sequence[CurvePoint]

    def to_json(self) -> dict[str, Any]:
        """The keys `ablation` and `learning_curve`."""
        ablation = {s: {p: list(lost) for p, lost in row.items()} for s, row in self.ablation.items()}
        return {"ablation": ablation, "learning_curve": [asdict(point) for point in self.learning_curve]}


def look_closely(material: Material, study: Study, watch: Watch) -> Thorough:
    """Learn once more without each signal, and from a part of the lists."""
    return Thorough(ablation(material, study, watch), learning_curve(material, study, watch))


def ablation(material: Material, study: Study, watch: Watch) -> Ablation:
    """What each signal is worth when all others stay; one that is nowhere in the site is left out."""
    if study.validation is None:
        return {}
    full = _both(study.validation, material.graph)
    telling = [signal for i, signal in enumerate(SIGNALS) if study.pairs.values[:, i].any()]
    progress = watch.stage("without each signal", len(telling))
    lost: dict[str, dict[str, Interval]] = {}
    for signal in telling:
        without = cross_validate(material.landscape, material.graph, left_out=[signal])
        if without is not None:
            pairs = zip(("curated", "new_page"), full, _both(without, material.graph), strict=True)
            lost[signal] = {protocol: bootstrap(ours - others) for protocol, ours, others in pairs}
        progress(1)
    return lost


def learning_curve(material: Material, study: Study, watch: Watch) -> list[CurvePoint]:
    """recall@10 by the share of lists that may be seen."""
    if study.validation is None:
        return []
    default = default_recalls(study.pairs, material.graph)
    order = np.random.default_rng(_SEED).permutation(material.graph.listing)
    progress = watch.stage("with fewer lists", len(SHARES))
    points = []
    for share in SHARES:
        points.append(_point(material, share, np.sort(order[: round(share * len(order))]), default))
        progress(1)
    return points


def _point(material: Material, share: float, seen: Any, default: Values) -> CurvePoint:
    """Whether to learn is decided as a site with these lists would: by the pages whose lists may be seen."""
    validation = cross_validate(material.landscape, material.graph, taught_by=seen)
    if validation is not None:
        curated, new = _both(validation, material.graph)
        told = np.isin(material.graph.judged, seen)
        if bootstrap((curated - default)[told])[1] > 0:
            return CurvePoint(share, len(seen), bootstrap(curated), bootstrap(new), used=True)
    return CurvePoint(share, len(seen), bootstrap(default), bootstrap(default), used=False)


def _both(validation: CrossValidation, graph: ListGraph) -> tuple[Values, Values]:
    return recalls(validation, graph), recalls(validation, graph, new_page=True)
