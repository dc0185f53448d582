"""Whether the service is well. Staleness shows here: a list that nobody renews is wrong long before anyone notices."""

from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from recommender.edition import Edition
from service.editions import View
from service.schemas import Health
from service.version import VERSION

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Whether the service lives, and how it is", response_model=Health)
async def healthz(request: Request) -> Response:
    """200 whenever the process can answer: restarting it would not mend what the body tells.

    Degraded: the website is served, but someone should look. Without an edition: nothing is published yet, or all is
    damaged.
    """
    return _answer(_health(request), HTTPStatus.OK)


@router.get(
    "/readyz",
    summary="Whether the service should be sent requests",
    response_model=Health,
    responses={503: {"model": Health, "description": "There is no edition to answer from, or the process is ending"}},
)
async def readyz(request: Request) -> Response:
    """200 when there is an edition, however old. 503 without one, or while the editors' decisions cannot be read, and
    when the process is ending: it answers what it has, and should be sent nothing more."""
    health = _health(request)
    if getattr(request.app.state, "draining", False):
        health = health.model_copy(update={"reasons": [*health.reasons, "this process is ending"]})
        return _answer(health, HTTPStatus.SERVICE_UNAVAILABLE)
    can_answer = health.edition is not None and request.app.state.live.decisions.are_known
    return _answer(health, HTTPStatus.OK if can_answer else HTTPStatus.SERVICE_UNAVAILABLE)


def _health(request: Request) -> Health:
    state = request.app.state
    view = state.live.view()
    more = tuple(fault for fault in (state.live.away, state.live.decisions.fault) if fault)
    return report_health(replace(view, faults=(*view.faults, *more)), state.settings.degraded_after_hours, state.now())


def _answer(health: Health, status: HTTPStatus) -> Response:
    return Response(health.model_dump_json(), status, {"Cache-Control": "no-store"}, "application/json")


def report_health(view: View, degraded_after_hours: int, now: datetime) -> Health:
    """The health of what is served."""
    if view.edition is None:
        return Health(status="no_edition", reasons=list(view.faults), version=VERSION)
    age = max(0, int((now - view.edition.built_at).total_seconds()))
    reasons = [*view.faults, *_staleness(view.edition, age, degraded_after_hours)]
    counts = view.edition.manifest["counts"]
    return Health(
        status="degraded" if reasons else "ok",
        reasons=reasons,
        edition=view.edition.id,
        built_at=view.edition.built_at,
        age_seconds=age,
        essays=counts["essays"],
        unmatched_blurbs=counts["unmatched_blurbs"],
        version=VERSION,
    )


def _staleness(edition: Edition, age: int, limit_hours: int) -> list[str]:
    if age <= limit_hours * 3600:
        return []
    return [f"edition {edition.id} is {age // 3600} hours old, more than {limit_hours}: run `related build`"]
