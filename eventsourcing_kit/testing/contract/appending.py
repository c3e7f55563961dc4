"""Appending one event: its record, its key, and its second arrival."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventConflict
from eventsourcing_kit.testing.contract.base import Contract, ids
from eventsourcing_kit.testing.samples import OPTIONAL, envelope, event, pair

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.clock import Clock
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Appending"]

PLACED = event("OrderPlaced", id="e-1", total=42)


class Appending(Contract):
    @pytest.mark.parametrize("field", OPTIONAL)
    @pytest.mark.parametrize("there", [True, False], ids=["with", "without"])
    def test_an_event_is_read_as_it_arrived_with_and_without_each_optional_field(
        self, store: Store, field: str, *, there: bool
    ) -> None:
        having, lacking = pair(field)
        arrived = parse(having if there else lacking)
        assert store.append(arrived) == "stored"
        (found,) = store.read("order-17")
        assert found == arrived

    @pytest.mark.parametrize(
        ("time", "key"),
        [
            ("2026-03-01T11:03:27Z", "2026-03-01T11:03:27.000Z#OrderPlaced"),
            ("2026-03-01T11:03:27", "2026-03-01T11:03:27.000Z#OrderPlaced"),
            ("2026-03-01t11:03:27z", "2026-03-01T11:03:27.000Z#OrderPlaced"),
            ("2026-03-01 11:03:27+00:00", "2026-03-01T11:03:27.000Z#OrderPlaced"),
            ("2026-03-01T11:03:27.5Z", "2026-03-01T11:03:27.500Z#OrderPlaced"),
            ("2026-03-01T11:03:27.123999999Z", "2026-03-01T11:03:27.123Z#OrderPlaced"),
            ("2026-03-01T11:03:27.999999999Z", "2026-03-01T11:03:27.999Z#OrderPlaced"),
            ("2026-03-01T00:30:00+01:00", "2026-02-28T23:30:00.000Z#OrderPlaced"),
            ("2025-12-31T23:59:59.9999-00:01", "2026-01-01T00:00:59.999Z#OrderPlaced"),
            ("2024-02-29T12:00:00+05:45", "2024-02-29T06:15:00.000Z#OrderPlaced"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999Z#OrderPlaced"),
            ("1969-12-31T23:59:59.000000001Z", "1969-12-31T23:59:59.000Z#OrderPlaced"),
            ("0001-01-01T00:00:00.0001Z", "0001-01-01T00:00:00.000Z#OrderPlaced"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z#OrderPlaced"),
        ],
    )
    def test_the_key_is_the_moment_floored_to_the_millisecond_in_one_spelling(
        self, store: Store, time: str, key: str
    ) -> None:
        arrived = event("OrderPlaced", time=time)
        assert store.append(arrived) == "stored"
        (found,) = store.read("order-17")
        assert found.key == key
        assert found.moment_ns == arrived.moment_ns

    def test_the_record_of_a_full_envelope_has_these_attributes_and_no_others(
        self, opened: OpenStore, clock: Clock
    ) -> None:
        clock.set("2026-03-01T11:03:28.123456789Z")
        store = opened(retention_days=30, token=lambda: "token-1")
        having, _ = pair("replay-name")
        store.append(parse(having))
        head, item = self.items(store, "order-17")
        assert head["sk"] == "#head"
        assert item == {
            "pk": "order-17",
            "sk": "2026-03-01T11:03:27.123Z#OrderPlaced",
            "primaryKey": "order-17",
            "eventId": "6f1d7c2e-58a4-5d52-9a53-3c6f5a0f7f10",
            "eventTime": "2026-03-01T11:03:27Z",
            "source": "shop",
            "detailType": "OrderPlaced",
            "eventDetail": (
                '{"metaData":{"time":"2026-03-01T11:03:27.123456789Z","sequence":3,"correlationId":"cart-5",'
                '"causationId":"8f0d4b1a-2f4c-5c55-8a25-0a1c3f8f6b61"},"data":{"primaryKey":"order-17","total":42}}'
            ),
            "expireRecord": 1774955007,
            "recordedAt": "2026-03-01T11:03:28.123456Z",
            "digest": "1e6a25955fc183471f47842a29d7e2ae92183bd25831b175698095d4de9ecb7a",
            "putToken": "token-1",
            "correlationId": "cart-5",
            "causationId": "8f0d4b1a-2f4c-5c55-8a25-0a1c3f8f6b61",
            "replayName": "after-the-outage",
            "account": "123456789012",
            "region": "eu-west-1",
            "resources": '["arn:aws:dynamodb:eu-west-1:123456789012:table/orders"]',
        }

    def test_the_record_of_a_bare_envelope_has_these_attributes_and_no_others(self, opened: OpenStore) -> None:
        store = opened(token=lambda: "token-1")
        store.append(
            parse(
                '{"id": "e-1", "detail-type": "OrderPlaced", "source": "shop", "time": "2026-03-01T11:03:27Z",'
                ' "detail": {"primaryKey": "order-17"}}'
            )
        )
        assert self.items(store, "order-17") == [
            {
                "pk": "order-17",
                "sk": "2026-03-01T11:03:27.000Z#OrderPlaced",
                "primaryKey": "order-17",
                "eventId": "e-1",
                "eventTime": "2026-03-01T11:03:27Z",
                "source": "shop",
                "detailType": "OrderPlaced",
                "eventDetail": '{"primaryKey":"order-17"}',
                "recordedAt": "2026-03-02T00:00:00.000000Z",
                "digest": "12e324653088d347781b39ad7199f2998760218f2a58eb21b9207dc5927cb636",
                "putToken": "token-1",
            }
        ]

    def test_an_event_says_when_it_was_recorded(self, store: Store, clock: Clock) -> None:
        clock.set("2026-03-05T06:07:08.123456789Z")
        store.append(PLACED)
        (found,) = store.read("order-17")
        assert str(found.recorded_at) == "2026-03-05 06:07:08.123456+00:00"

    def test_each_call_has_a_token_of_its_own(self, store: Store) -> None:
        store.append(PLACED)
        store.append(event("OrderPaid"))
        tokens = [item["putToken"] for item in self.items(store, "order-17")]
        assert all(tokens)
        assert len(set(tokens)) == 2

    def test_the_same_event_twice_is_one_event(self, store: Store) -> None:
        assert [store.append(PLACED), store.append(PLACED)] == ["stored", "duplicate"]
        assert ids(store.read("order-17")) == ["e-1"]

    def test_a_stored_event_is_no_twin_and_has_no_other_id(self, store: Store) -> None:
        outcome = store.append(PLACED)
        assert (outcome.twin, outcome.other_id) == (False, None)

    def test_a_redelivery_has_no_other_id(self, store: Store) -> None:
        store.append(PLACED)
        outcome = store.append(PLACED)
        assert (outcome.twin, outcome.other_id) == (False, None)

    def test_a_redelivery_leaves_the_stored_event_as_it_is(self, store: Store, clock: Clock) -> None:
        store.append(PLACED)
        before = self.items(store, "order-17")
        clock.set("2026-04-01T00:00:00Z")
        store.append(PLACED)
        late, *after = self.items(store, "order-17")
        assert late["sk"].startswith("#late#")  # as nobody knows yet that it is a duplicate
        assert after == before

    def test_a_producers_retry_under_another_id_is_a_duplicate_that_names_the_stored_id(self, store: Store) -> None:
        store.append(PLACED)
        outcome = store.append(event("OrderPlaced", id="e-2", total=42))
        assert outcome == "duplicate"
        assert outcome.other_id == "e-1"
        assert ids(store.read("order-17")) == ["e-1"]

    def test_a_producers_retry_is_logged_by_both_ids_and_never_by_its_payload(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.append(event("OrderPlaced", id="e-1", note="canary"))
        with caplog.at_level("INFO", logger="eventsourcing_kit"):
            store.append(event("OrderPlaced", id="e-2", note="canary"))
        (line,) = caplog.messages
        assert "e-1" in line
        assert "e-2" in line
        assert "canary" not in line

    def test_a_redelivery_is_not_logged(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        store.append(PLACED)
        with caplog.at_level("INFO", logger="eventsourcing_kit"):
            store.append(PLACED)
        assert caplog.messages == []

    def test_a_replay_of_a_stored_event_is_a_duplicate(self, store: Store) -> None:
        live = envelope("OrderPlaced", id="e-1", total=42)
        store.append(parse(live))
        outcome = store.append(parse({**live, "replay-name": "after-the-outage"}))
        assert outcome == "duplicate"
        assert outcome.other_id is None

    def test_the_same_id_with_other_content_is_a_conflict_and_the_stored_event_stays(self, store: Store) -> None:
        store.append(PLACED)
        with pytest.raises(EventConflict) as refusal:
            store.append(event("OrderPlaced", id="e-1", total=43))
        assert refusal.value.stream == "order-17"
        assert refusal.value.key == "2026-03-01T11:03:27.000Z#OrderPlaced"
        assert refusal.value.event_id == "e-1"
        assert list(store.read("order-17")) == [PLACED]

    def test_the_same_event_in_two_streams_is_two_events(self, store: Store) -> None:
        assert store.append(event("OrderPlaced", stream="order-17", id="e-1")) == "stored"
        assert store.append(event("OrderPlaced", stream="order-18", id="e-1")) == "stored"
        assert [ids(store.read(stream)) for stream in ("order-17", "order-18")] == [["e-1"], ["e-1"]]

    def test_a_put_that_finds_its_own_token_was_applied_before(self, opened: OpenStore) -> None:
        # So it is when the answer to the first attempt got lost and the client tried again by itself.
        store = opened(token=lambda: "token-1")
        assert [store.append(PLACED), store.append(PLACED)] == ["stored", "stored"]
        assert ids(store.read("order-17")) == ["e-1"]

    def test_a_twins_put_that_finds_its_own_token_was_applied_before(self, opened: OpenStore) -> None:
        tokens = iter(["token-1", "token-2", "token-2"])
        store = opened(token=lambda: next(tokens))
        twin = event("OrderPlaced", id="e-2", total=43)
        outcomes = [store.append(PLACED), store.append(twin), store.append(twin)]
        assert [(outcome, outcome.twin) for outcome in outcomes] == [
            ("stored", False),
            ("stored", True),
            ("stored", True),
        ]
        assert sorted(ids(store.read("order-17"))) == ["e-1", "e-2"]

    def test_with_identity_id_equal_content_under_another_id_is_an_event_of_its_own(self, store: Store) -> None:
        coins: list[Any] = [event("CoinThrown", id=f"coin-{n}", identity="id") for n in range(3)]
        assert [store.append(coin) for coin in coins] == ["stored", "stored", "stored"]
        assert [store.append(coin) for coin in coins] == ["duplicate", "duplicate", "duplicate"]
        assert sorted(ids(store.read("order-17"))) == ["coin-0", "coin-1", "coin-2"]

    def test_with_identity_id_the_same_id_with_other_content_is_a_conflict(self, store: Store) -> None:
        store.append(event("CoinThrown", id="coin-1", identity="id", side="head"))
        with pytest.raises(EventConflict):
            store.append(event("CoinThrown", id="coin-1", identity="id", side="tail"))
