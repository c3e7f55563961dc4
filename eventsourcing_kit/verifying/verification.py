"""`verify`: the same events, the same projection, the same bytes, whatever else is different?"""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.importable import place_of
from eventsourcing_kit.verifying.answers import Verification
from eventsourcing_kit.verifying.comparison import Comparison
from eventsourcing_kit.verifying.processes import Crew
from eventsourcing_kit.verifying.scope import Scope, names_of
from eventsourcing_kit.verifying.spool import Spool
from eventsourcing_kit.verifying.ties import ORDERS, check_limit
from eventsourcing_kit.verifying.worlds import CHANGES, worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable
    from eventsourcing_kit.verifying.worlds import World

__all__ = ["verify"]

_NS: Final = 1_000_000_000


def verify(
    projection: Projection[Any, Any],
    store: Readable,
    streams: str | Iterable[str] | None = None,
    *,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    changes: Collection[str] | None = None,
    orders: int = ORDERS,
    timeout: float = 600.0,
    clock: Callable[[], int] | None = None,
) -> Verification:
    """Folds the same events in fresh processes in which something else is different, and compares the states' JSON.

    What is different: see `Change`; `changes` names some of them, without it all are tried. `streams` is None for all,
    a prefix, or a list; `at`, `known_at` and `tz` are as for `rebuild`. Each stream is read once, and once more for
    each other page size; meanwhile its events lie in a temporary folder that only this user can open. Beginnings that
    have expired are left out. Up to `orders` orders of one moment's events are tried.

    The processes import the projection from its module as that is on the disk now, and what it prints is lost. Their
    clock stands still. Clocks that compiled libraries read by themselves they can not shift.

    A stream that can not be folded is among the answer's `failures`. Raises InvalidProjection where another process can
    not import it, FoldCrashed where one does not come to its end or takes more than `timeout` seconds, InvalidOption
    for an unknown change, no orders, or without the library time-machine, InvalidMoment, EventNotFound, and a
    StoreError.
    """
    chosen = _chosen(changes)
    check_limit(orders)
    _check_library()
    place = place_of(projection)
    scope = Scope.of(at=at, known_at=known_at, tz=tz, clock=clock)
    with tempfile.TemporaryDirectory(prefix="eskit-verify-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        spool = Spool.write(folder / "events", store, names_of(store, streams), scope)
        crew = Crew(place, folder, clock=scope.now / _NS, timeout=timeout, orders=orders)
        comparison = Comparison(projection.name, store, scope, spool, crew, folder)
        comparison.run(chosen)
        return Verification(
            projection=projection.name,
            version=projection.version,
            at=scope.at,
            known_at=scope.known_at,
            streams=len(spool.sections),
            events=sum(section.events for section in spool.sections),
            differences=tuple(comparison.differences),
            failures=tuple(comparison.failures),
            variants=tuple(comparison.variants),
            not_covered=tuple(comparison.not_covered),
        )


def _chosen(changes: Collection[str] | None) -> list[World]:
    unknown = sorted(set(changes or ()) - set(CHANGES))
    if unknown:
        expected = ", ".join(f"'{change}'" for change in CHANGES)
        raise InvalidOption("changes", found=unknown[0], expected=f"some of {expected}")
    return [world for world in worlds() if changes is None or world.change in changes]


def _check_library() -> None:
    if find_spec("time_machine") is None:
        raise InvalidOption(
            "verify",
            found="no library time-machine",
            expected="it, to set the clock of a process: pip install 'eventsourcing-kit[verify]'",
        )
    if not sys.executable:
        raise InvalidOption("verify", found="no sys.executable", expected="a Python that can be started once more")
