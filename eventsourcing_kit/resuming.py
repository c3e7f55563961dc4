"""Resuming: a rebuild that starts from a snapshot comes to the answer of a full fold, byte for byte, or does not start
from it.

**What could go wrong, and why it does not.** A snapshot is the fold of all events up to one event at the moment M.
It is wrong as soon as the full fold up to there would be another one: because other events lie at or before M by
now, because some are gone, or because the code would fold them to something else.

*An event that came later.* Its writer stamps it with `recordedAt`, r, before it puts it. It is late where r lies
over 24 hours (LATE_AFTER) behind its moment m. A late event's marker, `#late#{r}#{key}`, is put before the event
itself. A snapshot bears `taken`, the clock before its reading began, and covers moments up to `taken` - 48 hours
(COVERED_AFTER) only. Assume (A): from a writer's stamp until its put is done, and between the clocks of any two of
those involved, no more than 24 hours (ROOM) pass in sum. Then let an event with m <= M be missing from a snapshot's
reading, though it is there when the snapshot is to be used:

- It was not late: r <= m + 24 h <= M + 24 h <= taken - 24 h. By (A) its put was done when the reading began, which
  is consistent, so the reading had it: a contradiction.
- It was late: its put was not done when the reading began, so by (A) r >= taken - 24 h, and its marker, put before
  it, is among those which are queried before a snapshot is used: all those recorded since `taken` - ROOM. One of
  them that lies at or before M, to the millisecond, and that the snapshot did not know of, makes it be passed over
  for an older one. They are queried again when the fold is done, or has failed: an event that the fold met, or failed
  at, had its predecessors' markers before it.

Markers that were there before the reading began are known to the snapshot, or nothing could be saved for a day
after any late event. Where marker and event come to light at one instant (SQLite: one transaction), the reading had
those events. Where they do not (DynamoDB), each marker has its event's digest, and the snapshot is taken only if an
event of that digest was read. A marker too many, of a duplicate, a refused event or a writer that died, thus only
costs.

Where two snapshots follow each other, the second rests upon the first one, whose markers were compared just before.
Where they can not be queried for that, as where a put fails, nothing is saved, which is logged: the answer stands.

*Events that are gone.* A state at T is the fold of all stored events, and what has expired is gone for every
reader. A snapshot that knew expired events would tell what no full fold can tell. So it expires with the first of
its events; it is not used where the stream's head says that the first event has expired, and none is taken where
anything was missing. A marker expires with its event: where it is gone, so is the event, and the head, which
remembers the earliest expiry of all events, tells it.

*Other code.* A snapshot's key holds the digest of its `Identity`: projection, version, fingerprint of the code
(module `fingerprint`, which says what it can not see), fingerprint of the state's type, the formats of kit, Python
and pydantic. The fingerprint is taken before the fold and again before anything is saved: code that changes what it
reaches, such as a cache in a global, saves nothing. A state that does not come back from its JSON as it was (module
`faithful`) is not saved. A checksum that does not match means a full fold, and a warning in the answer.

*Another question.* With `start`, or an event as `at`, it is a full fold. With `known_at`, a snapshot is used only
where all of its events were recorded by then, and none is taken behind an event that is left out: up to there the fold
is that of all events. Where an event was skipped, none is taken. What an answer says beside the state (counts,
warnings, the last event) is saved with it, or read again; events still to come can not be among what a snapshot
covers, and one that was taken later than the rebuild's own clock is not used.

*Steps.* A history gives what no later look can take back. So it begins at a snapshot that stands before its `start`,
and the markers are queried again while the events behind the snapshot are being read, before the first step: an event
that was stored before that reading is in the snapshot, is read, or has a marker by then. Behind the first step they
are queried only where something is to be saved.

*A clock that stands still.* The store of a job shows the moment at which it began, so that what expires meanwhile is
kept. Rows and markers are deleted all the same, by the true clock. So that is the one which tells whether the stream's
first event, and with it perhaps a marker, is gone.

**What does not hold.** Every writer has to put markers. Rows of older writers have no `recordedAt`: where a rebuild
meets one, it neither uses nor takes a snapshot of that stream; yet one that is put behind a snapshot while none is
met behind it is not seen. So use snapshots where older writers have stopped: an SQLite file with snapshots refuses
older versions of this kit; a table can not. The same holds for rows that are changed or deleted by hand, and for a
table that is restored to an earlier time: delete its snapshots then. Stores with legacy=1 have none.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal

from typing_extensions import TypeVar

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.fingerprint import NoFingerprint, fingerprint
from eventsourcing_kit.snapshot import FORMAT, Identity
from eventsourcing_kit.stores.contract import Snapshotting

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["LOG", "Resuming", "Saving", "check_saving", "gap_of", "identity_of"]

Result = TypeVar("Result", default=Any)
Saving = Literal["auto"] | int | None

LOG: Final = logging.getLogger("eventsourcing_kit.snapshots")


def gap_of(snapshots: Saving) -> int | None:
    """How many events lie between two snapshots; None for "auto". Raises InvalidOption."""
    if snapshots == "auto":
        return None
    if not isinstance(snapshots, int) or isinstance(snapshots, bool) or snapshots < 1:
        raise InvalidOption("snapshots", found=str(snapshots), expected="'auto' or a whole number from 1")
    return snapshots


@dataclass(frozen=True)
class Resuming(Generic[Result]):
    """The snapshots of one projection in one store."""

    projection: Projection[Any, Result]
    store: Snapshotting
    every: int | None
    identity: Identity
    now: int
    clock: Callable[[], int]  # what has expired

    @classmethod
    def of(
        cls,
        projection: Projection[Any, Result],
        store: Readable,
        snapshots: Saving,
        *,
        now: int,
        clock: Callable[[], int] | None = None,
    ) -> Resuming[Result] | None:
        """None where there can be no snapshots, which is logged. Raises InvalidOption where the store has none.

        `clock` is for a store whose own stands still, so that what expires is kept: the true one, by which rows and
        markers are deleted meanwhile."""
        store, every = check_saving(store, snapshots)
        if store.legacy:
            LOG.info("no snapshots: '%s' is opened with legacy=1", store.url)
            return None
        try:
            return cls(projection, store, every, identity_of(projection), now, clock or store.now)
        except NoFingerprint as reason:
            LOG.warning("no snapshots: the code of projection '%s' has no fingerprint: %s", projection.name, reason)
            return None


def check_saving(store: Readable, snapshots: Saving) -> tuple[Snapshotting, int | None]:
    """The store of snapshots, and how many events lie between two. Raises InvalidOption, also for a store without."""
    every = gap_of(snapshots)
    if not isinstance(store, Snapshotting):
        raise InvalidOption("snapshots", found=store.url, expected="a store that keeps snapshots")
    return store, every


def identity_of(projection: Projection[Any, Any]) -> Identity:
    """Raises NoFingerprint."""
    import pydantic

    python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    return Identity(
        projection=projection.name,
        version=projection.version,
        code=fingerprint(projection.recipe),
        state=fingerprint(projection.state_type),
        format=f"{FORMAT}, {python}, pydantic {pydantic.VERSION}",
    )
