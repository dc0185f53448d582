"""What one store holds, copied into another. Nothing changes where it comes from, and what was copied before is not
copied again: whoever was interrupted runs it once more."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256

from corpus.errors import DecisionLogError, DecisionRefused, EditionError, NoEdition
from recommender.decision_log import DecisionLog
from recommender.decisions import Decision
from recommender.store import Store, open_current
from recommender.watch import Watch

BATCH = 1_000
"""Decisions that are written at once."""


@dataclass(frozen=True, slots=True)
class CopiedLog:
    """What came of copying a log. decisions: of the whole log. new: those that were not there before. digest: see
    digest_of(), of the one as of the other. ahead: how many were decided there since it was first copied."""

    decisions: int
    new: int
    digest: str
    ahead: int


@dataclass(frozen=True, slots=True)
class CopiedEdition:
    """What came of copying an edition. is_new: whether it was not there before. shown: the current one there now, which
    is a newer one where somebody has published there since."""

    id: str
    essays: int
    is_new: bool
    shown: str


def copy_log(source: DecisionLog, target: DecisionLog, watch: Watch) -> CopiedLog:
    """Copy all decisions under the ids that they have, and compare both logs.

    The target's log must be the beginning of the source's, or its continuation: undos and what outranks what go by the
    order, so that two logs cannot be laid one into the other. Raises DecisionRefused, DecisionLogError.
    """
    entries, more, new = list[Decision](), source.since(), 0
    progress = watch.stage("copying decisions", len(more))
    while more:
        for start in range(0, len(more), BATCH):
            batch = more[start : start + BATCH]
            new += _take_over(source, target, batch)
            progress(len(batch))
        entries += more
        more = source.since(entries[-1].id)  # somebody may have decided meanwhile
    found, digest = target.since(), digest_of(entries)
    if digest_of(found[: len(entries)]) != digest:
        raise DecisionLogError(
            f"{target.name} does not hold what {source.name} does, though it was written: see to both"
        )
    if found and not entries:
        raise DecisionRefused(f"{source.name} holds no decisions and {target.name} does: copy them the other way round")
    return CopiedLog(len(entries), new, digest, ahead=len(found) - len(entries))


def copy_edition(source: Store, target: Store, keep: int, watch: Watch) -> CopiedEdition | None:
    """Publish a store's current edition in another, and compare their manifests, which hold the digests of all files.

    None when there is none. A newer one stays the current one, and so does whatever is current where the copy has been
    before: somebody may have stepped back from it. keep: see Store.publish(). Raises EditionError.
    """
    try:
        edition = open_current(source)
    except NoEdition:
        return None
    essays = edition.manifest["counts"]["essays"]
    shown, is_new = _shown(target), edition.id not in target.ids()
    if is_new and shown < edition.id:
        target.publish(edition, None, keep, watch.stage("copying the edition", essays))
        shown = target.current_id()
    if shown == edition.id and target.open(edition.id).manifest != edition.manifest:
        raise EditionError(f"edition {edition.id} is another one in {target.name} than in {source.name}: see to both")
    return CopiedEdition(edition.id, essays, is_new and shown == edition.id, shown)


def digest_of(decisions: Iterable[Decision]) -> str:
    """sha256 of all that stands in these entries, in order."""
    sha = sha256()
    for decision in decisions:
        sha.update(json.dumps(asdict(decision), default=datetime.isoformat).encode())
    return sha.hexdigest()


def _take_over(source: DecisionLog, target: DecisionLog, entries: list[Decision]) -> int:
    try:
        return target.take_over(entries)
    except DecisionRefused as refused:
        raise DecisionRefused(
            f"{target.name} holds other decisions than {source.name} ({refused}), and their order would change: copy "
            "into an empty store, or add them at the end with `related decisions > FILE` here and `related decisions "
            "--import FILE` there"
        ) from None


def _shown(store: Store) -> str:
    """The current edition's id, "" when there is none."""
    try:
        return store.current_id()
    except NoEdition:
        return ""
