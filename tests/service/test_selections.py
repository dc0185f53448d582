"""Filtered lists from ready answers: byte for byte those that rank() makes, whatever the texts, and never a wrong one
when a file is damaged."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from recommender.decisions import NOTHING, STATES, PageDecisions
from recommender.edition import LISTS, Edition
from recommender.list_store import EssayLists, write_store
from recommender.ranking import Candidate, Item, Rules
from recommender.standing import Log, Standing
from service.answers import Answers
from service.asking import PLAIN, Asked
from service.ready import FOLDER, ReadyAnswers, prepare
from service.replies import Replies, Reply
from service.schemas import RelatedQuery
from tests.recommender.test_list_store import IDS, JULY, JUNE, MAY, Site, sites
from tests.recommender.test_ranking_decisions import decisions_about
from tests.service.editions import NOON

PAGE, EMPTY = IDS[0], "empty"
ODD_TEXTS = (
    "",
    '"quoted" and \\back\\slashed\\',
    ',"score":',
    ',"score":0.5,"position":7',
    ',"origin":',
    '"items":[',
    '","items":[{"',
    '"recommendation_id":"',
    ',"score":\\',
    "line\u2028and\u2029line\n",
    "麦/麵包 🥖",
    "a,b",
    "\x00",
)
texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(codec="utf-8"), max_size=12)


def answers_of(home: Path, items: Sequence[Item], lists: Sequence[EssayLists], site: Rules, *shares: str) -> Answers:
    """What an edition of these answers."""
    folder = home / "editions" / "20250101T000000Z-0"
    folder.mkdir(parents=True)
    write_store(folder / LISTS, items, lists)
    return Answers(Edition(folder, {"built_at": NOON.isoformat()}), site, shares)


def roads(home: Path, answers: Answers) -> tuple[Replies, Replies]:
    """Replies from ready answers, and replies that are computed."""
    prepare(home, answers)
    ready = ReadyAnswers.open(home, answers)
    assert ready is not None
    return Replies(answers, ready), Replies(answers)


def said(reply: Reply) -> Reply:
    """A reply but for where it came from."""
    return reply._replace(cache="")


def asked(**query: Any) -> Asked:
    return Asked.of(RelatedQuery(**query))


# --- Any site, any filters ----------------------------------------------------------------------------------------


@st.composite
def odd_sites(draw: st.DrawFn) -> Site:
    """A site whose texts are odd, and a page without any list. Of its rules only those of a site's settings are set."""
    items, lists, _ = draw(sites() | sites(filters=False))
    ids = {ident: ident if ident == PAGE else f"{ident}{draw(texts)}" for ident in IDS}
    category = {"Sea": draw(texts) + "s", "Land": draw(texts) + "l", None: None}
    items = [
        item._replace(
            id=ids[item.id],
            title=draw(texts),
            standfirst=draw(st.none() | texts),
            category=category[item.category],
        )
        for item in items
    ]
    kept = draw(st.booleans())  # of what is lifted rank() decides, so there is less of it
    groups = [
        tuple(
            entry._replace(id=ids[entry.id], place=entry.place if kept or entry.place == "held" else "")
            for entry in group
        )
        for group in (lists.curated, lists.candidates, lists.unlinked)
    ]
    compositions = st.sampled_from([{}] * 9 + [{"diversity": 0.5}, {"per_category": 1}, {"at_least": 3}])
    site = Rules(min_score=draw(st.sampled_from([None, None, 0.25, 0.5])), **draw(compositions))
    return [*items, Item(EMPTY, "essay")], EssayLists(PAGE, lists.list_length, *groups), site


@st.composite
def queries(draw: st.DrawFn, items: Sequence[Item]) -> Asked:
    """Any filters: values that occur in the items, and others."""
    days = draw(st.tuples(*[st.sampled_from([None, None, None, date.min, MAY, JUNE, JULY, date.max])] * 2))
    after, before = sorted(days, key=lambda day: day or date.min) if all(days) else days
    categories = sorted({"Sky", *(item.category for item in items if item.category)})
    return asked(
        limit=draw(st.none() | st.integers(1, 30)),
        category=draw(st.none() | st.sampled_from(categories)),
        published_after=after,
        published_before=before,
        min_score=draw(st.none() | st.sampled_from([-1, 0, 0.166667, 0.5, 0.500001, 1, 2])),
        exclude=draw(st.lists(st.sampled_from([item.id for item in items]) | texts, max_size=4)),
    )


SHARES = st.sampled_from([(), (), (), ("curated:100",), ("model:100",), ("curated:1",)])


@given(st.data(), odd_sites(), SHARES)
def test_a_filtered_reply_from_ready_answers_is_the_computed_one(
    data: st.DataObject, drawn: Site, shares: tuple[str, ...]
) -> None:
    items, lists, site = drawn
    with TemporaryDirectory() as folder:
        answers = answers_of(Path(folder), items, (lists, EssayLists(EMPTY, 3, (), (), ())), site, *shares)
        ready, computed = roads(Path(folder), answers)
        for query in [PLAIN, *data.draw(st.lists(queries(items), min_size=12, max_size=12), label="queries")]:
            for gzipped in (False, True):
                for page in (PAGE, EMPTY):
                    found = ready.json(page, query, gzipped=gzipped)
                    assert said(found) == said(computed.json(page, query, gzipped=gzipped))
                event(f"filtered, {found.cache}: {not query.is_plain}")


@dataclass(frozen=True)
class Fixed:
    """In the place of a Standing: the decisions of one page."""

    page: PageDecisions
    is_empty = False
    log = Log()

    def of(self, ident: str) -> PageDecisions:
        return self.page if ident == PAGE else NOTHING


@settings(max_examples=30)
@given(st.data(), odd_sites())
def test_a_filtered_reply_under_decisions_is_the_computed_one(data: st.DataObject, drawn: Site) -> None:
    """What is pinned is left to rank()."""
    items, lists, site = drawn
    ids = [item.id for item in items if item.id != EMPTY]
    decided = data.draw(decisions_about([*ids, "nobody"], data.draw(st.sampled_from([False, False, True]))))
    decided = replace(decided, state=data.draw(st.sampled_from([None, *STATES, "review"])), mark="m")
    with TemporaryDirectory() as folder:
        answers = answers_of(Path(folder), items, (lists, EssayLists(EMPTY, 3, (), (), ())), site)
        answers = answers.under(cast(Standing, Fixed(decided)))
        ready, computed = roads(Path(folder), answers)
        for query in [PLAIN, *data.draw(st.lists(queries(items), min_size=8, max_size=8), label="queries")]:
            found = ready.json(PAGE, query)
            assert said(found) == said(computed.json(PAGE, query))
            assert not decided.pins or query.is_plain or found.cache == "computed"
            event(f"filtered, {found.cache}: {not query.is_plain}")


# --- What is answered from ready answers, and what is not ----------------------------------------------------------

ITEMS = (
    Item(PAGE, "essay", "Page", twins="p"),
    *(
        Item(ident, "essay", f"On {ident}", "Said.", None, ("Sea", "Land")[number % 2], MAY)
        for number, ident in enumerate(IDS[1:13])
    ),
    Item("own twin", "essay", twins="p"),
    Item("first", "essay", category="Sea", twins="t"),
    Item("second", "essay", category="Land", twins="t"),
    Item("raised", "essay", category="Land"),
    Item(EMPTY, "essay"),
)


def lists_of(*candidates: Candidate, length: int = 3) -> tuple[EssayLists, ...]:
    return EssayLists(PAGE, length, (), candidates, ()), EssayLists(EMPTY, 0, (), (), ())


PLENTY = tuple(Candidate(ident, 0.9 - number / 100, 0.5) for number, ident in enumerate(IDS[1:13]))
TWINS = (Candidate("own twin", 0.95, 0.5), Candidate("first", 0.94, 0.5), Candidate("second", 0.93, 0.5))
RAISED = Candidate("raised", 0.1, 0.1, (), "lifted")


def shown(reply: Reply) -> list[str]:
    return [card["id"] for card in json.loads(reply.body)["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 2}, ["first", IDS[1]]),
        ({"exclude": ["first"]}, ["second", IDS[1], IDS[2]]),
        ({"category": "Land", "limit": 2}, ["second", IDS[2]]),
        ({"min_score": 0.94}, ["first"]),
        ({"published_after": MAY}, IDS[1:4]),
        ({"published_before": MAY}, IDS[1:4]),  # what has no date is out
        ({"category": "Sky"}, []),
        ({"limit": 50}, ["first", *IDS[1:13]]),
    ],
)
def test_filters_are_answered_from_the_whole_list(tmp_path: Path, query: dict[str, Any], expected: list[str]) -> None:
    ready, computed = roads(tmp_path, answers_of(tmp_path, ITEMS, lists_of(*TWINS, *PLENTY), Rules()))

    reply = ready.json(PAGE, asked(**query))

    assert (reply.cache, shown(reply)) == ("ready", expected)
    assert said(reply) == said(computed.json(PAGE, asked(**query)))


@pytest.mark.parametrize("query", [{"limit": 12}, {"category": "Sky"}, {"exclude": ["nobody"]}])
def test_filters_of_a_page_whose_list_is_empty_are_answered_from_it(tmp_path: Path, query: dict[str, Any]) -> None:
    ready, computed = roads(tmp_path, answers_of(tmp_path, ITEMS, lists_of(*PLENTY), Rules()))

    for gzipped in (False, True):
        reply = ready.json(EMPTY, asked(**query), gzipped=gzipped)
        assert (reply.cache, reply.empty, shown(reply)) == ("ready", True, [])
        assert said(reply) == said(computed.json(EMPTY, asked(**query), gzipped=gzipped))


@pytest.mark.parametrize(("asked_for", "expected"), [(None, IDS[1:5]), (0.8, IDS[1:12]), (0.85, IDS[1:7])])
def test_a_requests_own_least_score_goes_before_the_sites(
    tmp_path: Path, asked_for: float | None, expected: list[str]
) -> None:
    ready, computed = roads(tmp_path, answers_of(tmp_path, ITEMS, lists_of(*PLENTY), Rules(min_score=0.87)))

    reply = ready.json(PAGE, asked(limit=11, min_score=asked_for))

    assert shown(reply) == expected
    assert said(reply) == said(computed.json(PAGE, asked(limit=11, min_score=asked_for)))


@pytest.mark.parametrize("composition", [{"diversity": 0.5}, {"per_category": 1}, {"at_least": 3}])
def test_rules_of_composition_are_left_to_rank(tmp_path: Path, composition: dict[str, Any]) -> None:
    answers = answers_of(tmp_path, ITEMS, lists_of(*TWINS, *PLENTY), Rules(**composition))
    ready, computed = roads(tmp_path, answers)

    assert answers.whole(ITEMS[0]) is None
    for query in (asked(limit=5), asked(category="Sea", exclude=["first"]), asked(limit=2, min_score=0.94)):
        reply = ready.json(PAGE, query)
        assert reply.cache == "computed"
        assert said(reply) == said(computed.json(PAGE, query))
    assert ready.json(PAGE).cache == "ready", "without filters it is as ready as ever"


def test_what_may_be_lifted_into_a_full_list_is_left_to_rank(tmp_path: Path) -> None:
    answers = answers_of(tmp_path, ITEMS, lists_of(*PLENTY, RAISED), Rules())
    ready, computed = roads(tmp_path, answers)

    full, short = ready.json(PAGE, asked(limit=6)), ready.json(PAGE, asked(limit=6, category="Sky"))

    assert (full.cache, shown(full)) == ("computed", [*IDS[1:6], "raised"])
    assert (short.cache, shown(short)) == ("ready", [])
    assert said(full) == said(computed.json(PAGE, asked(limit=6)))


@pytest.mark.parametrize(
    ("share", "expected"), [("curated:100", ["second"]), ("model:100", ["first", IDS[1], IDS[2], IDS[3]])]
)
def test_a_variants_own_list_is_filtered(tmp_path: Path, share: str, expected: list[str]) -> None:
    page = EssayLists(PAGE, 3, (Candidate("second", 0.2, 0.2),), (*TWINS, *PLENTY), ())
    ready, computed = roads(tmp_path, answers_of(tmp_path, ITEMS, (page,), Rules(), share))

    reply = ready.json(PAGE, asked(limit=4))

    assert (reply.cache, shown(reply)) == ("ready", expected)
    assert said(reply) == said(computed.json(PAGE, asked(limit=4)))
    assert json.loads(reply.body)["variant"] == share.partition(":")[0]


def test_the_whole_list_keeps_near_duplicates_of_one_another_but_not_of_the_page(tmp_path: Path) -> None:
    edition = answers_of(tmp_path, ITEMS, lists_of(*TWINS, *PLENTY, RAISED), Rules()).edition

    whole = edition.whole_list(ITEMS[0], Rules())
    unbalanced = edition.whole_list(ITEMS[0], Rules(balanced=False))

    assert whole is not None
    assert [item.id for _, item in whole.places] == ["first", "second", *IDS[1:13], "raised"]
    assert (whole.limit, whole.lifts) == (3, True)
    assert unbalanced is not None
    assert not unbalanced.lifts


# --- Damage -------------------------------------------------------------------------------------------------------

FILTERS = [asked(**query) for query in ({"limit": 5}, {"category": "Sea"}, {"exclude": ["first"]}, {"min_score": 0.85})]


@pytest.mark.parametrize("form", ["whole", "heads"])
def test_wherever_a_byte_was_changed_no_wrong_filtered_answer_is_given(tmp_path: Path, form: str) -> None:
    answers = answers_of(tmp_path, ITEMS, lists_of(*TWINS, *PLENTY), Rules())
    ready, computed = roads(tmp_path, answers)
    right = {(page, query): said(computed.json(page, query)) for page in (PAGE, EMPTY) for query in FILTERS}
    assert {ready.json(*question).cache for question in right} == {"ready"}
    (path,) = (tmp_path / FOLDER).glob(f"*.{form}")
    content, lots, passed_over = path.read_bytes(), random.Random(4), 0  # noqa: S311

    for place in lots.sample(range(len(content)), min(400, len(content))):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << lots.randrange(8)]) + content[place + 1 :])
        damaged = Replies(answers, ReadyAnswers.open(tmp_path, answers))
        for question, reply in right.items():
            found = damaged.json(*question)
            assert said(found) == reply, (place, question[0])
            passed_over += found.cache == "computed"

    assert passed_over > 100


@pytest.mark.parametrize("form", ["whole", "heads"])
@pytest.mark.parametrize("damage", ["empty", "cut", "another's", "missing"])
def test_a_file_that_is_not_what_was_written_gives_no_wrong_filtered_answer(
    tmp_path: Path, form: str, damage: str
) -> None:
    answers = answers_of(tmp_path, ITEMS, lists_of(*TWINS, *PLENTY), Rules())
    _, computed = roads(tmp_path, answers)
    (path,) = (tmp_path / FOLDER).glob(f"*.{form}")
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": content[:100], "another's": b"mine" * 5_000}[damage])

    damaged = Replies(answers, ReadyAnswers.open(tmp_path, answers))

    for query in (PLAIN, *FILTERS):
        assert said(damaged.json(PAGE, query)) == said(computed.json(PAGE, query))
