"""How large things may be: what fits is stored whole, what does not is refused with its size."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING, Final

import pytest

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventTooLarge, InvalidEnvelope
from eventsourcing_kit.record import encode
from eventsourcing_kit.record import size as item_size
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import envelope, event

if TYPE_CHECKING:
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Limits"]

NOISE: Final = base64.b64encode(random.Random(1).randbytes(390_000)).decode()  # noqa: S311 - which zlib can not shorten
TOKEN: Final = "0123456789abcdef"  # noqa: S105 - a put token is no secret


def sized(size: int) -> Event:
    """An event whose detail takes exactly `size` bytes of JSON."""
    return parse(
        f'{{"id": "e-1", "detail-type": "Grew", "source": "shop", "time": "2026-03-01T11:03:27Z",'
        f' "detail": {{"primaryKey":"order-17","text":"{"x" * (size - 35)}"}}}}'
    )


def filled(size: int) -> Event:
    """An event whose item takes exactly `size` bytes, with a put token of 16 characters and without an expiry.

    How far zlib shortens its noise depends on the zlib; the name of its replay makes up for that.
    """
    sample = envelope("Grew", id="e-1", noise=NOISE)
    record = encode(parse({**sample, "replay-name": "r"}), recorded_at="2026-03-02T00:00:00.000000Z", put_token=TOKEN)
    return parse({**sample, "replay-name": "r" * (size - item_size(record) + 1)})


class Limits(Contract):
    def test_a_detail_of_100_kilobytes_is_stored_as_text(self, store: Store) -> None:
        store.append(sized(102_400))
        (item,) = self.items(store, "order-17")
        assert len(item["eventDetail"]) == 102_400
        assert "eventDetailZ" not in item

    def test_a_longer_detail_is_stored_compressed(self, store: Store) -> None:
        store.append(sized(102_401))
        (item,) = self.items(store, "order-17")
        assert isinstance(item["eventDetailZ"], bytes)
        assert len(item["eventDetailZ"]) < 1_000
        assert "eventDetail" not in item

    @pytest.mark.parametrize("size", [102_400, 102_401, 5_000_000])
    def test_a_long_detail_is_read_as_it_arrived(self, store: Store, size: int) -> None:
        arrived = sized(size)
        assert store.append(arrived) == "stored"
        (found,) = store.read("order-17")
        assert found == arrived
        assert found.data["text"] == "x" * (size - 35)

    def test_a_compressed_event_that_comes_again_is_a_duplicate(self, store: Store) -> None:
        store.append(sized(200_000))
        assert store.append(sized(200_000)) == "duplicate"

    @needs("sizes")
    def test_an_item_of_400_kilobytes_is_stored(self, opened: OpenStore) -> None:
        store = opened(token=lambda: TOKEN)
        arrived = filled(409_600)
        assert store.append(arrived) == "stored"
        assert list(store.read("order-17")) == [arrived]

    def test_an_item_one_byte_over_400_kilobytes_is_refused_with_its_size(self, opened: OpenStore) -> None:
        store = opened(token=lambda: TOKEN)
        with pytest.raises(EventTooLarge) as refusal:
            store.append(filled(409_601))
        assert refusal.value.size == 409_601
        assert refusal.value.limit == 409_600
        assert refusal.value.event_id == "e-1"
        assert list(store.read("order-17")) == []

    @pytest.mark.parametrize(
        "type_", ["T" * 981, "é" * 490 + "T", "😀" * 245 + "T"], ids=["1 byte", "2 bytes", "4 bytes"]
    )
    def test_a_type_may_take_981_bytes_twins_too(self, store: Store, type_: str) -> None:
        assert store.append(event(type_, id="e-1", n=1)) == "stored"
        assert store.append(event(type_, id="e-2", n=2)) == "stored"
        assert sorted(ids(store.read("order-17", types=[type_]))) == ["e-1", "e-2"]

    @pytest.mark.parametrize("type_", ["T" * 982, "é" * 491, "😀" * 245 + "TT"], ids=["1 byte", "2 bytes", "4 bytes"])
    def test_a_type_of_982_bytes_is_refused_with_the_size_of_its_key(self, store: Store, type_: str) -> None:
        with pytest.raises(EventTooLarge) as refusal:
            store.append(event(type_))
        assert (refusal.value.what, refusal.value.size, refusal.value.limit) == ("the sort key", 1_025, 1_024)

    @pytest.mark.parametrize("stream", ["s" * 2_048, "é" * 1_024, "😀" * 512], ids=["1 byte", "2 bytes", "4 bytes"])
    def test_a_stream_may_take_2048_bytes(self, store: Store, stream: str) -> None:
        assert store.append(event("OrderPlaced", stream=stream, id="e-1")) == "stored"
        assert ids(store.read(stream)) == ["e-1"]
        assert list(store.streams()) == [stream]

    @pytest.mark.parametrize(
        "stream", ["s" * 2_049, "é" * 1_024 + "s", "😀" * 512 + "s"], ids=["1 byte", "2 bytes", "4 bytes"]
    )
    def test_a_stream_of_2049_bytes_makes_no_event(self, stream: str) -> None:
        with pytest.raises(InvalidEnvelope) as refusal:
            event("OrderPlaced", stream=stream)
        assert refusal.value.found == "text of 2,049 bytes"

    @needs("pages")
    def test_a_stream_of_many_megabytes_is_read_to_its_end(self, store: Store) -> None:
        text = "x" * 90_000
        store.append_many(event("Grew", id=f"{n}", text=text, time=f"2026-03-01T11:{n:02d}:00Z") for n in range(40))
        assert ids(store.read("order-17")) == [f"{n}" for n in range(40)]

    @needs("pages")
    def test_a_window_and_types_hold_over_all_of_many_megabytes(self, store: Store) -> None:
        text = "x" * 90_000
        types = ["Odd" if n % 2 else "Even" for n in range(40)]
        store.append_many(
            event(type_, id=f"{n}", text=text, time=f"2026-03-01T11:{n:02d}:00Z") for n, type_ in enumerate(types)
        )
        reading = store.read("order-17", start="2026-03-01T11:03Z", at="2026-03-01T11:35Z", types=["Odd"])
        assert ids(reading) == [f"{n}" for n in range(3, 36, 2)]

    @needs("pages")
    def test_one_millisecond_of_many_megabytes_stands_in_its_order(self, store: Store) -> None:
        text = "x" * 90_000
        twins = [event("Grew", id=f"{n}", text=text, n=n, metadata={"sequence": n}) for n in range(40)]
        store.append_many(reversed(twins))
        assert ids(store.read("order-17")) == [f"{n}" for n in range(40)]

    @pytest.mark.parametrize(
        "number",
        [
            "1.10",
            "1.0",
            "1E5",
            "1e+05",
            "-0",
            "-0.0",
            "1e400",
            "1e-400",
            "9007199254740993",
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827",
            "1234567890.12345678901234567890123456789",
            "9" * 4_300,
        ],
        ids=lambda number: number[:40],
    )
    def test_a_number_is_kept_as_it_was_written(self, store: Store, number: str) -> None:
        store.append(
            parse(
                '{"id": "e-1", "detail-type": "Measured", "source": "shop", "time": "2026-03-01T11:03:27Z",'
                f' "detail": {{"primaryKey": "order-17", "n": {number}}}}}'
            )
        )
        (found,) = store.read("order-17")
        assert found.detail_json == f'{{"primaryKey":"order-17","n":{number}}}'
