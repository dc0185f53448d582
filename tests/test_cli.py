"""Commands on small editions made with a fake encoder, run in this process."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.errors import EditionError, RelatedArticlesError
from corpus.sources import PageOptions
from recommender.drafts import read_draft
from recommender.edition import current_id, open_current
from recommender.job import BuildOptions, build
from recommender.material import Material
from service.cli import app
from service.export import write_csv, write_trec
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two editions of twelve and of eleven essays, the second one current."""
    home = tmp_path / "home"
    build([write_site(tmp_path / "site")], home, CountingEncoder(), BuildOptions())
    build([write_site(tmp_path / "site", skip=(4,))], home, CountingEncoder(), BuildOptions())
    return home


def run(*arguments: object, code: int = 0) -> str:
    """The command's standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def test_editions_are_listed_newest_first_and_rollback_steps_back(home: Path) -> None:
    second, first = json.loads(run("editions", "--home", home, "--json"))
    assert (second["current"], second["essays"], first["current"], first["essays"]) == (True, 11, False, 12)
    assert run("rollback", "--home", home) == f"{first['id']} is current\n"
    assert current_id(home) == first["id"]
    assert second["id"] in run("editions", "--home", home)
    assert run("rollback", second["id"], "--home", home) == f"{second['id']} is current\n"


def test_rolling_back_from_the_first_edition_is_refused(home: Path) -> None:
    run("rollback", "--home", home)
    with pytest.raises(EditionError, match="no earlier intact edition"):
        run("rollback", "--home", home)


def test_evaluate_gives_every_system_every_metric_with_its_interval(home: Path) -> None:
    found = json.loads(run("evaluate", "--home", home, "--json"))
    assert found["n"] == 11
    for metrics in found["cold"].values():
        assert all(low <= value <= high for value, low, high in metrics.values())
    assert found["cold"]["related"]["curated_recall@10"][0] > found["cold"]["random"]["curated_recall@5"][0]
    assert "n = 11 lists" in run("evaluate", "--home", home)


def test_two_editions_are_compared(home: Path) -> None:
    other = json.loads(run("editions", "--home", home, "--json"))[1]["id"]
    found = json.loads(run("evaluate", "--home", home, "--compare", other, "--json"))
    assert (found["n"], found["compared"][other]["n"]) == (11, 12)
    assert f"edition {other}" in run("evaluate", "--home", home, "--compare", other)


def test_a_static_export_replaces_only_what_it_wrote_itself(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "static"
    for _ in range(2):
        run("export", "--home", home, "--format", "static", "--out", out)
    assert len(list(out.glob("*.json"))) == 12  # eleven essays and the index
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.json").write_text("mine")
    with pytest.raises(RelatedArticlesError, match="is not empty and no earlier export"):
        run("export", "--home", home, "--format", "static", "--out", foreign)
    assert (foreign / "index.json").read_text() == "mine"


def test_exports_are_safe_for_spreadsheets_and_trec_tools(tmp_path: Path) -> None:
    site = tmp_path / "site.jsonl"
    bodies = {"=1+1": "Bread one.", "two words": "Bread and a clock."}
    site.write_text("".join(json.dumps({"id": i, "title": i, "body": body}) + "\n" for i, body in bodies.items()))
    build([site], tmp_path / "home", CountingEncoder(), BuildOptions())
    edition = open_current(tmp_path / "home")
    with (tmp_path / "out.csv").open("w") as out:
        write_csv(edition, 1, out)
    with (tmp_path / "out.trec").open("w") as out:
        write_trec(edition, 1, out)
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "'=1+1", "two words"]
    lines = (tmp_path / "out.trec").read_text().splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["=1+1", "Q0", "two%20words", "1"],
        ["two%20words", "Q0", "=1+1", "1"],
    ]


@pytest.mark.parametrize("name", ["vectors.npz", "lexicon.json", "essays.jsonl"])
def test_a_damaged_edition_is_not_evaluated(home: Path, name: str) -> None:
    path = home / "editions" / current_id(home) / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(EditionError, match=f"{name} is not what was written"):
        Material.load(open_current(home))


@pytest.mark.parametrize(("text", "reason"), [("", "the page is empty"), ("x" * 99, "more than 50")])
def test_a_draft_that_cannot_be_read_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "draft"
    path.write_text(text)
    with path.open("rb") as stream, pytest.raises(RelatedArticlesError, match=reason):
        read_draft("-", stream, PageOptions(max_page_bytes=50))


def test_show_names_what_was_dropped(home: Path) -> None:
    shown = json.loads(run("show", "page-000", "--home", home, "--json"))
    assert [entry["reason"] for entry in shown["dropped"]] == ["no page stands behind this blurb"]
    assert shown["recommendations"][0]["id"] == "page-008"
