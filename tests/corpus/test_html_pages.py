"""HTML pages -> essays. tests/corpus/golden/html has a folder a case: the page and the record expected of it."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from corpus.errors import SettingsError
from corpus.essay import Block, Blurb, Essay, PageRejected
from corpus.html_pages import parse_html_page
from corpus.page_parts import RELATED_HEADINGS, reading_minutes, split_off_date
from corpus.records import essay_to_record

GOLDEN = Path(__file__).parent / "golden" / "html"
ROOT = Path(__file__).parents[2]

FIRST = (
    "Every hour or half-hour, day and night, three people went to the stern of a sailing ship, one with a reel, one "
    "with a small glass, and one with a piece of wood that was weighted along its curved edge so as to float upright."
)
SECOND = (
    "The line ran off the reel through the seaman's fingers; when a piece of red rag went over the rail he cried out, "
    "and the glass was turned, and when the sand had run through it they held the rope and counted its knots."
)
THIRD = (
    "Nobody is sure where the word dead comes from in the name of the method, and the tale that it was once spelled "
    "deduced is younger than the method by three hundred years, which has not hindered anyone from telling it again."
)
BLURB_1 = "With a lump of tallow a pilot could bring up a pinch of sand and name the place it came from."
BLURB_2 = "Compare a well-made dial with a good watch and they will agree on only four days in the year."


def page(body: str, head: str = "", around: tuple[str, str] = ("<article>", "</article>")) -> str:
    """A page with this body in the middle of a site's usual furniture."""
    return (
        f"<html><head><title>T</title>{head}</head><body><nav><ul><li><a href='/'>Home</a></li></ul></nav>"
        f"{around[0]}{body}{around[1]}<footer><p>Printed weekly, all rights reserved.</p></footer></body></html>"
    )


def essay_with(related: str, where: str = "inside", selector: str | None = None) -> Essay:
    """A page of three paragraphs with this list inside of the article, in the middle of it, or after it."""
    parts = {
        "inside": page(f"<p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p>{related}", CANONICAL),
        "amid": page(f"<p>{FIRST}</p><p>{SECOND}</p>{related}<p>{THIRD}</p>", CANONICAL),
        "after": page(f"<p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p>", CANONICAL, ("<article>", f"</article>{related}")),
    }
    return parse(parts[where], selector)


CANONICAL = "<link rel='canonical' href='https://sea.example/log/'>"


def parse(text: str, selector: str | None = None) -> Essay:
    return parse_html_page(text, "log", "log.html", selector)


def texts(essay: Essay) -> list[str]:
    return [block.text for block in essay.blocks]


@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda case: case.name)
def test_a_page_becomes_the_record_beside_it(case: Path) -> None:
    given = case / "selector.txt"
    selector = given.read_text(encoding="utf-8").strip() if given.exists() else None

    essay = parse_html_page((case / "page.html").read_text("utf-8"), case.name, f"{case.name}/page.html", selector)

    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert {**essay_to_record(essay), "remarks": list(essay.remarks)} == expected


# --- body ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ("<p>On <time>July 5, 1784</time>, it cracked.</p>", ["On July 5, 1784, it cracked."]),
        ("<figure><blockquote><p>Trust nobody.</p></blockquote></figure>", ["Trust nobody."]),
        ("<p>* * *</p><p>Text.</p><p>* * *</p>", ["* * *", "Text.", "* * *"]),
        (f"<p>{FIRST}</p>", [FIRST]),
        ("<div><h3>Knots</h3></div><div><h4>Fathoms</h4></div>", ["Knots", "Fathoms"]),
        ("<section id='shared-memory'><h2>Memory</h2><p>It fades.</p></section>", ["Memory", "It fades."]),
        ("<ul><li>one</li><li>two<ul><li>three</li></ul></li></ul>", ["one", "two", "three"]),
        ("<ol><li><p>one</p><p>more of it</p></li></ol>", ["one", "more of it"]),
        ("<dl><dt>Log</dt><dd>A piece of wood.</dd></dl>", ["Log", "A piece of wood."]),
        ("<table><tr><th>knots</th><th>feet</th></tr><tr><td>1</td><td>47</td></tr></table>", ["knots feet", "1 47"]),
        ("<blockquote>Bare.</blockquote>", ["Bare."]),
        ("<pre><code>x = 1\ny = 2</code></pre>", ["x = 1 y = 2"]),
        ("<p>One<br>two<br><br>three</p>", ["One two", "three"]),
        ("<p>H<sub>2</sub>O, Hyper<b>link</b>ed, <i>a</i> <s>b</s></p>", ["H2O, Hyperlinked, a b"]),
        ("Loose <em>text</em> here.", ["Loose text here."]),
        ("<p>AT&amp;amp;T &lt;b&gt; caf&eacute;&nbsp;&#8212; x</p>", ["AT&amp;T <b> café — x"]),
        ("<p class='meta wide'>" + SECOND[:120] + "</p>", [SECOND[:120]]),
        ("<p>X</p>", ["X"]),
        ("Loose <div class='ad'>Buy!</div> and <b class='ad'>looser</b>", ["Loose", "and looser"]),
    ],
)
@pytest.mark.parametrize(
    "around",
    [("<article>", "</article>"), ("<div>", "</div>"), ("<main><form><div>", "</div></form></main>")],
    ids=["article", "div", "form"],
)
def test_an_essay_keeps_what_trafilatura_leaves_out(between: str, expected: list[str], around: tuple[str, str]) -> None:
    essay = parse(page(f"<p>{FIRST}</p>{between}<p>{SECOND}</p>", around=around))

    assert texts(essay) == [FIRST, *expected, SECOND]


@pytest.mark.parametrize(
    "between",
    [
        "<div class='share'><a href='/f'>Facebook</a> <a href='/x'>X</a></div>",
        "<p>Facebook X Reddit Email</p>",
        "<p>Facebook</p><p>X</p>",
        "<p>Share</p><p>Facebook</p><p>X</p>",
        f"<div class='author-bio'>{THIRD}</div>",
        "<p aria-hidden='true'>Not read out.</p><span class='caption'>A caption.</span>",
        "<ul><li>Facebook</li><li>X</li><li>Reddit</li></ul>",
        "<p>ADVERTISEMENT</p>",
        "<div class='ad-slot'><p>Buy a boat.</p></div>",
        "<div id='newsletter'><p>Sign up to our letter.</p></div>",
        "<aside><p>A pull quote.</p></aside>",
        "<p>RELATED: <a href='/soil'>The Map under the Field</a></p>",
        "<ul><li><a href='/a'>An essay on apples</a></li><li><a href='/b'>An essay on pears</a></li></ul>",
        "<figure><img src='x.png' alt='Alt'><figcaption>A caption.</figcaption></figure>",
        "<script>var x = '<p>y</p>';</script><style>p {}</style><noscript><p>No script.</p></noscript>",
        "<p style='display:none'>Not shown.</p><p hidden>Nor this.</p><!-- <p>Nor that.</p> -->",
        "<img src='data:image/png;base64,AAAABBBB'>",
    ],
)
def test_furniture_in_the_midst_of_an_essay_is_not_a_block(between: str) -> None:
    essay = parse(page(f"<p>{FIRST}</p>{between}<p>{SECOND}</p>"))

    assert texts(essay) == [FIRST, SECOND]


def test_a_short_essay_is_read_without_the_navigation_and_the_footer_around_it() -> None:
    essay = parse(page("<h2>Head</h2><p>Two lines.</p><p>No more.</p>", around=("<div>", "</div>")))

    assert essay.blocks == (Block("heading", "Head"), Block("paragraph", "Two lines."), Block("paragraph", "No more."))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>See <a href='/a'>this one</a>.</p><p><a href='/b'>Back</a></p>", ["See this one."]),
        ("<div>Our motto</div><article><p>Short.</p></article>", ["Short."]),
        ("<article></article><div>Our motto</div><main><p>Short.</p></main>", ["Short."]),
        ("<div>Our motto</div><div role='main'><p>Short.</p></div>", ["Short."]),
        ("<header><p>Our motto</p></header><p>Short.</p>", ["Short."]),
    ],
)
def test_a_short_essay_is_read_where_the_page_marks_its_place(body: str, expected: list[str]) -> None:
    assert texts(parse(f"<body>{body}</body>")) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"<div><h2>Head</h2></div><div><p>{FIRST}</p></div><p>{SECOND}</p>", ["Head", FIRST, SECOND]),
        (f"<p>{FIRST}</p><p>{SECOND}</p><div>Typeset by hand.</div><div>On paper.</div>", [FIRST, SECOND]),
        (f"<div>A site of essays.</div><p>{FIRST}</p><p>{SECOND}</p><p>X</p>", [FIRST, SECOND, "X"]),
        (f"<p>X</p><p>{FIRST}</p><p>{SECOND}</p>", ["X", FIRST, SECOND]),
        (f"<header><p>{THIRD}</p></header><p>{FIRST}</p><p>{SECOND}</p>", [FIRST, SECOND]),
        (
            f"<table><tr><td><a href='/'>Home</a><br><a href='/e'>Essays</a><td>{FIRST}<br><br>{SECOND}</table>",
            [FIRST, SECOND],
        ),
    ],
)
def test_an_essay_begins_and_ends_with_its_own_lines(body: str, expected: list[str]) -> None:
    assert texts(parse(f"<body>{body}</body>")) == expected


def test_a_page_of_very_many_elements_is_read_without_trafilatura(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("corpus.html_pages.MAX_ELEMENTS", 1_000)
    monkeypatch.setattr("trafilatura.bare_extraction", lambda *args, **options: calls.append(args))

    essay = parse(page(f"<p>{FIRST}</p><p>{'<b>x</b>' * 1_000}</p>"))

    assert (texts(essay), calls) == ([FIRST, "x" * 1_000], [])


def test_the_title_is_no_block_wherever_it_stands() -> None:
    essay = parse(page(f"<p>Photographs by Ann.</p><h1>The Log</h1><p>{FIRST}</p><h1>Part one</h1><p>{SECOND}</p>"))

    assert texts(essay) == ["Photographs by Ann.", FIRST, "Part one", SECOND]


def test_title_standfirst_and_byline_at_the_start_of_the_body_are_not_blocks() -> None:
    head = "<meta name='description' content='How fast it went.'><meta name='author' content='Ines Halloran'>"
    lines = "<p>How fast it went.</p><p>By Ines Halloran</p><p>July 5, 2025 · 3 min read</p><p>A log.</p>"

    essay = parse(page(f"<h1>The Log</h1>{lines}<p>{FIRST}</p><h2>The Log</h2><p>How fast it went.</p>", head))

    assert texts(essay) == ["A log.", FIRST, "The Log", "How fast it went."]
    assert (essay.title, essay.standfirst, essay.author) == ("The Log", "How fast it went.", "Ines Halloran")
    assert (essay.published, essay.reading_minutes) == (None, 3)


def test_an_essay_is_read_even_where_trafilatura_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'tag'")

    monkeypatch.setattr("trafilatura.bare_extraction", fail)

    essay = parse(page(f"<p>{FIRST}</p><p>{SECOND}</p>"))

    assert texts(essay) == [FIRST, SECOND]


def test_reading_a_page_writes_nothing_on_standard_error() -> None:
    code = (
        "from corpus.html_pages import *\n"
        "try: parse_html_page('<nav>a</nav>', 'a', 'a', None)\n"
        "except PageRejected as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == (f"{NO_PARAGRAPH}\n", "")


def test_the_module_does_not_load_trafilatura_before_a_page_is_read() -> None:
    code = "import sys, corpus.sources; print('trafilatura' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


# --- the curated list ------------------------------------------------------------------------------------------------

BOTH = (
    Blurb("log", 1, None, BLURB_1, date(2025, 7, 5), "https://sea.example/lead/", "The Lead"),
    Blurb("log", 2, None, BLURB_2, None, "https://sea.example/dial", "The Dial"),
)
LISTS = {
    "items": f"<h2>Related Articles</h2><ul><li><a href='/lead/'>The Lead</a><p>{BLURB_1}</p><time>July 5, 2025</time>"
    f"<li><a href='/dial#top'>The Dial</a><p>{BLURB_2}</p></ul>",
    "bold line": f"<p><b>Related:</b></p><ul><li><a href='/lead/'>The Lead</a> — {BLURB_1} (July 5, 2025)</li>"
    f"<li><a href='/dial'>The Dial</a>: {BLURB_2}</li></ul>",
    "bare bold": "<strong><em>See also</em></strong>"
    f"<ul><li><a href='/lead/'>The Lead</a><br>{BLURB_1}<br>July 5, 2025</li>"
    f"<li><a href='/dial'>The Dial</a><br>{BLURB_2}</li></ul>",
    "loose text": f"Further reading<ul><li><a href='/lead/'>The Lead</a><p>{BLURB_1}</p><p>July 5, 2025</p></li>"
    f"<li><a href='/dial'>The Dial</a><p>{BLURB_2}</p></li></ul>",
    "cards": "<section><header><h2>Read next</h2></header><div class='grid'>"
    f"<div class='card'><h3><a href='/lead/'>The Lead</a></h3><p>{BLURB_1}</p><p class='date'>July 5, 2025</p></div>"
    f"<div class='card'><h3><a href='/dial'>The Dial</a></h3><p class='author'>By X</p><p>{BLURB_2}</p></div></div>"
    "<a href='/all'>See all</a></section>",
    "cards with a button": f"<h2>Read next</h2><div class='c'><h2>The Lead</h2><p>{BLURB_1}</p><p>July 5, 2025</p>"
    "<a href='/lead/'>Read more</a></div>"
    f"<div class='c'><h2>The Dial</h2><p>{BLURB_2}</p><a href='/dial'>Read more</a></div>",
    "whole card a link": "<aside><h3>You may also like</h3>"
    f"<a href='/lead/'><h4>The Lead</h4><p>{BLURB_1}</p><time datetime='2025-07-05'>last week</time></a>"
    f"<a href='/dial'><div class='card-title'>The Dial</div><p>{BLURB_2}</p><span>4 min read</span></a></aside>",
    "flat": f"<h2>Related</h2><h3><a href='/lead/'>The Lead</a></h3><p>{BLURB_1}</p><p>July 5, 2025</p>"
    f"<h3><a href='/dial'>The Dial</a></h3><p>{BLURB_2}</p>",
    "definitions": f"<h2>Related</h2><dl><dt><a href='/lead/'>The Lead</a></dt><dd>{BLURB_1} (July 5, 2025)</dd>"
    f"<dt><a href='/dial'>The Dial</a></dt><dd>{BLURB_2}</dd></dl>",
    "details": f"<details><summary>Related posts</summary><ul><li><a href='/lead/'>The Lead</a><p>{BLURB_1}</p>"
    f"<time>July 5, 2025</time><li><a href='/dial'>The Dial</a><p>{BLURB_2}</p></ul></details>",
}


@pytest.mark.parametrize("where", ["inside", "amid", "after"])
@pytest.mark.parametrize("markup", LISTS.values(), ids=LISTS.keys())
def test_a_list_is_read_and_none_of_it_reaches_the_body(markup: str, where: str) -> None:
    essay = essay_with(markup, where)

    assert essay.blurbs == BOTH
    assert texts(essay) == [FIRST, SECOND, THIRD]
    assert (essay.links, essay.remarks) == ((), ())


@pytest.mark.parametrize("heading", RELATED_HEADINGS)
def test_each_heading_of_a_list_is_known_in_any_case_with_or_without_a_colon(heading: str) -> None:
    for form in (f"<h4>{heading.title()}:</h4>", f"<p><b> {heading.upper()} </b></p>"):
        essay = essay_with(f"{form}<ul><li><a href='/lead/'>The Lead</a></ul>")

        assert essay.blurbs == (Blurb("log", 1, url="https://sea.example/lead/", title="The Lead"),)
        assert texts(essay) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize(
    "markup",
    [
        "<div class='mine'><h2>From the archive</h2><div><a href='/lead/'>The Lead</a></div></div>",
        "<div class='mine'><h3>The Lead</h3><a href='/lead/'>Read more</a></div>",
        "<h2>Related Articles</h2><ul class='mine'><li><a href='/lead/'>The Lead</a></ul>",
        "<h2>Related Articles</h2><a class='mine' href='/lead/'>The Lead</a>",
        "<div class='mine'><div class='mine'><a class='mine' href='/lead/'>The Lead</a></div></div>",
        "<h2 class='mine'>Related Articles</h2><ul><li><a href='/lead/'>The Lead</a></ul>",
        "<h2>Related Articles</h2><ul class='not mentioned'><li><a href='/lead/'>The Lead</a></ul>",
    ],
    ids=["list", "card", "list below its heading", "entry", "each of its elements", "heading only", "nothing"],
)
def test_a_selector_finds_the_list_or_leaves_it_to_the_heading(markup: str) -> None:
    essay = essay_with(markup, selector=".mine")

    assert essay.blurbs == (Blurb("log", 1, url="https://sea.example/lead/", title="The Lead"),)
    assert texts(essay) == [FIRST, SECOND, THIRD]
    assert essay.remarks == ()


def test_text_after_a_selected_list_and_its_heading_stays() -> None:
    markup = "<div><h2>Related</h2> Between. <ul class='mine'><li><a href='/a'>A</a></ul> After.</div>"

    essay = essay_with(markup, "amid", ".mine")

    assert texts(essay) == [FIRST, SECOND, "Between. After.", THIRD]


def test_of_several_lists_the_first_is_the_curated_one_and_all_are_cut() -> None:
    first, second = "<h2>Related</h2><a href='/a'>A</a>", "<h3>Read next</h3><ul><li><a href='/b'>B</a></ul>"

    essay = essay_with(first + "<h2>Notes</h2><p>A note.</p>" + second)

    assert [blurb.title for blurb in essay.blurbs] == ["A"]
    assert texts(essay) == [FIRST, SECOND, THIRD, "Notes", "A note."]
    assert essay.remarks == ("another list, 'Read next', was left out",)


@pytest.mark.parametrize("selector", ["div:nth-child(", "a::before", "[", ">", "!"])
def test_a_selector_that_is_no_css_is_a_mistake_of_the_settings(selector: str) -> None:
    with pytest.raises(SettingsError) as caught:
        essay_with("", selector=selector)

    assert str(caught.value).startswith(f"the selector {selector!r} of the related articles is no CSS selector (")
    assert str(caught.value).endswith("); give one such as `section.related`")


def test_a_selector_that_takes_the_whole_page_leaves_no_essay() -> None:
    with pytest.raises(PageRejected) as caught:
        essay_with("", selector="body")

    assert str(caught.value) == "no body: the selector 'body' of the related articles takes the whole page"


def test_entries_have_the_fields_that_they_show() -> None:
    essay = essay_with(
        "<h2>Related</h2><ul>"
        "<li><a class='tag' href='/cat'>Maps</a> <a href='https://x.example/1'>One</a> <span>June 1, 2020</span>"
        "<li><a rel='category' href='/cat'>Sea</a> <a rel='author' href='/ann'>Ann</a> <a href='/2'>Two</a>"
        f"<li><span class='entry-category'>Clocks</span><p>{BLURB_2}</p>"
        "<li><a href='/pic'><img src='p.png' alt='A picture'></a>"
        "<li><a href='mailto:x@x.example'>Write to us</a>"
        "<li>"
        "<li><a href='/all'>All essays</a></ul>"
    )

    assert essay.blurbs == (
        Blurb("log", 1, "Maps", None, date(2020, 6, 1), "https://x.example/1", "One"),
        Blurb("log", 2, "Sea", "Ann", None, "https://sea.example/2", "Two"),
        Blurb("log", 3, "Clocks", BLURB_2),
        Blurb("log", 4, url="https://sea.example/pic"),
        Blurb("log", 5, title="Write to us"),
    )
    assert essay.remarks == ("a related article has no address: 'mailto:x@x.example' leads to no page",)


LEAD = Blurb("log", 1, None, BLURB_1, None, "https://sea.example/lead/", "The Lead")


@pytest.mark.parametrize(
    ("markup", "blurb"),
    [
        (f"<a href='/lead/'><span>The Lead</span><p>{BLURB_1}</p></a>", LEAD),
        (f"<a href='/lead/'><img src='a.png'>The Lead<p>{BLURB_1}</p></a>", LEAD),
        (f"<a href='/lead/'><p>{BLURB_1}</p><strong>The Lead</strong></a>", LEAD),
        (f"<a href='/lead/'>Read more</a> <a href='/lead/'>The Lead</a><p>{BLURB_1}</p>", LEAD),
        (f"<a href='/ann'>Ann</a><h4><a href='/lead/'>The Lead</a></h4><p>{BLURB_1}</p>", LEAD),
        (f"<a href='/ann'>Ann</a><a href='/lead/'><h4>The Lead</h4></a><p>{BLURB_1}</p>", LEAD),
        (f"<h4 class='category'>The Lead</h4><p>{BLURB_1}</p><a href='/lead/'>Continue reading →</a>", LEAD),
        (f"<a class='tag' href='/lead/'>The Lead</a><p>{BLURB_1}</p>", LEAD),
        (f"<a href='/lead/'>The Lead</a><p>{BLURB_1}</p><i>3 comments</i> <button>Save</button>", LEAD),
        (f"<a href='/lead/'>The Lead</a> <b class='btn'>Save</b><script>x</script><br>{BLURB_1}<br>5 min read", LEAD),
        (f"<a href='/lead/'><img src='a.png'></a><a href='/lead/'>The Lead</a><p>{BLURB_1}</p>", LEAD),
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        "<ul><li>{}</li></ul>",
        "<article>{}</article><ul><li><a href='/all'>All essays</a></li></ul>",
    ],
    ids=["item", "article"],
)
def test_the_title_of_an_entry_is_told_from_what_else_it_shows(markup: str, blurb: Blurb, around: str) -> None:
    essay = essay_with(f"<h2>Related</h2>{around.format(markup)}")

    assert (essay.blurbs, texts(essay)) == ((blurb,), [FIRST, SECOND, THIRD])


@pytest.mark.parametrize(
    "markup",
    [
        "<div class='c'><span class='kicker'>Maps</span><p>{}</p></div><div class='c'><p class='tag'>Sea</p>{}</div>",
        "<div><div><p class='kicker'>Maps</p>{}</div><div><b class='tag'>Sea</b><p>{}</p></div></div><img src='x.png'>",
    ],
)
def test_cards_without_a_link_are_entries(markup: str) -> None:
    essay = essay_with("<section><h2>Related</h2>" + markup.format(BLURB_1, BLURB_2) + "</section>")

    assert essay.blurbs == (Blurb("log", 1, "Maps", BLURB_1), Blurb("log", 2, "Sea", BLURB_2))


def test_cards_with_lists_of_tags_in_them_are_entries() -> None:
    card = "<div class='c'><h3><a href='/{0}'>{1}</a></h3><ul><li><a class='tag' href='/sea'>Sea</a></li></ul></div>"

    essay = essay_with("<h2>Related</h2>" + card.format("lead/", "The Lead") + card.format("dial", "The Dial"))

    assert [(blurb.title, blurb.category) for blurb in essay.blurbs] == [("The Lead", "Sea"), ("The Dial", "Sea")]


@pytest.mark.parametrize(
    ("following", "kept"),
    [
        (f"<p>{THIRD} See <a href='/x'>there</a>.</p>", [f"{THIRD} See there."]),
        (f"<div><p>{THIRD} {FIRST} {SECOND}</p></div>", [f"{THIRD} {FIRST} {SECOND}"]),
        ("<h2>Notes</h2><p>A note.</p>", ["Notes", "A note."]),
        ("<div><h2>Notes</h2><p>A note.</p></div>", ["Notes", "A note."]),
        ("<h3>The Dial</h3><p>Compare.</p>", []),
        (f"<p><a href='/dial'>The Dial</a></p><p>{THIRD}</p><div class='c'>Compare.</div>", []),
        (f"<article><h3><a href='/dial'>The Dial</a></h3><p>{THIRD} {FIRST} {SECOND}</p></article>", []),
        ("loose text after the list", []),
    ],
)
def test_a_list_ends_where_the_essay_goes_on(following: str, kept: list[str]) -> None:
    essay = essay_with(
        f"<h2>Related</h2><ul><li><a href='/lead/'>The Lead</a></li></ul>{following}<h2>End</h2>", "amid"
    )

    assert texts(essay) == [FIRST, SECOND, *kept, "End", THIRD]
    assert essay.blurbs[0].title == "The Lead"


def test_a_list_inside_another_is_cut_with_it() -> None:
    essay = essay_with("<h2>Related</h2><div><h3>Read next</h3><ul><li><a href='/lead/'>The Lead</a></ul></div>")

    assert ([blurb.title for blurb in essay.blurbs], essay.remarks) == (["The Lead"], ())


def test_without_a_canonical_address_only_site_relative_addresses_of_entries_are_kept() -> None:
    text = page(f"<p>{FIRST}</p><h2>Related</h2><ul><li><a href='/a/#x'>A</a><li><a href='b.html'>B</a></ul>")

    essay = parse(text)

    assert [(blurb.title, blurb.url) for blurb in essay.blurbs] == [("A", "/a/"), ("B", None)]


def test_a_list_that_is_not_understood_is_cut_and_remarked_on() -> None:
    essay = essay_with(f"<h2>Related Articles</h2><p>Maps</p><p>{BLURB_1}</p><p>July 5, 2025</p>")

    assert (texts(essay), essay.blurbs) == ([FIRST, SECOND, THIRD], ())
    assert essay.remarks == (
        "no related article was recognised in 'Related Articles': "
        "'Maps With a lump of tallow a pilot could bring up a pinch of' ...",
    )


def test_a_heading_of_loose_text_with_a_control_character_is_a_heading() -> None:
    essay = essay_with("<div>Related&#1;<ul><li><a href='/lead/'>The Lead</a></ul></div>")

    assert (texts(essay), [blurb.title for blurb in essay.blurbs]) == ([FIRST, SECOND, THIRD], ["The Lead"])


def test_a_heading_above_an_empty_place_is_cut_without_a_remark() -> None:
    essay = essay_with("<h2>Related Articles</h2><div id='filled-by-script'></div>", "amid")

    assert (texts(essay), essay.blurbs, essay.remarks) == ([FIRST, SECOND, THIRD], (), ())


def test_a_heading_with_prose_below_it_is_the_essays_own() -> None:
    essay = essay_with("<h2>Recommended</h2>", "amid")

    assert texts(essay) == [FIRST, SECOND, "Recommended", THIRD]


@pytest.mark.parametrize(
    "menu",
    [
        "<ul><li><a href='#r'>Related</a></li><li><a href='#n'>Notes</a></li></ul>",
        "<p><a href='/related'>Related</a></p>",
        "<div><a href='/related'>See also</a></div>",
    ],
)
def test_words_of_a_heading_in_a_menu_or_as_a_title_cut_nothing(menu: str) -> None:
    essay = parse(page(f"<h1>Related</h1>{menu}<p>A line.</p><p>{FIRST}</p><p>{SECOND}</p>"))

    assert (essay.title, texts(essay)) == ("Related", ["A line.", FIRST, SECOND])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A sentence. July 5, 2025", ("A sentence.", date(2025, 7, 5))),
        ("Words (5 July 2025)", ("Words", date(2025, 7, 5))),
        ("2025-07-05 · Words", ("Words", date(2025, 7, 5))),
        ("Words – July 05, 2025", ("Words", date(2025, 7, 5))),
        ("Published July 5, 2025", (None, date(2025, 7, 5))),
        ("— Words, 1984", ("Words, 1984", None)),
        ("July 45, 2025", ("July 45, 2025", None)),
        (" - ", (None, None)),
    ],
)
def test_a_date_is_split_off_a_line_where_it_is_a_part_of_its_own(line: str, expected: tuple[str, date]) -> None:
    assert split_off_date(line) == expected


# --- metadata --------------------------------------------------------------------------------------------------------


def essay_of(head: str, top: str = "") -> Essay:
    return parse(page(f"{top}<p>{FIRST}</p><p>{SECOND}</p>", head))


def json_ld(**fields: object) -> str:
    return f"<script type='application/ld+json'>{json.dumps({'@type': 'Article', **fields})}</script>"


@pytest.mark.parametrize(
    ("head", "top", "title"),
    [
        (
            json_ld(headline="3 < 5 &amp; 7 > 2") + "<meta property='og:title' content='O'>",
            "<h1>H</h1>",
            "3 < 5 & 7 > 2",
        ),
        ("<meta property='og:title' content='The Log | Site'>", "<h1>The Log</h1>", "The Log"),
        ("<meta property='og:title' content='The Log'>", "<h1>Site</h1>", "The Log"),
        ("", "<h1>The <em>Log</em></h1>", "The Log"),
        ("", "", "T"),
    ],
)
def test_the_title_is_the_headline_then_what_is_shared_then_what_is_shown(head: str, top: str, title: str) -> None:
    assert essay_of(head, top).title == title


@pytest.mark.parametrize(
    ("head", "top", "author"),
    [
        (json_ld(author={"@type": "Person", "name": "J. R. R. Tolkien"}), "", "J. R. R. Tolkien"),
        (json_ld(author=[{"name": "M. L. King, Jr."}, "Ann O&#8217;Hara"]), "", "M. L. King, Jr., Ann O’Hara"),
        ("<meta name='author' content='By Ines Halloran'>", "", "Ines Halloran"),
        ("<meta property='article:author' content='https://x.example/ines'>", "", None),
        ("", "<p class='byline'>By <a rel='author' href='/i'>Ines Halloran</a>, 5 July</p>", "Ines Halloran"),
        ("", "<p class='byline'>Words by Ines Halloran</p>", "Ines Halloran"),
    ],
)
def test_the_author_is_named_to_the_letter(head: str, top: str, author: str | None) -> None:
    assert essay_of(head, top).author == author


@pytest.mark.parametrize(
    ("head", "top", "published"),
    [
        (json_ld(datePublished="2025-01-13T23:30:00+01:00"), "", date(2025, 1, 13)),
        ("<meta property='article:published_time' content='2025-01-13T08:00:00Z'>", "", date(2025, 1, 13)),
        ("<meta itemprop='datePublished' content='13 January 2025'>", "", date(2025, 1, 13)),
        ("", "<p>By X <time datetime='2025-01-13'>Monday</time></p>", date(2025, 1, 13)),
        ("", "<p>By X <time>January 13, 2025</time></p>", date(2025, 1, 13)),
        ("", f"<p>{THIRD} <time datetime='1784-07-05'>Then</time></p>", None),
        ("", f"<p>{THIRD} <time pubdate datetime='2025-01-13'>Now</time></p>", date(2025, 1, 13)),
        ("", f"<p>{THIRD} <time itemprop='datePublished'>2025-01-13</time></p>", date(2025, 1, 13)),
        ("", "<aside><time>2025-01-13</time></aside>", None),
        ("<meta name='copyright' content='2024'>", "<p>Updated in 2023</p>", None),
        ("<link rel='canonical' href='https://x.example/2024/05/06/log'>", "", None),
    ],
)
def test_the_date_is_one_that_the_page_states_as_its_own(head: str, top: str, published: date | None) -> None:
    assert essay_of(head, top).published == published


@pytest.mark.parametrize(
    ("head", "url"),
    [
        (CANONICAL, "https://sea.example/log/"),
        ("<link rel='canonical' href='/log/'>", None),
        ("<link rel='canonical' href='javascript:alert(1)'>", None),
        ("<link rel='canonical' href='http://[broken'>", None),
        ("<base href='https://x.example/'><meta property='og:url' content='https://x.example/log'>", None),
    ],
)
def test_the_address_is_the_canonical_link_and_never_a_guess(head: str, url: str | None) -> None:
    assert essay_of(head).url == url


def test_category_standfirst_and_minutes_are_read_from_what_the_page_says() -> None:
    shown = "<p class='kicker'><a href='/m'>Maps</a></p><p class='dek'>How fast.</p><p><span>3 min</span> read</p>"
    stated = json_ld(articleSection=["Sea", "Maps"], description="<p>Fast &amp; slow.</p>", timeRequired="PT9M")

    first, second = essay_of("", f"<header>{shown}</header>"), essay_of(stated)

    assert (first.category, first.standfirst, first.reading_minutes) == ("Maps", "How fast.", 3)
    assert (second.category, second.standfirst, second.reading_minutes) == ("Sea", "Fast & slow.", 9)


def test_links_and_entries_are_seen_from_the_base_of_the_page() -> None:
    head = f"{CANONICAL}<base href='https://static.example/deep/'>"
    text = page(f"<p>{FIRST} <a href='a'>a</a></p><h2>Related</h2><ul><li><a href='b'>B</a></ul>", head)

    essay = parse(text)

    assert essay.links == ("https://static.example/deep/a",)
    assert essay.blurbs == (Blurb("log", 1, url="https://static.example/deep/b", title="B"),)


def test_minutes_may_stand_in_a_pair_of_meta_tags() -> None:
    pair = "<meta name='twitter:label2' content='{}'><meta name='twitter:data2' content='6 minutes'>"

    assert essay_of(pair.format("Est. reading time")).reading_minutes == 6
    assert essay_of(pair.format("Time to bake")).reading_minutes is None


def test_json_ld_with_a_bare_line_break_is_read_and_other_scripts_are_not() -> None:
    head = """<script type="application/ld+json">{"@type": "Article", "headline": "Two
    lines"}</script><script>{broken</script>"""

    essay = essay_of(head)

    assert (essay.title, essay.remarks) == ("Two lines", ())


@pytest.mark.parametrize(
    ("line", "minutes"),
    [
        ("3 min read", 3),
        ("July 5, 2025 - 12 min Read", 12),
        ("5-minute read", 5),
        ("Reading time: 7 minutes", 7),
        ("Boil for 5 min", None),
        ("5 minutes", None),
        ("It took me a 5 min read to see it", None),
    ],
)
def test_minutes_are_read_where_a_line_says_nothing_else(line: str, minutes: int | None) -> None:
    assert reading_minutes(line) == minutes


# --- pages that are none ---------------------------------------------------------------------------------------------

NO_PARAGRAPH = "no body: no paragraph was found outside of navigation, footer and related articles"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no body: the page cannot be read as HTML: Document is empty"),
        ("<!-- nothing -->", "no body: the page cannot be read as HTML: Document is empty"),
        ("<html><frameset><frame src='x'></frameset></html>", NO_PARAGRAPH),
        ("<h1>Title</h1><h2>Heading</h2>", NO_PARAGRAPH),
        (page(""), NO_PARAGRAPH),
        (page("<h2>Related</h2><ul><li><a href='/a'>A</a></ul>"), NO_PARAGRAPH),
        ("<script>document.write('<p>text</p>')</script><template><p>text</p></template>", NO_PARAGRAPH),
        (
            "<div>" * 100_000 + f"<p>{FIRST}</p>",
            f"{NO_PARAGRAPH} (the page was read only in part: excessive depth in document: 256)",
        ),
        (
            "<p " + " ".join(f"a{n}=1" for n in range(9_000)) + f">{FIRST}</p>",
            "a tag with 9,001 attributes: '<p a0=1 a1",
        ),
    ],
)
def test_a_page_without_a_body_is_rejected_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(PageRejected) as caught:
        parse(text)

    assert str(caught.value)[: len(reason)] == reason


@pytest.mark.parametrize(
    ("end", "extra"),
    [
        ("<div>" * 100_000 + "deep", []),
        ("<ul><li>" * 10_000, []),
        ("<!DOCTYPE x [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]><p>&c;", ["]>", "&c;"]),
        ("<p>a&#1;\x00b&#xD800;\ud800\ufffe", ["ab\ufffd?"]),
        (f"<p title='{'x' * 3_000_000}' style='{'y ' * 500_000}'>big", ["big"]),
        ("<img src='data:image/png;base64," + "A" * 3_000_000 + "'>", []),
        ("<p>" + "word " * 100_000, ["word " * 99_999 + "word"]),
        ("<script type='application/ld+json'>" + "[" * 50_000 + "</script>", []),
        ("<script type='application/ld+json'>[" + "9" * 5_000 + "]</script>", []),
        ('<script type="application/ld+json">{"@type": ["Article", 3], "author": [{"name": [1]}, null, 3], '
         '"headline": {"a": 1}, "datePublished": [null], "articleSection": [[]], "@graph": 3}</script>', []),
        ("<table><p><form><td></table></form></p></div></article>", []),
        ("<![CDATA[ x ]]><?php echo 1 ?><svg><text>svg</text></svg><math><mi>x</mi></math>", []),
        ("<" * 1_000, ["<" * 1_000]),
        ("<h2>Related</h2>" * 3_000, []),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, str) else "",
)  # fmt: skip
def test_hostile_html_after_an_essay_leaves_the_essay_readable(end: str, extra: list[str]) -> None:
    essay = parse(f"<html><body><article><p>{FIRST}</p><p>{SECOND}</p>{end}")

    assert texts(essay)[:2] == [FIRST, SECOND]
    assert [text for text in texts(essay)[2:] if text != "deep"] == extra


@pytest.mark.parametrize(
    "page", ["<td>min", f"<h1>T</h1><p>{'A word of the essay. ' * 9}</p><table><tr><td>a<td>b</table>"]
)
def test_a_table_cell_without_blocks_is_read_wherever_it_stands(page: str) -> None:
    essay = parse_html_page(page, "a", "a.html", None)

    assert essay.blocks[-1].text in ("min", "a b")
