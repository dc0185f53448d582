"""Debian packages: fetched, unpacked, looked into."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.public_corpora.pages import Corpus, CorpusError


def run(command: Sequence[str], folder: Path, problem: str) -> str:
    """The output of a command; its last line of complaint becomes the error where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise CorpusError(f"{problem}: {complaint}")
    return done.stdout


def fetch(packages: Sequence[str], folder: Path) -> list[str]:
    """Download and unpack the packages into folder/tree; returns "package version" for each."""
    versions = []
    for package in packages:
        run(["apt-get", "download", package], folder, f"cannot download the package {package} (apt-get update?)")
        deb = find_file(folder, f"{package}_*.deb")
        run(["dpkg", "-x", str(deb), "tree"], folder, f"cannot unpack {deb.name}")
        version = run(["dpkg-deb", "-f", str(deb), "Version"], folder, f"cannot read {deb.name}")
        versions.append(f"{package} {version.strip()}")
    return versions


def check_programs(corpora: Iterable[Corpus]) -> None:
    """Complain about a program that is missing before anything is downloaded."""
    needed = dict(program for corpus in corpora for program in corpus.programs)
    for program, package in {"apt-get": "", "dpkg": "", **needed}.items():
        if shutil.which(program) is None:
            hint = f"apt-get install {package}" if package else "this needs Debian or Ubuntu"
            raise CorpusError(f"{program} is missing: {hint}")


def find_file(root: Path, pattern: str) -> Path:
    """The first file or folder below root with that name; an error where a package has changed its layout."""
    found = min(root.rglob(pattern), default=None)
    if found is None:
        raise CorpusError(f"no {pattern} in the package: its layout is not the one this module knows")
    return found
