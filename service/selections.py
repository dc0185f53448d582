"""Filtered lists without ranking anew: a page's whole list is ranked once, and a request's filters take away from it.

That gives what rank() would, but for near-duplicates, of which the first that is left stands for all, and for what
Edition.whole_list() leaves to rank(). A test compares them. Here a whole list is packed into bytes, its cards
serialised but for their positions, so that a request looks at some numbers and joins what is left.

    _HEAD           how many entries, how many a page shows, whether rank() may lift one into a full list, lengths of
                    `before` and `between`, checksum (CRC-32) of the unchanging parts of its cards
    int64 columns   digests of each entry's id and category (0 for none)
    uint32 columns  where the unchanging part of its card stands in the file of such parts, and its length; the ordinal
                    of its date (0 for none); score in millionths; where its two texts end; the number of its group
                    of near-duplicates (0 for none)
    before, between the answer up to the recommendation_id, and from there to the first card
    texts           of each entry: from its score to its position, and what follows that
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import blake2b
from struct import Struct
from zlib import crc32

from recommender.edition import WholeList
from recommender.ranking import LIFTING_LIMIT
from service.answers import to_bytes
from service.asking import Filters
from service.schemas import Card, RelatedResponse

_HEAD = Struct("<HH?III")
_WIDE, _NARROW = 2, 7
_MILLION = 1_000_000
_LAST_DAY = date.max.toordinal()
_ID, _SCORE, _ORIGIN, _ITEMS = b'"recommendation_id":"', b',"score":', b',"origin":', b'"items":['
"""Where an answer is cut. None of them can stand within a text, where JSON writes a quotation mark with a backslash."""


class Heads:
    """The unchanging parts of cards, one after the other, each item's once."""

    def __init__(self) -> None:
        self.length = 0
        self._known: dict[bytes, tuple[int, int]] = {}

    def place(self, head: bytes) -> tuple[tuple[int, int], bytes]:
        """Where it stands, and what to write for it: nothing when it is there already."""
        key = blake2b(head, digest_size=16).digest()
        if key in self._known:
            return self._known[key], b""
        self._known[key] = self.length, len(head)
        self.length += len(head)
        return self._known[key], head


def pack(response: RelatedResponse, whole: WholeList, heads: Heads) -> tuple[bytes, bytes]:
    """A page's whole list as bytes, and the parts of cards that are new. response: the list as cards."""
    answer = to_bytes(response)
    after_id, to_items = answer.index(_ID) + len(_ID), answer.index(_ITEMS) + len(_ITEMS)
    before, between = answer[:after_id], answer[after_id + len(response.recommendation_id) : to_items]
    ids, narrow, texts, new = array("q"), [array("I") for _ in range(_NARROW)], b"", b""
    ids.extend(digest(card.id) for card in response.items)
    ids.extend(digest(card.category) if card.category is not None else 0 for card in response.items)
    groups: dict[str, int] = {}
    checksum = 0
    for card, (_, item) in zip(response.items, whole.places, strict=True):
        group = groups.setdefault(item.twins, len(groups) + 1) if item.twins is not None else 0
        head, scored, rest = _cut(card)
        place, written = heads.place(head)
        new += written
        checksum = crc32(head, checksum)
        day = card.published.toordinal() if card.published else 0
        score = round(card.score * _MILLION)
        ends = len(texts) + len(scored), len(texts) + len(scored) + len(rest)
        for column, value in zip(narrow, (*place, day, score, *ends, group), strict=True):
            column.append(value)
        texts += scored + rest
    sizes = _HEAD.pack(len(response.items), whole.limit, whole.lifts, len(before), len(between), checksum)
    return b"".join((sizes, ids.tobytes(), *(column.tobytes() for column in narrow), before, between, texts)), new


def select(
    packed: bytes, heads: memoryview, filters: Filters, limit: int | None, name: str
) -> tuple[bytes, int] | None:
    """The answer with what the filters leave, under this recommendation_id, and how many cards it has.

    None when that is for rank() to say.
    """
    count, shown, lifts, before, between, _ = _HEAD.unpack_from(packed)
    wide = _HEAD.size + _WIDE * 8 * count
    texts = wide + _NARROW * 4 * count
    view = memoryview(packed)
    digests, columns = view[_HEAD.size : wide].cast("q"), view[wide:texts].cast("I")
    picked = _passing(digests, columns, count, filters, limit or shown)
    if lifts and len(picked) == (limit or shown) >= LIFTING_LIMIT:
        return None
    start = texts + before + between
    parts: list[bytes | memoryview] = [packed[texts : texts + before], name.encode(), packed[texts + before : start]]
    for position, i in enumerate(picked, start=1):
        head, scored, rest = columns[i], start + columns[4 * count + i], start + columns[5 * count + i]
        begun = start + columns[5 * count + i - 1] if i else start
        parts += (
            b"," if position > 1 else b"",
            heads[head : head + columns[count + i]],
            packed[begun:scored],
            b"%d" % position,
            packed[scored:rest],
        )
    parts.append(b"]}")
    return b"".join(parts), len(picked)


def intact(packed: bytes, heads: memoryview) -> bool:
    """Whether the unchanging parts of its cards are what was written."""
    count, *_, checksum = _HEAD.unpack_from(packed)
    columns = memoryview(packed)[_HEAD.size + _WIDE * 8 * count :][: 2 * 4 * count].cast("I").tolist()
    found = 0
    for start, length in zip(columns[:count], columns[count:], strict=True):
        found = crc32(heads[start : start + length], found)
    return bool(found == checksum)


def digest(text: str) -> int:
    """64 bits that stand for a text, as a signed number."""
    said = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(said, sys.byteorder, signed=True)


def _passing(digests: memoryview, columns: memoryview, count: int, filters: Filters, limit: int) -> Sequence[int]:
    """The first entries, at most limit, that the filters let through, one of each group of near-duplicates."""
    left: Iterable[int] = range(count)
    if filters.category is not None:
        category = digest(filters.category)
        left = [i for i, other in enumerate(digests[count:].tolist()) if other == category]
    if filters.published_after or filters.published_before:
        first = filters.published_after.toordinal() if filters.published_after else 1
        last = filters.published_before.toordinal() if filters.published_before else _LAST_DAY
        days = columns[2 * count : 3 * count].tolist()
        left = [i for i in left if first <= days[i] <= last]
    if filters.exclude:
        excluded = {digest(ident) for ident in filters.exclude}
        left = [i for i in left if digests[i] not in excluded]
    if filters.min_score is not None:
        left = [i for i in left if columns[3 * count + i] / _MILLION >= filters.min_score]
    picked: list[int] = []
    groups: set[int] = set()
    for i in left:
        group = columns[6 * count + i]
        if group and group in groups:
            continue
        groups.add(group)
        picked.append(i)
        if len(picked) == limit:
            break
    return picked


def _cut(card: Card) -> tuple[bytes, bytes, bytes]:
    """A card as JSON in three parts: up to the score, from there up to the position's value, from after that."""
    text = card.model_dump_json().encode()
    score = text.index(_SCORE)
    origin = text.index(_ORIGIN, score)
    return text[:score], text[score : text.rindex(b":", score, origin) + 1], text[origin:]
