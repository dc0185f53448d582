"""The worklist: the pages that want an editor's eye, those first where it is worth most."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from recommender.decisions import STATES, Decision, State
from recommender.overview import PageFacts
from recommender.ranking import list_limit
from service.answers import Answers
from service.desk.access import Viewer
from service.desk.decide import go_to
from service.desk.desk import Site, desk_of, render_page
from service.desk.words import page_address

router = APIRouter(include_in_schema=False)

A_PAGE = 50
CHANGED = 0.5
"""A list of which less than this is as it was wants an eye."""
VANISHED_WORTH = 6.0
"""What a decision about an essay that is gone adds to a page's worth: more than all together that the build finds, so
that such a page comes first."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a page wants an eye. name: in addresses. words: on its chip. sentence: what it means."""

    name: str
    words: str
    sentence: str
    holds: Callable[[PageFacts], bool]


REASONS = (
    Reason("vanished", "decision without target", "Decided about an essay that is gone.", lambda page: False),
    Reason(
        "few",
        "few suggestions",
        "Fewer suggestions than its list has places.",
        lambda page: page.suggestions < list_limit(page.list_length),
    ),
    Reason("weak", "weak suggestions", "Its suggestions score under half of the site's median.", lambda page: False),
    Reason(
        "changed",
        "changed much",
        "Less than half of its list was there in the last edition.",
        lambda page: page.overlap_before is not None and page.overlap_before < CHANGED,
    ),
    Reason(
        "ambiguous",
        "ambiguous blurb",
        "An entry of its own list fits several essays.",
        lambda page: page.ambiguous > 0,
    ),
    Reason(
        "unmatched",
        "unmatched blurb",
        "An entry of its own list fits no essay of the site.",
        lambda page: page.unmatched > 0,
    ),
    Reason(
        "lost",
        "would lose entries",
        "The model would not show all that its editors listed.",
        lambda page: page.lost > 0,
    ),
    Reason("hub", "hub", "Shown by far more lists than most.", lambda page: page.hub),
    Reason("orphan", "orphan", "No list shows it.", lambda page: page.orphan),
    Reason("twins", "near-duplicate", "Another page says nearly the same.", lambda page: page.twins is not None),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page of the worklist. reviewed: who has seen it through, and when."""

    page: PageFacts
    worth: float
    reasons: tuple[Reason, ...]
    state: State
    reviewed: Decision | None
    address: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of the worklist. show: open, reviewed or all. q: in title, URL or id."""

    q: str = ""
    category: str = ""
    state: str = ""
    reason: str = ""
    show: str = "open"
    page: int = 1


@dataclass(frozen=True, slots=True)
class Worklist:
    """rows: of the page of the list asked for. found: how many pages the filters leave. total, reviewed: of the site.
    by_reason, by_state: how many open pages, and pages, there are of each. vanished: decisions whose target is gone."""

    rows: tuple[Wanted, ...]
    found: int
    total: int
    reviewed: int
    by_reason: Mapping[str, int]
    by_state: Mapping[str, int]
    categories: Sequence[str]
    pages: int
    vanished: tuple[Decision, ...]


@router.get("/desk")
def show_worklist(
    request: Request,
    person: Viewer,
    q: str = "",
    category: str = "",
    state: str = "",
    reason: str = "",
    show: str = "open",
    page: int = 1,
) -> Response:
    """The worklist."""
    desk = desk_of(request)
    answers = desk.answers()
    filters = Filters(q.strip(), category, state, reason, show, max(page, 1))
    work = gather(desk.site(answers.edition), answers, filters)
    return render_page(request, "worklist.html", answers, work=work, asked=filters, reasons=REASONS, states=STATES)


@router.get("/desk/next")
def go_to_next(request: Request, person: Viewer, after: str = "", done: str = "") -> Response:
    """On to the next open page by worth, seen from the one that was just looked at; after the last comes the first."""
    desk = desk_of(request)
    answers = desk.answers()
    everything = gather(desk.site(answers.edition), answers, Filters(show="all"), first=_ALL).rows
    place = next((n for n, row in enumerate(everything, start=1) if row.page.id == after), 0)
    further = (*everything[place:], *everything[: max(place - 1, 0)])
    found = next((row.address for row in further if row.reviewed is None), "/desk")
    return go_to(found, done)


def gather(site: Site, answers: Answers, asked: Filters, first: int = A_PAGE) -> Worklist:
    """The pages that the filters leave, by (-worth, number). first: how many at once."""
    reader = _Reader(site, answers)
    everything = [reader.read(page) for page in site.rows]
    sought = reader.sought(asked.q)
    left = [row for row in everything if _passes(row, asked, sought)]
    left.sort(key=lambda row: (-row.worth, row.page.number))
    start = (asked.page - 1) * first
    still_open = [row for row in everything if row.reviewed is None]
    return Worklist(
        rows=tuple(left[start : start + first]),
        found=len(left),
        total=len(everything),
        reviewed=len(everything) - len(still_open),
        by_reason=Counter(reason.name for row in still_open for reason in row.reasons),
        by_state=Counter(row.state for row in everything),
        categories=site.categories,
        pages=max(1, -(-len(left) // first)),
        vanished=tuple(reader.vanished),
    )


class _Reader:
    def __init__(self, site: Site, answers: Answers) -> None:
        self.answers, self.standing = answers, answers.standing
        self.weak = site.weak
        self.vanished = self.standing.vanished
        alias = self.standing.alias
        self.about_vanished = {alias(d.source) for d in self.vanished if d.source is not None}
        self.reviews = {slot.source: decision for slot, decision in self.standing.of_kind("review")}

    def read(self, page: PageFacts) -> Wanted:
        """A page with what the build and the editors say of it."""
        extra = {"vanished": page.id in self.about_vanished, "weak": page.strength < self.weak}
        reasons = tuple(reason for reason in REASONS if extra.get(reason.name) or reason.holds(page))
        worth = page.worth + VANISHED_WORTH * extra["vanished"]
        state = self.standing.of(page.id).state or self.answers.default
        return Wanted(page, worth, reasons, state, self.reviews.get(page.id), page_address(page.id))

    def sought(self, text: str) -> frozenset[str] | None:
        """The ids of all pages with this text in title, URL or id; None when nothing is looked for."""
        if not text:
            return None
        return frozenset(self.answers.edition.overview.search(text, _ALL))


_ALL = 10_000_000


def _passes(row: Wanted, asked: Filters, sought: frozenset[str] | None) -> bool:
    return (
        (asked.show == "all" or (asked.show == "reviewed") == (row.reviewed is not None))
        and (not asked.category or row.page.category == asked.category)
        and (not asked.state or row.state == asked.state)
        and (not asked.reason or any(reason.name == asked.reason for reason in row.reasons))
        and (sought is None or row.page.id in sought)
    )
