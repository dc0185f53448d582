"""A desk over an edition that a person can look through by hand, and ways to read its pages.

Where a page has its facts stands here alone: the tests are about the facts.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import lxml.html
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.types import Receive, Scope, Send

from corpus.catalogue import Unjoined
from recommender.decision_log import DecisionLog
from recommender.decisions import Decision
from recommender.edition import EssayLists
from recommender.ranking import Candidate, Item
from service.answers import Answers
from service.app import create_app
from service.desk.desk import Desk
from service.keys import digest
from service.settings import Settings
from tests.service.editions import ODD_IDS, Clock, publish_edition

ROLES = ("viewer", "editor", "admin")
EDITORS = tuple(f"{role}-name:{role}:{digest(f'{role} token')}" for role in ROLES)
OWN = {"Sec-Fetch-Site": "same-origin"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", **OWN}
PROGRAM = {"Accept": "application/json", **OWN}
HOSTILE = "</title><script>alert(1)</script>\"'&amp; ‮evil"
DOTTED = ("..", "a//b", "./x")


def _item(ident: str, category: str | None = None, **more: Any) -> Item:
    return Item(ident, "essay", ident.capitalize(), f"On {ident}.", f"https://example.org/{ident}", category, **more)


ITEMS = (
    _item("oven", "Food", published=date(2024, 1, 10)),
    _item("rye", "Food"),
    _item("salt", "Food"),
    _item("loaf", "Food"),
    _item("hour", "Time"),
    _item("sundial", "Time"),
    _item("mill", "Craft", twins="mills"),
    _item("mill-2", "Craft", twins="mills"),
    Item("river", "essay", "100% of_rivers", None, "https://example.org/a_b/river", None),
    Item("hostile", "essay", HOSTILE, "<b>bold</b>", "javascript:alert(1)", "<i>"),
    Item("blurb:quern", "blurb", None, "How a quern was dressed.", None, "Food", date(2022, 3, 3)),
    *(Item(ident, "essay", f"Odd {number}") for number, ident in enumerate((*ODD_IDS, *DOTTED))),
)


def ranked(*scores: tuple[str, float]) -> tuple[Candidate, ...]:
    """Candidates with these scores under both profiles."""
    return tuple(Candidate(ident, score, score, (("meaning", 0.7),)) for ident, score in scores)


LISTS = (
    EssayLists(
        "oven",
        3,
        ranked(("salt", 0.7), ("hour", 0.2), ("loaf", 0.3)),
        ranked(("rye", 0.8), ("salt", 0.7), ("sundial", 0.5), ("loaf", 0.3), ("mill", 0.2), ("river", 0.1)),
        ranked(("blurb:quern", 0.4)),
    ),
    EssayLists("rye", 0, (), ranked(("oven", 0.9), ("salt", 0.6), ("loaf", 0.55), ("hostile", 0.4)), ()),
    EssayLists("salt", 1, ranked(("oven", 0.6)), ranked(("oven", 0.6), ("rye", 0.5)), ()),
    EssayLists("loaf", 2, ranked(("rye", 0.4)), ranked(("oven", 0.8), ("rye", 0.4), ("hour", 0.3)), ()),
    EssayLists("hour", 1, (), ranked(("sundial", 0.9), ("oven", 0.1)), ()),
    EssayLists("sundial", 1, ranked(("hour", 0.9)), ranked(("hour", 0.9), ("oven", 0.1)), ()),
    EssayLists("mill", 1, (), ranked(("rye", 0.6)), ()),
    EssayLists("mill-2", 1, (), ranked(("rye", 0.6)), ()),
    EssayLists("river", 4, (), (), ()),
    EssayLists("hostile", 0, (), ranked(("rye", 0.5)), ()),
    *(EssayLists(ident, 1, (), ranked(("rye", 0.5)), ()) for ident in (*ODD_IDS, *DOTTED)),
)
"""What the standard rules show: oven -> salt, hour, loaf; the model alone: rye, salt, sundial."""
FACTS = {
    "unjoined": {"loaf": Unjoined(1, 0), "hour": Unjoined(0, 1)},
    "before": {"salt": ["oven"], "sundial": ["rye"]},
}


class DeskSite:
    """A service with a desk over an edition, its clock, and its log as another process would see it."""

    items, lists = ITEMS, LISTS

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home, self.clock = home, Clock()
        self.edition = publish_edition(home, lists=LISTS, items=ITEMS, facts=FACTS)
        self.settings = Settings(home=home, **{"editors": EDITORS, **settings})
        self.app = create_app(self.settings, self.clock)
        self.log = DecisionLog(home)
        self.client = self.client_of("editor")

    def client_of(self, role: str) -> TestClient:
        """Somebody of this role, known by a token."""
        return TestClient(
            self._as_sent,
            raise_server_exceptions=False,
            headers={"Authorization": f"Bearer {role} token"},
            follow_redirects=False,
        )

    async def _as_sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app, which sees paths as servers decode them: once, and not twice as TestClient does."""
        if scope["type"] == "http":
            scope["path"] = unquote(scope["raw_path"].decode())
        await self.app(scope, receive, send)

    @property
    def desk(self) -> Desk:
        """What the pages are made from."""
        desk: Desk = self.app.state.desk
        return desk

    def answers(self) -> Answers:
        """The answers that hold now."""
        return self.desk.answers()

    def get(self, path: str, role: str = "editor") -> Response:
        """A page as a browser asks for it, which must come."""
        answer = self.client_of(role).get(path, headers=BROWSER)
        assert answer.status_code == 200, answer.text
        return answer

    def post(self, path: str, headers: Mapping[str, str] = BROWSER, role: str = "editor", **fields: Any) -> Response:
        """A form, sent by a browser unless the headers say otherwise."""
        return self.client_of(role).post(path, data=fields, headers=headers)

    def decide(self, action: str, source: str | None = None, target: str | None = None, **more: Any) -> dict[str, Any]:
        """What a program is told that makes a decision, which must be made."""
        named = {"source": source, "target": target, **more}
        fields = {name: value for name, value in named.items() if value is not None}
        answer = self.post("/desk/decisions", PROGRAM, action=action, **fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def undo(self, ident: int, **more: Any) -> dict[str, Any]:
        """What a program is told that takes a decision back."""
        answer = self.post("/desk/undo", PROGRAM, id=ident, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def related(self, page: str = "oven") -> list[str]:
        """What the website is answered: the ids of the cards."""
        answer = self.client.get(f"/v1/articles/{page}/related")
        assert answer.status_code == 200, answer.text
        return [card["id"] for card in answer.json()["items"]]

    def written(self) -> list[Decision]:
        """All of the log."""
        return self.log.since()


def page_of(answer: Response) -> Any:
    """A page of the desk as a tree."""
    return lxml.html.fromstring(answer.text)


def text_of(element: Any) -> str:
    """All its text, in single spaces."""
    return " ".join(element.text_content().split())


def notice(answer: Response) -> str:
    """What a page says of what was just done; "" when it says nothing."""
    found = page_of(answer).xpath('//*[@role="status"]')
    return " ".join(text_of(element) for element in found)


def refused(answer: Response, status: int) -> str:
    """The sentence of a refusal: of a page for a browser, of a problem document for a program."""
    assert answer.status_code == status, answer.text
    if answer.headers["content-type"] == "application/problem+json":
        assert answer.json()["status"] == status
        return str(answer.json()["detail"])
    assert answer.headers["content-type"].startswith("text/html")
    return text_of(page_of(answer).xpath("//main")[0])


def listed(tree: Any, label: str) -> list[str]:
    """The data-id of each row in the section with this heading."""
    return [str(ident) for ident in tree.xpath("//section[@aria-labelledby=$label]//li/@data-id", label=label)]


def section(tree: Any, label: str) -> Any:
    """The section with this heading."""
    (found,) = tree.xpath("//section[@aria-labelledby=$label]", label=label)
    return found


def forms(tree: Any, to: str, /, **fields: str) -> list[Any]:
    """The forms that are sent there, with these values in their fields."""
    return [form for form in tree.forms if form.action == to and fields.items() <= dict(form.form_values()).items()]


def send(site: DeskSite, form: Any, role: str = "editor", **changes: str) -> Response:
    """Press the form's button, as a browser does without a script."""
    return site.post(form.action, role=role, **dict(form.form_values()) | changes)


def day(year: int, month: int, number: int) -> datetime:
    """Midnight of a day, UTC."""
    return datetime(year, month, number, tzinfo=UTC)
