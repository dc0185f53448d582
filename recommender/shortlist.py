"""What may stand in every essay's list, best first, as arrays: a large site has millions of candidates."""

from dataclasses import dataclass

import numpy as np

from recommender.candidates import Columns, Pairs
from recommender.model import Values
from recommender.pair_signals import best_of_each, owners


@dataclass(frozen=True, eq=False)
class Shortlist:
    """For each essay of the site, in row order, its candidates by (-score, row).

    starts: int64 (n + 1,): those of essay i are starts[i] to starts[i + 1]. columns: int64 (k,), the candidates, as
    rows of the site. scores: float64 (k,), 0 to 1.
    """

    starts: Columns
    columns: Columns
    scores: Values

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, row: int) -> slice:
        """The candidates of one essay."""
        return slice(int(self.starts[row]), int(self.starts[row + 1]))

    @classmethod
    def best(cls, pairs: Pairs, scores: Values, most: int) -> "Shortlist":
        """The best of every essay's pairs. pairs: of the whole site. scores: a pair each."""
        kept = best_of_each(scores, pairs.starts, most)
        return cls.sorted(pairs.owner[kept], pairs.columns[kept], scores[kept], len(pairs))

    @classmethod
    def sorted(cls, rows: Columns, columns: Columns, scores: Values, essays: int) -> "Shortlist":
        """Of pairs in any order. rows: the essay of each."""
        order = np.lexsort((columns, -scores, rows))
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=essays))])
        return cls(starts, columns[order], scores[order])

    def with_others(self, rows: Columns, others: "Shortlist") -> "Shortlist":
        """The same with these essays' candidates replaced by the others', one after the other in the order of rows."""
        owner = owners(self.starts)
        stay = ~np.isin(owner, rows)
        return Shortlist.sorted(
            np.concatenate([owner[stay], rows[owners(others.starts)]]),
            np.concatenate([self.columns[stay], others.columns]),
            np.concatenate([self.scores[stay], others.scores]),
            len(self),
        )
