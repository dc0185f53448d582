"""Builds that are killed at random moments, and what is left of them.

usage: python -m benchmarks.crash [--kills N] [--seed S] [--pages N] [CORPUS]

A site of made-up pages, or of a corpus, is built whole, then edited again and again; each build of it is killed
(SIGKILL), in every stage in turn, at a moment within it that is drawn from the seed. Encoding is done by a stand-in.
The last build is disturbed by nobody. It must hold:

- a reader that looks all the while finds an edition whose every file is intact, and a list in it;
- each edition that is published has the content of one built from the same pages in a home where no build was killed;
- no text is encoded that was stored before, nor twice in one build.

Prints in which stages the kills fell; ends with 1 and a line for each thing that did not hold.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.killing import crash, made_up, records_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", help="a corpus of benchmarks.datasets; made-up pages without")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages", type=int, default=300)
    options = parser.parse_args()
    records = records_of(options.corpus, options.pages) if options.corpus else made_up(options.pages)
    with tempfile.TemporaryDirectory() as folder:
        outcome = crash(Path(folder), records, options.kills, options.seed)
    print(
        f"{outcome.kills} builds of {len(records)} pages killed, {outcome.published} editions compared with undisturbed"
    )
    print(f"ones, {outcome.looks:,} looks by a reader; kills fell in:")
    for stage, count in outcome.fell_in.most_common():
        print(f"{count:6}  {stage}")
    for fault in outcome.faults:
        print(f"FAULT: {fault}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
