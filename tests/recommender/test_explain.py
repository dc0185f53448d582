"""Why an item stands in an essay's list, or why it does not: on a site so small that its scores are made by hand."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.why import Judge, all_pairs, fault_of
from corpus.errors import EncoderError, RelatedArticlesError, UnknownEssay
from corpus.essay import Essay
from corpus.records import essay_to_record
from embeddings.cache import PLACE
from recommender import candidates, neighbourhood
from recommender.candidates import CandidateFinder
from recommender.edition import Edition, open_current
from recommender.explain import (
    Explainer,
    Explanation,
    PassagePair,
    SignalShare,
    account_for,
    explain_pair,
    find_item,
    reading_passages,
)
from recommender.job import BuildOptions, build
from recommender.material import Material
from recommender.model import DEFAULT, Model, probability
from recommender.ranking import Rules
from recommender.signals import RELATIVE, SIGNALS, spread_of
from tests.fakes import CountingEncoder
from tests.recommender.sites import random_lists, random_site

OVEN = ("Bread of sour rye rises over hot stones.", "The clock tells when a sour rye loaf is ready to be sold.")
HOUR = ("A map hangs on every wall of the house we lived in.", "That clock strikes for the sour rye loaf.")
SITE = [
    {"id": "hour", "title": "The hour", "category": "Time", "url": "https://a.test/hour/", "body": "\n\n".join(HOUR)},
    {
        "id": "oven",
        "title": "Hot bread",
        "category": "Food",
        "body": "\n\n".join(OVEN),
        "related": ["hour"],
        "blurbs": [{"text": "How a quern was dressed for rye bread.", "category": "Food", "url": "https://a.test/q"}],
    },
    {"id": "oven-again", "title": "The same oven", "category": "Food", "body": "\n\n".join(OVEN)},
    {"id": "river", "title": "The bridge", "category": "Time", "body": "A bridge. A bridge."},
]
BLURB = "blurb:"
EXAMPLES = Path(__file__).parents[2] / "examples"


class Home:
    """A home with an edition of the site, and how pairs of it are explained."""

    def __init__(self, folder: Path, encoder: CountingEncoder, lists: Mapping[str, list[str]] | None = None) -> None:
        self.path, self.encoder = folder / "home", encoder
        pages = [page | ({"related": lists[page["id"]]} if lists and page["id"] in lists else {}) for page in SITE]
        folder.mkdir(exist_ok=True)
        (folder / "site.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages), encoding="utf-8")
        build([folder / "site.jsonl"], self.path, encoder, BuildOptions())
        self.edition = open_current(self.path)
        self.blurb = next(ident for ident in self.edition.items if ident.startswith(BLURB))

    def why(self, source: str, target: str, rules: Rules | None = None) -> Explanation:
        """The explanation of a pair, with passages from the cache."""
        with reading_passages(self.edition, self.encoder, self.path / PLACE) as passages_of:
            return explain_pair(self.edition, source, target, passages_of, rules or Rules())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One for all tests that change nothing."""
    return Home(tmp_path_factory.mktemp("explained"), CountingEncoder())


def nothing_of(essay: Essay) -> tuple[list[str], np.ndarray]:
    """Passages that nobody asked for."""
    return [], np.zeros((0, 5), np.float32)


# --- Where it stands ----------------------------------------------------------------------------------------------


def test_a_listed_essay_stands_at_its_rank_and_is_said_to_be_listed(home: Home) -> None:
    found = home.why("oven", "hour")
    assert found.standing == f"at rank 1, listed by the editors, with a score of {found.editors:.3f}"
    assert found.listed
    assert (found.source.id, found.target.id, found.profile) == ("oven", "hour", "editors")


def test_what_a_rule_keeps_out_is_explained_all_the_same(home: Home) -> None:
    twin = home.why("oven", "oven-again")
    assert twin.standing == "a near-duplicate of oven"
    assert not twin.listed
    assert twin.editors > home.why("oven", "river").editors
    strict = home.why("oven", "river", Rules(min_score=0.9))
    assert strict.standing == f"its score {strict.editors:.3f} is under 0.900"


def test_an_essay_that_is_no_candidate_is_explained(
    tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbourhood, "CANDIDATES", 1)
    monkeypatch.setattr(neighbourhood, "DEPTH", 1)
    home = Home(tmp_path, encoder)
    found = home.why("river", "oven")
    assert [c.id for c in home.edition.lists("river").candidates] == ["hour"]
    assert found.standing == "not among its 1 candidate"
    assert 0 < found.editors < 0.5
    assert "meaning" in [share.signal for share in found.account.signals]


def test_the_essay_itself_is_refused(home: Home) -> None:
    with pytest.raises(RelatedArticlesError, match=r"^oven is the essay itself: name another one"):
        home.why("oven", "oven")


def test_an_unknown_essay_is_refused_on_either_side(home: Home) -> None:
    with pytest.raises(UnknownEssay, match="no essay or blurb 'nowhere' in edition"):
        home.why("oven", "nowhere")
    with pytest.raises(UnknownEssay, match="no essay 'nowhere' in edition"):
        home.why("nowhere", "oven")
    with pytest.raises(UnknownEssay, match="no essay 'blurb:"):
        home.why(home.blurb, "oven")


def test_an_item_is_found_by_its_id_or_its_url_blurbs_too(home: Home) -> None:
    asked = ("hour", "https://a.test/hour", "https://a.test/hour/#top", "https://a.test/q", home.blurb)
    assert [find_item(home.edition, one).id for one in asked] == ["hour", "hour", "hour", home.blurb, home.blurb]
    with pytest.raises(UnknownEssay, match=r"'https://a\.test/' in edition"):
        find_item(home.edition, "https://a.test/")


# --- What makes the score -----------------------------------------------------------------------------------------


def test_each_signal_is_told_with_its_plain_value_and_what_it_adds(home: Home) -> None:
    # A site of so few essays is set against typical figures.
    typical = spread_of({name: np.zeros((1, 3), np.float32) for name in RELATIVE}, own=[0])
    usual = {name: -mean / deviation for name, ((mean, deviation),) in typical.items()}
    found = home.why("oven", "river").account
    told = {share.signal: share for share in found.signals}
    assert told["meaning"] == SignalShare("meaning", "distant in meaning (0.00)", 0.0, told["meaning"].contribution)
    assert told["meaning"].contribution == pytest.approx(DEFAULT.weight_of("meaning") * usual["meaning"])
    assert told["names"].phrase == "this essay names 0% of its title"
    assert told["names"].contribution == pytest.approx(DEFAULT.weight_of("names") * usual["names"])
    assert "category" not in told, "it adds nothing"
    assert found.start == DEFAULT.intercept
    assert found.model == DEFAULT.name


def test_a_shared_category_is_told_as_such(home: Home) -> None:
    told = {share.signal: share for share in home.why("oven", "oven-again").account.signals}
    assert told["category"] == SignalShare("category", "same category", 1.0, DEFAULT.weight_of("category"))


def test_an_account_adds_up_to_the_score_of_its_profile(home: Home) -> None:
    for profile in ("editors", "meaning"):
        found = home.why("oven", "hour", Rules(profile=profile))
        assert found.profile == profile
        assert probability(np.array([found.account.logit]))[0] == pytest.approx(getattr(found, profile))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    """An edition of 48 essays that learned from their lists: they list one another in groups, whatever they say."""
    folder = tmp_path_factory.mktemp("taught")
    essays = random_site(48, seed=6).essays
    groups = [[essay.id for essay in essays[row % 12 :: 12] if essay.id != essays[row].id] for row in range(48)]
    pages = [replace(essay, related=tuple(group)) for essay, group in zip(essays, groups, strict=True)]
    (folder / "site.jsonl").write_text(
        "".join(json.dumps(essay_to_record(page)) + "\n" for page in pages), encoding="utf-8"
    )
    build([folder / "site.jsonl"], folder / "home", CountingEncoder(), BuildOptions())
    edition = open_current(folder / "home")
    assert edition.manifest["lesson"]["used"]
    return edition


def test_what_is_explained_is_what_the_edition_says(taught: Edition) -> None:
    for candidate in taught.lists("013").candidates[::5]:
        found = explain_pair(taught, "013", candidate.id, nothing_of)
        assert (found.editors, found.meaning) == pytest.approx((candidate.editors, candidate.meaning), abs=1e-5)
        assert probability(np.array([found.account.logit]))[0] == pytest.approx(found.editors)
        values = {share.signal: share.value for share in found.account.signals}
        assert {s: values[s] for s, _ in candidate.reasons} == pytest.approx(dict(candidate.reasons), abs=5.1e-4)
    assert found.account.model == "learned, for pages that lists name"


def test_the_pages_own_limit_says_where_its_list_ends(taught: Edition) -> None:
    last = taught.lists("013").candidates[-1]
    found = explain_pair(taught, "013", last.id, nothing_of, Rules(limit=40))
    assert found.standing.endswith(f"with a score of {last.editors:.3f}, below the list's end at 3")


def test_the_meaning_profile_is_told_by_the_texts_alone(taught: Edition) -> None:
    editors, meaning = (
        explain_pair(taught, "013", "025", nothing_of, Rules(profile=name)) for name in ("editors", "meaning")
    )
    told = {share.signal: share.phrase for share in editors.account.signals}
    assert told["lists_back"] == "it lists this essay"
    assert told["co_listed"] == "listed beside this essay 2 times"
    assert "lists_back" not in {share.signal for share in meaning.account.signals}
    assert meaning.account.model == DEFAULT.name
    assert (editors.editors, editors.meaning) == (meaning.editors, meaning.meaning)
    assert editors.editors > editors.meaning


def test_what_an_essay_lists_itself_does_not_move_its_scores(tmp_path: Path) -> None:
    one, two = (
        Home(folder, CountingEncoder(), lists)
        for folder, lists in ((tmp_path / "1", {}), (tmp_path / "2", {"oven": ["hour", "river"]}))
    )
    assert one.why("oven", "river").account == two.why("oven", "river").account
    assert not one.why("oven", "river").listed
    assert two.why("oven", "river").listed


def test_texts_that_nobody_can_read_have_no_closest_passages(taught: Edition) -> None:
    assert explain_pair(taught, "013", "017", nothing_of).closest is None


def test_an_account_names_what_counts_largest_first_and_sums_up_the_rest() -> None:
    weights = {"meaning": 2.0, "wording": -3.0, "author": 0.004, "links": 0.005, "category": 0.01}
    model = replace(Model.plain("by hand", weights, -1.0), curve=((-2.0, -1.0), (2.0, 5.0)))
    values = np.zeros((1, len(SIGNALS)), dtype=np.float32)
    for signal, value in {"meaning": 0.5, "wording": 0.5, "author": 1, "links": 1, "category": 1}.items():
        values[0, SIGNALS.index(signal)] = value

    found = account_for(model, values, values[0])

    assert [(share.signal, share.contribution) for share in found.signals] == [
        ("wording", -1.5),
        ("meaning", 1.0),
        ("category", 0.01),
    ]
    assert found.rest == pytest.approx(0.009)
    # The curve makes of -1 (the intercept) 0.5, and of -1.481 (all together) -0.2215; both tilted by a thousandth.
    assert found.start == pytest.approx(0.5 - 0.001)
    assert found.logit == pytest.approx(-0.2215 - 0.001481)


def test_an_absent_signal_is_not_said_to_be_there() -> None:
    model = Model.plain("by hand", {"category": -1.0, "author": 1.0}, 0.0)
    model = replace(model, mean=tuple(0.5 for _ in SIGNALS))
    nothing = np.zeros((1, len(SIGNALS)), dtype=np.float32)
    assert account_for(model, nothing, nothing[0]).signals == (
        SignalShare("author", "another author, or none", 0.0, -0.5),
        SignalShare("category", "another category, or none", 0.0, 0.5),
    )


def test_one_essays_pairs_are_those_of_the_whole_site_to_the_last_bit() -> None:
    site = random_site(300, seed=4)
    finder = CandidateFinder(site.landscape, site.graph(random_lists(site, np.random.default_rng(4), 3)))
    whole = finder.of_site()
    for row in (0, 255, 256, 299):
        expected = whole.select(np.array([row]))
        found = finder.of_essay(row, expected.columns)
        assert found.columns.tolist() == expected.columns.tolist()
        assert found.values.tobytes() == expected.values.tobytes()
        assert (found.rows.tolist(), found.listed.tolist()) == ([row], expected.listed.tolist())


def test_counts_are_told_as_counts() -> None:
    site = random_site(20, seed=5)
    graph = site.graph({"000": ["001", "002"], "003": ["001", "002"], "004": ["001"]})
    pairs = CandidateFinder(site.landscape, graph).of_essay(2, np.array([1]))
    plain = dict(zip(SIGNALS, pairs.plain_values(0)[0].tolist(), strict=True))
    assert (plain["popularity"], plain["co_listed"]) == pytest.approx((3, 2))


def test_the_products_that_are_kept_are_bounded_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    site = random_site(30, seed=4)
    finder = CandidateFinder(site.landscape, site.graph(random_lists(site, np.random.default_rng(4), 3)))
    monkeypatch.setattr(candidates, "CHUNK", 10)
    whole = finder.of_site()
    monkeypatch.setattr(candidates, "KEPT", 2 * 3 * 10 * 30 * 4)  # two runs of three products

    for row in (5, 15, 6, 25, 4, 16, 26):
        found = finder.of_essay(row, whole.select(np.array([row])).columns)
        assert found.values.tobytes() == whole.select(np.array([row])).values.tobytes()
        assert len(finder._products) <= 2

    assert sorted(start for start, _stop in finder._products) == [10, 20], "those asked for last"


def test_what_pairs_have_in_common_is_read_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(home.edition, nothing_of)
    pairs = [("oven", "hour"), ("hour", "oven"), ("oven", home.blurb), ("oven", "hour")]
    expected = [explain_pair(home.edition, *pair, nothing_of) for pair in pairs]
    monkeypatch.setattr(Material, "load", None)
    assert [explainer.explain(*pair) for pair in pairs] == expected


def test_somebody_who_knows_more_says_where_it_stands(home: Home) -> None:
    explainer = Explainer(home.edition, nothing_of)
    assert explainer.explain("oven", "hour", standing="at rank 2, pinned").standing == "at rank 2, pinned"
    assert explainer.explain("oven", "hour").standing.startswith("at rank 1, listed by the editors")


def test_every_pair_of_the_demo_is_explained_rightly(tmp_path: Path) -> None:
    build([EXAMPLES], tmp_path, CountingEncoder(), BuildOptions())
    edition = open_current(tmp_path)
    pairs = all_pairs(edition)
    essays, items = edition.manifest["counts"]["essays"], len(edition.items)
    assert items > essays > 40
    assert len(pairs) == essays * (items - 1)

    with reading_passages(edition, CountingEncoder(), tmp_path / PLACE) as passages_of:
        judge = Judge(edition, Explainer(edition, passages_of), Rules())
        for source, target in pairs:
            judge.judge(source, target)

    assert judge.outcome.wrong == []
    assert len(judge.outcome.seconds) == len(pairs)


def test_an_explanation_that_is_wrong_is_found_out(home: Home) -> None:
    right = home.why("oven", "hour")
    assert fault_of(right, 1) is None
    assert "its rank is 2" in str(fault_of(right, 2))
    assert "its rank is None" in str(fault_of(right, None))
    assert "it is said to stand ''" in str(fault_of(replace(right, standing=""), None))
    assert "the account adds up to" in str(fault_of(replace(right, editors=right.editors + 2e-6), 1))


# --- Blurbs -------------------------------------------------------------------------------------------------------


def test_a_blurb_is_explained_by_its_text_alone(home: Home) -> None:
    found = home.why("oven", home.blurb)
    assert found.standing == "no page stands behind this blurb"
    assert found.listed
    told = {share.signal: share.value for share in found.account.signals}
    assert told["category"] == 1.0
    assert told["meaning"] == pytest.approx(0.967538, abs=1e-6)  # bread; (2 bread + (bread + clock) / sqrt(2))
    candidate = home.edition.lists("oven").curated[0]
    assert (candidate.id, candidate.editors) == (home.blurb, pytest.approx(found.editors, abs=1e-5))
    assert found.editors == found.meaning
    assert found.closest == PassagePair(
        "Bread of sour rye rises over hot stones.", "How a quern was dressed for rye bread.", 1
    )
    assert found.terms == ("bread", "rye")


def test_a_blurb_that_is_asked_for_stands_in_the_list(home: Home) -> None:
    found = home.why("oven", home.blurb, Rules(unlinked=True))
    assert found.standing == f"at rank 1, listed by the editors, with a score of {found.editors:.3f}"


# --- Passages and terms -------------------------------------------------------------------------------------------


def test_the_closest_passages_and_the_shared_terms_are_told(home: Home) -> None:
    found = home.why("oven", "hour")
    assert found.closest == PassagePair(OVEN[1], HOUR[1], 1.0)
    assert found.terms == ("sour rye", "clock", "rye loaf")


def test_texts_without_anything_in_common_share_no_terms(home: Home) -> None:
    found = home.why("oven", "river")
    assert found.terms == ()
    assert found.closest == PassagePair(OVEN[0], "A bridge. A bridge.", 0.0)


def test_passages_come_from_the_cache_and_what_it_lacks_is_encoded_once(
    tmp_path: Path, encoder: CountingEncoder
) -> None:
    home = Home(tmp_path, encoder)
    calls = encoder.calls
    expected = home.why("oven", "hour")
    assert encoder.calls == calls
    (home.path / PLACE).unlink()
    home.encoder.texts = []
    assert home.why("oven", "hour") == expected
    assert {*OVEN, *HOUR} <= set(home.encoder.texts)
    home.encoder.texts = []
    assert home.why("oven", "hour") == expected
    assert home.encoder.texts == []


def test_an_edition_of_another_encoder_is_refused(home: Home) -> None:
    other = CountingEncoder(fingerprint="axes@2")
    with (
        pytest.raises(EncoderError, match=r"was built with axes@1, but the model now is axes@2: run `related build`"),
        reading_passages(home.edition, other, home.path / PLACE),
    ):
        pass
