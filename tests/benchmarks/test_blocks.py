"""HTML to blocks, blocks to an article: on pages of a few lines."""

import re

import lxml.html

from benchmarks.public_corpora.blocks import Block, body_text, cut, flatten, person, split_description

SEE_ALSO = re.compile("see also", re.IGNORECASE)
PAGE = """<div><h1>Kettles</h1><p>How a kettle comes to sing before it boils.</p>
<h2>Sound</h2><p>Bubbles   collapse.</p><pre>boil()</pre><ul><li>first</li><li>then</li></ul>
<h2>See also</h2><h3>Near</h3><p><a href="pots">Pots</a>, <a href="steam#whistle">Steam</a></p>
<h2>Cleaning</h2><dl><dt>Vinegar</dt><dd>dissolves the lime.</dd></dl></div>"""


def test_blocks_come_in_reading_order_and_without_code() -> None:
    texts = [block.text for block in flatten(lxml.html.fromstring(PAGE))]
    assert texts[:5] == [
        "Kettles",
        "How a kettle comes to sing before it boils.",
        "Sound",
        "Bubbles collapse.",
        "- first",
    ]
    assert texts[-1] == "Vinegar: dissolves the lime."
    assert "boil()" not in texts


def test_a_section_is_cut_with_its_subsections_and_no_further() -> None:
    outside, inside = cut(flatten(lxml.html.fromstring(PAGE)), SEE_ALSO)
    assert [block.text for block in inside] == ["See also", "Near", "Pots, Steam"]
    assert inside[-1].links == ("pots", "steam#whistle")
    assert "Cleaning" in [block.text for block in outside]


def test_the_body_has_neither_title_nor_description_nor_empty_headings() -> None:
    blocks, _ = cut(flatten(lxml.html.fromstring(PAGE)), SEE_ALSO)
    description, blocks = split_description(blocks)
    body = body_text([*blocks, Block("Left empty", level=2)], "Kettles", description)
    assert description == "How a kettle comes to sing before it boils."
    assert body.startswith("Sound\n\nBubbles collapse.")
    assert body.endswith("Cleaning\n\nVinegar: dissolves the lime.")


def test_a_stray_pointer_is_left_out_of_the_body() -> None:
    blocks = [Block("Water boils."), Block("See also the page on pots."), Block("See tea(7).")]
    assert body_text(blocks, "Kettles", "") == "Water boils."


def test_a_credit_line_gives_a_name_or_none() -> None:
    assert person("Port: Ada Example, Some Institute") == "Ada Example"
    assert person("written by many hands over the years") is None
