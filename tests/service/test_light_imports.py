"""The website's process needs neither a model nor an index; linters miss re-exports, so it is proved in a process."""

import subprocess
import sys

import pytest

HEAVY = (
    *("torch", "faiss", "sentence_transformers", "transformers", "numpy", "scipy", "sklearn", "trafilatura", "lxml"),
    *("psycopg", "ray"),
)


@pytest.mark.parametrize("module", ["service.app", "service.settings"])
def test_what_serves_the_website_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_settings_and_command_line_load_no_web_framework() -> None:
    program = "import sys, service.settings, service.cli; print([n for n in ('fastapi', 'jinja2') if n in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_answering_a_request_loads_nothing_heavy_either() -> None:
    program = f"""
import sys, tempfile
from pathlib import Path
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import Settings
from tests.service.editions import publish_edition
with tempfile.TemporaryDirectory() as home:
    publish_edition(Path(home))
    with TestClient(create_app(Settings(home=Path(home)))) as client:
        print(client.get("/v1/articles/bread/related").status_code, client.get("/healthz").status_code)
print([name for name in {HEAVY} if name in sys.modules])
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "200 200\n[]\n"
