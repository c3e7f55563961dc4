"""Event: one fact, as it was stored. Cheap to make; times and JSON are decoded when somebody first asks."""

from __future__ import annotations

import json
import math
import re
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Generic, Literal

import msgspec
from msgspec.structs import force_setattr
from typing_extensions import TypeVar  # with a default: an Event alone is an Event of plain JSON

from eventsourcing_kit.moment import from_rfc3339, to_datetime

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "UNREADABLE",
    "Event",
    "decode_json",
    "detail_line",
    "escape_surrogates",
    "metadata_of",
    "moment_or_none",
    "on_one_line",
    "stored_fields",
]

JSONObject = dict[str, Any]
# What decoding raises where somebody else has written an item, or something has damaged it.
UNREADABLE: Final = (ValueError, TypeError, AttributeError, RecursionError, zlib.error, msgspec.MsgspecError)

Data = TypeVar("Data", default=Any)
Other = TypeVar("Other")


class Event(msgspec.Struct, Generic[Data], frozen=True, eq=False, gc=False):
    """A fact in the past tense. Frozen; `repr` shows what names it and never what is in it.

    Two events are equal where everything that arrived is equal; when and under which key a store took it is left out.
    The fields up to `resources_json` stand in the order of `record.READ_COLUMNS`: a row makes an event directly.
    """

    stream: str
    key: str  # the sort key: as stored, or the plain one of an event that was not stored yet
    type: str
    id: str
    source: str
    time: str  # the envelope's own `time`, as it came
    packed_detail: str | bytes  # JSON text, or its zlib form
    recorded_at_text: str | None = None
    digest: str | None = None
    expires: float | None = None  # epoch seconds; None = kept for ever
    correlation_id: str | None = None
    causation_id: str | None = None
    replay_name: str | None = None
    account: str | None = None
    region: str | None = None
    resources_json: str | None = None
    identity: Literal["content", "id"] = "content"  # what makes it one event: its "content", or its content and "id"
    _moment_ns: int | None = None
    _detail: Any = None  # decoded, or as far as it was needed
    _data: Any = None

    @property
    def detail_json(self) -> str:
        """The envelope's `detail` as JSON text: numbers exactly as they came."""
        if isinstance(self.packed_detail, str):
            return self.packed_detail
        return zlib.decompress(self.packed_detail).decode()

    @property
    def detail(self) -> JSONObject:
        """The decoded detail: this event's own copy, the same object at each access."""
        detail: Any = self._detail
        if detail is None or isinstance(detail, _DataAlone):
            packed = self.packed_detail
            whole = decode_json(packed if isinstance(packed, str) else self.detail_json)
            if detail is not None:
                whole["data"] = detail.data  # one object, wherever it is met
            detail = whole
            force_setattr(self, "_detail", detail)
        detail_: JSONObject = detail
        return detail_

    @property
    def data(self) -> Data:
        """`detail["data"]` where that is an object, else `detail`; inside `on(Model)` the validated model."""
        data: Any = self._data
        if data is None:
            data = self._decode_data()
            force_setattr(self, "_data", data)
        data_: Data = data
        return data_

    def _decode_data(self) -> JSONObject:
        packed = self.packed_detail
        if self._detail is None:
            try:  # most handlers look at the data, and never at what stands around it
                alone = _DATA_ALONE.decode(packed if isinstance(packed, str) else self.detail_json)
                force_setattr(self, "_detail", alone)
                return alone.data
            except msgspec.MsgspecError:
                pass
        detail = self.detail
        data = detail.get("data")
        return data if isinstance(data, dict) else detail

    @property
    def metadata(self) -> JSONObject:
        """`detail["metaData"]`, else `detail["metadata"]`, else an empty object."""
        return metadata_of(self.detail)

    @property
    def resources(self) -> tuple[str, ...]:
        """The ARNs that the envelope names."""
        return () if self.resources_json is None else tuple(json.loads(self.resources_json))

    @property
    def moment_ns(self) -> int:
        """When it happened, as the producer says, in nanoseconds since 1970-01-01T00:00:00Z."""
        if self._moment_ns is None:
            stamp = self._stamp.time
            force_setattr(self, "_moment_ns", from_rfc3339(self.time if stamp is None else stamp))
        ns: int = self._moment_ns  # type: ignore[assignment]  # set just above
        return ns

    @property
    def moment(self) -> datetime:
        """When it happened, as an aware UTC datetime, floored to the microsecond."""
        return to_datetime(self.moment_ns)

    @property
    def sequence(self) -> int | None:
        """`metaData.sequence` where it is an integer by value, else None: the producer's own order in a moment."""
        value = self._stamp.sequence
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def recorded_at(self) -> datetime | None:
        """When the store took it; None before that, and for rows of writers which did not note it."""
        return None if self.recorded_at_text is None else to_datetime(from_rfc3339(self.recorded_at_text))

    def with_data(self, data: Other, *, type: str | None = None) -> Event[Other]:  # noqa: A002 - the field's name
        """The same event whose `data` is `data`: what a handler for a model, or behind an upcaster, is given."""
        changed: Any = msgspec.structs.replace(self, type=type or self.type, _data=data)
        return changed  # type: ignore[no-any-return]  # an Event, now of Other

    def fresh(self) -> Event[Data]:
        """The same event with nothing decoded yet, so that nobody shares what a handler may change."""
        return msgspec.structs.replace(self, _detail=None, _data=None)

    @property
    def _stamp(self) -> _Stamp:
        try:
            stamps = _STAMPS.decode(self.detail_json)
            return stamps.metaData or stamps.metadata or _NO_STAMP
        except (msgspec.MsgspecError, RecursionError):
            metadata = self.metadata
            return _Stamp(metadata.get("time"), metadata.get("sequence"))

    def __eq__(self, other: object) -> bool:
        return self._arrived == other._arrived if isinstance(other, Event) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.stream, self.id, self.type))

    @property
    def _arrived(self) -> tuple[object, ...]:
        return (
            *(self.stream, self.type, self.id, self.source, self.time, self.detail_json, self.correlation_id),
            *(self.causation_id, self.replay_name, self.account, self.region, self.resources_json),
        )

    def __repr__(self) -> str:
        return f"<Event {self.type!r} {self.key!r} of {self.stream!r}, id {self.id!r}>"


class _Stamp(msgspec.Struct):
    time: Any = None
    sequence: Any = None


class _Stamps(msgspec.Struct):
    metaData: _Stamp | None = None  # noqa: N815 - the producers' own spelling
    metadata: _Stamp | None = None


class _DataAlone(msgspec.Struct, gc=False):
    """Of a detail, as long as nobody has asked for the rest of it."""

    data: JSONObject


_DATA_ALONE: Final = msgspec.json.Decoder(_DataAlone)
_NO_STAMP: Final = _Stamp()
_STAMPS: Final = msgspec.json.Decoder(_Stamps)


def metadata_of(detail: JSONObject) -> JSONObject:
    """The producer's metadata inside a detail, in either spelling; empty where there is none."""
    for name in ("metaData", "metadata"):
        value = detail.get(name)
        if isinstance(value, dict):
            return value
    return {}


def decode_json(text: str | bytes) -> Any:
    """The value of a JSON text. Integers are exact; other numbers are doubles, or a Decimal beyond a double's range.

    msgspec reads all but lone surrogates and numbers out of range, which the standard library reads.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return json.loads(text, parse_float=_double_or_decimal)


def _double_or_decimal(lexeme: str) -> float | Decimal:
    value = float(lexeme)
    return value if math.isfinite(value) else Decimal(lexeme)


_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def escape_surrogates(text: str) -> str:
    """JSON text that UTF-8 can carry: lone surrogates, which only an escape can spell, as that escape."""
    return text if text.isascii() else _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def moment_or_none(event: Event) -> int | None:
    """The moment in nanoseconds; None for a row of an older writer in which it can not be read.

    For who shows what is there: to look at such a row is why somebody asks. Who folds it must not pass over it.
    """
    try:
        return event.moment_ns
    except UNREADABLE:
        return None


def detail_line(event: Event) -> str:
    """The detail as it arrived, on one line; where an older writer left something else than JSON, that as a string.

    Raises zlib.error where it does not unpack.
    """
    text = event.detail_json
    return on_one_line(text) if _is_json(text) else json.dumps(text)


def on_one_line(text: str) -> str:
    """JSON without line breaks, which in JSON only ever stand between members."""
    return text.replace("\n", " ").replace("\r", " ")


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:  # no JSON, or JSON with half of a surrogate pair
        try:
            json.loads(text, parse_constant=_refuse)
        except ValueError:
            return False
    except RecursionError:
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def stored_fields(event: Event) -> tuple[Any, ...]:
    """What `Event(*fields)` makes the same event of, nothing of it decoded."""
    return msgspec.structs.astuple(event)[:_STORED]


_STORED: Final = 17  # an Event's fields without what it has decoded
