"""Related articles for a text that is not published."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from corpus.errors import EditionError, EncoderError, RelatedArticlesError, SourceNotFound
from corpus.essay import Block, Essay
from corpus.sources import PageOptions
from recommender import drafts
from recommender.drafts import DraftReader, parse_draft, read_draft
from recommender.edition import Edition, open_current
from recommender.job import BuildOptions, build
from recommender.learning import UNTAUGHT, Lesson
from recommender.material import Material
from recommender.model import DEFAULT, Model
from recommender.ranking import Ranking, Rules
from tests.fakes import CountingEncoder, essay
from tests.recommender.test_job import write_site, write_teaching_site

NOTHING = BytesIO()
WORDS = " ".join(f"word2of{i}" for i in range(40))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pages, three on each subject; each lists the other two of its own."""
    return write_site(tmp_path_factory.mktemp("drafts") / "site")


@pytest.fixture(scope="module")
def edition(site: Path) -> Edition:
    """Of those pages."""
    build([site], site.parent / "home", CountingEncoder(), BuildOptions())
    return open_current(site.parent / "home")


def draft(body: str = "A map of the coast.", ident: str = "draft", **fields: object) -> Essay:
    return essay(ident, body, **fields)


def suggest(text: Essay, edition: Edition, encoder: CountingEncoder, k: int) -> Ranking:
    return DraftReader(edition, encoder).suggest(text, Rules(limit=k))


def suggested(edition: Edition, text: Essay, k: int = 50) -> list[str]:
    return [place.target for place in suggest(text, edition, CountingEncoder(), k).recommendations]


# --- Suggestions --------------------------------------------------------------------------------------------------


def test_a_draft_gets_the_essays_of_its_subject_first(edition: Edition) -> None:
    found = suggest(draft(), edition, CountingEncoder(), 3)

    assert {place.target for place in found.recommendations} == {"page-002", "page-006", "page-010"}
    assert [place.position for place in found.recommendations] == [1, 2, 3]
    for place in found.recommendations:
        assert (place.source, place.origin) == ("draft", "model")
        assert 0 < place.score < 1
        assert place.reasons[0].startswith(("close in meaning", "title and standfirst", "akin in wording"))


def test_as_many_are_suggested_as_are_asked_for_and_there_are(edition: Edition) -> None:
    assert len(suggested(edition, draft(), 5)) == 5
    assert sorted(suggested(edition, draft())) == [f"page-{n:03}" for n in range(12)]


def test_a_draft_is_never_sent_to_its_own_text(edition: Edition, site: Path, tmp_path: Path) -> None:
    page = (site / "page-002.txt").read_text(encoding="utf-8")
    copy = tmp_path / "copy.txt"
    copy.write_text(page.replace("Essay number 2", "A new name").replace("long", "rather long"), encoding="utf-8")

    found = suggest(read_draft(str(copy), NOTHING, PageOptions()), edition, CountingEncoder(), 3)

    assert [(d.target, d.reason) for d in found.dropped] == [("page-002", "a near-duplicate of copy")]
    assert {place.target for place in found.recommendations[:2]} == {"page-006", "page-010"}


def test_a_draft_with_the_id_of_an_essay_is_its_next_version_and_never_sent_to_it(edition: Edition) -> None:
    rewritten = draft("Nothing but a bridge and another bridge.", ident="page-002")

    found = suggest(rewritten, edition, CountingEncoder(), 50)

    assert "page-002" not in {place.target for place in found.recommendations}
    assert len(found.recommendations) == 11
    assert found.dropped == ()


def test_of_two_copies_that_are_published_one_is_suggested(tmp_path: Path) -> None:
    more = write_site(tmp_path / "site")
    (more / "reprint.txt").write_bytes((more / "page-002.txt").read_bytes())
    build([more], tmp_path / "home", CountingEncoder(), BuildOptions())

    found = suggested(open_current(tmp_path / "home"), draft())

    assert len({"page-002", "reprint"} & set(found)) == 1
    assert len(found) == 12


def test_a_draft_changes_nothing_of_the_edition(edition: Edition) -> None:
    items, before = dict(edition.items), suggested(edition, draft())

    suggested(edition, draft(f"The map of number 2 stands here. {WORDS}"))

    assert edition.items == items
    assert suggested(edition, draft()) == before


@pytest.mark.parametrize(
    "text",
    [draft("…"), draft("Words that no page has."), Essay("draft", blocks=(Block("paragraph", "of the and"),))],
    ids=["no word", "unknown words", "stop words"],
)
def test_a_draft_that_says_nothing_known_gets_a_list_all_the_same(edition: Edition, text: Essay) -> None:
    assert len(suggested(edition, text)) == 12


def test_only_the_texts_of_the_draft_are_encoded(edition: Edition) -> None:
    encoder = CountingEncoder()

    suggest(draft("A map.", title="Of maps", standfirst="What they show."), edition, encoder, 3)

    assert encoder.texts == ["Of maps. What they show.", "A map."]


def test_another_encoder_is_refused_before_anything_is_encoded(edition: Edition) -> None:
    other = CountingEncoder(fingerprint="axes@2")

    with pytest.raises(EncoderError, match=r"was built with axes@1, but the model now is axes@2: run `related build`"):
        suggest(draft(), edition, other, 3)
    assert other.calls == 0


def test_the_edition_is_read_once_for_any_number_of_drafts(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = Material.load
    monkeypatch.setattr(Material, "load", lambda read: loaded.append(read.id) or load(read))

    reader = DraftReader(edition, CountingEncoder())
    first = reader.suggest(draft(), Rules(limit=3))
    reader.suggest(draft("A bridge.", ident="page-001"), Rules())

    assert reader.suggest(draft(), Rules(limit=3)) == first
    assert loaded == [edition.id]


def test_a_reader_of_a_damaged_edition_is_not_made(tmp_path: Path) -> None:
    build([write_site(tmp_path / "site")], tmp_path / "home", CountingEncoder(), BuildOptions())
    damaged = open_current(tmp_path / "home")
    path = damaged.folder / "vectors.npz"
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(EditionError, match=r"vectors.npz is not what was written"):
        DraftReader(damaged, CountingEncoder())


def test_the_rules_of_a_list_hold_for_a_draft(edition: Edition) -> None:
    reader = DraftReader(edition, CountingEncoder())

    def found(**rules: object) -> list[str]:
        ranking = reader.suggest(draft(published=date(2025, 6, 1)), Rules(**rules))  # type: ignore[arg-type]
        return [place.target for place in ranking.recommendations]

    best = found(limit=1)[0]
    assert best not in found(exclude=frozenset({best}))
    assert found(min_score=0.999) == []
    assert found(category="No such category") == []
    assert found(at_least=13) == []


def test_by_meaning_alone_the_best_by_meaning_are_suggested(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "CANDIDATES", 3)
    clocks = with_lesson(edition, new=favouring("meaning", -1.0), listed=favouring("meaning", -1.0))
    reader = DraftReader(clocks, CountingEncoder())

    by_meaning = reader.suggest(draft(), Rules(profile="meaning", limit=3)).recommendations
    by_editors = reader.suggest(draft(), Rules(limit=3)).recommendations

    assert {place.target for place in by_meaning} == {"page-002", "page-006", "page-010"}
    assert not {place.target for place in by_editors} & {"page-002", "page-006", "page-010"}


# --- By which model -----------------------------------------------------------------------------------------------


def favouring(signal: str, weight: float = 1.0) -> Model:
    return Model.plain(signal, {signal: weight}, 0.0)


@pytest.fixture
def taught(tmp_path: Path) -> Edition:
    """Sixty essays whose lists follow groups that no text tells of."""
    build([write_teaching_site(tmp_path / "site.jsonl")], tmp_path / "home", CountingEncoder(), BuildOptions())
    return open_current(tmp_path / "home")


def with_lesson(edition: Edition, **models: Model) -> Edition:
    """The same edition, as if its lists had taught these."""
    lesson = replace(Lesson.from_json(edition.manifest["lesson"]), **models)  # type: ignore[arg-type]
    return Edition(edition.folder, {**edition.manifest, "lesson": lesson.to_json()})


def test_a_draft_is_scored_by_what_the_lists_taught_of_new_pages(edition: Edition) -> None:
    clocks = with_lesson(
        edition, new=favouring("meaning", -1.0), listed=favouring("meaning"), texts=favouring("meaning")
    )

    assert not {"page-002", "page-006", "page-010"} & set(suggested(clocks, draft(), 9))
    assert {"page-002", "page-006", "page-010"} == set(suggested(with_lesson(clocks, new=DEFAULT), draft(), 3))


def test_the_next_version_of_an_essay_that_lists_name_is_scored_as_such(edition: Edition) -> None:
    next_version, named_by = draft(ident="page-002"), {"page-006", "page-010"}  # they list page-002
    to_them, from_them = favouring("lists_back"), favouring("lists_back", -1.0)

    assert set(suggested(with_lesson(edition, listed=to_them, new=from_them), next_version, 2)) == named_by
    assert not named_by & set(suggested(with_lesson(edition, listed=from_them, new=to_them), next_version, 9))


def test_what_was_learned_is_used_and_a_draft_has_no_links_here(taught: Edition) -> None:
    text = draft("barak barem dunid.")
    untaught = with_lesson(taught, listed=UNTAUGHT.listed, new=UNTAUGHT.new)
    assert Lesson.from_json(taught.manifest["lesson"]).used

    found = suggest(text, taught, CountingEncoder(), 12).recommendations

    reasons = "; ".join(reason for place in found for reason in place.reasons)
    assert "it lists this essay" not in reasons
    assert "listed beside this essay" not in reasons
    by_texts = suggest(text, untaught, CountingEncoder(), 12).recommendations
    assert [place.score for place in found] != [place.score for place in by_texts]


# --- Reading a draft ----------------------------------------------------------------------------------------------


def read(text: str | bytes, max_page_bytes: int = 1000) -> Essay:
    data = text.encode() if isinstance(text, str) else text
    return read_draft("-", BytesIO(data), PageOptions(max_page_bytes=max_page_bytes))


def test_plain_text_on_standard_input_is_a_title_and_a_body() -> None:
    found = read("Of maps\nA map of the coast, and what it leaves out, and why it does.\nAnother line of the text.\n")

    assert found.title == "Of maps"
    assert "A map of the coast" in found.body
    assert found.id == "the draft"


def test_text_that_is_no_page_is_all_body() -> None:
    found = read("just some words")

    assert (found.title, found.body) == (None, "just some words")


def test_with_a_title_of_its_own_a_draft_is_all_body() -> None:
    found = parse_draft("Published May 1, 2024\r\n\n  A map. \nRelated Articles\nAnother.", title="Of maps")

    assert (found.title, found.standfirst, found.published, found.blurbs) == ("Of maps", None, None, ())
    assert [block.text for block in found.blocks] == ["Published May 1, 2024", "A map.", "Related Articles", "Another."]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the page is empty"),
        (b"\x00\x01", "binary data, not text"),
        ("x" * 1001, "more than 1,000 bytes (setting max_page_bytes)"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(RelatedArticlesError) as refusal:
        read(text)
    assert str(refusal.value) == f"the draft on standard input cannot be read: {reason}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "holds 2 pages: name one page"),
        (lambda folder: folder / "empty.txt", "the draft cannot be read: "),
    ],
    ids=["folder", "empty"],
)
def test_a_file_that_is_not_one_page_is_refused(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / "pages").mkdir(exist_ok=True)
        (tmp_path / "pages" / name).write_text("Title\nA text about a map of the coast.\n")
    (tmp_path / "empty.txt").touch()
    path = make(tmp_path / "pages") if message.startswith("holds") else make(tmp_path)

    with pytest.raises(RelatedArticlesError, match=message):
        read_draft(str(path), NOTHING, PageOptions())


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        read_draft(str(tmp_path / "none.txt"), NOTHING, PageOptions())
