"""The yardstick that a whole build is held against: what a person would write in fifteen lines.

usage: python -m benchmarks.yardstick TEXTS.json LISTS.json MODEL_FOLDER

TEXTS.json: {"essays": [[text, ...], ...], "blurbs": [text, ...]}, as benchmarks/build.py cuts them for both. Encodes
all of them by SentenceTransformer.encode with its default arguments, takes the mean of each essay's texts, and finds
each essay's twelve nearest others, and each blurb's, by exact search with FAISS.
"""

import json
import sys
from pathlib import Path

import faiss
import numpy as np
from sentence_transformers import SentenceTransformer


def main(texts: Path, lists: Path, model_folder: str) -> None:
    """Read texts, write lists of row numbers."""
    site = json.loads(texts.read_text(encoding="utf-8"))
    model = SentenceTransformer(model_folder)
    vectors = model.encode([text for essay in site["essays"] for text in essay])
    ends = np.cumsum([len(essay) for essay in site["essays"]])
    matrix = np.stack([rows.mean(axis=0) for rows in np.split(vectors, ends[:-1])])
    faiss.normalize_L2(matrix)
    index = faiss.IndexFlatIP(matrix.shape[1])
    index.add(matrix)
    nearest = [[int(j) for j in row if j != i][:12] for i, row in enumerate(index.search(matrix, 13)[1])]
    of_blurbs = index.search(model.encode(site["blurbs"]), 12)[1].tolist() if site["blurbs"] else []
    lists.write_text(json.dumps({"essays": nearest, "blurbs": of_blurbs}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
