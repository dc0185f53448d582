"""The HTML report of an evaluation: everything the record has is there, as text too, and nothing of it acts."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lxml import etree, html

from service.report import write_report

METRICS = ("curated_recall@5", "curated_recall@10", "curated_recall@50", "hit@10", "mrr", "ndcg@10")
SYSTEMS = {"random": 0.019, "bm25": 0.518, "dense": 0.575, "meaning": 0.601, "related": 0.648}
PROTOCOLS = ("cold", "curated", "new_page")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>"


def interval(value: float, half: float = 0.02) -> list[float]:
    return [value, round(value - half, 4), round(value + half, 4)]


def protocol(shift: float = 0.0) -> dict[str, Any]:
    return {
        name: {metric: interval(round(value + shift + 0.001 * i, 4)) for i, metric in enumerate(METRICS)}
        for name, value in SYSTEMS.items()
    }


def details() -> dict[str, Any]:
    weights = {"meaning": 1.0, "wording": 0.517, "recency": -0.043}
    steps = ((0.0, 0, False), (0.01, 5, False), (0.5, 274, True), (1.0, 549, True))
    return {
        "lift": {name: {"dense": interval(0.073)} for name in PROTOCOLS},
        "rule_costs": {"cold": {"near_duplicates": interval(-0.011)}, "curated": {"balance": interval(0.003)}},
        "curves": {p: {s: [round(v * k / 50, 4) for k in range(1, 51)] for s, v in SYSTEMS.items()} for p in PROTOCOLS},
        "calibration": [
            {"low": 0.0, "high": 0.1, "n": 1234, "mean_score": 0.0411, "share_listed": 0.0522},
            {"low": 0.1, "high": 1.0, "n": 7, "mean_score": 0.3333, "share_listed": 0.2857},
        ],
        "in_degree": {
            **{"k": 10, "ours": [9, 4, 4, 1, 0], "editors": [12, 2, 2, 0, 0], "dense": [8, 8, 1, 1, 0]},
            **{"max_share": 0.031, "orphans": 0.2, "coverage": 0.8, "gini": 0.41},
        },
        "learned": {
            **{"used": True, "reason": "the gain is sure", "lists": 549, "gain": interval(0.031)},
            "weights": {"listed": weights, "new": {"meaning": 0.9}},
        },
        "ablation": {
            "meaning": {"curated": interval(0.061), "new_page": interval(0.052)},
            "wording": {"curated": interval(0.004)},
        },
        "learning_curve": [
            {
                "share": share,
                "lists": n,
                "curated": interval(0.7 + share / 20),
                "new_page": interval(0.66),
                "used": used,
            }
            for share, n, used in steps
        ],
        "blurbs": {"n": 300, "recall@1": interval(0.812), "recall@10": interval(0.953)},
    }


def full_record() -> dict[str, Any]:
    protocols = {name: protocol(shift) for name, shift in zip(PROTOCOLS, (0.0, 0.09, 0.03), strict=True)}
    return {"n": 549, "ceiling": 0.998, **protocols, "details": details()}


def written(folder: Path, record: dict[str, Any], heading: str = "Edition one", **compared: Any) -> str:
    path = folder / "report.html"
    write_report(record, path, heading, **compared)
    return path.read_text(encoding="utf-8")


def section_ids(page: str) -> list[str]:
    return [section.get("id") for section in html.fromstring(page).iter("section")]


def table_rows(page: str, caption: str) -> dict[str, list[str]]:
    """Row name -> the cells of the table so captioned, what stands small in them behind a bar."""
    tables = [t for t in html.fromstring(page).iter("table") if t.findtext("caption") == caption]
    assert len(tables) == 1
    rows = tables[0].findall("tbody/tr")
    return {row.find("th").text.strip(): ["|".join(cell.itertext()) for cell in row.findall("td")] for row in rows}


def texts_of(page: str) -> str:
    return " ".join(" ".join(html.fromstring(page).itertext()).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("report"), full_record())


def test_the_page_is_well_formed_and_every_id_stands_once(page: str) -> None:
    # As XML it is stricter than any browser: every element closed, every attribute quoted, every figure intact.
    closed = re.sub(r"<(meta[^>]*)>", r"<\1/>", page.removeprefix("<!DOCTYPE html>"))
    root = etree.fromstring(closed)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    pointed = set(re.findall(r"""(?:url\(|href=")#([^")]+)""", page))
    assert pointed <= set(ids)


def test_a_full_record_gives_every_section(page: str) -> None:
    judged = ["overview", "cold", "curated", "new-page", "rules", "curves", "learned", "ablation"]
    assert section_ids(page) == [*judged, "learning-curve", "calibration", "in-degree", "blurbs", "words"]


def test_the_heading_says_what_was_judged(page: str) -> None:
    root = html.fromstring(page)
    assert root.findtext(".//h1") == "Edition one"
    assert "549 curated lists judged; 99.8% of their entries are essays of the site." in texts_of(page)


@pytest.mark.parametrize(
    ("key", "ident"),
    [
        ("rule_costs", "rules"),
        ("curves", "curves"),
        ("learned", "learned"),
        ("ablation", "ablation"),
        ("learning_curve", "learning-curve"),
        ("calibration", "calibration"),
        ("in_degree", "in-degree"),
        ("blurbs", "blurbs"),
    ],
)
def test_each_section_depends_on_its_own_part_of_the_record(tmp_path: Path, key: str, ident: str) -> None:
    record = {"n": 3, "ceiling": None, "details": {key: details()[key]}}
    assert section_ids(written(tmp_path, record)) == [ident, "words"]


@pytest.mark.parametrize("nothing", [None, {}, []], ids=repr)
def test_sections_are_left_out_when_the_record_has_nothing_for_them(tmp_path: Path, nothing: Any) -> None:
    record = {"n": 3, "ceiling": None, "cold": {}, "details": dict.fromkeys(details(), nothing)}
    assert section_ids(written(tmp_path, record)) == ["words"]


def test_a_record_without_details_or_protocols_still_gives_a_page(tmp_path: Path) -> None:
    cold_only: dict[str, Any] = {"n": 3, "ceiling": None, "cold": protocol()}
    nothing: dict[str, Any] = {"n": 0, "ceiling": None, "details": {}}

    assert section_ids(written(tmp_path, cold_only)) == ["overview", "cold", "words"]
    assert section_ids(written(tmp_path, nothing)) == ["words"]
    assert "Nothing to judge" in written(tmp_path, nothing)


def test_a_protocols_table_has_every_figure_ours_bold_and_the_best_baseline_marked(page: str) -> None:
    title = "Cold: no list is seen"
    rows = table_rows(page, title)
    assert list(rows) == ["related", "meaning", "dense", "bm25", "random"]
    assert rows["related"][:2] == ["0.648|[0.628, 0.668]", "0.649|[0.629, 0.669]"]
    root = html.fromstring(page)
    cold = root.get_element_by_id("cold")
    assert [row.find("th").text.strip() for row in cold.find_class("ours")] == ["related"]
    assert [(m.getparent().text, m.text) for m in cold.find_class("mark")] == [
        ("related ", "ours"),
        ("dense ", "best baseline"),  # the lift is over it; "meaning" is ours, too
    ]


def test_every_figures_numbers_stand_in_a_table(page: str) -> None:
    assert table_rows(page, "Cold: recall by length of the list")["50"] == ["0.019", "0.518", "0.575", "0.601", "0.648"]
    assert len(table_rows(page, "New page: recall by length of the list")) == 50
    assert table_rows(page, "Pairs by score")["0.10 to 1.00"] == ["7", "0.333", "0.286"]
    assert table_rows(page, "The weights in figures") == {
        "meaning": ["1.000", "0.900"],
        "wording": ["0.517", "–"],
        "recency": ["−0.043", "–"],
    }
    assert table_rows(page, "The losses in figures") == {
        "meaning": ["+0.061|[+0.041, +0.081]", "+0.052|[+0.032, +0.072]"],
        "wording": ["+0.004|[−0.016, +0.024]", "–"],
    }
    assert table_rows(page, "Recall@10 by share of the lists")["50%"] == [
        "274",
        "0.725|[0.705, 0.745]",
        "0.660|[0.640, 0.680]",
        "yes",
    ]
    assert table_rows(page, "Essays by how many lists name them") == {
        "12": ["0", "1", "0"],
        "9": ["1", "0", "0"],
        "8": ["0", "0", "2"],
        "4": ["2", "0", "0"],
        "2": ["0", "2", "0"],
        "1": ["1", "0", "2"],
        "0": ["1", "2", "1"],
    }


def test_what_has_no_figure_is_told_in_words(page: str) -> None:
    text = texts_of(page)
    assert "+0.073 [+0.053, +0.093] over dense" in text
    assert table_rows(page, "What rules cost") == {
        "near-duplicates": ["−0.011|[−0.031, +0.009]", "–"],
        "balance": ["–", "+0.003|[−0.017, +0.023]"],
    }
    assert "the gain is sure" in text
    assert "essays no list names 20.0%" in text
    assert "Gini index (0 is even) 0.41" in text
    assert "recall@1 0.812 [0.792, 0.832]" in text


def test_figures_are_scaled_themed_and_have_a_text_for_those_who_do_not_see_them(page: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(figures) == 3 + 3 + 2 + 2 + 2 + 1 + 1
    for figure in figures:
        root = etree.fromstring(figure)
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 20
        assert root.get("viewBox")
        assert "height" not in root.attrib
        # Colours are the page's; matplotlib's own would be unreadable on the other paper.
        assert not re.findall(r"(?:fill|stroke): #", figure)
        assert "font-family" not in figure
    assert "related 0.649" in etree.fromstring(figures[0]).get("aria-label")
    assert "currentColor" in figures[0]
    assert "var(--ours)" in figures[0]


def test_figures_keep_text_as_text(page: str) -> None:
    first = etree.fromstring(re.findall(r"<svg.*?</svg>", page, re.DOTALL)[0])
    words = {element.text for element in first.iter(f"{SVG}text")}
    assert {"related", "dense", "0.649"} <= words


def hostile_record() -> dict[str, Any]:
    """Every name and sentence of the record is an attack on the page, on SVG, or on matplotlib's formulas."""
    record = full_record()
    for name in PROTOCOLS:
        record[name] |= {HOSTILE: record[name].pop("bm25"), '"><img src=x onerror=y>': protocol()["random"]}
        record["details"]["curves"][name] |= {HOSTILE: record["details"]["curves"][name].pop("bm25")}
        record["details"]["lift"][name] = {HOSTILE: interval(0.073)}
    record["details"]["learned"]["reason"] = HOSTILE
    record["details"]["learned"]["weights"]["listed"] |= {HOSTILE: 0.1, "]]>-->\x00\x1b\ufffe\ud800 漢字": 0.2}
    record["details"]["learned"]["weights"]["new"] |= {"$\\frac{$": 0.3}
    record["details"]["ablation"][HOSTILE] = {"curated": interval(0.01)}
    record["details"]["rule_costs"]["cold"][HOSTILE] = interval(0.01)
    return record


def test_names_and_sentences_of_the_record_are_only_shown(tmp_path: Path) -> None:
    shown = written(
        tmp_path, hostile_record(), heading=HOSTILE, compared=hostile_record(), compared_heading=f"'{HOSTILE}"
    )

    root = html.fromstring(shown)
    assert root.findtext(".//h1") == HOSTILE
    assert "<script" not in shown.lower()
    assert "<img" not in shown
    assert {element.tag for element in root.iter() if isinstance(element.tag, str)}.isdisjoint({"script", "img"})
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe]", shown)
    drawn = [text for figure in re.findall(r"<svg.*?</svg>", shown, re.DOTALL) for text in _words(figure)]
    assert {"<script>alert(1)</s…", "$\\frac{$"} <= set(drawn)


def _words(figure: str) -> list[str]:
    return [element.text or "" for element in etree.fromstring(figure).iter(f"{SVG}text")]


def test_the_same_record_gives_the_same_bytes_whatever_a_persons_plots_look_like(tmp_path: Path) -> None:
    import matplotlib

    once = written(tmp_path, full_record(), compared=full_record())
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "lines.marker": "o"}):
        again = written(tmp_path, json.loads(json.dumps(full_record())), compared=full_record())
        assert matplotlib.rcParams["font.size"] == 30

    assert once == again


def test_the_page_needs_nothing_else(page: str) -> None:
    without_names_of_formats = re.sub(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]+"', "", page)
    assert not re.findall(r"https?:|//\w|@import|url\((?!#)", without_names_of_formats)
    assert not re.findall(r"<(?:script|link|iframe|object|img|style[^>]+src)\b", page)
    assert {href for href in re.findall(r'href="([^"]*)"', page) if not href.startswith("#")} == set()
    assert "default-src 'none'" in page


def test_another_evaluation_stands_beside_with_the_differences(tmp_path: Path) -> None:
    older = copy.deepcopy(full_record()) | {"n": 1540, "cold": protocol(-0.012)}
    del older["new_page"]

    page = written(tmp_path, full_record(), compared=older, compared_heading="Edition zero")

    assert section_ids(page)[1] == "compared"
    assert "First: Edition one. Second: Edition zero." in texts_of(page)
    rows = table_rows(page, "Cold")
    assert rows["recall@10"] == ["0.649|[0.629, 0.669]", "0.637|[0.617, 0.657]", "+0.012"]
    assert table_rows(page, "Curated")["recall@10"][2] == "+0.000"
    assert table_rows(page, "What was judged") == {"lists": ["549", "1,540", "−991"]}
    assert "New page" not in [caption.text for caption in html.fromstring(page).iter("caption")]


def test_flat_and_empty_figures_are_drawn(tmp_path: Path) -> None:
    record = full_record()
    zero = [0.0, 0.0, 0.0]
    record["cold"] = {"related": dict.fromkeys(METRICS, zero)}
    record["details"] |= {
        "ablation": {"meaning": {"curated": zero, "new_page": [-0.0001, -0.0002, 0.0]}},
        "calibration": [{"low": 0.0, "high": 0.1, "n": 1, "mean_score": 0.0, "share_listed": 0.0}],
        "in_degree": {"k": 10, "ours": [0, 0], "editors": [1], "dense": []},
        "learning_curve": [{"share": 0.0, "lists": 0, "curated": zero, "new_page": zero, "used": False}],
        "curves": {"cold": {"related": [0.5], "dense": []}, "curated": {"related": []}},
    }

    page = written(tmp_path, record)

    assert table_rows(page, "The losses in figures") == {
        "meaning": ["+0.000|[+0.000, +0.000]", "+0.000|[+0.000, +0.000]"]
    }
    assert not re.search(r"−0\.000\b", page)


def test_nothing_light_loads_what_draws() -> None:
    program = "import sys, service.report, service.cli, service.app; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
