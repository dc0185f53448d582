"""What two texts share, for people to see: the terms worth naming, where they stand, and the part that shows them.

A term is a word or two of the lexicon (lexical.py). Between the two words of a pair a text may have stop words, which
the lexicon does not see: "price of knowing" holds "price knowing".
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

TERMS = 8
LENGTH = 300
"""Characters of an excerpt, about: it is cut at word ends."""
_STOP_WORDS = 4
"""Words that the lexicon left out between two of its own: "one of the most"."""

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+")

Span = tuple[int, int]


def worth_naming(terms: Iterable[str], most: int = TERMS) -> tuple[str, ...]:
    """The first terms, without the single words that another of them holds.

    terms: the most telling first. A pair of words so drives out its own words, wherever it comes before the last place.
    """
    kept: list[str] = []
    for term in terms:
        if len(kept) == most:
            break
        if not any(term in other.split() for other in kept):
            kept = [other for other in kept if other not in term.split()] + [term]
    return tuple(kept)


def find_terms(text: str, terms: Iterable[str]) -> list[Span]:
    """Where the words of the terms stand in a text, start and end of each, in order; case does not count."""
    found = {match.span(group) for term in terms for match in _pattern(term).finditer(text) for group in _groups(term)}
    return sorted(found)


def excerpt(text: str, terms: Sequence[str], length: int = LENGTH) -> str:
    """The part of a text that holds most of the terms, from a sentence's start, at most `length` characters and "…".

    The first of several such parts; white space becomes single spaces.
    """
    text = " ".join(text.split())
    starts = [0, *(end.end() for end in _SENTENCE_END.finditer(text))]
    parts = [_cut(text, start, length) for start in starts]
    return max(parts, key=lambda part: sum(bool(_pattern(term).search(part)) for term in terms))


def _cut(text: str, start: int, length: int) -> str:
    """At most `length` characters from there on, to a word's end where there is one."""
    lead = "… " if start else ""
    if len(text) - start <= length:
        return lead + text[start:]
    space = text.rfind(" ", start, start + length + 1)
    return f"{lead}{text[start : space if space > start else start + length]} …"


@lru_cache(maxsize=256)
def _pattern(term: str) -> re.Pattern[str]:
    between = rf"\W+(?:\w+\W+){{0,{_STOP_WORDS}}}?"
    words = between.join(f"({re.escape(word)})" for word in term.split())
    return re.compile(rf"\b{words}\b", re.IGNORECASE)


def _groups(term: str) -> range:
    return range(1, len(term.split()) + 1)
