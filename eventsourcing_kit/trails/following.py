"""Trail: the events that share a correlation id, across streams, as a tree of causes and effects."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eventsourcing_kit.errors import EventNotFound, StoreDamaged
from eventsourcing_kit.event import UNREADABLE
from eventsourcing_kit.frames import Column, Tabular, html, plots
from eventsourcing_kit.moment import from_rfc3339, to_canonical, to_microseconds
from eventsourcing_kit.record import order
from eventsourcing_kit.span import EVENT, names_event, recorded_ns
from eventsourcing_kit.times import resolve
from eventsourcing_kit.trails.duration import duration, gap_in_words
from eventsourcing_kit.trails.finding import Finding
from eventsourcing_kit.trails.tree import grow, walk
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    import altair as alt

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Correlated
    from eventsourcing_kit.trails.tree import Node

__all__ = ["Trail", "Wait", "indented", "trail"]

_SECOND: Final = 1_000_000_000
_EXAMPLES: Final = 3
_SHOWN: Final = 50  # events in a notebook
_DEEPEST: Final = 8  # levels that are drawn; deeper ones have their number instead


def trail(
    store: Correlated,
    correlation_id: str,
    *,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    scan: bool = False,
    correlation_path: str | None = None,
    causation_path: str | None = None,
    clock: Callable[[], int] | None = None,
) -> Trail:
    """The trail of `correlation_id`, as it was known at `known_at`; an empty one where no event bears that id.

    It is looked up in the store's index. With `scan` every stream is read instead, and events whose row does not tell
    its correlation id are asked for it themselves: for tables without the index, and for rows of older writers. A
    `correlation_path` means a scan; `causation_path` does not. Both are JMESPaths into the envelope, as those of
    `parse`: further places, looked at first. `known_at` may also be `event:ID` or `event:KEY`, an event of the trail:
    the moment at which that was recorded.

    Raises EventNotFound where it is none of them; InvalidOption, InvalidMoment and a StoreError: IndexNotFound where a
    table has no index, and StoreDamaged for an event whose moment can not be read.
    """
    finding = Finding.of(scan=scan, correlation_path=correlation_path, causation_path=causation_path)
    now = (clock or time.time_ns)()
    found: Iterable[Event] = finding.events(store, correlation_id)
    if known_at is not None and names_event(known_at):
        found = list(found)
        known_at_ns: int | None = recorded_ns(_named(found, correlation_id, known_at))
    else:
        known_at_ns = None if known_at is None else resolve(known_at, tz=tz, now=now)
    known = None if known_at_ns is None else to_microseconds(known_at_ns)
    placed = []
    unrecorded = 0
    for event in found:
        recorded = event.recorded_at_text
        if known is not None and recorded is not None and recorded > known:
            continue
        unrecorded += recorded is None
        placed.append((_place(store, event), event))
    placed.sort(key=lambda pair: pair[0])
    events = tuple(event for _, event in placed)
    tree = grow(events, [finding.cause_of(event) for event in events])
    return Trail(correlation_id, events, tree.roots, tree.unordered, known_at_ns, unrecorded, finding)


def _named(events: Iterable[Event], correlation_id: str, text: str) -> Event:
    wanted = text.removeprefix(EVENT)
    found = [event for event in events if wanted in (event.id, event.key)]
    if len(found) != 1:
        reason = f"{len(found):,} have that id or key"
        raise EventNotFound(where=f"trail '{correlation_id}'", wanted=wanted, reason=reason)
    return found[0]


def _place(store: Correlated, event: Event) -> tuple[object, ...]:
    try:
        return (*order(event), event.stream, event.key)
    except UNREADABLE:
        reason = f"key '{event.key}' in stream '{event.stream}' holds an event that can not be read"
        raise StoreDamaged(store.url, reason) from None


class Wait(NamedTuple):
    """From a cause to its effect: `gap` nanoseconds."""

    cause: Event
    effect: Event
    gap: int


@dataclass(frozen=True, eq=False, repr=False)
class Trail(Tabular):
    """Every event once, in `events` by moment, and in `roots` as causes with their effects.

    Events stand in the order of (moment, `metaData.sequence`, type, digest, stream). As a table it has a row for each
    event in the order of `nodes`: a cause before its effects.
    """

    correlation_id: str
    events: tuple[Event, ...]
    roots: tuple[Node, ...]
    unordered: tuple[tuple[Event, ...], ...]  # siblings of one moment: they stand in some order, and had another one
    known_at_ns: int | None
    unrecorded: int  # events that do not say when they were recorded; they count as known
    finding: Finding  # how it was looked for

    def __len__(self) -> int:
        return len(self.events)

    def nodes(self) -> Iterator[Node]:
        """Each event's node: a cause before its effects, and all that follows from one before its next sibling."""
        return walk(self.roots)

    @cached_property
    def missing(self) -> dict[str, tuple[Event, ...]]:
        """The causes that are named and are not here, each with the events that point at it."""
        found: dict[str, list[Event]] = {}
        for node in self.nodes():
            if node.named == "missing" and node.cause_id is not None:
                found.setdefault(node.cause_id, []).append(node.event)
        return {cause_id: tuple(events) for cause_id, events in found.items()}

    @cached_property
    def circular(self) -> tuple[Event, ...]:
        """The events whose causes lead back to themselves: one of each circle, which stands as a root."""
        return tuple(node.event for node in self.nodes() if node.named == "circular")

    @cached_property
    def waits(self) -> tuple[Wait, ...]:
        """Each effect with its cause, the longest gap first."""
        found = [Wait(node.cause, node.event, node.gap or 0) for node in self.nodes() if node.cause is not None]
        return tuple(sorted(found, key=lambda wait: -wait.gap))

    @property
    def longest_wait(self) -> Wait | None:
        """The longest time that passed between a cause and its effect; None where no cause is here."""
        return self.waits[0] if self.waits and self.waits[0].gap >= 0 else None

    @cached_property
    def backwards(self) -> tuple[Wait, ...]:
        """Effects with a moment before their cause's: the clocks of two producers differ by that at least."""
        return tuple(wait for wait in self.waits if wait.gap < 0)

    @property
    def first(self) -> Event | None:
        """The earliest event."""
        return self.events[0] if self.events else None

    @property
    def last(self) -> Event | None:
        """The latest event."""
        return self.events[-1] if self.events else None

    @property
    def span(self) -> int:
        """Nanoseconds from the first event to the last one."""
        return self.since_first(self.events[-1]) if self.events else 0

    def since_first(self, event: Event) -> int:
        """Nanoseconds from the first event of the trail to this one."""
        return event.moment_ns - self.events[0].moment_ns

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that it touches, sorted."""
        return tuple(sorted({event.stream for event in self.events}))

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of its events, sorted."""
        return tuple(sorted({event.source for event in self.events}))

    @property
    def summary(self) -> str:
        """How much it is, over how long, and whether causes are missing, in a line of text."""
        if not self.events:
            return "no event"
        about = f"{many(len(self), 'event')} in {many(len(self.streams), 'stream')} over {duration(self.span)}"
        return f"{about}; {self._gone()}" if self.missing else about

    def facts(self) -> tuple[tuple[str, str], ...]:
        """What is to be known of it, in words: names and values. Those that would say nothing are left out."""
        if not self.events:
            return ()
        wait = self.longest_wait
        clocks = self.backwards[-1:]  # the widest is the last one
        found = {
            "events": f"{len(self):,} in {many(len(self.streams), 'stream')} from {many(len(self.sources), 'source')}",
            "from": to_canonical(self.events[0].moment_ns),
            "to": f"{to_canonical(self.events[-1].moment_ns)}, {duration(self.span)} later",
            "longest wait": wait and f"{duration(wait.gap)}, {_link(wait)}",
            "missing causes": self.missing and f"{self._gone()}: {_listed(self.missing)}",
            "unordered": self.unordered
            and f"~ {many(len(self.unordered), 'group')} of siblings of one moment: nobody knows their order",
            "before its cause": clocks
            and f"{many(len(self.backwards), 'effect')}, up to "
            f"{duration(-clocks[0].gap)}, {_link(clocks[0])}: clocks differ",
            "circular": self.circular
            and f"{many(len(self.circular), 'event')} whose causes lead back to the event itself",
            "not recorded": self.unrecorded
            and self.known_at_ns is not None
            and f"{many(self.unrecorded, 'event')} without a time of recording, counted as known",
        }
        return tuple((name, value) for name, value in found.items() if isinstance(value, str))

    def plot(self) -> alt.LayerChart:
        """A waterfall: a line for each event, a cause before its effects, from its cause's moment to its own, in the
        colour of its source. An Altair chart. Raises InvalidOption without the library altair."""
        return plots.waterfall(map(_bar, self.nodes()), title=repr(self)[1:-1])

    def _gone(self) -> str:
        pointing = sum(map(len, self.missing.values()))
        points = "1 event points" if pointing == 1 else f"{pointing:,} events point"
        them = "an event that is" if len(self.missing) == 1 else f"{len(self.missing):,} events that are"
        return f"{points} at {them} not here"

    def _columns(self) -> tuple[Column, ...]:
        return (
            *(Column("stream"), Column("key"), Column("moment", "moment"), Column("type"), Column("id")),
            *(Column("source"), Column("recorded_at", "moment"), Column("depth", "int"), Column("cause_id")),
            *(Column("cause"), Column("gap", "float"), Column("after", "float"), Column("unordered", "bool")),
        )

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for node in self.nodes():
            event = node.event
            gap = None if node.gap is None else node.gap / _SECOND
            yield (
                *(event.stream, event.key, event.moment_ns, event.type, event.id, event.source),
                *(_recorded_ns(event), node.depth, node.cause_id, node.named, gap),
                *(self.since_first(event) / _SECOND, node.unordered),
            )

    def _repr_html_(self) -> str:
        shown = []
        for node, _ in zip(self.nodes(), range(_SHOWN), strict=False):
            event, mark = node.event, " ~" if node.unordered else ""
            after, gap = duration(self.since_first(event)), gap_in_words(node.gap)
            shown.append((after, gap, f"{indented(node)}{mark}", event.stream, event.id, event.moment_ns))
        names = ("after", "gap", "event", "stream", "id")
        columns = (*map(Column, names), Column("moment", "moment"))
        more = f"… and {len(self) - _SHOWN:,} more" if len(self) > _SHOWN else ""
        first = self.events[:_SHOWN]
        when = html.strip([event.moment_ns for event in first], [event.type for event in first])
        caption = html.line(f"Trail {self.correlation_id}: {self.summary}")
        table = html.table(columns, shown) if shown else ""
        return html.block(caption, when, table, html.line(more), html.facts(self.facts()))

    def __repr__(self) -> str:
        return f"<Trail {self.correlation_id!r}: {self.summary}>"


def indented(node: Node) -> str:
    """The type of an event behind a dot for each cause above it; many of them are counted instead."""
    dots = "· " * node.depth if node.depth <= _DEEPEST else f"·{node.depth}· "
    return f"{dots}{node.event.type}"


def _bar(node: Node) -> plots.Bar:
    event = node.event
    start, end = sorted((event.moment_ns, (node.cause or event).moment_ns))
    return plots.Bar(event.type, start, end, event.source, node.depth, f"{event.stream}, id {event.id}")


def _recorded_ns(event: Event) -> int | None:
    try:
        return None if event.recorded_at_text is None else from_rfc3339(event.recorded_at_text)
    except ValueError:  # of another writer
        return None


def _link(wait: Wait) -> str:
    return f"{wait.cause.type} to {wait.effect.type} (id {wait.effect.id})"


def _listed(names: Iterable[str]) -> str:
    first = list(islice(names, _EXAMPLES + 1))
    return ", ".join(first[:_EXAMPLES]) + (", …" if len(first) > _EXAMPLES else "")
