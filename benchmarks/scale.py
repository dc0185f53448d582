"""What signals and learning cost on a larger site: several corpora put together as one.

usage: python -m benchmarks.scale [--home DIR] [--essays N] CORPUS...

Prints seconds by stage, encoding aside, and peak memory. Machines differ: read it as an order of size.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.datasets import NoDataset, load
from corpus.catalogue import build_catalogue
from corpus.essay import Essay
from embeddings.cache import PLACE, open_cache
from embeddings.sentence import SentenceEncoder
from recommender.material import Material, encode_catalogue
from recommender.neighbourhood import find_neighbourhood
from recommender.study import study_lists
from recommender.watch import Unwatched


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    parser.add_argument("--essays", type=int, default=3467, help="at most so many")
    options = parser.parse_args()
    try:
        essays = list(joint_site(options.corpora))[: options.essays]
    except NoDataset as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    catalogue = build_catalogue(essays)
    encoder = SentenceEncoder()
    with open_cache(options.home / PLACE, encoder.fingerprint) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, Unwatched())
    times = [time.perf_counter()]
    material = Material.gather(catalogue, encoded, encoder.fingerprint)
    times.append(time.perf_counter())
    study = study_lists(material)
    times.append(time.perf_counter())
    find_neighbourhood(material, catalogue, study.pairs, study.lesson)
    times.append(time.perf_counter())
    stages = ("survey", "learn", "candidates")
    seconds = ", ".join(f"{name} {b - a:.1f}" for name, a, b in zip(stages, times[:-1], times[1:], strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(essays):,} essays, {len(material.graph.listing):,} lists: {seconds} s; peak memory {memory:,} MB")
    return 0


def joint_site(corpora: Sequence[str]) -> Iterator[Essay]:
    """The essays of all corpora, ids and references told apart by the corpus's name."""
    for name in corpora:
        for essay in load(name).essays:
            related = tuple(f"{name}/{ident}" for ident in essay.related)
            yield replace(essay, id=f"{name}/{essay.id}", url=None, related=related)


if __name__ == "__main__":
    sys.exit(main())
