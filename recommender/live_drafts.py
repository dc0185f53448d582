"""Suggestions for drafts on a large site in a database, of which a process holds a sample of the essays only.

The database draws the nearest that the request's filters leave; these are read and scored by their texts. Two things
differ from drafts.DraftReader, which holds every essay: what is far in meaning is not looked at, whatever its words and
title, and what the lists taught of lists counts for nothing. benchmarks/results/pgvector.md says how much that changes.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

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
from recommender.learning import Lesson
from recommender.lexical import Lexicon
from recommender.live_vectors import Filter, LiveVectors, StoredEssay
from recommender.neighbourhood import to_candidates
from recommender.pair_signals import SAMPLE, PairSignals, set_against
from recommender.ranking import Ranking, Rules
from recommender.signals import SIGNALS, Spread, spread_of, text_block
from recommender.texts import SiteReader, Texts

HELD = 50_000
"""Of so many essays a process holds all that its answers come from, a gigabyte or two: lists then speak too,
which found 15 points more of what editors list (benchmarks/results/pgvector-tried.md)."""
POOL = 200
"""Essays that the database draws for a draft."""


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
        lesson = Lesson.from_json(edition.manifest["lesson"])
        self._lesson = replace(lesson, listed=lesson.texts, new=lesson.texts)
        self._sample = _Part(live.sample(SAMPLE), self._lexicon, edition)

    def suggest(self, draft: Essay, rules: Rules) -> Ranking:
        """See DraftReader.suggest."""
        vectors, _summaries = encode_draft(draft, self._encoder)
        near = self._live.nearest(vectors.matrix[0], POOL, _filter(draft, rules), rules.exclude)
        if not near:
            return rank_for(draft, (), self._edition, {}, rules)
        pool = _Part(self._live.essays([neighbour.id for neighbour in near]), self._lexicon, self._edition)
        found = to_candidates(pool.texts.ids, self._pairs(draft, vectors, pool), 0, self._lesson)
        return rank_for(draft, found, self._edition, pool.essays, rules)

    def _pairs(self, draft: Essay, vectors: Vectors, pool: "_Part") -> Pairs:
        """The draft with all essays of the pool."""
        starts, columns = np.array([0, len(pool.essays)]), np.arange(len(pool.essays))
        plain = PairSignals(pool.texts).read(pool.read(draft, vectors), starts, columns)
        spread = self._spread(draft, vectors)
        values = set_against(plain, spread, starts)
        nothing = np.zeros(len(columns), np.float32)
        return Pairs(
            rows=np.array([-1]),
            starts=starts,
            columns=columns,
            values=np.stack([values.get(signal, nothing) for signal in SIGNALS], axis=1),
            spread=spread,
            from_links=np.zeros(len(columns), np.bool_),
            listed=np.zeros(1, np.bool_),
        )

    def _spread(self, draft: Essay, vectors: Vectors) -> Spread:
        """Of the draft with the sample, itself left out where it is the next version of an essay."""
        ids = self._sample.texts.ids
        own = ids.index(draft.id) if draft.id in ids else -1
        return spread_of(text_block(self._sample.read(draft, vectors), self._sample.texts), [own])


class _Part:
    """Some of the site's essays, as texts against the words of the whole site, but against their own titles, labels and
    addresses. Titles and standfirsts have no vectors here."""

    def __init__(self, stored: Sequence[StoredEssay], lexicon: Lexicon, edition: Edition) -> None:
        try:
            essays = [essay_from_record(essay.record, "") for essay in stored]
        except (KeyError, ValueError, PageRejected) as error:
            raise EditionError(f"edition {edition.id} is damaged ({error}): run `related build`") from error
        self.essays = {essay.id: essay for essay in essays}
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
