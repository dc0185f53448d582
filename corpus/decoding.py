"""Bytes of a page -> text. Anything but UTF-8 is detected and said, never guessed silently."""

import re

from charset_normalizer import from_bytes

from corpus.essay import PageRejected

_DECLARED_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_\-]+)""")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
_PLAIN = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160))) | {ord(c): " " for c in _SEPARATORS}
_NOT_PLAIN = re.compile("[" + "".join(re.escape(chr(code)) for code in _PLAIN) + "]")
_BYTES_FOR_DETECTION = 200_000


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of a page and remarks on how it was read.

    Tried in order: byte order mark, UTF-8, the charset that HTML declares, detection by charset-normalizer.
    Raises PageRejected for an empty page, binary data, or an encoding that nothing recognises.
    """
    if not data.strip():
        raise PageRejected("the page is empty")
    text, remarks = _decode(data)
    controls = len(_CONTROL.findall(text))
    if controls > len(text) / 1000:
        raise PageRejected("binary data, not text")
    return plain(text), remarks


def plain(text: str) -> str:
    """The text with line feeds as its only line ends, and without control characters but tab.

    No page may speak to a person's terminal, and none means anything by the others.
    """
    if not _NOT_PLAIN.search(text):  # most texts; to translate one that is not ASCII takes 35 times as long
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_PLAIN)


def _decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _strict(data, "utf-16"), ("read as utf-16",)
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        without_mark = bytes(error.object)  # the codec counts from behind the byte order mark
        if error.start >= len(without_mark) - 3 and error.reason == "unexpected end of data":
            return without_mark[: error.start].decode("utf-8"), ("cut in the middle of a character at its end",)
    if b"\x00" in data:
        raise PageRejected("binary data, not text")
    declared = _DECLARED_CHARSET.search(data[:2048])
    if declared:
        name = declared.group(1).decode("ascii").lower()
        if name not in ("utf-8", "utf8"):
            return _strict(data, name), ()
    encoding = _detect(data[:_BYTES_FOR_DETECTION])
    return _strict(data, encoding), (f"not UTF-8; read as {encoding}",)


def _detect(data: bytes) -> str:
    """The encoding that fits best; where several fit equally well, the one that most old pages have, windows-1252."""
    matches = list(from_bytes(data))
    if not matches:
        raise PageRejected("not UTF-8, and its encoding was not recognised; save it as UTF-8")
    best = min(match.chaos for match in matches)
    equal = {name for match in matches if match.chaos <= best for name in match.could_be_from_charset}
    return "cp1252" if "cp1252" in equal else matches[0].encoding


def _strict(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
        text.encode("utf-8")  # some codecs spell lone surrogates, which nothing could be written with
        return text
    except (UnicodeError, LookupError) as error:
        raise PageRejected(f"not UTF-8, and not readable as {encoding}; save it as UTF-8") from error
