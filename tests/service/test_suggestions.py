"""Related articles by examples, for drafts and in batches, over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from recommender.edition import current_id, open_current
from recommender.ranking import Ranking, Recommendation, Rules
from service.answers import Answers
from service.drafts import DraftDesk
from service.replies import Replies
from tests.service.editions import ODD_IDS, publish_edition, publish_other_edition
from tests.service.posting import app_of, client_of, is_problem, mistakes
from tests.service.test_light_imports import HEAVY

RELATED, BATCH = "/v1/related", "/v1/related/batch"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path)) as client:
        yield client


def ids(response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [card["id"] for card in response.json()["items"]]


def post(client: TestClient, path: str = RELATED, **body: Any) -> Response:
    return client.post(path, json=body)


# --- By examples --------------------------------------------------------------------------------------------------


def test_the_whole_answer_to_examples(client: TestClient, tmp_path: Path) -> None:
    response = post(client, positive=["bread", "a,b"], negative=["sundial"])

    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert len(body.pop("recommendation_id")) == 24
    assert body == {
        "article": None,
        "edition": {"id": current_id(tmp_path), "built_at": "2026-11-01T12:00:00Z"},
        "items": [
            {
                "id": "rye",
                "url": "https://example.org/rye",
                "title": "Rye",
                "standfirst": "On rye.",
                "category": "Food",
                "published": "2024-02-20",
                "score": 0.633975,
                "position": 1,
                "origin": "model",
                "reason": "most of all related to Bread; close in meaning (0.70); close in wording (0.40)",
            },
            {
                "id": "salt",
                "url": "https://example.org/salt",
                "title": "Salt",
                "standfirst": "On salt.",
                "category": "Food",
                "published": "2023-05-05",
                "score": 0.25,
                "position": 2,
                "origin": "model",
                "reason": "most of all related to Bread; distant in meaning (0.30); distant in wording (0.05)",
            },
        ],
    }


def test_a_negative_lowers_what_it_would_list(client: TestClient) -> None:
    assert post(client, positive=["rye"]).json()["items"][0]["score"] == 0.5
    assert post(client, positive=["rye"], negative=["sundial"]).json()["items"][0]["id"] == "bread"
    assert post(client, positive=["rye"], negative=["sundial"]).json()["items"][-1]["score"] == 0.25


def test_twelve_are_shown_unless_the_request_says_otherwise(client: TestClient) -> None:
    assert len(ids(post(client, positive=["rye", "sundial"], include=["unlinked"]))) == 10
    assert len(ids(post(client, positive=["rye"], limit=3))) == 3
    assert len(ids(post(client, positive=["rye"], limit=3.0))) == 3  # JSON knows no difference


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"category": "Time"}, ["sundial"]),
        ({"category": "Nothing"}, []),
        ({"published_after": "2024-01-01"}, ["rye"]),
        ({"published_before": "2023-12-31"}, ["salt"]),
        ({"exclude": ["rye"]}, ["salt", "sundial"]),
        ({"min_score": 0.5}, ["rye"]),
        ({"include": ["unlinked"]}, ["rye", "blurb:quern", "salt", "sundial"]),
        ({"profile": "meaning"}, ["sundial", "rye", "salt"]),
        ({"limit": None, "category": None}, ["rye", "salt", "sundial"]),
    ],
    ids=str,
)
def test_the_parameters_are_those_of_an_article(client: TestClient, parameters: Any, expected: list[str]) -> None:
    assert ids(post(client, positive=["bread"], **parameters)) == expected


def test_a_card_has_the_fields_asked_for(client: TestClient) -> None:
    assert post(client, positive=["bread"], limit=1, fields=["title"]).json()["items"] == [
        {"id": "rye", "title": "Rye"}
    ]


def test_the_sites_own_rules_hold(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path, min_score=0.5)) as client:
        assert ids(post(client, positive=["bread"])) == ["rye"]


def test_a_list_is_named_by_all_that_decides_it_and_nothing_else(client: TestClient) -> None:
    def name(**body: Any) -> str:
        return str(post(client, **body).json()["recommendation_id"])

    same = [
        name(positive=["bread", "rye"]),
        name(positive=["rye", "bread", "rye"], negative=[]),
        name(positive=["bread", "rye"], fields=["title"]),
    ]
    other = [
        name(positive=["bread"]),
        name(positive=["bread"], negative=["rye"]),
        name(positive=["bread", "rye"], limit=3),
        name(positive=["bread", "rye"], profile="meaning"),
        client.get("/v1/articles/bread/related").json()["recommendation_id"],
    ]

    assert len(set(same)) == 1
    assert len({*same, *other}) == 6


def test_unknown_ids_are_all_named(client: TestClient) -> None:
    problem = is_problem(post(client, positive=["bread", "none"], negative=["nought", "none"]), 404, "No such article")

    assert problem["detail"].startswith("no essay 'none', 'nought' in edition ")
    assert problem["type"] == "tag:related-articles,2026:unknown-essay"


@pytest.mark.parametrize("ident", ODD_IDS)
def test_any_id_may_be_an_example(client: TestClient, ident: str) -> None:
    assert ids(post(client, positive=[ident])) == ["rye"]


# --- What is refused ----------------------------------------------------------------------------------------------

EITHER = ("", "Input should be an object with either `text` or `positive`")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [EITHER]),
        ([], [EITHER]),
        ("text", [EITHER]),
        ({"negative": ["rye"]}, [EITHER]),
        ({"text": "A draft.", "positive": ["rye"]}, [EITHER]),
        ({"positive": []}, [("positive", "List should have at least 1 item after validation, not 0")]),
        ({"positive": ["a"] * 21}, [("positive", "List should have at most 20 items after validation, not 21")]),
        (
            {"positive": ["a"], "negative": ["a"] * 21},
            [("negative", "List should have at most 20 items after validation, not 21")],
        ),
        ({"positive": [""]}, [("positive.0", "String should have at least 1 character")]),
        ({"positive": "rye"}, [("positive", "Input should be a valid array")]),
        ({"text": ""}, [("text", "String should have at least 1 character")]),
        ({"text": " \n"}, [("text", "Input should hold a word")]),
        ({"text": "A draft.", "title": ""}, [("title", "String should have at least 1 character")]),
        ({"text": "A draft.", "negative": ["rye"]}, [("negative", "Extra inputs are not permitted")]),
        ({"positive": ["rye"], "limt": 5}, [("limt", "Extra inputs are not permitted")]),
        ({"positive": ["rye"], "limit": 51}, [("limit", "Input should be less than or equal to 50")]),
        ({"positive": ["rye"], "limit": 5.5}, [("limit", "Input should be a valid integer")]),
        ({"positive": ["rye"], "limit": True}, [("limit", "Input should be a valid integer")]),
        ({"positive": ["rye"], "limit": "5"}, [("limit", "Input should be a valid integer")]),
        ({"positive": ["rye"], "published_after": 5}, [("published_after", "Input should be a valid date")]),
        (
            {"positive": ["rye"], "published_after": "2024-02-01", "published_before": "2024-01-01"},
            [("", "published_after should not be later than published_before")],
        ),
        (
            {"positive": ["rye"], "fields": ["titel"], "min_score": "high"},
            [
                ("min_score", "Input should be a valid number"),
                (
                    "fields.0",
                    "Input should be 'id', 'url', 'title', 'standfirst', 'category', 'published', 'score', "
                    "'position', 'origin' or 'reason'",
                ),
            ],
        ),
    ],
)
def test_a_mistake_is_refused_and_named(client: TestClient, body: Any, expected: list[tuple[str, str]]) -> None:
    assert mistakes(client.post(RELATED, json=body)) == expected


@pytest.mark.parametrize("path", [RELATED, BATCH])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"positive": ["\\ud800"]}', b"[" * 10_000, b'{"limit": 1' + b"0" * 5000 + b"}"],
    ids=["empty", "broken", "not UTF-8", "half a character", "deep", "a number of 5,000 digits"],
)
def test_what_is_no_json_is_refused(client: TestClient, path: str, body: bytes) -> None:
    response = client.post(path, content=body, headers={"Content-Type": "application/json; charset=utf-8"})

    assert mistakes(response)[0][1].startswith("Invalid JSON: ")


@pytest.mark.parametrize("path", [RELATED, BATCH])
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_is_not_declared_as_json_is_refused(client: TestClient, path: str, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    response = client.post(path, content=b'{"positive": ["bread"]}', headers=headers)

    assert "application/json" in is_problem(response, 415, "The body should be JSON")["detail"]


@pytest.mark.parametrize("path", [RELATED, BATCH])
def test_only_posting_is_answered(client: TestClient, path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        response = client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(("path", "body"), [(RELATED, {"positive": ["bread"]}), (BATCH, {"ids": ["bread"]})])
def test_without_an_edition_nothing_is_answered(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    with client_of(app_of(tmp_path)) as client:
        response = post(client, path, **body)

    is_problem(response, 503, "No edition to answer from")
    assert response.headers["retry-after"] == "60"


# --- Drafts -------------------------------------------------------------------------------------------------------


class Echo:
    """A reader that recommends rye for whatever it is given."""

    def __init__(self) -> None:
        self.read: list[tuple[str | None, str, Rules]] = []

    def suggest(self, draft: Any, rules: Rules) -> Ranking:
        self.read.append((draft.title, draft.body, rules))
        return Ranking((Recommendation(draft.id, "rye", 1, 0.5, "model", ("close in meaning (0.70)",)),), ())


@pytest.fixture
def reader() -> Echo:
    return Echo()


@pytest.fixture
def drafting(tmp_path: Path, reader: Echo) -> Iterator[TestClient]:
    """A service that answers drafts by that reader."""
    publish_edition(tmp_path)
    app = app_of(tmp_path, drafts=True)
    app.state.drafts = DraftDesk(lambda edition: reader, waiting=1, seconds=5)
    with client_of(app) as client:
        yield client


def test_a_draft_is_answered_like_an_article(drafting: TestClient, reader: Echo, tmp_path: Path) -> None:
    body = post(drafting, text="On maps\nA map of the coast.", fields=["title", "score"]).json()

    assert body["article"] is None
    assert body["edition"]["id"] == current_id(tmp_path)
    assert body["items"] == [{"id": "rye", "title": "Rye", "score": 0.5}]
    assert reader.read == [("On maps", "A map of the coast.", Rules())]


def test_a_title_may_be_given_apart(drafting: TestClient, reader: Echo) -> None:
    post(drafting, title="On maps", text="A map.\n\nAnother.", limit=3, profile="meaning", category="Food")

    rules = Rules(limit=3, profile="meaning", category="Food")
    assert reader.read == [("On maps", "A map.\n\nAnother.", rules)]


def test_a_drafts_list_is_named_by_its_text(drafting: TestClient) -> None:
    names = [
        post(drafting, **draft).json()["recommendation_id"]
        for draft in ({"text": "One"}, {"text": "One"}, {"text": "Two"}, {"text": "One", "title": "Two"})
    ]

    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_service_without_a_model_says_how_it_would_answer_drafts(client: TestClient) -> None:
    problem = is_problem(post(client, text="A draft."), 403, "Drafts are not answered here")

    assert problem["detail"] == "this service answers no drafts: start it with `related serve --drafts`"
    assert problem["type"] == "tag:related-articles,2026:drafts-off"


def test_examples_need_no_model(tmp_path: Path) -> None:
    program = f"""
import sys, tempfile
from pathlib import Path
from tests.service.editions import publish_edition
from tests.service.posting import app_of, client_of
with tempfile.TemporaryDirectory() as home:
    publish_edition(Path(home))
    with client_of(app_of(Path(home), drafts=True)) as client:
        answers = [
            client.post("/v1/related", json={{"positive": ["bread"], "negative": ["rye"]}}),
            client.post("/v1/related/batch", json={{"ids": ["bread"]}}),
        ]
print([answer.status_code for answer in answers], [name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[200, 200] []\n"


# --- Batches ------------------------------------------------------------------------------------------------------


def test_a_batch_answers_each_article_as_its_own_address_does(client: TestClient, tmp_path: Path) -> None:
    asked = ["bread", "sundial", "rye", "salt"]
    body = post(client, BATCH, ids=asked, limit=2, fields=["title", "score"]).json()

    assert body["edition"] == {"id": current_id(tmp_path), "built_at": "2026-11-01T12:00:00Z"}
    assert body["unknown"] == []
    for ident, result in zip(asked, body["results"], strict=True):
        alone = client.get(f"/v1/articles/{ident}/related", params={"limit": 2, "fields": "title,score"}).json()
        assert result == {name: alone[name] for name in ("article", "recommendation_id", "items")}


def test_each_page_of_a_batch_has_its_own_length(client: TestClient) -> None:
    results = post(client, BATCH, ids=["bread", "rye"]).json()["results"]

    assert [len(result["items"]) for result in results] == [2, 10]


def test_what_is_unknown_is_named_and_what_is_asked_twice_is_answered_once(client: TestClient) -> None:
    body = post(client, BATCH, ids=["rye", "z", "bread", "rye", "blurb:quern", "z"]).json()

    assert [result["article"]["id"] for result in body["results"]] == ["rye", "bread"]
    assert body["unknown"] == ["z", "blurb:quern"]


def test_a_batch_that_knows_none_is_answered_all_the_same(client: TestClient) -> None:
    body = post(client, BATCH, ids=["z"]).json()

    assert (body["results"], body["unknown"]) == ([], ["z"])


def test_a_hundred_may_be_asked_for_and_no_more(client: TestClient) -> None:
    assert len(post(client, BATCH, ids=[f"z{number}" for number in range(100)]).json()["unknown"]) == 100
    assert mistakes(post(client, BATCH, ids=["bread"] * 101)) == [
        ("ids", "List should have at most 100 items after validation, not 101")
    ]
    assert mistakes(post(client, BATCH, ids=[])) == [
        ("ids", "List should have at least 1 item after validation, not 0")
    ]
    assert mistakes(post(client, BATCH)) == [("ids", "Field required")]


def test_a_variant_is_told_with_each_article(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path, variants=("curated:100",))) as client:
        (result,) = post(client, BATCH, ids=["bread"]).json()["results"]

    assert (result["variant"], [card["id"] for card in result["items"]]) == ("curated", ["salt"])


def test_a_batch_is_from_one_edition_though_others_are_published_meanwhile(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    app = app_of(tmp_path)
    with client_of(app) as client:
        editions = [open_current(tmp_path)]
        publish_other_edition(tmp_path)
        editions.append(open_current(tmp_path))
        expected = {
            edition.id: [place.target for place in edition.related("bread").recommendations] for edition in editions
        }
        turns = iter(range(10_000))

        def swap() -> Any:
            return Replies(Answers(editions[next(turns) % 2], Rules()))

        app.state.live.replies = swap
        for _ in range(4):
            body = post(client, BATCH, ids=["bread", "rye"]).json()
            assert [card["id"] for card in body["results"][0]["items"]] == expected[body["edition"]["id"]]


# --- The document -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "more"), [(RELATED, {403, 404}), (BATCH, set())])
def test_the_document_tells_the_body_the_key_and_every_answer(client: TestClient, path: str, more: set[int]) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"][path]["post"]

    assert {int(status) for status in operation["responses"]} == {200, 401, 408, 413, 415, 422, 503, *more}
    assert operation["security"] == [{"api_key": []}]
    scheme = document["components"]["securitySchemes"]["api_key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    body = operation["requestBody"]
    assert body["required"] is True
    assert list(body["content"]) == ["application/json"]
    assert "examples" in body["content"]["application/json"]


@pytest.mark.parametrize("path", [RELATED, BATCH])
def test_the_documents_examples_are_no_mistakes(client: TestClient, path: str) -> None:
    operation = client.get("/openapi.json").json()["paths"][path]["post"]

    for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
        response = post(client, path, **example["value"])
        assert response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY, json.dumps(example)
