"""From a site's material to what an edition says: its items, and the candidates of every essay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpus.catalogue import Catalogue, UnmatchedBlurb
from corpus.essay import Essay
from embeddings.encoder import Progress
from recommender.edition import EssayLists
from recommender.material import Material
from recommender.ranking import Candidate, Item
from recommender.signals import Neighbours, Scored
from recommender.twins import find_twins

CANDIDATES = 50
"""Essays that an edition keeps for each essay: more than any page shows, so that decisions and rules have a choice."""
DEPTH = 2 * CANDIDATES
"""How many are looked at for them: near-duplicates of the essay, or of one another, do not count towards the fifty."""
UNLINKED = 20
"""Unmatched blurbs that it keeps beside them."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """items: by id, essays first. lists: one for each essay, in id order. scored: the essays' candidates in full."""

    items: Mapping[str, Item]
    lists: tuple[EssayLists, ...]
    scored: Sequence[Sequence[Scored]]


def find_neighbourhood(material: Material, catalogue: Catalogue, progress: Progress) -> Neighbourhood:
    """The candidates of every essay: the best essays, the best unmatched blurbs, and those that its own list names."""
    neighbours = Neighbours(material.items)
    scored = neighbours.nearest(material.items, material.items, DEPTH, progress)
    blurbs = neighbours.nearest(material.items, material.blurbs, UNLINKED)
    listed = _score_curated(neighbours, material, catalogue)
    twins = find_twins(material.essays, scored)
    items = {essay.id: _essay_item(essay, twins) for essay in material.essays}
    items |= {blurb.id: _blurb_item(blurb) for blurb in catalogue.unmatched}
    lists = tuple(
        EssayLists(
            essay.id,
            list_length=len(essay.blurbs) + len(essay.related),
            curated=tuple(listed[essay.id]),
            candidates=tuple(to_candidate(s) for s in _enough(scored[row], twins, essay.id)),
            unlinked=tuple(to_candidate(s) for s in blurbs[row]),
        )
        for row, essay in enumerate(material.essays)
    )
    return Neighbourhood(items, lists, scored)


def _enough(scored: Sequence[Scored], twins: Mapping[str, str], own: str) -> Sequence[Scored]:
    """The best, cut where there are CANDIDATES that a list could show side by side."""
    groups = {twins.get(own)} - {None}
    distinct = 0
    for place, candidate in enumerate(scored):
        group = twins.get(candidate.id)
        distinct += group is None or group not in groups
        groups.add(group)
        if distinct == CANDIDATES:
            return scored[: place + 1]
    return scored


def to_candidate(scored: Scored) -> Candidate:
    """The part of a scored pair that an edition keeps."""
    return Candidate(scored.id, scored.score, scored.meaning, scored.wording)


def _score_curated(neighbours: Neighbours, material: Material, catalogue: Catalogue) -> dict[str, list[Candidate]]:
    """The curated items of each essay, in list order, scored as any candidate is."""
    blurb_ids = set(material.blurbs.vectors.ids)
    ids = material.items.vectors.ids
    lists = [catalogue.curated.get(ident, ()) for ident in ids]
    of_essays = [[target for target in listed if target not in blurb_ids] for listed in lists]
    of_blurbs = [[target for target in listed if target in blurb_ids] for listed in lists]
    found = zip(
        ids,
        lists,
        neighbours.score_pairs(material.items, material.items, of_essays),
        neighbours.score_pairs(material.items, material.blurbs, of_blurbs),
        strict=True,
    )
    scored: dict[str, list[Candidate]] = {}
    for ident, listed, essays, blurbs in found:
        by_id = {candidate.id: candidate for candidate in (*essays, *blurbs)}
        scored[ident] = [to_candidate(by_id[target]) for target in listed]
    return scored


def _essay_item(essay: Essay, twins: Mapping[str, str]) -> Item:
    return Item(
        essay.id,
        "essay",
        title=essay.title,
        standfirst=essay.standfirst,
        url=essay.url,
        category=essay.category,
        published=essay.published,
        twins=twins.get(essay.id),
    )


def _blurb_item(blurb: UnmatchedBlurb) -> Item:
    return Item(
        blurb.id,
        "blurb",
        title=blurb.title,
        standfirst=blurb.text,
        url=blurb.url,
        category=blurb.category,
        published=blurb.published,
    )
