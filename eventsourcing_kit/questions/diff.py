"""Diff: what changed between two moments, and which event touched each changed place last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.patches import alterations, apply_patch, at_pointer, encode_json, make_patch, parents, same
from eventsourcing_kit.progress import watched
from eventsourcing_kit.questions.naming import EVENT_COLUMNS, event_cells
from eventsourcing_kit.questions.pages import diff_html
from eventsourcing_kit.questions.walk import FOLDING, Walk
from eventsourcing_kit.span import Span
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.patches import Alteration, Patch
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.questions.walk import Place
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Diff", "diff"]

Result = TypeVar("Result", default=Any)
_COLUMNS: Final = (
    *(Column(name, "text") for name in ("op", "path", "from")),
    *(Column(name, "json") for name in ("old", "new")),
    *EVENT_COLUMNS,
)


@dataclass(frozen=True, repr=False)
class Diff(Tabular, Generic[Result]):
    """What makes the state `after` of the state `before`; false where that is nothing.

    `patch` is an RFC 6902 patch between the two as JSON. `touched` has for each place that it names (`path`, and the
    `from` of a move) the last event in between after which another value stood there; where it is one place of an
    array in which others came or went, and no other value stood there, that of the array.

    As a table: a row for each operation, with the old and the new value as JSON, and the event that touched its `path`.
    """

    projection: Projection[Any, Result]
    stream: str
    before: Result
    after: Result
    patch: Patch
    touched: Mapping[str, Event]
    numbers: Mapping[str, int]  # the places of the same events in the stream, counted from 1

    def apply(self, state: Result) -> Result:
        """A new state: `state` with the patch, and of its type, so that `apply(before) == after`.

        Types are those that the type of the initial state declares (see `Projection.from_json`); what lies in a bare
        dict is as JSON has it, and the fields of a subclass are left out. Raises InvalidOption where the patch does not
        fit the state, and InvalidProjection where what it makes is no state.
        """
        document = decode_json(self.projection.to_json(state))
        return self.projection.from_json(encode_json(apply_patch(document, self.patch)))

    def alterations(self) -> Iterator[Alteration]:
        """Each operation of the patch with the value that it replaced or removed."""
        return alterations(decode_json(self.projection.to_json(self.before)), self.patch)

    def __bool__(self) -> bool:
        return bool(self.patch)

    def _columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for op, path, source, *values in self.alterations():
            old, new = (encode_json(value) or None for value in values)
            yield op, path, source, old, new, *event_cells(self.numbers[path], self.touched[path])

    def _repr_html_(self) -> str:
        return diff_html(self, title=repr(self)[1:-1])

    def __repr__(self) -> str:
        return f"<Diff of {self.stream!r} by projection {self.projection.name!r}: {many(len(self.patch), 'operation')}>"


def diff(
    projection: Projection[Any, Result],
    store: Readable,
    stream: str,
    t1: datetime | str,
    t2: datetime | str,
    *,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
) -> Diff[Result]:
    """What changed in a state from `t1` to `t2`, each with all events of its moment, or up to the event named there.

    Where `t2` is the earlier one, it is the way back. `t1`, `t2` and `known_at` as `at` and `known_at` in `history`.
    Reads the stream up to the later one, and, where something changed, once more what lies between the two.

    Raises FoldFailed, whose `answer` is the difference up to the event that failed, where that lies between the two;
    IncompleteStream, unless `allow_incomplete`; InvalidMoment; EventNotFound; and StoreError.
    """
    now = time.time_ns()
    to, back = (Span.of(store, stream, at=at, known_at=known_at, tz=tz, now=now) for at in (t1, t2))
    turned = to.at is not None and back.at is not None and back.at < to.at
    earlier, later = (Walk(projection, span, allow_incomplete) for span in ((back, to) if turned else (to, back)))
    begin = earlier.to_the_end()
    try:
        return _between(later, begin, later.to_the_end(begin), turned=turned)
    except FoldFailed as failed:
        until = (failed.number or 1) - 1
        failed.answer = _between(later, begin, later.to_the_end(begin, until=until), turned=turned, until=until)
        raise


def _between(
    walk: Walk[Result], begin: Place[Result], end: Place[Result], *, turned: bool, until: int | None = None
) -> Diff[Result]:
    before, after = (end, begin) if turned else (begin, end)
    patch = make_patch(walk.document(before.state), walk.document(after.state))
    touched = _touched(walk, begin, patch, until)
    return Diff(
        projection=walk.projection,
        stream=walk.span.stream,
        before=before.state,
        after=after.state,
        patch=patch,
        touched={place: event for place, (_, event) in touched.items()},
        numbers={place: number for place, (number, _) in touched.items()},
    )


def _touched(walk: Walk[Any], begin: Place[Any], patch: Patch, until: int | None) -> dict[str, tuple[int, Event]]:
    """For each place of the patch the last event behind `begin` that changed it, or the nearest place above it."""
    if not patch:
        return {}
    places = {operation[name]: None for operation in patch for name in ("path", "from") if name in operation}
    root = _Watched("")
    for place in places:
        root.watch(place)
    last: dict[str, tuple[int, Event]] = {}
    old = walk.document(begin.state)
    for (number, event, _, _), before, after in watched(walk.written(begin, until=until), FOLDING):
        if before != after:
            new = decode_json(after)
            for place in root.changed(old, new):
                last[place] = number, event
            old = new
    return {place: next(last[above] for above in parents(place) if above in last) for place in places}


@dataclass
class _Watched:
    """A place that is watched, and those in it: whoever finds no change in the one need not look at the others."""

    pointer: str
    inner: dict[str, _Watched] = field(default_factory=dict)

    def watch(self, pointer: str) -> None:
        here = self
        for above in reversed(parents(pointer)[:-1]):
            here = here.inner.setdefault(above, _Watched(above))

    def changed(self, old: Any, new: Any) -> Iterator[str]:
        """The pointers at which another value stands."""
        if same(old, new):
            return
        yield self.pointer
        for pointer, inside in self.inner.items():
            name = pointer[len(self.pointer) :]
            yield from inside.changed(at_pointer(old, name), at_pointer(new, name))
