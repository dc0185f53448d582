"""What the website asks for: an article's related articles, as cards."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from service.answering import REFUSED, Answering, Ask
from service.asking import Asked, mistakes
from service.problems import problem_responses
from service.replies import JSON, Form, Reply, read_headers, reads_gzip
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

HEADERS: dict[str, Any] = {
    "Cache-Status": {
        "description": "`related-articles; hit; detail=store-away` (RFC 9211) while the database does not answer: the "
        "answer is one that was given before. Not there otherwise.",
        "schema": {"type": "string"},
    }
}
"""Of an answer, whatever its form."""

_DOCUMENTED: dict[str, Any] = {
    "response_model": RelatedResponse,
    "responses": {200: {"headers": HEADERS}, **OTHER_RESPONSES},
}


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
    return await send(request, JSON, query, ident)


@router.get(
    "/v1/articles/related",
    summary="An article's related articles, by its URL",
    dependencies=[Depends(known_parameters(RelatedByUrlQuery))],
    **_DOCUMENTED,
)
async def related_by_url(request: Request, query: Annotated[RelatedByUrlQuery, Query()]) -> Response:
    """The same answer for an article whose id is not known. The path of an id has one part more, whatever the id."""
    return await send(request, JSON, query)


async def send(request: Request, form: Form, query: RelatedQuery, ident: str = "") -> Response:
    """The reply about an essay, by its id or by the query's URL."""
    if REFUSED in request.scope:
        raise request.scope[REFUSED]
    url = query.url if isinstance(query, RelatedByUrlQuery) else None
    known, accepted, _ = read_headers(request.headers.raw)
    asked, gzipped = Asked.of(query), reads_gzip(accepted)
    answering: Answering | None = request.app.state.answering
    if answering is not None:
        ident, reply, variant = await answering.reply(Ask(form, url, ident, asked, known, gzipped))
    else:
        replies = request.app.state.live.replies()
        if url is not None:
            ident = replies.answers.edition.find(url=url).id
        reply, variant = replies.reply(form, ident, asked, known, gzipped), replies.answers.variant(ident)
    seen = noted(request.scope)
    seen.article, seen.recommendation_id = ident, reply.recommendation_id
    seen.variant, seen.cache, seen.empty = variant, reply.cache, reply.empty
    return RawResponse(reply)


class RawResponse(Response):
    """A reply, its headers as they are."""

    def __init__(self, reply: Reply) -> None:
        self.status_code, self.body, self.background = reply.status, reply.body, None
        self.raw_headers = list(reply.headers)
