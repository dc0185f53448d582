"""A real page with the list on it, in a browser: what a reader sees, reaches by keyboard, and does not see."""

from typing import Any

import httpx2 as httpx
import pytest

from tests.browser.conftest import Site

LINKS = [("https://example.org/salt", "Salt"), ("https://example.org/rye", "Rye")]
BREAD = "/v1/articles/bread/related.html"


def put(site: Site, way: str, article: str = "bread", inside: str = "") -> str:
    """Put the page with an article's list; way: as the element or as the fragment."""
    if way == "element":
        return site.put_element(f'article="{article}"', inside)
    return site.put_fragment(f"/v1/articles/{article}/related.html")


def open_page(page: Any, address: str) -> None:
    """Open it, and wait for all that it shows."""
    page.goto(address)
    settle(page)


def settle(page: Any) -> None:
    """Wait until nothing is fetched any more, and what came is drawn."""
    page.wait_for_function("() => window.waiting === 0")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def links(page: Any) -> list[tuple[str, str]]:
    return [(a.get_attribute("href"), a.inner_text()) for a in page.locator(".related-articles a").all()]


def height(page: Any) -> float:
    """Of all that the page shows."""
    return float(page.evaluate("() => document.body.getBoundingClientRect().height"))


@pytest.mark.parametrize("way", ["element", "fragment"])
def test_the_cards_are_shown_under_a_policy_without_inline_code(page: Any, site: Site, way: str) -> None:
    open_page(page, put(site, way))

    assert links(page) == LINKS
    assert page.get_by_role("complementary", name="Related articles").is_visible()
    assert page.locator(".related-articles li").all_inner_texts() == [
        "Salt\n\nOn salt.\n\nFood May 5, 2023",
        "Rye\n\nOn rye.\n\nFood February 20, 2024",
    ]
    assert page.complaints == []


@pytest.mark.parametrize("way", ["element", "fragment"])
def test_every_link_is_reached_by_keyboard_in_order_with_a_visible_focus(page: Any, site: Site, way: str) -> None:
    open_page(page, put(site, way))
    reached = []

    for _ in range(page.locator("a").count()):
        page.keyboard.press("Tab")
        focused = page.locator(":focus-visible")
        style = focused.evaluate("(link) => [getComputedStyle(link).outlineStyle, getComputedStyle(link).outlineWidth]")
        assert style[0] != "none"
        assert float(style[1].removesuffix("px")) > 0
        reached.append(focused.get_attribute("href"))

    assert reached == ["/", "/share/post", "/share/mail", *(href for href, _ in LINKS), "/imprint"]


@pytest.mark.parametrize("way", ["element", "fragment"])
def test_axe_finds_nothing_serious(page: Any, site: Site, way: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    open_page(page, put(site, way))

    found = axe.run(page, options={"resultTypes": ["violations", "passes"]}).response

    assert [v["id"] for v in found["violations"] if v["impact"] in ("serious", "critical")] == []
    looked_at = {node["target"][0] for rule in found["passes"] for node in rule["nodes"]}
    assert any("related-" in target or "salt" in target for target in looked_at)


@pytest.mark.parametrize("way", ["element", "fragment"])
@pytest.mark.parametrize("article", ["salt", "nobody"])
def test_an_empty_list_and_an_unknown_article_take_no_room(page: Any, site: Site, way: str, article: str) -> None:
    open_page(page, site.put(""))
    bare = height(page)

    open_page(page, put(site, way, article))

    assert height(page) == bare
    assert page.evaluate("() => window.shifts") == []
    assert page.locator(".related-articles").count() == 0


@pytest.mark.parametrize("gap", ["body { display: grid; gap: 50px }", "related-articles { padding: 9px }"])
def test_an_empty_element_takes_no_room_in_a_grid_or_with_padding(page: Any, site: Site, gap: str) -> None:
    address = site.put_element('article="salt"')
    open_page(page, address)
    page.evaluate("(css) => document.adoptedStyleSheets.push(new CSSStyleSheet()) && "
                  "document.adoptedStyleSheets[0].replaceSync(css)", gap)  # fmt: skip
    with_element = height(page)

    page.evaluate("() => document.querySelector('related-articles').remove()")

    assert height(page) == with_element


def test_a_service_that_is_down_leaves_the_page_as_it_was(page: Any, site: Site) -> None:
    open_page(page, site.put(""))
    bare = height(page)

    for blocked in ("**/v1/**", "**/related.js"):
        page.route(blocked, lambda route: route.abort())
        open_page(page, put(site, "element"))
        assert height(page) == bare
        assert page.evaluate("() => window.shifts") == []
        page.unroute(blocked)


@pytest.mark.parametrize("answer", [{"abort": True}, {"status": 500}, {"status": 404}, {"status": 503, "body": "<p>"}])
def test_what_the_page_itself_put_there_stays_when_no_list_comes(page: Any, site: Site, answer: dict[str, Any]) -> None:
    page.route("**/v1/**", lambda route: route.abort() if "abort" in answer else route.fulfill(**answer))

    open_page(page, put(site, "element", inside='<a href="/all">All essays</a>'))

    assert page.locator("related-articles a").all_inner_texts() == ["All essays"]
    assert page.locator("related-articles").is_visible()
    assert page.evaluate("() => window.told") == []


def test_the_list_takes_the_place_of_what_the_page_put_there(page: Any, site: Site) -> None:
    open_page(page, put(site, "element", inside='<a href="/all">All essays</a>'))

    assert page.locator("related-articles a").all_inner_texts() == ["Salt", "Rye"]


def test_an_answer_that_is_no_list_is_not_put_into_the_page(page: Any, site: Site) -> None:
    page.route("**/v1/**", lambda route: route.fulfill(
        body="<h1>Log in</h1><img src=x onerror=window.ran=1>", content_type="text/html",
        headers={"Access-Control-Allow-Origin": "*"}))  # fmt: skip

    open_page(page, put(site, "element"))

    assert page.locator("related-articles").inner_html() == ""
    assert page.evaluate("() => window.ran") is None


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ('article="bread" limit="1"', ["Salt"]),
        ('article="bread" exclude="salt"', ["Rye", None]),
        ('article="bread" category="Food" published_after="2024-01-01"', ["Rye"]),
        ('url="https://example.org/bread"', ["Salt", "Rye"]),
        ('article="2024/05/naïve café"', ["Rye"]),
        ('article="100% rye?#crust: a+b&amp;c=d"', ["Rye"]),
        ('article="bread" url="https://example.org/salt"', ["Salt", "Rye"]),
    ],
)
def test_what_the_element_says_is_asked_for(page: Any, site: Site, attributes: str, names: list[str | None]) -> None:
    open_page(page, site.put_element(attributes))

    assert [name for _, name in links(page)] == [name for name in names if name]


def test_the_script_may_come_from_elsewhere_than_the_list(page: Any, site: Site) -> None:
    script = httpx.get(f"{site.service}/related.js").text
    page.route("**/elsewhere/related.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    for src in (site.service, f"{site.service}/"):
        open_page(page, site.put_element(f'article="bread" src="{src}"', src=f"{site.service}/elsewhere"))
        assert links(page) == LINKS

    assert [url for url in asked if "/v1/" in url] == [site.service + BREAD] * 2


def test_impressions_and_clicks_are_told_with_the_name_of_the_list(page: Any, site: Site) -> None:
    page.route("https://example.org/**", lambda route: route.fulfill(body="there"))
    name = httpx.get(f"{site.service}/v1/articles/bread/related").json()["recommendation_id"]
    open_page(page, put(site, "element"))
    page.evaluate("() => addEventListener('click', (event) => event.preventDefault())")

    assert page.evaluate("() => window.told") == [["shown", {"recommendation_id": name}]]
    page.locator(".related-articles h2").click()
    page.get_by_role("link", name="Rye").click(button="right")
    assert len(page.evaluate("() => window.told")) == 1

    page.get_by_role("link", name="Rye").press("Enter")
    page.get_by_role("link", name="Salt").click(button="middle")

    assert page.evaluate("() => window.told.slice(1)") == [
        ["click", {"recommendation_id": name, "id": "rye", "position": 2}],
        ["click", {"recommendation_id": name, "id": "salt", "position": 1}],
    ]


def test_another_article_in_the_same_element_is_another_list(page: Any, site: Site) -> None:
    open_page(page, put(site, "element"))

    page.evaluate("() => document.querySelector('related-articles').setAttribute('article', '麦/麵包')")
    page.wait_for_function("() => window.told.length === 2")
    assert [name for _, name in links(page)] == ["Rye"]

    page.evaluate("() => document.querySelector('related-articles').setAttribute('article', 'nobody')")
    settle(page)
    assert links(page) == []
