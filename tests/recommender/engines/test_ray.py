"""What is Ray's alone; what every engine does is told in tests/contracts/test_engine.py."""

import json
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from corpus.errors import EngineError
from recommender.engines.ray import RayEngine

ROOT = Path(__file__).parents[3]


def test_no_build_loads_ray_unless_it_is_asked_for_though_it_has_workers(tmp_path: Path) -> None:
    page = tmp_path / "bread.md"
    page.write_text("# Bread\n\nBread rises in the oven.\n")
    options = ["--home", str(tmp_path), "--model", "static", "--processes", "2", "--quiet"]
    arguments = ["related", "build", str(page), *options]
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys, json\nsys.argv = {arguments!r}\nfrom service.cli import main\n"
        "if __name__ == '__main__':\n"
        "    try:\n        main()\n"
        "    finally:\n        print(json.dumps([name for name in sys.modules if name.split('.')[0] == 'ray']))\n"
    )

    done = subprocess.run(
        [sys.executable, str(program)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert done.stderr.count("rror") == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert (tmp_path / "current").exists()


def test_without_the_extra_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(EngineError, match=r"^Ray is not installed: pip install 'related-articles\[ray\]', or leave"):
        RayEngine(None, 1)


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "nowhere", "127.0.0.1:head"])
def test_a_cluster_that_does_not_answer_is_named_at_once(address: str) -> None:
    if find_spec("ray") is None:
        pytest.skip("the extra is absent: pip install 'related-articles[ray]'")
    with socket.socket() as bound:  # nobody listens on a port that is only bound
        bound.bind(("127.0.0.1", 0))
        named = address.format(port=bound.getsockname()[1])

        with pytest.raises(EngineError, match=f"^no Ray cluster answers at {named} .*: name its head as HOST:PORT"):
            RayEngine(named, 1)
