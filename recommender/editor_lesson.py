"""What editors' decisions taught, as a build keeps and tells it."""

from dataclasses import asdict, dataclass
from typing import Any

from recommender.metrics import Interval


@dataclass(frozen=True, slots=True)
class Separation:
    """How often an approved pair scores above an excluded one, over all such couples of held-out labels (AUC).

    before, after: 0 to 1, a tie counts half; without the labels, and learned from those of other pages. gain: after
    minus before, with its 95% bootstrap interval over source pages. approved, excluded: how many were judged.
    """

    before: float
    after: float
    gain: Interval
    approved: int
    excluded: int


@dataclass(frozen=True, slots=True)
class EditorsLesson:
    """What editors' decisions taught. used: whether the models learned from them. reason: why, as a sentence.

    approved, excluded: pairs that took part. missing: pairs that are no candidates (any more).
    gain: recall@10 on the curated lists with labels minus without, list by list; None without a list, or when it was
    not tried.
    separation: None where one kind is missing.
    """

    used: bool
    reason: str
    approved: int
    excluded: int
    missing: int
    gain: Interval | None = None
    separation: Separation | None = None

    def to_json(self) -> dict[str, Any]:
        """For the manifest; intervals as lists."""
        record = asdict(self)
        record["gain"] = list(self.gain) if self.gain else None
        if self.separation:
            record["separation"]["gain"] = list(self.separation.gain)
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "EditorsLesson":
        """What to_json() wrote."""
        gain = tuple(record["gain"]) if record["gain"] else None
        told = record["separation"]
        separation = Separation(**{**told, "gain": tuple(told["gain"])}) if told else None
        return cls(**{**record, "gain": gain, "separation": separation})
