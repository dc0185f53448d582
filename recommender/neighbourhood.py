"""From a site's material to what an edition says: its items, and the candidates of every essay under both profiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corpus.catalogue import Catalogue, UnmatchedBlurb
from corpus.essay import Essay
from embeddings.encoder import Matrix
from recommender.balance import MAX_SHARE, balance
from recommender.candidates import CandidateFinder, Columns, Pairs
from recommender.landscape import CHUNK
from recommender.learning import Lesson
from recommender.list_graph import ListGraph
from recommender.list_store import EssayLists
from recommender.material import Material
from recommender.model import Model, Values, probability
from recommender.ranking import DEFAULT_LIMIT, Candidate, Item, list_limit
from recommender.signals import SIGNALS, relative, spread_of, text_block
from recommender.sketch import sketches
from recommender.texts import Texts
from recommender.twins import find_twins

CANDIDATES = 50
"""Essays that an edition keeps for each essay and profile: more than any page shows, so that decisions and rules have a
choice. Near-duplicates of the essay, or of one another, do not count towards them."""
DEPTH = 2 * CANDIDATES
"""How many are looked at for them."""
UNLINKED = 20
"""Unmatched blurbs that it keeps beside them."""
REASONS = 3
_TELLING = 0.05
"""What a signal must add to the logit to be named as a reason."""

_WORDING = SIGNALS.index("wording")


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """items: by id, essays first. lists: one for each essay, in id order."""

    items: Mapping[str, Item]
    lists: tuple[EssayLists, ...]


def find_neighbourhood(material: Material, catalogue: Catalogue, pairs: Pairs, lesson: Lesson) -> Neighbourhood:
    """The candidates of every essay: the best essays, the best unmatched blurbs, and those that its own list names.

    pairs: the candidates of every essay of the site.
    """
    items = find_items(material, catalogue.unmatched, pairs, catalogue.curated)
    twins = {ident: item.twins for ident, item in items.items() if item.twins}
    candidates = essay_candidates(material.ids, pairs, lesson, twins)
    balanced = balance(
        candidates,
        DEFAULT_LIMIT,
        MAX_SHARE,
        listed_shares(material.graph, material.ids),
        shown_lengths(material.essays),
    )
    blurbs = _blurb_candidates(material, lesson)
    listed = _curated_candidates(material, catalogue.curated, lesson, blurbs)
    lists = tuple(
        EssayLists(
            essay.id,
            list_length=len(essay.blurbs) + len(essay.related),
            curated=tuple(listed[essay.id]),
            candidates=tuple(balanced[essay.id]),
            unlinked=tuple(blurbs[row][:UNLINKED]),
        )
        for row, essay in enumerate(material.essays)
    )
    return Neighbourhood(items, lists)


def find_items(
    material: Material, unmatched: Sequence[UnmatchedBlurb], pairs: Pairs, curated: Mapping[str, Sequence[str]]
) -> dict[str, Item]:
    """Every essay and unmatched blurb as an item."""
    twins = find_twins(material.essays, nearest_wordings(material.ids, pairs), curated)
    essays = zip(material.essays, sketches(material.texts.vectors.matrix), strict=True)
    items = {essay.id: _essay_item(essay, twins, sketch) for essay, sketch in essays}
    blurbs = zip(unmatched, sketches(material.blurbs.vectors.matrix), strict=True)
    return items | {blurb.id: _blurb_item(blurb, sketch) for blurb, sketch in blurbs}


def nearest_wordings(ids: Sequence[str], pairs: Pairs) -> list[dict[str, float]]:
    """For each essay, its candidates with the plain wording signal."""
    found = []
    for place in range(len(pairs)):
        wording = pairs.plain_values(place)[:, _WORDING].tolist()
        found.append({ids[c]: w for c, w in zip(pairs.columns[pairs.of(place)].tolist(), wording, strict=True)})
    return found


def essay_candidates(
    ids: Sequence[str], pairs: Pairs, lesson: Lesson, twins: Mapping[str, str]
) -> dict[str, list[Candidate]]:
    """The essays' candidates: the best by each profile, by (-editors, id)."""
    editors, meaning = probability(lesson.logits(pairs)), lesson.texts.probabilities(pairs.values)
    found: dict[str, list[Candidate]] = {}
    for place, row in enumerate(pairs.rows.tolist()):
        part = pairs.of(place)
        targets = [ids[column] for column in pairs.columns[part].tolist()]
        by_editors, by_meaning = _order(editors[part], targets), _order(meaning[part], targets)
        kept = {*_enough(by_editors, targets, twins, ids[row]), *_enough(by_meaning, targets, twins, ids[row])}
        chosen = [i for i in by_editors if i in kept]
        found[ids[row]] = to_candidates(ids, pairs, place, lesson, np.array(chosen, dtype=np.int64))
    return found


def to_candidates(
    ids: Sequence[str], pairs: Pairs, place: int, lesson: Lesson, chosen: Columns | None = None
) -> list[Candidate]:
    """An essay's pairs, or the chosen ones of them, as an edition keeps them."""
    part = pairs.of(place)
    chosen = np.arange(part.stop - part.start) if chosen is None else chosen
    values, plain = pairs.values[part][chosen], pairs.plain_values(place)[chosen]
    model = lesson.model_for(bool(pairs.listed[place]))
    return _as_candidates([ids[c] for c in pairs.columns[part][chosen].tolist()], values, plain, model, lesson.texts)


def listed_shares(graph: ListGraph, ids: Sequence[str]) -> dict[str, float]:
    """In what share of their lists the editors name each essay."""
    lists = max(len(graph.listing), 1)
    return {ident: count / lists for ident, count in zip(ids, graph.listed_by.tolist(), strict=True) if count}


def shown_lengths(essays: Sequence[Essay]) -> dict[str, int]:
    """How many related articles each page shows by default."""
    return {essay.id: list_limit(len(essay.blurbs) + len(essay.related)) for essay in essays}


def _order(scores: Values, targets: Sequence[str]) -> list[int]:
    """By (-score, id)."""
    return sorted(range(len(targets)), key=lambda i: (-scores[i], targets[i]))


def _enough(order: Sequence[int], targets: Sequence[str], twins: Mapping[str, str], own: str) -> Sequence[int]:
    """The best of the first DEPTH, cut where there are CANDIDATES that a list could show side by side."""
    groups = {twins.get(own)} - {None}
    distinct = 0
    for place, i in enumerate(order[:DEPTH]):
        group = twins.get(targets[i])
        distinct += group is None or group not in groups
        groups.add(group)
        if distinct == CANDIDATES:
            return order[: place + 1]
    return order[:DEPTH]


def _as_candidates(ids: Sequence[str], values: Matrix, plain: Matrix, model: Model, texts: Model) -> list[Candidate]:
    editors, meaning = model.probabilities(values).tolist(), texts.probabilities(values).tolist()
    reasons = _reasons(plain, model.contributions(values))
    return [Candidate(*row) for row in zip(ids, editors, meaning, reasons, strict=True)]


def _reasons(plain: Matrix, contributions: Values) -> list[tuple[tuple[str, float], ...]]:
    """The REASONS signals that add most to each pair's score, with their plain values."""
    best = np.argsort(-contributions, axis=1, kind="stable")[:, :REASONS]
    return [
        tuple((SIGNALS[s], float(plain[p, s])) for s in row.tolist() if contributions[p, s] > _TELLING)
        for p, row in enumerate(best)
    ]


def _blurb_candidates(material: Material, lesson: Lesson) -> list[list[Candidate]]:
    """All unmatched blurbs for each essay, best first: by their texts, which is all that is known of them."""
    if not len(material.blurbs):
        return [[] for _ in material.ids]
    found: list[list[Candidate]] = []
    for chunk in material.texts.chunks(CHUNK):
        found += _score_blurbs(chunk, material, lesson)
    return found


def blurb_values(essays: Texts, material: Material) -> tuple[Matrix, Matrix]:
    """The signals of some of the site's essays and all unmatched blurbs, as the models read them and as people do:
    float32, shape (essays, blurbs, signals)."""
    row_of = {ident: row for row, ident in enumerate(material.ids)}
    own = [row_of[ident] for ident in essays.ids]
    spread = spread_of(text_block(essays, material.texts), own)
    plain = text_block(essays, material.blurbs)
    block = relative(plain, spread)
    nothing = np.zeros((len(essays), len(material.blurbs)), np.float32)
    values, as_read = (np.stack([b.get(s, nothing) for s in SIGNALS], axis=2) for b in (block, plain))
    return values, as_read


def _score_blurbs(essays: Texts, material: Material, lesson: Lesson) -> list[list[Candidate]]:
    values, as_read = blurb_values(essays, material)
    found = []
    for row in range(len(essays)):
        scored = _as_candidates(material.blurbs.ids, values[row], as_read[row], lesson.texts, lesson.texts)
        found.append(sorted(scored, key=lambda c: (-c.editors, c.id)))
    return found


def _curated_candidates(
    material: Material, curated: Mapping[str, Sequence[str]], lesson: Lesson, blurbs: Sequence[Sequence[Candidate]]
) -> dict[str, list[Candidate]]:
    """The curated items of each essay, in list order, scored as any candidate is."""
    row_of = {ident: row for row, ident in enumerate(material.ids)}
    wanted = [
        np.array(sorted(row_of[i] for i in curated.get(ident, ()) if i in row_of), dtype=np.int64)
        for ident in material.ids
    ]
    pairs = CandidateFinder(material.landscape, material.graph).exactly(wanted)
    scored: dict[str, list[Candidate]] = {}
    for row, ident in enumerate(material.ids):
        by_id = {
            candidate.id: candidate for candidate in (*to_candidates(material.ids, pairs, row, lesson), *blurbs[row])
        }
        scored[ident] = [by_id[target] for target in curated.get(ident, ())]
    return scored


def _essay_item(essay: Essay, twins: Mapping[str, str], sketch: int) -> Item:
    return Item(
        essay.id,
        "essay",
        title=essay.title,
        standfirst=essay.standfirst,
        url=essay.url,
        category=essay.category,
        published=essay.published,
        twins=twins.get(essay.id),
        sketch=sketch,
    )


def _blurb_item(blurb: UnmatchedBlurb, sketch: int) -> Item:
    return Item(
        blurb.id,
        "blurb",
        title=blurb.title,
        standfirst=blurb.text,
        url=blurb.url,
        category=blurb.category,
        published=blurb.published,
        sketch=sketch,
    )
