"""What goes over the wire for an article's related articles: status, headers, bytes. Both roads to it, the fast path
and the documented route, send what is made here."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from copy import copy
from functools import lru_cache
from typing import NamedTuple

from recommender.standing import Standing
from service.answers import Answers, to_bytes
from service.asking import PLAIN, Asked
from service.metrics import Cache
from service.problems import SECURITY_HEADERS
from service.ready import Body, ReadyAnswers
from service.schemas import RelatedResponse

CACHE_CONTROL = "public, max-age=60, s-maxage=300, stale-while-revalidate=3600, stale-if-error=86400"
"""A browser's copy is good for a minute, a shared cache's for five; after that a cache may show what it has while it
asks again, and for a day while the service is down."""
EMPTY_CACHE_CONTROL = "public, max-age=60, s-maxage=60, stale-if-error=86400"
"""Nothing to show is what a site most wants to see changed."""
KEPT = 1024
"""How many answers that were not ready are kept, in case they are asked for again: some 6 MB."""

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


class Replies:
    """The replies of one edition. All of them raise UnknownEssay.

    known: the request's If-None-Match. gzipped: whether its sender reads gzip. A copy that is still right is answered
    with 304 before anything is looked up: for an essay that is unknown its ETag could not be known.
    """

    def __init__(self, answers: Answers, ready: ReadyAnswers | None = None) -> None:
        self.answers = answers
        self.ready = ready
        self._kept: OrderedDict[tuple[str, str, bool, _Make], Body] = OrderedDict()

    def under(self, standing: Standing) -> "Replies":
        """The same with other decisions; what was kept is still right where they change nothing."""
        changed = copy(self)
        changed.answers = self.answers.under(standing)
        return changed

    def json(self, ident: str, asked: Asked = PLAIN, known: bytes = b"", gzipped: bool = False) -> Reply:
        """An essay's related articles as cards."""
        named = self.answers.name(ident, asked)
        name = named.hex()
        tag = f"{name}-{asked.shape}".encode()
        unchanged = _unchanged(name, tag, known, gzipped) if known else None
        if unchanged:
            return unchanged
        ready = self._ready(ident, named, asked, gzipped)
        body, cache = (ready, _READY) if ready else self._made(to_bytes, name, ident, asked, gzipped)
        reply = _full_reply(name, tag, body, cache, gzipped, _JSON)
        return _any_copy(reply) if known == b"*" else reply

    def html(self, ident: str, asked: Asked = PLAIN, known: bytes = b"", gzipped: bool = False) -> Reply:
        """The same as a piece of HTML, to be placed in the essay's page."""
        name = self.answers.recommendation_id(ident, asked)
        tag = f"{name}-{asked.shape}-html".encode()
        unchanged = _unchanged(name, tag, known, gzipped) if known else None
        if unchanged:
            return unchanged
        reply = _full_reply(name, tag, *self._made(_html, name, ident, asked, gzipped), gzipped, _HTML)
        return _any_copy(reply) if known == b"*" else reply

    def _ready(self, ident: str, name: bytes, asked: Asked, gzipped: bool) -> Body | None:
        """The answer from the ready answers: as it stands there, or what the filters leave of the whole list."""
        if self.ready is None or not asked.only_filters:
            return None
        if asked.is_plain:
            return self.ready.body(name, gzipped)
        page = self.answers.name(ident)
        return self.ready.selected(page, self.answers.filters(asked), asked.limit, name.hex(), gzipped)

    def _made(self, make: "_Make", name: str, ident: str, asked: Asked, gzipped: bool) -> tuple[Body, Cache]:
        key = name, asked.shape, gzipped, make
        kept = self._kept.get(key)
        if kept:
            self._kept.move_to_end(key)
            return kept, "kept"
        response = self.answers.respond(self.answers.edition.find(ident), asked)
        body = Body.of(make(response, asked), len(response.items), gzipped)
        self._kept[key] = body
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return body, "computed"


_Make = Callable[[RelatedResponse, Asked], bytes]


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
_GZIP: list[Header] = [(b"content-encoding", b"gzip")]


def _unchanged(name: str, tag: bytes, known: bytes, gzipped: bool) -> Reply | None:
    """304 when the sender has what it would be sent."""
    held = held_tags(known)
    full = tag + b"-gzip" if gzipped else tag
    if full in held:
        return Reply(304, [*_ALWAYS, *_FULL, (b"etag", b'"%b"' % full)], b"", name, "", False)
    empty = tag + b"-empty"
    if empty in held:
        return Reply(304, [*_ALWAYS, *_EMPTY, (b"etag", b'"%b"' % empty)], b"", name, "", True)
    return None


def _any_copy(reply: Reply) -> Reply:
    """304 for whoever has any copy of what exists."""
    headers = [(name, value) for name, value in reply.headers if name not in _OF_THE_BODY]
    return Reply(304, headers, b"", reply.recommendation_id, "", reply.empty)


_OF_THE_BODY = {b"content-type", b"content-length", b"content-encoding"}


def _full_reply(name: str, tag: bytes, body: Body, cache: Cache, gzipped: bool, headers: list[Header]) -> Reply:
    """200. What is empty is not compressed."""
    length = (b"content-length", b"%d" % len(body.data))
    if not body.items:
        etag = (b"etag", b'"%b-empty"' % tag)
        return Reply(200, [*headers, *_EMPTY, etag, length], body.data, name, cache, True)
    if gzipped:
        etag = (b"etag", b'"%b-gzip"' % tag)
        return Reply(200, [*headers, *_FULL, *_GZIP, etag, length], body.data, name, cache, False)
    return Reply(200, [*headers, *_FULL, (b"etag", b'"%b"' % tag), length], body.data, name, cache, False)
