"""History: each event of a stream with the state after it and what it changed."""

from __future__ import annotations

import copy
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.event import decode_json
from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.patches import alterations, encode_json, make_patch_of_json
from eventsourcing_kit.progress import watched
from eventsourcing_kit.questions.naming import EVENT_COLUMNS, event_cells
from eventsourcing_kit.questions.pages import history_html
from eventsourcing_kit.questions.series import plot
from eventsourcing_kit.questions.travel import travel
from eventsourcing_kit.questions.walk import FOLDING, Walk
from eventsourcing_kit.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import altair as alt

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.frames.travel import TimeSlider
    from eventsourcing_kit.patches import Alteration, Patch
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.questions.walk import Written
    from eventsourcing_kit.resuming import Resuming, Saving
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["History", "Step", "history"]

Result = TypeVar("Result", default=Any)
_COLUMNS: Final = (*EVENT_COLUMNS, Column("folded", "bool"), Column("patch", "json"), Column("state", "json"))


class Step(Generic[Result]):
    """One event, the state after it, and what it changed.

    `number` is the event's place in its stream, counted from 1, as `event:N` takes it. `folded` is False for an event
    that went into no state, as no handler takes its type: `state` is the one before, then.
    """

    def __init__(self, number: int, event: Event, state: Result, *, folded: bool, before: bytes, after: bytes) -> None:
        self.number = number
        self.event = event
        self.state = state
        self.folded = folded
        self._before = before
        self._after = after

    @property
    def document(self) -> Any:
        """The state as JSON has it, new at each call."""
        return decode_json(self._after)

    @cached_property
    def patch(self) -> Patch:
        """What the event changed: an RFC 6902 patch from the document before it to its own; empty for nothing."""
        return make_patch_of_json(self._before, self._after)

    def alterations(self) -> Iterator[Alteration]:
        """Each operation of the patch with the value that it replaced or removed."""
        return alterations(decode_json(self._before), self.patch)

    def __repr__(self) -> str:
        return f"<Step {self.number}: {self.event.type!r} at {self.event.key!r}, id {self.event.id!r}>"


class History(Tabular, Generic[Result]):
    """The steps of a stream, in order. Each iteration reads and folds anew, and holds one step in memory.

    As a table: the columns that name an event, `folded`, `patch` and `state`, both JSON.
    """

    def __init__(self, walk: Walk[Result]) -> None:
        self._walk = walk

    @property
    def stream(self) -> str:
        return self._walk.span.stream

    @property
    def projection(self) -> str:
        return self._walk.projection.name

    def __iter__(self) -> Iterator[Step[Result]]:
        """Raises FoldFailed where a handler does, once all steps before that were given; its `state` is the one before
        the event; IncompleteStream; and a StoreError."""
        for (number, event, state, folded), before, after in self._written():
            # A handler may go on to change what it has returned.
            yield Step(number, event, copy.deepcopy(state), folded=folded, before=before, after=after)

    def travel(self) -> TimeSlider:
        """A time slider for a notebook: drag it through the events, and see each with the state and what it changed.

        In Python it has `at` and `state`, live; set `at` to go somewhere. Where the projection fails, it ends before
        that event and says so. Walks the history once, and holds some hundred of its states, whatever its length.

        Raises InvalidOption without the library anywidget; IncompleteStream; FoldFailed where already the state before
        `start` can not be made; and StoreError.
        """
        return travel(self._walk)

    def plot(self, path: str | None = None) -> alt.Chart:
        """What stands at `path` over time, an Altair chart: a number as a line of steps, other values as steps between.

        `path` is a JMESPath over the state as JSON (`totals.sum`, `lines[0].price`, `length(lines)`); without one the
        state itself has to be a number. Of more steps than a chart shows, the extremes of each stretch of time stay,
        and the chart says so.

        Raises InvalidOption where `path` never leads to a value, with those that there are, or without the library
        altair; and as iterating does, where the `answer` of a FoldFailed is the chart up to there.
        """
        named = f"{path or 'state'} of {self.stream} by projection {self.projection}"
        return plot(watched(self._written(), FOLDING), path, title=named)

    def _written(self) -> Iterator[Written[Result]]:
        return self._walk.from_start()

    def _columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for (number, event, _, folded), before, after in self._written():
            yield *event_cells(number, event), folded, encode_json(make_patch_of_json(before, after)), after.decode()

    def _repr_html_(self) -> str:
        return history_html(self._written(), title=repr(self)[1:-1])

    def __repr__(self) -> str:
        return f"<History of {self.stream!r} by projection {self.projection!r}>"


def history(
    projection: Projection[Any, Result],
    store: Readable,
    stream: str,
    *,
    start: datetime | str | None = None,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
    snapshots: Saving = None,
    clock: Callable[[], int] | None = None,
) -> History[Result]:
    """Every event of `stream` from `start` up to `at`, both inclusive, each with the state after it and its change.

    The states are true ones: they are folded from the stream's beginning, whatever `start` leaves out of the answer.
    Events that no handler takes are among the steps, with an empty change. `known_at` leaves out what was recorded
    later. All three may be `event:N`, `event:ID` or `event:KEY`, too (see `span`). `clock` gives nanoseconds since
    1970; without it, it is the machine's.

    With `snapshots`, the fold up to `start` begins at the newest saved one before it that fits, and others are saved on
    the way, also behind `start`, as by `rebuild`. The steps are the same as without, each with its number in the whole
    stream. `travel` folds from the beginning. Who stops in the middle leaves the last of them unsaved.

    Reads when it is iterated. Raises InvalidMoment, EventNotFound, and InvalidOption as `rebuild` does, at once; and
    while it is iterated FoldFailed, IncompleteStream (unless `allow_incomplete`), StoreError, and InvalidOption where
    an older writer has put an event behind the snapshot, which is seen only at a later one of its events.
    """
    clock = clock or time.time_ns
    span = Span.of(store, stream, start=start, at=at, known_at=known_at, tz=tz, now=clock())
    saved = None if snapshots is None else _saved(projection, store, snapshots, clock)
    return History(Walk(projection, span, allow_incomplete, saved))


def _saved(
    projection: Projection[Any, Result], store: Readable, snapshots: Saving, clock: Callable[[], int]
) -> Callable[[], Resuming[Result] | None]:
    from eventsourcing_kit.resuming import Resuming, check_saving  # which a history without snapshots never loads

    check_saving(store, snapshots)
    return lambda: Resuming.of(projection, store, snapshots, now=clock())
