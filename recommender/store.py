"""Where editions are shown and decisions kept: a home's folder, or a PostgreSQL database that many services read."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from corpus.errors import EditionError, StoreAway
from recommender import publishing
from recommender.edition import Edition, current_id, edition_ids, open_edition, served_bytes
from recommender.publish_gate import Held
from recommender.publishing import EditionSummary, Prepare

if TYPE_CHECKING:
    from recommender.decision_log import DecisionLog

_Progress = Callable[[int], object]


class Store(Protocol):
    """Editions, of which one is the current one, and the log of decisions. For many threads and processes.

    All of it raises EditionError, StoreAway where a database does not answer. name: what people call it; it holds no
    secret. tests/contracts/test_store.py runs on both kinds.
    """

    name: str

    def current_id(self) -> str:
        """The id of the published edition. Raises NoEdition when there is none."""
        ...

    def open(self, ident: str, quickly: bool = False) -> Edition:
        """An edition by id, checked as far as the service reads it. quickly: less is checked, in the same time for any
        site."""
        ...

    def ids(self) -> list[str]:
        """Every edition, damaged ones too, oldest first."""
        ...

    def newest_intact(self, before: str) -> Edition | None:
        """The newest edition before this id that may be shown and can be read."""
        ...

    def summaries(self, quickly: bool = False) -> list[EditionSummary]:
        """Every edition, newest first, damaged ones and those held back with the reason."""
        ...

    def publish(self, edition: Edition, held: Held | None, keep: int, progress: _Progress = lambda done: None) -> None:
        """Take over an edition from elsewhere, all of it or nothing, make it the current one and drop the oldest.

        held: keep it without showing it. keep: how many are left, this one included. One that is here already is only
        made the current one. progress: is told of essays taken over.
        """
        ...

    def roll_back(self, ident: str | None = None, prepare: Prepare | None = None) -> str:
        """See publishing.roll_back()."""
        ...

    def sign_off(self, ident: str | None, by: str, prepare: Prepare | None = None) -> str:
        """See publishing.sign_off()."""
        ...

    def mark(self) -> object:
        """What differs from before whenever another edition has become the current one; quick, and never raises."""
        ...

    def served_bytes(self, ident: str) -> int:
        """How much must be read to check what the service reads of an edition."""
        ...

    def log(self) -> "DecisionLog":
        """The log of decisions, for whoever closes it."""
        ...


def open_current(store: Store) -> Edition:
    """The published edition. Raises NoEdition, or EditionError when it is damaged."""
    return store.open(store.current_id())


class FolderStore:
    """A home's folder; see edition.py and publishing.py."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.name = str(home)

    def current_id(self) -> str:
        """See Store."""
        return current_id(self.home)

    def open(self, ident: str, quickly: bool = False) -> Edition:
        """See Store."""
        return open_edition(self.home, ident, quickly)

    def ids(self) -> list[str]:
        """See Store."""
        return edition_ids(self.home)

    def newest_intact(self, before: str) -> Edition | None:
        """See Store."""
        return publishing.newest_intact(self.home, before)

    def summaries(self, quickly: bool = False) -> list[EditionSummary]:
        """See Store."""
        return publishing.list_editions(self.home, quickly)

    def publish(self, edition: Edition, held: Held | None, keep: int, progress: _Progress = lambda done: None) -> None:
        """See Store."""
        publishing.take_over(self.home, edition, held, keep)
        progress(edition.manifest["counts"]["essays"])

    def roll_back(self, ident: str | None = None, prepare: Prepare | None = None) -> str:
        """See Store."""
        return publishing.roll_back(self.home, ident, prepare)

    def sign_off(self, ident: str | None, by: str, prepare: Prepare | None = None) -> str:
        """See Store."""
        return publishing.sign_off(self.home, ident, by, prepare)

    def mark(self) -> object:
        """See Store. None when there is no edition."""
        try:
            found = (self.home / "current").stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def served_bytes(self, ident: str) -> int:
        """See Store."""
        return served_bytes(self.home, ident)

    def log(self) -> "DecisionLog":
        """See Store."""
        from recommender.decision_log import DecisionLog

        return DecisionLog(self.home)


def follow(store: Store, home: Path, keep: int) -> None:
    """Have the store's current edition be the current one of the home, too, which builds go on from.

    Whoever steps back does that in the store, and another home may have been published from. keep: see Store.publish().
    """
    try:
        current = open_current(store)
    except StoreAway:
        raise
    except EditionError:  # none, or one that this version cannot read: a build makes another
        return
    here = FolderStore(home)
    with suppress(EditionError):
        if here.current_id() == current.id:
            return
    here.publish(current, None, keep)


def open_store(home: Path, url: str | None = None) -> Store:
    """The database at this URL, or the home's folder. Raises StoreAway when the URL makes no sense, or psycopg is not
    installed; whether a database answers is seen when it is asked."""
    if url is None:
        return FolderStore(home)
    try:
        from recommender.postgres_store import PostgresStore
    except ImportError as error:
        raise StoreAway(
            f"PostgreSQL needs what is not here ({error}): pip install 'related-articles[postgres]'"
        ) from None
    return PostgresStore(url, home)
