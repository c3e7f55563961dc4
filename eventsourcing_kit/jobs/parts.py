"""One part of a job: some streams, rebuilt into a file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from eventsourcing_kit.outcomes import StreamFailure, of_events
from eventsourcing_kit.output import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.rebuilding import Several

__all__ = ["Failure", "Part", "digest_of", "write_part"]


class Failure(msgspec.Struct, frozen=True):
    """A stream that could not be rebuilt: the class of its error, and what that says."""

    stream: str
    error: str
    message: str
    part: str  # the file in which its state would stand


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of states, and what is in it."""

    file: str
    streams: int  # that were rebuilt, or failed
    states: int
    events: int  # that were folded
    warned: int  # states with warnings
    bytes: int
    sha256: str
    failures: tuple[Failure, ...] = ()


def write_part(
    several: Several[Any],
    place: bytes,
    streams: list[str],
    done: Callable[[str], object],
    outcomes: Callable[[list[str]], Iterator[Rebuilt[Any] | StreamFailure]] | None = None,
) -> Part:
    """Makes the file at a path, and tells of each stream when it is `done`. Raises what is not about one stream.
    `outcomes` are known already, or else they are rebuilt."""
    path = Path(os.fsdecode(place))
    events = warned = 0
    failures: list[StreamFailure] = []

    def answers() -> Iterator[Rebuilt[Any]]:
        nonlocal events, warned
        for outcome in (outcomes or several.here)(streams):
            if isinstance(outcome, StreamFailure):
                failures.append(outcome)
            else:
                rebuilt = of_events(outcome)
                events += rebuilt.events
                warned += bool(rebuilt.warnings)
                yield rebuilt
            done(outcome.stream)

    states = write(path, several.projection, answers(), failures=failures)
    size, digest = digest_of(path)
    found = tuple(Failure(stream, type(error).__name__, str(error), path.name) for stream, error in failures)
    return Part(path.name, len(streams), states, events, warned, size, digest, found)


def digest_of(path: Path) -> tuple[int, str]:
    """The size of a file and its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
