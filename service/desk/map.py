"""The map: every essay as a point by meaning, and the links of the one that is chosen."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from corpus.errors import UnknownEssay
from service.answers import Answers
from service.desk.access import Viewer
from service.desk.desk import Site, desk_of, render_page
from service.desk.rendering import PAGE_HEADERS
from service.desk.words import page_address

router = APIRouter(include_in_schema=False)

STEPS = 65_535
"""Places are sent as whole numbers from 0 to this."""
TITLES = 20_000
"""With more essays than this their titles are not sent along; the browser asks for that of a point that is chosen."""


@router.get("/desk/map")
def show_map(request: Request, person: Viewer, id: str = "") -> Response:
    """The page. id: the essay that is chosen at first."""
    answers = desk_of(request).answers()
    site = desk_of(request).site(answers.edition)
    links = links_of(answers, site, id) if id in site.by_id else None
    return render_page(request, "map.html", answers, chosen=site.by_id.get(id), links=links, count=len(site.rows))


@router.get("/desk/map/points")
def show_points(request: Request, person: Viewer) -> Response:
    """All points, a column a fact, in the order of the edition: {"ids", "titles", "x", "y", "category", "categories",
    "marks"}.

    category: the place of its category in categories, -1 for none. marks: 1 hub, 2 orphan, 4 near-duplicate, added up.
    """
    answers = desk_of(request).answers()
    site = desk_of(request).site(answers.edition)
    place = {name: number for number, name in enumerate(site.categories)}
    body = {
        "edition": answers.edition.id,
        "ids": [row.id for row in site.rows],
        "titles": [row.title or row.id for row in site.rows] if len(site.rows) <= TITLES else None,
        "x": [round(row.x * STEPS) for row in site.rows],
        "y": [round(row.y * STEPS) for row in site.rows],
        "category": [place.get(row.category or "", -1) for row in site.rows],
        "categories": site.categories,
        "marks": [row.hub + 2 * row.orphan + 4 * (row.twins is not None) for row in site.rows],
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text, headers={**PAGE_HEADERS, "Cache-Control": "private, max-age=60"}, media_type="application/json"
    )


@router.get("/desk/map/links")
def show_links(request: Request, person: Viewer, id: str) -> Response:
    """An essay, what its list shows now, and what shows it: numbers are places in the columns of the points."""
    answers = desk_of(request).answers()
    found = links_of(answers, desk_of(request).site(answers.edition), id)
    return JSONResponse(found, headers={"Cache-Control": "no-store"})


def links_of(answers: Answers, site: Site, ident: str) -> dict[str, Any]:
    """An essay's links both ways. Those out are what readers see now; those in are the edition's, before decisions."""
    page = site.by_id.get(ident)
    if page is None:
        raise UnknownEssay(f"no essay {ident!r} in edition {answers.edition.id}")
    essay = answers.edition.find(ident)
    out = [place.target for place, _ in answers.places(essay, answers.site) if place.target in site.by_id]
    return {
        "id": ident,
        "title": page.title or ident,
        "category": page.category,
        "address": page_address(ident),
        "number": page.number - 1,
        "out": [_end(site, target) for target in out],
        "in": [_end(site, source) for source in answers.edition.overview.shown_by(ident)],
        "hub": page.hub,
        "orphan": page.orphan,
        "twins": [_end(site, row.id) for row in site.twins(page)],
    }


def _end(site: Site, ident: str) -> dict[str, Any]:
    page = site.by_id[ident]
    return {"id": ident, "title": page.title or ident, "number": page.number - 1, "address": page_address(ident)}
