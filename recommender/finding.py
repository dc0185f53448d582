"""Small sites and large ones: how a site is surveyed, and how candidates are found on its landscape."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from embeddings.encoder import Progress
from recommender.candidates import CandidateFinder, Columns, Pairs
from recommender.landscape import WIDE_SITE, Landscape, Places
from recommender.list_graph import ListGraph
from recommender.texts import Texts
from recommender.wide_candidates import WideFinder
from recommender.wide_landscape import survey_wide

if TYPE_CHECKING:
    from recommender.engines.workers import Workers


def survey_site(
    texts: Texts, progress: Progress = lambda done: None, index: str = "auto", workers: "Workers | None" = None
) -> Landscape:
    """The landscape of a site's essays. index: of a large one, see recommender.index.kind_for. workers: who surveys a
    large one; None is this process."""
    if len(texts) <= WIDE_SITE:
        return Landscape.survey(texts, progress)
    if workers is None or workers.engine.alone:
        return survey_wide(texts, progress, index)
    from recommender.engines.large_site import survey_in_parts

    return survey_in_parts(texts, workers, progress, index)


def find_candidates(
    landscape: Landscape, graph: ListGraph, progress: Progress = lambda done: None, workers: "Workers | None" = None
) -> Pairs:
    """The candidates of every essay of the site. workers: as in survey_site()."""
    if landscape.pool is None or workers is None or workers.engine.alone:
        return candidate_finder(landscape, graph).of_site(progress)
    from recommender.engines.large_site import candidates_in_parts

    return candidates_in_parts(landscape, graph, landscape.pool, workers, progress)


class Finder(Protocol):
    """Finds candidates over a landscape, by one graph of lists. tests/contracts/test_finder.py runs on both kinds."""

    def of_site(self, progress: Progress = lambda done: None) -> Pairs:
        """The candidates of every essay of the site."""
        ...

    def of_rows(self, rows: Columns) -> Pairs:
        """The candidates of these essays of the site, rows in ascending order."""
        ...

    def exactly(self, wanted: Sequence[Columns]) -> Pairs:
        """These and no others: for every essay of the site, the rows of its candidates in ascending order."""
        ...

    def of_essay(self, row: int, columns: Columns) -> Pairs:
        """One essay of the site with these candidates and no others, rows of the site in ascending order.

        The values are to the last bit those of of_site().
        """
        ...

    def of_places(self, places: Places) -> Pairs:
        """The candidates of drafts."""
        ...


def candidate_finder(landscape: Landscape, graph: ListGraph) -> Finder:
    """One that holds every essay against all others; on a landscape with a pool, against what the pool has."""
    if landscape.pool is None:
        return CandidateFinder(landscape, graph)
    return WideFinder(landscape, graph, landscape.pool)
