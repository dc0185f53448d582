"""What may compute a model, by name; what the names mean is told in embeddings/loading.py. Imports nothing heavy."""

from typing import Literal, get_args

Backend = Literal["auto", "torch", "openvino"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
