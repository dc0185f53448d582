"""Editions on the desk: what changed between any two, those that are held back, and the way back."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock

from fastapi import APIRouter, Request
from starlette.responses import Response

from corpus.errors import DecisionLogError, DecisionRefused, EditionError, StoreAway
from recommender.edition_diff import EditionDiff, compare_editions
from recommender.ranking import Rules
from service.changes import make_ready
from service.desk.access import Admin, Viewer
from service.desk.decide import Fields, go_to
from service.desk.desk import desk_of, render_page

router = APIRouter(include_in_schema=False)

_KEPT = 4


class Diffs:
    """The last few comparisons: two editions never differ otherwise than they did."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[tuple[str, str], EditionDiff] = OrderedDict()

    def of(self, request: Request, before: str, after: str) -> EditionDiff:
        """How two editions differ by the site's rules, without decisions. Raises EditionError."""
        with self._lock:
            found = self._found.get((before, after))
            if found is None:
                desk = desk_of(request)
                rules: Rules = desk.settings.rules()
                found = compare_editions(desk.store.open(before), desk.store.open(after), rules)
                self._found[before, after] = found
                if len(self._found) > _KEPT:
                    self._found.popitem(last=False)
            return found


_diffs = Diffs()


@router.get("/desk/editions")
def show_editions(request: Request, person: Viewer, before: str = "", after: str = "") -> Response:
    """All editions; with two of them, how they differ."""
    desk = desk_of(request)
    answers = desk.answers()
    listed = desk.store.summaries(quickly=True)
    diff, fault, titles = None, "", dict[str, str]()
    if before and after:
        try:
            found = _diffs.of(request, before, after)
            titles, diff = _titles(request, found), found  # one that was compared before may be gone by now
        except EditionError as error:
            fault = str(error)
    return render_page(
        request,
        "editions.html",
        answers,
        editions=listed,
        before=before,
        after=after,
        diff=diff,
        fault=fault,
        titles=titles,
    )


@router.post("/desk/editions/publish")
def publish(request: Request, person: Admin, form: Fields) -> Response:
    """Sign off an edition that is held back."""
    desk = desk_of(request)
    with _told():
        desk.store.sign_off(form.get("edition", ""), person.name, partial(make_ready, desk.settings))
    return go_to("/desk/editions")


@router.post("/desk/editions/rollback")
def step_back(request: Request, person: Admin, form: Fields) -> Response:
    """Make an earlier edition the current one."""
    desk = desk_of(request)
    with _told():
        desk.store.roll_back(form.get("edition") or None, partial(make_ready, desk.settings))
    return go_to("/desk/editions")


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with the edition that was named, as a refusal: the one that is served is well."""
    try:
        yield
    except StoreAway:
        raise
    except EditionError as error:
        raise DecisionRefused(str(error)) from error
    except OSError as error:
        raise DecisionLogError(f"the home cannot be written, so nothing changed: {error.strerror or error}") from error


def _titles(request: Request, diff: EditionDiff) -> dict[str, str]:
    """What the essays that a comparison names are called, as far as one of its editions still has them."""
    store = desk_of(request).store
    named = {mover.id for mover in (*diff.gained, *diff.lost)}
    for page in diff.most_changed:
        named |= {page.id, *(shift.target for shift in (*page.entered, *page.left, *page.moved))}
    found: dict[str, str] = {}
    for ident in (diff.before, diff.after):
        edition = store.open(ident, quickly=True)
        for name in named - found.keys():
            item = edition.items.get(name)
            if item is not None:
                found[name] = item.title or item.standfirst or name
    return found
