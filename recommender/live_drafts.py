"""Suggestions for drafts on a large site in a database, of which a process holds a sample of the essays only.

The database draws the nearest that the request's filters leave, and what the lists add to them (live_lists.py); these
are read and scored. Three things differ from drafts.DraftReader, which holds every essay: what is far in meaning is
looked at only where lists bring it in, whatever its words and title; titles and standfirsts have no vectors; and what
the whole site must be asked for is asked of the sample. benchmarks/results/pgvector-tried.md says how much that
changes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
from scipy import sparse

from corpus.errors import EditionError
from corpus.essay import Essay, PageRejected
from corpus.records import essay_from_record
from embeddings.encoder import Encoder
from embeddings.vectors import Vectors
from recommender.candidates import Pairs
from recommender.drafts import DraftReader, encode_draft, rank_for
from recommender.edition import LEXICON, Edition
from recommender.landscape import nearest_of
from recommender.learning import Lesson
from recommender.lexical import Lexicon
from recommender.live_lists import DraftLists
from recommender.live_vectors import Filter, LiveVectors, Numbers, StoredEssay
from recommender.model import DEFAULT
from recommender.neighbourhood import to_candidates
from recommender.pair_signals import SAMPLE, PairSignals, Pairwise, set_against
from recommender.ranking import Ranking, Rules
from recommender.signals import SIGNALS, Spread, spread_of, text_block
from recommender.texts import SiteReader, Texts

HELD = 50_000
"""Of so many essays a process holds all that its answers come from, 50 kB an essay. It finds no more than what a larger
site is answered by, but up to here it is quicker (benchmarks/results/pgvector-tried.md)."""
POOL = 200
"""Essays that the database draws for a draft."""
VOTERS = 50
"""Essays that it draws besides where the pool is not of the whole site: of the ten whose lists vote, nearest in meaning
and wording, they hold 99 in a hundred (benchmarks/results/pgvector-tried.md)."""
_ANY = Filter("essay")


def draft_reader(edition: Edition, encoder: Encoder) -> "DraftReader | LiveDraftReader":
    """The reader of an edition: one that holds it all, but for a large one in a database."""
    live = edition.live_vectors() if edition.manifest["counts"]["essays"] > HELD else None
    return LiveDraftReader(edition, encoder, live) if live else DraftReader(edition, encoder)


class LiveDraftReader:
    """Suggests for drafts, see drafts.DraftReader. For one thread at a time.

    Raises EncoderError when the edition was made by another encoder, EditionError when it is damaged, StoreAway.
    """

    def __init__(self, edition: Edition, encoder: Encoder, live: LiveVectors) -> None:
        edition.check_encoder(encoder.fingerprint)
        edition.check((LEXICON,))
        self._edition, self._encoder, self._live = edition, encoder, live
        self._lexicon = Lexicon.load(edition.folder / LEXICON)
        self._lesson = Lesson.from_json(edition.manifest["lesson"])
        self._sample = _Part(live.sample(SAMPLE), self._lexicon, edition)
        self._lists = DraftLists(live.lists, self._sample.numbers.tolist()) if self._lesson.used else None

    def suggest(self, draft: Essay, rules: Rules) -> Ranking:
        """See DraftReader.suggest."""
        vectors, _summaries = encode_draft(draft, self._encoder)
        only = _filter(draft, rules)
        drawn = self._draw(vectors, POOL, only, rules.exclude)
        if not drawn:
            return rank_for(draft, (), self._edition, {}, rules)
        essays, pairs = self._candidates(draft, vectors, self._compare(draft, vectors, drawn), only, rules.exclude)
        found = to_candidates(tuple(essays), pairs, 0, self._lesson)
        return rank_for(draft, found, self._edition, essays, rules)

    def _draw(self, vectors: Vectors, most: int, only: Filter, exclude: Collection[str]) -> list[StoredEssay]:
        near = self._live.nearest(vectors.matrix[0], most, only, exclude)
        return self._live.essays([neighbour.id for neighbour in near])

    def _compare(self, draft: Essay, vectors: Vectors, stored: Sequence[StoredEssay]) -> "_Compared":
        part = _Part(stored, self._lexicon, self._edition)
        starts = np.array([0, len(stored)])
        plain = PairSignals(part.texts).read(part.read(draft, vectors), starts, np.arange(len(stored)))
        return _Compared(part.essays, part.numbers, plain)

    def _candidates(
        self, draft: Essay, vectors: Vectors, pool: "_Compared", only: Filter, exclude: Collection[str]
    ) -> tuple[Mapping[str, Essay], Pairs]:
        """All essays that are looked at, by id, in order, and the draft's pairs with them: columns are their places."""
        read = self._sample.read(draft, vectors)
        block = text_block(read, self._sample.texts)
        spread = spread_of(block, [_place(draft, self._sample.essays)])
        if self._lists is None:
            return pool.essays, _as_pairs(pool.set_against(spread), spread, listed=False)
        near = pool
        if only != _ANY or exclude:
            near = self._compare(draft, vectors, self._draw(vectors, VOTERS, _ANY, ()))
        own = [(essay.number, essay.vector) for essay in self._live.essays([draft.id])]
        weights = near.nearest(_place(draft, near.essays))
        heard = self._lists.hear(
            read, block["wording"], near.numbers[weights.indices], weights.data, own[0] if own else None
        )
        others = np.setdiff1d(self._lists.candidates(heard), pool.numbers).tolist()
        stored = [essay for essay in self._live.numbered(others, only) if essay.id not in exclude]
        found = pool.joined(self._compare(draft, vectors, stored)) if stored else pool
        values = found.set_against(spread)
        values |= self._lists.read(heard, found.numbers, DEFAULT.block_logits(values))
        return found.essays, _as_pairs(values, spread, listed=len(heard.naming) > 0)


class _Compared(NamedTuple):
    """Essays with a draft. essays: by id, in order. numbers: theirs, ascending. plain: the signals of the texts."""

    essays: Mapping[str, Essay]
    numbers: Numbers
    plain: Pairwise

    def joined(self, other: "_Compared") -> "_Compared":
        """With others, which are none of these."""
        numbers = np.concatenate([self.numbers, other.numbers])
        order = np.argsort(numbers)
        essays = [*self.essays.items(), *other.essays.items()]
        plain = {name: np.concatenate([values, other.plain[name]])[order] for name, values in self.plain.items()}
        return _Compared(dict(essays[at] for at in order.tolist()), numbers[order], plain)

    def set_against(self, spread: Spread) -> Pairwise:
        """The signals, relative ones set against the site."""
        return set_against(self.plain, spread, np.array([0, len(self.numbers)]))

    def nearest(self, own: int) -> sparse.csr_matrix:
        """Those whose lists vote, a row of their weights, ascending. own: the place of the draft itself, or -1."""
        block = {name: self.plain[name][None] for name in ("meaning", "wording")}
        return nearest_of(block, np.array([own])).sorted_indices()


def _place(draft: Essay, essays: Mapping[str, Essay]) -> int:
    """Where the earlier version of the draft stands among essays, -1 for nowhere."""
    return list(essays).index(draft.id) if draft.id in essays else -1


def _as_pairs(values: Pairwise, spread: Spread, listed: bool) -> Pairs:
    """The pairs of one draft. listed: whether any list names its earlier version."""
    count = len(values["meaning"])
    nothing = np.zeros(count, np.float32)
    return Pairs(
        rows=np.array([-1]),
        starts=np.array([0, count]),
        columns=np.arange(count),
        values=np.stack([values.get(signal, nothing) for signal in SIGNALS], axis=1),
        spread=spread,
        from_links=np.zeros(count, np.bool_),
        listed=np.array([listed]),
    )


class _Part:
    """Some of the site's essays, as texts against the words of the whole site, but against their own titles, labels and
    addresses. Titles and standfirsts have no vectors here."""

    def __init__(self, stored: Sequence[StoredEssay], lexicon: Lexicon, edition: Edition) -> None:
        try:
            essays = [essay_from_record(essay.record, "") for essay in stored]
        except (KeyError, ValueError, PageRejected) as error:
            raise EditionError(f"edition {edition.id} is damaged ({error}): run `related build`") from error
        self.essays = {essay.id: essay for essay in essays}
        self.numbers = np.array([essay.number for essay in stored], np.int64)
        self._reader = SiteReader(essays, lexicon)
        matrix = np.array([essay.vector for essay in stored], np.float32).reshape(len(stored), -1)
        vectors = Vectors(tuple(self.essays), matrix, edition.manifest["encoder"])
        texts = self._reader.read(essays, vectors, np.zeros_like(matrix))
        weights = 1.0 / np.sqrt(np.maximum([essay.titled for essay in stored], 1.0))
        self.texts = replace(texts, own_title=sparse.csr_matrix(sparse.diags(weights) @ texts.own_title, dtype="f4"))

    def read(self, draft: Essay, vectors: Vectors) -> Texts:
        """A draft, as any of them."""
        return self._reader.read([draft], vectors, np.zeros_like(vectors.matrix))


def _filter(draft: Essay, rules: Rules) -> Filter:
    """What the rules say of essays by themselves, so that the pool is full of what they leave."""
    after, before = rules.published_after or date.min, rules.published_before or date.max
    if draft.published and rules.older_by_days is not None:
        after = max(after, _days_from(draft.published, -rules.older_by_days))
    if draft.published and rules.newer_by_days is not None:
        before = min(before, _days_from(draft.published, rules.newer_by_days))
    return Filter("essay", rules.category, None if after == date.min else after, None if before == date.max else before)


def _days_from(day: date, days: int) -> date:
    """The day so many days later, or the last one that there is."""
    return date.fromordinal(min(max(day.toordinal() + days, date.min.toordinal()), date.max.toordinal()))
