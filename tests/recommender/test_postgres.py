"""Connections to PostgreSQL: what happens when they break, and what a database is called."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.postgres_server import Server
from corpus.errors import EditionError, StoreAway


def test_connections_that_broke_all_at_once_are_noticed_by_one_question(postgres: Server, database: str) -> None:
    from recommender.postgres import open_database

    found = open_database(database)
    with ThreadPoolExecutor(6) as threads:  # at the same time: each has a connection of its own
        pids = list(threads.map(lambda _: found.rows(b"SELECT pg_backend_pid() FROM pg_sleep(0.2)")[0][0], range(6)))
    assert len(set(pids)) == 6
    for pid in pids:
        postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

    [(pid,)] = found.rows(b"SELECT pg_backend_pid()")
    assert pid not in pids


def test_a_question_that_takes_too_long_is_given_up(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender.postgres import open_database

    monkeypatch.setattr("recommender.postgres._READ_SECONDS", 0.05)
    with pytest.raises(StoreAway, match="statement timeout"):
        open_database(database).rows(b"SELECT pg_sleep(30)")


def test_a_question_that_makes_no_sense_is_told_as_one_sentence(database: str) -> None:
    from recommender.postgres import open_database

    with pytest.raises(EditionError, match=r'cannot be used \(column "nonsense" does not exist LINE 1: .*\): see to'):
        open_database(database).rows(b"SELECT nonsense")


def test_a_database_is_opened_once_and_forgotten_with_its_last_user(database: str) -> None:
    from recommender import postgres

    first = postgres.open_database(database)
    assert postgres.open_database(database) is first
    first.rows(b"SELECT 1")
    del first
    assert database not in postgres._open


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ann:opensesame@a:1,b:2/site?sslmode=require", "postgresql://a:1,b:2/site"),
        ("postgres://ann@a,b/site", "postgresql://a,b/site"),
        ("postgresql://a,b:5433/site", "postgresql://a,b:5433/site"),
        ("postgresql:///site?host=/run/postgresql&password=opensesame", "postgresql:///run/postgresql/site"),
    ],
)
def test_a_database_is_called_by_its_hosts(url: str, name: str) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'related-articles[dev]'")
    from recommender.postgres import open_database

    assert open_database(url).name == name
