"""The front matter of a Markdown page -> its fields: YAML between ---, TOML between +++, or a JSON object.

Pages are not trusted. YAML is read by PyYAML's safe loader in Python: the one in C, which python-frontmatter takes by
itself, crashes the process on a page with ten thousand open brackets. Scalars stay text, so that `title: 1984` and
`date: 2025-02-30` are what the author wrote, and one bad date does not cost the page.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with python-frontmatter; its stubs are a package of their own
from frontmatter.default_handlers import BaseHandler, JSONHandler, YAMLHandler

from corpus.essay import PageRejected
from corpus.page_parts import day_stated, fold

MAX_CHARS = 100_000  # a list of 60 related essays with their sentences has 20,000
MAX_MERGED_KEYS = 1_000  # `<<: [*a, *a]` doubles the keys on each line that does it

_TYPED_TAGS = ("binary", "bool", "float", "int", "timestamp")
_RESOLVED_TAGS = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:null")
_STARTS_WITH_KEY = re.compile(r"(?:---|\+\+\+)[^\n]*\n\s*[\w\"'-]+\s*[:=]")


class _TextLoader(yaml.SafeLoader):  # type: ignore[misc]
    """The safe loader, for text, lists, mappings and null only."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's name and type
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _RESOLVED_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge the keys of `<<`, unless they become too many."""
        own = len(node.value)
        super().flatten_mapping(node)
        if len(node.value) > max(own, MAX_MERGED_KEYS):
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", node.start_mark)


for _tag in _TYPED_TAGS:
    _TextLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", yaml.SafeLoader.construct_yaml_str)


class _Yaml(YAMLHandler):
    """YAML between lines of three dashes."""

    name = "YAML"

    def load(self, fm: str, **kwargs: object) -> Any:
        """The data of the front matter."""
        return super().load(fm, Loader=_TextLoader)


class _Toml(BaseHandler):
    """TOML between lines of three plus signs. python-frontmatter's own handler wants the package `toml`."""

    name = "TOML"
    FM_BOUNDARY = re.compile(r"^\+{3,}\s*$", re.MULTILINE)

    def load(self, fm: str) -> dict[str, Any]:
        """The data of the front matter."""
        return tomllib.loads(fm)


class _Json(JSONHandler):
    """A JSON object at the start; python-frontmatter's own handler wants its braces on lines of their own."""

    name = "JSON"
    FM_BOUNDARY = re.compile(r"\{\s*[\"}]")

    def split(self, text: str) -> tuple[str, str]:
        """The object and what follows it."""
        end = json.JSONDecoder().raw_decode(text)[1]
        return text[:end], text[end:]


def read_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The front matter of a page, its keys in lower case, and the body; {} and the whole text when there is none.

    Raises PageRejected, naming the line, when there is one that cannot be read.
    """
    page = text.lstrip()
    handlers: tuple[_Yaml | _Toml | _Json, ...] = (_Yaml(), _Toml(), _Json())
    handler = next((handler for handler in handlers if handler.detect(page)), None)
    if handler is None:
        return {}, text
    first_line = 1 + text[: len(text) - len(page)].count("\n")
    try:
        front, body = handler.split(page)
        first_line += page[: page.index(front)].count("\n")
        if len(front) > MAX_CHARS:
            raise PageRejected(f"front matter of {len(front):,} characters; it may have {MAX_CHARS:,}")
        data = handler.load(front)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if _is_unclosed(error) and not _STARTS_WITH_KEY.match(page):
            return {}, text  # a page that begins with a line across it
        raise PageRejected(f"front matter that is no {handler.name}: {_reason(error, first_line)}") from error
    if not isinstance(data, dict | None):
        raise PageRejected(f"front matter must be a mapping of fields, not {_kind(data)}")
    return _lower_keys(data or {}), body


def _is_unclosed(error: Exception) -> bool:
    """Whether python-frontmatter did not find a second boundary: it unpacks what it split."""
    return type(error) is ValueError and "unpack" in str(error)


def _reason(error: Exception, first_line: int) -> str:
    """What is wrong and in which line of the page; the front matter begins on first_line."""
    if _is_unclosed(error):
        return f"it begins in line {first_line} and is never closed"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    line = None
    message = fold(str(error))
    if isinstance(error, yaml.MarkedYAMLError):
        message = fold(error.problem or message)
        line = error.problem_mark.line if error.problem_mark else None
    elif isinstance(error, json.JSONDecodeError):
        message, line = error.msg, error.lineno - 1
    elif place := re.search(r" \(at line (\d+), column \d+\)$", message):
        message, line = message[: place.start()], int(place[1]) - 1
    return f"{message[:200]}, line {first_line + line}" if line is not None else message[:200]


def _lower_keys(data: dict[Any, Any]) -> dict[str, Any]:
    """Hugo does not distinguish `publishDate` from `publishdate`."""
    lowered: dict[str, Any] = {}
    for key, value in data.items():
        lowered.setdefault(str(key).lower(), value)
    return lowered


def _kind(value: object) -> str:
    names = {list: "a list", dict: "a mapping", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "a date" if isinstance(value, date) else "something else")


@dataclass(slots=True)
class Fields:
    """The fields of a mapping by type. One of a wrong type is None, and remarked on. Keys are tried in order."""

    data: dict[str, Any]
    within: str = ""
    remarks: list[str] = field(default_factory=list)

    def text(self, *keys: str) -> str | None:
        """Text, white space folded. A number is taken as it is written."""
        for key in self._given(keys):
            value = self.data[key]
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                if text := fold(str(value)):
                    return text
            else:
                self._wrong(key, "text")
        return None

    def first_text(self, *keys: str) -> str | None:
        """Text, or the first text of a list."""
        texts = self.texts(*keys)
        return texts[0] if texts else None

    def texts(self, *keys: str) -> tuple[str, ...]:
        """Text, a mapping with a `name`, or a list of these."""
        for key in self._given(keys):
            items = self.data[key] if isinstance(self.data[key], list) else [self.data[key]]
            named = [item.get("name") if isinstance(item, dict) else item for item in items]
            if not all(isinstance(item, str) for item in named):
                self._wrong(key, "text")
            if texts := tuple(text for item in named if isinstance(item, str) and (text := fold(item))):
                return texts
        return ()

    def day(self, *keys: str) -> date | None:
        """A day, with or without a time of day. `published: true` is Jekyll's, and no date."""
        for key in self._given(keys):
            value = self.data[key]
            if isinstance(value, date):
                return value.date() if isinstance(value, datetime) else value
            if isinstance(value, str) and (day := day_stated(value)):
                return day
            if isinstance(value, str) and value.lower() not in ("true", "false"):
                self.remarks.append(f"no date: {self.within}`{key}` is {fold(value)[:40]!r}")
            elif not isinstance(value, str | bool):
                self._wrong(key, "a date")
        return None

    def items(self, key: str) -> list[Any]:
        """A list; something single is a list of one."""
        value = self.data.get(key)
        if value is None or value == "":
            return []
        return value if isinstance(value, list) else [value]

    def _given(self, keys: tuple[str, ...]) -> list[str]:
        return [key for key in keys if self.data.get(key) is not None]

    def _wrong(self, key: str, wanted: str) -> None:
        self.remarks.append(f"{self.within}`{key}` must be {wanted}, not {_kind(self.data[key])}")
