"""The balance of a whole site: no essay in too many lists, and none in no list where that can be helped.

A list for itself cannot know either, so the job looks at all of them at once and leaves marks (Candidate.place) that
rank() obeys. They are made for the plain order, by (-editors, id), cut at one limit. What a page shows also depends on
its curated list, near-duplicates, the request and the limit asked for: the numbers of lists served come close to what
is said here, and may differ by a few.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heappush, heappushpop
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from recommender.pair_signals import owners
from recommender.ranking import Place
from recommender.shortlist import Shortlist

PLACES: tuple[Place, ...] = get_args(Place)

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]
Marked = NDArray[np.bool_]


def find_places(
    lists: Shortlist, limit: int, max_share: float, allowed: Shares | None = None, shown: Counts | None = None
) -> NDArray[np.int8]:
    """The place of each candidate, as a number into PLACES; int8 (k,), in the order of the lists.

    limit: how many of each list are shown; shown: int64 (n,), how many of each essay's, where pages show others.
    max_share: an item may stand in this share of all lists (0-1), or in what is allowed it, float64 (n,), where that is
    more; but always in `limit` lists, which is what each would have if all places were shared out evenly. Held is what
    would be too much in lists as long as shown; lifted is into lists of `limit`.

    "held": passed over in this list, since the item stands in as many as it may, in all of them with a higher score
    (of equal ones, those of the first essays). "lifted": to be shown at the end of this list, since no list has it.
    """
    width = max(len(lists), int(lists.columns.max(initial=-1)) + 1)
    shares = np.zeros(width)
    shares[: 0 if allowed is None else len(allowed)] = [] if allowed is None else allowed
    # 0.29 * 100 is 28.999999999999996
    most = np.maximum(limit, (np.maximum(shares, max_share) * len(lists) + 1e-9).astype(np.int64))
    held = _hold(lists, np.full(len(lists), limit) if shown is None else shown, most)
    lifted = _lift(lists, limit, held, width)
    return np.where(held, _HELD, np.where(lifted, _LIFTED, 0)).astype(np.int8)


_HELD, _LIFTED = PLACES.index("held"), PLACES.index("lifted")


def in_degrees(lists: Iterable[Iterable[str]], ids: Iterable[str]) -> dict[str, int]:
    """In how many of the lists each id stands, in the order of ids; a list counts an id once."""
    counts = Counter(ident for listed in lists for ident in set(listed))
    return {ident: counts[ident] for ident in ids}


def most_listed_share(degrees: Mapping[str, int], lists: int) -> float:
    """The share of all lists (0-1) in which the item stands that is in most; 0 without lists."""
    return max(degrees.values(), default=0) / lists if lists else 0.0


def orphans_share(degrees: Mapping[str, int]) -> float:
    """The share of items (0-1) that are in no list; 0 without items."""
    return sum(not degree for degree in degrees.values()) / len(degrees) if degrees else 0.0


def coverage(degrees: Mapping[str, int]) -> float:
    """The share of items (0-1) that are in a list; 0 without items."""
    return 1.0 - orphans_share(degrees) if degrees else 0.0


def gini(degrees: Mapping[str, int]) -> float:
    """How unequally the lists' places are shared out: 0 when every item has as many, towards 1 when one has them all.

    The Gini coefficient of the degrees x_1 <= ... <= x_n: sum of (2i - n - 1) x_i, over n times their sum.
    """
    ascending = sorted(degrees.values())
    places, n = sum(ascending), len(ascending)
    return sum((2 * i - n - 1) * x for i, x in enumerate(ascending, 1)) / (n * places) if places else 0.0


def _hold(lists: Shortlist, shown: Counts, most: Counts) -> Marked:
    """What to hold back. shown: how many places each list has; most: in how many lists each item may stand.

    Each list asks for its best items, an item that is asked for too often refuses the list where it scores least, and
    that list asks for its next: deferred acceptance (Gale and Shapley 1962). No pair is asked for twice, so it ends,
    and whichever list asks first, the outcome is the same.
    """
    held = np.zeros(len(lists.columns), dtype=np.bool_)
    columns, scores, capacity = lists.columns.tolist(), lists.scores.tolist(), most.tolist()
    asked, ends = lists.starts[:-1].tolist(), lists.starts[1:].tolist()
    granted: dict[int, list[tuple[float, int, int]]] = {}  # heaps, the least wanted first
    asking = np.repeat(np.arange(len(lists)), shown).tolist()
    while asking:
        row = asking.pop()
        at = asked[row]
        if at == ends[row]:
            continue
        asked[row] = at + 1
        heap, wish = granted.setdefault(columns[at], []), (scores[at], -row, at)
        if len(heap) < capacity[columns[at]]:
            heappush(heap, wish)
            continue
        _score, refused, place = heappushpop(heap, wish)
        held[place] = True
        asking.append(-refused)
    return held


def _lift(lists: Shortlist, limit: int, held: Marked, width: int) -> Marked:
    """For each essay in no list, the list in which it stands highest, as long as there is one that has not lifted yet
    and whose last item, which will give way, is in another list too.

    Ranks, then scores, then ids decide who comes first. A score of 0 is never lifted, nor is who is no candidate.
    """
    owner, at = owners(lists.starts), np.flatnonzero(~held)
    opened = np.concatenate([[0], np.cumsum(~held)])
    rank = opened[at] - opened[lists.starts[owner[at]]]
    columns = lists.columns
    degrees = np.bincount(columns[at[rank < limit]], minlength=width)
    chance = at[(rank >= limit) & (degrees[columns[at]] == 0) & (columns[at] < len(lists)) & (lists.scores[at] > 0)]
    chance = chance[columns[chance] != owner[chance]]
    ranks = opened[chance] - opened[lists.starts[owner[chance]]]
    last_open = {int(owner[i]): int(columns[i]) for i in at[rank == limit - 1]}
    lifted = np.zeros(len(columns), dtype=np.bool_)
    used: set[int] = set()
    raised: set[int] = set()
    for i in chance[np.lexsort((owner[chance], columns[chance], -lists.scores[chance], ranks))].tolist():
        essay, orphan = int(owner[i]), int(columns[i])
        last = last_open[essay]
        if orphan not in raised and essay not in used and degrees[last] > 1:
            lifted[i] = True
            used.add(essay)
            raised.add(orphan)
            degrees[last] -= 1
    return lifted
