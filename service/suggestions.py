"""What needs an API key: related articles for drafts, by examples, and for many articles at once."""

import hashlib
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from corpus.errors import NotJson, UnknownEssay
from recommender.by_example import suggest_like
from recommender.edition import Edition
from recommender.ranking import DEFAULT_LIMIT, Ranking, Recommendation
from service.answers import Answers
from service.asking import Asked
from service.drafts import DraftDesk
from service.keys import require_key
from service.problems import problem_responses
from service.schemas import (
    BatchRequest,
    BatchResponse,
    BatchResult,
    Card,
    DraftRequest,
    EditionName,
    ExamplesRequest,
    RelatedQuery,
    RelatedResponse,
    SuggestionRequest,
    SuggestionResponse,
)

router = APIRouter(tags=["with a key"], dependencies=[Depends(require_key)])

_Body = TypeVar("_Body")
_Read = Callable[[Request], Coroutine[Any, Any, _Body]]

_JSON = "application/json"
_TAGS = ("draft", "examples")
_REFUSALS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def body_of(model: TypeAdapter[_Body]) -> _Read[_Body]:
    """A dependency: the body as the model has it. FastAPI's own would read it before it asks for the key.

    Raises NotJson, and RequestValidationError with all that is wrong with the body.
    """

    async def read(request: Request) -> _Body:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != _JSON:
            raise NotJson(f"send `Content-Type: {_JSON}` with the request")
        try:
            return model.validate_json(await request.body())
        except ValidationError as error:
            raise RequestValidationError([_mistake(found["loc"], found["msg"]) for found in error.errors()]) from None

    return read


def _mistake(place: tuple[str | int, ...], message: str) -> dict[str, Any]:
    return {"loc": ("body", *(place[1:] if place[:1] in [(tag,) for tag in _TAGS] else place)), "msg": message}


def _documented(*models: type[BaseModel], status: Sequence[HTTPStatus] = ()) -> dict[str, Any]:
    """What FastAPI cannot know of a route with such a body."""
    schemas = [model.model_json_schema() for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    body = {"required": True, "content": {_JSON: {"schema": schema, "examples": _EXAMPLES[models[0]]}}}
    return {"openapi_extra": {"requestBody": body}, "responses": problem_responses(*sorted({*_REFUSALS, *status}))}


_EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    DraftRequest: {
        "draft": {
            "summary": "A draft",
            "value": {"title": "How rye behaves", "text": "Rye flour takes up more water than wheat.", "limit": 6},
        },
        "examples": {
            "summary": "Like two essays and unlike a third",
            "value": {"positive": ["bread", "2024/sourdough"], "negative": ["sundial"], "category": "Food"},
        },
    },
    BatchRequest: {
        "front page": {
            "summary": "Three titles for each article of a front page",
            "value": {"ids": ["bread", "rye"], "limit": 3, "fields": ["title", "url"]},
        }
    },
}


@router.post(
    "/v1/related",
    summary="Related articles for a draft, or by examples",
    response_model=SuggestionResponse,
    **_documented(DraftRequest, ExamplesRequest, status=[HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND]),
)
async def related_to(
    request: Request,
    asked: Annotated[DraftRequest | ExamplesRequest, Depends(body_of(TypeAdapter(SuggestionRequest)))],
) -> Response:
    """Cards for what is no article of the site yet, or for several at once; 12 unless `limit` says otherwise.

    `text` is a draft. It is read by the model, so it takes longer than other requests, and the service must have been
    started with `--drafts`: 403 if not, 503 with Retry-After when too many drafts are waiting. `include` adds nothing.

    `positive` and `negative` are ids; an unknown one is answered with 404, which names them all. What all the positive
    articles are likely to list comes first; what a negative one is likely to list comes lower, but is not shut out.
    None of them is in the list.
    """
    answers = await run_in_threadpool(request.app.state.live.answers)
    rules = asked.rules(replace(request.app.state.settings.rules(), limit=DEFAULT_LIMIT))
    rules = replace(rules, exclude=rules.exclude | answers.standing.excluded_everywhere)
    if isinstance(asked, DraftRequest):
        desk: DraftDesk = request.app.state.drafts
        ranking = await desk.suggest(asked.text, asked.title, answers.edition, rules)
    else:
        ranking = await run_in_threadpool(suggest_like, answers.edition, asked.positive, asked.negative, rules)
    return await run_in_threadpool(_answer, answers, asked, ranking)


@router.post(
    "/v1/related/batch",
    summary="Related articles of up to 100 articles",
    response_model=BatchResponse,
    **_documented(BatchRequest),
)
def related_batch(
    request: Request, asked: Annotated[BatchRequest, Depends(body_of(TypeAdapter(BatchRequest)))]
) -> Response:
    """The lists of many articles, all from one edition, which stands once above them.

    Each is what the article's own address answers with the same parameters. An unknown id is no mistake: it is named in
    `unknown`.
    """
    body: BatchResponse = request.app.state.live.ask(lambda replies: _batch(replies.answers, asked))
    without_test = {} if any(one.variant for one in body.results) else {"variant": True}
    return _send(body, {"results": {"__all__": _left_out(asked) | without_test}})


def _batch(answers: Answers, asked: BatchRequest) -> BatchResponse:
    query, found, unknown = Asked.of(asked), list[RelatedResponse](), list[str]()
    for ident in dict.fromkeys(asked.ids):
        try:
            found.append(answers.respond(answers.edition.find(ident), query))
        except UnknownEssay:
            unknown.append(ident)
    return BatchResponse(
        edition=_edition_name(answers),
        results=[BatchResult.model_validate(one, from_attributes=True) for one in found],
        unknown=unknown,
    )


def _answer(answers: Answers, asked: DraftRequest | ExamplesRequest, ranking: Ranking) -> Response:
    body = SuggestionResponse(
        article=None,
        edition=_edition_name(answers),
        recommendation_id=answers.recommendation_id(_name(asked, answers), Asked.of(asked)),
        items=[_card(answers.edition, place) for place in ranking.recommendations],
    )
    return _send(body, _left_out(asked))


def _card(edition: Edition, place: Recommendation) -> Card:
    """With a score of as many digits as those in an edition have."""
    return Card.of(edition.items[place.target], place._replace(score=round(place.score, 6)))


def _name(asked: DraftRequest | ExamplesRequest, answers: Answers) -> str:
    """What the question is called where an article has its id, with what may not answer it; no id begins so."""
    if isinstance(asked, DraftRequest):
        said: list[Any] = [asked.title, asked.text]
    else:
        said = [sorted(set(asked.positive)), sorted(set(asked.negative))]
    said += sorted(answers.standing.excluded_everywhere)
    return f"\0{hashlib.sha256(json.dumps(said).encode()).hexdigest()}"


def _edition_name(answers: Answers) -> EditionName:
    return EditionName(id=answers.edition.id, built_at=answers.edition.built_at)


def _left_out(query: RelatedQuery) -> dict[str, Any]:
    """The fields of the cards that are not asked for, as pydantic's `exclude`."""
    return {"items": {"__all__": set(Card.model_fields) - Asked.of(query).fields}}


def _send(body: BaseModel, left_out: dict[str, Any]) -> Response:
    return Response(body.model_dump_json(exclude=left_out), headers={"Cache-Control": "no-store"}, media_type=_JSON)
