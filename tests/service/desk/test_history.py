"""The log on the desk: who decided what, taken along as a file and put in from one."""

from dataclasses import replace
from typing import Any

import pytest
from httpx2 import Response

from recommender.decisions import Decision
from tests.service.desk.site import BROWSER, OWN, PROGRAM, DeskSite, forms, page_of, refused, send, text_of

FORMULA = '=HYPERLINK("https://evil.example")'
QUOTED = "'=1+1"


def rows(site: DeskSite, query: str = "") -> list[str]:
    """The rows of the log that are shown, as texts."""
    return [text_of(row) for row in page_of(site.get(f"/desk/decisions{query}")).xpath("//main//tbody/tr")]


def kinds(site: DeskSite, query: str = "") -> list[str]:
    """What the rows that are shown were, in order."""
    tree = page_of(site.get(f"/desk/decisions{query}"))
    return [text_of(row.xpath("./*")[2]) for row in tree.xpath("//main//tbody/tr")]


def put_in(site: DeskSite, text: str | bytes, role: str = "admin", headers: dict[str, str] = BROWSER) -> Response:
    files = {"file": ("decisions", text if isinstance(text, bytes) else text.encode())}
    return site.client_of(role).post(
        "/desk/decisions/import", files=files, data={"next": "/desk/decisions"}, headers=headers
    )


def said(entries: list[Decision]) -> list[Decision]:
    """The entries without their places in a log."""
    return [replace(entry, id=0, undoes=None) for entry in entries]


@pytest.fixture
def told(site: DeskSite) -> DeskSite:
    """A desk where two people have decided, and taken back."""
    site.decide("exclude", "oven", "hour", note=FORMULA, until="2026-11-05")
    site.decide("pin", "oven", "river", position=2, note=QUOTED)
    site.decide("state", "oven", state="model")
    site.decide("state", "oven", state="review")
    site.undo(2, note="Too far")
    site.post("/desk/decisions", role="admin", action="boost", target="rye", weight="3")
    site.undo(1)
    site.undo(7)
    return site


def test_the_log_is_told_the_latest_first(told: DeskSite) -> None:
    assert kinds(told) == [
        *("undone", "undone (undone)", "boosted everywhere", "undone", "state review", "state model"),
        *("pinned at 2 (undone)", "excluded here"),
    ]
    assert "8 decisions, the latest first." in text_of(page_of(told.get("/desk/decisions")))
    first = rows(told)[-1]
    for words in ("2026-11-01 13:00", "editor-name", "Oven", "Hour", FORMULA, "2026-11-05"):
        assert words in first


def test_filters_leave_what_they_say(told: DeskSite) -> None:
    assert kinds(told, "?action=state") == ["state review", "state model"]
    assert kinds(told, "?editor=admin-name") == ["boosted everywhere"]
    assert kinds(told, "?editor=admin-name&action=pin") == []
    assert kinds(told, "?show=holding") == ["undone", "boosted everywhere", "undone", "state review", "excluded here"]
    assert kinds(told, "?show=holding&action=state") == ["state review"]
    assert kinds(told, "?action=nonsense") == []


def test_only_what_holds_can_be_taken_back(told: DeskSite) -> None:
    tree = page_of(told.get("/desk/decisions"))
    offered = {int(dict(form.form_values())["id"]) for form in forms(tree, "/desk/undo")}
    assert offered == {1, 4, 5, 6, 8}
    assert forms(page_of(told.get("/desk/decisions", role="viewer")), "/desk/undo") == []
    (form,) = forms(tree, "/desk/undo", id="6")
    assert send(told, form).headers["location"] == "/desk/decisions?done=9"


def test_a_hundred_decisions_are_shown_at_once(site: DeskSite) -> None:
    made = [
        Decision(action="exclude", editor="a", at=site.clock(), key=f"k{n}", source="oven", target=f"x{n:03}")
        for n in range(250)
    ]
    site.log.append(made)

    def targets(page: int) -> list[int]:
        return [int(row.partition(" x")[2][:3]) for row in rows(site, f"?page={page}")]

    assert [targets(page) for page in (1, 2, 3, 4)] == [
        list(range(249, 149, -1)),
        list(range(149, 49, -1)),
        list(range(49, -1, -1)),
        [],
    ]
    assert targets(0) == targets(1)
    tree = page_of(site.get("/desk/decisions?page=2&action=exclude"))
    assert "2 of 3" in text_of(tree)
    assert "250 of them are about what is gone." in text_of(tree)
    leads = {text_of(a): a.get("href") for a in tree.xpath("//nav//a") if text_of(a) in ("Back", "On")}
    assert [row[:10] for row in rows(site, leads["On"].removeprefix("/desk/decisions"))] == ["2026-11-01"] * 50
    assert "action=exclude" in leads["Back"]


# --- Files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_log_that_is_put_in_elsewhere_holds_the_same(told: DeskSite, tmp_path: Any, form: str) -> None:
    exported = told.client.get(f"/desk/decisions.{form}")
    other = DeskSite(tmp_path / "other")
    other.decide("review", "rye")

    answer = put_in(other, exported.content)

    assert answer.headers["location"] == "/desk/decisions?taken=8"
    assert "8 decisions put in." in text_of(page_of(other.get(answer.headers["location"], role="admin")))
    assert said(other.written()[1:]) == said(told.written())
    assert [entry.note for entry in other.written()[1:3]] == [FORMULA, QUOTED]
    assert said(other.answers().standing.everything()[1:]) == said(told.answers().standing.everything())
    assert other.related() == told.related() == ["salt", "loaf"]
    assert put_in(other, exported.content).headers["location"] == "/desk/decisions?taken=0"
    assert len(other.written()) == 9

    back = other.undo(2, last=9)
    assert len(back["decisions"]) == 8, "also what was undone in it, which would stand again without its undo"
    assert [entry.action for entry in other.answers().standing.everything()] == ["review"]
    other.log.close()


def test_files_have_names_and_types(told: DeskSite) -> None:
    for form, media_type in (("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")):
        answer = told.client.get(f"/desk/decisions.{form}")
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="decisions.{form}"'
        assert answer.headers["cache-control"] == "no-store"
    assert told.client.get("/desk/decisions.xml").status_code == 404


def test_a_csv_from_a_spreadsheet_has_a_byte_order_mark(told: DeskSite, tmp_path: Any) -> None:
    other = DeskSite(tmp_path / "other")
    put_in(other, b"\xef\xbb\xbf" + told.client.get("/desk/decisions.csv").content)
    assert len(other.written()) == 8
    other.log.close()


@pytest.mark.parametrize("headers", [BROWSER, PROGRAM], ids=["browser", "program"])
def test_one_bad_line_refuses_the_file(told: DeskSite, headers: dict[str, str]) -> None:
    lines = told.client.get("/desk/decisions.jsonl").text.splitlines()
    bad = [line.replace('"key": "', '"key": "new-') for line in lines[:4]]
    bad[2] = bad[2].replace('"state": "model"', '"state": "off"')

    answer = put_in(told, "\n".join(bad), headers=headers)

    assert "line 3 cannot be put in: there is no state 'off'" in refused(answer, 422)
    assert len(told.written()) == 8


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"data": {"file": "text"}}, "choose a file: decisions.csv or decisions.jsonl"),
        ({"data": {"next": "/desk"}}, "choose a file"),
        ({"json": {}}, "choose a file"),
        ({"files": {"file": ("x", b"")}}, "the first line names no action"),
        ({"files": {"file": ("x", b"key\xff")}}, "the file is not UTF-8, from byte 3 on"),
        ({"files": {"file": ("x", b"{")}}, "line 1 is no JSON"),
        (
            {"content": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data"}},
            "the file did not arrive whole: send it as multipart/form-data",
        ),
    ],
)
def test_what_is_no_file_is_refused(site: DeskSite, kwargs: dict[str, Any], sentence: str) -> None:
    headers = {**PROGRAM, **kwargs.pop("headers", {})}
    answer = site.client_of("admin").post("/desk/decisions/import", headers=headers, **kwargs)
    assert sentence in refused(answer, 422)
    assert site.written() == []


def test_a_larger_file_than_may_be_sent_is_refused(told: DeskSite, tmp_path: Any) -> None:
    exported = told.client.get("/desk/decisions.jsonl").content
    small = DeskSite(tmp_path / "small", max_body_bytes=1_000)
    assert len(exported) > 1_000

    assert refused(put_in(small, exported), 413) == "the body has more than 1,000 bytes (setting max_body_bytes)"
    assert small.written() == []
    assert put_in(small, exported.splitlines()[0]).status_code == 303
    small.log.close()


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_an_admin_puts_a_file_in(told: DeskSite, role: str) -> None:
    exported = told.client.get("/desk/decisions.csv").text
    assert refused(put_in(told, exported, role, PROGRAM), 403) == (
        f"this is for the role admin, and {role}-name is {role}"
    )
    assert forms(page_of(told.get("/desk/decisions", role=role)), "/desk/decisions/import") == []
    assert len(forms(page_of(told.get("/desk/decisions", role="admin")), "/desk/decisions/import")) == 1


def test_another_site_puts_no_file_in(site: DeskSite) -> None:
    client = site.client_of("admin")
    client.headers.pop("Authorization")
    client.post("/desk/login", data={"token": "admin token"}, headers=OWN)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        answer = client.post("/desk/decisions/import", files={"file": ("x", b"{}")}, headers=headers)
        assert answer.status_code == 403
