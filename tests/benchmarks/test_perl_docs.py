"""Perl's documentation, as its parser hands it over: on pages of a few lines."""

from benchmarks.public_corpora.blocks import Block
from benchmarks.public_corpora.perl_docs import NAME, names_and_purpose, page_groups, perl_category, perl_page

HTML = """<h1 id="NAME">NAME</h1><p>Tea::Pot - keeps tea warm</p>
<h1 id="SYNOPSIS">SYNOPSIS</h1><p>Pour.</p>
<h1 id="DESCRIPTION">DESCRIPTION</h1><p>A pot stays warm under a <a href="pod:Tea::Cosy">cosy</a>.</p>
<pre>$pot->pour</pre>
<h2 id="Lids">Lids</h2><p>Hold the lid.</p>
<h1 id="SEE-ALSO">SEE ALSO</h1><p><a href="pod:Tea::Cup#Size">Tea::Cup</a>, <a href="pod:teatut">teatut</a>,
<a href="pod:From::Elsewhere">this</a>, <a href="https://example.org/">that</a></p>
<h1 id="AUTHOR">AUTHOR</h1><p>Ada Example, and others</p>"""
CONTENTS = """=head2 Tutorials

    perlpour    How to pour
    perlbrew    How to brew

=head2 Reference

    perlleaf    Leaves
"""


def test_a_page_has_its_list_apart_from_its_body() -> None:
    page = perl_page("Tea::Pot", HTML, "Tea", ("Tea::Pot", "Tea::Cosy", "Tea::Cup", "teatut"))
    assert page.links == ("Tea::Cup", "teatut")
    assert page.article.body == "A pot stays warm under a cosy.\n\nLids\n\nHold the lid."
    assert (page.article.title, page.article.description) == ("Tea::Pot", "keeps tea warm")
    assert page.article.author == "Ada Example"


def test_names_stand_before_the_first_dash() -> None:
    section = [Block("NAME", level=1), Block("Tea::Pot, Tea::Urn - well-made pots - all sizes")]
    assert names_and_purpose(section, "Tea::Pot") == ("Tea::Pot, Tea::Urn", "well-made pots - all sizes")
    assert names_and_purpose([], "Tea::Pot") == ("Tea::Pot", "")


def test_the_name_is_found_behind_index_entries_and_markup() -> None:
    assert NAME.search("=pod\n\n=head1 NAME\nX<tea> X<pot>\n\nperltea - tea")[1] == "perltea"  # type: ignore[index]
    assert NAME.search("=head1 NAME\n\nB<Tea::Pot> - pot")[1] == "Tea::Pot"  # type: ignore[index]


def test_categories_are_perls_own_groups_or_a_modules_first_name() -> None:
    groups = page_groups(CONTENTS)
    assert groups == {"perlpour": "Tutorials", "perlbrew": "Tutorials", "perlleaf": "Reference"}
    assert perl_category("perlbrew", groups) == "Tutorials"
    assert perl_category("Tea::Pot", groups) == "Tea"
    assert perl_category("warm", groups) == "Pragmas"
