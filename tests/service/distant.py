"""A home's folder in the place of a database: its look-ups can be made to hang or to fail."""

from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest

from corpus.errors import EditionError, StoreAway
from recommender.edition import LISTS, Edition
from recommender.list_store import ListStore
from recommender.store import FolderStore
from service.settings import Settings

URL = "postgresql://related@far.example/related"


class DistantStore(FolderStore):
    """A Store that is at a distance.

    is_away: whether nothing can be looked up. answers: cleared, look-ups hang until it is set. gone: editions that have
    been dropped. looked_up: how often a list was asked for anything. waiting: how many look-ups hang now.
    gave_up: whether one hung for longer than any test lets it.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.name = "postgresql://far.example/related"
        self.is_away = False
        self.answers = Event()
        self.answers.set()
        self.gone: set[str] = set()
        self.looked_up = self.waiting = 0
        self.gave_up = False
        self._counting = Lock()

    def wait(self) -> None:
        """What every look-up begins with."""
        with self._counting:
            self.waiting += 1
        self.gave_up |= not self.answers.wait(20)
        with self._counting:
            self.waiting -= 1
        if self.is_away:
            raise StoreAway(f"{self.name} does not answer: see to the database")

    def current_id(self) -> str:
        self.wait()
        return super().current_id()

    def open(self, ident: str, quickly: bool = False) -> Edition:
        self.wait()
        edition = super().open(ident, quickly)
        return Edition(edition.folder, edition.manifest, DistantLists(self, edition))  # type: ignore[arg-type]


class DistantLists:
    """A ListReader of such a store."""

    def __init__(self, store: DistantStore, edition: Edition) -> None:
        self._store, self._ident = store, edition.id
        self._lists = ListStore(edition.folder / LISTS)

    def __getattr__(self, name: str) -> Any:
        self._store.looked_up += 1
        self._store.wait()
        if self._ident in self._store.gone:
            raise EditionError(f"edition {self._ident} is gone")
        return getattr(self._lists, name)


def distant_settings(home: Path, patch: pytest.MonkeyPatch, **more: Any) -> tuple[Settings, DistantStore]:
    """Settings whose store is this one, and the store."""
    store = DistantStore(home)
    patch.setattr("recommender.store.open_store", lambda home, url: store)
    return Settings(home=home, store=URL, **more), store
