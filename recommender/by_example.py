"""Related articles for some essays at once, and unlike others: by the lists that an edition holds for each of them.

A candidate's score is a probability, as it is for a single essay: that one of the positive essays, drawn at random,
would list it, and that none of the negative ones would.

    score(c) = mean over p of P(c | p)  *  product over n of (1 - P(c | n))

P(c | e) is the candidate's score in the essay's lists, 0 where they do not name it: an edition keeps the best fifty of
each. With one positive essay and no negative one it is that essay's own score. The mean prefers what suits all of them
to what suits one; "at least one lists it", 1 - product of (1 - P), would not, and nears 1 for everything when there are
many. Negatives multiply, since each is a reason of its own not to show it: one that is sure is enough.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, prod
from typing import get_args

from corpus.errors import UnknownEssay
from recommender.edition import Edition
from recommender.ranking import Candidate, Item, Profile, Ranking, Recommendation, Rules, rank

_EXAMPLES = "\x00examples"  # no id and so no group of an edition has this name
_PROFILES: tuple[Profile, ...] = get_args(Profile)


@dataclass(frozen=True, slots=True)
class Example:
    """An essay that the list should be like, or unlike, and whom it would list: candidates by id."""

    essay: Item
    candidates: Mapping[str, Candidate]


def suggest_like(edition: Edition, positive: Iterable[str], negative: Iterable[str], rules: Rules) -> Ranking:
    """The list for these essays: none of them, and no near-duplicate of one. Neither order nor repetition matters.

    What the editors list on the positive essays' own pages stands where its score puts it. An id may be both positive
    and negative. Raises UnknownEssay, naming all the ids that are no essay's, and ValueError without a positive one.
    """
    liked, disliked = sorted(set(positive)), sorted(set(negative))
    if not liked:
        raise ValueError("at least one positive essay is needed")
    _check_known(edition, [*liked, *disliked])
    like, unlike = ([_example(edition, ident, rules) for ident in group] for group in (liked, disliked))
    given = [example.essay for example in (*like, *unlike)]
    items, combined = _others(edition, combine(like, unlike), given)
    ranking = rank(_source(like), combined, (), items, rules)
    if len(like) == 1:
        return ranking
    return replace(
        ranking, recommendations=tuple(_naming_the_nearest(place, like) for place in ranking.recommendations)
    )


def combine(positive: Sequence[Example], negative: Sequence[Example]) -> list[Candidate]:
    """The candidates of the positive essays, in id order, scored as above under each profile.

    Their reasons are those of the positive essay that is most likely to list them. What the balance of the site says of
    one essay's list holds for that list only, and is left out.
    """
    found = []
    for ident in sorted({ident for example in positive for ident in example.candidates}):
        reasons = _nearest(ident, positive).candidates[ident].reasons
        of_positives, of_negatives = _named(ident, positive), _named(ident, negative)
        editors, meaning = (
            fsum(c.score(profile) for c in of_positives)
            / len(positive)
            * prod(sorted(1 - c.score(profile) for c in of_negatives))  # sorted: a product's rounding knows an order
            for profile in _PROFILES
        )
        found.append(Candidate(ident, editors, meaning, reasons))
    return found


def _example(edition: Edition, ident: str, rules: Rules) -> Example:
    lists = edition.lists(ident)
    groups = (*lists.curated, *lists.candidates, *(lists.unlinked if rules.unlinked else ()))
    return Example(edition.items[ident], {candidate.id: candidate for candidate in groups})


def _check_known(edition: Edition, idents: Iterable[str]) -> None:
    unknown = []
    for ident in dict.fromkeys(idents):
        try:
            edition.find(ident)
        except UnknownEssay:
            unknown.append(ident)
    if unknown:
        named = ", ".join(map(repr, unknown))
        raise UnknownEssay(f"no essay {named} in edition {edition.id}: see `related export` for its ids")


def _others(
    edition: Edition, combined: Sequence[Candidate], given: Sequence[Item]
) -> tuple[dict[str, Item], list[Candidate]]:
    """The candidates that are neither one of the essays given nor a near-duplicate of one, and their items."""
    ids, groups = {essay.id for essay in given}, {essay.twins for essay in given} - {None}
    items = {c.id: edition.items[c.id] for c in combined if c.id not in ids}
    items = {ident: item for ident, item in items.items() if item.twins not in groups}
    return items, [c for c in combined if c.id in items]


def _source(positive: Sequence[Example]) -> Item:
    """The page that all of them are asked for together: as old as the newest of them."""
    dates = [example.essay.published for example in positive if example.essay.published]
    return Item(_EXAMPLES, "essay", published=max(dates, default=None))


def _naming_the_nearest(place: Recommendation, positive: Sequence[Example]) -> Recommendation:
    essay = _nearest(place.target, positive).essay
    return replace(place, reasons=(f"most of all related to {essay.title or essay.id}", *place.reasons))


def _nearest(ident: str, positive: Sequence[Example]) -> Example:
    """The example most likely to list it: by the editors' profile, then by meaning, then the first by id."""

    def order(example: Example) -> tuple[float, float, str]:
        candidate = example.candidates[ident]
        return -candidate.editors, -candidate.meaning, example.essay.id

    return min((example for example in positive if ident in example.candidates), key=order)


def _named(ident: str, examples: Iterable[Example]) -> list[Candidate]:
    return [example.candidates[ident] for example in examples if ident in example.candidates]
