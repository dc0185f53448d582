"""Whether editors' decisions on some pages better the recommendations of the others: a simulation.

usage: python -m benchmarks.editors [--home DIR] [--out FILE] CORPUS

Of a share of the lists half of each list's entries are hidden. An editor looks at the ten best suggestions on those
pages, approves what stands in the hidden half, excludes some of the rest, and errs in one decision of twenty. Judged
are the other lists, which nobody touched, each by what the other folds' lists and the editor's decisions teach.
`fitted`: the models that decisions would make; `served`: after the build has decided whether to use them. Without
lists: none is seen by anything; the editor approves what stands in the page's list. Tables are appended to --out.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets import NoDataset, load
from corpus.catalogue import build_catalogue
from embeddings.cache import PLACE, open_cache
from embeddings.encoder import cache_key
from embeddings.sentence import SentenceEncoder
from recommender.candidates import Pairs
from recommender.editor_labels import EditorLabels
from recommender.editor_lesson import EditorsLesson
from recommender.editor_trial import learn_with_editors, try_labels
from recommender.encoded import encode_catalogue
from recommender.finding import candidate_finder
from recommender.label_rows import RowLabels
from recommender.landscape import Landscape
from recommender.learning import CrossValidation, Lesson, cross_validate, default_recalls, fit_both, recalls, teach
from recommender.list_graph import ListGraph
from recommender.material import Material
from recommender.metrics import Interval, Values, bootstrap
from recommender.model import DEFAULT
from recommender.watch import Unwatched

DECISIONS = (100, 300, 1000)
SAMPLE = 0.5
"""Of the lists: those of the pages that the editor looks at."""
SEEN = 10
EXCLUDES = 0.25
"""Of the suggestions that are not in the hidden half; the others the editor leaves alone."""
MISTAKES = 0.05
_SEED = 29

Decided = tuple[str, str, bool]
"""Source, target, whether approved."""


@dataclass(frozen=True, eq=False)
class Site:
    """landscape, graph: of the corpus. looked_at: the rows of the editor's pages. rest: the lists that are judged."""

    landscape: Landscape
    graph: ListGraph
    looked_at: Sequence[int]
    rest: Sequence[int]

    @classmethod
    def of(cls, landscape: Landscape, graph: ListGraph) -> "Site":
        """The pages drawn with a fixed seed."""
        rows = np.random.default_rng(_SEED).permutation(graph.listing).tolist()
        cut = round(SAMPLE * len(rows))
        return cls(landscape, graph, rows[:cut], sorted(rows[cut:]))

    def halved(self) -> ListGraph:
        """The graph without half of each list that belongs to a page looked at."""
        rng, ids = np.random.default_rng(_SEED), self.landscape.texts.ids
        lists = {}
        for row in self.graph.listing.tolist():
            listed = self.graph.targets(row)
            kept = rng.permutation(listed)[: max(1, len(listed) // 2)] if row in set(self.looked_at) else listed
            lists[ids[row]] = [ids[column] for column in kept.tolist()]
        return ListGraph.of(ids, lists)

    def decide(self, pairs: Pairs, logits: Values, seen: ListGraph) -> list[Decided]:
        """The editor's decisions, page by page."""
        rng, ids = np.random.default_rng(_SEED), self.landscape.texts.ids
        found = []
        for row in self.looked_at:
            part, wanted = pairs.of(row), set(self.graph.targets(row).tolist())
            columns = pairs.columns[part][np.lexsort((pairs.columns[part], -logits[part]))]
            for column in columns[~np.isin(columns, seen.targets(row))][:SEEN].tolist():
                if column in wanted or rng.random() < EXCLUDES:
                    found.append((ids[row], ids[column], (column in wanted) != (rng.random() < MISTAKES)))
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    parser.add_argument("--out", type=Path, help="a Markdown file")
    options = parser.parse_args()
    try:
        material = gather(options.corpus, options.home)
    except NoDataset as error:
        print(f"editors: {error}", file=sys.stderr)
        return 1
    site = Site.of(material.landscape, material.graph)
    lines = [f"## {options.corpus}", "", *with_lists(site), "", *without_lists(site), ""]
    print("\n".join(lines))
    if options.out:
        with options.out.open("a", encoding="utf-8") as out:
            out.write("\n" + "\n".join(lines).rstrip() + "\n")
    return 0


def gather(name: str, home: Path) -> Material:
    """The material of a corpus. Raises NoDataset."""
    catalogue, encoder = build_catalogue(load(name).essays), SentenceEncoder()
    with open_cache(home / PLACE, cache_key(encoder)) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, Unwatched())
    return Material.gather(catalogue, encoded, encoder.fingerprint)


def with_lists(site: Site) -> Iterator[str]:
    """The table of decisions beside lists."""
    graph = site.halved()
    pairs = candidate_finder(site.landscape, graph).of_site()
    plain = cross_validate(site.landscape, graph)
    lesson = teach(graph, plain, pairs, default_recalls(pairs, graph))
    decisions = site.decide(pairs, lesson.logits(pairs), graph)
    judged = np.isin(graph.listing, site.rest)
    before = judge(plain, lesson, pairs, graph)[judged]
    yield f"Beside lists: {len(site.looked_at):,} pages looked at, n = {len(before):,} other lists judged. recall@10"
    yield f"without decisions: {shown(bootstrap(before))}."
    yield ""
    yield from HEADER
    for labels in portions(decisions):
        rows = RowLabels.of(labels, site.landscape.texts.ids).among(pairs)
        trial = try_labels(site.landscape, graph, rows)
        fitted = recalls(CrossValidation(tuple(trial.taught), (), ()), graph)[judged]
        after, taught = learn_with_editors(site.landscape, graph, pairs, labels)
        served = judge(after, taught, pairs, graph)[judged]
        yield line(labels, bootstrap(fitted - before), bootstrap(served - before), taught.editors)


def without_lists(site: Site) -> Iterator[str]:
    """The table of decisions alone; judged are pages that have neither a decision nor a list that is seen."""
    blank = site.graph.without(site.graph.listing)
    pairs = candidate_finder(site.landscape, blank).of_site()
    default = DEFAULT.logits(pairs.values)
    before = found(default, pairs, site)
    decisions = site.decide(pairs, default, blank)
    yield f"Without lists: {len(site.looked_at):,} pages looked at, n = {len(before):,} others judged. recall@10"
    yield f"without decisions: {shown(bootstrap(before))}."
    yield ""
    yield from HEADER
    for labels in portions(decisions):
        rows = RowLabels.of(labels, site.landscape.texts.ids).among(pairs)
        listed, new = fit_both(pairs, blank, rows)
        fitted = found(Lesson(True, "", 0, None, listed, new, DEFAULT).logits(pairs), pairs, site)
        _, lesson = learn_with_editors(site.landscape, blank, pairs, labels)
        served = found(lesson.logits(pairs), pairs, site)
        yield line(labels, bootstrap(fitted - before), bootstrap(served - before), lesson.editors)


def judge(validation: CrossValidation | None, lesson: Lesson, pairs: Pairs, graph: ListGraph) -> Values:
    """recall@10 of each list, by what the lesson serves."""
    return recalls(validation, graph) if validation and lesson.used else default_recalls(pairs, graph)


def found(logits: Values, pairs: Pairs, site: Site) -> Values:
    """recall@10 of each list that is judged. pairs: of the whole site."""
    values = []
    for row in site.rest:
        part = pairs.of(row)
        best = pairs.columns[part][np.lexsort((pairs.columns[part], -logits[part]))][:SEEN]
        values.append(np.isin(site.graph.targets(row), best).mean())
    return np.array(values)


def portions(decisions: Sequence[Decided]) -> Iterator[EditorLabels]:
    """The first of the decisions, as many as DECISIONS says, or all where there are fewer."""
    for number in sorted({min(number, len(decisions)) for number in DECISIONS}):
        sides = ([(s, t) for s, t, approved in decisions[:number] if approved is side] for side in (True, False))
        yield EditorLabels(*map(frozenset, sides))


HEADER = (
    "| decisions | approved, excluded | fitted: gain | served: gain | used | approved above excluded |",
    "|---|---|---|---|---|---|",
)


def line(labels: EditorLabels, fitted: Interval, served: Interval, told: EditorsLesson | None) -> str:
    """A row of a table."""
    between = told.separation if told else None
    separated = f"{between.before:.3f}, {between.after:.3f} ({shown(between.gain)})" if between else ""
    counts = f"{len(labels):,} | {len(labels.approved):,}, {len(labels.excluded):,}"
    used = "yes" if told and told.used else "no"
    return f"| {counts} | {shown(fitted)} | {shown(served)} | {used} | {separated} |"


def shown(interval: Interval) -> str:
    """A mean with its interval."""
    return f"{interval[0]:.3f} [{interval[1]:.3f}, {interval[2]:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
