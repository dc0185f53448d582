"""The quality gate: recall on examples/ may not fall under the floors pinned in floors.json.

usage: python -m benchmarks.gate [--pin] [--lower]

The floors belong to the pages as they are, by their digest. --pin writes the figures of this run as the new floors,
never a lower one; --lower allows that too, and wants a reason in the commit.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embeddings.sentence import SentenceEncoder
from recommender.edition import open_current
from recommender.evaluation import OURS
from recommender.job import BuildOptions, build
from recommender.learning import recalls
from recommender.material import Material
from recommender.study import study_lists

ROOT = Path(__file__).parent.parent
FLOORS = Path(__file__).parent / "floors.json"
GATED = (
    *("cold curated_recall@10", "cold mrr", "cold ndcg@10"),
    *("curated curated_recall@10", "new_page curated_recall@10"),
)
"""Protocol and metric, of our own lists."""
SLACK = 0.005
"""Room for what another processor's arithmetic may change in the order of near-ties."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--lower", action="store_true")
    options = parser.parse_args()
    measured = measure()
    pinned = json.loads(FLOORS.read_text(encoding="utf-8")) if FLOORS.exists() else {"sha256": None, "floors": {}}
    for name, value in measured["floors"].items():
        print(f"{name:32} {value:.4f}, floor {pinned['floors'].get(name, 0.0):.4f}")
    if options.pin or options.lower:
        return pin(measured, pinned, options.lower)
    return judge(measured, pinned)


def measure() -> dict[str, Any]:
    """The figures of our system on examples/, with the digest of the pages."""
    with tempfile.TemporaryDirectory() as home:
        report = build([ROOT / "examples"], Path(home), SentenceEncoder(), BuildOptions())
        edition = open_current(Path(home))
        floors = figures(report.evaluation) | learned_figures(Material.load(edition))
    return {"sha256": edition.manifest["corpus"], "n": report.evaluation["n"], "floors": floors}


def learned_figures(material: Material) -> dict[str, float]:
    """What the lists teach, whether or not a build of so few lists would use it; before any rule."""
    validation = study_lists(material).validation
    if validation is None:
        return {}
    found = {name: recalls(validation, material.graph, name == "new_page") for name in ("curated", "new_page")}
    return {f"learned {name} recall@10": round(float(values.mean()), 6) for name, values in found.items()}


def figures(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """The gated figures of an evaluation; of a protocol that was not judged, 0."""
    found = {}
    for name in GATED:
        protocol, metric = name.split()
        found[name] = evaluation[protocol][OURS][metric][0] if protocol in evaluation else 0.0
    return found


def judge(measured: Mapping[str, Any], pinned: Mapping[str, Any]) -> int:
    """0 when the pages are the pinned ones, every figure has a floor, and none is under it."""
    if measured["sha256"] != pinned["sha256"]:
        print("gate: examples/ is not what the floors were pinned on; pin anew: python -m benchmarks.gate --pin")
        return 1
    unpinned = [name for name in measured["floors"] if name not in pinned["floors"]]
    for name in unpinned:
        print(f"gate: {name} has no floor yet; pin it: python -m benchmarks.gate --pin")
    fallen = [name for name, floor in pinned["floors"].items() if measured["floors"].get(name, 0.0) < floor - SLACK]
    for name in fallen:
        value = measured["floors"].get(name, 0.0)
        print(f"gate: {name} fell to {value:.4f}, under its floor {pinned['floors'][name]:.4f}")
    return 1 if fallen or unpinned else 0


def pin(measured: Mapping[str, Any], pinned: Mapping[str, Any], lower: bool) -> int:
    """Write the figures as floors; refuses a lower one unless told to lower."""
    sunk = [name for name, floor in pinned["floors"].items() if measured["floors"].get(name, 0.0) < floor]
    if sunk and not lower:
        print(f"gate: {', '.join(sunk)} would be lowered; that takes --lower")
        return 1
    FLOORS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
