"""Near-duplicates: reprints, second copies, pages with one standfirst. A reader must not be sent to the same essay."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from rapidfuzz.distance import Indel

from corpus.essay import Essay
from corpus.matching import normalise
from recommender.signals import Scored

SAME_TEXT = 0.9
"""Least share of words that two bodies have in common, in order, to count as one text (Indel similarity). A lightly
edited reprint lies at 0.96. What the rule costs in recall stands in every evaluation; 0.95 would cost documentation
corpora, whose pages are often written from one template, half a point less, and let edited reprints through."""
WORTH_COMPARING = 0.6
"""Pairs with a smaller wording signal are never that alike, and are not compared."""
TELLING_WORDS = 8
"""A shared standfirst of fewer words ("round to nearest integer") is a formula: it counts only for akin texts."""
AKIN = 0.5
"""Least wording signal of akin texts."""
BOILERPLATE = 5
"""A standfirst of more essays than this is a formula of the site, however long."""

_WORD = re.compile(r"\w+")


def find_twins(essays: Sequence[Essay], candidates: Sequence[Sequence[Scored]]) -> Mapping[str, str]:
    """Essay id -> the group of near-duplicates it belongs to, named by the group's first id; others are left out.

    candidates: the nearest essays of each essay, in the order of essays; near-duplicates are always among them.
    """
    group = {essay.id: essay.id for essay in essays}
    for one, other in (*_same_standfirst(essays, candidates), *_same_text(essays, candidates)):
        first, second = sorted((_root(group, one), _root(group, other)))
        group[second] = first
    roots = {ident: _root(group, ident) for ident in group}
    members: dict[str, int] = defaultdict(int)
    for root in roots.values():
        members[root] += 1
    return {ident: root for ident, root in roots.items() if members[root] > 1}


def is_same_text(one: str, other: str) -> bool:
    """Whether two bodies are nearly one text."""
    left, right = _WORD.findall(one.casefold()), _WORD.findall(other.casefold())
    return bool(left) and Indel.normalized_similarity(left, right, score_cutoff=SAME_TEXT) >= SAME_TEXT


def _root(group: Mapping[str, str], ident: str) -> str:
    while group[ident] != ident:
        ident = group[ident]
    return ident


def _same_standfirst(essays: Sequence[Essay], candidates: Sequence[Sequence[Scored]]) -> Iterator[tuple[str, str]]:
    by_standfirst: dict[str, list[str]] = defaultdict(list)
    for essay in essays:
        if essay.standfirst:
            by_standfirst[normalise(essay.standfirst)].append(essay.id)
    akin = {
        (essay.id, other.id)
        for essay, near in zip(essays, candidates, strict=True)
        for other in near
        if other.wording >= AKIN
    }
    for standfirst, idents in by_standfirst.items():
        telling = len(standfirst.split()) >= TELLING_WORDS
        if len(idents) <= BOILERPLATE:
            yield from (pair for pair in combinations(idents, 2) if telling or pair in akin)


def _same_text(essays: Sequence[Essay], candidates: Sequence[Sequence[Scored]]) -> Iterator[tuple[str, str]]:
    bodies = {essay.id: essay.body for essay in essays}
    for essay, near in zip(essays, candidates, strict=True):
        for other in near:
            worth_comparing = essay.id < other.id and other.wording >= WORTH_COMPARING
            if worth_comparing and is_same_text(essay.body, bodies[other.id]):
                yield essay.id, other.id
