"""Who asks for a page of the desk, whether they may, and how they sign in and out.

A person is known by the first of these: a token (`Authorization: Bearer TOKEN`), the name that a trusted proxy gives in
the header `desk_user_header`, the cookie of a login. Where neither editors nor that header are set, the desk answers
this machine alone, as admin.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from corpus.errors import Forbidden, NotSignedIn
from service.accounts import Account, Role, is_name, read_accounts, read_users
from service.desk.peers import (
    asks_for_this_machine,
    comes_from_trusted,
    has_own_origin,
    is_forwarded,
    is_https,
    is_loopback,
    peer_of,
)
from service.desk.people import Person
from service.desk.rendering import PAGE_HEADERS, render
from service.desk.sessions import COOKIE, LIFETIME, Sessions, read_secret
from service.keys import is_known
from service.settings import Settings

HOME = "/desk"
LOGIN = "/desk/login"
_UNKNOWN = "the token is not known here"

router = APIRouter(include_in_schema=False)


def describe_desk(settings: Settings) -> str:
    """Who may use the desk, in a sentence for who starts the service."""
    if not (settings.editors or settings.desk_user_header):
        return f"the desk at {HOME} is open to this machine only: no editors are set (`related key --editor NAME`)"
    ways = []
    if settings.desk_user_header:
        proxies = ", ".join(["this machine", *settings.trusted_proxies])
        ways.append(f"believes {settings.desk_user_header} of a proxy at {proxies}")
    if settings.editors:
        ways.append("asks for a token")
    return f"the desk at {HOME} " + ", and else ".join(ways)


async def check_same_origin(request: Request) -> None:
    """A dependency: refuses what another site lets a browser send. Raises Forbidden.

    A write must show that it comes from the service's own pages: by Sec-Fetch-Site, or, where a browser does not send
    that (over http, but from this machine), by Origin. A read is refused only where it says that it does not, since
    `cors_origins` might else let another site see it. A known token is no cookie that a browser adds by itself.
    """
    if _by_token(request):
        return
    headers, proxies = request.headers, _settings(request).trusted_proxies
    origin_is_wrong = "origin" in headers and not has_own_origin(request, proxies)
    if request.method in ("GET", "HEAD"):
        if origin_is_wrong:
            raise Forbidden("the desk answers no page of another site")
    elif "sec-fetch-site" in headers:
        if headers.getlist("sec-fetch-site") not in (["same-origin"], ["none"]):
            raise Forbidden("the desk takes nothing that another site sends: go to its own page")
    elif "origin" not in headers:
        if _bearer(request) is not None:
            raise NotSignedIn(_UNKNOWN, LOGIN)
        raise Forbidden("the desk cannot tell where this comes from: a program sends `Authorization: Bearer TOKEN`")
    elif origin_is_wrong:
        raise Forbidden(
            "the desk takes nothing that another site sends; a proxy before it should hand on Host, or stand in "
            "trusted_proxies and send X-Forwarded-Host"
        )


async def current_person(request: Request) -> Person:
    """A dependency: who asks, also at request.state.person. Raises NotSignedIn or Forbidden."""
    await check_same_origin(request)
    person = _identify(request)
    request.state.person = person
    return person


def require(role: Role) -> Callable[[Request], Awaitable[Person]]:
    """A dependency: who asks, when they have this role or a greater one. Raises NotSignedIn or Forbidden."""

    async def person_of_role(request: Request) -> Person:
        person = await current_person(request)
        if not person.role.covers(role):
            raise Forbidden(f"this is for the role {role.value}, and {person.name} is {person.role.value}")
        return person

    return person_of_role


Viewer = Annotated[Person, Depends(current_person)]
Editor = Annotated[Person, Depends(require(Role.EDITOR))]
Admin = Annotated[Person, Depends(require(Role.ADMIN))]
"""A parameter of a route: who asks, of this role at least."""


def _identify(request: Request) -> Person:
    settings = _settings(request)
    if not (settings.editors or settings.desk_user_header):
        return _local_person(request)
    person = _by_token(request) or _by_proxy(request)
    if person:
        return person
    if _bearer(request) is not None:
        raise NotSignedIn(_UNKNOWN, LOGIN)
    person = _by_session(request)
    if person:
        return person
    if not settings.editors:
        raise Forbidden(f"the desk is entered by the proxy that names its users in {settings.desk_user_header}")
    raise NotSignedIn("sign in, or send a token: `Authorization: Bearer TOKEN`", _login_for(request))


def _local_person(request: Request) -> Person:
    if not is_loopback(peer_of(request)) or not asks_for_this_machine(request) or is_forwarded(request):
        raise Forbidden(
            "no editors are set, so the desk is open only to a browser on the machine that it runs on, at "
            "http://localhost or http://127.0.0.1: `related key --editor NAME` lets others in"
        )
    return Person("local", Role.ADMIN, "local")


def _by_token(request: Request) -> Person | None:
    token = _bearer(request)
    account = _find_account(token, read_accounts(_settings(request).editors)) if token else None
    return Person(account.name, account.role, "token") if account else None


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _find_account(token: str, accounts: Sequence[Account]) -> Account | None:
    """The account whose token it is; every one is compared, whichever it is."""
    found = [account for account in accounts if is_known(token, [account.digest])]
    return found[0] if found else None


def _by_proxy(request: Request) -> Person | None:
    """Whom a trusted proxy names. Raises Forbidden when it names nobody whom the settings let in."""
    settings = _settings(request)
    names = request.headers.getlist(settings.desk_user_header) if settings.desk_user_header else []
    if not names or not comes_from_trusted(request, settings.trusted_proxies):
        return None
    if len(names) > 1:
        raise Forbidden(f"{settings.desk_user_header} came twice: the proxy should replace what a browser sends of it")
    name = _as_text(names[0])
    if not is_name(name):
        raise Forbidden(f"{settings.desk_user_header} holds no name: up to 100 printable characters, no comma")
    listed = read_users(settings.desk_users).get(name)
    if listed is None and settings.desk_default_role is None:
        raise Forbidden(f"{name} is not among the desk's users: an admin adds them to desk_users")
    return Person(name, listed or Role(settings.desk_default_role), "proxy")


def _as_text(value: str) -> str:
    """A header's value, which is read as latin-1, as the UTF-8 that proxies send; "" when it is not that."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return ""


def _by_session(request: Request) -> Person | None:
    cookie = request.cookies.get(COOKIE)
    accounts = read_accounts(_settings(request).editors)
    if not cookie or not accounts:
        return None
    account = _sessions(request).find(cookie, accounts, request.app.state.now())
    return Person(account.name, account.role, "session") if account else None


def _sessions(request: Request) -> Sessions:
    """One of each app, made when it is first needed: a service whose desk nobody enters writes no secret."""
    state = request.app.state
    if not hasattr(state, "desk_sessions"):
        state.desk_sessions = Sessions(read_secret(_settings(request).home))
    sessions: Sessions = state.desk_sessions
    return sessions


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def local_path(text: str) -> str:
    """The text, when it is the address of a page of the desk and leads nowhere else; else the desk's first page."""
    path = text.partition("?")[0]
    segments = path.lower().replace("%2e", ".").split("/")
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(" \\")
    leads_away = {"", ".", ".."} & set(segments[2:])
    return text if is_plain and segments[:2] == ["", "desk"] and path.startswith(HOME) and not leads_away else HOME


def _login_for(request: Request) -> str:
    """Where to sign in and come back from. What was posted is not sent again, so that its page is not come back to."""
    if request.method not in ("GET", "HEAD"):
        return LOGIN
    path = request.scope.get("raw_path", b"").decode("latin-1")  # as it was sent: an id may hold %2F
    query = request.scope["query_string"].decode("latin-1")
    asked = local_path(f"{path}?{query}" if query else path)
    return LOGIN if asked == HOME else f"{LOGIN}?{urlencode({'next': asked})}"


@router.get(LOGIN)
async def show_login(request: Request, next: str = HOME) -> Response:
    """The form that asks for a token; where nobody has one, straight on."""
    if not _settings(request).editors:
        await current_person(request)
        return _go_to(local_path(next))
    return render(request, "login.html", onwards=local_path(next), refused=None)


@router.post(LOGIN)
async def log_in(request: Request, checked: Annotated[None, Depends(check_same_origin)]) -> Response:
    """Give the cookie for a token, and go where the form says; where nobody has a token, straight on."""
    settings = _settings(request)
    if not settings.editors:
        return await show_login(request)
    token, onwards = await _read_form(request)
    account = _find_account(token, read_accounts(settings.editors))
    if account is None:
        return render(request, "login.html", 401, onwards=onwards, refused="This token is not known here.")
    response = _go_to(onwards)
    response.set_cookie(
        COOKIE,
        _sessions(request).begin(account, request.app.state.now()),
        max_age=int(LIFETIME.total_seconds()),
        path=HOME,
        secure=is_https(request, settings.trusted_proxies),
        httponly=True,
        samesite="strict",  # the way back from the login is the same site's: the cookie goes with it
    )
    return response


async def _read_form(request: Request) -> tuple[str, str]:
    """The token and the way on, of an urlencoded form; of another body an empty token, which nobody has."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "", HOME
    form = await request.form(max_fields=10)
    return str(form.get("token", "")).strip(), local_path(str(form.get("next", HOME)))


@router.post("/desk/logout")
async def log_out(request: Request, checked: Annotated[None, Depends(check_same_origin)]) -> Response:
    """Take the cookie back. To end a session wherever its cookie is, give the account another token."""
    response = _go_to(LOGIN)
    response.delete_cookie(
        COOKIE,
        path=HOME,
        secure=is_https(request, _settings(request).trusted_proxies),
        httponly=True,
        samesite="strict",
    )
    return response


def _go_to(path: str) -> Response:
    return RedirectResponse(path, 303, PAGE_HEADERS)
