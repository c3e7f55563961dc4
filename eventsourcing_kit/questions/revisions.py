"""Revisions: how the answer for one moment changed as late events came in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.moment import from_rfc3339, to_datetime, to_microseconds
from eventsourcing_kit.patches import ABSENT, encode_json, make_patch
from eventsourcing_kit.questions.pages import revisions_html
from eventsourcing_kit.questions.walk import Walk
from eventsourcing_kit.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.patches import Patch
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Revision", "Revisions", "revisions"]

Result = TypeVar("Result", default=Any)
_COLUMNS: Final = (
    Column("stream", "text"),
    Column("known_at", "moment"),
    Column("events", "int"),
    *(Column(name, "json") for name in ("came", "patch", "state")),
)


@dataclass(frozen=True)
class Revision(Generic[Result]):
    """The answer from `known_at` on: the state with `events` events, of which `came` are those that made it anew.

    `patch` (RFC 6902) leads to it from the revision before. The first one is as it was known at that moment itself.
    """

    known_at_ns: int
    events: int  # how many went into the state
    state: Result
    came: tuple[Event, ...]
    patch: Patch

    document: Any  # the state as JSON has it

    @property
    def known_at(self) -> datetime:
        """Floored to the microsecond."""
        return to_datetime(self.known_at_ns)


class Revisions(Tabular, Generic[Result]):
    """The revisions of one answer, the oldest first. Each iteration reads and folds anew, once for each revision.

    As a table: `stream`, `known_at`, `events`, and as JSON `came` (the events' ids and keys), `patch` and `state`.
    """

    def __init__(self, walk: Walk[Result], gap: timedelta) -> None:
        self._walk = walk
        self._gap_ns = gap // timedelta(microseconds=1) * 1_000

    @property
    def stream(self) -> str:
        return self._walk.span.stream

    def __iter__(self) -> Iterator[Revision[Result]]:
        """Raises FoldFailed, once all revisions before that were given; IncompleteStream; and a StoreError."""
        span = self._walk.span
        asked, known = span.at_ns or 0, span.known_at_ns
        first = asked if known is None else min(asked, known)
        before: Any = ABSENT
        for known_at_ns, events in [(first, []), *self._late(to_microseconds(first))]:
            walk = replace(self._walk, span=replace(span, known_at_ns=known_at_ns))
            count, state = 0, walk.beginning().state
            for turn in walk.turns():
                count += turn.folded
                state = turn.state
            after = walk.document(state)
            patch = [] if before is ABSENT else make_patch(before, after)
            yield Revision(known_at_ns, count, state, tuple(events), patch, after)
            before = after

    def _late(self, known: str) -> list[tuple[int, list[Event]]]:
        """The events recorded later than that, in groups that follow each other by more than the gap."""
        walk = self._walk
        numbered = walk.span.numbered(allow_incomplete=walk.allow_incomplete, asked_by=walk.projection.name)
        late = [(event.recorded_at_text, event) for _, event in numbered if (event.recorded_at_text or "") > known]
        groups: list[tuple[int, list[Event]]] = []
        for recorded, event in sorted(late, key=lambda pair: pair[0] or ""):
            ns = from_rfc3339(recorded or "")
            if groups and ns - groups[-1][0] <= self._gap_ns:
                came = groups[-1][1]
                came.append(event)  # not a new list each time: a batch may be as long as the stream
                groups[-1] = ns, came
            else:
                groups.append((ns, [event]))
        return groups

    def _columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for revision in self:
            came = [{"id": event.id, "key": event.key} for event in revision.came]
            texts = (encode_json(value) for value in (came, revision.patch, revision.document))
            yield self.stream, revision.known_at_ns, revision.events, *texts

    def _repr_html_(self) -> str:
        return revisions_html(self, title=repr(self)[1:-1])

    def __repr__(self) -> str:
        at = "" if self._walk.span.at is None else f" at {self._walk.span.at.moment}"
        return f"<Revisions of {self.stream!r} by projection {self._walk.projection.name!r}{at}>"


def revisions(
    projection: Projection[Any, Result],
    store: Readable,
    stream: str,
    *,
    at: datetime | str,
    known_at: datetime | str | None = None,
    gap: timedelta = timedelta(seconds=1),
    tz: str = "UTC",
    allow_incomplete: bool = False,
) -> Revisions[Result]:
    """How the answer for `at` changed as events of before that moment came in behind it, and which events did it.

    The first revision is the answer as it was known at `at` itself; another one follows each time that the store took
    events of up to then at a later moment, where those recorded within `gap` of each other make one revision, as the
    lines of one batch do. Events that do not say when they were recorded count as known from the start. With `known_at`
    no later revision is given. `at` and `known_at` as in `history`. Folds the stream once for each revision.

    Raises as `history` does.
    """
    span = Span.of(store, stream, at=at, known_at=known_at, tz=tz)
    return Revisions(Walk(projection, span, allow_incomplete), gap)
