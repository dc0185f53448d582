"""From signals to what an edition says: candidates of both profiles, reasons, items, and the balance of the site."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from math import exp, log

import numpy as np
import pytest

from corpus.catalogue import Catalogue
from corpus.essay import Blurb
from recommender import neighbourhood
from recommender.candidates import Pairs
from recommender.learning import Lesson
from recommender.list_graph import ListGraph
from recommender.material import Material
from recommender.model import DEFAULT, Model, probability
from recommender.neighbourhood import (
    CANDIDATES,
    DEPTH,
    UNLINKED,
    Neighbourhood,
    akin_wordings,
    find_items,
    find_neighbourhood,
    keep_candidates,
    listed_shares,
    shown_lengths,
    to_candidates,
)
from recommender.ranking import MAX_SHARE, SKETCH_BITS, Candidate, Item, Rules, rank
from recommender.signals import SIGNALS
from recommender.sketch import sketches
from recommender.study import study_lists
from tests.fakes import AXES, essay
from tests.recommender.materials import gather
from tests.recommender.sites import dense_pairs, small_pools

BY_VOTES = Model.plain("by votes", {"votes": 1.0}, 0.0)
BY_MEANING = Model.plain("by meaning", {"meaning": 1.0}, 0.0)
TAUGHT = Lesson(True, "", 0, None, listed=BY_VOTES, new=BY_VOTES, texts=BY_MEANING)
IDS = tuple("abcdefgh")


def chance(logit: float) -> float:
    return 1 / (1 + exp(-logit))


def pairs_of(values: Mapping[str, Sequence[float]], ids: Sequence[str] = IDS) -> Pairs:
    """Every essay with all others, the signals of the first essay's candidates as given; of others, all 0."""
    pairs = dense_pairs(len(ids))
    for signal, row in values.items():
        pairs.values[: len(row), SIGNALS.index(signal)] = row
    return pairs


def essay_candidates(
    ids: Sequence[str], pairs: Pairs, lesson: Lesson, twins: Mapping[str, str]
) -> dict[str, list[Candidate]]:
    """What an edition keeps of each essay's pairs. twins: essay id -> its group of near-duplicates."""
    editors, meaning = probability(lesson.logits(pairs)), lesson.texts.probabilities(pairs.values)
    names = sorted(set(twins.values()))
    groups = np.array([names.index(twins[ident]) if ident in twins else -1 for ident in ids])
    kept = keep_candidates(pairs, editors, meaning, groups)
    found = {}
    for place, row in enumerate(pairs.rows.tolist()):
        chosen = kept.pairs[kept.starts[place] : kept.starts[place + 1]] - pairs.starts[place]
        found[ids[row]] = to_candidates(ids, pairs, place, lesson, chosen)
    return found


def ids_of(candidates: Sequence[Candidate]) -> str:
    return "".join(candidate.id for candidate in candidates)


# --- The candidates of both profiles ------------------------------------------------------------------------------


VOTES = (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
MEANING = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def test_an_edition_keeps_the_best_by_each_profile_in_the_editors_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "CANDIDATES", 2)

    found = essay_candidates(IDS, pairs_of({"votes": VOTES, "meaning": MEANING}), TAUGHT, {})["a"]

    assert ids_of(found) == "bcgh"
    assert [c.editors for c in found] == pytest.approx([chance(x) for x in (7, 6, 2, 1)])
    assert [c.meaning for c in found] == pytest.approx([chance(x) for x in (-3, -2, 2, 3)])


def test_a_candidate_of_both_profiles_is_kept_once_and_ties_are_in_id_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "CANDIDATES", 3)

    found = essay_candidates(IDS, pairs_of({"votes": (0, 0, 0, 0, 0, 0, 1)}), TAUGHT, {})

    assert ids_of(found["a"]) == "hbcd"  # by votes h, b, c; by meaning, where all are equal, b, c, d
    assert ids_of(found["b"]) == "acd"
    assert list(found) == list(IDS)


def test_pages_that_lists_name_and_new_ones_are_scored_by_their_own_model() -> None:
    lesson = replace(TAUGHT, new=Model.plain("new", {"votes": -1.0}, 0.0))
    pairs = dense_pairs(4)
    pairs.values[:, SIGNALS.index("votes")] = [1, 2, 3] * 4
    named = replace(pairs, listed=np.array([True, False, True, False]))

    found = essay_candidates("abcd", named, lesson, {})

    assert {ident: ids_of(row) for ident, row in found.items()} == {"a": "dcb", "b": "acd", "c": "dba", "d": "abc"}
    assert [c.editors for c in found["b"]] == pytest.approx([chance(x) for x in (-1, -2, -3)])


# --- Near-duplicates ----------------------------------------------------------------------------------------------


def many(scores: Sequence[float], twins: Mapping[int, str]) -> list[Candidate]:
    """The candidates of essay 000, whose others 001, 002, ... have these scores by both profiles."""
    ids = [f"{row:03}" for row in range(len(scores) + 1)]
    pairs = pairs_of({"votes": scores, "meaning": scores}, ids)
    return essay_candidates(ids, pairs, TAUGHT, {ids[row]: group for row, group in twins.items()})["000"]


FALLING = [9 - n / 20 for n in range(150)]


def kept(twins: Mapping[int, str]) -> list[int]:
    return [int(candidate.id) for candidate in many(FALLING, twins)]


def test_fifty_candidates_are_kept() -> None:
    assert (CANDIDATES, DEPTH) == (50, 100)
    assert kept({}) == list(range(1, 51))


def test_near_duplicates_do_not_count_for_the_fifty_but_are_kept_above_the_last() -> None:
    assert kept({0: "x", 3: "x", 4: "x"}) == list(range(1, 53))  # 3 and 4 are copies of the essay
    assert kept({5: "y", 6: "y", 7: "y"}) == list(range(1, 53))  # of three copies one counts
    assert kept({5: "y", 60: "y"}) == list(range(1, 51))  # the second lies below the last


def test_no_more_than_twice_as_many_are_looked_at() -> None:
    copies = dict.fromkeys(range(2, 120), "x")

    assert kept(copies) == list(range(1, 101))


def test_a_list_is_full_of_different_texts_though_the_nearest_are_copies() -> None:
    twins = dict.fromkeys(range(0, 40), "x")
    found = many(FALLING, twins)
    items = {f"{n:03}": Item(f"{n:03}", "essay", twins=twins.get(n)) for n in range(151)}

    shown = rank(items["000"], found, (), items, Rules(limit=50)).recommendations

    assert [int(place.target) for place in shown] == list(range(40, 90))


# --- Reasons ------------------------------------------------------------------------------------------------------


def reasons(values: Mapping[str, float], weights: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Why b is a candidate of a."""
    lesson = replace(TAUGHT, listed=Model.plain("m", weights, 0.0), new=Model.plain("m", weights, 0.0))
    pairs = pairs_of({signal: [value] for signal, value in values.items()}, "ab")
    return to_candidates("ab", pairs, 0, lesson)[0].reasons


def test_the_three_signals_that_add_most_are_the_reasons_strongest_first() -> None:
    values = {"votes": 0.5, "author": 1.0, "category": 1.0, "co_listed": log(1 + 2)}
    weights = {"votes": 1.0, "author": 0.3, "category": 0.4, "co_listed": 1.0}

    assert reasons(values, weights) == (("co_listed", pytest.approx(2)), ("votes", 0.5), ("category", 1.0))


def test_what_adds_next_to_nothing_or_speaks_against_is_no_reason() -> None:
    values = {"votes": 0.5, "author": 1.0, "category": 1.0}

    assert reasons(values, {"votes": 1.0, "author": 0.05, "category": -2.0}) == (("votes", 0.5),)
    assert reasons(values, {"author": 0.06}) == (("author", 1.0),)
    assert reasons(values, {}) == ()


def test_a_relative_signal_is_told_as_it_was_before_it_was_set_against_the_site() -> None:
    pairs = pairs_of({"meaning": [2.0, -1.0], "wording": [3.0, 1.0]}, "abc")
    pairs.spread["meaning"][0] = (0.3, 0.15)
    pairs.spread["wording"][0] = (0.02, 0.01)
    lesson = replace(TAUGHT, new=Model.plain("m", {"meaning": 1.0, "wording": 1.0}, 0.0))

    of_b, of_c = to_candidates("abc", pairs, 0, lesson)

    assert of_b.reasons == (("wording", pytest.approx(0.05)), ("meaning", pytest.approx(0.6)))
    assert of_c.reasons == (("wording", pytest.approx(0.03)),)
    assert of_b.editors == pytest.approx(chance(5.0))  # the score is of the relative ones


def test_chosen_pairs_only_become_candidates_in_the_order_chosen() -> None:
    pairs = pairs_of({"votes": VOTES})

    found = to_candidates(IDS, pairs, 0, TAUGHT, np.array([3, 0]))

    assert ids_of(found) == "eb"
    assert [c.editors for c in found] == pytest.approx([chance(4), chance(7)])


# --- A whole site -------------------------------------------------------------------------------------------------


BUOYS = "Buoys of bread and clock that no page of this site is about, one and all."
BELLS = "Bells of map and bridge that no page of this site is about, one and all."


def site(**blurbs: Sequence[Blurb]) -> tuple[Catalogue, Material]:
    """Twenty essays, five on each subject, one a reprint, with the lists given: "bread_0" -> its blurbs."""
    essays = [
        essay(
            f"{axis}-{number}",
            f"{axis} and {axis} of the {number} besides {AXES[number % 4]}, words{number} words{axis}.",
            title=f"On {axis}, part {number}",
            standfirst=f"What is known of {axis} number {number} and of nothing else.",
            url=f"https://site.test/{axis}/{number}",
            category=axis.capitalize(),
            published=date(2025, 1, 1 + number),
            blurbs=tuple(blurbs.get(f"{axis}_{number}", ())),
        )
        for axis in AXES
        for number in range(5)
    ]
    return gather([*essays, replace(essays[0], id="bread-reprint", url=None, title=None, blurbs=())])


def named(source: str, *targets: str) -> list[Blurb]:
    """Blurbs for essays by their titles, or texts that no page has."""
    return [
        Blurb(source, n, "Sea", "A blurb.", title="On {}, part {}".format(*t.split("-")))
        if t.split("-")[0] in AXES
        else Blurb(source, n, "Sea", t, date(2024, 5, 1), f"https://site.test/gone/{n}", f"Gone {n}")
        for n, t in enumerate(targets, 1)
    ]


LISTS = {"bread_0": named("bread-0", "map-1", BUOYS, "clock-2"), "clock_3": named("clock-3", BELLS, BUOYS)}


def found_in(catalogue: Catalogue, material: Material) -> Neighbourhood:
    study = study_lists(material)
    return find_neighbourhood(material, catalogue, study.pairs, study.lesson)


def test_items_are_all_essays_and_unmatched_blurbs_with_what_is_known_of_them() -> None:
    catalogue, material = site(**LISTS)
    found = found_in(catalogue, material)

    bits = dict(zip(material.ids, sketches(material.texts.vectors.matrix), strict=True))
    assert found.items["map-1"] == Item(
        "map-1",
        "essay",
        "On map, part 1",
        "What is known of map number 1 and of nothing else.",
        "https://site.test/map/1",
        "Map",
        date(2025, 1, 2),
        sketch=bits["map-1"],
    )
    [buoys] = [item for item in found.items.values() if item.standfirst == BUOYS]
    assert buoys._replace(sketch=0) == Item(
        buoys.id, "blurb", "Gone 2", BUOYS, "https://site.test/gone/2", "Sea", date(2024, 5, 1)
    )
    assert 0 < buoys.sketch < 1 << SKETCH_BITS
    assert list(found.items) == [*material.ids, *(blurb.id for blurb in catalogue.unmatched)]
    assert {ident: item.twins for ident, item in found.items.items() if item.twins} == {
        "bread-0": "bread-0",
        "bread-reprint": "bread-0",
    }


def test_near_duplicates_that_editors_list_are_siblings() -> None:
    standfirsts = [
        essay(f"{side}{n}", f"Text {n} {side}.", standfirst=f"The {n} of five words.")
        for n in range(6)
        for side in "ab"
    ]
    catalogue, material = gather(standfirsts)
    pairs = study_lists(material).pairs

    assert {i.twins for i in find_items(material, (), pairs, {}).values()} == {f"a{n}" for n in range(6)}
    linked = {f"a{n}": [f"b{n}"] for n in range(6)}
    assert {i.twins for i in find_items(material, (), pairs, linked).values()} == {None}
    assert catalogue.curated == {}


def test_every_essay_has_its_lists_in_id_order() -> None:
    catalogue, material = site(**LISTS)
    lists = list(found_in(catalogue, material).lists)

    assert [entry.id for entry in lists] == list(material.ids)
    assert {entry.id: entry.list_length for entry in lists if entry.list_length} == {"bread-0": 3, "clock-3": 2}
    for entry in lists:
        assert {c.id for c in entry.candidates} == set(material.ids) - {entry.id}  # a site of twenty: all others
        assert [c.editors for c in entry.candidates] == sorted((c.editors for c in entry.candidates), reverse=True)
        assert [c.id for c in entry.unlinked] == [
            c.id for c in sorted(entry.unlinked, key=lambda c: (-c.editors, c.id))
        ]
        assert {c.id for c in entry.unlinked} == {blurb.id for blurb in catalogue.unmatched}


def test_curated_items_stand_in_list_order_and_are_scored_as_any_candidate_is() -> None:
    catalogue, material = site(**LISTS)
    lists = {entry.id: entry for entry in found_in(catalogue, material).lists}

    for ident, wanted in catalogue.curated.items():
        of_all = {c.id: c._replace(place="") for c in (*lists[ident].candidates, *lists[ident].unlinked)}
        assert [c.id for c in lists[ident].curated] == list(wanted)
        for candidate in lists[ident].curated:
            assert candidate.id == of_all[candidate.id].id
            assert candidate.editors == pytest.approx(of_all[candidate.id].editors, abs=1e-6)
            assert candidate.meaning == pytest.approx(of_all[candidate.id].meaning, abs=1e-6)
            assert [name for name, _ in candidate.reasons] == [name for name, _ in of_all[candidate.id].reasons]
    assert [c.id.startswith("blurb:") for c in lists["bread-0"].curated] == [False, True, False]
    assert lists["map-0"].curated == ()


def test_a_curated_essay_is_scored_though_it_is_nobodys_candidate() -> None:
    catalogue, material = site(**LISTS)
    everybody = {entry.id: entry for entry in found_in(catalogue, material).lists}
    with small_pools(1, 1, 1, 1):
        few = {entry.id: entry for entry in found_in(catalogue, material).lists}

    assert "map-1" not in {c.id for c in few["bread-0"].candidates}
    for one, other in zip(few["bread-0"].curated, everybody["bread-0"].curated, strict=True):
        assert one.id == other.id
        assert one.editors == pytest.approx(other.editors, abs=1e-6)


def test_blurbs_are_scored_by_their_texts_against_the_essays_of_the_site() -> None:
    catalogue, material = site(**LISTS)
    lists = {entry.id: entry for entry in found_in(catalogue, material).lists}

    row = material.ids.index("bread-1")
    own, blurbs = material.texts, material.blurbs
    logit = DEFAULT.intercept + DEFAULT.weight_of("category") * 0
    for signal, left, right in (
        ("meaning", own.vectors.matrix, blurbs.vectors.matrix),
        ("wording", own.terms.toarray(), blurbs.terms.toarray()),
        ("names", own.terms_present.toarray(), blurbs.title_shares.toarray()),
        ("named", own.title_shares.toarray(), blurbs.terms_present.toarray()),
    ):
        site_terms = {"names": own.title_shares.toarray(), "named": own.terms_present.toarray()}
        others = np.delete((left[row] @ site_terms.get(signal, left).T).astype(float), row)
        logit += DEFAULT.weight_of(signal) * (left[row] @ right.T - others.mean()) / others.std()
    expected = {blurb: chance(x) for blurb, x in zip(blurbs.ids, logit.tolist(), strict=True)}

    assert {c.id: c.editors for c in lists["bread-1"].unlinked} == pytest.approx(expected, abs=1e-4)
    assert all(c.meaning == c.editors for c in lists["bread-1"].unlinked)


def test_of_unmatched_blurbs_the_best_twenty_are_kept() -> None:
    texts = [f"Number {n} of bread, and of the map {n} times besides, that no page is about." for n in range(25)]
    catalogue, material = site(bread_0=named("bread-0", *texts))
    lists = {entry.id: entry for entry in found_in(catalogue, material).lists}

    assert (len(catalogue.unmatched), UNLINKED) == (25, 20)
    assert len(lists["map-2"].unlinked) == 20
    assert len(lists["bread-0"].curated) == 25  # its own are all kept
    scores = [c.editors for c in lists["bread-0"].curated]
    assert [c.editors for c in lists["bread-0"].unlinked] == sorted(scores, reverse=True)[:20]


def test_a_site_without_blurbs_has_none() -> None:
    catalogue, material = site()

    assert {entry.unlinked for entry in found_in(catalogue, material).lists} == {()}
    assert {entry.curated for entry in found_in(catalogue, material).lists} == {()}


# --- The balance of the site --------------------------------------------------------------------------------------


def crowd(lists: Mapping[str, Sequence[str]], length: int = 0) -> Neighbourhood:
    """Thirty essays of which everybody wants 00 most, the later the more, and then the others by id.

    lists: what the editors listed. length: of the list that each page shows.
    """
    catalogue, material = gather([essay(f"{n:02}", f"word{n} alone", related=("x",) * length) for n in range(30)])
    pairs = dense_pairs(30)
    wanted = pairs.columns == 0
    pairs.values[wanted, SIGNALS.index("votes")] = 4 + pairs.owner[wanted] / 10
    listed = replace(material, graph=ListGraph.of(material.ids, lists))
    return find_neighbourhood(listed, catalogue, pairs, TAUGHT)


def marks(found: Neighbourhood, mark: str) -> dict[str, set[str]]:
    """Item -> the essays in whose candidates it has this mark."""
    essays: dict[str, set[str]] = {}
    for entry in found.lists:
        for candidate in entry.candidates:
            if candidate.place == mark:
                essays.setdefault(candidate.id, set()).add(entry.id)
    return essays


def test_what_too_many_want_is_held_back_where_it_scores_least() -> None:
    assert MAX_SHARE * 30 < 12

    found = crowd({})

    assert marks(found, "held")["00"] == {f"{n:02}" for n in range(1, 18)}
    assert marks(found, "lifted") == {}, "twelve places of thirty lists are enough for all"


def test_pages_that_show_fewer_want_fewer() -> None:
    found = crowd({}, length=1)

    assert set(marks(found, "held")) == {"00", "01"}  # twelve show 00, twelve 01, and six 02


def test_what_editors_list_often_may_stand_in_as_many_lists_and_what_no_list_would_have_is_lifted() -> None:
    popular = [f"{n:02}" for n in range(14)]

    found = crowd({f"{n:02}": popular for n in range(30)})

    assert marks(found, "held") == {}
    lifted = marks(found, "lifted")
    assert set(lifted) == {f"{n:02}" for n in range(13, 30)}
    into = [essay for essays in lifted.values() for essay in essays]
    assert len(into) == len(set(into)) == 17


def test_shares_and_lengths_are_what_the_lists_say() -> None:
    graph = ListGraph.of("abcd", {"a": "bc", "b": "c", "c": "a"})

    assert listed_shares(graph).tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 0])
    assert listed_shares(ListGraph.of("ab", {})).tolist() == [0, 0]
    pages = [
        essay("a", blurbs=(Blurb("a", 1), Blurb("a", 2)), related=("b",)),
        essay("b"),
        essay("c", related=tuple(str(n) for n in range(70))),
    ]
    assert shown_lengths(pages).tolist() == [3, 12, 50]


def test_wordings_of_akin_candidates_are_told_plain() -> None:
    pairs = pairs_of({"wording": [7.0, 6.0, 5.9]}, "abcd")
    pairs.spread["wording"][0] = (0.2, 0.05)

    assert akin_wordings("abcd", pairs) == [pytest.approx({"b": 0.55, "c": 0.5}), {}, {}, {}]


def test_scores_that_are_set_right_keep_the_order_and_say_what_they_promise() -> None:
    curve = ((0.0, log(0.1 / 0.9)), (7.0, log(0.6 / 0.4)))
    lesson = replace(TAUGHT, new=replace(BY_VOTES, curve=curve))

    found = essay_candidates(IDS, pairs_of({"votes": VOTES}), lesson, {})["a"]

    assert ids_of(found) == "bcdefgh"
    assert found[0].editors == pytest.approx(0.6, abs=0.01)
