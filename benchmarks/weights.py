"""Which weights the cold blend should have: recall@10 by weights and corpus, no rule applied.

usage: python -m benchmarks.weights [--home DIR] CORPUS...

What it gave, and what else was tried, stands in results/cold-weights.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.datasets import NoDataset, load
from corpus.catalogue import build_catalogue
from embeddings.cache import open_cache
from embeddings.sentence import SentenceEncoder
from recommender.evaluation import judged_lists
from recommender.material import Material, encode_catalogue
from recommender.signals import WEIGHTS, Neighbours
from recommender.watch import Unwatched

TRIED = (
    {"meaning": 1.0},
    {"wording": 1.0},
    {"meaning": 1.0, "wording": 0.25},
    {"meaning": 1.0, "wording": 0.5},
    {"meaning": 1.0, "wording": 1.0},
    {"meaning": 1.0, "wording": 0.5, "names": 0.15},
    {"meaning": 1.0, "wording": 0.5, "named": 0.15},
    {"meaning": 1.0, "wording": 0.5, "names": 0.1, "named": 0.1},
    {"meaning": 1.0, "wording": 0.5, "names": 0.15, "named": 0.15},
    {"meaning": 1.0, "wording": 0.5, "names": 0.2, "named": 0.1},
    {"meaning": 1.0, "wording": 0.5, "names": 0.2, "named": 0.2},
    {"meaning": 1.0, "wording": 0.5, "names": 0.3, "named": 0.3},
    {"meaning": 1.0, "wording": 0.75, "names": 0.15, "named": 0.15},
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    options = parser.parse_args()
    try:
        columns = [recalls(name, options.home) for name in options.corpora]
    except NoDataset as error:
        print(f"weights: {error}", file=sys.stderr)
        return 1
    print("| | " + " | ".join(options.corpora) + " |\n|" + "---|" * (len(columns) + 1))
    for weights, *row in zip(TRIED, *columns, strict=True):
        shown = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
        print(f"| {f'**{shown}**' if weights == WEIGHTS else shown} | " + " | ".join(f"{r:.3f}" for r in row) + " |")
    return 0


def recalls(name: str, home: Path) -> list[float]:
    """recall@10 on one corpus, for each of the weights tried."""
    catalogue = build_catalogue(load(name).essays)
    encoder = SentenceEncoder()
    with open_cache(home / "cache" / "vectors.sqlite3", encoder.fingerprint) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, Unwatched())
    material = Material.gather(catalogue, encoded, encoder.fingerprint)
    truth = judged_lists(material, catalogue.curated)
    found = []
    for weights in TRIED:
        near = Neighbours(material.cold_items, weights).nearest(material.cold_items, material.cold_items, 10)
        lists = {essay.id: {c.id for c in row} for essay, row in zip(material.essays, near, strict=True)}
        found.append(float(np.mean([len(lists[own] & set(t)) / len(t) for own, t in truth.items()])))
    return found


if __name__ == "__main__":
    sys.exit(main())
