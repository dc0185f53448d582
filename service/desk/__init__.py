"""The editors' desk: pages for people, in the service's own process. Nothing of it is in the API's schema."""

from pathlib import Path

from fastapi import APIRouter

from service.desk import access, bulk, decide, editions, history, learned, map, page, worklist
from service.desk.desk import Desk
from service.desk.rendering import StaticFiles

STATIC = Path(__file__).parent.parent / "static" / "desk"

router = APIRouter(include_in_schema=False)
for _part in (access, worklist, page, decide, bulk, history, editions, map, learned):
    router.include_router(_part.router)

__all__ = ["STATIC", "Desk", "StaticFiles", "router"]
