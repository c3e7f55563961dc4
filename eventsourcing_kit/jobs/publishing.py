"""`publish`: a projection's states as a table, in place of the old ones; `check_view`: whether they are still right."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from eventsourcing_kit.errors import (
    InvalidOption,
    InvalidProjection,
    InvalidStoreURL,
    RebuildsFailed,
    ViewReplaced,
)
from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.jobs.asking import absolute_url, as_it_began, clock_of, known_when, question_of, typed
from eventsourcing_kit.jobs.building import Build, target_at
from eventsourcing_kit.jobs.view import Begun
from eventsourcing_kit.moment import from_rfc3339, to_canonical
from eventsourcing_kit.outcomes import Rebuilt, of_events
from eventsourcing_kit.progress import watched
from eventsourcing_kit.rebuilding import Several
from eventsourcing_kit.resuming import check_saving
from eventsourcing_kit.span import exact
from eventsourcing_kit.stores.url import parse_url
from eventsourcing_kit.verifying.pointers import differing
from eventsourcing_kit.words import many
from eventsourcing_kit.workers import check_workers, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.jobs.view import View
    from eventsourcing_kit.outcomes import StreamFailure
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.resuming import Saving
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
    snapshots: Saving = None,
    resume: bool = False,
    failures: list[StreamFailure] | None = None,
    progress: Callable[[View, int], object] | None = None,
    clock: Callable[[], int] | None = None,
) -> View:
    """Rebuilds streams into the view of the projection's name at `into`, an SQLite file or a DynamoDB table: a row for
    each stream of which an event was folded, in the place of all that were there. Readers see the old rows until the
    new are there.

    The question and `snapshots` are as for `rebuild_job`, which passes these over with `start`, and where `at` names an
    event; `progress` is called with the view as it begins and how many rows it has.

    With `resume`, goes on with a build that was stopped or killed, or begins one where there is none. The question has
    to be the same, and moments such as `2h ago` stay what they were; rows that are there are kept. Of several builds at
    a time the one that was begun last wins, and each makes rows of its own.

    Where streams can not be rebuilt, it raises RebuildsFailed; `failures`, where given, has each when it happens.
    Raises InvalidOption for a target that is none, or a build of another question; StoreDamaged for a place of
    something else; ViewReplaced where a build that was begun later is there already; and as `rebuild_all` and
    `rebuild_job` do.
    Whatever it raises, the old rows stay, and but for RebuildsFailed, InvalidProjection and ViewReplaced it can be
    resumed.
    """
    check_workers(workers)
    if snapshots is not None:
        check_saving(store, snapshots)
    _check_elsewhere(into, store.url)
    now = (clock or time.time_ns)()
    names = streams if streams is None or isinstance(streams, str) else sorted(set(streams), key=str.encode)
    asked = Begun(
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
        typed=typed(at, known_at, start, tz),
    )
    failed: list[StreamFailure] = [] if failures is None else failures
    with target_at(into, projection.name, option="into") as target:
        build = Build.begin(target, asked, projection, resume=resume)
        begun = build.begun
        try:
            with as_it_began(store, from_rfc3339(begun.began)) as reading:
                missing = build.missing(lambda: _streams(reading, begun))
                asked_again = question_of(begun, snapshots)
                several = Several.of(projection, reading, asked_again, workers=workers, true_clock=clock_of(store))
                for rebuilt in _answers(several, failed, streams=missing):
                    build.add(projection, rebuilt)
                    if progress is not None:
                        progress(begun, build.kept + build.added)
            if failed:
                raise RebuildsFailed(projection.name, {failure.stream: failure.error for failure in failed})
            return build.publish()
        except (RebuildsFailed, InvalidProjection, ViewReplaced):
            build.give_up()
            raise
        except KeyboardInterrupt:
            build.keep()
            raise


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
    """Compares the view of a projection at `against` with a rebuild of the same streams at the same
    moments, as known then. JSON is compared by its values; the order of members counts.

    Raises StoreNotFound where there is no such view, ViewReplaced where it is replaced meanwhile, and as `publish`.
    """
    check_workers(workers)
    with target_at(against, projection.name, option="against") as target, target.reading() as shown:
        view = shown.view
        failed: list[StreamFailure] = []
        states = 0

        def rebuilt() -> Iterator[tuple[str, bytes]]:
            nonlocal states
            several = Several.of(projection, store, question_of(view), workers=workers)
            for answer in _answers(several, failed, streams=view.chosen):
                states += 1
                yield answer.stream, projection.to_json(answer.state)

        differences = list(_differences(shown.rows(), rebuilt()))
    failures = {stream: str(error) for stream, error in failed}
    seen = [each for each in differences if each.stream not in failures]
    seen += [ViewDifference(stream, "failed", reason=reason) for stream, reason in failures.items()]
    code = code_of(projection)
    same_code = None if code is None or view.fingerprint is None else code == view.fingerprint
    return ViewCheck(view, same_code, states, tuple(sorted(seen, key=lambda each: each.stream.encode())))


def _check_elsewhere(into: str, store: str) -> None:
    """A file tells by itself whose it is, and a table by what is in it, unless it is empty."""
    try:
        mine, theirs = parse_url(into), parse_url(store)
    except InvalidStoreURL:
        return
    places = {(each.scheme, each.place, each.region, each.endpoint_url) for each in (mine, theirs)}
    if mine.scheme == "dynamodb" and len(places) == 1:
        raise InvalidOption("into", found=mine.place or "", expected="another table than that of the events")


def _streams(store: Readable, view: View) -> Iterable[str]:
    chosen = view.chosen
    return store.streams(chosen or "") if chosen is None or isinstance(chosen, str) else chosen


def _answers(
    several: Several[Any], failed: list[StreamFailure], *, streams: str | Iterable[str] | None
) -> Iterator[Rebuilt[Any]]:
    """Those of streams of which an event was folded."""
    with closing(several.outcomes(streams)) as outcomes:
        for outcome in watched(outcomes, "rebuilding streams", every=1):
            if not isinstance(outcome, Rebuilt):
                failed.append(outcome)
            elif outcome.events:
                yield of_events(outcome)


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
