"""What the desk shows of one page: its own list beside the model's, what is decided, and what readers see."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recommender.decision_log import DecisionLog
from recommender.decisions import NOTHING, Decision
from recommender.edition import EssayLists, open_current
from recommender.job import BuildOptions, build
from recommender.ranking import Rules, list_limit, rules_in
from service.desk.desk import Desk
from service.desk.page import PageView, Row, view_page
from service.desk.words import STATES, page_address, score_words
from service.editions import LiveEdition, utc_now
from service.settings import Settings
from tests.fakes import CountingEncoder
from tests.service.desk.site import ITEMS, PROGRAM, DeskSite, forms, listed, page_of, ranked, refused, section, text_of
from tests.service.editions import publish_edition

OVEN = "/desk/articles/oven"
EXAMPLES = Path(__file__).parents[3] / "examples"


def model_rules(settings: Settings, limit: int) -> Rules:
    """The site's rules for a page whose list is the model's."""
    return rules_in("model", replace(settings.rules(), limit=limit))


def view(site: DeskSite, ident: str = "oven") -> PageView:
    return view_page(site.desk, site.answers(), ident)


def fates(rows: tuple[Row, ...]) -> list[tuple[int | None, str, str]]:
    return [(row.position, row.item.id, row.fate) for row in rows]


def ids(rows: tuple[Row, ...]) -> list[str]:
    return [row.item.id for row in rows]


def test_what_is_kept_new_and_lost_is_told_beside_each_entry(site: DeskSite) -> None:
    found = view(site)

    assert fates(found.curated) == [(1, "salt", "kept"), (2, "hour", "lost"), (3, "loaf", "lost")]
    assert fates(found.suggestions) == [(1, "rye", "new"), (2, "salt", "kept"), (3, "sundial", "new")]
    assert fates(found.below) == [(4, "loaf", ""), (5, "mill", ""), (6, "river", "")]
    assert found.counts == {"kept": 1, "new": 2, "lost": 2}
    loaf = site.answers().edition.why_not("oven", "loaf", model_rules(site.settings, 3))
    assert [row.note for row in found.curated] == ["", "not among its 6 candidates", loaf]
    assert (found.limit, found.list_length, found.state) == (3, 3, "standard")
    assert site.related() == ["salt", "hour", "loaf"]
    assert [(row.words, row.score) for row in found.suggestions] == [
        ("very likely", 0.8),
        ("very likely", 0.7),
        ("very likely", 0.5),
    ]


def test_the_page_shows_what_the_view_holds(site: DeskSite) -> None:
    tree = page_of(site.get(OVEN))

    assert tree.xpath("//article/@data-page") == ["oven"]
    assert listed(tree, "curated") == ["salt", "hour", "loaf"]
    assert listed(tree, "suggestions") == ["rye", "salt", "sundial", "loaf", "mill", "river"]
    assert "1 kept, 2 new, 2 lost" in text_of(tree)
    assert STATES["standard"] in text_of(tree)
    assert "not among its 6 candidates" in text_of(section(tree, "curated"))
    assert "very likely (0.80)" in text_of(section(tree, "suggestions"))
    assert "Nothing has been decided about this page." in text_of(section(tree, "history"))
    (state,) = forms(tree, "/desk/decisions", action="state", source="oven")
    assert dict(state.form_values())["state"] == "standard"


@pytest.mark.parametrize("ident", ["rye", "salt", "loaf", "hour", "mill", "river", "%2F"])
def test_a_list_of_another_length_is_compared_in_full(site: DeskSite, ident: str) -> None:
    found, lists = view(site, ident), open_current(site.home).lists(ident)

    assert found.limit == list_limit(lists.list_length)
    assert len(found.suggestions) == min(found.limit, len(lists.candidates))
    shown, listed_here = set(ids(found.suggestions)), {candidate.id for candidate in lists.curated}
    assert found.counts == {
        "kept": len(shown & listed_here),
        "new": len(shown - listed_here),
        "lost": len(listed_here - shown),
    }


@pytest.mark.parametrize("state", STATES)
def test_suggestions_are_the_models_list_under_the_decisions_whatever_the_state(site: DeskSite, state: str) -> None:
    site.decide("state", "oven", state=state)
    site.decide("exclude", "oven", "rye")
    site.decide("pin", "oven", "river", position=2)
    site.decide("bury", "oven", "salt", weight=5)
    found, answers = view(site), site.answers()

    ranking = answers.edition.related("oven", model_rules(site.settings, 3), answers.standing.of("oven"))
    assert [(row.item.id, row.score, row.origin) for row in found.suggestions] == [
        (place.target, place.score, place.origin) for place in ranking.recommendations
    ]
    assert ids(found.suggestions) == ["sundial", "river", "loaf"]
    assert ids(found.below) == ["mill", "salt"]
    assert found.state == state
    assert STATES[state] in text_of(page_of(site.get(OVEN)))  # type: ignore[index]


def test_what_is_decided_stands_beside_its_item_the_latest_first(site: DeskSite) -> None:
    site.decide("approve", "oven", "rye")
    site.decide("boost", None, "rye", note="Fresh")
    site.decide("exclude", "mill", "rye")
    (row, *_) = view(site).suggestions

    assert [decision.id for decision in row.decisions] == [2, 1]
    tree = section(page_of(site.get(OVEN)), "suggestions")
    assert len(forms(tree.getroottree().getroot(), "/desk/undo", id="2")) >= 1
    assert "Boosted everywhere by editor-name on 1 November 2026: Fresh" in text_of(tree)


def test_what_is_excluded_is_listed_with_where_it_is(site: DeskSite) -> None:
    site.decide("exclude", "oven", "rye", until="2026-12-24", note="Not at Christmas")
    site.decide("exclude", None, "mill")
    site.decide("exclude", None, "oven")
    site.decide("exclude", "rye", "salt")

    found = {row.item.id: row.note for row in view(site).excluded}
    assert found == {"rye": "excluded here", "mill": "excluded everywhere"}
    tree = page_of(site.get(OVEN))
    assert sorted(listed(tree, "excluded")) == ["mill", "rye"]
    assert "until 24 December 2026: Not at Christmas" in text_of(section(tree, "excluded"))
    assert [row.note for row in view(site, "rye").excluded] == ["excluded everywhere", "excluded here"]


def test_why_not_is_said_of_any_essay_that_is_looked_for(site: DeskSite) -> None:
    site.decide("exclude", "oven", "mill")
    answers, rules = site.answers(), site.settings.rules()
    tree = page_of(site.get(f"{OVEN}?q=e"))
    sought = answers.edition.overview.search("e", 20)

    assert listed(tree, "whynot") == sought
    shown = text_of(section(tree, "whynot"))
    for ident in sought:
        assert answers.why_not("oven", ident, rules).lower() in shown.lower()
    found = site.client.get("/desk/search", params={"q": "e", "source": "oven"}).json()["found"]
    assert [(entry["id"], entry["note"]) for entry in found] == [
        (ident, answers.why_not("oven", ident, rules)) for ident in sought
    ]
    notes = {entry["id"]: entry["note"] for entry in found}
    assert (notes["oven"], notes["mill-2"]) == ("it is the essay itself", "not among its 6 candidates")
    assert "No essay has zzz in its title, URL or id." in text_of(page_of(site.get(f"{OVEN}?q=zzz")))


@pytest.mark.parametrize(
    ("sought", "found"),
    [("100% of", ["river"]), ("f_r", ["river"]), ("%", ["%2F", "river", "100% rye?#crust: a+b&c=d"])],
)
def test_search_takes_signs_as_they_are(site: DeskSite, sought: str, found: list[str]) -> None:
    answer = site.client.get("/desk/search", params={"q": sought}).json()["found"]
    assert [entry["id"] for entry in answer] == found
    assert [entry["address"] for entry in answer] == [page_address(ident) for ident in found]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("ident", ["oven", "river", "hostile"])
def test_the_preview_is_what_readers_are_sent(site: DeskSite, state: str, ident: str) -> None:
    site.decide("state", ident, state=state)
    sent = site.client.get(f"/v1/articles/{ident}/related.html").text

    page = site.get(f"/desk/articles/{ident}").text

    assert sent in page
    assert bool(sent) == ("Readers see no related articles on this page." not in page)


def test_near_duplicates_lead_to_their_pages(site: DeskSite) -> None:
    assert [twin.id for twin in view(site, "mill").twins] == ["mill-2"]
    assert section(page_of(site.get("/desk/articles/mill")), "twins").xpath(".//a/@href") == ["/desk/articles/mill-2"]
    assert view(site).twins == ()


def test_the_history_tells_what_holds_what_expired_and_what_was_undone(site: DeskSite) -> None:
    site.decide("exclude", "oven", "hour", until="2026-11-01")
    site.decide("approve", "oven", "rye")
    site.decide("state", "oven", state="model")
    site.decide("state", "oven", state="review")
    site.decide("exclude", None, "salt")
    site.decide("pin", "rye", "oven", position=1, note="From elsewhere")
    site.undo(2)
    site.clock.advance(days=1)

    found = view(site).history

    assert [(entry.decision.id, entry.said, entry.holds, entry.undone) for entry in found] == [
        (7, "undone", True, False),
        (6, "pinned at 1", True, False),
        (4, "state review", True, False),
        (3, "state model", False, False),
        (2, "approved", False, True),
        (1, "excluded here", False, False),
    ]
    told = text_of(section(page_of(site.get(OVEN)), "history"))
    assert "approved Rye (undone)" in told
    assert "excluded here Hour (no longer in force)" in told
    assert "From elsewhere" in told


def test_reviewed_is_said_until_it_is_taken_back(site: DeskSite) -> None:
    site.decide("review", "oven")
    assert "Reviewed by editor-name on 1 November 2026" in text_of(page_of(site.get(OVEN)))
    site.undo(1)
    assert view(site).reviewed is None


def test_what_was_decided_about_an_essay_that_is_gone_does_no_harm(site: DeskSite) -> None:
    publish_gone(site)

    found = view(site)

    assert ids(found.curated) == ["salt"]
    assert ids(found.excluded) == []
    assert ids(found.suggestions) == ["salt", "mill"]
    assert [entry.decision.target for entry in found.history] == ["hour", "rye", "sundial"]
    shown = text_of(section(page_of(site.get(OVEN)), "history"))
    assert "Rye" in shown
    assert "Sundial" in shown
    for path in ("/desk", "/desk/decisions", "/desk?done=1", "/desk/map", "/desk/bulk?least=0"):
        site.get(path)


def publish_gone(site: DeskSite) -> None:
    """Decide about three essays, and publish an edition without them."""
    site.decide("pin", "oven", "sundial", position=1)
    site.decide("approve", "oven", "rye")
    site.decide("exclude", "oven", "hour")
    site.decide("review", "sundial")
    publish_smaller(site)


def publish_smaller(site: DeskSite) -> None:
    """An edition of three essays."""
    lists = (
        EssayLists("oven", 3, ranked(("salt", 0.7)), ranked(("salt", 0.7), ("mill", 0.2)), ()),
        EssayLists("salt", 1, (), ranked(("oven", 0.6)), ()),
        EssayLists("mill", 1, (), ranked(("oven", 0.6)), ()),
    )
    items = tuple(item for item in ITEMS if item.id in ("oven", "salt", "mill"))
    site.edition = publish_edition(site.home, site.clock() + timedelta(minutes=1), lists, items)
    site.clock.advance(minutes=5)
    assert site.related("salt") == ["oven"]


def test_an_unknown_page_is_404_for_browsers_and_programs(site: DeskSite) -> None:
    client = site.client
    assert "no essay 'nowhere' in edition" in refused(client.get("/desk/articles/nowhere", headers=PROGRAM), 404)
    page = client.get("/desk/articles/nowhere", headers={"Accept": "text/html"})
    assert "no essay 'nowhere' in edition" in refused(page, 404)
    assert refused(client.get("/desk/article?id=blurb:quern", headers=PROGRAM), 404)
    assert refused(client.get("/desk/article", headers={"Accept": "text/html"}), 422)
    assert refused(client.get("/desk/search?q=e&source=nowhere", headers=PROGRAM), 404)
    assert "not compared with itself" in refused(client.get("/desk/why?source=oven&target=oven", headers=PROGRAM), 422)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        *((1.0, "very likely"), (0.5, "very likely"), (0.49, "likely"), (0.25, "likely"), (0.1, "possible")),
        *((0.03, "unlikely"), (0.029, "very unlikely"), (0.0, "very unlikely")),
    ],
)
def test_scores_have_words(score: float, words: str) -> None:
    assert score_words(score) == words


# --- A built edition ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the examples, built with the fake encoder."""
    home = tmp_path_factory.mktemp("examples") / "home"
    build([EXAMPLES / name for name in ("text", "html", "markdown")], home, CountingEncoder(), BuildOptions())
    return home


def test_every_page_of_the_examples_agrees_with_the_endpoint_and_the_overview(examples: Path) -> None:
    settings = Settings(home=examples)
    desk = Desk(settings, LiveEdition(settings, utc_now), utc_now)
    answers = desk.answers()
    rows = desk.site(answers.edition).rows
    assert len(rows) == 42
    for row in rows:
        found = view_page(desk, answers, row.id)
        ranking = answers.edition.related(row.id, model_rules(settings, found.limit), NOTHING)
        assert ids(found.suggestions) == [place.target for place in ranking.recommendations]
        assert set(ids(found.suggestions)).isdisjoint(ids(found.below))
        assert [r.position for r in (*found.suggestions, *found.below)] == list(
            range(1, len(found.suggestions) + len(found.below) + 1)
        )
        assert row.curated == len(found.curated)


def test_a_decision_about_what_is_gone_is_told_on_its_page(site: DeskSite) -> None:
    gone = Decision(
        action="pin",
        editor="anna",
        at=site.clock(),
        key="gone",
        source="oven",
        target="no-more",
        position=1,
        target_title="The hand mill",
    )
    DecisionLog(site.home).append([gone])

    page = page_of(site.get("/desk/articles/oven"))
    (told,) = page.xpath("//section[@aria-label='Decided about what is gone']")

    assert "Pinned at 1 by anna" in text_of(told)
    assert "The hand mill" in text_of(told)
    assert not page_of(site.get("/desk/articles/rye")).xpath("//section[@aria-label='Decided about what is gone']")
