"""How the desk looks: to a screen reader, in light and dark, on a phone, on paper, and with hostile pages."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2 as httpx
import pytest

from recommender.publishing import list_editions
from service.keys import digest
from tests.browser.conftest import RELATED, ROOT
from tests.service.running import running

TOKEN = "a-token-for-the-tests"  # noqa: S105
SIGNED_IN = {"Authorization": f"Bearer {TOKEN}"}
SCREENSHOTS = ROOT / "build" / "screenshots"
WIDTHS = (1280, 390, 360)

RUN = "window.ran = true"
STACK = "Z" + "".join(chr(0x300 + n % 100) for n in range(300)) + "algo"
LONG = "x" * 10_000
ARABIC = "مقالة عن الخبز والملح والطاحونة القديمة (1876)"
HOSTILE: dict[str, dict[str, str]] = {
    "hostile": {
        "title": f"<script>{RUN};alert(1)</script>",
        "standfirst": f'<img src=x onerror="{RUN};alert(2)">',
        "url": f"javascript:{RUN};alert(3)",
        "category": f"<svg onload='{RUN}'>",
    },
    "unbroken": {"title": LONG, "standfirst": LONG, "url": "https://example.org/" + "a" * 2000, "category": "C" * 500},
    "from-the-right": {"title": ARABIC, "standfirst": f"\u202e{ARABIC} <b>", "category": "زمن"},
    "stacked": {"title": STACK, "standfirst": STACK * 3, "url": "JaVaScRiPt:alert(4)"},
    "wordy": {"title": "Wordy", "standfirst": "word and " * 2500, "url": f"data:text/html,<script>{RUN}</script>"},
    f"\"'><script>{RUN}</script>": {"title": f'"\' onmouseover={RUN} x="', "standfirst": "{{ 7 * 7 }}</details></ol>"},
    "invisible": {"title": "👩‍👩‍👧‍👦" * 300, "standfirst": "\u200b" * 500, "url": "//example.org/emoji"},
}

PAGES = ("worklist", "page", "why", "map", "editions", "decisions", "bulk", "learned", "login", "error")

Open = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A service. before, after: its two editions."""

    address: str
    before: str
    after: str

    def page(self, name: str) -> str:
        """The address of one of PAGES."""
        paths = (
            "",
            "/articles/harrison-h4?q=bread",
            "/why?source=harrison-h4&target=time-ball",
            "/map?id=harrison-h4",
            f"/editions?before={self.before}&after={self.after}",
            "/decisions",
            "/bulk?least=0.1&to=model",
            "/learned",
            "/login",
            "/articles/nobody",
        )
        return f"{self.address}/desk{dict(zip(PAGES, paths, strict=True))[name]}"


def hostile_pages(folder: Path) -> Path:
    """A file of hostile pages, each with the others as its hand-made list."""
    body = "\n\n".join("Bread is baked of flour, water and salt in the oven of the village." for _ in range(3))
    pages = [
        {"id": ident, "body": f"{body} {ident}", "author": "<b>a</b>", "published": "2024-01-05"}
        | {"related": [other for other in HOSTILE if other != ident][:4]}
        | said
        for ident, said in HOSTILE.items()
    ]
    path = folder / "hostile.jsonl"
    path.write_text("".join(json.dumps(page) + "\n" for page in pages), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def desk(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LookedAt]:
    """The desk of the demo edition and the hostile pages, with an edition before it and some decisions made."""
    folder = tmp_path_factory.mktemp("desk")
    home = folder / "home"
    shutil.copytree(demo, home)
    command = [*RELATED, "build", "examples", str(hostile_pages(folder)), "--home", str(home), "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after, before = (entry.id for entry in list_editions(home))
    with running(home, RELATED_EDITORS=f"anna:admin:{digest(TOKEN)}") as server:
        for fields in (
            {"action": "approve", "target": "pendulum-clock", "source": "harrison-h4"},
            {"action": "pin", "target": "incense-clock", "source": "harrison-h4", "position": "2", "note": LONG[:2000]},
            {
                "action": "exclude",
                "target": "railway-time",
                "source": "harrison-h4",
                "note": HOSTILE["hostile"]["title"],
            },
            {"action": "boost", "target": "unbroken", "source": "hostile"},
            {"action": "pin", "target": "stacked", "source": "hostile", "position": "1", "note": ARABIC},
            {"action": "exclude", "target": "wordy", "note": f'<img src=x onerror="{RUN}">'},
        ):
            answer = httpx.post(f"{server.address}/desk/decisions", data=fields, headers=SIGNED_IN)
            assert answer.status_code == 303, answer.text
        yield LookedAt(server.address, before, after)


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Opens pages, each in a tab of its own that notes what it complains of and whether it asks anything."""
    contexts = []

    def open_page(address: str, width: int = 1280, **how: Any) -> Any:
        how = {"reduced_motion": "reduce", "extra_http_headers": SIGNED_IN} | how
        context = chromium.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.complaints = []
        page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
        page.goto(address)
        if "/desk/map" in address:
            page.locator("#map[data-ready]").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()


def widths(page: Any) -> tuple[int, int]:
    """Of what could be scrolled to, and of the window."""
    found = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    return found[0], found[1]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_any_page_in_light_and_dark(desk: LookedAt, open_page: Open, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = open_page(desk.page(name), extra_http_headers={} if name == "login" else SIGNED_IN)
    page.locator("main h1").wait_for()

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = axe.run(page, options={"resultTypes": ["violations", "passes"]}).response
        assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found["violations"]] == []
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}

    assert [said for said in page.complaints if "404" not in said] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(desk: LookedAt, open_page: Open, name: str) -> None:
    page = open_page(desk.page(name))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})

        assert widths(page) == (width, width)


@pytest.mark.parametrize("ident", HOSTILE, ids=[str(n) for n in range(len(HOSTILE))])
def test_a_hostile_page_runs_nothing_and_stays_within_the_window(desk: LookedAt, open_page: Open, ident: str) -> None:
    page = open_page(f"{desk.address}/desk/article?{urlencode({'id': ident, 'q': 'x'})}", color_scheme="dark")

    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.locator("details").evaluate_all("all => { for (const one of all) one.open = false }")
        assert widths(page) == (width, width)
        page.locator(".more, .noted, .below").evaluate_all("all => { for (const one of all) one.open = true }")
        assert widths(page) == (width, width)

    assert page.evaluate("window.ran") is None
    assert page.complaints == []
    links = page.locator("main a").evaluate_all("all => all.map(a => a.protocol)")
    assert set(links) <= {"http:", "https:"}
    assert page.locator("main h1").inner_text().strip() == HOSTILE[ident]["title"].strip()


def test_hostile_texts_run_nothing_anywhere_else(desk: LookedAt, open_page: Open) -> None:
    odd = next(ident for ident in HOSTILE if "'" in ident)
    pair = urlencode({"source": "hostile", "target": odd})
    page = open_page(f"{desk.address}/desk?{urlencode({'q': LONG[:3000]})}", 390)
    for path in (
        "",
        "?q=%3Cscript%3E",
        f"/why?{pair}",
        f"/map?{urlencode({'id': odd})}",
        "/decisions",
        "/bulk?least=0",
    ):
        page.goto(f"{desk.address}/desk{path}")
        if "map" in path:
            page.get_by_role("heading", name="onmouseover").wait_for()
        assert widths(page) == (390, 390), path

    assert page.evaluate("window.ran") is None
    assert page.complaints == []


def test_hostile_texts_are_found_and_decided_about_like_any_other(desk: LookedAt, open_page: Open) -> None:
    page = open_page(f"{desk.address}/desk/articles/from-the-right")
    field = page.get_by_role("combobox", name="Any essay")

    field.fill("window.ran")
    page.get_by_role("listbox").get_by_role("option").first.wait_for()
    field.press("ArrowDown")
    field.press("Enter")
    row = page.locator(".found .row")
    row.wait_for()
    row.get_by_role("button", name="Pin").click()
    page.locator(".done", has_text="Pinned at 1").wait_for()

    assert row.locator(".decided").inner_text().startswith("◆ Pinned at 1 by anna")
    assert page.evaluate("window.ran") is None
    assert page.complaints == []


def test_a_long_text_is_cut_and_can_be_shown_in_full(desk: LookedAt, open_page: Open) -> None:
    page = open_page(f"{desk.address}/desk/articles/wordy")
    standfirst = page.locator(".essay > .standfirst")
    cut = standfirst.bounding_box()["height"]

    page.locator(".essay > .more > summary").click()

    assert cut < 200
    assert standfirst.bounding_box()["height"] > 2000


def test_pictures_of_the_hostile_pages_are_kept(desk: LookedAt, open_page: Open) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for scheme, width in (("light", 1280), ("dark", 390)):
        page = open_page(f"{desk.address}/desk/articles/hostile", width, color_scheme=scheme)
        picture = SCREENSHOTS / f"desk-hostile-{scheme}-{width}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000


def test_what_the_desk_did_not_get_is_sent_again_under_the_same_key(desk: LookedAt, open_page: Open) -> None:
    page = open_page(f"{desk.address}/desk/articles/longitude-problem")
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if request.method == "POST" else None)
    page.route("**/desk/decisions", lambda route: route.abort())
    button = page.locator('[data-sortable] [data-act="boost"]').first
    row = page.locator("[data-sortable] > .row").first

    button.dblclick()
    failed = page.get_by_role("dialog", name="This was not decided")
    failed.wait_for()
    assert "does not answer" in failed.inner_text()
    assert row.get_attribute("aria-busy") is None
    page.unroute("**/desk/decisions")
    failed.get_by_role("button", name="Try again").click()
    page.locator(".done", has_text="Boosted").wait_for()

    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert "done=" not in page.url


def test_a_page_is_printed_without_anything_to_press(desk: LookedAt, open_page: Open) -> None:
    page = open_page(desk.page("page"))
    assert page.locator("main button:visible").count() > 0

    page.emulate_media(media="print")

    assert page.locator("button:visible, nav:visible, summary:visible").count() == 0
    boxes = [page.locator(f"section.{name}").bounding_box() for name in ("curated", "suggestions")]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


def test_an_essay_is_found_on_the_map_and_its_links_are_told(desk: LookedAt, open_page: Open) -> None:
    page = open_page(f"{desk.address}/desk/map")
    plane, told = page.locator("#map"), page.locator("#map-chosen")

    page.keyboard.press("/")
    page.keyboard.type("fourth watch")
    page.get_by_role("option", name="Mr Harrison’s Fourth Watch").wait_for()
    page.keyboard.press("Enter")
    told.get_by_role("heading", name="Mr Harrison’s Fourth Watch").wait_for()
    assert page.url.endswith("/desk/map?id=harrison-h4")
    shown = told.locator("ul").first.locator("a").all_inner_texts()

    plane.press("Escape")
    assert page.url.endswith("/desk/map")
    box = plane.bounding_box()
    plane.click(position={"x": box["width"] / 2, "y": box["height"] / 2})  # where the search has brought it
    told.get_by_role("heading", name="Mr Harrison’s Fourth Watch").wait_for()
    told.locator("ul").first.locator("a").first.click()
    told.get_by_role("heading", name=shown[0]).wait_for()

    assert shown == cards_of(desk, "harrison-h4")
    assert page.complaints == []


def cards_of(desk: LookedAt, ident: str) -> list[str]:
    """The titles that the website would show."""
    cards = httpx.get(f"{desk.address}/v1/articles/{ident}/related").json()["items"]
    return [card["title"] for card in cards]


def test_a_double_click_decides_about_one_row_however_fast_the_answer_comes(desk: LookedAt, open_page: Open) -> None:
    page = open_page(f"{desk.address}/desk/articles/time-ball")
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if request.method == "POST" else None)
    rows = page.locator("[data-sortable] > .row")
    names = rows.evaluate_all("rows => rows.map(row => row.dataset.id)")

    for half in (1, 2):  # of one double click, on whatever row is there by then
        button = rows.first.locator('[data-act="exclude"]').bounding_box()
        page.mouse.move(button["x"] + 5, button["y"] + 5)
        page.mouse.down(click_count=half)
        page.mouse.up(click_count=half)
        page.locator(".done", has_text="Excluded here").wait_for()

    assert page.locator("[data-sortable] [aria-busy]").count() == 0
    assert rows.first.get_attribute("data-id") == names[1]
    assert len(sent) == 1
