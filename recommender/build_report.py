"""What a build tells when it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus.essay import Essay, PageProblem


@dataclass(frozen=True, slots=True)
class Pages:
    """What reading the sources gave. Pages in = essays + problems. passed_over: files that are no pages, by ending.

    parsed: how many pages were parsed anew; the others came from the page cache, or are records.
    """

    essays: tuple[Essay, ...]
    problems: tuple[PageProblem, ...]
    passed_over: Mapping[str, int]
    parsed: int = 0

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth knowing of pages that did become essays."""
        return tuple(f"{essay.source}: {remark}" for essay in self.essays for remark in essay.remarks)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    blurbs: corpus.catalogue.MatchReport as a mapping. counts: the manifest's. changed: essays whose list differs from
    the last edition's, or that are new or gone; None for a first edition. evaluation: Evaluation.to_json().
    overlap: how much the lists overlap (0-1) with the last edition's on average; None without a page in both.
    held: a sentence when the edition was held back, and is not the current one; None when it was published.
    """

    edition: str
    pages: Pages
    blurbs: Mapping[str, Any]
    counts: Mapping[str, int]
    encoded: int
    reused: int
    changed: int | None
    seconds: Mapping[str, float]
    evaluation: Mapping[str, Any]
    overlap: float | None = None
    held: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The line that `related build --json` ends with."""
        return {
            "edition": self.edition,
            "essays": len(self.pages.essays),
            "problems": len(self.pages.problems),
            "blurbs": {key: self.blurbs[key] for key in ("total", "joined", "ambiguous", "unmatched")},
            "encoded": self.encoded,
            "reused": self.reused,
            "changed": self.changed,
            "seconds": dict(self.seconds),
            "evaluation": dict(self.evaluation),
            "held": self.held,
        }
