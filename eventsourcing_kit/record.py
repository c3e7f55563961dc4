"""Event <-> the attributes of one stored item. The only module that knows their names, spellings and limits.

The digest, which tells whether two events are the same fact, is the SHA-256 of this UTF-8 text:

    ["<source>","<moment, nine fractional digits, Z>","<type>",<detail>]    and with identity "id" a last member "<id>"

where `<detail>` is canonical JSON: no white space, members sorted by code point, strings with only `"`, `\\`, control
characters and lone surrogates escaped, every number as its decimal significand without trailing zeros, then `e` and
its power of ten unless that is 0 (so 100, 1e2 and 100.0 are all `1e2`). It depends on no floating point.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec

from eventsourcing_kit.errors import EventTooLarge
from eventsourcing_kit.event import Event, escape_surrogates
from eventsourcing_kit.moment import KEY_TIME_LENGTH, is_key_time, to_canonical, to_key_time

__all__ = [
    "COLUMNS",
    "COMPRESS_ABOVE",
    "BOOKKEEPING_END",
    "HEAD_KEY",
    "LATE_AFTER",
    "LATE_KEY",
    "LATE_KEYS_END",
    "MAX_CORRELATION",
    "MAX_ITEM",
    "MAX_KEY",
    "MAX_STREAM",
    "READ_COLUMNS",
    "Head",
    "Record",
    "canonical_json",
    "content_digest",
    "decode",
    "decode_head",
    "digest",
    "encode",
    "encode_head",
    "encode_late",
    "has_canonical_key",
    "head_of",
    "late_keys",
    "order",
    "plain_key",
    "size",
    "split_key",
    "twin_key",
]

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html, in bytes
MAX_ITEM: Final = 400 * 1024
MAX_STREAM: Final = 2_048
MAX_KEY: Final = 1_024
MAX_CORRELATION: Final = 2_048  # the partition key of the index by correlation id
COMPRESS_ABOVE: Final = 100 * 1024

HEAD_KEY: Final = "#head"
BOOKKEEPING_END: Final = "#~"  # behind all keys of bookkeeping, and before those of events
LATE_KEY: Final = "#late#"  # what the key of a marker of a late event begins with
LATE_KEYS_END: Final = LATE_KEY + "~"  # behind the keys of all markers, and before those of events
LATE_AFTER: Final = timedelta(hours=24)  # an event recorded later than this behind its moment is called late
_TWIN_SUFFIX: Final = 18  # "##" and 16 hex digits
_DIGITS: Final = 21  # bytes of a number, at most
_MOST_BYTES: Final = 4  # of a character in UTF-8
_DAY: Final = 86_400
_NS: Final = 1_000_000_000


class Record(msgspec.Struct, rename="camel", gc=False):
    """One stored item. `COLUMNS` has the attribute names in this order; None means that the attribute is absent."""

    pk: str
    sk: str
    primary_key: str | None = None
    event_id: str | None = None
    event_time: str | None = None
    source: str | None = None
    detail_type: str | None = None
    event_detail: str | None = None
    event_detail_z: bytes | None = None
    expire_record: float | None = None
    recorded_at: str | None = None
    digest: str | None = None
    put_token: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    replay_name: str | None = None
    account: str | None = None
    region: str | None = None
    resources: str | None = None  # a JSON array of texts


COLUMNS: Final[tuple[str, ...]] = Record.__struct_encode_fields__

# What makes an Event, in the order of its fields; the two forms of the detail stand as one.
READ_COLUMNS: Final = (
    *("pk", "sk", "detailType", "eventId", "source", "eventTime", ("eventDetailZ", "eventDetail"), "recordedAt"),
    *("digest", "expireRecord", "correlationId", "causationId", "replayName", "account", "region", "resources"),
)


class Head(msgspec.Struct, frozen=True, rename="camel"):
    """What a stream with retention remembers of its beginning, beyond the life of its first events."""

    first_moment: str  # nine fractional digits
    first_expires: int  # epoch seconds at which the first event to expire is gone

    def joined(self, other: Head) -> Head:
        return Head(min(self.first_moment, other.first_moment), min(self.first_expires, other.first_expires))


def encode(
    event: Event, *, recorded_at: str, put_token: str, retention_days: int | None = None, twin: bool = False
) -> Record:
    """The record of an event under its plain key, or under its twin's.

    Raises EventTooLarge where a key, the item, or the correlation id, which is the key of an index, is over DynamoDB's
    limit. The sort key is measured as a twin's in both cases, so that whether an event is taken never depends on which
    others are there.
    """
    stream_size = len(event.stream.encode())
    if stream_size > MAX_STREAM:
        raise EventTooLarge("the stream", size=stream_size, limit=MAX_STREAM, event_id=event.id)
    fingerprint = digest(event)
    key = plain_key(event)
    key_size = len(key.encode()) + _TWIN_SUFFIX
    if key_size > MAX_KEY:
        raise EventTooLarge("the sort key", size=key_size, limit=MAX_KEY, event_id=event.id)
    correlation_size = len((event.correlation_id or "").encode())
    if correlation_size > MAX_CORRELATION:
        raise EventTooLarge("the correlation id", size=correlation_size, limit=MAX_CORRELATION, event_id=event.id)
    text = event.detail_json
    is_long = len(text) * _MOST_BYTES > COMPRESS_ABOVE and len(text.encode()) > COMPRESS_ABOVE
    packed = zlib.compress(text.encode()) if is_long else None
    record = Record(
        pk=event.stream,
        sk=twin_key(key, fingerprint) if twin else key,
        primary_key=event.stream,
        event_id=event.id,
        event_time=event.time,
        source=event.source,
        detail_type=event.type,
        event_detail=text if packed is None else None,
        event_detail_z=packed,
        expire_record=None if retention_days is None else event.moment_ns // _NS + retention_days * _DAY,
        recorded_at=recorded_at,
        digest=fingerprint,
        put_token=put_token,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        replay_name=event.replay_name,
        account=event.account,
        region=event.region,
        resources=event.resources_json,
    )
    # As JSON an item is longer than DynamoDB counts it, but for the digits of its one number; and JSON costs less.
    if len(msgspec.json.encode(record)) + _DIGITS > MAX_ITEM and (item_size := size(record)) > MAX_ITEM:
        raise EventTooLarge("the item", size=item_size, limit=MAX_ITEM, event_id=event.id)
    return record


def decode(record: Record) -> Event:
    """The event of a record, of this kit's or of an older writer's. Nothing inside its texts is parsed."""
    detail = record.event_detail if record.event_detail_z is None else record.event_detail_z
    return Event(
        stream=record.pk,
        key=record.sk,
        type=record.sk.partition("#")[2] if record.detail_type is None else record.detail_type,
        id=record.event_id or "",
        source=record.source or "",
        time=record.event_time or "",
        packed_detail="{}" if detail is None else detail,
        recorded_at_text=record.recorded_at,
        digest=record.digest,
        expires=record.expire_record,
        correlation_id=record.correlation_id,
        causation_id=record.causation_id,
        replay_name=record.replay_name,
        account=record.account,
        region=record.region,
        resources_json=record.resources,
    )


def head_of(record: Record) -> Head:
    """The head that an event's record implies for its stream. Only for records that expire."""
    event = decode(record)
    return Head(first_moment=to_canonical(event.moment_ns), first_expires=int(record.expire_record or 0))


def encode_head(stream: str, head: Head) -> Record:
    """The head item: it bears no expiry, and what it remembers stands as JSON where an event has its detail."""
    return Record(pk=stream, sk=HEAD_KEY, primary_key=stream, event_detail=msgspec.json.encode(head).decode())


def decode_head(text: str) -> Head:
    """The head that `encode_head` wrote as `eventDetail`."""
    return msgspec.json.decode(text, type=Head)


def encode_late(record: Record, *, recorded_at: str, with_digest: bool) -> Record:
    """The marker of a late event, which stands beside it for as long as it does; `resuming` says what for.

    Its key has both axes of time: when it was recorded, then the event's plain key, of which a very long type is cut.
    """
    key = LATE_KEY + recorded_at + "#" + record.sk
    if len(key) > MAX_KEY // 4:  # else it fits, whatever its characters are
        key = key.encode()[:MAX_KEY].decode(errors="ignore")
    return Record(
        pk=record.pk,
        sk=key,
        primary_key=record.pk,
        expire_record=record.expire_record,
        digest=record.digest if with_digest else None,
        put_token=record.put_token,
    )


def late_keys(since: str) -> tuple[str, str]:
    """The range of the keys of all markers recorded at or behind `since`, spelled as `recordedAt` is."""
    return LATE_KEY + since, LATE_KEYS_END


def plain_key(event: Event) -> str:
    """`{moment floored to the millisecond}#{type}`."""
    return f"{to_key_time(event.moment_ns)}#{event.type}"


def twin_key(plain: str, fingerprint: str) -> str:
    """The key of an event whose plain key another event has: the same at every attempt, as it follows its content."""
    return f"{plain}##{fingerprint[:16]}"


def split_key(key: str) -> tuple[str, str]:
    """The time, as it is spelled, and the type that a sort key holds; a twin's is the type of its plain key."""
    time, _, name = key.partition("#")
    return time, _TWIN.sub("", name)


_TWIN: Final = re.compile(r"##[0-9a-f]{16}\Z", flags=re.ASCII)


def has_canonical_key(event: Event) -> bool:
    """Whether the key begins with a time in the one spelling that sorts as time, and `#`."""
    key = event.key
    return key[KEY_TIME_LENGTH : KEY_TIME_LENGTH + 1] == "#" and is_key_time(key[:KEY_TIME_LENGTH])


def order(event: Event) -> tuple[int, bool, int, str, str]:
    """The place of an event in its stream: moment, then sequence where there is one (none first), type, digest."""
    sequence = event.sequence
    return event.moment_ns, sequence is not None, sequence or 0, event.type, digest(event)


def digest(event: Event) -> str:
    """The stored digest, or the digest of the event's content: 64 hex digits."""
    return event.digest or content_digest(event, identity=event.identity)


def content_digest(event: Event, *, identity: Literal["content", "id"] = "content") -> str:
    """The digest counted anew from the event's own content, as the docstring of this module defines it."""
    head = (event.source, to_canonical(event.moment_ns), event.type)
    members = [*map(_string, head), canonical_json(event.detail_json)]
    if identity == "id":
        members.append(_string(event.id))
    return hashlib.sha256(f"[{','.join(members)}]".encode()).hexdigest()


def size(record: Record) -> int:
    """Bytes of the item as DynamoDB counts them: names and values in UTF-8; a number takes at most 21 bytes.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    total = 0
    for name, value in zip(COLUMNS, msgspec.structs.astuple(record), strict=True):
        if isinstance(value, str):
            total += len(name) + len(value.encode())
        elif isinstance(value, bytes):
            total += len(name) + len(value)
        elif value is not None:
            total += len(name) + _DIGITS
    return total


def canonical_json(text: str) -> str:
    """Canonical JSON of a JSON text, as the docstring of this module defines it."""
    if _ROUND.search(text) is None:
        try:
            return _SORTED.encode(_FAST_READER.decode(text)).decode()
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
            pass  # lone surrogates, numbers of thousands of digits, no JSON at all
    tree = _READER.decode(text)
    try:
        return _SORTED.encode(tree).decode()
    except UnicodeEncodeError:  # a lone surrogate, which msgspec's UTF-8 can not hold; the same form, 2 times slower
        return _canonical(tree)


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{','.join([f'{_string(name)}:{_canonical(value[name])}' for name in sorted(value)])}}}"
    if isinstance(value, list):
        return f"[{','.join([_canonical(item) for item in value])}]"
    if isinstance(value, str):
        return _string(value)
    return _SORTED.encode(value).decode()


def _number(lexeme: str) -> msgspec.Raw:
    if lexeme.isdigit() and lexeme[-1] != "0":
        return msgspec.Raw(lexeme.encode())
    mantissa, _, exponent = lexeme.lower().partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    significand = digits.rstrip("0") or "0"
    power = int(exponent or 0) - len(fraction) + len(digits) - len(significand)
    canonical = "0" if significand == "0" else f"{sign}{significand}e{power}" if power else f"{sign}{significand}"
    return msgspec.Raw(canonical.encode())


_READER: Final = json.JSONDecoder(parse_int=_number, parse_float=_number)
# 5 times as fast, and for whole numbers the same as long as they do not end in a zero that would have to go. What looks
# like one inside of a string is taken for one, which costs time only.
_FAST_READER: Final = msgspec.json.Decoder(float_hook=_number)
_ROUND: Final = re.compile(r"0(?<=[0-9]0)(?:[\s,\]}]|\Z)")  # begins with a literal, which is found fastest
_SORTED: Final = msgspec.json.Encoder(order="sorted")


def _string(value: str) -> str:
    text = json.encoder.encode_basestring(value)
    return text if text.isascii() else escape_surrogates(text)
