"""Outcomes: what became of the rebuild of a stream, its state or why there is none; also as a frame, in which it goes
from one process to another or waits in a file."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from typing_extensions import TypeVar

from eventsourcing_kit.carried import error_of, facts_of
from eventsourcing_kit.errors import InvalidProjection
from eventsourcing_kit.event import Event, stored_fields
from eventsourcing_kit.faithful import is_same
from eventsourcing_kit.frames.showing import rebuilt_html, rebuilt_text
from eventsourcing_kit.moment import to_datetime
from eventsourcing_kit.watching import RebuildWarning

if TYPE_CHECKING:
    from datetime import datetime

    from eventsourcing_kit.course import SnapshotUsed
    from eventsourcing_kit.errors import EventSourcingError
    from eventsourcing_kit.projection import Projection

__all__ = ["Rebuilt", "StreamFailure", "of_events", "outcome_of", "to_frame"]

Result = TypeVar("Result", default=Any)


@dataclass(frozen=True, repr=False)
class Rebuilt(Generic[Result]):
    """A state, and what it is worth."""

    state: Result
    stream: str
    projection: str
    version: int
    at_ns: int | None
    known_at_ns: int | None
    events: int  # how many were folded
    last: Event | None  # the last event folded
    complete: bool  # False where the beginning has expired
    warnings: tuple[RebuildWarning, ...] = field(default=())
    snapshot: SnapshotUsed | None = field(default=None, compare=False)  # where the fold began; None: at the beginning

    @property
    def at(self) -> datetime | None:
        """The moment of the state, floored to the microsecond; None where all events were folded."""
        return None if self.at_ns is None else to_datetime(self.at_ns)

    @property
    def known_at(self) -> datetime | None:
        """When it was known so, floored to the microsecond; None for what is known now."""
        return None if self.known_at_ns is None else to_datetime(self.known_at_ns)

    def __repr__(self) -> str:
        return rebuilt_text(self)

    def _repr_html_(self) -> str:
        return rebuilt_html(self)


class StreamFailure(NamedTuple):
    """A stream that could not be rebuilt, and why."""

    stream: str
    error: EventSourcingError


def of_events(rebuilt: Rebuilt[Result]) -> Rebuilt[Result]:
    """Without what it says of snapshots, so that what is made of it is the same whether there are any or not. A damaged
    one is logged, too, and has gone into no state."""
    said = tuple(warning for warning in rebuilt.warnings if warning.kind != "damaged snapshot")
    return rebuilt if said == rebuilt.warnings else replace(rebuilt, warnings=said)


def to_frame(projection: Projection[Any, Result], outcome: Rebuilt[Result] | StreamFailure) -> list[Any]:
    """An outcome for another process. Raises InvalidProjection where JSON does not bring the state back as it is."""
    if isinstance(outcome, StreamFailure):
        return ["failed", outcome.stream, facts_of(outcome.error)]
    rebuilt = outcome
    text = projection.to_json(rebuilt.state)
    if not is_same(rebuilt.state, projection.from_json(text)):
        reason = (
            f"the state of stream '{rebuilt.stream}' does not come back from JSON as it was, so that no other process "
            "can hand it over: declare its type, or take workers=1"
        )
        raise InvalidProjection(projection.name, reason)
    moments = [None if ns is None else str(ns) for ns in (rebuilt.at_ns, rebuilt.known_at_ns)]  # wider than 64 bits
    last = None if rebuilt.last is None else stored_fields(rebuilt.last)
    warnings = [astuple(warning) for warning in rebuilt.warnings]
    used = None if rebuilt.snapshot is None else [str(fact) for fact in rebuilt.snapshot]
    return ["state", rebuilt.stream, text, *moments, rebuilt.events, last, rebuilt.complete, warnings, used]


def outcome_of(projection: Projection[Any, Result], frame: list[Any]) -> Rebuilt[Result] | StreamFailure:
    """What a frame says: a state, or why there is none."""
    kind, *facts = frame
    return _from_frame(projection, facts) if kind == "state" else StreamFailure(facts[0], error_of(facts[1]))


def _from_frame(projection: Projection[Any, Result], frame: list[Any]) -> Rebuilt[Result]:
    stream, text, at_ns, known_at_ns, events, last, complete, warnings, used = frame
    return Rebuilt(
        state=projection.from_json(text),
        stream=stream,
        projection=projection.name,
        version=projection.version,
        at_ns=None if at_ns is None else int(at_ns),
        known_at_ns=None if known_at_ns is None else int(known_at_ns),
        events=events,
        last=None if last is None else Event(*last),
        complete=complete,
        warnings=tuple(RebuildWarning(kind, count, message, tuple(keys)) for kind, count, message, keys in warnings),
        snapshot=None if used is None else _snapshot_used(*used),
    )


def _snapshot_used(key: str, moment_ns: str, number: str, taken_ns: str) -> SnapshotUsed:
    from eventsourcing_kit.course import SnapshotUsed  # which an answer without snapshots never loads

    return SnapshotUsed(key, int(moment_ns), int(number), int(taken_ns))
