"""Logs of decisions for the contract's tests, of each kind, under an address that another process opens them by."""

from pathlib import Path
from typing import TYPE_CHECKING

from recommender.decision_log import DecisionLog

if TYPE_CHECKING:
    from tests.postgres import Server


class SqliteLogs:
    """Logs in homes."""

    def address(self, home: Path) -> str:
        """Where the log of a home stands."""
        return str(home)


class PostgresLogs:
    """Logs in databases, one for each home."""

    def __init__(self, server: "Server") -> None:
        self.server, self._urls = server, dict[Path, str]()

    def address(self, home: Path) -> str:
        """The home, whose processes tell each other that they have written, and the URL of its database."""
        return f"{home} {self.url(home)}"

    def url(self, home: Path) -> str:
        """The URL of a home's database."""
        if home not in self._urls:
            self._urls[home] = self.server.fresh_database()
        return self._urls[home]


def open_log(address: str) -> DecisionLog:
    """The log at an address."""
    home, _, url = address.partition(" ")
    if not url:
        return DecisionLog(Path(home))
    from recommender.postgres import open_database
    from recommender.postgres_listen import Listener
    from recommender.postgres_log import PostgresLog

    database = open_database(url)
    return DecisionLog(PostgresLog(database, Path(home), Listener(database)))
