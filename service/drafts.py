"""Where drafts are answered: one thread beside the event loop, with the model in it from the first draft on."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, Self

from corpus.errors import DraftsBusy, DraftsOff, RelatedArticlesError
from recommender.edition import Edition
from recommender.ranking import Ranking, Rules

if TYPE_CHECKING:
    from corpus.essay import Essay
    from embeddings.encoder import Encoder
    from service.settings import Settings

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """What suggests for drafts over one edition: what live_drafts.draft_reader() gives, and a stand-in in tests."""

    def suggest(self, draft: "Essay", rules: Rules) -> Ranking: ...


LoadReader = Callable[[Edition], Reader]
"""Makes the reader of an edition. It is called in the desk's thread, for the first draft of each edition."""


class DraftDesk:
    """Takes drafts from the event loop, one after the other. No thread runs before the first one.

    load      None: drafts are not answered here
    waiting   so many may wait while one is read; one more is refused
    seconds   after that a draft is given up; if it is not begun it is never read

    answered, failed, refused, timed_out count drafts since the start.
    """

    def __init__(self, load: LoadReader | None, waiting: int, seconds: float) -> None:
        self.answered = self.failed = self.refused = self.timed_out = 0
        self._load, self._most_waiting, self._seconds = load, waiting, seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drafts")
        self._jobs: list[Future[Ranking]] = []
        self._held: tuple[str, Reader] | None = None
        self._closed = False

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """The desk that the settings ask for."""
        load = ModelLoader(settings.encoder) if settings.drafts else None
        return cls(load, settings.drafts_waiting, settings.drafts_timeout_seconds)

    @property
    def on(self) -> bool:
        """Whether drafts are answered."""
        return self._load is not None

    @property
    def waiting(self) -> int:
        """How many drafts wait while one is read. One that was given up while it is read keeps them waiting, too."""
        return max(0, sum(not job.done() for job in self._jobs) - 1)

    async def suggest(self, text: str, title: str | None, edition: Edition, rules: Rules) -> Ranking:
        """The list for a draft in plain text. Raises DraftsOff, DraftsBusy, and what the reader raises."""
        if self._load is None:
            raise DraftsOff("this service answers no drafts: start it with `related serve --drafts`")
        self._jobs = [job for job in self._jobs if not job.done()]
        if self._closed or len(self._jobs) > self._most_waiting:
            self.refused += 1
            raise DraftsBusy("as many drafts as may are waiting already: ask again in a while")
        job = self._thread.submit(self._read, self._load, text, title, edition, rules)
        self._jobs.append(job)
        ranking = await self._answer(job)
        self.answered += 1
        return ranking

    def close(self) -> None:
        """Refuse the drafts that wait, and return when the one that is read is done. May be called twice."""
        self._closed = True
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _answer(self, job: "Future[Ranking]") -> Ranking:
        """What comes of a job, within the time that it has."""
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(job)  # which cancels the job with it, if it is not begun
        except TimeoutError:
            self.timed_out += 1
            raise DraftsBusy(f"the draft was not answered within {self._seconds:g} seconds: ask again later") from None
        except asyncio.CancelledError:
            if not (self._closed and job.cancelled()):
                raise
            self.refused += 1
            raise DraftsBusy("the service is stopping") from None
        except RelatedArticlesError as error:
            self.failed += 1
            _log.warning("a draft could not be answered: %s", error)
            raise
        except Exception:
            self.failed += 1
            raise

    def _read(self, load: LoadReader, text: str, title: str | None, edition: Edition, rules: Rules) -> Ranking:
        """In the desk's thread."""
        from recommender.drafts import parse_draft

        if self._held is None or self._held[0] != edition.id:
            self._held = None  # both at once would need twice the memory
            self._held = edition.id, load(edition)
        return self._held[1].suggest(parse_draft(text, title), rules)


class ModelLoader:
    """A LoadReader: the model is imported and loaded with the first reader, and all readers share it."""

    def __init__(self, load: "Callable[[], Encoder]") -> None:
        self._load = load
        self._encoder: Encoder | None = None

    def __call__(self, edition: Edition) -> Reader:
        from recommender.live_drafts import draft_reader

        self._encoder = self._encoder or self._load()
        return draft_reader(edition, self._encoder)
