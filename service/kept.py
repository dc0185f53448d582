"""Answers that were given, in case they are asked for again, or nothing else can be had."""

from collections import OrderedDict
from sys import getsizeof
from threading import Lock
from typing import NamedTuple

from service.ready import Body

ROOM = 6_000_000
"""Bytes for answers that were not ready: some thousand of them."""
ROOM_OF_A_DATABASE = 64_000_000
"""Bytes where a database holds the editions: every answer that costs no look-up spares it some, and when it is away
there are no others. Some 10,000 pages, in the one encoding that most ask for."""

_OVERHEAD = 600
"""Of an entry beside its bytes and what was asked."""
_OTHERS = 8
"""One part in so many is for answers to more than the article alone; plain pages are the last to go."""


class Question(NamedTuple):
    """What was asked, however it was answered. asked, shape: see service.asking.Asked. form: its name."""

    ident: str
    asked: str
    shape: str
    form: str
    gzipped: bool


class Given(NamedTuple):
    """An answer. name: its recommendation_id. known: the id of the last decision known when it was given."""

    name: str
    known: int
    body: Body


class Kept:
    """The last answer to each question, as far as there is room; what was asked for last stays. For many threads.

    It outlives editions. An answer is still right when its name is what it would be called now.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room, self._used = room, 0
        self._lock = Lock()
        self._plain = OrderedDict[Question, Given]()
        self._others = OrderedDict[Question, Given]()
        self._of_others = 0

    def __len__(self) -> int:
        return len(self._plain) + len(self._others)

    def find(self, question: Question, name: str) -> Body | None:
        """The answer of this name."""
        given = self.last(question)
        return given.body if given and given.name == name else None

    def last(self, question: Question) -> Given | None:
        """The last answer, still right or not."""
        shelf = self._others if question.asked else self._plain
        with self._lock:
            given = shelf.get(question)
            if given:
                shelf.move_to_end(question)
            return given

    def keep(self, question: Question, given: Given) -> None:
        """Take an answer in place of the last one."""
        with self._lock:
            self._drop(question)
            (self._others if question.asked else self._plain)[question] = given
            self._count(question, _size(question, given))
            while self._used > self._room:
                crowded = self._of_others * _OTHERS > self._room or not self._plain
                self._drop(next(iter(self._others if crowded else self._plain)))

    def _drop(self, question: Question) -> None:
        given = (self._others if question.asked else self._plain).pop(question, None)
        if given:
            self._count(question, -_size(question, given))

    def _count(self, question: Question, size: int) -> None:
        self._used += size
        if question.asked:
            self._of_others += size


def _size(question: Question, given: Given) -> int:
    """In bytes."""
    return len(given.body.data) + getsizeof(question.ident) + getsizeof(question.asked) + _OVERHEAD


class Addresses:
    """The ids of the articles at the URLs that were asked for last, and the editions that said so. For many threads."""

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._lock = most, Lock()
        self._found = OrderedDict[str, tuple[str, str]]()

    def find(self, url: str) -> tuple[str, str] | None:
        """The id, and the edition's."""
        return self._found.get(url)

    def keep(self, url: str, ident: str, edition: str) -> None:
        """Take what was found."""
        with self._lock:
            self._found[url] = ident, edition
            self._found.move_to_end(url)
            if len(self._found) > self._most:
                self._found.popitem(last=False)
