"""What the website asks for: an article's related articles, as cards."""

import hashlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict, replace
from difflib import get_close_matches
from http import HTTPStatus
from typing import Annotated, Any, get_origin

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from recommender.edition import Edition
from recommender.ranking import Item, Rules, list_limit
from service.editions import LiveEdition
from service.problems import problem_responses
from service.schemas import ArticleName, Card, EditionName, RelatedByUrlQuery, RelatedQuery, RelatedResponse
from service.version import VERSION

CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=3600, stale-if-error=86400"
"""Five minutes fresh; after that a cache may show what it has while it asks again, or while the service is down."""

router = APIRouter(tags=["website"])


def known_parameters(model: type[BaseModel]) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency: 422 for a parameter that the model does not have, or that is given twice and is no list."""
    lists = {name for name, entry in model.model_fields.items() if get_origin(entry.annotation) is list}

    async def check(request: Request) -> None:
        mistakes = []
        for name in dict.fromkeys(request.query_params):
            if name not in model.model_fields:
                near = get_close_matches(name, model.model_fields, n=1) or [", ".join(model.model_fields)]
                mistakes.append((name, f"there is no such parameter; did you mean {near[0]}?"))
            elif name not in lists and len(request.query_params.getlist(name)) > 1:
                mistakes.append((name, "should be given once"))
        if mistakes:
            raise RequestValidationError([{"loc": ("query", name), "msg": message} for name, message in mistakes])

    return check


_DOCUMENTED: dict[str, Any] = {
    "response_model": RelatedResponse,
    "responses": {
        304: {"description": "Not Modified: the copy with this ETag is still right"},
        **problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    },
}


@router.get(
    "/v1/articles/{id:path}/related",
    summary="An article's related articles, by its id",
    dependencies=[Depends(known_parameters(RelatedQuery))],
    **_DOCUMENTED,
)
def related_by_id(
    request: Request,
    ident: Annotated[
        str,
        Path(
            alias="id",
            description="The article's id. It may hold slashes; ? # and % must be percent-encoded.",
            examples=["2024/sourdough"],
        ),
    ],
    query: Annotated[RelatedQuery, Query()],
) -> Response:
    """Cards, best first: what the editors listed, then what they would be most likely to add.

    None is near enough, or the parameters leave nothing: 200 with no items.
    """
    edition = _edition(request)
    return _answer(request, edition, edition.find(ident), query)


@router.get(
    "/v1/articles/related",
    summary="An article's related articles, by its URL",
    dependencies=[Depends(known_parameters(RelatedByUrlQuery))],
    **_DOCUMENTED,
)
def related_by_url(request: Request, query: Annotated[RelatedByUrlQuery, Query()]) -> Response:
    """The same answer for an article whose id is not known. The path of an id has one part more, whatever the id."""
    edition = _edition(request)
    return _answer(request, edition, edition.find(url=query.url), query)


def recommendation_id(edition: Edition, essay: Item, rules: Rules) -> str:
    """Names a list: a digest of the edition, the article and the rules, so that a page view can be traced to it.

    Deterministic: the same request to the same edition gives the same name on every worker. Whatever else a list
    comes to depend on must enter here, since the ETag is made from it too.
    """
    asked = [edition.id, essay.id, asdict(rules) | {"exclude": sorted(rules.exclude)}]
    return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()[:24]


def _edition(request: Request) -> Edition:
    live: LiveEdition = request.app.state.live
    return live.edition()


def _answer(request: Request, edition: Edition, essay: Item, query: RelatedQuery) -> Response:
    limit = list_limit(edition.lists(essay.id).list_length)
    rules = query.rules(replace(request.app.state.settings.rules(), limit=limit))
    name = recommendation_id(edition, essay, rules)
    shown: set[str] = {"id", *query.fields} if query.fields else set(Card.model_fields)
    headers = {"ETag": _etag(name, shown), "Cache-Control": CACHE_CONTROL}
    if _is_known(headers["ETag"], request.headers.getlist("if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = RelatedResponse(
        article=ArticleName(id=essay.id, url=essay.url, title=essay.title),
        edition=EditionName(id=edition.id, built_at=edition.built_at),
        recommendation_id=name,
        items=[Card.of(edition.items[r.target], r) for r in edition.related(essay.id, rules).recommendations],
    )
    left_out = {"items": {"__all__": set(Card.model_fields) - shown}}
    return Response(body.model_dump_json(exclude=left_out), headers=headers, media_type="application/json")


def _etag(name: str, shown: set[str]) -> str:
    """Strong: the same list, fields and version of this code are the same bytes."""
    return f'"{hashlib.sha256(json.dumps([name, sorted(shown), VERSION]).encode()).hexdigest()[:24]}"'


def _is_known(etag: str, if_none_match: list[str]) -> bool:
    tags = [tag.strip().removeprefix("W/") for value in if_none_match for tag in value.split(",")]
    return etag in tags or "*" in tags
