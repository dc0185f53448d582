"""From pages to a corpus: copies merged, links turned into ids."""

from collections.abc import Iterable

from benchmarks.public_corpora.pages import Article, Linked, Page


def link(pages: Iterable[Page], min_words: int) -> Linked:
    """Leave out short pages, keep each text once, and turn the links into ids."""
    kept, aliases = merge_copies(page for page in pages if len(page.article.body.split()) >= min_words)
    articles = [page.article for page in kept]
    ids = {article.id: article.id for article in articles}
    for page in kept:
        for alias in page.aliases:
            aliases.setdefault(alias, page.article.id)
    ids = aliases | ids
    related: dict[str, list[str]] = {}
    items = resolved = 0
    for page in kept:
        wanted = list(dict.fromkeys(page.links))
        found = [ids[name] for name in wanted if name in ids]
        items += len(wanted)
        resolved += len(found)
        found = [other for other in dict.fromkeys(found) if other != page.article.id]
        if found:
            related[page.article.id] = found
    return Linked(articles, related, items, resolved)


def merge_copies(pages: Iterable[Page]) -> tuple[list[Page], dict[str, str]]:
    """One page for each body, sorted by id, and for the ids of the copies the id of the page kept."""
    groups: dict[str, list[Page]] = {}
    for page in pages:
        groups.setdefault(page.article.body, []).append(page)
    kept, aliases = [], {}
    for group in groups.values():
        first, *copies = sorted(group, key=lambda page: (not named_by_title(page.article), page.article.id))
        kept.append(first)
        aliases.update({copy.article.id: first.article.id for copy in copies})
    return sorted(kept, key=lambda page: page.article.id), aliases


def named_by_title(article: Article) -> bool:
    """Whether the article's id is made from its (first) title: then it is the original, not a copy."""
    return article.id.startswith(article.title.split(",")[0])


def statistics(linked: Linked) -> dict[str, str]:
    """What the command prints and the README says about a corpus."""
    articles, lists = linked.articles, linked.related.values()
    descriptions = [article.description for article in articles if article.description]
    words = sum(len(article.body.split()) for article in articles)

    def share(part: int, whole: int) -> str:
        return f"{part / max(whole, 1):.1%}"

    def filled(field: str) -> str:
        return share(sum(bool(getattr(article, field)) for article in articles), len(articles))

    return {
        "articles": str(len(articles)),
        "lists": str(len(lists)),
        "mean list length": f"{sum(map(len, lists)) / max(len(lists), 1):.2f}",
        "list items that resolve": share(linked.resolved, linked.items),
        "mean words of body": f"{words / max(len(articles), 1):.0f}",
        "with description": filled("description"),
        "with category": filled("category"),
        "with date": filled("published"),
        "with author": filled("author"),
        "repeated descriptions": share(len(descriptions) - len(set(descriptions)), len(descriptions)),
    }
