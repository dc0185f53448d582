"""From a site's material to what an edition says: its items, and the candidates of every essay under both profiles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from corpus.catalogue import Catalogue, UnmatchedBlurb
from corpus.essay import Essay
from embeddings.encoder import Matrix
from recommender.balance import PLACES, find_places
from recommender.candidates import Columns, Pairs
from recommender.finding import candidate_finder
from recommender.index import FaissIndex
from recommender.landscape import CHUNK, Pool
from recommender.learning import Lesson
from recommender.list_graph import ListGraph
from recommender.list_store import EssayLists
from recommender.material import Material
from recommender.model import Model, Values, probability
from recommender.pair_signals import PairSignals, set_against
from recommender.ranking import DEFAULT_LIMIT, MAX_SHARE, Candidate, Item, list_limit
from recommender.shortlist import Shortlist
from recommender.signals import SIGNALS, relative, spread_of, text_block
from recommender.sketch import sketches
from recommender.texts import Texts
from recommender.twins import AKIN, find_twins

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
    """items: by id, essays first. lists: one for each essay, in id order, made anew by every reading: those of a large
    site do not fit into memory at once."""

    items: Mapping[str, Item]
    lists: Iterable[EssayLists]


def find_neighbourhood(material: Material, catalogue: Catalogue, pairs: Pairs, lesson: Lesson) -> Neighbourhood:
    """The candidates of every essay: the best essays, the best unmatched blurbs, and those that its own list names.

    pairs: the candidates of every essay of the site.
    """
    items = find_items(material, catalogue.unmatched, pairs, catalogue.curated)
    groups = twin_groups(material.ids, items)
    editors, meaning = probability(lesson.logits(pairs)), lesson.texts.probabilities(pairs.values)
    kept = keep_candidates(pairs, editors, meaning, groups)
    lists = Shortlist(kept.starts, pairs.columns[kept.pairs], editors[kept.pairs])
    marks = find_places(lists, DEFAULT_LIMIT, MAX_SHARE, listed_shares(material.graph), shown_lengths(material.essays))
    return Neighbourhood(items, _Lists(material, catalogue, pairs, lesson, kept, marks))


@dataclass(frozen=True, eq=False)
class Kept:
    """What an edition keeps of every essay's pairs, by (-editors, id).

    starts: int64 (essays + 1,). pairs: int64 (k,), places in the pairs of the site.
    """

    starts: Columns
    pairs: Columns


def keep_candidates(pairs: Pairs, editors: Values, meaning: Values, groups: Columns) -> Kept:
    """The best of each essay by each score; see CANDIDATES. groups: see twin_groups()."""
    kept: list[Columns] = []
    for place, row in enumerate(pairs.rows.tolist()):
        part = pairs.of(place)
        by_editors = np.argsort(-editors[part], kind="stable")
        twins = groups[pairs.columns[part]]
        chosen = np.zeros(part.stop - part.start, dtype=np.bool_)
        for order in (by_editors, np.argsort(-meaning[part], kind="stable")):
            chosen[_enough(order[:DEPTH], twins, groups[row])] = True
        kept.append(part.start + by_editors[chosen[by_editors]])
    starts = np.concatenate([[0], np.cumsum([len(part) for part in kept])]).astype(np.int64)
    return Kept(starts, np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64))


def twin_groups(ids: Sequence[str], items: Mapping[str, Item]) -> Columns:
    """Of each essay a number that its near-duplicates have too, -1 where there are none: int64 (n,)."""
    numbers: dict[str, int] = {}
    found = [items[ident].twins for ident in ids]
    return np.array([-1 if group is None else numbers.setdefault(group, len(numbers)) for group in found], np.int64)


def find_items(
    material: Material, unmatched: Sequence[UnmatchedBlurb], pairs: Pairs, curated: Mapping[str, Sequence[str]]
) -> dict[str, Item]:
    """Every essay and unmatched blurb as an item."""
    twins = find_twins(material.essays, akin_wordings(material.ids, pairs), curated)
    essays = zip(material.essays, sketches(material.texts.vectors.matrix), strict=True)
    items = {essay.id: _essay_item(essay, twins, sketch) for essay, sketch in essays}
    blurbs = zip(unmatched, sketches(material.blurbs.vectors.matrix), strict=True)
    return items | {blurb.id: _blurb_item(blurb, sketch) for blurb, sketch in blurbs}


def akin_wordings(ids: Sequence[str], pairs: Pairs) -> list[dict[str, float]]:
    """For each essay, those of its candidates whose plain wording signal is AKIN or more, with that."""
    mean, deviation = pairs.spread["wording"][pairs.owner].T
    wording = pairs.values[:, _WORDING] * deviation + mean
    found: list[dict[str, float]] = [{} for _ in range(len(pairs))]
    at = np.flatnonzero(wording >= AKIN)
    for place, column, value in zip(pairs.owner[at], pairs.columns[at], wording[at], strict=True):
        found[place][ids[column]] = float(value)
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


def listed_shares(graph: ListGraph) -> Values:
    """In what share of their lists the editors name each essay: float64 (n,)."""
    return graph.listed_by.astype(np.float64) / max(len(graph.listing), 1)


def shown_lengths(essays: Sequence[Essay]) -> Columns:
    """How many related articles each page shows by default: int64 (n,)."""
    return np.array([list_limit(len(essay.blurbs) + len(essay.related)) for essay in essays], dtype=np.int64)


def _enough(order: Columns, twins: Columns, own: int) -> Columns:
    """The first of the order, cut where there are CANDIDATES that a list could show side by side.

    twins: the group of each, -1 for none; own: the group of the essay.
    """
    groups = twins[order]
    if (groups < 0).all():
        return order[:CANDIDATES]
    firsts = np.zeros(len(order), dtype=np.bool_)
    firsts[np.unique(groups, return_index=True)[1]] = True
    distinct = np.cumsum(np.where(groups < 0, True, firsts & (groups != own)))
    return order[: int(np.searchsorted(distinct, CANDIDATES)) + 1]


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


def blurb_values(essays: Texts, material: Material) -> tuple[Matrix, Matrix]:
    """The signals of some of the site's essays and all unmatched blurbs, as the models read them and as people do:
    float32, shape (essays, blurbs, signals)."""
    row_of = {ident: row for row, ident in enumerate(material.ids)}
    own = [row_of[ident] for ident in essays.ids]
    pool = material.landscape.pool
    spread = pool.spread_at(own) if pool else spread_of(text_block(essays, material.texts), own)
    plain = text_block(essays, material.blurbs)
    block = relative(plain, spread)
    nothing = np.zeros((len(essays), len(material.blurbs)), np.float32)
    values, as_read = (np.stack([b.get(s, nothing) for s in SIGNALS], axis=2) for b in (block, plain))
    return values, as_read


@dataclass(frozen=True, eq=False)
class _Lists:
    """Every essay's lists, in id order, a run of essays at a time."""

    material: Material
    catalogue: Catalogue
    pairs: Pairs
    lesson: Lesson
    kept: Kept
    marks: NDArray[np.int8]

    def __iter__(self) -> Iterator[EssayLists]:
        curated = self._curated_pairs()
        for start in range(0, len(self.material.ids), CHUNK):
            blurbs = self._score_blurbs(start)
            for row in range(start, min(start + CHUNK, len(self.material.ids))):
                yield self._of(row, curated, blurbs[row - start])

    def _of(self, row: int, curated: Pairs, blurbs: Sequence[Candidate]) -> EssayLists:
        essay, ids, lesson = self.material.essays[row], self.material.ids, self.lesson
        part = slice(self.kept.starts[row], self.kept.starts[row + 1])
        chosen = self.kept.pairs[part] - self.pairs.starts[row]
        placed = zip(to_candidates(ids, self.pairs, row, lesson, chosen), self.marks[part].tolist(), strict=True)
        by_id = {candidate.id: candidate for candidate in (*to_candidates(ids, curated, row, lesson), *blurbs)}
        return EssayLists(
            essay.id,
            list_length=len(essay.blurbs) + len(essay.related),
            curated=tuple(by_id[target] for target in self.catalogue.curated.get(essay.id, ())),
            candidates=tuple(candidate._replace(place=PLACES[mark]) for candidate, mark in placed),
            unlinked=tuple(blurbs[:UNLINKED]),
        )

    def _curated_pairs(self) -> Pairs:
        """The essays that each curated list names, scored as any candidate is."""
        row_of = {ident: row for row, ident in enumerate(self.material.ids)}
        lists = (self.catalogue.curated.get(ident, ()) for ident in self.material.ids)
        wanted = [np.array(sorted(row_of[i] for i in listed if i in row_of), dtype=np.int64) for listed in lists]
        return candidate_finder(self.material.landscape, self.material.graph).exactly(wanted)

    def _score_blurbs(self, start: int) -> list[list[Candidate]]:
        """The unmatched blurbs for each essay of a run, best first: by their texts, which is all that is known of
        them."""
        material, texts = self.material, self.lesson.texts
        essays = material.texts.rows(start, start + CHUNK)
        if not len(material.blurbs):
            return [[] for _ in essays.ids]
        if material.landscape.pool:
            return self._score_near_blurbs(essays, start, material.landscape.pool)
        values, as_read = blurb_values(essays, material)
        scored = (
            _as_candidates(material.blurbs.ids, v, plain, texts, texts)
            for v, plain in zip(values, as_read, strict=True)
        )
        return [sorted(row, key=lambda c: (-c.editors, c.id)) for row in scored]

    def _score_near_blurbs(self, essays: Texts, start: int, pool: Pool) -> list[list[Candidate]]:
        """The same on a large site: only of the blurbs nearest in meaning, and of those that each essay lists."""
        blurbs, texts = self.material.blurbs, self.lesson.texts
        row_of = {ident: row for row, ident in enumerate(blurbs.ids)}
        drawn, _similarities = self._blurb_index.search_rows(essays.vectors.matrix, DEPTH)
        listed = [[row_of[i] for i in self.catalogue.curated.get(e, ()) if i in row_of] for e in essays.ids]
        wanted = [np.union1d(near, own).astype(np.int64) for near, own in zip(drawn, listed, strict=True)]
        starts = np.concatenate([[0], np.cumsum([len(columns) for columns in wanted])]).astype(np.int64)
        plain = self._blurb_signals.read(essays, starts, np.concatenate(wanted))
        values = set_against(plain, pool.spread_at(range(start, start + len(essays))), starts)
        nothing = np.zeros(starts[-1], np.float32)
        as_models, as_people = (np.stack([v.get(s, nothing) for s in SIGNALS], axis=1) for v in (values, plain))
        found = []
        for place, columns in enumerate(wanted):
            part = slice(starts[place], starts[place + 1])
            ids = [blurbs.ids[column] for column in columns.tolist()]
            scored = _as_candidates(ids, as_models[part], as_people[part], texts, texts)
            found.append(sorted(scored, key=lambda c: (-c.editors, c.id)))
        return found

    @cached_property
    def _blurb_index(self) -> FaissIndex:
        return FaissIndex(self.material.blurbs.vectors)

    @cached_property
    def _blurb_signals(self) -> PairSignals:
        return PairSignals(self.material.blurbs)


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
