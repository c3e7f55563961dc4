"""What a reader of an answer should know of its events: seen while they pass, and said as warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal

from eventsourcing_kit.blocks import blocks_of
from eventsourcing_kit.moment import to_key_time, to_microseconds
from eventsourcing_kit.snapshot import Seen
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.errors import FoldFailed
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection

__all__ = ["Kind", "RebuildWarning", "Watch", "damaged", "incomplete", "skipped"]

_EXAMPLES: Final = 3

Kind = Literal["late", "future", "unknown type", "skipped", "not recorded", "incomplete", "damaged snapshot"]


@dataclass(frozen=True)
class RebuildWarning:
    """`count` events of one kind that a reader of the answer should know of; `keys` are the first few of them."""

    kind: Kind
    count: int
    message: str
    keys: tuple[str, ...]


class Watch:
    """Looks at the events on their way into the fold, some ahead of it. On the hot path: it compares text."""

    def __init__(self, projection: Projection[Any, Any], known_at_ns: int | None, now: int) -> None:
        self._projection = projection
        self._known = None if known_at_ns is None else to_microseconds(known_at_ns)
        self._now = to_key_time(now)
        self._found: dict[Kind, _Seen] = {}
        self._unknown: dict[str, int] = {}

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        return chain.from_iterable(map(self._seen, blocks_of(events)))

    def lets_by(self, event: Event) -> bool:
        """As `over`, for one event: whether it is known."""
        return bool(self._seen([event]))

    def _seen(self, block: list[Event]) -> list[Event]:
        return block if self._are_usual(block) else list(self._looked_at(block))

    def _are_usual(self, block: list[Event]) -> bool:
        """Whether nothing is to be said of any event of a block. Where this says no, each is looked at by itself."""
        recorded = [event.recorded_at_text for event in block]
        keys = [event.key for event in block]
        if None in recorded or max(keys) > self._now:
            return False
        latest: str = max(recorded)  # type: ignore[type-var, assignment]  # no None
        if self._known is not None and latest > self._known:
            return False
        # The latest of them is not late for the earliest moment, so none is late for its own.
        earliest = min(keys)
        day = _day_after(earliest[:10])
        if day is _NEVER or latest[:23] > day + earliest[10:23]:
            return False
        return all(map(self._projection.handles, {event.type for event in block}))

    def _looked_at(self, block: list[Event]) -> Iterator[Event]:
        known, now = self._known, self._now
        for event in block:
            recorded = event.recorded_at_text
            key = event.key
            if recorded is None:
                if known is not None:
                    self._saw("not recorded", key)
            else:
                if known is not None and recorded > known:
                    continue
                day = key[:10]
                # Both are UTC in fixed width, so 24 hours later is the same text with the next day's date.
                if recorded[:10] != day and recorded[:23] > _day_after(day) + key[10:23]:
                    self._saw("late", key)
            if key > now:
                self._saw("future", key)
            if not self._projection.handles(event.type):
                self._unknown[event.type] = self._unknown.get(event.type, 0) + 1
                self._saw("unknown type", key)
            yield event

    def _saw(self, kind: Kind, key: str) -> None:
        seen = self._found.setdefault(kind, _Seen())
        seen.count += 1
        if len(seen.keys) < _EXAMPLES:
            seen.keys.append(key)

    def counts(self) -> tuple[Seen, Seen, dict[str, int]]:
        """What a snapshot keeps: late events, events without a handler, and these by their type."""
        late, unknown = (self._found.get(kind, _Seen()) for kind in _KEPT)
        return Seen(late.count, tuple(late.keys)), Seen(unknown.count, tuple(unknown.keys)), dict(self._unknown)

    def go_on(self, late: Seen, unknown: Seen, unknown_types: dict[str, int]) -> None:
        """As if it had watched what went into a snapshot."""
        for kind, seen in zip(_KEPT, (late, unknown), strict=True):
            if seen.count:
                self._found[kind] = _Seen(seen.count, list(seen.keys))
        self._unknown |= unknown_types

    def warnings(self) -> Iterator[RebuildWarning]:
        if not self._found:  # as it nearly always is
            return
        unknown = ", ".join(f"'{name}'" for name in sorted(self._unknown))
        messages: dict[Kind, str] = {
            "late": "recorded more than 24 hours late",
            "future": "with a moment still to come",
            "unknown type": f"of a type without a handler: {unknown}",
            "not recorded": "that do not say when they were recorded, counted as known",
        }
        for kind, message in messages.items():
            if seen := self._found.get(kind):
                yield RebuildWarning(kind, seen.count, f"{many(seen.count, 'event')} {message}", tuple(seen.keys))


@dataclass
class _Seen:
    count: int = 0
    keys: list[str] = field(default_factory=list)


_NEVER: Final = "~"


@lru_cache(maxsize=4_096)
def _day_after(day: str) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):  # a key of an older writer, or the end of the calendar: never late
        return _NEVER


_KEPT: Final[tuple[Kind, Kind]] = ("late", "unknown type")


def skipped(failures: list[FoldFailed]) -> Iterator[RebuildWarning]:
    if failures:
        keys = tuple(failure.key for failure in failures[:_EXAMPLES])
        message = f"{many(len(failures), 'event')} skipped, the first because {failures[0].reason}"
        yield RebuildWarning("skipped", len(failures), message, keys)


def incomplete(since: str | None) -> Iterator[RebuildWarning]:
    if since is not None:
        yield RebuildWarning("incomplete", 1, f"the beginning has expired; the first event was at {since}", ())


def damaged(keys: Sequence[str]) -> Iterator[RebuildWarning]:
    if keys:
        message = "a snapshot does not match its checksum, so this was folded from the beginning"
        yield RebuildWarning("damaged snapshot", len(keys), message, tuple(keys[:_EXAMPLES]))
