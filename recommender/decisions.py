"""What editors decide, and what it means for one page. Pure: recommender/decision_log.py keeps the log, and
recommender/standing.py says what of it is in force.

Order of authority: exclude > pin > curated (while the page's state says so) > model.

    approve         the suggestion is right: shown while the page is in review, and a label for the next build
    exclude         never in this page's list; without a source in none
    pin             at this position of the page's list
    boost, bury     up or down in the model's order, on this page; without a source on every one
    state           whose list the page shows, see State
    review          an editor has seen the page through
    stop            the kill switch: every page shows what its editors listed and pinned, nothing of the model
    follow          the essay `source` has a new id, `target`: what was decided about it goes on
    undo            takes an earlier decision back, also an undo
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from corpus.errors import DecisionRefused

Action = Literal["approve", "exclude", "pin", "boost", "bury", "state", "review", "stop", "follow", "undo"]
State = Literal["standard", "curated", "shadow", "review", "model"]
"""Whose list a page shows.

standard  what its editors listed, filled up by the model: what a page does before anyone decides
curated   what its editors listed
shadow    the same, and the desk compares the model's list with it
review    what its editors listed, then what they approved of the model's
model     all in the model's order
"""
Scope = Literal["here", "everywhere"]

ACTIONS: tuple[Action, ...] = get_args(Action)
STATES: tuple[State, ...] = get_args(State)
LOG_FILE = "decisions.sqlite3"
"""Where the log stands in a home, see recommender/decision_log.py."""
LAST_POSITION = 50
MAX_WEIGHT = 10.0
WEIGHT = 2.0
"""Logits by which a boost lifts and a bury lowers when nothing else is said: the odds times or by seven."""
MAX_NOTE = 2_000
MAX_ID = 2_000
MAX_KEY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One entry of the log. Nothing of it ever changes.

    id: its place in the log; 0 until it is written. key: names it on every machine; an entry is written once, however
    often it is sent. at, expires: UTC; it is in force from when it is written until before expires. weight: logits,
    above 0.
    undoes: the id of another entry. edition: which one the editor looked at. The titles and URLs are those of that
    moment, for the day when their essay is gone.
    """

    action: Action
    editor: str
    at: datetime
    key: str
    id: int = 0
    source: str | None = None
    target: str | None = None
    position: int | None = None
    weight: float | None = None
    state: State | None = None
    note: str = ""
    expires: datetime | None = None
    undoes: int | None = None
    edition: str | None = None
    source_title: str | None = None
    source_url: str | None = None
    target_title: str | None = None
    target_url: str | None = None

    @property
    def slot(self) -> "Slot | None":
        """What it decides; of several decisions of one slot the latest that holds counts. None: an undo, a follow."""
        if self.action in ("undo", "follow"):
            return None
        kind = "weight" if self.action in ("boost", "bury") else self.action
        return Slot(kind, self.source, self.target)

    @property
    def everywhere(self) -> bool:
        """Whether it is about a target on every page."""
        return self.source is None and self.target is not None

    @property
    def logits(self) -> float:
        """What a boost or bury adds to the score's logit."""
        weight = WEIGHT if self.weight is None else self.weight
        return -weight if self.action == "bury" else weight


class Slot(NamedTuple):
    """What a decision is about: its kind (boost and bury are both "weight"), the page, the other essay."""

    kind: str
    source: str | None
    target: str | None


class Pin(NamedTuple):
    """An essay or blurb that stands at a position of a list, counted from 1."""

    target: str
    position: int


@dataclass(frozen=True, slots=True)
class PageDecisions:
    """What is in force for one page.

    pins: by position, the latest decided first. weights: what is added to a candidate's logit, under both profiles.
    mark: names all that may change the page's list; "" when nothing does. stopped: whether the kill switch is on.
    """

    state: State | None = None
    stopped: bool = False
    excluded: Mapping[str, Scope] = field(default_factory=dict)
    pins: tuple[Pin, ...] = ()
    approved: frozenset[str] = frozenset()
    weights: Mapping[str, float] = field(default_factory=dict)
    mark: str = ""

    @property
    def edits(self) -> bool:
        """Whether single items are decided about, so that candidates alone do not make the list."""
        return bool(self.excluded or self.pins or self.approved or self.weights)

    def state_of(self, default: State) -> State:
        """Whose list the page shows, `default` where nothing is decided."""
        return "curated" if self.stopped else self.state or default


NOTHING = PageDecisions()


def check(decision: Decision) -> Decision:
    """The decision when it makes sense by itself. Raises DecisionRefused, saying what is missing or too much."""
    if decision.action not in ACTIONS:
        raise DecisionRefused(f"there is no decision {decision.action!r}: one of {', '.join(ACTIONS)}")
    for name in ("source", "target", "position", "weight", "state", "undoes"):
        value, rule = getattr(decision, name), _FIELDS[decision.action].get(name, "none")
        if value is None and rule == "needed":
            raise DecisionRefused(f"to {decision.action} needs a {name}")
        if value is not None and rule == "none":
            raise DecisionRefused(f"to {decision.action} takes no {name}")
    if decision.source is not None and decision.source == decision.target:
        raise DecisionRefused("an essay is never in its own list: name another one")
    _check_values(decision)
    return decision


def _check_values(decision: Decision) -> None:
    position, weight = decision.position, decision.weight
    if position is not None and not 1 <= position <= LAST_POSITION:
        raise DecisionRefused(f"position {position} is not from 1 to {LAST_POSITION}")
    if weight is not None and not 0 < weight <= MAX_WEIGHT:
        raise DecisionRefused(f"weight {weight:g} is not above 0 and at most {MAX_WEIGHT:g}")
    if decision.state is not None and decision.state not in STATES:
        raise DecisionRefused(f"there is no state {decision.state!r}: one of {', '.join(STATES)}")
    if decision.expires is not None and decision.expires <= decision.at:
        raise DecisionRefused("it would have expired before it began: name a later day")
    if decision.expires is not None and decision.action == "undo":
        raise DecisionRefused("an undo has no end: undo it instead")
    if len(decision.note) > MAX_NOTE:
        raise DecisionRefused(f"the note has {len(decision.note):,} characters, more than {MAX_NOTE:,}")
    for text in (decision.source, decision.target, decision.editor, decision.key, decision.note):
        if text is not None and not _is_plain(text):
            raise DecisionRefused("it holds characters that no text has")
    if not decision.editor.strip() or not decision.key.strip():
        raise DecisionRefused("it needs an editor and a key")
    if len(decision.key) > MAX_KEY:
        raise DecisionRefused(f"a key of more than {MAX_KEY} characters is none")
    if max(len(decision.source or ""), len(decision.target or "")) > MAX_ID:
        raise DecisionRefused(f"an id of more than {MAX_ID:,} characters is none")


def _is_plain(text: str) -> bool:
    """Whether any database takes it: no NUL, no half surrogate pair."""
    return "\0" not in text and not any(unicodedata.category(c) == "Cs" for c in text)


_PAIR = {"source": "needed", "target": "needed"}
_PAIR_OR_ALL = {"source": "may", "target": "needed"}
_FIELDS: dict[str, dict[str, str]] = {
    "approve": _PAIR,
    "exclude": _PAIR_OR_ALL,
    "pin": {**_PAIR, "position": "needed"},
    "boost": {**_PAIR_OR_ALL, "weight": "may"},
    "bury": {**_PAIR_OR_ALL, "weight": "may"},
    "state": {"source": "needed", "state": "needed"},
    "review": {"source": "needed"},
    "stop": {},
    "follow": _PAIR,
    "undo": {"source": "may", "target": "may", "undoes": "needed"},
}


def say(decision: Decision) -> str:
    """The decision as an editor would tell it, without names of essays: "pinned at 2", "excluded everywhere"."""
    where = " everywhere" if decision.everywhere else ""
    said = {
        "approve": "approved",
        "exclude": "excluded" + (where or " here"),
        "pin": f"pinned at {decision.position}",
        "boost": f"boosted{where}",
        "bury": f"buried{where}",
        "state": f"state {decision.state}",
        "review": "reviewed",
        "stop": "the kill switch",
        "follow": "followed to a new id",
        "undo": "undone",
    }
    return said[decision.action]
