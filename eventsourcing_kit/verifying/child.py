"""What one world does: in a process of its own, import a projection, fold the events of a spool, and note the states.

It is started by `processes.py`, with the hash seed, zone, environment and folder that its world has. All it has to say
goes into a file, so that whatever the user's code prints is in nobody's way.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from eventsourcing_kit.errors import FoldFailed, InvalidProjection
from eventsourcing_kit.importable import Place  # noqa: TC001 - msgspec reads it
from eventsourcing_kit.processes import write_frame
from eventsourcing_kit.verifying.pointers import differing, without
from eventsourcing_kit.verifying.spool import Spool
from eventsourcing_kit.verifying.ties import Tally, ties_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.verifying.ties import Tie

__all__ = ["Job", "Look", "digest", "main"]

_DIGEST: Final = 16  # bytes


class Look(msgspec.Struct, frozen=True):
    """A closer look at one stream: a digest of the state behind each `stride`th event from `low` to `high`, without
    what stands at the `ignored` pointers."""

    low: int
    high: int
    stride: int
    ignored: tuple[str, ...] = ()


class Job(msgspec.Struct, frozen=True):
    """All that a child is told. Paths are bytes."""

    place: Place
    spool: bytes
    results: bytes
    clock: float  # seconds since 1970 at which time stands still
    rounds: int = 1
    backwards: bool = False
    ballast: int = 0
    orders: int | None = None  # of one moment at most, where ties are what is looked at
    looks: dict[int, Look] = {}  # by the number of the stream


def main() -> None:
    """Does the job that lies in the file named by the last argument.

    The frames of the results: `["failed", reason]` where the module can not be imported; `["stream", number]` before
    each stream; `["state", number, digest or None, failure or None]`; `["look", number, digests, state or None, failure
    or None]`; `["tie", number, ...]`; `["tally", ...]`; and `["end"]`.
    """
    job = msgspec.msgpack.decode(Path(sys.argv[-1]).read_bytes(), type=Job)
    with Path(os.fsdecode(job.results)).open("wb", buffering=0) as results, _standing(job.clock):
        ballast = [object() for _ in range(job.ballast)]
        projection = _load(job.place, results)
        if projection is not None:
            _Work(job, projection, results).run()
            write_frame(results, ["end"])
        del ballast


def _standing(clock: float) -> AbstractContextManager[object]:
    """A clock that stands still. A number, as a datetime would bring its zone along."""
    sys.modules["pytest"] = None  # type: ignore[assignment]  # not imported: it would take longer than all else here
    from time_machine import travel

    del sys.modules["pytest"]
    return travel(clock, tick=False)


def _load(place: Place, results: BinaryIO) -> Projection[Any, Any] | None:
    try:
        return place.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's module does when it is imported
        from eventsourcing_kit.catalog import reason_of

        write_frame(results, ["failed", reason_of(place.module, error)])
        return None


class _Work:
    def __init__(self, job: Job, projection: Projection[Any, Any], results: BinaryIO) -> None:
        self._job = job
        self._projection = projection
        self._results = results
        self._spool = Spool.open(Path(os.fsdecode(job.spool)))

    def run(self) -> None:
        numbers = list(range(len(self._spool.sections)))
        if self._job.backwards:
            numbers.reverse()
        if self._job.orders is not None:
            self._try_orders(numbers, self._job.orders)
            return
        for _ in range(self._job.rounds - 1):
            for number in numbers:
                self._fold(number)
        wanted = set(self._job.looks)
        for number in numbers:
            look = self._job.looks.get(number)
            if look is not None:
                self._say("look", number, *self._look(number, look))
                wanted.discard(number)
                if not wanted:
                    return
            else:
                self._say("state", number, *self._fold(number))

    def _say(self, *frame: object) -> None:
        write_frame(self._results, frame)

    def _fold(self, number: int) -> tuple[bytes | None, dict[str, Any] | None]:
        self._say("stream", number)
        try:
            state = self._projection.fold_counted(self._spool.events(number)).state
            return digest(self._projection.to_json(state)), None
        except (FoldFailed, InvalidProjection) as error:
            return None, _facts(error)

    def _look(self, number: int, look: Look) -> tuple[list[tuple[int, bytes]], bytes | None, dict[str, Any] | None]:
        self._say("stream", number)
        digests: list[tuple[int, bytes]] = []
        state: Any = None
        text: bytes | None = None
        try:
            for count, event in enumerate(self._spool.events(number), start=1):
                state = self._projection.fold_counted([event], state).state
                inside = look.low <= count <= look.high
                if inside and ((count - look.low) % look.stride == 0 or count == look.high):
                    digests.append((count, digest(without(self._projection.to_json(state), look.ignored))))
            text = self._projection.to_json(state)
        except (FoldFailed, InvalidProjection) as error:
            return digests, None, _facts(error)
        return digests, text, None

    def _try_orders(self, numbers: list[int], limit: int) -> None:
        tally = Tally()
        for number in numbers:
            self._say("stream", number)
            try:
                first = next(ties_of(self._projection, self._spool.events(number), tally, limit=limit), None)
            except (FoldFailed, InvalidProjection):
                continue  # the baseline says so
            if first is not None:
                self._say("tie", number, *_tie_facts(first))
        self._say("tally", tally.moments, tally.orders, tally.sampled, tally.unsteady)


def digest(text: bytes) -> bytes:
    """What stands for a state's JSON, so that nobody holds all states at once."""
    return hashlib.blake2b(text, digest_size=_DIGEST).digest()


def _facts(error: FoldFailed | InvalidProjection) -> dict[str, Any]:
    if isinstance(error, InvalidProjection):
        return {"reason": error.reason}
    return {"reason": error.reason, "key": error.key, "event_id": error.event_id, "fields": error.fields}


def _tie_facts(tie: Tie) -> tuple[object, ...]:
    named = [(event.id, event.key, event.type) for event in tie.other]
    first = tie.declared[0]
    pointers = differing(tie.before.json, tie.after.json)
    return (first.id, first.key, first.type), named, pointers, tie.after.reason
