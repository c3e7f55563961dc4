"""Tables that another writer has filled before: their rows as they are, and keys in other spellings of time."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from eventsourcing_kit.errors import EventConflict, ForeignKey, StoreDamaged
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.contract.base import Item, OpenStore

__all__ = ["Legacy"]

# One moment, 2026-03-01T11:03:27Z, in the spellings that writers of this pattern have used.
SPELLINGS: Final = (
    "2026-03-01T11:03:27Z",
    "2026-03-01T11:03:27.0Z",
    "2026-03-01T11:03:27.000000Z",
    "2026-03-01T11:03:27.000",
    "2026-03-01T11:03:27",
    "2026-03-01 11:03:27.000Z",
    "2026-03-01t11:03:27.000z",
    "2026-03-01T11:03:27.000+00:00",
    "2026-03-01T12:03:27.000+01:00",
    "2026-03-01T12:03:27+01:00",
    "2026-03-01T05:33:27-05:30",
    "2026-03-02T01:03:27+14:00",
    "2026-02-28T23:03:27-12:00",
    "2026-03-02T11:02:27+23:59",
    "2026-02-28T11:04:27-23:59",
)
NO_TIMES: Final = ("undefined", "null", "NaN", "Invalid Date", "")  # the last one: a key of `#Type`


MOMENT: Final = "2026-03-01T11:03:27Z"


def row(sk: str, *, id: str, time: str = MOMENT, **attributes: Any) -> Item:  # noqa: A002
    """An item as writers before this kit have left it: no digest, recordedAt or putToken, the detail in full."""
    return {
        "pk": "order-17",
        "sk": sk,
        "primaryKey": "order-17",
        "eventId": id,
        "eventTime": "2026-03-01T11:03:29Z",
        "source": "shop",
        "detailType": "OrderPlaced",
        "eventDetail": f'{{"metaData": {{"time": "{time}"}}, "data": {{"primaryKey": "order-17", "total": 42}}}}',
        **attributes,
    }


CANONICAL: Final = "2026-03-01T11:03:27.000Z#OrderPlaced"
PLACED = event("OrderPlaced", id="e-1", total=42)
EARLIER = event("OrderPlaced", id="earlier", time="2026-03-01T11:03:26Z")
LATER = event("OrderPlaced", id="later", time="2026-03-01T11:03:28Z")


class Legacy(Contract):
    def test_a_row_without_what_only_this_kit_writes_is_an_event(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="e-1"))
        (found,) = store.read("order-17")
        assert (found.id, found.type, found.source, found.data["total"]) == ("e-1", "OrderPlaced", "shop", 42)
        assert str(found.moment) == "2026-03-01 11:03:27+00:00"
        assert found.recorded_at is None
        assert found.digest is None

    def test_a_row_of_the_two_keys_and_a_detail_alone_is_an_event(self, store: Store) -> None:
        self.put_item(store, {"pk": "order-17", "sk": "2026-03-01T11:03:27.000Z#Order#Placed", "eventDetail": "{}"})
        (found,) = store.read("order-17")
        assert (found.id, found.type, found.source, found.detail) == ("", "Order#Placed", "", {})

    @needs("fractions")
    def test_a_row_whose_expiry_has_a_fraction_is_an_event(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="e-1", expireRecord=4102444800.123))
        assert ids(store.read("order-17")) == ["e-1"]

    def test_rows_with_and_without_a_digest_stand_in_one_order(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="e-1"))
        for each in (LATER, EARLIER, event("OrderPlaced", id="twin", total=1, metadata={"sequence": 1})):
            store.append(each)
        assert ids(store.read("order-17")) == ["earlier", "e-1", "twin", "later"]

    def test_a_row_may_bear_attributes_that_nobody_here_knows_and_a_window_is_read_around_it(
        self, store: Store
    ) -> None:
        self.put_item(store, row(CANONICAL, id="e-1"))
        assert ids(store.read("order-17", at="2026-03-01T11:03:26.999Z")) == []
        assert ids(store.read("order-17", at="2026-03-01T11:03:27Z")) == ["e-1"]
        assert ids(store.read("order-17", start="2026-03-01T11:03:27Z")) == ["e-1"]
        assert ids(store.read("order-17", start="2026-03-01T11:03:27.000000001Z")) == []

    def test_an_event_that_an_older_writer_stored_is_a_duplicate_when_it_comes_again(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="e-1"))
        assert store.append(PLACED) == "duplicate"
        assert ids(store.read("order-17")) == ["e-1"]

    def test_under_another_id_it_is_a_duplicate_that_names_the_stored_id(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="old"))
        assert store.append(PLACED).other_id == "old"

    def test_another_event_of_that_moment_becomes_its_twin(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="old"))
        assert store.append(event("OrderPlaced", id="e-2", total=43)).twin
        assert sorted(ids(store.read("order-17"))) == ["e-2", "old"]

    def test_the_id_of_an_older_writers_row_with_other_content_is_a_conflict(self, store: Store) -> None:
        self.put_item(store, row(CANONICAL, id="e-1"))
        with pytest.raises(EventConflict):
            store.append(event("OrderPlaced", id="e-1", total=43))

    @pytest.mark.parametrize("time", [*SPELLINGS, *NO_TIMES])
    def test_a_key_in_another_spelling_is_refused_by_name(self, store: Store, time: str) -> None:
        self.put_item(store, row(f"{time}#OrderPlaced", id="e-1"))
        with pytest.raises(ForeignKey) as refusal:
            list(store.read("order-17"))
        assert refusal.value.stream == "order-17"
        assert refusal.value.key == f"{time}#OrderPlaced"

    @pytest.mark.parametrize("time", [*SPELLINGS, *NO_TIMES])
    def test_with_legacy_it_stands_at_its_moment(self, opened: OpenStore, time: str) -> None:
        store = opened(legacy=True)
        self.put_item(store, row(f"{time}#OrderPlaced", id="e-1", time=MOMENT if time in NO_TIMES else time))
        for each in (LATER, EARLIER):
            store.append(each)
        assert ids(store.read("order-17")) == ["earlier", "e-1", "later"]

    @pytest.mark.parametrize("time", [*SPELLINGS, *NO_TIMES])
    def test_with_legacy_a_window_has_it_at_its_moment(self, opened: OpenStore, time: str) -> None:
        store = opened(legacy=True)
        self.put_item(store, row(f"{time}#OrderPlaced", id="e-1"))
        for each in (LATER, EARLIER):
            store.append(each)
        assert ids(store.read("order-17", at=MOMENT)) == ["earlier", "e-1"]
        assert ids(store.read("order-17", at="2026-03-01T11:03:26.999999999Z")) == ["earlier"]
        assert ids(store.read("order-17", start=MOMENT)) == ["e-1", "later"]
        assert ids(store.read("order-17", start="2026-03-01T11:03:27.000000001Z")) == ["later"]
        assert ids(store.read("order-17", start=MOMENT, at=MOMENT)) == ["e-1"]

    @pytest.mark.parametrize("time", ["2026-03-01T11:03:27Z", "2026-03-01T12:03:27+01:00", "undefined"])
    def test_with_legacy_a_replay_of_it_is_read_once(self, opened: OpenStore, time: str) -> None:
        store = opened(legacy=True)
        self.put_item(store, row(f"{time}#OrderPlaced", id="e-1"))
        store.append(PLACED)
        assert ids(store.read("order-17")) == ["e-1"]

    def test_with_legacy_types_leave_the_others_out(self, opened: OpenStore) -> None:
        store = opened(legacy=True)
        self.put_item(store, row("2026-03-01T12:03:27+01:00#OrderPlaced", id="e-1"))
        store.append(event("OrderPaid", id="e-2"))
        assert ids(store.read("order-17", types=["OrderPlaced"])) == ["e-1"]

    def test_with_legacy_an_expired_row_is_gone_and_told(self, opened: OpenStore) -> None:
        store = opened(legacy=True)
        self.put_item(store, row("2026-03-01T12:03:27+01:00#OrderPlaced", id="e-1", expireRecord=1772363008))
        reading = store.read("order-17")
        assert list(reading) == []
        assert reading.expired_since == "2026-03-01T11:03:27.000000000Z"

    def test_with_legacy_a_row_without_any_moment_is_damage(self, opened: OpenStore) -> None:
        store = opened(legacy=True)
        self.put_item(store, row("undefined#OrderPlaced", id="e-1", time="undefined", eventTime="undefined"))
        with pytest.raises(StoreDamaged):
            list(store.read("order-17"))

    def test_streams_of_foreign_keys_are_listed(self, store: Store) -> None:
        self.put_item(store, row("2026-03-01T12:03:27+01:00#OrderPlaced", id="e-1"))
        self.put_item(store, {**row("undefined#OrderPlaced", id="e-1"), "pk": "order-18"})
        assert list(store.streams()) == ["order-17", "order-18"]

    @pytest.mark.parametrize("at", [None, MOMENT], ids=["beside another event", "at the end of a window"])
    def test_a_row_whose_place_can_not_be_read_is_damage_that_a_reader_is_told(
        self, store: Store, at: str | None
    ) -> None:
        self.put_item(store, row(CANONICAL, id="old", eventDetail="{"))
        if at is None:
            self.put_item(store, row(f"{CANONICAL}##0123456789abcdef", id="e-1"))
        with pytest.raises(StoreDamaged) as raised:
            list(store.read("order-17", at=at))
        assert CANONICAL in raised.value.reason

    def test_a_head_that_can_not_be_read_is_damage(self, store: Store) -> None:
        self.put_item(store, {"pk": "order-17", "sk": "#head", "eventDetail": "{"})
        with pytest.raises(StoreDamaged) as raised:
            list(store.read("order-17"))
        assert "#head" in raised.value.reason

    @pytest.mark.parametrize("detail", ["", "{", "[1]", "null", "text", '"text"'], ids=lambda text: text or "empty")
    def test_a_row_whose_detail_is_no_object_of_json_is_damage_that_an_append_says(
        self, store: Store, detail: str
    ) -> None:
        self.put_item(store, row(CANONICAL, id="old", eventDetail=detail))
        with pytest.raises(StoreDamaged) as raised:
            store.append(PLACED)
        assert CANONICAL in raised.value.reason
