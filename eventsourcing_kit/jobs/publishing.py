"""`publish`: a projection's states as a table, in place of the old ones; `check_view`: whether they are still right."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from eventsourcing_kit.errors import RebuildsFailed
from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.jobs.asking import absolute_url, known_when
from eventsourcing_kit.jobs.view import View
from eventsourcing_kit.moment import from_rfc3339, to_canonical
from eventsourcing_kit.rebuilding import StreamFailure, rebuild_all
from eventsourcing_kit.span import exact
from eventsourcing_kit.verifying.pointers import differing
from eventsourcing_kit.words import many
from eventsourcing_kit.workers import check_workers, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["ViewCheck", "ViewDifference", "check_view", "publish"]


def publish(
    projection: Projection[Any, Any],
    store: Readable,
    into: str,
    *,
    streams: str | Iterable[str] | None = None,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    start: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    workers: int = 1,
    failures: list[StreamFailure] | None = None,
    progress: Callable[[View, int], object] | None = None,
    clock: Callable[[], int] | None = None,
) -> View:
    """Rebuilds streams into the table of the projection's name in the SQLite file `into`: a row for each stream of
    which an event was folded, in the place of all that were there. Readers see the old rows until the new are there.

    The question is as for `rebuild_job`; `progress` is called with the view as it begins and how many rows it has.
    Where streams can not be rebuilt, it raises RebuildsFailed; `failures`, where given, has each when it happens.
    Raises InvalidOption for a target that is none, StoreDamaged for a file of something else, and as `rebuild_all` and
    `rebuild_job` do. Whatever it raises, the old rows stay.
    """
    from eventsourcing_kit.jobs.views import build  # SQLite, which importing the kit does not load

    check_workers(workers)
    now = (clock or time.time_ns)()
    names = streams if streams is None or isinstance(streams, str) else sorted(set(streams), key=str.encode)
    view = View(
        projection=projection.name,
        version=projection.version,
        fingerprint=code_of(projection),
        store=absolute_url(store),
        streams=json.dumps(None if names == "" else names),
        at=exact(at, tz=tz, now=now),
        known_at=known_when(known_at, tz=tz, now=now),
        start=exact(start, tz=tz, now=now),
        began=to_canonical(now),
        allow_incomplete=allow_incomplete,
        on_error=on_error,
    )
    failed: list[StreamFailure] = [] if failures is None else failures
    with build(into, projection.name) as table:
        for rebuilt in _answers(projection, store, view, workers, failed):
            table.add(projection, rebuilt)
            if progress is not None:
                progress(view, table.states)
        if failed:
            raise RebuildsFailed(projection.name, {failure.stream: failure.error for failure in failed})
        return table.publish(view)


@dataclass(frozen=True)
class ViewDifference:
    """A stream whose row is not what a rebuild gives: it `differs` at `pointers`, is `missing`, is there and
    `unexpected`, or can not be rebuilt any more and `failed`, for `reason`."""

    stream: str
    found: Literal["differs", "missing", "unexpected", "failed"]
    pointers: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, repr=False)
class ViewCheck(Tabular):
    """Whether a view is what a rebuild gives for its own moments. As a table: its differences."""

    view: View
    same_code: bool | None  # as it was built with; None where that can not be told
    states: int  # that a rebuild gives
    differences: tuple[ViewDifference, ...]

    @property
    def ok(self) -> bool:
        return not self.differences

    def _columns(self) -> tuple[Column, ...]:
        head = (Column("stream"), Column("projection"), Column("version", "int"), Column("found"))
        return *head, Column("pointers", "json"), Column("reason")

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for each in self.differences:
            head = (each.stream, self.view.projection, self.view.version, each.found)
            yield *head, compact_json(each.pointers), each.reason

    def _caption(self) -> str:
        found = many(len(self.differences), "difference") if self.differences else "the same"
        return f"view of '{self.view.projection}' and a rebuild of {many(self.states, 'state')}: {found}"

    def __repr__(self) -> str:
        return f"<ViewCheck: {self._caption()}>"


def check_view(projection: Projection[Any, Any], store: Readable, against: str, *, workers: int = 1) -> ViewCheck:
    """Compares the view of a projection in the SQLite file `against` with a rebuild of the same streams at the same
    moments, as known then. JSON is compared by its values; the order of members counts.

    Raises StoreNotFound where there is no such view, and as `publish`.
    """
    from eventsourcing_kit.jobs.views import reading  # as above

    check_workers(workers)
    with reading(against, projection.name) as (view, rows):
        failed: list[StreamFailure] = []
        states = 0

        def rebuilt() -> Iterator[tuple[str, bytes]]:
            nonlocal states
            for answer in _answers(projection, store, view, workers, failed):
                states += 1
                yield answer.stream, projection.to_json(answer.state)

        differences = list(_differences(rows, rebuilt()))
    failures = {stream: str(error) for stream, error in failed}
    seen = [each for each in differences if each.stream not in failures]
    seen += [ViewDifference(stream, "failed", reason=reason) for stream, reason in failures.items()]
    code = code_of(projection)
    same_code = None if code is None or view.fingerprint is None else code == view.fingerprint
    return ViewCheck(view, same_code, states, tuple(sorted(seen, key=lambda each: each.stream.encode())))


def _answers(
    projection: Projection[Any, Any], store: Readable, view: View, workers: int, failed: list[StreamFailure]
) -> Iterator[Any]:
    began = from_rfc3339(view.began)
    answers = rebuild_all(
        projection,
        store,
        streams=view.chosen,
        at=view.at,
        known_at=view.known_at,
        start=view.start,
        allow_incomplete=view.allow_incomplete,
        on_error="skip" if view.on_error == "skip" else "raise",
        failures=failed,
        workers=workers,
        clock=lambda: began,
    )
    return (answer for answer in answers if answer.events)


def _differences(rows: Iterator[tuple[str, bytes]], rebuilt: Iterator[tuple[str, bytes]]) -> Iterator[ViewDifference]:
    """Both are in the order of the streams' bytes, so that neither has to be held."""
    row, other = next(rows, None), next(rebuilt, None)
    while row is not None or other is not None:
        mine, theirs = (None if each is None else each[0].encode() for each in (row, other))
        if row is not None and (theirs is None or (mine is not None and mine < theirs)):
            yield ViewDifference(row[0], "unexpected")
            row = next(rows, None)
        elif other is not None and (mine is None or (theirs is not None and theirs < mine)):
            yield ViewDifference(other[0], "missing")
            other = next(rebuilt, None)
        elif row is not None and other is not None:
            if row[1] != other[1] and (pointers := differing(row[1], other[1])):
                yield ViewDifference(row[0], "differs", pointers)
            row, other = next(rows, None), next(rebuilt, None)
