"""What goes over HTTP: the parameters that are asked with, and the answers. Nothing behind the edge knows these."""

import re
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from recommender.ranking import MAX_LIMIT, Item, Origin, Profile, Recommendation, Rules
from service.variants import Variant

CardField = Literal[
    "id", "url", "title", "standfirst", "category", "published", "score", "position", "origin", "reason"
]

SHOWN_REASONS = 3


def _only_id_is_certain(schema: dict[str, Any]) -> None:
    schema["required"] = ["id"]


class Card(BaseModel):
    """A related article, ready to show. With `fields` a card has those and `id` only."""

    model_config = ConfigDict(frozen=True, json_schema_extra=_only_id_is_certain)

    id: str
    url: str | None
    title: str | None
    standfirst: str | None
    category: str | None
    published: date | None
    score: float = Field(description="How likely it is to be listed, under the profile asked for (0-1).")
    position: int
    origin: Origin
    reason: str = Field(description="Why it stands here, the strongest reason first; three at most.")

    @classmethod
    def of(cls, item: Item, place: Recommendation) -> Self:
        """The card of an item at its place in a list."""
        return cls(
            id=item.id,
            url=item.url,
            title=item.title,
            standfirst=item.standfirst,
            category=item.category,
            published=item.published,
            score=place.score,
            position=place.position,
            origin=place.origin,
            reason="; ".join(place.reasons[:SHOWN_REASONS]),
        )


class ArticleName(BaseModel):
    """The article that was asked about."""

    id: str
    url: str | None
    title: str | None


class EditionName(BaseModel):
    """The edition that the answer was taken from."""

    id: str
    built_at: datetime


class RelatedResponse(BaseModel):
    """An article's related articles, best first."""

    article: ArticleName
    edition: EditionName
    recommendation_id: str = Field(
        description="Names this list: the same edition, article and parameters give the same. Log it with a page view."
    )
    variant: Variant | None = Field(
        default=None, description="Which variant of the A/B test the page is in; not there when no test is set."
    )
    items: list[Card]


class Health(BaseModel):
    """How the service is. Without an edition all after `reasons` but the version is null."""

    status: Literal["ok", "degraded", "no_edition"]
    reasons: list[str] = Field(description="What is wrong, as sentences; empty when ok.")
    edition: str | None = None
    built_at: datetime | None = None
    age_seconds: int | None = None
    essays: int | None = None
    unmatched_blurbs: int | None = None
    version: str


class Problem(BaseModel):
    """An error (RFC 9457, application/problem+json)."""

    type: str = Field(description="What kind of problem, for programs; about:blank says no more than the status.")
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = Field(
        default=None,
        description="Each mistake of the request, with status 422 only. No parameter: it lies between two.",
        examples=[[{"parameter": "limit", "detail": "Input should be less than or equal to 50"}]],
    )


def _split(values: object) -> object:
    """Each value cut at its commas, without blanks."""
    if not isinstance(values, list):
        return values
    return [part.strip() for value in values for part in str(value).split(",") if part.strip()]


def _iso_date(value: object) -> object:
    """Pydantic alone would also take a number of seconds for a date."""
    if not isinstance(value, str):
        return value
    try:
        if _ISO_DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:  # no day of any calendar
        pass
    raise PydanticCustomError("iso_date", "Input should be a date such as 2026-05-31")


_ISO_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
IsoDate = Annotated[date, BeforeValidator(_iso_date)]


def excluded_ids(values: list[str]) -> frozenset[str]:
    """The ids that values of `exclude` name: each as it is, since an id may hold a comma, and cut at its commas."""
    ids = {part.strip() for value in values for part in value.split(",")}.union(values)
    ids.discard("")
    return frozenset(ids)


class RelatedQuery(BaseModel):
    """The parameters of a request for related articles. Lists may be repeated, cut by commas, or both."""

    model_config = ConfigDict(frozen=True)

    limit: int | None = Field(
        default=None,
        ge=1,
        le=MAX_LIMIT,
        description="How many at most; by default as many as the page's own list names, else 12.",
        examples=[6],
    )
    profile: Profile = Field(
        default="editors",
        description="Whose order, and whose score: as this site's editors list (`editors`), or by `meaning` alone.",
        examples=["meaning"],
    )
    category: str | None = Field(
        default=None,
        min_length=1,
        description="Only this category, written as the cards write it.",
        examples=["History"],
    )
    published_after: IsoDate | None = Field(
        default=None, description="Only what was published on this day or later.", examples=["2024-01-01"]
    )
    published_before: IsoDate | None = Field(
        default=None, description="Only what was published on this day or earlier.", examples=["2026-12-31"]
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="Ids that are not wanted, for example because the page shows them already. An id that is unknown "
        "is no mistake. An id with a comma in it may be given as it is.",
        examples=[["bread", "2024/sourdough"]],
    )
    min_score: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Only what has this score or more (0-1), under the profile asked for.",
        examples=[0.4],
    )
    include: Annotated[list[Literal["unlinked"]], BeforeValidator(_split)] = Field(
        default_factory=list,
        description="`unlinked`: also articles known only from a blurb, which have no URL.",
        examples=[["unlinked"]],
    )
    fields: Annotated[list[CardField], BeforeValidator(_split)] = Field(
        default_factory=list, description="The fields of each card; `id` is always there.", examples=[["title", "url"]]
    )

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.published_after and self.published_before and self.published_after > self.published_before:
            raise PydanticCustomError("dates", "published_after should not be later than published_before")
        return self

    def rules(self, default: Rules) -> Rules:
        """What the list may hold: the site's default rules, and what the request says in their place."""
        return replace(
            default,
            limit=self.limit or default.limit,
            profile=self.profile,
            unlinked="unlinked" in self.include,
            category=self.category,
            published_after=self.published_after,
            published_before=self.published_before,
            exclude=excluded_ids(self.exclude),
            min_score=default.min_score if self.min_score is None else self.min_score,
        )


class RelatedByUrlQuery(RelatedQuery):
    """The same, and the article's URL."""

    url: str = Field(
        description="The article's URL, exactly as its page gives it, percent-encoded.",
        examples=["https://example.org/essays/bread"],
    )


_EssayId = Annotated[str, Field(min_length=1)]
MAX_EXAMPLES = 20
MAX_BATCH = 100


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "Input should hold a word")
    return text


class _Body(RelatedQuery):
    """What all bodies share: the parameters of a list, with nothing unknown and nothing converted."""

    model_config = ConfigDict(strict=True, extra="forbid")

    @field_validator("limit", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """To JSON 6.0 is a whole number, as 6 is."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class DraftRequest(_Body):
    """A draft, and what its list may hold."""

    text: Annotated[str, AfterValidator(_not_blank)] = Field(
        min_length=1,
        description="The draft in plain text, a paragraph a line. Without `title` its first line is the title.",
        examples=[
            "How rye behaves\nRye flour takes up more water than wheat, and its dough keeps no shape of its own."
        ],
        json_schema_extra={"pattern": r"\S"},
    )
    title: str | None = Field(
        default=None, min_length=1, description="The draft's title.", examples=["How rye behaves"]
    )


class ExamplesRequest(_Body):
    """Essays that the list should be like, or unlike, and what it may hold."""

    positive: list[_EssayId] = Field(
        min_length=1,
        max_length=MAX_EXAMPLES,
        description="Ids of essays: what they have in common is looked for.",
        examples=[["bread", "2024/sourdough"]],
    )
    negative: list[_EssayId] = Field(
        default=[],
        max_length=MAX_EXAMPLES,
        description="Ids of essays: what they would list comes lower.",
        examples=[["sundial"]],
    )


def _kind_of_request(body: Any) -> str | None:
    """The tag of the model whose own field is there, when the other's is not."""
    said = body if isinstance(body, dict) else {}
    if ("text" in said) == ("positive" in said):
        return None
    return "draft" if "text" in said else "examples"


SuggestionRequest = Annotated[
    Annotated[DraftRequest, Tag("draft")] | Annotated[ExamplesRequest, Tag("examples")],
    Discriminator(
        _kind_of_request,
        custom_error_type="kind",
        custom_error_message="Input should be an object with either `text` or `positive`",
    ),
]
"""The body of POST /v1/related."""


class BatchRequest(_Body):
    """Articles, and what each of their lists may hold."""

    ids: list[_EssayId] = Field(
        min_length=1,
        max_length=MAX_BATCH,
        description="Ids of articles. One that is given twice is answered once.",
        examples=[["bread", "rye"]],
    )


class SuggestionResponse(BaseModel):
    """Related articles for a draft or for examples, best first."""

    article: None = Field(description="No article of the edition was asked about.")
    edition: EditionName
    recommendation_id: str = Field(
        description="Names this list: the same edition, text or ids, and parameters give the same."
    )
    items: list[Card]


class BatchResult(BaseModel):
    """One article's related articles, best first."""

    article: ArticleName
    recommendation_id: str = Field(description="The same as in the article's own answer.")
    variant: Variant | None = Field(
        default=None, description="Which variant of the A/B test the page is in; not there when no test is set."
    )
    items: list[Card]


class BatchResponse(BaseModel):
    """Articles with their related articles, all from one edition."""

    edition: EditionName
    results: list[BatchResult] = Field(description="In the order of the ids.")
    unknown: list[str] = Field(description="The ids that the edition does not know, in their order.")


_Name = Annotated[str, Field(min_length=1, max_length=1000)]


class ClickEvent(BaseModel):
    """A line of the log that a site keeps of an A/B test: a list was shown, or an article of it was clicked."""

    model_config = ConfigDict(frozen=True)

    event: Literal["impression", "click"]
    recommendation_id: _Name = Field(description="As the answer gave it.")
    article: _Name = Field(description="The id of the page on which the list stood.")
    variant: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="As the answer gave it.")
    target: _Name | None = Field(default=None, description="The id of the article clicked.")
    position: Annotated[int, Field(ge=1, le=MAX_LIMIT)] | None = Field(default=None, description="Its place, from 1.")
    at: AwareDatetime = Field(description="When, with the time zone.", examples=["2026-11-01T12:00:00Z"])

    @model_validator(mode="after")
    def _click_has_a_target(self) -> Self:
        if self.event == "click" and self.target is None:
            raise PydanticCustomError("target", "a click should name its target")
        return self
