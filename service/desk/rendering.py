"""The desk's pages: templates, and the headers that hold a browser to them."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles as _StaticFiles

from recommender.decisions import say
from service.desk.words import STATES, day, last_day, marked, page_address, score_words
from service.fragment import name_of, web_address

if TYPE_CHECKING:
    from jinja2 import Environment

FILTERS: dict[str, Any] = {
    "name": name_of,
    "day": day,
    "last_day": last_day,
    "score_words": score_words,
    "say": say,
    "web_address": web_address,
}
_TEMPLATES = Path(__file__).parent.parent / "templates"
_STATIC = Path(__file__).parent.parent / "static" / "desk"

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
}


class StaticFiles(_StaticFiles):
    """Style and scripts. Their addresses carry the version, so a browser need not ask for them again."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """With how long it may be kept."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page of templates/desk. It knows who asks, `person`: none before anybody is known."""
    person = getattr(request.state, "person", None)
    text = _environment().get_template(template).render(person=person, **context)
    return HTMLResponse(text, status, PAGE_HEADERS)


def _digest_assets() -> str:
    """Of styles and scripts: a browser keeps them until their address changes."""
    sha = sha256()
    for path in sorted(_STATIC.iterdir()):
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([_TEMPLATES / "desk", _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "assets": _digest_assets(),
        "state_words": STATES,
        "address": page_address,
        "marked": marked,
    }
    environment.filters |= FILTERS
    return environment
