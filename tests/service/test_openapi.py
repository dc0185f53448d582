"""Every operation of the OpenAPI document, tried with requests that the document allows and with others."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import settings
from schemathesis import Case, HookContext
from schemathesis.openapi import from_dict
from starlette.types import Receive, Scope, Send

from recommender.ranking import Item
from service.app import create_app
from service.keys import digest
from service.settings import Settings
from tests.service.editions import BREAD, ITEMS_OF_THE_SITE, LISTS_OF_THE_SITE, publish_edition

KEY = "a-key-that-nobody-guesses"

document = from_dict(create_app(Settings()).openapi())
under_test: list[FastAPI] = []


async def service(scope: Scope, receive: Receive, send: Send) -> None:
    """The service of these tests, which is there later than the document."""
    await under_test[-1](scope, receive, send)


document.app = service


@document.hook
def filter_case(context: HookContext, case: Case) -> bool:
    """Leave out what only a sentence of the document forbids: dates in the wrong order."""
    return not any(_has_dates_in_the_wrong_order(part) for part in (case.query, case.body))


def _has_dates_in_the_wrong_order(part: Any) -> bool:
    try:
        return bool(part["published_after"] > part["published_before"])
    except (KeyError, TypeError):
        return False


@pytest.fixture(scope="module", autouse=True)
def _edition(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One that has the articles which the document's examples name, so that these are found."""
    home = tmp_path_factory.mktemp("home")
    bread = BREAD._replace(url="https://example.org/essays/bread")
    sourdough = Item("2024/sourdough", "essay", "Sourdough", url="https://example.org/sourdough")
    publish_edition(
        home,
        lists=(replace(LISTS_OF_THE_SITE[0], id=sourdough.id), *LISTS_OF_THE_SITE),
        items=(sourdough, bread, *(item for item in ITEMS_OF_THE_SITE if item.id != bread.id)),
    )
    under_test.append(create_app(Settings(home=home, api_keys=(digest(KEY),))))


def _test_of(label: str) -> Callable[[Case], None]:
    """The operation of this label does what the document says of it."""

    @document.include(name=label).parametrize()
    @settings(max_examples=40, derandomize=True)
    def test(case: Case) -> None:
        response = case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"})

        assert response.status_code < 500

    return test


# A name for each: as parameters of one function they have one id, and pytest-xdist runs one test of an id.
for _operation in document.get_all_operations():
    _label = _operation.ok().label
    globals()["test_" + re.sub(r"\W+", "_", _label)] = _test_of(_label)
