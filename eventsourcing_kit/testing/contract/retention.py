"""How long events are kept, and what a reader is told of those that are gone.

The moments lie far ahead, so that no engine's own clock deletes what a case has put there.
"""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.errors import EventExpired
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.clock import Clock
    from eventsourcing_kit.testing.contract.base import Item, OpenStore

__all__ = ["Retention"]

FIRST = event("OrderPlaced", id="first", time="2099-01-01T12:00:00.5Z")
SECOND = event("OrderPaid", id="second", time="2099-01-11T12:00:00Z")
FIRST_EXPIRES = 4073544000  # 2099-01-31T12:00:00Z, 30 days behind the first


def bare(sk: str, **attributes: Any) -> Item:
    """An item of order-17 without anything that only this kit writes."""
    return {
        "pk": "order-17",
        "sk": sk,
        "primaryKey": "order-17",
        "eventId": f"at {sk}",
        "eventTime": f"{sk[:19]}Z",
        "source": "shop",
        "detailType": sk.partition("#")[2],
        "eventDetail": "{}",
        **attributes,
    }


def head(first_moment: str, first_expires: int) -> Item:
    text = f'{{"firstMoment":"{first_moment}","firstExpires":{first_expires}}}'
    return {"pk": "order-17", "sk": "#head", "primaryKey": "order-17", "eventDetail": text}


class Retention(Contract):
    @pytest.fixture
    def kept(self, opened: OpenStore, clock: Clock) -> Store:
        """A store that keeps events for 30 days, on the second of January 2099."""
        clock.set("2099-01-02T00:00:00Z")
        return opened(retention_days=30)

    def test_without_retention_nothing_expires_and_there_is_no_head(self, store: Store, clock: Clock) -> None:
        store.append(FIRST)
        clock.set("9999-12-31T00:00:00Z")
        (item,) = self.items(store, "order-17")
        assert "expireRecord" not in item
        assert ids(store.read("order-17")) == ["first"]

    def test_the_expiry_is_counted_from_the_moment_in_whole_seconds(self, kept: Store) -> None:
        kept.append(FIRST)
        _, item = self.items(kept, "order-17")
        assert item["expireRecord"] == FIRST_EXPIRES

    def test_the_head_remembers_the_first_moment_and_does_not_expire(self, kept: Store) -> None:
        kept.append(FIRST)
        kept.append(SECOND)
        assert self.items(kept, "order-17")[0] == head("2099-01-01T12:00:00.500000000Z", FIRST_EXPIRES)

    def test_a_late_event_lowers_the_head(self, kept: Store) -> None:
        kept.append(SECOND)
        kept.append(FIRST)
        assert self.items(kept, "order-17")[0] == head("2099-01-01T12:00:00.500000000Z", FIRST_EXPIRES)

    @needs("places")
    def test_a_late_event_lowers_a_head_that_another_store_wrote(self, kept: Store, opened: OpenStore) -> None:
        other = opened(retention_days=30)
        other.append(SECOND)
        kept.append(event("OrderPaid", time="2099-01-05T00:00:00Z"))
        other.append(FIRST)
        assert self.items(kept, "order-17")[0] == head("2099-01-01T12:00:00.500000000Z", FIRST_EXPIRES)

    def test_the_head_is_no_event(self, kept: Store) -> None:
        kept.append(FIRST)
        assert ids(kept.read("order-17")) == ["first"]
        assert ids(kept.read("order-17", types=["#head", ""])) == []

    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            ("2099-01-31T11:59:59.999999999Z", ["first", "second"]),
            ("2099-01-31T12:00:00Z", ["second"]),
            ("2099-02-10T11:59:59Z", ["second"]),
            ("2099-02-10T12:00:00Z", []),
        ],
    )
    def test_an_event_past_its_expiry_is_gone_for_every_reader_though_its_item_is_there(
        self, kept: Store, clock: Clock, now: str, expected: list[str]
    ) -> None:
        kept.append(FIRST)
        kept.append(SECOND)
        clock.set(now)
        assert ids(kept.read("order-17")) == expected
        assert len(self.items(kept, "order-17")) == 3

    @needs("places")
    def test_it_is_gone_for_a_reader_who_asked_for_no_retention_too(
        self, kept: Store, opened: OpenStore, clock: Clock
    ) -> None:
        kept.append(FIRST)
        clock.set("2099-03-01T00:00:00Z")
        reading = opened().read("order-17")
        assert list(reading) == []
        assert reading.expired_since == "2099-01-01T12:00:00.500000000Z"

    def test_a_stream_is_listed_for_as_long_as_it_has_an_event(self, kept: Store, clock: Clock) -> None:
        kept.append(FIRST)
        kept.append(SECOND)
        clock.set("2099-02-10T11:59:59Z")
        assert list(kept.streams()) == ["order-17"]
        clock.set("2099-02-10T12:00:00Z")
        assert list(kept.streams()) == []

    @pytest.mark.parametrize(
        ("now", "outcome"), [("2099-01-31T11:59:59.999999999Z", "stored"), ("2099-01-31T12:00:00Z", EventExpired)]
    )
    def test_an_event_that_would_be_gone_at_once_is_refused(
        self, kept: Store, clock: Clock, now: str, outcome: object
    ) -> None:
        clock.set(now)
        (found,) = kept.append_each([FIRST])
        assert (found if isinstance(found, str) else type(found)) == outcome

    def test_the_refusal_names_the_event_and_the_retention(self, kept: Store, clock: Clock) -> None:
        clock.set("2099-03-01T00:00:00Z")
        with pytest.raises(EventExpired) as refusal:
            kept.append(FIRST)
        assert refusal.value.stream == "order-17"
        assert refusal.value.key == "2099-01-01T12:00:00.500Z#OrderPlaced"
        assert refusal.value.event_id == "first"
        assert refusal.value.retention_days == 30

    def test_a_refused_event_leaves_no_trace(self, kept: Store, clock: Clock) -> None:
        clock.set("2099-03-01T00:00:00Z")
        list(kept.append_each([FIRST]))
        assert self.items(kept, "order-17") == []

    def test_a_whole_stream_has_lost_nothing(self, kept: Store) -> None:
        kept.append(FIRST)
        reading = kept.read("order-17")
        list(reading)
        assert reading.expired_since is None

    def test_a_stream_whose_first_event_is_past_its_expiry_says_so(self, kept: Store, clock: Clock) -> None:
        kept.append(FIRST)
        kept.append(SECOND)
        clock.set("2099-02-01T00:00:00Z")
        reading = kept.read("order-17")
        assert ids(reading) == ["second"]
        assert reading.expired_since == "2099-01-01T12:00:00.500000000Z"

    @pytest.mark.parametrize("start", [None, "2098-01-01", "2099-01-01T12:00:00.5Z", "2099-01-01T12:00:01Z"])
    def test_a_stream_whose_first_item_was_deleted_says_so(self, store: Store, clock: Clock, start: str | None) -> None:
        self.put_item(store, head("2099-01-01T12:00:00.500000000Z", FIRST_EXPIRES))
        self.put_item(store, bare("2099-01-11T12:00:00.000Z#OrderPaid", expireRecord=FIRST_EXPIRES + 864_000))
        clock.set("2099-02-01T00:00:00Z")
        reading = store.read("order-17", start=start)
        assert ids(reading) == ["at 2099-01-11T12:00:00.000Z#OrderPaid"]
        assert reading.expired_since == "2099-01-01T12:00:00.500000000Z"

    @pytest.mark.parametrize(
        ("start", "at", "expected"),
        [
            (None, "2099-01-01T12:00:00.499999999Z", None),  # nothing was there yet
            (None, "2099-01-01T12:00:00.5Z", "2099-01-01T12:00:00.500000000Z"),
            ("2099-01-01T12:00:00.5Z", None, "2099-01-01T12:00:00.500000000Z"),
            ("2099-01-20T00:00:00Z", None, None),  # on the first of February nothing of that age has gone
            ("2099-01-02T00:00:01Z", None, None),
        ],
    )
    def test_only_a_window_that_reaches_what_is_gone_is_incomplete(
        self, kept: Store, clock: Clock, start: str | None, at: str | None, expected: str | None
    ) -> None:
        kept.append(FIRST)
        kept.append(SECOND)
        clock.set("2099-02-01T00:00:00Z")
        reading = kept.read("order-17", start=start, at=at)
        list(reading)
        assert reading.expired_since == expected

    def test_types_hide_no_loss(self, kept: Store, clock: Clock) -> None:
        kept.append(FIRST)
        kept.append(SECOND)
        clock.set("2099-02-01T00:00:00Z")
        reading = kept.read("order-17", types=["OrderPaid"])
        assert ids(reading) == ["second"]
        assert reading.expired_since == "2099-01-01T12:00:00.500000000Z"

    def test_an_expired_item_of_another_writer_is_invisible_and_told(self, store: Store, clock: Clock) -> None:
        self.put_item(store, bare("2099-01-01T12:00:00.500Z#OrderPlaced", expireRecord=FIRST_EXPIRES))
        self.put_item(store, bare("2099-01-11T12:00:00.000Z#OrderPaid"))
        clock.set("2099-02-01T00:00:00Z")
        reading = store.read("order-17")
        assert ids(reading) == ["at 2099-01-11T12:00:00.000Z#OrderPaid"]
        assert reading.expired_since == "2099-01-01T12:00:00.000000000Z"

    def test_an_expired_item_behind_a_younger_head_is_told_too(self, store: Store, clock: Clock) -> None:
        # The table's retention was 30 days once, and is longer now.
        self.put_item(store, head("2099-01-05T00:00:00.000000000Z", FIRST_EXPIRES + 31_536_000))
        self.put_item(store, bare("2099-01-01T12:00:00.000Z#OrderPlaced", expireRecord=FIRST_EXPIRES))
        clock.set("2099-02-01T00:00:00Z")
        reading = store.read("order-17")
        assert list(reading) == []
        assert reading.expired_since == "2099-01-01T12:00:00.000000000Z"

    @needs("fractions")
    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            ("2099-01-31T12:00:00.4Z", ["at 2099-01-01T12:00:00.500Z#OrderPlaced"]),
            ("2099-01-31T12:00:00.6Z", []),
        ],
    )
    def test_an_expiry_with_a_fraction_counts_to_the_fraction(
        self, store: Store, clock: Clock, now: str, expected: list[str]
    ) -> None:
        self.put_item(store, bare("2099-01-01T12:00:00.500Z#OrderPlaced", expireRecord=FIRST_EXPIRES + 0.5))
        clock.set(now)
        assert ids(store.read("order-17")) == expected
        assert len(list(store.streams())) == len(expected)

    def test_a_redelivery_within_the_retention_is_a_duplicate(self, kept: Store) -> None:
        assert [kept.append(FIRST), kept.append(FIRST)] == ["stored", "duplicate"]

    def test_a_redelivery_of_an_expired_event_is_refused_not_called_a_duplicate(
        self, kept: Store, clock: Clock
    ) -> None:
        kept.append(FIRST)
        clock.set("2099-02-01T00:00:00Z")
        with pytest.raises(EventExpired):
            kept.append(FIRST)

    @needs("places")
    def test_an_event_is_no_duplicate_of_an_expired_item_that_no_reader_sees(
        self, kept: Store, opened: OpenStore, clock: Clock
    ) -> None:
        # Its item is only waiting to be deleted, so "duplicate" would say that something is kept which is not.
        kept.append(FIRST)
        clock.set("2099-02-01T00:00:00Z")
        with pytest.raises(EventExpired) as refusal:
            opened().append(FIRST)
        assert refusal.value.retention_days == 30
