"""The edition that the service answers from: it follows what is published, and survives what is damaged."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread

from corpus.errors import DecisionLogError, EditionError, NoEdition
from recommender.edition import Edition, check_served
from service.answers import Answers
from service.live_decisions import LiveDecisions, undecided
from service.ready import ReadyAnswers, answers_of
from service.replies import Replies
from service.settings import Settings

LOOK_EVERY = timedelta(seconds=0.25)
RETRY_EVERY = timedelta(minutes=1)
"""A damaged edition is tried again this often though nobody has published: a disk may have been away."""
AT_ONCE_BYTES = 32_000_000
"""An edition up to this size is checked before the service starts, a larger one as soon as it has: the start of a large
site should take no longer than that of a small one."""

_AFTER_EVERY_ID = "~"
_CANNOT_OPEN = (EditionError, OSError, ValueError)  # ValueError: `current` is not text
_log = logging.getLogger(__name__)


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
    """The current edition of a home, opened; for many threads.

    Now and then one thread looks whether another edition was published, checks and opens it while the others go on with
    the old one, and puts it in its place in one step: an answer is of one edition. A new edition that is damaged leaves
    the old one in place. When the first one is damaged, the newest intact one before it stands in.

    prepare: has the ready answers of an edition written, elsewhere and later; they are taken up when they are there.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime] = utc_now,
        prepare: Callable[[Edition], object] | None = None,
    ) -> None:
        self._settings, self._store = settings, settings.open_store()
        self._now = now
        self._prepare = prepare
        self._lock, self._changing = Lock(), Lock()
        self._followed = False
        self._view = View()
        self._looked: datetime | None = None
        self._tried: datetime | None = None
        self._mark: object = None
        self.decisions = LiveDecisions(settings.home, now, make_signal=True)
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

    def replies(self) -> Replies:
        """The replies of the edition served now, under the decisions that hold now. Raises NoEdition when there is no
        edition, DecisionLogError when the decisions cannot be known."""
        view = self.view()
        replies = view.replies
        if replies is None:
            raise NoEdition("; ".join(view.faults))
        standing = self.decisions.standing(replies.answers.edition)
        if standing is not replies.answers.standing:
            replies = replies.under(standing)
            with self._changing:
                if self._view is view:  # no other edition has come meanwhile
                    self._view = replace(view, replies=replies)
        return replies

    def edition(self) -> Edition:
        """The edition served now. Raises NoEdition when there is none."""
        return self.answers().edition

    def answers(self) -> Answers:
        """The answers of the edition served now. Raises NoEdition when there is none."""
        return self.replies().answers

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
        now, mark = self._now(), self._store.mark()
        retry = bool(self._view.faults) and self._tried is not None and abs(now - self._tried) >= RETRY_EVERY
        if self._looked is None or mark != self._mark or retry or self._unchecked:
            view = self._open()
            if (view.edition, view.faults) != (self._view.edition, self._view.faults):
                _log.log(logging.WARNING if view.faults else logging.INFO, "%s", _describe(view))
            with self._changing:
                self._view = view
            self._mark, self._tried = mark, now
        self._take_up_ready()
        self.decisions.follow()
        self._hear_decisions()
        self._looked = now

    def _open(self) -> View:
        held, ident = self._view.replies, _AFTER_EVERY_ID
        try:
            ident = self._store.current_id()
            if held is None or held.answers.edition.id != ident:
                quickly = self._looked is None and self._store.served_bytes(ident) > AT_ONCE_BYTES
                held_now = self._replies(self._store.open(ident, quickly))
                self._unchecked = quickly
                return View(held_now)
            if self._unchecked:
                check_served(held.answers.edition)
                self._unchecked = False
            return View(held)
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
            found = self._store.newest_intact(before)
            return self._replies(found) if found else None
        except _CANNOT_OPEN:
            return None

    def _replies(self, edition: Edition) -> Replies:
        answers = answers_of(self._settings, edition, undecided(edition))  # what is decided, replies() asks each time
        ready = self._ready(answers)
        if ready is None and self._prepare and self._settings.store is None:
            try:
                self._prepare(edition)
            except OSError:  # the answers are made when they are asked for
                _log.warning("ready answers cannot be prepared", exc_info=True)
        return Replies(answers, ready)

    def _ready(self, answers: Answers) -> ReadyAnswers | None:
        """The ready answers, of which there are none where a database holds the editions."""
        return ReadyAnswers.open(self._settings.home, answers) if self._settings.store is None else None

    def _hear_decisions(self) -> None:
        """Read what was decided before a request asks for it."""
        if self._view.edition:
            with suppress(DecisionLogError):  # `fault` says so, and so will the next request
                self.decisions.standing(self._view.edition)

    def _take_up_ready(self) -> None:
        """Answer from the ready answers as soon as they are there."""
        replies = self._view.replies
        if replies and replies.ready is None:
            ready = self._ready(replies.answers)
            if ready:
                with self._changing:
                    self._view = replace(self._view, replies=Replies(replies.answers, ready))


def _describe(view: View) -> str:
    return "; ".join(view.faults) or f"edition {view.edition.id if view.edition else None} is served"
