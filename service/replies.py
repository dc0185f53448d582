"""What goes over the wire for an article's related articles: status, headers, bytes. Both roads to it, the fast path
and the documented route, send what is made here."""

import gzip
import re
from collections.abc import Callable, Iterable
from copy import copy
from functools import lru_cache
from typing import NamedTuple

from recommender.standing import Standing
from service.answers import Answers, to_bytes
from service.asking import PLAIN, Asked
from service.kept import Given, Kept, Question
from service.metrics import Cache
from service.problems import SECURITY_HEADERS
from service.ready import Body, ReadyAnswers
from service.schemas import RelatedResponse

CACHE_CONTROL = "public, max-age=60, s-maxage=300, stale-while-revalidate=3600, stale-if-error=86400"
"""A browser's copy is good for a minute, a shared cache's for five; after that a cache may show what it has while it
asks again, and for a day while the service is down."""
EMPTY_CACHE_CONTROL = "public, max-age=60, s-maxage=60, stale-if-error=86400"
"""Nothing to show is what a site most wants to see changed."""
STALE_CACHE_CONTROL = "public, max-age=10, s-maxage=10, stale-if-error=86400"
"""What was answered before should make room soon after the database answers again."""
CACHE_STATUS = "related-articles; hit; detail=store-away"
"""RFC 9211: how an answer is marked that was given before, while the database does not answer."""

Header = tuple[bytes, bytes]
_READY: Cache = "ready"


class Reply(NamedTuple):
    """An HTTP response. cache: where its bytes came from; "" with status 304. empty: whether the list is."""

    status: int
    headers: list[Header]
    body: bytes
    recommendation_id: str
    cache: Cache
    empty: bool


class Form(NamedTuple):
    """What a list is sent as: how it is made, what its ETag ends with, and its headers."""

    name: str
    make: Callable[[RelatedResponse, Asked], bytes]
    suffix: str
    headers: list[Header]


class Replies:
    """The replies of one edition. All of them raise UnknownEssay.

    known: the request's If-None-Match. gzipped: whether its sender reads gzip. A copy that is still right is answered
    with 304 before anything is looked up: for an essay that is unknown its ETag could not be known.
    """

    def __init__(self, answers: Answers, ready: ReadyAnswers | None = None, kept: Kept | None = None) -> None:
        self.answers = answers
        self.ready = ready
        self._kept = Kept() if kept is None else kept

    def under(self, standing: Standing) -> "Replies":
        """The same with other decisions; what was kept is still right where they change nothing."""
        changed = copy(self)
        changed.answers = self.answers.under(standing)
        return changed

    def json(self, ident: str, asked: Asked = PLAIN, known: bytes = b"", gzipped: bool = False) -> Reply:
        """An essay's related articles as cards."""
        named = self.answers.name(ident, asked)
        name = named.hex()
        unchanged = _unchanged(JSON, name, asked, known, gzipped) if known else None
        if unchanged:
            return unchanged
        ready = self._ready(ident, named, asked, gzipped)
        body, cache = (ready, _READY) if ready else self._made(JSON, name, ident, asked, gzipped)
        return _full_reply(JSON, name, asked, known, gzipped, body, cache)

    def html(self, ident: str, asked: Asked = PLAIN, known: bytes = b"", gzipped: bool = False) -> Reply:
        """The same as a piece of HTML, to be placed in the essay's page."""
        name = self.answers.recommendation_id(ident, asked)
        unchanged = _unchanged(HTML, name, asked, known, gzipped) if known else None
        if unchanged:
            return unchanged
        return _full_reply(HTML, name, asked, known, gzipped, *self._made(HTML, name, ident, asked, gzipped))

    def reply(self, form: Form, ident: str, asked: Asked, known: bytes, gzipped: bool) -> Reply:
        """The same in the form asked for."""
        return self.json(ident, asked, known, gzipped) if form is JSON else self.html(ident, asked, known, gzipped)

    def held(self, form: Form, ident: str, asked: Asked, known: bytes, gzipped: bool) -> Reply | None:
        """The same where it takes no look-up: a 304, or what is kept. None where it does."""
        name = self.answers.recommendation_id(ident, asked)
        unchanged = _unchanged(form, name, asked, known, gzipped) if known else None
        if unchanged:
            return unchanged
        body = self._kept.find(Question(ident, asked.name, asked.shape, form.name, gzipped), name)
        return _full_reply(form, name, asked, known, gzipped, body, "kept") if body else None

    def stale(self, form: Form, ident: str, asked: Asked, known: bytes, gzipped: bool) -> Reply | None:
        """The last reply, marked, for as long as nothing can be looked up; None where there was none.

        One that an earlier edition gave will do, but not what any decision since then may have changed.
        """
        reply = self.held(form, ident, asked, known, gzipped)
        if reply:
            return _marked(reply)
        name, last = self.answers.recommendation_id(ident, asked), self.answers.standing.log.last
        for packed in (gzipped, not gzipped):
            given = self._kept.last(Question(ident, asked.name, asked.shape, form.name, packed))
            if given and (given.name == name or given.known == last):
                data, items = given.body
                unpacked = gzip.decompress(data) if packed and items else data
                body = given.body if packed == gzipped else Body.of(unpacked, items, gzipped)
                unchanged = _unchanged(form, given.name, asked, known, gzipped) if known else None
                return _marked(unchanged or _full_reply(form, given.name, asked, known, gzipped, body, "kept"))
        return None

    def _ready(self, ident: str, name: bytes, asked: Asked, gzipped: bool) -> Body | None:
        """The answer from the ready answers: as it stands there, or what the filters leave of the whole list."""
        if self.ready is None or not asked.only_filters:
            return None
        if asked.is_plain:
            return self.ready.body(name, gzipped)
        page = self.answers.name(ident)
        return self.ready.selected(page, self.answers.filters(asked), asked.limit, name.hex(), gzipped)

    def _made(self, form: Form, name: str, ident: str, asked: Asked, gzipped: bool) -> tuple[Body, Cache]:
        question = Question(ident, asked.name, asked.shape, form.name, gzipped)
        kept = self._kept.find(question, name)
        if kept:
            return kept, "kept"
        response = self.answers.respond(self.answers.edition.find(ident), asked)
        body = Body.of(form.make(response, asked), len(response.items), gzipped)
        self._kept.keep(question, Given(name, self.answers.standing.log.last, body))
        return body, "computed"


def _html(response: RelatedResponse, asked: Asked) -> bytes:
    from service.fragment import render_fragment  # Jinja2 takes a while to come

    return render_fragment(response).encode()


def read_headers(headers: Iterable[Header]) -> tuple[bytes, bytes, int]:
    """A request's If-None-Match and Accept-Encoding, several lines of one as one, and how many bytes all headers have;
    an announced body counts as very many."""
    known, accepted, size = b"", b"", 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"if-none-match":
            known = known + b"," + value if known else value
        elif name == b"accept-encoding":
            accepted = accepted + b"," + value if accepted else value
        elif name == b"content-length":
            size += _A_BODY
    return known, accepted, size


_A_BODY = 2**30


def held_tags(known: bytes) -> list[bytes]:
    """The ETags of an If-None-Match header, without quotes; a weak one is as good as a strong one there."""
    return [part.strip().removeprefix(b"W/").strip(b'"') for part in known.split(b",")]


@lru_cache(256)
def reads_gzip(accepted: bytes) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    if b"gzip" not in accepted:
        return False
    weights = [part.partition(b";") for part in accepted.replace(b" ", b"").split(b",")]
    return any(name == b"gzip" and not _ZERO.fullmatch(weight) for name, _, weight in weights)


_ZERO = re.compile(rb"q=0(\.0*)?")
_SECURITY = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_ALWAYS: list[Header] = [*_SECURITY, (b"vary", b"Accept-Encoding")]
_JSON: list[Header] = [*_ALWAYS, (b"content-type", b"application/json")]
_HTML: list[Header] = [
    *_ALWAYS,
    (b"content-type", b"text/html; charset=utf-8"),
    # for somebody who opens the fragment as a page; a page that includes it goes by its own
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'"),
    (b"referrer-policy", b"same-origin"),
    (b"x-robots-tag", b"noindex"),
]
_FULL: list[Header] = [(b"cache-control", CACHE_CONTROL.encode())]
_EMPTY: list[Header] = [(b"cache-control", EMPTY_CACHE_CONTROL.encode())]
_STALE: list[Header] = [(b"cache-control", STALE_CACHE_CONTROL.encode()), (b"cache-status", CACHE_STATUS.encode())]
_GZIP: list[Header] = [(b"content-encoding", b"gzip")]

JSON = Form("json", to_bytes, "", _JSON)
HTML = Form("html", _html, "-html", _HTML)


def _tag(form: Form, name: str, asked: Asked) -> bytes:
    return f"{name}-{asked.shape}{form.suffix}".encode()


def _unchanged(form: Form, name: str, asked: Asked, known: bytes, gzipped: bool) -> Reply | None:
    """304 when the sender has what it would be sent."""
    held, tag = held_tags(known), _tag(form, name, asked)
    full = tag + b"-gzip" if gzipped else tag
    if full in held:
        return Reply(304, [*_ALWAYS, *_FULL, (b"etag", b'"%b"' % full)], b"", name, "", False)
    empty = tag + b"-empty"
    if empty in held:
        return Reply(304, [*_ALWAYS, *_EMPTY, (b"etag", b'"%b"' % empty)], b"", name, "", True)
    return None


def _full_reply(form: Form, name: str, asked: Asked, known: bytes, gzipped: bool, body: Body, cache: Cache) -> Reply:
    """200, or 304 for whoever has any copy of what exists. What is empty is not compressed."""
    tag, length = _tag(form, name, asked), (b"content-length", b"%d" % len(body.data))
    if not body.items:
        etag = (b"etag", b'"%b-empty"' % tag)
        reply = Reply(200, [*form.headers, *_EMPTY, etag, length], body.data, name, cache, True)
    elif gzipped:
        etag = (b"etag", b'"%b-gzip"' % tag)
        reply = Reply(200, [*form.headers, *_FULL, *_GZIP, etag, length], body.data, name, cache, False)
    else:
        reply = Reply(200, [*form.headers, *_FULL, (b"etag", b'"%b"' % tag), length], body.data, name, cache, False)
    return _any_copy(reply) if known == b"*" else reply


def _any_copy(reply: Reply) -> Reply:
    headers = [(name, value) for name, value in reply.headers if name not in _OF_THE_BODY]
    return Reply(304, headers, b"", reply.recommendation_id, "", reply.empty)


_OF_THE_BODY = {b"content-type", b"content-length", b"content-encoding"}


def _marked(reply: Reply) -> Reply:
    """The same as an answer that was given before, and should not be kept long."""
    headers = [(name, value) for name, value in reply.headers if name != b"cache-control"]
    return reply._replace(headers=[*headers, *_STALE], cache="stale")
