"""Markdown pages -> essays. tests/corpus/golden/markdown has a folder a case: the page and the record expected of it.

The name of a case's folder is the page's stem.
"""

import json
from datetime import date
from pathlib import Path

import pytest

from corpus.essay import Block, Blurb, Essay, PageRejected
from corpus.markdown_pages import parse_markdown_page
from corpus.records import essay_to_record

GOLDEN = Path(__file__).parent / "golden" / "markdown"


def parse(text: str, stem: str = "log") -> Essay:
    return parse_markdown_page(text, stem, f"{stem}.md")


def with_front(front: str) -> Essay:
    """A page of one paragraph with this YAML front matter."""
    return parse(f"---\n{front}\n---\nA paragraph.\n")


def with_body(body: str) -> Essay:
    return parse(f"---\ntitle: T\n---\n{body}\n")


def texts(essay: Essay) -> list[str]:
    return [block.text for block in essay.blocks]


@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda case: case.name)
def test_a_page_becomes_the_record_beside_it(case: Path) -> None:
    essay = parse_markdown_page((case / "page.md").read_text(encoding="utf-8"), case.name, f"{case.name}/page.md")

    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert {**essay_to_record(essay), "remarks": list(essay.remarks)} == expected


# --- front matter ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("title: 1984", {"title": "1984"}),
        ("title: 1.10", {"title": "1.10"}),
        ("title: >-\n  Two\n  lines", {"title": "Two lines"}),
        ("Title: Any case", {"title": "Any case"}),
        ("title: ~", {"title": None}),
        ("summary: S", {"standfirst": "S"}),
        ("excerpt: E\ndescription: D", {"standfirst": "D"}),
        ("date: 2025-03-14 09:00:00 +0100", {"published": date(2025, 3, 14)}),
        ("date: 2025-03-14T23:30:00-08:00", {"published": date(2025, 3, 14)}),
        ("publishDate: March 14, 2025", {"published": date(2025, 3, 14)}),
        ("published: true", {"published": None}),
        ("author: Ann Hale", {"author": "Ann Hale"}),
        ("author: [Ann Hale, {name: Ben Lund}]", {"author": "Ann Hale, Ben Lund"}),
        ("authors:\n  name: Ann Hale", {"author": "Ann Hale"}),
        ("category: Maps", {"category": "Maps"}),
        ("categories: [Maps, Clocks]", {"category": "Maps"}),
        ("section: Maps", {"category": "Maps"}),
        ("id: an-id\nslug: a-slug", {"id": "an-id"}),
        ("slug: 7", {"id": "7"}),
        ("permalink: https://x.example/a/#b", {"url": "https://x.example/a/"}),
        ("permalink: /a/\nurl: https://x.example/b", {"url": "https://x.example/b"}),
        ("url: /a/", {"url": None}),
        ("reading_time: 4", {"reading_minutes": 4}),
        ("readingTime: 5 min read", {"reading_minutes": 5}),
        ("minutes: 6 minutes", {"reading_minutes": 6}),
        ("related: one", {"related": ("one",)}),
        ("related: [one, 2, 'https://x.example/c']", {"related": ("one", "2", "https://x.example/c")}),
        ("related: {url: /c, title: C}", {"blurbs": (Blurb("log", 1, url="/c", title="C"),)}),
        ("base: &b {url: /c}\nrelated:\n- {<<: *b, title: C}", {"blurbs": (Blurb("log", 1, url="/c", title="C"),)}),
    ],
)
def test_a_field_is_read_as_the_site_builders_write_it(field: str, expected: dict[str, object]) -> None:
    essay = with_front(field)

    assert {name: getattr(essay, name) for name in expected} == expected
    assert essay.remarks == ()


@pytest.mark.parametrize(
    ("field", "remark"),
    [
        ("title: [a]", "`title` must be text, not a list"),
        ("description: {a: b}", "`description` must be text, not a mapping"),
        ("author: [[a]]", "`author` must be text, not a list"),
        ("category: {a: b}", "`category` must be text, not a mapping"),
        ("date: 2025-02-30", "no date: `date` is '2025-02-30'"),
        ("date: soon", "no date: `date` is 'soon'"),
        ("date: [2025]", "`date` must be a date, not a list"),
        ("readingTime: long", "no reading time: 'long' is not a number of minutes"),
        ("related: [[a]]", "entry 1 of `related` is neither text nor a mapping with a url, title or description"),
        ("related: [{date: 2025-01-01}]", "entry 1 of `related` is neither text nor a mapping with a url, title or "
         "description"),
        ("related: [{title: A, date: 2025-02-30}]", "no date: entry 1 of `related`: `date` is '2025-02-30'"),
        ("id: !!int no", None),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_is_left_out_and_remarked_on(field: str, remark: str | None) -> None:
    essay = with_front(field)

    assert essay.blocks == (Block("paragraph", "A paragraph."),)
    assert essay.remarks == ((remark,) if remark else ())
    assert (essay.title, essay.standfirst, essay.author, essay.category, essay.published) == (None,) * 5
    assert (essay.reading_minutes, essay.related) == (None, ())


def test_toml_has_types_of_its_own() -> None:
    essay = parse("+++\ntitle = true\nsummary = 2025-01-01\nauthor = 3\ndate = 2025-03-14\nslug = 1.5\n+++\nText.")

    assert (essay.id, essay.title, essay.standfirst, essay.author) == ("1.5", None, None, None)
    assert essay.published == date(2025, 3, 14)
    assert essay.remarks == (
        "`title` must be text, not true or false",
        "`summary` must be text, not a date",
        "`author` must be text, not a number",
    )


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("---\na: b\nc: 'd\n---\nx", "front matter that is no YAML: found unexpected end of stream, line 4"),
        ("\n---\n\n\na: b: c\n---\nx", "front matter that is no YAML: mapping values are not allowed here, line 5"),
        ("---\na: *b\n---\nx", "front matter that is no YAML: found undefined alias 'b', line 2"),
        ("---\n- a\n- b\n---\nx", "front matter must be a mapping of fields, not a list"),
        ("---\ntitle: a\n\nx", "front matter that is no YAML: it begins in line 1 and is never closed"),
        ("---\na: !!python/object/apply:os.getcwd []\n---\nx", "front matter that is no YAML: could not determine a "
         "constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.getcwd', line 2"),
        ("+++\na = 1\nb = \n+++\nx", "front matter that is no TOML: Invalid value, line 3"),
        ("+++\na = " + "9" * 5000 + "\n+++\nx", "front matter that is no TOML: Exceeds the limit (4300 digits) for "
         "integer string conversion: value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit"),
        ('{"a": 1,\n "b" 2}\nx', "front matter that is no JSON: Expecting ':' delimiter, line 2"),
        (f"---\n{'a: b' * 30_000}\n---\nx", "front matter of 120,002 characters; it may have 100,000"),
        # In the process: PyYAML's loader in C, which python-frontmatter prefers, ends it with a segmentation fault.
        (f"---\na: {'[' * 90_000}\n---\nx", "front matter that is no YAML: it is nested too deeply"),
        (f"+++\na = {'[' * 90_000}\n+++\nx", "front matter that is no TOML: it is nested too deeply"),
        (f'{{"a": {"[" * 90_000}\nx', "front matter that is no JSON: it is nested too deeply"),
    ],
    ids=lambda value: repr(value[:24]),
)  # fmt: skip
def test_unusable_front_matter_rejects_the_page_with_reason_and_line(page: str, reason: str) -> None:
    with pytest.raises(PageRejected) as caught:
        parse(page)

    assert str(caught.value) == reason


def test_a_bomb_of_yaml_aliases_is_a_remark() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 20))

    essay = with_front(f"l0: &l0 [lol]\n{levels}\ntitle: *l19\nrelated: *l19")

    assert (essay.title, essay.related) == (None, ())
    assert essay.remarks[0] == "`title` must be text, not a list"
    assert len(essay.remarks) == 11


def test_a_bomb_of_merged_yaml_keys_rejects_the_page() -> None:
    levels = "\n".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 10)}]}}" for n in range(1, 20))

    with pytest.raises(PageRejected) as caught:
        with_front(f"l0: &l0 {{a: b}}\n{levels}")

    assert str(caught.value) == "front matter that is no YAML: too many merged keys, line 6"


@pytest.mark.parametrize(
    ("stem", "front", "ident", "published"),
    [
        ("2025-03-14-two-lamps", "title: T", "two-lamps", date(2025, 3, 14)),
        ("2025-03-14-two-lamps", "date: 2024-01-01", "two-lamps", date(2024, 1, 1)),
        ("2025-03-14-two-lamps", "slug: lamps", "lamps", date(2025, 3, 14)),
        ("2025-02-30-two-lamps", "title: T", "2025-02-30-two-lamps", None),
        ("two-lamps", "title: T", "two-lamps", None),
    ],
)
def test_a_jekyll_file_name_gives_id_and_date(stem: str, front: str, ident: str, published: date | None) -> None:
    essay = parse(f"---\n{front}\n---\nText.", stem)

    assert (essay.id, essay.published) == (ident, published)


def test_a_line_across_the_top_of_a_page_is_no_front_matter() -> None:
    essay = parse("---\n\n# Title\n\nText.\n")

    assert (essay.title, texts(essay)) == ("Title", ["Text."])


# --- body ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("One\ntwo  \nthree\\\nfour", ["One two three four"]),
        (
            "*a* **b** `c` ~~d~~ [e](/f) ![g](h.png) <https://x.example> &amp;amp; \\*",
            ["a b c d e https://x.example &amp; *"],
        ),
        ("- a\n- b\n  - c\n\n  d\n\n> q\n>\n> r", ["a", "b", "c", "d", "q", "r"]),
        ("```py\nx  = 1\n```\n\n    y = 2", ["x = 1", "y = 2"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["a b", "1 2"]),
        ("<!-- a\n\nb -->\n\nc <!-- d --> e", ["c e"]),
        ("<div class='x'>\na <b>b</b> &lt;\n</div>\n\nc<br>d <span>e</span>", ["a b <", "c d e"]),
        ("a <script>b()</script> c\n\n<style>\np {}\n</style>", ["a c"]),
        ('{{< figure src="a.png" >}}\n\na {{% b %}}c{{% /b %}} {{</* d */>}}e{{/* f */}}', ["a c e"]),
        ("{% if a %}b{% endif %} c {%- d -%}\n\n{% comment %}\ne\n\nf{% endcomment %}\n\ng{: .h }", ["b c", "g"]),
        ("a {{ page.title }} {b}", ["a {{ page.title }} {b}"]),
        ("a[^1] b[^n], x[^y]\n\n[^1]: c\n\n[^n]: d e", ["a b, x[^y]", "c", "d e"]),
        ("## a {#b}\n\nc\n\nd {#e}", ["a", "c", "d {#e}"]),
        ("a\n\nADVERTISEMENT\n\nFacebook X Reddit\n\nb", ["a", "b"]),
        ("[a](javascript:b)", ["a"]),
    ],
)
def test_markup_is_flattened_to_its_text(body: str, expected: list[str]) -> None:
    assert texts(with_body(body)) == expected


def test_headings_are_headings_and_the_rest_are_paragraphs() -> None:
    essay = with_body("# One\n\ntext\n\nTwo\n---\n\n- item\n\n> ### Three")

    assert essay.blocks == (
        Block("heading", "One"),
        Block("paragraph", "text"),
        Block("heading", "Two"),
        Block("paragraph", "item"),
        Block("heading", "Three"),
    )


def test_title_and_standfirst_at_the_start_of_the_body_are_not_blocks() -> None:
    essay = parse("---\ntitle: The Log\ndescription: How fast.\n---\n# The log\n\n*How fast.*\n\nText.\n\nHow fast.")

    assert texts(essay) == ["Text.", "How fast."]


def test_the_title_is_no_block_wherever_it_stands() -> None:
    essay = parse("---\ntitle: The Log\n---\nPhotographs by Ann.\n\n# The Log\n\nText.\n\n## The Log\n\nEnd.")

    assert texts(essay) == ["Photographs by Ann.", "Text.", "The Log", "End."]


def test_links_are_kept_as_written_without_fragment_each_once_and_in_order() -> None:
    essay = parse(
        "---\nurl: https://x.example/own/\n---\n[a](/żur/#x) [b](https://y.example/?q=1&r=2) [c](/żur/) [d](e.md) "
        "[f](#g) [h](mailto:i@x.example) [own](https://x.example/own/#j) <a class=k href='/l'>m</a> [n]\n\n[n]: /o 'p'"
    )

    assert essay.links == ("/żur/", "https://y.example/?q=1&r=2", "/l", "/o")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "# Title\n\n## Heading",
        "<!-- only\n\na comment -->",
        "{% comment %}only{% endcomment %}",
        "## Related\n\n- [a](/a)",
        "![only](a.png)",
    ],
)
def test_a_page_without_a_paragraph_is_rejected(body: str) -> None:
    with pytest.raises(PageRejected) as caught:
        with_body(body)

    assert str(caught.value) == "no body: no paragraph was found outside of front matter and related articles"


# --- the curated list in the body ------------------------------------------------------------------------------------

SENTENCE = "With a lump of tallow a pilot could bring up a pinch of sand and name the place it came from."
LONG = "Nobody is sure where the word dead comes from in the name of the method. " * 4
LEAD = Blurb("log", 1, None, SENTENCE, date(2025, 7, 5), "/lead/", "The Lead")
DIAL = Blurb("log", 2, url="https://x.example/dial", title="The Dial")


@pytest.mark.parametrize("heading", ["## Related Articles", "**Further reading:**", "Read next\n---", "#### see also"])
@pytest.mark.parametrize(
    "entries",
    [
        f"- [The Lead](/lead/#top) — {SENTENCE} (July 5, 2025)\n- [The Dial](https://x.example/dial)",
        f"1. [The Lead](/lead/)\n\n   {SENTENCE}\n\n   July 5, 2025\n\n2. **[The Dial](https://x.example/dial)**",
        f"* [The Lead](/lead/)\n  * {SENTENCE}\n  * July 5, 2025\n* [The Dial](https://x.example/dial)",
        f"[The Lead](/lead/): {SENTENCE} July 5, 2025\n\n[The Dial](https://x.example/dial)",
        f"<ul><li><a href='/lead/'>The Lead</a><p>{SENTENCE}</p><p>July 5, 2025</p></li>\n"
        "<li><a href='https://x.example/dial'>The Dial</a></li></ul>",
    ],
    ids=["items", "loose items", "nested items", "paragraphs", "html"],
)
def test_a_section_of_related_articles_is_the_list_and_no_part_of_the_body(heading: str, entries: str) -> None:
    essay = with_body(f"Text with [a link](/a).\n\n{heading}\n\n{entries}\n\n## Notes\n\nMore text.")

    assert essay.blurbs == (LEAD, DIAL)
    assert texts(essay) == ["Text with a link.", "Notes", "More text."]
    assert (essay.links, essay.remarks) == (("/a",), ())


def test_code_in_a_list_is_no_entry_of_its_own() -> None:
    essay = with_body("Text.\n\n## Related\n\n- [The Lead](/lead/)\n\n  ```\n  x = 1\n  ```\n\n```\ny = 2\n```")

    assert essay.blurbs == (Blurb("log", 1, text="x = 1", url="/lead/", title="The Lead"),)


def test_items_grouped_under_words_are_entries_of_their_own() -> None:
    essay = with_body("Text.\n\n## Related\n\n- Sea\n  - [The Lead](/lead/)\n  - [Fog](/fog/)\n- [The Dial](/dial)")

    assert [blurb.title for blurb in essay.blurbs] == ["The Lead", "Fog", "The Dial"]


def test_the_essay_goes_on_after_a_list_in_its_midst() -> None:
    essay = with_body(f"Text.\n\n## Related\n\n- [The Lead](/lead/)\n\n{LONG}")

    assert texts(essay) == ["Text.", LONG.strip()]
    assert [blurb.title for blurb in essay.blurbs] == ["The Lead"]


def test_a_heading_with_prose_below_it_is_the_essays_own() -> None:
    essay = with_body(f"Text.\n\n## Recommended\n\n{LONG}")

    assert texts(essay) == ["Text.", "Recommended", LONG.strip()]


def test_a_list_of_the_front_matter_goes_before_one_in_the_body() -> None:
    essay = parse("---\nrelated: [one]\n---\nText.\n\n## Related\n\n- [The Lead](/lead/)")

    assert (essay.related, essay.blurbs, texts(essay)) == (("one",), (), ["Text."])
    assert essay.remarks == ("another list, 'Related', was left out",)


def test_a_section_without_entries_is_cut_and_remarked_on() -> None:
    essay = with_body("Text.\n\n## Related\n\nSee the shelf by the door.")

    assert (essay.blurbs, texts(essay)) == ((), ["Text."])
    assert essay.remarks == ("no related article was recognised in 'Related': 'See the shelf by the door.' ...",)


def test_relative_addresses_of_entries_are_seen_from_the_pages_own() -> None:
    essay = parse("---\nurl: https://x.example/sea/log/\n---\nText.\n\n## Related\n\n- [A](../a/)\n- [B](/b)\n")

    assert [blurb.url for blurb in essay.blurbs] == ["https://x.example/sea/a/", "https://x.example/b"]
