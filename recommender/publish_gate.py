"""Editions that are held back: somebody must look at them, and sign them off, before the website shows them.

    <home>/held/<edition>.json    the marker: why, and who signed it off since

The marker is on the disk before its edition stands among the others. So a build that is killed at whatever point leaves
no edition that could be taken for one that may be shown. A marker that cannot be read holds its edition back as well.
One without an edition means nothing; the next build clears it.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import floor
from pathlib import Path

from recommender.disk import flush, write_whole

FOLDER = "held"
_UNREAD = "?"


@dataclass(frozen=True, slots=True)
class Held:
    """An edition that is or was held back. at, signed_at: ISO, UTC.

    against: the edition that was current. overlap: of its lists with that one's, None when they have no page in common.
    """

    id: str
    against: str
    overlap: float | None
    limit: float
    at: str
    signed_by: str | None = None
    signed_at: str | None = None

    @property
    def why(self) -> str:
        """Why it is held back, as a part of a sentence."""
        if self.against == _UNREAD:
            return f"its marker in {FOLDER}/ cannot be read"
        if self.overlap is None:
            return f"it has no page in common with edition {self.against}"
        overlap = floor(self.overlap * 1000) / 1000  # what is under the limit should not be rounded up to it
        return (
            f"its lists overlap by {overlap:.3f} on average with those of edition {self.against}, less than "
            f"publish_overlap, {self.limit:g}"
        )

    @property
    def sentence(self) -> str:
        """Why it is held back, and the way out."""
        return (
            f"edition {self.id} is held back: {self.why}; see `related editions --compare {self.id}`, and sign it off "
            f"with `related publish {self.id}` or on the desk"
        )


def judge(ident: str, against: str, overlap: float | None, limit: float, at: datetime) -> Held | None:
    """Whether an edition is to be held back. overlap: None when no page is in both editions, which no limit allows."""
    if limit > (0.0 if overlap is None else overlap):
        return Held(ident, against, overlap, limit, at.isoformat(timespec="seconds"))
    return None


def hold_back(home: Path, held: Held) -> None:
    """Write the marker; it is on the disk when this returns."""
    (home / FOLDER).mkdir(exist_ok=True)
    flush(home)
    write_whole(_path(home, held.id), to_text(held))


def read_marker(home: Path, ident: str) -> Held | None:
    """What the marker of an edition says, signed off or not; None when it was never held back."""
    try:
        return marker_from(ident, _path(home, ident).read_bytes())
    except FileNotFoundError:
        return None


def marker_from(ident: str, stored: str | bytes) -> Held:
    """The marker that to_text() wrote; one that cannot be read holds its edition back."""
    try:
        return Held(**json.loads(stored))
    except (ValueError, TypeError):
        return Held(ident, _UNREAD, None, 1.0, "")


def to_text(held: Held) -> str:
    """A marker as it is stored."""
    return json.dumps(asdict(held)) + "\n"


def find_held(home: Path, ident: str) -> Held | None:
    """The marker of an edition that is held back; None when it is not, or has been signed off."""
    marker = read_marker(home, ident)
    return None if marker is None or marker.signed_by is not None else marker


def held_editions(home: Path) -> tuple[Held, ...]:
    """The editions of the home that are held back, newest first."""
    there = sorted((path.stem for path in (home / FOLDER).glob("[!.]*.json") if _edition(home, path)), reverse=True)
    return tuple(held for ident in there if (held := find_held(home, ident)))


def sign(home: Path, held: Held, by: str, at: datetime) -> None:
    """Write into the marker who signs the edition off."""
    hold_back(home, signed(held, by, at))


def signed(held: Held, by: str, at: datetime) -> Held:
    """The marker with a signature; a second one changes nothing."""
    return held if held.signed_by else replace(held, signed_by=by, signed_at=at.isoformat(timespec="seconds"))


def forget(home: Path, ident: str) -> None:
    """Remove the marker of an edition that is no longer there."""
    _path(home, ident).unlink(missing_ok=True)


def clear_strays(home: Path) -> None:
    """Remove the markers without an edition; call under build_lock."""
    for path in (home / FOLDER).glob("*"):
        if not _edition(home, path):
            path.unlink(missing_ok=True)


def _edition(home: Path, marker: Path) -> bool:
    """Whether the edition of a marker, or of one that was half written, is there."""
    return (home / "editions" / marker.name.lstrip(".").partition(".")[0]).is_dir()


def _path(home: Path, ident: str) -> Path:
    return home / FOLDER / f"{ident}.json"
