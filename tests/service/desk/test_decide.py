"""Decisions that are sent to the desk: what is written, what the website then answers, and what is refused."""

import json
from typing import Any

import pytest

from recommender.decisions import Decision
from service.desk.words import page_address
from tests.service.desk.site import (
    BROWSER,
    DOTTED,
    HOSTILE,
    OWN,
    PROGRAM,
    DeskSite,
    day,
    forms,
    notice,
    page_of,
    refused,
    send,
    text_of,
)
from tests.service.editions import ODD_IDS

OVEN = "/desk/articles/oven"
STANDARD = ["salt", "hour", "loaf"]
KINDS = {
    "approve": ({"source": "oven", "target": "rye"}, "approved", STANDARD),
    "exclude": ({"source": "oven", "target": "hour"}, "excluded here", ["salt", "loaf", "rye"]),
    "exclude everywhere": ({"target": "hour"}, "excluded everywhere", ["salt", "loaf", "rye"]),
    "pin": ({"source": "oven", "target": "river", "position": "2"}, "pinned at 2", ["salt", "river", "hour"]),
    "boost": ({"source": "oven", "target": "river"}, "boosted", STANDARD),
    "boost everywhere": ({"target": "river", "weight": "3"}, "boosted everywhere", STANDARD),
    "bury": ({"source": "oven", "target": "salt", "weight": "0.5"}, "buried", STANDARD),
    "state": ({"source": "oven", "state": "model"}, "state model", ["rye", "salt", "sundial"]),
    "review": ({"source": "oven"}, "reviewed", STANDARD),
    "stop": ({"note": "A bad build"}, "the kill switch", STANDARD),
}


def action_of(kind: str) -> str:
    return kind.split()[0]


# --- Each kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_leads_back_to_its_page_which_tells_of_it_and_takes_it_back(site: DeskSite, kind: str) -> None:
    fields, said, after = KINDS[kind]
    before = site.related()

    answer = site.post("/desk/decisions", action=action_of(kind), next=OVEN, key="k", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{OVEN}?done=1")
    assert site.related() == after

    page = site.get(answer.headers["location"])
    assert said in notice(page).lower()
    (button,) = forms(page_of(page), "/desk/undo", id="1", last="1")
    back = send(site, button)
    assert (back.status_code, back.headers["location"]) == (303, f"{OVEN}?done=2")
    assert notice(site.get(back.headers["location"])).startswith("Undone")
    assert site.related() == before
    assert [(entry.action, entry.undoes) for entry in site.written()] == [(action_of(kind), None), ("undo", 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_is_told_what_was_written(site: DeskSite, kind: str) -> None:
    fields, said, after = KINDS[kind]

    answer = site.decide(action_of(kind), **{"note": "  because  "} | fields)

    assert answer["said"] == [said]
    assert site.related() == after
    (entry,) = answer["decisions"]
    (written,) = site.written()
    named = {name: entry[name] for name in ("id", "action", "source", "target", "editor", "note", "edition", "key")}
    assert named == {name: getattr(written, name) for name in named}
    assert (written.editor, written.at, written.edition) == ("editor-name", site.clock(), site.edition)
    assert written.note == fields.get("note", "because")
    assert entry["at"] == site.clock().isoformat()
    assert (written.weight, written.position) == (
        float(fields["weight"]) if "weight" in fields else None,
        int(fields["position"]) if "position" in fields else None,
    )


def test_a_decision_keeps_what_its_essays_were_called_and_where_they_stood(site: DeskSite) -> None:
    site.decide("exclude", "oven", "blurb:quern")
    site.decide("exclude", None, "rye")

    one, two = site.written()
    assert (one.source_title, one.source_url) == ("Oven", "https://example.org/oven")
    assert (one.target_title, one.target_url) == ("How a quern was dressed.", None)
    assert (two.source_title, two.source_url, two.target_title) == (None, None, "Rye")


def test_everywhere_leaves_the_source_out(site: DeskSite) -> None:
    site.decide("exclude", "oven", "rye", everywhere="yes")
    assert [(entry.source, entry.target) for entry in site.written()] == [(None, "rye")]


def test_a_day_is_included(site: DeskSite) -> None:
    site.decide("exclude", "oven", "hour", until="2026-11-02")
    assert site.written()[0].expires == day(2026, 11, 3)

    site.clock.time = day(2026, 11, 3).replace(day=2, hour=23, minute=59)
    assert "hour" not in site.related()
    site.clock.time = day(2026, 11, 3)
    assert "hour" in site.related()


# --- Sent twice -----------------------------------------------------------------------------------------------------


def test_what_is_sent_twice_is_decided_once_and_answered_alike(site: DeskSite) -> None:
    one = site.decide("pin", "oven", "river", position=1, key="same")
    site.clock.advance(minutes=1)
    assert site.decide("pin", "oven", "river", position=1, key="same") == one
    again = site.post("/desk/decisions", action="pin", source="oven", target="river", position="1", key="same")

    assert again.headers["location"] == "/desk?done=1"
    assert len(site.written()) == 1


def test_another_decision_of_the_same_key_is_refused(site: DeskSite) -> None:
    site.decide("exclude", "oven", "rye", key="same")

    answer = site.post("/desk/decisions", PROGRAM, action="exclude", source="oven", target="salt", key="same")

    assert refused(answer, 422) == "the key same is another decision's: send a new one"
    assert len(site.written()) == 1


def test_undos_that_are_sent_twice_are_made_once_and_answered_alike(site: DeskSite) -> None:
    for target in ("salt", "hour"):
        site.decide("exclude", "oven", target)
    site.decide("stop", note="One")

    single = site.undo(1, key="single")
    assert site.undo(1, key="single") == single
    several = site.undo(2, last=3, key="several")
    assert [entry["undoes"] for entry in several["decisions"]] == [3, 2]
    assert site.undo(2, last=3, key="several") == several
    site.decide("stop", note="Two")
    first = site.post("/desk/resume", key="resume")
    assert first.headers["location"] == "/desk?done=8"
    assert site.post("/desk/resume", key="resume").headers["location"] == "/desk?done=8"
    assert len(site.written()) == 8


# --- Refused --------------------------------------------------------------------------------------------------------

PAIR = {"source": "oven", "target": "rye"}
REFUSED: dict[str, tuple[dict[str, str], int, str]] = {
    "no kind": ({"action": ""}, 422, "there is no decision ''"),
    "an unknown kind": ({"action": "love", **PAIR}, 422, "there is no decision 'love': one of approve, boost, bury"),
    "an undo": ({"action": "undo", **PAIR}, 422, "there is no decision 'undo'"),
    "a follow": ({"action": "follow", **PAIR}, 422, "there is no decision 'follow'"),
    "an unknown page": ({"action": "review", "source": "nowhere"}, 404, "no essay 'nowhere' in edition"),
    "a blurb's page": ({"action": "review", "source": "blurb:quern"}, 404, "no essay 'blurb:quern' in edition"),
    "an unknown target": ({"action": "approve", "source": "oven", "target": "x"}, 422, "no essay or blurb 'x'"),
    "no target": ({"action": "approve", "source": "oven"}, 422, "to approve needs a target"),
    "no source": ({"action": "approve", "target": "rye"}, 422, "to approve needs a source"),
    "a pin everywhere": (
        {"action": "pin", "everywhere": "yes", "position": "1", **PAIR},
        422,
        "to pin needs a source",
    ),
    "itself": ({"action": "exclude", "source": "oven", "target": "oven"}, 422, "never in its own list"),
    "no position": ({"action": "pin", **PAIR}, 422, "to pin needs a position"),
    "position 0": ({"action": "pin", "position": "0", **PAIR}, 422, "position 0 is not from 1 to 50"),
    "position 51": ({"action": "pin", "position": "51", **PAIR}, 422, "position 51 is not from 1 to 50"),
    "position -1": ({"action": "pin", "position": "-1", **PAIR}, 422, "position '-1' is no whole number"),
    "position 1.5": ({"action": "pin", "position": "1.5", **PAIR}, 422, "position '1.5' is no whole number"),
    "position ²": ({"action": "pin", "position": "²", **PAIR}, 422, "position '²' is no whole number"),
    "a huge position": ({"action": "pin", "position": "9" * 30, **PAIR}, 422, "is no whole number"),
    "weight 0": ({"action": "boost", "weight": "0", **PAIR}, 422, "weight 0 is not above 0 and at most 10"),
    "weight nan": ({"action": "boost", "weight": "nan", **PAIR}, 422, "weight nan is not above 0"),
    "weight inf": ({"action": "bury", "weight": "inf", **PAIR}, 422, "weight inf is not above 0"),
    "weight much": ({"action": "bury", "weight": "much", **PAIR}, 422, "weight 'much' is no number"),
    "a weight too many": ({"action": "pin", "position": "1", "weight": "1", **PAIR}, 422, "to pin takes no weight"),
    "no state": ({"action": "state", "source": "oven"}, 422, "to state needs a state"),
    "an unknown state": ({"action": "state", "source": "oven", "state": "off"}, 422, "there is no state 'off'"),
    "no day": ({"action": "approve", "until": "tomorrow", **PAIR}, 422, "'tomorrow' is no day: write it as 2026-11-01"),
    "the 30th of February": ({"action": "approve", "until": "2027-02-30", **PAIR}, 422, "'2027-02-30' is no day"),
    "the last of all days": ({"action": "approve", "until": "9999-12-31", **PAIR}, 422, "'9999-12-31' is no day"),
    "yesterday": ({"action": "approve", "until": "2026-10-31", **PAIR}, 422, "it would have expired before it began"),
    "a long note": ({"action": "approve", "note": "n" * 2001, **PAIR}, 422, "the note has 2,001 characters"),
    "a note with NUL": ({"action": "approve", "note": "a\0b", **PAIR}, 422, "characters that no text has"),
    "a long key": ({"action": "approve", "key": "k" * 65, **PAIR}, 422, "a key of more than 64 characters is none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_with_a_sentence_and_not_written(site: DeskSite, case: str) -> None:
    fields, status, sentence = REFUSED[case]

    page = site.post("/desk/decisions", BROWSER, **fields)
    told = site.post("/desk/decisions", PROGRAM, **fields)

    assert page.headers["content-type"].startswith("text/html")
    assert sentence in refused(page, status)
    assert told.headers["content-type"] == "application/problem+json"
    assert sentence in refused(told, status)
    assert site.written() == []


def test_a_note_may_be_as_long_as_is_said_and_in_any_script(site: DeskSite) -> None:
    note = ("Zu weit weg – 太远 🍞\n=1+1" * 200)[:2000]
    site.decide("approve", "oven", "rye", note=note)
    assert site.written()[0].note == note.strip()


@pytest.mark.parametrize("path", ["/desk/decisions", "/desk/undo", "/desk/resume", "/desk/bulk"])
def test_another_body_than_a_form_is_refused(site: DeskSite, path: str) -> None:
    answer = site.client.post(path, json={"action": "stop"}, headers=PROGRAM)
    assert refused(answer, 422) == "send the fields as a form: application/x-www-form-urlencoded"
    assert site.written() == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": ""}, "there is no decision 0 to undo"),
        ({"id": "9"}, "there is no decision 9 to undo"),
        ({"id": "x"}, "id 'x' is no whole number"),
        ({"id": "1", "last": "x"}, "last 'x' is no whole number"),
        ({"id": "9" * 19}, "is no whole number"),
    ],
)
def test_an_undo_of_nothing_is_refused(site: DeskSite, fields: dict[str, str], sentence: str) -> None:
    assert sentence in refused(site.post("/desk/undo", PROGRAM, **fields), 422)
    assert site.written() == []


def test_what_is_undone_already_is_not_undone_again(site: DeskSite) -> None:
    site.decide("exclude", "oven", "hour")
    site.undo(1)
    assert refused(site.post("/desk/undo", id=1), 422).endswith("decision 1 is undone already Back to the worklist")
    assert len(site.written()) == 2


@pytest.mark.parametrize(
    "path", ["/desk/decisions", "/desk/undo", "/desk/resume", "/desk/bulk", "/desk/decisions/import"]
)
def test_a_viewer_writes_nothing(site: DeskSite, path: str) -> None:
    site.decide("exclude", "oven", "hour")
    fields = {"action": "stop", "id": "1", "least": "0"}

    sentence = refused(site.post(path, PROGRAM, role="viewer", **fields), 403)

    assert sentence.endswith("and viewer-name is viewer")
    assert len(site.written()) == 1
    page = page_of(site.get(OVEN, role="viewer"))
    assert [form.action for form in page.forms if form.method == "POST"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {},
    ],
    ids=["cross-site", "same-site", "origin", "nothing"],
)
def test_what_another_site_sends_is_refused(site: DeskSite, headers: dict[str, str]) -> None:
    client = site.client_of("editor")
    client.headers.pop("Authorization")
    client.post("/desk/login", data={"token": "editor token"}, headers=OWN)
    fields = {"action": "stop"}

    assert client.post("/desk/decisions", data=fields, headers=headers).status_code == 403
    assert site.written() == []
    assert client.post("/desk/decisions", data=fields, headers=OWN).status_code == 303
    assert len(site.written()) == 1


# --- The way back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "onwards", ["https://evil.example/", "//evil.example", "/v1/articles", "/desk/../x", "\\\\evil", "javascript:1", ""]
)
def test_the_way_back_leads_nowhere_else(site: DeskSite, onwards: str) -> None:
    answer = site.post("/desk/decisions", action="review", source="oven", next=onwards)
    assert answer.headers["location"] == "/desk?done=1"


def test_the_way_back_keeps_what_was_asked_and_tells_of_the_last_decision_only(site: DeskSite) -> None:
    site.decide("review", "rye")
    answer = site.post("/desk/decisions", action="review", source="oven", next="/desk?q=a+b&done=1&show=all")
    assert answer.headers["location"] == "/desk?q=a+b&show=all&done=2"


@pytest.mark.parametrize("ident", [*ODD_IDS, *DOTTED])
def test_any_id_has_its_page_and_a_decision_leads_back_to_it(site: DeskSite, ident: str) -> None:
    page = page_of(site.get(page_address(ident)))
    assert page.xpath("//article/@data-page") == [ident]

    (button,) = forms(page, "/desk/decisions", action="exclude", target="rye", source=ident)
    answer = send(site, button)

    back = page_of(site.get(answer.headers["location"]))
    assert back.xpath("//article/@data-page") == [ident]
    assert "Excluded here" in notice(site.get(answer.headers["location"]))
    assert [(entry.source, entry.target) for entry in site.written()] == [(ident, "rye")]


@pytest.mark.parametrize("done", ["0", "7", "-1", "²", "x", "1-²", "1-x", "9" * 20, "1-" + "9" * 12, "2-1"])
def test_a_notice_of_nothing_is_none(site: DeskSite, done: str) -> None:
    site.decide("review", "oven")
    assert ("Reviewed" in notice(site.get(f"/desk?done={done}"))) == (done == "1-" + "9" * 12)


# --- Undo -----------------------------------------------------------------------------------------------------------


def test_an_undo_is_undone(site: DeskSite) -> None:
    site.decide("exclude", "oven", "hour")
    without = site.related()
    site.undo(1)
    assert site.related() == STANDARD
    site.undo(2)
    assert site.related() == without
    site.undo(3)
    assert site.related() == STANDARD


def test_an_undo_brings_back_what_was_decided_before(site: DeskSite) -> None:
    site.decide("pin", "oven", "river", position=1)
    site.decide("pin", "oven", "river", position=3)
    assert site.related() == ["salt", "hour", "river"]

    answer = site.undo(2)

    assert site.related() == ["river", "salt", "hour"]
    assert answer["consequences"] == [
        "no longer in force: pinned at 3 by editor-name on 2026-11-01",
        "in force again: pinned at 1 by editor-name on 2026-11-01",
    ]


def test_a_range_is_taken_back_in_one_go_but_for_what_is_taken_back_already(site: DeskSite) -> None:
    site.decide("exclude", "oven", "hour")
    for target in ("salt", "loaf", "rye"):
        site.decide("exclude", "oven", target)
    site.undo(3)

    answer = site.post("/desk/undo", id="2", last="4", next=OVEN)

    assert answer.headers["location"] == f"{OVEN}?done=6-7"
    assert notice(site.get(answer.headers["location"])).startswith("2 decisions made.")
    assert [entry.undoes for entry in site.written()[4:]] == [3, 4, 2]
    assert site.related() == ["salt", "loaf", "rye"]


def test_a_range_in_which_something_was_undone_leaves_what_stood_before_it(site: DeskSite) -> None:
    site.decide("review", "rye")
    site.decide("exclude", "oven", "hour")
    site.undo(2)

    site.undo(2, last=3)

    assert site.related() == STANDARD
    assert [d.id for d in site.answers().standing.everything()] == [1]


def test_a_range_beyond_the_log_ends_with_it(site: DeskSite) -> None:
    site.decide("exclude", "oven", "hour")
    answer = site.undo(1, last=10**12)
    assert [entry["undoes"] for entry in answer["decisions"]] == [1]


def test_a_thousand_undos_of_undos_do_no_harm(site: DeskSite) -> None:
    first = Decision(action="exclude", editor="a", at=site.clock(), key="0", source="oven", target="hour")
    chain = [Decision(action="undo", editor="a", at=site.clock(), key=str(n), undoes=n) for n in range(1, 1502)]
    site.log.append([first, *chain])

    assert site.related() == STANDARD, "an odd number of undos"
    site.undo(1502)
    assert "hour" not in site.related()


# --- The kill switch ------------------------------------------------------------------------------------------------


def test_after_two_stops_the_site_is_resumed_at_once(site: DeskSite) -> None:
    site.decide("state", "oven", state="model")
    site.decide("stop", note="One")
    site.decide("stop", note="Two")
    assert site.related() == STANDARD
    page = site.get(OVEN)
    assert "Two" in text_of(page_of(page))

    (button,) = forms(page_of(page), "/desk/resume")
    answer = send(site, button, note="All is well")

    assert answer.headers["location"] == f"{OVEN}?done=4-5"
    assert site.related() == ["rye", "salt", "sundial"]
    assert [(entry.undoes, entry.note) for entry in site.written()[3:]] == [(2, "All is well"), (3, "All is well")]
    assert forms(page_of(site.get(OVEN)), "/desk/resume") == []


def test_what_goes_on_is_resumed_without_a_decision(site: DeskSite) -> None:
    assert site.post("/desk/resume", next=OVEN).headers["location"] == OVEN
    assert site.written() == []


# --- Consequences ---------------------------------------------------------------------------------------------------


def consequences_of(site: DeskSite, answer: dict[str, Any]) -> list[str]:
    """What a program was told, which a browser's notice tells too."""
    (entry,) = answer["decisions"]
    told = notice(site.get(f"/desk?done={entry['id']}"))
    for sentence in answer["consequences"]:
        assert f"{sentence}." in told
    return list(answer["consequences"])


def test_what_a_decision_does_to_others_is_told(site: DeskSite) -> None:
    pin = site.decide("pin", "oven", "rye", position=1, note="Best of all")
    assert consequences_of(site, pin) == []
    exclusion = site.decide("exclude", None, "rye")
    assert consequences_of(site, exclusion) == [
        "pinned at 1 by editor-name on 2026-11-01: “Best of all” on Oven: that has no effect while this exclusion holds"
    ]
    stop = site.decide("stop")
    assert consequences_of(site, stop) == [
        "pages show what editors have listed and pinned, and nothing of the model, until this is undone"
    ]
    site.clock.advance(days=1)
    assert consequences_of(site, pin) == [], "what was told then is told again"


# --- Hostile texts --------------------------------------------------------------------------------------------------


def test_hostile_texts_are_shown_as_texts(site: DeskSite) -> None:
    site.decide("pin", "oven", "hostile", position=1, note="<img src=x onerror=alert(1)>")
    site.decide("stop", note="</section><script>alert(2)</script>")

    paths = [OVEN, "/desk/articles/hostile?q=%3Cscript%3Ealert(3)", "/desk", "/desk?done=1", "/desk/decisions"]
    paths += ["/desk/map?id=hostile", "/desk/bulk?least=0", "/desk/editions", "/desk/learned"]
    for path in paths:
        answer = site.get(path, role="admin")
        tree = page_of(answer)
        assert [script for script in tree.xpath("//script") if script.text] == [], path
        assert tree.xpath("//img | //*[@onerror] | //b | //a[starts-with(@href, 'javascript')]") == [], path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert HOSTILE.split()[0] in notice(site.get("/desk?done=1"))
    assert HOSTILE in json.loads(site.get("/desk/search?q=title").text)["found"][0]["title"]


# --- What is told afterwards --------------------------------------------------------------------------------------


def test_what_is_pinned_below_the_end_of_the_list_is_told_to_be_unseen(site: DeskSite) -> None:
    answer = site.post("/desk/decisions", action="pin", source="oven", target="river", position="9", next="/desk")

    told = notice(site.get(answer.headers["location"]))

    assert "readers do not see it now, at rank" in told
    assert "below the list's end at 3" in told


def test_what_was_decided_by_somebody_else_or_long_ago_is_not_offered_to_be_undone(site: DeskSite) -> None:
    first = site.post("/desk/decisions", action="review", source="oven", next="/desk").headers["location"]
    assert "Reviewed" in notice(site.get(first))

    assert not page_of(site.get(first, role="admin")).xpath("//*[@class='done']")
    site.clock.advance(minutes=16)
    assert not page_of(site.get(first)).xpath("//*[@class='done']")


def test_reviewed_is_told_on_the_next_page_and_undone_from_there(site: DeskSite) -> None:
    answer = site.post("/desk/decisions", action="review", source="oven", next="/desk/next?after=oven")
    onwards = site.client_of("editor").get(answer.headers["location"], headers=BROWSER).headers["location"]

    told = site.get(onwards)

    assert onwards.endswith("done=1")
    assert "/desk/articles/oven" not in onwards
    assert notice(told).startswith("Reviewed")
    site.undo(1)
    assert site.answers().standing.everything() == []
