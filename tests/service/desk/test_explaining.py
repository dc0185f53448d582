"""The process that explains pairs for the desk: what it answers, when it ends, and what its parent makes of its end."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import DeskBusy, EditionError, EncoderError, RelatedArticlesError, UnknownEssay
from embeddings.cache import PLACE
from embeddings.encoder import Encoder
from embeddings.sentence import SentenceEncoder
from recommender.edition import open_current, open_edition
from recommender.explain import explain_pair, reading_passages
from recommender.job import BuildOptions, build
from recommender.ranking import Rules
from service.console_why import why_record
from service.desk.explaining import NICENESS, ExplainDesk
from service.settings import Settings
from tests.fakes import CountingEncoder
from tests.service.test_light_imports import HEAVY

ROOT = Path(__file__).parents[3]
SECONDS = 60
ODD = 'a "quoted"\nid: {},\\ caf\u00e9/\u9eba'
PAGES: list[dict[str, Any]] = [
    {
        "id": "oven",
        "title": "The oven",
        "category": "Food",
        "body": "Bread rises over hot stones.\n\nThe clock tells when the sour loaf is ready for the market.",
        "blurbs": [{"text": "How a quern was dressed for rye, one stone after the other."}],
        "related": ["hour"],
    },
    {"id": "hour", "title": "The hour", "category": "Time", "body": "That clock, a loaf.", "published": "2024-05-06"},
    {"id": "loaf", "title": "The loaf", "category": "Time", "body": "Bread and a sour loaf."},
    {"id": ODD, "title": "The river", "category": "Time", "body": "A bridge and a map."},
]
FAKE = """
import os, threading, embeddings.loading
from tests.fakes import CountingEncoder
embeddings.loading.load_encoder = lambda *_: CountingEncoder()
from service.desk import explaining
def on(target, act):
    answer = explaining._Answerer.answer
    explaining._Answerer.answer = lambda self, asked: act() if asked["target"] == target else answer(self, asked)
"""
HANGS = "on('never', threading.Event().wait)"
FALLS = "on('never', lambda: os._exit(1))"

Body = Callable[[ExplainDesk], Coroutine[Any, Any, None]]


def publish(home: Path, encoder: Encoder, pages: list[dict[str, Any]] = PAGES) -> str:
    """An edition of the pages; its id."""
    site = home.parent / "site.jsonl"
    site.write_text("".join(json.dumps(page) + "\n" for page in pages), encoding="utf-8")
    build([site], home, encoder, BuildOptions())
    return open_current(home).id


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests that change nothing."""
    path = tmp_path_factory.mktemp("explaining") / "home"
    publish(path, CountingEncoder())
    return path


@pytest.fixture(scope="module")
def edition(home: Path) -> str:
    return open_current(home).id


def command(change: str = "") -> tuple[str, ...]:
    """The process with the fake encoder. change: lines of Python, for what is to go wrong in it."""
    return (sys.executable, "-c", f"{FAKE}{change}\nexplaining.main()")


def run(settings: Settings, body: Body, change: str = "", **limits: Any) -> None:
    """Run the body with a desk whose process is ended afterwards."""

    async def opened() -> None:
        desk = ExplainDesk(settings, command(change), **({"seconds": SECONDS, "opening_seconds": SECONDS} | limits))
        try:
            await body(desk)
        finally:
            await desk.close()

    asyncio.run(opened())


def in_process(home: Path, source: str, target: str, rules: Rules, encoder: Encoder | None = None) -> dict[str, Any]:
    """What is told without a process of its own."""
    edition = open_current(home)
    with reading_passages(edition, encoder or CountingEncoder(), home / PLACE) as passages_of:
        record = why_record(edition.id, explain_pair(edition, source, target, passages_of, rules))
    found: dict[str, Any] = json.loads(json.dumps(record))
    return found


def pid_of(desk: ExplainDesk) -> int:
    assert desk.pid is not None
    return desk.pid


@contextmanager
def watched(pid: int) -> Any:
    """A function that waits for the end of the process, be it a child or not; whether it came in time."""
    descriptor = os.pidfd_open(pid)
    try:
        yield lambda: bool(select.select([descriptor], [], [], SECONDS)[0])
    finally:
        os.close(descriptor)


# --- Answers ------------------------------------------------------------------------------------------------------


def test_what_is_told_is_what_is_told_in_process_for_essays_and_blurbs_under_either_profile(
    home: Path, edition: str
) -> None:
    settings = Settings(home=home, min_score=0.2)
    blurb = next(ident for ident in open_current(home).items if ident.startswith("blurb:"))

    async def body(desk: ExplainDesk) -> None:
        assert await desk.why(edition, "oven", "loaf") == in_process(home, "oven", "loaf", settings.rules())
        assert await desk.why(edition, "oven", blurb) == in_process(home, "oven", blurb, settings.rules())
        found = await desk.why(edition, "oven", "hour", "meaning")
        assert found == in_process(home, "oven", "hour", Rules(min_score=0.2, profile="meaning"))
        assert (found["profile"], found["target"]["published"]) == ("meaning", "2024-05-06")

    run(settings, body)


def test_the_sites_rules_decide_where_it_stands(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        assert (await desk.why(edition, "loaf", "hour"))["standing"].endswith("is under 0.990")

    run(Settings(home=home, min_score=0.99), body)


def test_an_id_may_hold_lines_quotes_and_any_letters(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        found = await desk.why(edition, ODD, "oven")
        assert found["source"]["id"] == ODD
        assert found == in_process(home, ODD, "oven", Rules())
        with pytest.raises(UnknownEssay, match="no essay or blurb"):
            await desk.why(edition, ODD, "x\n\ud800")

    run(Settings(home=home), body)


def test_what_is_unknown_is_refused_as_in_process_and_the_process_goes_on(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        with pytest.raises(UnknownEssay, match=f"^no essay 'nowhere' in edition {edition}: "):
            await desk.why(edition, "nowhere", "oven")
        pid = desk.pid
        with pytest.raises(UnknownEssay, match=r"^no essay or blurb 'nowhere' in edition"):
            await desk.why(edition, "oven", "nowhere")
        with pytest.raises(RelatedArticlesError, match=r"^oven is the essay itself"):
            await desk.why(edition, "oven", "oven")
        with pytest.raises(EditionError, match="there is no edition 20200101T000000Z-00000000"):
            await desk.why("20200101T000000Z-00000000", "oven", "hour")
        assert (await desk.why(edition, "oven", "hour"))["listed"]
        assert desk.pid == pid

    run(Settings(home=home), body)


def test_a_mistake_of_our_own_is_no_end_of_the_process(
    home: Path, edition: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async def body(desk: ExplainDesk) -> None:
        with pytest.raises(
            RelatedArticlesError, match=r"^hour could not be explained for oven: the log has the reason$"
        ):
            await desk.why(edition, "oven", "hour", "nobody's")  # type: ignore[arg-type]
        pid = desk.pid
        assert (await desk.why(edition, "oven", "hour"))["listed"]
        assert desk.pid == pid

    run(Settings(home=home), body)
    assert 'KeyError: "nobody\'s"' in capfd.readouterr().err


def test_what_a_library_prints_is_no_answer(home: Path, edition: str, capfd: pytest.CaptureFixture[str]) -> None:
    async def body(desk: ExplainDesk) -> None:
        assert (await desk.why(edition, "oven", "hour"))["listed"]

    run(
        Settings(home=home),
        body,
        "import atexit; explaining._refusal = print; os.environ['PYTHONUNBUFFERED'] = '1'\n"
        "load = explaining.load_settings\n"
        "explaining.load_settings = lambda home: print('by the way', flush=True) or load(home)",
    )
    assert capfd.readouterr() == ("", "by the way\n")


def test_questions_asked_at_once_are_answered_in_order_each_with_its_own(home: Path, edition: str) -> None:
    pairs = [("oven", "hour"), ("hour", "oven"), ("loaf", ODD), (ODD, "loaf"), ("oven", "loaf"), ("hour", "loaf")]
    answered: list[tuple[str, str]] = []

    async def body(desk: ExplainDesk) -> None:
        async def ask(source: str, target: str) -> None:
            found = await desk.why(edition, source, target)
            answered.append((found["source"]["id"], found["target"]["id"]))

        await asyncio.gather(*(ask(*pair) for pair in pairs))

    run(Settings(home=home), body)
    assert answered == pairs


def test_another_edition_is_opened_when_it_is_asked_about(tmp_path: Path) -> None:
    home = tmp_path / "home"
    one = publish(home, CountingEncoder())
    changed = [page | {"related": ["loaf"]} if page["id"] == "oven" else page for page in PAGES]
    two = publish(home, CountingEncoder(), changed)
    assert open_edition(home, one).id != two

    async def body(desk: ExplainDesk) -> None:
        found = [await desk.why(edition, "oven", "loaf") for edition in (one, two, one)]
        assert [record["edition"] for record in found] == [one, two, one]
        assert [record["listed"] for record in found] == [False, True, False]

    run(Settings(home=home), body)


# --- The process --------------------------------------------------------------------------------------------------


def test_it_starts_with_the_first_question_and_is_nicer_than_its_parent(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        assert desk.pid is None
        await desk.why(edition, "oven", "hour")
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, pid_of(desk)) == min(own + NICENESS, 19)

    run(Settings(home=home), body)


def test_a_process_that_was_killed_is_replaced(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        first = await desk.why(edition, "oven", "hour")
        pid = pid_of(desk)
        with watched(pid) as has_ended:
            os.kill(pid, signal.SIGKILL)
            assert await desk.why(edition, "oven", "hour") == first
            assert has_ended()
        assert desk.pid != pid

    run(Settings(home=home), body)


def test_a_question_that_ends_the_process_is_asked_twice_and_the_next_one_is_answered(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        with pytest.raises(RelatedArticlesError, match="explain never for oven ended twice without an answer"):
            await desk.why(edition, "oven", "never")
        assert (await desk.why(edition, "oven", "hour"))["listed"]

    run(Settings(home=home), body, FALLS)


def test_a_question_without_an_answer_is_given_up_and_the_next_one_is_answered(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        await desk.why(edition, "oven", "hour")
        pid, desk.seconds = pid_of(desk), 0.2
        with watched(pid) as has_ended:
            with pytest.raises(DeskBusy, match=r"^no answer came within 0\.2 seconds: ask again later$"):
                await desk.why(edition, "oven", "never")
            assert has_ended()
        desk.seconds = SECONDS
        assert (await desk.why(edition, "oven", "hour"))["listed"]
        assert desk.pid != pid

    run(Settings(home=home), body, HANGS, opening_seconds=100 * SECONDS)


def test_a_process_that_is_opening_an_edition_is_let_go_on(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        with pytest.raises(DeskBusy, match=r"^no answer came within 0\.05 seconds"):
            await desk.why(edition, "oven", "hour")
        desk.seconds = SECONDS
        assert (await desk.why(edition, "oven", "hour"))["listed"]
        assert desk.started == 1

    run(Settings(home=home), body, seconds=0.05)


def test_so_many_may_wait_and_no_more(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        asked = [asyncio.create_task(desk.why(edition, "oven", "never")) for _ in range(3)]
        with pytest.raises(DeskBusy, match=r"^as many questions as may are waiting already: ask again in a while$"):
            await asyncio.gather(*asked)
        assert [task.done() for task in asked] == [False, False, True]
        await desk.close()
        said = await asyncio.gather(*asked, return_exceptions=True)
        assert [(type(error), str(error)) for error in said[:2]] == [(DeskBusy, "the service is stopping")] * 2
        with pytest.raises(DeskBusy):
            await desk.why(edition, "oven", "hour")

    run(Settings(home=home), body, HANGS, waiting=1)


def test_it_ends_when_nothing_is_asked_for_a_while_and_starts_again(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        first = await desk.why(edition, "oven", "hour")
        with watched(pid_of(desk)) as has_ended:
            assert has_ended()
        assert await desk.why(edition, "oven", "hour") == first
        assert desk.started == 2

    run(Settings(home=home), body, "explaining.IDLE_SECONDS = 0.5")


def test_closing_leaves_nothing_of_it(home: Path, edition: str) -> None:
    async def body(desk: ExplainDesk) -> None:
        await desk.close()  # when nothing was asked
        other = ExplainDesk(Settings(home=home), command())
        await other.why(edition, "oven", "hour")
        with watched(pid_of(other)) as has_ended:
            await other.close()
            await other.close()
            assert has_ended()

    run(Settings(home=home), body)


@pytest.mark.parametrize("asked", ["nothing", "never"])
def test_it_does_not_outlive_a_parent_that_was_killed(asked: str, home: Path, edition: str) -> None:
    program = f"""
import asyncio
from pathlib import Path
from service.desk.explaining import ExplainDesk
from service.settings import Settings
from tests.service.desk.test_explaining import HANGS, command
async def main():
    desk = ExplainDesk(Settings(home=Path({str(home)!r})), command(HANGS))
    await desk.why({edition!r}, "oven", "hour")
    question = asyncio.create_task(desk.why({edition!r}, "oven", {asked!r}))
    if {asked!r} == "nothing":
        await asyncio.wait([question])
    await asyncio.sleep(0)
    print(desk.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        with watched(int(parent.stdout.readline())) as has_ended:
            parent.kill()
            assert has_ended()


def test_the_parent_loads_nothing_heavy(home: Path, edition: str) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from service.desk.explaining import ExplainDesk
from service.settings import Settings
async def main():
    desk = ExplainDesk(Settings(home=Path({str(home)!r})), {command()!r})
    print((await desk.why({edition!r}, "oven", "hour"))["listed"])
    await desk.close()
asyncio.run(main())
print([name for name in {(*HEAVY, "rich")} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n[]\n", "")


# --- The real model -----------------------------------------------------------------------------------------------


def test_an_edition_of_another_encoder_is_refused(home: Path, edition: str) -> None:
    async def body() -> None:
        desk = ExplainDesk(Settings(home=home), seconds=SECONDS)
        try:
            with pytest.raises(EncoderError, match="was built with axes@1, but the model now is all-MiniLM-L6-v2@"):
                await desk.why(edition, "oven", "hour")
        finally:
            await desk.close()

    asyncio.run(body())


def test_with_all_vectors_at_hand_the_model_is_not_loaded(tmp_path: Path, sentence_encoder: SentenceEncoder) -> None:
    home = tmp_path / "home"
    edition = publish(home, sentence_encoder)

    async def body() -> None:
        desk = ExplainDesk(Settings(home=home, backend="torch"), seconds=SECONDS)
        try:
            found = await desk.why(edition, "oven", "hour")
            assert found == in_process(home, "oven", "hour", Rules(), sentence_encoder)
            assert found["closest"]["target"] == "That clock, a loaf."
            maps = Path(f"/proc/{pid_of(desk)}/maps").read_text()
            assert "numpy" in maps
            assert "torch" not in maps
        finally:
            await desk.close()

    asyncio.run(body())
