"""What an editor decides is in the very next answer of every road, and in no answer that it does not concern."""

import gzip
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from recommender.decision_log import DecisionLog
from recommender.decisions import LOG_FILE, Decision
from recommender.edition import current_id, open_current
from service.app import create_app
from service.keys import digest
from service.live_decisions import LiveDecisions
from service.ready import answers_of, prepare
from service.settings import Settings
from tests.recommender.decided import decide, undo
from tests.service.editions import ODD_IDS, Clock, publish_edition, publish_other_edition
from tests.service.posting import KEY, WITH_KEY, is_problem

BREAD = "/v1/articles/bread/related"
PAGES = ("bread", "rye", "salt", "sundial", "a,b", "麦/麵包")


class Site:
    """A service over a home, and an editor whose decisions another process would write."""

    def __init__(self, home: Path) -> None:
        publish_edition(home)
        self.home, self.clock = home, Clock()
        self.log = DecisionLog(home)
        self.start()

    def start(self, **settings: Any) -> None:
        settings = {"api_keys": (digest(KEY),), **settings}
        self.settings = Settings(home=self.home, **settings)
        app = create_app(self.settings, self.clock)
        self.live = app.state.live
        self.client = TestClient(app, raise_server_exceptions=False, headers=WITH_KEY)

    def decide(self, *entries: Decision) -> None:
        self.log.append(entries)

    def get(self, page: str = "bread", **parameters: Any) -> Response:
        return self.client.get(f"/v1/articles/{page}/related", params=parameters)

    def related(self, page: str = "bread", **parameters: Any) -> list[str]:
        return ids(self.get(page, **parameters))

    def by_batch(self, page: str = "bread") -> list[str]:
        (result,) = self.client.post("/v1/related/batch", json={"ids": [page]}).json()["results"]
        return [card["id"] for card in result["items"]]

    def by_html(self, page: str = "bread") -> str:
        return self.client.get(f"/v1/articles/{page}/related.html").text

    def etags(self) -> dict[str, str]:
        return {page: self.get(page).headers["etag"] for page in PAGES}

    def reasons(self) -> list[str]:
        self.clock.advance(seconds=1)
        found: list[str] = self.client.get("/healthz").json()["reasons"]
        return found


def ids(response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [card["id"] for card in response.json()["items"]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.log.close()


# --- At once ------------------------------------------------------------------------------------------------------


def test_an_exclusion_is_in_the_very_next_answer_of_every_road(site: Site) -> None:
    assert (site.related(), site.by_batch(), "On rye." in site.by_html()) == (["salt", "rye"], ["salt", "rye"], True)

    site.decide(decide("exclude", "bread", "rye"))
    assert site.related() == ["salt", "sundial"]
    site.decide(decide("exclude", "bread", "sundial"))
    assert site.by_batch() == ["salt"]
    site.decide(decide("exclude", "bread", "salt"))
    assert site.by_html() == ""
    by_url = site.client.get("/v1/articles/related", params={"url": "https://example.org/bread"})
    assert ids(by_url) == ids(site.get(limit=50)) == ids(site.get(include="unlinked", category="Time")) == []


def test_a_pin_a_boost_and_an_approval_are_too(site: Site) -> None:
    site.decide(decide("pin", "bread", "a,b", position=1))
    assert [(c["id"], c["origin"], c["reason"]) for c in site.get(limit=2).json()["items"]] == [
        ("a,b", "pinned", "pinned by the editors"),
        ("salt", "curated", "listed by the editors; distant in meaning (0.30); distant in wording (0.05)"),
    ]
    site.decide(decide("boost", "bread", "sundial", weight=10.0), undo(1))
    assert site.related(limit=3) == ["salt", "sundial", "rye"]
    site.decide(decide("approve", "bread", "100% rye?#crust: a+b&c=d"), decide("state", "bread", state="review"))
    assert site.related(limit=3) == ["salt", "100% rye?#crust: a+b&c=d"]


def test_an_undo_brings_back_the_etag_and_the_bytes_from_before(site: Site) -> None:
    roads = [f"/v1/articles/bread/related{form}" for form in ("", "?limit=7", ".html")]
    before = [site.client.get(road) for road in roads]

    site.decide(decide("exclude", "bread", "rye"))
    changed = [site.client.get(road) for road in roads]
    site.decide(undo(1))
    after = [site.client.get(road) for road in roads]

    for first, second, third in zip(before, changed, after, strict=True):
        assert first.headers["etag"] != second.headers["etag"]
        assert first.content != second.content
        assert (first.headers["etag"], first.content) == (third.headers["etag"], third.content)


def test_the_old_copy_of_a_page_that_was_decided_about_is_never_right(site: Site) -> None:
    held = {page: {"If-None-Match": etag} for page, etag in site.etags().items()}
    site.decide(decide("exclude", "bread", "rye"))

    status = {page: site.client.get(f"/v1/articles/{page}/related", headers=held[page]).status_code for page in PAGES}

    assert status == {**dict.fromkeys(PAGES, 304), "bread": 200}


@pytest.mark.parametrize(
    ("decision", "changed"),
    [
        (decide("exclude", None, "rye"), {"bread", "a,b", "麦/麵包"}),
        (decide("boost", None, "salt"), {"bread", "rye"}),
        (decide("bury", None, "blurb:quern"), {"bread"}),
        (decide("exclude", None, "nobody"), set()),
        (decide("exclude", "rye", "bread"), {"rye"}),
        (decide("state", "sundial", state="shadow"), {"sundial"}),
        (decide("review", "bread"), set()),
        (decide("stop"), set(PAGES)),
        (decide("follow", "bread", "bun"), set()),
    ],
    ids=lambda value: value.action if isinstance(value, Decision) else "",
)
def test_a_decision_changes_the_etags_of_the_pages_that_it_concerns(
    site: Site, decision: Decision, changed: set[str]
) -> None:
    before = site.etags()
    site.decide(decision)

    assert {page for page, etag in site.etags().items() if etag != before[page]} == changed


def test_what_ends_is_over_at_its_moment(site: Site) -> None:
    end = site.clock.time + timedelta(days=1)
    site.decide(decide("exclude", "bread", "rye", at=site.clock.time, expires=end))
    before = site.get().headers["etag"]

    site.clock.time = end - timedelta(microseconds=1)
    assert (site.related(), site.get().headers["etag"]) == (["salt", "sundial"], before)
    site.clock.time = end
    assert site.related() == ["salt", "rye"]
    assert site.get().headers["etag"] != before


def test_another_edition_keeps_what_was_decided(site: Site) -> None:
    site.decide(decide("exclude", "bread", "sundial"), decide("pin", "bread", "rye", position=1))
    assert site.related(limit=9) == ["rye", "salt"]

    publish_other_edition(site.home)
    site.clock.advance(seconds=1)

    assert site.get().json()["edition"]["id"] == current_id(site.home)
    assert site.related() == ["rye"]


def test_without_a_log_sqlalchemy_is_not_loaded(site: Site) -> None:
    """What every worker of a site without editors would pay for."""
    program = f"""
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import Settings
with TestClient(create_app(Settings(home=Path({str(site.home)!r})))) as client:
    print(client.get({BREAD!r}).status_code, 'sqlalchemy' in sys.modules, 'alembic' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "200 False False\n"


# --- Ready answers ------------------------------------------------------------------------------------------------


def caches(site: Site, *pages: str, **parameters: Any) -> list[str]:
    from service.asking import Asked
    from service.schemas import RelatedQuery

    asked = Asked.of(RelatedQuery(**parameters))
    return [site.live.replies().json(page, asked).cache for page in pages]


def test_of_ready_answers_those_of_pages_decided_about_are_passed_over_and_found_again(site: Site) -> None:
    prepare(site.home, answers_of(site.settings, open_current(site.home)))
    site.start()
    assert caches(site, "bread", "rye") == ["ready", "ready"]

    site.decide(decide("exclude", "bread", "rye"))
    assert caches(site, "bread", "rye") == ["computed", "ready"]
    assert caches(site, "bread", "rye", limit=3) == ["computed", "ready"]
    site.decide(undo(1))
    assert caches(site, "bread", "rye") == ["ready", "ready"]


def test_ready_answers_that_were_written_under_decisions_are_used(site: Site) -> None:
    site.decide(
        decide("exclude", "bread", "rye"), decide("state", "rye", state="curated"), decide("boost", None, "salt")
    )
    edition = open_current(site.home)
    prepare(site.home, answers_of(site.settings, edition))
    computed = {page: (site.get(page).content, site.get(page, limit=3).content) for page in PAGES}
    site.start()

    assert caches(site, *PAGES) == ["ready"] * len(PAGES)
    assert caches(site, *PAGES, limit=3) == ["ready"] * len(PAGES)
    assert {page: (site.get(page).content, site.get(page, limit=3).content) for page in PAGES} == computed
    gzipped = site.live.replies().json("bread", gzipped=True)
    assert (gzipped.cache, gzip.decompress(gzipped.body)) == ("ready", computed["bread"][0])
    site.decide(undo(1), undo(2), undo(3))
    assert caches(site, "bread", "rye", "sundial") == ["computed", "computed", "ready"]


# --- States and the A/B test --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("standard", ["salt", "rye"]),
        ("curated", ["salt"]),
        ("shadow", ["salt"]),
        ("review", ["salt"]),
        ("model", ["rye", "salt"]),
    ],
)
def test_the_setting_says_whose_list_a_page_shows_until_somebody_decides(
    site: Site, state: Any, expected: list[str]
) -> None:
    before = site.get().headers["etag"]
    site.start(page_state=state)
    assert site.related() == expected
    assert (site.get().headers["etag"] == before) == (state == "standard")

    site.decide(decide("state", "bread", state="model"))
    assert site.related() == ["rye", "salt"]
    site.decide(decide("stop"))
    assert site.related() == ["salt"]


def test_a_page_whose_state_is_decided_is_out_of_the_test(site: Site) -> None:
    site.start(variants=("curated:100",), page_state="model")
    assert (site.get().json()["variant"], site.related()) == ("curated", ["salt"])

    site.decide(decide("state", "bread", state="standard"))
    assert "variant" not in site.get().json()
    assert site.related() == ["salt", "rye"]
    assert site.get("rye").json()["variant"] == "curated"
    site.decide(undo(1), decide("stop"))
    assert ["variant" in site.get(page).json() for page in ("bread", "rye")] == [False, False]
    site.decide(undo(3))
    assert site.get().json()["variant"] == "curated"


# --- Examples and drafts ------------------------------------------------------------------------------------------


def test_examples_never_give_what_is_excluded_everywhere(site: Site) -> None:
    def like_bread(**more: Any) -> Response:
        return site.client.post("/v1/related", json={"positive": ["bread"], **more})

    before = like_bread()
    assert ids(before) == ["rye", "salt", "sundial"]
    site.decide(decide("exclude", None, "rye"), decide("exclude", "bread", "salt"))

    assert ids(like_bread()) == ["salt", "sundial"], "what is excluded on one page is for that page"
    assert ids(like_bread(exclude=["salt"])) == ["sundial"]
    assert like_bread().json()["recommendation_id"] != before.json()["recommendation_id"]
    site.decide(undo(1))
    assert like_bread().json() == before.json()


def test_drafts_are_asked_for_without_what_is_excluded_everywhere(site: Site) -> None:
    from recommender.ranking import Ranking, Rules

    asked: list[Rules] = []

    class Desk:
        async def suggest(self, text: str, title: str | None, edition: Any, rules: Rules) -> Ranking:
            asked.append(rules)
            return Ranking((), ())

    site.client.app.state.drafts = Desk()  # type: ignore[attr-defined]
    site.decide(decide("exclude", None, "rye"))
    answer = site.client.post("/v1/related", json={"text": "A draft.", "exclude": ["salt"]})

    assert ids(answer) == []
    assert asked[0].exclude == {"rye", "salt"}


# --- Damage -------------------------------------------------------------------------------------------------------


NONSENSE = b"no database at all, whatever" * 200


def settle(site: Site) -> Path:
    """Have all of the log in its one file; where that is."""
    site.log.close()
    with closing(sqlite3.connect(site.home / LOG_FILE)) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    return site.home / LOG_FILE


def test_a_log_that_is_damaged_at_the_start_is_a_503_and_healthz_says_so(site: Site) -> None:
    site.decide(decide("exclude", "bread", "rye"))
    path = settle(site)
    content = path.read_bytes()
    path.write_bytes(NONSENSE)
    site.start()

    for road in (BREAD, f"{BREAD}.html"):
        problem = is_problem(site.client.get(road), 503, "The editors' decisions cannot be read")
        assert problem["type"] == "tag:related-articles,2026:no-decisions"
        assert site.client.get(road).headers["retry-after"] == "60"
    assert is_problem(site.client.post("/v1/related/batch", json={"ids": ["rye"]}), 503, problem["title"])
    (reason,) = site.reasons()
    assert reason.startswith(f"the log of decisions {path} cannot be used (")

    path.write_bytes(content)
    assert site.related() == ["salt", "sundial"]
    assert site.reasons() == []


@pytest.mark.parametrize("how", ["replaced", "gone", "in its place"])
def test_a_log_that_is_damaged_later_leaves_what_was_read_in_force(site: Site, how: str) -> None:
    site.decide(decide("exclude", "bread", "rye"))
    assert site.related() == ["salt", "sundial"]
    path = settle(site)
    kept = path.read_bytes()
    if how != "in its place":
        path.rename(site.home / "aside")
    if how != "gone":
        path.write_bytes(NONSENSE)

    site.clock.advance(seconds=1)
    assert site.related() == ["salt", "sundial"]
    publish_other_edition(site.home)
    site.clock.advance(seconds=1)
    assert site.related() == ["sundial"]
    (reason,) = site.reasons()
    assert str(path) in reason
    assert reason.endswith("; what was read before is in force")

    if how == "in its place":
        path.write_bytes(kept)
    else:
        (site.home / "aside").replace(path)
    site.clock.advance(seconds=11)
    assert site.related() == ["sundial"]
    assert site.reasons() == []
    site.decide(decide("exclude", "bread", "sundial"))
    assert site.related() == []


def exclude_unread(site: Site, patch: pytest.MonkeyPatch) -> None:
    """Have something excluded while the log cannot be read."""
    from corpus.errors import DecisionLogError

    site.decide(decide("review", "bread"))
    assert site.related() == ["salt", "rye"]

    def fail(self: DecisionLog, last: int = 0) -> list[Decision]:
        raise DecisionLogError("the disk is away")

    with patch.context() as patched:
        patched.setattr(DecisionLog, "since", fail)
        site.decide(decide("exclude", "bread", "rye"))
        assert site.related() == ["salt", "rye"]
        assert site.reasons() == ["the disk is away; what was read before is in force"]


def test_a_reading_that_failed_is_tried_again_though_nothing_new_is_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclude_unread(site, monkeypatch)
    site.clock.advance(seconds=1)
    assert site.related() == ["salt", "rye"], "not again and again"
    site.clock.advance(seconds=10)
    assert site.related() == ["salt", "sundial"]
    assert site.reasons() == []


def test_a_clock_that_is_set_back_keeps_no_reading_from_being_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclude_unread(site, monkeypatch)
    site.clock.advance(hours=-2)
    assert site.related() == ["salt", "sundial"]


def test_a_copy_that_is_put_back_is_what_holds(site: Site) -> None:
    """Its next entry has an id that another one had, and is no other page's answer."""
    site.decide(decide("exclude", "bread", "salt"))
    with closing(sqlite3.connect(site.home / LOG_FILE)) as db, closing(sqlite3.connect(site.home / "copy")) as to:
        db.backup(to)
    site.decide(decide("exclude", "bread", "rye"))
    assert site.related() == ["sundial"]
    lost = site.get().headers["etag"]

    site.log.close()
    for rest in ("-wal", "-shm"):
        (site.home / f"{LOG_FILE}{rest}").unlink(missing_ok=True)
    (site.home / "copy").replace(site.home / LOG_FILE)
    site.clock.advance(seconds=1)
    assert site.related() == ["rye", "sundial"]
    site.decide(decide("exclude", "bread", "sundial"))
    assert site.related() == ["rye"]
    assert site.get().headers["etag"] != lost


def test_the_same_standing_is_given_while_nothing_changes(site: Site) -> None:
    live, edition = LiveDecisions(DecisionLog(site.home), site.clock), open_current(site.home)
    first = live.standing(edition)
    assert live.standing(edition) is first
    site.decide(decide("exclude", "bread", "rye"))
    second = live.standing(edition)
    assert second is not first
    assert live.standing(edition) is second
    site.clock.advance(days=99)
    assert live.standing(edition) is second, "nothing ends"
    assert live.standing(open_current(site.home)) is not second, "of another edition"


def test_what_is_excluded_everywhere_is_looked_up_once_an_edition(site: Site) -> None:
    live, edition, asked = LiveDecisions(DecisionLog(site.home), site.clock), open_current(site.home), list[str]()
    offered_in = edition.offered_in
    edition.offered_in = lambda ident: asked.append(ident) or offered_in(ident)  # type: ignore[method-assign]
    site.decide(decide("exclude", None, "rye"))
    live.standing(edition)
    site.decide(decide("exclude", None, "salt"))

    assert live.standing(edition).excluded_everywhere == {"rye", "salt"}
    assert asked == ["rye", "salt"]


def test_odd_ids_can_be_decided_about(site: Site) -> None:
    site.decide(*(decide("exclude", "rye", ident) for ident in ODD_IDS))

    assert site.related("rye") == ["bread", "salt"]
    assert json.loads(site.get("2024/05/naïve café").content)["items"] != []


def test_what_is_decided_after_a_copy_was_put_back_stands_in_the_copy(site: Site) -> None:
    """The one who writes has the old file open, as the desk has."""
    site.decide(decide("exclude", "bread", "rye"))
    path = settle(site)
    copy = path.read_bytes()
    site.decide(decide("exclude", "bread", "salt"))
    (site.home / "copy").write_bytes(copy)
    for left in site.home.glob(f"{LOG_FILE}-*"):
        left.unlink()
    (site.home / "copy").replace(path)

    site.decide(decide("exclude", "bread", "sundial"))
    site.clock.advance(seconds=1)

    assert [entry.target for entry in DecisionLog(site.home).since()] == ["rye", "sundial"]
    assert site.related() == ["salt"]


def test_a_service_that_never_could_read_the_log_is_not_ready(site: Site) -> None:
    assert site.client.get("/readyz").status_code == 200
    site.decide(decide("exclude", "bread", "rye"))
    settle(site).write_bytes(NONSENSE)
    site.start()

    assert site.get().status_code == 503
    assert site.client.get("/readyz").status_code == 503
    assert site.client.get("/healthz").status_code == 200
