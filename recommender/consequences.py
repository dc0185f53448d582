"""What a decision would do to others and others to it, in sentences for the editor who makes it."""

from collections.abc import Iterable, Iterator

from recommender.decisions import Decision, Slot, say
from recommender.standing import Standing


def consequences(standing: Standing, decision: Decision) -> tuple[str, ...]:
    """What the decision, if it were made now, does to others and others to it, as sentences: none cancels another
    silently."""
    slot = decision.slot
    if slot is None:
        return tuple(_turned(standing, decision))
    said: list[str] = []
    before = standing.in_force(slot)
    if before:
        said.append(f"it takes the place of an earlier decision: {_told(before)}")
    if decision.target is not None:
        said += _against(standing, decision)
    if decision.action == "pin":
        said += _moved(standing, decision)
    said += _unseen(standing, decision)
    if standing.stopped and decision.action in ("state", "approve", "boost", "bury"):
        said.append(f"readers do not see it while the kill switch is on ({_told(standing.stopped)})")
    if decision.action == "stop":
        said.append("pages show what editors have listed and pinned, and nothing of the model, until this is undone")
    return tuple(said)


def _turned(standing: Standing, decision: Decision) -> Iterator[str]:
    """What an undo, or a new id, ends and what it brings back."""
    now, then = ({other.id: other for other in held.everything()} for held in (standing, standing.after(decision)))
    undone = standing.log.decisions.get(decision.undoes or 0)
    if undone and undone.slot and now.keys() == then.keys():
        for other in now.values():
            if other.slot == undone.slot:
                yield f"it changes nothing while another decision counts: {_told(other)}"
    for ident in sorted(now.keys() - then.keys()):
        yield f"no longer in force: {_told(now[ident])}"
    for ident in sorted(then.keys() - now.keys()):
        yield f"in force again: {_told(then[ident])}"


def _against(standing: Standing, decision: Decision) -> Iterator[str]:
    """The decisions about the same target that outrank this one, or that it outranks."""
    for slot, other in _about_target(standing, decision):
        if slot == decision.slot or other.action not in _OUTRANKED | {"exclude"}:
            continue
        where = "" if slot.source in (decision.source, None) else f" on {other.source_title or slot.source}"
        if decision.action == "exclude" and other.action != "exclude":
            yield f"{_told(other)}{where}: that has no effect while this exclusion holds"
        elif decision.action in _OUTRANKED and other.action == "exclude":
            yield f"it has no effect{where} while an exclusion holds: {_told(other)}"
        elif decision.action == "exclude":
            yield f"an exclusion holds beside it{where}: {_told(other)}"
        elif other.action == "pin":
            yield f"the pin{where} goes before it: {_told(other)}"
        elif decision.action == "pin" and other.action in ("boost", "bury"):
            yield f"the pin goes before this: {_told(other)}"
        elif {decision.action, other.action} <= {"boost", "bury"}:
            here = decision.source_title or decision.source or other.source_title or slot.source
            yield f"on {here} what is decided there goes before what is decided everywhere: {_told(other)}"


_OUTRANKED = {"approve", "pin", "boost", "bury"}


def _about_target(standing: Standing, decision: Decision) -> Iterator[tuple[Slot, Decision]]:
    for slot, other in standing.entries():
        if slot.target != decision.target:
            continue
        if slot.source == decision.source or slot.source is None or decision.source is None:
            yield slot, other


def _moved(standing: Standing, pin: Decision) -> Iterator[str]:
    """The pins of a page that would not stand where they do, and where the new one does, when that is elsewhere."""
    pins = [d for slot, d in standing.of_kind("pin") if slot.source == pin.source and slot.target != pin.target]
    others = sorted(pins, key=lambda other: (other.position or 1, -other.id))
    before, after = _stand(others), _stand(sorted([pin, *others], key=lambda other: other.position or 1))
    for other in others:
        if before[other.key] != after[other.key]:
            title = other.target_title or other.target
            yield f"{title} moves from {before[other.key]} to {after[other.key]}: {_told(other)}"
    if after[pin.key] != pin.position:
        yield f"it stands at {after[pin.key]}, below what is pinned above it"


def _stand(pins: Iterable[Decision]) -> dict[str, int]:
    """Where pins stand, by key. pins: in order."""
    place, found = 0, dict[str, int]()
    for pin in pins:
        place = found[pin.key] = max(place + 1, pin.position or 1)
    return found


def _unseen(standing: Standing, decision: Decision) -> Iterator[str]:
    """What is decided about items of the model's list where a page's state does not heed it."""
    if decision.action == "state":
        for slot, other in standing.entries():
            if slot.target is not None and _is_offered(standing, slot, decision.source):
                said = _unheeded(standing, decision, other, slot.target)
                if said:
                    yield f"{said} in the state {decision.state}: {_told(other)}"
    elif decision.target is not None:
        for slot, state in standing.of_kind("state"):
            if slot.source in _pages_of(standing, decision):
                said = _unheeded(standing, state, decision, decision.target)
                if said:
                    yield f"{said} on {state.source_title or slot.source}: {_told(state)}"


def _is_offered(standing: Standing, slot: Slot, page: str | None) -> bool:
    return slot.source == page or (slot.source is None and page in standing.offered_in(slot.target or ""))


def _pages_of(standing: Standing, decision: Decision) -> frozenset[str]:
    if decision.source is not None:
        return frozenset([decision.source])
    return standing.offered_in(decision.target or "")


def _unheeded(standing: Standing, state: Decision, other: Decision, target: str) -> str:
    """What a page's state makes of a decision about an item of the model's; "" when all that it asks for."""
    page = standing.alias(state.source or "")
    if other.action not in ("approve", "boost", "bury"):
        return ""
    if other.action == "approve":
        is_shown = state.state == "review" or page in standing.offered_in(target)
    else:
        is_shown = state.state != "review" or target in standing.of(page).approved
    if state.state in ("curated", "shadow") or not is_shown:
        return "readers do not see it"
    if other.action != "approve" and state.state != "model":
        return "it moves nothing that the editors listed"
    return ""


def _told(decision: Decision) -> str:
    note = f": “{decision.note}”" if decision.note else ""
    return f"{say(decision)} by {decision.editor} on {decision.at:%Y-%m-%d}{note}"
