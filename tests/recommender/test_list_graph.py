"""Who lists whom, as a matrix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.list_graph import ListGraph

IDS = ("a", "b", "c", "d")
LISTS = {"a": "bc", "b": "c", "d": "cba"}


def test_a_row_has_a_1_for_each_essay_it_lists() -> None:
    graph = ListGraph.of(IDS, LISTS)

    assert graph.matrix.toarray().tolist() == [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 0]]
    assert graph.matrix.dtype.name == "float32"


def test_an_entry_counts_once_never_for_itself_and_only_for_essays_of_the_site() -> None:
    graph = ListGraph.of(IDS, {"a": ["b", "b", "a", "elsewhere"], "elsewhere": ["a"], "c": ["c"], "b": []})

    assert graph.matrix.toarray().tolist() == [[0, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4]
    assert graph.listing.tolist() == [0]


def test_listed_by_counts_the_lists_and_lengths_their_entries() -> None:
    graph = ListGraph.of(IDS, LISTS)

    assert graph.listed_by.tolist() == [1, 2, 3, 0]
    assert graph.lengths.tolist() == [2, 1, 0, 3]
    assert graph.listing.tolist() == [0, 1, 3]
    assert graph.listed_by.dtype.name == graph.lengths.dtype.name == "float32"


def test_turned_says_who_lists_each_essay() -> None:
    graph = ListGraph.of(IDS, LISTS)

    assert (graph.turned.toarray() == graph.matrix.toarray().T).all()


@pytest.mark.parametrize(("row", "targets"), [(0, [1, 2]), (1, [2]), (2, []), (3, [0, 1, 2])])
def test_targets_are_the_columns_of_a_list(row: int, targets: list[int]) -> None:
    found = ListGraph.of(IDS, LISTS).targets(row)

    assert found.tolist() == targets
    assert found.dtype.name == "int64"


def test_hidden_lists_are_gone_and_those_that_name_their_essays_stay() -> None:
    graph = ListGraph.of(IDS, LISTS)

    hidden = graph.without([0, 2, 3])

    assert hidden.matrix.toarray().tolist() == [[0] * 4, [0, 0, 1, 0], [0] * 4, [0] * 4]
    assert hidden.listing.tolist() == [1]
    assert hidden.matrix.nnz == 1, "what is hidden is not kept as zeros: targets() reads what is kept"
    assert graph.listing.tolist() == [0, 1, 3]


def test_hiding_nothing_changes_nothing() -> None:
    graph = ListGraph.of(IDS, LISTS)

    assert (graph.without([]).matrix != graph.matrix).nnz == 0


@pytest.mark.parametrize("ids", [(), ("a",)])
def test_the_smallest_sites_have_a_graph(ids: tuple[str, ...]) -> None:
    graph = ListGraph.of(ids, {"a": ["a"]})

    assert graph.matrix.shape == (len(ids), len(ids))
    assert graph.listing.tolist() == []
    assert graph.listed_by.tolist() == graph.lengths.tolist() == [0.0] * len(ids)


_LISTS = st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("abcdx"), max_size=6))


@given(_LISTS, st.sets(st.integers(0, 3)))
def test_a_graph_is_the_graph_of_its_lists_with_or_without_some(lists: dict[str, list[str]], rows: set[int]) -> None:
    kept = {source: listed for source, listed in lists.items() if IDS.index(source) not in rows}

    found = ListGraph.of(IDS, lists).without(rows)

    assert found.matrix.toarray().tolist() == ListGraph.of(IDS, kept).matrix.toarray().tolist()
    assert [sorted(found.targets(row).tolist()) for row in range(4)] == [
        sorted({IDS.index(i) for i in kept.get(ident, ()) if i in IDS and i != ident}) for ident in IDS
    ]
