"""Which weights the default blend should have: recall@10 by weights and corpus, cold, no rule applied.

usage: python -m benchmarks.weights [--home DIR] CORPUS...

All lists are hidden, and all other essays are ranked. Tried are each signal alone, the shipped blend, the blend without
each of its parts, with each at half and at twice its weight, and with each other signal; then, for each corpus, the
blend that is best there is judged on the others. What it gave stands in results/cold-weights.md.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.datasets import NoDataset, load
from corpus.catalogue import build_catalogue
from embeddings.cache import PLACE, open_cache
from embeddings.encoder import cache_key
from embeddings.sentence import SentenceEncoder
from recommender.candidates import Pairs
from recommender.encoded import encode_catalogue
from recommender.finding import candidate_finder
from recommender.list_graph import ListGraph
from recommender.material import Material
from recommender.model import DEFAULT, Model
from recommender.signals import TEXT_SIGNALS
from recommender.watch import Unwatched

K = 10
SHIPPED = {
    signal: round(DEFAULT.weight_of(signal) / DEFAULT.weight_of("meaning"), 6)
    for signal in TEXT_SIGNALS
    if DEFAULT.weight_of(signal)
}
"""A blend's slope and offset change no order: weights are told as shares of that of meaning."""
ADDED = (0.1, 0.3)


def tried() -> Iterator[tuple[str, Mapping[str, float]]]:
    """Each blend with its name."""
    yield from ((f"{signal} alone", {signal: 1.0}) for signal in TEXT_SIGNALS)
    yield f"**{', '.join(f'{signal} {weight:g}' for signal, weight in SHIPPED.items())}**", SHIPPED
    yield from ((f"without {signal}", SHIPPED | {signal: 0.0}) for signal in SHIPPED)
    for signal, weight in SHIPPED.items():
        yield from ((f"{signal} {weight * by:g}", SHIPPED | {signal: weight * by}) for by in (0.5, 2.0))
    for signal in TEXT_SIGNALS:
        if signal not in SHIPPED:
            yield from ((f"with {signal} {weight:g}", SHIPPED | {signal: weight}) for weight in ADDED)


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
    for (name, _), *row in zip(tried(), *columns, strict=True):
        print(f"| {name} | " + " | ".join(f"{recall:.3f}" for recall in row) + " |")
    print_chosen(options.corpora, columns)
    return 0


def print_chosen(corpora: Sequence[str], columns: Sequence[Sequence[float]]) -> None:
    """The blend that is best on one corpus, judged on the others."""
    names = [name for name, _ in tried()]
    print("\n| best on | is | " + " | ".join(corpora) + " |\n|" + "---|" * (len(columns) + 2))
    for corpus, column in zip(corpora, columns, strict=True):
        best = max(range(len(names)), key=lambda i: column[i])
        cells = (f"({c[best]:.3f})" if c is column else f"{c[best]:.3f}" for c in columns)
        print(f"| {corpus} | {names[best]} | " + " | ".join(cells) + " |")


def recalls(name: str, home: Path) -> list[float]:
    """recall@10 on one corpus, for each of the blends tried."""
    catalogue = build_catalogue(load(name).essays)
    encoder = SentenceEncoder()
    with open_cache(home / PLACE, cache_key(encoder)) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, Unwatched())
    material = Material.gather(catalogue, encoded, encoder.fingerprint)
    pairs = all_pairs(material)
    return [recall_of(Model.plain(blend, weights, 0.0), pairs, material.graph) for blend, weights in tried()]


def all_pairs(material: Material) -> Pairs:
    """Every essay that has a list with every other essay, no list seen."""
    n, graph = len(material.ids), material.graph
    others = [np.delete(np.arange(n), row) for row in range(n)]
    nothing = np.zeros(0, dtype=np.int64)
    wanted = [columns if graph.lengths[row] else nothing for row, columns in enumerate(others)]
    return candidate_finder(material.landscape, graph.without(graph.listing)).exactly(wanted).select(graph.listing)


def recall_of(model: Model, pairs: Pairs, graph: ListGraph) -> float:
    """Mean recall@10 over the lists; ties by id."""
    found = []
    for place, row in enumerate(pairs.rows.tolist()):
        part = pairs.of(place)
        columns, logits = pairs.columns[part], model.logits(pairs.values[part])
        best = columns[np.lexsort((columns, -logits))[:K]]
        found.append(np.isin(graph.targets(row), best).mean())
    return float(np.mean(found))


if __name__ == "__main__":
    sys.exit(main())
