"""What the website is answered: an edition's lists under the site's rules, as cards."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from recommender.edition import Edition, WholeList
from recommender.ranking import Item, Recommendation, Rules
from service.asking import ALL_FIELDS, PLAIN, Asked, Filters
from service.schemas import ArticleName, Card, EditionName, RelatedResponse
from service.variants import Variants


class Answers:
    """The answers that one edition gives under the site's rules (Settings.rules(); their limit is not read)."""

    def __init__(self, edition: Edition, site: Rules, shares: Sequence[str] = ()) -> None:
        self.edition = edition
        self.variants = Variants(shares)
        self.key = self._digest(edition, site, shares)
        self._site = site
        self._edition_name = EditionName(id=edition.id, built_at=edition.built_at)

    @staticmethod
    def _digest(edition: Edition, site: Rules, shares: Sequence[str]) -> str:
        said = [edition.id, asdict(replace(site, limit=0)) | {"exclude": sorted(site.exclude)}, list(shares)]
        return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:24]

    def recommendation_id(self, ident: str, asked: Asked = PLAIN) -> str:
        """Names a list, so that a page view can be traced to it.

        A digest of the edition, the site's rules, the article and what is asked: the same on every worker. Whatever
        else a list comes to depend on must enter here, since the ETag is made from it too.
        """
        return self.name(ident, asked).hex()

    def name(self, ident: str, asked: Asked = PLAIN) -> bytes:
        """The recommendation_id as 12 bytes."""
        said = f"{self.key}\0{ident}\0{asked.name}".encode(errors="surrogatepass")
        return hashlib.blake2b(said, digest_size=12).digest()

    def respond(self, essay: Item, asked: Asked = PLAIN) -> RelatedResponse:
        """An essay's related articles, with all fields of the cards."""
        rules = self.variants.rules(self.variants.of(essay.id), asked.rules(self._site))
        return self._response(essay, asked, self.edition.recommend(essay, rules, asked.limit))

    def whole(self, essay: Item) -> tuple[WholeList, RelatedResponse] | None:
        """All that the essay's list could hold, when filters only take away from that, and the same as cards."""
        site = replace(self._site, min_score=None)  # a request's own may be lower
        found = self.edition.whole_list(essay, self.variants.rules(self.variants.of(essay.id), site))
        return (found, self._response(essay, PLAIN, found.places)) if found else None

    def filters(self, asked: Asked) -> Filters:
        """A request's filters, and the site's where it has none."""
        return asked.filters(self._site)

    def _response(self, essay: Item, asked: Asked, found: Sequence[tuple[Recommendation, Item]]) -> RelatedResponse:
        return RelatedResponse(
            article=ArticleName(id=essay.id, url=essay.url, title=essay.title),
            edition=self._edition_name,
            recommendation_id=self.recommendation_id(essay.id, asked),
            variant=self.variants.of(essay.id),
            items=[Card.of(item, place) for place, item in found],
        )


def to_bytes(response: RelatedResponse, asked: Asked = PLAIN) -> bytes:
    """An answer as it is sent: JSON, its cards with the fields asked for."""
    left_out: dict[str, Any] = {} if response.variant else {"variant": True}
    if asked.fields != ALL_FIELDS:
        left_out["items"] = {"__all__": ALL_FIELDS - asked.fields}
    return response.model_dump_json(exclude=left_out or None).encode()
