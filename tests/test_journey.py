"""The whole way on examples/, by the installed command and the packaged model: pages in, edition, lists, endpoint."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
RELATED = [sys.executable, "-c", "from service.cli import main; main()"]


def related(*arguments: object, stdin: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command from the root of the checkout and expect its exit code."""
    done = subprocess.run(
        [*RELATED, *map(str, arguments)], cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journey") / "data"


@pytest.fixture(scope="module")
def first(home: Path) -> dict[str, Any]:
    """The closing line of the first build."""
    return json.loads(related("build", EXAMPLES, "--home", home, "--json").stdout)


@pytest.fixture(scope="module")
def lists(home: Path, first: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The exported lists of ten."""
    lines = related("export", "--home", home, "--k", "10").stdout.splitlines()
    return {record["id"]: record["related"] for record in map(json.loads, lines)}


def test_a_build_reads_every_page_of_every_kind(first: dict[str, Any]) -> None:
    assert first["essays"] == 42
    assert first["problems"] == 0
    assert first["blurbs"] == {"total": 201, "joined": 192, "ambiguous": 0, "unmatched": 9}
    assert first["encoded"] > 0
    assert first["reused"] == 0
    stages = {"parse", "match", "encode", "survey", "learn", "candidates", "evaluate", "write", "overview", "publish"}
    assert set(first["seconds"]) == stages


def test_a_build_is_judged_beside_all_baselines_under_each_protocol(first: dict[str, Any]) -> None:
    evaluation = first["evaluation"]
    names = "random random_in_category newest_in_category most_listed tfidf bm25 dense related".split()
    assert set(evaluation["cold"]) == set(names)
    assert set(evaluation["curated"]) == set(evaluation["new_page"]) == {*names, "meaning"}
    assert evaluation["n"] == 41
    for protocol in ("cold", "curated", "new_page"):
        recall = {name: metrics["curated_recall@10"][0] for name, metrics in evaluation[protocol].items()}
        assert recall["related"] > recall["tfidf"] > recall["random"]
    assert evaluation["details"]["learned"]["lists"] == 41
    assert evaluation["details"]["blurbs"]["recall@10"][0] > 0.8


def test_a_second_build_encodes_nothing_and_gives_the_same_lists(home: Path, first: dict[str, Any]) -> None:
    before = related("export", "--home", home).stdout
    second = json.loads(related("build", EXAMPLES, "--home", home, "--json").stdout)
    assert (second["encoded"], second["reused"], second["changed"]) == (0, first["encoded"], 0)
    assert second["evaluation"] == first["evaluation"]
    assert related("export", "--home", home).stdout == before


def test_every_essay_has_a_list_without_itself_or_anything_twice(lists: dict[str, list[dict[str, Any]]]) -> None:
    assert len(lists) == 42
    for ident, found in lists.items():
        targets = [entry["id"] for entry in found]
        assert len(targets) == 10
        assert len(set(targets)) == 10
        assert ident not in targets
        assert set(targets) <= set(lists), "only essays of the site are served"


def test_curated_items_come_first_and_in_the_editors_order(lists: dict[str, list[dict[str, Any]]]) -> None:
    origins = [entry["origin"] for entry in lists["harrison-h4"]]
    assert origins == sorted(origins)  # "curated" before "model"
    assert lists["harrison-h4"][0]["origin"] == "curated"


def test_the_reprint_and_its_original_never_stand_together(lists: dict[str, list[dict[str, Any]]]) -> None:
    pair = {"village-oven", "baking-day-village-oven"}
    for ident, found in lists.items():
        assert len(pair & {ident, *(entry["id"] for entry in found)}) <= 1


def test_what_parse_prints_builds_the_same_lists(home: Path, lists: dict[str, Any], tmp_path: Path) -> None:
    records = tmp_path / "site.jsonl"
    records.write_text(related("parse", EXAMPLES).stdout, encoding="utf-8")
    again = related("parse", records).stdout
    assert again == records.read_text(encoding="utf-8")
    other = tmp_path / "data"
    related("build", records, "--home", other, "--json")
    lines = related("export", "--home", other, "--k", "10").stdout.splitlines()
    assert {record["id"]: record["related"] for record in map(json.loads, lines)} == lists


def test_show_gives_reasons_and_says_what_was_dropped(home: Path, first: dict[str, Any]) -> None:
    shown = json.loads(related("show", "harrison-h4", "--home", home, "--json").stdout)
    assert shown["essay"]["blocks"]["paragraph"] >= 5
    assert shown["recommendations"][0]["reason"].startswith("listed by the editors; ")
    assert {entry["reason"] for entry in shown["dropped"]} == {"no page stands behind this blurb"}
    assert "Curated list" in related("show", "harrison-h4", "--home", home).stdout


def test_the_readmes_example_is_what_the_program_shows(home: Path, first: dict[str, Any]) -> None:
    shown = json.loads(related("show", "harrison-h4", "--home", home, "--json").stdout)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = text.split("$ related show harrison-h4\n")[1].split("```")[0]
    places = [example.index(entry["title"]) for entry in shown["recommendations"]]
    assert len(places) == 12
    assert places == sorted(places)


def test_a_draft_gets_essays_of_its_subject(home: Path, first: dict[str, Any]) -> None:
    draft = (
        "Keeping a starter alive\n" + "Feed the sourdough with rye flour and water; its yeasts make bread rise. " * 8
    )
    suggested = json.loads(related("suggest", "-", "--home", home, "--k", "5", "--json", stdin=draft).stdout)
    assert "sourdough-starter" in [item["id"] for item in suggested["items"]]


def test_a_draft_of_a_published_essay_is_not_sent_to_itself(home: Path, first: dict[str, Any]) -> None:
    page = EXAMPLES / "text" / "village-oven.txt"
    suggested = json.loads(related("suggest", page, "--home", home, "--json").stdout)
    assert not {"village-oven", "baking-day-village-oven"} & {item["id"] for item in suggested["items"]}


def test_the_exports_agree_with_each_other(home: Path, lists: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(related("export", "--home", home, "--k", "10", "--format", "csv").stdout)))
    assert [row["related"] for row in rows if row["id"] == "harrison-h4"] == [e["id"] for e in lists["harrison-h4"]]
    run = [
        line.split() for line in related("export", "--home", home, "--k", "10", "--format", "trec").stdout.splitlines()
    ]
    assert [line[2] for line in run if line[0] == "harrison-h4"] == [e["id"] for e in lists["harrison-h4"]]
    folder = tmp_path / "static"
    related("export", "--home", home, "--k", "10", "--format", "static", "--out", folder)
    names = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    cards = json.loads((folder / names["harrison-h4"]).read_text(encoding="utf-8"))["items"]
    assert [card["id"] for card in cards] == [e["id"] for e in lists["harrison-h4"]]


@pytest.fixture
def address(home: Path, first: dict[str, Any]) -> Iterator[str]:
    """A service running as a person would start it, on a free port."""
    command = [*RELATED, "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        line = service.stderr.readline()
        yield line.split(" at ")[1].split()[0]
        service.terminate()
        service.communicate(timeout=30)


def test_the_endpoint_serves_what_the_export_says(address: str, lists: dict[str, list[dict[str, Any]]]) -> None:
    answer = httpx.get(f"{address}/v1/articles/harrison-h4/related?limit=10", timeout=30)
    assert answer.status_code == 200
    served = [{"id": c["id"], "score": c["score"], "origin": c["origin"]} for c in answer.json()["items"]]
    assert served == lists["harrison-h4"]
    assert httpx.get(f"{address}/healthz").json()["essays"] == 42


def test_expected_failures_are_one_line_with_a_way_out(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    for arguments, sentence in (
        (("build", tmp_path / "none", "--home", tmp_path / "h"), "does not exist"),
        (("build", tmp_path / "empty.txt", "--home", tmp_path / "h"), "the page is empty"),
        (("show", "x", "--home", tmp_path / "h"), "run `related build"),
        (("show", "no-such-essay", "--home", home), "no-such-essay"),
        (("build", EXAMPLES, "--home", tmp_path / "h", "--model", "no/such"), "no model 'no/such'"),
    ):
        stderr = related(*arguments, code=1).stderr.strip().splitlines()
        assert sentence in stderr[-1]
        assert stderr[-1].startswith("related: ")
    related("build", code=2)
