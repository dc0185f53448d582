"""Sparse matrices as plain arrays, for files that hold nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_AT_ONCE = 4096
_PARTS = ("data", "indices", "indptr", "shape")


def to_dense(name: str, array: Any) -> dict[str, Any]:
    """The array under its name, a CSR matrix in parts: name.data and so on."""
    if not sparse.issparse(array):
        return {name: array}
    return {f"{name}.{part}": np.asarray(getattr(array, part)) for part in _PARTS}


def from_dense(name: str, arrays: Mapping[str, Any]) -> Any:
    """What to_dense() was given."""
    if name in arrays:
        return arrays[name]
    data, indices, starts, shape = (arrays[f"{name}.{part}"] for part in _PARTS)
    return sparse.csr_matrix((data, indices, starts), shape=tuple(shape.tolist()))


def runs_of(path: Path, name: str) -> Iterator[NDArray[Any]]:
    """The rows of an array of two dimensions in a file that np.savez wrote, some thousand at a time: they need not fit
    into memory. Raises KeyError when there is none of this name."""
    with ZipFile(path) as stored, stored.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        (count, width), _, dtype = np.lib.format.read_array_header_1_0(file)
        for start in range(0, count, _AT_ONCE):
            rows = min(_AT_ONCE, count - start)
            yield np.frombuffer(file.read(rows * width * dtype.itemsize), dtype).reshape(rows, width)
