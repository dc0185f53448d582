"""The corpora that quality is measured on: essays with lists that people made.

A corpus is a folder with articles.jsonl.gz {id, title, description, category, published, author, body} and
related.jsonl.gz {id, related}. It is looked for by name in ../shared/corpora, then in benchmarks/corpora, where
`python -m benchmarks.public_corpora` makes five of them from Debian's documentation packages.
"""

import gzip
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from corpus.essay import Essay, PageProblem
from corpus.records import read_records

ROOT = Path(__file__).parent.parent
FOLDERS = (ROOT.parent / "shared" / "corpora", ROOT / "benchmarks" / "corpora")


class NoDataset(Exception):
    """No corpus of this name; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """essays: with their lists as `related`. sha256: of both files, pinned beside every figure measured on them."""

    name: str
    essays: tuple[Essay, ...]
    problems: tuple[PageProblem, ...]
    sha256: str


def available() -> list[str]:
    """The names of all corpora at hand."""
    return sorted({path.name for folder in FOLDERS if folder.is_dir() for path in folder.iterdir() if is_corpus(path)})


def is_corpus(folder: Path) -> bool:
    """Whether a folder holds a corpus."""
    return (folder / "articles.jsonl.gz").is_file() and (folder / "related.jsonl.gz").is_file()


def load(name: str) -> Dataset:
    """The corpus of this name, or in this folder. Raises NoDataset."""
    folder = next((folder for folder in (*(f / name for f in FOLDERS), Path(name)) if is_corpus(folder)), None)
    if folder is None:
        raise NoDataset(
            f"no corpus {name!r} in ../shared/corpora or benchmarks/corpora; "
            f"make the public ones with `python -m benchmarks.public_corpora --out benchmarks/corpora NAME`"
        )
    articles, lists = folder / "articles.jsonl.gz", folder / "related.jsonl.gz"
    with gzip.open(lists, "rt", encoding="utf-8") as lines:
        related = {record["id"]: tuple(record["related"]) for record in map(json.loads, lines)}
    pages = list(read_records(articles))
    return Dataset(
        name=folder.name,
        essays=tuple(replace(p, related=related.get(p.id, ())) for p in pages if isinstance(p, Essay)),
        problems=tuple(p for p in pages if isinstance(p, PageProblem)),
        sha256=hashlib.sha256(articles.read_bytes() + lists.read_bytes()).hexdigest(),
    )
