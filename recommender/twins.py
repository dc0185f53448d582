"""Near-duplicates: reprints, second copies, pages with one standfirst. A reader must not be sent to the same essay."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations

from rapidfuzz.distance import Indel

from corpus.essay import Essay
from corpus.matching import normalise

SAME_TEXT = 0.9
"""Least share of words that two bodies have in common, in order, to count as one text (Indel similarity). A lightly
edited reprint lies at 0.96. What the rule costs in recall stands in every evaluation; 0.95 would cost documentation
corpora, whose pages are often written from one template, up to half a point less, and let edited reprints through."""
WORTH_COMPARING = 0.6
"""Pairs with a smaller wording signal are never that alike, and are not compared."""
TELLING_WORDS = 5
"""A shared standfirst of fewer words ("round to nearest integer") is a formula: it counts only for akin texts."""
AKIN = 0.5
"""Least wording signal of akin texts."""
BOILERPLATE = 5
"""A standfirst of more essays than this is a formula of the site, however long."""

SIBLINGS = 0.25
"""On five corpora of documentation, lists link 50% to 85% of the pairs of one standfirst, and 13% to 95% of those
of nearly one text; taking them all for copies cost 1 to 4 points of recall@10."""
ENOUGH_TO_TELL = 4

_WORD = re.compile(r"\w+")


def find_twins(
    essays: Sequence[Essay], wordings: Sequence[Mapping[str, float]], lists: Mapping[str, Collection[str]]
) -> Mapping[str, str]:
    """Essay id -> the group of near-duplicates it belongs to, named by the group's first id; others are left out.

    wordings: for each essay, in order, the nearest essays by id with the wording signal. Texts that are not equal are
    compared when one of the two is among the other's nearest.

    lists: essay id -> the ids its curated list names. Editors know their copies: where lists link SIBLINGS or more of a
    kind of pairs that only look like copies (one standfirst, or nearly one text), those are siblings on this site, and
    no near-duplicates. Equal texts always are.
    """
    groups = _Groups(essay.id for essay in essays)
    akin = {
        (min(essay.id, other), max(essay.id, other)): wording
        for essay, near in zip(essays, wordings, strict=True)
        for other, wording in near.items()
        if wording >= AKIN
    }
    bodies = {essay.id: essay.body for essay in essays}
    near = sorted(pair for pair, wording in akin.items() if wording >= WORTH_COMPARING)
    same_text = (pair for pair in near if is_same_text(bodies[pair[0]], bodies[pair[1]]))
    for kind in (_same_standfirst(essays, akin), same_text):
        pairs = sorted(set(kind))
        for pair in pairs if not _are_siblings(pairs, lists) else ():
            groups.join(*pair)
    for pair in _equal_texts(essays):
        groups.join(*pair)
    return groups.of_several()


def _are_siblings(pairs: Sequence[tuple[str, str]], lists: Mapping[str, Collection[str]]) -> bool:
    """Whether editors link such pairs, as far as there are enough of them to tell."""
    told = [(one, other) for one, other in pairs if one in lists or other in lists]
    linked = sum(other in lists.get(one, ()) or one in lists.get(other, ()) for one, other in told)
    return len(told) >= ENOUGH_TO_TELL and linked >= SIBLINGS * len(told)


def is_same_text(one: str, other: str) -> bool:
    """Whether two bodies are nearly one text."""
    left, right = _words(one), _words(other)
    longest = max(len(left), len(right))
    if not left or min(len(left), len(right)) < longest * (2 * SAME_TEXT - 1):  # too unlike in length to reach it
        return False
    return Indel.normalized_similarity(left, right, score_cutoff=SAME_TEXT) >= SAME_TEXT


class _Groups:
    """Which essays are near-duplicates of one another, found pair by pair (union-find)."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._parent = {ident: ident for ident in ids}

    def join(self, one: str, other: str) -> None:
        """Put the groups of two essays together under the first id."""
        first, second = sorted((self._root(one), self._root(other)))
        self._parent[second] = first

    def of_several(self) -> dict[str, str]:
        """Essay id -> its group's first id, where the group has more than one."""
        roots = {ident: self._root(ident) for ident in self._parent}
        sizes = Counter(roots.values())
        return {ident: root for ident, root in roots.items() if sizes[root] > 1}

    def _root(self, ident: str) -> str:
        while self._parent[ident] != ident:
            self._parent[ident] = self._parent[self._parent[ident]]
            ident = self._parent[ident]
        return ident


def _equal_texts(essays: Sequence[Essay]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for essay in essays:
        yield first.setdefault(essay.body, essay.id), essay.id


def _same_standfirst(essays: Sequence[Essay], akin: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    by_standfirst: dict[str, list[str]] = defaultdict(list)
    for essay in essays:
        if essay.standfirst:
            by_standfirst[normalise(essay.standfirst)].append(essay.id)
    for standfirst, idents in by_standfirst.items():
        telling = len(standfirst.split()) >= TELLING_WORDS
        if len(idents) <= BOILERPLATE:
            yield from (pair for pair in combinations(sorted(idents), 2) if telling or pair in akin)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[int, ...]:
    """The words as numbers: rapidfuzz compares those fastest."""
    return tuple(hash(word) for word in _WORD.findall(text.casefold()))
