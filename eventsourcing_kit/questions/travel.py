"""Travel: any step of a history at once, from saved places a short way before it; and the time slider over them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple

from typing_extensions import TypeVar

from eventsourcing_kit.errors import EventNotFound, FoldFailed
from eventsourcing_kit.event import decode_json, moment_or_none
from eventsourcing_kit.frames.html import palette
from eventsourcing_kit.frames.libraries import library
from eventsourcing_kit.frames.marked import marked_lines, shortened
from eventsourcing_kit.moment import MIN_NS, from_rfc3339, to_canonical
from eventsourcing_kit.patches import ABSENT, alterations, encode_json, make_patch_of_json
from eventsourcing_kit.progress import watched
from eventsourcing_kit.questions.naming import event_label
from eventsourcing_kit.questions.walk import FOLDING, Place, Turn
from eventsourcing_kit.span import EVENT, Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.frames.travel import Shown, TimeSlider
    from eventsourcing_kit.questions.walk import Walk

__all__ = ["Checkpoints", "Stop", "travel"]

Result = TypeVar("Result", default=Any)

_MOST: Final = 256  # places that are kept
_ROOM: Final = 64_000_000  # bytes that their states may have together, as JSON
_TICKS: Final = 1_500  # as many as a screen is wide
_LINES: Final = 1_000  # of a state that are shown
_ABOVE: Final = 20  # lines that are shown before the first change, where not all are
_CHANGES: Final = 200


class Stop(NamedTuple, Generic[Result]):
    """Behind the `position`th event of a history, or, at 0, before the first one."""

    position: int
    turn: Turn[Result] | None  # None at 0
    state: Result  # nobody else's
    before: bytes  # the JSON of the state before the event
    after: bytes

    @property
    def event(self) -> Event | None:
        return None if self.turn is None else self.turn.event


class Checkpoints(Generic[Result]):
    """A history that was walked once; then each of its stops takes the events since the nearest place that was kept.

    However long the stream is, at most some hundred places are kept, at equal distances, and fewer where states are
    large. `count` events can be stopped at: all, or those before the one at which the projection failed, which is
    `failed`. What the store records after the walk is not seen.

    Raises FoldFailed where the projection fails before the history begins; IncompleteStream; and StoreError.
    """

    def __init__(self, walk: Walk[Result], *, most: int = _MOST, room: int = _ROOM) -> None:
        self.count = 0
        self.failed: FoldFailed | None = None
        self.ticks = _Ticks()
        self._walk = walk
        self._most, self._room = most, room
        self._every, self._bytes = 1, 0
        self._kept: list[_Kept[Result]] = [_Kept(0, _origin(walk), 0)]
        self._crowded: set[int] = set()  # positions behind which events of the same moment follow
        self._first_ns: int | None = None
        self._go_once()

    def _go_once(self) -> None:
        latest, last_ns = "", None
        try:
            for turn in watched(self._walk.turns(self._kept[0].place), FOLDING):
                ns = _moment(turn.event)
                if self.count == 0:
                    self._first_ns = ns
                elif ns == last_ns:
                    self._crowded.add(self.count)
                self.count += 1
                self.ticks.add(self.count, ns, turn.event.type)
                last_ns, latest = ns, max(latest, turn.event.recorded_at_text or "")
                if self.count % self._every == 0:
                    self._keep(turn)
        except FoldFailed as failed:
            self.failed = failed
            if _moment(failed.event) == last_ns:
                self._crowded.add(self.count)
        span = self._walk.span
        if span.at is not None and span.at.key is not None:
            self._crowded.add(self.count)
        if latest and span.known_at_ns is None:  # so that no late event moves the positions of those behind it
            self._walk = replace(self._walk, span=replace(span, known_at_ns=from_rfc3339(latest)))

    def _keep(self, turn: Turn[Result]) -> None:
        size = len(self._walk.projection.to_json(turn.state))
        self._kept.append(_Kept(self.count, Place(copy.deepcopy(turn.state), turn.number, turn.event), size))
        self._bytes += size
        while len(self._kept) > 2 and (len(self._kept) > self._most or self._bytes > self._room):
            self._every *= 2
            self._kept = [kept for kept in self._kept if kept.position % self._every == 0]
            self._bytes = sum(kept.size for kept in self._kept)

    def stop(self, position: int) -> Stop[Result]:
        """Raises FoldFailed where the projection is no function of its events, EventNotFound, and StoreError."""
        to_json = self._walk.projection.to_json
        kept = next(kept for kept in reversed(self._kept) if kept.position < position or kept.position == 0)
        before = to_json(kept.place.state)
        if position == 0:
            return Stop(0, None, copy.deepcopy(kept.place.state), before, before)
        for here, turn in enumerate(self._walk.turns(kept.place), start=kept.position + 1):
            if here == position:
                return Stop(here, turn, copy.deepcopy(turn.state), before, to_json(turn.state))
            if here == position - 1:
                before = to_json(turn.state)
        reason = "events have gone from the store since; begin a new travel"
        raise EventNotFound(where=f"stream '{self._walk.span.stream}'", wanted=str(position), reason=reason)

    def find(self, at: datetime | str) -> int:
        """The position of the last event up to a moment, or of the one that `event:...` names.

        Raises InvalidMoment, EventNotFound (also for an event that is not in this history), and StoreError.
        """
        span = self._walk.span
        point = Span.of(span.store, span.stream, at=at).at
        assert point is not None  # noqa: S101 - as `at` is not None
        kept = next(
            kept
            for kept in reversed(self._kept)
            if kept.position == 0 or (_moment(kept.place.event) or point.ns) < point.ns
        )
        found = here = int(kept.position)
        for _, event in self._events(kept):
            if here == self.count or (_moment(event) or point.ns) > point.ns:
                break
            here += 1
            if event.key == point.key:
                return here
            found = here
        if point.key is not None:
            reason = "it is not among those of this history"
            raise EventNotFound(where=f"stream '{span.stream}'", wanted=point.key, reason=reason)
        return found

    def at(self, stop: Stop[Result]) -> str | None:
        """What any question takes as `at` for the state of this stop: a moment, or an event where others share it.

        None where nothing names it: before the first event of all there may be.
        """
        event, ns = stop.event, None if stop.event is None else _moment(stop.event)
        if event is not None:
            return f"{EVENT}{event.key}" if ns is None or stop.position in self._crowded else to_canonical(ns)
        origin = self._kept[0].place.event
        if origin is not None and (self._first_ns is None or _moment(origin) == self._first_ns):
            return f"{EVENT}{origin.key}"
        return None if self._first_ns is None or self._first_ns == MIN_NS else to_canonical(self._first_ns - 1)

    def _events(self, kept: _Kept[Result]) -> Iterator[tuple[int, Event]]:
        place = kept.place
        behind = None if place.event is None else (place.number, place.event)
        walk = self._walk
        return walk.span.numbered(behind, allow_incomplete=walk.allow_incomplete, asked_by=walk.projection.name)


def travel(walk: Walk[Any]) -> TimeSlider:
    """A time slider over a walk. Raises InvalidOption without the library anywidget, and as `Checkpoints` does."""
    library("anywidget", asked_for="travel")
    from eventsourcing_kit.frames.travel import TimeSlider

    points = Checkpoints(walk)

    def shown(position: int) -> Shown:
        stop = points.stop(position)
        return points.at(stop), stop.state, _page(stop)

    stopped = ""
    if points.failed is not None and points.failed.number is not None:
        label = shortened(event_label(points.failed.number, points.failed.event))
        stopped = f"It ends before {label}, at which the projection failed: {shortened(points.failed.reason)}"
    about = {
        "title": shortened(f"{walk.projection.name}: {walk.span.stream}"),
        "count": points.count,
        "stopped": stopped,
        **points.ticks.drawn(),
    }
    return TimeSlider(about, shown, points.find)


class _Kept(NamedTuple, Generic[Result]):
    position: int
    place: Place[Result]
    size: int


def _origin(walk: Walk[Result]) -> Place[Result]:
    """The place before the first event of the span."""
    span = walk.span
    if span.start is None:
        return walk.beginning()
    numbered = span.numbered(allow_incomplete=walk.allow_incomplete, asked_by=walk.projection.name)
    first = next((number for number, event in numbered if span.has_begun(event)), None)
    return walk.to_the_end(until=None if first is None else first - 1)


def _moment(event: Event | None) -> int | None:
    return None if event is None else moment_or_none(event)


class _Ticks:
    """Marks on a line of time: of each type all events, or every so many of them where there are more than show."""

    def __init__(self) -> None:
        self._of_type: dict[str, _Thinned] = {}

    def add(self, position: int, ns: int | None, type_: str) -> None:
        if ns is not None:
            self._of_type.setdefault(type_, _Thinned()).add((ns, position))

    def drawn(self) -> dict[str, Any]:
        """`ticks`: place in time from 0 to 1, position, colour; `types`: name, colour; `ends`: two moments."""
        marks = sorted((ns, position, name) for name, thinned in self._of_type.items() for ns, position in thinned.kept)
        marks = marks[:: len(marks) // _TICKS + 1] if len(marks) > _TICKS else marks
        if not marks:
            return {"ticks": [], "types": [], "ends": []}
        first = min(thinned.first for thinned in self._of_type.values())
        last = max(thinned.last for thinned in self._of_type.values())
        colour = palette(self._of_type)
        length = (last - first) or 1
        legend = [[shortened(name)[:40], colour[name]] for name in sorted(self._of_type)]
        return {
            "ticks": [[round((ns - first) / length, 5), position, colour[name]] for ns, position, name in marks],
            "types": legend[:7] + ([["others", legend[7][1]]] if len(legend) > 7 else []),
            "ends": [f"{to_canonical(ns)[:19].replace('T', ' ')}Z" for ns in (first, last)],
        }


class _Thinned:
    def __init__(self) -> None:
        self.kept: list[tuple[int, int]] = []
        self.first = self.last = 0
        self._seen, self._every = 0, 1

    def add(self, mark: tuple[int, int]) -> None:
        self.first = mark[0] if self._seen == 0 else self.first
        self.last = mark[0]
        if self._seen % self._every == 0:
            self.kept.append(mark)
            if len(self.kept) > _TICKS:
                self.kept = self.kept[::2]
                self._every *= 2
        self._seen += 1


def _page(stop: Stop[Any]) -> dict[str, Any]:
    """What the slider shows of a stop: plain text only, nothing in it that can not be seen."""
    before, after = decode_json(stop.before), decode_json(stop.after)
    patch = make_patch_of_json(stop.before, stop.after)
    rows = [
        [op, shortened(path), source and shortened(source), *(_value(value) for value in values)]
        for op, path, source, *values in alterations(before, patch[:_CHANGES])
    ]
    lines = marked_lines(before, after)
    above = 0
    if len(lines) > _LINES:
        changed = next((place for place, line in enumerate(lines) if line.changed), 0)
        above = max(0, min(changed - _ABOVE, len(lines) - _LINES))
    return {
        "index": stop.position,
        "facts": _facts(stop.turn),
        "type": None if stop.event is None else shortened(stop.event.type),
        "note": "No handler takes this type" if stop.turn is not None and not stop.turn.folded else "",
        "changes": rows,
        "more": len(patch) - len(rows),
        "lines": lines[above : above + _LINES],
        "above": above,
        "below": max(0, len(lines) - _LINES - above),
    }


def _facts(turn: Turn[Any] | None) -> list[tuple[str, str]]:
    if turn is None:
        return []
    ns = _moment(turn.event)
    facts = {
        "moment": "can not be read" if ns is None else to_canonical(ns),
        "type": turn.event.type,
        "event": f"number {turn.number:,} of its stream",
        "id": turn.event.id,
        "key": turn.event.key,
    }
    return [(name, shortened(value)) for name, value in facts.items()]


def _value(value: Any) -> str | None:
    return None if value is ABSENT else shortened(encode_json(value))
