from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, open_store, rebuild
from eventsourcing_kit.errors import ForeignKey, IncompleteStream
from eventsourcing_kit.migrate import Migrated, migrate
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.testing import Clock, envelope, event
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "order-17"
PLACED = envelope("OrderPlaced", time="2026-03-01T11:03:27Z", total=3)
PAID = envelope("OrderPaid", time="2026-03-01T12:03:28.5+01:00", total=3)
SHIPPED = envelope("OrderShipped", time="2026-03-02T00:00:00.000000001Z")
OLD_KEYS = {
    "2026-03-01T11:03:27Z#OrderPlaced": PLACED,
    "2026-03-01T12:03:28.5+01:00#OrderPaid": PAID,
    "undefined#OrderShipped": SHIPPED,
}
NEW_KEYS = [
    "2026-03-01T11:03:27.000Z#OrderPlaced",
    "2026-03-01T11:03:28.500Z#OrderPaid",
    "2026-03-02T00:00:00.000Z#OrderShipped",
]
REWRITTEN = [Migrated(STREAM, old, new, "rewritten") for old, new in zip(OLD_KEYS, NEW_KEYS, strict=True)]


@pytest.fixture(params=["sqlite", "dynamodb"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> RawRows:
    """The rows of an empty store, to be written behind its back."""
    if request.param == "sqlite":
        raw = RawRows(f"sqlite:///{tmp_path / 'events.db'}")
    else:
        raw = RawRows(request.getfixturevalue("dynamodb_url"), request.getfixturevalue("dynamodb_client"))
    with open_store(raw.url) as store:
        store.create_table()
    return raw


@pytest.fixture
def store(raw: RawRows) -> Iterator[BaseStore]:
    with open_store(raw.url) as store:
        yield store


def put_old_keys(raw: RawRows) -> None:
    for key, old in OLD_KEYS.items():
        raw.put(older(old, key))


def legacy(url: str, at: str | None = None) -> list[Event]:
    with open_store(url + ("&" if "?" in url else "?") + "legacy=1") as store:
        return list(store.read(STREAM, at=at))


def run(store: BaseStore) -> list[Migrated]:
    return list(migrate(store, dry_run=False))


def test_rows_with_keys_in_other_spellings_get_the_canonical_ones(store: BaseStore, raw: RawRows) -> None:
    put_old_keys(raw)
    assert run(store) == REWRITTEN
    assert raw.keys(STREAM) == NEW_KEYS


@pytest.mark.parametrize("at", [None, "2026-03-01T11:03:27Z", "2026-03-01T23:59:59Z", "2026-03-02"])
def test_a_plain_reading_shows_afterwards_what_a_legacy_reading_showed_before(
    store: BaseStore, raw: RawRows, at: str | None
) -> None:
    put_old_keys(raw)
    store.append(event("OrderNoted", time="2026-03-01T20:00:00Z"))
    with pytest.raises(ForeignKey):
        list(store.read(STREAM))
    before = legacy(raw.url, at)
    run(store)
    assert list(store.read(STREAM, at=at)) == before
    assert len(before) == {None: 4, "2026-03-01T11:03:27Z": 1, "2026-03-01T23:59:59Z": 3, "2026-03-02": 3}[at]


def test_a_row_keeps_all_that_it_says_and_does_not_pretend_to_be_recorded_now(store: BaseStore, raw: RawRows) -> None:
    detail = '{ "data": {"primaryKey": "order-17", "total": 1.10}, "metaData": {"time": "2026-03-01T11:03:27.25Z"} }'
    row = {
        **older(PLACED, "2026-03-01T11:03:27.25Z#OrderPlaced", expireRecord=4_102_444_800, region="eu-west-1"),
        "eventId": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "eventTime": "2026-03-01T11:03:40Z",
        "eventDetail": detail,
    }
    raw.put(row)
    run(store)
    migrated = next(found for found in raw.of(STREAM) if found["sk"] != "#head")
    assert len(migrated.pop("putToken")) == 16
    assert migrated == {
        **row,
        "sk": "2026-03-01T11:03:27.250Z#OrderPlaced",
        "digest": "d5ea4c4cda3514b5d54f54f54821ae30c3af7d43fedc3e4e58e5f0aa21c6b830",
    }


def test_when_a_row_was_recorded_stays_true(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, "undefined#OrderPlaced", recordedAt="2026-03-01T11:03:29.123456Z"))
    run(store)
    assert [row["recordedAt"] for row in raw.of(STREAM)] == ["2026-03-01T11:03:29.123456Z"]


def test_an_expiry_with_a_fraction_becomes_whole_seconds_and_never_earlier(
    dynamodb_url: str, dynamodb_client: Any
) -> None:
    raw = RawRows(dynamodb_url, dynamodb_client)
    with open_store(dynamodb_url) as store:
        store.create_table()
        raw.put(older(PLACED, "undefined#OrderPlaced", expireRecord=4_102_444_800.25))
        run(store)
    assert [row["expireRecord"] for row in raw.of(STREAM) if row["sk"] != "#head"] == [4_102_444_801]


def test_a_dry_run_changes_nothing_and_foretells_everything(store: BaseStore, raw: RawRows) -> None:
    put_old_keys(raw)
    store.append(event("OrderPaid", time="2026-03-01T11:03:28.5Z", total=4))
    store.append(event("OrderShipped", time="2026-03-02T00:00:00.000000001Z"))
    raw.put(older(PLACED, "undefined#OrderPlaced"))
    raw.put(older(envelope("OrderPlaced", time="2026-03-01T11:03:27Z", total=5), "undefined#OrderPlaced2"))
    raw.put(older(envelope("OrderPlaced", id=PLACED["id"], total=6), "undefined#OrderPlaced3"))
    raw.put(
        older(envelope("OrderNoted", time="2026-04-01T00:00:00Z"), "undefined#OrderNoted", expireRecord=4_102_444_800)
    )
    before = raw.of(STREAM)
    foretold = list(migrate(store))
    assert raw.of(STREAM) == before
    assert foretold == run(store)
    assert [done.outcome for done in foretold] == [
        "rewritten",
        "rewritten",
        "rewritten",
        "already there",
        "rewritten",
        "at '2026-03-01T11:03:27.000Z#OrderPlaced' stands the same id with other content",
        "already there",
        "beginning written",
    ]


def test_a_key_that_is_left_in_a_dry_run_is_free_for_the_next_one(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(envelope("OrderPaid", time="2026-03-01T11:03:26Z", total=9), "2026-03-01T11:03:28.500Z#OrderPaid"))
    raw.put(older(PAID, "undefined#OrderPaid"))
    expected = [
        Migrated(STREAM, "2026-03-01T11:03:28.500Z#OrderPaid", "2026-03-01T11:03:26.000Z#OrderPaid", "rewritten"),
        Migrated(STREAM, "undefined#OrderPaid", "2026-03-01T11:03:28.500Z#OrderPaid", "rewritten"),
    ]
    assert list(migrate(store)) == expected
    assert run(store) == expected


def test_a_second_run_finds_nothing_to_do(store: BaseStore, raw: RawRows) -> None:
    put_old_keys(raw)
    run(store)
    before = raw.of(STREAM)
    assert run(store) == []
    assert raw.of(STREAM) == before


def test_a_crash_before_the_old_row_is_deleted_loses_nothing_and_a_second_run_ends_it(
    store: BaseStore, raw: RawRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_old_keys(raw)
    before = legacy(raw.url)

    def crash(stream: str, key: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store, "_delete", crash)
        with pytest.raises(KeyboardInterrupt):
            run(store)
    assert legacy(raw.url) == before
    run(store)
    assert raw.keys(STREAM) == NEW_KEYS
    assert list(store.read(STREAM)) == before


def test_where_both_rows_were_left_behind_the_old_one_goes(store: BaseStore, raw: RawRows) -> None:
    put_old_keys(raw)
    store.append(event("OrderPlaced", time="2026-03-01T11:03:27Z", total=3))
    kept = raw.of(STREAM)[0]
    assert run(store) == [
        Migrated(STREAM, "2026-03-01T11:03:27Z#OrderPlaced", "2026-03-01T11:03:27.000Z#OrderPlaced", "already there"),
        *REWRITTEN[1:],
    ]
    assert raw.of(STREAM)[0] == kept
    assert raw.keys(STREAM) == NEW_KEYS


def test_another_event_under_the_canonical_key_makes_it_a_twin(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, "2026-03-01T11:03:27Z#OrderPlaced"))
    store.append(event("OrderPlaced", time="2026-03-01T11:03:27Z", total=4))
    (done,) = run(store)
    assert done.outcome == "rewritten"
    assert raw.keys(STREAM) == ["2026-03-01T11:03:27.000Z#OrderPlaced", done.new_key]
    assert done.new_key is not None
    assert done.new_key.startswith("2026-03-01T11:03:27.000Z#OrderPlaced##")
    assert sorted(read.data["total"] for read in store.read(STREAM)) == [3, 4]


def test_the_same_id_with_other_content_stays_and_is_told(store: BaseStore, raw: RawRows) -> None:
    old = older(PLACED, "2026-03-01T11:03:27Z#OrderPlaced")
    raw.put(old)
    store.append(event("OrderPlaced", time="2026-03-01T11:03:27Z", id=PLACED["id"], total=4))
    reason = "at '2026-03-01T11:03:27.000Z#OrderPlaced' stands the same id with other content"
    assert run(store) == [Migrated(STREAM, "2026-03-01T11:03:27Z#OrderPlaced", None, reason)]
    assert old in raw.of(STREAM)


LONG = "T" * 990  # a key that is allowed as it is and is not with a time and a twin's digest
NO_MOMENT = {"metaData": {"time": "yesterday"}, "data": {"primaryKey": STREAM}}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"eventDetail": "{"}, "'undefined#T' has no detail that is a JSON object with a readable moment"),
        ({"eventDetail": "[1]"}, "'undefined#T' has no detail that is a JSON object with a readable moment"),
        ({"eventDetail": "[" * 9_999}, "'undefined#T' has no detail that is a JSON object with a readable moment"),
        (
            {"eventDetail": json.dumps(NO_MOMENT)},
            "'undefined#T' has no detail that is a JSON object with a readable moment",
        ),
        ({"eventDetailZ": b"no zlib"}, "'undefined#T' has no detail that is a JSON object with a readable moment"),
        (
            {"detailType": LONG},
            f"the sort key of event '{PLACED['id']}' takes 1,033 bytes, over the limit of 1,024",
        ),
        ({"digest": "0" * 64}, "its content does not match its digest"),
    ],
    ids=["no JSON", "an array", "too deep", "no moment", "no zlib", "a long key", "damaged"],
)
def test_what_can_not_be_moved_stays_and_is_told(
    store: BaseStore, raw: RawRows, row: dict[str, Any], reason: str
) -> None:
    stays = older(PLACED, "undefined#T", **row)
    raw.put(stays)
    raw.put(older(PAID, "undefined#U"))
    expected = [
        Migrated(STREAM, "undefined#T", None, reason),
        Migrated(STREAM, "undefined#U", "2026-03-01T11:03:28.500Z#OrderPaid", "rewritten"),
    ]
    assert list(migrate(store)) == expected
    assert run(store) == expected
    assert [done.refused for done in run(store)] == [True]
    assert stays in raw.of(STREAM)


@pytest.mark.parametrize(
    ("length", "expires", "size"),
    [(409_210, {}, "409,601"), (409_190, {"expireRecord": 4_102_444_800}, "409,604")],
    ids=["with its digest", "with its expiry, too"],
)
def test_a_row_that_no_longer_fits_stays_and_is_told(
    store: BaseStore, raw: RawRows, length: int, expires: dict[str, Any], size: str
) -> None:
    old = older(PLACED, "undefined#OrderPlaced", resources=json.dumps(["x" * length]), **expires)
    raw.put(old)
    (done,) = [done for done in run(store) if done.old_key != "#head"]
    assert done.outcome == f"the item of event '{PLACED['id']}' takes {size} bytes, over the limit of 409,600"
    assert old in raw.of(STREAM)


def test_many_rows_of_several_streams_are_moved_in_order_and_others_left_as_they_are(
    store: BaseStore, raw: RawRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsourcing_kit.migrate._BATCH", 10)
    times = [f"2026-03-01T11:03:{second:02d}Z" for second in range(25)]
    for time in times:
        raw.put(older(envelope("Moved", time=time), f"{time}#Moved"))
    store.append(event("Moved", stream="order-16", time="2026-03-01T11:00:00Z"))
    raw.put(older(envelope("Moved", stream="order-18", time="2026-03-01T11:00:00Z"), "undefined#Moved"))
    untouched = raw.of("order-16")
    done = run(store)
    assert [one.new_key for one in done] == [
        *(f"{time[:-1]}.000Z#Moved" for time in times),
        "2026-03-01T11:00:00.000Z#Moved",
    ]
    assert {one.outcome for one in done} == {"rewritten"}
    assert len(raw.keys(STREAM)) == 25
    assert raw.of("order-16") == untouched


def test_a_key_of_another_moment_or_type_than_its_event_is_moved_too(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, "2026-03-01T11:03:40.000Z#OrderPlaced"))
    raw.put(older(PAID, "2026-03-01T11:03:28.500Z#Paid"))
    assert run(store) == [
        Migrated(STREAM, "2026-03-01T11:03:28.500Z#Paid", "2026-03-01T11:03:28.500Z#OrderPaid", "rewritten"),
        Migrated(STREAM, "2026-03-01T11:03:40.000Z#OrderPlaced", "2026-03-01T11:03:27.000Z#OrderPlaced", "rewritten"),
    ]


def test_rows_in_their_place_stay_twins_with_and_without_digest_too(store: BaseStore, raw: RawRows) -> None:
    for total in (1, 2, 3):
        store.append(event("OrderPlaced", total=total))
        store.append(event("OrderPaid", total=total, identity="id"))
    raw.put(older(SHIPPED, "2026-03-02T00:00:00.000Z#OrderShipped"))
    raw.put(older(PLACED, "2026-03-03T00:00:00.000Z#Broken", eventDetail="{"))
    before = raw.of(STREAM)
    assert run(store) == []
    assert raw.of(STREAM) == before


def test_an_event_whose_identity_is_its_id_is_moved_as_such(store: BaseStore, raw: RawRows) -> None:
    for number in (1, 2):
        store.append(event("OrderPlaced", id=f"e{number}", identity="id"))
    rows = raw.of(STREAM)
    raw.put({**rows[0], "sk": "undefined#OrderPlaced"})
    raw.put(older(envelope("OrderPlaced", id="e3"), "undefined#OrderPlaced2"))
    raw.put(older(envelope("OrderPlaced", id="e1"), "undefined#OrderPlaced3"))
    done = run(store)
    assert [one.outcome for one in done] == ["already there", "rewritten", "already there"]
    assert sorted(read.id for read in store.read(STREAM)) == ["e1", "e2", "e3"]


def test_a_row_whose_copy_expires_earlier_stays_and_is_told(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, "2026-03-01T11:03:27.000Z#OrderPlaced", expireRecord=4_102_444_800))
    raw.put(older(PLACED, "undefined#OrderPlaced"))
    reason = "the same event stands at '2026-03-01T11:03:27.000Z#OrderPlaced', but expires earlier there"
    assert Migrated(STREAM, "undefined#OrderPlaced", None, reason) in run(store)
    assert "undefined#OrderPlaced" in raw.keys(STREAM)


def test_a_stream_whose_events_expire_learns_its_beginning(raw: RawRows) -> None:
    raw.put(older(PAID, "undefined#OrderPaid", expireRecord=1_775_000_060))
    raw.put(older(PLACED, "2026-03-01T11:03:27.000Z#OrderPlaced", expireRecord=1_775_000_000))
    with open_store(raw.url, clock=Clock("2026-03-31T23:33:20Z")) as store:
        assert run(store) == [
            Migrated(STREAM, "undefined#OrderPaid", "2026-03-01T11:03:28.500Z#OrderPaid", "rewritten"),
            Migrated(STREAM, "#head", "#head", "beginning written"),
        ]
        assert run(store) == []
    assert [row["eventDetail"] for row in raw.of(STREAM) if row["sk"] == "#head"] == [
        '{"firstMoment":"2026-03-01T11:03:27.000000000Z","firstExpires":1775000000}'
    ]
    types: Projection[list[str]] = Projection("types", initial=list)
    with open_store(raw.url, clock=Clock("2026-03-31T23:34:00Z")) as store, pytest.raises(IncompleteStream):
        rebuild(types, store, STREAM)


def test_a_beginning_later_than_the_first_event_is_corrected(raw: RawRows) -> None:
    with open_store(
        f"{raw.url}{'&' if '?' in raw.url else '?'}retention_days=30", clock=Clock("2026-03-03T00:00:00Z")
    ) as store:
        store.append(event("OrderShipped", time="2026-03-02T00:00:00Z"))
        raw.put(older(PLACED, "2026-03-01T11:03:27.000Z#OrderPlaced", expireRecord=1_775_000_000))
        assert run(store) == [Migrated(STREAM, "#head", "#head", "beginning written")]
    assert [row["eventDetail"] for row in raw.of(STREAM) if row["sk"] == "#head"] == [
        '{"firstMoment":"2026-03-01T11:03:27.000000000Z","firstExpires":1775000000}'
    ]


def test_a_beginning_that_can_not_be_read_stays_and_is_told(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, "2026-03-01T11:03:27.000Z#OrderPlaced", expireRecord=4_102_444_800))
    raw.put({"pk": STREAM, "sk": "#head", "eventDetail": "{"})
    assert run(store) == [Migrated(STREAM, "#head", None, "what it remembers can not be read")]


def test_an_event_under_a_key_without_a_time_is_no_bookkeeping(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, "#OrderPlaced"))
    raw.put(older(PAID, "undefined#OrderPaid"))
    raw.put({"pk": STREAM, "sk": "#later", "eventDetail": "{}"})
    assert [done.old_key for done in run(store)] == ["#OrderPlaced", "undefined#OrderPaid"]
    assert raw.keys(STREAM) == ["#later", *NEW_KEYS[:2]]


def test_a_large_detail_is_packed_on_its_way(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(envelope("OrderPlaced", note="x" * 110_000), "undefined#OrderPlaced"))
    before = legacy(raw.url)
    run(store)
    assert ["eventDetailZ" in row for row in raw.of(STREAM)] == [True]
    assert list(store.read(STREAM)) == before


def test_rows_without_a_type_or_an_id_of_their_own_are_moved(store: BaseStore, raw: RawRows) -> None:
    bare = older(PLACED, "undefined#OrderPlaced")
    raw.put({name: bare[name] for name in ("pk", "sk", "eventDetail", "source")})
    assert run(store) == [
        Migrated(STREAM, "undefined#OrderPlaced", "2026-03-01T11:03:27.000Z#OrderPlaced", "rewritten")
    ]
    assert [(read.type, read.id) for read in store.read(STREAM)] == [("OrderPlaced", "")]
