"""Answers: what one pass over a table brought for a job, in a file in its folder, of which its parts are made.

The file is there whole, before there is a manifest, or not at all: so a job that is stopped in the middle of the pass
begins it anew, and one that is stopped behind it does not read the table again.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import FoldCrashed, InvalidProjection
from eventsourcing_kit.outcomes import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventsourcing_kit.outcomes import Rebuilt, StreamFailure
    from eventsourcing_kit.rebuilding import Several

    Outcomes = Iterator[Rebuilt[Any] | StreamFailure]

__all__ = ["forget", "known_outcomes", "pass_over"]

_ANSWERS: Final = ".answers"
_COMING: Final = ".answers.tmp"


def pass_over(folder: Path, several: Several[Any], prefix: str, tell: Callable[[int], object]) -> Iterator[str] | None:
    """Reads all streams with a prefix in one pass, and gives their names in order. None where workers can not hand over
    a state, or one of them died: then they have to be read one by one. `tell` hears how many have gone by."""
    from eventsourcing_kit.spool import Spool  # SQLite, which importing the kit does not load

    url = several.store.url
    try:
        with Spool(url, folder / _COMING) as spool, closing(several.passed(prefix)) as passed:
            for count, (stream, is_live, frame) in enumerate(passed, start=1):
                spool.put(stream, frame, is_live=is_live)
                tell(count)
            spool.keep(folder / _ANSWERS)
    except (FoldCrashed, InvalidProjection):
        forget(folder)
        return None
    return _streams(folder, url)


def _streams(folder: Path, url: str) -> Iterator[str]:
    from eventsourcing_kit.spool import Held  # as above

    with Held(url, folder / _ANSWERS) as held:
        yield from held.streams()


@contextmanager
def known_outcomes(folder: Path, several: Several[Any]) -> Iterator[Callable[[list[str]], Outcomes] | None]:
    """What gives the outcomes of streams of the pass; None where there was none. Those in which something was odd are
    rebuilt by themselves."""
    if not (folder / _ANSWERS).exists():
        yield None
        return
    from eventsourcing_kit.spool import Held  # as above

    with Held(several.store.url, folder / _ANSWERS) as held:

        def outcomes(streams: list[str]) -> Outcomes:
            for stream in streams:
                frame = held.frame(stream)
                yield several.outcome(stream) if frame is None else outcome_of(several.projection, frame)

        yield outcomes


def forget(folder: Path) -> None:
    """Removes what a pass has left."""
    for name in (_ANSWERS, _COMING):
        (folder / name).unlink(missing_ok=True)
