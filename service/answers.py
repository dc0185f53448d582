"""What the website is answered: an edition's lists under the site's rules, as cards."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from recommender.edition import Edition
from recommender.ranking import Item, Rules, list_limit
from service.schemas import ArticleName, Card, EditionName, RelatedQuery, RelatedResponse


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers that one edition gives. site: the site's rules (Settings.rules()); their limit is not read."""

    edition: Edition
    site: Rules

    def rules(self, essay: Item, query: RelatedQuery) -> Rules:
        """What the essay's list may hold when it is asked for so."""
        limit = list_limit(self.edition.lists(essay.id).list_length)
        return query.rules(replace(self.site, limit=limit))

    def respond(self, essay: Item, query: RelatedQuery) -> RelatedResponse:
        """An essay's related articles, with all fields of the cards."""
        rules = self.rules(essay, query)
        return RelatedResponse(
            article=ArticleName(id=essay.id, url=essay.url, title=essay.title),
            edition=EditionName(id=self.edition.id, built_at=self.edition.built_at),
            recommendation_id=recommendation_id(self.edition, essay, rules),
            items=[
                Card.of(self.edition.items[place.target], place)
                for place in self.edition.related(essay.id, rules).recommendations
            ],
        )


def recommendation_id(edition: Edition, essay: Item, rules: Rules) -> str:
    """Names a list: a digest of the edition, the article and the rules, so that a page view can be traced to it.

    Deterministic: the same request to the same edition gives the same name on every worker. Whatever else a list
    comes to depend on must enter here, since the ETag is made from it too.
    """
    asked = [edition.id, essay.id, asdict(rules) | {"exclude": sorted(rules.exclude)}]
    return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()[:24]
