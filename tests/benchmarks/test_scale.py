"""The simulation of the job's schedule, where the answer is known."""

import json
from itertools import pairwise

import pytest

from benchmarks.scale import CONSTANTS, Cluster, Step, simulate, steps_of

STEADY = Cluster(nodes=4, cores=2, sigma=0.0, lost_after=1e9)


def test_parts_alike_take_as_many_rounds_as_the_cores_need() -> None:
    run = simulate([Step("encode", 16, 10.0), Step("gather", 0, 7.0), Step("look", 9, 1.0)], STEADY, seed=0)
    assert run.steps == {"encode": 20.0, "gather": 7.0, "look": 2.0}
    assert run.seconds == 29.0
    assert run.worked == 169.0
    assert run.twice == 0.0


def test_stragglers_cost_time_and_hardly_any_work() -> None:
    steps = [Step("encode", 800, 10.0)]
    run = simulate(steps, Cluster(4, 2, sigma=0.5, lost_after=1e9), seed=0)
    assert run.worked == pytest.approx(8000, rel=0.1)
    assert run.seconds > run.worked / 8


def test_what_a_lost_node_was_at_is_done_again() -> None:
    steps = [Step("encode", 2000, 60.0)]
    run = simulate(steps, Cluster(10, 4, sigma=0.3, lost_after=1.0, back_after=0.1), seed=1)
    calm = simulate(steps, Cluster(10, 4, sigma=0.3, lost_after=1e9), seed=1)
    assert 0.001 < run.twice < 0.05, "half a part of each core, each hour"
    assert run.worked * (1 - run.twice) == pytest.approx(calm.worked)
    assert run.seconds > calm.seconds


def test_a_longer_part_on_a_node_that_is_often_lost_ends_at_last() -> None:
    run = simulate([Step("encode", 5, 600.0)], Cluster(2, 1, sigma=0.0, lost_after=0.2, back_after=0.01), seed=2)
    assert run.seconds >= 1800.0
    assert run.twice > 0


def test_more_essays_take_longer_and_more_nodes_shorter() -> None:
    constants = {name: entry["value"] for name, entry in json.loads(CONSTANTS.read_text("utf-8")).items()}
    sizes = [simulate(steps_of(n, constants, "openvino"), Cluster(3), 0).seconds for n in (10**5, 10**6, 10**7)]
    assert all(less < more for less, more in pairwise(sizes))
    nodes = [simulate(steps_of(10**6, constants, "openvino"), Cluster(n), 0).seconds for n in (1, 3, 10)]
    assert all(more > less for more, less in pairwise(nodes))


def test_every_constant_names_its_unit_and_source() -> None:
    for name, entry in json.loads(CONSTANTS.read_text("utf-8")).items():
        assert entry["unit"], name
        assert entry["source"].startswith(("benchmarks/", "recommender/")), name
        assert entry["n"] >= 1, name
