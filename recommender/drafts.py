"""Related articles for a text that is not published: read as any page, set against a published edition."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from corpus.decoding import decode
from corpus.errors import RelatedArticlesError
from corpus.essay import Block, Essay, PageProblem, PageRejected
from corpus.sources import PageOptions, list_pages, read_pages
from corpus.text_pages import parse_text_page
from embeddings.encoder import Encoder
from embeddings.passages import passages, summary
from embeddings.vectors import Vectors
from embeddings.views import Views, pool
from recommender.candidates import CandidateFinder
from recommender.edition import Edition
from recommender.learning import Lesson
from recommender.material import Material
from recommender.neighbourhood import CANDIDATES, to_candidates
from recommender.ranking import Candidate, Item, Ranking, Rules, rank
from recommender.texts import Texts
from recommender.twins import is_same_text

_DRAFT = "the draft"
_TWINS_OF_DRAFT = "\x00draft"  # no id and so no group of the edition has this name


def read_draft(path: str, stream: BinaryIO, options: PageOptions) -> Essay:
    """The draft in a page file, or for "-" the plain text on the stream, its first line the title.

    Raises SourceNotFound, and RelatedArticlesError when it is no page.
    """
    if path == "-":
        try:
            data = stream.read(options.max_page_bytes + 1)
            if len(data) > options.max_page_bytes:
                raise PageRejected(f"more than {options.max_page_bytes:,} bytes (setting max_page_bytes)")
            return _parse_draft(decode(data)[0])
        except PageRejected as error:
            raise RelatedArticlesError(f"the draft on standard input cannot be read: {error}") from error
    pages = list(read_pages(list_pages([Path(path)]).files, options))
    if len(pages) != 1:
        raise RelatedArticlesError(f"{path} holds {len(pages)} pages: name one page")
    if isinstance(pages[0], PageProblem):
        raise RelatedArticlesError(f"the draft cannot be read: {pages[0]}")
    return pages[0]


def _parse_draft(text: str) -> Essay:
    """A draft has no need of a title: what is no page is all body."""
    try:
        return parse_text_page(text, _DRAFT, _DRAFT)
    except PageRejected:
        return Essay(_DRAFT, blocks=tuple(Block("paragraph", line) for line in text.splitlines() if line.strip()))


def suggest_for(draft: Essay, edition: Edition, encoder: Encoder, k: int) -> Ranking:
    """The k best essays of the edition for a draft, none of them the draft itself or nearly its text.

    A draft with the id of a published essay is taken for its next version.
    Raises EncoderError when the edition was made by another encoder.
    """
    edition.check_encoder(encoder.fingerprint)
    material = Material.load(edition)
    lesson = Lesson.from_json(edition.manifest["lesson"])
    place = material.landscape.place(_query(draft, material, encoder))
    pairs = CandidateFinder(material.landscape, material.graph).of_places(place)
    scored = sorted(to_candidates(material.ids, pairs, 0, lesson), key=lambda c: (-c.editors, c.id))[:CANDIDATES]
    items = _with_twins(draft, material, edition, scored)
    source = Item(draft.id, "essay", published=draft.published, twins=_TWINS_OF_DRAFT)
    return rank(source, scored, (), items, Rules(limit=k))


def _query(draft: Essay, material: Material, encoder: Encoder) -> Texts:
    cut = passages(draft, encoder.window, encoder.count_tokens)
    views = Views(summary(draft.title, draft.standfirst), tuple(cut))
    texts = views.texts()
    vector_of = dict(zip(texts, encoder.encode(texts), strict=True))
    vectors = Vectors((draft.id,), pool([views], vector_of.__getitem__), encoder.fingerprint)
    nothing = np.zeros(vectors.dim, dtype=np.float32)
    summaries = vector_of[views.summary] if views.summary else nothing
    return material.reader.read([draft], vectors, summaries.reshape(1, -1))


def _with_twins(draft: Essay, material: Material, edition: Edition, scored: Sequence[Candidate]) -> Mapping[str, Item]:
    """The edition's items, those that are nearly the draft's text marked as its twins."""
    near = {candidate.id for candidate in scored}
    same = [e.id for e in material.essays if e.id in near and is_same_text(draft.body, e.body)]
    return dict(edition.items) | {ident: replace(edition.items[ident], twins=_TWINS_OF_DRAFT) for ident in same}
