"""What is learned of a site before anything is published: its candidates, its lists' lesson, and the proof of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.candidates import Pairs
from recommender.editor_labels import NO_LABELS, EditorLabels
from recommender.editor_trial import learn_with_editors
from recommender.finding import find_candidates
from recommender.learning import FOLDS, CrossValidation, Lesson, cross_validate, default_recalls, teach
from recommender.material import Material
from recommender.watch import Unwatched, Watch

if TYPE_CHECKING:
    from recommender.engines.workers import Workers


@dataclass(frozen=True, eq=False)
class Study:
    """pairs: the candidates of every essay. validation: None when there are too few lists to learn from."""

    pairs: Pairs
    validation: CrossValidation | None
    lesson: Lesson


def study_lists(
    material: Material,
    watch: Watch | None = None,
    labels: EditorLabels = NO_LABELS,
    workers: "Workers | None" = None,
) -> Study:
    """Find candidates, judge by folds what the lists and the editors' labels teach, and learn from all of them.

    workers: who finds the candidates of a large site; None is this process.
    """
    watch = watch or Unwatched()
    landscape, graph = material.landscape, material.graph
    pairs = find_candidates(landscape, graph, watch.stage("finding candidates", len(material.ids)), workers)
    progress = watch.stage("learning from lists", FOLDS)
    if labels:
        return Study(pairs, *learn_with_editors(landscape, graph, pairs, labels, progress))
    validation = cross_validate(landscape, graph, progress)
    return Study(pairs, validation, teach(graph, validation, pairs, default_recalls(pairs, graph)))
