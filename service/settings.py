"""What can be set, in one table, and where a value comes from.

The nearest wins: the command line, then the environment (RELATED_<NAME>), then <home>/related.toml, then the default.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.errors import SettingsError
from embeddings.backend import BACKENDS, Backend
from recommender.decisions import STATES, State
from recommender.ranking import MAX_LIMIT, Rules
from service.accounts import Role, read_accounts, read_users

if TYPE_CHECKING:
    from corpus.sources import PageOptions
    from embeddings.encoder import Encoder
    from recommender.engines.workers import WorkerOptions
    from recommender.job import BuildOptions
    from recommender.store import Store

FILE = "related.toml"
INDEXES = ("auto", "exact", "hnsw", "ivf", "ivf8")
"""What recommender.index.kind_for knows; importing that would bring FAISS along."""
PREFIX = "RELATED_"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a setting's value may be. from_text reads what the environment says; what it cannot read stays text.

    told: whether a mistake may quote the value, which might be a secret that should be a digest.
    """

    expected: str
    accepts: Callable[[Any], bool]
    from_text: Callable[[str], object] = str
    told: bool = True


def _whole_number(low: int, high: int | None = None) -> _Kind:
    def accepts(value: Any) -> bool:
        return type(value) is int and low <= value and (high is None or value <= high)

    def from_text(text: str) -> object:
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text

    return _Kind(f"a whole number from {low}" + (f" to {high}" if high is not None else ""), accepts, from_text)


def _number(low: float, high: float) -> _Kind:
    def accepts(value: Any) -> bool:
        return type(value) in (int, float) and low <= value <= high

    def from_text(text: str) -> object:
        try:
            return float(text)
        except ValueError:
            return text

    return _Kind(f"a number from {low:g} to {high:g}", accepts, from_text)


def _optional(kind: _Kind) -> _Kind:
    """The same, or nothing, which the environment says with an empty value."""
    return _Kind(
        kind.expected,
        lambda value: value is None or kind.accepts(value),
        lambda text: kind.from_text(text) if text else None,
        kind.told,
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_origins(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(origin, str) and re.fullmatch(r"\*|https?://[^\s/,*?#]+", origin) for origin in value
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, text.split(",")) if part)


def _are_key_digests(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) for digest in value
    )


def _are_variants(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    found = [re.fullmatch(r"(curated|model):(\d{1,3})", part) if isinstance(part, str) else None for part in value]
    names = [match[1] for match in found if match]
    shares = [int(match[2]) for match in found if match]
    return len(names) == len(value) == len(set(names)) and all(shares) and sum(shares) <= 100


def _are_read_by(read: Callable[[list[str]], object]) -> Callable[[Any], bool]:
    """Whether a value is a list of texts that can be read so. read: raises ValueError where it cannot."""

    def accepts(value: Any) -> bool:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
            return False
        try:
            read(list(value))
        except ValueError:
            return False
        return True

    return accepts


_YES_OR_NO = _Kind(
    "true or false",
    lambda value: type(value) is bool,
    lambda text: {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text),
)
_TEXT = _Kind("text", _is_text)
_OPTIONAL_TEXT = _optional(_TEXT)
_STATE = _Kind(f"one of {', '.join(STATES)}", lambda value: value in STATES)
_BACKEND = _Kind(f"one of {', '.join(BACKENDS)}", lambda value: value in BACKENDS)
_VARIANTS = _Kind('a list such as "curated:10", "model:10": variant and percentage of pages', _are_variants, _split)
_KEY_DIGESTS = _Kind("a list of sha256 digests, 64 hexadecimal digits each", _are_key_digests, _split)
_EDITORS = _Kind(
    "a list of NAME:ROLE:DIGEST: a name without a comma and of one role, viewer, editor or admin, and the sha256 "
    "digest of a token",
    _are_read_by(read_accounts),
    _split,
    told=False,
)
_USERS = _Kind(
    "a list of NAME:ROLE: each name once and without a comma, and viewer, editor or admin",
    _are_read_by(read_users),
    _split,
)
_INDEX = _Kind(f"one of {', '.join(INDEXES)}", lambda value: value in INDEXES)
_STORE = _optional(
    _Kind(
        "the URL of a PostgreSQL database, postgresql://USER@HOST:PORT/DATABASE, where there are standbys with all "
        "hosts: HOST:PORT,HOST:PORT",
        lambda value: isinstance(value, str) and value.startswith(("postgresql://", "postgres://")),
        told=False,
    )
)
_ROLE = _optional(_Kind("viewer, editor or admin", lambda value: value in [role.value for role in Role]))
_HEADER = _optional(
    _Kind(
        "the name of a header, such as X-Remote-User",
        lambda value: isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9-]+", value)),
    )
)
_NETWORKS = _Kind(
    'a list of IP addresses or networks, such as "10.0.0.7" or "10.0.0.0/8"',
    _are_read_by(lambda entries: [ip_network(entry) for entry in entries]),
    _split,
)
_ORIGINS = _Kind('a list of origins such as "https://example.org", without a path, or "*"', _are_origins, _split)


def _about(kind: _Kind | None, sentence: str) -> dict[str, object]:
    return {"kind": kind, "sentence": sentence}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings: name, default, what a value may be, a sentence. Use load_settings() to read and check them."""

    home: Path = field(
        default=Path("data"),
        metadata=_about(
            None, "Folder with the site's data: cache, editions, related.toml (not to be set in that file)."
        ),
    )
    store: str | None = field(
        default=None,
        metadata=_about(
            _STORE,
            "PostgreSQL database that holds editions and decisions for many services: postgresql://USER@HOST/DATABASE "
            "(docs/scale.md); none keeps them in the home.",
        ),
    )
    model: str | None = field(
        default=None,
        metadata=_about(
            _OPTIONAL_TEXT,
            "Encoder: a folder, a name in the local model cache, static (quick, finds less) or quality "
            "(all-mpnet-base-v2); none is the packaged all-MiniLM-L6-v2.",
        ),
    )
    backend: Backend = field(
        default="auto",
        metadata=_about(
            _BACKEND,
            "What computes the model: torch, openvino, or auto, the quickest that proves faithful on this machine.",
        ),
    )
    processes: int = field(
        default=1,
        metadata=_about(
            _whole_number(1, 1024),
            "How many processes of this machine share the heavy steps of a build; so many has a Ray that it starts, "
            "too.",
        ),
    )
    parts: str | None = field(
        default=None,
        metadata=_about(
            _OPTIONAL_TEXT,
            "Folder through which a build and its workers hand each other files, where there are several: a path that "
            "all machines see, or a URL such as s3://bucket/parts; none is parts in the home.",
        ),
    )
    related_selector: str | None = field(
        default=None,
        metadata=_about(
            _OPTIONAL_TEXT, "CSS selector of the related list in HTML pages; none lets the parser look for it."
        ),
    )
    max_page_bytes: int = field(
        default=8_000_000,
        metadata=_about(_whole_number(1), "A larger page is not read; it is reported as a problem."),
    )
    keep_editions: int = field(
        default=5, metadata=_about(_whole_number(1), "How many editions a build leaves, the new one included.")
    )
    publish_overlap: float = field(
        default=0.0,
        metadata=_about(
            _number(0, 1),
            "A new edition whose lists overlap less with the current one's, on average, is held back until somebody "
            "signs it off; 0 is no limit.",
        ),
    )
    index: str = field(
        default="auto",
        metadata=_about(
            _INDEX,
            "How a site of over 5,000 essays finds neighbours: exact; hnsw, ivf or ivf8, which are quicker from some "
            "150,000 essays on; or auto, by their number.",
        ),
    )
    degraded_after_hours: int = field(
        default=48, metadata=_about(_whole_number(1), "/healthz says degraded when the edition is older than this.")
    )
    min_score: float | None = field(
        default=None,
        metadata=_about(
            _optional(_number(0, 1)), "Nothing with a lower score is shown; a request's own `min_score` goes before it."
        ),
    )
    diversity: float = field(
        default=0.0,
        metadata=_about(
            _number(0, 1),
            "0 orders a list by score; the nearer to 1, the more an article must differ from those above.",
        ),
    )
    per_category: int | None = field(
        default=None,
        metadata=_about(
            _optional(_whole_number(1)),
            "Nothing is added of a category that a list has this many of; none is no limit.",
        ),
    )
    at_least: int = field(
        default=0,
        metadata=_about(_whole_number(0, MAX_LIMIT), "A page with fewer related articles than this shows none."),
    )
    host: str = field(default="127.0.0.1", metadata=_about(_TEXT, "Address that `related serve` listens on."))
    port: int = field(
        default=8000,
        metadata=_about(_whole_number(0, 65535), "Port that `related serve` listens on; 0 takes a free one."),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=_about(_ORIGINS, 'Origins whose pages may ask from the browser; "*" is every one, empty is none.'),
    )

    api_keys: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            _KEY_DIGESTS,
            "sha256 digests of the keys that may ask about drafts and in batches (`related key` makes one); empty is "
            "nobody.",
        ),
    )
    max_body_bytes: int = field(
        default=200_000, metadata=_about(_whole_number(1), "A request with a larger body is refused with 413.")
    )
    drafts: bool = field(
        default=False,
        metadata=_about(_YES_OR_NO, "Whether drafts are answered: the first one loads the model, some 800 MB."),
    )
    drafts_waiting: int = field(
        default=8,
        metadata=_about(_whole_number(1), "So many drafts may wait for the model; one more is refused with 503."),
    )
    drafts_timeout_seconds: int = field(
        default=30, metadata=_about(_whole_number(1), "A draft not answered in this time is given up, with 503.")
    )
    access_log: bool = field(
        default=False, metadata=_about(_YES_OR_NO, "Whether each request is logged, a line of JSON on stdout.")
    )
    page_state: State = field(
        default="standard",
        metadata=_about(
            _STATE,
            "Whose list a page shows until an editor sets its state: standard, curated, shadow, review or model "
            "(docs/desk.md).",
        ),
    )
    variants: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            _VARIANTS,
            'An A/B test by page, for example "curated:10", "model:10": a tenth of the pages show only what their '
            "editors listed, a tenth the model's own order, the others what all show without a test.",
        ),
    )
    editors: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            _EDITORS,
            "Who may use the desk with a token: NAME:ROLE:DIGEST (`related key --editor NAME` makes one), the role "
            "viewer, editor or admin; empty, and without `desk_user_header`, it is open to this machine only.",
        ),
    )
    desk_user_header: str | None = field(
        default=None,
        metadata=_about(
            _HEADER,
            "Header in which a proxy names who asks for the desk, such as X-Remote-User, in place of any that a "
            "browser sends; believed of this machine and of `trusted_proxies`.",
        ),
    )
    desk_users: tuple[str, ...] = field(
        default=(), metadata=_about(_USERS, 'Roles of those whom that header names, such as "anna:editor".')
    )
    desk_default_role: str | None = field(
        default=None,
        metadata=_about(_ROLE, "Role of those whom it names and `desk_users` does not; none keeps them out."),
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            _NETWORKS,
            "IP addresses or networks of the proxies whose word on who asks, by which scheme and for which host, the "
            "desk believes; a proxy on this machine needs no entry.",
        ),
    )

    def environment(self) -> dict[str, str]:
        """The environment from which load_settings() and create_app_from_env() read these very settings."""
        return {PREFIX + entry.name.upper(): _to_text(getattr(self, entry.name)) for entry in fields(self)}

    def open_store(self) -> "Store":
        """Where editions are shown and decisions kept. Raises StoreAway when that cannot be used at all."""
        from recommender.store import open_store

        return open_store(self.home, self.store)

    def page_options(self) -> "PageOptions":
        """What these settings say about reading pages."""
        from corpus.sources import PageOptions

        return PageOptions(self.related_selector, self.max_page_bytes)

    def encoder(self) -> "Encoder":
        """The model that these settings name, not loaded yet. Raises EncoderError when it is not there."""
        from embeddings.loading import load_encoder

        return load_encoder(self.model, self.backend, self.home / "cache")

    def build_options(self) -> "BuildOptions":
        """What these settings say about a build."""
        from recommender.job import BuildOptions

        return BuildOptions(self.page_options(), self.keep_editions, self.publish_overlap, self.index)

    def worker_options(self, engine: str, address: str | None) -> "WorkerOptions":
        """What these settings say about a build's workers. engine, address: from the command line."""
        from recommender.engines.workers import WorkerOptions

        return WorkerOptions(self.model, self.home / "cache", engine, self.processes, address, self.parts)

    def rules(self) -> Rules:
        """What these settings say about the website's lists; how long a list is, its page says."""
        return Rules(
            min_score=self.min_score,
            diversity=self.diversity,
            per_category=self.per_category,
            at_least=self.at_least,
        )


_KINDS: dict[str, _Kind] = {entry.name: entry.metadata["kind"] for entry in fields(Settings) if entry.name != "home"}


def documentation() -> Iterator[tuple[str, Any, str]]:
    """Name, default and sentence of every setting, for the README and the help."""
    for entry in fields(Settings):
        yield entry.name, entry.default, entry.metadata["sentence"]


def load_settings(home: Path, **overrides: Any) -> Settings:
    """The settings of this home. overrides: from the command line, None where nothing was said.

    Raises SettingsError, listing every mistake of every source, with the place where it stands.
    """
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    for entries in (_from_file(home / FILE, mistakes), _from_environment(), _from_command_line(overrides)):
        for place, name, value in entries:
            mistake = _mistake(name, value)
            if mistake:
                mistakes.append(f"{place}: {mistake}")
            else:
                values[name] = tuple(value) if isinstance(value, list) else value
    if mistakes:
        raise SettingsError("\n  ".join(["the settings cannot be used; correct this first:", *mistakes]))
    return Settings(home=home, **values)


_Entries = Iterator[tuple[str, str, object]]


def _from_file(path: Path, mistakes: list[str]) -> _Entries:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:  # ValueError: not TOML, or not UTF-8
        mistakes.append(f"{path}: cannot be read as TOML ({error})")
        return
    for name, value in content.items():
        yield f"{path}, {name}", name, value


def _from_environment() -> _Entries:
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name != "home":
            text = os.environ[variable]
            yield f"environment, {variable}", name, _KINDS[name].from_text(text) if name in _KINDS else text


def _from_command_line(overrides: dict[str, Any]) -> _Entries:
    for name, value in overrides.items():
        if value is not None:
            yield f"command line, {name}", name, value


def _mistake(name: str, value: object) -> str | None:
    """What is wrong with a setting, None when nothing is."""
    if name == "home":
        return "the home is named by --home or RELATED_HOME"
    if name not in _KINDS:
        near = get_close_matches(name, _KINDS, n=1) or [", ".join(_KINDS)]
        return f"there is no setting {name!r}; did you mean {near[0]}?"
    if not _KINDS[name].accepts(value):
        shown = repr(value) if _KINDS[name].told else "what stands there"
        return f"{shown} is not {_KINDS[name].expected}"
    return None


def _to_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)
