"""Whether an essay is found by the sentence that lists show of it, its own standfirst withheld."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from corpus.essay import Blurb, Essay
from embeddings.vectors import unit_rows
from embeddings.views import EncodingCount
from recommender import blurb_recall as module
from recommender.blurb_recall import BlurbRecall, blurb_recall
from recommender.encoded import EncodedCatalogue, Passages, shown_blurbs
from recommender.metrics import bootstrap
from recommender.texts import SiteReader
from tests.fakes import CountingEncoder, essay
from tests.recommender.sites import FINGERPRINT, site_of

ENCODER = CountingEncoder(window=10_000, fingerprint=FINGERPRINT)


def shows(source: str, target: str | None, text: str | None) -> Blurb:
    return Blurb(source, 1, text=text, target=target)


def site(*blurbs: tuple[str, str], **standfirsts: str) -> list[Essay]:
    """Four essays, each on one subject; the first shows these blurbs: (target, text)."""
    bodies = {
        "bread": "Bread of rye.",
        "bridge": "A bridge of oak.",
        "clock": "The clock at noon.",
        "map": "A map of ice.",
    }
    return [
        essay(
            ident,
            body,
            standfirst=standfirsts.get(ident),
            blurbs=tuple(shows(ident, *blurb) for blurb in blurbs) if ident == "bread" else (),
        )
        for ident, body in bodies.items()
    ]


def reader_of(essays: Sequence[Essay]) -> SiteReader:
    return site_of(essays).reader


def judged(essays: Sequence[Essay], reader: SiteReader | None = None) -> BlurbRecall | None:
    """By the fake encoder, each paragraph a passage. No standfirst has a vector that anything could be done with."""
    shown = shown_blurbs(essays)
    nothing = unit_rows(np.zeros((1, ENCODER.dim), dtype=np.float32))
    found = [ENCODER.encode([block.text for block in one.blocks]) for one in essays]
    passages = [rows if len(rows) else nothing for rows in found]
    bodies = unit_rows(np.vstack([unit_rows(rows[:1]) + unit_rows(rows.mean(axis=0)[None]) for rows in passages]))
    nowhere = np.full((len(essays), ENCODER.dim), np.nan, dtype=np.float32)
    encoded = EncodedCatalogue(
        vectors=nowhere,
        summaries=nowhere,
        bodies=bodies,
        blurbs=nowhere[:0],
        shown=shown,
        shown_vectors=ENCODER.encode([text for text, _target in shown]),
        passages=Passages(np.vstack(passages), np.cumsum([0, *map(len, passages)])[:-1]),
        count=EncodingCount(0, 0),
    )
    return blurb_recall(essays, encoded, reader or reader_of(essays), FINGERPRINT)


def shares(essays: Sequence[Essay]) -> dict[int, float]:
    """k -> the share of blurbs whose essay is among the k best."""
    found = judged(essays)
    assert found is not None
    return {k: interval[0] for k, interval in found.recalls.items()}


# --- What is judged -----------------------------------------------------------------------------------------------


def test_each_text_is_judged_once_with_the_essay_that_it_is_shown_of() -> None:
    essays = [
        essay("a", blurbs=(shows("a", "b", "Of b."), shows("a", "c", "Of c."))),
        essay("b", blurbs=(shows("b", "c", "Of c."),)),
        essay("c", blurbs=(shows("c", "b", "Another of b."),)),
    ]

    assert shown_blurbs(essays) == [("Another of b.", "b"), ("Of b.", "b"), ("Of c.", "c")]


def test_a_text_shown_of_two_essays_is_left_out() -> None:
    essays = [essay("a", blurbs=(shows("a", "b", "Of both."), shows("a", "c", "Of both."), shows("a", "c", "Of c.")))]

    assert shown_blurbs(essays) == [("Of c.", "c")]


@pytest.mark.parametrize(("target", "text"), [(None, "Of nobody."), ("b", None), ("b", "")])
def test_a_blurb_of_no_essay_or_of_no_text_is_left_out(target: str | None, text: str | None) -> None:
    assert shown_blurbs([essay("a", blurbs=(shows("a", target, text),)), essay("b")]) == []


def test_without_blurbs_there_is_nothing_to_say() -> None:
    assert judged(site()) is None


def test_it_comes_back_from_json_as_it_was() -> None:
    found = BlurbRecall(3, {1: (0.5, 0.25, 0.75), 10: (1.0, 1.0, 1.0)})

    record = json.loads(json.dumps(found.to_json()))

    assert record == {"n": 3, "recall@1": [0.5, 0.25, 0.75], "recall@10": [1.0, 1.0, 1.0]}
    assert BlurbRecall.from_json(record) == found


# --- How it is judged ---------------------------------------------------------------------------------------------


def test_a_blurb_that_says_what_the_essay_is_about_finds_it() -> None:
    assert shares(site(("clock", "A clock indeed."), ("map", "The map again."))) == {1: 1.0, 10: 1.0}


def test_recall_is_the_share_of_blurbs_by_the_rank_of_their_essay_with_its_interval() -> None:
    # The third speaks of bread twice and of the clock once: bread is nearer, the clock next.
    essays = site(("clock", "A clock indeed."), ("map", "The map again."), ("clock", "Bread, bread and a clock."))

    assert judged(essays) == BlurbRecall(3, {1: bootstrap(np.array([0.0, 1, 1])), 10: (1.0, 1.0, 1.0)})
    assert shares(essays)[1] == pytest.approx(2 / 3, abs=1e-6)


def test_ten_are_looked_at_and_no_more() -> None:
    """Of a crowd of equal texts that go before it, nine leave the essay among the ten best, ten do not."""
    for crowd, share in ((9, 1.0), (10, 0.0)):
        essays = [essay(f"{n:02d}", "Bread of rye.") for n in range(crowd)]
        essays.append(essay("x", "The clock at noon.", blurbs=(shows("x", "x", "Bread, bread and a clock."),)))

        assert shares(essays) == {1: 0.0, 10: share}


def test_words_alone_find_an_essay_too() -> None:
    # No subject is named, so that all meanings are equally far; oak stands in the text on the bridge alone.
    assert shares(site(("bridge", "Oak, much of it."))) == {1: 1.0, 10: 1.0}
    assert shares(site(("clock", "Oak, much of it.")))[1] == 0.0


def test_an_essay_that_only_its_standfirst_would_find_is_not_found() -> None:
    telling = "Bread of rye, fermented slowly, was eaten by the pilots."

    found = shares(site(("map", telling), map=telling))

    # The text on bread is nearer in meaning; of the text on the map nothing is left but its body.
    assert found[1] == 0.0


def test_the_same_essay_is_found_where_its_body_says_so() -> None:
    telling = "Bread of rye, fermented slowly, was eaten by the pilots."
    essays = site(("map", telling), map=telling)
    spoken = [
        replace(one, blocks=(*one.blocks, *essay("x", telling).blocks)) if one.id == "map" else one for one in essays
    ]

    assert shares(spoken)[1] == 1.0


def test_no_words_of_the_standfirst_are_there() -> None:
    """Oak stands in the text on the bridge; that it stands in the map's own standfirst finds no map."""
    without, withheld = (
        site(("map", "Oak, much of it.")),
        site(("map", "Oak, much of it."), map="Oak, oak, much of it."),
    )
    reader = reader_of(withheld)

    assert judged(without, reader) == judged(withheld, reader) == BlurbRecall(1, {1: (0, 0, 0), 10: (1, 1, 1)})


def test_the_nearest_passage_counts_as_much_as_the_whole() -> None:
    third_of_four = essay("a", "Ice.\n\nOak.\n\nThe clock.\n\nSalt.", blurbs=(shows("a", "a", "A clock indeed."),))
    a_third = essay("b", "A clock, bread, bread, map, map.")

    # As a whole b is nearer, 0.33 to 0.16; but a has a passage on nothing else.
    assert shares([third_of_four, a_third])[1] == 1.0


def test_many_passages_that_are_half_as_near_are_no_nearer() -> None:
    one = essay("a", "The clock.", blurbs=(shows("a", "a", "A clock indeed."),))
    many = essay("b", "\n\n".join(f"A clock, a bread, part {number}." for number in range(5)))

    assert shares([one, many])[1] == 1.0


def test_the_whole_counts_too() -> None:
    last_of_four = essay("a", "Ice.\n\nOak.\n\nSalt.\n\nThe clock.", blurbs=(shows("a", "b", "A clock indeed."),))
    metals = [
        "A clock of brass, tin, lead, zinc, jade.",
        "The clock of iron, gold, steel, copper, silver, amber.",
    ]
    all_of_it = essay("b", "\n\n".join(metals))

    # Each has a passage on nothing but the clock, and a the fewer words besides.
    assert shares([last_of_four, all_of_it])[1] == 1.0


def test_an_essay_without_a_body_is_no_hindrance() -> None:
    essays = [*site(("clock", "A clock indeed.")), Essay("none", standfirst="A clock and nothing else.")]

    assert shares(essays) == {1: 1.0, 10: 1.0}


def test_a_title_that_the_blurb_names_helps() -> None:
    text = "The long days of the gun."
    titled = [
        essay("a", "Noon.", title="Long Days", blurbs=(shows("a", "a", text),)),
        essay("b", "Noon and a gun."),
    ]
    untitled = [replace(one, title=None) for one in titled]

    assert shares(titled)[1] == 1.0
    assert shares(untitled)[1] == 0.0


def test_blurbs_are_judged_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    essays = site(("clock", "A clock indeed."), ("map", "The map again."), ("clock", "Bread, bread and a clock."))
    whole = judged(essays)

    monkeypatch.setattr(module, "_CHUNK", 1)

    assert judged(essays) == whole


def test_of_essays_that_nothing_tells_apart_those_of_lower_ids_stand_first() -> None:
    essays = [essay(ident, "Bread.") for ident in "abcdefgh"]
    for target, found in (("a", 1.0), ("b", 0.0), ("h", 0.0)):
        essays[0] = replace(essays[0], blurbs=(shows("a", target, "Something else entirely."),))

        assert shares(essays) == {1: found, 10: 1.0}
