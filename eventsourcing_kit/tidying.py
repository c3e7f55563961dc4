"""Tidying: which snapshots a store keeps, and whether anybody will start from them again.

A snapshot is used only where the code is what it was, so each change of a projection leaves all of its snapshots
behind. They do no harm and are never wrong; they only take room, until the first event that went into them expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.fingerprint import NoFingerprint
from eventsourcing_kit.resuming import identity_of
from eventsourcing_kit.scanning import listed
from eventsourcing_kit.snapshot import size
from eventsourcing_kit.stores.contract import Snapshotting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.snapshot import Snapshot
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Kept", "kept_snapshots"]

Standing = Literal["current", "old", "foreign", "damaged"]


@dataclass(frozen=True)
class Kept:
    """A snapshot. It is `current` where the projections here would start from it, and `old` where the projection of its
    name has other code, or is run by another Python or pydantic; of a projection that is not here it is `foreign`."""

    stream: str
    key: str
    projection: str
    version: int
    moment: str | None  # of the event behind which it stands, and that event's number in its stream;
    number: int | None
    taken: str | None  # all three are None where it is damaged
    bytes: int
    standing: Standing
    deleted: bool = False


def kept_snapshots(
    store: Readable,
    streams: str | Iterable[str] | None,
    projections: Iterable[Projection[Any, Any]],
    *,
    delete: Iterable[Standing] = (),
) -> Iterator[Kept]:
    """The snapshots of streams, which are chosen as for `rebuild_all`; those whose standing is in `delete` are deleted
    when they are yielded. Raises InvalidOption for a store that keeps none, and a StoreError."""
    if not isinstance(store, Snapshotting):
        raise InvalidOption("store", found=store.url, expected="a store that keeps snapshots")
    here = {projection.name: _digest(projection) for projection in projections}
    gone = set(delete)
    for stream in listed(store, streams):
        for snapshot in list(store.all_snapshots(stream)):
            standing = _standing(snapshot, here)
            if standing in gone:
                store.delete_snapshots([snapshot])
            yield _kept(snapshot, standing, deleted=standing in gone)


def _standing(snapshot: Snapshot, here: dict[str, str | None]) -> Standing:
    if not snapshot.is_sound:
        return "damaged"
    if snapshot.projection not in here:
        return "foreign"
    return "current" if snapshot.sk.partition("#")[0] == here[snapshot.projection] else "old"


def _kept(snapshot: Snapshot, standing: Standing, *, deleted: bool) -> Kept:
    facts = None if standing == "damaged" else snapshot.read_facts()
    return Kept(
        stream=snapshot.pk,
        key=snapshot.sk,
        projection=snapshot.projection,
        version=snapshot.version,
        moment=None if facts is None else facts.moment,
        number=None if facts is None else facts.number,
        taken=None if facts is None else facts.taken,
        bytes=size(snapshot),
        standing=standing,
        deleted=deleted,
    )


def _digest(projection: Projection[Any, Any]) -> str | None:
    """None where its code has no fingerprint, so that no snapshot is ever used."""
    try:
        return identity_of(projection).digest
    except NoFingerprint:
        return None
