"""The worklist: which pages want an eye, in which order, and what is left of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recommender.edition import EssayLists
from recommender.page_facts import WEIGHTS
from recommender.ranking import Item
from service.desk.words import page_address
from service.desk.worklist import REASONS, VANISHED_WORTH, Filters, Worklist, gather
from tests.service.desk.site import BROWSER, DOTTED, DeskSite, forms, page_of, ranked, refused, send, text_of
from tests.service.editions import ODD_IDS, publish_edition

WORTH = {
    "river": 2.5,  # few 1, weak 1, orphan 0.5
    "rye": 8 / 12 + 0.5,  # 4 suggestions for 12 places, hub
    "loaf": 1.0,  # one of two entries ambiguous, its one essay lost
    "hour": 1.0,  # its one entry unmatched
    "sundial": 1.0,  # nothing of its list was there before
    "hostile": 11 / 12,  # 1 suggestion for 12 places
    "mill": 0.75,  # orphan, near-duplicate
    "mill-2": 0.75,
    **dict.fromkeys((*ODD_IDS, *DOTTED), 0.5),  # orphans
    "oven": 0.5 * 2 / 3,  # two of three lost
    "salt": 0.0,
}
ORPHANS = ["mill", "mill-2", *ODD_IDS, *DOTTED]


def work(site: DeskSite, **asked: object) -> Worklist:
    answers = site.answers()
    return gather(site.desk.site(answers.edition), answers, replace(Filters(), **asked))  # type: ignore[arg-type]


def ids(work: Worklist) -> list[str]:
    return [row.page.id for row in work.rows]


def shown(site: DeskSite, query: str = "") -> list[str]:
    """The addresses of the pages that the worklist links to, in order."""
    return [str(address) for address in page_of(site.get(f"/desk{query}")).xpath("//main//li//h2/a/@href")]


def onwards(site: DeskSite, after: str = "") -> str:
    answer = site.client.get("/desk/next", params={"after": after}, headers=BROWSER)
    assert answer.status_code == 303
    return answer.headers["location"]


def test_pages_come_by_what_a_look_is_worth(site: DeskSite) -> None:
    found = work(site)

    assert {row.page.id: round(row.worth, 6) for row in found.rows} == {k: round(v, 6) for k, v in WORTH.items()}
    assert ids(found) == list(WORTH)
    assert shown(site) == [page_address(ident) for ident in WORTH]


def test_a_page_says_why_it_wants_an_eye(site: DeskSite) -> None:
    why = {row.page.id: [reason.name for reason in row.reasons] for row in work(site).rows}

    named = {ident: why[ident] for ident in WORTH if ident not in (*ODD_IDS, *DOTTED)}
    assert named == {
        "river": ["few", "weak", "orphan"],
        "rye": ["few", "hub"],
        "loaf": ["ambiguous", "lost"],
        "hour": ["unmatched"],
        "sundial": ["changed"],
        "hostile": ["few"],
        "mill": ["orphan", "twins"],
        "mill-2": ["orphan", "twins"],
        "oven": ["lost"],
        "salt": [],
    }
    (river,) = [
        job for job in page_of(site.get("/desk")).xpath("//main//li[.//h2]") if "100% of_rivers" in text_of(job)
    ]
    for words in ("few suggestions", "weak suggestions", "orphan", "0 kept, 0 new, 0 lost", "standard"):
        assert words in text_of(river)


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("few", ["river", "rye", "hostile"]),
        ("weak", ["river"]),
        ("changed", ["sundial"]),
        ("ambiguous", ["loaf"]),
        ("unmatched", ["hour"]),
        ("lost", ["loaf", "oven"]),
        ("hub", ["rye"]),
        ("orphan", ["river", *ORPHANS]),
        ("twins", ["mill", "mill-2"]),
        ("vanished", []),
        ("nonsense", []),
    ],
)
def test_each_reason_is_a_filter_and_counted(site: DeskSite, reason: str, found: list[str]) -> None:
    assert ids(work(site, reason=reason)) == found
    assert shown(site, f"?reason={reason}") == [page_address(ident) for ident in found]
    assert work(site).by_reason.get(reason, 0) == len(found)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"category": "Time"}, ["hour", "sundial"]),
        ({"category": "Time", "reason": "changed"}, ["sundial"]),
        ({"q": "OVEN"}, ["oven"]),
        ({"q": "example.org/rye"}, ["rye"]),
        ({"q": "a_b"}, ["river"]),
        ({"q": "0% of_"}, ["river"]),
        ({"q": "%"}, ["river", "100% rye?#crust: a+b&c=d", "%2F"]),
        ({"q": "_"}, ["river"]),
        ({"q": "zzz"}, []),
        ({"q": "mill", "category": "Craft"}, ["mill", "mill-2"]),
        ({"category": "nothing"}, []),
    ],
)
def test_other_filters_leave_what_they_say_in_the_same_order(
    site: DeskSite, asked: dict[str, str], found: list[str]
) -> None:
    assert ids(work(site, **asked)) == found
    assert work(site, **asked).found == len(found)
    answer = site.client.get("/desk", params=asked, headers=BROWSER)
    assert page_of(answer).xpath("//main//li//h2/a/@href") == [page_address(ident) for ident in found]


def test_states_are_a_filter_and_counted(site: DeskSite) -> None:
    site.decide("state", "oven", state="model")
    site.decide("state", "rye", state="review")

    assert ids(work(site, state="model")) == ["oven"]
    assert ids(work(site, state="review")) == ["rye"]
    assert "oven" not in ids(work(site, state="standard"))
    assert work(site).by_state == {"standard": 19, "model": 1, "review": 1}
    site.decide("stop")
    assert work(site).by_state == {"standard": 19, "model": 1, "review": 1}, "what was chosen comes back later"


def test_what_was_reviewed_is_counted_and_leaves_the_list(site: DeskSite) -> None:
    for ident in ("river", "loaf"):
        site.decide("review", ident)
    found = work(site)

    assert (found.total, found.reviewed, found.found, found.by_reason["few"]) == (21, 2, 19, 2)
    assert ids(found)[:2] == ["rye", "hour"]
    assert work(site, show="all").by_reason["few"] == work(site, category="Time").by_reason["few"] == 2
    assert ids(work(site, show="reviewed")) == ["river", "loaf"]
    assert ids(work(site, show="all")) == list(WORTH)
    tree = page_of(site.get("/desk?show=reviewed"))
    assert "2 of 21 reviewed" in text_of(tree)
    assert tree.xpath("//progress/@value") == ["2"]
    assert "reviewed by editor-name on 1 November 2026" in text_of(tree)
    site.undo(1)
    assert ids(work(site))[0] == "river"


def test_next_goes_on_from_the_page_just_seen_and_over_what_is_reviewed(site: DeskSite) -> None:
    assert onwards(site) == "/desk/articles/river"
    seen = [""]
    for _ in range(4):
        seen.append(onwards(site, seen[-1].rpartition("/")[2]))
    assert seen[1:] == [f"/desk/articles/{ident}" for ident in ("river", "rye", "loaf", "hour")]

    site.decide("review", "rye")
    assert onwards(site, "river") == "/desk/articles/loaf"
    assert onwards(site, "rye") == "/desk/articles/loaf"
    assert onwards(site, "salt") == "/desk/articles/river", "after the last comes the first"
    assert onwards(site, "nowhere") == "/desk/articles/river"
    assert onwards(site, "./x") == "/desk/articles/oven"
    assert onwards(site, "..") == page_address("a//b")


def test_when_only_the_page_just_seen_is_open_the_worklist_is_next(site: DeskSite) -> None:
    for ident in WORTH:
        if ident != "salt":
            site.decide("review", ident)

    assert onwards(site, "salt") == "/desk"
    assert onwards(site, "oven") == "/desk/articles/salt"
    site.decide("review", "salt")
    assert onwards(site) == "/desk"
    assert "21 of 21 reviewed" in text_of(page_of(site.get("/desk")))


def test_reviewed_leads_to_the_next_page(site: DeskSite) -> None:
    (form,) = forms(page_of(site.get("/desk/articles/river")), "/desk/decisions", action="review", source="river")
    answer = send(site, form)
    there = site.client.get(answer.headers["location"], headers=BROWSER)
    assert there.headers["location"].startswith("/desk/articles/rye")
    assert [entry.action for entry in site.written()] == ["review"]


def test_a_decision_about_an_essay_that_is_gone_comes_first(site: DeskSite) -> None:
    assert sum(WEIGHTS.values()) < VANISHED_WORTH
    site.decide("pin", "salt", "oven", position=1)
    site.decide("review", "oven")
    site.decide("exclude", None, "oven")
    gone = tuple(
        replace(entry, **{name: tuple(c for c in getattr(entry, name) if c.id != "oven") for name in _GROUPS})
        for entry in site.lists
        if entry.id != "oven"
    )
    publish_edition(site.home, site.clock(), gone, [item for item in site.items if item.id != "oven"])
    site.clock.advance(minutes=5)
    site.related("salt")

    found = work(site)

    assert [decision.id for decision in found.vanished] == [1, 2, 3]
    first = found.rows[0]
    assert (first.page.id, first.reasons[0].name) == ("salt", "vanished")
    assert ids(work(site, reason="vanished")) == ["salt"]
    tree = page_of(site.get("/desk"))
    assert "3 decisions about what is gone" in text_of(tree)
    assert "Pinned at 1 by editor-name on 1 November 2026: Oven on Salt" in text_of(tree)
    (form,) = forms(tree, "/desk/undo", id="1")
    send(site, form)
    assert [decision.id for decision in work(site).vanished] == [2, 3]


_GROUPS = ("curated", "candidates", "unlinked")


# --- Many pages -----------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Iterator[DeskSite]:
    """A desk over 120 pages that are worth the same."""
    site = DeskSite(tmp_path / "home")
    names = [f"page-{number:03}" for number in range(120)]
    lists = [EssayLists(name, 1, (), ranked((names[number - 1], 0.5)), ()) for number, name in enumerate(names)]
    publish_edition(site.home, site.clock() + timedelta(minutes=1), lists, [Item(name, "essay") for name in names])
    site.clock.advance(minutes=5)
    yield site
    site.log.close()


def test_fifty_pages_are_shown_at_once(many: DeskSite) -> None:
    def numbers(page: int) -> list[int]:
        return [int(address[-3:]) for address in shown(many, f"?page={page}&show=all")]

    assert [numbers(page) for page in (1, 2, 3, 4)] == [
        list(range(50)),
        list(range(50, 100)),
        list(range(100, 120)),
        [],
    ]
    assert numbers(0) == numbers(-3) == numbers(1)
    tree = page_of(many.get("/desk?page=2&show=all"))
    assert "120 pages" in text_of(tree)
    assert "2 of 3" in text_of(tree)
    leads = {text_of(link): link.get("href") for link in tree.xpath("//nav//a") if text_of(link) in ("Back", "On")}
    assert {words: [page_of(many.get(link)) is not None, link] for words, link in leads.items()} == {
        "Back": [True, "/desk?q=&category=&state=&reason=&show=all&page=1"],
        "On": [True, "/desk?q=&category=&state=&reason=&show=all&page=3"],
    }


def test_a_page_that_is_no_number_is_refused(many: DeskSite) -> None:
    assert "page" in refused(many.client.get("/desk?page=two", headers=BROWSER), 422)


def test_every_reason_has_words_and_a_sentence() -> None:
    assert len({reason.name for reason in REASONS}) == len({reason.words for reason in REASONS}) == len(REASONS)
    assert all(reason.sentence.endswith(".") for reason in REASONS)
