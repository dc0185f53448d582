"""What the desk says in words: scores, and the names of states and of reasons to look at a page."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from urllib.parse import quote

from markupsafe import Markup, escape

from recommender.decisions import State
from recommender.excerpts import find_terms

SCORES = ((0.5, "very likely"), (0.25, "likely"), (0.1, "possible"), (0.03, "unlikely"), (0.0, "very unlikely"))
"""A score is the probability that this site's editors would list the article, so the words say how sure that is."""

STATES: dict[State, str] = {
    "standard": "Readers see the hand-made list, filled up by suggestions.",
    "curated": "Readers see the hand-made list alone.",
    "shadow": "Readers see the hand-made list; suggestions are compared with it here.",
    "review": "Readers see the hand-made list, then what is approved here.",
    "model": "Readers see the suggestions, under what is decided here.",
}


def day(moment: date) -> str:
    """A day as 22 November 2026."""
    return f"{moment.day} {moment:%B %Y}"


def last_day(expires: datetime) -> date:
    """The last day on which a decision is in force that expires at this moment: the one that its editor named."""
    return (expires - timedelta.resolution).date()


def score_words(score: float) -> str:
    """A score (0-1) in words."""
    return next(words for least, words in SCORES if score >= least)


def page_address(ident: str) -> str:
    """Where an essay's page on the desk is. Browsers tidy up paths with empty or dotted parts, so these are asked for
    by query."""
    if {"", ".", ".."} & set(ident.split("/")):
        return f"/desk/article?id={quote(ident, safe='')}"
    return f"/desk/articles/{quote(ident, safe='/')}"


def marked(text: str, terms: Sequence[str]) -> Markup:
    """The text with the terms in <mark>, everything else escaped."""
    parts, last = [], 0
    for start, end in find_terms(text, terms):
        parts += [escape(text[last:start]), Markup("<mark>"), escape(text[start:end]), Markup("</mark>")]
        last = end
    return Markup("").join([*parts, escape(text[last:])])
