"""One part of a job: some streams, rebuilt into a file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventsourcing_kit.carried import facts_of
from eventsourcing_kit.output import write
from eventsourcing_kit.rebuilding import OF_ONE_STREAM, StreamFailure, rebuild, to_frame
from eventsourcing_kit.scanning import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.rebuilding import Rebuilt
    from eventsourcing_kit.stores.contract import Readable
    from eventsourcing_kit.workers import Question

__all__ = ["Asked", "Failure", "Part", "digest_of"]


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


class Asked(NamedTuple):
    """A question about the streams of a store."""

    projection: Projection[Any, Any]
    store: Readable
    question: Question

    def rebuild(self, stream: str) -> Rebuilt[Any]:
        """Raises as `rebuild`."""
        asked = self.question
        return rebuild(
            self.projection,
            self.store,
            stream,
            at=asked.at,
            known_at=asked.known_at,
            start=asked.start,
            allow_incomplete=asked.allow_incomplete,
            on_error=asked.on_error,
            snapshots=asked.snapshots,
            clock=lambda: asked.now,
        )

    def outcome(self, stream: str) -> Rebuilt[Any] | StreamFailure:
        """The answer, or why there is none. Raises what is not about the stream."""
        try:
            return self.rebuild(stream)
        except OF_ONE_STREAM as error:
            return StreamFailure(stream, error)

    def outcomes(self, streams: Iterable[str]) -> Generator[Rebuilt[Any] | StreamFailure]:
        """Those of several streams, in order, and read ahead where the store is far away."""
        with closing(read_ahead(self.store, streams, self.question)) as each:
            for stream, store in each:
                yield self._replace(store=store).outcome(stream)

    def frame(self, outcome: Rebuilt[Any] | StreamFailure) -> list[Any]:
        """An outcome for another process."""
        if isinstance(outcome, StreamFailure):
            return ["failed", outcome.stream, facts_of(outcome.error)]
        return to_frame(self.projection, outcome)

    def write(
        self,
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
            for outcome in (outcomes or self.outcomes)(streams):
                if isinstance(outcome, StreamFailure):
                    failures.append(outcome)
                else:
                    events += outcome.events
                    warned += bool(outcome.warnings)
                    yield outcome
                done(outcome.stream)

        states = write(path, self.projection, answers(), failures=failures)
        size, digest = digest_of(path)
        found = tuple(Failure(stream, type(error).__name__, str(error), path.name) for stream, error in failures)
        return Part(path.name, len(streams), states, events, warned, size, digest, found)


def digest_of(path: Path) -> tuple[int, str]:
    """The size of a file and its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
