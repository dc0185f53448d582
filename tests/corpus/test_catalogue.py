"""The site as a whole: what its lists name, and how well they were joined."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.catalogue import Catalogue, MatchReport, Unjoined, UnmatchedBlurb, build_catalogue
from corpus.essay import Blurb, Essay
from tests.fakes import essay

MAY, JUNE = date(2025, 5, 1), date(2025, 6, 1)
BELLS = "A bell that rings under water was heard farther than any horn, until engines drowned it."
BUOYS = "Buoys were once barrels with a flag on a stick, and they drifted away in every winter storm."


def listing(ident: str, *texts: str, **fields: object) -> Essay:
    """An essay whose list shows these texts."""
    blurbs = tuple(Blurb(ident, number, "Sea", text, MAY) for number, text in enumerate(texts, 1))
    return essay(ident, blurbs=blurbs, **fields)


def bells() -> Essay:
    return essay("bells", standfirst=BELLS, published=MAY)


def only(catalogue: Catalogue) -> UnmatchedBlurb:
    [item] = catalogue.unmatched
    return item


# --- Curated lists ------------------------------------------------------------------------------------------------


def test_a_list_names_essays_and_unmatched_blurbs_in_its_order() -> None:
    catalogue = build_catalogue([listing("page", BUOYS, BELLS), bells()])

    assert catalogue.curated == {"page": (only(catalogue).id, "bells")}


def test_the_blurbs_of_an_essay_know_their_targets() -> None:
    catalogue = build_catalogue([listing("page", BUOYS, BELLS), bells()])

    page = catalogue.essays[1]
    assert [blurb.target for blurb in page.blurbs] == [None, "bells"]


def test_references_come_after_blurbs_and_what_is_named_twice_stands_once() -> None:
    page = replace(listing("page", BELLS), related=("buoys", "bells", "gongs", "buoys"))

    catalogue = build_catalogue([page, bells(), essay("buoys")])

    assert catalogue.curated == {"page": ("bells", "buoys")}
    assert catalogue.unmatched == ()  # of an unknown id nothing is known that could be shown


def test_a_list_never_names_its_own_page() -> None:
    page = replace(listing("page", BUOYS, standfirst=BUOYS, published=MAY), related=("page",))

    assert build_catalogue([page, bells()]).curated == {}


def test_essays_stand_in_id_order() -> None:
    assert [member.id for member in build_catalogue([essay("b"), essay("c"), essay("a")]).essays] == ["a", "b", "c"]


# --- Unmatched blurbs ---------------------------------------------------------------------------------------------


def test_an_unmatched_blurb_is_an_item_with_all_that_is_known_of_it() -> None:
    blurb = Blurb("page", 1, "Sea", BUOYS, MAY, "https://example.org/buoys", "Barrels")

    item = only(build_catalogue([essay("page", blurbs=(blurb,))]))

    assert item == UnmatchedBlurb(item.id, BUOYS, "Sea", MAY, "https://example.org/buoys", "Barrels")
    assert item.id.startswith("blurb:")
    assert len(item.id) == len("blurb:") + 16


def test_one_blurb_in_two_lists_is_one_item() -> None:
    catalogue = build_catalogue([listing("page", BUOYS), listing("other", BUOYS.replace("every", "EVERY"))])

    assert catalogue.curated == {"page": (only(catalogue).id,), "other": (only(catalogue).id,)}
    assert catalogue.report.unmatched == 2


@pytest.mark.parametrize("other", [Blurb("other", 1, "Sea", BUOYS, JUNE), Blurb("other", 1, "Sea", BELLS, MAY)])
def test_blurbs_of_another_day_or_other_words_are_two_items(other: Blurb) -> None:
    catalogue = build_catalogue([listing("page", BUOYS), essay("other", blurbs=(other,))])

    assert len(catalogue.unmatched) == 2
    assert [item.id for item in catalogue.unmatched] == sorted(item.id for item in catalogue.unmatched)


def test_a_blurb_that_has_only_a_title_is_known_by_it() -> None:
    blurb = Blurb("page", 1, title="Barrels", url="/barrels")

    assert only(build_catalogue([essay("page", blurbs=(blurb,))])).text == "Barrels"


def test_a_blurb_that_says_nothing_is_counted_and_is_no_item() -> None:
    catalogue = build_catalogue([essay("page", blurbs=(Blurb("page", 1, "Sea", None, MAY, "/barrels"),))])

    assert (catalogue.unmatched, catalogue.curated) == ((), {})
    assert catalogue.report.unmatched == 1


def test_an_unmatched_blurb_merges_into_its_essay_on_the_day_that_comes() -> None:
    pages = [listing("page", BELLS), listing("other", BELLS)]

    before, after = build_catalogue(pages), build_catalogue([*pages, bells()])

    item = only(before).id
    assert before.curated == {"page": (item,), "other": (item,)}
    assert after.unmatched == ()
    assert after.curated == {"page": ("bells",), "other": ("bells",)}


def test_an_ambiguous_blurb_is_no_item_and_in_no_list() -> None:
    twins = [essay("a", standfirst=BELLS), essay("b", standfirst=BELLS)]

    catalogue = build_catalogue([listing("page", BELLS), *twins])

    assert (catalogue.unmatched, catalogue.curated) == ((), {})
    assert catalogue.report.ambiguous == 1


# --- Categories ---------------------------------------------------------------------------------------------------


def categorised(*categories: str | None, own: str | None = None) -> Essay:
    blurbs = tuple(Blurb("page", number, shown, f"Text {number}.") for number, shown in enumerate(categories, 1))
    return build_catalogue([essay("page", blurbs=blurbs, category=own)]).essays[0]


def test_an_essay_without_a_category_has_the_one_that_its_whole_list_shows() -> None:
    page = categorised("Sea", "Sea")

    assert (page.category, page.category_inferred) == ("Sea", True)


@pytest.mark.parametrize("shown", [(), ("Sea",), ("Sea", "Land"), ("Sea", None), (None, None)])
def test_a_category_is_not_inferred_from_one_blurb_or_from_blurbs_that_differ(shown: tuple[str | None, ...]) -> None:
    page = categorised(*shown)

    assert (page.category, page.category_inferred) == (None, False)


def shown_under(*categories: str | None, own_list: tuple[str, ...] = ()) -> Essay:
    """The essay "bells", shown by one page under each category, after its own list has shown others."""
    bells = essay(
        "bells", url="/bells", blurbs=tuple(Blurb("bells", n, c, f"Text {n}.") for n, c in enumerate(own_list))
    )
    pages = [
        essay(f"page{number}", blurbs=(Blurb(f"page{number}", 1, shown, "Fog.", url="/bells"),))
        for number, shown in enumerate(categories)
    ]
    return build_catalogue([bells, *pages]).essays[0]


@pytest.mark.parametrize(
    ("shown", "own_list", "category"),
    [
        (("Sea",), (), "Sea"),
        (("Sea", "Sea", None), (), "Sea"),
        (("Sea",), ("Land", "Land"), "Sea"),
        ((None,), ("Land", "Land"), "Land"),
        (("Sea", "Land"), (), None),
        (("Sea", "Land"), ("Land", "Land"), None),
    ],
)
def test_the_category_under_which_other_pages_show_an_essay_goes_before_that_of_its_own_list(
    shown: tuple[str | None, ...], own_list: tuple[str, ...], category: str | None
) -> None:
    bells = shown_under(*shown, own_list=own_list)

    assert (bells.category, bells.category_inferred) == (category, category is not None)


def test_a_category_that_the_page_states_is_kept() -> None:
    page = categorised("Sea", "Sea", own="Land")

    assert (page.category, page.category_inferred) == ("Land", False)


# --- The report ---------------------------------------------------------------------------------------------------


def test_the_report_counts_every_entry_and_how_it_was_joined() -> None:
    page = replace(listing("page", BELLS, BELLS.upper(), BUOYS, "One of two."), related=("bells", "gongs"))
    twins = [essay("a", standfirst="One of two."), essay("b", standfirst="One of two.")]

    report = build_catalogue([page, bells(), *twins]).report

    assert report == MatchReport(
        total=6,
        joined=3,
        ambiguous=1,
        unmatched=2,
        by_how={"ambiguous": 1, "exact": 1, "id": 1, "normalised": 1, "unmatched": 2},
        ambiguous_examples=("page #4: One of two. (could be a, b)",),
        unmatched_examples=(f"page #3: {BUOYS}", "page #6: gongs"),
    )
    assert report.join_rate == 0.5


def test_each_list_tells_what_of_it_was_not_joined() -> None:
    page = replace(listing("page", BELLS, BUOYS, "One of two."), related=("bells", "gongs"))
    twins = [essay("a", standfirst="One of two."), essay("b", standfirst="One of two.")]

    catalogue = build_catalogue([page, listing("other", "Two of two."), listing("joined", BELLS), bells(), *twins])

    assert catalogue.unjoined == {"page": Unjoined(ambiguous=1, unmatched=2), "other": Unjoined(0, 1)}


def test_without_lists_there_is_no_join_rate() -> None:
    assert build_catalogue([bells()]).report == MatchReport(0, 0, 0, 0, {}, (), ())
    assert build_catalogue([bells()]).report.join_rate is None


def test_a_report_names_at_most_five_examples() -> None:
    report = build_catalogue([listing("page", *(f"Nothing known, {number}." for number in range(9)))]).report

    assert report.unmatched == 9
    assert report.unmatched_examples == tuple(f"page #{n}: Nothing known, {n - 1}." for n in range(1, 6))


# --- Properties ---------------------------------------------------------------------------------------------------


texts = st.sampled_from([BELLS, BELLS.upper(), BUOYS, "One of two.", ""])


@st.composite
def sites(draw: st.DrawFn) -> list[Essay]:
    size = draw(st.integers(1, 6))
    ids = [f"e{number}" for number in range(size)]
    return [
        essay(
            ident,
            standfirst=draw(st.none() | texts),
            published=draw(st.sampled_from([None, MAY, JUNE])),
            blurbs=tuple(
                Blurb(ident, number, draw(st.sampled_from(["Sea", "Land", None])), draw(st.none() | texts), MAY)
                for number in range(1, draw(st.integers(0, 4)) + 1)
            ),
            related=tuple(draw(st.lists(st.sampled_from([*ids, "gongs"]), max_size=3))),
        )
        for ident in ids
    ]


@given(sites(), st.data())
def test_a_catalogue_is_the_same_in_whatever_order_and_from_wherever_the_pages_come(
    site: list[Essay], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(site))
    moved = [replace(member, source=f"elsewhere/{member.id}.html") for member in shuffled]

    one, other = build_catalogue(site), build_catalogue(moved)

    assert one.digest == other.digest
    assert (one.curated, one.unmatched, one.report) == (other.curated, other.unmatched, other.report)


@given(sites())
def test_every_entry_is_counted_and_lists_hold_known_items_only(site: list[Essay]) -> None:
    catalogue = build_catalogue(site)

    report = catalogue.report
    assert report.total == sum(len(member.blurbs) + len(member.related) for member in site)
    assert report.total == report.joined + report.ambiguous + report.unmatched == sum(report.by_how.values())
    assert report.ambiguous == sum(left.ambiguous for left in catalogue.unjoined.values())
    assert report.unmatched == sum(left.unmatched for left in catalogue.unjoined.values())
    known = {member.id for member in catalogue.essays} | {item.id for item in catalogue.unmatched}
    for ident, listed in catalogue.curated.items():
        assert ident not in listed
        assert set(listed) <= known
        assert len(set(listed)) == len(listed) > 0


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another"},
        {"standfirst": "Another."},
        {"published": JUNE},
        {"category": "Land"},
        {"url": "/elsewhere"},
        {"links": ("/a",)},
        {"related": ("bells",)},
        {"blurbs": (Blurb("page", 1, text=BUOYS),)},
        {"blocks": essay("page", "Other words.").blocks},
        {"id": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_tells_any_change_of_an_essay(change: dict[str, object]) -> None:
    before = essay("page")

    assert build_catalogue([before]).digest != build_catalogue([replace(before, **change)]).digest  # type: ignore[arg-type]


def test_the_digest_tells_one_essay_from_two() -> None:
    assert build_catalogue([essay("a")]).digest != build_catalogue([essay("a"), essay("b")]).digest
