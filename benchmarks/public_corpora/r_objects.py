"""Reads R's serialised objects, as far as R's help databases need it, without R."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

REFERENCE, PERSISTENT, PACKAGE, NAMESPACE, NULLS = 255, 247, 248, 249, frozenset((241, 242, 250, 251, 252, 253, 254))
SYMBOL, ENVIRONMENT, PAIR_TYPES = 1, 4, frozenset((2, 3, 5, 6, 17))
CHARACTERS, STRINGS, LISTS, RAW = 9, 16, frozenset((19, 20)), 24
NUMBERS = {10: "i", 13: "i", 14: "d", 15: "dd"}


class Vector(list):
    """An R vector or list with its attributes; a pairlist becomes one whose attribute "names" has the tags."""

    attributes: dict[str, object]

    def __init__(self, items: object = (), attributes: dict[str, object] | None = None) -> None:
        super().__init__(items)
        self.attributes = attributes or {}

    def items(self) -> Iterator[tuple[str, object]]:
        """The named elements."""
        return zip(self.attributes.get("names", ()), self, strict=False)


class _Reader:
    """Reads one object; R numbers symbols, environments and persistent names, and refers back to them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._seen = data, 0, []
        if self._take(2) != b"X\n":
            raise ValueError("not an R object in XDR format")
        version = self._integers(3)[0]
        if version >= 3:
            self._take(self._integers(1)[0])  # the name of the writer's encoding

    def read(self) -> object:
        """The object here: None, str, Vector or bytes."""
        flags = self._integers(1)[0]
        kind, has_attributes = flags & 0xFF, flags >> 9 & 1
        if kind in NULLS:
            return None
        if kind == REFERENCE:
            return self._seen[(flags >> 8 or self._integers(1)[0]) - 1]
        if kind in PAIR_TYPES:
            return self._pairs(flags)
        if kind in (SYMBOL, ENVIRONMENT, PERSISTENT, PACKAGE, NAMESPACE):
            return self._referable(kind)
        value = self._value(kind)
        if has_attributes:
            attributes = dict(self.read().items())
            if isinstance(value, Vector):
                value.attributes = attributes
        return value

    def _value(self, kind: int) -> object:
        """A string or vector, its attributes not read yet."""
        length = self._integers(1)[0]
        if kind == CHARACTERS:
            return self._take(length).decode("utf-8", "replace") if length >= 0 else None
        if kind == RAW:
            return self._take(length)
        if kind == STRINGS or kind in LISTS:
            return Vector(self.read() for _ in range(length))
        if kind not in NUMBERS:
            raise ValueError(f"an R object of type {kind} is not known here")
        form = f">{length * len(NUMBERS[kind])}{NUMBERS[kind][0]}"
        return Vector(struct.unpack(form, self._take(struct.calcsize(form))))

    def _referable(self, kind: int) -> object:
        """A symbol (its name), or an environment or its name (nothing, for nobody asks)."""
        if kind == SYMBOL:
            self._seen.append(self.read())
        elif kind == ENVIRONMENT:
            self._integers(1)
            self._seen.append(None)
            for _ in range(4):
                self.read()
            return None
        else:
            _, length = self._integers(2)
            self._seen.append(Vector(self.read() for _ in range(length)))
        return self._seen[-1]

    def _pairs(self, flags: int) -> Vector:
        """A pairlist, cell by cell; its own attributes are left out."""
        tags, values = [], []
        while flags & 0xFF in PAIR_TYPES:
            if flags >> 9 & 1:
                self.read()
            tags.append(self.read() if flags >> 10 & 1 else "")
            values.append(self.read())
            flags = self._integers(1)[0]
        if flags & 0xFF not in NULLS:
            raise ValueError("a dotted pair is not known here")
        return Vector(values, {"names": tags})

    def _integers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f">{count}i", self._take(4 * count))

    def _take(self, length: int) -> bytes:
        self._at += length
        return self._data[self._at - length : self._at]


def unserialize(data: bytes) -> object:
    """The object that R's serialize() wrote."""
    return _Reader(data).read()


def read_rds(path: Path) -> Vector:
    """The object in a file that R's saveRDS() wrote."""
    return unserialize(gzip.decompress(path.read_bytes()))


def read_database(path: Path) -> Iterator[tuple[str, Vector]]:
    """Each object of a lazy-load database (path.rdx and path.rdb) with its name."""
    data = path.with_suffix(".rdb").read_bytes()
    variables = dict(read_rds(path.with_suffix(".rdx")).items())["variables"]
    for name, (offset, length) in variables.items():
        yield name, unserialize(zlib.decompress(data[offset + 4 : offset + length]))  # 4: the length unpacked
