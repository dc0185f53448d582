"""Which variant of an A/B test a page is in."""

import subprocess
import sys
from collections import Counter

import pytest

from service.variants import Variants

IDS = [f"2024/essay-{number}" for number in range(10_000)]


def test_without_a_test_no_page_has_a_variant() -> None:
    assert {Variants(()).of(ident) for ident in IDS} == {None}


def test_each_variant_has_its_share_of_the_pages_and_the_rest_is_standard() -> None:
    test = Variants(("curated:10", "model:25"))

    shares = Counter(test.of(ident) for ident in IDS)

    assert {variant: round(count / 100) for variant, count in shares.items()} == {
        "curated": pytest.approx(10, abs=1),
        "model": pytest.approx(25, abs=1),
        "standard": pytest.approx(65, abs=1),
    }


def test_a_hundred_percent_leaves_nothing_standard() -> None:
    assert {Variants(("model:100",)).of(ident) for ident in IDS} == {"model"}
    assert {Variants(("curated:40", "model:60")).of(ident) for ident in IDS} == {"curated", "model"}


def test_growing_percentages_only_take_pages_from_standard() -> None:
    before, after = Variants(("curated:10", "model:10")), Variants(("model:60", "curated:35"))

    moves = {(before.of(ident), after.of(ident)) for ident in IDS}

    assert moves == {
        ("standard", "standard"),
        ("standard", "curated"),
        ("standard", "model"),
        ("curated", "curated"),
        ("model", "model"),
    }


def test_a_page_has_the_same_variant_in_every_process() -> None:
    program = "from service.variants import Variants; print([Variants(('curated:50',)).of(str(n)) for n in range(20)])"

    seen = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }

    assert seen == {f"{[Variants(('curated:50',)).of(str(n)) for n in range(20)]}\n"}


def test_the_pages_of_a_running_test_stay_where_they_are_from_version_to_version() -> None:
    halves = Variants(("curated:50",))

    assert [halves.of(ident) for ident in ("bread", "rye", "麦/麵包", "salt", "")] == [
        "standard",
        "curated",
        "standard",
        "curated",
        "standard",
    ]


def test_a_variant_is_a_state_and_no_other_page_leaves_its_own() -> None:
    assert Variants.state("curated", "review") == "curated"
    assert Variants.state("model", "review") == "model"
    assert Variants.state("standard", "review") == "review"
    assert Variants.state(None, "review") == "review"
