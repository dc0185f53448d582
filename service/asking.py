"""What a request asks, beside the article: its query string, read by the one model that the schema is made from."""

import hashlib
import json
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from recommender.ranking import Rules
from service.schemas import Card, RelatedQuery
from service.version import VERSION

ALL_FIELDS = frozenset(Card.model_fields)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request's parameters, and what they are called in the names of lists and of bytes.

    An article's URL is no part of it: the answer is the same as by the article's id.
    """

    query: RelatedQuery
    fields: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        shown = frozenset({"id", *self.query.fields}) if self.query.fields else ALL_FIELDS
        object.__setattr__(self, "fields", shown)

    @cached_property
    def is_plain(self) -> bool:
        """Whether nothing is asked that differs from the default."""
        return not self.name and self.fields == ALL_FIELDS

    @cached_property
    def name(self) -> str:
        """Of what decides the list; empty when nothing is asked."""
        said = {name: getattr(self.query, name) for name in RelatedQuery.model_fields if name != "fields"}
        said["exclude"] = sorted({ident for ident in self.query.exclude if ident})
        differs = {name: value for name, value in said.items() if value != RelatedQuery.model_fields[name].default}
        return json.dumps(differs, default=str) if differs else ""

    @cached_property
    def shape(self) -> str:
        """Of what decides the bytes beside the list."""
        return hashlib.blake2b(json.dumps([VERSION, sorted(self.fields)]).encode(), digest_size=4).hexdigest()

    def rules(self, site: Rules) -> Rules:
        """The rules of the list; their limit is the request's, and means nothing when that has none."""
        return _rules(self, site)


PLAIN = Asked(RelatedQuery())
"""Nothing asked but the article: what most pages ask."""


@lru_cache(1024)
def read_query(raw: bytes, model: type[RelatedQuery]) -> Asked | None:
    """What a query string asks; None when there is a mistake in it, which the route will tell.

    Kept, since a site asks the same of every page.
    """
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    if mistakes(model, [name for name, _ in pairs]):
        return None
    values: dict[str, object] = dict(pairs)
    for name in list_parameters(model) & values.keys():
        values[name] = [value for other, value in pairs if other == name]
    try:
        return Asked(model.model_validate(values)) if values else PLAIN
    except ValidationError:
        return None


@lru_cache
def list_parameters(model: type[BaseModel]) -> frozenset[str]:
    """The parameters that may be given more than once."""
    return frozenset(name for name, entry in model.model_fields.items() if get_origin(entry.annotation) is list)


def mistakes(model: type[BaseModel], names: list[str]) -> list[tuple[str, str]]:
    """Each parameter that the model does not have, or that is given twice and is no list, with a sentence."""
    found = []
    for name in dict.fromkeys(names):
        if name not in model.model_fields:
            near = get_close_matches(name, model.model_fields, n=1) or [", ".join(model.model_fields)]
            found.append((name, f"there is no such parameter; did you mean {near[0]}?"))
        elif names.count(name) > 1 and name not in list_parameters(model):
            found.append((name, "should be given once"))
    return found


@lru_cache(256)
def _rules(asked: Asked, site: Rules) -> Rules:
    return asked.query.rules(site)
