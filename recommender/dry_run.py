"""What a build would do, and how long it would take. Nothing is published, and nothing written but the page cache."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from corpus.catalogue import Catalogue, build_catalogue
from corpus.errors import EditionError
from corpus.records import essay_to_record
from corpus.sources import PageOptions
from recommender import pace
from recommender.build_report import Pages
from recommender.clock import Clock
from recommender.edition import ESSAYS, Edition, open_current, read_lines
from recommender.reading import Increment, read_site
from recommender.watch import Unwatched, Watch

if TYPE_CHECKING:  # they bring numpy along
    from embeddings.cache import VectorCache
    from embeddings.encoder import Encoder

CUT_AT_MOST = 500
"""So many new bodies are cut into passages to count their texts; of more, that many are a sample."""
_AT_ONCE = 5000
"""So many texts are looked up at once: each comes with its vector."""


@dataclass(frozen=True, slots=True)
class TextCount:
    """wanted: the different texts of the site. to_encode: how many of them no earlier build has encoded.

    exact: False when both were estimated from a sample of the new essays.
    """

    wanted: int
    to_encode: int
    exact: bool


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a build would do. new, changed, removed: ids of essays against the current edition, in id order.

    against: the current edition, None when there is none. republish: whether nothing has changed that the plan knows
    of; editors' decisions and the program's own code are not looked at. parsed: pages that were parsed now, the next
    build finds them in the cache. seconds: by stage, those that publish left out; None when no earlier build tells.
    """

    against: str | None
    pages: Pages
    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    republish: bool
    texts: TextCount
    seconds: Mapping[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """The line that `related build --dry-run --json` ends with."""
        return {
            "dry_run": True,
            "against": self.against,
            "essays": len(self.pages.essays),
            "problems": len(self.pages.problems),
            "new": list(self.new),
            "changed": list(self.changed),
            "removed": list(self.removed),
            "unchanged": self.unchanged,
            "republish": self.republish,
            "texts": {"wanted": self.texts.wanted, "to_encode": self.texts.to_encode, "exact": self.texts.exact},
            "seconds": None if self.seconds is None else {stage: round(s, 3) for stage, s in self.seconds.items()},
        }


def plan_build(
    sources: Sequence[Path],
    home: Path,
    encoder: "Encoder",
    options: PageOptions,
    watch: Watch | None = None,
    increment: Increment | None = None,
) -> BuildPlan:
    """Read the pages and tell what building them would do. Raises what recommender.reading.read_site() raises."""
    clock = Clock()
    with clock.stage("parse"):
        pages = read_site(sources, home, options, watch or Unwatched(), increment)
    with clock.stage("match"):
        catalogue = build_catalogue(pages.essays)
    current = _current(home)
    before = _digests(current) if current else {}
    after = {essay.id: _digest(essay_to_record(essay)) for essay in pages.essays}
    new, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    changed = sorted(ident for ident in after.keys() & before.keys() if after[ident].said != before[ident].said)
    moved = any(after[ident].source != before[ident].source for ident in after.keys() & before.keys())
    same_model = current is not None and current.manifest["encoder"] == encoder.fingerprint
    republish = same_model and not (new or changed or removed or moved)
    wanted = current.manifest["counts"]["texts"] if current else 0
    texts = TextCount(wanted, 0, True) if republish else _count_texts(catalogue, encoder, home)
    rates = current.manifest.get("rates", {}) if current else {}
    return BuildPlan(
        against=current.id if current else None,
        pages=pages,
        new=tuple(new),
        changed=tuple(changed),
        removed=tuple(removed),
        unchanged=len(after) - len(new) - len(changed),
        republish=republish,
        texts=texts,
        seconds=_seconds(clock, pages, rates, texts.to_encode, republish),
    )


def _current(home: Path) -> Edition | None:
    """The edition that a build would compare with."""
    try:
        current = open_current(home)
        current.check()
    except EditionError:
        return None
    return current


class _Digest(NamedTuple):
    """said: of all that an essay says. source: where its page lies, which says nothing about it."""

    said: bytes
    source: str | None


def _digests(edition: Edition) -> dict[str, _Digest]:
    return {record["id"]: _digest(record) for record in read_lines(edition.folder / ESSAYS)}


def _digest(record: Mapping[str, Any]) -> _Digest:
    said = {key: value for key, value in record.items() if key != "source"}
    return _Digest(hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest(), record.get("source"))


def _count_texts(catalogue: Catalogue, encoder: "Encoder", home: Path) -> TextCount:
    # Imported here: a plan without a change needs no arrays.
    from embeddings.cache import PLACE, open_cache
    from embeddings.encoder import cache_key

    with TemporaryDirectory() as nowhere:
        place = home / PLACE if (home / PLACE).exists() else Path(nowhere, PLACE.name)
        with open_cache(place, cache_key(encoder)) as cache:
            return _count_in(cache, catalogue, encoder)


def _count_in(cache: "VectorCache", catalogue: Catalogue, encoder: "Encoder") -> TextCount:
    from embeddings.passages import passages, summary
    from embeddings.views import Views
    from recommender.encoded import texts_of

    known = cache.get_passages(essay.body for essay in catalogue.essays)
    uncut = list({essay.body: essay for essay in catalogue.essays if essay.body not in known}.values())
    sample = uncut[:: -(-len(uncut) // CUT_AT_MOST) or 1]
    cut = {essay.body: passages(essay, encoder.window, encoder.count_tokens) for essay in sample}
    found = known | cut
    views = [Views(summary(e.title, e.standfirst), tuple(found.get(e.body, ()))) for e in catalogue.essays]
    texts = sorted(texts_of(catalogue, views))
    parts = (texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE))
    encoded = sum(len(cache.get(part)) for part in parts)
    left_out = round((len(uncut) - len(sample)) * sum(map(len, cut.values())) / max(1, len(sample)))
    return TextCount(len(texts) + left_out, len(texts) + left_out - encoded, exact=not left_out)


def _seconds(
    clock: Clock, pages: Pages, rates: Mapping[str, float], to_encode: int, republish: bool
) -> dict[str, float] | None:
    """What was read now will be read as fast; what was parsed now will not be parsed again."""
    parse = clock.seconds["parse"] * (1 - pages.parsed / max(1, len(pages.essays) + len(pages.problems)))
    gone_through = {"parse": parse, "match": clock.seconds["match"]}
    if republish:
        return gone_through
    others = pace.estimate(rates, len(pages.essays), to_encode)
    return None if others is None else gone_through | others
