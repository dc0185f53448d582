"""How well the recommendations find what editors listed. Two recalls are never one word: this is curated_recall.

Three protocols:

    cold      no list is seen by anything, as on a site that has none
    curated   the judged page's own list is hidden, and with it the lists of a fifth of all pages (folds by source page)
    new_page  besides, all links to the judged page are hidden: it was published today

The judged lists are the curated ones, each entry that names an essay of the site; `ceiling` says what share of all
entries that is. What is judged is what would be served, by the same rank(), decisions off.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.balance import (
    PLACES,
    coverage,
    find_places,
    gini,
    in_degrees,
    most_listed_share,
    orphans_share,
)
from recommender.baselines import BASELINES, DEPTH, Curated, Lists
from recommender.blurb_recall import BlurbRecall
from recommender.calibration import CalibrationBin, calibration
from recommender.candidates import Columns
from recommender.edition import Edition
from recommender.editor_labels import NO_LABELS, EditorLabels
from recommender.learning import CrossValidation, Lesson
from recommender.material import Material
from recommender.metrics import Interval, bootstrap, measure, recall
from recommender.model import DEFAULT, probability
from recommender.neighbourhood import DEPTH as POOL_DEPTH
from recommender.neighbourhood import akin_wordings, listed_shares, shown_lengths
from recommender.ranking import DEFAULT_LIMIT, MAX_SHARE, Candidate, Item, Rules, rank
from recommender.shortlist import Shortlist
from recommender.signals import SIGNALS
from recommender.study import Study, study_lists
from recommender.thorough import look_closely
from recommender.twins import find_twins
from recommender.watch import Unwatched, Watch

OURS = "related"
MEANING = "meaning"
"""Our profile of that name: the texts alone."""
PROTOCOLS = ("cold", "curated", "new_page")
MAIN = "curated_recall@10"
K = 10

Systems = Mapping[str, Mapping[str, Interval]]
Marks = NDArray[np.int8]
"""See balance.find_places()."""


@dataclass(frozen=True, slots=True)
class InDegrees:
    """In how many lists each essay stands, descending: of K in ours and by nearest neighbours alone (dense), as they
    are in the editors'. All others are shares (0-1) of our lists. max_share_by_default: lists as long as each page's
    own; orphans stand in no list of K, which coverage is short of."""

    ours: Sequence[int]
    editors: Sequence[int]
    dense: Sequence[int]
    max_share: float
    max_share_by_default: float
    orphans: float
    coverage: float
    gini: float


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was judged, raw. judged: essay ids. truth: their lists. runs: protocol -> system -> a list for each."""

    judged: Sequence[str]
    truth: Curated
    runs: Mapping[str, Mapping[str, Lists]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """n: lists judged. ceiling: share of list entries that are in the index.

    protocols: protocol -> system -> metric -> interval.
    lift: protocol -> best baseline -> our recall@10 minus its own, list by list.
    rule_costs: protocol -> rule -> recall@10 without the rule minus with it, list by list.
    curves: protocol -> system -> recall at 1, 2, ... DEPTH.
    """

    n: int
    ceiling: float | None
    protocols: Mapping[str, Systems]
    lift: Mapping[str, Mapping[str, Interval]]
    rule_costs: Mapping[str, Mapping[str, Interval]]
    curves: Mapping[str, Mapping[str, Sequence[float]]]
    calibration: Sequence[CalibrationBin]
    in_degree: InDegrees | None
    lesson: Lesson
    blurbs: BlurbRecall | None
    outcomes: Outcomes

    def to_json(self) -> dict[str, Any]:
        """{protocol: {system: {metric: [value, low, high]}}} with n and the ceiling; the rest under "details"."""
        protocols = {name: _as_lists(systems) for name, systems in self.protocols.items()}
        return {**protocols, "n": self.n, "ceiling": self.ceiling, "details": self._details()}

    def _details(self) -> dict[str, Any]:
        return {
            "lift": _as_lists(self.lift),
            "rule_costs": _as_lists(self.rule_costs),
            "curves": {protocol: dict(systems) for protocol, systems in self.curves.items()},
            "calibration": [asdict(entry) for entry in self.calibration],
            "in_degree": None if self.in_degree is None else {"k": K} | asdict(self.in_degree),
            "learned": _lesson_record(self.lesson),
            "blurbs": self.blurbs.to_json() if self.blurbs else None,
        }


def evaluate(
    material: Material, items: Mapping[str, Item], entries: int, study: Study, blurbs: BlurbRecall | None = None
) -> Evaluation:
    """Judge our recommendations and the baselines by the curated lists.

    entries: how many entries all lists have, joined or not. study: of the same material. blurbs: as the
    build found it, since it needs the passages' vectors.
    """
    truth = judged_lists(material)
    judged = judged_ids(material)
    if not judged:
        return Evaluation(
            0, _ceiling(truth, entries), {}, {}, {}, {}, (), None, study.lesson, blurbs, Outcomes((), {}, {})
        )
    judge = _Judge(material, items, truth, judged)
    scored = dict(_site_lists(study))
    judges = dict.fromkeys(scored, judge)
    judges["cold"] = replace(judge, items=_without_lists(material, items, study), sees_lists=False)
    ours = {protocol: judges[protocol].ours(scored[protocol]) for protocol in scored}
    rivals = {name: baseline(material, judged, truth) for name, baseline in BASELINES.items()}
    found = {protocol: rivals | {MEANING: ours["cold"], OURS: ours[protocol]} for protocol in scored}
    found["cold"].pop(MEANING)  # it is the same as ours there
    values = {p: {name: judge.measured(lists) for name, lists in systems.items()} for p, systems in found.items()}
    last = "curated" if "curated" in scored else "cold"
    return Evaluation(
        n=len(judged),
        ceiling=_ceiling(truth, entries),
        protocols={p: {s: {m: bootstrap(v) for m, v in row.items()} for s, row in values[p].items()} for p in values},
        lift={protocol: _lift(values[protocol]) for protocol in values},
        rule_costs={p: judges[p].rule_costs(scored[p], ours[p]) for p in scored},
        curves={p: {name: judge.curve(lists) for name, lists in systems.items()} for p, systems in found.items()},
        calibration=calibration(study.validation, material.graph) if study.validation else (),
        in_degree=_in_degree(material, judges[last], scored[last], truth),
        lesson=study.lesson,
        blurbs=blurbs,
        outcomes=Outcomes(judged, truth, found),
    )


def evaluate_edition(
    edition: Edition, watch: Watch | None = None, thorough: bool = False, labels: EditorLabels = NO_LABELS
) -> tuple[dict[str, Any], Outcomes]:
    """Judge a published edition; nothing is encoded anew. Gives Evaluation.to_json() and the raw outcomes.

    thorough: with each signal's worth and the learning curve. labels: learned from beside the lists; nothing is judged
    by them. Raises EditionError when the edition is damaged.
    """
    watch = watch or Unwatched()
    material, items = Material.load(edition), edition.items.loaded()
    study = study_lists(material, watch, labels)
    shown = edition.manifest["evaluation"]["details"]["blurbs"]
    blurbs = BlurbRecall.from_json(shown) if shown else None
    evaluation = evaluate(material, items, edition.manifest["join"]["total"], study, blurbs)
    record = evaluation.to_json()
    if thorough:
        add_thorough(record, material, items, study, watch)
    return record, evaluation.outcomes


def add_thorough(
    record: dict[str, Any], material: Material, items: Mapping[str, Item], study: Study, watch: Watch
) -> None:
    """Add each signal's worth, the learning curve, and what rules cost that are off by default, to an evaluation."""
    record["details"] |= look_closely(material, study, watch).to_json()
    if record["n"]:
        protocol = "curated" if "curated" in record else "cold"
        record["details"]["rule_costs"][protocol] |= _as_lists(_optional_rule_costs(material, items, study, protocol))


OPTIONAL_RULES: Mapping[str, Mapping[str, Any]] = {
    "diversity 0.1, when on": {"diversity": 0.1},
    "diversity 0.3, when on": {"diversity": 0.3},
    "at most 4 of a category, when on": {"per_category": 4},
}


def _optional_rule_costs(
    material: Material, items: Mapping[str, Item], study: Study, protocol: str
) -> dict[str, Interval]:
    truth = judged_lists(material)
    judge = _Judge(material, items, truth, judged_ids(material))
    lists = dict(_site_lists(study))[protocol]
    plain = judge.measured(judge.ours(lists))[MAIN]
    ruled = {name: replace(judge, rules=rules).ours(lists) for name, rules in OPTIONAL_RULES.items()}
    return {name: bootstrap(plain - judge.measured(found)[MAIN]) for name, found in ruled.items()}


def judged_lists(material: Material) -> dict[str, list[str]]:
    """The curated lists cut to essays of the site, those that keep any."""
    ids, graph = material.ids, material.graph
    return {ids[row]: [ids[column] for column in graph.targets(row).tolist()] for row in graph.listing.tolist()}


def judged_ids(material: Material) -> list[str]:
    """The essays whose lists are judged, in order: see ListGraph.judged."""
    return [material.ids[row] for row in material.graph.judged.tolist()]


def _site_lists(study: Study) -> Iterator[tuple[str, Shortlist]]:
    """Protocol -> the candidates of every essay: judged ones as the protocol has it, the others as in use."""
    cold = Shortlist.best(study.pairs, DEFAULT.probabilities(study.pairs.values), POOL_DEPTH)
    yield "cold", cold
    if study.validation is None:
        return
    if not study.lesson.used:  # the default is what is served, and so what is judged
        yield from ((protocol, cold) for protocol in PROTOCOLS[1:])
        return
    in_use = Shortlist.best(study.pairs, probability(study.lesson.logits(study.pairs)), POOL_DEPTH)
    for protocol in PROTOCOLS[1:]:
        yield protocol, in_use.with_others(*_from_folds(study.validation, protocol))


def _without_lists(material: Material, items: Mapping[str, Item], study: Study) -> dict[str, Item]:
    """The items, near-duplicates found as on a site without lists."""
    twins = find_twins(material.essays, akin_wordings(material.ids, study.pairs), {})
    return {ident: item._replace(twins=twins.get(ident)) for ident, item in items.items()}


def _from_folds(validation: CrossValidation, protocol: str) -> tuple[Columns, Shortlist]:
    """The judged rows, and the candidates of each."""
    rows, columns, scores = [], [], []
    for row, of_row, logits, _values in validation.scored(protocol == "new_page"):
        best = np.lexsort((of_row, -logits))[:POOL_DEPTH]
        rows.append(row)
        columns.append(of_row[best])
        scores.append(probability(logits[best]))
    place = np.repeat(np.arange(len(rows)), [len(found) for found in columns])
    found = Shortlist.sorted(place, np.concatenate(columns), np.concatenate(scores), len(rows))
    return np.array(rows, dtype=np.int64), found


@dataclass(frozen=True, eq=False)
class _Judge:
    """Ranks lists as they would be served and counts what the editors listed in them."""

    material: Material
    items: Mapping[str, Item]
    truth: Curated
    judged: Sequence[str]
    sees_lists: bool = True
    rules: Mapping[str, Any] = field(default_factory=dict)

    def ours(self, lists: Shortlist) -> Lists:
        """The judged essays' lists, DEPTH long."""
        marks = self.marks(lists)
        return [self.ranked(row, lists, marks) for row in self.material.graph.judged.tolist()]

    def marks(self, lists: Shortlist) -> Marks:
        """What keeps the site in balance; where no list is seen, as on a site that has none."""
        if not self.sees_lists:
            return find_places(lists, DEFAULT_LIMIT, MAX_SHARE)
        return find_places(lists, DEFAULT_LIMIT, MAX_SHARE, listed_shares(self.material.graph), self.shown)

    def ranked(self, row: int, lists: Shortlist, marks: Marks, twins: bool = True) -> list[str]:
        """The first K as a page of K shows them, then what a longer page shows besides."""
        own, ids, part = self.material.ids[row], self.material.ids, lists.of(row)
        if not (self.rules or marks[part].any() or (twins and self.twinned[[row, *lists.columns[part]]].any())):
            return [ids[column] for column in lists.columns[part].tolist()[:DEPTH]]  # rank() would change nothing
        items = self.items if twins else self.untwinned
        found = zip(lists.columns[part].tolist(), lists.scores[part].tolist(), marks[part].tolist(), strict=True)
        candidates = [Candidate(ids[column], score, score, (), PLACES[mark]) for column, score, mark in found]
        long = self._targets(items, own, candidates, DEPTH)
        if "lifted" not in {candidate.place for candidate in candidates}:  # only a lifted one may change with the limit
            return long
        short = self._targets(items, own, candidates, K)
        return short + [ident for ident in long if ident not in short][: DEPTH - K]

    def _targets(self, items: Mapping[str, Item], own: str, candidates: Sequence[Candidate], limit: int) -> list[str]:
        rules = Rules(limit=limit, curated_first=False, **self.rules)
        return [r.target for r in rank(items[own], candidates, (), items, rules).recommendations]

    def measured(self, lists: Lists) -> dict[str, Any]:
        """Every metric, a value a judged list."""
        return measure(*_hits(lists, self.judged, self.truth))

    def curve(self, lists: Lists) -> list[float]:
        """Mean recall at 1, 2, ... DEPTH."""
        hits, relevant = _hits(lists, self.judged, self.truth)
        return [round(float(recall(hits, relevant, k).mean()), 4) for k in range(1, DEPTH + 1)]

    @cached_property
    def shown(self) -> Columns:
        """How many each page shows by default."""
        return shown_lengths(self.material.essays)

    @cached_property
    def twinned(self) -> NDArray[np.bool_]:
        """Which essays have near-duplicates, shape (n,)."""
        return np.array([self.items[ident].twins is not None for ident in self.material.ids])

    @cached_property
    def untwinned(self) -> Mapping[str, Item]:
        """The items as nobody's near-duplicates."""
        return {ident: item._replace(twins=None) for ident, item in self.items.items()}

    def rule_costs(self, lists: Shortlist, ruled: Lists) -> dict[str, Interval]:
        """What recall@10 would gain without each rule. ruled: the lists under all of them, which stand wherever a rule
        has nothing to say."""
        marks, rows = self.marks(lists), self.material.graph.judged.tolist()
        unmarked = np.zeros_like(marks)
        without: dict[str, Lists] = {"near_duplicates": [], "balance": []}
        for row, found in zip(rows, ruled, strict=True):
            part = lists.of(row)
            twinned = self.twinned[[row, *lists.columns[part]]].any()
            without["near_duplicates"].append(self.ranked(row, lists, marks, twins=False) if twinned else found)
            without["balance"].append(self.ranked(row, lists, unmarked) if marks[part].any() else found)
        plain = self.measured(ruled)[MAIN]
        return {rule: bootstrap(self.measured(found)[MAIN] - plain) for rule, found in without.items()}


def _hits(lists: Lists, judged: Sequence[str], truth: Curated) -> tuple[Any, Any]:
    hits = np.zeros((len(judged), DEPTH), dtype=np.bool_)
    for row, (own, found) in enumerate(zip(judged, lists, strict=True)):
        listed = set(truth[own])
        hits[row, : len(found)] = [ident in listed for ident in found[:DEPTH]]
    return hits, np.array([len(set(truth[own])) for own in judged], dtype=np.int64)


def _lift(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Interval]:
    """Ours minus the best baseline's recall@10, list by list, with its interval, keyed by that baseline."""
    best = max((name for name in values if name not in (OURS, MEANING)), key=lambda n: float(values[n][MAIN].mean()))
    return {best: bootstrap(values[OURS][MAIN] - values[best][MAIN])}


def _in_degree(material: Material, judge: _Judge, lists: Shortlist, truth: Curated) -> InDegrees:
    ids = material.ids
    marks = judge.marks(lists)
    found = [judge.ranked(row, lists, marks) for row in range(len(ids))]
    ours = in_degrees((row[:K] for row in found), ids)
    default = in_degrees((row[:shown] for shown, row in zip(judge.shown.tolist(), found, strict=True)), ids)
    dense = in_degrees([row[:K] for row in BASELINES["dense"](material, ids, truth)], ids)
    return InDegrees(
        ours=sorted(ours.values(), reverse=True),
        editors=sorted(in_degrees(truth.values(), ids).values(), reverse=True),
        dense=sorted(dense.values(), reverse=True),
        max_share=round(most_listed_share(ours, len(found)), 4),
        max_share_by_default=round(most_listed_share(default, len(found)), 4),
        orphans=round(orphans_share(ours), 4),
        coverage=round(coverage(ours), 4),
        gini=round(gini(ours), 4),
    )


def _ceiling(truth: Curated, entries: int) -> float | None:
    return round(sum(len(listed) for listed in truth.values()) / entries, 6) if entries else None


def _as_lists(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Intervals as lists, at any depth."""
    return {k: _as_lists(v) if isinstance(v, Mapping) else list(v) for k, v in nested.items()}


def _lesson_record(lesson: Lesson) -> dict[str, Any]:
    models = {"listed": lesson.listed, "new": lesson.new} if lesson.used else {}
    weights = {
        name: {s: round(w, 3) for s, w in zip(SIGNALS, model.weights, strict=True) if w}
        for name, model in models.items()
    }
    gain = list(lesson.gain) if lesson.gain else None
    record = {"used": lesson.used, "reason": lesson.reason, "lists": lesson.lists, "gain": gain, "weights": weights}
    return record | ({"editors": lesson.editors.to_json()} if lesson.editors else {})
