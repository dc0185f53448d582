"""Every essay's final list, written for other programs."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jinja2 import Environment, StrictUndefined
from lxml import html

from corpus.errors import RelatedArticlesError
from recommender.edition import Edition, open_current
from recommender.ranking import Rules
from service.answers import Answers
from service.app import create_app
from service.export import DATA, INDEX, write_csv, write_jsonl, write_static, write_trec
from service.settings import Settings
from tests.service.editions import ODD_IDS, publish_edition

PLACING = Path(__file__).parents[2] / "docs" / "placing.md"


@pytest.fixture
def edition(tmp_path: Path) -> Edition:
    publish_edition(tmp_path)
    return open_current(tmp_path)


def jsonl_of_bread(edition: Edition, k: int | None, rules: Rules) -> list[str]:
    out = io.StringIO()
    write_jsonl(Answers(edition, rules), k, out)
    lists = {record["id"]: record["related"] for record in map(json.loads, out.getvalue().splitlines())}
    return [f"{entry['id']} {entry['score']} {entry['origin']}" for entry in lists["bread"]]


def test_a_list_is_as_long_as_asked_or_as_its_page_says_whatever_the_limit_of_the_rules(edition: Edition) -> None:
    assert jsonl_of_bread(edition, None, Rules(limit=1)) == ["salt 0.25 curated", "rye 0.75 model"]
    assert jsonl_of_bread(edition, 1, Rules()) == ["salt 0.25 curated"]


def test_the_sites_rules_are_kept(edition: Edition) -> None:
    assert jsonl_of_bread(edition, 9, Rules(per_category=1)) == ["salt 0.25 curated", "sundial 0.125 model"]
    assert jsonl_of_bread(edition, 9, Rules(min_score=0.5)) == ["rye 0.75 model"]


def test_every_format_has_the_same_lists(edition: Edition, tmp_path: Path) -> None:
    rules, table, run = Rules(min_score=0.25), io.StringIO(), io.StringIO()
    write_csv(Answers(edition, rules), 9, table)
    write_trec(Answers(edition, rules), 9, run)
    write_static(Answers(edition, rules), 9, tmp_path / "static")
    names = json.loads((tmp_path / "static" / "index.json").read_text(encoding="utf-8"))
    cards = json.loads((tmp_path / "static" / names["bread"]).read_text(encoding="utf-8"))["items"]

    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [row["related"] for row in rows if row["id"] == "bread"] == ["salt", "rye"]
    assert [line for line in run.getvalue().splitlines() if line.startswith("bread ")] == [
        "bread Q0 salt 1 1.000000 related-articles",
        "bread Q0 rye 2 0.500000 related-articles",
    ]
    assert [card["id"] for card in cards] == ["salt", "rye"]
    assert cards[1]["reason"] == "close in meaning (0.70); close in wording (0.40); same author"


@pytest.fixture
def folder(edition: Edition, tmp_path: Path) -> Path:
    """A static export with the default rules."""
    write_static(Answers(edition, Rules()), None, tmp_path / "static")
    return tmp_path / "static"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_essay_has_a_file_of_cards_and_a_piece_of_html_named_by_no_id(edition: Edition, folder: Path) -> None:
    names = read(folder / INDEX)

    assert set(names) == {"bread", "rye", "salt", "sundial", *ODD_IDS} == set(edition.essay_ids())
    fragments = {name.replace(".json", ".html") for name in names.values()}
    assert {path.name for path in folder.iterdir()} == {
        *names.values(), *fragments, INDEX, DATA, ".related-articles-export"
    }  # fmt: skip
    assert all(re.fullmatch("[0-9a-f]{32}.json", name) for name in names.values())


def test_the_data_file_has_the_cards_of_every_file(folder: Path) -> None:
    names, data = read(folder / INDEX), read(folder / DATA)

    assert data == {ident: read(folder / name)["items"] for ident, name in names.items()}
    assert data["salt"] == []
    assert data["bread"][0] == {
        "id": "salt",
        "url": "https://example.org/salt",
        "title": "Salt",
        "standfirst": "On salt.",
        "category": "Food",
        "published": "2023-05-05",
        "score": 0.25,
        "position": 1,
        "origin": "curated",
        "reason": "listed by the editors; distant in meaning (0.30); distant in wording (0.05)",
    }


def test_the_pieces_of_html_are_what_the_service_answers(folder: Path, tmp_path: Path) -> None:
    names = read(folder / INDEX)
    with TestClient(create_app(Settings(home=tmp_path))) as client:
        for ident in ("bread", "rye", "salt", "sundial"):
            written = (folder / names[ident]).with_suffix(".html").read_text(encoding="utf-8")
            assert written == client.get(f"/v1/articles/{ident}/related.html").text
            assert bool(written) == (ident != "salt")


def test_an_edition_without_essays_gives_empty_files(tmp_path: Path) -> None:
    publish_edition(tmp_path, lists=(), items=())

    assert write_static(Answers(open_current(tmp_path), Rules()), None, tmp_path / "static") == 0
    assert (read(tmp_path / "static" / INDEX), read(tmp_path / "static" / DATA)) == ({}, {})


def test_an_export_that_fails_leaves_the_earlier_one(
    edition: Edition, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.fragment.render_fragment", fail)
    with pytest.raises(OSError, match="No space left"):
        write_static(Answers(edition, Rules()), 1, folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_of_somebody_elses_is_refused(edition: Edition, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / DATA).write_text("mine")

    with pytest.raises(RelatedArticlesError, match="is not empty and no earlier export"):
        write_static(Answers(edition, Rules()), None, foreign)
    assert (foreign / DATA).read_text() == "mine"


def test_the_template_for_eleventy_shows_what_the_data_file_has(folder: Path) -> None:
    """Nunjucks and Jinja2 read this template alike; StrictUndefined refuses a name that the data do not have."""
    template = re.search(r"```njk\n(.*?)```", PLACING.read_text(encoding="utf-8"), re.DOTALL)
    assert template
    environment = Environment(autoescape=True, undefined=StrictUndefined)

    shown = environment.from_string(template[1]).render(related=read(folder / DATA), page={"fileSlug": "bread"})
    none = environment.from_string(template[1]).render(related=read(folder / DATA), page={"fileSlug": "salt"})

    assert [(a.get("href"), a.text) for a in html.fromstring(shown).iter("a")] == [
        ("https://example.org/salt", "Salt"),
        ("https://example.org/rye", "Rye"),
    ]
    assert none.strip() == ""


def test_the_template_for_hugo_names_only_what_a_card_has(folder: Path) -> None:
    template = re.search(r"```go-html-template\n(.*?)```", PLACING.read_text(encoding="utf-8"), re.DOTALL)
    assert template

    named = set(re.findall(r"[ (]\.([a-z_]+)", template[1]))
    assert named
    assert named <= read(folder / DATA)["bread"][0].keys()
