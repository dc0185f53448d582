"""An editor at work: signs in, reviews a page from start to end by keyboard alone, and the endpoint obeys each step."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from service.keys import digest
from tests.service.running import running

TOKEN = "a-token-for-the-tests"  # noqa: S105
ESSAY = "harrison-h4"


@pytest.fixture
def address(demo: Path, tmp_path: Path) -> Iterator[str]:
    """A service with a log of its own."""
    shutil.copytree(demo, tmp_path / "home")
    with running(tmp_path / "home", RELATED_EDITORS=f"anna:editor:{digest(TOKEN)}") as server:
        yield server.address


@pytest.fixture
def tab(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens tabs that note the console's errors; they are closed afterwards."""
    opened = []

    def open_tab(**how: Any) -> Any:
        context = chromium.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce", **how)
        opened.append(context)
        found = context.new_page()
        found.complaints = []
        found.on("console", lambda said: found.complaints.append(said.text) if said.type == "error" else None)
        found.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.set_default_timeout(15_000)
        return found

    yield open_tab
    for context in opened:
        context.close()


def related(address: str, limit: int = 12) -> list[tuple[str, str]]:
    """What the endpoint answers now: ids and origins."""
    with urlopen(f"{address}/v1/articles/{ESSAY}/related?limit={limit}") as answer:  # noqa: S310
        return [(card["id"], card["origin"]) for card in json.load(answer)["items"]]


def sign_in(page: Any, address: str) -> None:
    """By keyboard: the field has the focus."""
    page.goto(f"{address}/desk/articles/{ESSAY}")
    assert "/desk/login" in page.url
    page.locator("#token:focus").wait_for()
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/desk/articles/{ESSAY}")


def suggested(page: Any) -> list[str]:
    """The suggestions shown, by id."""
    ids: list[str] = page.locator("[data-sortable] > .row").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return ids


def focused(page: Any) -> str:
    """The row that has the focus, by id."""
    ident: str = page.evaluate("document.activeElement.closest('.row')?.dataset.id ?? ''")
    return ident


def go_to_row(page: Any, ident: str) -> None:
    """Move to a suggestion with the keys for that."""
    page.keyboard.press("l")
    for _ in range(40):
        if focused(page) == ident:
            return
        page.keyboard.press("j")
    for _ in range(80):
        page.keyboard.press("k")
        if focused(page) == ident:
            return
    raise AssertionError(f"{ident} cannot be reached by keyboard")


def told(page: Any, words: str) -> None:
    """Wait until the page tells what was done."""
    page.locator(".done", has_text=words).wait_for()


def test_an_editor_reviews_a_page_by_keyboard_alone_and_the_endpoint_obeys_each_step(
    address: str, tab: Callable[..., Any]
) -> None:
    page = tab()
    before = related(address)
    sign_in(page, address)
    first, second, last = suggested(page)[0], suggested(page)[1], suggested(page)[-1]

    go_to_row(page, second)
    page.keyboard.press("x")
    told(page, "Excluded here")
    without = related(address)
    page.keyboard.press("u")
    told(page, "Undone")
    again = related(address)

    go_to_row(page, last)
    page.keyboard.press("p")
    page.keyboard.press("1")
    told(page, "Pinned at 1")
    pinned = related(address)
    kept_focus = focused(page)
    page.keyboard.press("Shift+J")
    told(page, "Pinned at 2")
    moved = related(address)

    go_to_row(page, first)
    page.keyboard.press("a")
    told(page, "Approved")
    page.keyboard.press("s")
    page.keyboard.type("curated")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(page, "State curated")
    curated = related(address)
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_url(lambda url: ESSAY not in url)
    page.goto(f"{address}/desk?show=reviewed")

    assert second in dict(before)
    assert second not in dict(without)
    assert again == before, "undone to the letter"
    assert pinned[0] == (last, "pinned")
    assert kept_focus == last, "the focus stays on what was moved"
    assert moved[1] == (last, "pinned")
    assert {origin for _, origin in curated} == {"pinned", "curated"}
    assert page.locator(".job").count() == 1
    assert "1 of 42 reviewed" in page.locator(".progress").inner_text()
    assert page.complaints == []


def test_excluding_everywhere_asks_once_and_is_undone_from_the_next_page_too(
    address: str, tab: Callable[..., Any]
) -> None:
    page = tab()
    sign_in(page, address)
    target = suggested(page)[0]

    go_to_row(page, target)
    page.keyboard.press("Shift+X")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Escape")
    unasked = target in dict(related(address))
    page.keyboard.press("Shift+X")
    page.locator("dialog[open]").wait_for()
    while page.evaluate("document.activeElement.textContent").strip() in ("", "Leave it", "Cancel", "No"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    told(page, "Excluded everywhere")

    assert unasked, "nothing is decided before the question is answered"
    assert target not in dict(related(address))
    page.keyboard.press("u")
    told(page, "Undone")
    assert target in dict(related(address))
    assert page.complaints == []


def test_why_is_told_in_place_with_the_closest_passages_marked(address: str, tab: Callable[..., Any]) -> None:
    page = tab()
    sign_in(page, address)

    go_to_row(page, suggested(page)[0])
    page.keyboard.press("w")
    box = page.locator("details.why[open]")
    box.locator("blockquote").first.wait_for(timeout=60_000)

    assert box.locator("blockquote").count() == 2
    assert box.locator("mark").count() > 0
    assert "what its score of" in box.inner_text().lower()
    assert page.complaints == []


def test_why_not_this_one_is_answered_for_any_essay(address: str, tab: Callable[..., Any]) -> None:
    page = tab()
    sign_in(page, address)

    page.keyboard.press("/")
    page.keyboard.type("sand that")
    page.locator("[role=option]").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    row = page.locator(".whynot .row").first
    row.wait_for()

    assert row.get_attribute("data-id") == "sandglass"
    assert "below the list's end at 5" in row.locator(".note").inner_text()
    assert page.complaints == []


def test_dragging_a_suggestion_pins_it_where_it_is_dropped(address: str, tab: Callable[..., Any]) -> None:
    page = tab()
    sign_in(page, address)
    rows = page.locator("[data-sortable] > .row")
    third = suggested(page)[2]

    grip = rows.nth(2).locator(".place > .position")
    grip.scroll_into_view_if_needed()
    start, end = grip.bounding_box(), rows.nth(0).bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + 40, end["y"] + 4, steps=12)
    page.mouse.up()
    told(page, "Pinned at 1")

    assert related(address)[0] == (third, "pinned")


def test_without_a_script_one_approves_excludes_pins_and_undoes(address: str, tab: Callable[..., Any]) -> None:
    page = tab(java_script_enabled=False)
    page.goto(f"{address}/desk/articles/{ESSAY}")
    page.get_by_label("Your token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    rows = page.locator("[data-sortable] > .row")
    first, second = (rows.nth(number).get_attribute("data-id") for number in (0, 1))
    before = related(address)

    rows.nth(0).get_by_role("button", name="Approve").click()
    assert "Approved" in page.locator(".done").inner_text()
    page.locator(f'[data-sortable] > [data-id="{second}"]').get_by_role("button", name="Exclude here").click()
    assert "Excluded here" in page.locator(".done").inner_text()
    assert second not in dict(related(address))
    page.locator(".done").get_by_role("button", name="Undo").click()
    assert related(address) == before
    row = page.locator(f'[data-sortable] > [data-id="{first}"]')
    row.get_by_label("Position of").fill("3")
    row.get_by_role("button", name="Pin").click()

    assert related(address)[2] == (first, "pinned")


def test_two_editors_see_each_others_decisions_and_nothing_is_sent_twice(address: str, tab: Callable[..., Any]) -> None:
    one, other = tab(), tab()
    sign_in(one, address)
    sign_in(other, address)
    target = suggested(one)[1]

    go_to_row(one, target)
    one.locator(f'[data-sortable] > [data-id="{target}"]').get_by_role("button", name="Exclude here").dblclick()
    told(one, "Excluded here")
    other.reload()

    assert target not in suggested(other)
    assert other.locator(".history li", has_text="anna: excluded here").count() == 1


def test_the_key_for_undoing_takes_back_ones_own_decision_on_this_page_and_nobody_elses(
    address: str, tab: Callable[..., Any]
) -> None:
    page = tab()
    sign_in(page, address)
    target = suggested(page)[0]
    go_to_row(page, target)
    page.keyboard.press("a")
    told(page, "Approved")
    page.goto(f"{address}/desk/articles/{target}")

    page.keyboard.press("u")  # its history tells of the approval, which is another page's
    page.keyboard.press("r")
    told(page, "Reviewed")
    page.keyboard.press("u")
    told(page, "Undone")
    page.goto(f"{address}/desk/decisions?show=holding")

    kinds = page.locator(".log tbody tr td:nth-child(3)").all_inner_texts()
    assert sorted(kinds) == ["approved", "undone"]
