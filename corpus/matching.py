"""A blurb -> the essay it stands for.

Tried in order: its URL; its standfirst to the letter; its standfirst normalised (case, spaces, dashes, quotes); its
title; the last part of its URL as the id of an essay that has no URL; its standfirst closely. Never by meaning. A link
to another site's host is followed by its URL and standfirst only.
But for a URL, two dates that differ never join: on a site many essays share a standfirst, and a wrong join is worse
than none.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from urllib.parse import unquote, urlsplit

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from corpus.essay import Blurb, Essay

How = Literal["url", "exact", "normalised", "title", "slug", "close", "id", "ambiguous", "unmatched"]

CLOSE_RATIO = 92.0
"""Least rapidfuzz ratio (0-100) of two normalised standfirsts of one date that counts as one standfirst retouched."""
CLOSE_MARGIN = 3.0
"""How far the second best of that date must stay behind the best."""
CLOSE_MIN_WORDS = 20
"""In shorter standfirsts one word makes another essay ("... the hyperbolic sine of ...", "... the hyperbolic cosine of
..."): of them only cut ones and misprints count as close. Of 3,195 standfirsts of three corpora, each taken out in turn
and all given one date, 18 would then join another essay, against 87 by a ratio of 95 alone."""

_FOLD = str.maketrans(
    dict.fromkeys("‐‑‒–—―−", "-")
    | dict.fromkeys("‘’‚‛′`´", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | {"…": "...", "\u00ad": ""}
)
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[\w'-]+")


@dataclass(frozen=True, slots=True)
class Match:
    """How a blurb (or a reference by id) was matched. `candidates` are the essays in doubt, when it is ambiguous."""

    blurb: Blurb
    how: How
    target: str | None = None
    candidates: tuple[str, ...] = ()

    @property
    def joined(self) -> bool:
        """Whether the blurb's essay is known."""
        return self.target is not None


def normalise(text: str) -> str:
    """The text without the differences that typesetting makes: case, spaces, dashes, quotes, soft hyphens."""
    folded = unicodedata.normalize("NFKC", text.translate(_FOLD)).casefold()
    # Once more, as folding case takes letters and accents apart: what is normalised stays as it is.
    folded = unicodedata.normalize("NFKC", folded).translate(_FOLD)
    return _SPACES.sub(" ", folded).strip()


class Matcher:
    """Matches the blurbs of a site to its essays.

    shown: all blurb texts of the site. An essay that a blurb shows in its very words is not what a similar blurb means.
    """

    def __init__(self, essays: Sequence[Essay], shown: Iterable[str] = ()) -> None:
        self._shown = {normalise(text) for text in shown}
        self._essays = {essay.id: essay for essay in essays}
        addresses = {essay.id: _address(essay.url) for essay in essays}
        self._hosts = {address.host for address in addresses.values() if address and address.host}
        self._by_url = _index(essays, lambda e: address.keys() if (address := addresses[e.id]) else [])
        self._by_slug = _index(essays, lambda e: [] if e.url else [e.id])
        self._by_title = _index(essays, lambda e: [normalise(e.title)] if e.title else [])
        self._by_standfirst = _index(essays, lambda e: [e.standfirst] if e.standfirst else [])
        self._by_normalised = _index(essays, lambda e: [normalise(e.standfirst)] if e.standfirst else [])
        self._by_date = self._standfirsts_by_date()
        self._unshown = {
            day: {ident: text for ident, text in texts.items() if text not in self._shown}
            for day, texts in self._by_date.items()
        }

    def match(self, blurb: Blurb) -> Match:
        """The essay that the blurb stands for, or why none is named."""
        address = _address(blurb.url)
        ours = address is None or self._is_ours(address.host)
        attempts: tuple[tuple[How, tuple[str, ...]], ...] = (
            ("url", self._found(address.keys() if ours else [address.key]) if address else ()),
            ("exact", self._by_standfirst.get(blurb.text or "", ())),
            ("normalised", self._by_normalised.get(normalise(blurb.text or ""), ())),
            ("title", self._by_title.get(normalise(blurb.title or ""), ()) if ours else ()),
            ("slug", self._by_slug.get(address.slug, ()) if address and ours else ()),
        )
        decided = [self._decide(blurb, how, found) for how, found in attempts if found]
        joined = [match for match in decided if match.joined]
        return (joined or decided or [self._match_closely(blurb)])[0]

    def match_reference(self, reference: str, source: str, position: int) -> Match:
        """The essay that an id, a URL or a title names in a list of references.

        The match's blurb carries the reference as its `url`, so that an unknown one can be named in reports.
        """
        shown = Blurb(source, position, url=reference)
        if reference in self._essays:
            return Match(shown, "id", reference)
        found = self.match(shown if _is_url(reference) else Blurb(source, position, title=reference))
        return replace(found, blurb=shown)

    def _is_ours(self, host: str) -> bool:
        """Whether a link may be to this site: to one of its hosts, to none, or to any when no page states its own."""
        return not host or not self._hosts or host in self._hosts

    def _found(self, keys: Sequence[str]) -> tuple[str, ...]:
        return next((self._by_url[key] for key in keys if key in self._by_url), ())

    def _decide(self, blurb: Blurb, how: How, found: tuple[str, ...]) -> Match:
        """One essay of those found, when only one is left after setting aside the page itself and other dates."""
        others = tuple(ident for ident in found if ident != blurb.source)  # no page lists itself
        if how == "url" and len(others) == 1:
            return Match(blurb, how, others[0])
        agreeing = tuple(ident for ident in others if self._date_agrees(blurb, ident))
        dated = tuple(ident for ident in agreeing if self._essays[ident].published == blurb.published)
        chosen = dated or agreeing
        if len(chosen) == 1:
            return Match(blurb, how, chosen[0])
        return Match(blurb, "ambiguous", candidates=chosen or others or found)

    def _date_agrees(self, blurb: Blurb, ident: str) -> bool:
        published = self._essays[ident].published
        return published is None or blurb.published is None or published == blurb.published

    def _match_closely(self, blurb: Blurb) -> Match:
        if blurb.published is None or not blurb.text:
            return Match(blurb, "unmatched")
        text = normalise(blurb.text)
        of_that_date = self._by_date.get(blurb.published, {})
        cut = (
            [i for i, full in of_that_date.items() if i != blurb.source and _is_cut(text, full)]
            if "..." in text
            else []
        )
        unshown = self._unshown.get(blurb.published, {})
        cutoff = CLOSE_RATIO - CLOSE_MARGIN
        near = process.extract(text, unshown, scorer=fuzz.ratio, score_cutoff=cutoff, limit=3)
        near = [found for found in near if found[2] != blurb.source][:2]
        rivals = tuple(ident for _, ratio, ident in near if near[0][1] - ratio < CLOSE_MARGIN)
        found = tuple(cut) or (rivals if near and _is_retouched(text, near[0][0], near[0][1]) else ())
        if len(found) == 1:
            return Match(blurb, "close", found[0])
        return Match(blurb, "ambiguous" if found else "unmatched", candidates=found)

    def _standfirsts_by_date(self) -> Mapping[date, dict[str, str]]:
        by_date: dict[date, dict[str, str]] = defaultdict(dict)
        for essay in self._essays.values():
            if essay.published and essay.standfirst:
                by_date[essay.published][essay.id] = normalise(essay.standfirst)
        return by_date


def _is_cut(text: str, standfirst: str) -> bool:
    """Whether the text is the standfirst's beginning, ended by an ellipsis."""
    start = text.removesuffix("...").rstrip()
    return start != text and len(start.split()) >= 5 and standfirst.startswith(start)


def _is_retouched(text: str, standfirst: str, ratio: float) -> bool:
    """Whether two close texts are one, edited: long ones, or short ones that differ in punctuation or misprints."""
    if ratio < CLOSE_RATIO:
        return False
    words, others = _WORD.findall(text), _WORD.findall(standfirst)
    if min(len(words), len(others)) >= CLOSE_MIN_WORDS:
        return True
    return len(words) == len(others) and all(map(_is_misprint, words, others))


def _is_misprint(word: str, other: str) -> bool:
    """Whether two words are the same but for one letter inside: not an ending (order, orders), not a number."""
    if word == other:
        return True
    inside = word[:1] == other[:1] and word[-1:] == other[-1:]
    return inside and min(len(word), len(other)) >= 5 and word.isalpha() and Levenshtein.distance(word, other) == 1


def _index(essays: Sequence[Essay], keys: Callable[[Essay], list[str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for essay in essays:
        for key in keys(essay):
            if normalise(key):  # a title of spaces is none
                found[key].append(essay.id)
    return {key: tuple(idents) for key, idents in found.items()}


def _is_url(text: str) -> bool:
    return text.startswith(("/", "http://", "https://"))


def _address(url: str | None) -> "_Address | None":
    try:
        parts = urlsplit(url) if url and _is_url(url) else None
        host = parts.hostname or "" if parts else ""
    except ValueError:  # a page may write anything in a link, `http://[` too
        return None
    if parts is None:
        return None
    path = re.sub(r"(/index\.html?|/)$", "", unquote(parts.path))
    query = "&".join(pair for pair in parts.query.split("&") if pair and not pair.startswith("utm_"))
    return _Address(host.removeprefix("www."), path, f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class _Address:
    """What two spellings of one URL share: host and path without scheme, `www.`, last slash, fragment, `utm_` tags.

    A site-relative URL has no host.
    """

    host: str
    path: str
    query: str

    @property
    def key(self) -> str:
        """Under which an essay is looked for."""
        return f"{self.host}{self.path}{self.query}"

    @property
    def slug(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def keys(self) -> list[str]:
        """Under which an essay is found: with its host, and as a page of its own site writes it."""
        return [key for key in dict.fromkeys([self.key, f"{self.path}{self.query}"]) if key]
