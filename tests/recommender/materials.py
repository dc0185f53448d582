"""Sites as the offline job gathers them, and lists that teach or that the texts foretell."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from corpus.catalogue import Catalogue, build_catalogue
from corpus.essay import Essay
from embeddings.cache import open_cache
from embeddings.encoder import Encoder, cache_key
from embeddings.vectors import Vectors
from recommender.encoded import encode_catalogue
from recommender.material import Material
from recommender.metrics import bootstrap
from recommender.watch import Unwatched
from tests.fakes import CountingEncoder
from tests.recommender.sites import FINGERPRINT, Site

quick_bootstrap = partial(bootstrap, resamples=25)
"""Means are the same, and intervals are of no concern to most tests: an evaluation makes two hundred of them."""


def gather(essays: Sequence[Essay], encoder: Encoder | None = None) -> tuple[Catalogue, Material]:
    """What a build makes of these essays, by default with the fake encoder."""
    encoder = encoder or CountingEncoder(window=64)
    catalogue = build_catalogue(essays)
    with TemporaryDirectory() as folder, open_cache(Path(folder) / "cache", cache_key(encoder)) as cache:
        encoded = encode_catalogue(catalogue, encoder, cache, Unwatched())
    return catalogue, Material.gather(catalogue, encoded, encoder.fingerprint)


def material_of(site: Site, lists: Mapping[str, Sequence[str]]) -> Material:
    """The material of a site by hand, its essays listing these, without any blurb."""
    vectors = site.texts.vectors
    nothing = np.zeros((0, vectors.dim), dtype=np.float32)
    blurbs = site.reader.read([], Vectors((), nothing, FINGERPRINT), nothing)
    return Material(site.essays, site.reader, site.landscape, site.graph(lists), blurbs)


def lists_of_groups(ids: Sequence[str], groups: int, length: int = 3) -> dict[str, list[str]]:
    """Every essay lists the next ones of its group; essays are dealt into groups in turn, whatever they say."""
    found = {}
    for row, ident in enumerate(ids):
        own = list(ids[row % groups :: groups])
        place = own.index(ident)
        found[ident] = [own[(place + step) % len(own)] for step in range(1, length + 1)]
    return found
