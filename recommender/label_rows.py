"""Editors' labels as rows of a site, beside its pairs."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import Columns, Pairs
from recommender.editor_labels import EditorLabels, Pair


@dataclass(frozen=True, eq=False)
class RowLabels:
    """Labels as rows of a site of so many essays.

    approved, excluded: int64, ascending and disjoint: row of the source * essays + row of the target.
    """

    essays: int
    approved: Columns
    excluded: Columns

    @classmethod
    def of(cls, labels: EditorLabels, ids: Iterable[str]) -> "RowLabels":
        """Those labels of which both essays are among the ids, which are in order of rows."""
        row_of = {ident: row for row, ident in enumerate(ids)}
        return cls(len(row_of), _codes(labels.approved, row_of), _codes(labels.excluded, row_of))

    def __len__(self) -> int:
        return len(self.approved) + len(self.excluded)

    @property
    def pages(self) -> Columns:
        """The rows of the sources, ascending."""
        return np.unique(np.concatenate([self.approved, self.excluded]) // max(self.essays, 1))

    def without(self, rows: Columns) -> "RowLabels":
        """The same with the labels of these sources hidden."""
        kept = (codes[~np.isin(codes // max(self.essays, 1), rows)] for codes in (self.approved, self.excluded))
        return RowLabels(self.essays, *kept)

    def among(self, pairs: Pairs) -> "RowLabels":
        """Those whose pair is a candidate."""
        known = self._coded(pairs)
        return RowLabels(self.essays, *(codes[np.isin(codes, known)] for codes in (self.approved, self.excluded)))

    def marks(self, pairs: Pairs) -> NDArray[np.int8]:
        """Of each pair: 1 approved, -1 excluded, 0 neither."""
        coded = self._coded(pairs)
        return np.isin(coded, self.approved).astype(np.int8) - np.isin(coded, self.excluded).astype(np.int8)

    def _coded(self, pairs: Pairs) -> Columns:
        return np.asarray(pairs.rows[pairs.owner] * self.essays + pairs.columns, dtype=np.int64)


def _codes(pairs: Iterable[Pair], row_of: dict[str, int]) -> Columns:
    known = ((row_of[s], row_of[t]) for s, t in pairs if s in row_of and t in row_of)
    return np.array(sorted(source * len(row_of) + target for source, target in known), dtype=np.int64)


_NOTHING = np.zeros(0, dtype=np.int64)
NO_ROWS = RowLabels(0, _NOTHING, _NOTHING)
