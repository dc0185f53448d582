"""What the desk should know of every page of an edition: counted from the very lists that are served."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from corpus.catalogue import Unjoined
from recommender.edition import OVERVIEW, Edition
from recommender.edition_diff import overlap_of
from recommender.list_store import EssayLists
from recommender.overview import PageFacts, write_overview
from recommender.ranking import DEFAULT_LIMIT, MAX_SHARE, Item, Recommendation, Rules, list_limit

WEIGHTS = {
    "few": 1.0,  # how far the model's suggestions fall short of the list's length, as a share of it
    "weak": 1.0,  # how far its strength stays below the site's median, as a share of it
    "changed": 1.0,  # the share of its list that was not in the last edition's
    "unjoined": 1.0,  # the share of its own list that is ambiguous or unmatched
    "lost": 0.5,  # the share of its own essays that the model would not show
    "orphan": 0.5,
    "hub": 0.5,
    "twins": 0.25,
}
"""A page's worth is the sum of these, each times a part of 0-1. Chosen by hand: what a reader of the site would notice
counts 1, what may well be right counts less. No editor's use has been measured yet."""
MANY = 4
"""A hub is shown so many times as often as the average page, or in more than MAX_SHARE of the lists."""

Places = list[tuple[Recommendation, Item]]
_ALONE = Rules(curated_first=False)


@dataclass(frozen=True, slots=True)
class _Page:
    """What one page's own row tells. links: the ids that its list shows; curated: the essays that its own list names;
    own: as many ids of the model's."""

    item: Item
    list_length: int
    listed: int
    curated: frozenset[str]
    own: frozenset[str]
    links: tuple[str, ...]
    suggestions: int
    strength: float

    @property
    def few(self) -> float:
        """How far the suggestions fall short of the list's length (0-1)."""
        return max(0.0, 1 - self.suggestions / list_limit(self.list_length))


@dataclass(frozen=True, slots=True)
class _Site:
    """What only all pages together tell. shown_by: number -> the numbers of the pages that show it."""

    shown_by: Mapping[int, "array[int]"]
    listed_by: Mapping[str, int]
    hub_limit: float
    strength: float


def write_facts(
    folder: Path,
    places: Sequence[tuple[float, float]],
    unjoined: Mapping[str, Unjoined] | None = None,
    before: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Add the overview to an edition's folder, in which its lists are written.

    places: on the map, one for each essay in the order of the lists. unjoined: see Catalogue.
    before: the lists of the last edition by the standard rules, as ids; None when there was none.
    """
    edition = Edition(folder, {})
    pages = [_read_page(edition, ident) for ident in edition.essay_ids()]
    site = _look_over(pages)
    write_overview(folder / OVERVIEW, _describe(pages, site, places, unjoined or {}, before or {}), site.shown_by)


def hub_limit(essays: int, links: int) -> float:
    """A page that more lists than this show is a hub, when this many essays' lists show so many links in all.

    It is MANY times the average, or MAX_SHARE of the lists where that is less; but never less than every list's
    length, which is what balance() lets everybody have.
    """
    return max(DEFAULT_LIMIT, min(MAX_SHARE * essays, MANY * links / max(essays, 1)))


def _read_page(edition: Edition, ident: str) -> _Page:
    essay, lists = edition.find(ident), edition.lists(ident)
    limit = list_limit(lists.list_length)
    curated = frozenset(c.id for c in lists.curated if edition.items[c.id].kind == "essay")
    model = _ModelsList(edition, essay, lists)
    shown = edition.recommend(essay, Rules()) if lists.curated else model.first(limit)
    own = model.first(limit)
    return _Page(
        essay,
        lists.list_length,
        len(lists.curated),
        curated,
        frozenset(place.target for place, _ in model.first(len(curated))),
        tuple(place.target for place, _ in shown),
        len(model.places),
        fmean(place.score for place, _ in own) if own else 0.0,
    )


class _ModelsList:
    """What the model alone would show on a page. places: all that it could."""

    def __init__(self, edition: Edition, essay: Item, lists: EssayLists) -> None:
        self._edition, self._essay = edition, essay
        self._lifts = any(candidate.place == "lifted" for candidate in lists.candidates)
        self.places = edition.recommend(essay, _ALONE, max(len(lists.candidates), 1))

    def first(self, limit: int) -> Places:
        """The list of this length; its last place may be given to a candidate from further down."""
        if not limit or not self._lifts:
            return self.places[:limit]
        return self._edition.recommend(self._essay, _ALONE, limit)


def _look_over(pages: Sequence[_Page]) -> _Site:
    number_of = {page.item.id: number for number, page in enumerate(pages, start=1)}
    shown_by: dict[int, array[int]] = {}
    for number, page in enumerate(pages, start=1):
        for target in page.links:
            shown_by.setdefault(number_of[target], array("i")).append(number)
    links = sum(len(page.links) for page in pages)
    return _Site(
        shown_by,
        Counter(target for page in pages for target in page.curated),
        hub_limit(len(pages), links),
        median(page.strength for page in pages) if pages else 0.0,
    )


def _describe(
    pages: Sequence[_Page],
    site: _Site,
    places: Sequence[tuple[float, float]],
    unjoined: Mapping[str, Unjoined],
    before: Mapping[str, Sequence[str]],
) -> Iterator[PageFacts]:
    for number, (page, (x, y)) in enumerate(zip(pages, places, strict=True), start=1):
        item, links_in = page.item, len(site.shown_by.get(number, ()))
        left = unjoined.get(item.id, Unjoined(0, 0))
        facts = PageFacts(
            number=number,
            id=item.id,
            title=item.title,
            url=item.url,
            category=item.category,
            published=item.published,
            list_length=page.list_length,
            curated=page.listed,
            suggestions=page.suggestions,
            strength=page.strength,
            kept=len(page.curated & page.own),
            new=len(page.own - page.curated),
            lost=len(page.curated - page.own),
            ambiguous=left.ambiguous,
            unmatched=left.unmatched,
            links_in=links_in,
            listed_by=site.listed_by.get(item.id, 0),
            twins=item.twins,
            hub=links_in > site.hub_limit,
            orphan=links_in == 0,
            overlap_before=overlap_of(page.links, before[item.id]) if item.id in before else None,
            x=x,
            y=y,
            worth=0.0,
        )
        yield facts._replace(worth=_worth(facts, page, site))


def _worth(facts: PageFacts, page: _Page, site: _Site) -> float:
    parts = {
        "few": page.few,
        "weak": max(0.0, 1 - facts.strength / site.strength) if site.strength else 0.0,
        "changed": 0.0 if facts.overlap_before is None else 1 - facts.overlap_before,
        "unjoined": min(1.0, (facts.ambiguous + facts.unmatched) / max(facts.list_length, 1)),
        "lost": facts.lost / max(len(page.curated), 1),
        "orphan": facts.orphan,
        "hub": facts.hub,
        "twins": facts.twins is not None,
    }
    return sum(WEIGHTS[name] * part for name, part in parts.items())
