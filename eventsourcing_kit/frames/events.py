"""Events: what a store holds, as a table of one row for each event."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import EventSourcingError, InvalidOption, StoreDamaged
from eventsourcing_kit.event import moment_or_none
from eventsourcing_kit.frames import html, plots
from eventsourcing_kit.frames.columns import Column
from eventsourcing_kit.frames.details import Details
from eventsourcing_kit.frames.moments import Moments
from eventsourcing_kit.frames.tabular import Tabular
from eventsourcing_kit.span import Span, exact
from eventsourcing_kit.stores.columns import gathered, in_columns
from eventsourcing_kit.stores.contract import Columnar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import altair as alt

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.columns import Columns
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["COLUMNS", "Events"]

COLUMNS: Final = (
    Column("stream"),
    Column("key"),
    Column("moment", "moment"),
    Column("type"),
    Column("id"),
    Column("source"),
    Column("recorded_at", "moment"),
    Column("correlation_id"),
    Column("causation_id"),
    Column("account"),
    Column("region"),
    Column("replay_name"),
    Column("detail", "json"),
)

_AT_ONCE: Final = 64  # events that are looked at together where few may be wanted


class Events(Tabular):
    """Events of a store: iterating gives each `Event`, stream after stream, in the order of its stream.

    Made by `store.events(...)`. Nothing is read before somebody asks, and each asking reads anew. As a table it has the
    columns of `COLUMNS` and then the chosen ones, whose types are found from their values. A moment that can not be
    read, as in rows of older writers, is null there; a detail that is no JSON is one string.
    """

    def __init__(
        self,
        store: Readable,
        *,
        streams: str | Iterable[str] | None = None,
        prefix: str = "",
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        known_at: datetime | str | None = None,
        types: Iterable[str] = (),
        columns: Mapping[str, str] | None = None,
        tz: str = "UTC",
        now: int | None = None,
    ) -> None:
        if streams is not None and prefix:
            raise TypeError("streams are named, or chosen by a prefix; give one of the two")
        if isinstance(types, str):
            raise TypeError("types is one text; give a list of types, or every letter would be taken for one")
        self._store = store
        self._streams = (streams,) if isinstance(streams, str) else None if streams is None else tuple(streams)
        self._prefix = prefix
        self._start, self._at, self._known_at = (exact(value, tz=tz, now=now) for value in (start, at, known_at))
        self._types = frozenset(types)
        chosen = dict(columns or {})
        self._details = Details(chosen.values())
        self._names = (*COLUMNS, *(Column(_free(name), "value") for name in chosen))

    def __iter__(self) -> Iterator[Event]:
        for stream in self._chosen():
            yield from self._wanted(self._span(stream))

    def expired(self) -> dict[str, str]:
        """The streams whose beginnings have expired, with the moment of the first event of each; reads all events."""
        found = {}
        for stream in self._chosen():
            reading = self._span(stream).read()
            for _ in reading:
                pass
            if reading.expired_since is not None:
                found[stream] = reading.expired_since
        return found

    def plot(self) -> alt.Chart:
        """When they happened, by type: an Altair chart. Raises InvalidOption without the library altair."""
        when = ((moment_or_none(event), event.type) for event in self)
        return plots.over_time(when, title=repr(self)[1:-1])

    def plot_lateness(self) -> alt.LayerChart:
        """How long after their moments they were recorded, by type: an Altair chart. Raises as `plot` does."""
        late = ((moment_or_none(event), _recorded(event), event.type) for event in self)
        return plots.lateness(late, title=repr(self)[1:-1])

    def _columns(self) -> tuple[Column, ...]:
        return self._names

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for batch in self._batches(_AT_ONCE):
            yield from zip(*(values.ns() if isinstance(values, Moments) else values for values in batch), strict=True)

    def _batches(self, size: int) -> Iterator[list[Sequence[Any]]]:
        # Column by column: of 100,000 events each step that is taken for one of them alone would be felt.
        for stored in gathered(self._stored(size), size):
            moments, details, *chosen = self._inside(stored)
            yield [
                stored.streams,
                stored.keys,
                moments,
                stored.types,
                stored.ids,
                stored.sources,
                Moments(stored.recorded),
                stored.correlation_ids,
                stored.causation_ids,
                stored.accounts,
                stored.regions,
                stored.replay_names,
                details,
                *chosen,
            ]

    def _stored(self, size: int) -> Iterator[Columns]:
        store = self._store if isinstance(self._store, Columnar) else None  # asked once: for each stream it would cost
        for stream in self._chosen():
            span = self._span(stream)
            if store is None or span.names_events:
                yield from in_columns(self._wanted(span), size)
                continue
            start, at = (None if end is None else end.moment for end in (span.start, span.at))
            for stored in store.read_columns(stream, start=start, at=at, at_once=size):
                yield self._wanted_of(stored, span)

    def _wanted_of(self, stored: Columns, span: Span) -> Columns:
        """As `_wanted` says of events."""
        if span.known_at_ns is not None:
            stored = stored.chosen([*map(span.was_recorded(), stored.recorded)])
        return stored.chosen([type_ in self._types for type_ in stored.types]) if self._types else stored

    def _inside(self, stored: Columns) -> list[Sequence[Any]]:
        try:
            return self._details.of(stored.details, stored.times)
        except zlib.error:
            for stream, key, detail in zip(stored.streams, stored.keys, stored.details, strict=True):
                if not _unpacks(detail):
                    reason = f"the detail of '{key}' in stream '{stream}' does not unpack"
                    raise StoreDamaged(self._store.url, reason) from None
            raise

    def _chosen(self) -> Iterable[str]:
        return self._store.streams(self._prefix) if self._streams is None else self._streams

    def _span(self, stream: str) -> Span:
        return Span.of(self._store, stream, start=self._start, at=self._at, known_at=self._known_at)

    def _wanted(self, span: Span) -> Iterable[Event]:
        """The events of the span that are of one of the types, and were known."""
        events = span.known(span.cut(span.read()))
        return (event for event in events if event.type in self._types) if self._types else events

    def _repr_html_(self) -> str:
        try:
            return super()._repr_html_()
        except EventSourcingError as error:  # a notebook would show a traceback above the text
            return html.block(html.line(str(error)))

    def _shown(self) -> tuple[str, ...]:
        """What people look for first: the rest names the event once more, or hardly ever differs."""
        stream = () if self._streams is not None and len(self._streams) == 1 else ("stream",)
        chosen = (column.name for column in self._names[len(COLUMNS) :])
        return (*stream, "moment", "type", *chosen, "detail", *("source", "id", "correlation_id", "causation_id"))

    def _caption(self) -> str:
        words = repr(self)[1:-1]
        if self._streams is not None and len(self._streams) == 1:
            reading = self._span(self._streams[0]).read()
            next(iter(reading), None)  # a stream's beginning is noted in front of its events
            if reading.expired_since is not None:
                words += f". The stream's beginning has expired: its first event was at {reading.expired_since}"
        return words

    def __repr__(self) -> str:
        if self._streams is None:
            which = f"streams '{self._prefix}…'" if self._prefix else "all streams"
        else:
            which = f"stream '{self._streams[0]}'" if len(self._streams) == 1 else f"{len(self._streams):,} streams"
        limits = (("from", self._start), ("up to", self._at), ("known at", self._known_at))
        told = [f"{word} {moment}" for word, moment in limits if moment is not None]
        if self._types:
            told.append(f"only {', '.join(sorted(self._types))}")
        return f"<Events of {which} in '{self._store.url}'{''.join(f', {words}' for words in told)}>"


def _free(name: str) -> str:
    if any(column.name == name for column in COLUMNS):
        raise InvalidOption("columns", found=name, expected="a name that no column of every event has")
    return name


def _unpacks(detail: str | bytes) -> bool:
    try:
        return isinstance(detail, str) or zlib.decompress(detail) is not None
    except zlib.error:
        return False


def _recorded(event: Event) -> int | None:
    return Moments([event.recorded_at_text]).ns()[0]
