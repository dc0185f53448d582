"""Candidates for rank(), and what came of it."""

from recommender.ranking import Candidate, Place, Ranking

ZEROS, ONES = 1 << 255, (1 << 255) - 1  # two sketches that differ in every bit; 0 would be unknown


def candidate(ident: str, score: float = 0.5, place: Place = "", meaning: float = 0.25) -> Candidate:
    return Candidate(ident, score, meaning, (("meaning", 0.5), ("wording", 0.2)), place)


def targets(ranking: Ranking) -> list[str]:
    return [recommendation.target for recommendation in ranking.recommendations]
