"""Why an item stands in an essay's list, or why not, answered beside the website's process.

To explain a pair takes numpy and the whole site, some hundred megabytes, which the website does without. So the first
question starts `python -m service.desk.explaining`. It reads questions from its standard input and writes an answer to
each, in order, one line of JSON for one:

    {"edition": id, "source": id, "target": id, "profile": "editors" or "meaning"}
    {"found": what service.console_why.why_record() gives}
 or {"error": a class of corpus/errors.py, "sentence": its words}

It holds the edition that was asked about last. It ends with its standard input, so that it never outlives its parent,
and when nothing has been asked for a while. The model is loaded only for texts that the vector cache lacks.
"""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread, Timer
from typing import IO, TYPE_CHECKING, Any, cast

from corpus.errors import (
    CacheError,
    DeskBusy,
    EditionError,
    EncoderError,
    NoEdition,
    RelatedArticlesError,
    ShapeMismatch,
    UnknownEssay,
)
from recommender.ranking import Profile
from service.settings import Settings, load_settings

if TYPE_CHECKING:
    from corpus.essay import Essay
    from embeddings.encoder import Encoder
    from recommender.explain import Explainer, Passages

WAITING = 8
"""So many questions may wait while one is answered."""
SECONDS = 30.0
"""A question not answered in this time is given up."""
OPENING_SECONDS = 300.0
"""Only after that is a process stopped that has an edition to open first; a later question may find it open."""
IDLE_SECONDS = 900.0
"""A process that nobody has asked anything for so long ends."""
NICENESS = 5
_TRIES = 2
"""A process that died, or was just ending, is replaced; a question that kills it is not asked again and again."""
_ERRORS: Mapping[str, type[RelatedArticlesError]] = {
    error.__name__: error
    for error in (RelatedArticlesError, UnknownEssay, EditionError, NoEdition, EncoderError, CacheError, ShapeMismatch)
}

Line = dict[str, Any]
"""A question or an answer."""


class ExplainDesk:
    """Takes questions from the event loop, one after the other. No process and no thread runs before the first one.

    command: what is started. waiting, seconds, opening_seconds: see WAITING, SECONDS and OPENING_SECONDS.

    started counts the processes since the start.
    """

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str] = (sys.executable, "-m", "service.desk.explaining"),
        waiting: int = WAITING,
        seconds: float = SECONDS,
        opening_seconds: float = OPENING_SECONDS,
    ) -> None:
        self._settings, self._command = settings, command
        self._most_waiting, self.seconds, self._opening_seconds = waiting, seconds, opening_seconds
        self.started = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explaining")
        self._jobs: list[Future[Line]] = []
        self._process: _Process | None = None
        self._starting = Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process's id, None before the first question."""
        return self._process.pid if self._process else None

    async def why(self, edition_id: str, source: str, target: str, profile: Profile = "editors") -> Line:
        """What service.console_why.why_record() tells of a pair, by the site's rules, as JSON.

        Its "standing" is the edition's: the editors' decisions are not looked at.
        Raises DeskBusy, and what Explainer.explain() and open_edition() raise.
        """
        self._jobs = [job for job in self._jobs if not job.done()]
        if self._closed or len(self._jobs) > self._most_waiting:
            raise DeskBusy("as many questions as may are waiting already: ask again in a while")
        question = {"edition": edition_id, "source": source, "target": target, "profile": profile}
        job = self._thread.submit(self._ask, question)
        self._jobs.append(job)
        return await self._answer(job)

    async def close(self) -> None:
        """Give up what is asked, and end the process. May be called twice."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._starting:  # no process starts any more that nobody would end
            self._closed = True
            if self._process:
                self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        if self._process:
            self._process.end()

    async def _answer(self, job: "Future[Line]") -> Line:
        """What comes of a question, within the time that it has."""
        try:
            async with asyncio.timeout(self.seconds):
                return await asyncio.wrap_future(job)  # which cancels the job with it, if it is not begun
        except TimeoutError:
            raise DeskBusy(f"no answer came within {self.seconds:g} seconds: ask again later") from None
        except asyncio.CancelledError:
            if not (self._closed and job.cancelled()):
                raise
            raise DeskBusy("the service is stopping") from None

    def _ask(self, question: Line) -> Line:
        """In the desk's thread: the record. Raises what the process says."""
        for _ in range(_TRIES):
            process = self._running()
            opened = process.edition == question["edition"]
            answer = process.ask(question, self.seconds if opened else self._opening_seconds)
            if answer is None:
                continue
            if "error" in answer:
                raise _ERRORS[answer["error"]](answer["sentence"])
            found: Line = answer["found"]
            return found
        raise RelatedArticlesError(
            f"the process that was to explain {question['target']} for {question['source']} ended twice without an "
            "answer: its last words are in the service's log"
        )

    def _running(self) -> "_Process":
        """The process, a new one when there is none or it has ended."""
        with self._starting:
            if self._closed:
                raise DeskBusy("the service is stopping")
            if self._process is None or self._process.has_ended():
                if self._process:
                    self._process.end()
                self._process = _Process(self._command, self._settings)
                self.started += 1
            return self._process


class _Process:
    """The process, from outside. edition: what it was asked about last, once it has answered."""

    def __init__(self, command: Sequence[str], settings: Settings) -> None:
        self.edition: str | None = None
        self._process = subprocess.Popen(  # noqa: S603
            command,
            env={**os.environ, **settings.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # a terminal's Ctrl-C is for the service, which then ends this one
        )

    def ask(self, question: Line, seconds: float) -> Line | None:
        """The answer; None when the process ended without one. Raises DeskBusy after so many seconds, and kills it."""
        late = Event()
        timer = Timer(seconds, self._give_up, (late,))
        timer.start()
        try:
            answer = self._exchange(json.dumps(question).encode() + b"\n")
        finally:
            timer.cancel()
        if answer.endswith(b"\n"):
            self.edition = question["edition"]
            said: Line = json.loads(answer)
            return said
        self.end()  # so that it is not asked again
        if late.is_set():
            raise DeskBusy(f"no answer came within {seconds:g} seconds: ask again later")
        return None

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Have it end at once."""
        self._process.kill()

    def end(self) -> None:
        """Have it end at once, and leave nothing of it."""
        self.kill()
        with suppress(OSError), self._process:  # a question that it did not read cannot be written any more
            pass

    def _exchange(self, line: bytes) -> bytes:
        """The line that answers; without its end when the process ended."""
        questions, answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            questions.write(line)
            questions.flush()
        except OSError:  # nobody reads
            return b""
        return answers.readline()

    def _give_up(self, late: Event) -> None:
        late.set()
        self.kill()


class _Answerer:
    """Answers questions, in the process itself, by the settings' rules."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._encoder: Encoder | None = None
        self._held: tuple[str, Explainer] | None = None

    def answer(self, question: Line) -> Line:
        """The answer to a question; whatever goes wrong is one, too."""
        try:
            return {"found": self._explain(question)}
        except RelatedArticlesError as error:
            return _refusal(error, str(error))
        except Exception:  # the next question may be a better one
            traceback.print_exc()
            sentence = f"{question['target']} could not be explained for {question['source']}: the log has the reason"
            return _refusal(RelatedArticlesError(), sentence)

    def _explain(self, question: Line) -> Line:
        from service.console_why import why_record

        rules = replace(self._settings.rules(), profile=question["profile"])
        explainer = self._explainer(question["edition"])
        return why_record(question["edition"], explainer.explain(question["source"], question["target"], rules))

    def _explainer(self, ident: str) -> "Explainer":
        if self._held is None or self._held[0] != ident:
            self._held = None  # both at once would need twice the memory
            self._held = ident, self._open(ident)
        return self._held[1]

    def _open(self, ident: str) -> "Explainer":
        from embeddings.cache import PLACE
        from recommender.explain import Explainer, reading_passages

        edition, encoder = self._settings.open_store().open(ident), self._settings.encoder()
        if self._encoder and self._encoder.fingerprint == encoder.fingerprint:
            encoder = self._encoder  # which may have its model loaded
        self._encoder = encoder

        def passages_of(essay: "Essay") -> "Passages":
            with reading_passages(edition, encoder, self._settings.home / PLACE) as read:
                return read(essay)

        return Explainer(edition, passages_of)


def main() -> None:
    """Answer the questions on the standard input, in the home that the environment names."""
    os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    answerer = _Answerer(load_settings(Path(os.environ["RELATED_HOME"])))
    questions: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(questions,), daemon=True).start()
    with suppress(Empty, BrokenPipeError):
        while True:
            answer = answerer.answer(json.loads(questions.get(timeout=IDLE_SECONDS)))
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()
    os._exit(0)  # the thread that listens cannot be ended otherwise


def _listen(questions: "SimpleQueue[bytes]") -> None:
    """A thread of its own, so that the process ends with its parent even while it is busy."""
    for line in sys.stdin.buffer:
        questions.put(line)
    os._exit(0)


def _refusal(error: RelatedArticlesError, sentence: str) -> Line:
    """The error by the nearest of the classes that are told."""
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return {"error": name, "sentence": sentence}


if __name__ == "__main__":
    main()
