"""What editors decided on the desk, as labels to learn from: pairs of essays that they approved or excluded.

Imports nothing heavy: the service and a build without a change handle labels, too.
"""

import hashlib
import json
from dataclasses import dataclass

Pair = tuple[str, str]
"""(source id, target id)."""


@dataclass(frozen=True, slots=True)
class EditorLabels:
    """A pair given as both is excluded: the two sets are disjoint."""

    approved: frozenset[Pair] = frozenset()
    excluded: frozenset[Pair] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "approved", self.approved - self.excluded)

    def __len__(self) -> int:
        return len(self.approved) + len(self.excluded)

    @property
    def digest(self) -> str:
        """sha256 in hex; the same for the same pairs."""
        pairs = [sorted(self.approved), sorted(self.excluded)]
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


NO_LABELS = EditorLabels()
