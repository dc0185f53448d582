"""Related articles for a text that is not published: read as any page, set against a published edition."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from corpus.decoding import decode
from corpus.errors import RelatedArticlesError
from corpus.essay import Block, Essay, PageProblem, PageRejected
from corpus.sources import PageOptions, list_pages, read_pages
from corpus.text_pages import parse_text_page
from embeddings.encoder import Encoder, Matrix
from embeddings.passages import passages, summary
from embeddings.vectors import Vectors
from embeddings.views import Views, pool
from recommender.edition import Edition
from recommender.finding import candidate_finder
from recommender.learning import Lesson
from recommender.material import Material
from recommender.neighbourhood import CANDIDATES, to_candidates
from recommender.ranking import Candidate, Item, Ranking, Rules, rank
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
            return parse_draft(decode(data)[0])
        except PageRejected as error:
            raise RelatedArticlesError(f"the draft on standard input cannot be read: {error}") from error
    pages = list(read_pages(list_pages([Path(path)]).files, options))
    if len(pages) != 1:
        raise RelatedArticlesError(f"{path} holds {len(pages)} pages: name one page")
    if isinstance(pages[0], PageProblem):
        raise RelatedArticlesError(f"the draft cannot be read: {pages[0]}")
    return pages[0]


def parse_draft(text: str, title: str | None = None) -> Essay:
    """A draft in plain text: a page whose first line is its title, or with a title the body alone.

    A draft has no need of a title: what is no page is all body.
    """
    if title is None:
        try:
            return parse_text_page(text, _DRAFT, _DRAFT)
        except PageRejected:
            pass
    lines = (line.strip() for line in text.splitlines())
    return Essay(_DRAFT, title=title, blocks=tuple(Block("paragraph", line) for line in lines if line))


class DraftReader:
    """Suggests for drafts from what an edition's build has gathered. That is read once, and held: some seconds and some
    kilobytes an essay. For one thread at a time.

    Raises EncoderError when the edition was made by another encoder, EditionError when its files are damaged.
    """

    def __init__(self, edition: Edition, encoder: Encoder) -> None:
        edition.check_encoder(encoder.fingerprint)
        self._edition, self._encoder = edition, encoder
        self._material = Material.load(edition)
        self._essays = {essay.id: essay for essay in self._material.essays}
        self._finder = candidate_finder(self._material.landscape, self._material.graph)
        self._lesson = Lesson.from_json(edition.manifest["lesson"])

    def suggest(self, draft: Essay, rules: Rules) -> Ranking:
        """The list for a draft, without the draft itself and what is nearly its text. It holds essays only.

        A draft with the id of a published essay is taken for its next version.
        """
        vectors, summaries = encode_draft(draft, self._encoder)
        place = self._material.landscape.place(self._material.reader.read([draft], vectors, summaries))
        found = to_candidates(self._material.ids, self._finder.of_places(place), 0, self._lesson)
        return rank_for(draft, found, self._edition, self._essays, rules)


def encode_draft(draft: Essay, encoder: Encoder) -> tuple[Vectors, Matrix]:
    """A draft's vector, and that of its title and standfirst: float32, shape (1, dim), zeros where it has neither."""
    cut = passages(draft, encoder.window, encoder.count_tokens)
    views = Views(summary(draft.title, draft.standfirst), tuple(cut))
    texts = views.texts()
    vector_of = dict(zip(texts, encoder.encode(texts), strict=True))
    vectors = Vectors((draft.id,), pool([views], vector_of.__getitem__), encoder.fingerprint)
    nothing = np.zeros(vectors.dim, dtype=np.float32)
    summaries = vector_of[views.summary] if views.summary else nothing
    return vectors, summaries.reshape(1, -1)


def rank_for(
    draft: Essay, found: Sequence[Candidate], edition: Edition, essays: Mapping[str, Essay], rules: Rules
) -> Ranking:
    """The list for a draft from its candidates, those that are nearly its text marked as its twins. essays: by id."""
    scored = _best(found)
    items = edition.items.named([candidate.id for candidate in scored])
    same = [ident for ident in items if is_same_text(draft.body, essays[ident].body)]
    items |= {ident: items[ident]._replace(twins=_TWINS_OF_DRAFT) for ident in same}
    return rank(Item(draft.id, "essay", published=draft.published, twins=_TWINS_OF_DRAFT), scored, (), items, rules)


def _best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """As many of each profile as an edition keeps of an essay's, by (-editors, id)."""
    by_editors = sorted(candidates, key=lambda c: (-c.editors, c.id))
    by_meaning = sorted(candidates, key=lambda c: (-c.meaning, c.id))
    kept = {candidate.id for best in (by_editors, by_meaning) for candidate in best[:CANDIDATES]}
    return [candidate for candidate in by_editors if candidate.id in kept]
