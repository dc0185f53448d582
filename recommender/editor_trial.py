"""Learns from editors' decisions beside the curated lists, and uses what they teach only where it does not hurt.

The same folds as in learning.py: a page that is judged hides its list and its labels from the weights. Pages that have
labels but no list are dealt into the folds as well, so that every label is once judged by what the others teach. Truth
remains the curated lists; held-out labels say only how well approved pairs are told from excluded ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from embeddings.encoder import Progress
from recommender.candidates import Columns, Mask, Pairs
from recommender.editor_labels import EditorLabels
from recommender.editor_lesson import EditorsLesson, Separation
from recommender.finding import candidate_finder
from recommender.label_rows import RowLabels
from recommender.landscape import Landscape
from recommender.learning import (
    KNOTS,
    MIN_LISTS,
    CrossValidation,
    Fold,
    Lesson,
    cross_validate,
    deal,
    default_recalls,
    fit_both,
    judge,
    recalls,
    set_folds_right,
    teach,
)
from recommender.list_graph import ListGraph
from recommender.metrics import RESAMPLES, Interval, bootstrap
from recommender.model import DEFAULT, Model, Values

MIN_EACH = 50
"""Approvals, and exclusions, without which nothing is learned where lists are too few: of a hundred decisions in all
nothing sure was gained on three corpora (benchmarks/results/editors.md)."""
_SEED = 20_250_812

Lessons = tuple[CrossValidation | None, Lesson]


def learn_with_editors(
    landscape: Landscape,
    graph: ListGraph,
    pairs: Pairs,
    labels: EditorLabels,
    progress: Progress = lambda done: None,
) -> Lessons:
    """The lesson of lists and labels, or of the lists alone, and the cross-validation of the one that is used.

    pairs: of the whole site.
    """
    known = RowLabels.of(labels, landscape.texts.ids).among(pairs)
    few_lists = len(graph.listing) < MIN_LISTS
    reason = _why_not_tried(known, few_lists)
    missing = len(labels) - len(known)
    if reason:
        validation = cross_validate(landscape, graph, progress)
        lesson = teach(graph, validation, pairs, default_recalls(pairs, graph))
        return validation, replace(lesson, editors=_told(known, missing, False, reason))
    trial = try_labels(landscape, graph, known, progress)
    if few_lists:
        return _from_labels_alone(graph, pairs, known, trial, missing)
    return _from_both(graph, pairs, known, trial, missing)


def _why_not_tried(known: RowLabels, few_lists: bool) -> str:
    if not len(known):
        return "none of the pairs that editors judged is a candidate any more"
    if few_lists and min(len(known.approved), len(known.excluded)) < MIN_EACH:
        return f"without lists, fewer than {MIN_EACH} approvals or exclusions are too few to learn from"
    return ""


def _from_both(graph: ListGraph, pairs: Pairs, known: RowLabels, trial: "Trial", missing: int) -> Lessons:
    default = default_recalls(pairs, graph)
    before = set_folds_right(trial.plain, graph)
    after = set_folds_right(trial.taught, graph)
    without, lesson = teach(graph, before, pairs, default), teach(graph, after, pairs, default, known)
    gain = bootstrap(recalls(after, graph) - (recalls(before, graph) if without.used else default))
    separation = trial.held.separation(trial.held.plain if without.used else trial.held.default)
    used, reason = _decide(lesson.used, gain, separation)
    told = _told(known, missing, used, reason, gain, separation)
    return (after, replace(lesson, editors=told)) if used else (before, replace(without, editors=told))


def _decide(sure: bool, gain: Interval, separation: Separation | None) -> tuple[bool, str]:
    """Whether labels are used beside lists, and why. sure: lists and labels are a sure gain over the default.

    Neither interval may lie wholly below zero, and where recall falls in the mean the labels themselves must be a sure
    gain: without this, the other pages of one of three corpora lost nearly two points (benchmarks/results/editors.md).
    """
    if not sure:
        return False, "lists and decisions together are no sure gain over the default"
    if gain[2] < 0:
        return False, "they would lower recall on the curated lists"
    if separation and separation.gain[2] < 0:
        return False, "learning from some of them would rank the others worse"
    if gain[0] < 0 and (separation is None or separation.gain[1] <= 0):
        return False, "they are no sure gain, and recall on the curated lists falls a little"
    told = f"; {_separated(separation)}" if separation else ""
    return True, f"recall@10 on the curated lists {gain[0]:+.3f}{told}"


def _separated(told: Separation) -> str:
    return f"approved stand above excluded in {told.after:.0%} of cases not learned from, {told.before:.0%} before"


def _from_labels_alone(graph: ListGraph, pairs: Pairs, known: RowLabels, trial: "Trial", missing: int) -> Lessons:
    """No cross-validation comes back: the lists are too few to judge by, though a sure loss on them is heeded."""
    default = default_recalls(pairs, graph)
    before = teach(graph, None, pairs, default)
    taught = recalls(set_folds_right(trial.taught, graph), graph)
    gain = bootstrap(taught - default) if len(graph.listing) else None
    separation = trial.held.separation(trial.held.default)
    used, reason = _decide_alone(gain, separation)
    told = _told(known, missing, used, reason, gain, separation)
    if not used:
        return None, replace(before, editors=told)
    listed, new = (_promising_as_default(model, pairs) for model in fit_both(pairs, graph, known))
    reason = f"learned from {len(known):,} decisions of editors, as {len(graph.listing)} lists are too few"
    return None, replace(before, used=True, reason=reason, listed=listed, new=new, editors=told)


def _decide_alone(gain: Interval | None, separation: Separation | None) -> tuple[bool, str]:
    """Whether labels are used without lists, and why. Recall of held-out approvals is no judge: editors see the first
    suggestions, so the default finds all that they approve."""
    if gain and gain[2] < 0:
        return False, "they would lower recall on the curated lists"
    if separation is None or separation.gain[1] <= 0:
        return False, "what they teach is no sure gain over the default"
    return True, _separated(separation)


def _promising_as_default(model: Model, pairs: Pairs) -> Model:
    """The model, set right to promise as much over the site as the default does: decisions say which candidate is the
    better one, not how many are good."""
    at = 1.0 - np.geomspace(1.0, 1.0 / max(len(pairs.columns), 2), KNOTS)  # close together where the best stand
    logits = [np.quantile(one.logits(pairs.values), at).tolist() for one in (model, DEFAULT)]
    return replace(model, curve=tuple(sorted(dict(zip(*logits, strict=True)).items())))


def _told(
    known: RowLabels,
    missing: int,
    used: bool,
    reason: str,
    gain: Interval | None = None,
    separation: Separation | None = None,
) -> EditorsLesson:
    return EditorsLesson(used, reason, len(known.approved), len(known.excluded), missing, gain, separation)


@dataclass(frozen=True, eq=False)
class Held:
    """Labels judged while they were held out. All of shape (labels,).

    page: the source's row. approved: else excluded. default, plain, taught: logits by the default, by the other folds'
    lists, and by their lists and labels.
    """

    page: Columns
    approved: Mask
    default: Values
    plain: Values
    taught: Values

    def separation(self, before: Values) -> Separation | None:
        """How well approved are told from excluded; None where one kind is missing."""
        approved = self.approved
        if approved.all() or not approved.any():
            return None
        shares = [round(share_right(logits, approved), 6) for logits in (before, self.taught)]
        gain = _share_gain(before, self.taught, approved, self.page)
        return Separation(shares[0], shares[1], gain, int(approved.sum()), int((~approved).sum()))


@dataclass(frozen=True, eq=False)
class Trial:
    """The folds without labels and with them, as their models scored them, and the labels that each held out."""

    plain: Sequence[Fold]
    taught: Sequence[Fold]
    held: Held


def try_labels(
    landscape: Landscape, graph: ListGraph, labels: RowLabels, progress: Progress = lambda done: None
) -> Trial:
    """Score each fold by the other folds' lists, then also by their labels. labels: at least one."""
    plain, taught, held = [], [], []
    without_list = deal(np.setdiff1d(labels.pages, graph.judged))
    for rows, others in zip(deal(graph.judged), without_list, strict=True):
        hidden = graph.without(rows)
        looked_at = np.unique(np.concatenate([rows, hidden.judged, labels.pages]))
        pairs = candidate_finder(landscape, hidden).of_rows(looked_at)
        unseen = labels.without(np.concatenate([rows, others]))
        by_lists = fit_both(pairs, hidden)
        by_both = fit_both(pairs, hidden, unseen) if len(unseen) else by_lists
        plain.append(judge(pairs, rows, by_lists))
        taught.append(judge(pairs, rows, by_both))
        pages = np.intersect1d(labels.pages, np.concatenate([rows, others]))
        held.append(_hold(pairs.select(pages), labels, by_lists, by_both))
        progress(1)
    return Trial(plain, taught, _joined(held))


def _hold(pairs: Pairs, labels: RowLabels, by_lists: tuple[Model, Model], by_both: tuple[Model, Model]) -> Held:
    marks = labels.marks(pairs)
    judged = marks != 0

    def score(models: tuple[Model, Model]) -> Values:
        return np.asarray(Lesson(True, "", 0, None, *models, DEFAULT).logits(pairs)[judged], dtype=np.float64)

    pages = pairs.rows[pairs.owner][judged]
    return Held(pages, marks[judged] > 0, score((DEFAULT, DEFAULT)), score(by_lists), score(by_both))


def _joined(parts: Sequence[Held]) -> Held:
    names = [field.name for field in fields(Held)]
    return Held(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def share_right(logits: Values, approved: Mask, weights: Values | None = None) -> float:
    """The share of couples (approved, excluded) of which the approved one scores higher; a tie counts half."""
    weights = np.ones(len(logits)) if weights is None else weights
    levels, at = np.unique(logits, return_inverse=True)
    ups = np.bincount(at, weights=weights * approved, minlength=len(levels))
    downs = np.bincount(at, weights=weights * ~approved, minlength=len(levels))
    right = float((ups * (np.cumsum(downs) - downs / 2)).sum())
    return right / float(ups.sum() * downs.sum())


def _share_gain(before: Values, after: Values, approved: Mask, page: Columns) -> Interval:
    """After minus before, and the bootstrap over pages; drawings without either kind are left out."""
    rng = np.random.default_rng(_SEED)
    _, page = np.unique(page, return_inverse=True)
    pages = int(page.max()) + 1
    gains = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, pages, pages), minlength=pages)[page].astype(np.float64)
        if (weights * approved).any() and (weights * ~approved).any():
            gains.append(share_right(after, approved, weights) - share_right(before, approved, weights))
    low, high = np.percentile(gains, [2.5, 97.5])
    gain = share_right(after, approved) - share_right(before, approved)
    return round(gain, 6), round(float(low), 6), round(float(high), 6)
