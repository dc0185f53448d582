"""Editions of any size with random words in them, for measuring what size alone costs.

usage: python -m benchmarks.synthetic HOME [--essays N] [--seed N] [--fresh]

Published as the offline job publishes, a row at a time; only the overview for the desk needs all pages' figures at
once. The same size and seed are the same edition, byte for byte. Every other essay has a curated list of 4-8; each has
CANDIDATES candidates, half of them of its own category and all of them from anywhere in the edition, so that no cache
is helped by order.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from corpus.errors import EditionError
from recommender.edition import check_edition, current_id, open_current
from recommender.list_store import EssayLists
from recommender.page_facts import write_facts
from recommender.publishing import build_lock, new_folder, publish, write_lists
from recommender.ranking import SKETCH_BITS, Candidate, Item, Place
from recommender.signals import COUNTS, SIGNALS, TEXT_SIGNALS
from service.ready import answers_of, prepare
from service.settings import Settings

CANDIDATES = 50
CATEGORIES = tuple(
    "Architecture Astronomy Books Economics Food Gardens History Language Medicine Music Politics Travel".split()
)
FIRST_DAY = date(2016, 1, 1)
DAYS = 3653
"""Ten years."""
CURATED = (4, 8)
BUILT_AT = datetime(2026, 1, 1, tzinfo=UTC)

_NEAR, _FAR = 28, 36  # drawn of the same category, and of all: some are drawn by both
_POOL = 4096  # reasons are drawn from so many
_WORDS = tuple(
    "a about after against age ancient and archive are as at became before between bread bridge by century city clock "
    "coast copper court craft days decade early empire every field first for from garden glass grain harbour history "
    "how in into island its kept kings known lamp last letters light long map market measure mill modern new night no "
    "north of old on once or orchard over paper people place price river road salt ship small stone story that the "
    "their then they thought through time to town trade under until village was water what when where which who why "
    "winter with without wood words world year".split()
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--essays", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="publish anew though it is there")
    options = parser.parse_args()
    print(synthetic_home(options.home, options.essays, options.seed, options.fresh))
    return 0


def synthetic_home(home: Path, essays: int, seed: int = 0, fresh: bool = False) -> str:
    """Have the synthetic edition published in the home, unless it is there already, and ready; returns its id."""
    found = None if fresh else _published(home, essays, seed)
    ident = found or publish_synthetic(home, essays, seed)
    make_ready(home)
    return ident


def publish_synthetic(home: Path, essays: int, seed: int = 0) -> str:
    """Publish the edition, alone in the home; returns its id."""
    shutil.rmtree(home, ignore_errors=True)
    manifest = {
        "built_at": BUILT_AT.isoformat(),
        "encoder": "none",
        "inputs": _inputs(essays, seed),
        "counts": {"essays": essays, "unmatched_blurbs": 0},
        "evaluation": {},
    }
    with build_lock(home):
        folder = new_folder(home)
        write_lists(folder, synthetic_items(essays, seed), synthetic_lists(essays, seed))
        write_facts(folder, np.random.default_rng((seed, 4)).uniform(size=(essays, 2)).tolist())
        return publish(home, folder, manifest)


def make_ready(home: Path) -> None:
    """Write the service's ready answers, as `related build` does before it publishes; what is there stays."""
    prepare(home, answers_of(Settings(home), open_current(home)))


def essay_id(number: int) -> str:
    """The id of the essay with this number, counted from 0."""
    return f"essay-{number:06d}"


def category_of(number: int) -> str:
    """The category of the essay with this number."""
    return CATEGORIES[number % len(CATEGORIES)]


def synthetic_items(essays: int, seed: int = 0) -> Iterator[Item]:
    """The essays, in id order."""
    rng = np.random.default_rng((seed, 1))
    for number in range(essays):
        title = _words(rng, 4, 9).capitalize()
        published = FIRST_DAY + timedelta(days=int(rng.integers(DAYS)))
        yield Item(
            id=essay_id(number),
            kind="essay",
            title=title,
            standfirst=_words(rng, 24, 34).capitalize() + ".",
            url=f"https://www.example.org/{published:%Y/%m}/{title.lower().replace(' ', '-')}-{number}",
            category=category_of(number),
            published=published,
            sketch=int.from_bytes(rng.bytes(SKETCH_BITS // 8)),
        )


def synthetic_lists(essays: int, seed: int = 0) -> Iterator[EssayLists]:
    """Each essay's curated list and candidates, in id order."""
    rng = np.random.default_rng((seed, 2))
    pool = _reason_pool(seed)
    for number in range(essays):
        drawn = _draw(rng, number, essays)
        editors = np.sort(rng.beta(1.2, 4, len(drawn)))[::-1].round(6).tolist()
        meaning = rng.beta(2, 4, len(drawn)).round(6).tolist()
        speaking = rng.integers(_POOL, size=len(drawn)).tolist()
        offered = tuple(
            Candidate(essay_id(other), e, m, *pool[why])
            for other, e, m, why in zip(drawn, editors, meaning, speaking, strict=True)
        )
        length = int(rng.integers(CURATED[0], CURATED[1] + 1)) if number % 2 else 0
        curated = offered[1 : 2 * length : 2]  # the model found them, too, between others
        yield EssayLists(essay_id(number), len(curated), curated, offered[:CANDIDATES], ())


def _draw(rng: np.random.Generator, number: int, essays: int) -> list[int]:
    """Numbers of at most CANDIDATES other essays, each once, in no order, near and far in turn."""
    step = len(CATEGORIES)
    alike = (essays - number % step + step - 1) // step
    near = number % step + step * rng.choice(alike, min(_NEAR, alike), replace=False)
    far = rng.choice(essays, min(_FAR, essays), replace=False)
    both = dict.fromkeys(chain.from_iterable(zip_longest(near.tolist(), far.tolist())))
    return [other for other in both if other is not None and other != number][:CANDIDATES]


@cache
def _reason_pool(seed: int) -> list[tuple[tuple[tuple[str, float], ...], Place]]:
    """Reasons, three each, as they end in editions: values of three digits; and what the site's balance says."""
    rng = np.random.default_rng((seed, 3))
    places: list[Place] = [*([""] * 96), *(["held"] * 4)]  # type: ignore[list-item]
    pool = []
    for _ in range(_POOL):
        text = [TEXT_SIGNALS[i] for i in rng.choice(len(TEXT_SIGNALS), 2, replace=False)]
        other = rng.choice([name for name in SIGNALS if name not in text])
        pool.append((tuple((name, _value(rng, name)) for name in (*text, str(other))), places[rng.integers(100)]))
    return pool


def _value(rng: np.random.Generator, signal: str) -> float:
    """A plain value of the signal: a count, yes, or a number between."""
    if signal in COUNTS:
        return float(rng.integers(1, 20))
    if signal in ("category", "author", "links", "linked", "lists_back"):
        return 1.0
    return round(float(rng.uniform(0.05, 0.95)), 3)


def _words(rng: np.random.Generator, low: int, high: int) -> str:
    return " ".join(_WORDS[i] for i in rng.integers(len(_WORDS), size=int(rng.integers(low, high))).tolist())


def _published(home: Path, essays: int, seed: int) -> str | None:
    """The id of this very edition when it is the current one, in the format of today."""
    try:
        ident = current_id(home)
        manifest: dict[str, Any] = check_edition(home / "editions" / ident, ())
    except EditionError:
        return None
    return ident if manifest["inputs"] == _inputs(essays, seed) else None


def _inputs(essays: int, seed: int) -> str:
    return f"synthetic 2: {essays} essays, seed {seed}"


if __name__ == "__main__":
    sys.exit(main())
