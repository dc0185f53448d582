"""The balance of a whole site: no essay in too many lists, and none in no list where that can be helped.

A list for itself cannot know either, so the job looks at all of them at once and leaves marks (Candidate.place) that
rank() obeys. They are made for the plain order, by (-editors, id), cut at one limit. What a page shows also depends on
its curated list, near-duplicates, the request and the limit asked for: the numbers of lists served come close to what
is said here, and may differ by a few.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappush, heappushpop

from recommender.ranking import Candidate

MAX_SHARE = 0.05
"""No essay stands in a larger share of all lists, unless editors list it more often."""

Lists = Mapping[str, Sequence[Candidate]]
"""Essay id -> its candidates, each item once, in any order."""


def balance(
    lists: Lists,
    limit: int,
    max_share: float,
    allowed: Mapping[str, float] | None = None,
    shown: Mapping[str, int] | None = None,
) -> dict[str, list[Candidate]]:
    """The same lists in the order (-editors, id), each candidate with its place.

    limit: how many of each list are shown; shown: how many of the lists of essays whose pages show another number.
    max_share: an item may stand in this share of all lists (0-1), or in what is allowed it, where that is more; but
    always in `limit` lists, which is what each would have if all places were shared out evenly. Held is what would be
    too much in lists as long as shown; lifted is into lists of `limit`. The result does not depend on the order of
    lists, candidates or allowed.

    "held": passed over in this list, since the item stands in as many as it may, in all of them with a higher score
    (of equal ones, those of the first essay ids). "lifted": to be shown at the end of this list, since no list has it.
    """
    ordered = {essay: sorted(lists[essay], key=_by_score) for essay in sorted(lists)}
    asking = {essay: (shown or {}).get(essay, limit) for essay in ordered}
    held = _hold(ordered, asking, _capacities(ordered, limit, max_share, allowed or {}))
    lifted = _lift(ordered, limit, held)
    return {essay: [_marked(essay, c, held, lifted) for c in ordered[essay]] for essay in lists}


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


_Pair = tuple[str, str]
"""An essay, and a candidate of it."""
_Ordered = Mapping[str, Sequence[Candidate]]


def _by_score(candidate: Candidate) -> tuple[float, str]:
    return -candidate.editors, candidate.id


def _marked(essay: str, candidate: Candidate, held: set[_Pair], lifted: set[_Pair]) -> Candidate:
    pair = essay, candidate.id
    return candidate._replace(place="held" if pair in held else "lifted" if pair in lifted else "")


def _capacities(ordered: _Ordered, limit: int, max_share: float, allowed: Mapping[str, float]) -> dict[str, int]:
    """In how many lists each candidate may stand."""
    ids = {candidate.id for candidates in ordered.values() for candidate in candidates}
    # 0.29 * 100 is 28.999999999999996
    return {i: max(limit, int(max(max_share, allowed.get(i, 0.0)) * len(ordered) + 1e-9)) for i in ids}


def _hold(ordered: _Ordered, shown: Mapping[str, int], capacities: Mapping[str, int]) -> set[_Pair]:
    """The pairs to hold back.

    Each list asks for its best items, an item that is asked for too often refuses the list where it scores least, and
    that list asks for its next: deferred acceptance (Gale and Shapley 1962). No pair is asked for twice, so it ends,
    and whichever list asks first, the outcome is the same.
    """
    held: set[_Pair] = set()
    granted: dict[str, list[tuple[float, int]]] = {ident: [] for ident in capacities}  # heaps, the least wanted first
    essays, asked = list(ordered), [0] * len(ordered)
    asking = [row for row in range(len(essays)) for _ in range(shown[essays[row]])]
    while asking:
        row = asking.pop()
        if asked[row] == len(ordered[essays[row]]):
            continue
        candidate = ordered[essays[row]][asked[row]]
        asked[row] += 1
        heap, wish = granted[candidate.id], (candidate.editors, -row)
        if len(heap) < capacities[candidate.id]:
            heappush(heap, wish)
            continue
        refused = -heappushpop(heap, wish)[1]
        held.add((essays[refused], candidate.id))
        asking.append(refused)
    return held


def _lift(ordered: _Ordered, limit: int, held: set[_Pair]) -> set[_Pair]:
    """For each essay in no list, the list in which it stands highest, as long as there is one that has not lifted yet
    and whose last item, which will give way, is in another list too.

    Ranks, then scores, then ids decide who comes first. A score of 0 is never lifted, nor is who is no candidate.
    """
    open_to = {e: [c for c in candidates if (e, c.id) not in held] for e, candidates in ordered.items()}
    degrees = Counter(c.id for candidates in open_to.values() for c in candidates[:limit])
    orphans = {essay for essay in ordered if not degrees[essay]}
    lifted: set[_Pair] = set()
    used: set[str] = set()
    for _rank, _score, ident, essay in sorted(_chances(open_to, limit, orphans)):
        last = open_to[essay][limit - 1].id
        if ident in orphans and essay not in used and degrees[last] > 1:
            lifted.add((essay, ident))
            used.add(essay)
            orphans.remove(ident)
            degrees[last] -= 1
    return lifted


def _chances(open_to: _Ordered, limit: int, orphans: set[str]) -> Iterator[tuple[int, float, str, str]]:
    for essay, candidates in open_to.items():
        for place, candidate in enumerate(candidates[limit:]):
            if candidate.id in orphans and candidate.editors > 0 and candidate.id != essay:
                yield place, -candidate.editors, candidate.id, essay
