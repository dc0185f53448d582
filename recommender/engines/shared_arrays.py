"""Arrays that every part of a large site's work reads: one file of the parts' folder (safetensors), which each process
that works on a part maps into its memory, so that nothing of them passes through the driver.

A file elsewhere than on this machine is fetched once by each machine.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import save_file

from recommender.arrays import from_dense, to_dense
from recommender.engines.files import at_hand, decoding
from recommender.engines.parts import PartsFolder, check_digest

_TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def write_arrays(folder: PartsFolder, arrays: Mapping[str, Any]) -> str:
    """Keep arrays and CSR matrices among the parts, unless they are there. Returns the file's URL."""
    dense: dict[str, Any] = {}
    for name, array in arrays.items():
        dense |= to_dense(name, array)
    dense = {name: np.ascontiguousarray(array) for name, array in dense.items()}

    def write(stream: BinaryIO) -> None:
        with tempfile.TemporaryDirectory() as aside:
            path = Path(aside) / "arrays"
            save_file(dense, path)
            with path.open("rb") as file:
                shutil.copyfileobj(file, stream)

    return folder.keep_written(_digest(dense), write)


def open_arrays(url: str) -> dict[str, Any]:
    """What write_arrays() was given, read only. Raises EngineError when it is damaged, and removes it."""
    path = at_hand(url)
    with decoding(url):
        found = _mapped(path)
        check_digest(url, _digest(found))
    matrices = {name.removesuffix(".indptr") for name in found if name.endswith(".indptr")}
    plain = {name: array for name, array in found.items() if name.rpartition(".")[0] not in matrices}
    return plain | {name: from_dense(name, found) for name in matrices}


def _mapped(path: Path) -> dict[str, Any]:
    """The arrays of a file. Raises ValueError or KeyError when it is damaged."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, and would have a header of {length:,}")
        header = json.loads(file.read(length))
    stored = np.memmap(path, np.uint8, "r", offset=8 + length)
    return {
        name: stored[slice(*entry["data_offsets"])].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }


def _digest(dense: Mapping[str, Any]) -> str:
    sha = hashlib.sha256()
    for name, array in sorted(dense.items()):
        sha.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        sha.update(array.data if array.size else b"")
    return sha.hexdigest()
