"""EventBridge JSON -> Event, and back. The only module that knows the bus's field names.

The envelope: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from eventsourcing_kit.errors import InvalidEnvelope, InvalidOption
from eventsourcing_kit.event import Event, decode_json, escape_surrogates, metadata_of
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.places import causation_id, correlation_id, search, utf8
from eventsourcing_kit.record import MAX_STREAM, plain_key

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_DEPTH", "envelope_of", "parse"]

MAX_DEPTH: Final = 600  # objects and arrays inside each other; Python's own JSON reader gives up at about 1,000
MAX_DIGITS: Final = 4_300  # of one number; https://docs.python.org/3/library/stdtypes.html#int-max-str-digits

_OBJECT: Final = "a JSON object"


def parse(
    envelope: str | bytes | Mapping[str, Any],
    stream_path: str | None = None,
    identity: Literal["content", "id"] = "content",
    *,
    correlation_path: str | None = None,
    causation_path: str | None = None,
) -> Event:
    """The event that an envelope carries, not stored yet.

    `envelope` is JSON text, or the mapping that a Lambda runtime has already made of it. Text keeps every number of
    the detail exactly as it came; where somebody has parsed it before, exactness ends with what a double holds, and of
    members that stood there twice only the last is left (in text they are refused).

    `stream_path` is a JMESPath to the primary key inside the envelope; without one it is `detail.data.primaryKey`,
    else `detail.primaryKey`. `correlation_path` and `causation_path` are further places, looked at first, of what else
    `correlationId` (or `correlation_id`) and `causationId` of the metadata say; what is no text there counts as absent.
    With `identity="id"` two envelopes of the same content but another id are two events.

    Raises InvalidEnvelope, which names the field, and InvalidOption for a path or an identity that is none.
    """
    if identity not in ("content", "id"):
        raise InvalidOption("identity", found=identity, expected="'content' or 'id'")
    text = _text(envelope)
    tree = _tree(text)
    detail = tree.get("detail")
    if not isinstance(detail, dict):
        raise InvalidEnvelope("detail", found=_kind(detail, missing="detail" not in tree), expected=_OBJECT)
    metadata = metadata_of(detail)
    event = Event(
        stream=_stream(tree, detail, stream_path),
        key="",
        type=_required(tree, "detail-type"),
        id=_required(tree, "id"),
        source=_required(tree, "source"),
        time=_required(tree, "time"),
        packed_detail=_detail_json(text),
        correlation_id=correlation_id(tree, correlation_path),
        causation_id=causation_id(tree, causation_path),
        replay_name=_optional(tree, "replay-name"),
        account=_optional(tree, "account"),
        region=_optional(tree, "region"),
        resources_json=_resources(tree),
        identity=identity,
    )
    _check_moment(event, metadata)
    return msgspec.structs.replace(event, key=plain_key(event))


def envelope_of(event: Event) -> str:
    """The envelope of an event as JSON text on one line, every digit of its detail included: `parse`, backwards.

    `parse` with the same paths makes of it an event that equals the one it has made before, also once that was stored
    and read. Raises InvalidEnvelope where an older writer has left a detail that is no JSON object.
    """
    try:
        detail = event.detail_json
        found = _kind(decode_json(detail))
    except (ValueError, RecursionError, zlib.error):
        found = "text that is not JSON"
    if found != "an object":
        raise InvalidEnvelope("detail", found=found, expected=_OBJECT)
    texts = {
        "version": "0",
        "id": event.id,
        "detail-type": event.type,
        "source": event.source,
        "account": event.account,
        "time": event.time,
        "region": event.region,
        "replay-name": event.replay_name,
    }
    members = [f'"{field}":{_string(text)}' for field, text in texts.items() if text is not None]
    members += [f'"resources":{event.resources_json or "[]"}', f'"detail":{detail}']
    # In JSON a line break only ever stands between members, where a space means the same.
    return f"{{{','.join(members)}}}".replace("\n", " ").replace("\r", " ")


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(envelope: str | bytes | Mapping[str, Any]) -> str:
    if isinstance(envelope, str):
        return escape_surrogates(envelope)
    if isinstance(envelope, bytes):
        try:
            return envelope.decode()
        except UnicodeDecodeError as error:
            found = f"bytes that are not UTF-8 at byte {error.start}"
            raise InvalidEnvelope("envelope", found=found, expected="JSON text in UTF-8") from None
    _check_values(envelope)
    return escape_surrogates(json.dumps(envelope, ensure_ascii=False, separators=(",", ":")))


def _check_values(envelope: Mapping[str, Any]) -> None:
    todo: list[tuple[Any, int]] = [(envelope, 1)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, (dict, list)):
            if depth > MAX_DEPTH + 1:
                raise _too_deep()
            if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
                raise InvalidEnvelope("envelope", found="a member whose name is not text", expected=_OBJECT)
            todo += [(child, depth + 1) for child in (value.values() if isinstance(value, dict) else value)]
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise InvalidEnvelope("envelope", found="a number that is not finite", expected="JSON values")
        elif isinstance(value, int) and not isinstance(value, bool):
            if value.bit_length() > MAX_DIGITS * 3:
                raise _too_long()
        elif not (value is None or isinstance(value, (str, bool))):
            found = f"a value of the type {type(value).__name__}"
            raise InvalidEnvelope("envelope", found=found, expected="JSON values")


def _tree(text: str) -> dict[str, Any]:
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH + 1:
        raise _too_deep()
    try:
        tree = _READER.decode(text)
    except json.JSONDecodeError as error:
        found = f"text that is not JSON at character {error.pos} ({error.msg})"
        raise InvalidEnvelope("envelope", found=found, expected=_OBJECT) from None
    except RecursionError:  # called from so deep that fewer levels are left
        raise _too_deep() from None
    if not isinstance(tree, dict):
        raise InvalidEnvelope("envelope", found=_kind(tree), expected=_OBJECT)
    return tree


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in _BRACKETS.finditer(text):
        if bracket[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket[0] in "]}":
            depth -= 1
    return deepest


_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', flags=re.DOTALL)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise InvalidEnvelope("envelope", found="an object with the same member twice", expected="each member once")
    return members


def _int(lexeme: str) -> int:
    if len(lexeme) > MAX_DIGITS:
        raise _too_long()
    return int(lexeme)


def _float(lexeme: str) -> float:
    if len(lexeme) > MAX_DIGITS:
        raise _too_long()
    return float(lexeme)


def _constant(name: str) -> None:
    raise InvalidEnvelope("envelope", found=f"{name}, which is not JSON", expected="JSON values")


_READER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_int, parse_float=_float, parse_constant=_constant
)


def _too_deep() -> InvalidEnvelope:
    found = f"more than {MAX_DEPTH} objects and arrays inside each other"
    return InvalidEnvelope("detail", found=found, expected=f"at most {MAX_DEPTH}")


def _too_long() -> InvalidEnvelope:
    found = f"a number of more than {MAX_DIGITS:,} digits"
    return InvalidEnvelope("envelope", found=found, expected=f"at most {MAX_DIGITS:,}")


class _Detail(msgspec.Struct):
    detail: msgspec.Raw


_DETAIL: Final = msgspec.json.Decoder(_Detail)
_JSON_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def _detail_json(text: str) -> str:
    compact = _compact_detail(text)
    if "\\u" in compact or "\\/" in compact:
        return escape_surrogates(_JSON_STRING.sub(lambda match: _without_needless_escapes(match[0]), compact))
    return compact


def _compact_detail(text: str) -> str:
    try:
        return msgspec.json.format(bytes(_DETAIL.decode(text).detail), indent=-1).decode()
    except msgspec.DecodeError:  # lone surrogates, which msgspec does not pass over: keep them behind a mask meanwhile
        mask = next(chr(code) for code in range(0xE000, 0x110000) if chr(code) not in text)
        masked = _ESCAPE.sub(lambda match: mask + match[1] if match[1] else match[0], text)
        return _compact_detail(masked).replace(mask, "\\u")


# A surrogate pair, else half of one (group 1), else any other escape.
_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def _without_needless_escapes(string: str) -> str:
    return json.dumps(json.loads(string), ensure_ascii=False) if "\\" in string else string


def _stream(tree: dict[str, Any], detail: dict[str, Any], stream_path: str | None) -> str:
    if stream_path is None:
        data = detail.get("data")
        inner = data.get("primaryKey") if isinstance(data, dict) else None
        outer = detail.get("primaryKey")
        field = "detail.primaryKey" if inner is None and outer is not None else "detail.data.primaryKey"
        value = outer if inner is None else inner
    else:
        field, value = stream_path, search(stream_path, tree, option="stream_path")
    expected = f"text of 1 to {MAX_STREAM:,} bytes"
    if not isinstance(value, str):
        raise InvalidEnvelope(field, found=_kind(value), expected=expected)
    size = len(utf8(field, value))
    if not 1 <= size <= MAX_STREAM:
        raise InvalidEnvelope(field, found=f"text of {size:,} bytes", expected=expected)
    return value


def _check_moment(event: Event, metadata: dict[str, Any]) -> None:
    stamp = metadata.get("time")
    field, value = ("time", event.time) if stamp is None else ("detail.metaData.time", stamp)
    expected = "an RFC 3339 moment with at most nine fractional digits"
    if not isinstance(value, str):
        raise InvalidEnvelope(field, found=_kind(value), expected=expected)
    try:
        from_rfc3339(value)
    except ValueError as error:
        shown = f"'{value}'" if _TIME_LIKE.fullmatch(value) else f"text of {len(value):,} characters"
        raise InvalidEnvelope(field, found=f"{shown} ({error})", expected=expected) from None


_TIME_LIKE: Final = re.compile(r"[0-9TtZz:+. -]{0,40}", flags=re.ASCII)  # anything else may be payload: do not quote it


def _required(tree: dict[str, Any], field: str) -> str:
    value = _optional(tree, field)
    if value is None or value == "":
        raise InvalidEnvelope(field, found="nothing" if value is None else "empty text", expected="text")
    return value


def _optional(tree: dict[str, Any], field: str) -> str | None:
    value = tree.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEnvelope(field, found=_kind(value), expected="text")
    utf8(field, value)
    return value


def _resources(tree: dict[str, Any]) -> str | None:
    value = tree.get("resources") or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidEnvelope("resources", found=_kind(value), expected="an array of texts")
    for item in value:
        utf8("resources", item)
    return json.dumps(value, ensure_ascii=False) if value else None


def _kind(value: object, *, missing: bool = False) -> str:
    if missing or value is None:
        return "nothing"
    for kind, name in ((bool, "a boolean"), (str, "text"), ((int, float), "a number"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return "an array"
