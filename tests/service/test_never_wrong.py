"""No page of the demo, whatever the limit, sends a reader where no reader should be. The checks themselves stand in
benchmarks/never_wrong.py, which asks the same of any edition; here it is also seen that they find what is wrong."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.never_wrong import Judge, Lists, Verdict, judge_service
from recommender.edition import Edition, open_current
from recommender.job import BuildOptions, build
from recommender.ranking import MAX_LIMIT
from service.answers import Answers
from service.asking import Asked
from service.export import INDEX, write_static
from service.ready import FOLDER, answers_of, prepare
from service.schemas import RelatedQuery
from service.settings import Settings
from tests.fakes import CountingEncoder

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGES = 42
REPRINT, ORIGINAL = "baking-day-village-oven", "village-oven"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an edition of examples/, by the fake encoder: what is near in meaning is left to chance."""
    home = tmp_path_factory.mktemp("demo")
    build([EXAMPLES], home, CountingEncoder(window=256), BuildOptions())
    return home


@pytest.fixture(scope="module")
def edition(home: Path) -> Edition:
    return open_current(home)


def counts(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.pages, verdict.lists, verdict.empty


# --- The demo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{}, {"per_category": 2}, {"variants": ("model:100",)}],
    ids=["plain", "per category", "model alone"],
)
@pytest.mark.parametrize("ready", [False, True], ids=["computed", "ready"])
def test_no_page_with_any_limit_is_wrong(home: Path, edition: Edition, settings: dict[str, Any], ready: bool) -> None:
    shutil.rmtree(home / FOLDER, ignore_errors=True)
    if ready:
        prepare(home, answers_of(Settings(home=home, **settings), edition))
    verdict = judge_service(home, strict=True, settings=Settings(home=home, **settings))

    assert verdict.faults == {}
    assert counts(verdict) == (PAGES, PAGES * MAX_LIMIT, 0)
    assert verdict.cards > PAGES * MAX_LIMIT


def test_no_page_is_wrong_where_lists_are_diverse(home: Path) -> None:
    limits = (1, 4, 5, 6, 12, 49, 50)  # it takes ten times as long
    verdict = judge_service(home, strict=True, settings=Settings(home=home, diversity=0.4), limits=limits)

    assert verdict.faults == {}
    assert counts(verdict) == (PAGES, PAGES * len(limits), 0)


def test_no_page_is_wrong_where_only_the_editors_lists_are_shown(home: Path) -> None:
    verdict = judge_service(home, strict=True, settings=Settings(home=home, variants=("curated:100",)))

    assert verdict.faults == {}
    assert counts(verdict) == (PAGES, PAGES * MAX_LIMIT, MAX_LIMIT), "one page of the demo has no list"


def test_no_ready_answer_is_wrong(home: Path, edition: Edition) -> None:
    settings = Settings(home=home)
    prepare(home, answers_of(settings, edition))
    judge = Judge(edition, strict=True)
    answers = answers_of(settings, edition)
    for page in edition.essay_ids():
        cards = json.loads(answers.respond(edition.find(page)).model_dump_json())["items"]
        judge.judge(page, {len(cards): cards})

    assert judge.verdict.faults == {}


@pytest.mark.parametrize("k", [None, 1, 12, MAX_LIMIT])
@pytest.mark.parametrize("settings", [{}, {"min_score": 0.05, "per_category": 3}], ids=["plain", "ruled"])
def test_no_static_file_is_wrong(
    home: Path, edition: Edition, tmp_path: Path, settings: dict[str, Any], k: int | None
) -> None:
    write_static(Answers(edition, Settings(home=home, **settings).rules()), k, tmp_path / "static")
    files = json.loads((tmp_path / "static" / INDEX).read_text(encoding="utf-8"))
    judge = Judge(edition, strict=True)
    for page, name in files.items():
        cards = json.loads((tmp_path / "static" / name).read_text(encoding="utf-8"))["items"]
        judge.judge(page, {max(len(cards), 1): cards})
        assert k is None or len(cards) <= k

    assert judge.verdict.faults == {}
    assert judge.verdict.pages == PAGES


def test_the_demo_has_what_could_go_wrong(edition: Edition) -> None:
    """A reprint, blurbs without a page, candidates for every page: else the tests above would show nothing."""
    assert edition.items[REPRINT].twins == edition.items[ORIGINAL].twins is not None
    assert any(item.kind == "blurb" for item in edition.items.stream())
    assert all(edition.lists(page).candidates for page in edition.essay_ids())
    offered = {
        c.id for page in edition.essay_ids() for c in (*edition.lists(page).curated, *edition.lists(page).unlinked)
    }
    assert any(edition.items[ident].kind == "blurb" for ident in offered)


def test_a_withdrawn_page_is_in_no_list_of_the_next_edition(tmp_path: Path) -> None:
    from tests.recommender.test_job import write_site

    home, encoder = tmp_path / "home", CountingEncoder()
    build([write_site(tmp_path / "site")], home, encoder, BuildOptions())
    build([write_site(tmp_path / "site", skip=(4,))], home, encoder, BuildOptions())

    verdict = judge_service(home)

    assert verdict.faults == {}
    assert verdict.pages == 11


# --- What is wrong is found ---------------------------------------------------------------------------------------


def lists_of(edition: Edition, page: str) -> dict[int, list[dict[str, Any]]]:
    """A page's lists as they are served, for a test to spoil."""
    answers = Answers(edition, Settings().rules())
    found = {}
    for limit in (3, 4, 5):
        response = answers.respond(edition.find(page), Asked.of(RelatedQuery(limit=limit)))
        found[limit] = json.loads(response.model_dump_json())["items"]
    return found


def card_of(edition: Edition, ident: str, position: int) -> dict[str, Any]:
    item = edition.items[ident]
    return {"id": ident, "url": item.url, "position": position}


def blurb(edition: Edition) -> str:
    return next(item.id for item in edition.items.stream() if item.kind == "blurb")


def put(edition: Edition, lists: dict[int, list[dict[str, Any]]], ident: str) -> None:
    """Put an item in the last place of each list but the longest, and the next to last of that."""
    for cards in lists.values():
        place = min(len(cards), 4) - 1
        cards[place] = card_of(edition, ident, place + 1)


Spoil = Callable[[Edition, dict[int, list[dict[str, Any]]]], object]
SPOILS: dict[str, Spoil] = {
    "self": lambda edition, lists: put(edition, lists, "rye-bread"),
    "twice": lambda edition, lists: put(edition, lists, lists[5][0]["id"]),
    "withdrawn": lambda edition, lists: lists[3].__setitem__(2, {"id": "gone", "url": None, "position": 3}),
    "link": lambda edition, lists: lists[3][0].update(url="https://example.org/elsewhere"),
    "positions": lambda edition, lists: lists[4][1].update(position=3),
    "length": lambda edition, lists: lists[4].pop(),
    "beginning": lambda edition, lists: lists[4].insert(0, lists[4].pop(1)),
}


@pytest.mark.parametrize("kind", SPOILS)
def test_what_is_wrong_is_found(edition: Edition, kind: str) -> None:
    right, lists = lists_of(edition, "rye-bread"), lists_of(edition, "rye-bread")
    SPOILS[kind](edition, lists)

    assert verdict_of(edition, right).faults == {}
    assert kind in verdict_of(edition, lists).faults


def verdict_of(edition: Edition, lists: Lists, page: str = "rye-bread") -> Verdict:
    judge = Judge(edition, strict=True)
    judge.judge(page, lists)
    return judge.verdict


def test_more_than_were_asked_for_is_found(edition: Edition) -> None:
    lists = lists_of(edition, "rye-bread")

    assert "length" in verdict_of(edition, {3: lists[4], 4: lists[4]}).faults


def test_a_blurb_without_a_page_is_found(edition: Edition) -> None:
    lists = lists_of(edition, "rye-bread")
    put(edition, lists, blurb(edition))

    assert "withdrawn" in verdict_of(edition, lists).faults


@pytest.mark.parametrize("page", [ORIGINAL, "rye-bread"])
def test_a_reprint_is_found_beside_its_page_and_beside_its_original(edition: Edition, page: str) -> None:
    cards = [card_of(edition, ident, number) for number, ident in enumerate(sorted({REPRINT, ORIGINAL} - {page}), 1)]

    faults = verdict_of(edition, {len(cards): cards}, page).faults

    assert {"near-duplicates", "nearly one text"} == set(faults)


def test_a_reprint_is_found_by_its_text_alone(edition: Edition) -> None:
    judge = Judge(edition, strict=True)
    judge._items = {ident: item._replace(twins=None) for ident, item in judge._items.items()}
    judge.judge(ORIGINAL, {1: [card_of(edition, REPRINT, 1)]})
    assert set(judge.verdict.faults) == {"nearly one text"}

    lenient = Judge(edition)
    lenient._items = judge._items
    lenient.judge(ORIGINAL, {1: [card_of(edition, REPRINT, 1)]})
    assert (lenient.verdict.faults, lenient.verdict.near_texts) == ({}, 1)
    lenient._bodies[REPRINT] = lenient._bodies[ORIGINAL]
    lenient.judge(ORIGINAL, {1: [card_of(edition, REPRINT, 1)]})
    assert set(lenient.verdict.faults) == {"equal texts"}


def test_the_service_is_what_is_judged(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it begins to name the page itself, that is found."""
    respond = Answers.respond

    def spoiled(self: Answers, essay: Any, asked: Asked) -> Any:
        response = respond(self, essay, asked)
        first = response.items[0].model_copy(update={"id": essay.id, "url": essay.url})
        return response.model_copy(update={"items": [first, *response.items[1:]]})

    shutil.rmtree(home / FOLDER, ignore_errors=True)
    monkeypatch.setattr(Answers, "respond", spoiled)
    verdict = judge_service(home, settings=replace(Settings(), home=home))

    assert len(verdict.faults["self"]) == PAGES * MAX_LIMIT
