"""What holds of every list that rank() makes, by properties, and a brute-force twin of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import event, given
from hypothesis import strategies as st

from recommender.ranking import (
    LIFTING_LIMIT,
    Candidate,
    Item,
    Origin,
    Profile,
    Ranking,
    Recommendation,
    Rules,
    rank,
    relevances,
    similarity,
)
from tests.recommender.rankings import ONES, ZEROS, candidate, targets

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
LIFTED = "no other list would show it"


Case = tuple[Item, list[Candidate], list[Candidate], dict[str, Item], Rules]
SKETCHES = (0, ONES, ZEROS, 0xFF << 200, 0xF0F0 << 100, (1 << 128) - 1)


@st.composite
def candidates_of(draw: st.DrawFn, ident: str) -> Candidate:
    scores = st.integers(0, 4).map(lambda quarter: quarter / 4)
    return candidate(ident, draw(scores), draw(st.sampled_from(["", "", "held", "lifted"])), draw(scores))


@st.composite
def cases(draw: st.DrawFn, filters: bool = True) -> Case:
    """A page among fourteen items, some of them blurbs, near-duplicates, dated or categorised; any rules.

    Without filters most candidates get through, and most lists are full.
    """
    ids = [f"i{number:02}" for number in range(14)]
    groups = [None, None, None, "g", "h"] if filters else [None] * 8 + ["g"]
    items = {
        ident: Item(
            ident,
            draw(st.sampled_from(["essay", "essay", "essay", "blurb"])),
            category=draw(st.sampled_from(["Sea", "Land", None])),
            published=draw(st.sampled_from([MAY, JUNE, JULY, None])),
            twins=draw(st.sampled_from(groups)),
            sketch=draw(st.sampled_from(SKETCHES)),
        )
        for ident in ids
    }
    chosen = draw(st.lists(st.sampled_from(ids), unique=True, min_size=0 if filters else 12))
    candidates = [draw(candidates_of(ident)) for ident in chosen]
    curated = [
        draw(candidates_of(ident)) for ident in draw(st.lists(st.sampled_from(ids), max_size=5 if filters else 2))
    ]
    rules = draw(any_rules(ids) if filters else compositions())
    return items[draw(st.sampled_from(ids))], candidates, curated, items, rules


def compositions() -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        limit=st.integers(4, 6),
        unlinked=st.just(True),
        diversity=st.sampled_from([0.0, 0.3]),
        per_category=st.sampled_from([None, None, 3]),
        balanced=st.sampled_from([True, True, True, False]),
    )


def any_rules(ids: list[str]) -> st.SearchStrategy[Rules]:
    dates, days = st.sampled_from([None, None, None, JUNE]), st.sampled_from([None, None, None, 0, 40])
    return st.builds(
        Rules,
        limit=st.integers(1, 14),
        curated_first=st.booleans(),
        unlinked=st.booleans(),
        category=st.sampled_from([None, None, None, "Sea"]),
        published_after=dates,
        published_before=dates,
        exclude=st.frozensets(st.sampled_from(ids), max_size=2),
        min_score=st.sampled_from([None, None, 0.25]),
        profile=st.sampled_from(["editors", "meaning"]),
        diversity=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
        per_category=st.sampled_from([None, 1, 3]),
        at_least=st.sampled_from([0, 0, 1, 4]),
        newer_by_days=days,
        older_by_days=days,
        balanced=st.booleans(),
    )


def is_lifted(place: Recommendation) -> bool:
    return LIFTED in place.reasons


@given(cases() | cases(filters=False))
def test_a_list_never_embarrasses(case: Case) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    shown = targets(ranking)
    groups = [items[ident].twins for ident in shown if items[ident].twins]
    assert page.id not in shown
    assert len(set(shown)) == len(shown) <= rules.limit
    assert len(set(groups)) == len(groups)
    assert page.twins is None or page.twins not in groups
    assert [r.position for r in ranking.recommendations] == list(range(1, len(shown) + 1))
    assert all(r.source == page.id and r.reasons for r in ranking.recommendations)
    assert len(shown) == 0 or rules.at_least <= len(shown) or rules.limit == len(shown)


@given(cases())
def test_every_item_shown_passes_the_filters(case: Case) -> None:
    page, _, _, items, rules = case

    for place in rank(*case).recommendations:
        item = items[place.target]
        assert rules.unlinked or item.kind == "essay"
        assert item.id not in rules.exclude
        assert rules.category in (None, item.category)
        assert not rules.published_after or (item.published and item.published >= rules.published_after)
        assert not rules.published_before or (item.published and item.published <= rules.published_before)
        assert rules.min_score is None or place.score >= rules.min_score
        if rules.newer_by_days is not None:
            assert item.published
            assert page.published
            assert item.published <= page.published + timedelta(days=rules.newer_by_days)
        if rules.older_by_days is not None:
            assert item.published
            assert page.published
            assert item.published >= page.published - timedelta(days=rules.older_by_days)


@given(cases())
def test_the_score_is_the_profiles_and_the_origin_true(case: Case) -> None:
    page, candidates, curated, items, rules = case
    offered: dict[Origin, dict[str, Candidate]] = {"curated": {}, "model": {c.id: c for c in candidates}}
    for listed in reversed(curated):
        offered["curated"][listed.id] = listed

    for place in rank(page, candidates, curated, items, rules).recommendations:
        found = offered[place.origin][place.target]
        assert place.score == (found.editors if rules.profile == "editors" else found.meaning)
        assert place.origin == "model" or rules.curated_first


@given(cases())
def test_what_the_editors_listed_stands_first_in_their_order_and_no_composition_moves_it(case: Case) -> None:
    page, candidates, curated, items, rules = case

    shown = rank(page, candidates, curated, items, rules).recommendations

    listed = [r.target for r in shown if r.origin == "curated"]
    assert listed == targets(Ranking(shown, ()))[: len(listed)]
    filters_only = replace(
        rules, diversity=0.0, per_category=None, balanced=False, at_least=0, limit=min(rules.limit, len(curated) or 1)
    )
    alone = rank(page, (), curated, items, filters_only)
    assert not shown or listed == targets(alone)


@given(cases() | cases(filters=False))
def test_the_model_adds_nothing_held_and_no_category_too_often(case: Case) -> None:
    page, candidates, curated, items, rules = case
    held = {c.id for c in candidates if c.place == "held"}
    shown = rank(page, candidates, curated, items, rules).recommendations

    for number, place in enumerate(shown):
        if place.origin == "curated":
            continue
        assert not rules.balanced or place.target not in held
        category = items[place.target].category
        if rules.per_category is not None and category is not None:
            above = sum(items[other.target].category == category for other in shown[:number])
            assert above < rules.per_category


@given(cases(filters=False))
def test_one_item_at_most_is_lifted_and_stands_last_in_a_full_list(case: Case) -> None:
    page, candidates, curated, items, rules = case
    marked = {c.id for c in candidates if c.place == "lifted"}

    ranking = rank(page, candidates, curated, items, rules)

    unlifted = [c._replace(place="") if c.place == "lifted" else c for c in candidates]
    plain = rank(page, unlifted, curated, items, rules)
    lifted = [place for place in ranking.recommendations if is_lifted(place)]
    event(f"lifted: {len(lifted)}")
    assert len(lifted) <= 1
    for place in lifted:
        assert rules.balanced
        assert place.target in marked
        assert place.position == rules.limit == len(ranking.recommendations) >= LIFTING_LIMIT
        assert place.origin == plain.recommendations[-1].origin == "model"
        assert ranking.recommendations[:-1] == plain.recommendations[:-1]
        assert sum(drop.reason.startswith(f"its place is given to {place.target}") for drop in ranking.dropped) == 1
    if not lifted:
        assert ranking == plain


@given(cases())
def test_what_can_be_lifted_is(case: Case) -> None:
    """Among plain items, none of which a rule keeps out, one marked item is always in a list it is a candidate of."""
    page, candidates, _, items, rules = case
    plain = {ident: Item(ident, "essay", sketch=item.sketch) for ident, item in items.items()}
    marked = [c.id for c in candidates if c.place == "lifted" and c.id != page.id]
    free = Rules(limit=rules.limit, profile=rules.profile, diversity=rules.diversity)

    shown = targets(rank(plain[page.id], candidates, (), plain, free))

    assert not marked or rules.limit < LIFTING_LIMIT or set(marked) & set(shown)


@given(cases() | cases(filters=False))
def test_everything_offered_is_shown_dropped_or_below_the_last_place(case: Case) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    dropped = [drop.target for drop in ranking.dropped]
    offered = {c.id for c in (*candidates, *(curated if rules.curated_first else ()))} - {page.id}
    assert len(set(dropped)) == len(dropped)
    assert not set(dropped) & set(targets(ranking))
    assert {*dropped, *targets(ranking)} <= offered
    if len(ranking.recommendations) < rules.limit:
        assert {*dropped, *targets(ranking)} == offered


@given(cases())
def test_at_least_shows_all_or_nothing(case: Case) -> None:
    page, candidates, curated, items, rules = case

    ranking = rank(page, candidates, curated, items, rules)

    free = rank(page, candidates, curated, items, replace(rules, at_least=0))
    survivors = rank(page, candidates, curated, items, replace(rules, at_least=0, limit=20)).recommendations
    event(f"enough: {len(survivors) >= rules.at_least}")
    assert ranking.recommendations == (free.recommendations if len(survivors) >= rules.at_least else ())
    if ranking.recommendations:
        assert ranking == free


@given(cases(), st.data())
def test_the_order_in_which_candidates_are_given_does_not_matter(case: Case, data: st.DataObject) -> None:
    page, candidates, curated, items, rules = case
    shuffled = data.draw(st.permutations(candidates))
    reordered = dict(data.draw(st.permutations(list(items.items()))))

    assert rank(page, shuffled, curated, reordered, rules) == rank(page, candidates, curated, items, rules)


@given(cases(), st.integers(1, 14))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(case: Case, limit: int) -> None:
    """Where nothing is lifted: a lifted item stands at the end, wherever that is."""
    page, candidates, curated, items, rules = case
    unlifted = [c._replace(place="") if c.place == "lifted" else c for c in candidates]

    longer = rank(page, unlifted, curated, items, replace(rules, limit=14))
    shorter = rank(page, unlifted, curated, items, replace(rules, limit=limit))

    assert shorter.recommendations == longer.recommendations[:limit]
    assert shorter.dropped == longer.dropped[: len(shorter.dropped)]


# --- Two twins, as plain as can be --------------------------------------------------------------------------------


def passes(page: Item, item: Item, score: float, rules: Rules) -> bool:
    """Whether an item is let through by what concerns it alone."""
    ages = rules.newer_by_days is not None or rules.older_by_days is not None
    known = item.published is not None and page.published is not None
    days = (item.published - page.published).days if item.published and page.published else 0
    return all(
        (
            item.id != page.id,
            rules.unlinked or item.kind == "essay",
            item.id not in rules.exclude,
            rules.category is None or item.category == rules.category,
            rules.published_after is None or (item.published or date.min) >= rules.published_after,
            rules.published_before is None or (item.published or date.max) <= rules.published_before,
            rules.min_score is None or score >= rules.min_score,
            known or not ages,
            rules.newer_by_days is None or days <= rules.newer_by_days,
            rules.older_by_days is None or -days <= rules.older_by_days,
            item.twins is None or item.twins != page.twins,
        )
    )


def next_by_mmr(
    candidates: list[Candidate], above: list[str], items: dict[str, Item], rules: Rules, relevance: Mapping[str, float]
) -> Candidate:
    """Carbonell and Goldstein's formula, worked out anew for each candidate against each item above."""

    def key(c: Candidate) -> tuple[float, float, str]:
        nearest = max((similarity(items[c.id].sketch, items[a].sketch) for a in above), default=0.0)
        worth = (1 - rules.diversity) * relevance[c.id] - rules.diversity * nearest
        return -worth, -c.score(rules.profile), c.id

    return min(candidates, key=key)


def twin_of_rank(case: Case) -> list[str]:
    """The list without lifting and at_least, worked out by asking at each place which items may still follow."""
    page, candidates, curated, items, rules = case
    relevance = relevances(candidates, rules.profile)
    above: list[str] = []

    def may_follow(c: Candidate) -> bool:
        item = items[c.id]
        twin = item.twins is not None and item.twins in {items[a].twins for a in above}
        return c.id not in above and not twin and passes(page, item, c.score(rules.profile), rules)

    listed = list({c.id: c for c in reversed(curated)}.values()) if rules.curated_first else []
    for c in sorted(listed, key=lambda c: [x.id for x in curated].index(c.id)):
        if len(above) < rules.limit and may_follow(c):
            above.append(c.id)
    refused = {c.id for c in listed} - set(above)
    while len(above) < rules.limit:
        count = Counter(items[ident].category for ident in above)
        most = 99 if rules.per_category is None else rules.per_category
        left = [
            c
            for c in candidates
            if may_follow(c)
            and c.id not in refused
            and not (rules.balanced and c.place == "held")
            and (items[c.id].category is None or count[items[c.id].category] < most)
        ]
        if not left:
            break
        above.append(next_by_mmr(left, above, items, rules, relevance).id)
    return above


@given(cases() | cases(filters=False))
def test_the_list_is_its_brute_force_twins(case: Case) -> None:
    page, candidates, curated, items, rules = case
    unlifted = [c._replace(place="") if c.place == "lifted" else c for c in candidates]
    alone: Case = (page, unlifted, curated, items, replace(rules, at_least=0))

    assert targets(rank(*alone)) == twin_of_rank(alone)


@given(cases(), st.sampled_from(["editors", "meaning"]))
def test_without_diversity_the_order_is_the_scores(case: Case, profile: Profile) -> None:
    page, candidates, _, items, rules = case

    shown = targets(rank(page, candidates, (), items, Rules(limit=20, profile=profile, unlinked=True, balanced=False)))

    scores = {c.id: c.score(profile) for c in candidates}
    assert shown == sorted(shown, key=lambda ident: (-scores[ident], ident))
    plain = rank(page, candidates, (), items, replace(rules, diversity=0.0))
    unsketched = {ident: item._replace(sketch=0) for ident, item in items.items()}
    assert plain == rank(page, candidates, (), unsketched, replace(rules, diversity=0.0))
