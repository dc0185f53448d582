"""What the last build learned, from the curated lists and from the editors, and what it gained by it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.desk.access import Viewer
from service.desk.desk import desk_of, render_page

router = APIRouter(include_in_schema=False)


@router.get("/desk/learned")
def show_learned(request: Request, person: Viewer) -> Response:
    """The page."""
    answers = desk_of(request).answers()
    manifest, standing = answers.edition.manifest, answers.standing
    lesson = dict.fromkeys(("reason", "lists", "gain", "editors")) | (manifest.get("lesson") or {})
    waiting = {
        kind: sum(decision.at > answers.edition.built_at for _, decision in standing.of_kind(kind))
        for kind in ("approve", "exclude")
    }
    return render_page(
        request,
        "learned.html",
        answers,
        lesson=lesson,
        editors=lesson["editors"],
        evaluation=manifest.get("evaluation") or {},
        waiting=waiting,
    )
