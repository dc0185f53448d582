"""What a request asks, beside the article: its query string, read by the one model that the schema is made from."""

import json
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from hashlib import blake2b
from typing import Self, get_origin
from urllib.parse import parse_qsl, unquote_plus

from pydantic import BaseModel, ValidationError

from recommender.ranking import Rules
from service.schemas import Card, RelatedQuery, excluded_ids
from service.version import VERSION

ALL_FIELDS = frozenset(Card.model_fields)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request's parameters, and what they are called in the names of lists and of bytes.

    An article's URL is no part of it: the answer is the same as by the article's id. excluded: the ids that the query
    excludes; of a whole site's requests they alone differ from page to page, so all else is kept in `form`.
    """

    form: "_Form"
    excluded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: RelatedQuery) -> Self:
        """What a query asks."""
        return cls(_Form(query), excluded_ids(query.exclude))

    @property
    def limit(self) -> int | None:
        """How many at most; None is as many as the article's own list names."""
        return self.form.query.limit

    @property
    def fields(self) -> frozenset[str]:
        """The fields that each card shows."""
        return self.form.fields

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked that differs from the default."""
        return self.form.is_plain and not self.excluded

    @property
    def only_filters(self) -> bool:
        """Whether it asks for the same order and the same fields, and at most takes away."""
        return self.form.only_filters

    @property
    def name(self) -> str:
        """Of what decides the list; empty when nothing is asked."""
        return self.form.name + json.dumps(sorted(self.excluded)) if self.excluded else self.form.name

    @property
    def shape(self) -> str:
        """Of what decides the bytes beside the list."""
        return self.form.shape

    def rules(self, site: Rules) -> Rules:
        """The rules of the list; their limit is the request's, and means nothing when that has none."""
        rules = self.form.rules(site)
        return replace(rules, exclude=self.excluded) if self.excluded else rules


class _Form:
    """A query but for what it excludes, and what is made of it once."""

    def __init__(self, query: RelatedQuery) -> None:
        self.query = query
        self.fields = frozenset({"id", *query.fields}) if query.fields else ALL_FIELDS
        said = {name: getattr(query, name) for name in RelatedQuery.model_fields if name not in ("fields", "exclude")}
        differs = {name: value for name, value in said.items() if value != RelatedQuery.model_fields[name].default}
        self.name = json.dumps(differs, default=str) if differs else ""
        self.shape = blake2b(json.dumps([VERSION, sorted(self.fields)]).encode(), digest_size=4).hexdigest()
        self.is_plain = not self.name and self.fields == ALL_FIELDS
        self.only_filters = self.fields == ALL_FIELDS and query.profile == "editors" and not query.include
        self._rules: dict[Rules, Rules] = {}

    def rules(self, site: Rules) -> Rules:
        if site not in self._rules:
            self._rules[site] = self.query.rules(site)
        return self._rules[site]


PLAIN = Asked.of(RelatedQuery())
"""Nothing asked but the article: what most pages ask."""

_EXCLUDE = b"exclude="


def read_query(raw: bytes, model: type[RelatedQuery]) -> Asked | None:
    """What a query string asks; None when there is a mistake in it, which the route will tell.

    All but what it excludes is kept.
    """
    parts = raw.split(b"&")
    excludes = [part for part in parts if part.startswith(_EXCLUDE)]
    if not excludes:
        return _read(raw, model)
    asked = _read(b"&".join(part for part in parts if part not in excludes), model)
    ids = [unquote_plus(part[len(_EXCLUDE) :].decode("latin-1")) for part in excludes]
    return Asked(asked.form, asked.excluded | excluded_ids(ids)) if asked else None


@lru_cache(1024)
def _read(raw: bytes, model: type[RelatedQuery]) -> Asked | None:
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    if mistakes(model, [name for name, _ in pairs]):
        return None
    values: dict[str, object] = dict(pairs)
    for name in list_parameters(model) & values.keys():
        values[name] = [value for other, value in pairs if other == name]
    try:
        return Asked.of(model.model_validate(values)) if values else PLAIN
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
