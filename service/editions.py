"""The edition that the service answers from: it follows what is published, and survives what is damaged."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from time import monotonic
from typing import TypeVar

from corpus.errors import DecisionLogError, EditionError, NoEdition, StoreAway
from recommender.edition import Edition, check_served
from recommender.standing import BEGINNING
from service.answers import Answers
from service.kept import ROOM, ROOM_OF_A_DATABASE, Kept
from service.live_decisions import LiveDecisions, undecided
from service.ready import ReadyAnswers, answers_of
from service.replies import Replies
from service.settings import Settings

LOOK_EVERY = timedelta(seconds=0.25)
ASK_EVERY = timedelta(seconds=1)
"""A database is asked this often, though nothing was heard of it: whether it answers, and which edition is current."""
PATIENCE = 3.0
"""Seconds after which a database that has not answered a look-up counts as away: it may hang for ever."""
RETRY_EVERY = timedelta(minutes=1)
"""A damaged edition is tried again this often though nobody has published: a disk may have been away."""
AT_ONCE_BYTES = 32_000_000
"""An edition up to this size is checked before the service starts, a larger one as soon as it has: the start of a large
site should take no longer than that of a small one."""

_AFTER_EVERY_ID = "~"
_CANNOT_OPEN = (EditionError, OSError, ValueError)  # ValueError: `current` is not text
_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class View:
    """What is served at one moment: the replies of an edition or None, and what is wrong, as sentences."""

    replies: Replies | None = None
    faults: tuple[str, ...] = ()

    @property
    def edition(self) -> Edition | None:
        """The edition that is served."""
        return self.replies.answers.edition if self.replies else None


class LiveEdition:
    """The current edition of a store, opened; for many threads.

    Now and then one thread looks whether another edition was published, checks and opens it while the others go on with
    the old one, and puts it in its place in one step: an answer is of one edition. A new edition that is damaged leaves
    the old one in place, and so does a database that does not answer. When the first one is damaged, the newest intact
    one before it stands in.

    prepare: has the ready answers of an edition written, elsewhere and later; they are taken up when they are there.
    store: the one that it follows.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime] = utc_now,
        prepare: Callable[[Edition], object] | None = None,
    ) -> None:
        self.store = settings.open_store()
        self._settings, self._is_database = settings, settings.store is not None
        self._now = now
        self._prepare = prepare
        self._lock, self._changing = Lock(), Lock()
        self._followed = False
        self._view = View()
        self._kept = Kept(ROOM_OF_A_DATABASE if self._is_database else ROOM)
        self._looked: datetime | None = None
        self._tried: datetime | None = None
        self._asked: datetime | None = None
        self._opened: str | None = None
        self._fault: str | None = None
        self._waiting_since: float | None = None
        self._mark: object = None
        if self._is_database:
            with suppress(OSError):  # there the processes of a replica tell each other of decisions
                settings.home.mkdir(parents=True, exist_ok=True)
        self.decisions = LiveDecisions(self.store.log(), now, make_signal=True)
        self._unchecked = False

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Within this, a thread of its own looks for new editions, and view() never waits for one."""
        self.view()
        ended = Event()
        thread = Thread(target=self._follow, args=(ended,), name="live edition", daemon=True)
        self._followed = True
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._followed = False

    def view(self) -> View:
        """What is served now. The very first call opens the edition, and calls beside it wait for that."""
        if not self._followed and self._is_due():
            self._take_turn()
        return self._view

    @property
    def away(self) -> str | None:
        """Why the database does not answer, as a sentence; None while it does."""
        since = self._waiting_since
        if since is not None and monotonic() - since > PATIENCE:
            return f"{self.store.name} has not answered for {PATIENCE:g} seconds: see to the database"
        return self._fault

    def replies(self) -> Replies:
        """The replies of the edition served now, under the decisions that hold now. Raises NoEdition when there is no
        edition, StoreAway when the database does not answer, DecisionLogError when the decisions cannot be known."""
        view, away = self.view(), self.away
        if away is not None:
            raise StoreAway(away)
        if view.replies is None:
            raise NoEdition("; ".join(view.faults))
        return self._decided(view, view.replies)

    def edition(self) -> Edition:
        """The edition served now. Raises NoEdition when there is none."""
        return self.answers().edition

    def answers(self) -> Answers:
        """The answers of the edition served now. Raises NoEdition when there is none."""
        return self.replies().answers

    def ask(self, question: Callable[[Replies], _Found]) -> _Found:
        """What is found in replies(); in those of the next edition, when a database dropped the one asked first."""
        replies = self.replies()
        try:
            return question(replies)
        except StoreAway:
            raise
        except EditionError:
            with self._lock:
                self._asked = None
                self._look()
            successor = self.replies()
            if successor.answers.edition.id == replies.answers.edition.id:
                raise
            return question(successor)

    def held(self) -> Replies | None:
        """replies(), without waiting for anything. None where that cannot be: something may have changed."""
        replies = self.last() if self._followed or not self._is_due() else None
        return replies if replies and self.decisions.holds(replies.answers.standing) else None

    def last(self) -> Replies | None:
        """The replies that were served last. None when there were none, or it was never known what was decided."""
        replies = self._view.replies
        return replies if replies and replies.answers.standing.now > BEGINNING else None

    def _decided(self, view: View, replies: Replies) -> Replies:
        """The replies of a view, under the decisions that hold now."""
        standing = self.decisions.standing(replies.answers.edition)
        if standing is not replies.answers.standing:
            replies = replies.under(standing)
            with self._changing:
                if self._view is view:  # no other edition has come meanwhile
                    self._view = replace(view, replies=replies)
        return replies

    def _follow(self, ended: Event) -> None:
        while not ended.wait(LOOK_EVERY.total_seconds()):
            try:
                self._take_turn()
            except Exception:  # the next look may go well
                _log.exception("looking for a new edition failed")

    def _take_turn(self) -> None:
        if self._lock.acquire(blocking=self._looked is None):
            try:
                self._look()
            finally:
                self._lock.release()

    def _is_due(self) -> bool:
        return self._looked is None or abs(self._now() - self._looked) >= LOOK_EVERY

    def _look(self) -> None:
        now = self._now()
        with self._waiting():
            mark = self.store.mark()
        retry = bool(self._view.faults) and self._tried is not None and abs(now - self._tried) >= RETRY_EVERY
        is_another = self._is_database and self._ask(now)
        if self._fault is None:
            if self._looked is None or mark != self._mark or retry or self._unchecked or is_another:
                self._take_up(self._open())
                self._mark, self._tried = mark, now
            self._take_up_ready()
            with self._waiting():
                self.decisions.follow()
            self._hear_decisions()
        self._looked = now

    def _ask(self, now: datetime) -> bool:
        """Whether the database, asked now and then, names another edition than the one opened last."""
        if self._fault is None and self._asked is not None and abs(now - self._asked) < ASK_EVERY:
            return False
        self._asked = now
        try:
            with self._waiting():
                ident = self.store.current_id()
        except StoreAway as error:
            self._note_fault(str(error))
            return False
        except EditionError:  # none, of which opening it tells
            ident = ""
        self._note_fault(None)
        return ident != self._opened

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waiting_since = monotonic()
        try:
            yield
        finally:
            self._waiting_since = None

    def _note_fault(self, fault: str | None) -> None:
        if (fault is None) != (self._fault is None):
            _log.log(logging.WARNING if fault else logging.INFO, "%s", fault or f"{self.store.name} answers again")
        self._fault = fault

    def _take_up(self, view: View) -> None:
        if (view.edition, view.faults) != (self._view.edition, self._view.faults):
            _log.log(logging.WARNING if view.faults else logging.INFO, "%s", _describe(view))
        with self._changing:
            self._view = view

    def _open(self) -> View:
        held, ident = self._view.replies, _AFTER_EVERY_ID
        self._opened = ""
        try:
            ident = self._opened = self.store.current_id()
            if held is None or held.answers.edition.id != ident:
                quickly = self._looked is None and self.store.served_bytes(ident) > AT_ONCE_BYTES
                held_now = self._replies(self.store.open(ident, quickly))
                self._unchecked = quickly
                return View(held_now)
            if self._unchecked:
                check_served(held.answers.edition)
                self._unchecked = False
            return View(held)
        except StoreAway as error:
            self._opened = None
            self._note_fault(str(error))
            return self._view
        except _CANNOT_OPEN as error:
            if self._unchecked:  # what is held is what is damaged
                held, self._unchecked = None, False
            stand_in = held or self._newest_intact(ident)
            faults = [str(error)]
            if stand_in:
                faults.append(f"edition {stand_in.answers.edition.id} is served instead")
            return View(stand_in, tuple(faults))

    def _newest_intact(self, before: str) -> Replies | None:
        try:
            found = self.store.newest_intact(before)
            return self._replies(found) if found else None
        except _CANNOT_OPEN:
            return None

    def _replies(self, edition: Edition) -> Replies:
        standing = undecided(edition)  # what is decided, replies() asks each time
        if self._is_database:  # which may be away by then
            with suppress(DecisionLogError):
                standing = self.decisions.standing(edition)
        answers = answers_of(self._settings, edition, standing)
        ready = self._ready(answers)
        if ready is None and self._prepare and not self._is_database:
            try:
                self._prepare(edition)
            except OSError:  # the answers are made when they are asked for
                _log.warning("ready answers cannot be prepared", exc_info=True)
        return Replies(answers, ready, self._kept)

    def _ready(self, answers: Answers) -> ReadyAnswers | None:
        """The ready answers, of which there are none where a database holds the editions."""
        return None if self._is_database else ReadyAnswers.open(self._settings.home, answers)

    def _hear_decisions(self) -> None:
        """Read what was decided before a request asks for it."""
        view = self._view
        if view.replies:
            with suppress(DecisionLogError, StoreAway), self._waiting():  # `fault` says so; so will the next request
                self._decided(view, view.replies)

    def _take_up_ready(self) -> None:
        """Answer from the ready answers as soon as they are there."""
        replies = self._view.replies
        if replies and replies.ready is None:
            ready = self._ready(replies.answers)
            if ready:
                with self._changing:
                    self._view = replace(self._view, replies=Replies(replies.answers, ready, self._kept))


def _describe(view: View) -> str:
    return "; ".join(view.faults) or f"edition {view.edition.id if view.edition else None} is served"
