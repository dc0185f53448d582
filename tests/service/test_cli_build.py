"""`related build` as a process of its own: events, a dry run, Ctrl-C, a folder that is watched."""

import json
import logging
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recommender.edition import OVERVIEW, Edition, current_id, open_current
from recommender.job import BuildOptions, build
from recommender.publishing import build_lock
from service import cli_build
from service.cli import app
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site

ROOT = Path(__file__).parents[2]
A_WHILE = 120  # seconds after which a process that is waited for hangs

PROGRAM = """
import os, signal, sys, time
from service import cli_build
from service.cli import main
from tests.fakes import CountingEncoder

class Interrupted(CountingEncoder):
    def encode(self, texts):
        if self.calls == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        return super().encode(texts)

cli_build._Command._encoder = {encoder}()
cli_build.RETRY = 0.5
main()
"""


def command(*arguments: object, encoder: str = "CountingEncoder") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(encoder=encoder), "build", *map(str, arguments)]


def run(*arguments: object, encoder: str = "CountingEncoder") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, encoder=encoder), cwd=ROOT, capture_output=True, text=True, timeout=A_WHILE, check=False
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> CountingEncoder:
    """In place of the model."""
    encoder = CountingEncoder()
    monkeypatch.setattr(cli_build._Command, "_encoder", encoder)
    return encoder


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["build", *map(str, arguments)])


# --- Usage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name pages, a folder of pages or a .jsonl file"),
        (["--since", "current"], "name the pages that have changed, or what to --remove"),
        (["site", "--remove", "page-001"], "it takes an essay out of an edition"),
        (["site", "--watch", "--dry-run"], "it goes neither with --since nor with --dry-run"),
        (["site", "--watch", "--since", "current"], "it goes neither with --since nor with --dry-run"),
        (["site", "--address", "127.0.0.1:6379"], "only a Ray cluster has one: say also --engine ray"),
    ],
)
def test_options_that_make_no_sense_together_are_a_wrong_call(arguments: Sequence[str], sentence: str) -> None:
    done = invoke(*arguments)

    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.replace("│", " ").split())


# --- What is told -------------------------------------------------------------------------------------------------


def events_of(stderr: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.splitlines()]


def test_events_are_all_that_stderr_holds_and_stdout_ends_with_the_report(
    site: Path, home: Path, stub: CountingEncoder
) -> None:
    done = invoke(site, "--home", home, "--json", "--events")

    assert done.exit_code == 0
    *stages, outcome = events_of(done.stderr)
    assert {stage["event"] for stage in stages} == {"stage"}
    begun_and_ended = {(stage["stage"], stage["done"]) for stage in stages}
    assert {
        ("reading pages", 0),
        ("reading pages", 12),
        ("encoding texts", 0),
        ("writing answers", 12),
    } <= begun_and_ended
    report = json.loads(done.stdout)
    assert outcome == {"event": "published", "edition": report["edition"], "seconds": report["seconds"]}
    assert report["edition"] == current_id(home)
    assert "publish" in report["seconds"]


def test_a_warning_is_an_event_and_less_is_not_shown(
    site: Path, home: Path, stub: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_much(*given: object) -> None:
        noisy = logging.getLogger("noisy")
        noisy.setLevel(logging.DEBUG)
        noisy.debug("looking")
        noisy.warning("only %s", "slower")
        warnings.warn("will go", DeprecationWarning, stacklevel=1)

    monkeypatch.setattr("recommender.page_facts.write_facts", log_much)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        told = [e for e in events_of(invoke(site, "--home", home, "--events").stderr) if e["event"] == "warning"]

    assert told[0] == {"event": "warning", "sentence": "only slower"}
    assert "DeprecationWarning: will go" in told[1]["sentence"]
    assert len(told) == 2
    assert not [handler for handler in logging.root.handlers if isinstance(handler, cli_build._Warnings)]


def test_a_refusal_is_an_event_and_exit_code_1(tmp_path: Path, home: Path, stub: CountingEncoder) -> None:
    done = invoke(tmp_path / "nowhere", "--home", home, "--events")

    assert done.exit_code == 1
    sentence = f"{tmp_path / 'nowhere'} does not exist: name a page, a folder of pages or a .jsonl file"
    assert events_of(done.stderr) == [{"event": "failed", "sentence": sentence}]


def test_a_home_among_the_pages_holds_none(site: Path, stub: CountingEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    first = json.loads(invoke(".", "--json").stdout)
    second = json.loads(invoke(".", "--json").stdout)

    assert (first["essays"], first["problems"]) == (second["essays"], second["problems"]) == (12, 0)
    assert second["changed"] == 0


def test_damage_to_what_the_desk_reads_lets_no_edition_past_the_gate(
    site: Path, home: Path, stub: CountingEncoder
) -> None:
    invoke(site, "--home", home)
    live = current_id(home)
    (home / "related.toml").write_text("publish_overlap = 1.0\n", encoding="utf-8")
    with (home / "editions" / live / OVERVIEW).open("ab") as file:
        file.write(b"x")
    write_site(site, skip=(0, 1, 2, 3))

    assert invoke(site, "--home", home).exit_code == 1
    assert current_id(home) == live


def test_an_edition_that_is_held_back_is_an_event_and_exit_code_1(
    site: Path, home: Path, stub: CountingEncoder, tmp_path: Path
) -> None:
    invoke(site, "--home", home)
    live = current_id(home)
    (home / "related.toml").write_text("publish_overlap = 1.0\n", encoding="utf-8")
    write_site(site, skip=(0, 1, 2, 3))

    done = invoke(site, "--home", home, "--events", "--json")

    outcome = events_of(done.stderr)[-1]
    assert done.exit_code == 1
    assert (outcome["event"], outcome["edition"]) == ("held", json.loads(done.stdout)["edition"])
    assert "is held back" in outcome["sentence"]
    assert current_id(home) == live


def test_the_closing_report_says_where_the_time_went(site: Path, home: Path, stub: CountingEncoder) -> None:
    done = invoke(site, "--home", home)

    table = [line.split() for line in done.stdout.splitlines()]
    head = table.index(["stage", "seconds", "share"])
    rows = {row[0]: row[1:] for row in table[head + 2 :][: len(open_current(home).manifest["seconds"]) + 2]}
    assert {"parse", "encode", "publish", "all"} <= rows.keys()
    shares = [int(row[1].rstrip("%")) for name, row in rows.items() if name != "all"]
    assert sum(shares) == pytest.approx(100, abs=len(shares))


def test_a_dry_run_says_what_would_be_done_and_publishes_nothing(site: Path, home: Path, stub: CountingEncoder) -> None:
    first = invoke(site, "--home", home, "--dry-run")
    assert first.exit_code == 0
    assert "Pages: 12 new, 0 changed, 0 removed, 0 unchanged; there is no edition yet" in first.stdout
    assert "Time: unknown: no earlier build" in first.stdout
    assert not (home / "editions").exists()
    invoke(site, "--home", home)
    live = current_id(home)
    write_site(site, essays=13, skip=(5,))

    second = invoke(site, "--home", home, "--dry-run")
    assert "new: page-012" in second.stdout
    assert "removed: page-005" in second.stdout
    assert "Time: about " in second.stdout
    found = json.loads(invoke(site, "--home", home, "--dry-run", "--json").stdout)
    assert (found["dry_run"], found["against"], found["new"], found["removed"]) == (
        True,
        live,
        ["page-012"],
        ["page-005"],
    )
    assert current_id(home) == live


def test_since_takes_what_is_not_named_from_the_edition(site: Path, home: Path, stub: CountingEncoder) -> None:
    invoke(site, "--home", home)
    page = site / "page-003.txt"
    page.write_text(page.read_text().replace("a long paragraph", "quite another paragraph"), encoding="utf-8")

    arguments = (
        "--since",
        "current",
        "--remove",
        "page-005",
        "--remove",
        "page-006",
        "--home",
        home,
        "--json",
        "--quiet",
    )
    report = json.loads(invoke(page, *arguments).stdout)

    assert report["essays"] == 10
    assert 0 < report["encoded"] < 10
    edition = open_current(home)
    assert set(edition.essay_ids()) == {f"page-{n:03}" for n in range(12) if n not in (5, 6)}


# --- Ctrl-C -------------------------------------------------------------------------------------------------------


def test_an_interrupted_build_says_what_is_kept_and_the_next_one_goes_on_from_there(tmp_path: Path, home: Path) -> None:
    live = build([write_site(tmp_path / "small")], home, CountingEncoder(), BuildOptions()).edition
    site = write_site(tmp_path / "site", essays=80)

    done = run(site, "--home", home, "--quiet", encoder="Interrupted")

    assert done.returncode == 130
    assert done.stdout == ""
    said, encoded, rest = done.stderr.partition(" encoded texts\n")
    assert said.startswith("related: interrupted: nothing was published; the next run goes on from ")
    assert (encoded, rest) == (" encoded texts\n", "")
    assert open_current(home).id == live
    assert [path.name for path in (home / "editions").iterdir()] == [live]
    report = build([site], home, CountingEncoder(), BuildOptions())
    assert report.reused >= int(said.rpartition(" ")[2]) > 0


def test_an_interrupted_build_keeps_the_parts_that_its_workers_had_finished(tmp_path: Path, home: Path) -> None:
    """Ctrl-C reaches all processes of a terminal, workers too."""
    site = tmp_path / "site"
    site.mkdir()
    for number in range(200):
        (site / f"page{number:03}.md").write_text(f"# Day {number}\n\nBread of day {number}.\n")
    arguments = ["build", str(site), "--home", str(home), "--processes", "2", "--model", "static", "--backend", "auto"]
    program = [sys.executable, "-c", "from service.cli import main; main()", *arguments]
    process = subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr
    with process.stderr:
        assert any(line.startswith("encoding, in parts") for line in process.stderr)
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()  # to its end, which comes with that of the last process that holds it

    assert process.wait() == 130
    expected = r"related: interrupted: nothing was published; the next run goes on from (\d+) finished parts\n"
    found = re.fullmatch(expected, said)
    assert found, said
    assert 25 <= int(found[1]) < 50, "pages were parsed in 25 parts, their texts are encoded in as many"
    assert len(list((home / "parts").glob("parse-*"))) == 25


def test_an_interrupted_build_is_an_event_too(tmp_path: Path, home: Path) -> None:
    done = run(write_site(tmp_path / "site", essays=80), "--home", home, "--events", encoder="Interrupted")

    assert done.returncode == 130
    assert events_of(done.stderr)[-1]["event"] == "failed"
    assert events_of(done.stderr)[-1]["sentence"].startswith("interrupted: nothing was published; ")


def test_a_dry_run_can_be_interrupted_too(site: Path, home: Path, stub: CountingEncoder) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender.dry_run.build_catalogue", _interrupt)
        done = invoke(site, "--home", home, "--dry-run", "--quiet")

    assert (done.exit_code, done.stderr) == (130, "related: interrupted: nothing was published\n")


def _interrupt(*given: object) -> None:
    raise KeyboardInterrupt


def test_an_interruption_after_the_edition_was_published_says_so(
    site: Path, home: Path, stub: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.publishing._prune", _interrupt)

    done = invoke(site, "--home", home, "--quiet")

    assert done.exit_code == 130
    assert done.stderr == f"related: interrupted when edition {current_id(home)} was published already\n"


# --- A folder that is watched -------------------------------------------------------------------------------------


class Watching:
    """A process that watches a folder; what it prints can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        for stream in (process.stdout, process.stderr):
            threading.Thread(target=self._pass_on, args=(stream,), daemon=True).start()

    def _pass_on(self, stream: Any) -> None:
        for line in stream:
            self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        """The next line of either stream."""
        return self._lines.get(timeout=A_WHILE)

    def no_more(self) -> bool:
        return self._lines.empty()


@contextmanager
def watching(*arguments: object) -> Iterator[Watching]:
    process = subprocess.Popen(
        command(*arguments, "--watch", "--quiet"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield Watching(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()


def offered(edition: Edition) -> set[str]:
    """Every item that any list of an edition could show."""
    found = set()
    for ident in edition.essay_ids():
        lists = edition.lists(ident)
        found |= {candidate.id for part in (lists.curated, lists.candidates, lists.unlinked) for candidate in part}
    return found


def test_a_watched_folder_is_built_again_whenever_its_pages_change(site: Path, home: Path) -> None:
    with watching(site, "--home", home) as watched:
        assert " 12 essays, 0 problems" in watched.line()
        first = current_id(home)
        assert "page-005" in offered(open_current(home))

        (site / "page-005.txt").unlink()
        line = watched.line()
        assert line.startswith("edition ")
        assert ": 11 essays, 0 problems, 0 texts encoded, " in line
        second = current_id(home)
        assert second != first
        assert "page-005" not in offered(open_current(home)) | set(open_current(home).essay_ids())

        (site / "new.txt").write_text((site / "page-003.txt").read_text().replace("number 3", "number 99"))
        assert " 12 essays, 0 problems" in watched.line()
        assert "new" in open_current(home).essay_ids()

        site.rename(site.with_name("away"))
        assert watched.line().startswith(f"related: {site} does not exist: ")
        third = current_id(home)
        site.with_name("away").rename(site)
        assert " 12 essays, 0 problems" in watched.line()
        assert current_id(home) != third

        watched.process.send_signal(signal.SIGINT)
        assert watched.process.wait(timeout=A_WHILE) == 0
        assert watched.no_more()


def test_what_fails_while_a_folder_is_watched_is_said_once_and_tried_again(site: Path, home: Path) -> None:
    with ExitStack() as stack:
        with build_lock(home):
            watched = stack.enter_context(watching(site, "--home", home))
            assert watched.line() == f"related: another build is writing to {home}: wait for it to end"
        assert " 12 essays, 0 problems" in watched.line()
