"""The desk where drafts are read: one at a time, in a thread, bounded."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from corpus.errors import DraftsBusy, DraftsOff, EncoderError
from recommender.drafts import DraftReader
from recommender.edition import Edition, open_current
from recommender.job import BuildOptions, build
from recommender.ranking import Ranking, Rules
from service.drafts import DraftDesk
from service.settings import Settings
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site
from tests.service.editions import publish_edition, publish_other_edition
from tests.service.posting import app_of, client_of, is_problem

NOTHING = Ranking((), ())
A_WHILE = 10.0
T = TypeVar("T")


class Reader:
    """Reads nothing, and stops at a draft called "wait" until it is let go on.

    read: the drafts, in order. threads: where they were read.
    """

    def __init__(self) -> None:
        self.read: list[str] = []
        self.threads: set[int] = set()
        self.reading, self.go_on = threading.Event(), threading.Event()

    def suggest(self, draft: Any, rules: Rules) -> Ranking:
        self.read.append(draft.body)
        self.threads.add(threading.get_ident())
        if draft.body == "wait":
            self.reading.set()
            assert self.go_on.wait(A_WHILE)
        return NOTHING


@dataclass(frozen=True)
class Named:
    """As much of an edition as the desk looks at."""

    id: str = "one"


def ask(desk: DraftDesk, text: str, edition: Any = Named()) -> Awaitable[Ranking]:
    return desk.suggest(text, None, edition, Rules())


@contextmanager
def opened(desk: DraftDesk, reader: Reader | None = None) -> Iterator[DraftDesk]:
    try:
        yield desk
    finally:
        if reader:
            reader.go_on.set()
        desk.close()


def desk_of(reader: Reader, waiting: int = 2, seconds: float = A_WHILE) -> DraftDesk:
    return DraftDesk(lambda edition: reader, waiting, seconds)


def counts(desk: DraftDesk) -> tuple[int, int, int]:
    """How many wait, were refused, and were given up."""
    return desk.waiting, desk.refused, desk.timed_out


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    async with asyncio.timeout(A_WHILE):
        while not true():
            await asyncio.sleep(0.001)


# --- One at a time ------------------------------------------------------------------------------------------------


def test_drafts_are_read_in_order_in_one_thread_that_is_not_the_loops() -> None:
    reader = Reader()

    async def several() -> list[Ranking]:
        return await asyncio.gather(*(ask(desk, text) for text in ("one", "two", "three")))

    with opened(desk_of(reader)) as desk:
        assert asyncio.run(several()) == [NOTHING] * 3

    assert reader.read == ["one", "two", "three"]
    assert len(reader.threads) == 1
    assert threading.get_ident() not in reader.threads
    assert (desk.answered, desk.failed, counts(desk)) == (3, 0, (0, 0, 0))


def test_the_loop_goes_on_while_a_draft_is_read() -> None:
    reader = Reader()

    async def meanwhile() -> Ranking:
        asked = asyncio.ensure_future(ask(desk, "wait"))
        await until(reader.reading.is_set)
        reader.go_on.set()
        return await asked

    with opened(desk_of(reader)) as desk:
        assert asyncio.run(meanwhile()) == NOTHING


def test_no_thread_runs_before_the_first_draft_and_none_after_the_desk_is_closed() -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("drafts")]

    desk = desk_of(Reader())
    assert threads() == []
    asyncio.run(_value(ask(desk, "one")))
    assert len(threads()) == 1
    desk.close()
    desk.close()
    assert threads() == []


async def _value(asked: Awaitable[T]) -> T:
    return await asked


def test_a_desk_that_answers_no_drafts_says_so() -> None:
    desk = DraftDesk.of(Settings())

    assert not desk.on
    assert DraftDesk.of(Settings(drafts=True)).on
    with pytest.raises(DraftsOff, match="start it with `related serve --drafts`"):
        asyncio.run(_value(ask(desk, "one")))


# --- Bounds -------------------------------------------------------------------------------------------------------


def test_one_more_than_may_wait_is_refused() -> None:
    reader = Reader()

    async def crowd() -> list[Any]:
        first = asyncio.ensure_future(ask(desk, "wait"))
        await until(reader.reading.is_set)
        others = [asyncio.ensure_future(ask(desk, text)) for text in ("two", "three", "four")]
        await until(lambda: others[2].done())
        assert counts(desk) == (2, 1, 0)
        reader.go_on.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    with opened(desk_of(reader, waiting=2), reader) as desk:
        *answered, refused = asyncio.run(crowd())

    assert answered == [NOTHING] * 3
    assert isinstance(refused, DraftsBusy)
    assert reader.read == ["wait", "two", "three"]
    assert (desk.answered, counts(desk)) == (3, (0, 1, 0))


def test_a_draft_that_waits_too_long_is_given_up_and_never_read() -> None:
    reader = Reader()

    async def impatient() -> list[Any]:
        first = asyncio.ensure_future(ask(desk, "wait"))
        await until(reader.reading.is_set)
        second = asyncio.ensure_future(ask(desk, "two"))
        found = await asyncio.gather(first, second, return_exceptions=True)
        assert counts(desk) == (0, 0, 2)
        reader.go_on.set()
        desk._seconds = A_WHILE
        found.append(await ask(desk, "three"))
        return found

    with opened(desk_of(reader, seconds=0.05), reader) as desk:
        first, second, third = asyncio.run(impatient())

    for given_up in (first, second):
        assert isinstance(given_up, DraftsBusy)
        assert str(given_up) == "the draft was not answered within 0.05 seconds: ask again later"
    assert third == NOTHING
    assert reader.read == ["wait", "three"]


def test_a_draft_that_was_given_up_keeps_its_place_while_it_is_still_read() -> None:
    reader = Reader()

    async def stuck() -> None:
        with pytest.raises(DraftsBusy, match="was not answered within"):
            await ask(desk, "wait")
        desk._seconds = A_WHILE
        waiting = asyncio.ensure_future(ask(desk, "two"))
        await asyncio.sleep(0)
        assert desk.waiting == 1
        with pytest.raises(DraftsBusy, match="as many drafts as may are waiting already"):
            await ask(desk, "three")
        reader.go_on.set()
        await waiting

    with opened(desk_of(reader, waiting=1, seconds=0.05), reader) as desk:
        asyncio.run(stuck())

    assert reader.read == ["wait", "two"]


def test_closing_refuses_what_waits_and_lets_the_one_that_is_read_end() -> None:
    reader = Reader()

    async def closed() -> list[Any]:
        asked = [asyncio.ensure_future(ask(desk, text)) for text in ("wait", "two", "three")]
        await until(reader.reading.is_set)
        closing = asyncio.ensure_future(asyncio.to_thread(desk.close))
        await until(lambda: asked[2].done())
        assert not closing.done()
        reader.go_on.set()
        await closing
        with pytest.raises(DraftsBusy):
            await ask(desk, "four")
        return await asyncio.gather(*asked, return_exceptions=True)

    with opened(desk_of(reader), reader) as desk:
        first, *others = asyncio.run(closed())

    assert first == NOTHING
    assert [str(error) for error in others] == ["the service is stopping"] * 2
    assert reader.read == ["wait"]


def test_a_request_that_is_cancelled_stays_cancelled_and_is_never_read() -> None:
    reader = Reader()

    async def gone() -> None:
        first = asyncio.ensure_future(ask(desk, "wait"))
        await until(reader.reading.is_set)
        second = asyncio.ensure_future(ask(desk, "two"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        reader.go_on.set()
        await first

    with opened(desk_of(reader), reader) as desk:
        asyncio.run(gone())

    assert reader.read == ["wait"]


# --- Readers ------------------------------------------------------------------------------------------------------


def test_a_reader_is_loaded_once_an_edition_and_only_the_last_is_held() -> None:
    loaded: list[str] = []

    def load(edition: Any) -> Reader:
        loaded.append(edition.id)
        return Reader()

    async def asked() -> None:
        for name in ("one", "one", "two", "two", "one"):
            await ask(desk, "text", Named(name))

    with opened(DraftDesk(load, 2, A_WHILE)) as desk:
        asyncio.run(asked())

    assert loaded == ["one", "two", "one"]


def test_a_reader_that_cannot_be_loaded_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[str] = []

    def load(edition: Any) -> Reader:
        tries.append(edition.id)
        if len(tries) == 1:
            raise EncoderError("no model in the folder")
        return Reader()

    async def asked() -> Ranking:
        with pytest.raises(EncoderError):
            await ask(desk, "one")
        return await ask(desk, "two")

    with opened(DraftDesk(load, 2, A_WHILE)) as desk:
        assert asyncio.run(asked()) == NOTHING

    assert (len(tries), desk.failed, desk.answered) == (2, 1, 1)
    assert caplog.messages == ["a draft could not be answered: no model in the folder"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an edition made with the fake encoder, of twelve pages, three on each subject."""
    folder = tmp_path_factory.mktemp("desk")
    build([write_site(folder / "site")], folder / "home", CountingEncoder(), BuildOptions())
    return folder / "home"


def with_encoder(encoder: CountingEncoder) -> Callable[[Edition], DraftReader]:
    return lambda edition: DraftReader(edition, encoder)


def test_a_draft_gets_what_the_reader_of_its_edition_suggests_over_http(home: Path) -> None:
    encoder = CountingEncoder()
    app = app_of(home, drafts=True)
    app.state.drafts = DraftDesk(with_encoder(encoder), 2, A_WHILE)
    with client_of(app) as client:
        answers = [client.post("/v1/related", json={"text": "Coasts\nA map of the coast.", "limit": 3}) for _ in "12"]

    expected = {"page-002", "page-006", "page-010"}
    for answer in answers:
        assert {card["id"] for card in answer.json()["items"]} == expected
    assert encoder.texts == ["Coasts", "A map of the coast."] * 2


def test_a_draft_is_a_503_when_the_edition_is_another_encoders(home: Path) -> None:
    app = app_of(home, drafts=True)
    app.state.drafts = DraftDesk(with_encoder(CountingEncoder(fingerprint="axes@2")), 2, A_WHILE)
    with client_of(app) as client:
        response = client.post("/v1/related", json={"text": "A map."})

    problem = is_problem(response, 503, "No model to read drafts with")
    assert problem["detail"].endswith("the log says which")
    assert response.headers["retry-after"] == "600"


def test_a_busy_desk_is_a_503_that_says_when_to_come_again(home: Path) -> None:
    app, reader = app_of(home, drafts=True), Reader()
    app.state.drafts = DraftDesk(lambda edition: reader, 1, 0.05)
    with client_of(app) as client:
        response = client.post("/v1/related", json={"text": "wait"})
        reader.go_on.set()

    problem = is_problem(response, 503, "Too many drafts")
    assert problem["type"] == "tag:related-articles,2026:drafts-busy"
    assert response.headers["retry-after"] == "10"


def test_a_new_edition_gets_a_new_reader(tmp_path: Path) -> None:
    loaded: list[str] = []

    def load(edition: Edition) -> Reader:
        loaded.append(edition.id)
        return Reader()

    publish_edition(tmp_path)
    first = open_current(tmp_path)
    publish_other_edition(tmp_path, datetime(2026, 11, 2, tzinfo=UTC))
    second = open_current(tmp_path)

    async def asked() -> None:
        await ask(desk, "one", first)
        await ask(desk, "one", second)

    with opened(DraftDesk(load, 2, A_WHILE)) as desk:
        asyncio.run(asked())

    assert loaded == [first.id, second.id]


def test_a_desk_that_is_open_loads_no_model_before_a_draft_comes() -> None:
    program = """
import sys
import service.suggestions, service.limits
from service.drafts import DraftDesk
from service.settings import Settings
DraftDesk.of(Settings(drafts=True))
print([name for name in ("torch", "faiss", "numpy", "scipy", "sentence_transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
