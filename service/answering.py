"""Replies where a database holds the editions: the event loop must not wait for it, and readers must not miss it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from corpus.errors import StoreAway
from recommender.list_store import spelled_once
from service.asking import Asked
from service.editions import PATIENCE, LiveEdition
from service.kept import Addresses
from service.replies import Form, Replies, Reply
from service.variants import Variant

REFUSED = "related.refused"
"""Where the fast path leaves, in a request's scope, the error that its route should raise."""
THREADS = 16
"""Each has at most one look-up under way; further requests wait their turn."""


class Answered(NamedTuple):
    """A reply, the id of the article that it is about, and the variant of the A/B test that its page is in."""

    ident: str
    reply: Reply
    variant: Variant | None


class Ask(NamedTuple):
    """What is asked: an article by its URL, or by its id. known, gzipped: see service.replies.Replies."""

    form: Form
    url: str | None
    ident: str
    asked: Asked
    known: bytes
    gzipped: bool


class Answering:
    """Answers from what is kept, at once; what is not kept is looked up in one of a few threads.

    While the database does not answer, what was answered before is answered again and marked as stale.
    """

    def __init__(self, live: LiveEdition) -> None:
        self._live = live
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="look-up")
        self._addresses = Addresses()

    async def reply(self, ask: Ask) -> Answered:
        """Raises UnknownEssay; NoEdition, StoreAway and DecisionLogError where there is nothing kept to answer with."""
        away = self._live.away
        held = None if away else self._held(ask)
        if held:
            return held
        try:
            if away:
                raise StoreAway(away)
            return await self._found(ask)
        except StoreAway:
            stale = self._stale(ask)
            if stale is None:
                raise
            return stale

    def close(self) -> None:
        """End the threads; what is looked up now is waited for by nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _held(self, ask: Ask) -> Answered | None:
        replies, (ident, edition) = self._live.held(), self._place(ask)
        if replies is None or ident is None or edition not in (None, replies.answers.edition.id):
            return None
        reply = replies.held(ask.form, ident, ask.asked, ask.known, ask.gzipped)
        return _answered(replies, ident, reply) if reply else None

    async def _found(self, ask: Ask) -> Answered:
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, ask)
        except TimeoutError:
            raise StoreAway(f"the database took longer than {PATIENCE:g} seconds: ask again soon") from None

    def _look_up(self, ask: Ask) -> Answered:
        return self._live.ask(lambda replies: self._made(replies, ask))

    def _made(self, replies: Replies, ask: Ask) -> Answered:
        ident = ask.ident
        if ask.url is not None:
            edition = replies.answers.edition
            ident = edition.find(url=ask.url).id
            self._addresses.keep(spelled_once(ask.url), ident, edition.id)
        return _answered(replies, ident, replies.reply(ask.form, ident, ask.asked, ask.known, ask.gzipped))

    def _stale(self, ask: Ask) -> Answered | None:
        replies, (ident, _) = self._live.last(), self._place(ask)
        if replies is None or ident is None:
            return None
        reply = replies.stale(ask.form, ident, ask.asked, ask.known, ask.gzipped)
        return _answered(replies, ident, reply) if reply else None

    def _place(self, ask: Ask) -> tuple[str | None, str | None]:
        """The id of the article, and the edition that told it when it was asked for by its URL."""
        if ask.url is None:
            return ask.ident, None
        return self._addresses.find(spelled_once(ask.url)) or (None, None)


def _answered(replies: Replies, ident: str, reply: Reply) -> Answered:
    return Answered(ident, reply, replies.answers.variant(ident))
