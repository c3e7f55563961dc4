"""Blame: the events that set one place of a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.patches import ABSENT, at_pointer, check_pointer, encode_json, same
from eventsourcing_kit.progress import watched
from eventsourcing_kit.questions.naming import EVENT_COLUMNS, event_cells
from eventsourcing_kit.questions.pages import blame_html
from eventsourcing_kit.questions.walk import FOLDING, Walk
from eventsourcing_kit.span import Span
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Blame", "Change", "blame"]

_COLUMNS: Final = (*EVENT_COLUMNS, Column("op", "text"), Column("old", "json"), Column("new", "json"))


class Change(NamedTuple):
    """An event after which another value stood at the place: `new` in place of `old`, as JSON has them.

    Where nothing stood there, a value is ABSENT, which None, JSON's null, is not.
    """

    number: int  # of the event in its stream, counted from 1
    event: Event
    old: Any
    new: Any

    @property
    def op(self) -> str:
        """What RFC 6902 calls it: add, remove or replace."""
        return "add" if self.old is ABSENT else "remove" if self.new is ABSENT else "replace"


class Blame(Tabular, Sequence[Change]):
    """The changes of one place, the last one first. As a table: the columns that name an event, `op`, `old`, `new`."""

    def __init__(self, projection: str, stream: str, pointer: str, changes: Sequence[Change]) -> None:
        self.projection = projection
        self.stream = stream
        self.pointer = pointer
        self._changes = tuple(changes)

    @overload
    def __getitem__(self, place: int) -> Change: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Change]: ...

    def __getitem__(self, place: int | slice) -> Change | Sequence[Change]:
        return self._changes[place]

    def __len__(self) -> int:
        return len(self._changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._changes)

    def _columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for change in self._changes:
            values = (encode_json(value) or None for value in (change.old, change.new))
            yield *event_cells(change.number, change.event), change.op, *values

    def _repr_html_(self) -> str:
        return blame_html(self, title=repr(self)[1:-1])

    def __repr__(self) -> str:
        about = f"{self.pointer!r} in {self.stream!r} by projection {self.projection!r}"
        return f"<Blame of {about}: {many(len(self), 'change')}>"


def blame(
    projection: Projection[Any, Any],
    store: Readable,
    stream: str,
    pointer: str,
    *,
    start: datetime | str | None = None,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
) -> Blame:
    """The events that changed what stands at `pointer`, a JSON Pointer (RFC 6901), from `start` to `at`; last first.

    `""` is the whole state. The order of an object's members is no change; 1, 1.0 and true are three values. `start`,
    `at` and `known_at` as in `history`. One pass.

    Raises FoldFailed, whose `answer` is the Blame up to the event that failed; InvalidOption for a pointer that is
    none; IncompleteStream, unless `allow_incomplete`; InvalidMoment; EventNotFound; and StoreError.
    """
    check_pointer(pointer)
    span = Span.of(store, stream, start=start, at=at, known_at=known_at, tz=tz)
    walk = Walk(projection, span, allow_incomplete)
    changes: list[Change] = []
    old = at_pointer(walk.document(walk.beginning().state), pointer)
    try:
        for (number, event, _, _), before, after in watched(walk.written(), FOLDING):
            if before == after:
                continue
            new = at_pointer(decode_json(after), pointer)
            if not same(old, new):
                if span.has_begun(event):
                    changes.append(Change(number, event, old, new))
                old = new
    except FoldFailed as failed:
        failed.answer = Blame(projection.name, stream, pointer, changes[::-1])
        raise
    return Blame(projection.name, stream, pointer, changes[::-1])
