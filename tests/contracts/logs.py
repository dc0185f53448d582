"""Logs of decisions for the contract's tests, of each kind, under an address that another process opens them by."""

from pathlib import Path

from recommender.decision_log import DecisionLog


class SqliteLogs:
    """Logs in homes."""

    def address(self, home: Path) -> str:
        """Where the log of a home stands."""
        return str(home)


class PostgresLogs:
    """The log in a database, whichever home asks for it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def address(self, home: Path) -> str:
        """The home, whose processes tell each other that they have written, and the database's URL."""
        return f"{home} {self.url}"


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
