"""A service that may be posted to, with a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from service.app import create_app
from service.keys import digest
from service.problems import MEDIA_TYPE
from service.settings import Settings

KEY = "a-key-that-nobody-guesses"
WITH_KEY = {"Authorization": f"Bearer {KEY}"}


def app_of(home: Path, **settings: Any) -> FastAPI:
    """The service as create_app() makes it, knowing KEY unless the settings say otherwise."""
    return create_app(Settings(home=home, **{"api_keys": (digest("another"), digest(KEY)), **settings}))


@contextmanager
def client_of(app: FastAPI) -> Iterator[TestClient]:
    """A client that sends the key, and gets the answer that a failure is turned into."""
    with TestClient(app, raise_server_exceptions=False, headers=WITH_KEY) as client:
        yield client


def is_problem(response: Response, status: int, title: str) -> dict[str, Any]:
    """The problem document, after a look at what all of them share."""
    problem: dict[str, Any] = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, MEDIA_TYPE)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (problem["status"], problem["title"]) == (status, title)
    return problem


def mistakes(response: Response) -> list[tuple[str, str]]:
    """Each mistake that a 422 names: where it stands, and what it is."""
    problem = is_problem(response, 422, HTTPStatus(422).phrase)  # the phrase differs between Python versions
    return [(error["parameter"], error["detail"]) for error in problem["errors"]]
