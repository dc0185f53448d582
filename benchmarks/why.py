"""Is every pair explained, rightly and quickly? What the editors' desk asks, in process.

usage: python -m benchmarks.why [--home DIR] [--pairs N] HOME_OR_CORPUS...

A home is a folder with a published edition. Of a corpus (see datasets.py) an edition is built first, elsewhere, with
the vectors that the cache of --home has (default ./data). Every essay is asked about every other essay and every blurb
without a page, or, with --pairs, about so many pairs drawn at random. Prints how many were answered; ends with 1 when
any was not.

An answer is right when its account adds up to its score, and when where the item stands is what the list says: the rank
of what is listed, and no rank of the list for what is not.
"""

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import exp
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.datasets import NoDataset
from benchmarks.never_wrong import built
from corpus.essay import Essay
from embeddings.cache import PLACE
from embeddings.encoder import Encoder
from recommender.edition import Edition, open_current
from recommender.explain import Explainer, Explanation, Passages, reading_passages
from recommender.ranking import Rules, list_limit
from service.settings import load_settings

SEED = 7
EXACT = 1e-6

Pair = tuple[str, str]


@dataclass
class Outcome:
    """seconds: of each answer. wrong: a sentence for each that is wrong or did not come."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Judge:
    """Explains pairs of an edition by these rules, and looks at the answers."""

    def __init__(self, edition: Edition, explainer: Explainer, rules: Rules) -> None:
        self.outcome = Outcome()
        self._edition, self._explainer, self._rules = edition, explainer, rules
        self._ranks: dict[str, dict[str, int]] = {}

    def judge(self, source: str, target: str) -> None:
        """Ask for a pair."""
        begun = perf_counter()
        try:
            found = self._explainer.explain(source, target, self._rules)
        except Exception as error:  # that none comes is what is counted
            self.outcome.wrong.append(f"{source!r} and {target!r}: {type(error).__name__}: {error}")
            return
        self.outcome.seconds.append(perf_counter() - begun)
        fault = fault_of(found, self._ranks_of(source).get(target))
        if fault:
            self.outcome.wrong.append(f"{source!r} and {target!r}: {fault}")

    def _ranks_of(self, source: str) -> dict[str, int]:
        if source not in self._ranks:
            limit = list_limit(self._edition.lists(source).list_length)
            places = self._edition.related(source, replace(self._rules, limit=limit)).recommendations
            self._ranks[source] = {place.target: place.position for place in places}
        return self._ranks[source]


def fault_of(found: Explanation, rank: int | None) -> str | None:
    """What is wrong with an answer. rank: of the target in the source's list, None when it is not there."""
    score = found.editors if found.profile == "editors" else found.meaning
    promised = 1 / (1 + exp(-found.account.logit))
    if abs(promised - score) > EXACT:
        return f"the account adds up to {promised:.9f}, and the score is {score:.9f}"
    listed = found.standing.startswith("at rank ") and "below the list's end" not in found.standing
    if not found.standing or listed != (rank is not None):
        return f"it is said to stand {found.standing!r}, and its rank is {rank}"
    if rank is not None and not found.standing.startswith((f"at rank {rank},", f"at rank {rank} ")):
        return f"it is said to stand {found.standing!r}, and its rank is {rank}"
    return None


def all_pairs(edition: Edition) -> list[Pair]:
    """Every essay with every other item, in id order."""
    items = sorted(item.id for item in edition.items.stream())
    return [(source, target) for source in edition.essay_ids() for target in items if source != target]


def some_pairs(edition: Edition, count: int) -> list[Pair]:
    """So many of them, the same each time."""
    draw = random.Random(SEED)  # noqa: S311
    items, essays = sorted(item.id for item in edition.items.stream()), list(edition.essay_ids())
    pairs: list[Pair] = []
    while len(pairs) < count:
        source, target = draw.choice(essays), draw.choice(items)
        if source != target:
            pairs.append((source, target))
    return pairs


def judge_home(home: Path, pairs: int | None) -> tuple[Outcome, float]:
    """What comes of the pairs of a home's edition, and how many seconds it took to open."""
    settings, edition = load_settings(home), open_current(home)
    begun = perf_counter()
    explainer = Explainer(edition, _passages_of(home, edition, settings.encoder()))
    judge, opening = Judge(edition, explainer, settings.rules()), perf_counter() - begun
    for source, target in some_pairs(edition, pairs) if pairs else all_pairs(edition):
        judge.judge(source, target)
    return judge.outcome, opening


def report(name: str, outcome: Outcome, opening: float) -> bool:
    """Print what came of it; whether nothing is wrong."""
    taken = sorted(1000 * seconds for seconds in outcome.seconds) or [0.0]
    print(
        f"{name}: {len(outcome.seconds):,} pairs answered, {len(outcome.wrong):,} failed or wrong; "
        f"median {median(taken):.1f} ms, 99% within {taken[int(len(taken) * 0.99)]:.1f}, the slowest {taken[-1]:.0f}; "
        f"opened in {opening:.1f} s; the model was {'' if 'torch' in sys.modules else 'not '}loaded"
    )
    for sentence in outcome.wrong[:5]:
        print(f"  WRONG: {sentence}")
    return not outcome.wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", metavar="HOME_OR_CORPUS")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    parser.add_argument("--pairs", type=int, help="how many, drawn at random; by default all")
    options = parser.parse_args()
    fine = True
    for place in options.places:
        with TemporaryDirectory() as folder:
            try:
                home = Path(place) if (Path(place) / "current").is_file() else built(place, Path(folder), options.home)
            except NoDataset as error:
                parser.error(str(error))
            fine &= report(place, *judge_home(home, options.pairs))
    return 0 if fine else 1


def _passages_of(home: Path, edition: Edition, encoder: Encoder) -> Callable[[Essay], Passages]:
    """As the desk reads them: a cache opened for each."""

    def passages_of(essay: Essay) -> Passages:
        with reading_passages(edition, encoder, home / PLACE) as read:
            return read(essay)

    return passages_of


if __name__ == "__main__":
    sys.exit(main())
