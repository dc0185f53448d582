"""What a build takes over from editors: decisions follow a renamed essay, approvals and exclusions become labels."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from corpus.catalogue import Catalogue
from recommender.decision_log import DecisionLog
from recommender.decisions import Action, Decision
from recommender.edition import Edition, open_current
from recommender.editor_labels import EditorLabels
from recommender.following import hear_editors
from recommender.job import BuildOptions, build
from recommender.standing import Log, Standing
from tests.fakes import CountingEncoder

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

ESSAYS: dict[str, dict[str, Any]] = {
    name: {
        "id": name,
        "title": f"The {name}",
        "standfirst": f"A few plain words of my own about the {name}.",
        "published": "2024-05-06",
        "url": f"https://example.org/{name}",
        "body": f"What is there to be said about the {name}? It is made by hand, from {name} alone.",
    }
    for name in ("loom", "quern", "sieve", "churn", "lathe")
}


def publish(home: Path, essays: Iterable[dict[str, Any]]) -> Edition:
    source = home.parent / "site.jsonl"
    source.write_text("".join(json.dumps(essay) + "\n" for essay in essays), encoding="utf-8")
    build([source], home, CountingEncoder(), BuildOptions())
    return open_current(home)


def decide(home: Path, edition: Edition, action: Action, source: str, target: str, **more: Any) -> Decision:
    there = edition.items[target]
    seen = {"target_title": there.title, "target_url": there.url, "source_url": edition.items[source].url}
    key = f"{action}-{source}-{target}"
    entry = Decision(action=action, editor="anna", at=NOW, key=key, source=source, target=target, **seen, **more)
    return DecisionLog(home).append([entry])[0]


def standing(home: Path, edition: Edition) -> Standing:
    return Standing(Log().with_(DecisionLog(home).since()), NOW, edition)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def changed(name: str, **fields: Any) -> list[dict[str, Any]]:
    return [essay | fields if ident == name else essay for ident, essay in ESSAYS.items()]


def test_a_decision_follows_a_target_that_has_a_new_id_at_its_old_address(home: Path) -> None:
    decide(home, publish(home, ESSAYS.values()), "exclude", "loom", "quern")

    edition = publish(home, changed("quern", id="hand-mill", title="The hand mill", standfirst="All new."))

    assert standing(home, edition).of("loom").excluded == {"hand-mill": "here"}
    assert standing(home, edition).vanished == ()


def test_a_decision_follows_a_page_that_has_a_new_id_and_a_new_address_but_its_old_texts(home: Path) -> None:
    decide(home, publish(home, ESSAYS.values()), "pin", "loom", "quern", position=1)

    edition = publish(home, changed("loom", id="weaving", url="https://example.org/crafts/weaving"))

    assert [pin.target for pin in standing(home, edition).of("weaving").pins] == ["quern"]
    first = edition.related("weaving", None, standing(home, edition).of("weaving")).recommendations[0]
    assert (first.target, first.origin) == ("quern", "pinned")


def test_it_follows_from_one_new_id_to_the_next_and_back_with_an_older_edition(home: Path) -> None:
    first = publish(home, ESSAYS.values())
    decide(home, first, "exclude", "loom", "quern")
    publish(home, changed("quern", id="hand-mill"))

    third = publish(home, changed("quern", id="stone-mill"))

    assert standing(home, third).of("loom").excluded == {"stone-mill": "here"}
    assert standing(home, first).of("loom").excluded == {"quern": "here"}


@pytest.mark.parametrize(
    "essays",
    [
        pytest.param([e for i, e in ESSAYS.items() if i != "quern"], id="it is gone"),
        pytest.param(changed("quern", id="mill", url=None, title="Another title"), id="another title and address"),
        pytest.param(
            [*changed("quern", id="mill", url=None), ESSAYS["quern"] | {"id": "mill-2", "url": None}],
            id="two that it could be",
        ),
    ],
)
def test_a_decision_whose_target_cannot_be_told_is_not_guessed_at_but_told(
    home: Path, essays: list[dict[str, Any]]
) -> None:
    made = decide(home, publish(home, ESSAYS.values()), "exclude", "loom", "quern")

    edition = publish(home, essays)

    assert standing(home, edition).vanished == (made,)
    assert [entry.action for entry in DecisionLog(home).since()] == ["exclude"]


def test_an_essay_that_was_there_before_is_no_new_home_of_a_copy_that_is_gone(home: Path) -> None:
    copy = ESSAYS["quern"] | {"id": "reprint", "url": "https://example.org/reprint"}
    edition = publish(home, [*ESSAYS.values(), copy])
    made = decide(home, edition, "exclude", "loom", "reprint")

    after = publish(home, ESSAYS.values())

    assert standing(home, after).vanished == (made,)


def test_a_blurb_is_followed_to_the_essay_that_arrived_for_it(home: Path) -> None:
    words = "How the harrow was drawn over the ploughed field by two patient oxen in spring."
    listing = ESSAYS["loom"] | {"blurbs": [{"category": "Tools", "text": words, "published": "2023-03-04"}]}
    others = [essay for ident, essay in ESSAYS.items() if ident != "loom"]
    edition = publish(home, [listing, *others])
    (blurb,) = [item for item in edition.items.stream() if item.kind == "blurb"]
    decide(home, edition, "pin", "sieve", blurb.id, position=1)
    harrow = {"id": "harrow", "title": "The harrow", "standfirst": words, "published": "2023-03-04", "body": words * 3}

    after = publish(home, [listing, *others, harrow])

    assert [pin.target for pin in standing(home, after).of("sieve").pins] == ["harrow"]


def test_building_again_follows_once(home: Path) -> None:
    decide(home, publish(home, ESSAYS.values()), "exclude", "loom", "quern")
    publish(home, changed("quern", id="hand-mill"))

    publish(home, changed("quern", id="hand-mill"))

    assert [entry.action for entry in DecisionLog(home).since()] == ["exclude", "follow"]


def test_approvals_and_exclusions_of_a_page_are_labels_in_the_ids_of_now(home: Path) -> None:
    edition = publish(home, ESSAYS.values())
    decide(home, edition, "approve", "loom", "sieve")
    decide(home, edition, "exclude", "loom", "quern")
    decide(home, edition, "pin", "loom", "churn", position=2)
    everywhere = Decision(action="exclude", editor="anna", at=NOW, key="all", target="lathe")
    DecisionLog(home).append([everywhere])
    heard: list[EditorLabels] = []

    def listen(catalogue: Catalogue, last: Edition | None) -> EditorLabels:
        heard.append(hear_editors(DecisionLog(home), catalogue, last, now=NOW))
        return heard[-1]

    source = home.parent / "site.jsonl"
    source.write_text("".join(json.dumps(e) + "\n" for e in changed("quern", id="hand-mill")), encoding="utf-8")
    build([source], home, CountingEncoder(), BuildOptions(), labels_of=listen)

    assert heard == [EditorLabels(frozenset({("loom", "sieve")}), frozenset({("loom", "hand-mill")}))]


def test_a_build_hears_the_log_of_its_home_by_itself(home: Path) -> None:
    edition = publish(home, ESSAYS.values())
    decide(home, edition, "approve", "loom", "sieve")

    after = publish(home, ESSAYS.values())

    assert after.manifest["inputs"] != edition.manifest["inputs"], "a new label is a change"
    assert after.manifest["lesson"]["editors"]["approved"] == 1


def test_where_nobody_has_decided_no_log_is_made(home: Path) -> None:
    publish(home, ESSAYS.values())

    assert not list(home.glob("decisions*"))
