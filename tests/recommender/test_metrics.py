"""Metrics by hand and against ir-measures, and their intervals."""

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG

from recommender.metrics import METRICS, Counts, Hits, bootstrap, hit, measure, ndcg, recall, reciprocal_rank

REFEREES = {
    "curated_recall@5": R @ 5,
    "curated_recall@10": R @ 10,
    "curated_recall@50": R @ 50,
    "hit@10": Success @ 10,
    "mrr": RR,
    "ndcg@10": nDCG @ 10,
}


def hits(*rows: str) -> Hits:
    """One row a judged essay: x where the item is listed, - where it is not."""
    return np.array([[mark == "x" for mark in row] for row in rows])


def counts(*values: int) -> Counts:
    return np.array(values, dtype=np.int64)


# --- By hand ------------------------------------------------------------------------------------------------------


def test_recall_is_the_share_of_the_listed_items_that_are_found() -> None:
    rows = hits("x-x--", "-----", "xxxxx")

    assert recall(rows, counts(4, 3, 5), 3).tolist() == [0.5, 0.0, 0.6]
    assert recall(rows, counts(4, 3, 5), 5).tolist() == [0.5, 0.0, 1.0]


def test_a_hit_is_any_listed_item_among_the_first() -> None:
    assert hit(hits("--x", "x--", "---"), counts(1, 1, 1), 2).tolist() == [0.0, 1.0, 0.0]


def test_the_reciprocal_rank_is_that_of_the_first_listed_item() -> None:
    rows = hits("x-x-", "--xx", "---x", "----")

    assert reciprocal_rank(rows, counts(2, 2, 1, 1), 3).tolist() == [1.0, 1 / 3, 0.0, 0.0]


def test_ndcg_discounts_by_rank_and_is_one_for_the_best_order() -> None:
    discounts = 1 / np.log2([2, 3, 4, 5])

    values = ndcg(hits("xx--", "-x-x", "----"), counts(2, 3, 1), 4)

    assert values == pytest.approx([1.0, (discounts[1] + discounts[3]) / discounts[:3].sum(), 0.0])


def test_an_ideal_list_is_no_longer_than_k() -> None:
    assert ndcg(hits("xxxx"), counts(40), 2) == pytest.approx([1.0])


def test_lists_shorter_than_k_are_measured_as_they_are() -> None:
    rows, listed = hits("-x"), counts(4)

    assert recall(rows, listed, 10).tolist() == [0.25]
    assert reciprocal_rank(rows, listed, 10).tolist() == [0.5]
    assert ndcg(rows, listed, 10) == pytest.approx([(1 / np.log2(3)) / (1 / np.log2([2, 3, 4, 5])).sum()])


def test_every_metric_is_measured_for_every_essay() -> None:
    values = measure(hits("x" + "-" * 49, "-" * 10 + "x" * 40), counts(1, 50))

    assert {name: found.tolist() for name, found in values.items()} == {
        "curated_recall@5": [1.0, 0.0],
        "curated_recall@10": [1.0, 0.0],
        "curated_recall@50": [1.0, 0.8],
        "hit@10": [1.0, 0.0],
        "mrr": [1.0, 1 / 11],
        "ndcg@10": [1.0, 0.0],
    }


# --- The referee --------------------------------------------------------------------------------------------------


@st.composite
def judged(draw: st.DrawFn) -> list[tuple[list[bool], int]]:
    """Lists of fifty places, most of them no hit, and how many listed items were never found."""
    place = st.sampled_from([False, False, False, True])
    row = st.lists(place, min_size=50, max_size=50)
    return draw(st.lists(st.tuples(row, st.integers(0, 15)), min_size=1, max_size=5))


@given(judged())
def test_every_metric_agrees_with_ir_measures(lists: list[tuple[list[bool], int]]) -> None:
    lists = [(row, missed) for row, missed in lists if any(row) or missed]
    if not lists:
        return
    run, qrels = [], []
    for number, (row, missed) in enumerate(lists):
        for rank, found in enumerate(row):
            run.append(ir_measures.ScoredDoc(f"q{number}", f"d{rank}", 100.0 - rank))
            if found:
                qrels.append(ir_measures.Qrel(f"q{number}", f"d{rank}", 1))
        qrels += [ir_measures.Qrel(f"q{number}", f"missed{n}", 1) for n in range(missed)]
    expected = {
        (str(found.measure), found.query_id): found.value
        for found in ir_measures.iter_calc(list(REFEREES.values()), qrels, run)
    }

    values = measure(np.array([row for row, _ in lists]), counts(*(sum(row) + missed for row, missed in lists)))

    assert list(values) == list(REFEREES) == list(METRICS)
    for name, referee in REFEREES.items():
        by_referee = [expected[str(referee), f"q{number}"] for number in range(len(lists))]
        assert values[name] == pytest.approx(by_referee, abs=1e-9), name


# --- Intervals ----------------------------------------------------------------------------------------------------


def test_an_interval_of_equal_values_has_no_width() -> None:
    assert bootstrap(np.full(10, 0.25)) == (0.25, 0.25, 0.25)
    assert bootstrap(np.array([0.5])) == (0.5, 0.5, 0.5)


def test_an_interval_is_the_same_each_time() -> None:
    values = np.random.default_rng(1).random(50)

    assert bootstrap(values) == bootstrap(values.copy())


def test_an_interval_lies_around_the_mean_and_narrows_with_more_lists() -> None:
    rng = np.random.default_rng(2)
    few, many = rng.random(25), rng.random(2500)

    widths = []
    for values in (few, many):
        mean, low, high = bootstrap(values)
        assert mean == round(float(values.mean()), 6)
        assert low < mean < high
        widths.append(high - low)
    # The standard error of a mean of uniform values is 0.2887 / sqrt(n); the interval is 3.92 of them wide.
    assert widths == pytest.approx([3.92 * 0.2887 / 5, 3.92 * 0.2887 / 50], rel=0.25)


def test_about_95_of_100_intervals_hold_the_true_mean() -> None:
    rng = np.random.default_rng(3)

    intervals = [bootstrap(rng.random(40), resamples=300) for _ in range(200)]

    covered = sum(low <= 0.5 <= high for _, low, high in intervals)
    assert 180 <= covered <= 198
