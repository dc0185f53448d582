"""A blurb -> the essay it stands for: each way of matching, and each reason not to."""

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.essay import Blurb, Essay
from corpus.matching import Match, Matcher, normalise
from tests.fakes import essay

MAY, JUNE = date(2025, 5, 1), date(2025, 6, 1)
BELLS = "A bell that rings under water was heard farther than any horn, until engines drowned it."
LONG = (
    "Buoys were once barrels with a flag on a stick, and they drifted away in every winter storm, until a smith of the "
    "town forged a chain that was heavier than the barrel."
)


def match(blurb: Blurb, *essays: Essay, shown: Sequence[str] = ()) -> Match:
    return Matcher(essays, shown).match(blurb)


def joined(how: str, blurb: Blurb, target: str = "bells") -> Match:
    return Match(blurb, how, target)  # type: ignore[arg-type]


# --- Each way of matching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/sea/bells/",
        "http://www.example.org/sea/bells",
        "https://EXAMPLE.org/sea/bells/index.html",
        "https://example.org/sea/bells#top",
        "/sea/bells/",
        "/sea/bells",
    ],
)
def test_an_address_joins_however_it_is_spelled(url: str) -> None:
    blurb = Blurb("page", 1, url=url)

    assert match(blurb, essay("bells", url="https://example.org/sea/bells/")) == joined("url", blurb)
    assert match(blurb, essay("bells", url="/sea/bells")) == joined("url", blurb)


@pytest.mark.parametrize("url", ["https://example.org/sea/bells?page=2", "https://example.org/sea", "/bells", "bells"])
def test_another_address_does_not_join(url: str) -> None:
    blurb = Blurb("page", 1, url=url)

    assert match(blurb, essay("b", url="https://example.org/sea/bells/")) == Match(blurb, "unmatched")


@pytest.mark.parametrize("url", ["http://[x", "https://[::1", "https://a\u2100b/", "//", "/", "https://", ""])
def test_an_address_that_is_none_joins_nothing_and_breaks_nothing(url: str) -> None:
    blurb = Blurb("page", 1, url=url)

    assert match(blurb, essay("a", url=url), essay("b", url="https://example.org/b")).how == "unmatched"
    assert Matcher([essay("a")]).match_reference(url, "page", 1).how == "unmatched"


def test_an_address_on_another_host_does_not_join_by_its_path_title_or_last_part() -> None:
    site = (essay("bells", title="Bells"), essay("home", url="https://example.org/home"))
    for url in ("https://elsewhere.org/home", "https://elsewhere.org/bells"):
        blurb = Blurb("page", 1, title="Bells", url=url)

        assert match(blurb, *site) == Match(blurb, "unmatched")


def test_a_standfirst_of_another_date_does_not_hide_one_of_the_right_date() -> None:
    blurb = Blurb("page", 1, text=BELLS, published=JUNE)
    site = (essay("a", standfirst=BELLS, published=MAY), essay("b", standfirst=BELLS.upper(), published=JUNE))

    assert match(blurb, *site) == joined("normalised", blurb, target="b")


def test_an_address_goes_before_everything_that_the_blurb_says() -> None:
    blurb = Blurb("page", 1, text=LONG, published=JUNE, url="/bells", title="Barrels")
    essays = (essay("bells", url="/bells", published=MAY), essay("b", standfirst=LONG, published=JUNE, title="Barrels"))

    assert match(blurb, *essays) == joined("url", blurb)


def test_a_standfirst_joins_to_the_letter() -> None:
    blurb = Blurb("page", 1, text=BELLS, published=MAY)

    assert match(blurb, essay("a"), essay("bells", standfirst=BELLS, published=MAY)) == joined("exact", blurb)


def test_a_standfirst_to_the_letter_goes_before_one_that_only_reads_the_same() -> None:
    blurb = Blurb("page", 1, text=BELLS)

    assert match(blurb, essay("a", standfirst=BELLS.upper()), essay("bells", standfirst=BELLS)) == joined(
        "exact", blurb
    )


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("A Bell — rings", "a bell - rings"),
        ("The keeper’s “watch”", 'The keeper\'s "watch"'),
        ("The keeper´s watch", "the keeper`s watch"),
        ("Twelve  inches,\u00a012″", 'Twelve inches, 12"'),
        ("It went on…", "It went on..."),
        ("multi‑stake\u00adholder", "multi-stakeholder"),
        ("Straße und Żur", "STRASSE UND Z\u0307UR"),
        ("ﬁnally", "finally"),
    ],
)
def test_a_standfirst_joins_whatever_typesetting_did_to_it(shown: str, written: str) -> None:
    blurb = Blurb("page", 1, text=shown)

    assert match(blurb, essay("bells", standfirst=written)) == joined("normalised", blurb)


def test_a_title_joins_when_nothing_is_known_of_the_standfirst() -> None:
    blurb = Blurb("page", 1, title="BELLS under Water", text="Read on")

    assert match(blurb, essay("bells", title="Bells under water", standfirst=BELLS)) == joined("title", blurb)


def test_the_last_part_of_an_address_is_the_id_of_an_essay_without_one() -> None:
    blurb = Blurb("page", 1, url="https://example.org/sea/bells/?from=list")

    assert match(blurb, essay("bells")) == joined("slug", blurb)
    assert match(blurb, essay("bells", url="/elsewhere")) == Match(blurb, "unmatched")


@pytest.mark.parametrize(
    "retouched",
    [
        LONG.replace("heavier than", "much heavier than"),
        LONG.replace("winter storm", "storm of the winter"),
        LONG.replace("of the town", ""),
    ],
)
def test_a_long_standfirst_of_the_same_day_joins_closely(retouched: str) -> None:
    blurb = Blurb("page", 1, text=retouched, published=MAY)

    assert match(blurb, essay("a"), essay("bells", standfirst=LONG, published=MAY)) == joined("close", blurb)


@pytest.mark.parametrize(
    "shown", [BELLS.replace("farther", "fartner"), BELLS.replace("engines", "enggines"), BELLS[:-1]]
)
def test_a_short_standfirst_joins_closely_but_for_a_misprint_or_a_stop(shown: str) -> None:
    blurb = Blurb("page", 1, text=shown, published=MAY)

    assert match(blurb, essay("bells", standfirst=BELLS, published=MAY)) == joined("close", blurb)


@pytest.mark.parametrize("other", [("horn", "bell"), ("engines", "engine"), ("under water", "under oil")])
def test_a_short_standfirst_with_another_word_is_another_essay(other: tuple[str, str]) -> None:
    blurb = Blurb("page", 1, text=BELLS.replace(*other), published=MAY)

    assert match(blurb, essay("bells", standfirst=BELLS, published=MAY)) == Match(blurb, "unmatched")


@pytest.mark.parametrize("end", ["…", "...", " …"])
def test_a_standfirst_cut_short_by_an_ellipsis_joins_closely(end: str) -> None:
    blurb = Blurb("page", 1, text="A bell that rings under water" + end, published=MAY)

    assert match(blurb, essay("bells", standfirst=BELLS, published=MAY)) == joined("close", blurb)


# --- Dates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blurb",
    [
        Blurb("page", 1, text=LONG, published=JUNE),
        Blurb("page", 1, text=LONG.upper(), published=JUNE),
        Blurb("page", 1, text=LONG.replace("heavier", "much heavier"), published=JUNE),
        Blurb("page", 1, title="Barrels", published=JUNE),
        Blurb("page", 1, url="/sea/barrels", published=JUNE),
    ],
    ids=["exact", "normalised", "close", "title", "slug"],
)
def test_two_dates_that_differ_never_join(blurb: Blurb) -> None:
    barrels = essay("barrels", title="Barrels", standfirst=LONG, published=MAY)

    assert not match(blurb, barrels).joined


@pytest.mark.parametrize(("shown", "published"), [(None, MAY), (MAY, None), (None, None), (MAY, MAY)])
def test_a_date_that_is_not_known_contradicts_nothing(shown: date | None, published: date | None) -> None:
    blurb = Blurb("page", 1, text=BELLS, published=shown)

    assert match(blurb, essay("bells", standfirst=BELLS, published=published)) == joined("exact", blurb)


def test_nothing_is_joined_closely_without_a_date() -> None:
    near = LONG.replace("heavier", "much heavier")

    assert match(Blurb("page", 1, text=near), essay("a", standfirst=LONG, published=MAY)).how == "unmatched"
    assert match(Blurb("page", 1, text=near, published=MAY), essay("a", standfirst=LONG)).how == "unmatched"


def test_of_essays_with_one_standfirst_the_one_of_the_same_day_is_meant() -> None:
    blurb = Blurb("page", 1, text=BELLS, published=MAY)
    essays = (
        essay("another", standfirst=BELLS, published=JUNE),
        essay("bells", standfirst=BELLS, published=MAY),
        essay("undated", standfirst=BELLS),
    )

    assert match(blurb, *essays) == joined("exact", blurb)


# --- Doubt --------------------------------------------------------------------------------------------------------


def test_two_essays_that_fit_alike_are_ambiguous_and_both_named() -> None:
    blurb = Blurb("page", 1, text=BELLS)

    assert match(blurb, essay("a", standfirst=BELLS), essay("b", standfirst=BELLS)) == Match(
        blurb, "ambiguous", candidates=("a", "b")
    )


def test_the_page_itself_is_set_aside() -> None:
    blurb = Blurb("page", 1, text=BELLS)
    page = essay("page", standfirst=BELLS)

    assert match(blurb, page, essay("bells", standfirst=BELLS)) == joined("exact", blurb)
    assert not match(blurb, page).joined
    near = Blurb("page", 1, text=LONG.replace("heavier", "much heavier"), published=MAY)
    assert not match(near, essay("page", standfirst=LONG, published=MAY)).joined


def test_two_close_standfirsts_of_one_day_are_ambiguous() -> None:
    blurb = Blurb("page", 1, text=LONG.replace("every winter", "each winter"), published=MAY)
    essays = (
        essay("a", standfirst=LONG.replace("smith", "baker"), published=MAY),
        essay("b", standfirst=LONG.replace("smith", "mason"), published=MAY),
    )

    found = match(blurb, *essays)

    assert (found.how, found.target, sorted(found.candidates)) == ("ambiguous", None, ["a", "b"])


def test_an_essay_that_another_blurb_shows_in_its_very_words_is_not_what_a_similar_one_means() -> None:
    blurb = Blurb("page", 1, text=LONG.replace("heavier", "much heavier"), published=MAY)
    barrels = essay("barrels", standfirst=LONG, published=MAY)

    assert match(blurb, barrels).target == "barrels"
    assert match(blurb, barrels, shown=[LONG, blurb.text or ""]) == Match(blurb, "unmatched")


@pytest.mark.parametrize("blurb", [Blurb("page", 1), Blurb("page", 1, text=""), Blurb("page", 1, category="Sea")])
def test_a_blurb_that_says_nothing_is_unmatched(blurb: Blurb) -> None:
    assert match(blurb, essay("a", title="", standfirst=""), essay("b")) == Match(blurb, "unmatched")


# --- References ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "how"),
    [("bells", "id"), ("/sea/bells", "url"), ("https://example.org/sea/bells", "url"), ("BELLS under water", "title")],
)
def test_a_reference_names_an_essay_by_id_address_or_title(reference: str, how: str) -> None:
    matcher = Matcher([essay("bells", url="https://example.org/sea/bells", title="Bells under water")])

    assert matcher.match_reference(reference, "page", 3) == joined(how, Blurb("page", 3, url=reference))


def test_a_reference_to_nothing_known_is_unmatched_and_still_named() -> None:
    assert Matcher([essay("bells")]).match_reference("gongs", "page", 3) == Match(
        Blurb("page", 3, url="gongs"), "unmatched"
    )


# --- Properties ---------------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("aE\u00ad\u0301\u0345´`’“…‑—ßİﬁ \u00a0\n"))
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


titles = st.sampled_from(["Bells", "BELLS", "Barrels"])
standfirsts = st.sampled_from(
    [BELLS, BELLS.upper(), BELLS[:-1], LONG, LONG.replace("heavier", "much heavier"), LONG.replace("smith", "baker")]
)
days = st.sampled_from([MAY, JUNE])
urls = st.sampled_from(["/sea/bells", "https://example.org/sea/bells/", "https://example.org/e1"])


@st.composite
def sites(draw: st.DrawFn) -> tuple[list[Essay], list[Essay]]:
    """The essays of a small site, in two orders."""
    size = draw(st.integers(1, 6))
    site = [
        essay(
            f"e{number}",
            title=draw(st.none() | titles),
            standfirst=draw(st.none() | standfirsts),
            published=draw(st.none() | days),
            url=draw(st.none() | urls),
        )
        for number in range(size)
    ]
    return site, draw(st.permutations(site))


@given(
    sites(),
    st.builds(
        Blurb,
        source=st.sampled_from(["e0", "page"]),
        position=st.just(1),
        text=st.none() | standfirsts,
        published=st.none() | days,
        url=st.none() | urls,
        title=st.none() | titles,
    ),
)
def test_a_match_is_the_same_in_whatever_order_the_essays_come(
    orders: tuple[list[Essay], list[Essay]], blurb: Blurb
) -> None:
    site, shuffled = orders

    one, other = match(blurb, *site), match(blurb, *shuffled)

    assert (one.how, one.target) == (other.how, other.target)
    assert one.target != blurb.source
    if one.joined and one.how != "url" and blurb.published:
        [target] = [member for member in site if member.id == one.target]
        assert target.published in (None, blurb.published)
