"""What a request asks, beside the article: its query string, read by the one model that the schema is made from."""

import json
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Self, get_origin
from urllib.parse import parse_qsl, unquote_plus

from pydantic import BaseModel, ValidationError

from recommender.ranking import Rules
from service.schemas import Card, RelatedQuery, excluded_ids
from service.version import CODE

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
        """Whether it asks for the same order and the same fields, and at most takes away from all that there is."""
        return self.form.only_filters

    @property
    def name(self) -> str:
        """Of what decides the list; empty when nothing is asked."""
        return f"{self.form.name}{sorted(self.excluded)}" if self.excluded else self.form.name

    @property
    def shape(self) -> str:
        """Of what decides the bytes beside the list."""
        return self.form.shape

    def rules(self, site: Rules) -> Rules:
        """The rules of the list; their limit is the request's, and means nothing when that has none."""
        return replace(self.form.query.rules(site), exclude=self.excluded)

    def filters(self, site: Rules) -> "Filters":
        """What of the rules is filters alone."""
        query = self.form.query
        least = site.min_score if query.min_score is None else query.min_score
        return Filters(query.category, query.published_after, query.published_before, least, self.excluded)


class Filters(NamedTuple):
    """What keeps single items out of a list; see recommender.ranking.Rules."""

    category: str | None
    published_after: date | None
    published_before: date | None
    min_score: float | None
    exclude: frozenset[str]


class _Form:
    """A query but for what it excludes, and what is made of it once."""

    def __init__(self, query: RelatedQuery) -> None:
        self.query = query
        self.fields, self.shape = _shape(tuple(query.fields))
        dates = query.published_after, query.published_before
        said = query.limit, query.profile, query.category, dates, query.min_score, tuple(query.include)
        self.name = "" if said == _NOTHING else repr(said)
        self.only_filters = self.fields is ALL_FIELDS and query.profile == "editors" and not query.include
        self.is_plain = self.only_filters and not self.name


_NOTHING: tuple[object, ...] = (None, "editors", None, (None, None), None, ())


@lru_cache(128)
def _shape(fields: tuple[str, ...]) -> tuple[frozenset[str], str]:
    """The fields that cards show when these are asked for, and what the bytes are called that have them."""
    shown = frozenset({"id", *fields}) if fields else ALL_FIELDS
    shown = ALL_FIELDS if shown == ALL_FIELDS else shown
    return shown, blake2b(json.dumps([CODE, sorted(shown)]).encode(), digest_size=4).hexdigest()


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
    asked = _read(b"&".join(part for part in parts if not part.startswith(_EXCLUDE)), model)
    ids = [unquote_plus(part[len(_EXCLUDE) :].decode("latin-1")) for part in excludes]
    return Asked(asked.form, asked.excluded | excluded_ids(ids)) if asked else None


@lru_cache(4096)
def _pair(part: bytes) -> list[tuple[str, str]]:
    """A parameter and its value; nothing for nothing."""
    return parse_qsl(part.decode("latin-1"), keep_blank_values=True)


@lru_cache(4096)
def _read(raw: bytes, model: type[RelatedQuery]) -> Asked | None:
    pairs = [pair for part in raw.split(b"&") for pair in _pair(part)]
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
    found: list[tuple[str, str]] = []
    if len(set(names)) == len(names) and model.model_fields.keys() >= set(names):
        return found
    for name in dict.fromkeys(names):
        if name not in model.model_fields:
            near = get_close_matches(name, model.model_fields, n=1) or [", ".join(model.model_fields)]
            found.append((name, f"there is no such parameter; did you mean {near[0]}?"))
        elif names.count(name) > 1 and name not in list_parameters(model):
            found.append((name, "should be given once"))
    return found
