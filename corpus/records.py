"""Essays as JSON records, one a line: what `related parse` prints, and what any other source can bring.

A record has `id, url, title, standfirst` (or `description`)`, category, author, published` (ISO date),
`reading_minutes`, `body` (plain text, blank line between paragraphs) or `blocks`, `blurbs` and/or `related` (ids of
essays, in order), `links, source`. What a page does not say is null. Unknown keys are kept out and remarked on.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, cast

from corpus.dates import parse_date
from corpus.decoding import plain
from corpus.essay import Block, BlockKind, Blurb, Essay, PageProblem, PageRejected

_OTHER_SCHEME = re.compile(r"\s*(?!https?:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)
MAX_LINE_BYTES = 16 * 1024 * 1024
_KNOWN_KEYS = {
    *("id", "url", "title", "standfirst", "description", "category", "author", "published", "reading_minutes"),
    *("body", "blocks", "blurbs", "related", "links", "source"),
}


def essay_to_record(essay: Essay) -> dict[str, Any]:
    """The essay as `related parse` prints it; `related` stands in it only where the source names its list by ids."""
    record: dict[str, Any] = {
        "id": essay.id,
        "url": essay.url,
        "title": essay.title,
        "standfirst": essay.standfirst,
        "category": essay.category,
        "author": essay.author,
        "published": _iso(essay.published),
        "reading_minutes": essay.reading_minutes,
        "blocks": [{"kind": block.kind, "text": block.text} for block in essay.blocks],
        "blurbs": [blurb_to_record(blurb) for blurb in essay.blurbs],
        "links": list(essay.links),
        "source": essay.source,
    }
    if essay.related:
        record["related"] = list(essay.related)
    return record


def blurb_to_record(blurb: Blurb) -> dict[str, Any]:
    """A blurb as it stands in its essay's record."""
    return {
        "category": blurb.category,
        "text": blurb.text,
        "published": _iso(blurb.published),
        "url": blurb.url,
        "title": blurb.title,
    }


def essay_from_record(record: object, source: str) -> Essay:
    """The essay that a record holds; the way back from essay_to_record. Raises PageRejected with the reason."""
    if not isinstance(record, dict):
        raise PageRejected(f"a record must be a JSON object, not {_json_type(record)}")
    remarks: list[str] = []
    ident = _ident(record)
    blocks = _blocks(record)
    if not blocks:
        raise PageRejected(f"no body: essay {ident!r} has neither `body` nor `blocks` with text")
    unknown = sorted(set(record) - _KNOWN_KEYS)
    if unknown:
        remarks.append(_clean(f"unknown keys left out: {', '.join(unknown)}"))
    return Essay(
        id=ident,
        title=_text(record, "title"),
        url=_url(record, remarks),
        category=_text(record, "category"),
        author=_text(record, "author"),
        standfirst=_text(record, "standfirst") or _text(record, "description"),
        published=_published(record, remarks),
        reading_minutes=_whole_number(record, "reading_minutes"),
        blocks=blocks,
        blurbs=tuple(_blurb(item, ident, number, remarks) for number, item in enumerate(_list(record, "blurbs"), 1)),
        related=_texts(record, "related"),
        links=_texts(record, "links"),
        source=_text(record, "source") or source,
        remarks=tuple(remarks),
    )


def read_records(path: Path) -> Iterator[Essay | PageProblem]:
    """The essays of a .jsonl or .jsonl.gz file, in order; each line that is none becomes a PageProblem."""
    open_lines = gzip.open if path.suffix.lower() == ".gz" else open
    name = _clean(str(path))
    number = 0
    empty = True
    try:
        with open_lines(path, "rb") as lines:
            while line := lines.readline(MAX_LINE_BYTES + 1):
                number += 1
                source = f"{name}:{number}"
                empty = empty and not line.strip()
                if len(line) > MAX_LINE_BYTES:
                    yield PageProblem(source, f"a line longer than {MAX_LINE_BYTES:,} bytes")
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(MAX_LINE_BYTES)
                elif line.strip():
                    yield _read_line(line, source)
        if empty:
            yield PageProblem(name, "the file is empty")
    except (OSError, EOFError, zlib.error) as error:
        yield PageProblem(f"{name}:{number + 1}", f"the file cannot be read further: {error}")


def _read_line(line: bytes, source: str) -> Essay | PageProblem:
    try:
        return essay_from_record(json.loads(line.decode("utf-8-sig")), source)
    except UnicodeDecodeError:
        return PageProblem(source, "not UTF-8; JSONL must be UTF-8")
    except (ValueError, RecursionError) as error:  # a number of more than 4300 digits is a plain ValueError
        return PageProblem(source, f"not JSON: {error}")
    except PageRejected as error:
        return PageProblem(source, str(error))


def _ident(record: dict[str, Any]) -> str:
    ident = record.get("id")
    if isinstance(ident, int) and not isinstance(ident, bool):
        ident = str(ident)
    ident = _clean(ident).strip() if isinstance(ident, str) else None
    if not ident:
        raise PageRejected("no id: every record needs an `id`")
    return ident


def _blocks(record: dict[str, Any]) -> tuple[Block, ...]:
    if record.get("blocks") is not None:
        blocks = [_block(item) for item in _list(record, "blocks")]
        return tuple(block for block in blocks if block.text.strip())
    body = _text(record, "body") or ""
    paragraphs = (part.strip() for part in body.replace("\r\n", "\n").split("\n\n"))
    return tuple(Block("paragraph", part) for part in paragraphs if part)


def _block(item: object) -> Block:
    if not isinstance(item, dict) or item.get("kind") not in ("heading", "paragraph"):
        raise PageRejected('every item of `blocks` must be {"kind": "heading" | "paragraph", "text": ...}')
    return Block(cast(BlockKind, item["kind"]), _text(item, "text") or "")


def _blurb(item: object, ident: str, position: int, remarks: list[str]) -> Blurb:
    if not isinstance(item, dict):
        raise PageRejected(f"every item of `blurbs` must be an object, not {_json_type(item)}")
    return Blurb(
        source=ident,
        position=position,
        category=_text(item, "category"),
        text=_text(item, "text"),
        published=_published(item, remarks),
        url=_url(item, remarks),
        title=_text(item, "title"),
    )


def _published(record: dict[str, Any], remarks: list[str]) -> date | None:
    text = _text(record, "published")
    published = parse_date(text) if text else None
    if text and published is None:
        remarks.append(f"no date: {text!r} is not a date")
    return published


def _text(record: dict[str, Any], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise PageRejected(f"`{key}` must be text or null, not {_json_type(value)}")
    return _clean(value) or None if value else None


def _url(record: dict[str, Any], remarks: list[str]) -> str | None:
    """The address, when a reader may be sent there: `javascript:` and its like are none."""
    url = _text(record, "url")
    if url and _OTHER_SCHEME.match(url):
        remarks.append(f"no address: {url[:60]!r} is none of http, https or this site")
        return None
    return url


def _texts(record: dict[str, Any], key: str) -> tuple[str, ...]:
    values = [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in _list(record, key)]
    if not all(isinstance(value, str) for value in values):
        raise PageRejected(f"every item of `{key}` must be text")
    return tuple(_clean(value) for value in values if value)


def _list(record: dict[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise PageRejected(f"`{key}` must be a list, not {_json_type(value)}")
    return value


def _whole_number(record: dict[str, Any], key: str) -> int | None:
    value = record.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise PageRejected(f"`{key}` must be a whole number or null, not {_json_type(value)}")
    return value


def _clean(text: str) -> str:
    """The text without lone surrogates, which JSON can spell but UTF-8 cannot, and without control characters."""
    return plain(text.encode("utf-8", "replace").decode("utf-8"))


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
