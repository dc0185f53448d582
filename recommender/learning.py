"""Learns from the curated lists what makes their editors list an essay, and finds out honestly how well.

Cross-validation with folds by source page: the lists of a fold are hidden from every signal and from the weights with
which that fold is scored. A page that teaches is itself scored without its own list, as it will be in use (see
list_signals.py), so that weights are learned on what they will meet.

Two models are learned: for pages that other lists name, and for new pages, which none names. What editors decided on
the desk may take part (see editor_trial.py): in the weights alone, never in a signal or in what is judged by.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression

from embeddings.encoder import Matrix, Progress
from recommender.candidates import Columns, Mask, Pairs
from recommender.editor_lesson import EditorsLesson
from recommender.finding import candidate_finder
from recommender.label_rows import NO_ROWS, RowLabels
from recommender.landscape import Landscape
from recommender.list_graph import ListGraph
from recommender.metrics import Interval, bootstrap
from recommender.model import DEFAULT, Curve, Model, Values, set_right
from recommender.signals import SIGNALS

FOLDS = 5
MIN_LISTS = 30
"""Fewer are not learned from: see benchmarks/results/learning.md. Whether more are, the gain
in cross-validation decides."""
NEGATIVES = 40
"""Candidates that its editors did not list, drawn per page; they count for all of them."""
APPROVED = 1.0
"""How many listed candidates an approved one counts for: 3 and 10 found no more (benchmarks/results/editors.md)."""
EXCLUDED = 5.0
"""How many candidates that nobody listed an excluded one counts for, as much as one that is drawn: from 1 to 30 recall
on two corpora moves by less than half a point, at 100 it falls; on a third the less the better (the same)."""
PENALTY = 100.0
"""L2 (1 / C of scikit-learn) on what differs from the default: from 30 to 300 recall moves by half a point."""
_FREE = 10.0  # deviations of the default's logit as a signal: the penalty on it is a hundredth of the others'
KNOTS = 12
"""Of the curve that makes logits true."""
_SEED = 3
_MODELS = ("listed", "new", "texts")
_K = 10
_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a site's lists taught.

    used: whether listed and new are learned models; otherwise both are `texts`. reason: why, as a sentence.
    lists: how many there were. gain: recall@10 over the default, list by list, with its 95% interval.
    texts: the default model, its probabilities set right by the lists where there are enough. editors: what their
    decisions added; None where there were none.
    """

    used: bool
    reason: str
    lists: int
    gain: Interval | None
    listed: Model
    new: Model
    texts: Model
    editors: EditorsLesson | None = None

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        models = {name: getattr(self, name).to_json() for name in _MODELS}
        gain = list(self.gain) if self.gain else None
        record = {"used": self.used, "reason": self.reason, "lists": self.lists, "gain": gain, "models": models}
        return record | ({"editors": self.editors.to_json()} if self.editors else {})

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Lesson":
        """What to_json() wrote."""
        models = {name: Model.from_json(model) for name, model in record["models"].items()}
        gain = tuple(record["gain"]) if record["gain"] else None
        editors = EditorsLesson.from_json(record["editors"]) if record.get("editors") else None
        return cls(record["used"], record["reason"], record["lists"], gain, **models, editors=editors)

    def logits(self, pairs: Pairs) -> Values:
        """The score of each pair, before it is made a probability: by the model for its essay."""
        by_listed, by_new = self.listed.logits(pairs.values), self.new.logits(pairs.values)
        return np.where(pairs.listed[pairs.owner], by_listed, by_new)

    def model_for(self, listed: bool) -> Model:
        """The model for an essay that some list names, or none."""
        return self.listed if listed else self.new


UNTAUGHT = Lesson(False, "the site has no curated list of its own essays", 0, None, DEFAULT, DEFAULT, DEFAULT)


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold's pages, scored by what the other folds teach. pairs: of those pages. logits: of the learned models."""

    pairs: Pairs
    logits: Values
    new_pairs: Pairs
    new_logits: Values


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """All lists, each judged by the others. curve, new_curve: what the logits of all folds really promised."""

    folds: tuple[Fold, ...]
    curve: Curve
    new_curve: Curve

    def scored(self, new_page: bool) -> Iterator[tuple[int, Columns, Values, Matrix]]:
        """Each judged row with its candidates, their logits and signals; new_page: links to it hidden as well."""
        for fold in self.folds:
            pairs, logits = (fold.new_pairs, fold.new_logits) if new_page else (fold.pairs, fold.logits)
            for place, row in enumerate(pairs.rows.tolist()):
                part = pairs.of(place)
                yield row, pairs.columns[part], logits[part], pairs.values[part]


def teach(
    graph: ListGraph,
    validation: CrossValidation | None,
    pairs: Pairs,
    default_recall: Values,
    labels: RowLabels = NO_ROWS,
) -> Lesson:
    """The lesson of all lists, or the default where they are too few or do not help.

    validation: of the same graph and labels. pairs: of the whole site. default_recall: recall@10 of the default for
    each list, in the order of graph.judged.
    """
    lists = len(graph.listing)
    if not lists:
        return UNTAUGHT
    if validation is None:
        reason = f"{lists} lists are too few to learn from (under {MIN_LISTS})"
        return Lesson(False, reason, lists, None, DEFAULT, DEFAULT, DEFAULT)
    taught_by = pairs.select(graph.judged)
    texts = replace(DEFAULT, curve=calibrate([(taught_by, DEFAULT.logits(taught_by.values))], graph))
    gain = bootstrap(recalls(validation, graph) - default_recall)
    if gain[1] <= 0:
        return Lesson(False, "what the lists teach is no sure gain over the default", lists, gain, texts, texts, texts)
    listed, new = fit_both(pairs, graph, labels)
    listed = replace(listed, curve=validation.curve)
    new = replace(new, curve=validation.new_curve)
    return Lesson(True, f"learned from {lists} lists: a sure gain over the default", lists, gain, listed, new, texts)


def cross_validate(
    landscape: Landscape,
    graph: ListGraph,
    progress: Progress = lambda done: None,
    left_out: Sequence[str] = (),
    taught_by: NDArray[np.int64] | None = None,
) -> CrossValidation | None:
    """Score each list's page by what the other folds' lists teach; None when there are fewer than MIN_LISTS.

    left_out: signals to do without (ablation). taught_by: the rows whose lists may be seen (learning curve); all
    pages are judged all the same.
    """
    seen = graph if taught_by is None else graph.without(set(graph.listing.tolist()) - set(taught_by.tolist()))
    folds = []
    for rows in deal(graph.judged):
        hidden = seen.without(rows)
        if len(hidden.listing) < MIN_LISTS * (FOLDS - 1) // FOLDS:
            return None
        pairs = candidate_finder(landscape, hidden).of_rows(np.union1d(rows, hidden.judged))
        folds.append(judge(without_signals(pairs, left_out), rows, fit_both(pairs, hidden)))
        progress(1)
    return set_folds_right(folds, graph)


def set_folds_right(folds: Sequence[Fold], graph: ListGraph) -> CrossValidation:
    """Folds as their models scored them, each set right by the others."""
    return CrossValidation(
        tuple(_promise(folds, fold, graph) for fold in folds),
        calibrate([(fold.pairs, fold.logits) for fold in folds], graph),
        calibrate([(fold.new_pairs, fold.new_logits) for fold in folds], graph),
    )


def recalls(validation: CrossValidation, graph: ListGraph, new_page: bool = False) -> Values:
    """recall@10 of each judged page, no rule applied, in the order of graph.judged."""
    found = {
        row: _recall(columns, logits, graph.targets(row)) for row, columns, logits, _ in validation.scored(new_page)
    }
    return np.array([found[row] for row in graph.judged.tolist()])


def default_recalls(pairs: Pairs, graph: ListGraph) -> Values:
    """The same of the default model. pairs: of the whole site."""
    logits = DEFAULT.logits(pairs.values)
    return np.array(
        [_recall(pairs.columns[pairs.of(r)], logits[pairs.of(r)], graph.targets(r)) for r in graph.judged.tolist()]
    )


def without_signals(pairs: Pairs, left_out: Sequence[str]) -> Pairs:
    """The same pairs, some signals of them made silent for good."""
    for signal in left_out:
        pairs.values[:, SIGNALS.index(signal)] = 0.0
    return pairs


def deal(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows dealt into FOLDS, the same each time."""
    shuffled = np.random.default_rng(_SEED).permutation(rows)
    return [np.sort(part) for part in np.array_split(shuffled, FOLDS)]


def judge(pairs: Pairs, rows: Columns, models: tuple[Model, Model]) -> Fold:
    """These pages, scored by models for listed and for new ones that have not seen them. pairs: these among them."""
    listed, new = models
    judged = pairs.select(rows)
    as_new = judged.as_new()
    logits = Lesson(True, "", 0, None, listed, new, DEFAULT).logits(judged)
    return Fold(judged, logits, as_new, new.logits(as_new.values))


def fit_both(pairs: Pairs, graph: ListGraph, labels: RowLabels = NO_ROWS) -> tuple[Model, Model]:
    """The models for listed and for new pages, from the pages that have a list or labels. pairs: of the whole site."""
    teaching = pairs.select(np.union1d(graph.judged, labels.pages) if len(labels) else graph.judged)
    listed = _fit("learned, for pages that lists name", teaching, graph, labels)
    return listed, _fit("learned, for new pages", teaching.as_new(), graph, labels)


def _fit(name: str, pairs: Pairs, graph: ListGraph, labels: RowLabels) -> Model:
    """Logistic regression on all listed and labelled candidates and a sample of the others.

    The default model's logit takes part as one signal more that the penalty hardly touches: what is penalised is how
    far the weights move away from the default, so that few lists move them little.
    """
    kept, wanted, counts = _sample(pairs, graph, labels)
    if wanted.all() or not wanted.any():  # nothing to tell apart
        return replace(DEFAULT, name=name)
    values = pairs.values[kept].astype(np.float64)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    standard = Model(name, tuple(mean), tuple(scale), (1.0,) * len(SIGNALS), 0.0).contributions(pairs.values[kept])
    prior = np.array(DEFAULT.weights) * scale
    prior *= _FREE / max(float((standard @ prior).std()), 1e-9)
    regression = LogisticRegression(C=1.0 / PENALTY, solver="newton-cholesky", max_iter=_ROUNDS)
    regression.fit(np.column_stack([standard, standard @ prior]), wanted, sample_weight=counts)
    *own, of_prior = regression.coef_[0]
    weights = np.where(values.std(axis=0) > 1e-9, np.array(own) + of_prior * prior, 0.0)
    return Model(
        name,
        tuple(map(float, mean)),
        tuple(map(float, scale)),
        tuple(map(float, weights)),
        float(regression.intercept_[0]),
    )


def _promise(folds: Sequence[Fold], fold: Fold, graph: ListGraph) -> Fold:
    """The fold with its logits set right by the other folds."""
    others = [other for other in folds if other is not fold]
    curve = calibrate([(other.pairs, other.logits) for other in others], graph)
    new_curve = calibrate([(other.new_pairs, other.new_logits) for other in others], graph)
    return replace(fold, logits=set_right(fold.logits, curve), new_logits=set_right(fold.new_logits, new_curve))


def calibrate(scored: Sequence[tuple[Pairs, Values]], graph: ListGraph) -> Curve:
    """What logits of pages not learned from really promised: knots for model.set_right().

    The pairs are cut into bins that hold as many listed ones each; a knot is a bin's mean logit and the logit of the
    share that editors listed, made to rise (isotonic regression, Zadrozny and Elkan 2002). No knots where hardly any
    pair is listed.
    """
    logits = np.concatenate([logits for _, logits in scored])
    labels = np.concatenate([is_listed(pairs, graph) for pairs, _ in scored])
    if labels.sum() < KNOTS:
        return ()
    edges = np.quantile(logits[labels], np.linspace(0, 1, KNOTS + 1)[1:-1])
    bins = np.searchsorted(edges, logits)
    _, bins, counts = np.unique(bins, return_inverse=True, return_counts=True)  # only those that hold anything
    means = np.bincount(bins, weights=logits) / counts
    rising = isotonic_regression((np.bincount(bins, weights=labels) + 0.5) / (counts + 1.0), sample_weight=counts)
    return tuple((float(x), float(np.log(p / (1 - p)))) for x, p in zip(means, rising, strict=True))


def is_listed(pairs: Pairs, graph: ListGraph) -> Mask:
    """Whether each pair stands in its essay's list."""
    n = graph.matrix.shape[0]
    coded = pairs.rows[pairs.owner] * n + pairs.columns
    listed = np.concatenate([row * n + graph.targets(row) for row in pairs.rows.tolist()] or [np.zeros(0, np.int64)])
    return np.isin(coded, listed)


def _sample(pairs: Pairs, graph: ListGraph, labels: RowLabels) -> tuple[NDArray[np.int64], Mask, Values]:
    """The pairs to learn from, which of them are wanted, and how many each stands for.

    What a list does not name is unwanted; on a page without a list nothing is known of it, so only labels are taken.
    """
    marks = labels.marks(pairs)
    wanted = (is_listed(pairs, graph) | (marks > 0)) & (marks >= 0)
    has_list = graph.lengths[pairs.rows] > 0
    others = np.flatnonzero(~wanted & (marks == 0) & has_list[pairs.owner])
    most = min(len(others), NEGATIVES * int(has_list.sum()))
    chosen = np.random.default_rng(_SEED).choice(others, most, replace=False)
    kept = np.sort(np.concatenate([np.flatnonzero(wanted | (marks < 0)), chosen]))
    counts = np.where(wanted[kept], 1.0, len(others) / max(most, 1))
    counts[marks[kept] > 0] = APPROVED
    counts[marks[kept] < 0] = EXCLUDED
    return kept, wanted[kept], counts


def _recall(columns: Columns, logits: Values, listed: Columns) -> float:
    best = columns[np.lexsort((columns, -logits))[:_K]]
    return float(np.isin(listed, best).mean())
