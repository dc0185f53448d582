"""An article's related articles as a piece of HTML: for a page to include, or to fetch by the element of related.js."""

import hashlib
import re
from datetime import date
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.replies import HTML, held_tags, read_headers
from service.schemas import CardField, RelatedByUrlQuery, RelatedQuery, RelatedResponse
from service.website import HEADERS, OTHER_RESPONSES, ArticleId, known_parameters, send

if TYPE_CHECKING:
    from jinja2 import Template

_FOLDER = Path(__file__).parent
_SCRIPT_CACHE_CONTROL = "public, max-age=86400, stale-while-revalidate=604800, stale-if-error=604800"
"""A day fresh: its address has no version in it, and a page's markup seldom needs the newest."""

_SCHEME = re.compile("([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile("[\x00-\x1f\x7f]")

router = APIRouter(tags=["website"])


class FragmentQuery(RelatedQuery):
    """The parameters of a request for related articles; a piece of HTML has no fields to choose."""

    fields: ClassVar[list[CardField]] = []  # type: ignore[misc]


class FragmentByUrlQuery(RelatedByUrlQuery):
    """The same, and the article's URL."""

    fields: ClassVar[list[CardField]] = []  # type: ignore[misc]


def render_fragment(response: RelatedResponse) -> str:
    """An <aside> with the list, its links and what clicks are logged by; "" when the list is empty.

    An item without URL, or with one that is neither http(s) nor relative, is text and no link.
    """
    return _template().render(list=response) if response.items else ""


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(_FOLDER / "templates")
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"name": name_of, "address": web_address, "day": _day}
    return environment.get_template("related.html")


def name_of(item: Any) -> str:
    """What a reader knows a card, an essay or a page by: its title, else its standfirst, else its id."""
    texts = (item.title, getattr(item, "standfirst", None))
    return next((text.strip() for text in texts if text and text.strip()), str(item.id))


def web_address(url: str | None) -> str | None:
    """The URL where following it runs nothing, else None. Browsers read over control characters in a scheme."""
    if not url or not url.strip(" ") or _CONTROL.search(url):
        return None
    scheme = _SCHEME.match(url.strip(" "))
    return url.strip(" ") if scheme is None or scheme[1].lower() in ("http", "https") else None


def _day(day: date) -> str:
    """As the site writes dates: July 19, 2025."""
    return f"{day:%B} {day.day}, {day.year}"


_DOCUMENTED: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "description": "The list as an `<aside>`; an empty body when there is nothing to show.",
            "content": {"text/html": {"schema": {"type": "string"}}},
            "headers": HEADERS,
        },
        **OTHER_RESPONSES,
    },
}


@router.get(
    "/v1/articles/{id:path}/related.html",
    summary="An article's related articles as a piece of HTML, by its id",
    dependencies=[Depends(known_parameters(FragmentQuery))],
    **_DOCUMENTED,
)
async def fragment_by_id(
    request: Request,
    ident: ArticleId,
    query: Annotated[FragmentQuery, Query()],
) -> Response:
    """For SSI, ESI, HTMX and the element of /related.js. Without style: the page's own style sheet dresses it."""
    return await send(request, HTML, query, ident)


@router.get(
    "/v1/articles/related.html",
    summary="An article's related articles as a piece of HTML, by its URL",
    dependencies=[Depends(known_parameters(FragmentByUrlQuery))],
    **_DOCUMENTED,
)
async def fragment_by_url(request: Request, query: Annotated[FragmentByUrlQuery, Query()]) -> Response:
    """The same piece of HTML for an article whose id is not known."""
    return await send(request, HTML, query)


@router.get(
    "/related.js",
    summary="The element <related-articles> as a script",
    response_class=Response,
    responses={
        200: {"content": {"text/javascript": {"schema": {"type": "string"}}}},
        304: {"description": "Not Modified: the copy with this ETag is still right"},
    },
)
async def related_js(request: Request) -> Response:
    """`<script src="/related.js" defer>`: it fetches the list and puts it into the page, without any other library."""
    script = _script()
    etag = f'"{hashlib.sha256(script).hexdigest()[:24]}"'
    headers = {"ETag": etag, "Cache-Control": _SCRIPT_CACHE_CONTROL}
    if etag.strip('"').encode() in held_tags(read_headers(request.headers.raw)[0]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(script, headers=headers, media_type="text/javascript")


@cache
def _script() -> bytes:
    return (_FOLDER / "static" / "related.js").read_bytes()
