"""Many decisions at once: what the preview foretells happens, and nothing that was not shown."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.decisions import STATES
from service.desk.bulk import Change, Wish, plan, preview_of
from service.desk.people import Person, Role
from tests.service.desk.site import BROWSER, PROGRAM, DeskSite, forms, notice, page_of, refused, send, text_of

ANNA = Person("anna", Role.EDITOR, "token")
PAGES = ("oven", "rye", "salt", "loaf", "hour", "sundial", "mill", "river", "hostile", "a,b")


def form_of(site: DeskSite, **asked: Any) -> Any:
    """The form by which a preview is confirmed."""
    answer = site.client.get("/desk/bulk", params=asked, headers=BROWSER)
    assert answer.status_code == 200, answer.text
    found = forms(page_of(answer), "/desk/bulk")
    (confirming,) = [form for form in found if form.method == "POST"]
    return confirming


def changes(site: DeskSite, wish: Wish) -> dict[str, Change]:
    """What is foretold of each page that would change."""
    answers = site.answers()
    preview = preview_of(answers, plan(site.desk, answers, wish, ANNA, "k"))
    return {change.essay.id: change for change in preview.shown}


def test_only_the_models_own_suggestions_from_the_score_on_are_approved(site: DeskSite) -> None:
    site.decide("approve", "oven", "rye")
    site.decide("exclude", "loaf", "oven")
    site.decide("pin", "salt", "rye", position=1)

    decisions = plan(site.desk, site.answers(), Wish(0.6), ANNA, "k")

    assert [(d.source, d.target) for d in decisions] == [
        ("oven", "salt"),
        ("rye", "oven"),
        ("rye", "salt"),
        ("hour", "sundial"),
        ("sundial", "hour"),
        ("mill", "rye"),
        ("mill-2", "rye"),
    ]
    assert {(d.action, d.editor) for d in decisions} == {("approve", "anna")}
    assert [d.key for d in decisions] == [f"k.{n}" for n in range(7)]


def test_pages_are_chosen_by_category_and_state_and_set_to_a_state(site: DeskSite) -> None:
    site.decide("state", "hour", state="review")
    answers = site.answers()

    def made(wish: Wish) -> list[tuple[str, str | None, str | None]]:
        return [(d.action, d.source, d.target or d.state) for d in plan(site.desk, answers, wish, ANNA, "k")]

    assert made(Wish(0.5, category="Time")) == [("approve", "hour", "sundial"), ("approve", "sundial", "hour")]
    assert made(Wish(0.5, category="Time", state="review")) == [("approve", "hour", "sundial")]
    assert made(Wish(1.0, category="Time", to="review")) == [("state", "sundial", "review")]
    assert made(Wish(0.9, state="review", to="model")) == [("approve", "hour", "sundial"), ("state", "hour", "model")]


def test_the_preview_tells_counts_and_lists(site: DeskSite) -> None:
    answer = site.client.get("/desk/bulk", params={"least": 0.5, "category": "Food", "to": "review"}, headers=BROWSER)
    shown = text_of(page_of(answer))

    assert re.search(r"\b8 suggestions approved and 4 states set, on 4 pages\.", shown)
    assert re.search(r"Readers of 1 pages? sees? another list\.", shown)
    oven = changes(site, Wish(0.5, "Food", "", "review"))["oven"]
    assert [item.id for item in oven.approved] == ["rye", "salt", "sundial"]
    assert (oven.entering, oven.leaving) == ((), ())
    rye = changes(site, Wish(0.5, "Food", "", "review"))["rye"]
    assert [item.id for item in rye.leaving] == ["hostile"]
    assert site.written() == []


def test_what_is_confirmed_is_decided_once_and_taken_back_in_one_go(site: DeskSite) -> None:
    before = {page: site.related(page) for page in PAGES}
    form = form_of(site, least=0.5, to="model")

    answer = send(site, form)
    last = len(site.written())
    assert answer.headers["location"] == f"/desk/bulk?done=1-{last}"
    assert {entry.edition for entry in site.written()} == {site.edition}
    assert site.written()[0].source_title == "Oven"
    assert site.related() == ["rye", "salt", "sundial"]
    again = send(site, form)
    assert (again.headers["location"], len(site.written())) == (f"/desk/bulk?done=1-{last}", last)

    done = site.get(answer.headers["location"])
    assert notice(done).startswith(f"{last} decisions made.")
    (button,) = forms(page_of(done), "/desk/undo", id="1", last=str(last))
    send(site, button)
    assert {page: site.related(page) for page in PAGES} == before
    assert site.answers().standing.everything() == []


@pytest.mark.parametrize("headers", [BROWSER, PROGRAM], ids=["browser", "program"])
def test_what_has_changed_since_it_was_shown_is_not_decided(site: DeskSite, headers: dict[str, str]) -> None:
    form = form_of(site, least=0.5)
    site.decide("exclude", "oven", "rye")

    fields = dict(form.form_values())
    answer = site.post("/desk/bulk", headers, **fields)

    assert answer.status_code == 409
    assert len(site.written()) == 1
    if headers is PROGRAM:
        assert refused(answer, 409) == "this is not what was shown: ask for the preview again"
        return
    assert "The site has changed since you looked." in text_of(page_of(answer))
    (anew,) = [form for form in forms(page_of(answer), "/desk/bulk") if form.method == "POST"]
    assert dict(anew.form_values())["mark"] != fields["mark"]
    assert send(site, anew).status_code == 303
    assert len(site.written()) > 1


def test_a_mark_of_another_wish_is_outdated(site: DeskSite) -> None:
    fields = dict(form_of(site, least=0.9).form_values())
    for change in ({"least": "0.1"}, {"to": "model"}, {"category": "Time"}, {"mark": ""}, {"mark": "x"}):
        assert site.post("/desk/bulk", **fields | change).status_code == 409
    assert site.written() == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"least": "x"}, "least is no number from 0 to 1"),
        ({"least": ""}, "least is no number from 0 to 1"),
        ({"least": "nan"}, "least nan is not from 0 to 1"),
        ({"least": "1.5"}, "least 1.5 is not from 0 to 1"),
        ({"least": "-0.1"}, "least -0.1 is not from 0 to 1"),
        ({"least": "0.5", "to": "off"}, "there is no state 'off'"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(site: DeskSite, change: dict[str, str], sentence: str) -> None:
    assert sentence in refused(site.post("/desk/bulk", PROGRAM, **change), 422)
    for least in ("x", "2", "nan"):
        assert site.client.get(f"/desk/bulk?least={least}", headers=BROWSER).status_code == 422
    assert site.written() == []


def test_a_preview_of_nothing_has_nothing_to_confirm(site: DeskSite) -> None:
    answer = site.get("/desk/bulk?least=1")
    assert [form for form in forms(page_of(answer), "/desk/bulk") if form.method == "POST"] == []
    assert "0 suggestions approved" in text_of(page_of(answer))


def test_a_viewer_sees_the_preview_and_cannot_confirm_it(site: DeskSite) -> None:
    tree = page_of(site.get("/desk/bulk?least=0.5", role="viewer"))
    assert re.search(r"\d+ suggestions approved", text_of(tree))
    assert [form for form in tree.forms if form.method == "POST"] == []


# --- Property -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> DeskSite:
    """One desk for all examples, each of which takes back what it did."""
    site = DeskSite(Path(tmp_path_factory.mktemp("bulk")) / "home")
    site.decide("state", "rye", state="review")
    site.decide("state", "loaf", state="model")
    site.decide("exclude", None, "salt")
    site.decide("pin", "oven", "river", position=2)
    return site


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    least=st.sampled_from([0.0, 0.1, 0.3, 0.31, 0.5, 0.6, 0.85, 0.9, 1.0]),
    category=st.sampled_from(["", "Food", "Time", "Craft"]),
    state=st.sampled_from(["", *STATES]),
    to=st.sampled_from(["", *STATES]),
)
def test_what_is_foretold_is_what_happens(shared: DeskSite, least: float, category: str, state: str, to: str) -> None:
    foretold = changes(shared, Wish(least, category, state, to))
    before = {page: shared.related(page) for page in PAGES}
    form = page_of(shared.client.get(f"/desk/bulk?least={least}&category={category}&state={state}&to={to}"))
    confirming = [found for found in forms(form, "/desk/bulk") if found.method == "POST"]
    assert bool(confirming) == bool(foretold)
    if not confirming:
        return
    first = len(shared.written()) + 1

    assert send(shared, confirming[0]).status_code == 303
    for page in PAGES:
        after, change = shared.related(page), foretold.get(page)
        entering = [item.id for item in change.entering] if change else []
        leaving = [item.id for item in change.leaving] if change else []
        assert entering == [ident for ident in after if ident not in before[page]]
        assert leaving == [ident for ident in before[page] if ident not in after]
    shared.undo(first, last=len(shared.written()))
    assert {page: shared.related(page) for page in PAGES} == before
