"""What the logs of an A/B test say."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from corpus.errors import SourceNotFound
from service.console_clicks import clicks_record, print_clicks
from service.events import LONGEST_LINE, ClickReport, Mistake, VariantClicks, read_clicks, wilson

AT = "2026-11-01T12:00:00Z"


def line(event: str, article: str = "bread", variant: str = "standard", **more: object) -> str:
    """A line of a log; the list of a page in a variant has one name."""
    said = {"event": event, "recommendation_id": f"{article}-{variant}", "article": article, "variant": variant}
    return json.dumps(said | ({"target": "rye", "position": 1} if event == "click" else {}) | {"at": AT} | more)


def views(article: str, variant: str, impressions: int, clicks: int) -> list[str]:
    return [line("impression", article, variant)] * impressions + [line("click", article, variant)] * clicks


def read(folder: Path, *lines: str | bytes) -> ClickReport:
    """The report of one log."""
    log = folder / "clicks.jsonl"
    log.write_bytes(b"\n".join(said if isinstance(said, bytes) else said.encode() for said in lines))
    return read_clicks([log])


def close(low: float, high: float) -> object:
    return pytest.approx((low, high), abs=5e-5)


def test_each_variant_has_its_clicks_impressions_and_rate_with_an_interval(tmp_path: Path) -> None:
    report = read(tmp_path, *views("bread", "standard", 100, 10), *views("rye", "curated", 10, 0))

    standard, curated = report.variants
    assert standard == VariantClicks("standard", 1, 100, 10, 0.1, close(0.05523, 0.17437))  # type: ignore[arg-type]
    assert (curated.variant, curated.rate, curated.interval) == ("curated", 0.0, close(0.0, 0.27754))
    assert (report.lines, report.malformed, report.strays) == (120, 0, 0)


@pytest.mark.parametrize(
    ("clicks", "impressions", "interval"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (20, 20, (0.8389, 1.0)),
        (0, 0, None),
        (3, 2, None),
    ],
)
def test_wilsons_interval_is_the_one_of_newcombe_1998(
    clicks: int, impressions: int, interval: tuple[float, float] | None
) -> None:
    assert wilson(clicks, impressions) == (interval and close(*interval))


def test_the_difference_to_standard_counts_each_page_as_one_observation(tmp_path: Path) -> None:
    report = read(
        tmp_path,
        *views("a", "model", 10, 4),
        *views("b", "model", 30, 4),
        *views("c", "standard", 20, 1),
        *views("d", "standard", 20, 3),
    )

    standard, model = report.variants
    assert (standard.variant, standard.difference, standard.difference_interval) == ("standard", None, None)
    assert model.difference == pytest.approx(0.2 - 0.1)
    # by hand: model 2/1 * ((4 - 2)^2 + (4 - 6)^2) / 40^2 = 0.01; standard 2/1 * ((1 - 2)^2 + (3 - 2)^2) / 40^2 = 0.0025
    half = 1.959964 * (0.01 + 0.0025) ** 0.5
    assert model.difference_interval == close(0.1 - half, 0.1 + half)


def test_one_page_tells_no_interval_of_a_difference(tmp_path: Path) -> None:
    report = read(tmp_path, *views("a", "model", 10, 4), *views("b", "curated", 10, 1), *views("c", "curated", 10, 1))

    assert [(v.variant, v.difference, v.difference_interval) for v in report.variants] == [
        ("curated", None, None),
        ("model", pytest.approx(0.3), None),
    ]


def test_more_clicks_than_impressions_have_no_interval_and_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = read(tmp_path, *views("a", "model", 1, 2))

    assert (report.variants[0].rate, report.variants[0].interval) == (2.0, None)
    print_clicks(report)
    assert "More clicks than impressions are no rate" in capsys.readouterr().out


def test_a_click_in_a_list_that_was_never_shown_is_told_and_not_counted(tmp_path: Path) -> None:
    report = read(
        tmp_path, *views("a", "model", 5, 1), line("click", "z"), line("click", "a", "model", recommendation_id="x")
    )

    assert [(v.variant, v.impressions, v.clicks) for v in report.variants] == [("model", 5, 1)]
    assert report.strays == 2


def test_a_click_may_stand_before_its_impression_in_another_log(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(line("click", "a") + "\n")
    with gzip.open(tmp_path / "2.jsonl.gz", "wt") as file:
        file.write(line("impression", "a") + "\n\n" + line("impression", "a") + "\n")

    report = read_clicks([tmp_path / "1.jsonl", tmp_path / "2.jsonl.gz"])

    assert [(v.impressions, v.clicks) for v in report.variants] == [(2, 1)]
    assert (report.lines, report.strays) == (3, 0)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        ("[" * 5000, "Invalid JSON"),
        ("[]", "Input should be an object"),
        (line("view"), "event: Input should be 'impression' or 'click'"),
        (line("impression", at="2026-11-01T12:00:00"), "at: Input should have timezone info"),
        (line("impression", variant=""), "variant: String should have at least 1 character"),
        (line("click", target="x" * 1001), "target: String should have at most 1000 characters"),
        (line("click", target=None), "a click should name its target"),
        (line("click", position=0), "position: Input should be greater than or equal to 1"),
        (line("impression", more="x" * LONGEST_LINE), "Invalid JSON"),
    ],
)
def test_a_line_that_is_no_event_is_counted_with_its_place_and_reason(
    tmp_path: Path, said: str | bytes, reason: str
) -> None:
    report = read(tmp_path, line("impression"), said, line("impression"))

    assert (report.lines, report.malformed, report.variants[0].impressions) == (3, 1, 2)
    (mistake,) = report.mistakes
    assert (mistake.file, mistake.line) == (str(tmp_path / "clicks.jsonl"), 2)
    assert mistake.reason.startswith(reason)


def test_all_malformed_lines_are_counted_and_the_first_ten_told(tmp_path: Path) -> None:
    report = read(tmp_path, *["no event"] * 25)

    assert (report.malformed, [mistake.line for mistake in report.mistakes]) == (25, [*range(1, 11)])


def test_what_a_site_adds_to_its_lines_is_no_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, line("impression", session="7")).malformed == 0


@pytest.mark.parametrize("name", ["none.jsonl", "cut.jsonl.gz", "false.jsonl.gz", "folder"])
def test_a_log_that_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(line("impression").encode())[:-12])
    (tmp_path / "false.jsonl.gz").write_bytes(b"no gzip")

    with pytest.raises(SourceNotFound, match=rf"{name} cannot be read to its end \(.+\)"):
        read_clicks([tmp_path / name])


def test_the_record_is_json_and_the_table_shows_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = read(
        tmp_path,
        *views("a", "standard", 1000, 100),
        *views("b", "standard", 1000, 100),
        *views("c", "[red]model", 1000, 120),
        *views("d", "[red]model", 1000, 120),
        line("click", "z"),
        "no event",
    )

    assert json.loads(json.dumps(clicks_record(report)))["variants"][1]["difference"] == pytest.approx(0.02)
    print_clicks(report)

    shown = capsys.readouterr().out
    rows = {words[0]: words for words in map(str.split, shown.splitlines()) if words}
    assert rows["standard"] == ["standard", "2", "2,000", "200", "10.00%", "[8.76%,", "11.39%]"]
    assert rows["[red]model"][:5] == ["[red]model", "2", "2,000", "240", "12.00%"]
    assert rows["[red]model"][7:] == ["+2.00%", "[+2.00%,", "+2.00%]"]
    assert "no impression tells of their list: 1" in shown
    assert f"clicks.jsonl, line {report.lines}: Invalid JSON" in shown


def test_without_an_event_the_table_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = read(tmp_path, "")

    print_clicks(report)

    assert asdict(report) == asdict(ClickReport(0, (), 0, 0, ()))
    assert capsys.readouterr().out.strip() == "No impression in these logs."


def test_a_mistake_is_shown_without_acting_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_clicks(ClickReport(1, (), 0, 1, (Mistake("a\x1b[2J.log", 1, "bad"),)))

    assert "\x1b" not in capsys.readouterr().out
