"""How well editors' lists are found again, beside what a site could do without us.

usage: python -m benchmarks.quality [--home DIR] [--out DIR] [--floor RATIO] [CORPUS...]

CORPUS is a name or a folder (see datasets.py); without one, every corpus at hand. Protocol "cold": all lists are hidden
from every signal. Writes quality.json and quality.md, with the data's digests and the versions, into --out. Ends with 1
when, on any corpus, our recall@10 is under --floor times the best of TF-IDF, BM25 and dense alone in the same run.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset, NoDataset, available, load
from corpus.catalogue import build_catalogue
from embeddings.cache import open_cache
from embeddings.encoder import Encoder
from embeddings.sentence import SentenceEncoder
from recommender.evaluation import OURS, evaluate
from recommender.job import package_versions
from recommender.material import Material, encode_catalogue
from recommender.neighbourhood import find_neighbourhood
from service.console import Bars, print_evaluation

RIVALS = ("tfidf", "bm25", "dense")
METRICS = ("curated_recall@5", "curated_recall@10", "curated_recall@50", "hit@10", "mrr", "ndcg@10")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    parser.add_argument("--out", type=Path, help="write quality.json and quality.md here")
    parser.add_argument("--floor", type=float, default=1.05)
    options = parser.parse_args()
    encoder = SentenceEncoder()
    try:
        datasets = [load(name) for name in options.corpora or available()]
    except NoDataset as error:
        print(f"quality: {error}", file=sys.stderr)
        return 1
    results = [measure(dataset, encoder, options.home) for dataset in datasets]
    for result in results:
        print_evaluation(result["evaluation"], result["corpus"])
        print(f"recall@10 is {result['ratio']:.3f} x {result['best_rival']}'s")
    if options.out:
        write(results, encoder.fingerprint, options.out)
    return 0 if all(result["ratio"] >= options.floor for result in results) else 1


def measure(dataset: Dataset, encoder: Encoder, home: Path) -> dict[str, Any]:
    """One corpus: the evaluation, and the ratio of our recall@10 to the best rival's."""
    catalogue = build_catalogue(dataset.essays)
    with Bars() as bars, open_cache(home / "cache" / "vectors.sqlite3", encoder.fingerprint) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, bars)
    start = time.perf_counter()
    material = Material.gather(catalogue, encoded, encoder.fingerprint)
    items = find_neighbourhood(material, catalogue, lambda done: None).items
    evaluation = evaluate(material, catalogue.curated, items, catalogue.report.total).to_json()
    recall = {name: metrics["curated_recall@10"][0] for name, metrics in evaluation["cold"].items()}
    best = max(RIVALS, key=lambda name: recall[name])
    return {
        "corpus": dataset.name,
        "sha256": dataset.sha256,
        "essays": len(dataset.essays),
        "problems": len(dataset.problems),
        "evaluation": evaluation,
        "best_rival": best,
        "ratio": round(recall[OURS] / recall[best], 4),
        "seconds_beside_encoding": round(time.perf_counter() - start, 1),
    }


def write(results: Sequence[Mapping[str, Any]], fingerprint: str, out: Path) -> None:
    """The results for programs and for people, with what they depend on."""
    out.mkdir(parents=True, exist_ok=True)
    run = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python -m benchmarks.quality " + " ".join(result["corpus"] for result in results),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": package_versions(),
        "encoder": fingerprint,
        "results": results,
    }
    (out / "quality.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    (out / "quality.md").write_text(report(run), encoding="utf-8")


def report(run: Mapping[str, Any]) -> str:
    """The tables as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines = [
        "# Quality: editors' lists found again, cold",
        "",
        f"`{run['command']}` on {run['date']}; {run['machine']};",
    ]
    lines += [f"{run['encoder']}; {versions}.", "", "Brackets are 95% bootstrap intervals over the judged lists."]
    for result in run["results"]:
        evaluation = result["evaluation"]
        lines += ["", f"## {result['corpus']}: {result['essays']:,} essays, n = {evaluation['n']:,} lists", ""]
        lines += ["| | " + " | ".join(name.replace("curated_", "") for name in METRICS) + " |"]
        lines += ["|" + "---|" * (len(METRICS) + 1)]
        ordered = sorted(evaluation["cold"].items(), key=lambda entry: entry[1]["curated_recall@10"][0])
        for name, metrics in ordered:
            cells = [f"{metrics[m][0]:.3f}" for m in METRICS]
            cells[1] += f" [{metrics[METRICS[1]][1]:.3f}, {metrics[METRICS[1]][2]:.3f}]"
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        (best, lift), *_ = evaluation["lift"].items()
        lines += ["", f"recall@10 is **{result['ratio']:.3f} x** {result['best_rival']}'s; over {best}, list by list: "]
        lines[-1] += (
            f"{lift[0]:+.3f} [{lift[1]:+.3f}, {lift[2]:+.3f}]. {evaluation['ceiling']:.1%} of the lists' entries"
        )
        cost = evaluation["rule_costs"]["near_duplicates"]
        lines += [f"are essays of the corpus. Never showing near-duplicates costs {cost[0]:.3f} of it."]
        lines += [f"Data sha256 `{result['sha256'][:16]}`."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
