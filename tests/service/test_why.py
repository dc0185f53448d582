"""`related show ESSAY --why OTHER` as a person and as a program sees it; the site's rules in `show` and `export`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import embeddings.loading
from recommender.job import BuildOptions, build
from service.cli import app, main
from service.console_why import print_why
from tests.fakes import CountingEncoder

PAGES = [
    {
        "id": "oven",
        "title": "[bold]The oven[/bold]\x1b[31m",
        "category": "Food",
        "body": "Bread rises over [b]hot stones.\n\nThe clock tells when the sour loaf is ready for the market.",
        "blurbs": [
            {"text": "How a quern was dressed for rye, one stone after the other, in the days of old and later."}
        ],
        "related": ["hour"],
    },
    {
        "id": "hour",
        "title": "The hour",
        "category": "Time",
        "url": "https://a.test/hour/",
        "body": "That clock, a loaf.",
    },
    {"id": "loaf", "title": "The loaf", "category": "Time", "body": "Bread and a sour loaf."},
    {"id": "river", "title": "The river", "category": "Time", "body": "A bridge and a map."},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an edition of these pages, made with the fake encoder."""
    folder = tmp_path_factory.mktemp("why")
    (folder / "site.jsonl").write_text("".join(json.dumps(page) + "\n" for page in PAGES), encoding="utf-8")
    build([folder / "site.jsonl"], folder / "home", CountingEncoder(), BuildOptions())
    return folder / "home"


@pytest.fixture(autouse=True)
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line has the fake encoder for its own."""
    monkeypatch.setattr(embeddings.loading, "load_encoder", lambda *_: CountingEncoder())


def run(*arguments: object) -> str:
    """The command's standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def why(home: Path, source: str, target: str, *options: str) -> dict[str, Any]:
    """The record of a pair."""
    record: dict[str, Any] = json.loads(run("show", source, "--why", target, "--home", home, "--json", *options))
    return record


# --- A pair -------------------------------------------------------------------------------------------------------


def test_a_person_is_told_the_rank_what_makes_the_score_the_passages_and_the_terms(home: Path) -> None:
    record = why(home, "oven", "loaf")
    text = run("show", "oven", "--why", "loaf", "--home", home)
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "[bold]The oven[/bold][31m (id oven)", "neither markup nor control characters act"
    assert lines[1] == "The loaf (id loaf)"
    assert lines[3] == f"Where it stands: at rank 2, of 3 candidates, with a score of {record['editors']:.3f}"
    assert lines[4] == f"Score: {record['editors']:.3f} by editors, {record['meaning']:.3f} by meaning"
    assert re.search(rf"^  a usual candidate +{record['account']['start']:+.2f}$", "\n".join(lines), re.MULTILINE)
    assert f"together: a score of {record['editors']:.3f}" in text
    assert "Bread rises over [b]hot stones." in text
    assert lines[-1] == "Shared terms: bread; sour loaf"
    assert max(map(len, lines)) <= 120


def test_nothing_that_a_page_says_acts_on_the_terminal_and_a_pipe_is_120_wide(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = why(home, "oven", "loaf")
    record["source"]["title"] = "\x1b[31m[red]Red"
    record["closest"] = {"source": "[b]word\x07 " * 40, "target": "other " * 40, "cosine": 0.5}
    print_why(record)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "[31m[red]Red (id oven)"
    assert sum(line.count("[b]word") for line in lines) == 40
    assert max(map(len, lines)) in range(110, 121)


def test_signals_stand_largest_first_with_a_bar_that_tells_their_size(home: Path) -> None:
    signals = why(home, "oven", "loaf")["account"]["signals"]
    text = run("show", "oven", "--why", "loaf", "--home", home)
    rows = re.findall(r"^  (.+?) +([+-]\d\.\d\d) +([+-]+) *$", text, re.MULTILINE)
    assert [(words, adds) for words, adds, _ in rows] == [(s["phrase"], f"{s['contribution']:+.2f}") for s in signals]
    assert len(rows[0][2]) == 20
    for (_, adds, bar), signal in zip(rows, signals, strict=True):
        assert set(bar) == {adds[0]}
        assert len(bar) == max(1, round(20 * abs(signal["contribution"] / signals[0]["contribution"])))


def test_shared_terms_are_bold_on_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    text = run("show", "oven", "--why", "loaf", "--home", home)
    assert "\x1b[1mBread\x1b[0m and a \x1b[1msour\x1b[0m \x1b[1mloaf\x1b[0m." in text


def test_a_program_gets_the_whole_record(home: Path) -> None:
    record = why(home, "oven", "https://a.test/hour")
    assert set(record) == {
        *("edition", "source", "target", "profile", "standing", "listed", "editors", "meaning", "account"),
        *("closest", "terms"),
    }
    assert record["target"] == {
        "id": "hour",
        "kind": "essay",
        "title": "The hour",
        "standfirst": None,
        "url": "https://a.test/hour/",
        "category": "Time",
        "published": None,
    }
    assert record["listed"]
    assert record["closest"] == {
        "source": "The clock tells when the sour loaf is ready for the market.",
        "target": "That clock, a loaf.",
        "cosine": pytest.approx(1.0),
    }
    assert record["terms"] == ["clock", "loaf"]
    account = record["account"]
    assert {*account} == {"model", "start", "signals", "rest", "set_right"}
    assert {*account["signals"][0]} == {"signal", "phrase", "value", "contribution"}


def test_a_blurb_is_named_by_its_words_and_said_to_be_listed(home: Path) -> None:
    shown = json.loads(run("show", "oven", "--home", home, "--json"))
    text = run("show", "oven", "--why", shown["curated"][0]["id"], "--home", home)
    assert "How a quern was dressed for rye, one stone after the other, in the days of old … (id blurb:" in text
    assert "Where it stands: no page stands behind this blurb\nIt is listed by the editors.\n" in text
    assert "listed by the editors, with" in run(
        "show", "oven", "--why", shown["curated"][0]["id"], "--home", home, "--unlinked"
    )


def test_the_score_is_explained_by_the_profile_asked_for(home: Path) -> None:
    assert why(home, "oven", "loaf", "--profile", "meaning")["profile"] == "meaning"
    assert "What makes the score by meaning" in run(
        "show", "oven", "--why", "loaf", "--home", home, "--profile", "meaning"
    )


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ("oven", "oven is the essay itself: name another one to compare it with"),
        ("nowhere", "no essay or blurb 'nowhere' in edition"),
        ("https://a.test/nowhere", "no essay or blurb 'https://a.test/nowhere' in edition"),
    ],
)
def test_a_refusal_is_one_line_with_a_way_out(
    other: str, sentence: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["related", "show", "oven", "--why", other, "--home", str(home)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    assert left.value.code == 1
    assert said.err.startswith(f"related: {sentence}")
    assert said.err.count("\n") == 1
    assert said.out == ""


# --- The site's rules ---------------------------------------------------------------------------------------------


@pytest.fixture
def one_a_category(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting that a list has one article of a category."""
    monkeypatch.setenv("RELATED_PER_CATEGORY", "1")


def related_to_oven(home: Path, *options: str) -> list[str]:
    """The ids that `show` tells."""
    return [
        item["id"] for item in json.loads(run("show", "oven", "--home", home, "--json", *options))["recommendations"]
    ]


@pytest.mark.usefixtures("one_a_category")
def test_show_obeys_the_settings_rules(home: Path) -> None:
    assert related_to_oven(home) == ["hour"]
    assert why(home, "oven", "loaf")["standing"] == "the list has 1 of the category Time already"


@pytest.mark.usefixtures("one_a_category")
@pytest.mark.parametrize("form", ["jsonl", "csv", "trec", "static"])
def test_every_export_obeys_the_settings_rules(form: str, home: Path, tmp_path: Path) -> None:
    printed = run("export", "--home", home, "--k", "9", "--format", form, "--out", tmp_path / "out")
    if form == "static":
        names = json.loads((tmp_path / "out" / "index.json").read_text(encoding="utf-8"))
        printed = (tmp_path / "out" / names["oven"]).read_text(encoding="utf-8")
    lines = [line for line in printed.splitlines() if line.startswith((*'o{"', "oven")) and "oven" in line[:16]]
    assert len(lines) == 1
    assert "hour" in lines[0]
    assert "loaf" not in lines[0]


def test_show_gives_scores_and_order_by_the_profile_asked_for(home: Path) -> None:
    assert related_to_oven(home) == ["hour", "loaf", "river"]
    editors, meaning = (
        json.loads(run("show", "oven", "--home", home, "--json", "--profile", name)) for name in ("editors", "meaning")
    )
    assert (editors["profile"], meaning["profile"]) == ("editors", "meaning")
    scores = {item["id"]: item["score"] for item in meaning["curated"]}
    assert scores["hour"] == pytest.approx(why(home, "oven", "hour")["meaning"], abs=1e-5)
    assert run("show", "oven", "--home", home, "--profile", "meaning")
