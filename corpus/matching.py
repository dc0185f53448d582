"""A blurb -> the essay it stands for.

Tried in order: its URL; its standfirst to the letter; its standfirst normalised (case, spaces, dashes, quotes);
its title; the last part of its URL as the id of an essay that has no URL; its standfirst closely. Never by meaning.
Two dates that differ never join: on a site many essays share a standfirst, and a wrong join is worse than none.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from urllib.parse import urlsplit

from rapidfuzz import fuzz, process

from corpus.essay import Blurb, Essay

How = Literal["url", "exact", "normalised", "title", "slug", "close", "id", "ambiguous", "unmatched"]

CLOSE_RATIO = 95.0
"""Least rapidfuzz ratio (0-100) of two normalised standfirsts of one date that counts as one standfirst retouched."""
CLOSE_MARGIN = 3.0
"""How far the second best of that date must stay behind the best."""
CLOSE_MIN_CHARS = 40
"""Shorter standfirsts ("Learn how to post invoices.") are formulas: two close ones are usually two essays."""

_FOLD = str.maketrans(
    dict.fromkeys("‐‑‒–—―−", "-") | dict.fromkeys("‘’‚‛′`´", "'") | dict.fromkeys("“”„‟″«»", '"') | {"…": "..."}
)
_SPACES = re.compile(r"\s+")


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
    folded = unicodedata.normalize("NFKC", text).translate(_FOLD).replace("\u00ad", "").casefold()
    return _SPACES.sub(" ", folded).strip()


class Matcher:
    """Matches the blurbs of a site to its essays."""

    def __init__(self, essays: Sequence[Essay]) -> None:
        self._essays = {essay.id: essay for essay in essays}
        self._by_url = _index(essays, lambda e: _url_keys(e.url))
        self._by_slug = _index(essays, lambda e: [] if e.url else [e.id])
        self._by_title = _index(essays, lambda e: [normalise(e.title)] if e.title else [])
        self._by_standfirst = _index(essays, lambda e: [e.standfirst] if e.standfirst else [])
        self._by_normalised = _index(essays, lambda e: [normalise(e.standfirst)] if e.standfirst else [])
        self._by_date: Mapping[date, dict[str, str]] = self._standfirsts_by_date()

    def match(self, blurb: Blurb) -> Match:
        """The essay that the blurb stands for, or why none is named."""
        slug = urlsplit(blurb.url).path.rstrip("/").rpartition("/")[2] if _is_url(blurb.url) else ""
        attempts: tuple[tuple[How, tuple[str, ...]], ...] = (
            ("url", self._found(self._by_url, _url_keys(blurb.url))),
            ("exact", self._found(self._by_standfirst, [blurb.text or ""])),
            ("normalised", self._found(self._by_normalised, [normalise(blurb.text or "")])),
            ("title", self._found(self._by_title, [normalise(blurb.title or "")])),
            ("slug", self._found(self._by_slug, [slug])),
        )
        for how, found in attempts:
            if found:
                return self._decide(blurb, how, found)
        return self._match_closely(blurb)

    def match_reference(self, reference: str, source: str, position: int) -> Match:
        """The essay that an id, a URL or a title names in a list of references.

        The match's blurb carries the reference as its `url`, so that an unknown one can be named in reports.
        """
        shown = Blurb(source, position, url=reference)
        if reference in self._essays:
            return Match(shown, "id", reference)
        found = self.match(shown if _is_url(reference) else Blurb(source, position, title=reference))
        return replace(found, blurb=shown)

    def _found(self, index: Mapping[str, tuple[str, ...]], keys: Iterable[str]) -> tuple[str, ...]:
        return next((index[key] for key in keys if key and key in index), ())

    def _decide(self, blurb: Blurb, how: How, found: tuple[str, ...]) -> Match:
        """One essay of those found, when only one is left after setting aside the page itself and other dates."""
        others = tuple(ident for ident in found if ident != blurb.source) or found
        if how == "url" and len(others) == 1:
            return Match(blurb, how, others[0])
        agreeing = tuple(ident for ident in others if self._date_agrees(blurb, ident))
        dated = tuple(ident for ident in agreeing if self._essays[ident].published == blurb.published)
        chosen = dated or agreeing
        if len(chosen) == 1:
            return Match(blurb, how, chosen[0])
        return Match(blurb, "ambiguous", candidates=chosen or others)

    def _date_agrees(self, blurb: Blurb, ident: str) -> bool:
        published = self._essays[ident].published
        return published is None or blurb.published is None or published == blurb.published

    def _match_closely(self, blurb: Blurb) -> Match:
        text = normalise(blurb.text or "")
        if blurb.published is None or len(text) < CLOSE_MIN_CHARS:
            return Match(blurb, "unmatched")
        choices = {i: s for i, s in self._by_date.get(blurb.published, {}).items() if i != blurb.source}
        near = process.extract(text, choices, scorer=fuzz.ratio, score_cutoff=CLOSE_RATIO - CLOSE_MARGIN, limit=2)
        if not near or near[0][1] < CLOSE_RATIO:
            return Match(blurb, "unmatched")
        if len(near) == 2 and near[0][1] - near[1][1] < CLOSE_MARGIN:
            return Match(blurb, "ambiguous", candidates=(near[0][2], near[1][2]))
        return Match(blurb, "close", near[0][2])

    def _standfirsts_by_date(self) -> Mapping[date, dict[str, str]]:
        by_date: dict[date, dict[str, str]] = defaultdict(dict)
        for essay in self._essays.values():
            if essay.published and essay.standfirst:
                by_date[essay.published][essay.id] = normalise(essay.standfirst)
        return by_date


def _index(essays: Sequence[Essay], keys: Callable[[Essay], list[str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for essay in essays:
        for key in keys(essay):
            found[key].append(essay.id)
    return {key: tuple(idents) for key, idents in found.items()}


def _is_url(text: str | None) -> bool:
    return text is not None and (text.startswith("/") or text.startswith(("http://", "https://")))


def _url_keys(url: str | None) -> list[str]:
    """What two spellings of one address share: host and path without scheme, `www.`, last slash or fragment.

    A site-relative address has the path alone, so an absolute one has two keys: with its host, and without.
    """
    if not _is_url(url):
        return []
    parts = urlsplit(url or "")
    path = re.sub(r"(/index\.html?|/)$", "", parts.path) + (f"?{parts.query}" if parts.query else "")
    host = (parts.hostname or "").removeprefix("www.")
    return [host + path, path] if host else [path]
