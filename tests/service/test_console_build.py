"""The closing report of a build says what editors' decisions taught."""

from dataclasses import replace
from typing import Any

import pytest

from recommender.build_report import BuildReport
from recommender.editor_labels import EditorLabels
from recommender.editor_lesson import EditorsLesson
from recommender.job import BuildOptions, build
from service.console_build import print_build
from tests.fakes import CountingEncoder
from tests.recommender.test_job import write_site


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    folder = tmp_path_factory.mktemp("editors")
    labels = EditorLabels(frozenset({("page-000", "page-002")}), frozenset({("page-000", "gone")}))
    return build(
        [write_site(folder / "site")],
        folder / "home",
        CountingEncoder(),
        BuildOptions(),
        labels_of=lambda catalogue, last: labels,
    )


def with_editors(report: BuildReport, told: EditorsLesson | None) -> BuildReport:
    """The same report, as if editors had taught this."""
    details: dict[str, Any] = report.evaluation["details"]
    learned = {key: value for key, value in details["learned"].items() if key != "editors"}
    learned |= {"editors": told.to_json()} if told else {}
    return replace(report, evaluation={**report.evaluation, "details": {**details, "learned": learned}})


def printed(report: BuildReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_build(report, to_stderr=False)
    return [line.strip() for line in capsys.readouterr().out.splitlines() if "learned from" in line]


def test_a_build_says_why_it_did_not_learn_from_few_decisions(
    report: BuildReport, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(report, capsys) == [
        "not learned from 1 approval and 0 exclusions (1 more of pairs that are no candidates): without lists, fewer "
        "than 50 approvals or exclusions are too few to learn from"
    ]


def test_a_build_says_what_it_learned_from_decisions(report: BuildReport, capsys: pytest.CaptureFixture[str]) -> None:
    told = EditorsLesson(True, "recall@10 on the curated lists +0.012", 2140, 36, 0, (0.012, 0.0, 0.02))

    expected = ["learned from 2,140 approvals and 36 exclusions: recall@10 on the curated lists +0.012"]
    assert printed(with_editors(report, told), capsys) == expected


def test_where_no_editor_decided_no_line_is_printed(report: BuildReport, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(with_editors(report, None), capsys) == []
