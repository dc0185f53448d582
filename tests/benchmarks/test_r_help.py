"""R's help: its serialised objects, its markup, its links; all objects here are made by hand."""

import struct

import pytest

from benchmarks.public_corpora.r_help import r_page, resolve
from benchmarks.public_corpora.r_objects import Vector, unserialize
from benchmarks.public_corpora.rd import links, to_html

TOPICS = {"kitchen": {"boil": "boiling", "boiling": "boiling"}, "base": {"stir": "stir"}, "garden": {"rake": "rake"}}


def rd(tag: str, *content: object, option: str = "") -> Vector:
    """A node as R's parser leaves it."""
    attributes: dict[str, object] = {"Rd_tag": Vector([tag])} if tag else {}
    return Vector(content, attributes | ({"Rd_option": Vector([option])} if option else {}))


def text(words: str) -> Vector:
    return rd("TEXT", words)


def integers(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


def characters(word: str) -> bytes:
    return integers(9, len(word)) + word.encode()


def test_a_serialised_list_is_read_with_its_names_and_a_symbol_seen_before() -> None:
    names = integers(2 | 1 << 10, 1) + characters("names") + integers(16, 2) + characters("a") + characters("b")
    data = b"X\n" + integers(2, 0, 0) + integers(19 | 1 << 9, 2) + integers(13, 2, 7, 8)
    data += integers(1) + characters("here") + names + integers(254)
    value = unserialize(data)
    assert isinstance(value, Vector)
    assert dict(value.items()) == {"a": [7, 8], "b": "here"}
    repeated = b"X\n" + integers(2, 0, 0, 19, 2, 1) + characters("here") + integers(255 | 1 << 8)
    assert unserialize(repeated) == ["here", "here"]


def test_what_is_no_object_of_r_is_refused() -> None:
    with pytest.raises(ValueError, match="XDR"):
        unserialize(b"A\n2\n")
    with pytest.raises(ValueError, match="type 99"):
        unserialize(b"X\n" + integers(2, 0, 0, 99, 1))


def test_markup_becomes_html_with_paragraphs_and_terms() -> None:
    nodes = [
        text("Boil <it>\n"),
        text("\n"),
        text("``twice''\n"),
        rd("\\item", rd("", text("x:")), rd("", text("a pot"))),
    ]
    assert to_html(nodes) == "Boil &lt;it&gt;\n<p>“twice”\n<dl><dt>x</dt><dd>a pot</dd></dl>"


def test_formulas_and_alternatives_are_given_as_plain_text() -> None:
    formula = rd("\\eqn", rd("", rd("VERB", "\\alpha")), rd("", rd("VERB", "alpha")))
    choice = rd("\\ifelse", rd("", text("latex")), rd("", text("A")), rd("", text("a")))
    assert to_html([formula, choice, rd("\\preformatted", rd("VERB", "x <- 1")), rd("\\R")]) == "alphaaR"


def test_links_are_found_in_order_in_all_their_forms() -> None:
    nodes = [
        rd("\\code", rd("\\link", text("boil"))),
        rd("\\link", text("see there"), option="=stir"),
        rd("\\link", text("rake"), option="garden"),
        rd("\\link", text("the rake"), option="garden:rake"),
        rd("\\linkS4class", text("Pot")),
    ]
    assert links(nodes) == [":boil", ":stir", "garden:rake", "garden:rake", ":Pot-class"]


def test_a_link_leads_into_its_own_package_first_then_rs_own_then_any() -> None:
    assert resolve(":boil", "kitchen", TOPICS) == "kitchen/boiling"
    assert resolve(":stir", "kitchen", TOPICS) == "base/stir"
    assert resolve(":rake", "kitchen", TOPICS) == "garden/rake"
    assert resolve("garden:boil", "kitchen", TOPICS) == "garden:boil"


def test_a_page_has_its_list_apart_from_its_body() -> None:
    nodes = Vector(
        [
            rd("\\title", text("Boiling Water")),
            rd("\\usage", rd("RCODE", "boil(x)")),
            rd("\\seealso", rd("\\link", text("stir")), text(", "), rd("\\link", text("plot"), option="elsewhere")),
            rd("\\details", text("Use a lid.")),
            rd("\\description", text("Heats it.\n"), text("\n"), text("Slowly.\n")),
            rd("\\section", rd("", text("Warning")), rd("", text("Hot."))),
        ]
    )
    page = r_page("kitchen", "boiling", nodes, TOPICS)
    assert (page.article.id, page.article.title, page.article.category) == (
        "kitchen/boiling",
        "Boiling Water",
        "kitchen",
    )
    assert page.article.description == "Heats it."
    assert page.article.body == "Slowly.\n\nDetails\n\nUse a lid.\n\nWarning\n\nHot."
    assert page.links == ("base/stir",)
