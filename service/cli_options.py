"""What several commands of `related` have in common: options, what they open, and how a failure is said."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recommender.edition import Edition
    from recommender.store import Store
    from service.answers import Answers
    from service.settings import Settings

SOURCES_HELP = "Pages, folders of pages, or .jsonl files: .txt .html .md .jsonl .jsonl.gz, in any mix."
Home = Annotated[
    Path, typer.Option(envvar="RELATED_HOME", help="Folder with the site's data: cache, editions, related.toml.")
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="PostgreSQL database for editions and decisions, postgresql://USER@HOST/DATABASE; setting `store`, where "
        "a password is better kept.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")]
Quiet = Annotated[bool, typer.Option(help="Show no progress.")]
DEFAULT_HOME = Path("data")


def settings_of(home: Path, **given: Any) -> "Settings":
    """The settings of a home; what a command was given goes before them, unless it is None. Raises SettingsError."""
    from service.settings import load_settings

    return load_settings(home, **given)


def store_of(home: Path) -> "Store":
    """Where the editions and decisions of a home are."""
    return settings_of(home).open_store()


def edition_of(home: Path) -> "Edition":
    """The published edition. Raises NoEdition, EditionError."""
    from recommender.store import open_current

    return open_current(store_of(home))


def plain_answers(edition: "Edition", settings: "Settings") -> "Answers":
    """What an edition answers under the settings and decisions of its home, without an A/B test."""
    from service.ready import answers_of

    return answers_of(replace(settings, variants=()), edition)


def sentence_of(error: Exception) -> str:
    """An expected failure as one sentence: of this program, or of a disk that is full or may not be written."""
    if not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
