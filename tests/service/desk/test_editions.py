"""The desk's pages about whole editions: what differs, what is held back, the map, and what was learned."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recommender.edition import current_id, open_current
from recommender.publish_gate import judge, read_marker
from service.desk.map import STEPS
from service.desk.words import page_address
from tests.service.desk.site import (
    BROWSER,
    OWN,
    PROGRAM,
    DeskSite,
    forms,
    page_of,
    ranked,
    refused,
    send,
    text_of,
)
from tests.service.editions import damage, publish_edition

# --- Editions -------------------------------------------------------------------------------------------------------


def publish_changed(site: DeskSite, held: bool = False) -> str:
    """Publish an edition in which oven and hour have other lists and salt is gone; or hold it back."""
    changed = {"oven": {"curated": ranked(("rye", 0.8))}, "hour": {"candidates": ranked(("rye", 0.9))}}
    lists = [
        replace(
            entry,
            **{
                name: tuple(candidate for candidate in value if candidate.id != "salt")
                for name, value in {
                    "curated": entry.curated,
                    "candidates": entry.candidates,
                    **changed.get(entry.id, {}),
                }.items()
            },
        )
        for entry in site.lists
        if entry.id != "salt"
    ]
    items = [item for item in site.items if item.id != "salt"]
    now = site.clock() + timedelta(minutes=1)
    before = site.edition
    keep = (lambda edition, ident: judge(ident, before, 0.25, 0.5, now)) if held else None
    ident = publish_edition(site.home, now, lists, items, keep)
    site.clock.advance(minutes=5)
    return ident


def test_editions_are_listed_and_two_compared(site: DeskSite) -> None:
    first, second = site.edition, publish_changed(site)

    tree = page_of(site.get("/desk/editions"))
    assert [text_of(row.xpath("./th")[0]) for row in tree.xpath("//tbody/tr")] == [second, first]
    (form,) = [form for form in tree.forms if form.action == "/desk/editions" and form.method == "GET"]
    assert dict(form.form_values()) == {"before": first, "after": second}

    shown = page_of(site.get(f"/desk/editions?before={first}&after={second}"))
    told = text_of(shown)
    assert f"From {first} to {second}" in told
    assert "3 of 20 pages changed" in told
    assert re.search(r"\b0 pages? (is|are) new, 1 gone\.", told)
    assert [str(a) for a in shown.xpath("//section[@aria-labelledby='diff']//table[.//a]//th/a/@href")] == [
        "/desk/articles/hour",
        "/desk/articles/oven",
        "/desk/articles/rye",
    ]
    (hour,) = shown.xpath("//tr[.//a[@href='/desk/articles/hour']]")
    assert [text_of(cell) for cell in hour.xpath("./*")] == ["Hour", "0.00", "Rye", "Sundial"]
    back = text_of(page_of(site.get(f"/desk/editions?before={second}&after={first}")))
    assert re.search(r"\b1 pages? (is|are) new, 0 gone\.", back)


def test_an_edition_that_is_not_there_or_damaged_is_told(site: DeskSite) -> None:
    first = site.edition
    publish_changed(site)
    for other in ("20200101T000000Z-00000000", "../..", "x"):
        tree = page_of(site.get(f"/desk/editions?before={other}&after={first}"))
        assert "edition" in text_of(tree.xpath("//*[@role='alert']")[0])
    site.get(f"/desk/editions?before={first}&after={current_id(site.home)}")
    damage(site.home, first)
    told = page_of(site.get(f"/desk/editions?before={first}&after={current_id(site.home)}"))
    assert f"edition {first} is damaged" in text_of(told.xpath("//*[@role='alert']")[0])
    assert "damaged" in text_of(told.xpath("//tbody/tr")[1])


def test_an_admin_signs_off_what_is_held_back(site: DeskSite) -> None:
    first, held = site.edition, publish_changed(site, held=True)
    assert current_id(site.home) == first
    tree = page_of(site.get("/desk/editions", role="admin"))
    assert f"edition {held} is held back: its lists overlap by 0.250" in text_of(tree)
    (form,) = forms(tree, "/desk/editions/publish", edition=held)

    for role in ("viewer", "editor"):
        assert forms(page_of(site.get("/desk/editions", role=role)), "/desk/editions/publish") == []
        assert refused(site.post("/desk/editions/publish", PROGRAM, role, edition=held), 403)
    assert current_id(site.home) == first
    answer = send(site, form, "admin")

    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/editions")
    assert current_id(site.home) == held
    marker = read_marker(site.home, held)
    assert marker is not None
    assert marker.signed_by == "admin-name"
    site.clock.advance(minutes=5)
    assert site.related("hour") == ["rye"]


def test_an_admin_steps_back(site: DeskSite) -> None:
    first, second = site.edition, publish_changed(site)
    tree = page_of(site.get("/desk/editions", role="admin"))
    (form,) = forms(tree, "/desk/editions/rollback", edition=first)
    for role in ("viewer", "editor"):
        assert forms(page_of(site.get("/desk/editions", role=role)), "/desk/editions/rollback") == []
        assert refused(site.post("/desk/editions/rollback", PROGRAM, role, edition=first), 403)
    assert current_id(site.home) == second

    assert send(site, form, "admin").headers["location"] == "/desk/editions"

    assert current_id(site.home) == first
    site.clock.advance(minutes=5)
    assert site.related() == ["salt", "hour", "loaf"]


@pytest.mark.parametrize("path", ["/desk/editions/publish", "/desk/editions/rollback"])
@pytest.mark.parametrize("headers", [BROWSER, PROGRAM], ids=["browser", "program"])
def test_what_cannot_be_made_current_is_refused_with_its_sentence(
    site: DeskSite, path: str, headers: dict[str, str]
) -> None:
    first, second = site.edition, publish_changed(site)
    damage(site.home, first)

    assert f"edition {first} is damaged" in refused(site.post(path, headers, "admin", edition=first), 422)
    assert "there is no edition" in refused(site.post(path, headers, "admin", edition="20200101T000000Z-00000000"), 422)
    assert "'../x' is no edition id" in refused(site.post(path, headers, "admin", edition="../x"), 422)
    assert current_id(site.home) == second


def test_what_is_held_back_is_not_stepped_to(site: DeskSite) -> None:
    held = publish_changed(site, held=True)
    assert "is held back" in refused(site.post("/desk/editions/rollback", PROGRAM, "admin", edition=held), 422)
    assert current_id(site.home) == site.edition


def test_another_site_changes_no_edition(site: DeskSite) -> None:
    second = publish_changed(site)
    client = site.client_of("admin")
    client.headers.pop("Authorization")
    client.post("/desk/login", data={"token": "admin token"}, headers=OWN)
    answer = client.post("/desk/editions/rollback", data={"edition": site.edition}, headers={"Sec-Fetch-Site": "none!"})
    assert answer.status_code == 403
    assert current_id(site.home) == second


# --- The map --------------------------------------------------------------------------------------------------------


def test_every_essay_is_a_point(site: DeskSite) -> None:
    points = site.client.get("/desk/map/points").json()
    rows = list(open_current(site.home).overview.rows())
    at = {ident: number for number, ident in enumerate(points["ids"])}

    assert points["edition"] == site.edition
    assert points["ids"] == [row.id for row in rows] == [entry.id for entry in site.lists]
    assert points["titles"][:2] == ["Oven", "Rye"]
    assert (points["x"][9], points["y"][9]) == (round(STEPS / 8), round(STEPS / 8))
    assert points["categories"] == ["<i>", "Craft", "Food", "Time"]
    assert [points["category"][at[name]] for name in ("oven", "hour", "mill", "river")] == [2, 3, 1, -1]
    assert [points["marks"][at[name]] for name in ("oven", "rye", "river", "mill")] == [0, 1, 2, 2 + 4]


def test_links_are_what_readers_see_now_and_what_shows_the_essay(site: DeskSite) -> None:
    def links(ident: str) -> dict[str, Any]:
        answer = site.client.get("/desk/map/links", params={"id": ident})
        assert answer.status_code == 200
        return dict(answer.json())

    def named(ends: list[dict[str, Any]]) -> list[str]:
        ids = site.client.get("/desk/map/points").json()["ids"]
        assert [ids[end["number"]] for end in ends] == [end["id"] for end in ends]
        assert all(end["address"] == page_address(end["id"]) for end in ends)
        return [end["id"] for end in ends]

    oven = links("oven")
    assert named(oven["out"]) == site.related() == ["salt", "hour", "loaf"]
    assert named(oven["in"]) == ["rye", "salt", "loaf"]
    assert (oven["title"], oven["number"], oven["hub"], oven["orphan"]) == ("Oven", 0, False, False)
    assert named(links("mill")["twins"]) == ["mill-2"]
    assert links("./x")["address"] == "/desk/article?id=.%2Fx"

    site.decide("state", "oven", state="model")
    assert named(links("oven")["out"]) == site.related() == ["rye", "salt", "sundial"]
    assert "no essay 'nowhere'" in refused(site.client.get("/desk/map/links?id=nowhere"), 404)


def test_the_map_tells_of_the_chosen_essay_without_a_script(site: DeskSite) -> None:
    tree = page_of(site.get("/desk/map?id=oven"))
    addresses = [str(address) for address in tree.xpath("//main//a/@href")]
    assert "/desk/articles/oven" in addresses
    for ident in ("salt", "hour", "loaf", "rye"):
        assert {f"/desk/articles/{ident}", f"/desk/map?id={ident}"} & set(addresses)
    assert site.get("/desk/map?id=nowhere")
    assert site.get("/desk/map")


# --- Learned --------------------------------------------------------------------------------------------------------

LESSON = {"used": True, "reason": "recall@10 on held-out lists +0.051", "lists": 1234, "gain": [0.051, 0.02, 0.08]}
EDITORS_LESSON = {
    "used": True,
    "reason": "they helped",
    "approved": 2140,
    "excluded": 36,
    "missing": 1,
    "gain": [0.012, -0.001, 0.02],
    "separation": None,
}


def learned(site: DeskSite, **manifest: Any) -> str:
    publish_edition(site.home, site.clock() + timedelta(minutes=1), site.lists, site.items, **manifest)
    site.clock.advance(minutes=5)
    return text_of(page_of(site.get("/desk/learned")).xpath("//main")[0])


def test_a_build_without_a_lesson_is_told(site: DeskSite) -> None:
    told = text_of(page_of(site.get("/desk/learned")).xpath("//main")[0])
    assert "Nothing yet: that build found no approval and no exclusion." in told
    assert "Made since then, for the next build: 0 approvals and 0 exclusions." in told


def test_a_lesson_without_the_editors_is_told(site: DeskSite) -> None:
    told = learned(site, lesson=LESSON)
    assert "Recall@10 on held-out lists +0.051. It had 1,234 lists to learn from." in told
    assert "+0.051 (95% interval +0.020 to +0.080)" in told
    assert "Nothing yet" in told


def test_a_lesson_of_the_editors_is_told(site: DeskSite) -> None:
    told = learned(site, lesson=LESSON | {"gain": None, "editors": EDITORS_LESSON})
    assert "2,140 approvals and 36 exclusions took part. They helped" in told
    assert "+0.012 (95% interval -0.001 to +0.020)" in told
    assert "Nothing yet" not in told


def test_what_was_decided_since_the_build_waits_for_the_next(site: DeskSite) -> None:
    site.decide("approve", "oven", "rye")
    learned(site, lesson=LESSON)
    for target in ("salt", "loaf"):
        site.decide("exclude", "oven", target)
    site.decide("approve", "rye", "oven")
    told = text_of(page_of(site.get("/desk/learned")).xpath("//main")[0])
    assert re.search(r"for the next build: 1 approvals? and 2 exclusions\.", told)
