"""Related articles for some essays at once, and unlike others: by the lists that an edition holds for each of them.

A candidate's score is a probability, as it is for a single essay: what the positive essays together say of it, times
the likelihood that none of the negative ones would list it.

    score(c) = 1 / (1 + exp(-mean over p of logit P(c | p)))  *  product over n of (1 - P(c | n))

P(c | e) is the candidate's score in the essay's lists. An edition keeps the best fifty of each, so a positive essay
whose lists do not name it gave it less than the least of them: half of that is taken. For a negative one it is 0 then.
With one positive essay and no negative one the score is that essay's own.

The mean of logits (a logarithmic opinion pool; Genest and Zidek 1986) prefers what suits all of them to what suits one.
Tried once, by a script that was not kept, on 1,052 manual pages whose lists nothing had seen: from the first 2, 3, 5
entries of a list, the share of its others among the ten best (n = 565, 423, 218 lists).

    mean of logits              0.559   0.595   0.577     with the least itself for half of it: 0.557, 0.591, 0.575
    mean of probabilities       0.550   0.572   0.541     absent as 0
    at least one would list it  0.551   0.569   0.539     1 - product of (1 - P)
    the surest alone            0.544   0.557   0.510

Negatives multiply, since each is a reason of its own not to show it: one that is sure is enough. That is not measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, fsum, log, prod
from typing import get_args

from corpus.errors import UnknownEssay
from recommender.edition import Edition
from recommender.ranking import Candidate, Item, Profile, Ranking, Recommendation, Rules, rank

_EXAMPLES = "\x00examples"  # no id and so no group of an edition has this name
_PROFILES: tuple[Profile, ...] = get_args(Profile)  # editors, meaning
_DIGITS = 6  # as scores are written in editions
_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Example:
    """An essay that the list should be like, or unlike, and whom it would list.

    candidates: by id. least: the least score of its candidates under each profile, by (editors, meaning).
    """

    essay: Item
    candidates: Mapping[str, Candidate]
    least: tuple[float, float]


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
        editors, meaning = (
            round(_liked(ident, positive, profile) * _let_through(ident, negative, profile), _DIGITS)
            for profile in _PROFILES
        )
        found.append(Candidate(ident, editors, meaning, reasons))
    return found


def _liked(ident: str, positive: Sequence[Example], profile: Profile) -> float:
    """What the positive essays together say of a candidate."""
    place = _PROFILES.index(profile)
    said = (e.candidates[ident].score(profile) if ident in e.candidates else e.least[place] / 2 for e in positive)
    return 1 / (1 + exp(-fsum(map(_logit, said)) / len(positive)))


def _logit(probability: float) -> float:
    kept = min(max(probability, _CERTAIN), 1 - _CERTAIN)
    return log(kept / (1 - kept))


def _let_through(ident: str, negative: Sequence[Example], profile: Profile) -> float:
    """How likely it is that none of the negative essays would list it."""
    named = (1 - e.candidates[ident].score(profile) for e in negative if ident in e.candidates)
    return prod(sorted(named))  # sorted, since the rounding of a product depends on the order


def _example(edition: Edition, ident: str, rules: Rules) -> Example:
    lists = edition.lists(ident)
    groups = (*lists.curated, *lists.candidates, *(lists.unlinked if rules.unlinked else ()))
    editors, meaning = (min((c.score(p) for c in lists.candidates), default=0.0) for p in _PROFILES)
    return Example(edition.items[ident], {candidate.id: candidate for candidate in groups}, (editors, meaning))


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
    return place._replace(reasons=(f"most of all related to {essay.title or essay.id}", *place.reasons))


def _nearest(ident: str, positive: Sequence[Example]) -> Example:
    """The example most likely to list it: by the editors' profile, then by meaning, then the first by id."""

    def order(example: Example) -> tuple[float, float, str]:
        candidate = example.candidates[ident]
        return -candidate.editors, -candidate.meaning, example.essay.id

    return min((example for example in positive if ident in example.candidates), key=order)
