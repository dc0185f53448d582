"""Every essay's final list, written for other programs."""

import csv
import io
import json
from pathlib import Path

import pytest

from recommender.edition import Edition, open_current
from recommender.ranking import Rules
from service.export import write_csv, write_jsonl, write_static, write_trec
from tests.service.editions import publish_edition


@pytest.fixture
def edition(tmp_path: Path) -> Edition:
    publish_edition(tmp_path)
    return open_current(tmp_path)


def jsonl_of_bread(edition: Edition, k: int | None, rules: Rules) -> list[str]:
    out = io.StringIO()
    write_jsonl(edition, k, out, rules)
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
    write_csv(edition, 9, table, rules)
    write_trec(edition, 9, run, rules)
    write_static(edition, 9, tmp_path / "static", rules)
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
