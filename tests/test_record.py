from __future__ import annotations

import hashlib
import json
import zlib
from functools import partial
from typing import Any

import pytest

from eventsourcing_kit import parse, record
from eventsourcing_kit.errors import EventTooLarge
from eventsourcing_kit.record import (
    COLUMNS,
    MAX_ITEM,
    Head,
    Record,
    content_digest,
    decode,
    decode_head,
    encode_head,
    head_of,
    order,
    size,
)

encode = partial(record.encode, recorded_at="2026-03-01T11:03:28.000123Z", put_token="t-1")  # noqa: S106 - no password


def envelope(**data: Any) -> dict[str, Any]:
    return {
        "id": "e-1",
        "source": "shop",
        "detail-type": "Order#Placed",
        "time": "2026-03-01T11:03:28Z",
        "account": "123456789012",
        "resources": ["arn:é"],
        "detail": {
            "metaData": {"time": "2026-03-01T11:03:27.1239Z", "correlationId": "c-1"},
            "data": {"primaryKey": "order-17", **data},
        },
    }


def test_a_record_has_the_attributes_of_the_design() -> None:
    assert (
        *("pk", "sk", "primaryKey", "eventId", "eventTime", "source", "detailType", "eventDetail", "eventDetailZ"),
        *("expireRecord", "recordedAt", "digest", "putToken", "correlationId", "causationId", "replayName"),
        *("account", "region", "resources"),
    ) == COLUMNS


def test_an_event_becomes_its_record() -> None:
    event = parse(envelope(total=12.5))
    detail = (
        '{"metaData":{"time":"2026-03-01T11:03:27.1239Z","correlationId":"c-1"},'
        '"data":{"primaryKey":"order-17","total":12.5}}'
    )
    canonical = (
        '{"data":{"primaryKey":"order-17","total":125e-1},'
        '"metaData":{"correlationId":"c-1","time":"2026-03-01T11:03:27.1239Z"}}'
    )
    preimage = f'["shop","2026-03-01T11:03:27.123900000Z","Order#Placed",{canonical}]'
    expected = Record(
        pk="order-17",
        sk="2026-03-01T11:03:27.123Z#Order#Placed",
        primary_key="order-17",
        event_id="e-1",
        event_time="2026-03-01T11:03:28Z",
        source="shop",
        detail_type="Order#Placed",
        event_detail=detail,
        expire_record=1_772_363_007 + 172_800,
        recorded_at="2026-03-01T11:03:28.000123Z",
        digest=hashlib.sha256(preimage.encode()).hexdigest(),
        put_token="t-1",  # noqa: S106 - no password
        correlation_id="c-1",
        account="123456789012",
        resources='["arn:é"]',
    )
    assert encode(event, retention_days=2) == expected


def test_the_digest_is_the_same_for_ever() -> None:
    """Stored digests outlive every version of the kit: this literal must never change."""
    assert content_digest(parse(envelope(total=12.5))) == DIGEST
    assert content_digest(parse(envelope(total=12.5)), identity="id") == DIGEST_WITH_ID


DIGEST = "4dacc5757eb872ce0ee3ec1a4dd91ded669f23bb17631077e176a5cacac10775"
DIGEST_WITH_ID = "63580480e528be8b338f99c91c8cc530440c907da6ed96f3d0ddafab4474eb82"


def test_a_twins_key_ends_in_its_digest() -> None:
    twin = encode(parse(envelope(total=12.5)), twin=True)
    assert twin.sk == f"2026-03-01T11:03:27.123Z#Order#Placed##{DIGEST[:16]}"


def test_a_record_gives_its_event_back() -> None:
    event = parse(envelope(total=12.5))
    again = decode(encode(event))
    assert again == event
    assert again.recorded_at is not None
    assert again.recorded_at.isoformat() == "2026-03-01T11:03:28.000123+00:00"
    assert again.resources == ("arn:é",)


def test_a_record_of_an_older_writer_is_read() -> None:
    event = decode(Record(pk="a", sk="2026-03-01T11:03:27.123Z#Placed", event_detail='{"data":{}}', event_time="x"))
    assert (event.type, event.id, event.recorded_at, event.digest) == ("Placed", "", None, None)


def test_a_detail_over_100_kb_is_stored_compressed() -> None:
    text = "é" * 60_000
    item = encode(parse(envelope(text=text)))
    assert item.event_detail is None
    assert item.event_detail_z is not None
    assert json.loads(zlib.decompress(item.event_detail_z))["data"]["text"] == text
    assert decode(item).data["text"] == text


def test_a_detail_of_100_kb_is_stored_as_text() -> None:
    head = len(parse(envelope(text="")).detail_json)
    item = encode(parse(envelope(text="x" * (102_400 - head))))
    assert item.event_detail is not None
    assert len(item.event_detail) == 102_400
    assert encode(parse(envelope(text="x" * (102_401 - head)))).event_detail is None


def noise(length: int) -> str:
    """Text that does not compress below a half: hex digits without a pattern."""
    blocks = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(length // 64 + 1))
    return "".join(blocks)[:length]


def test_an_item_over_400_kb_is_refused_with_its_size() -> None:
    with pytest.raises(EventTooLarge) as refusal:
        encode(parse(envelope(text=noise(900_000))))
    assert refusal.value.limit == MAX_ITEM == 409_600
    assert refusal.value.size > MAX_ITEM
    assert refusal.value.event_id == "e-1"


@pytest.mark.parametrize(("length", "taken"), [(981, True), (982, False)])
def test_a_type_is_taken_while_its_twins_key_would_fit(length: int, taken: bool) -> None:
    event = parse({**envelope(), "detail-type": "T" * length})
    if taken:
        assert len(encode(event, twin=True).sk) == 1_024
    else:
        with pytest.raises(EventTooLarge, match="sort key"):
            encode(event)


def test_the_size_counts_names_and_values() -> None:
    assert size(Record(pk="é", sk="ab")) == 2 + 2 + 2 + 2
    assert size(Record(pk="a", sk="b", event_detail_z=b"123", expire_record=1)) == 6 + 12 + 3 + 12 + 21


def test_the_order_in_a_stream_is_moment_sequence_type_digest() -> None:
    def event(time: str, type_: str, sequence: Any = None, **data: Any) -> Any:
        made = envelope(**data)
        made["detail-type"] = type_
        made["detail"]["metaData"] = {"time": time} if sequence is None else {"time": time, "sequence": sequence}
        return parse(made)

    expected = [
        event("2026-03-01T11:03:27.000000001Z", "Z"),
        event("2026-03-01T11:03:27.000000002Z", "B", sequence="1"),
        event("2026-03-01T11:03:27.000000002Z", "C", sequence=True),
        event("2026-03-01T11:03:27.000000002Z", "Z", sequence=-1),
        event("2026-03-01T11:03:27.000000002Z", "Y", sequence=2.0),
        event("2026-03-01T11:03:27.000000002Z", "X", sequence=10),
        event("2026-03-01T11:03:27.000000003Z", "A"),
    ]
    arrived = [expected[index] for index in (3, 6, 0, 5, 1, 4, 2)]
    assert sorted(arrived, key=order) == expected


def test_a_head_keeps_the_earliest_of_both_facts() -> None:
    early, late = Head("2026-03-01T00:00:00.000000000Z", 20), Head("2026-03-02T00:00:00.000000000Z", 10)
    assert early.joined(late) == late.joined(early) == Head("2026-03-01T00:00:00.000000000Z", 10)


def test_a_head_survives_its_record() -> None:
    head = head_of(encode(parse(envelope()), retention_days=1))
    assert head == Head("2026-03-01T11:03:27.123900000Z", 1_772_449_407)
    item = encode_head("order-17", head)
    assert (item.pk, item.sk, item.expire_record) == ("order-17", "#head", None)
    assert decode_head(item.event_detail or "") == head
