"""What the tests of the desk's pages share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.desk.site import DeskSite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DeskSite]:
    """A desk over the small edition, in which nothing is decided yet."""
    site = DeskSite(tmp_path / "home")
    yield site
    site.log.close()
    if "log" in site.desk.__dict__:
        site.desk.log.close()
