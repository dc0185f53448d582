"""What the website is answered: an edition's lists under the site's rules, as cards."""

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, replace
from typing import Any

from recommender.decisions import State
from recommender.edition import Edition, WholeList
from recommender.ranking import Item, Recommendation, Rules, list_limit, rules_in
from recommender.standing import Standing
from service.asking import ALL_FIELDS, PLAIN, Asked, Filters
from service.live_decisions import undecided
from service.schemas import ArticleName, Card, EditionName, RelatedResponse
from service.variants import Variant, Variants


class Answers:
    """The answers that one edition gives under the site's rules (Settings.rules(); their limit is not read) and the
    editors' decisions, at one moment.

    default: the state of a page that nobody has decided about.
    """

    def __init__(
        self,
        edition: Edition,
        site: Rules,
        shares: Sequence[str] = (),
        standing: Standing | None = None,
        default: State = "standard",
    ) -> None:
        self.edition = edition
        self.variants = Variants(shares)
        self.key = self._digest(edition, site, shares, default)
        self.standing = standing or undecided(edition)
        self.site, self.default = site, default
        self.edition_name = EditionName(id=edition.id, built_at=edition.built_at)

    def under(self, standing: Standing) -> "Answers":
        """The same with other decisions."""
        changed = copy(self)
        changed.standing = standing
        return changed

    @staticmethod
    def _digest(edition: Edition, site: Rules, shares: Sequence[str], default: State) -> str:
        rules = asdict(replace(site, limit=0)) | {"exclude": sorted(site.exclude)}
        said = [edition.id, rules, list(shares), default]
        return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:24]

    def recommendation_id(self, ident: str, asked: Asked = PLAIN) -> str:
        """Names a list, so that a page view can be traced to it.

        A digest of the edition, the site's rules, the article, what is asked, and the decisions that may change the
        list: the same on every worker. Whatever else a list comes to depend on must enter here, since the ETag is made
        from it too.
        """
        return self.name(ident, asked).hex()

    def name(self, ident: str, asked: Asked = PLAIN) -> bytes:
        """The recommendation_id as 12 bytes."""
        said = f"{self.key}\0{ident}\0{asked.name}"
        if not self.standing.is_empty:
            mark = self.standing.of(ident).mark
            said = f"{said}\0{mark}" if mark else said
        return hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=12).digest()

    def variant(self, ident: str) -> Variant | None:
        """The variant of the A/B test that a page is in; None without a test, and once an editor has set its state."""
        decided = self.standing.of(ident)
        return None if decided.stopped or decided.state else self.variants.of(ident)

    def state(self, ident: str) -> State:
        """Whose list a page shows."""
        return self.standing.of(ident).state_of(self.variants.state(self.variant(ident), self.default))

    def places(self, essay: Item, rules: Rules, limit: int | None = None) -> list[tuple[Recommendation, Item]]:
        """The list that an essay's page shows by these rules; see Edition.recommend()."""
        decided = self.standing.of(essay.id)
        return self.edition.recommend(essay, rules_in(self.state(essay.id), rules), limit, decided)

    def why_not(self, ident: str, target: str, rules: Rules) -> str:
        """Where an item stands in the list that an essay's page shows by these rules, or what keeps it out."""
        limit = list_limit(self.edition.lists(ident).list_length)
        shown = rules_in(self.state(ident), replace(rules, limit=limit))
        return self.edition.why_not(ident, target, shown, self.standing.of(ident))

    def respond(self, essay: Item, asked: Asked = PLAIN) -> RelatedResponse:
        """An essay's related articles, with all fields of the cards."""
        return self._response(essay, asked, self.places(essay, asked.rules(self.site), asked.limit))

    def whole(self, essay: Item) -> tuple[WholeList, RelatedResponse] | None:
        """All that the essay's list could hold, when filters only take away from that, and the same as cards."""
        rules = rules_in(self.state(essay.id), replace(self.site, min_score=None))  # a request's own may be lower
        found = self.edition.whole_list(essay, rules, self.standing.of(essay.id))
        return (found, self._response(essay, PLAIN, found.places)) if found else None

    def filters(self, asked: Asked) -> Filters:
        """A request's filters, and the site's where it has none."""
        return asked.filters(self.site)

    def _response(self, essay: Item, asked: Asked, found: Sequence[tuple[Recommendation, Item]]) -> RelatedResponse:
        return RelatedResponse(
            article=ArticleName(id=essay.id, url=essay.url, title=essay.title),
            edition=self.edition_name,
            recommendation_id=self.recommendation_id(essay.id, asked),
            variant=self.variant(essay.id),
            items=[Card.of(item, place) for place, item in found],
        )


def to_bytes(response: RelatedResponse, asked: Asked = PLAIN) -> bytes:
    """An answer as it is sent: JSON, its cards with the fields asked for."""
    left_out: dict[str, Any] = {} if response.variant else {"variant": True}
    if asked.fields != ALL_FIELDS:
        left_out["items"] = {"__all__": ALL_FIELDS - asked.fields}
    return response.model_dump_json(exclude=left_out or None).encode()
