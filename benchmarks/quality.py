"""How well editors' lists are found again, beside what a site could do without us.

usage: python -m benchmarks.quality [--home DIR] [--out DIR] [--name NAME] [--html DIR] [--thorough] [--floor RATIO]
                                    [CORPUS...]

CORPUS is a name or a folder (see datasets.py); without one, every corpus at hand. Protocols as in
recommender/evaluation.py. Writes NAME.json and NAME.md (quality), with the data's digests and the versions, into --out,
and a page with plots for each corpus into --html. --thorough adds what each signal is worth and how many lists it
takes. Ends with 1 when, on any corpus, our cold recall@10 is under --floor times the best of TF-IDF, BM25 and dense.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset, NoDataset, available, load
from corpus.catalogue import build_catalogue
from embeddings.cache import open_cache
from embeddings.encoder import Encoder, cache_key
from embeddings.sentence import SentenceEncoder
from recommender.encoded import encode_catalogue
from recommender.evaluation import OURS, PROTOCOLS, add_thorough, evaluate
from recommender.material import Material
from recommender.neighbourhood import find_items
from recommender.study import study_lists
from recommender.versions import package_versions
from service.console import Bars, print_evaluation
from service.report import write_report

RIVALS = ("tfidf", "bm25", "dense")
MAIN = "curated_recall@10"
OTHERS = ("curated_recall@5", "curated_recall@50", "mrr", "ndcg@10")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*")
    parser.add_argument("--home", type=Path, default=Path("data"), help="where the vector cache is kept")
    parser.add_argument("--out", type=Path, help="write the results here")
    parser.add_argument("--name", default="quality", help="of the files in --out")
    parser.add_argument("--html", type=Path, help="write a page with plots for each corpus here")
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--floor", type=float, default=1.05)
    options = parser.parse_args()
    encoder = SentenceEncoder()
    try:
        datasets = [load(name) for name in options.corpora or available()]
    except NoDataset as error:
        print(f"quality: {error}", file=sys.stderr)
        return 1
    results = [measure(dataset, encoder, options.home, options.thorough) for dataset in datasets]
    for result in results:
        print_evaluation(result["evaluation"], result["corpus"])
        print(f"cold recall@10 is {result['ratio']:.3f} x {result['best_rival']}'s")
        if options.html:
            options.html.mkdir(parents=True, exist_ok=True)
            write_report(result["evaluation"], options.html / f"{result['corpus']}.html", result["corpus"])
    if options.out:
        write(results, encoder.fingerprint, options.out, options.name, options.thorough)
    return 0 if all(result["ratio"] >= options.floor for result in results) else 1


def measure(dataset: Dataset, encoder: Encoder, home: Path, thorough: bool = False) -> dict[str, Any]:
    """One corpus: the evaluation, and the ratio of our cold recall@10 to the best rival's."""
    catalogue = build_catalogue(dataset.essays)
    with Bars() as bars, open_cache(home / "cache" / "vectors.sqlite3", cache_key(encoder)) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, bars)
        start = time.perf_counter()
        material = Material.gather(catalogue, encoded, encoder.fingerprint)
        study = study_lists(material, bars)
        learned = time.perf_counter()
        items = find_items(material, catalogue.unmatched, study.pairs, catalogue.curated)
        evaluation = evaluate(material, items, catalogue.report.total, study).to_json()
        judged = time.perf_counter()
        if thorough:
            add_thorough(evaluation, material, items, study, bars)
    recall = {name: metrics[MAIN][0] for name, metrics in evaluation["cold"].items()}
    best = max(RIVALS, key=lambda name: recall[name])
    return {
        "corpus": dataset.name,
        "sha256": dataset.sha256,
        "essays": len(dataset.essays),
        "problems": len(dataset.problems),
        "evaluation": evaluation,
        "best_rival": best,
        "ratio": round(recall[OURS] / recall[best], 4),
        "seconds": {"signals and learning": round(learned - start, 1), "evaluation": round(judged - learned, 1)},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def write(
    results: Sequence[Mapping[str, Any]], fingerprint: str, out: Path, name: str = "quality", thorough: bool = False
) -> None:
    """The results for programs and for people, with what they depend on."""
    out.mkdir(parents=True, exist_ok=True)
    run = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(
            ["python -m benchmarks.quality", *["--thorough"] * thorough, *(r["corpus"] for r in results)]
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": package_versions(),
        "encoder": fingerprint,
        "results": results,
    }
    (out / f"{name}.json").write_text(json.dumps(run) + "\n", encoding="utf-8")
    (out / f"{name}.md").write_text(report(run), encoding="utf-8")


def report(run: Mapping[str, Any]) -> str:
    """The tables as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines = [
        "# Quality: editors' lists found again",
        "",
        f"`{run['command']}` on {run['date']}; {run['machine']};",
        f"{run['encoder']}; {versions}.",
        "",
        "recall@10 under three protocols, five folds by source page: cold (no list is seen), curated (the judged",
        "page's list is hidden, with those of its fold), new page (links to it, too). The other metrics are of",
        "curated. Brackets are 95% bootstrap intervals over the judged lists.",
        "",
        *_summary(run["results"]),
    ]
    for result in run["results"]:
        lines += ["", *_corpus(result)]
    return "\n".join(lines) + "\n"


def _summary(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| corpus | essays | lists | best of TF-IDF, BM25, dense | cold | curated | new page |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        evaluation = result["evaluation"]
        rival = evaluation["cold"][result["best_rival"]][MAIN][0]
        ours = " | ".join(f"{evaluation[p][OURS][MAIN][0]:.3f}" if p in evaluation else "" for p in PROTOCOLS)
        counts = f"{result['essays']:,} | {evaluation['n']:,}"
        yield f"| {result['corpus']} | {counts} | {rival:.3f} ({result['best_rival']}) | {ours} |"


def _corpus(result: Mapping[str, Any]) -> Iterator[str]:
    evaluation, details = result["evaluation"], result["evaluation"]["details"]
    yield f"## {result['corpus']}: {result['essays']:,} essays, n = {evaluation['n']:,} lists"
    yield ""
    yield from _systems(evaluation)
    yield ""
    yield f"Cold recall@10 is **{result['ratio']:.3f} x** {result['best_rival']}'s. {_learned(details['learned'])}"
    costs = (
        f"{rule.replace('_', ' ')} {cost[0]:.3f} ({protocol.replace('_', ' ')})"
        for protocol, rules in details["rule_costs"].items()
        for rule, cost in rules.items()
    )
    degrees = details["in_degree"]
    yield f"Rules cost in recall@10: {', '.join(costs)}."
    yield f"In lists as long as their pages' own no essay stands in more than {degrees['max_share_by_default']:.1%}"
    yield f"(the editors' most listed: {degrees['editors'][0] / evaluation['n']:.1%}); in lists of {degrees['k']}"
    yield f"in {degrees['max_share']:.1%}, and {degrees['orphans']:.1%} of the essays are in none of them."
    yield f"{evaluation['ceiling']:.1%} of the lists' entries are essays of the corpus."
    yield f"Data sha256 `{result['sha256'][:16]}`."
    seconds = ", ".join(f"{name} {s}" for name, s in result["seconds"].items())
    yield f"Seconds beside encoding: {seconds}; peak memory of the run so far {result['peak_memory_mb']:,} MB."
    if details.get("learning_curve"):
        yield from _thorough(details)


def _systems(evaluation: Mapping[str, Any]) -> Iterator[str]:
    protocols = [protocol for protocol in PROTOCOLS if protocol in evaluation]
    last = "curated" if "curated" in protocols else "cold"
    names = [*(p.replace("_", " ") for p in protocols), *(metric.replace("curated_", "") for metric in OTHERS)]
    yield "| | " + " | ".join(names) + " |"
    yield "|" + "---|" * (len(names) + 1)
    for name, metrics in sorted(evaluation[last].items(), key=lambda entry: entry[1][MAIN][0]):
        recalls = [evaluation[p].get(name, evaluation[p][OURS])[MAIN] for p in protocols]
        cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in recalls]
        yield f"| {name} | " + " | ".join([*cells, *(f"{metrics[metric][0]:.3f}" for metric in OTHERS)]) + " |"


def _learned(learned: Mapping[str, Any]) -> str:
    gain = learned["gain"]
    shown = f" ({gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}] recall@10 before rules)" if gain else ""
    return f"Weights: {learned['reason']}{shown}."


def _thorough(details: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "| share of the lists seen | lists | curated | new page | learned from |"
    yield "|---|---|---|---|---|"
    for point in details["learning_curve"]:
        used = "yes" if point["used"] else "no: default"
        recalls = f"{point['curated'][0]:.3f} | {point['new_page'][0]:.3f}"
        yield f"| {point['share']:.0%} | {point['lists']} | {recalls} | {used} |"
    yield ""
    yield "Points of recall@10 lost without a signal, all others staying (curated, new page; before rules):"
    lost = sorted(details["ablation"].items(), key=lambda entry: -entry[1]["curated"][0])
    points = ((name, 100 * row["curated"][0], 100 * row["new_page"][0]) for name, row in lost)
    yield "; ".join(f"{name} {curated:+.1f}, {new:+.1f}" for name, curated, new in points) + "."


if __name__ == "__main__":
    sys.exit(main())
