"""Sparse matrices as plain arrays, for files that hold nothing else."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

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
