"""The parts of the README that the program prints: an essay with its list, the quality table, the settings.

usage: python -m benchmarks.readme [--write]

Without --write, ends with 1 when the README says anything else. tests/test_docs.py checks the tables,
tests/test_journey.py the essays of the example.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from service.settings import documentation

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "quality.json"
MAIN = "curated_recall@10"
PROTOCOLS = ("cold", "curated", "new_page")
BASELINES = ("random", "random_in_category", "newest_in_category", "most_listed", "tfidf", "bm25", "dense")
SHOWN = "harrison-h4"
RELATED = [sys.executable, "-c", "from service.cli import main; main()"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    filled = fill(text, {"show": example(), "quality": quality_table(), "settings": settings_table()})
    if options.write:
        README.write_text(filled, encoding="utf-8")
    elif filled != text:
        print("readme: README.md is not what the program prints; run python -m benchmarks.readme --write")
        return 1
    return 0


def fill(text: str, parts: dict[str, str]) -> str:
    """The text with each part between its marks, <!-- name --> and <!-- /name -->."""
    for name, part in parts.items():
        mark = re.compile(rf"(<!-- {name}[^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = mark.sub(lambda found, part=part: found[1] + part + found[2], text)
    return text


def example() -> str:
    """What `related show` prints of one of the examples, but its curated list, from an edition built now."""
    with tempfile.TemporaryDirectory() as home:
        run(["build", str(ROOT / "examples"), "--home", home, "--quiet"])
        shown = run(["show", SHOWN, "--home", home])
    head, rest = shown.split("Curated list")
    table = "Related articles" + rest.split("Related articles")[1].split("Dropped")[0]
    lines = "\n".join(line.rstrip() for line in f"{head}{table}".splitlines()).strip()
    return f"```\n$ related show {SHOWN}\n{lines}\n```\n"


def run(arguments: list[str]) -> str:
    """What the command prints."""
    done = subprocess.run(
        [*RELATED, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return done.stdout


def quality_table() -> str:
    """recall@10 of every system on every corpus, as results/quality.json has it; ours under each protocol."""
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))
    evaluations = {r["corpus"]: r["evaluation"] for r in stored["results"]}
    head = [f"{corpus} (n = {evaluation['n']:,})" for corpus, evaluation in evaluations.items()]
    lines = ["| recall@10, " + stored["date"] + " | " + " | ".join(head) + " |", "|" + "---|" * (len(head) + 1)]
    rows = {name: [e["cold"][name][MAIN] for e in evaluations.values()] for name in BASELINES}
    for name, intervals in sorted(rows.items(), key=lambda row: sum(interval[0] for interval in row[1])):
        lines.append(_row(name, intervals))
    for protocol in PROTOCOLS:
        ours = [e[protocol]["related"][MAIN] for e in evaluations.values()]
        lines.append(_row(f"**related, {protocol.replace('_', ' ')}**", ours))
    return "\n".join(lines) + "\n"


def _row(name: str, intervals: Sequence[Sequence[float]]) -> str:
    cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in intervals]
    return f"| {name} | " + " | ".join(cells) + " |"


def settings_table() -> str:
    """Every setting with its default and meaning."""
    lines = ["| setting | default | |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {'none' if default in (None, ()) else f'`{default}`'} | {sentence} |"
        for name, default, sentence in documentation()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
