"""Near-duplicates: reprints, second copies, pages with one standfirst. A reader must not be sent to the same essay."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from corpus.essay import Essay
from corpus.matching import normalise
from recommender.signals import Scored

SAME_TEXT = 0.7
"""Least share of word triples that two bodies have in common (Jaccard) to count as one text. Reprints with a few
retouched words per paragraph lie above 0.75, the most alike pairs of different essays in three corpora under 0.6."""
WORTH_COMPARING = 0.6
"""Pairs with a smaller wording signal are never that alike, and are not compared."""
BOILERPLATE = 5
"""A standfirst of more essays than this is a formula of the site, not a sign of one text."""

_WORD = re.compile(r"\w+")


def find_twins(essays: Sequence[Essay], candidates: Sequence[Sequence[Scored]]) -> Mapping[str, str]:
    """Essay id -> the group of near-duplicates it belongs to, named by the group's first id; others are left out.

    candidates: the nearest essays of each essay, in the order of essays; near-duplicates are always among them.
    """
    group = {essay.id: essay.id for essay in essays}
    for one, other in (*_same_standfirst(essays), *_same_text(essays, candidates)):
        first, second = sorted((_root(group, one), _root(group, other)))
        group[second] = first
    roots = {ident: _root(group, ident) for ident in group}
    members: dict[str, int] = defaultdict(int)
    for root in roots.values():
        members[root] += 1
    return {ident: root for ident, root in roots.items() if members[root] > 1}


def _root(group: Mapping[str, str], ident: str) -> str:
    while group[ident] != ident:
        ident = group[ident]
    return ident


def _same_standfirst(essays: Iterable[Essay]) -> Iterator[tuple[str, str]]:
    by_standfirst: dict[str, list[str]] = defaultdict(list)
    for essay in essays:
        if essay.standfirst:
            by_standfirst[normalise(essay.standfirst)].append(essay.id)
    for idents in by_standfirst.values():
        if len(idents) <= BOILERPLATE:
            yield from ((idents[0], other) for other in idents[1:])


def _same_text(essays: Sequence[Essay], candidates: Sequence[Sequence[Scored]]) -> Iterator[tuple[str, str]]:
    bodies = {essay.id: essay.body for essay in essays}
    for essay, near in zip(essays, candidates, strict=True):
        for other in near:
            if essay.id < other.id and other.wording >= WORTH_COMPARING:
                one, two = _triples(essay.body), _triples(bodies[other.id])
                if one and len(one & two) >= SAME_TEXT * len(one | two):
                    yield essay.id, other.id


def _triples(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return set(zip(words, words[1:], words[2:], strict=False))
