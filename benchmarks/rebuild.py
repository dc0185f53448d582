"""What a second build costs when nothing has changed, as a share of the first.

usage: python -m benchmarks.rebuild [--runs N] SOURCE...

Each run builds twice into an empty home, in processes of their own: starting Python and loading the model count.
Prints the median share and the texts that the second build encoded; ends with 1 when it encoded any, its lists differ,
or its share is a tenth or more.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

RELATED = [sys.executable, "-c", "from service.cli import main; main()"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    shares = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as home:
            first, _ = timed_build(options.sources, home)
            before = export(home)
            second, encoded = timed_build(options.sources, home)
            same = export(home) == before
        shares.append(second / first)
        print(f"second build: {second / first:.1%} of the first, {encoded} texts encoded, same lists: {same}")
        if encoded or not same:
            return 1
    print(f"median {statistics.median(shares):.1%} of the first build's time, n = {options.runs}")
    return 0 if statistics.median(shares) < 0.1 else 1


def timed_build(sources: list[str], home: str) -> tuple[float, int]:
    """Seconds of a build, and the texts that it encoded."""
    start = time.perf_counter()
    done = subprocess.run(
        [*RELATED, "build", *sources, "--home", home, "--json", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start, json.loads(done.stdout)["encoded"]


def export(home: str) -> bytes:
    """The lists of the home's edition."""
    return subprocess.run([*RELATED, "export", "--home", home], stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
