"""A store that reads columns gives the same frames, and the same errors, as one that only reads events."""

from __future__ import annotations

import json
import zlib
from itertools import chain
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from eventsourcing_kit import blocks, open_store
from eventsourcing_kit.errors import EventSourcingError, ForeignKey, StoreDamaged
from eventsourcing_kit.frames import Events, arrow
from eventsourcing_kit.moment import from_rfc3339, to_canonical, to_key_time, to_microseconds
from eventsourcing_kit.record import HEAD_KEY, Record, encode, encode_head, encode_late, head_of
from eventsourcing_kit.stores.contract import Columnar, Readable
from eventsourcing_kit.testing import Clock, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore
    from eventsourcing_kit.stores.contract import Reading

BEGIN = from_rfc3339("2026-03-01T10:00:00.998Z")
NOW = from_rfc3339("2026-03-11T00:00:00Z")
EARLY = from_rfc3339("2026-03-01T12:00:00Z")
OWN = "own"


class EventsOnly:
    """A store of which nobody knows that it has columns."""

    def __init__(self, store: BaseStore) -> None:
        self.url = store.url
        self._store = store

    def read(self, stream: str, *, start: Any = None, at: Any = None, types: Any = ()) -> Reading:
        return self._store.read(stream, start=start, at=at, types=types)

    def streams(self, prefix: str = "") -> Iterator[str]:
        return self._store.streams(prefix)


STREAMS = st.sampled_from(["order-1", "order-2", "ö"])
TYPES = st.sampled_from(["A", "B", "A##0123456789abcdef", ""])
MOMENTS = st.builds(
    lambda millisecond, ns: BEGIN + millisecond * 1_000_000 + ns,
    st.integers(0, 5),
    st.sampled_from([0, 0, 0, 1, 1_000, 999_999]),
)
# How producers spell one moment, and what stands there by accident.
SPELLED = st.one_of(
    MOMENTS.map(to_canonical),
    MOMENTS.map(to_key_time),
    MOMENTS.map(lambda ns: f"{to_microseconds(ns)[:-1]}+00:00"),
    MOMENTS.map(lambda ns: f"{to_microseconds(ns + 2 * 3_600 * 1_000_000_000)[:-1]}+02:00"),
)
STAMPS = st.one_of(SPELLED, SPELLED, SPELLED, st.sampled_from([None, 5, "", "2026-02-30T00:00:00Z", "once"]))
VALUES = st.sampled_from([1, 2.5, "x", None, [1], {"a": 2}, 10**30])


def details() -> st.SearchStrategy[str]:
    members = st.fixed_dictionaries(
        {},
        optional={
            "metaData": st.fixed_dictionaries(
                {}, optional={"time": STAMPS, "sequence": st.sampled_from([1, 2, 1.0, "1"])}
            ),
            "metadata": st.fixed_dictionaries({}, optional={"time": STAMPS}),
            "data": st.fixed_dictionaries({}, optional={"n": VALUES, "text": VALUES}),
        },
    )
    whole = members.map(json.dumps)
    return st.one_of(
        whole,
        whole,
        members.map(lambda each: json.dumps(each, indent=1)),
        st.sampled_from(["no JSON", "[1]", '{"data":"\\ud800"}']),
    )


@st.composite
def appended(draw: st.DrawFn) -> list[Record]:
    """What this kit writes: a row, and at times what goes with it."""
    ns = draw(MOMENTS)
    metadata = draw(st.sampled_from([{}, {"sequence": 1}, {"sequence": 2}, {"correlationId": "cart"}]))
    fact = event(
        draw(TYPES) or "A",
        stream=draw(STREAMS),
        time=to_canonical(ns),
        id=draw(st.text("abc", min_size=1, max_size=3)),
        metadata=metadata,
        n=draw(VALUES),
    )
    retention = draw(st.sampled_from([None, None, None, 9, 10, 400]))
    recorded = to_microseconds(draw(st.sampled_from([EARLY, NOW])))
    record = encode(fact, recorded_at=recorded, put_token=OWN, retention_days=retention, twin=draw(st.booleans()))
    rows = [record]
    if retention is not None and draw(st.booleans()):
        rows.append(encode_head(record.pk, head_of(record)))
    if draw(st.integers(0, 4)) == 0:
        rows.append(encode_late(record, recorded_at=recorded, with_digest=draw(st.booleans())))
    return rows


@st.composite
def left_there(draw: st.DrawFn) -> list[Record]:
    """What others have written: with less in it, or by accident."""
    key = f"{to_key_time(draw(MOMENTS))}#{draw(TYPES)}"
    if draw(st.integers(0, 30)) == 0:
        key = draw(
            st.sampled_from(
                ["2026-03-01T10:00:00Z#A", "#A", "undefined#A", "$", HEAD_KEY, "2026-03-01T10:00:01.٠00Z#A"]
            )
        )
    stream, detail = draw(STREAMS), draw(details())
    packed = zlib.compress(detail.encode("utf-8", "replace")) if draw(st.integers(0, 9)) == 0 else None
    if packed is not None and draw(st.integers(0, 5)) == 0:
        packed = b"no zlib"
    maybe = st.none()
    return [
        Record(
            pk=stream,
            sk=key,
            primary_key=stream,
            event_id=draw(maybe | st.sampled_from(["old", ""])),
            event_time=draw(maybe | SPELLED | st.just("someday")),
            source=draw(maybe | st.just("shop")),
            detail_type=draw(maybe | TYPES),
            event_detail=draw(maybe | st.just(detail)) if packed is None else None,
            event_detail_z=packed,
            expire_record=draw(maybe | st.sampled_from([NOW // 1_000_000_000 + each for each in (-1, 0, 1)])),
            recorded_at=draw(maybe | st.sampled_from(["once", to_microseconds(EARLY)])),
            digest=draw(maybe | st.sampled_from(["a" * 64, "b" * 64])),
        )
    ]


ROWS = st.lists(st.one_of(appended(), appended(), left_there()), min_size=1, max_size=14)
ENDS = st.one_of(st.none(), st.none(), st.none(), MOMENTS.map(to_canonical))


def outcome(events: Events) -> Any:
    try:
        return events.to_polars()
    except EventSourcingError as error:
        return error


def assert_same(found: Any, expected: Any) -> None:
    """Where several rows are damaged, the size of a block says which of them is named: that may differ."""
    if isinstance(expected, EventSourcingError):
        assert isinstance(found, EventSourcingError)
    else:
        assert not isinstance(found, EventSourcingError), found
        assert_frame_equal(found, expected)


@settings(max_examples=300, deadline=None)
@given(
    rows=ROWS,
    start=ENDS,
    at=ENDS,
    known_at=st.sampled_from([None, to_canonical(EARLY)]),
    types=st.sampled_from([(), (), ("A", "B")]),
    chosen=st.sampled_from([{}, {"n": "data.n"}, {"n": "data.n", "t": "metaData.time"}, {"n": "data.n || data.text"}]),
    streams=st.sampled_from([None, None, "order-1", ["ö", "order-1"]]),
    legacy=st.booleans(),
    size=st.sampled_from([100, 1_000]),
    first=st.sampled_from([1, 16]),
    batch=st.integers(1, 6),
)
def test_a_frame_of_columns_is_the_frame_of_the_events(
    rows: list[list[Record]], size: int, first: int, batch: int, legacy: bool, **asked: Any
) -> None:
    columns_, start, at, known_at = asked.pop("chosen"), asked["start"], asked["at"], asked["known_at"]
    with (
        open_store("sqlite://" + "?legacy=1" * legacy, clock=lambda: NOW) as store,
        patch.object(blocks, "_BYTES", size),
        patch.object(blocks, "_FIRST", first),
        patch.object(arrow, "BATCH", batch),
    ):
        for record in chain.from_iterable(rows):
            store._put(record)
        assert isinstance(store, Columnar)
        plain: Readable = EventsOnly(store)
        assert not isinstance(plain, Columnar)
        more = {"streams": asked["streams"], "types": asked["types"], "columns": columns_}
        found, expected = (
            outcome(Events(each, start=start, at=at, known_at=known_at, **more)) for each in (store, plain)
        )
        assert_same(found, expected)


GOOD = event("A", stream="order-1", time="2026-03-01T10:00:00Z", id="good")


@pytest.mark.parametrize(
    ("row", "damage"),
    [
        ({"sk": "2026-03-01T10:00:00Z#A"}, "2026-03-01T10:00:00Z#A"),
        ({"sk": "#A"}, "#A"),
        ({"sk": "undefined#A"}, "undefined#A"),
        ({"sk": "2026-03-01T1٠:00:00.000Z#A"}, "1٠:00:00.000Z#A"),
        ({"sk": HEAD_KEY, "event_id": None, "event_detail": "no head"}, "a beginning that can not be read"),
        ({"event_detail": None, "event_detail_z": b"no zlib"}, "does not unpack"),
        ({"sk": "2026-03-01T10:00:00.000Z#B", "event_detail": "no JSON"}, "an event that can not be read"),
    ],
)
def test_what_is_damaged_is_the_same_error(row: dict[str, Any], damage: str) -> None:
    bad = Record(pk="order-1", sk="2026-03-01T10:00:01.000Z#A", event_id="bad", event_detail="{}")
    with open_store("sqlite://", clock=Clock()) as store:
        store.append(GOOD)
        store._put(replace(bad, **row))
        found, expected = (outcome(Events(each)) for each in (store, EventsOnly(store)))
        assert isinstance(found, (ForeignKey, StoreDamaged))
        assert (type(found), str(found)) == (type(expected), str(expected))
        assert damage in str(found)
