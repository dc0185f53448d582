"""The pages that a build is made of: what the sources hold, or an edition's essays with what has changed since.

sources alone              every page of them
sources and an Increment   the essays of an edition, without those removed; pages of the sources replace those of
                           the same id, or join them
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.errors import EditionError, RelatedArticlesError, UnknownEssay
from corpus.essay import Essay, PageProblem, PageRejected
from corpus.page_cache import PLACE, open_page_cache
from corpus.records import essay_from_record
from corpus.sources import PageOptions, list_pages, read_pages
from recommender.build_report import Pages
from recommender.edition import ESSAYS, Edition, open_current, open_edition, read_lines
from recommender.watch import Watch

if TYPE_CHECKING:
    from recommender.engines.workers import Workers

CURRENT = "current"
"""Names the published edition, whatever its id is."""


@dataclass(frozen=True, slots=True)
class Increment:
    """since: the id of an edition, or CURRENT. removed: ids of its essays that are to be left out."""

    since: str
    removed: tuple[str, ...] = ()


def read_site(
    sources: Sequence[Path],
    home: Path,
    options: PageOptions,
    watch: Watch,
    increment: Increment | None = None,
    workers: "Workers | None" = None,
) -> Pages:
    """Every page that a build is made of; pages that were parsed before come from the home's page cache.

    workers: who parses the others; None is this process, one page after another.
    Raises SourceNotFound when a source does not exist, CacheError, EngineError, RelatedArticlesError when no page
    became an essay; with an increment NoEdition or EditionError when its edition cannot be read, UnknownEssay when that
    lacks an essay to be removed.
    """
    base = _essays_since(home, increment) if increment else {}
    listing = list_pages(sources, own_folders(home))
    with open_page_cache(home / PLACE) as cache:
        if workers and not workers.engine.alone:
            from recommender.engines.parsing import parse_in_parts

            parse_in_parts(listing.files, options, cache, workers, watch)
        progress = watch.stage("reading pages", len(listing.files))
        read = list(read_pages(listing.files, options, lambda path: progress(1), cache))
        if increment is None:  # else most pages were not asked for, which does not mean that they are gone
            cache.end_run()
    given = {page.id: page for page in read if isinstance(page, Essay)}
    pages = Pages(
        essays=tuple((base | given).values()),
        problems=tuple(page for page in read if isinstance(page, PageProblem)),
        passed_over=listing.passed_over,
        parsed=cache.parsed,
    )
    if not pages.essays:
        raise RelatedArticlesError(_no_essays(pages))
    return pages


def own_folders(home: Path) -> list[Path]:
    """What this program writes into a home: no pages, though the home may lie among them."""
    return [home / name for name in ("answers", "cache", "editions", "held", "parts")]


def _essays_since(home: Path, increment: Increment) -> dict[str, Essay]:
    """The essays of the increment's edition that are not removed, by id."""
    since = increment.since
    edition = open_current(home) if since == CURRENT else open_edition(home, since)
    essays = _read_essays(edition)
    unknown = [ident for ident in increment.removed if ident not in essays]
    if unknown:
        raise UnknownEssay(
            f"no essay {unknown[0]!r} to remove in edition {edition.id}: see `related export` for its ids"
        )
    return {ident: essay for ident, essay in essays.items() if ident not in increment.removed}


def _read_essays(edition: Edition) -> dict[str, Essay]:
    """An edition's essays as their pages state them, with what was remarked when they were read."""
    edition.check((ESSAYS,))
    remarks = edition.manifest["remarks"]
    try:
        essays = [essay_from_record(record, "") for record in read_lines(edition.folder / ESSAYS)]
    except (ValueError, PageRejected) as error:
        raise EditionError(f"edition {edition.id} is damaged ({error}): run `related build` on all pages") from error
    return {essay.id: replace(essay, remarks=_remarks_on(essay, remarks)) for essay in essays}


def _remarks_on(essay: Essay, remarks: Sequence[str]) -> tuple[str, ...]:
    about = f"{essay.source}: "
    return tuple(remark.removeprefix(about) for remark in remarks if remark.startswith(about))


def _no_essays(pages: Pages) -> str:
    if not pages.problems:
        return f"no page found{_among(pages.passed_over)}: name pages (.txt, .html, .md, .jsonl)"
    return f"none of the {len(pages.problems)} pages could be read; the first: {pages.problems[0]}"


def _among(passed_over: Mapping[str, int]) -> str:
    endings = ", ".join(f"{count} {ending}" for ending, count in passed_over.items())
    return f" among {endings}" if endings else ""
