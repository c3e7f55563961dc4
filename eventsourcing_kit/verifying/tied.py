"""`check_ties`: which projections depend on the order inside one moment?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import FoldFailed, InvalidProjection
from eventsourcing_kit.projection import Projection
from eventsourcing_kit.verifying.answers import EventName, StreamFailed, TieCheck, TieChecks
from eventsourcing_kit.verifying.pointers import differing
from eventsourcing_kit.verifying.scope import Scope, names_of
from eventsourcing_kit.verifying.ties import ORDERS, Tally, check_limit, ties_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from eventsourcing_kit.stores.contract import Readable
    from eventsourcing_kit.verifying.ties import Tie

__all__ = ["check_ties"]

_POINTERS = 5


def check_ties(
    projections: Projection[Any, Any] | Iterable[Projection[Any, Any]],
    store: Readable,
    streams: str | Iterable[str] | None = None,
    *,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    orders: int = ORDERS,
    clock: Callable[[], int] | None = None,
) -> TieChecks:
    """For each projection, whether any state behind a moment depends on the order of that moment's events.

    Every order is tried that `metaData.sequence` allows, up to `orders` for one moment; beyond that a sample, which is
    counted as `sampled`. It folds in this process. `streams` is None for all, a prefix, or a list; `at`, `known_at` and
    `tz` are as for `rebuild`. A stream that can not be folded is among that projection's `failures`.

    Raises InvalidOption, InvalidMoment, EventNotFound and StoreError.
    """
    check_limit(orders)
    scope = Scope.of(at=at, known_at=known_at, tz=tz, clock=clock)
    names = list(names_of(store, streams))
    chosen = [projections] if isinstance(projections, Projection) else projections
    return TieChecks(tuple(_check(projection, store, names, scope, orders) for projection in chosen))


def _check(
    projection: Projection[Any, Any], store: Readable, streams: Iterable[str], scope: Scope, orders: int
) -> TieCheck:
    tally = Tally()
    count = 0
    first: tuple[str, Tie] | None = None
    failures = []
    for stream in streams:
        _, events = scope.read(store, stream)
        try:
            for tie in ties_of(projection, events, tally, limit=orders):
                count += 1
                first = first or (stream, tie)
        except (FoldFailed, InvalidProjection) as error:
            failures.append(StreamFailed(stream, error))
    return TieCheck(
        projection.name,
        moments=tally.moments,
        dependent=count,
        sampled=tally.sampled,
        unsteady=tally.unsteady,
        failures=tuple(failures),
        **_example(first),
    )


def _example(first: tuple[str, Tie] | None) -> dict[str, Any]:
    if first is None:
        return {}
    stream, tie = first
    return {
        "stream": stream,
        "pointers": differing(tie.before.json, tie.after.json)[:_POINTERS],
        "declared": tuple(map(EventName.of, tie.declared)),
        "other": tuple(map(EventName.of, tie.other)),
        "raised": tie.after.reason,
    }
