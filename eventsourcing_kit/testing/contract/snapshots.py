"""Markers of late events, and snapshots."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.snapshot import Facts, Identity, Seen, Snapshot
from eventsourcing_kit.stores.contract import Snapshotting
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.clock import Clock
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Snapshots"]

IDENTITY = Identity(projection="orders", version=1, code="c", state="s", format="f")


def snapshot(moment: str, number: int, *, state: bytes = b"{}", expires: int | None = None, **more: Any) -> Snapshot:
    facts: dict[str, Any] = {
        "identity": IDENTITY,
        "key": f"{moment[:23]}Z#OrderPlaced",
        "digest": None,
        "moment": moment,
        "number": number,
        "folded": number,
        "last_key": None,
        "last_moment": None,
        "recorded": "",
        "taken": "2026-03-02T00:00:00.000000Z",
        "late": Seen(),
        "unknown": Seen(),
        "unknown_types": {},
        "markers": Seen(),
    }
    return Snapshot.of("order-17", Facts(**(facts | more)), state, expires=expires)


FIRST = snapshot("2026-03-01T10:00:00.000000000Z", 1)
SECOND = snapshot("2026-03-01T10:00:00.000000001Z", 2)
THIRD = snapshot("2026-03-01T11:00:00.000000000Z", 10, state='{"é":"\U0001f600"}'.encode())


def numbers(found: Iterable[Snapshot]) -> list[int]:
    return [snapshot.read_facts().number for snapshot in found]


class Snapshots(Contract):
    @pytest.fixture
    def keeping(self, store: Store) -> Snapshotting:
        """A store with a place for snapshots."""
        assert isinstance(store, Snapshotting)
        store.create_snapshots_table()
        return store

    @pytest.mark.parametrize(
        ("time", "marked"), [("2026-03-01T00:00:00Z", False), ("2026-02-28T23:59:59.999999999Z", True)]
    )
    def test_an_event_that_is_over_a_day_late_has_a_marker(self, store: Store, time: str, marked: bool) -> None:  # noqa: FBT001 - a case's value
        store.append(event("OrderPlaced", time=time))
        *late, stored = [item["sk"] for item in self.items(store, "order-17")]
        assert late == ([f"#late#2026-03-02T00:00:00.000000Z#{stored}"] if marked else [])

    def test_each_late_event_of_one_instant_has_a_marker_of_its_own(self, store: Store) -> None:
        for n in range(3):
            store.append(event("OrderPlaced", time="2026-02-01T00:00:00Z", line=n))
        assert len([item for item in self.items(store, "order-17") if item["sk"].startswith("#late#")]) == 3

    def test_markers_are_no_events(self, store: Store) -> None:
        late = event(
            "OrderPlaced", id="e-1", time="2026-02-01T00:00:00Z", metadata={"correlationId": "cart-5"}, total=42
        )
        store.append(late)
        assert ids(store.read("order-17")) == ["e-1"]
        assert ids(store.read("order-17", start="2026-01-01")) == ["e-1"]
        assert list(store.read("order-17", types=["", "late"])) == []
        assert ids(store.correlated("cart-5")) == ["e-1"]
        assert len(list(store.correlations())) == 1

    def test_a_stream_of_markers_alone_is_none(self, store: Store) -> None:
        key = "#late#2026-03-02T00:00:00.000000Z#2026-02-01T00:00:00.000Z#OrderPlaced"
        self.put_item(store, {"pk": "order-17", "sk": key, "primaryKey": "order-17", "putToken": "t"})
        assert list(store.streams()) == []

    def test_with_legacy_markers_are_no_events_either(self, opened: OpenStore) -> None:
        store = opened(legacy=True)
        store.append(event("OrderPlaced", id="e-1", time="2026-02-01T00:00:00Z"))
        assert ids(store.read("order-17")) == ["e-1"]
        assert ids(store.read("order-17", start="2026-01-01", at="2026-03-01")) == ["e-1"]

    def test_the_marker_of_the_longest_type_fits_into_a_key(self, store: Store) -> None:
        store.append(event("é" * 490, time="2026-02-01T00:00:00Z"))
        late, stored = [item["sk"] for item in self.items(store, "order-17")]
        assert len(late.encode()) <= 1_024
        assert late.startswith(f"#late#2026-03-02T00:00:00.000000Z#{stored[:300]}")

    def test_a_marker_expires_with_its_event(self, opened: OpenStore) -> None:
        store = opened(retention_days=60)
        store.append(event("OrderPlaced", time="2026-02-01T00:00:00Z"))
        _, late, stored = self.items(store, "order-17")
        assert late["expireRecord"] == stored["expireRecord"]

    @needs("snapshots")
    def test_markers_are_found_by_when_they_were_recorded(
        self, keeping: Snapshotting, store: Store, clock: Clock
    ) -> None:
        store.append(event("OrderPlaced", time="2026-02-01T00:00:00Z"))
        clock.set("2026-03-05T00:00:00Z")
        store.append(event("OrderPaid", time="2026-02-02T00:00:00Z"))
        store.append(event("OrderSent", time="2026-02-03T00:00:00Z"))
        for since, count in (("2026-03-02T00:00:00.000000Z", 3), ("2026-03-02T00:00:00.000001Z", 2), ("9999", 0)):
            assert len(list(keeping.bookkeeping("order-17", late_since=since).late)) == count
        assert keeping.bookkeeping("order-17", late_since="").first_expires is None

    @needs("snapshots")
    def test_the_bookkeeping_tells_the_first_expiry(self, opened: OpenStore) -> None:
        store = opened(retention_days=30)
        assert isinstance(store, Snapshotting)
        store.append(event("OrderPlaced", time="2026-03-01T12:00:00.5Z"))
        assert store.bookkeeping("order-17", late_since="").first_expires == 1774958400

    @needs("snapshots")
    def test_a_snapshot_comes_back_as_it_was_saved(self, keeping: Snapshotting) -> None:
        keeping.put_snapshots([THIRD])
        (found,) = keeping.snapshots("order-17", IDENTITY.digest)
        assert found == THIRD
        assert found.is_sound
        assert found.state_json() == '{"é":"\U0001f600"}'.encode()

    @needs("snapshots")
    def test_snapshots_come_newest_first_up_to_a_moment(self, keeping: Snapshotting) -> None:
        keeping.put_snapshots([SECOND, THIRD, FIRST])
        for before, expected in (
            (None, [10, 2, 1]),
            ("2026-03-01T11:00:00Z", [10, 2, 1]),
            ("2026-03-01T10:59:59.999999999Z", [2, 1]),
            ("2026-03-01T10:00:00Z", [1]),
            ("2026-03-01T09:00:00Z", []),
        ):
            moment = None if before is None else from_rfc3339(before)
            assert numbers(keeping.snapshots("order-17", IDENTITY.digest, before=moment)) == expected

    @needs("snapshots")
    def test_many_snapshots_are_all_found(self, keeping: Snapshotting) -> None:
        keeping.put_snapshots([snapshot(f"2026-03-01T10:{n:02d}:00.000000000Z", n) for n in range(30)])
        assert numbers(keeping.snapshots("order-17", IDENTITY.digest)) == list(range(29, -1, -1))

    @needs("snapshots")
    def test_a_snapshot_is_found_by_its_stream_and_identity_alone(self, keeping: Snapshotting) -> None:
        other = Identity(projection="orders", version=2, code="c", state="s", format="f")
        keeping.put_snapshots([FIRST, snapshot("2026-03-01T10:00:00.000000000Z", 7, identity=other)])
        assert numbers(keeping.snapshots("order-17", IDENTITY.digest)) == [1]
        assert numbers(keeping.snapshots("order-17", other.digest)) == [7]
        assert list(keeping.snapshots("order-1", IDENTITY.digest)) == []
        assert sorted(numbers(keeping.all_snapshots("order-17"))) == [1, 7]

    @needs("snapshots")
    def test_snapshots_that_are_deleted_are_gone_and_others_stay(self, keeping: Snapshotting) -> None:
        keeping.put_snapshots([FIRST, SECOND, THIRD])
        for _ in range(2):
            keeping.delete_snapshots([FIRST, THIRD])
            assert list(keeping.all_snapshots("order-17")) == [SECOND]

    @needs("snapshots")
    def test_a_snapshot_takes_the_place_of_one_behind_the_same_event(self, keeping: Snapshotting) -> None:
        keeping.put_snapshots([FIRST])
        keeping.put_snapshots([snapshot("2026-03-01T10:00:00.000000000Z", 1, state=b'{"new":1}')])
        (found,) = keeping.snapshots("order-17", IDENTITY.digest)
        assert found.state_json() == b'{"new":1}'

    @needs("snapshots")
    def test_a_snapshot_is_gone_when_the_first_of_its_events_is(self, keeping: Snapshotting, clock: Clock) -> None:
        keeping.put_snapshots([snapshot("2026-03-01T10:00:00.000000000Z", 1, expires=1774958400)])
        clock.set("2026-03-31T11:59:59.999999999Z")
        assert numbers(keeping.snapshots("order-17", IDENTITY.digest)) == [1]
        clock.set("2026-03-31T12:00:00Z")
        assert numbers(keeping.snapshots("order-17", IDENTITY.digest)) == []

    @needs("snapshots")
    def test_a_large_state_is_packed(self, keeping: Snapshotting) -> None:
        text = b'"' + b"x" * 3_000_000 + b'"'
        large = snapshot("2026-03-01T10:00:00.000000000Z", 1, state=text)
        keeping.put_snapshots([large])
        (found,) = keeping.snapshots("order-17", IDENTITY.digest)
        assert (found.state, found.state_json()) == (None, text)

    @needs("snapshots")
    def test_snapshots_are_no_events(self, keeping: Snapshotting) -> None:
        keeping.put_snapshots([FIRST])
        assert list(keeping.streams()) == []
        assert list(keeping.read("order-17")) == []
