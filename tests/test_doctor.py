from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, Upcasters, open_store
from eventsourcing_kit.doctor import Finding, examine
from eventsourcing_kit.errors import StoreUnavailable
from eventsourcing_kit.migrate import migrate
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.testing import Clock, envelope, event
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "order-17"
KEY = "2026-03-01T11:03:27.000Z#OrderPlaced"
PLACED = envelope("OrderPlaced", time="2026-03-01T11:03:27Z", total=3)


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


@pytest.fixture
def memory() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def projection(name: str, *types: str, upcasters: Upcasters | None = None) -> Projection[int]:
    counting: Projection[int] = Projection(name, initial=int, upcasters=upcasters)

    @counting.on(*types)
    def count(state: int, event: Event) -> int:
        return state + 1

    return counting


def problems(store: BaseStore) -> dict[str, Finding]:
    """What is not as it should be, by check."""
    return {finding.check: finding for finding in examine(store) if not finding.ok}


def test_a_sound_store_passes_every_check(store: BaseStore) -> None:
    store.append(event("OrderPlaced", total=3))
    store.append(event("OrderPlaced", total=4))
    store.append(event("OrderPlaced", total=5, identity="id"))
    store.append(event("OrderPaid", note="x" * 110_000))
    findings = [(found.check, found.ok, found.message) for found in examine(store, [projection("orders", "OrderPaid")])]
    opening = [("store", True, f"'{store.url}' opens")]
    file = [("file", True, "the integrity check finds nothing")] if store.url.startswith("sqlite") else []
    assert findings == [
        *opening,
        *file,
        ("rows", True, "every row can be read"),
        ("keys", True, "every key has the canonical spelling"),
        ("content", True, "every detail is a JSON object with a readable moment"),
        ("places", True, "every key belongs to the moment and type of its event"),
        ("digests", True, "every digest matches the content that it stands beside"),
        ("duplicates", True, "no event is stored twice in its stream"),
        ("beginnings", True, "every stream whose events expire knows its beginning"),
        ("snapshots", True, "every snapshot matches its checksum"),
        ("sizes", True, "the largest of 4 rows takes 529 bytes; the limit is 409,600"),
        ("handlers", True, "every handler has events"),
        ("types", True, "types that no projection handles: 1"),
        ("projections", True, "projections that can be used: 1"),
    ]


def test_a_store_without_events_has_nothing_to_find(memory: BaseStore) -> None:
    assert [found.check for found in examine(memory, [projection("orders", "OrderPlaced")]) if not found.ok] == []


def test_rows_of_older_writers_are_fine_and_counted(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, KEY))
    store.append(event("OrderPaid"))
    findings = {found.check: found for found in examine(store)}
    assert all(found.ok for found in findings.values())
    assert findings["older writers"].message == (
        "rows without digest or recordedAt: 1 of 2; fine, an older writer left them"
    )


@pytest.mark.parametrize("key", ["2026-03-01T11:03:27Z#OrderPlaced", "undefined#OrderPlaced", "#OrderPlaced", "~"])
def test_keys_in_another_spelling_are_named(store: BaseStore, raw: RawRows, key: str) -> None:
    raw.put(older(PLACED, key))
    store.append(event("OrderPaid"))
    assert problems(store) == {
        "keys": Finding(
            "keys",
            ok=False,
            message="keys in another spelling of time: 1; 'eskit migrate' rewrites them",
            examples=(f"'{key}' in stream 'order-17'",),
        )
    }


def test_the_first_few_are_named_and_all_are_counted(store: BaseStore, raw: RawRows) -> None:
    for number in range(12):
        raw.put(older(envelope("OrderPlaced", total=number), f"undefined#{number:02d}"))
    found = problems(store)["keys"]
    assert found.message == "keys in another spelling of time: 12; 'eskit migrate' rewrites them"
    assert found.examples == tuple(f"'undefined#{number:02d}' in stream 'order-17'" for number in range(5))


@pytest.mark.parametrize("identity", ["content", "id"])
def test_a_changed_row_does_not_match_its_digest(store: BaseStore, raw: RawRows, identity: Any) -> None:
    store.append(event("OrderPlaced", total=3, identity=identity))
    store.append(event("OrderPaid", total=3, identity=identity))
    (_, row) = raw.of(STREAM)
    raw.put({**row, "eventDetail": row["eventDetail"].replace('"total":3', '"total":2')})
    found = problems(store)
    assert list(found) == ["digests"]
    assert found["digests"].message.startswith("rows that do not match their digest: 1; they were damaged or changed")
    assert found["digests"].examples == (f"'{KEY}' in stream 'order-17'",)


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("2026-03-01T11:03:28.000Z#OrderPlaced", {}),
        ("2026-03-01T11:03:27.000Z#OrderPaid", {}),
        (f"{KEY}##0123456789abcdef", {}),
        ("2026-99-99T11:03:27.000Z#OrderPlaced", {}),
    ],
    ids=["another moment", "another type", "another twin", "no day"],
)
def test_a_key_that_does_not_belong_to_its_content_is_named(
    store: BaseStore, raw: RawRows, key: str, more: dict[str, Any]
) -> None:
    raw.put(older(PLACED, key, **more))
    found = problems(store)
    assert list(found) == ["places"]
    assert found["places"].examples == (f"'{key}' in stream 'order-17'",)


@pytest.mark.parametrize(
    "more",
    [
        {"eventDetail": "not JSON"},
        {"eventDetail": "[]"},
        {"eventDetail": '{"metaData":{"time":"soon"}}'},
        {"eventDetail": '{"metaData":{"time":12}}'},
        {"eventDetail": "[" * 5_000 + "]" * 5_000},
        {"eventDetailZ": b"not zlib"},
    ],
    ids=["no JSON", "an array", "no moment", "a number for a moment", "too deep", "no zlib"],
)
def test_content_that_can_not_be_folded_is_named(store: BaseStore, raw: RawRows, more: dict[str, Any]) -> None:
    raw.put(older(PLACED, KEY, **more))
    store.append(event("OrderPaid"))
    found = problems(store)
    assert list(found) == ["content"]
    assert found["content"].examples == (f"'{KEY}' in stream 'order-17'",)


def test_an_event_under_two_keys_is_a_duplicate_wherever_they_lie(store: BaseStore, raw: RawRows) -> None:
    store.append(event("OrderPlaced", total=3))
    raw.put(older(PLACED, "undefined#OrderPlaced"))
    raw.put(older(PLACED, "2026-03-01T11:03:27Z#OrderPlaced"))
    raw.put(older(PLACED, "2025-01-01T00:00:00.000Z#OrderPlaced"))
    found = problems(store)
    assert found["duplicates"].message.startswith("events that are stored twice in their stream: 3; 'eskit migrate'")
    assert found["duplicates"].examples == (
        "'2025-01-01T00:00:00.000Z#OrderPlaced' and '2026-03-01T11:03:27Z#OrderPlaced' in stream 'order-17'",
        "'2026-03-01T11:03:27Z#OrderPlaced' and 'undefined#OrderPlaced' in stream 'order-17'",
        "'undefined#OrderPlaced' and '2026-03-01T11:03:27.000Z#OrderPlaced' in stream 'order-17'",
    )
    list(migrate(store, dry_run=False))
    assert problems(store) == {}


def test_an_event_beside_its_own_twin_is_a_duplicate(store: BaseStore, raw: RawRows) -> None:
    store.append(event("OrderPlaced", total=3))
    (row,) = raw.of(STREAM)
    raw.put({**row, "sk": f"{KEY}##{row['digest'][:16]}"})
    found = problems(store)
    assert list(found) == ["duplicates"]
    assert found["duplicates"].examples == (f"'{KEY}' and '{KEY}##{row['digest'][:16]}' in stream 'order-17'",)


def test_equal_events_whose_identity_is_their_id_are_no_duplicates(store: BaseStore, raw: RawRows) -> None:
    for number in (1, 2):
        store.append(event("OrderPlaced", id=f"e{number}", identity="id"))
    assert problems(store) == {}
    raw.put(older(envelope("OrderPlaced", id="e2"), "undefined#OrderPlaced"))
    assert list(problems(store)) == ["keys", "duplicates"]


def test_a_missing_or_late_beginning_is_named(raw: RawRows) -> None:
    with open_store(
        f"{raw.url}{'&' if '?' in raw.url else '?'}retention_days=90", clock=Clock("2026-03-03T00:00:00Z")
    ) as store:
        store.append(event("OrderPlaced", stream="late", time="2026-03-02T00:00:00Z"))
        store.append(event("OrderPlaced", stream="sound", time="2026-03-02T00:00:00Z"))
        for stream in ("late", "missing"):
            early = envelope("OrderPlaced", stream=stream, time="2026-03-01T11:03:27Z")
            raw.put(older(early, KEY, expireRecord=1_780_000_000))
        found = problems(store)
        assert list(found) == ["beginnings"]
        assert found["beginnings"].examples == ("stream 'late'", "stream 'missing'")
        list(migrate(store, dry_run=False))
        assert problems(store) == {}


def test_a_beginning_that_can_not_be_read_is_named(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, KEY, expireRecord=4_102_444_800))
    raw.put({"pk": STREAM, "sk": "#head", "eventDetail": "["})
    assert list(problems(store)) == ["beginnings"]


def test_the_largest_row_is_told(store: BaseStore, raw: RawRows) -> None:
    raw.put(older(PLACED, KEY, resources=json.dumps(["x" * 300_000])))
    store.append(event("OrderPaid"))
    found = {found.check: found for found in examine(store)}["sizes"]
    assert found.message == "the largest of 2 rows takes 300,287 bytes; the limit is 409,600"
    assert found.examples == (f"'{KEY}' in stream 'order-17'",)


def test_a_stream_that_can_not_be_read_to_its_end_does_not_hide_the_others(
    dynamodb_url: str, dynamodb_client: Any
) -> None:
    raw = RawRows(dynamodb_url, dynamodb_client)
    with open_store(dynamodb_url) as store:
        store.create_table()
        raw.put({**older(PLACED, KEY), "eventDetail": 12})
        raw.put(older(envelope("OrderPlaced", stream="order-18"), "undefined#OrderPlaced"))
        found = problems(store)
    assert found["rows"].examples == (
        "stream 'order-17': attribute 'eventDetail' of the item '2026-03-01T11:03:27.000Z#OrderPlaced' has the type N, "
        "expected S",
    )
    assert found["keys"].examples == ("'undefined#OrderPlaced' in stream 'order-18'",)


def test_damage_inside_of_a_file_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    with open_store(f"sqlite:///{file}") as store:
        store.append_many(
            event("Noted", time=f"2026-03-01T11:03:{n // 10:02d}.{n % 10}Z", note="x" * 400) for n in range(500)
        )
    content = bytearray(file.read_bytes())
    content[40 * 4096 : 41 * 4096] = b"\xff" * 4096
    file.write_bytes(content)
    with open_store(f"sqlite:///{file}") as store:
        found = problems(store)
    assert list(found) == ["file", "rows"]
    assert found["file"].examples != ()
    assert found["rows"].examples == ("stream 'order-17': SQLite found damage while reading (SQLITE_CORRUPT)",)


def test_a_file_that_is_no_store_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("Dear diary, " * 100)
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        assert list(examine(store)) == [
            Finding("store", ok=False, message=f"'{url}' can not be read as a store: it is not an SQLite file"),
            Finding("projections", ok=True, message="projections that can be used: 0"),
        ]


@pytest.mark.parametrize("scheme", ["sqlite", "dynamodb"])
def test_a_store_that_is_not_there_is_a_finding(scheme: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'no.db'}" if scheme == "sqlite" else request.getfixturevalue("dynamodb_url")
    with open_store(url) as store:
        assert [(found.check, found.ok) for found in examine(store)] == [("store", False), ("projections", True)]


def test_a_store_that_goes_away_meanwhile_is_a_finding(memory: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(stream: str) -> Iterator[Event]:
        raise StoreUnavailable("sqlite://", code="SQLITE_IOERR", doing="reading")

    memory.append(event("OrderPlaced"))
    monkeypatch.setattr(memory, "records", gone)
    findings = list(examine(memory))
    assert [(found.check, found.ok) for found in findings][-2:] == [("store", False), ("projections", True)]
    assert findings[-2].message == "the store at 'sqlite://' failed while reading: SQLITE_IOERR"


def test_projections_that_can_not_be_used_are_listed(memory: BaseStore) -> None:
    problem = ImportError("'shop': there is no module 'shop'")
    assert list(examine(memory, [], [problem]))[-1] == Finding(
        "projections",
        ok=False,
        message="projections that can not be used: 1",
        examples=("'shop': there is no module 'shop'",),
    )


def test_handlers_for_types_that_never_occur_are_named(memory: BaseStore) -> None:
    memory.append(event("OrderPlaced"))
    findings = {found.check: found for found in examine(memory, [projection("orders", "OrderPlaced", "OrderPayed")])}
    assert findings["handlers"] == Finding(
        "handlers",
        ok=False,
        message="handlers for types that never occur here: 1; is each name spelled as its producer's?",
        examples=("'OrderPayed' in projection 'orders'",),
    )


def test_a_handler_behind_an_upcaster_is_met_by_the_old_type(memory: BaseStore) -> None:
    upcasters = Upcasters()

    @upcasters.on("OrderPlacedV1", to="OrderPlaced")
    def today(data: Any, event: Event) -> Any:
        return data

    memory.append(event("OrderPlacedV1"))
    orders = projection("orders", "OrderPlaced", upcasters=upcasters)
    findings = {found.check: found for found in examine(memory, [orders])}
    assert findings["handlers"].ok
    assert "other projections" not in findings
    assert "types" not in findings


def test_a_projection_about_another_store_is_for_information(memory: BaseStore) -> None:
    memory.append(event("OrderPlaced"))
    findings = {found.check: found for found in examine(memory, [projection("stock", "Moved"), projection("all")])}
    assert findings["handlers"].ok
    assert findings["other projections"].ok
    assert findings["other projections"].examples == ("'stock'",)


def test_types_that_no_projection_handles_are_for_information(memory: BaseStore) -> None:
    memory.append(event("OrderPlaced"))
    memory.append(event("OrderPaid"))
    findings = {found.check: found for found in examine(memory, [projection("orders", "OrderPlaced")])}
    assert findings["types"] == Finding(
        "types", ok=True, message="types that no projection handles: 1", examples=("'OrderPaid'",)
    )


def test_no_finding_says_anything_of_what_events_say(store: BaseStore, raw: RawRows) -> None:
    canary = "canary-7f3a"
    secret = envelope("OrderPlaced", note=canary)
    kinds: list[dict[str, Any]] = [
        {},
        {"eventDetail": f'{{"{canary}'},
        {"digest": "0" * 64},
        {"expireRecord": 4_102_444_800},
    ]
    for number, more in enumerate(kinds):
        raw.put(older(secret, f"undefined#{number}", **more))
        raw.put(older(secret, f"2026-03-01T11:03:2{number}.000Z#OrderPlaced", **more))
    found = problems(store)
    assert list(found) == ["keys", "content", "places", "digests", "duplicates", "beginnings"]
    assert canary not in repr(found)
