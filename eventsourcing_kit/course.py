"""Course: the way to one answer, from a snapshot where one fits and saving others on its way. `resuming` has the
argument for each of its rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol

from typing_extensions import TypeVar

from eventsourcing_kit.errors import FoldFailed, StoreError
from eventsourcing_kit.faithful import is_same
from eventsourcing_kit.fingerprint import NoFingerprint
from eventsourcing_kit.markers import Markers
from eventsourcing_kit.moment import KEY_TIME_LENGTH, MIN_NS, from_rfc3339, to_canonical, to_microseconds
from eventsourcing_kit.projection import Folded
from eventsourcing_kit.resuming import LOG, identity_of
from eventsourcing_kit.snapshot import Facts, Seen, Snapshot, fits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.resuming import Resuming
    from eventsourcing_kit.span import Span
    from eventsourcing_kit.stores.contract import Reading

__all__ = ["COVERED_AFTER", "ROOM", "Course", "SnapshotUsed", "Unfit", "course_of", "course_to_start"]

Result = TypeVar("Result", default=Any)

COVERED_AFTER: Final = timedelta(hours=48)  # how old a moment is before a snapshot covers it
ROOM: Final = timedelta(hours=24)  # what clocks may differ by and puts may take, in sum

_AUTO: Final = 1_000  # events between two snapshots, at least;
_BYTES_AN_EVENT: Final = 100  # and so many that their JSON is worth that of the state
_TRIES: Final = 8  # snapshots that are looked at before those behind a late event are left out at one go
_HELD: Final = 64  # snapshots that wait to be saved together


class SnapshotUsed(NamedTuple):
    """Where a fold began: behind the event at `key`, the stream's `number`th; `taken_ns` is when that was saved."""

    key: str
    moment_ns: int
    number: int
    taken_ns: int


class Unfit(Exception):
    """A snapshot turned out not to be what this rebuild can start from, for the reason in the text."""


class Watching(Protocol):
    """What counts the events on their way into the fold."""

    def over(self, events: Iterable[Event]) -> Iterator[Event]: ...
    def counts(self) -> tuple[Seen, Seen, dict[str, int]]: ...
    def go_on(self, late: Seen, unknown: Seen, unknown_types: dict[str, int]) -> None: ...


def course_of(resuming: Resuming[Result], span: Span) -> Course[Result] | None:
    """The way to one answer, or None where it is none for a snapshot."""
    if span.start is not None or (span.at is not None and span.at.key is not None):
        return None
    return Course(resuming, span, before=span.at_ns)


def course_to_start(resuming: Resuming[Result], span: Span) -> Course[Result]:
    """The way through a span whose states are true ones: a snapshot has to stand before the span begins, as each event
    from its `start` on is stepped upon. Where it begins with the stream, none is looked for."""
    ends = [end.ns for end in (span.start, span.at) if end is not None]
    before = MIN_NS if span.start is None else min(ends)
    return Course(resuming, replace(span, start=None), before=before - 1)


def _back(taken: str) -> str:
    """Since when markers count for a snapshot."""
    return to_microseconds(from_rfc3339(taken) - _ns(ROOM))


def _ns(span: timedelta) -> int:
    return int(span.total_seconds()) * 1_000_000_000


class _Start(NamedTuple, Generic[Result]):
    """A snapshot that can be gone on from."""

    facts: Facts
    state: Result
    expires: int | None


class Course(Generic[Result]):
    """One fold: from the newest snapshot that fits and stands at or `before` a moment, else from the beginning; saving
    new ones on its way."""

    def __init__(self, resuming: Resuming[Result], span: Span, *, before: int | None) -> None:
        self._of = resuming
        self._store = resuming.store
        self._span = span
        self._before = before
        self._known_at = None if span.known_at_ns is None else to_microseconds(span.known_at_ns)
        self._taken = to_microseconds(min(resuming.now, resuming.store.now()))
        self.damaged: list[str] = []  # keys of snapshots whose checksum does not match
        self._start = self._choose()
        self._begin()

    @property
    def number(self) -> int:
        """Of the last event that has passed, in the stream."""
        return self._number

    @property
    def key(self) -> str | None:
        """Of the same event; None at the beginning."""
        start = None if self._start is None else self._start.facts.key
        return start if self._event is None else self._event.key

    @property
    def used(self) -> SnapshotUsed | None:
        if self._start is None:
            return None
        facts = self._start.facts
        return SnapshotUsed(facts.key, from_rfc3339(facts.moment), facts.number, from_rfc3339(facts.taken))

    def from_the_beginning(self) -> None:
        """Forgets the snapshot, for a full fold."""
        self._start = None
        self._begin()

    def _begin(self) -> None:
        facts = None if self._start is None else self._start.facts
        self._number, self._recorded = (0, "") if facts is None else (facts.number, facts.recorded)
        self._last_taken = self._number
        self._gap = _AUTO
        self._expires: float | None = None if self._start is None else self._start.expires
        self._event: Event | None = None
        self._skipped: list[FoldFailed] = []
        self._waiting: list[Snapshot] = []
        # Before the reading begins: of an atomic store it has the events of all of these.
        self._known = self._markers(self._taken)
        self._taking = not (self._known.are_too_many or self._known.is_expired)
        self._pending: dict[str, str] = {}
        if not self._store.is_atomic:
            covered = "" if facts is None else facts.moment[:23] + "Z"  # settled when that one was saved
            self._pending = {digest: time for digest, time in self._known.digests.items() if time > covered}
        self._target = self._next_place()

    def _markers(self, taken: str) -> Markers:
        """Those that count for what was taken then."""
        return Markers(self._store, self._span.stream, _back(taken), now=self._of.clock())

    # Choosing

    def _choose(self) -> _Start[Result] | None:
        stream, before, known = self._span.stream, self._before, self._known_at
        if before is not None and before < MIN_NS:
            return None
        identity = self._of.identity
        tries = 0
        passed_over = True
        while passed_over:
            passed_over = False
            for snapshot in self._store.snapshots(stream, identity.digest, before=before):
                facts = snapshot.facts_for(stream, identity)
                if facts is None:
                    self.damaged.append(snapshot.sk)
                    LOG.warning("snapshot '%s' of stream '%s' is damaged and not used", snapshot.sk, stream)
                    return None
                if facts.taken > self._taken or (known is not None and facts.recorded > known):
                    continue
                markers = self._markers(facts.taken)
                if markers.is_expired:
                    return None
                if _fits_to(facts, markers):
                    return self._restored(snapshot, facts)
                tries += 1
                if tries % _TRIES == 0 and markers.times:
                    before = from_rfc3339(markers.times[0]) - 1
                    passed_over = True
                    break
        return None

    def _restored(self, snapshot: Snapshot, facts: Facts) -> _Start[Result] | None:
        projection = self._of.projection
        try:
            json = snapshot.state_json()
            state = projection.from_json(json)
            if projection.to_json(state) == json:
                return _Start(facts, state, snapshot.expireRecord)
        except Exception as error:  # noqa: BLE001 - a user's own model may raise anything
            LOG.warning("snapshot '%s' can not be restored: %s", snapshot.sk, type(error).__name__)
        return None

    # Folding

    def fold(
        self, watch: Watching, skipped: list[FoldFailed], skip: Callable[[FoldFailed], None] | None
    ) -> tuple[Folded[Result], Reading]:
        """The answer's state and counts, and the reading that they come from. Raises Unfit where the snapshot that it
        began with turns out not to be fit; and FoldFailed, where it is fit."""
        self._skipped = skipped
        begun, reading = self.begin(watch)
        try:
            folded = self.advance(reading, begun, watch, skip)
        except FoldFailed:
            self.check()
            raise
        self.settle()
        return folded, reading

    def begin(self, watch: Watching) -> tuple[Folded[Result], Reading]:
        """Where the fold begins, and the reading of what comes behind that. Raises Unfit."""
        if self._start is None:
            self._reading = self._span.read()
            return Folded(self._of.projection.initial(), 0, None), self._reading
        facts = self._start.facts
        self._reading, last = self._behind(facts)
        watch.go_on(facts.late, facts.unknown, facts.unknown_types)
        return Folded(self._start.state, facts.folded, last), self._reading

    def advance(
        self,
        events: Iterable[Event],
        begun: Folded[Result],
        watch: Watching,
        skip: Callable[[FoldFailed], None] | None = None,
    ) -> Folded[Result]:
        """The fold of the next events of the reading at one go. Raises Unfit."""
        folded, passing = begun, self.over(events)
        while True:
            distance = None if self._target is None else self._target - self._number
            watched = watch.over(islice(passing, distance))  # no further, or it would tell of what comes behind
            part = self._of.projection.fold_counted(watched, folded.state, skip=skip)
            folded = Folded(part.state, folded.events + part.events, part.last or folded.last)
            if self._target is None or self._number < self._target:
                return folded
            self.arrive(folded, watch)

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        """The next events of the reading, as they pass. Raises Unfit."""
        for event in events:
            recorded = event.recorded_at_text
            if recorded is None:
                if self._start is not None:
                    raise Unfit("an older writer has put events into the stream")
                self._taking = False
            elif recorded > self._recorded:
                self._recorded = recorded
                if self._known_at is not None and recorded > self._known_at:
                    self._taking = False  # it is left out, so that the fold is none of all events any more
            if event.expires is not None and (self._expires is None or event.expires < self._expires):
                self._expires = event.expires
            if self._pending:
                self._pending.pop(event.digest or "", None)
            self._number += 1
            self._event = event
            yield event

    def arrive(self, folded: Folded[Result], watch: Watching) -> None:
        """Takes a snapshot where the last event that passed, which `folded` ends with, is one behind which to take it.
        Raises Unfit where it is saved with others and what all of them rest upon is not fit any more."""
        if self._number == self._target:
            self._take(folded, watch)
            self._target = self._next_place()

    def settle(self) -> None:
        """Checks what it rests upon, and saves what it has taken. Raises Unfit."""
        self.check()
        self.save()

    def check(self) -> None:
        """Looks once more whether the snapshot that it began with is fit, now that what comes behind it is being read.
        Asked where an event has failed, too: what that depends on may have come late. Raises Unfit."""
        if self._start is None:
            return
        facts, expires = self._start.facts, self._start.expires
        markers = self._markers(facts.taken)
        expired = expires is not None and expires * 1_000_000_000 <= self._of.clock()
        if self._reading.expired_since is not None or markers.is_expired or expired:
            raise Unfit("the stream's beginning has expired")
        if not _fits_to(facts, markers):
            raise Unfit("a late event came meanwhile")

    def save(self) -> None:
        """Saves what it has taken, where anything is. Raises Unfit where what that rests upon is not fit any more."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self.check()  # after its own markers were listed
            if identity_of(self._of.projection) != self._of.identity:
                LOG.warning("no snapshot: the code of projection '%s' has changed", self._of.projection.name)
                self._taking = False
                return
            self._store.put_snapshots(waiting)
        except (StoreError, NoFingerprint) as error:
            self._taking = False  # the answer is as good without it
            LOG.warning("snapshots of stream '%s' could not be saved: %s", self._span.stream, error)

    def _behind(self, facts: Facts) -> tuple[Reading, Event | None]:
        """The reading of what comes behind the snapshot's event, which has to be there; and the last event folded."""
        read, stream, at = self._span.store.read, self._span.stream, self._span.at
        reading = read(stream, start=facts.moment, at=None if at is None else at.moment)
        event = next((event for event in reading if event.key == facts.key), None)
        if event is None or event.digest != facts.digest:
            raise Unfit("the event behind which it stands is not there")
        if facts.last_key is None or facts.last_key == facts.key:
            return reading, None if facts.last_key is None else event
        last = next(
            (found for found in read(stream, start=facts.last_moment, at=facts.moment) if found.key == facts.last_key),
            None,
        )
        if last is None:
            raise Unfit("the last event that it has folded is not there")
        return reading, last

    # Taking

    def _next_place(self) -> int | None:
        """Up to which number of events to fold before the next snapshot; None where there will be none."""
        if not self._taking:
            return None
        every = self._of.every
        return self._last_taken + self._gap if every is None else (self._number // every + 1) * every

    def _take(self, folded: Folded[Result], watch: Watching) -> None:
        event = self._event
        self._last_taken = self._number
        if not self._taking or event is None:
            return
        moment, time = event.moment_ns, event.key[:KEY_TIME_LENGTH]
        unsettled = any(waits <= time for waits in self._pending.values())
        covered = moment <= from_rfc3339(self._taken) - _ns(COVERED_AFTER)
        if self._skipped or unsettled or not covered or self._reading.expired_since is not None:
            if unsettled:
                LOG.info("no snapshot of stream '%s': late events may still be on their way", self._span.stream)
            self._taking = False
            return
        json = self._faithful_json(folded.state)
        if json is None:
            self._taking = False
            return
        late, unknown, unknown_types = watch.counts()
        last = folded.last
        facts = Facts(
            identity=self._of.identity,
            key=event.key,
            digest=event.digest,
            moment=to_canonical(moment),
            number=self._number,
            folded=folded.events,
            last_key=None if last is None else last.key,
            last_moment=None if last is None else to_canonical(last.moment_ns),
            recorded=self._recorded,
            taken=self._taken,
            late=late,
            unknown=unknown,
            unknown_types=unknown_types,
            markers=self._known.up_to(time),
        )
        expires = None if self._expires is None else int(self._expires)
        snapshot = Snapshot.of(self._span.stream, facts, json, expires=expires)
        if not fits(snapshot):
            LOG.info("no snapshot of stream '%s': it would take over 400 KB", self._span.stream)
            self._taking = False
            return
        self._gap = max(_AUTO, len(json) // _BYTES_AN_EVENT)
        self._waiting.append(snapshot)
        if len(self._waiting) == _HELD:
            self.save()

    def _faithful_json(self, state: Result) -> bytes | None:
        projection = self._of.projection
        try:
            json = projection.to_json(state)
            back = projection.from_json(json)
            if is_same(state, back) and projection.to_json(back) == json:
                return json
        except Exception as error:  # noqa: BLE001 - a user's own model may raise anything
            LOG.debug("a state has no JSON: %s", type(error).__name__)
        LOG.warning(
            "no snapshot of projection '%s': a state of the type %s does not come back from JSON as it was",
            projection.name,
            type(state).__name__,
        )
        return None


def _fits_to(facts: Facts, markers: Markers) -> bool:
    """Whether no event has come at or before the snapshot's moment since it was taken."""
    return not markers.are_too_many and markers.up_to(facts.moment[:23] + "Z") == facts.markers
