"""What speaks for a candidate, in an editor's words: a phrase for each signal, given the signal's plain value."""

from collections.abc import Callable
from functools import lru_cache

_Phrase = Callable[[float], str]


@lru_cache(10_000)
def phrase(signal: str, value: float) -> str:
    """The signal in an editor's words; a signal that has none is called by its name.

    value: what the signal measured, as the table below takes it: a cosine, a share (0-1), or a count. Of a signal that
    says yes or no, 0 and less is no.
    """
    made = _PHRASES.get(signal)
    return made(value) if made else signal


def _degree(value: float, close: float, akin: float) -> str:
    return "close" if value >= close else "akin" if value >= akin else "distant"


def _times(count: float) -> str:
    return "once" if round(count) == 1 else f"{round(count):,} times"


def _lists(count: float) -> str:
    return f"in {round(count):,} list{'' if round(count) == 1 else 's'}"


def _either(yes: str, no: str) -> _Phrase:
    return lambda value: yes if value > 0 else no


def _mutual(rank: float) -> str:
    if rank <= 0:
        return "this essay is not among its own hundred nearest"
    return f"this essay is among its own {'' if rank >= _AMONG_TEN else 'hundred '}nearest"


_AMONG_TEN = 0.48  # of signals.mutual_rank: ten essays or fewer are nearer


_PHRASES: dict[str, _Phrase] = {
    "meaning": lambda cosine: f"{_degree(cosine, 0.6, 0.4)} in meaning ({cosine:z.2f})",
    "summary": lambda cosine: f"title and standfirst are {_degree(cosine, 0.6, 0.4)} ({cosine:z.2f})",
    "wording": lambda cosine: f"{_degree(cosine, 0.3, 0.1)} in wording ({cosine:z.2f})",
    "names": lambda share: f"this essay names {share:z.0%} of its title",
    "named": lambda share: f"it names {share:z.0%} of this essay's title",
    "mentions": _either("its title stands in this essay's text", "its title does not stand in this essay's text"),
    "category": _either("same category", "another category, or none"),
    "address": _either("its address is alike", "its address is unlike"),
    "author": _either("same author", "another author, or none"),
    "dates": _either("published at about the same time", "published at another time"),
    "mutual_rank": _mutual,
    "links": _either("this essay links to it", "this essay does not link to it"),
    "linked": _either("it links to this essay", "it does not link to this essay"),
    "popularity": _lists,
    "votes": lambda share: f"{share:z.0%} of the most similar pages' lists name it",
    "lists_back": _either("it lists this essay", "it does not list this essay"),
    "co_listed": lambda count: f"listed beside this essay {_times(count)}",
    "predicted": _either("the lists of like pages point to it", "the lists of like pages do not point to it"),
    "like_lists": _either("its own list names what like pages name", "its own list does not name what like pages name"),
}
