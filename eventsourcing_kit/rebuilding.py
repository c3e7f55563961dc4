"""Rebuild: read a stream up to a moment, fold it, and say what the answer is worth."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, cast

from typing_extensions import TypeVar

from eventsourcing_kit.brief import whole
from eventsourcing_kit.errors import (
    EventNotFound,
    FoldCrashed,
    FoldFailed,
    ForeignKey,
    IncompleteStream,
    InvalidProjection,
    RebuildsFailed,
    StoreDamaged,
)
from eventsourcing_kit.outcomes import Rebuilt, StreamFailure, outcome_of, to_frame
from eventsourcing_kit.progress import watched
from eventsourcing_kit.scanning import (
    SEGMENTS,
    Passed,
    can_scan,
    events_named,
    in_order,
    listed,
    passing,
    read_ahead,
    segments_for,
)
from eventsourcing_kit.span import Point, Span, exact
from eventsourcing_kit.watching import Watch, damaged, incomplete, skipped
from eventsourcing_kit.workers import Question, Segments, Task, Workers, check_workers, code_of, shares

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.course import Course
    from eventsourcing_kit.projection import Folded, Projection
    from eventsourcing_kit.resuming import Resuming, Saving
    from eventsourcing_kit.scanning import Way
    from eventsourcing_kit.stores.contract import Readable, Reading, Scanning

__all__ = ["OF_ONE_STREAM", "Several", "rebuild", "rebuild_all"]


Result = TypeVar("Result", default=Any)


def rebuild(
    projection: Projection[Any, Result],
    store: Readable,
    stream: str,
    *,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    start: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    snapshots: Saving = None,
    clock: Callable[[], int] | None = None,
) -> Rebuilt[Result]:
    """The state of `stream` after every event up to and including `at`, as it was known at `known_at`.

    With `start`, earlier events are left out and the fold begins at the initial state there. Without `at`, every event
    counts, also one whose moment is still to come (which is warned of). `tz` is the zone of times that name none.
    Each of the three may also be `event:N`, `event:ID` or `event:KEY`, an event of the stream (see `span`). `clock`
    gives nanoseconds since 1970; without it, it is the machine's.

    With `snapshots`, the fold starts from the newest saved one that fits, and saves others on its way: behind every so
    many events, or where it is worth it ("auto": every thousand, or more where states are large). The answer is the
    same as without them; `resuming` says why, and when none is used or saved. The logger
    `eventsourcing_kit.snapshots` tells. On AWS they lie in a second table, which has to be there. Passed over with
    `start`, and where `at` names an event: that is a full fold.

    Raises IncompleteStream where the beginning has expired, unless `allow_incomplete`; FoldFailed where a handler
    raises, unless `on_error="skip"`, which leaves that event out and lists it; InvalidMoment and EventNotFound;
    InvalidOption for another `snapshots`, or a store that has none; and a StoreError.
    """
    now = (clock or time.time_ns)()
    return _rebuild(
        projection,
        Span.of(store, stream, start=start, at=at, known_at=known_at, tz=tz, now=now),
        now=now,
        allow_incomplete=allow_incomplete,
        skipping=on_error == "skip",
        resuming=_resuming(projection, store, snapshots, now),
    )


def _resuming(
    projection: Projection[Any, Result],
    store: Readable,
    snapshots: Saving,
    now: int,
    true_clock: Callable[[], int] | None = None,
) -> Resuming[Result] | None:
    if snapshots is None:
        return None
    from eventsourcing_kit.resuming import Resuming  # which a rebuild without snapshots never loads

    return Resuming.of(projection, store, snapshots, now=now, clock=true_clock)


def _course(resuming: Resuming[Result] | None, span: Span) -> Course[Result] | None:
    if resuming is None:
        return None
    from eventsourcing_kit.course import course_of  # as above

    return course_of(resuming, span)


def _rebuild(
    projection: Projection[Any, Result],
    span: Span,
    *,
    now: int,
    allow_incomplete: bool,
    skipping: bool,
    resuming: Resuming[Result] | None,
) -> Rebuilt[Result]:
    course = _course(resuming, span)
    watch = Watch(projection, span.known_at_ns, now)
    skips: list[FoldFailed] = []
    if course is None:
        reading: Reading = span.read(in_brief=projection.asks_little)
        events = watch.over(span.cut(reading))
        folded = projection.fold_counted(events, skip=skips.append if skipping else None)
    else:
        watch, skips, folded, reading = _along(course, projection, span, now, skipping=skipping)
    since = reading.expired_since
    if since is not None and not allow_incomplete:
        raise IncompleteStream(stream=span.stream, projection=projection.name, since=since)
    return Rebuilt(
        state=folded.state,
        stream=span.stream,
        projection=projection.name,
        version=projection.version,
        at_ns=span.at_ns,
        known_at_ns=span.known_at_ns,
        events=folded.events,
        last=whole(folded.last),
        complete=since is None,
        warnings=(
            *watch.warnings(),
            *skipped(skips),
            *incomplete(since),
            *damaged(() if course is None else course.damaged),
        ),
        snapshot=None if course is None else course.used,
    )


def _along(
    course: Course[Result], projection: Projection[Any, Result], span: Span, now: int, *, skipping: bool
) -> tuple[Watch, list[FoldFailed], Folded[Result], Reading]:
    """From a snapshot, and once more from the beginning where that turns out to be unfit."""
    from eventsourcing_kit.course import Unfit

    while True:
        watch = Watch(projection, span.known_at_ns, now)
        skips: list[FoldFailed] = []
        try:
            folded, reading = course.fold(watch, skips, skips.append if skipping else None)
        except Unfit:
            course.from_the_beginning()
        else:
            return watch, skips, folded, reading


def rebuild_all(
    projection: Projection[Any, Result],
    store: Readable,
    *,
    streams: str | Iterable[str] | None = None,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    start: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    strict: bool = False,
    failures: list[StreamFailure] | None = None,
    workers: int = 1,
    snapshots: Saving = None,
    way: Way = "auto",
    clock: Callable[[], int] | None = None,
) -> Iterator[Rebuilt[Result]]:
    """Rebuilds several streams one after another, each when it is asked for: all, those with a prefix, or a list. Up
    to 64 are read ahead of that, so the names that are given can not depend on the answers.

    A stream that can not be rebuilt does not stop the others: it is appended to `failures` where that list is given;
    else RebuildsFailed, which lists them, is raised when all the others are done. With `strict` the first one raises.
    A StoreError other than about one stream's own rows ends the iteration at once. `snapshots` are as for `rebuild`:
    passed over with `start`, and where `at` names an event.

    With `workers`, so many processes share the streams; the answers, and their order, are the same. They import the
    projection from its module, and open the store by its URL. States come back as JSON: one that JSON does not bring
    back as it was raises InvalidProjection, as does a projection that is in no module or whose code has changed since
    it was imported here; InvalidOption, a store that no other process can open; FoldCrashed, a process that died. The
    errors of streams have no cause, event and state then; where the user's code raised is among their notes.

    `way` says how a table is read: all streams in one pass ("scan"), which takes the events along where they would
    only be listed and gives the first answer when the pass is over; or stream by stream ("query"), several of which are
    on their way at once. The answers are the same. "auto" scans where that can be done, as it then costs least: all
    streams, or a prefix; no snapshots, no `event:...`, no legacy=1. InvalidOption for "scan" where it can not.
    """
    check_workers(workers)
    clock = clock or time.time_ns
    now = clock()
    at, known_at, start = (exact(value, tz=tz, now=now) for value in (at, known_at, start))
    failed: list[StreamFailure] = [] if failures is None else failures
    asked = Question(now, at, known_at, start, allow_incomplete, on_error, snapshots)
    several = Several.of(projection, store, asked, workers=workers, clock=clock)
    with closing(several.outcomes(streams, way=way)) as outcomes:
        for outcome in watched(outcomes, "rebuilding streams", every=1):
            if isinstance(outcome, Rebuilt):
                yield outcome
            elif strict:
                raise outcome.error
            else:
                failed.append(outcome)
    if failures is None and failed:
        raise RebuildsFailed(projection.name, {failure.stream: failure.error for failure in failed})


OF_ONE_STREAM: Final = (FoldFailed, IncompleteStream, EventNotFound, ForeignKey, StoreDamaged)


@dataclass(frozen=True)
class Several(Generic[Result]):
    """One question about several streams, each of which has an outcome: its state, or why there is none."""

    projection: Projection[Any, Result]
    store: Readable
    asked: Question
    workers: int
    resuming: Resuming[Result] | None
    clock: Callable[[], int]

    @classmethod
    def of(
        cls,
        projection: Projection[Any, Result],
        store: Readable,
        asked: Question,
        *,
        workers: int = 1,
        clock: Callable[[], int] | None = None,
        true_clock: Callable[[], int] | None = None,
    ) -> Several[Result]:
        """Without a clock, it is the moment of the question for all streams. `true_clock` is for a store whose own
        stands still, and for snapshots alone. Raises as `rebuild` for these."""
        resuming = _resuming(projection, store, asked.snapshots, asked.now, true_clock)
        return cls(projection, store, asked, workers, resuming, clock or (lambda: asked.now))

    def outcomes(
        self, streams: str | Iterable[str] | None, *, way: Way = "auto"
    ) -> Generator[Rebuilt[Result] | StreamFailure]:
        """Those of all streams, of those with a prefix, or of a list. Raises InvalidOption at once for a way that this
        can not take."""
        if can_scan(way, self.store, streams, self.asked):
            return self.in_one_pass(streams if isinstance(streams, str) else "")
        return self.one_by_one(listed(self.store, streams))

    def one_by_one(self, names: Iterable[str]) -> Generator[Rebuilt[Result] | StreamFailure]:
        return self.here(names) if self.workers == 1 else self._elsewhere(names)

    def in_one_pass(self, prefix: str) -> Generator[Rebuilt[Result] | StreamFailure]:
        """As `one_by_one` over all streams with a prefix, in their order."""
        from eventsourcing_kit.spool import Spool  # SQLite, which a rebuild from a table needs for nothing else

        with Spool(self.store.url) as spool:
            try:
                with closing(self.passed(prefix)) as passed:
                    for stream, is_live, frame in passed:
                        spool.put(stream, frame, is_live=is_live)
            except (FoldCrashed, InvalidProjection):
                # Other processes can not hand that state over, or one of them died: reading one by one comes to that at
                # its turn, and tells at which stream.
                outcomes = self.one_by_one(self.store.streams(prefix))
            else:
                outcomes = in_order(spool, partial(outcome_of, self.projection), self.one_by_one)
            with closing(outcomes):
                yield from outcomes

    def passed(self, prefix: str) -> Generator[Passed]:
        """All streams with a prefix as they go by in one pass, in any order. With workers, raises InvalidProjection
        where a state can not be handed over, and FoldCrashed where a process died."""
        return self._passed_here(prefix) if self.workers == 1 else self._passed_elsewhere(prefix)

    def here(self, names: Iterable[str]) -> Generator[Rebuilt[Result] | StreamFailure]:
        """One after another in this process, read ahead where the store is far away."""
        with closing(read_ahead(self.store, names, self.asked)) as streams:
            for stream, store in streams:
                yield self.outcome(stream, store)

    def outcome(self, stream: str, store: Readable | None = None) -> Rebuilt[Result] | StreamFailure:
        """That of one stream, read from its own store or from one that has it. Raises what is not about the stream."""
        try:
            return self._rebuilt(store or self.store, stream)
        except OF_ONE_STREAM as error:
            return StreamFailure(stream, error)

    def _rebuilt(self, store: Readable, stream: str) -> Rebuilt[Result]:
        asked, now, ends = self.asked, self.clock(), self._ends
        span = self._span(store, stream) if ends is None else Span(store, stream, *ends)
        return _rebuild(
            self.projection,
            span,
            now=now,
            allow_incomplete=asked.allow_incomplete,
            skipping=asked.on_error == "skip",
            resuming=None if self.resuming is None else replace(self.resuming, now=now),
        )

    @cached_property
    def _ends(self) -> tuple[Point | None, Point | None, int | None] | None:
        """Those of every span; None where they are looked up in each stream."""
        if events_named(self.asked):
            return None
        span = self._span(self.store, "")
        return span.start, span.at, span.known_at_ns

    def _span(self, store: Readable, stream: str) -> Span:
        asked = self.asked
        return Span.of(store, stream, start=asked.start, at=asked.at, known_at=asked.known_at, now=asked.now)

    def _elsewhere(self, names: Iterable[str]) -> Generator[Rebuilt[Result] | StreamFailure]:
        tasks = (Task(share) for share in shares(names, self.workers))
        with closing(self._crew().run_in_order(tasks)) as frames:
            for frame in frames:
                yield outcome_of(self.projection, frame)

    def _passed_here(self, prefix: str) -> Generator[Passed]:
        def fold(store: Readable, stream: str) -> list[Any] | None:
            try:
                return to_frame(self.projection, self._rebuilt(store, stream))
            except (*OF_ONE_STREAM, InvalidProjection, SystemExit):
                # An error is raised when its turn comes, with all that belongs to it; and a state that JSON does not
                # bring back is made once more then. That costs no more than to list all streams and query them.
                return None

        store = cast("Scanning", self.store)  # as `can_scan` has found
        return passing(store, fold, segments=range(SEGMENTS), of=SEGMENTS, prefix=prefix)

    def _passed_elsewhere(self, prefix: str) -> Generator[Passed]:
        count = segments_for(self.workers)
        shared = (list(range(first, first + SEGMENTS)) for first in range(0, count, SEGMENTS))
        tasks = (Task(segments=Segments(numbers, count, prefix)) for numbers in shared)
        with closing(self._crew().run(tasks)) as frames:
            for _, (kind, *facts) in frames:
                if kind == "passed":
                    yield Passed(*facts)

    def _crew(self) -> Workers:
        return Workers(self.projection, self.store, self.asked, count=self.workers, code=code_of(self.projection))
