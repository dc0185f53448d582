"""Why an item stands in an essay's list, or why it does not: for one pair, all that its score rests on.

An account of a score adds up, so that nothing is left unsaid:

    start + the signals' contributions + rest + set_right = log(score / (1 - score))
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse

from corpus.errors import RelatedArticlesError, UnknownEssay
from corpus.essay import Essay
from embeddings.cache import open_cache
from embeddings.encoder import Encoder, Matrix, cache_key
from embeddings.views import read_passages
from recommender.edition import Edition
from recommender.excerpts import excerpt, worth_naming
from recommender.finding import candidate_finder
from recommender.learning import Lesson
from recommender.list_store import spelled_once
from recommender.material import Material
from recommender.model import Model, Values, set_right
from recommender.neighbourhood import blurb_values
from recommender.ranking import Item, Profile, Rules, list_limit
from recommender.reasons import phrase
from recommender.signals import SIGNALS
from recommender.texts import Texts

SMALLEST = 0.01
"""Contributions under this are told as one sum: a score moves by a quarter of a hundredth at most with each."""

Passages = tuple[Sequence[str], Matrix]
"""Texts, and their vectors: float32, shape (texts, dim), unit rows."""
PassagesOf = Callable[[Essay], Passages]
"""An essay -> its passages."""


@dataclass(frozen=True, slots=True)
class SignalShare:
    """One signal's part in a score.

    phrase: the signal in an editor's words. value: what it measured: a cosine, a share (0-1), a count, or 1 for yes.

    contribution: what it adds to the score's logit, compared with the same pair if this signal were at its usual value.
    That is the mean over the candidates from which a learned model learned. The default model sets meaning, summary,
    wording, names and named against the mean over all other essays of the site, and the others against nothing. +0.7
    doubles the odds, -0.7 halves them.
    """

    signal: str
    phrase: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Account:
    """How a model comes to a score, in logits.

    model: its name. start: the logit of a candidate with every signal at its usual value. signals: from SMALLEST on, by
    (-size, name). rest: the sum of the smaller ones. set_right: what the model's curve, which makes scores come true,
    adds to all that.
    """

    model: str
    start: float
    signals: tuple[SignalShare, ...]
    rest: float
    set_right: float

    @property
    def logit(self) -> float:
        """All of it: log(score / (1 - score))."""
        return self.start + sum(share.contribution for share in self.signals) + self.rest + self.set_right


@dataclass(frozen=True, slots=True)
class PassagePair:
    """The passages of two texts that are nearest in meaning. source, target: an excerpt of each. cosine: -1 to 1."""

    source: str
    target: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item stands, or does not stand, in an essay's list.

    standing: its rank and score, or what keeps it out, as a sentence. listed: whether the essay's own list names it;
    no signal reads that. editors, meaning: its score under each profile, a probability (0-1). account: of the score of
    `profile`. closest: None when one of the two has no text. terms: shared by both, the most telling first.
    """

    source: Item
    target: Item
    profile: Profile
    standing: str
    listed: bool
    editors: float
    meaning: float
    account: Account
    closest: PassagePair | None
    terms: tuple[str, ...]


_RULES = Rules()


class Explainer:
    """Explains any pair of an edition. What the pairs have in common is read once: some seconds on a large site.

    passages_of: see reading_passages(). The edition's files are not looked at again, but for its lists.
    """

    def __init__(self, edition: Edition, passages_of: PassagesOf) -> None:
        self._edition = edition
        self._passages_of = passages_of
        self._material = material = Material.load(edition)
        self._lesson = Lesson.from_json(edition.manifest["lesson"])
        self._finder = candidate_finder(material.landscape, material.graph)
        self._terms = list(material.reader.lexicon.vocabulary)
        self._rows = {ident: row for row, ident in enumerate(material.ids)}
        self._blurb_rows = {ident: row for row, ident in enumerate(material.blurbs.ids)}

    def explain(
        self, source_id: str, target_id: str, rules: Rules = _RULES, standing: str | None = None
    ) -> Explanation:
        """Why the target stands where it stands among the source's related articles, by these rules and their profile.

        target_id: of any essay or unmatched blurb, be it a candidate or not. rules: the site's (Settings.rules()); the
        limit is always the page's own. standing: what to say of it by someone who knows more than the edition, such as
        the editors' decisions; None is what the edition says.
        Raises UnknownEssay for an id that the edition does not know, RelatedArticlesError when both are one.
        """
        source, target = self._edition.find(source_id), find_item(self._edition, target_id)
        if source.id == target.id:
            raise RelatedArticlesError(f"{source.id} is the essay itself: name another one to compare it with")
        pair = self._read_pair(source.id, target)
        lists = self._edition.lists(source.id)
        terms = _shared_terms(pair.source.terms, pair.target.terms, self._terms)
        own_rules = replace(rules, limit=list_limit(lists.list_length))
        return Explanation(
            source=source,
            target=target,
            profile=rules.profile,
            standing=standing or self._edition.why_not(source.id, target.id, own_rules),
            listed=any(candidate.id == target.id for candidate in lists.curated),
            editors=float(pair.models["editors"].probabilities(pair.values)[0]),
            meaning=float(pair.models["meaning"].probabilities(pair.values)[0]),
            account=account_for(pair.models[rules.profile], pair.values, pair.plain),
            closest=self._closest(source, target, pair, terms),
            terms=terms,
        )

    def _read_pair(self, source: str, target: Item) -> "_Pair":
        row = self._rows[source]
        here = self._material.texts.rows(row, row + 1)
        if target.kind == "blurb":
            column = self._blurb_rows[target.id]
            values, plain = (found[0, column] for found in blurb_values(here, self._material))
            there, model = self._material.blurbs.rows(column, column + 1), self._lesson.texts
            return _Pair(here, there, values.reshape(1, -1), plain, {"editors": model, "meaning": model})
        column = self._rows[target.id]
        pairs = self._finder.of_essay(row, np.array([column]))
        there, listed = self._material.texts.rows(column, column + 1), bool(pairs.listed[0])
        models: dict[Profile, Model] = {"editors": self._lesson.model_for(listed), "meaning": self._lesson.texts}
        return _Pair(here, there, pairs.values, pairs.plain_values(0)[0], models)

    def _closest(self, source: Item, target: Item, pair: "_Pair", terms: Sequence[str]) -> PassagePair | None:
        here, there = self._passages(source, pair.source), self._passages(target, pair.target)
        return _closest(here, there, terms)

    def _passages(self, item: Item, texts: Texts) -> Passages:
        """A blurb is its own passage; its vector stands in the edition."""
        if item.kind == "blurb":
            return [item.standfirst or ""], texts.vectors.matrix
        return self._passages_of(self._material.essays[self._rows[item.id]])


def explain_pair(
    edition: Edition, source_id: str, target_id: str, passages_of: PassagesOf, rules: Rules = _RULES
) -> Explanation:
    """A single pair: see Explainer.explain()."""
    return Explainer(edition, passages_of).explain(source_id, target_id, rules)


def account_for(model: Model, values: Matrix, plain: Matrix) -> Account:
    """How the model comes to the score of a pair.

    values: shape (1, signals), as the model reads them. plain: shape (signals,), as people do; see Pairs.
    """
    contributions: Values = model.contributions(values)[0]
    told = np.abs(contributions) >= SMALLEST
    start = float(set_right(np.array([model.intercept]), model.curve)[0])
    shares = [_share(SIGNALS[i], float(plain[i]), float(contributions[i])) for i in np.flatnonzero(told).tolist()]
    return Account(
        model=model.name,
        start=start,
        signals=tuple(sorted(shares, key=lambda share: (-abs(share.contribution), share.signal))),
        rest=float(contributions[~told].sum()),
        set_right=float(model.logits(values)[0]) - start - float(contributions.sum()),
    )


@contextmanager
def reading_passages(edition: Edition, encoder: Encoder, cache: Path) -> Iterator[PassagesOf]:
    """Passages and vectors from the vector cache; the encoder is asked only for what that lacks.

    Raises EncoderError when the edition was made by another encoder, CacheError when the cache cannot be used.
    """
    edition.check_encoder(encoder.fingerprint)
    with open_cache(cache, cache_key(encoder)) as opened:
        yield lambda essay: read_passages(essay, encoder, opened)


def find_item(edition: Edition, asked: str) -> Item:
    """The essay or unmatched blurb with this id or URL. Raises UnknownEssay."""
    known = edition.items.get(asked)
    if known:
        return known
    url = spelled_once(asked)
    for item in edition.items.stream():
        if item.url and spelled_once(item.url) == url:
            return item
    raise UnknownEssay(
        f"no essay or blurb {asked!r} in edition {edition.id}: see `related export` for the essays' ids, and `related "
        "show ESSAY --json` for those of the blurbs in its list"
    )


@dataclass(frozen=True, eq=False)
class _Pair:
    """source, target: the texts, a row each. values: float32, shape (1, signals), as models read them. plain: as people
    do, shape (signals,)."""

    source: Texts
    target: Texts
    values: Matrix
    plain: Matrix
    models: dict[Profile, Model]


def _share(signal: str, value: float, contribution: float) -> SignalShare:
    """The value rounded: it was turned back from one that was set against the site, and zeros are to be zeros."""
    value = round(value, 6) + 0.0
    return SignalShare(signal, phrase(signal, value), value, contribution)


def _shared_terms(one: sparse.csr_matrix, other: sparse.csr_matrix, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """The terms of two rows by the product of their weights, those that are worth naming."""
    products = one.multiply(other).tocoo()
    ordered = sorted(zip((-products.data).tolist(), products.col.tolist(), strict=True))
    return worth_naming(vocabulary[column] for _weight, column in ordered)


def _closest(source: Passages, target: Passages, terms: Sequence[str]) -> PassagePair | None:
    """The pair of passages with the greatest cosine, the first of equals."""
    (texts, vectors), (other_texts, other_vectors) = source, target
    if not texts or not other_texts:
        return None
    cosines = vectors @ other_vectors.T
    row, column = divmod(int(cosines.argmax()), len(other_texts))
    return PassagePair(excerpt(texts[row], terms), excerpt(other_texts[column], terms), float(cosines[row, column]))
