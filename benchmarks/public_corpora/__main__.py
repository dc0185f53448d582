"""The command line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.public_corpora import __doc__ as about
from benchmarks.public_corpora import grass_gis, libreoffice_help, linux_man_pages, perl_docs, r_help
from benchmarks.public_corpora.packages import check_programs
from benchmarks.public_corpora.pages import CorpusError
from benchmarks.public_corpora.writing import make

CORPORA = tuple(module.CORPUS for module in (grass_gis, linux_man_pages, libreoffice_help, r_help, perl_docs))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    by_name = {corpus.name: corpus for corpus in CORPORA}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.public_corpora", description=about.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(by_name)}")
    parser.add_argument("--out", type=Path, default=Path("corpora"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--list", action="store_true", help="list the corpora and stop")
    options = parser.parse_args(arguments)
    if options.list:
        for corpus in CORPORA:
            print(f"{corpus.name:16}  {corpus.about} ({', '.join(corpus.packages)})")
        return 0
    try:
        unknown = [name for name in options.names if name not in by_name]
        if unknown or not options.names:
            raise CorpusError(f"{'no corpus named ' + unknown[0] if unknown else 'name a corpus'}: try --list")
        check_programs(by_name[name] for name in options.names)
        for name in options.names:
            numbers = make(by_name[name], options.out / name)
            print(name, *(f"  {label:24} {number}" for label, number in numbers.items()), sep="\n")
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
