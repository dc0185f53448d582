"""What the website asks for: an article's related articles, as cards."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from service.asking import Asked, mistakes
from service.problems import problem_responses
from service.replies import Replies, Reply, read_headers, reads_gzip
from service.schemas import RelatedByUrlQuery, RelatedQuery, RelatedResponse
from service.watched import noted

router = APIRouter(tags=["website"])


def known_parameters(model: type[BaseModel]) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency: 422 for a parameter that the model does not have, or that is given twice and is no list."""

    async def check(request: Request) -> None:
        found = mistakes(model, [name for name, _ in request.query_params.multi_items()])
        if found:
            raise RequestValidationError([{"loc": ("query", name), "msg": message} for name, message in found])

    return check


ArticleId = Annotated[
    str,
    Path(
        alias="id",
        description="The article's id. It may hold slashes; ? # and % must be percent-encoded.",
        examples=["2024/sourdough"],
    ),
]
OTHER_RESPONSES: dict[int | str, dict[str, Any]] = {
    304: {"description": "Not Modified: the copy with this ETag is still right"},
    **problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
}
"""What is answered about an article, in whatever form, when it is not its list."""

_DOCUMENTED: dict[str, Any] = {"response_model": RelatedResponse, "responses": OTHER_RESPONSES}


@router.get(
    "/v1/articles/{id:path}/related",
    summary="An article's related articles, by its id",
    dependencies=[Depends(known_parameters(RelatedQuery))],
    **_DOCUMENTED,
)
async def related_by_id(
    request: Request,
    ident: ArticleId,
    query: Annotated[RelatedQuery, Query()],
) -> Response:
    """Cards, best first: what the editors listed, then what they would be most likely to add.

    None is near enough, or the parameters leave nothing: 200 with no items.
    """
    return send(request, Replies.json, query, ident)


@router.get(
    "/v1/articles/related",
    summary="An article's related articles, by its URL",
    dependencies=[Depends(known_parameters(RelatedByUrlQuery))],
    **_DOCUMENTED,
)
async def related_by_url(request: Request, query: Annotated[RelatedByUrlQuery, Query()]) -> Response:
    """The same answer for an article whose id is not known. The path of an id has one part more, whatever the id."""
    return send(request, Replies.json, query)


def send(request: Request, make: "_Make", query: RelatedQuery, ident: str | None = None) -> Response:
    """The reply about an essay, by its id or by the query's URL."""
    replies = request.app.state.live.replies()
    if isinstance(query, RelatedByUrlQuery):
        ident = replies.answers.edition.find(url=query.url).id
    known, accepted, _ = read_headers(request.headers.raw)
    reply = make(replies, ident or "", Asked.of(query), known, reads_gzip(accepted))
    seen = noted(request.scope)
    seen.article, seen.recommendation_id = ident, reply.recommendation_id
    seen.variant, seen.cache, seen.empty = replies.answers.variant(ident or ""), reply.cache, reply.empty
    return RawResponse(reply)


_Make = Callable[[Replies, str, Asked, bytes, bool], Reply]


class RawResponse(Response):
    """A reply, its headers as they are."""

    def __init__(self, reply: Reply) -> None:
        self.status_code, self.body, self.background = reply.status, reply.body, None
        self.raw_headers = list(reply.headers)
