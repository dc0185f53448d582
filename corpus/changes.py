"""Waits until page files have changed, by looking at them again and again.

Only a look is sure everywhere: what tells of changes in a folder does not work on network drives, in some containers,
or for more folders than the system lets one process watch.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from corpus.errors import SourceNotFound
from corpus.sources import list_pages

Look = Mapping[Path, tuple[int, int, int]] | None
"""Page file -> time of its last change (ns), size, number of its inode; None while a source does not exist."""

PAUSE = 0.5
"""Seconds between two looks at least."""
SHARE = 10
"""A look that takes long is followed by a pause so many times as long."""
SETTLED_AFTER = 30.0
"""Seconds after which a change counts, though the files keep changing."""


def look(sources: Sequence[Path], apart: Collection[Path] = ()) -> Look:
    """The page files of the sources as they are now. apart: see list_pages()."""
    try:
        files = list_pages(sources, apart).files
    except (SourceNotFound, OSError):  # a folder that goes while it is listed
        return None
    found = {}
    for path in files:
        try:
            state = path.stat()
        except OSError:  # gone since it was listed
            continue
        found[path] = state.st_mtime_ns, state.st_size, state.st_ino
    return found


def wait_for_change(
    sources: Sequence[Path],
    seen: Look,
    at_most: float | None = None,
    wait: Callable[[float], None] = time.sleep,
    apart: Collection[Path] = (),
) -> Look:
    """Wait until the sources are no longer as they were seen, and two looks agree; returns the last one.

    at_most: come back after so many seconds though nothing has changed. apart: see list_pages().
    """
    waited = settling = 0.0
    last = seen
    while True:
        start = time.monotonic()
        now = look(sources, apart)
        if now != seen and (now == last or settling >= SETTLED_AFTER):
            return now
        if at_most is not None and waited >= at_most:
            return now
        pause = max(PAUSE, SHARE * (time.monotonic() - start))
        wait(pause)
        waited += pause
        settling = settling + pause if now != seen else 0.0
        last = now
