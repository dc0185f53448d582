"""The website's endpoint, over HTTP."""

import asyncio
import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, AsyncClient, Response

from recommender.edition import open_current
from recommender.ranking import MAX_LIMIT, Rules
from service.answers import Answers
from service.app import create_app
from service.editions import LiveEdition
from service.problems import MEDIA_TYPE
from service.schemas import Card, CardField
from service.settings import Settings
from tests.service.editions import ITEMS_OF_THE_SITE, ODD_IDS, Clock, publish_edition, publish_other_edition

BREAD = "/v1/articles/bread/related"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    publish_edition(tmp_path)
    with TestClient(create_app(Settings(home=tmp_path), Clock())) as client:
        yield client


def ids(response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [card["id"] for card in response.json()["items"]]


def is_problem(response: Response, status: int, title: str) -> dict[str, Any]:
    """The problem document, after a look at what all of them share."""
    problem: dict[str, Any] = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA_TYPE)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (problem["status"], problem["title"]) == (status, title)
    assert {"type", "title", "status", "detail"} <= problem.keys()
    return problem


def mistakes(response: Response) -> list[tuple[str, str]]:
    problem = is_problem(response, 422, HTTPStatus(422).phrase)  # the phrase differs between Python versions
    return [(error["parameter"], error["detail"]) for error in problem["errors"]]


def test_the_whole_answer_is_as_designed(client: TestClient, tmp_path: Path) -> None:
    edition = open_current(tmp_path)

    response = client.get(BREAD)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "article": {"id": "bread", "url": "https://example.org/bread", "title": "Bread"},
        "edition": {"id": edition.id, "built_at": "2026-11-01T12:00:00Z"},
        "recommendation_id": Answers(edition, Rules()).recommendation_id("bread"),
        "items": [
            {
                "id": "salt",
                "url": "https://example.org/salt",
                "title": "Salt",
                "standfirst": "On salt.",
                "category": "Food",
                "published": "2023-05-05",
                "score": 0.25,
                "position": 1,
                "origin": "curated",
                "reason": "listed by the editors; distant in meaning (0.30); distant in wording (0.05)",
            },
            {
                "id": "rye",
                "url": "https://example.org/rye",
                "title": "Rye",
                "standfirst": "On rye.",
                "category": "Food",
                "published": "2024-02-20",
                "score": 0.75,
                "position": 2,
                "origin": "model",
                "reason": "close in meaning (0.70); close in wording (0.40); same author",
            },
        ],
    }


def test_an_unknown_date_title_or_url_is_null(client: TestClient) -> None:
    card = client.get(BREAD, params={"category": "Time"}).json()["items"][0]

    assert (card["id"], card["url"], card["standfirst"], card["published"]) == ("sundial", None, None, None)


def test_the_card_is_what_the_schema_says() -> None:
    assert tuple(Card.model_fields) == get_args(CardField)


def test_an_article_is_also_found_by_its_url(client: TestClient) -> None:
    by_url = client.get("/v1/articles/related", params={"url": "https://example.org/bread"})

    assert by_url.json() == client.get(BREAD).json()
    assert by_url.headers["etag"] == client.get(BREAD).headers["etag"]


def test_parameters_also_count_for_a_url(client: TestClient) -> None:
    params: dict[str, str | int] = {"url": "https://example.org/bread", "limit": 1, "fields": "title"}

    assert client.get("/v1/articles/related", params=params).json()["items"] == [{"id": "salt", "title": "Salt"}]


@pytest.mark.parametrize("ident", ODD_IDS)
def test_any_id_can_be_asked_for(tmp_path: Path, ident: str) -> None:
    publish_edition(tmp_path)
    for path in {quote(ident), quote(ident, safe="")}:
        response = get_as_a_server_does(create_app(Settings(home=tmp_path)), f"/v1/articles/{path}/related")

        assert response.json()["article"] == {"id": ident, "url": None, "title": None}
        assert ids(response) == ["rye"]


def get_as_a_server_does(app: FastAPI, path: str) -> Response:
    """TestClient decodes a path twice, which no server does."""

    async def get() -> Response:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            return await client.get(path)

    return asyncio.run(get())


def test_without_a_curated_list_twelve_are_asked_for(client: TestClient, tmp_path: Path) -> None:
    edition = open_current(tmp_path)

    answer = client.get("/v1/articles/rye/related").json()

    assert answer["recommendation_id"] == Answers(edition, Rules()).recommendation_id("rye")
    assert len(answer["items"]) == 10


def test_the_limit_asked_for_is_kept(client: TestClient) -> None:
    assert ids(client.get(BREAD, params={"limit": 1})) == ["salt"]
    assert ids(client.get(BREAD, params={"limit": MAX_LIMIT})) == ["salt", "rye", "sundial"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"category": "Food"}, ["salt", "rye"]),
        ({"category": "food"}, []),
        ({"published_after": "2024-02-20"}, ["rye"]),
        ({"published_after": "2024-02-21"}, []),
        ({"published_before": "2023-05-05"}, ["salt"]),
        ({"published_before": "2023-05-04"}, []),
        ({"published_after": "2023-05-05", "published_before": "2023-05-05"}, ["salt"]),
        ({"exclude": "salt"}, ["rye", "sundial"]),
        ({"exclude": "salt, rye"}, ["sundial"]),
        ({"exclude": ["salt", "rye,sundial"]}, []),
        ({"exclude": ["nobody", ""]}, ["salt", "rye", "sundial"]),
        ({"min_score": "0.25"}, ["salt", "rye"]),
        ({"min_score": "0.2500001"}, ["rye"]),
        ({"min_score": "-1"}, ["salt", "rye", "sundial"]),
        ({"include": "unlinked"}, ["salt", "rye", "blurb:quern", "sundial"]),
        ({"include": ""}, ["salt", "rye", "sundial"]),
        ({"include": "unlinked", "min_score": "0.5"}, ["rye", "blurb:quern"]),
        ({"profile": "editors"}, ["salt", "rye", "sundial"]),
        ({"profile": "meaning"}, ["salt", "sundial", "rye"]),
        ({"profile": "meaning", "min_score": "0.6"}, ["sundial"]),
    ],
)
def test_a_parameter_leaves_out_what_it_says(
    client: TestClient, params: dict[str, str | list[str]], expected: list[str]
) -> None:
    assert ids(client.get(BREAD, params={"limit": 50, **params})) == expected


def test_the_score_of_a_card_is_the_profiles(client: TestClient) -> None:
    def scores(profile: str) -> dict[str, float]:
        answer = client.get(BREAD, params={"profile": profile, "limit": 3}).json()
        return {card["id"]: card["score"] for card in answer["items"]}

    assert scores("editors") == {"salt": 0.25, "rye": 0.75, "sundial": 0.125}
    assert scores("meaning") == {"salt": 0.25, "sundial": 0.625, "rye": 0.5}


@pytest.mark.parametrize(
    ("settings", "params", "expected"),
    [
        ({"min_score": 0.25}, {}, ["salt", "rye"]),
        ({"min_score": 0.25}, {"min_score": 0}, ["salt", "rye", "sundial"]),
        ({"min_score": 0.25}, {"min_score": 0.5}, ["rye"]),
        ({"per_category": 1}, {}, ["salt", "sundial"]),
        ({"at_least": 3}, {}, ["salt", "rye", "sundial"]),
        ({"at_least": 3}, {"limit": 1}, ["salt"]),
        ({"at_least": 3}, {"exclude": "rye"}, []),
        ({"at_least": 4}, {}, []),
        ({"diversity": 0.5}, {}, ["salt", "sundial", "rye"]),
    ],
)
def test_the_settings_are_the_default_rules_and_a_request_goes_before_them(
    tmp_path: Path, settings: dict[str, Any], params: dict[str, Any], expected: list[str]
) -> None:
    sketches = {"salt": 1, "rye": 1, "sundial": (1 << 256) - 2}
    items = [item._replace(sketch=sketches.get(item.id, 0)) for item in ITEMS_OF_THE_SITE]
    publish_edition(tmp_path, items=items)
    client = TestClient(create_app(Settings(home=tmp_path, **settings), Clock()))

    assert ids(client.get(BREAD, params={"limit": 50, **params})) == expected


def test_other_settings_give_the_list_another_name(client: TestClient, tmp_path: Path) -> None:
    other = TestClient(create_app(Settings(home=tmp_path, min_score=0.001), Clock())).get(BREAD)

    assert other.json()["items"] == client.get(BREAD).json()["items"]
    assert other.json()["recommendation_id"] != client.get(BREAD).json()["recommendation_id"]
    assert other.headers["etag"] != client.get(BREAD).headers["etag"]


def test_an_id_with_a_comma_can_be_excluded(client: TestClient) -> None:
    assert "a,b" in ids(client.get("/v1/articles/rye/related"))
    assert "a,b" not in ids(client.get("/v1/articles/rye/related", params={"exclude": "a,b"}))


def test_an_unlinked_blurb_is_a_card_without_url(client: TestClient) -> None:
    card = client.get(BREAD, params={"include": "unlinked", "limit": 3}).json()["items"][2]

    assert card == {
        "id": "blurb:quern",
        "url": None,
        "title": None,
        "standfirst": "How a quern was dressed.",
        "category": "Food",
        "published": "2022-03-03",
        "score": 0.5,
        "position": 3,
        "origin": "model",
        "reason": "akin in meaning (0.50); akin in wording (0.20)",
    }


def test_fields_cut_the_cards_and_leave_the_id(client: TestClient) -> None:
    salt, rye = client.get(BREAD, params={"fields": "url, title"}).json()["items"]

    assert salt == {"id": "salt", "url": "https://example.org/salt", "title": "Salt"}
    assert rye == {"id": "rye", "url": "https://example.org/rye", "title": "Rye"}


def test_no_good_neighbour_is_an_empty_list(client: TestClient) -> None:
    assert ids(client.get("/v1/articles/salt/related")) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", [("limit", "Input should be greater than or equal to 1")]),
        ("limit=51", [("limit", "Input should be less than or equal to 50")]),
        ("limit=many", [("limit", "Input should be a valid integer, unable to parse string as an integer")]),
        ("published_after=1700000000", [("published_after", "Input should be a date such as 2026-05-31")]),
        ("published_before=31.5.2026", [("published_before", "Input should be a date such as 2026-05-31")]),
        ("published_before=2026-02-30", [("published_before", "Input should be a date such as 2026-05-31")]),
        ("published_before=2026-01-01T10:00", [("published_before", "Input should be a date such as 2026-05-31")]),
        (
            "published_after=2026-01-02&published_before=2026-01-01",
            [("", "published_after should not be later than published_before")],
        ),
        ("min_score=nan", [("min_score", "Input should be a finite number")]),
        ("min_score=-inf", [("min_score", "Input should be a finite number")]),
        ("min_score=high", [("min_score", "Input should be a valid number, unable to parse string as a number")]),
        ("profile=mine", [("profile", "Input should be 'editors' or 'meaning'")]),
        ("profile=", [("profile", "Input should be 'editors' or 'meaning'")]),
        ("category=", [("category", "String should have at least 1 character")]),
        ("include=unlinked,drafts", [("include.1", "Input should be 'unlinked'")]),
        (
            "fields=title,colour",
            [("fields.1", "Input should be 'id', 'url', 'title', 'standfirst', 'category', 'published', 'score', "
              "'position', 'origin' or 'reason'")],
        ),
        ("limt=5", [("limt", "there is no such parameter; did you mean limit?")]),
        (
            "url=https://example.org/bread",
            [("url", "there is no such parameter; did you mean limit, profile, category, published_after, "
              "published_before, exclude, min_score, include, fields?")],
        ),
        ("limit=5&limit=6", [("limit", "should be given once")]),
        ("limit=0&min_score=x", [
            ("limit", "Input should be greater than or equal to 1"),
            ("min_score", "Input should be a valid number, unable to parse string as a number"),
        ]),
        ("limt=5&category=a&category=b", [
            ("limt", "there is no such parameter; did you mean limit?"),
            ("category", "should be given once"),
        ]),
    ],
)  # fmt: skip
def test_a_mistaken_parameter_is_refused_by_name(
    client: TestClient, query: str, expected: list[tuple[str, str]]
) -> None:
    assert mistakes(client.get(f"{BREAD}?{query}")) == expected


def test_the_detail_of_a_refusal_is_a_sentence(client: TestClient) -> None:
    detail = client.get(f"{BREAD}?limit=0&include=x").json()["detail"]

    assert detail == "limit: Input should be greater than or equal to 1; include.0: Input should be 'unlinked'"


def test_without_a_url_the_url_road_says_so(client: TestClient) -> None:
    assert mistakes(client.get("/v1/articles/related")) == [("url", "Field required")]
    assert mistakes(client.get("/v1/articles/related?url=a&url=b")) == [("url", "should be given once")]


def test_an_unknown_article_is_not_found(client: TestClient, tmp_path: Path) -> None:
    edition = open_current(tmp_path).id

    by_id = is_problem(client.get("/v1/articles/nobody/related"), 404, "No such article")
    by_url = is_problem(client.get("/v1/articles/related?url=https://example.org/no"), 404, "No such article")
    blurb = is_problem(client.get("/v1/articles/blurb:quern/related"), 404, "No such article")

    assert by_id["type"] == by_url["type"] == blurb["type"] == "tag:related-articles,2026:unknown-essay"
    assert by_id["detail"] == f"no essay 'nobody' in edition {edition}: see `related export` for its ids"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1/articles/bread", "/v1/articles/bread/related/", "/docs/assets/no.js"]
)
def test_an_unknown_page_is_a_problem(client: TestClient, path: str) -> None:
    problem = is_problem(client.get(path), 404, "Not Found")

    assert (problem["type"], problem["detail"]) == (
        "about:blank",
        f"GET {path} is not to be had here: /docs tells what is",
    )


def test_another_method_is_refused_and_the_right_ones_named(client: TestClient) -> None:
    response = client.post(BREAD)

    is_problem(response, 405, "Method Not Allowed")
    assert response.headers["allow"] == "GET, HEAD"


def test_a_failure_leaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LiveEdition) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(LiveEdition, "view", fail)
    client = TestClient(create_app(Settings(home=tmp_path)), raise_server_exceptions=False)

    response = client.get(BREAD)

    assert is_problem(response, 500, "Internal Server Error")["detail"] == "the service failed; its log says why"
    assert "secret" not in response.text
    assert "Traceback" not in response.text


def test_without_an_edition_the_website_is_told_to_come_back(tmp_path: Path) -> None:
    response = TestClient(create_app(Settings(home=tmp_path))).get(BREAD)

    problem = is_problem(response, 503, "No edition to answer from")
    assert problem["type"] == "tag:related-articles,2026:no-edition"
    assert problem["detail"] == "nothing is published yet, or it is damaged: /healthz says which"
    assert str(tmp_path) not in response.text
    assert response.headers["retry-after"] == "60"


def test_an_answer_may_be_cached(client: TestClient) -> None:
    headers = client.get(BREAD).headers

    assert (
        headers["cache-control"]
        == "public, max-age=60, s-maxage=300, stale-while-revalidate=3600, stale-if-error=86400"
    )
    assert headers["etag"].startswith('"')
    assert headers["etag"].endswith('"')
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
def test_a_copy_that_is_still_right_is_not_sent_again(client: TestClient, known: str) -> None:
    etag = client.get(BREAD).headers["etag"]

    response = client.get(BREAD, headers={"If-None-Match": known.format(etag=etag)})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert response.headers["cache-control"].startswith("public")


def test_another_copy_is_sent_again(client: TestClient) -> None:
    response = client.get(BREAD, headers={"If-None-Match": '"other"'})

    assert ids(response) == ["salt", "rye"]


def test_the_recommendation_id_names_the_list_and_the_etag_the_bytes(client: TestClient) -> None:
    def names(query: str) -> tuple[str, str]:
        response = client.get(f"{BREAD}?{query}")
        return response.json()["recommendation_id"], response.headers["etag"]

    plain = names("")
    assert names("profile=editors") == names("exclude=") == plain  # the defaults, said aloud
    assert names("fields=url,title") == names("fields=title&fields=url&fields=id")
    assert names("exclude=b&exclude=a") == names("exclude=a&exclude=b")
    assert names("fields=title")[0] == plain[0]
    assert names("fields=title")[1] != plain[1]
    others = ("limit=3", "category=Food", "published_after=2020-01-01", "published_before=2030-01-01", "exclude=x")
    different = [names(query) for query in (*others, "min_score=0", "include=unlinked", "profile=meaning")]
    for position in (0, 1):
        assert len({plain[position], *(name[position] for name in different)}) == 9


def test_another_edition_gives_the_list_another_name(client: TestClient, tmp_path: Path) -> None:
    before = client.get("/v1/articles/rye/related")
    publish_other_edition(tmp_path)
    after = TestClient(create_app(Settings(home=tmp_path))).get("/v1/articles/rye/related")

    assert before.json()["items"] == after.json()["items"]
    assert before.json()["recommendation_id"] != after.json()["recommendation_id"]
    assert before.headers["etag"] != after.headers["etag"]


@pytest.mark.parametrize("path", [BREAD, "/healthz", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css"])
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


def test_head_of_an_unknown_article_is_not_found(client: TestClient) -> None:
    response = client.head("/v1/articles/nobody/related")

    assert (response.status_code, response.content) == (404, b"")


def test_a_published_edition_is_served_within_a_second(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    clock = Clock()
    client = TestClient(create_app(Settings(home=tmp_path), clock))
    assert ids(client.get(BREAD)) == ["salt", "rye"]

    other = publish_other_edition(tmp_path)
    clock.advance(seconds=0.2)
    assert ids(client.get(BREAD)) == ["salt", "rye"]
    clock.advance(seconds=0.1)
    response = client.get(BREAD)

    assert ids(response) == ["sundial"]
    assert response.json()["edition"] == {"id": other, "built_at": "2026-11-01T13:00:00Z"}


def test_the_first_edition_is_picked_up_by_a_service_that_runs(tmp_path: Path) -> None:
    clock = Clock()
    client = TestClient(create_app(Settings(home=tmp_path), clock))
    assert client.get(BREAD).status_code == 503

    publish_edition(tmp_path)
    clock.advance(seconds=1)

    assert ids(client.get(BREAD)) == ["salt", "rye"]


def test_other_sites_may_ask_when_the_settings_name_them(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    settings = Settings(home=tmp_path, cors_origins=("https://example.org",))
    client = TestClient(create_app(settings))

    asked = client.get(BREAD, headers={"Origin": "https://example.org"})
    stranger = client.get(BREAD, headers={"Origin": "https://example.net"})

    assert asked.headers["access-control-allow-origin"] == "https://example.org"
    assert asked.headers["access-control-expose-headers"] == "ETag"
    assert "access-control-allow-origin" not in stranger.headers
    for response in (asked, stranger, client.get(BREAD)):
        assert response.headers["vary"] == "Accept-Encoding, Origin"


def test_by_default_no_other_site_may_ask(client: TestClient) -> None:
    headers = client.get(BREAD, headers={"Origin": "https://example.org"}).headers

    assert "access-control-allow-origin" not in headers
    assert headers["vary"] == "Accept-Encoding"


def test_the_docs_need_nothing_from_outside(client: TestClient) -> None:
    page = client.get("/", follow_redirects=True)

    assert page.url.path == "/docs"
    assert "http://" not in page.text
    assert "https://" not in page.text
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f'"docs/assets/{asset}"' in page.text
        assert client.get(f"/docs/assets/{asset}").status_code == 200


def test_a_page_tells_no_other_site_where_its_reader_came_from(client: TestClient) -> None:
    for page in ("/docs", "/v1/articles/bread/related.html"):
        assert client.get(page).headers["referrer-policy"] == "same-origin"


def test_the_docs_may_run_their_own_scripts_only(client: TestClient) -> None:
    policy = client.get("/docs").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 1
    assert "script-src 'self' 'sha256-" in policy


def test_openapi_describes_every_parameter_and_answer(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    by_id = schema["paths"]["/v1/articles/{id}/related"]["get"]
    by_url = schema["paths"]["/v1/articles/related"]["get"]

    dates = ["published_after", "published_before"]
    names = ["limit", "profile", "category", *dates, "exclude", "min_score", "include", "fields"]
    assert [parameter["name"] for parameter in by_id["parameters"]] == ["id", *names]
    assert [parameter["name"] for parameter in by_url["parameters"]] == [*names, "url"]
    for parameter in (*by_id["parameters"], *by_url["parameters"]):
        assert parameter["description"]
        assert parameter["schema"]["examples"]
    assert by_id["responses"].keys() == {"200", "304", "404", "422", "503"}
    assert by_id["responses"]["404"]["content"].keys() == {MEDIA_TYPE}
    assert schema["components"]["schemas"]["Card"]["required"] == ["id"]
    assert set(schema["paths"]) == {
        *("/v1/articles/{id}/related", "/v1/articles/related", "/v1/articles/{id}/related.html"),
        *("/v1/articles/related.html", "/v1/related", "/v1/related/batch", "/related.js"),
        *("/healthz", "/readyz", "/metrics"),
    }
    refs = [line for line in json.dumps(schema, indent=1).splitlines() if '"$ref"' in line]
    assert all("#/components/schemas/" in line for line in refs)
