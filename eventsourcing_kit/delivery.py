"""What AWS can hand to a function or put into a queue around envelopes, and the envelopes that are in it."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventsourcing_kit.errors import InvalidEnvelope
from eventsourcing_kit.event import escape_surrogates

if TYPE_CHECKING:
    from collections.abc import Mapping

    Envelope = str | Mapping[str, Any]

__all__ = ["as_text", "envelopes_in", "is_queue_batch"]


def is_queue_batch(payload: Any) -> bool:
    """Whether SQS delivers messages: the shape of an event source mapping.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    records = payload.get("Records") if isinstance(payload, dict) else None
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(record, dict) and record.get("eventSource") == "aws:sqs" for record in records)
    )


def envelopes_in(payload: Any) -> list[Envelope]:
    """The envelopes of one delivery, in their order: of one envelope, of an array of them, and of the record that an
    on-failure destination wraps around either. JSON text stays text, so that every number keeps its digits.

    Raises InvalidEnvelope for anything else.
    """
    while _is_on_failure_record(payload):
        payload = payload["requestPayload"]
    if isinstance(payload, str):
        return _in_text(payload)
    if isinstance(payload, list):
        if not payload:
            raise InvalidEnvelope("delivery", found="an empty array", expected="at least one envelope")
        for member in payload:
            _check_envelope(member)
        return list(payload)
    _check_envelope(payload)
    return [payload]


def _is_on_failure_record(members: Any) -> bool:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    return isinstance(members, dict) and "requestPayload" in members and "requestContext" in members


def _in_text(text: str) -> list[Envelope]:
    members = _members(text)
    while isinstance(members, dict) and _is_on_failure_record(members):
        text = members["requestPayload"]
        members = _members(text)
    if isinstance(members, list):
        if not members:
            raise InvalidEnvelope("delivery", found="an empty array", expected="at least one envelope")
        return list(members)
    return [text]


def _members(text: str) -> dict[str, str] | list[str] | None:
    """The JSON text of each member; None where the parser of envelopes has to tell what is amiss."""
    try:
        return _decoded(text)
    except RecursionError:
        return None
    except (msgspec.MsgspecError, UnicodeEncodeError):
        # No JSON, or it has lone surrogates, which msgspec does not pass over: keep them behind a mask meanwhile.
        mask = next(mask for mask in map(chr, range(0xE000, sys.maxunicode)) if mask not in text)
        masked = _ESCAPE.sub(lambda match: mask + match[1] if match[1] else match[0], escape_surrogates(text))
    try:
        members = _decoded(masked)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if isinstance(members, list):
        return [member.replace(mask, "\\u") for member in members]
    return {name: member.replace(mask, "\\u") for name, member in members.items()}


def _decoded(text: str) -> dict[str, str] | list[str]:
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    if isinstance(members, list):
        return [bytes(member).decode() for member in members]
    return {name: bytes(member).decode() for name, member in members.items()}


# A surrogate pair, else half of one (group 1), else any other escape.
_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def _check_envelope(value: Any) -> None:
    if not (isinstance(value, dict) and "detail-type" in value and "detail" in value):
        shape = f"an object of {len(value)} other members" if isinstance(value, dict) else f"a {type(value).__name__}"
        raise InvalidEnvelope("delivery", found=shape, expected="an EventBridge envelope")


def as_text(payload: Any) -> str:
    """A delivery as JSON text, for a dead letter: what a queue does not take is there as its escape."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return _UNSENDABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


# Which characters SQS takes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
# Those below a space are escaped in any JSON.
_UNSENDABLE: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")
