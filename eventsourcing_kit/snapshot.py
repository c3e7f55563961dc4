"""Snapshot: a saved fold, as a store keeps it. `resuming` says when one is taken and when one may be used.

The state is the JSON that the projection makes of it. `facts` is all that has to agree before anybody uses it, and the
part of an answer that can not be folded again, as JSON. A checksum stands over all of it.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

import msgspec

from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.record import COMPRESS_ABOVE, MAX_ITEM

__all__ = ["FORMAT", "SNAPSHOT_COLUMNS", "Facts", "Identity", "Seen", "Snapshot", "fits", "key_range", "size"]

FORMAT: Final = 1  # what this version of the kit writes; to be raised where the kit comes to fold or save otherwise


class Identity(msgspec.Struct, frozen=True, rename="camel"):
    """Whose fold it is. Snapshots are used only where all of this agrees, so it is a part of their keys."""

    projection: str
    version: int
    code: str  # the fingerprint of its handlers, upcasters, key, factory, models, and of what they reach
    state: str  # the same of the state's type
    format: str  # the kit's FORMAT, Python's and pydantic's versions

    @property
    def digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class Seen(msgspec.Struct, frozen=True):
    """How many events of one kind, and the first few of their keys."""

    count: int = 0
    keys: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, rename="camel"):
    """What is known of a fold up to and including one event."""

    identity: Identity
    key: str  # the event behind which it stands,
    digest: str | None
    moment: str  # nine fractional digits
    number: int  # and how many events of the stream there are up to it
    folded: int  # how many of them went into the state,
    last_key: str | None  # and the last that did
    last_moment: str | None
    recorded: str  # the latest `recordedAt` of these events
    taken: str  # when the reading began that it comes from, spelled as `recordedAt`
    late: Seen
    unknown: Seen  # events of types without a handler,
    unknown_types: dict[str, int]  # by their type
    markers: Seen  # markers at or before `moment` that were there already: how many, and a digest over their keys


class Snapshot(msgspec.Struct, frozen=True):
    """One row. The fields' names are the columns'."""

    pk: str
    sk: str
    projection: str  # this one and the next for people: `facts` has them, too
    version: int
    facts: str
    state: str | None
    stateZ: bytes | None  # noqa: N815 - beside `eventDetailZ`
    checksum: str
    expireRecord: int | None  # noqa: N815 - when the first of the events expires that went into it

    @classmethod
    def of(cls, stream: str, facts: Facts, state: bytes, *, expires: int | None) -> Snapshot:
        packed = zlib.compress(state) if len(state) > COMPRESS_ABOVE else None
        sound = cls(
            pk=stream,
            sk=f"{facts.identity.digest}#{facts.moment}#{facts.number:012d}",
            projection=facts.identity.projection,
            version=facts.identity.version,
            facts=msgspec.json.encode(facts).decode(),
            state=state.decode() if packed is None else None,
            stateZ=packed,
            checksum="",
            expireRecord=expires,
        )
        return msgspec.structs.replace(sound, checksum=sound.counted())

    def counted(self) -> str:
        """The checksum of what is here. Where it is not the stored one, something was damaged."""
        values = [*msgspec.structs.astuple(msgspec.structs.replace(self, checksum=""))]
        return hashlib.sha256(msgspec.json.encode(values)).hexdigest()

    @property
    def is_sound(self) -> bool:
        return self.counted() == self.checksum

    def read_facts(self) -> Facts:
        """Raises msgspec.MsgspecError where they are none that this version of the kit knows."""
        return msgspec.json.decode(self.facts, type=Facts)

    def facts_for(self, stream: str, identity: Identity) -> Facts | None:
        """What it says of itself; None where it is damaged."""
        try:
            facts = self.read_facts() if self.is_sound else None
        except (msgspec.MsgspecError, UnicodeError):
            return None
        return facts if facts is not None and self.pk == stream and facts.identity == identity else None

    def state_json(self) -> bytes:
        """The state as the projection's `to_json` made it. Raises zlib.error where it does not unpack."""
        return (self.state or "").encode() if self.stateZ is None else zlib.decompress(self.stateZ)


SNAPSHOT_COLUMNS: Final[tuple[str, ...]] = Snapshot.__struct_fields__


def key_range(identity: str, before: int | None) -> tuple[str, str]:
    """The keys of one identity's snapshots that stand at or before a moment in nanoseconds; of all for None."""
    return f"{identity}#", f"{identity}#~" if before is None else f"{identity}#{to_canonical(before)}#~"


def size(snapshot: Snapshot) -> int:
    """Bytes of the item as DynamoDB counts them; over `MAX_ITEM` there is no snapshot, in every store."""
    total = 0
    for name, value in zip(SNAPSHOT_COLUMNS, msgspec.structs.astuple(snapshot), strict=True):
        if isinstance(value, (str, bytes)):
            total += len(name) + len(value.encode() if isinstance(value, str) else value)
        elif value is not None:
            total += len(name) + 21
    return total


def fits(snapshot: Snapshot) -> bool:
    return size(snapshot) <= MAX_ITEM
