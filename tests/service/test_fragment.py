"""The piece of HTML that a page includes, and the script that fetches it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, AsyncClient
from lxml import html

from recommender.edition import EssayLists
from recommender.ranking import Candidate, Item
from service.app import create_app
from service.fragment import FragmentByUrlQuery, FragmentQuery, render_fragment, router
from service.schemas import ArticleName, Card, EditionName, RelatedByUrlQuery, RelatedQuery, RelatedResponse
from service.settings import Settings
from service.variants import Variant
from tests.service.editions import ODD_IDS, Clock, publish_edition, publish_other_edition

BREAD = "/v1/articles/bread/related.html"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    publish_edition(tmp_path)
    with TestClient(create_app(Settings(home=tmp_path), Clock())) as client:
        yield client


def card(ident: str = "rye", url: str | None = "/rye", title: str | None = "Rye", **more: object) -> Card:
    known = {"standfirst": None, "category": None, "published": None}
    return Card.model_validate(
        {"id": ident, "url": url, "title": title, "score": 0.5, "position": 1, "origin": "model", "reason": ""}
        | known
        | more
    )


def fragment(*cards: Card, variant: Variant | None = None) -> str:
    return render_fragment(
        RelatedResponse(
            article=ArticleName(id="bread", url=None, title=None),
            edition=EditionName(id="20261101T120000Z-0", built_at=datetime(2026, 11, 1, tzinfo=UTC)),
            recommendation_id="abc123",
            variant=variant,
            items=list(cards),
        )
    )


def test_the_whole_fragment_is_as_designed() -> None:
    shown = fragment(card(standfirst="On <rye> & salt.", category="Food", published=date(2024, 2, 5)))

    assert shown == (
        '<aside class="related-articles" aria-labelledby="related-abc123" data-recommendation-id="abc123">\n'
        '<h2 id="related-abc123">Related articles</h2>\n'
        "<ul>\n"
        "<li>\n"
        '<a href="/rye" data-id="rye" data-position="1">Rye</a>\n'
        '<p class="standfirst">On &lt;rye&gt; &amp; salt.</p>\n'
        '<p class="about">\n'
        '<span class="category">Food</span>\n'
        '<time datetime="2024-02-05">February 5, 2024</time>\n'
        "</p>\n"
        "</li>\n"
        "</ul>\n"
        "</aside>"
    )


def test_nothing_to_show_is_an_empty_fragment() -> None:
    assert fragment() == ""


def test_the_variant_of_an_ab_test_is_named_where_there_is_one() -> None:
    assert html.fromstring(fragment(card(), variant="curated")).get("data-variant") == "curated"
    assert html.fromstring(fragment(card())).get("data-variant") is None


@pytest.mark.parametrize(
    ("entry", "name", "paragraphs"),
    [
        (card(title="Rye", standfirst="On rye."), "Rye", ["On rye."]),
        (card(title=None, standfirst="On rye."), "On rye.", []),
        (card(title=" \n", standfirst=" On rye. "), "On rye.", []),
        (card(title="Rye", standfirst=" Rye "), "Rye", []),
        (card(title=None, standfirst=" "), "rye", []),
        (card("a/b <c>", title=""), "a/b <c>", []),
    ],
)
def test_an_item_is_named_by_its_title_else_its_standfirst_else_its_id(
    entry: Card, name: str, paragraphs: list[str]
) -> None:
    item = html.fromstring(fragment(entry)).find(".//li")

    assert item.findtext("a") == name
    assert [p.text_content().strip() for p in item.findall("p")] == paragraphs


@pytest.mark.parametrize(
    "url", ["https://example.org/a?b=c&d", "HTTP://example.org", "/a", "a b.html", "//example.org/a", "?a=b:c", "#a"]
)
def test_web_addresses_and_relative_ones_are_links(url: str) -> None:
    assert html.fromstring(fragment(card(url=url))).xpath("//li//@href") == [url]


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "  ",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "javascript\x00:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "mailto:editor@example.org",
        "blob:https://example.org/1",
    ],
)
def test_what_is_no_web_address_is_text_and_no_link(url: str | None) -> None:
    item = html.fromstring(fragment(card(url=url))).find(".//li")

    assert item.xpath(".//a | .//@href") == []
    assert (item.findtext("span"), item.find("span").get("data-id")) == ("Rye", "rye")


def test_no_text_of_a_page_becomes_markup() -> None:
    hostile = "'\"></a></aside><script>alert(1)</script><img src=x onerror=alert(1)>"
    entry = card(hostile, f"/{hostile}", hostile, standfirst=f"{hostile}!", category=hostile)

    page = html.fromstring(fragment(entry))

    assert {element.tag for element in page.iter()} == {"aside", "h2", "ul", "li", "a", "p", "span"}
    assert page.xpath("//a")[0].attrib == {"href": f"/{hostile}", "data-id": hostile, "data-position": "1"}
    assert page.xpath("//a/text()") == [hostile]


def test_two_fragments_of_one_page_have_names_of_their_own(client: TestClient) -> None:
    names = [
        html.fromstring(client.get(BREAD, params={"limit": limit}).text).get("aria-labelledby") for limit in (1, 2)
    ]

    assert len(set(names)) == 2


def test_the_route_gives_the_list_of_the_json_route(client: TestClient) -> None:
    response = client.get(BREAD, params={"limit": 3, "exclude": "rye"})
    told = client.get("/v1/articles/bread/related", params={"limit": 3, "exclude": "rye"}).json()

    page = html.fromstring(response.text)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.get("data-recommendation-id") == told["recommendation_id"]
    assert [(item.get("data-id"), int(item.get("data-position"))) for item in page.xpath("//*[@data-id]")] == [
        (entry["id"], entry["position"]) for entry in told["items"]
    ]


def test_by_url_it_is_the_same_answer(client: TestClient) -> None:
    by_url = client.get("/v1/articles/related.html", params={"url": "https://example.org/bread"})

    assert by_url.text == client.get(BREAD).text
    assert by_url.headers["etag"] == client.get(BREAD).headers["etag"]


@pytest.mark.parametrize("ident", [*ODD_IDS, "related.html", "a/related.html", "x.html"])
def test_any_id_can_be_asked_for(tmp_path: Path, ident: str) -> None:
    essays = (Item(ident, "essay", url=None), Item("rye", "essay", "Rye", url="/rye"))
    publish_edition(
        tmp_path,
        lists=(EssayLists(ident, 1, (), (Candidate("rye", 0.5, 0.6),), ()), EssayLists("rye", 0, (), (), ())),
        items=essays,
    )
    app = create_app(Settings(home=tmp_path))

    async def get(path: str) -> str:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            return (await client.get(path)).text

    for path in {quote(ident), quote(ident, safe="")}:
        shown = asyncio.run(get(f"/v1/articles/{path}/related.html"))
        assert html.fromstring(shown).xpath("//@data-id") == ["rye"]


def test_an_empty_list_is_an_empty_body(client: TestClient) -> None:
    response = client.get("/v1/articles/salt/related.html")

    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_mistakes_are_the_problems_of_the_json_route(client: TestClient) -> None:
    for query in ("limit=0", "limt=5", "limit=1&limit=2", "published_before=now", "include=drafts"):
        html_route, json_route = client.get(f"{BREAD}?{query}"), client.get(f"/v1/articles/bread/related?{query}")
        assert html_route.status_code == json_route.status_code == 422
        assert html_route.json()["errors"] == [
            {**error, "detail": error["detail"].replace(", fields?", "?")} for error in json_route.json()["errors"]
        ]
    assert client.get("/v1/articles/nobody/related.html").json()["title"] == "No such article"
    assert client.get("/v1/articles/nobody/related.html").status_code == 404
    assert client.get("/v1/articles/related.html").status_code == 422


def test_a_fragment_has_no_fields_and_else_every_parameter() -> None:
    assert FragmentQuery.model_fields.keys() == RelatedQuery.model_fields.keys() - {"fields"}
    assert FragmentByUrlQuery.model_fields.keys() == RelatedByUrlQuery.model_fields.keys() - {"fields"}


def test_fields_is_refused_by_name(client: TestClient) -> None:
    assert client.get(f"{BREAD}?fields=id").json()["errors"][0]["parameter"] == "fields"


def test_without_an_edition_it_is_503(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(home=tmp_path))) as client:
        assert client.get(BREAD).status_code == 503


def test_a_known_etag_is_not_modified_until_the_list_changes(client: TestClient, tmp_path: Path) -> None:
    first = client.get(BREAD)
    again = client.get(BREAD, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    kept = ("etag", "cache-control")
    assert [again.headers[name] for name in kept] == [first.headers[name] for name in kept]

    publish_other_edition(tmp_path)
    client.app.state.now.advance(seconds=2)  # type: ignore[attr-defined]

    changed = client.get(BREAD, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert "Sundials" in changed.text


def test_it_is_cached_like_the_json_and_not_mistaken_for_it(client: TestClient) -> None:
    fragment, cards = client.get(BREAD), client.get("/v1/articles/bread/related")

    assert fragment.headers["cache-control"] == cards.headers["cache-control"]
    assert fragment.headers["etag"] != cards.headers["etag"]


def test_as_a_page_of_its_own_it_runs_nothing_and_is_not_indexed(client: TestClient) -> None:
    headers = client.get(BREAD).headers

    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-robots-tag"] == "noindex"


def test_head_is_answered(client: TestClient) -> None:
    assert client.head(BREAD).headers["etag"] == client.get(BREAD).headers["etag"]


def test_the_script_is_javascript_that_a_cache_may_keep_for_long(client: TestClient) -> None:
    response = client.get("/related.js")

    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert 'customElements.define("related-articles"' in response.text
    assert response.headers["cache-control"].startswith("public, max-age=86400,")
    known = client.get("/related.js", headers={"If-None-Match": response.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_the_script_passes_on_every_parameter_there_is(client: TestClient) -> None:
    passed_on = client.get("/related.js").text.split('PASSED_ON = "')[1].split('"')[0].split()

    assert set(passed_on) == set(FragmentQuery.model_fields)


def test_the_openapi_document_says_html() -> None:
    responses = {route.path: route.responses for route in router.routes}  # type: ignore[attr-defined]

    assert responses["/v1/articles/{id:path}/related.html"][200]["content"].keys() == {"text/html"}
    assert responses["/related.js"][200]["content"].keys() == {"text/javascript"}
