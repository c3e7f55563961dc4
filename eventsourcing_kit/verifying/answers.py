"""What `verify` and `check_ties` answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit.frames import Column, Tabular, html
from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.errors import EventSourcingError
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.verifying.worlds import Change

__all__ = ["Difference", "EventName", "StreamFailed", "TieCheck", "TieChecks", "Variant", "Verification"]


class EventName(NamedTuple):
    """What names an event inside its stream."""

    id: str
    key: str
    type: str

    @classmethod
    def of(cls, event: Event) -> EventName:
        return cls(event.id, event.key, event.type)


class StreamFailed(NamedTuple):
    """A stream that the projection can not fold in any world, and why."""

    stream: str
    error: EventSourcingError


@dataclass(frozen=True)
class Difference:
    """The same events of `stream`, and other bytes, where something was `changed` that is no event."""

    stream: str
    changed: Change
    detail: str  # what exactly, in words
    pointers: tuple[str, ...]  # the first places in the state that differ, as JSON Pointers
    event: EventName | None = None  # the first event behind which they differ; None where nobody looked closer
    raised: str | None = None  # where only one of the two folds raised, what it was
    order: tuple[EventName, ...] = ()  # the tied events, in the order that makes the other state

    def __str__(self) -> str:
        behind = f", from event '{self.event.id}' ('{self.event.key}') on" if self.event else ""
        where = f" at {', '.join(map(repr, self.pointers))}" if self.pointers else ""
        raised = f"; only one of them raised: {self.raised}" if self.raised else ""
        return f"stream '{self.stream}' differs by {self.changed}{where}{behind}{raised}"


@dataclass(frozen=True)
class Variant:
    """One world, how many streams were folded in it, and in how many of them it made a difference. `skipped` says why
    it was left out, where it was."""

    changed: Change
    detail: str
    streams: int = 0
    differences: int = 0
    skipped: str | None = None


@dataclass(frozen=True, repr=False)
class Verification(Tabular):
    """Whether one projection makes the same bytes of the same events in every world. As a table: its differences."""

    projection: str
    version: int
    at: str | None  # in the canonical spelling, or `event:...`
    known_at: str | None
    streams: int
    events: int
    differences: tuple[Difference, ...]
    failures: tuple[StreamFailed, ...]  # streams that can not be folded at all
    variants: tuple[Variant, ...]
    not_covered: tuple[str, ...]  # what was not tried, in words

    @property
    def ok(self) -> bool:
        """No difference, and every stream could be folded. What was not covered does not count."""
        return not self.differences and not self.failures

    def _columns(self) -> tuple[Column, ...]:
        head = (Column("stream"), Column("projection"), Column("version", "int"), Column("changed"), Column("detail"))
        event = (Column("id"), Column("key"), Column("type"))  # in the order of EventName
        return *head, Column("pointers", "json"), *event, Column("raised"), _events("order")

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for each in self.differences:
            named = each.event or (None, None, None)
            head = (each.stream, self.projection, self.version, each.changed, each.detail)
            yield *head, compact_json(each.pointers), *named, each.raised, _names(each.order)

    def _caption(self) -> str:
        return f"Verification of {self._summary()}"

    def _repr_html_(self) -> str:
        """The differences; where there are none, what has been tried."""
        if self.differences:
            return super()._repr_html_()
        columns = (Column("changed"), Column("to"), Column("streams", "int"), Column("skipped"))
        tried = [(each.changed, each.detail, each.streams, each.skipped or "") for each in self.variants]
        failed = (f"'{each.stream}' failed: {each.error}" for each in self.failures)
        not_covered = (f"Not covered: {each}" for each in self.not_covered)
        below = map(html.line, (*failed, *not_covered))
        return html.block(html.line(self._caption()), html.table(columns, tried), *below)

    def _summary(self) -> str:
        worlds = sum(variant.skipped is None for variant in self.variants)
        scope = f"{many(self.events, 'event')} of {many(self.streams, 'stream')} in {many(worlds, 'other world')}"
        found = "the same bytes" if not self.differences else many(len(self.differences), "difference")
        failed = f", {many(len(self.failures), 'stream')} failed" if self.failures else ""
        return f"'{self.projection}' version {self.version}: {found} for {scope}{failed}"

    def __repr__(self) -> str:
        return f"<Verification of {self._summary()}>"


@dataclass(frozen=True)
class TieCheck:
    """Whether a projection's state depends on the order inside one moment, with the first example."""

    projection: str
    moments: int  # with events of which nobody said in which order they happened
    dependent: int  # of these moments, behind how many the state depends on their order
    stream: str | None = None  # the example: where it is,
    pointers: tuple[str, ...] = ()  # what differs in the state,
    declared: tuple[EventName, ...] = ()  # the tied events in the order that counts,
    other: tuple[EventName, ...] = ()  # and in one that makes another state
    raised: str | None = None  # where only that one raises
    sampled: int = 0  # moments with so many orders that only some of them were tried
    unsteady: int = 0  # moments at which one and the same order made two states: `verify` says why
    failures: tuple[StreamFailed, ...] = ()

    @property
    def depends(self) -> bool:
        return self.dependent > 0


@dataclass(frozen=True, repr=False)
class TieChecks(Tabular):
    """A `TieCheck` for each projection, in their order. As a table: a row for each."""

    checks: tuple[TieCheck, ...]

    @property
    def ok(self) -> bool:
        """No state depends on an order that nobody has said, and every stream could be folded."""
        return not any(check.depends or check.failures for check in self.checks)

    def __iter__(self) -> Iterator[TieCheck]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    def __getitem__(self, projection: str) -> TieCheck:
        """The one of that name. Raises KeyError."""
        return {check.projection: check for check in self.checks}[projection]

    def _columns(self) -> tuple[Column, ...]:
        numbers = (Column(name, "int") for name in ("moments", "dependent", "sampled", "unsteady"))
        example = (Column("stream"), Column("pointers", "json"), *map(_events, ("declared", "other")), Column("raised"))
        return Column("projection"), Column("depends", "bool"), *numbers, *example

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for each in self.checks:
            counts = (each.depends, each.moments, each.dependent, each.sampled, each.unsteady)
            example = (compact_json(each.pointers), _names(each.declared), _names(each.other), each.raised)
            yield each.projection, *counts, each.stream, *example

    def __repr__(self) -> str:
        dependent = [f"'{check.projection}'" for check in self.checks if check.depends]
        verb = "depends on" if len(dependent) < 2 else "depend on"
        found = f"{', '.join(dependent) or 'none'} {verb}"
        return f"<TieChecks of {many(len(self), 'projection')}: {found} the order inside one moment>"


def _events(name: str) -> Column:
    return Column(name, "json")


def _names(events: tuple[EventName, ...]) -> str:
    return compact_json([event._asdict() for event in events])
