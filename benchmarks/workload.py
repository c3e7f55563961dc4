"""The same stock movements for everybody: what happened, the envelopes that say so, and the handlers over them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from eventsourcing_kit import Event, Projection, parse
from eventsourcing_kit.moment import from_rfc3339, to_key_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "DETAIL_BYTES",
    "HANDLERS",
    "TYPED_HANDLERS",
    "UNITS_HANDLERS",
    "Moved",
    "Movement",
    "Stock",
    "events",
    "movements",
    "recording_clock",
    "stock",
    "stream_names",
    "typed_units",
    "units",
]

DETAIL_BYTES: Final = 400
SAME_MILLISECOND: Final = 50  # one event in this many shares its millisecond with the one before it

_DAY_BEGINS: Final = from_rfc3339("2026-03-01T00:00:00Z")
_WORKING_DAY: Final = 80_000 * 1_000_000_000
_RECORDED: Final = from_rfc3339("2026-03-01T23:59:59Z")
_TYPES: Final = ("StockReceived", "StockReserved", "StockShipped", "StockCounted")


@dataclass(frozen=True)
class Movement:
    """One fact about one article; each side of a comparison stores all of these fields."""

    stream: str
    type: str
    moment_ns: int
    id: str
    correlation_id: str
    causation_id: str
    producer: str
    quantity: int
    unit_price: float
    warehouse: str
    reference: str
    operator: str
    note: str

    def detail(self) -> dict[str, Any]:
        return {
            "metaData": {
                "time": to_key_time(self.moment_ns),
                "correlationId": self.correlation_id,
                "causationId": self.causation_id,
                "producer": self.producer,
            },
            "data": {
                "primaryKey": self.stream,
                "quantity": self.quantity,
                "unitPrice": self.unit_price,
                "warehouse": self.warehouse,
                "reference": self.reference,
                "operator": self.operator,
                "note": self.note,
            },
        }


def stream_names(count: int) -> list[str]:
    return [f"sku-{number:05}" for number in range(count)]


def movements(stream: str, count: int) -> Iterator[Movement]:
    """One day of an article, in the order of time. The stream's name is the seed: the same day at every call."""
    chance = Random(stream)  # noqa: S311 - made-up events, no secret
    step = _WORKING_DAY // count
    moment = _DAY_BEGINS
    for number in range(count):
        if number % SAME_MILLISECOND:
            moment = _DAY_BEGINS + number * step
        movement = Movement(
            stream=stream,
            type=chance.choice(_TYPES),
            moment_ns=moment,
            id=f"{chance.getrandbits(128):032x}",
            correlation_id=f"{chance.getrandbits(128):032x}",
            causation_id=f"{chance.getrandbits(128):032x}",
            producer="warehouse",
            quantity=chance.randint(1, 100),
            unit_price=chance.randint(100, 9_999) / 100,
            warehouse=chance.choice("ABC"),
            reference=f"delivery-{chance.getrandbits(40):010x}",
            operator=f"operator-{chance.randint(1, 40)}",
            note="",
        )
        yield replace(movement, note="x" * (DETAIL_BYTES - len(_json(movement.detail()))))


def events(stream: str, count: int) -> Iterator[Event]:
    """The same day as the kit's events, parsed from envelopes."""
    for movement in movements(stream, count):
        time = to_key_time(movement.moment_ns)
        envelope = {
            "version": "0",
            "id": movement.id,
            "detail-type": movement.type,
            "source": "warehouse.stock",
            "account": "123456789012",
            "time": time[:19] + "Z",
            "region": "eu-central-1",
            "resources": [],
            "detail": movement.detail(),
        }
        yield parse(_json(envelope))


def recording_clock() -> int:
    """The end of that day, so that no event counts as recorded late: that is the usual case."""
    return _RECORDED


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Stock:
    """What the handlers of `stock` keep of an article, replaced as a whole at each event, as STYLE asks for."""

    on_hand: int = 0
    reserved: int = 0
    shipped: int = 0
    value: float = 0.0


class Decoded(Protocol):
    """The little that these handlers ask of an event, so that a bare loop can call them, too."""

    @property
    def data(self) -> Any: ...


stock = Projection("stock", initial=Stock)


@stock.on("StockReceived")
def received(state: Stock, event: Decoded) -> Stock:
    data = event.data
    value = state.value + data["quantity"] * data["unitPrice"]
    return replace(state, on_hand=state.on_hand + data["quantity"], value=value)


@stock.on("StockReserved")
def reserved(state: Stock, event: Decoded) -> Stock:
    data = event.data
    return replace(state, on_hand=state.on_hand - data["quantity"], reserved=state.reserved + data["quantity"])


@stock.on("StockShipped")
def shipped(state: Stock, event: Decoded) -> Stock:
    data = event.data
    return replace(state, reserved=state.reserved - data["quantity"], shipped=state.shipped + data["quantity"])


@stock.on("StockCounted")
def counted(state: Stock, event: Decoded) -> Stock:
    data = event.data
    return replace(state, on_hand=data["quantity"], value=data["quantity"] * data["unitPrice"])


HANDLERS: Final[dict[str, Callable[[Stock, Decoded], Stock]]] = {
    "StockReceived": received,
    "StockReserved": reserved,
    "StockShipped": shipped,
    "StockCounted": counted,
}

units = Projection("units", initial=int)


@units.on(*_TYPES)
def moved(state: int, event: Decoded) -> int:
    """As little as a handler can do: one field, one addition. What is left is the cost of everything around it."""
    quantity: int = event.data["quantity"]
    return state + quantity


UNITS_HANDLERS: Final[dict[str, Callable[[int, Decoded], int]]] = dict.fromkeys(_TYPES, moved)


class Moved(msgspec.Struct):
    """The one field of the payload that `units` takes."""

    quantity: int


typed_units = Projection("typed units", initial=int)


@typed_units.on(*_TYPES, model=Moved)
def moved_typed(state: int, event: Event[Moved]) -> int:
    return state + event.data.quantity


TYPED_HANDLERS: Final[dict[str, Callable[[int, Any], int]]] = dict.fromkeys(_TYPES, moved_typed)
