"""Links to ids: aliases, copies, short pages, order."""

from benchmarks.public_corpora.linking import link
from benchmarks.public_corpora.pages import Article, Page


def page(name: str, body: str, links: str = "", aliases: str = "") -> Page:
    article = Article(name, name.title(), "", "Kitchen", None, None, body)
    return Page(article, tuple(aliases.split()), tuple(links.split()))


def test_lists_name_pages_of_the_corpus_once_in_order_and_never_the_page_itself() -> None:
    pages = [
        page("pots", "pots hold water", links="teakettle steam pots kettles steam nowhere"),
        page("kettles", "kettles boil water", aliases="teakettle"),
        page("steam", "steam is hot water", links="short"),
        page("short", "water"),
    ]
    linked = link(pages, min_words=2)
    assert [article.id for article in linked.articles] == ["kettles", "pots", "steam"]
    assert linked.related == {"pots": ["kettles", "steam"]}
    assert (linked.items, linked.resolved) == (6, 4)


def test_a_text_is_kept_once_and_links_to_its_copies_lead_to_it() -> None:
    pages = [page("b", "the same words"), page("a", "the same words"), page("c", "other words here", links="b")]
    linked = link(pages, min_words=1)
    assert [article.id for article in linked.articles] == ["a", "c"]
    assert linked.related == {"c": ["a"]}
