"""API keys: made, known, refused, and never told."""

import hmac
import logging
import re
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from typer.testing import CliRunner

from service import keys
from service.cli import app as command
from service.keys import digest, is_known, new_key
from service.settings import load_settings
from tests.service.editions import publish_edition
from tests.service.posting import KEY, app_of, client_of, is_problem

PATHS = ["/v1/related", "/v1/related/batch"]
BODIES = {"/v1/related": {"positive": ["bread"]}, "/v1/related/batch": {"ids": ["bread"]}}


def ask(client: TestClient, path: str, authorization: str | None) -> Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    client.headers.pop("Authorization", None)
    return client.post(path, json=BODIES[path], headers=headers)


def test_a_key_is_new_each_time_and_goes_into_a_header_as_it_is() -> None:
    made = {new_key() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", key) for key in made)


def test_a_key_is_known_by_its_digest_wherever_that_stands() -> None:
    digests = [digest("a"), digest("b"), digest("c")]

    assert digest("a") == sha256(b"a").hexdigest()
    assert [is_known(key, digests) for key in ("a", "b", "c", "d", "", digests[0])] == [True] * 3 + [False] * 3
    assert not is_known("a", [])


def test_every_digest_is_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(given: str, known: str) -> bool:
        compared.append(known)
        return hmac.compare_digest(given, known)

    monkeypatch.setattr(keys, "hmac", type("Hmac", (), {"compare_digest": staticmethod(compare)}))
    digests = [digest(key) for key in "abc"]
    for key in "abcd":
        is_known(key, digests)

    assert compared == digests * 4


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("authorization", "sentence"),
    [
        (None, "send a key with the request"),
        ("Bearer", "send a key with the request"),
        (f"Basic {KEY}", "send a key with the request"),
        ("Bearer wrong-key", "the key is not known here"),
        (f"Bearer {KEY}x", "the key is not known here"),
        (f"Bearer {KEY.upper()}", "the key is not known here"),
    ],
)
def test_a_request_without_the_right_key_is_refused(
    tmp_path: Path, path: str, authorization: str | None, sentence: str
) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path)) as client:
        response = ask(client, path, authorization)

    problem = is_problem(response, 401, "An API key is needed")
    assert sentence in problem["detail"]
    assert problem["type"] == "tag:related-articles,2026:key-refused"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS)
def test_every_key_that_is_set_is_let_in(tmp_path: Path, path: str) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path)) as client:
        for authorization in (f"Bearer {KEY}", f"bearer {KEY}", "Bearer another"):
            assert ask(client, path, authorization).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_when_no_key_is_set_nobody_is_let_in_and_told_why(tmp_path: Path, path: str) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path, api_keys=())) as client:
        problem = is_problem(ask(client, path, f"Bearer {KEY}"), 401, "An API key is needed")

    assert problem["detail"] == "no key is set in this service, so nobody may ask this: `related key` makes one"


def test_the_key_is_asked_for_before_the_body_is_looked_at(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path)) as client:
        client.headers.pop("Authorization")
        for path in PATHS:
            assert client.post(path, content=b"{not json").status_code == 401


def test_reading_an_article_needs_no_key(tmp_path: Path) -> None:
    publish_edition(tmp_path)
    with client_of(app_of(tmp_path)) as client:
        client.headers.pop("Authorization")
        assert client.get("/v1/articles/bread/related").status_code == 200


def test_a_key_is_never_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    publish_edition(tmp_path)
    app = app_of(tmp_path)
    with client_of(app) as client:
        answers = [
            client.post("/v1/related", json={"positive": ["bread"]}),
            client.post("/v1/related", json={"positive": ["nothing"]}),
            client.post("/v1/related", json={"text": "A draft."}),
            client.post("/v1/related", json={"wrong": 1}),
            client.post("/v1/related", content="text"),
            client.post("/v1/related/batch", json={"ids": ["bread"]}, headers={"Authorization": f"Bearer {KEY}x"}),
            client.post("/v1/related/batch", json={"ids": ["bread"]}, headers={"Authorization": f"Basic {KEY}"}),
        ]
        app.state.live = None  # the service's own failure, whose traceback goes into the log
        answers.append(client.post("/v1/related/batch", json={"ids": ["bread"]}))

    assert [answer.status_code for answer in answers] == [200, 404, 403, 422, 415, 401, 401, 500]
    told = [answer.text + str(answer.headers) for answer in answers]
    written = "".join(capfd.readouterr()) + caplog.text
    for secret in (KEY, digest(KEY)):
        assert not [answer for answer in told if secret in answer]
        assert secret not in written


def test_the_command_prints_a_key_and_the_line_that_lets_it_in(tmp_path: Path) -> None:
    (tmp_path / "related.toml").write_text(f'api_keys = ["{digest("an older key")}"]\n')

    done = CliRunner().invoke(command, ["key", "--home", str(tmp_path)], catch_exceptions=False)

    made, line = done.stdout.splitlines()
    assert tomllib.loads(line) == {"api_keys": [digest("an older key"), digest(made)]}
    assert f"for {tmp_path / 'related.toml'}" in done.stderr
    assert made not in done.stderr
    (tmp_path / "related.toml").write_text(line)
    assert is_known(made, load_settings(tmp_path).api_keys)
    assert made != CliRunner().invoke(command, ["key", "--home", str(tmp_path)]).stdout.splitlines()[0]
