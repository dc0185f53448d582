"""Who gets into the desk: each way in, and each way that only looks like one."""

import logging
import re
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.accounts import Role
from service.desk.access import current_person, describe_desk, local_path, require, router
from service.desk.people import Person
from service.editions import utc_now
from service.keys import digest
from service.problems import MEDIA_TYPE, handle_problems
from service.settings import Settings

OUTSIDE = "203.0.113.9"
PROXY = "10.1.2.3"
HOST = "http://desk.example.org"
HERE = "http://localhost:8000"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = {"Sec-Fetch-Site": "same-origin"}
EDITORS = tuple(f"{role}-name:{role}:{digest(f'{role} token')}" for role in ("viewer", "editor", "admin"))
WITH_TOKENS = {"editors": EDITORS}
WITH_HEADER = {"desk_user_header": "X-Remote-User", "desk_users": ("anna:editor", "åsa:admin")}
BY_PROXY = {**WITH_HEADER, "trusted_proxies": (PROXY, "fd00::/8")}


def changed(app: ASGIApp, **scope: Any) -> ASGIApp:
    """The app, each of whose requests comes with this in its scope: what TestClient cannot say."""

    async def call(before: Scope, receive: Receive, send: Send) -> None:
        await app({**before, **scope}, receive, send)

    return call


def app_of(home: Path, **settings: Any) -> FastAPI:
    """A small service with the desk's doors, a page, a page for each role, and a write."""
    app = FastAPI()
    app.state.settings, app.state.now = Settings(home=home, **settings), utc_now
    app.include_router(router)
    handle_problems(app)

    @app.get("/desk")
    @app.get("/desk/pages/{page:path}")
    async def show(person: Annotated[Person, Depends(current_person)], request: Request) -> list[str]:
        assert request.state.person is person
        return [person.name, person.role.value, person.way]

    for role in Role:
        app.get(f"/desk/for/{role.value}")(who(role))
    app.post("/desk/decide")(who(Role.EDITOR))
    app.delete("/desk/decide")(who(Role.ADMIN))
    return app


def who(role: Role) -> Any:
    async def answer(person: Annotated[Person, Depends(require(role))]) -> list[str]:
        return [person.name, person.role.value, person.way]

    return answer


def client_of(app: ASGIApp, peer: str = OUTSIDE, url: str = HOST) -> TestClient:
    return TestClient(app, client=(peer, 1234), base_url=url, follow_redirects=False)


def log_in(client: TestClient, token: str = "editor token", **fields: str) -> Response:  # noqa: S107
    return client.post("/desk/login", data={"token": token, **fields}, headers=OWN | PAGE)


def refusal(response: Response, status: int = 403) -> str:
    """The sentence of a problem document."""
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA_TYPE)
    return str(response.json()["detail"])


# Tokens


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_a_token_lets_a_program_in(tmp_path: Path, role: str) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    for scheme in ("Bearer", "bearer"):
        answer = client.get("/desk", headers={"Authorization": f"{scheme} {role} token"})
        assert answer.json() == [f"{role}-name", role, "token"]
    assert not (tmp_path / "desk.secret").exists()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", [{}, OWN, {"Origin": HOST}], ids=["program", "own", "origin"])
@pytest.mark.parametrize("token", ["wrong", "", digest("editor token"), "editor token x"])
def test_a_wrong_token_is_401(tmp_path: Path, method: str, headers: dict[str, str], token: str) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    path = "/desk" if method == "GET" else "/desk/decide"

    answer = client.request(method, path, headers={**headers, "Authorization": f"Bearer {token}"})

    assert refusal(answer, 401) == "the token is not known here"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "tag:related-articles,2026:not-signed-in"


def test_a_wrong_token_is_sent_to_no_login(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    assert client.get("/desk", headers=PAGE | {"Authorization": "Bearer wrong"}).status_code == 401


def test_a_wrong_token_is_refused_in_spite_of_a_good_cookie(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    log_in(client)

    assert client.get("/desk", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/desk").status_code == 200


def test_a_key_of_the_api_is_no_token_of_the_desk(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, api_keys=(digest("key"),), **WITH_TOKENS))

    assert client.get("/desk", headers={"Authorization": "Bearer key"}).status_code == 401


def test_roles_open_their_own_pages_and_those_of_the_lesser_ones(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    def opened(role: str) -> list[int]:
        headers = {"Authorization": f"Bearer {role} token"}
        return [client.get(f"/desk/for/{needed.value}", headers=headers).status_code for needed in Role]

    assert opened("viewer") == [200, 403, 403]
    assert opened("editor") == [200, 200, 403]
    assert opened("admin") == [200, 200, 200]


def test_a_viewers_write_is_refused_with_the_role_it_needs(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    log_in(client, "viewer token")

    sentence = refusal(client.post("/desk/decide", headers=OWN))

    assert sentence == "this is for the role editor, and viewer-name is viewer"


# Logging in and out


@pytest.mark.parametrize("path", ["/desk", "/desk/for/viewer"])
def test_a_browser_that_is_not_signed_in_is_sent_to_the_login(tmp_path: Path, path: str) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    answer = client.get(path, headers=PAGE)

    assert answer.status_code == 303
    assert answer.headers["location"] == (
        "/desk/login" if path == "/desk" else "/desk/login?next=%2Fdesk%2Ffor%2Fviewer"
    )
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
def test_a_program_that_is_not_signed_in_is_told_so(tmp_path: Path, accept: str) -> None:
    answer = client_of(app_of(tmp_path, **WITH_TOKENS)).get("/desk", headers={"Accept": accept})

    assert refusal(answer, 401) == "sign in, or send a token: `Authorization: Bearer TOKEN`"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_login_leads_back_to_the_page_that_was_asked_for(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    asked = "/desk/pages/a%2Fb%3Fc?filter=new&q=%C3%A9"

    form = client.get(client.get(asked, headers=PAGE).headers["location"], headers=PAGE)
    onwards = re.search(r'name="next" value="([^"]*)"', form.text)[1].replace("&amp;", "&")  # type: ignore[index]
    answer = log_in(client, next=onwards)

    assert onwards == asked
    assert (answer.status_code, answer.headers["location"]) == (303, asked)
    assert client.get(asked).json() == ["editor-name", "editor", "session"]


def test_what_was_posted_is_not_come_back_to(tmp_path: Path) -> None:
    answer = client_of(app_of(tmp_path, **WITH_TOKENS)).post("/desk/decide", headers=PAGE | OWN)

    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/login")


def test_the_login_page_may_load_and_send_nothing_elsewhere(tmp_path: Path) -> None:
    answer = client_of(app_of(tmp_path, **WITH_TOKENS)).get("/desk/login", headers=PAGE)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<input id="token" name="token" type="password"' in answer.text
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'", "'none'")
    assert (policy["script-src"], policy["form-action"]) == ("'self'", "'self'")
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("token", ["wrong", "", "editor token x", digest("editor token")])
def test_a_wrong_token_in_the_form_shows_the_form_again(tmp_path: Path, token: str) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    answer = log_in(client, token, next="/desk/pages/x")

    assert answer.status_code == 401
    assert "This token is not known here." in answer.text
    assert 'name="next" value="/desk/pages/x"' in answer.text
    assert "set-cookie" not in answer.headers
    assert not token or token not in answer.text


def test_a_token_may_be_pasted_with_spaces_around(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    assert log_in(client, " editor token\r\n").status_code == 303
    assert client.get("/desk").json() == ["editor-name", "editor", "session"]


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"token": "editor token"}},
        {"files": {"token": ("t", b"editor token")}},
        {"content": b"editor token"},
        {},
    ],
    ids=["json", "file", "bytes", "nothing"],
)
def test_only_a_form_signs_in(tmp_path: Path, body: dict[str, Any]) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    assert client.post("/desk/login", headers=OWN, **body).status_code == 401


@pytest.mark.parametrize("content", [b"token=%FF%FE", b"&" * 500, b"token&next", b"token=a&token=b"])
def test_an_odd_form_is_a_wrong_token(tmp_path: Path, content: bytes) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert client.post("/desk/login", headers=OWN | form, content=content).status_code == 401


def cookie_of(response: Response) -> dict[str, str]:
    """The attributes of the one cookie that is set, those without value being "yes"."""
    (header,) = response.headers.get_list("set-cookie")
    (morsel,) = SimpleCookie(header).values()
    return {name: "yes" if value is True else str(value) for name, value in morsel.items() if value}


@pytest.mark.parametrize(
    ("peer", "url", "headers", "secure"),
    [
        (OUTSIDE, HOST, {}, False),
        (OUTSIDE, "https://desk.example.org", {}, True),
        (OUTSIDE, HOST, {"X-Forwarded-Proto": "https"}, False),
        (PROXY, HOST, {"X-Forwarded-Proto": "https"}, True),
        (PROXY, HOST, {"X-Forwarded-Proto": "http"}, False),
        ("127.0.0.1", HOST, {"X-Forwarded-Proto": "https"}, True),
    ],
)
def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(
    tmp_path: Path, peer: str, url: str, headers: dict[str, str], secure: bool
) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS, trusted_proxies=(PROXY,)), peer, url)

    answer = client.post("/desk/login", data={"token": "editor token"}, headers=OWN | headers)

    expected = {"path": "/desk", "max-age": "43200", "httponly": "yes", "samesite": "strict"}
    assert cookie_of(answer) == expected | ({"secure": "yes"} if secure else {})


def test_a_session_ends_with_its_twelve_hours(tmp_path: Path) -> None:
    app = app_of(tmp_path, **WITH_TOKENS)
    client = client_of(app)
    log_in(client)

    app.state.now = lambda: utc_now() + timedelta(hours=11, minutes=59)
    assert client.get("/desk").status_code == 200
    app.state.now = lambda: utc_now() + timedelta(hours=12)
    assert client.get("/desk").status_code == 401


def settings_after(change: str) -> dict[str, Any]:
    changes = {
        "nothing": EDITORS,
        "promoted": (f"editor-name:admin:{digest('editor token')}",),
        "removed": EDITORS[:1],
        "another token": (f"editor-name:editor:{digest('new token')}",),
    }
    return {"editors": changes[change]}


@pytest.mark.parametrize(
    ("change", "status"), [("nothing", 403), ("promoted", 200), ("removed", 401), ("another token", 401)]
)
def test_a_session_follows_its_account_when_the_service_starts_anew(tmp_path: Path, change: str, status: int) -> None:
    old = client_of(app_of(tmp_path, **WITH_TOKENS))
    log_in(old)

    client = client_of(app_of(tmp_path, **settings_after(change)))
    client.cookies = old.cookies

    assert client.get("/desk/for/admin").status_code == status


def test_a_forged_cookie_is_no_session(tmp_path: Path) -> None:
    app = app_of(tmp_path, **WITH_TOKENS)
    log_in(signed_in := client_of(app))
    good = signed_in.cookies["related_desk"]

    def asked_with(cookie: str) -> int:
        return client_of(app).get("/desk", headers={"Cookie": f"related_desk={cookie}"}).status_code

    assert asked_with(good) == 200
    assert {asked_with(bad) for bad in ("", "x", good[:-1], good[1:], f"{good}A", good.split(".")[0])} == {401}


def test_logging_out_takes_the_cookie_back(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    log_in(client)

    answer = client.post("/desk/logout", headers=OWN)

    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/login")
    cookie = cookie_of(answer)
    assert (cookie["path"], cookie["max-age"], cookie["httponly"]) == ("/desk", "0", "yes")
    assert client.get("/desk").status_code == 401


@pytest.mark.parametrize("path", ["/desk/login", "/desk/logout"])
def test_another_site_signs_nobody_in_or_out(tmp_path: Path, path: str) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    log_in(client)

    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        answer = client.post(path, data={"token": "viewer token"}, headers=headers)
        assert refusal(answer)
        assert "set-cookie" not in answer.headers
    assert client.get("/desk").json() == ["editor-name", "editor", "session"]


def test_reading_the_logout_does_nothing(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))
    log_in(client)

    assert client.get("/desk/logout").status_code == 405
    assert client.get("/desk").status_code == 200


LOCAL = ["/desk", "/desk?q=1", "/desk/pages/a", "/desk/pages/a%2Fb", "/desk/pages/a?to=//x&u=http://x/", "/desk/a#b"]
FOREIGN = [
    "",
    "/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/desk",
    "https:/desk",
    "javascript:alert(1)",
    "//evil.example/desk",
    "/%2Fevil.example",
    "%2F%2Fevil.example",
    "/%5Cevil.example",
    "/desk//evil.example",
    "/desk/..//evil.example",
    "/desk/../v1",
    "/desk/%2e%2E/v1",
    "/desk/.%2e/v1",
    "/desk/\\evil.example",
    "/deskevil",
    "/desk@evil.example",
    "/desk.evil.example",
    "/DESK",
    " /desk/x",
    "/desk/a b",
    "/desk/\t/evil.example",
    "\n/desk/x",
    "/desk/x\r\nSet-Cookie: a=b",
    "/desk/é",
    "desk",
]


@pytest.mark.parametrize("path", LOCAL)
def test_a_page_of_the_desk_may_be_gone_on_to(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize("path", FOREIGN)
def test_no_login_leads_away_from_the_desk(tmp_path: Path, path: str) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    assert local_path(path) == "/desk"
    assert 'name="next" value="/desk"' in client.get("/desk/login", params={"next": path}).text
    assert log_in(client, next=path).headers["location"] == "/desk"


# The proxy's header


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", PROXY, f"::ffff:{PROXY}", "fd12::7"]
)
def test_a_trusted_proxy_names_who_asks(tmp_path: Path, peer: str) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY), peer)

    assert client.get("/desk", headers={"X-Remote-User": "anna"}).json() == ["anna", "editor", "proxy"]
    assert client.get("/desk", headers={"X-Remote-User": "åsa".encode()}).json() == ["åsa", "admin", "proxy"]


@pytest.mark.parametrize(
    "peer",
    [OUTSIDE, "10.1.2.4", "::2", "::ffff:203.0.113.9", "fe80::1", "testclient", "", "localhost", "127.0.0.1.evil"],
)
def test_from_outside_the_header_is_nobodys_word(tmp_path: Path, peer: str) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY), peer)
    spoofed = {
        "X-Remote-User": "anna",
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": PROXY,
        "Forwarded": "for=127.0.0.1",
    }

    assert refusal(client.get("/desk", headers=spoofed)) == (
        "the desk is entered by the proxy that names its users in X-Remote-User"
    )


def test_from_outside_the_header_takes_nothing_from_a_session_either(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY, **WITH_TOKENS))
    spoofed = {"X-Remote-User": "åsa"}

    assert client.get("/desk", headers={"X-Remote-User": "anna"}).status_code == 401
    log_in(client)
    assert client.get("/desk", headers={"X-Remote-User": spoofed["X-Remote-User"].encode()}).json() == [
        "editor-name",
        "editor",
        "session",
    ]


def test_without_the_setting_no_header_names_anybody(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS, desk_users=("anna:admin",)), "127.0.0.1")

    assert client.get("/desk", headers={"X-Remote-User": "anna"}).status_code == 401


def test_a_client_without_an_address_is_trusted_with_nothing(tmp_path: Path) -> None:
    proxied = client_of(changed(app_of(tmp_path, **BY_PROXY), client=None), "127.0.0.1")
    local = client_of(changed(app_of(tmp_path), client=None), "127.0.0.1", HERE)

    assert proxied.get("/desk", headers={"X-Remote-User": "anna"}).status_code == 403
    assert local.get("/desk").status_code == 403


@pytest.mark.parametrize(
    ("default", "answer"),
    [(None, 403), ("viewer", ["carla", "viewer", "proxy"]), ("admin", ["carla", "admin", "proxy"])],
)
def test_whom_the_settings_do_not_name_gets_the_default_role(tmp_path: Path, default: str | None, answer: Any) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY, desk_default_role=default), PROXY)

    found = client.get("/desk", headers={"X-Remote-User": "carla"})

    if answer == 403:
        assert refusal(found) == "carla is not among the desk's users: an admin adds them to desk_users"
    else:
        assert found.json() == answer


def test_a_name_is_not_guessed_at(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY), PROXY)

    for name in ("Anna", "anna:editor", "anna@evil.example"):
        assert client.get("/desk", headers={"X-Remote-User": name}).status_code == 403


@pytest.mark.parametrize("name", [b"", b"a,b", b"\xe9", b"x" * 101, "a\u202eb".encode()])
def test_a_header_without_a_name_lets_nobody_in(tmp_path: Path, name: bytes) -> None:
    headers = [(b"host", b"desk.example.org"), (b"x-remote-user", name)]
    app = app_of(tmp_path, **BY_PROXY, desk_default_role="admin")

    assert "X-Remote-User holds no name" in refusal(client_of(changed(app, headers=headers), PROXY).get("/desk"))


def test_a_header_beside_the_browsers_own_is_refused(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY), PROXY)

    answer = client.get("/desk", headers=[("X-Remote-User", "åsa".encode()), ("X-Remote-User", b"anna")])

    assert "came twice" in refusal(answer)


def test_beside_the_proxy_an_editor_may_sign_in_with_a_token(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY, **WITH_TOKENS), PROXY)
    log_in(client)

    assert client.get("/desk").json() == ["editor-name", "editor", "session"]
    assert client.get("/desk", headers={"X-Remote-User": "anna"}).json() == ["anna", "editor", "proxy"]
    both = {"X-Remote-User": "anna", "Authorization": "Bearer admin token"}
    assert client.get("/desk", headers=both).json() == ["admin-name", "admin", "token"]
    proxys_own = {"X-Remote-User": "anna", "Authorization": "Bearer of the proxy"}
    assert client.get("/desk", headers=proxys_own).json() == ["anna", "editor", "proxy"]


def test_where_nobody_has_a_token_the_login_asks_for_none(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path, **BY_PROXY), PROXY)
    named = {"X-Remote-User": "anna"} | PAGE

    assert client.get("/desk/login?next=/desk/pages/a", headers=named).headers["location"] == "/desk/pages/a"
    assert client.post("/desk/login", headers=named | OWN).headers["location"] == "/desk"
    assert "is entered by the proxy" in refusal(client.get("/desk/login"))
    assert client.post("/desk/login", headers=OWN, data={"token": "x"}).status_code == 403


# This machine alone


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000", "[::ffff:127.0.0.1]:1"],
)
def test_without_settings_this_machine_is_admin(tmp_path: Path, peer: str, host: str) -> None:
    client = client_of(app_of(tmp_path), peer)

    assert client.get("/desk/for/admin", headers={"Host": host}).json() == ["local", "admin", "local"]


REBOUND = [
    "evil.example",
    "localhost.evil.example",
    "evil.localhost",
    "localhost@evil.example",
    "127.0.0.1.evil.example",
]
ODD_HOSTS = ["", "localhost:", "localhost:x", "localhost:123456", "127.1", "0", "[::]", "[::1", "::1", "10.0.0.1"]


@pytest.mark.parametrize("host", [*REBOUND, *ODD_HOSTS])
def test_a_name_that_leads_here_is_not_this_machines(tmp_path: Path, host: str) -> None:
    client = client_of(app_of(tmp_path), "127.0.0.1")

    assert "no editors are set" in refusal(client.get("/desk", headers={"Host": host}))


def test_two_hosts_are_none(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path), "127.0.0.1")

    assert client.get("/desk", headers=[("Host", "localhost"), ("Host", "evil.example")]).status_code == 403


@pytest.mark.parametrize("peer", [OUTSIDE, "10.0.0.7", "::2", "::ffff:10.0.0.1", "0.0.0.0", "testclient", "fe80::1%lo"])  # noqa: S104
@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "127.0.0.1"}, {"Authorization": "Bearer x"}])
def test_without_settings_nobody_comes_in_from_outside(tmp_path: Path, peer: str, headers: dict[str, str]) -> None:
    client = client_of(app_of(tmp_path, trusted_proxies=("10.0.0.0/8",)), peer, HERE)

    assert refusal(client.get("/desk", headers=headers)) == (
        "no editors are set, so the desk is open only to a browser on the machine that it runs on, at http://localhost "
        "or http://127.0.0.1: `related key --editor NAME` lets others in"
    )
    assert client.get("/desk/login", headers=headers).status_code == 403
    assert client.post("/desk/decide", headers=OWN | headers).status_code == 403


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-IP"],
)
def test_without_settings_nothing_that_a_proxy_hands_on_is_answered(tmp_path: Path, header: str) -> None:
    client = client_of(app_of(tmp_path), "127.0.0.1", HERE)

    assert client.get("/desk").status_code == 200
    assert client.get("/desk", headers={header: ""}).status_code == 403
    assert client.get("/desk", headers={header: "127.0.0.1"}).status_code == 403


def test_without_settings_a_proxy_that_says_nothing_is_known_by_its_old_http(tmp_path: Path) -> None:
    app = app_of(tmp_path)

    assert client_of(changed(app, http_version="1.1"), "127.0.0.1", HERE).get("/desk").status_code == 200
    assert client_of(changed(app, http_version="1.0"), "127.0.0.1", HERE).get("/desk").status_code == 403


def test_roles_for_a_header_that_is_not_set_open_nothing(tmp_path: Path) -> None:
    app = app_of(tmp_path, desk_users=("anna:admin",), desk_default_role="admin", trusted_proxies=(PROXY,))

    assert client_of(app, PROXY).get("/desk", headers={"X-Remote-User": "anna"}).status_code == 403
    assert client_of(app, "127.0.0.1", HERE).get("/desk").json() == ["local", "admin", "local"]


def test_without_settings_the_login_goes_straight_on(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path), "127.0.0.1", HERE)

    assert client.get("/desk/login").headers["location"] == "/desk"
    assert client.post("/desk/login", headers=OWN).headers["location"] == "/desk"
    assert client.post("/desk/logout", headers=OWN).headers["location"] == "/desk/login"


# What other sites send


def ways_in(home: Path) -> dict[str, TestClient]:
    """A client for each way in that a browser takes by itself."""
    session = client_of(app_of(home, **WITH_TOKENS))
    log_in(session)
    proxy = client_of(app_of(home, **BY_PROXY), PROXY)
    proxy.headers["X-Remote-User"] = "anna"
    return {"session": session, "proxy": proxy, "local": client_of(app_of(home), "127.0.0.1", HERE)}


@pytest.mark.parametrize("way", ["session", "proxy", "local"])
def test_a_write_must_come_from_the_desks_own_pages(tmp_path: Path, way: str) -> None:
    client = ways_in(tmp_path)[way]
    own = str(client.base_url).rstrip("/")

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post("/desk/decide", headers=named).status_code

    assert status(Sec_Fetch_Site="same-origin") == 200
    assert status(Sec_Fetch_Site="none") == 200
    assert status(Origin=own) == 200
    assert status(Origin=own.replace("http:", "https:")) == 200
    assert status(Sec_Fetch_Site="cross-site") == 403
    assert status(Sec_Fetch_Site="same-site") == 403
    assert status(Sec_Fetch_Site="") == 403
    assert status(Sec_Fetch_Site="Same-Origin") == 403
    assert status(Sec_Fetch_Site="cross-site", Origin=own) == 403
    assert status(Origin="null") == 403
    assert status(Origin="") == 403
    assert status(Origin="https://evil.example") == 403
    assert status(Origin=f"{own}.evil.example") == 403
    assert status(Origin=own.replace("http:", "ftp:")) == 403
    assert status() == 403


@pytest.mark.parametrize("headers", [[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], None])
def test_two_headers_of_one_name_prove_nothing(tmp_path: Path, headers: list[tuple[str, str]] | None) -> None:
    client = ways_in(tmp_path)["session"]

    assert client.post("/desk/decide", headers=headers or [("Origin", HOST), ("Origin", HOST)]).status_code == 403


def test_a_refused_write_says_why(tmp_path: Path) -> None:
    client = ways_in(tmp_path)["session"]

    assert refusal(client.post("/desk/decide", headers={"Sec-Fetch-Site": "cross-site"})) == (
        "the desk takes nothing that another site sends: go to its own page"
    )
    assert refusal(client.post("/desk/decide")) == (
        "the desk cannot tell where this comes from: a program sends `Authorization: Bearer TOKEN`"
    )
    assert "X-Forwarded-Host" in refusal(client.post("/desk/decide", headers={"Origin": "https://evil.example"}))


def test_every_method_that_writes_is_looked_at(tmp_path: Path) -> None:
    client = client_of(app_of(tmp_path), "127.0.0.1", HERE)

    assert client.delete("/desk/decide", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.delete("/desk/decide", headers=OWN).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_a_program_with_a_token_may_write_from_anywhere(tmp_path: Path, headers: dict[str, str]) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS))

    answer = client.post("/desk/decide", headers={"Authorization": "Bearer editor token", **headers})

    assert answer.json() == ["editor-name", "editor", "token"]


@pytest.mark.parametrize("way", ["session", "proxy", "local"])
def test_a_wrong_token_excuses_no_other_way_in(tmp_path: Path, way: str) -> None:
    client = ways_in(tmp_path)[way]
    wrong = {"Authorization": "Bearer wrong"}

    assert client.post("/desk/decide", headers=wrong | {"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/desk/decide", headers=wrong | {"Origin": "https://evil.example"}).status_code == 403
    assert client.post("/desk/decide", headers=wrong).status_code == 401


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://desk.example.org", "desk.example.org", True),
        ("https://Desk.example.org", "desk.EXAMPLE.org", True),
        ("https://desk.example.org", "desk.example.org:443", True),
        ("http://desk.example.org", "desk.example.org:80", True),
        ("http://desk.example.org:8000", "desk.example.org:8000", True),
        ("http://[fd00::1]:8000", "[fd00::1]:8000", True),
        ("http://desk.example.org", "desk.example.org:8000", False),
        ("http://desk.example.org:8000", "desk.example.org", False),
        ("http://example.org", "desk.example.org", False),
        ("http://desk.example.org@evil.example", "desk.example.org", False),
        ("http://desk.example.org@evil.example", "desk.example.org@evil.example", False),
        ("http://desk.example.org", "", False),
    ],
)
def test_an_origin_is_the_host_and_port_that_were_asked_for(tmp_path: Path, origin: str, host: str, same: bool) -> None:
    client = ways_in(tmp_path)["session"]
    cookie = f"related_desk={client.cookies['related_desk']}"

    answer = client.post("/desk/decide", headers={"Origin": origin, "Host": host, "Cookie": cookie})

    assert answer.status_code == (200 if same else 403)


@pytest.mark.parametrize(("peer", "status"), [(PROXY, 200), ("127.0.0.1", 200), (OUTSIDE, 403)])
def test_only_a_trusted_proxy_tells_for_which_host_it_asks(tmp_path: Path, peer: str, status: int) -> None:
    client = client_of(app_of(tmp_path, **WITH_TOKENS, trusted_proxies=(PROXY,)), peer, "http://inner:8000")
    log_in(client)
    outer = {"Origin": "https://desk.example.org", "X-Forwarded-Host": "desk.example.org"}

    assert client.post("/desk/decide", headers=outer).status_code == status
    assert client.post("/desk/decide", headers=outer | {"X-Forwarded-Host": "other.example.org"}).status_code == 403


@pytest.mark.parametrize("way", ["session", "proxy", "local"])
def test_no_page_of_another_site_reads_the_desk(tmp_path: Path, way: str) -> None:
    client = ways_in(tmp_path)[way]
    client.app = CORSMiddleware(client.app, allow_origins=["*"])  # as cors_origins = ["*"] has it

    assert refusal(client.get("/desk", headers={"Origin": "https://evil.example"})) == (
        "the desk answers no page of another site"
    )
    assert client.get("/desk", headers={"Origin": str(client.base_url).rstrip("/")}).status_code == 200
    assert client.get("/desk", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link from a mail


# What is said, and what is not


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "the desk at /desk is open to this machine only: no editors are set (`related key --editor NAME`)"),
        (WITH_TOKENS, "the desk at /desk asks for a token"),
        (WITH_HEADER, "the desk at /desk believes X-Remote-User of a proxy at this machine"),
        (
            BY_PROXY | WITH_TOKENS,
            "the desk at /desk believes X-Remote-User of a proxy at this machine, 10.1.2.3, fd00::/8, and else asks "
            "for a token",
        ),
    ],
)
def test_who_starts_the_service_is_told_who_may_enter(settings: dict[str, Any], sentence: str) -> None:
    assert describe_desk(Settings(**settings)) == sentence


def test_the_desk_is_not_in_the_schema(tmp_path: Path) -> None:
    app = FastAPI()
    app.include_router(router)

    assert app.openapi()["paths"] == {}


def test_no_secret_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = app_of(tmp_path, **WITH_TOKENS)
    client = client_of(app)
    answers = [
        log_in(client),
        log_in(client, "a wrong secret"),
        client.get("/desk"),
        client.post("/desk/decide"),
        client.get("/desk", headers={"Authorization": "Bearer a wrong secret"}),
        client.get("/desk", headers={"Authorization": "Bearer viewer token"}),
        client.get("/desk/for/admin"),
        client.post("/desk/logout", headers=OWN),
    ]

    assert [answer.status_code for answer in answers] == [303, 401, 200, 403, 401, 200, 403, 303]
    secret = (tmp_path / "desk.secret").read_text()
    told = "".join(answer.text + str(answer.headers) for answer in answers)
    written = (
        "".join(capfd.readouterr()) + caplog.text + repr(app.state.desk_sessions) + repr(vars(app.state.desk_sessions))
    )
    for text in ("editor token", "viewer token", "a wrong secret", secret, digest("editor token")):
        assert text not in told
        assert text not in written
