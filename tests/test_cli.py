"""Commands on small editions made with a fake encoder, run in this process."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.errors import EditionError, RelatedArticlesError
from recommender.edition import current_id, open_current
from recommender.job import BuildOptions, build
from recommender.material import Material
from recommender.ranking import Rules
from service.answers import Answers
from service.cli import app
from service.export import write_csv, write_trec
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site, write_teaching_site


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two editions of twelve and of eleven essays, the second one current."""
    folder = tmp_path_factory.mktemp("built")
    build([write_site(folder / "site")], folder / "home", CountingEncoder(), BuildOptions())
    build([write_site(folder / "site", skip=(4,))], folder / "home", CountingEncoder(), BuildOptions())
    return folder / "home"


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copytree(built, tmp_path / "home"))


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
    assert "n = 11 curated lists" in run("evaluate", "--home", home)


def test_two_editions_are_compared(home: Path) -> None:
    other = json.loads(run("editions", "--home", home, "--json"))[1]["id"]
    found = json.loads(run("evaluate", "--home", home, "--compare", other, "--json"))
    assert (found["n"], found["compared"][other]["n"]) == (11, 12)
    printed = run("evaluate", "--home", home, "--compare", other)
    assert printed.index("n = 11 curated lists") < printed.index(f"edition {other}") < printed.index("n = 12 curated")
    assert "the second beside the first" in printed


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an edition of sixty essays whose lists teach what no text tells."""
    folder = tmp_path_factory.mktemp("taught")
    build([write_teaching_site(folder / "site.jsonl")], folder / "home", CountingEncoder(), BuildOptions())
    return folder / "home"


def test_evaluate_shows_each_protocol_and_what_was_learned(taught: Path) -> None:
    printed = run("evaluate", "--home", taught)
    assert "n = 60 curated lists; 100.0% of their entries are essays of the site" in " ".join(printed.split())
    for words in (
        "cold no list is seen by anything",
        "new page links to the judged page are hidden, too",
        "weights: learned from 60 lists: a sure gain over the default (+0.",
        "recall@10 that the rule on near-duplicates costs: cold 0.000, curated 0.000, new page 0.000",
    ):
        assert words in " ".join(printed.split())
    rows = [line.split() for line in printed.splitlines() if line.strip().startswith(("related ", "meaning "))]
    assert [row[0] for row in rows] == ["meaning", "related"], "in ascending order"


def test_the_runs_that_evaluate_writes_are_what_it_judged(taught: Path, tmp_path: Path) -> None:
    found = json.loads(run("evaluate", "--home", taught, "--trec", tmp_path / "runs", "--json"))
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    assert names == {f"{p}.{s}.run" for p in ("cold", "curated", "new_page") for s in found[p]} | {"qrels.txt"}
    listed: dict[str, set[str]] = {}
    for line in (tmp_path / "runs" / "qrels.txt").read_text().splitlines():
        listed.setdefault(line.split()[0], set()).add(line.split()[2])
    hits = 0.0
    for line in (tmp_path / "runs" / "curated.related.run").read_text().splitlines():
        own, _, target, rank, *_ = line.split()
        hits += (int(rank) <= 10 and target in listed[own]) / len(listed[own])
    assert hits / 60 == pytest.approx(found["curated"]["related"]["curated_recall@10"][0], abs=1e-6)


def test_the_report_is_one_page_that_needs_no_other(taught: Path, tmp_path: Path) -> None:
    run("evaluate", "--home", taught, "--report", tmp_path / "report.html", "--quiet")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert f"Edition {current_id(taught)}" in page


def test_a_static_export_replaces_only_what_it_wrote_itself(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "static"
    for _ in range(2):
        run("export", "--home", home, "--format", "static", "--out", out)
    assert len(list(out.glob("*.json"))) == 13  # eleven essays, the index and related.json
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
        write_csv(Answers(edition, Rules()), 1, out)
    with (tmp_path / "out.trec").open("w") as out:
        write_trec(Answers(edition, Rules()), 1, out)
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


def test_show_names_what_was_dropped(home: Path) -> None:
    shown = json.loads(run("show", "page-000", "--home", home, "--json"))
    assert [entry["reason"] for entry in shown["dropped"]] == ["no page stands behind this blurb"]
    assert shown["recommendations"][0]["id"] == "page-008"
