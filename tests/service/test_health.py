"""What the service does when editions are missing, old or damaged, and what /healthz says of it."""

from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recommender import store
from recommender.edition import LISTS, Edition, open_edition
from recommender.publishing import make_current, roll_back
from service.app import create_app
from service.editions import LiveEdition, View
from service.settings import Settings
from service.version import VERSION
from tests.service.editions import LISTS_OF_THE_SITE, NOON, Clock, damage, publish_edition, publish_other_edition


class Site:
    """A running service with its home and clock."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = Clock()
        self.restart()

    def restart(self) -> None:
        self.client = TestClient(create_app(Settings(home=self.home), self.clock))

    def health(self) -> dict[str, Any]:
        """What /healthz says after a second has passed."""
        self.clock.advance(seconds=1)
        response = self.client.get("/healthz")
        assert response.headers["cache-control"] == "no-store"
        health: dict[str, Any] = response.json()
        assert response.status_code == 200
        ready = self.client.get("/readyz")
        assert ready.status_code == (503 if health["status"] == "no_edition" else 200)
        assert ready.headers["cache-control"] == "no-store"
        assert ready.json() == health
        return health

    def related_to_bread(self) -> list[str]:
        return [card["id"] for card in self.client.get("/v1/articles/bread/related").json()["items"]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


BEFORE, AFTER = ["salt", "rye"], ["sundial"]


def test_a_fresh_edition_is_ok(site: Site) -> None:
    edition = publish_edition(site.home)

    assert site.health() == {
        "status": "ok",
        "reasons": [],
        "edition": edition,
        "built_at": "2026-11-01T12:00:00Z",
        "age_seconds": 3601,
        "essays": len(LISTS_OF_THE_SITE),
        "unmatched_blurbs": 1,
        "version": VERSION,
    }


def test_without_an_edition_it_says_what_to_do(site: Site) -> None:
    assert site.health() == {
        "status": "no_edition",
        "reasons": [f"no edition in {site.home} yet: run `related build SOURCE... --home {site.home}`"],
        "edition": None,
        "built_at": None,
        "age_seconds": None,
        "essays": None,
        "unmatched_blurbs": None,
        "version": VERSION,
    }


def test_an_old_edition_is_degraded(site: Site) -> None:
    edition = publish_edition(site.home)

    site.clock.time = NOON + timedelta(hours=48, seconds=-1)
    assert site.health()["status"] == "ok"
    health = site.health()

    assert (health["status"], health["age_seconds"]) == ("degraded", 48 * 3600 + 1)
    assert health["reasons"] == [f"edition {edition} is 48 hours old, more than 48: run `related build`"]


def test_a_process_that_is_ending_lives_and_is_not_ready(site: Site) -> None:
    edition = publish_edition(site.home)
    assert site.health()["reasons"] == []

    site.client.app.state.draining = True  # type: ignore[attr-defined]
    live, ready = site.client.get("/healthz"), site.client.get("/readyz")

    assert (live.status_code, live.json()["status"]) == (200, "ok")
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["this process is ending"])
    assert ready.json()["edition"] == edition
    assert ready.headers["cache-control"] == "no-store"


def test_an_edition_from_the_future_has_no_age(site: Site) -> None:
    publish_edition(site.home, NOON + timedelta(days=1))

    assert (site.health()["status"], site.health()["age_seconds"]) == ("ok", 0)


def test_a_damaged_new_edition_leaves_the_old_one_in_place(site: Site) -> None:
    old = publish_edition(site.home)
    assert site.related_to_bread() == BEFORE
    new = publish_other_edition(site.home)
    damage(site.home, new)

    health = site.health()

    assert (health["status"], health["edition"]) == ("degraded", old)
    assert health["reasons"] == [
        f"edition {new} is damaged: {LISTS} is not what was written; "
        "run `related rollback` to step back, or `related build` for a new one",
        f"edition {old} is served instead",
    ]
    assert site.related_to_bread() == BEFORE


def test_rolling_back_from_a_damaged_edition_heals(site: Site) -> None:
    old = publish_edition(site.home)
    site.related_to_bread()
    damage(site.home, publish_other_edition(site.home))
    assert site.health()["status"] == "degraded"

    assert roll_back(site.home) == old

    health = site.health()
    assert (health["status"], health["edition"], health["reasons"]) == ("ok", old, [])


def test_at_the_start_the_newest_intact_edition_stands_in(site: Site) -> None:
    oldest = publish_edition(site.home, NOON - timedelta(days=1), LISTS_OF_THE_SITE[:1])
    middle = publish_edition(site.home)
    damaged = publish_other_edition(site.home)
    damage(site.home, damaged)

    health = site.health()
    assert (health["status"], health["edition"]) == ("degraded", middle)
    assert health["reasons"][0].startswith(f"edition {damaged} is damaged")
    assert health["reasons"][1] == f"edition {middle} is served instead"
    assert site.related_to_bread() == BEFORE

    damage(site.home, middle)
    site.restart()
    assert site.health()["edition"] == oldest


def test_an_edition_that_was_stepped_back_from_does_not_stand_in(site: Site) -> None:
    old = publish_edition(site.home)
    publish_other_edition(site.home)
    make_current(site.home, old)
    damage(site.home, old)

    assert site.health()["status"] == "no_edition"


def test_at_the_start_without_an_intact_edition_there_is_none(site: Site) -> None:
    damage(site.home, publish_edition(site.home))

    health = site.health()

    assert health["status"] == "no_edition"
    assert "is damaged" in health["reasons"][0]
    assert site.client.get("/v1/articles/bread/related").status_code == 503


def test_a_lost_or_senseless_pointer_leaves_the_edition_in_place(site: Site) -> None:
    edition = publish_edition(site.home)
    site.related_to_bread()

    current = site.home / "current"
    for lost in (False, True):
        current.unlink() if lost else current.write_bytes(b"\xff\xfe")
        assert (site.health()["status"], site.health()["edition"]) == ("degraded", edition)
        assert site.related_to_bread() == BEFORE
    site.restart()
    assert (site.health()["status"], site.health()["edition"]) == ("degraded", edition)


def test_a_mended_edition_is_taken_up_within_a_minute(site: Site) -> None:
    publish_edition(site.home)
    new = publish_other_edition(site.home)
    lists = site.home / "editions" / new / LISTS
    intact = lists.read_bytes()
    damage(site.home, new)
    assert site.health()["status"] == "degraded"

    lists.write_bytes(intact)
    site.clock.advance(seconds=58)
    assert site.health()["status"] == "degraded"

    health = site.health()
    assert (health["status"], health["edition"]) == ("ok", new)


def test_a_clock_set_back_does_not_stop_the_looks(site: Site) -> None:
    publish_edition(site.home)
    assert site.related_to_bread() == BEFORE

    publish_other_edition(site.home)
    site.clock.advance(days=-1)

    assert site.related_to_bread() == AFTER


def test_nothing_is_opened_while_nothing_changes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    edition = publish_edition(site.home)
    opened = record_openings(monkeypatch)

    for _ in range(5):
        site.health()
    make_current(site.home, edition)  # published again: the same one
    site.health()

    assert opened == [edition]


def test_the_others_are_answered_from_the_old_edition_while_one_opens_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, clock = publish_edition(tmp_path), Clock()
    live = LiveEdition(Settings(tmp_path), clock)
    live.view()
    new = publish_other_edition(tmp_path)
    clock.advance(seconds=1)
    opening, may_go_on = pause_openings(monkeypatch)

    opener = Thread(target=live.view)
    opener.start()
    assert opening.wait(10)
    assert live.edition().id == old
    may_go_on.set()
    opener.join(10)

    assert live.edition().id == new


def test_the_first_requests_wait_for_the_edition_and_open_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edition = publish_edition(tmp_path)
    live = LiveEdition(Settings(tmp_path), Clock())
    opening, may_go_on = pause_openings(monkeypatch)
    seen: list[View] = []

    threads = [Thread(target=lambda: seen.append(live.view())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert opening.wait(10)
    assert seen == []
    may_go_on.set()
    for thread in threads:
        thread.join(10)

    assert [view.edition and view.edition.id for view in seen] == [edition] * 4
    assert len({id(view.edition) for view in seen}) == 1


def test_the_service_opens_the_edition_as_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edition = publish_edition(tmp_path)
    opened = record_openings(monkeypatch)

    with TestClient(create_app(Settings(home=tmp_path))):
        assert opened == [edition]


def test_a_service_without_an_edition_starts(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(home=tmp_path / "nowhere"))) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503


def record_openings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the editions opened from now on."""
    opened: list[str] = []

    def record(home: Path, ident: str, quickly: bool = False) -> Edition:
        opened.append(ident)
        return open_edition(home, ident, quickly)

    monkeypatch.setattr(store, "open_edition", record)
    return opened


def pause_openings(monkeypatch: pytest.MonkeyPatch) -> tuple[Event, Event]:
    """An event that is set when an edition is being opened, and one that lets it go on."""
    opening, may_go_on = Event(), Event()

    def pause(home: Path, ident: str, quickly: bool = False) -> Edition:
        opening.set()
        assert may_go_on.wait(10)
        return open_edition(home, ident, quickly)

    monkeypatch.setattr(store, "open_edition", pause)
    return opening, may_go_on
