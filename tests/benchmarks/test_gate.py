"""The quality gate: when it opens, and when floors may be written."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gate
from benchmarks.gate import FLOORS, GATED, figures, judge, learned_figures, pin
from tests.recommender.materials import lists_of_groups, material_of
from tests.recommender.sites import random_site

LEARNED = ["learned curated recall@10", "learned new_page recall@10"]


def measured(*changed: float, sha256: str = "pages") -> dict[str, Any]:
    """Figures of 0.5 each, the first ones changed."""
    values = [*changed, *[0.5] * (len(GATED) - len(changed))]
    return {"sha256": sha256, "n": 41, "floors": dict(zip(GATED, values, strict=True))}


def test_figures_are_ours_by_protocol_and_metric_and_zero_where_a_protocol_is_missing() -> None:
    metrics = {"curated_recall@10": [0.8, 0.7, 0.9], "mrr": [0.6, 0.5, 0.7], "ndcg@10": [0.4, 0.3, 0.5]}
    theirs = {name: [0.9, 0.9, 0.9] for name in metrics}
    evaluation = {"cold": {"related": metrics, "tfidf": theirs}, "curated": {"related": metrics}, "n": 41}

    assert figures(evaluation) == {
        "cold curated_recall@10": 0.8,
        "cold mrr": 0.6,
        "cold ndcg@10": 0.4,
        "curated curated_recall@10": 0.8,
        "new_page curated_recall@10": 0.0,
    }


@pytest.mark.parametrize(
    ("first", "code"), [(0.5, 0), (0.9, 0), (0.4951, 0), (0.4949, 1), (0.0, 1)], ids=lambda value: str(value)
)
def test_it_opens_while_no_figure_is_under_its_floor_by_more_than_the_slack(first: float, code: int) -> None:
    assert judge(measured(first), measured()) == code


def test_it_stays_shut_for_other_pages_a_figure_without_a_floor_and_a_floor_without_a_figure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = measured()
    del without["floors"]["cold mrr"]

    assert judge(measured(), measured(sha256="others")) == 1
    assert judge(measured(), without) == 1
    assert judge(without, measured()) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("gate: examples/ is not what the floors were pinned on")
    assert said[1:] == [
        "gate: cold mrr has no floor yet; pin it: python -m benchmarks.gate --pin",
        "gate: cold mrr fell to 0.0000, under its floor 0.5000",
    ]


def test_a_floor_is_lowered_only_when_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FLOORS", tmp_path / "floors.json")

    assert pin(measured(0.4), measured(), lower=False) == 1
    assert not (tmp_path / "floors.json").exists()
    assert pin(measured(0.6), measured(), lower=False) == 0
    assert json.loads((tmp_path / "floors.json").read_text()) == measured(0.6)
    assert pin(measured(0.4), measured(0.6), lower=True) == 0
    assert json.loads((tmp_path / "floors.json").read_text()) == measured(0.4)


def test_what_lists_teach_is_measured_where_there_are_enough_of_them() -> None:
    site = random_site(60, 1)
    lists = lists_of_groups(site.texts.ids, 6)
    few = {ident: lists[ident] for ident in list(lists)[:20]}

    found = learned_figures(material_of(site, lists))

    assert list(found) == LEARNED
    assert 1 > found["learned curated recall@10"] > found["learned new_page recall@10"] > 0.1
    assert learned_figures(material_of(site, few)) == {}


def test_every_figure_that_is_gated_has_its_floor_and_no_other() -> None:
    assert list(json.loads(FLOORS.read_text(encoding="utf-8"))["floors"]) == [*GATED, *LEARNED]
